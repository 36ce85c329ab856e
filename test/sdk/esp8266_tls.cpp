/* esp8266_tls.cpp - the ESP8266 core's TLS client on a PC: its calls in its order, over the real BearSSL and a real socket.
 * Must never believe a server that the core would not, nor wait longer than the core does.
 *
 *     SDK_NO_MFLN=1: the probe for small records says no, as with most servers on the Internet
 *
 * Notes in the output: "tls: probe 1024 yes|no", "tls: full|resumed, records N, alive". */
#include "arduino_sim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bearssl.h>

#include <StackThunk.h>
#include <WiFiClientSecure.h>

#define HANDSHAKE_MS 15000 /* the core's own */
#define DAYS_TO_1970 719528u
#define OVERHEAD_IN  325 /* what the core adds to setBufferSizes() */
#define OVERHEAD_OUT 85

/* ---- BearSSL's own stack: counted, as the core does ---- */

static int stack_refs;

void stack_thunk_add_ref(void)
{
    stack_refs++;
}

void stack_thunk_del_ref(void)
{
    if (stack_refs-- == 0) sdk_fail("BearSSL's stack is given back twice");
}

namespace BearSSL
{

/* ---- PEM ---- */

struct bytes {
    uint8_t data[4096];
    size_t len;
};

static void append(void *ctx, const void *data, size_t len)
{
    struct bytes *out = static_cast<struct bytes *>(ctx);
    if (len > sizeof out->data - out->len) sdk_fail("a PEM object is too long");
    memcpy(out->data + out->len, data, len);
    out->len += len;
}

/* The first object of a PEM text. */
static void decode_pem(const char *pem, struct bytes *out)
{
    br_pem_decoder_context decoder;
    size_t len = strlen(pem);
    br_pem_decoder_init(&decoder);
    out->len = 0;
    while (len > 0) {
        const size_t n = br_pem_decoder_push(&decoder, pem, len);
        pem += n;
        len -= n;
        switch (br_pem_decoder_event(&decoder)) {
        case BR_PEM_BEGIN_OBJ:
            br_pem_decoder_setdest(&decoder, append, out);
            break;
        case BR_PEM_END_OBJ:
            return;
        case BR_PEM_ERROR:
            sdk_fail("not PEM");
        default:
            break;
        }
    }
    sdk_fail("no object in the PEM");
}

/* ---- whom to believe ---- */

struct sdk_anchor {
    struct bytes name;
    struct bytes certificate;
    br_x509_decoder_context decoder;
    br_x509_trust_anchor anchor;
};

X509List::X509List(const char *pem) : anchor_(new sdk_anchor())
{
    decode_pem(pem, &anchor_->certificate);
    br_x509_decoder_init(&anchor_->decoder, append, &anchor_->name);
    br_x509_decoder_push(&anchor_->decoder, anchor_->certificate.data, anchor_->certificate.len);
    const br_x509_pkey *key = br_x509_decoder_get_pkey(&anchor_->decoder);
    if (key == nullptr) sdk_fail("not a certificate");
    anchor_->anchor.dn.data = anchor_->name.data;
    anchor_->anchor.dn.len = anchor_->name.len;
    anchor_->anchor.flags = br_x509_decoder_isCA(&anchor_->decoder) ? BR_X509_TA_CA : 0;
    anchor_->anchor.pkey = *key;
}

/* Only what the examples have: an EC key of P-256 (RFC 5480). As the core does, without the first byte of the point. Anything else
 * is no key. */
PublicKey::PublicKey(const char *pem) : key_(nullptr)
{
    const size_t point = 65;
    struct bytes der;
    decode_pem(pem, &der);
    if (der.len != 26 + point || der.data[26] != 4) return;
    key_ = new br_ec_public_key();
    key_->curve = BR_EC_secp256r1;
    key_->qlen = point - 1;
    key_->q = static_cast<unsigned char *>(malloc(key_->qlen));
    if (key_->q == nullptr) sdk_fail("no memory");
    memcpy(key_->q, der.data + 27, key_->qlen);
}

PublicKey::~PublicKey()
{
    if (key_ != nullptr) free(key_->q);
    delete key_;
}

bool PublicKey::isRSA() const
{
    return false;
}

bool PublicKey::isEC() const
{
    return key_ != nullptr;
}

const br_ec_public_key *PublicKey::getEC() const
{
    return key_;
}

Session::Session() : parameters_()
{
}

/* ---- the client ---- */

struct sdk_tls {
    br_ssl_client_context client;
    br_x509_minimal_context minimal;
    br_x509_knownkey_context known;
    const X509List *anchors;
    const PublicKey *key;
    Session *session;
    size_t in_len, out_len;
    bool is_begun, is_open;
    uint8_t in[16384 + OVERHEAD_IN], out[512 + OVERHEAD_OUT];
};

static int alive; /* connections at once */

/* Does what the engine wants with the socket. False: nothing to do without waiting. */
static bool pump(struct sdk_tls *tls, int fd)
{
    br_ssl_engine_context *eng = &tls->client.eng;
    const unsigned state = br_ssl_engine_current_state(eng);
    size_t len;
    if ((state & BR_SSL_CLOSED) != 0) return false;
    if ((state & BR_SSL_SENDREC) != 0) {
        const unsigned char *data = br_ssl_engine_sendrec_buf(eng, &len);
        const ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n > 0) br_ssl_engine_sendrec_ack(eng, static_cast<size_t>(n));
        return n > 0;
    }
    if ((state & BR_SSL_RECVREC) == 0) return false;
    unsigned char *data = br_ssl_engine_recvrec_buf(eng, &len);
    const ssize_t n = recv(fd, data, len, 0);
    if (n > 0) br_ssl_engine_recvrec_ack(eng, static_cast<size_t>(n));
    return n > 0;
}

