/* http_fixture.c - the server and the raw client that the http tests share.
 * Must never hide a failure: every wait is bounded and fails the test. */
#include "cmocka_all.h"
#include "e2e/http_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 120000 };

unsigned char file_byte(uint64_t at)
{
    return (unsigned char)(at * 7 + at / 251 + at / 65536);
}

static void counted(void *ctx, struct http_exchange *x, bool complete, uint64_t sent)
{
    struct fixture *f = ctx;
    (void)x;
    if (complete) {
        f->done_complete++;
    } else {
        f->sent = sent;
        f->done_cut++;
    }
}

static unsigned long query_number(const struct http_exchange *x)
{
    struct http_slice q = http_query(x);
    char text[24] = "";
    if (q.len < sizeof text) memcpy(text, q.p, q.len);
    return strtoul(text, NULL, 10);
}

/* What the handler saw: "METHOD path query peer minor" and the body's length */
static void respond_seen(struct http_exchange *x)
{
    struct http_slice path = http_path(x), query = http_query(x), agent = http_header(x, "user-agent", 0);
    char text[4096];
    snprintf(text, sizeof text, "%d|%.*s|%.*s|%s|%d|%zu|%.*s", (int)http_method(x), (int)path.len, path.p,
             (int)query.len, query.p, http_peer(x), http_minor_version(x), http_body(x).len, (int)agent.len,
             agent.p ? agent.p : "");
    http_respond_text(x, 200, text);
}

static void respond_echo(struct fixture *f, struct http_exchange *x)
{
    struct http_slice body = http_body(x);
    struct http_response r = {
        .status = 200, .body = body.p, .body_len = body.len, .done = counted, .done_ctx = f};
    http_respond(x, &r);
}

static void respond_file(struct fixture *f, struct http_exchange *x, bool confirm)
{
    uint64_t off = query_number(x);
    struct http_response r = {.status = off ? 206 : 200,
                              .content_type = "application/octet-stream",
                              .file_fd = f->file_fd,
                              .file_off = off,
                              .file_len = FILE_LEN - off,
                              .confirm = confirm,
                              .done = counted,
                              .done_ctx = f};
    http_respond(x, &r);
}

/* A header of query_number() bytes and a body of 2000. */
static void respond_filled(struct fixture *f, struct http_exchange *x)
{
    static const char body[2000] = "body";
    char headers[8192], *p = headers;
    unsigned long n = query_number(x);
    p += sprintf(p, "X-Fill: ");
    for (unsigned long i = 0; i < n && i < 8000; i++)
        *p++ = 'f';
    strcpy(p, "\r\n");
    struct http_response r = {.status = 200,
                              .headers = headers,
                              .body = body,
                              .body_len = sizeof body,
                              .done = counted,
                              .done_ctx = f};
    http_respond(x, &r);
}

static void respond_odd(struct fixture *f, struct http_exchange *x)
{
    static const char *const headers[] = {
        "X-A: b\r\nX-Evil: a\nb\r\n", "X-A: b",        "X A: b\r\n", ": b\r\n",
        "Content-Length: 5\r\n",      "X-A: a\rb\r\n", "\r\nbody",   "X-A: ok\r\n"};
    unsigned long n = query_number(x);
    struct http_response r = {.status = 200, .headers = headers[n % 8], .done = counted, .done_ctx = f};
    http_respond(x, &r);
}

static void work(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    struct timespec t = {0, (long)query_number(x) * 1000000};
    nanosleep(&t, NULL); /* stands for something that blocks */
}

static void after(void *ctx, struct http_exchange *x)
{
    static const char text[] = "later\n";
    struct http_response r = {
        .status = 200, .body = text, .body_len = sizeof text - 1, .done = counted, .done_ctx = ctx};
    http_respond(x, &r);
}

static void park(struct fixture *f, struct http_exchange *x)
{
    http_park(x);
    pthread_mutex_lock(&f->lock);
    if (f->parked_count < 64) f->parked[f->parked_count++] = x;
    f->handled++;
    pthread_mutex_unlock(&f->lock);
}

