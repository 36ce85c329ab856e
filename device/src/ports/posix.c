/* posix.c - an agent's network on a PC: TCP sockets and BearSSL's client.
 * Must never block longer than the agent allows. Tests: test/e2e/posix_port_test.c. */
#if defined(MOLT_WITH_POSIX) && defined(MOLT_WITH_BEARSSL)

#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../util/text.h"
#include "bearssl_reason.h"

#define DAYS_BEFORE_1970 719528u /* BearSSL counts days from January 1st, 0 AD */
#define IO_CLOSED        (-1)
#define IO_LATE          (-2)

uint64_t molt_posix_now_ms(const struct molt_posix *net)
{
    struct timespec ts = {0};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u + net->skipped_ms;
}

void molt_posix_begin(struct molt_posix *net, const struct molt_posix_anchors *anchors)
{
    memset(net, 0, sizeof *net);
    net->anchors = anchors;
    net->fd = -1;
}

static void close_fd(struct molt_posix *net)
{
    if (net->fd >= 0) close(net->fd);
    net->fd = -1;
}

void molt_posix_end(struct molt_posix *net)
{
    close_fd(net);
}

/* ---- sockets: never blocking but in poll() ---- */

/* Waits for events until until_ms. Returns false when it is late. */
static bool wait_for(struct molt_posix *net, short events, uint64_t until_ms)
{
    for (;;) {
        uint64_t now_ms = molt_posix_now_ms(net);
        if (now_ms >= until_ms) return false;
        uint64_t left_ms = until_ms - now_ms;
        struct pollfd p = {.fd = net->fd, .events = events};
        int n = poll(&p, 1, left_ms < 3600000 ? (int)left_ms : 3600000);
        if (n > 0) return true;
        if (n < 0 && errno != EINTR) return true; /* the next call on the socket tells */
    }
}

static bool connect_one(struct molt_posix *net, const struct addrinfo *ai, uint64_t until_ms)
{
    net->fd = socket(ai->ai_family, ai->ai_socktype, ai->ai_protocol);
    if (net->fd < 0) return false;
    int flags = fcntl(net->fd, F_GETFL), err = 0;
    socklen_t len = sizeof err;
    if (flags < 0 || fcntl(net->fd, F_SETFL, flags | O_NONBLOCK) < 0) return false;
    if (fcntl(net->fd, F_SETFD, FD_CLOEXEC) < 0) return false;
    if (connect(net->fd, ai->ai_addr, ai->ai_addrlen) == 0) return true;
    if (errno != EINPROGRESS || !wait_for(net, POLLOUT, until_ms)) return false;
    return getsockopt(net->fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0;
}

/* Returns 0 or a positive reason. */
static int connect_tcp(struct molt_posix *net, const struct molt_want *want)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)want->port);
    if (getaddrinfo(want->host, port, &hints, &list) != 0) return MOLT_DNS;
    bool ok = false;
    for (const struct addrinfo *ai = list; ai != NULL && !ok; ai = ai->ai_next) {
        close_fd(net);
        ok = connect_one(net, ai, want->until_ms);
    }
    freeaddrinfo(list);
    if (ok) return 0;
    close_fd(net);
    return MOLT_CONNECT;
}

/* Bytes moved (> 0), IO_CLOSED (also an error) or IO_LATE. */
static ssize_t tcp_send(struct molt_posix *net, const void *data, size_t len, uint64_t until_ms)
{
    for (;;) {
        ssize_t n = send(net->fd, data, len, MSG_NOSIGNAL);
        if (n > 0) return n;
        if (n < 0 && errno == EINTR) continue;
        if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) return IO_CLOSED;
        if (!wait_for(net, POLLOUT, until_ms)) return IO_LATE;
    }
}

static ssize_t tcp_receive(struct molt_posix *net, void *data, size_t len, uint64_t until_ms)
{
    for (;;) {
        ssize_t n = recv(net->fd, data, len, 0);
        if (n > 0) return n;
        if (n < 0 && errno == EINTR) continue;
        if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) return IO_CLOSED;
        if (!wait_for(net, POLLIN, until_ms)) return IO_LATE;
    }
}

/* ---- certificates ---- */

/* Collects what a decoder appends, up to a bound. */
struct bytes {
    unsigned char *at;
    size_t len, cap;
    bool too_long;
};

static void append(void *ctx, const void *data, size_t len)
{
    struct bytes *b = ctx;
    if (len > b->cap - b->len) {
        b->too_long = true;
        return;
    }
    memcpy(b->at + b->len, data, len);
    b->len += len;
}