/* Until the handshake is over or fails; at most as long as the core. */
static bool handshake(struct sdk_tls *tls, int fd)
{
    br_ssl_engine_context *eng = &tls->client.eng;
    const unsigned long start = millis();
    while (millis() - start < HANDSHAKE_MS) {
        const unsigned state = br_ssl_engine_current_state(eng);
        if ((state & BR_SSL_CLOSED) != 0) return false;
        if ((state & BR_SSL_SENDAPP) != 0) return true;
        if (pump(tls, fd)) continue;
        struct pollfd wait = {fd, POLLIN, 0};
        char next;
        (void)poll(&wait, 1, 1000);
        if (recv(fd, &next, 1, MSG_PEEK) == 0 && (br_ssl_engine_current_state(eng) & BR_SSL_SENDREC) == 0)
            return false;
    }
    return false;
}

static void begin(struct sdk_tls *tls, const br_x509_trust_anchor *anchors, size_t count)
{
    uint8_t seed[32];
    br_ssl_client_init_full(&tls->client, &tls->minimal, anchors, count);
    br_ssl_engine_set_buffers_bidi(&tls->client.eng, tls->in, tls->in_len, tls->out, tls->out_len);
    if (getrandom(seed, sizeof seed, 0) != sizeof seed) sdk_fail("no entropy");
    br_ssl_engine_inject_entropy(&tls->client.eng, seed, sizeof seed);
}

WiFiClientSecure::WiFiClientSecure() : tls_(new sdk_tls())
{
    stack_thunk_add_ref();
    setBufferSizes(16384, 512);
}

WiFiClientSecure::~WiFiClientSecure()
{
    stop();
    delete tls_;
    stack_thunk_del_ref();
}

void WiFiClientSecure::setTrustAnchors(const X509List *anchors)
{
    tls_->anchors = anchors;
    tls_->key = nullptr;
}

void WiFiClientSecure::setKnownKey(const PublicKey *key, unsigned)
{
    tls_->key = key;
    tls_->anchors = nullptr;
}

void WiFiClientSecure::setSession(Session *session)
{
    tls_->session = session;
}

void WiFiClientSecure::setBufferSizes(int receive, int transmit)
{
    if (receive < 512 || receive > 16384 || transmit < 512) sdk_fail("buffers that the core would change");
    tls_->in_len = static_cast<size_t>(receive + OVERHEAD_IN);
    tls_->out_len = static_cast<size_t>(transmit + OVERHEAD_OUT);
}

/* Is max_fragment_length (RFC 6066, 4) among the extensions of this ServerHello? */
static bool has_mfln(const uint8_t *hello, size_t len)
{
    size_t at = 5 + 4 + 2 + 32; /* record, handshake, version, random */
    if (len < at + 1) return false;
    at += 1u + hello[at] + 2 + 1 + 2; /* session, suite, compression, length of the extensions */
    while (at + 4 <= len) {
        if (hello[at] == 0 && hello[at + 1] == 1) return true;
        at += 4u + (static_cast<size_t>(hello[at + 2]) << 8 | hello[at + 3]);
    }
    return false;
}

bool WiFiClientSecure::probeMaxFragmentLength(const char *host, uint16_t port, uint16_t len)
{
    static struct sdk_tls tls;
    uint8_t hello[256];
    const int fd = sdk_connect(port);
    bool knows = false;
    tls = sdk_tls();
    tls.in_len = static_cast<size_t>(len + OVERHEAD_IN);
    tls.out_len = sizeof tls.out;
    if (fd >= 0) {
        begin(&tls, nullptr, 0);
        br_ssl_client_reset(&tls.client, host, 0);
        while ((br_ssl_engine_current_state(&tls.client.eng) & BR_SSL_SENDREC) != 0 && pump(&tls, fd)) {
        }
        const ssize_t n = recv(fd, hello, sizeof hello, 0);
        knows = n > 0 && has_mfln(hello, static_cast<size_t>(n)) && getenv("SDK_NO_MFLN") == nullptr;
        close(fd);
    }
    sdk_note("tls: probe %u %s", len, knows ? "yes" : "no");
    return knows;
}

