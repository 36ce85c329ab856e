/* http_tls_test.c - TLS as small devices need it: resumption on any thread, fragment lengths, whole first records.
 * Must never pass because a feature was not negotiated: every test checks what was agreed. */
#include "cmocka_all.h"
#include "e2e/http_fixture.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

static struct fixture f;
static const struct fixture *at = &f; /* whom open_link() calls */

static int start(void **state)
{
    (void)state;
    struct http_options o = {.threads = 4};
    fixture_start(&f, &o, "https://127.0.0.1:0", 4000000);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fixture_stop(&f, 1000);
    return 0;
}

static SSL_CTX *client(int version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(ctx);
    SSL_CTX_set_min_proto_version(ctx, version);
    SSL_CTX_set_max_proto_version(ctx, version);
    return ctx;
}

struct link {
    int fd;
    SSL *ssl;
};

static bool try_link(struct link *l, SSL_CTX *ctx, SSL_SESSION *session, int mfln)
{
    struct timeval patience = {120, 0};
    l->fd = raw_connect(at->port);
    setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    l->ssl = SSL_new(ctx);
    assert_non_null(l->ssl);
    SSL_set_fd(l->ssl, l->fd);
    if (session) SSL_set_session(l->ssl, session);
    if (mfln) assert_int_equal(SSL_set_tlsext_max_fragment_length(l->ssl, (uint8_t)mfln), 1);
    bool ok = SSL_connect(l->ssl) == 1;
    ERR_clear_error();
    return ok;
}

static void open_link(struct link *l, SSL_CTX *ctx, SSL_SESSION *session, int mfln)
{
    assert_true(try_link(l, ctx, session, mfln));
}

static void close_link(struct link *l)
{
    SSL_free(l->ssl);
    close(l->fd);
}

static void say(struct link *l, const char *text)
{
    assert_int_equal(SSL_write(l->ssl, text, (int)strlen(text)), (int)strlen(text));
}

struct records {
    char *bytes;
    size_t len, head_len, count;
    size_t ends[20000]; /* where each record ends */
};

/* Reads one answer; SSL_read() gives at most one record at a time. */
static void read_records(struct link *l, struct records *r)
{
    size_t want = SIZE_MAX;
    memset(r, 0, sizeof *r);
    r->bytes = malloc(ANSWER_CAP);
    assert_non_null(r->bytes);
    while (r->len < want) {
        int n = SSL_read(l->ssl, r->bytes + r->len, 16384);
        assert_true(n > 0 && r->count < 20000);
        r->len += (size_t)n;
        r->ends[r->count++] = r->len;
        r->bytes[r->len] = 0;
        const char *end = r->head_len ? NULL : strstr(r->bytes, "\r\n\r\n");
        if (!end) continue;
        r->head_len = (size_t)(end + 4 - r->bytes);
        const char *length = strstr(r->bytes, "Content-Length: ");
        assert_true(length && length < end);
        want = r->head_len + strtoull(length + 16, NULL, 10);
    }
    assert_int_equal(r->len, want);
}

static void check_records(const struct records *r, size_t fragment)
{
    size_t from = 0;
    for (size_t i = 0; i < r->count; i++) {
        assert_true(r->ends[i] - from <= fragment);
        if (r->ends[i] >= r->head_len) { /* the record that ends the head */
            size_t body = r->len - r->head_len;
            assert_true(r->ends[i] - r->head_len >= (body < 16 ? body : 16));
            return;
        }
        from = r->ends[i];
    }
    fail_msg("no head");
}

static void check_largest(const struct records *r, size_t fragment)
{
    size_t from = 0;
    for (size_t i = 0; i < r->count; i++) {
        assert_true(r->ends[i] - from <= fragment);
        from = r->ends[i];
    }
}