unsigned fixture_resume(struct fixture *f)
{
    pthread_mutex_lock(&f->lock);
    unsigned n = f->parked_count;
    for (unsigned i = 0; i < n; i++)
        http_resume(f->parked[i], after, f);
    f->parked_count = 0;
    pthread_mutex_unlock(&f->lock);
    return n;
}

static void respond_status(struct fixture *f, struct http_exchange *x)
{
    unsigned long status = query_number(x);
    struct http_response r = {.status = (int)status, .body = "twelve bytes", .body_len = 12, .done = counted};
    r.no_length = status == 304;
    r.done_ctx = f;
    http_respond(x, &r);
}

/* Keeps the loop itself, as no handler should. */
static void hold(struct fixture *f, struct http_exchange *x)
{
    f->holding++;
    fixture_wait(&f->let_go, 1);
    f->handled++;
    http_respond_text(x, 200, "held\n");
}

static void handle(void *ctx, struct http_exchange *x)
{
    struct fixture *f = ctx;
    if (http_path_is(x, "/hold")) {
        hold(f, x);
        return;
    }
    if (http_path_is(x, "/park")) {
        park(f, x);
        return;
    }
    if (http_path_is(x, "/turn")) f->turn_at = f->handled;
    f->handled++; /* who has the answer finds it counted */
    if (http_path_is(x, "/echo")) {
        respond_echo(f, x);
    } else if (http_path_is(x, "/file")) {
        respond_file(f, x, false);
    } else if (http_path_is(x, "/confirmed")) {
        respond_file(f, x, true);
    } else if (http_path_is(x, "/filled")) {
        respond_filled(f, x);
    } else if (http_path_is(x, "/odd")) {
        respond_odd(f, x);
    } else if (http_path_is(x, "/status")) {
        respond_status(f, x);
    } else if (http_path_is(x, "/work")) {
        http_work(x, work, after, f);
    } else {
        respond_seen(x);
    }
}

static int make_file(const char *dir)
{
    char path[128];
    snprintf(path, sizeof path, "%s/file.bin", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    unsigned char *bytes = malloc(FILE_LEN);
    assert_true(fd > 0 && bytes);
    for (uint64_t i = 0; i < FILE_LEN; i++)
        bytes[i] = file_byte(i);
    assert_int_equal(write(fd, bytes, FILE_LEN), FILE_LEN);
    free(bytes);
    return fd;
}

void fixture_make_cert(const char *dir, const char *kind)
{
    char command[512];
    const char *key = strcmp(kind, "ec") == 0 ? "ec -pkeyopt ec_paramgen_curve:P-256" : "rsa:2048";
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey %s -nodes -keyout %s/key.pem -out %s/cert.pem -days 30 -subj "
             "/CN=localhost "
             "2>/dev/null",
             key, dir, dir);
    assert_int_equal(system(command), 0);
}

void fixture_start(struct fixture *f, const struct http_options *options, const char *url, uint64_t body_max)
{
    struct http_options o = *options;
    char err[256] = "", cert[128], key[128];
    memset(f, 0, sizeof *f);
    strcpy(f->dir, "/tmp/molt-http-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    pthread_mutex_init(&f->lock, NULL);
    f->file_fd = make_file(f->dir);
    o.spool_dir = f->dir;
    if (o.threads == 0) o.threads = 2;
    snprintf(cert, sizeof cert, "%s/cert.pem", f->dir);
    snprintf(key, sizeof key, "%s/key.pem", f->dir);
    if (strncmp(url, "https", 5) == 0) fixture_make_cert(f->dir, "ec");
    struct http_listener listener = {.url = url,
                                     .handler = handle,
                                     .handler_ctx = f,
                                     .body_max = body_max,
                                     .cert_path = cert,
                                     .key_path = key};
    int rc = http_server_start(&f->server, &o, &listener, 1, err, sizeof err);
    if (rc != 0) print_error("%s\n", err);
    assert_int_equal(rc, 0);
    f->port = http_server_port(f->server, 0);
}

void fixture_stop(struct fixture *f, uint32_t drain_ms)
{
    char path[128];
    static const char *const names[] = {"file.bin", "cert.pem", "key.pem"};
    if (f->server) http_server_stop(f->server, drain_ms);
    close(f->file_fd);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", f->dir, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(f->dir), 0); /* nothing of ours was left behind */
    pthread_mutex_destroy(&f->lock);
}

void pause_us(long us)
{
    struct timespec t = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&t, NULL);
}

