/* posix_port_test.c - an agent through its POSIX port against a small real server: TCP, and TLS by
 * OpenSSL. */
#include "cmocka_all.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "chip_rig.h"
#include "host/image_build.h"
#include "ports/bearssl.h"
#include "ports/posix.h"

#define OVER_TLS true
#define OVER_TCP false

static uint8_t *old_image, *new_image;
static size_t old_len, new_len;

/* ---- the server: one thread, one connection at a time, files by the end of their name ---- */

static struct server {
    int fd, port;
    pthread_t thread;
    SSL_CTX *tls;       /* NULL: plain */
    const char *number; /* the version file; NULL: nothing is ever answered */
    bool no_length;     /* the version file ends with the connection */
    bool rude;          /* which is cut without TLS's own end */
    size_t cut;         /* the first .bin is cut after so many bytes */
    unsigned bins, ranges;
    int fragment; /* what TLS agreed on: enum of RFC 6066, 1: 512 bytes */
} server;

struct peer {
    int fd;
    SSL *ssl;
};

static bool peer_write(struct peer *p, const void *data, size_t len)
{
    if (p->ssl != NULL) return len == 0 || SSL_write(p->ssl, data, (int)len) == (int)len;
    const char *at = data;
    while (len > 0) {
        ssize_t n = send(p->fd, at, len, MSG_NOSIGNAL);
        if (n <= 0) return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool peer_read_head(struct peer *p, char head[2048])
{
    size_t len = 0;
    while (len < 2047) {
        ssize_t n = p->ssl != NULL ? SSL_read(p->ssl, head + len, (int)(2047 - len))
                                   : recv(p->fd, head + len, 2047 - len, 0);
        if (n <= 0) return false;
        len += (size_t)n;
        head[len] = '\0';
        if (head[0] != 'G') return false; /* not HTTP */
        if (strstr(head, "\r\n\r\n") != NULL) return true;
    }
    return false;
}

static void serve_bin(struct peer *p, const char *head)
{
    const char *range = strstr(head, "\r\nRange: bytes=");
    size_t from = range != NULL ? strtoul(range + 15, NULL, 10) : 0, len = new_len - from;
    char text[256];
    if (range != NULL) server.ranges++;
    int text_len = snprintf(
        text, sizeof text,
        "HTTP/1.1 %s\r\nContent-Length: %zu\r\nETag: \"x\"\r\nContent-Range: bytes %zu-%zu/%zu\r\n\r\n",
        range != NULL ? "206 Partial" : "200 OK", len, from, new_len - 1, new_len);
    if (server.bins++ == 0 && server.cut > 0) len = server.cut;
    if (peer_write(p, text, (size_t)text_len)) peer_write(p, new_image + from, len);
}

static void serve_version(struct peer *p)
{
    char text[256], length[64] = "";
    if (!server.no_length) snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(server.number));
    int len = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n%s\r\n%s", length, server.number);
    peer_write(p, text, (size_t)len);
}

static void serve_one(int fd)
{
    struct peer p = {.fd = fd};
    char head[2048], byte;
    if (server.tls != NULL) {
        p.ssl = SSL_new(server.tls);
        SSL_set_fd(p.ssl, fd);
        if (SSL_accept(p.ssl) != 1) {
            SSL_free(p.ssl);
            return;
        }
        server.fragment = SSL_SESSION_get_max_fragment_length(SSL_get_session(p.ssl));
    }
    if (peer_read_head(&p, head)) {
        if (server.number == NULL) {
            while (recv(fd, &byte, 1, 0) > 0) /* until the client gives up */
                ;
        } else if (strstr(head, ".bin HTTP/1.1\r\n") != NULL) {
            serve_bin(&p, head);
        } else {
            serve_version(&p);
        }
    }
    if (p.ssl != NULL && !server.rude) SSL_shutdown(p.ssl);
    SSL_free(p.ssl);
}

static void *server_run(void *arg)
{
    (void)arg;
    for (;;) {
        int fd = accept(server.fd, NULL, NULL);
        if (fd < 0) return NULL; /* the listening socket was shut down */
        serve_one(fd);
        shutdown(fd, SHUT_WR);
        char rest[512]; /* so that no unread byte turns the end into a reset */
        while (recv(fd, rest, sizeof rest, 0) > 0)
            ;
        close(fd);
    }
}

static void server_bind(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    server.fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(server.fd >= 0);
    assert_int_equal(bind(server.fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(getsockname(server.fd, (struct sockaddr *)&addr, &len), 0);
    server.port = ntohs(addr.sin_port);
}

static void server_start(SSL_CTX *tls, const char *number)
{
    memset(&server, 0, sizeof server);
    server.tls = tls;
    server.number = number;
    server_bind();
    assert_int_equal(listen(server.fd, 8), 0);
}

/* Starts to accept; what the server does is settled before. */
static void server_go(void)
{
    assert_int_equal(pthread_create(&server.thread, NULL, server_run, NULL), 0);
}

static void server_stop(void)
{
    shutdown(server.fd, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.fd);
}

/* ---- certificates ---- */

static char dir[] = "/tmp/molt-posix-XXXXXX";
static char rsa_pem[64], ec_pem[64], other_pem[64];
static SSL_CTX *rsa_tls, *ec_tls;

/* A self-signed certificate for "localhost": an SSL context, and a PEM file for the client. */
static SSL_CTX *make_tls(EVP_PKEY *key, const char *path)
{
    X509 *cert = X509_new();
    assert_non_null(key);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
    X509_add_ext(cert, san, -1);
    X509_EXTENSION_free(san);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    PEM_write_X509(file, cert);
    fclose(file);
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(tls, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(tls, key), 1);
    X509_free(cert);
    EVP_PKEY_free(key);
    return tls;
}

static int set_up(void **state)
{
    (void)state;
    struct image_build spec = {
        .chip = MOLT_CHIP_ESP32, .size = 0x6040, .seed = 1, .flash_size = 4u << 20, .flash_mode = 2};
    signal(SIGPIPE, SIG_IGN);
    if (image_build(&spec, &old_image, &old_len) != 0) return -1;
    spec.seed = 2;
    spec.size = 60000;
    if (image_build(&spec, &new_image, &new_len) != 0) return -1;
    if (mkdtemp(dir) == NULL) return -1;
    snprintf(rsa_pem, sizeof rsa_pem, "%s/rsa.pem", dir);
    snprintf(ec_pem, sizeof ec_pem, "%s/ec.pem", dir);
    snprintf(other_pem, sizeof other_pem, "%s/other.pem", dir);
    rsa_tls = make_tls(EVP_RSA_gen(2048), rsa_pem);
    ec_tls = make_tls(EVP_EC_gen("P-256"), ec_pem);
    SSL_CTX_free(make_tls(EVP_EC_gen("P-256"), other_pem));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    SSL_CTX_free(rsa_tls);
    SSL_CTX_free(ec_tls);
    unlink(rsa_pem);
    unlink(ec_pem);
    unlink(other_pem);
    rmdir(dir);
    free(old_image);
    free(new_image);
    return 0;
}

/* ---- the device ---- */

static struct device {
    struct rig chip;
    struct molt_agent agent;
    struct molt_agent_config config;
    struct molt_posix net;
    struct molt_posix_anchors anchors;
    int reason; /* the last one reported */
    char url[128];
} device;

static void report(void *ctx, int reason)
{
    ((struct device *)ctx)->reason = reason;
}

static void device_open(bool tls, const char *host, const char *pem)
{
    rig_open(&device.chip, sim_layout_find("esp32-4M"), MOLT_CHIP_ESP32, 4);
    rig_factory(&device.chip, old_image, old_len);
    snprintf(device.url, sizeof device.url, "%s://%s:%d/", tls ? "https" : "http", host, server.port);
    device.config = (struct molt_agent_config){
        .slots = device.chip.slots,
        .hash = &molt_bearssl_sha256,
        .source = MOLT_SOURCE_VERSION_FILE,
        .url = device.url,
        .expect = {.chip = MOLT_CHIP_ESP32, .chip_revision = MOLT_REVISION_UNKNOWN},
        .version_code = 1,
        .ctx = &device,
        .report = report};
    assert_int_equal(molt_agent_begin(&device.agent, &device.config), 0);
    if (pem != NULL) assert_int_equal(molt_posix_anchors_load(&device.anchors, pem), 0);
    molt_posix_begin(&device.net, pem != NULL ? &device.anchors : NULL);
    device.reason = 0;
}

static void device_close(void)
{
    molt_posix_end(&device.net);
    rig_close(&device.chip);
}

/* One check: until something is reported, without sleeping. Returns the reason. */
static int check(void)
{
    struct molt_want want;
    device.reason = 0;
    while (device.reason == 0) {
        molt_posix_step(&device.net, &device.agent, &want);
        uint64_t now_ms = molt_posix_now_ms(&device.net);
        if (want.kind == MOLT_WANT_WAIT && want.until_ms > now_ms)
            device.net.skipped_ms += want.until_ms - now_ms;
    }
    return device.reason;
}

static void expect_new_image(void)
{
    rig_reset(&device.chip);
    assert_true(rig_runs(&device.chip, new_image, new_len));
}

static void an_update_over_tcp_ends_in_a_restart(void **state)
{
    (void)state;
    server_start(NULL, "2\n");
    server_go();
    device_open(OVER_TCP, "127.0.0.1", NULL);
    molt_posix_run(&device.net, &device.agent);
    assert_int_equal(device.reason, MOLT_OFFERED);
    expect_new_image();
    device_close();
    server_stop();
}

static void a_cut_download_goes_on_where_it_ended(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        server_start(tls ? ec_tls : NULL, "2");
        server.cut = 20000;
        server_go();
        device_open(tls != 0, "localhost", NULL);
        assert_int_equal(check(), MOLT_OFFERED);
        assert_int_equal(device.agent.received, new_len);
        expect_new_image();
        device_close();
        server_stop();
        assert_int_equal(server.bins, 2);
        assert_int_equal(server.ranges, 1);
    }
}

static void tls_with_any_certificate_asks_for_small_fragments(void **state)
{
    (void)state;
    SSL_CTX *contexts[] = {rsa_tls, ec_tls};
    for (int i = 0; i < 2; i++) {
        server_start(contexts[i], "2");
        server_go();
        device_open(OVER_TLS, "127.0.0.1", NULL);
        assert_int_equal(check(), MOLT_OFFERED);
        expect_new_image();
        device_close();
        server_stop();
        assert_int_equal(server.fragment, TLSEXT_max_fragment_length_512);
    }
}

static void tls_with_the_right_certificate_and_name_is_taken(void **state)
{
    (void)state;
    server_start(rsa_tls, "1");
    server_go();
    device_open(OVER_TLS, "localhost", rsa_pem);
    assert_int_equal(check(), MOLT_UP_TO_DATE);
    assert_int_equal(device.net.tls_err, 0);
    device_close();
    server_stop();
    server_start(ec_tls, "1");
    server_go();
    device_open(OVER_TLS, "localhost", ec_pem);
    assert_int_equal(check(), MOLT_UP_TO_DATE);
    device_close();
    server_stop();
}

static void tls_with_another_certificate_or_name_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *host, *pem;
        int reason, err;
    } rows[] = {{"localhost", other_pem, MOLT_TLS_TRUST, BR_ERR_X509_NOT_TRUSTED},
                {"127.0.0.1", ec_pem, MOLT_TLS_NAME, BR_ERR_X509_BAD_SERVER_NAME}};
    for (size_t i = 0; i < 2; i++) {
        server_start(ec_tls, "2");
        server_go();
        device_open(OVER_TLS, rows[i].host, rows[i].pem);
        assert_int_equal(check(), rows[i].reason);
        assert_int_equal(device.net.tls_err, rows[i].err);
        device_close();
        server_stop();
        assert_int_equal(server.bins, 0);
    }
}