/* Copies the decoded key into storage (cap bytes). */
static bool keep_key(br_x509_pkey *out, const br_x509_pkey *key, unsigned char *storage, size_t cap)
{
    *out = *key;
    if (key->key_type == BR_KEYTYPE_EC) {
        if (key->key.ec.qlen > cap) return false;
        memcpy(storage, key->key.ec.q, key->key.ec.qlen);
        out->key.ec.q = storage;
        return true;
    }
    const br_rsa_public_key *rsa = &key->key.rsa;
    if (key->key_type != BR_KEYTYPE_RSA || rsa->nlen > cap || rsa->elen > cap - rsa->nlen) return false;
    memcpy(storage, rsa->n, rsa->nlen);
    memcpy(storage + rsa->nlen, rsa->e, rsa->elen);
    out->key.rsa.n = storage;
    out->key.rsa.e = storage + rsa->nlen;
    return true;
}

/* One certificate of the file, being read. */
struct anchor_reader {
    struct molt_posix_anchors *anchors;
    br_x509_decoder_context decoder;
    struct bytes dn;
    bool in_certificate;
};

static void push_der(void *ctx, const void *data, size_t len)
{
    struct anchor_reader *reader = ctx;
    br_x509_decoder_push(&reader->decoder, data, len);
}

static int anchor_begin(struct anchor_reader *reader, br_pem_decoder_context *pem)
{
    const char *name = br_pem_decoder_name(pem);
    reader->in_certificate = strcmp(name, "CERTIFICATE") == 0 || strcmp(name, "X509 CERTIFICATE") == 0;
    if (!reader->in_certificate) {
        br_pem_decoder_setdest(pem, NULL, NULL);
        return 0;
    }
    size_t i = reader->anchors->count;
    if (i == MOLT_POSIX_ANCHORS) return -MOLT_TLS;
    reader->dn = (struct bytes){.at = reader->anchors->dn[i], .cap = MOLT_POSIX_DN_MAX};
    br_x509_decoder_init(&reader->decoder, append, &reader->dn);
    br_pem_decoder_setdest(pem, push_der, reader);
    return 0;
}

static int anchor_end(struct anchor_reader *reader)
{
    if (!reader->in_certificate) return 0;
    size_t i = reader->anchors->count;
    const br_x509_pkey *key = br_x509_decoder_get_pkey(&reader->decoder);
    br_x509_trust_anchor *anchor = &reader->anchors->list[i];
    if (key == NULL || reader->dn.too_long) return -MOLT_TLS;
    if (!keep_key(&anchor->pkey, key, reader->anchors->key[i], MOLT_POSIX_KEY_MAX)) return -MOLT_TLS;
    anchor->dn.data = reader->anchors->dn[i];
    anchor->dn.len = reader->dn.len;
    anchor->flags = br_x509_decoder_isCA(&reader->decoder) ? BR_X509_TA_CA : 0;
    reader->anchors->count++;
    return 0;
}

/* Hands text to the PEM decoder; returns 0 or -MOLT_TLS. */
static int read_pem(struct anchor_reader *reader, br_pem_decoder_context *pem, const char *text, size_t len)
{
    while (len > 0) {
        size_t taken = br_pem_decoder_push(pem, text, len);
        text += taken;
        len -= taken;
        int rc = 0;
        switch (br_pem_decoder_event(pem)) {
        case BR_PEM_BEGIN_OBJ:
            rc = anchor_begin(reader, pem);
            break;
        case BR_PEM_END_OBJ:
            rc = anchor_end(reader);
            break;
        case BR_PEM_ERROR:
            rc = -MOLT_TLS;
            break;
        default:
            break;
        }
        if (rc < 0) return rc;
    }
    return 0;
}

int molt_posix_anchors_load(struct molt_posix_anchors *anchors, const char *pem_path)
{
    struct anchor_reader reader = {.anchors = anchors};
    br_pem_decoder_context pem;
    char text[1024];
    size_t len;
    int rc = 0;
    anchors->count = 0;
    FILE *file = fopen(pem_path, "rb");
    if (file == NULL) return -MOLT_NOT_FOUND;
    br_pem_decoder_init(&pem);
    while (rc == 0 && (len = fread(text, 1, sizeof text, file)) > 0)
        rc = read_pem(&reader, &pem, text, len);
    if (rc == 0) rc = read_pem(&reader, &pem, "\n", 1); /* a last line without its end */
    if (ferror(file)) rc = -MOLT_NOT_FOUND;
    fclose(file);
    if (rc == 0 && anchors->count == 0) rc = -MOLT_TLS;
    return rc;
}

