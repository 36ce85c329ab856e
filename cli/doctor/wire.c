/* wire.c - the doctor's connections. Must never wait without a limit, and never write anything but a request.
 * Tests: test/e2e/doctor/lab_test.py. */
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "answer.h"
#include "certificate.h"
#include "wire_parts.h"

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t since_open(const struct wire *wire)
{
    return now_ms() - wire->tap.open_ms;
}

/* ---- TCP ------------------------------------------------------------------------------------------------ */

static bool wait_for(const struct wire *wire, short events, int timeout_ms)
{
    struct pollfd wait = {.fd = wire->fd, .events = events};
    int n;
    do
        n = poll(&wait, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n > 0;
}

static int try_address(struct wire *wire, const struct addrinfo *address)
{
    int error = 0, on = 1, small = 16384;
    socklen_t error_len = sizeof error;
    wire->fd = socket(address->ai_family, SOCK_STREAM, 0);
    if (wire->fd < 0) return errno;
    (void)fcntl(wire->fd, F_SETFL, O_NONBLOCK);
    (void)setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (wire->known !=
        NULL) /* only the beginning is wanted: the server shall not push the whole file into a buffer */
        (void)setsockopt(wire->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (connect(wire->fd, address->ai_addr, address->ai_addrlen) == 0) return 0;
    error = errno;
    if (error == EINPROGRESS) {
        if (!wait_for(wire, POLLOUT, wire->timeout_ms))
            error = ETIMEDOUT;
        else if (getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &error, &error_len) != 0)
            error = errno;
    }
    if (error != 0) {
        close(wire->fd);
        wire->fd = -1;
    }
    return error;
}

static bool connect_now(struct wire *wire, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0) return false;
    wire->tap.resolved = true;
    /* IPv4 first, as the devices do; they know nothing else by default. */
    for (int pass = 0; pass < 2 && wire->fd < 0; pass++) {
        for (struct addrinfo *a = found; a != NULL && wire->fd < 0; a = a->ai_next) {
            if ((a->ai_family == AF_INET) == (pass == 0)) wire->tap.connect_errno = try_address(wire, a);
        }
    }
    freeaddrinfo(found);
    wire->tap.connected = wire->fd >= 0;
    return wire->tap.connected;
}

/* ---- TLS ------------------------------------------------------------------------------------------------ */

static void note_record(int write_p, int version, int content_type, const void *buf, size_t len, SSL *ssl,
                        void *arg)
{
    struct wire *wire = arg;
    const uint8_t *header = buf;
    (void)version;
    (void)ssl;
    if (write_p != 0 || content_type != SSL3_RT_HEADER || len < 5) return;
    uint32_t record = (uint32_t)header[3] << 8 | header[4];
    wire->tap.record_count++;
    if (record > wire->tap.record_max) wire->tap.record_max = record;
    /* BearSSL keeps 325 bytes for what a record may have around its content. */
    if (wire->tls == WIRE_BEARSSL && record > wire->tls_buffer + 325) wire->tap.record_too_large = true;
}

static void note_alert(const SSL *ssl, int where, int value)
{
    struct wire *wire = SSL_get_app_data(ssl);
    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && value >> 8 == SSL3_AL_FATAL)
        wire->tap.alert = value & 0xFF;
}

SSL_CTX *wire_tls_context(const struct wire *wire)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) return NULL;
    int low = TLS1_2_VERSION, high = TLS1_2_VERSION;
    if (wire->tls == WIRE_TLS13) low = high = TLS1_3_VERSION;
    if (wire->tls == WIRE_TLS_OLD) low = TLS1_VERSION, high = TLS1_1_VERSION;
    SSL_CTX_set_security_level(context, 0); /* the devices do not refuse what OpenSSL finds weak */
    SSL_CTX_set_min_proto_version(context, low);
    SSL_CTX_set_max_proto_version(context, high);
    SSL_CTX_set_options(context,
                        SSL_OP_NO_TICKET | SSL_OP_LEGACY_SERVER_CONNECT); /* BearSSL knows session ids only */
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    return context;
}