int WiFiClientSecure::connect(const char *host, uint16_t port)
{
    stop();
    if (WiFiClient::connect(host, port) != 1) return 0;
    const br_x509_trust_anchor *anchor = tls_->anchors != nullptr ? &tls_->anchors->anchor_->anchor : nullptr;
    begin(tls_, anchor, anchor != nullptr ? 1 : 0);
    br_ssl_engine_context *eng = &tls_->client.eng;
    const uint32_t now = sdk_time();
    br_x509_minimal_set_time(&tls_->minimal, now / 86400 + DAYS_TO_1970, now % 86400);
    if (tls_->key != nullptr) {
        if (!tls_->key->isEC()) sdk_fail("the core would trip over a key that is none");
        br_x509_knownkey_init_ec(&tls_->known, tls_->key->getEC(), BR_KEYTYPE_KEYX | BR_KEYTYPE_SIGN);
        br_ssl_engine_set_x509(eng, &tls_->known.vtable);
    }
    br_ssl_session_parameters before = {};
    if (tls_->session != nullptr) before = tls_->session->parameters_;
    br_ssl_engine_set_session_parameters(eng, &before);
    br_ssl_client_reset(&tls_->client, host, tls_->session != nullptr);
    tls_->is_begun = true;
    if (!handshake(tls_, fd_)) {
        sdk_note("tls: failed, %d", br_ssl_engine_last_error(eng));
        return 0;
    }
    br_ssl_session_parameters after;
    br_ssl_engine_get_session_parameters(eng, &after);
    const bool is_same = before.session_id_len > 0 && before.session_id_len == after.session_id_len &&
                         memcmp(before.session_id, after.session_id, after.session_id_len) == 0;
    if (tls_->session != nullptr) tls_->session->parameters_ = after;
    tls_->is_open = true;
    sdk_note("tls: %s, records %u, alive %d", is_same ? "resumed" : "full",
             static_cast<unsigned>(tls_->in_len) - OVERHEAD_IN, ++alive);
    return 1;
}

int WiFiClientSecure::getLastSSLError(char *, size_t)
{
    if (!tls_->is_begun) return 0;
    return br_ssl_engine_last_error(&tls_->client.eng) & ~(BR_ERR_RECV_FATAL_ALERT | BR_ERR_SEND_FATAL_ALERT);
}

size_t WiFiClientSecure::write(const uint8_t *buf, size_t size)
{
    br_ssl_engine_context *eng = &tls_->client.eng;
    size_t sent = 0, room;
    if (!tls_->is_open) return 0;
    while (sent < size) {
        unsigned char *out = br_ssl_engine_sendapp_buf(eng, &room);
        if (out == nullptr && !pump(tls_, fd_)) return sent;
        if (out == nullptr) continue;
        if (room > size - sent) room = size - sent;
        memcpy(out, buf + sent, room);
        br_ssl_engine_sendapp_ack(eng, room);
        br_ssl_engine_flush(eng, 0);
        sent += room;
    }
    while ((br_ssl_engine_current_state(eng) & BR_SSL_SENDREC) != 0 && pump(tls_, fd_)) {
    }
    return sent;
}

int WiFiClientSecure::available()
{
    size_t len = 0;
    if (!tls_->is_open) return 0;
    while (br_ssl_engine_recvapp_buf(&tls_->client.eng, &len) == nullptr && pump(tls_, fd_)) {
    }
    return br_ssl_engine_recvapp_buf(&tls_->client.eng, &len) != nullptr ? static_cast<int>(len) : 0;
}

int WiFiClientSecure::read(uint8_t *buf, size_t size)
{
    size_t len = 0;
    if (available() == 0) return -1;
    const unsigned char *data = br_ssl_engine_recvapp_buf(&tls_->client.eng, &len);
    if (len > size) len = size;
    memcpy(buf, data, len);
    br_ssl_engine_recvapp_ack(&tls_->client.eng, len);
    return static_cast<int>(len);
}

void WiFiClientSecure::stop()
{
    if (tls_->is_open) alive--;
    tls_->is_open = tls_->is_begun = false;
    WiFiClient::stop();
}

uint8_t WiFiClientSecure::connected()
{
    if (!tls_->is_open) return 0;
    if (available() > 0) return 1;
    return br_ssl_engine_current_state(&tls_->client.eng) != BR_SSL_CLOSED && WiFiClient::connected();
}

} // namespace BearSSL
