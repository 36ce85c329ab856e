/* http_waits_test.c - peers that are slow, stalled or silent: each wait of the server ends, and what makes progress goes on.
 * Must never assert that something was fast: only that it ended, and that the server still serves. */
#include "cmocka_all.h"
#include "e2e/http_fixture.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

enum { LOOKS = 6000 }; /* of 20 ms: how long the tests wait for what must come */

static const struct http_options short_waits = {
    .head_timeout_ms = 300, .body_timeout_ms = 300, .idle_timeout_ms = 300, .send_timeout_ms = 300};
/* Where the peer has to send something first: on a loaded machine that takes it as long as it takes. */
static const struct http_options short_send = {.send_timeout_ms = 300};

/* The longest time that passed between two calls. */
struct pace {
    uint64_t last_ms, longest_ms;
};

static void pace_step(struct pace *pace)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t now_ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
    if (pace->last_ms != 0 && now_ms - pace->last_ms > pace->longest_ms)
        pace->longest_ms = now_ms - pace->last_ms;
    pace->last_ms = now_ms;
}

/* Sends one byte each few milliseconds until the server ends it; returns what it answered. */
static int drip(uint16_t port, const char *start, const char *bytes)
{
    struct answer a;
    int fd = raw_connect(port);
    raw_say(fd, start);
    for (const char *p = bytes;; p = p[1] ? p + 1 : bytes) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, 5) != 0) break;
        raw_send(fd, p, 1);
    }
    raw_answer(fd, false, &a);
    int status = a.status;
    assert_true(raw_closed(fd, true));
    answer_free(&a);
    close(fd);
    return status;
}

static void test_a_head_that_drips_in_is_cut(void **state)
{
    (void)state;
    struct fixture f;
    struct http_options short_head = {.head_timeout_ms = 300}, short_idle = {.idle_timeout_ms = 300};
    fixture_start(&f, &short_head, "http://127.0.0.1:0", 1000000);
    assert_int_equal(drip(f.port, "GET / HTTP/1.1\r\nX-Slow: ", "a"), 408);
    assert_int_equal(f.handled, 0);
    fixture_serves(&f);
    fixture_wait_open(&f, 0);
    fixture_stop(&f, 1000);
    /* nothing but empty lines: cut in the middle of one, or between */
    fixture_start(&f, &short_idle, "http://127.0.0.1:0", 1000000);
    int status = drip(f.port, "\r\n", "\r\n");
    assert_true(status == 408 || status == 0);
    assert_int_equal(f.handled, 0);
    fixture_serves(&f);
    fixture_wait_open(&f, 0);
    fixture_stop(&f, 1000);
}

