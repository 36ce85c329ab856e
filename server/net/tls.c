/* tls.c - TLS as a filter between buffers: OpenSSL never sees the socket, so one read and one write carry many
 * records. One SSL_CTX serves all loops: a session begun on one thread resumes on another.
 * Must never block, nor let a peer that does not read grow the output. Tests: test/e2e/http_tls_test.c. */
#include "server/net/net.h"
#include "server/net/revoked.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

enum {
    SESSIONS_MAX = 32768,
    SESSION_SECONDS = 86400, /* devices come back hours later */
    FIRST_FRAGMENT = 4096,   /* for clients that did not ask: small buffers are common */
    SMALL_BYTES = 65536,     /* of a response that leave in such records */
    OUT_MAX = 131072,        /* encrypted bytes that wait for the socket */
    TURN_MAX = 1 << 20
};

struct net_tls_ctx {
    pthread_mutex_t lock; /* guards the pointer */
    SSL_CTX *ssl;
    char *cert_path, *key_path, *ca_path, *crl_path;
};

struct net_tls {
    SSL *ssl;
    const char *rx; /* came from the socket, only during net_tls_input() */
    size_t rx_len;
    char *out; /* encrypted, on its way to the socket; NULL while there is nothing */
    size_t out_off, out_len, out_cap;
    uint64_t batch_body; /* body bytes in out */
    uint64_t responded;  /* plaintext of this response so far */
};

/* ---- the filter's two ends ---- */

static int bio_read(BIO *bio, char *data, int len)
{
    struct net_tls *t = ((struct net_conn *)BIO_get_data(bio))->tls;
    BIO_clear_retry_flags(bio);
    if (t->rx_len == 0 || len <= 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = (size_t)len < t->rx_len ? (size_t)len : t->rx_len;
    memcpy(data, t->rx, n);
    t->rx += n;
    t->rx_len -= n;
    return (int)n;
}

static bool out_reserve(struct net_conn *c, size_t more)
{
    struct net_tls *t = c->tls;
    struct net_loop *loop = c->loop;
    if (!t->out && loop->spare_out) {
        t->out = loop->spare_out;
        t->out_cap = loop->spare_out_cap;
        loop->spare_out = NULL;
    }
    size_t need = t->out_len + more, cap = t->out_cap ? t->out_cap : 4096;
    if (need > OUT_MAX) return false;
    if (need <= t->out_cap) return true;
    while (cap < need)
        cap *= 2;
    char *out = realloc(t->out, cap);
    if (!out) return false;
    t->out = out;
    t->out_cap = cap;
    return true;
}

static int bio_write(BIO *bio, const char *data, int len)
{
    struct net_conn *c = BIO_get_data(bio);
    struct net_tls *t = c->tls;
    BIO_clear_retry_flags(bio);
    if (len <= 0 || !out_reserve(c, (size_t)len)) return -1;
    memcpy(t->out + t->out_len, data, (size_t)len);
    t->out_len += (size_t)len;
    return len;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *filter_method;
static pthread_once_t filter_once = PTHREAD_ONCE_INIT;

static void make_filter(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "molt");
    if (!m) return;
    BIO_meth_set_read(m, bio_read);
    BIO_meth_set_write(m, bio_write);
    BIO_meth_set_ctrl(m, bio_ctrl);
    filter_method = m;
}

/* ---- certificates ---- */

static int tls_error(const char *what, const char *path, char *err, size_t err_cap)
{
    unsigned long first = ERR_peek_error(); /* what the system said of a file; else the last word counts */
    const char *why = ERR_SYSTEM_ERROR(first) ? strerror(ERR_GET_REASON(first))
                                              : ERR_reason_error_string(ERR_peek_last_error());
    snprintf(err, err_cap, "cannot use %s %s: %s", what, path ? path : "(none)",
             why ? why : "unknown reason");
    ERR_clear_error();
    return -1;
}

static void set_policy(SSL_CTX *ctx)
{
    static const unsigned char context[] = "molt";
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES+SHA256:ECDHE+AES+SHA384");
    SSL_CTX_set_session_id_context(ctx, context, sizeof context - 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_AUTO_CLEAR);
    SSL_CTX_sess_set_cache_size(ctx, SESSIONS_MAX);
    SSL_CTX_set_timeout(ctx, SESSION_SECONDS);
    SSL_CTX_set_num_tickets(ctx, 1);
}

/* Clients may show a certificate of this authority; one that is not of it ends the handshake. */
static int ask_clients(SSL_CTX *ctx, const char *ca, char *err, size_t err_cap)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(ca);
    if (names == NULL || SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return tls_error("certificate of an authority", ca, err, err_cap);
    }
    SSL_CTX_set_client_CA_list(ctx, names); /* which owns them now */
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    return 0;
}