uint8_t wire_tls_mfln(const struct wire *wire)
{
    uint32_t want = wire->mfln != 0 ? wire->mfln : wire->tls == WIRE_BEARSSL ? 512 : 0;
    switch (want) {
    case 512:
        return TLSEXT_max_fragment_length_512;
    case 1024:
        return TLSEXT_max_fragment_length_1024;
    case 2048:
        return TLSEXT_max_fragment_length_2048;
    case 4096:
        return TLSEXT_max_fragment_length_4096;
    default:
        return TLSEXT_max_fragment_length_DISABLED;
    }
}

/* Repeats an OpenSSL call until it is done or its time is over. */
static int shake_hands(struct wire *wire)
{
    const int64_t until = now_ms() + wire->timeout_ms;
    for (;;) {
        int rc = SSL_connect(wire->ssl);
        if (rc == 1) return 0;
        int error = SSL_get_error(wire->ssl, rc);
        short events = error == SSL_ERROR_WANT_READ ? POLLIN : error == SSL_ERROR_WANT_WRITE ? POLLOUT : 0;
        int64_t left = until - now_ms();
        if (events == 0) {
            wire->tap.ssl_error = ERR_peek_error();
            wire->tap.end = WIRE_CLOSED;
            return -1;
        }
        if (left <= 0 || !wait_for(wire, events, (int)left)) {
            wire->tap.end = WIRE_SILENT;
            return -1;
        }
    }
}

static const uint32_t mfln_bytes[] = {0, 512, 1024, 2048, 4096};

static bool secure(struct wire *wire, const char *host)
{
    wire->context = wire_tls_context(wire);
    wire->ssl = wire->context != NULL ? SSL_new(wire->context) : NULL;
    if (wire->ssl == NULL) return false;
    SSL_set_app_data(wire->ssl, wire);
    SSL_set_info_callback(wire->ssl, note_alert);
    SSL_set_msg_callback(wire->ssl, note_record);
    SSL_set_msg_callback_arg(wire->ssl, wire);
    SSL_set_tlsext_max_fragment_length(wire->ssl, wire_tls_mfln(wire));
    if (!certificate_host_is_address(host)) SSL_set_tlsext_host_name(wire->ssl, host);
    if (wire->session != NULL) SSL_set_session(wire->ssl, wire->session);
    SSL_set_fd(wire->ssl, wire->fd);
    ERR_clear_error();
    if (shake_hands(wire) < 0) return false;
    wire->tap.secured = true;
    wire->tap.secured_ms = since_open(wire);
    wire->tap.resumed = SSL_session_reused(wire->ssl) == 1;
    uint8_t granted = SSL_SESSION_get_max_fragment_length(SSL_get_session(wire->ssl));
    wire->tap.mfln = granted < 5 ? mfln_bytes[granted] : 0;
    if (wire->tap.record_too_large) return false;
    if (!wire->check_certificate) return true;
    wire->tap.certificate = certificate_refusal(SSL_get_peer_cert_chain(wire->ssl), host);
    return wire->tap.certificate == 0;
}

/* ---- the wire ------------------------------------------------------------------------------------------- */

static void forget(struct wire *wire)
{
    wire_close(wire);
    free(wire->tap.bytes);
    memset(&wire->tap, 0, sizeof wire->tap);
    wire->cap = 0;
    wire->replaying = false;
    wire->tap.secured_ms = wire->tap.first_ms = wire->tap.head_ms = wire->tap.body_ms = wire->tap.last_ms =
        -1;
}

int wire_open(struct wire *wire, const char *host, const char *port, bool tls)
{
    forget(wire);
    wire->tap.open_ms = now_ms();
    wire->tap.tls = tls;
    if (wire->dry) {
        wire_dry_open(wire, host, port, tls);
        return 0;
    }
    if (!connect_now(wire, host, port)) return -1;
    if (tls && !secure(wire, host)) return -1;
    return 0;
}