/* ---- taking any certificate: BearSSL wants a validator, so this one only reads the server's key ---- */

static struct molt_posix_any *any_of(const br_x509_class **ctx)
{
    return (struct molt_posix_any *)(void *)ctx; /* vtable is its first member */
}

static void any_start_chain(const br_x509_class **ctx, const char *server_name)
{
    (void)server_name;
    any_of(ctx)->is_first = true;
}

static void any_start_cert(const br_x509_class **ctx, uint32_t length)
{
    (void)length;
    if (any_of(ctx)->is_first) br_x509_decoder_init(&any_of(ctx)->decoder, NULL, NULL);
}

static void any_append(const br_x509_class **ctx, const unsigned char *data, size_t len)
{
    if (any_of(ctx)->is_first) br_x509_decoder_push(&any_of(ctx)->decoder, data, len);
}

static void any_end_cert(const br_x509_class **ctx)
{
    any_of(ctx)->is_first = false;
}

static unsigned any_end_chain(const br_x509_class **ctx)
{
    return br_x509_decoder_get_pkey(&any_of(ctx)->decoder) != NULL ? 0 : BR_ERR_X509_BAD_SERVER_NAME;
}

static const br_x509_pkey *any_get_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
    struct molt_posix_any *any = any_of((const br_x509_class **)(uintptr_t)ctx);
    if (usages != NULL) *usages = BR_KEYTYPE_KEYX | BR_KEYTYPE_SIGN;
    return br_x509_decoder_get_pkey(&any->decoder);
}

static const br_x509_class any_class = {
    sizeof(struct molt_posix_any),
    any_start_chain,
    any_start_cert,
    any_append,
    any_end_cert,
    any_end_chain,
    any_get_pkey,
};

/* ---- TLS ---- */

/* Runs the engine until one of the wanted states. Returns 0, IO_CLOSED or IO_LATE. */
static int tls_run(struct molt_posix *net, unsigned target, uint64_t until_ms)
{
    br_ssl_engine_context *eng = &net->client.eng;
    for (;;) {
        unsigned state = br_ssl_engine_current_state(eng);
        size_t len;
        if ((state & BR_SSL_CLOSED) != 0) {
            net->tls_err = br_ssl_engine_last_error(eng);
            return IO_CLOSED;
        }
        if ((state & BR_SSL_SENDREC) != 0) { /* first, so that what we say is not stuck behind what we read */
            unsigned char *out = br_ssl_engine_sendrec_buf(eng, &len);
            ssize_t n = tcp_send(net, out, len, until_ms);
            if (n < 0) return (int)n;
            br_ssl_engine_sendrec_ack(eng, (size_t)n);
            continue;
        }
        if ((state & target) != 0) return 0;
        if ((state & BR_SSL_RECVREC) == 0) return IO_CLOSED;
        unsigned char *in = br_ssl_engine_recvrec_buf(eng, &len);
        ssize_t n = tcp_receive(net, in, len, until_ms);
        if (n < 0) return (int)n;
        br_ssl_engine_recvrec_ack(eng, (size_t)n);
    }
}

static int tls_begin(struct molt_posix *net, const struct molt_want *want)
{
    const struct molt_posix_anchors *anchors = net->anchors;
    br_ssl_client_init_full(&net->client, &net->x509, anchors != NULL ? anchors->list : NULL,
                            anchors != NULL ? anchors->count : 0);
    time_t now = time(NULL);
    br_x509_minimal_set_time(&net->x509, (uint32_t)(now / 86400) + DAYS_BEFORE_1970, (uint32_t)(now % 86400));
    if (anchors == NULL) {
        net->any.vtable = &any_class;
        br_ssl_engine_set_x509(&net->client.eng, &net->any.vtable);
    }
    br_ssl_engine_set_buffers_bidi(&net->client.eng, net->tls_in, sizeof net->tls_in, net->tls_out,
                                   sizeof net->tls_out);
    net->tls_err = 0;
    if (!br_ssl_client_reset(&net->client, want->host, 0)) {
        net->tls_err = br_ssl_engine_last_error(&net->client.eng);
        return MOLT_TLS;
    }
    int rc = tls_run(net, BR_SSL_SENDAPP, want->until_ms);
    if (rc == 0) return 0;
    return rc == IO_LATE ? MOLT_TIMEOUT : molt_bearssl_reason(net->tls_err, false);
}