static void test_a_body_that_drips_in_is_cut(void **state)
{
    (void)state;
    struct fixture f;
    struct http_options o = {.body_timeout_ms = 300};
    fixture_start(&f, &o, "http://127.0.0.1:0", 1000000);
    assert_int_equal(drip(f.port, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n", "b"),
                     408);
    assert_int_equal(drip(f.port, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n", "b"),
                     408);
    assert_int_equal(f.handled, 0);
    fixture_wait_open(&f, 0);
    fixture_stop(&f, 1000);
}

enum { BODY_WAIT_MS = 2000, SEND_WAIT_MS = 1000 };

static int send_slowly(const struct fixture *f, struct pace *pace)
{
    static char block[2000];
    struct answer a;
    int fd = raw_connect(f->port);
    raw_say(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    pace_step(pace);
    for (int i = 0; i < 50; i++) { /* 2.5 s in all, longer than the limit */
        raw_send(fd, block, sizeof block);
        pace_step(pace);
        pause_us(50000);
    }
    raw_answer(fd, false, &a);
    int status = a.status;
    if (status == 200) assert_int_equal(a.body_len, 100000);
    answer_free(&a);
    close(fd);
    return status;
}

static void test_a_slow_body_that_makes_progress_is_not_cut(void **state)
{
    (void)state;
    struct fixture f;
    struct pace pace;
    int status;
    struct http_options o = {.body_timeout_ms = BODY_WAIT_MS};
    fixture_start(&f, &o, "http://127.0.0.1:0", 1000000);
    do { /* again when the client itself had to wait that long for a processor */
        pace = (struct pace){0};
        status = send_slowly(&f, &pace);
    } while (status == 408 && pace.longest_ms >= BODY_WAIT_MS / 2);
    assert_int_equal(status, 200);
    fixture_stop(&f, 1000);
}

/* A connection whose request is parked. */
static int park(const struct fixture *f)
{
    for (;;) {
        unsigned before = f->handled;
        int fd = raw_connect(f->port);
        bool closed = false;
        raw_say(fd, GET("/park"));
        while (f->handled == before && !closed)
            closed = raw_closed(fd, false); /* it asked too late */
        if (!closed) return fd;
        close(fd);
    }
}

static void test_idle_connections_are_closed_and_busy_ones_are_not(void **state)
{
    (void)state;
    struct fixture f;
    struct answer a;
    fixture_start(&f, &short_waits, "http://127.0.0.1:0", 1000);
    int parked = park(&f), silent = raw_connect(f.port), once = fixture_served(&f);
    assert_true(raw_closed(silent, true));
    assert_true(raw_closed(once, true));
    assert_int_equal(fixture_resume(&f),
                     1); /* the wait was as long as its idle time, and it is still there */
    raw_answer(parked, false, &a);
    assert_string_equal(a.body, "later\n");
    answer_free(&a);
    close(silent);
    close(once);
    close(parked);
    fixture_stop(&f, 1000);
}

static void test_a_reader_that_stalls_is_dropped_and_reported_as_cut(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, &short_send, "http://127.0.0.1:0", 1000);
    int fd = raw_connect(f.port), small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int i = 0; i < 8; i++) /* more than the kernel buffers */
        raw_say(fd, GET("/file"));
    fixture_wait(&f.done_cut, 1);
    assert_true(f.sent < FILE_LEN);
    close(fd);
    fixture_wait_open(&f, 0);
    fixture_stop(&f, 1000);
}

/* All of it is with the server's kernel, and the peer's takes no more. */
static void test_a_reader_that_stalls_at_the_end_is_dropped_and_reported_as_cut(void **state)
{
    (void)state;
    struct fixture f;
    char request[64];
    fixture_start(&f, &short_send, "http://127.0.0.1:0", 1000);
    int small = 2048, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(f.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    snprintf(request, sizeof request, GET("/confirmed?%d"), FILE_LEN - 16000);
    raw_say(fd, request);
    fixture_wait(&f.done_cut, 1);
    assert_int_equal(f.done_complete, 0);
    fixture_wait_open(&f, 0);
    close(fd);
    fixture_stop(&f, 1000);
}

/* What a peer sends is no sign that it reads. */
static void test_a_reader_that_stalls_and_talks_is_dropped_too(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, &short_send, "http://127.0.0.1:0", 1000);
    int fd = raw_connect(f.port), small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int i = 0; i < 8; i++)
        raw_say(fd, GET("/file"));
    for (int i = 0; i < LOOKS && f.done_cut == 0; i++) {
        (void)!send(fd, "G", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        pause_us(20000);
    }
    assert_true(f.done_cut > 0);
    close(fd);
    fixture_wait_open(&f, 0);
    fixture_stop(&f, 1000);
}

/* The tests above shorten the waits; these are what `molt serve` has, which sets none. */
static void test_the_waits_are_those_that_are_promised(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f, &(struct http_options){0}, "http://127.0.0.1:0", 1000);
    const struct http_options *o = http_server_options(f.server);
    assert_int_equal(o->head_timeout_ms, 10000);
    assert_int_equal(o->body_timeout_ms, 30000);
    assert_int_equal(o->idle_timeout_ms, 75000);
    assert_int_equal(o->send_timeout_ms,
                     120000); /* a reader without progress; one that is only slow: never */
    fixture_stop(&f, 1000);
    fixture_start(&f, &short_waits, "http://127.0.0.1:0", 1000);
    assert_int_equal(http_server_options(f.server)->send_timeout_ms, 300);
    fixture_stop(&f, 1000);
}

/* True when it got all of it. */
static bool read_slowly(struct pace *pace)
{
    struct fixture f;
    struct http_options o = {.send_timeout_ms = SEND_WAIT_MS};
    fixture_start(&f, &o, "http://127.0.0.1:0", 1000);
    int small = 32768, reads = 0, fd = raw_connect(f.port);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    raw_say(fd, "GET /file HTTP/1.0\r\n\r\n");
    static char part[16384];
    size_t total = 0;
    for (ssize_t n; (n = recv(fd, part, sizeof part, 0)) > 0;) {
        total += (size_t)n;
        pace_step(pace);
        if (reads++ < 30) pause_us(120000); /* some seconds in all, longer than the limit */
    }
    bool all = total > FILE_LEN;
    fixture_wait(all ? &f.done_complete : &f.done_cut, 1);
    assert_int_equal(f.done_complete + f.done_cut, 1);
    close(fd);
    fixture_stop(&f, 1000);
    return all;
}

static void test_a_slow_reader_is_never_dropped(void **state)
{
    (void)state;
    struct pace pace;
    bool all;
    do { /* again when the client itself had to wait that long for a processor */
        pace = (struct pace){0};
        all = read_slowly(&pace);
    } while (!all && pace.longest_ms >= SEND_WAIT_MS / 3);
    assert_true(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_head_that_drips_in_is_cut),
        cmocka_unit_test(test_a_body_that_drips_in_is_cut),
        cmocka_unit_test(test_a_slow_body_that_makes_progress_is_not_cut),
        cmocka_unit_test(test_idle_connections_are_closed_and_busy_ones_are_not),
        cmocka_unit_test(test_a_reader_that_stalls_is_dropped_and_reported_as_cut),
        cmocka_unit_test(test_a_reader_that_stalls_at_the_end_is_dropped_and_reported_as_cut),
        cmocka_unit_test(test_a_reader_that_stalls_and_talks_is_dropped_too),
        cmocka_unit_test(test_the_waits_are_those_that_are_promised),
        cmocka_unit_test(test_a_slow_reader_is_never_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