bool wire_send(struct wire *wire, const char *text, size_t len)
{
    size_t have = strlen(wire->tap.request), room = sizeof wire->tap.request - 1 - have;
    memcpy(wire->tap.request + have, text, len < room ? len : room);
    if (wire->dry) {
        wire_dry_send(wire, text, len);
        return true;
    }
    while (len > 0) {
        long n = wire->ssl != NULL ? SSL_write(wire->ssl, text, (int)len)
                                   : (long)send(wire->fd, text, len, MSG_NOSIGNAL);
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        } else if (wire->ssl != NULL ? SSL_get_error(wire->ssl, (int)n) != SSL_ERROR_WANT_WRITE
                                     : errno != EAGAIN) {
            return false;
        } else if (!wait_for(wire, POLLOUT, wire->timeout_ms)) {
            return false;
        }
    }
    return true;
}

/* One try: the count, 0 when the peer closed, -1 when there is nothing yet. */
static long read_once(struct wire *wire, void *bytes, size_t cap)
{
    if (wire->ssl != NULL) {
        ERR_clear_error();
        int n = SSL_read(wire->ssl, bytes, cap < 65536 ? (int)cap : 65536);
        if (wire->tap.record_too_large) {
            wire->tap.end = WIRE_CLOSED;
            return 0;
        }
        if (n > 0) return n;
        int error = SSL_get_error(wire->ssl, n);
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return -1;
        wire->tap.end = error == SSL_ERROR_SYSCALL && errno == ECONNRESET ? WIRE_RESET : WIRE_CLOSED;
        return 0;
    }
    ssize_t n = recv(wire->fd, bytes, cap, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return -1;
    if (n <= 0) wire->tap.end = n < 0 ? WIRE_RESET : WIRE_CLOSED;
    return n > 0 ? (long)n : 0;
}

/* Where the head ends (behind the empty line), 0 when it does not yet. */
static size_t head_end(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++) {
        if (bytes[i] != '\n') continue;
        if (bytes[i + 1] == '\n') return i + 2;
        if (bytes[i + 1] == '\r' && i + 2 < len && bytes[i + 2] == '\n') return i + 3;
    }
    return 0;
}

static void note_bytes(struct wire *wire, const void *bytes, size_t n)
{
    struct wire_tap *tap = &wire->tap;
    if (tap->len + n + 1 > wire->cap) {
        size_t cap = (tap->len + n + 1) * 2;
        uint8_t *more = realloc(tap->bytes, cap);
        if (more == NULL) {
            tap->end = WIRE_OVER_BYTES;
            return;
        }
        tap->bytes = more;
        wire->cap = cap;
    }
    const int64_t now = since_open(wire);
    memcpy(tap->bytes + tap->len, bytes, n);
    tap->len += n;
    tap->bytes[tap->len] = '\0';
    if (tap->first_ms < 0) tap->first_ms = now;
    tap->last_ms = now;
    if (tap->head_len == 0 && tap->len <= 65536) {
        tap->head_len = head_end(tap->bytes, tap->len);
        if (tap->head_len > 0) {
            tap->head_ms = now;
            tap->head_record = tap->len - tap->head_len;
        }
    }
    if (tap->body_ms < 0 && tap->head_len > 0 && tap->len > tap->head_len) tap->body_ms = now;
}

#define SAME_BYTES 1024u /* of a body: as many as decide whether it is the known one */

/* True when the answer so far begins as the known one: status, length, x-MD5, first bytes. */
static bool begins_as_known(const struct wire *wire)
{
    const struct wire_tap *tap = &wire->tap, *known = wire->known;
    char mine[ANSWER_VALUE_MAX], other[ANSWER_VALUE_MAX];
    static const char *const names[] = {"Content-Length", "x-MD5", "Transfer-Encoding", "Content-Encoding"};
    if (known == NULL || tap->head_len == 0 || tap->len < tap->head_len + SAME_BYTES) return false;
    if (answer_status(tap) != 200 || answer_status(known) != 200 || known->len < known->head_len + SAME_BYTES)
        return false;
    if (answer_length(tap) != (int64_t)(known->len - known->head_len)) return false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (answer_header(tap, names[i], mine) != answer_header(known, names[i], other) ||
            strcmp(mine, other) != 0)
            return false;
    }
    return memcmp(tap->bytes + tap->head_len, known->bytes + known->head_len, SAME_BYTES) == 0;
}