void fixture_wait(const _Atomic unsigned *counter, unsigned n)
{
    for (int i = 0; i < PATIENCE_MS / 5 && *counter < n; i++)
        pause_us(5000);
    assert_true(*counter >= n);
}

void fixture_wait_open(struct fixture *f, uint64_t n)
{
    struct http_stats s = {0};
    for (int i = 0; i < PATIENCE_MS / 5; i++) {
        http_server_stats(f->server, &s);
        if (s.open == n) return;
        pause_us(5000);
    }
    assert_int_equal(s.open, n);
}

int raw_connect(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

void raw_send(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n <= 0) return; /* the server may have closed: what it answered tells */
        p += n;
        len -= (size_t)n;
    }
}

void raw_say(int fd, const char *text)
{
    raw_send(fd, text, strlen(text));
}

void raw_arrived(int fd)
{
    int unsent = 1;
    for (int i = 0; i < PATIENCE_MS && unsent > 0; i++) {
        assert_int_equal(ioctl(fd, SIOCOUTQ, &unsent), 0);
        if (unsent > 0) pause_us(1000);
    }
    assert_int_equal(unsent, 0);
}

static ssize_t read_some(int fd, char *out, size_t cap)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int ready = poll(&p, 1, PATIENCE_MS);
    assert_int_equal(ready, 1);
    ssize_t n = recv(fd, out, cap, 0);
    return n < 0 ? 0 : n;
}

size_t raw_read_all(int fd, char *out, size_t cap)
{
    size_t len = 0;
    ssize_t n;
    while (len + 1 < cap && (n = read_some(fd, out + len, cap - 1 - len)) > 0)
        len += (size_t)n;
    out[len] = 0;
    return len;
}

void raw_reset(int fd)
{
    struct linger l = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    close(fd);
}

static bool read_head(int fd, struct answer *a)
{
    size_t len = 0;
    while (len + 1 < sizeof a->head) {
        if (read_some(fd, a->head + len, 1) <= 0) break;
        a->head[++len] = 0;
        if (len >= 4 && memcmp(a->head + len - 4, "\r\n\r\n", 4) == 0) return true;
    }
    return false;
}

void raw_answer(int fd, bool bodiless, struct answer *a)
{
    memset(a, 0, sizeof *a);
    a->announced = UINT64_MAX;
    if (!read_head(fd, a)) return;
    assert_int_equal(sscanf(a->head, "HTTP/1.1 %d ", &a->status), 1);
    const char *length = strstr(a->head, "\r\nContent-Length: ");
    if (length) a->announced = strtoull(length + 18, NULL, 10);
    if (bodiless || a->status == 304 || a->status == 204 || a->status < 200 || !length) return;
    a->body = malloc((size_t)a->announced + 1);
    assert_non_null(a->body);
    while (a->body_len < a->announced) {
        ssize_t n = read_some(fd, a->body + a->body_len, (size_t)a->announced - a->body_len);
        if (n <= 0) break;
        a->body_len += (size_t)n;
    }
    a->body[a->body_len] = 0;
}

void answer_free(struct answer *a)
{
    free(a->body);
    a->body = NULL;
}

bool answer_has(const struct answer *a, const char *line_start)
{
    for (const char *p = strchr(a->head, '\n'); p; p = strchr(p + 1, '\n'))
        if (strncasecmp(p + 1, line_start, strlen(line_start)) == 0) return true;
    return false;
}

bool raw_closed(int fd, bool must)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char c;
    if (poll(&p, 1, must ? PATIENCE_MS : 100) == 0) return false;
    return recv(fd, &c, 1, 0) <= 0;
}

int fixture_served(const struct fixture *f)
{
    for (;;) {
        struct answer a;
        int fd = raw_connect(f->port), status;
        raw_say(fd, "GET /ok HTTP/1.1\r\nHost: h\r\n\r\n");
        raw_answer(fd, false, &a);
        status = a.status;
        answer_free(&a);
        if (status == 200) return fd;
        assert_true(status == 0 || status == 408);
        close(fd);
    }
}

void fixture_serves(const struct fixture *f)
{
    close(fixture_served(f));
}