static void tls_that_was_cut_short_is_no_complete_answer(void **state)
{
    (void)state;
    for (int rude = 0; rude < 2; rude++) {
        server_start(ec_tls, "1");
        server.no_length = true;
        server.rude = rude != 0;
        server_go();
        device_open(OVER_TLS, "localhost", ec_pem);
        assert_int_equal(check(), rude ? MOLT_CONNECTION_LOST : MOLT_UP_TO_DATE);
        device_close();
        server_stop();
    }
}

static void a_server_that_cannot_be_reached_is_reported(void **state)
{
    (void)state;
    server_start(NULL, "2");
    close(server.fd);
    server_bind(); /* and never listens: the port refuses, and is nobody else's */
    device_open(OVER_TCP, "127.0.0.1", NULL);
    assert_int_equal(check(), MOLT_CONNECT);
    device_close();
    /* a label of more than 63 characters never leaves the resolver */
    device_open(OVER_TCP, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test",
                NULL);
    assert_int_equal(check(), MOLT_DNS);
    device_close();
    close(server.fd);
}

static void plain_and_tls_mixed_up_are_reported(void **state)
{
    (void)state;
    server_start(NULL, "2");
    server_go();
    device_open(OVER_TLS, "127.0.0.1", NULL);
    int reason = check();
    assert_true(reason == MOLT_TLS || reason == MOLT_TIMEOUT);
    device_close();
    server_stop();
    server_start(ec_tls, "2");
    server_go();
    device_open(OVER_TCP, "127.0.0.1", NULL);
    reason = check();
    assert_true(reason == MOLT_CONNECTION_LOST || reason == MOLT_HTTP_MALFORMED);
    device_close();
    server_stop();
}