/* The next bytes of the body, from the known answer. */
static long replay(struct wire *wire, void *bytes, size_t cap)
{
    const struct wire_tap *known = wire->known;
    const size_t at = known->head_len + (wire->tap.len - wire->tap.head_len);
    size_t n = at < known->len ? known->len - at : 0;
    if (n > cap) n = cap;
    memcpy(bytes, known->bytes + at, n);
    if (n == 0) wire->tap.end = WIRE_CLOSED;
    if (n > 0) note_bytes(wire, bytes, n);
    return (long)n;
}

long wire_receive(struct wire *wire, void *bytes, size_t cap, int timeout_ms)
{
    if (!wire->replaying && begins_as_known(wire)) {
        wire_close(wire);
        wire->replaying = true;
    }
    if (wire->replaying) return replay(wire, bytes, cap);
    if (wire->dry || wire->tap.end == WIRE_CLOSED || wire->tap.end == WIRE_RESET) return 0;
    if (timeout_ms > wire->timeout_ms) timeout_ms = wire->timeout_ms;
    const int64_t until = now_ms() + timeout_ms;
    for (;;) {
        if (since_open(wire) > wire->body_limit_ms) {
            wire->tap.end = WIRE_OVER_TIME;
            return -1;
        }
        if (wire->tap.len >= WIRE_BODY_MAX) {
            wire->tap.end = WIRE_OVER_BYTES;
            return 0;
        }
        long n = read_once(wire, bytes, cap);
        if (n > 0) note_bytes(wire, bytes, (size_t)n);
        if (n >= 0) return n;
        int64_t left = until - now_ms();
        if (left <= 0 || !wait_for(wire, POLLIN, (int)left)) {
            if (timeout_ms > 0) wire->tap.end = WIRE_SILENT;
            return -1;
        }
    }
}

void wire_close(struct wire *wire)
{
    if (wire->ssl != NULL) {
        ERR_clear_error();
        if (wire->tap.secured) SSL_shutdown(wire->ssl);
        SSL_free(wire->ssl);
    }
    SSL_CTX_free(wire->context);
    if (wire->fd >= 0) close(wire->fd);
    wire->ssl = NULL;
    wire->context = NULL;
    wire->fd = -1;
}

/* ---- as a stock client's wire --------------------------------------------------------------------------- */

static int stock_open(void *ctx, const char *host, const char *port, bool tls)
{
    return wire_open(ctx, host, port, tls);
}

static bool stock_send(void *ctx, const char *bytes, size_t len)
{
    return wire_send(ctx, bytes, len);
}

static long stock_receive(void *ctx, void *bytes, size_t cap, int timeout_ms)
{
    return wire_receive(ctx, bytes, cap, timeout_ms);
}

static size_t stock_pending(void *ctx)
{
    const struct wire *wire = ctx;
    /* Only an ESP8266 stops at the end of a record; elsewhere there is always a next byte to hope for. */
    if (wire->ssl == NULL || wire->tls != WIRE_BEARSSL) return SIZE_MAX;
    return (size_t)SSL_pending(wire->ssl);
}

static void stock_close(void *ctx)
{
    wire_close(ctx);
}

void wire_begin(struct wire *wire, int timeout_ms, uint32_t tls_buffer)
{
    memset(wire, 0, sizeof *wire);
    wire->fd = -1;
    wire->timeout_ms = timeout_ms;
    wire->body_limit_ms = 4 * timeout_ms;
    wire->tls_buffer = tls_buffer;
    wire->check_certificate = true;
    wire->stock = (struct stock_wire){.ctx = wire,
                                      .open = stock_open,
                                      .send = stock_send,
                                      .receive = stock_receive,
                                      .pending = stock_pending,
                                      .close = stock_close};
}

void wire_end(struct wire *wire)
{
    forget(wire);
}