static ssize_t tls_send(struct molt_posix *net, const void *data, size_t len, uint64_t until_ms)
{
    br_ssl_engine_context *eng = &net->client.eng;
    int rc = tls_run(net, BR_SSL_SENDAPP, until_ms);
    if (rc < 0) return rc;
    size_t room;
    unsigned char *out = br_ssl_engine_sendapp_buf(eng, &room);
    if (len > room) len = room;
    memcpy(out, data, len);
    br_ssl_engine_sendapp_ack(eng, len);
    br_ssl_engine_flush(eng, 0);
    rc = tls_run(net, BR_SSL_SENDAPP | BR_SSL_RECVAPP, until_ms);
    return rc < 0 ? rc : (ssize_t)len;
}

static ssize_t tls_receive(struct molt_posix *net, void *data, size_t cap, uint64_t until_ms)
{
    br_ssl_engine_context *eng = &net->client.eng;
    int rc = tls_run(net, BR_SSL_RECVAPP, until_ms);
    if (rc < 0) return rc;
    size_t len;
    const unsigned char *in = br_ssl_engine_recvapp_buf(eng, &len);
    if (len > cap) len = cap;
    memcpy(data, in, len);
    br_ssl_engine_recvapp_ack(eng, len);
    return (ssize_t)len;
}

/* The peer said that this is the end; a bare end of the TCP stream may be someone cutting an answer short. */
static bool tls_ended(const struct molt_posix *net)
{
    const br_ssl_engine_context *eng = &net->client.eng;
    return br_ssl_engine_current_state(eng) == BR_SSL_CLOSED && br_ssl_engine_last_error(eng) == BR_ERR_OK;
}

/* ---- what the agent wants ---- */

static void do_connect(struct molt_posix *net, struct molt_agent *agent, const struct molt_want *want)
{
    close_fd(net);
    int reason = connect_tcp(net, want);
    net->tls = want->tls;
    if (reason == 0 && want->tls) reason = tls_begin(net, want);
    if (reason == 0) {
        molt_agent_connected(agent);
        return;
    }
    close_fd(net);
    molt_agent_failed(agent, reason);
}

static void do_send(struct molt_posix *net, struct molt_agent *agent, const struct molt_want *want)
{
    ssize_t n = net->tls ? tls_send(net, want->data, want->len, want->until_ms)
                         : tcp_send(net, want->data, want->len, want->until_ms);
    if (n > 0) {
        molt_agent_sent(agent, (size_t)n);
    } else {
        molt_agent_failed(agent, n == IO_LATE ? MOLT_TIMEOUT : MOLT_CONNECTION_LOST);
    }
}

static void do_receive(struct molt_posix *net, struct molt_agent *agent, const struct molt_want *want)
{
    ssize_t n = net->tls ? tls_receive(net, net->data, sizeof net->data, want->until_ms)
                         : tcp_receive(net, net->data, sizeof net->data, want->until_ms);
    if (n > 0) {
        molt_agent_received(agent, net->data, (size_t)n);
    } else if (n == IO_LATE) {
        molt_agent_failed(agent, MOLT_TIMEOUT);
    } else if (net->tls && !tls_ended(net)) {
        molt_agent_failed(agent, MOLT_CONNECTION_LOST);
    } else {
        molt_agent_closed(agent);
    }
}

void molt_posix_step(struct molt_posix *net, struct molt_agent *agent, struct molt_want *want)
{
    molt_agent_step(agent, molt_posix_now_ms(net), want);
    switch (want->kind) {
    case MOLT_WANT_CONNECT:
        do_connect(net, agent, want);
        break;
    case MOLT_WANT_SEND:
        do_send(net, agent, want);
        break;
    case MOLT_WANT_RECEIVE:
        do_receive(net, agent, want);
        break;
    case MOLT_WANT_CLOSE:
        close_fd(net);
        break;
    case MOLT_WANT_STEP:
    case MOLT_WANT_WAIT:
    case MOLT_WANT_RESTART:
        break;
    }
}

void molt_posix_run(struct molt_posix *net, struct molt_agent *agent)
{
    struct molt_want want;
    for (;;) {
        molt_posix_step(net, agent, &want);
        if (want.kind == MOLT_WANT_RESTART) return;
        uint64_t now_ms = molt_posix_now_ms(net);
        if (want.kind != MOLT_WANT_WAIT || want.until_ms <= now_ms) continue;
        uint64_t left_ms = want.until_ms - now_ms;
        const struct timespec pause = {(time_t)(left_ms / 1000), (long)(left_ms % 1000) * 1000000};
        nanosleep(&pause, NULL);
    }
}

#else
typedef int molt_posix_not_built_here;
#endif