static void jump_ahead(int signal_number)
{
    (void)signal_number;
    device.net.skipped_ms += 30000; /* the wait is interrupted and looks at the clock again */
}

static void a_silent_server_is_given_up_by_the_clock(void **state)
{
    (void)state;
    const struct sigaction action = {.sa_handler = jump_ahead};
    struct sigaction before;
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    for (int tls = 0; tls < 2; tls++) {
        sigset_t alarm_set;
        server_start(tls ? ec_tls : NULL, NULL);
        sigemptyset(&alarm_set); /* the server's thread must not take the signal */
        sigaddset(&alarm_set, SIGALRM);
        pthread_sigmask(SIG_BLOCK, &alarm_set, NULL);
        server_go();
        pthread_sigmask(SIG_UNBLOCK, &alarm_set, NULL);
        device_open(tls != 0, "127.0.0.1", NULL);
        const struct itimerval timer = {{0, 300000}, {0, 300000}}, off = {{0, 0}, {0, 0}};
        setitimer(ITIMER_REAL, &timer, NULL);
        assert_int_equal(check(), MOLT_TIMEOUT);
        setitimer(ITIMER_REAL, &off, NULL);
        device_close();
        server_stop();
    }
    sigaction(SIGALRM, &before, NULL);
}

static void write_file(const char *path, const char *text, int times)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    while (times-- > 0)
        fputs(text, file);
    fclose(file);
}