static void test_every_head_length_leaves_body_bytes_in_its_last_record(void **state)
{
    (void)state;
    static const size_t fragments[] = {512, 1024, 2048, 4096};
    static struct records r;
    SSL_CTX *ctx = client(TLS1_2_VERSION);
    for (int mode = 1; mode <= 4; mode++) {
        size_t fragment = fragments[mode - 1], seen = 0;
        static bool lengths[4096];
        struct link l;
        memset(lengths, 0, sizeof lengths);
        open_link(&l, ctx, NULL, mode);
        for (size_t fill = 1; fill <= fragment; fill += fragment > 1024 && fill % 64 > 40 ? 7 : 1) {
            char text[64];
            snprintf(text, sizeof text, "GET /filled?%zu HTTP/1.1\r\nHost: h\r\n\r\n", fill);
            say(&l, text);
            read_records(&l, &r);
            check_records(&r, fragment);
            const char *padding = strstr(r.bytes, "X-Padding: ");
            size_t own = r.head_len - (padding && padding < r.bytes + r.head_len ? 32 : 0);
            if (!lengths[own % fragment]) seen++;
            lengths[own % fragment] = true;
            free(r.bytes);
        }
        assert_true(fragment > 1024 || seen == fragment); /* all of them were tried */
        close_link(&l);
    }
    SSL_CTX_free(ctx);
}