static SSL_CTX *load(const struct net_tls_files *files, char *err, size_t err_cap)
{
    const char *cert = files->cert, *key = files->key;
    int rc = 0;
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx) {
        tls_error("TLS for", cert, err, err_cap);
        return NULL;
    }
    set_policy(ctx);
    if (!cert || SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        rc = tls_error("certificate", cert, err, err_cap);
    else if (!key || SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
             SSL_CTX_check_private_key(ctx) != 1)
        rc = tls_error("key", key, err, err_cap);
    else if (files->ca != NULL)
        rc = ask_clients(ctx, files->ca, err, err_cap);
    if (rc == 0 && files->ca != NULL && files->crl != NULL) rc = revoked_load(ctx, files->crl, err, err_cap);
    if (rc == 0) return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

struct net_tls_ctx *net_tls_ctx_new(const struct net_tls_files *files, char *err, size_t err_cap)
{
    pthread_once(&filter_once, make_filter);
    struct net_tls_ctx *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    pthread_mutex_init(&t->lock, NULL);
    t->cert_path = files->cert ? strdup(files->cert) : NULL;
    t->key_path = files->key ? strdup(files->key) : NULL;
    t->ca_path = files->ca ? strdup(files->ca) : NULL;
    t->crl_path = files->crl ? strdup(files->crl) : NULL;
    t->ssl = load(files, err, err_cap);
    if (t->ssl && filter_method) return t;
    net_tls_ctx_free(t);
    return NULL;
}

struct net_tls_ctx *net_tls_ctx_read_again(const struct net_tls_ctx *ctx, char *err, size_t err_cap)
{
    const struct net_tls_files files = {ctx->cert_path, ctx->key_path, ctx->ca_path, ctx->crl_path};
    return net_tls_ctx_new(&files, err, err_cap);
}

/* Connections that exist keep the old certificate; sessions begun with it start anew. */
void net_tls_ctx_swap(struct net_tls_ctx *ctx, struct net_tls_ctx *fresh)
{
    pthread_mutex_lock(&ctx->lock);
    SSL_CTX *old = ctx->ssl;
    ctx->ssl = fresh->ssl;
    fresh->ssl = old;
    pthread_mutex_unlock(&ctx->lock);
    net_tls_ctx_free(fresh);
}

void net_tls_ctx_free(struct net_tls_ctx *ctx)
{
    if (!ctx) return;
    SSL_CTX_free(ctx->ssl);
    pthread_mutex_destroy(&ctx->lock);
    free(ctx->cert_path);
    free(ctx->key_path);
    free(ctx->ca_path);
    free(ctx->crl_path);
    free(ctx);
}

/* ---- connections ---- */

bool net_tls_open(struct net_conn *c)
{
    struct net_tls_ctx *ctx = c->listener->tls_ctx;
    struct net_tls *t = calloc(1, sizeof *t);
    if (!t) return false;
    pthread_mutex_lock(&ctx->lock);
    t->ssl = SSL_new(ctx->ssl); /* holds on to its context */
    pthread_mutex_unlock(&ctx->lock);
    BIO *bio = t->ssl ? BIO_new(filter_method) : NULL;
    if (!bio) {
        SSL_free(t->ssl);
        free(t);
        return false;
    }
    BIO_set_data(bio, c);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_accept_state(t->ssl);
    c->tls = t;
    return true;
}

void net_tls_close(struct net_conn *c, bool clean)
{
    struct net_tls *t = c->tls;
    ERR_clear_error();
    if (clean && SSL_is_init_finished(t->ssl)) {
        SSL_shutdown(t->ssl);
        net_tls_flush(c);
    }
    /* without this OpenSSL forgets the session, and the device pays for a full handshake next time */
    SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(t->ssl);
    free(t->out);
    free(t);
    c->tls = NULL;
}

/* Gives the buffer back when it is empty: idle connections have none. */
static void out_done(struct net_conn *c)
{
    struct net_tls *t = c->tls;
    if (c->loop->spare_out) {
        free(t->out);
    } else {
        c->loop->spare_out = t->out;
        c->loop->spare_out_cap = t->out_cap;
    }
    t->out = NULL;
    t->out_off = t->out_len = t->out_cap = 0;
}

enum net_io net_tls_flush(struct net_conn *c)
{
    struct net_tls *t = c->tls;
    if (!t->out) return NET_IO_DONE;
    while (t->out_off < t->out_len) {
        ssize_t n = send(c->fd, t->out + t->out_off, t->out_len - t->out_off, MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN || errno == EINTR ? NET_IO_AGAIN : NET_IO_FAILED;
        t->out_off += (size_t)n;
        net_count(&c->loop->counters.bytes_sent, (uint64_t)n);
    }
    out_done(c);
    return NET_IO_DONE;
}

/* Everything that can be decrypted goes to the exchange. */
static enum net_io read_plain(struct net_conn *c)
{
    struct net_tls *t = c->tls;
    int n;
    bool any = false;
    while ((n = SSL_read(t->ssl, c->loop->plain, NET_PLAIN_CAP)) > 0) {
        if (!net_conn_append(c, c->loop->plain, (size_t)n)) return NET_IO_FAILED;
        any = true;
    }
    int why = SSL_get_error(t->ssl, n);
    if (why == SSL_ERROR_WANT_READ) return NET_IO_DONE;
    /* an orderly end behind a request: the socket's end follows and closes the connection */
    return why == SSL_ERROR_ZERO_RETURN && any ? NET_IO_DONE : NET_IO_FAILED;
}

enum net_io net_tls_input(struct net_conn *c, const char *data, size_t len)
{
    struct net_tls *t = c->tls;
    enum net_io io = NET_IO_DONE;
    t->rx = data;
    t->rx_len = len;
    ERR_clear_error();
    if (c->state == NET_HANDSHAKE) {
        int rc = SSL_do_handshake(t->ssl);
        if (rc == 1) {
            c->state = NET_HEAD;
            net_conn_idle(c);
        } else if (SSL_get_error(t->ssl, rc) != SSL_ERROR_WANT_READ) {
            io = NET_IO_FAILED;
        }
    }
    if (io == NET_IO_DONE && c->state != NET_HANDSHAKE) io = read_plain(c);
    t->rx = NULL;
    t->rx_len = 0;
    enum net_io flushed = net_tls_flush(c); /* a failed handshake has an alert to say so */
    return flushed == NET_IO_FAILED ? flushed : io;
}

size_t net_tls_fragment(const struct net_conn *c)
{
    SSL_SESSION *session = SSL_get_session(c->tls->ssl);
    unsigned mode = session ? SSL_SESSION_get_max_fragment_length(session) : 0;
    return mode >= 1 && mode <= 4 ? (size_t)256 << mode : (size_t)FIRST_FRAGMENT;
}

/* Gathers what goes next into the loop's buffer; *body counts body bytes in it. -1: the file is too short. */
static ssize_t gather(struct net_conn *c, uint64_t *body)
{
    struct http_exchange *x = c->x;
    char *to = c->loop->plain;
    size_t n = x->out_len - x->out_off, head = 0, room = NET_PLAIN_CAP;
    if (n > room) n = room;
    if (x->out_off < x->out_head_len)
        head = x->out_head_len - x->out_off < n ? x->out_head_len - x->out_off : n;
    memcpy(to, x->out + x->out_off, n);
    x->out_off += n;
    *body = n - head;
    while (n < room && x->body_rest > 0) {
        size_t want = x->body_rest < room - n ? (size_t)x->body_rest : room - n;
        ssize_t got = (ssize_t)want;
        if (x->body) {
            memcpy(to + n, x->body, want);
            x->body += want;
        } else {
            got = pread(x->file_fd, to + n, want, (off_t)x->file_off);
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) return -1;
            x->file_off += (uint64_t)got;
        }
        n += (size_t)got;
        x->body_rest -= (uint64_t)got;
        *body += (uint64_t)got;
    }
    return (ssize_t)n;
}

static bool encrypt_next(struct net_conn *c)
{
    struct net_tls *t = c->tls;
    bool first = c->x->out_off == 0;
    ssize_t n = gather(c, &t->batch_body);
    if (n <= 0) return false;
    if (first) t->responded = 0;
    /* Without effect when the client asked for a fragment length. OpenSSL lowers the second of the two by itself, and
     * never raises it again. */
    long fragment = t->responded < SMALL_BYTES ? FIRST_FRAGMENT : SSL3_RT_MAX_PLAIN_LENGTH;
    SSL_set_max_send_fragment(t->ssl, fragment);
    SSL_set_split_send_fragment(t->ssl, fragment);
    t->responded += (uint64_t)n;
    ERR_clear_error();
    return SSL_write(t->ssl, c->loop->plain, (int)n) == n;
}

enum net_io net_tls_send(struct net_conn *c)
{
    struct net_tls *t = c->tls;
    struct http_exchange *x = c->x;
    for (size_t turn = 0;; turn += NET_PLAIN_CAP) {
        enum net_io io = net_tls_flush(c);
        if (io != NET_IO_DONE) return io;
        x->sent += t->batch_body; /* the whole batch is with the kernel */
        t->batch_body = 0;
        if (x->out_off == x->out_len && x->body_rest == 0) return NET_IO_DONE;
        if (turn >= TURN_MAX) return NET_IO_TURN;
        if (!encrypt_next(c)) return NET_IO_FAILED;
    }
}

void net_tls_say(struct net_conn *c, const char *text, size_t len)
{
    ERR_clear_error();
    SSL_write(c->tls->ssl, text, (int)len);
    net_tls_flush(c);
}

/* A connection that began before the lists were read again: it is looked up in those that hold now. */
static bool revoked_since(const struct net_conn *c, X509 *cert)
{
    struct net_tls_ctx *ctx = c->listener->tls_ctx;
    bool revoked = false;
    pthread_mutex_lock(&ctx->lock);
    SSL_CTX *now = ctx->ssl;
    if (now != SSL_get_SSL_CTX(c->tls->ssl))
        SSL_CTX_up_ref(now);
    else
        now = NULL;
    pthread_mutex_unlock(&ctx->lock);
    if (now != NULL) revoked = revoked_has(now, cert);
    SSL_CTX_free(now);
    return revoked;
}

bool http_tls_client(const struct http_exchange *x, char *out, size_t cap)
{
    const struct net_tls *t = x->conn->tls;
    out[0] = '\0';
    X509 *cert = t != NULL ? SSL_get1_peer_certificate(t->ssl) : NULL;
    if (cert == NULL) return false;
    int len = X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, out, (int)cap);
    bool ok = SSL_get_verify_result(t->ssl) == X509_V_OK && len > 0 && (size_t)len + 1 < cap &&
              strlen(out) == (size_t)len /* no NUL inside, and not cut */
              && !revoked_since(x->conn, cert);
    X509_free(cert);
    if (!ok) out[0] = '\0';
    return ok;
}