static void anchor_files_are_read_strictly(void **state)
{
    (void)state;
    static struct molt_posix_anchors anchors;
    char path[64], pem[4096];
    snprintf(path, sizeof path, "%s/x.pem", dir);
    assert_int_equal(molt_posix_anchors_load(&anchors, path), -MOLT_NOT_FOUND);
    FILE *file = fopen(rsa_pem, "r");
    assert_non_null(file);
    pem[fread(pem, 1, sizeof pem - 1, file)] = '\0';
    fclose(file);
    write_file(path, pem, MOLT_POSIX_ANCHORS);
    assert_int_equal(molt_posix_anchors_load(&anchors, path), 0);
    assert_int_equal(anchors.count, MOLT_POSIX_ANCHORS);
    write_file(path, pem, MOLT_POSIX_ANCHORS + 1);
    assert_int_equal(molt_posix_anchors_load(&anchors, path), -MOLT_TLS);
    write_file(path, "", 1);
    assert_int_equal(molt_posix_anchors_load(&anchors, path), -MOLT_TLS);
    write_file(path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 1);
    assert_int_equal(molt_posix_anchors_load(&anchors, path), -MOLT_TLS);
    write_file(path, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", 1);
    assert_int_equal(molt_posix_anchors_load(&anchors, path), -MOLT_TLS);
    write_file(path, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 1);
    assert_int_equal(molt_posix_anchors_load(&anchors, path), -MOLT_TLS);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_update_over_tcp_ends_in_a_restart),
        cmocka_unit_test(a_cut_download_goes_on_where_it_ended),
        cmocka_unit_test(tls_with_any_certificate_asks_for_small_fragments),
        cmocka_unit_test(tls_with_the_right_certificate_and_name_is_taken),
        cmocka_unit_test(tls_with_another_certificate_or_name_is_refused),
        cmocka_unit_test(tls_that_was_cut_short_is_no_complete_answer),
        cmocka_unit_test(a_server_that_cannot_be_reached_is_reported),
        cmocka_unit_test(plain_and_tls_mixed_up_are_reported),
        cmocka_unit_test(a_silent_server_is_given_up_by_the_clock),
        cmocka_unit_test(anchor_files_are_read_strictly),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