static void test_records_never_exceed_what_was_granted(void **state)
{
    (void)state;
    static struct records r;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (int v = 0; v < 2; v++) {
        SSL_CTX *ctx = client(versions[v]);
        for (int mode = 0; mode <= 4; mode++) {
            struct link l;
            open_link(&l, ctx, NULL, mode);
            SSL_SESSION *session = SSL_get_session(l.ssl);
            assert_int_equal(SSL_SESSION_get_max_fragment_length(session), mode);
            say(&l, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
            read_records(&l, &r);
            check_largest(&r, mode ? (size_t)256 << mode : 16384);
            for (size_t i = 0; !mode && i < r.count && r.ends[i] <= 65536;
                 i++) /* small at first, for small buffers */
                assert_true(r.ends[i] - (i > 0 ? r.ends[i - 1] : 0) <= 4096);
            if (!mode)
                assert_int_equal(r.ends[r.count / 2] - r.ends[r.count / 2 - 1], 16384); /* and then full */
            for (size_t i = 0; i < FILE_LEN; i++)
                if ((unsigned char)r.bytes[r.head_len + i] != file_byte(i)) fail_msg("byte %zu differs", i);
            free(r.bytes);
            close_link(&l);
        }
        SSL_CTX_free(ctx);
    }
}

static void test_bodies_and_pipelined_requests_pass_through_tls(void **state)
{
    (void)state;
    enum { LEN = 300000 };
    static struct records r;
    static char body[LEN];
    SSL_CTX *ctx = client(TLS1_2_VERSION);
    struct link l;
    for (size_t i = 0; i < LEN; i++)
        body[i] = (char)file_byte(i);
    open_link(&l, ctx, NULL, 1);
    say(&l, "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n");
    assert_int_equal(SSL_write(l.ssl, body, LEN), LEN);
    say(&l, "GET /one HTTP/1.1\r\nHost: h\r\n\r\nHEAD /file HTTP/1.1\r\nHost: h\r\n\r\n");
    read_records(&l, &r);
    assert_int_equal(r.len - r.head_len, LEN);
    assert_memory_equal(r.bytes + r.head_len, body, LEN);
    free(r.bytes);
    read_records(&l, &r);
    assert_string_equal(r.bytes + r.head_len, "0|/one||127.0.0.1|1|0|");
    free(r.bytes);
    char head[4096];
    int n = SSL_read(l.ssl, head, sizeof head - 1);
    assert_true(n > 0);
    head[n] = 0;
    assert_non_null(strstr(head, "Content-Length: 1500007\r\n"));
    close_link(&l);
    SSL_CTX_free(ctx);
}

/* 40 connections over 4 threads that resume one session: chance would need one thread for all of them. */
static void resume_everywhere(int version, bool tickets)
{
    static struct records r;
    SSL_CTX *ctx = client(version);
    struct link l;
    if (!tickets) SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    open_link(&l, ctx, NULL, 1);
    say(&l, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    read_records(&l, &r);
    free(r.bytes);
    SSL_SESSION *session = SSL_get1_session(l.ssl);
    assert_int_equal(SSL_session_reused(l.ssl), 0);
    if (version == TLS1_2_VERSION) assert_int_equal(SSL_SESSION_has_ticket(session), tickets);
    SSL_shutdown(l.ssl);
    close_link(&l);
    for (int i = 0; i < 40; i++) {
        open_link(&l, ctx, session, 1);
        assert_int_equal(SSL_session_reused(l.ssl), 1);
        say(&l, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        read_records(&l, &r);
        check_records(&r, 512);
        free(r.bytes);
        if (version == TLS1_3_VERSION) { /* tickets of TLS 1.3 are for one use */
            SSL_SESSION_free(session);
            session = SSL_get1_session(l.ssl);
        }
        if (i % 3 == 0) {
            SSL_shutdown(l.ssl);
            close_link(&l);
        } else { /* devices lose power and never say good-bye: the session must survive that */
            SSL_set_quiet_shutdown(l.ssl, 1);
            SSL_shutdown(l.ssl);
            SSL_free(l.ssl);
            raw_reset(l.fd);
        }
    }
    SSL_SESSION_free(session);
    SSL_CTX_free(ctx);
}

static void test_sessions_resume_by_id_on_every_thread(void **state)
{
    (void)state;
    resume_everywhere(TLS1_2_VERSION, false);
}

static void test_sessions_resume_by_ticket_on_every_thread(void **state)
{
    (void)state;
    resume_everywhere(TLS1_2_VERSION, true);
    resume_everywhere(TLS1_3_VERSION, true);
}

static void test_ciphers_that_small_clients_have_are_accepted(void **state)
{
    (void)state;
    static const char *const ciphers[] = {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305",
                                          "ECDHE-ECDSA-AES128-SHA256"};
    for (size_t i = 0; i < 3; i++) {
        SSL_CTX *ctx = client(TLS1_2_VERSION);
        struct link l;
        SSL_CTX_set_cipher_list(ctx, ciphers[i]);
        open_link(&l, ctx, NULL, 0);
        assert_string_equal(SSL_get_cipher(l.ssl), ciphers[i]);
        close_link(&l);
        SSL_CTX_free(ctx);
    }
}

static void test_old_versions_and_weak_ciphers_are_refused(void **state)
{
    (void)state;
    struct link l;
    SSL_CTX *ctx = client(TLS1_1_VERSION);
    SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0");
    assert_false(try_link(&l, ctx, NULL, 0));
    close_link(&l);
    SSL_CTX_free(ctx);
    ctx = client(TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(ctx, "eNULL:aNULL:@SECLEVEL=0");
    assert_false(try_link(&l, ctx, NULL, 0));
    close_link(&l);
    SSL_CTX_free(ctx);
}

static void test_renegotiation_is_refused(void **state)
{
    (void)state;
    static char rest[1000];
    SSL_CTX *ctx = client(TLS1_2_VERSION);
    struct link l;
    open_link(&l, ctx, NULL, 0);
    SSL_renegotiate(l.ssl);
    SSL_do_handshake(l.ssl); /* sends the ClientHello */
    assert_true(SSL_read(l.ssl, rest, sizeof rest) <= 0);
    close_link(&l);
    SSL_CTX_free(ctx);
    fixture_wait_open(&f, 0);
}

static void test_garbage_and_half_handshakes_are_cut(void **state)
{
    (void)state;
    static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    char out[1000];
    int fd = raw_connect(f.port);
    raw_say(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    raw_read_all(fd, out, sizeof out);
    close(fd);
    fd = raw_connect(f.port);
    raw_send(fd, hello, sizeof hello - 1);
    raw_reset(fd);
    fixture_wait_open(&f, 0);
    struct fixture g;
    struct http_options o = {.head_timeout_ms = 300};
    fixture_start(&g, &o, "https://127.0.0.1:0", 1000);
    fd = raw_connect(g.port);
    raw_send(fd, hello, sizeof hello - 1);
    assert_true(raw_closed(fd, true));
    close(fd);
    fixture_stop(&g, 1000);
}

static void test_a_reader_that_stalls_over_tls_is_dropped(void **state)
{
    (void)state;
    struct fixture g;
    struct http_options o = {.send_timeout_ms = 300};
    fixture_start(&g, &o, "https://127.0.0.1:0", 1000);
    at = &g;
    SSL_CTX *ctx = client(TLS1_2_VERSION);
    struct link l;
    open_link(&l, ctx, NULL, 0);
    char requests[512] = ""; /* in one write: by the next one it may have been dropped */
    for (int i = 0; i < 8; i++)
        strcat(requests, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
    say(&l, requests);
    fixture_wait(&g.done_cut, 1);
    assert_true(g.sent < FILE_LEN);
    close_link(&l);
    SSL_CTX_free(ctx);
    fixture_wait_open(&g, 0);
    fixture_stop(&g, 1000);
    at = &f;
}

static void check_key_type(int type)
{
    SSL_CTX *ctx = client(TLS1_2_VERSION);
    struct link l;
    open_link(&l, ctx, NULL, 0);
    X509 *cert = SSL_get1_peer_certificate(l.ssl);
    assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(cert)), type);
    X509_free(cert);
    close_link(&l);
    SSL_CTX_free(ctx);
}

static void test_a_new_certificate_is_read_and_a_bad_one_is_not(void **state)
{
    (void)state;
    char err[256] = "", path[128];
    check_key_type(EVP_PKEY_EC);
    fixture_make_cert(f.dir, "rsa");
    check_key_type(EVP_PKEY_EC); /* not before it is told */
    assert_int_equal(http_server_reload_tls(f.server, err, sizeof err), 0);
    check_key_type(EVP_PKEY_RSA);
    snprintf(path, sizeof path, "%s/cert.pem", f.dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("not a certificate\n", file);
    fclose(file);
    assert_int_equal(http_server_reload_tls(f.server, err, sizeof err), -1);
    assert_non_null(strstr(err, "cert.pem"));
    check_key_type(EVP_PKEY_RSA);
}

static void test_curl_agrees(void **state)
{
    (void)state;
    char command[1024];
    snprintf(
        command, sizeof command,
        "curl -sfk --max-time 300 https://127.0.0.1:%u/file | cmp - %s/file.bin && "
        "curl -sfk --max-time 300 --tls-max 1.2 -T %s/file.bin https://127.0.0.1:%u/echo | cmp - %s/file.bin",
        (unsigned)f.port, f.dir, f.dir, (unsigned)f.port, f.dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_head_length_leaves_body_bytes_in_its_last_record),
        cmocka_unit_test(test_records_never_exceed_what_was_granted),
        cmocka_unit_test(test_bodies_and_pipelined_requests_pass_through_tls),
        cmocka_unit_test(test_sessions_resume_by_id_on_every_thread),
        cmocka_unit_test(test_sessions_resume_by_ticket_on_every_thread),
        cmocka_unit_test(test_ciphers_that_small_clients_have_are_accepted),
        cmocka_unit_test(test_old_versions_and_weak_ciphers_are_refused),
        cmocka_unit_test(test_renegotiation_is_refused),
        cmocka_unit_test(test_garbage_and_half_handshakes_are_cut),
        cmocka_unit_test(test_a_reader_that_stalls_over_tls_is_dropped),
        cmocka_unit_test(test_curl_agrees),
        cmocka_unit_test(test_a_new_certificate_is_read_and_a_bad_one_is_not),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
