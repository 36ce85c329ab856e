/* http_conformance_test.c - what server/net makes of every way to write a request, over raw sockets.
 * Must never accept what another program on the way could read differently. */
#include "cmocka_all.h"
#include "e2e/http_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct fixture f;

static int start(void **state)
{
    (void)state;
    /* what comes byte by byte may take its time */
    struct http_options o = {.head_timeout_ms = 600000, .idle_timeout_ms = 600000};
    fixture_start(&f, &o, "http://127.0.0.1:0", 300000);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fixture_stop(&f, 1000);
    return 0;
}

/* Sends text on a new connection and reads one answer; *closed tells whether the connection then ended. */
static void ask(const char *text, size_t len, struct answer *a, bool must_close, bool *closed)
{
    int fd = raw_connect(f.port);
    raw_send(fd, text, len);
    raw_answer(fd, strncmp(text, "HEAD", 4) == 0, a);
    *closed = raw_closed(fd, must_close);
    close(fd);
}

static void expect(const char *text, int status, bool closes)
{
    struct answer a;
    bool closed;
    ask(text, strlen(text), &a, closes, &closed);
    if (a.status != status || closed != closes) print_error("%s-> %d, closed %d\n", text, a.status, closed);
    assert_int_equal(a.status, status);
    assert_int_equal(closed, closes);
    answer_free(&a);
}

static void expect_body(const char *text, const char *body)
{
    struct answer a;
    bool closed;
    ask(text, strlen(text), &a, false, &closed);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, body);
    answer_free(&a);
}

struct request {
    const char *text;
    size_t len;
};
#define R(text)                                                                                              \
    {                                                                                                        \
        text, sizeof text - 1                                                                                \
    }

/* None of these may reach the handler, and after each the connection must end: what follows on it is not trusted. */
static void refused(const struct request *list, size_t count, int status)
{
    for (size_t i = 0; i < count; i++) {
        struct answer a;
        bool closed;
        unsigned before = f.handled;
        ask(list[i].text, list[i].len, &a, true, &closed);
        if ((status && a.status != status) || !closed || f.handled != before)
            print_error("%s-> %d, closed %d\n", list[i].text, a.status, closed);
        if (status) assert_int_equal(a.status, status);
        assert_true(a.status == 0 || a.status >= 400);
        assert_true(closed);
        assert_int_equal(f.handled, before);
        answer_free(&a);
    }
}

#define SMUGGLED "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

static void test_requests_that_could_be_read_in_two_ways_are_400(void **state)
{
    (void)state;
    static const struct request list[] = {
        R("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello" SMUGGLED),
        R("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello" SMUGGLED),
        R("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\nhello" SMUGGLED),
        R("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\nhello" SMUGGLED),
        R("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello" SMUGGLED),
        R("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\nhello" SMUGGLED),
        R("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5 5\r\n\r\nhello" SMUGGLED),
        R("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: \r\n\r\nhello" SMUGGLED),
        R("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551617\r\n\r\nhello" SMUGGLED),
        R("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length : 5\r\n\r\nhello" SMUGGLED),
        R("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length\t: 5\r\n\r\nhello" SMUGGLED),
        R("GET / HTTP/1.1\r\nHost : h\r\n\r\n"),
        R("GET / HTTP/1.1\r\nHost: h\r\n: value\r\n\r\n"),
        R("GET / HTTP/1.1\r\nHost: h\r\n:\r\n\r\n"),
        R("GET / HTTP/1.1\r\nHost: h\r\nX-A: b\r\n folded\r\n\r\n"),
        R("GET / HTTP/1.1\r\nHost: h\r\nX-A: b\r\n\tfolded\r\n\r\n"),
        R("GET / HTTP/1.1\r\nHost: h\r\nX-A:\r\n folded\r\n\r\n"),
        R("GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
        R("GET / HTTP/1.1\r\nHost: h\r\nX-A\r\n\r\n"),
        R("GET / HTTP/1.1\r\nHost: h\r\nX A: b\r\n\r\n"),
        R("GET / HTTP/1.1\r\nHost: h\r\nX(A: b\r\n\r\n"),
        R("GET / HTTP/1.1\r\nHost: h\r\nX-A: a\0b\r\n\r\n"),
        R("GET / HTTP/1.1\r\nHost: h\r\nX-\0A: b\r\n\r\n"),
        R("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"),
        R("GET / HTTP/1.1\r\nHost: h\r\nX-A: a\x7f\r\n\r\n"),
        R("GET / HTTP/1.1\r\nHost: h\r\nX-A: a\x01\r\n\r\n"),
        R("GET / HTTP/1.1\r\nHost: h\r\nX-A: a\rb: c\r\n\r\n"),
        R("GET / HTTP/1.1\r\nHost: h\nX-A: b\r\n\r\n"),
        R("GET / HTTP/1.1\nHost: h\n\n"),
        R("GET / HTTP/1.1\r\nHost: h\r\n\n\r\n\r\n"),
        R("GET / HTTP/1.1\r\n\r\n"),
        R("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"),
        R("GET / HTTP/1.0\r\nHost: h\r\nHost: g\r\n\r\n"),
        R("GET  / HTTP/1.1\r\nHost: h\r\n\r\n"),
        R("GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n"),
        R("GET /  HTTP/1.1\r\nHost: h\r\n\r\n"),
        R("GET / a HTTP/1.1\r\nHost: h\r\n\r\n"),
        R("GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"),
        R("GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n"),
        R("GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n"),
        R("GET * HTTP/1.1\r\nHost: h\r\n\r\n"),
        R("get / HTTP/1.1\r\nHost: h\r\n\r\n"),
        R("GARBAGE / HTTP/1.1\r\nHost: h\r\n\r\n"),
        R("GET / HTTP\r\nHost: h\r\n\r\n"),
        R("GET / http/1.1\r\nHost: h\r\n\r\n"),
        R("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        R("{\"json\": true}\r\n\r\n"),
    };
    refused(list, sizeof list / sizeof list[0], 400);
}

static void test_any_transfer_encoding_is_411(void **state)
{
    (void)state;
    static const struct request list[] = {
        R("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        R("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n"),
        R("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" SMUGGLED),
        R("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello"),
        R("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        R("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        R("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: "
          "chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
        R("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: "
          "5\r\n\r\n0\r\n\r\n" SMUGGLED),
        R("POST /echo HTTP/1.0\r\nHost: h\r\ntransfer-encoding:chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
        R("GET / HTTP/1.1\r\nHost: h\r\nTRANSFER-ENCODING:\tchunked\r\n\r\n0\r\n\r\n"),
    };
    refused(list, sizeof list / sizeof list[0], 411);
}

static void test_unknown_versions_and_tunnels_are_refused(void **state)
{
    (void)state;
    static const struct request versions[] = {
        R("GET / HTTP/9.9\r\nHost: h\r\n\r\n"),
        R("GET / HTTP/1.2\r\nHost: h\r\n\r\n"),
        R("GET / HTTP/2.0\r\nHost: h\r\n\r\n"),
        R("GET / HTTP/0.9\r\nHost: h\r\n\r\n"),
    };
    static const struct request others[] = {
        R("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n"),
        R("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        R("GET /\r\n\r\n"),
        R("GET / HTTP/11\r\nHost: h\r\n\r\n"),
        R("GET / HTTP/1.1 \r\nHost: h\r\n\r\n"),
    };
    refused(versions, sizeof versions / sizeof versions[0], 505);
    refused(others, sizeof others / sizeof others[0], 0);
}

static void test_stock_clients_requests_are_understood(void **state)
{
    (void)state;
    expect_body("GET /file.bin HTTP/1.0\r\n\r\n", "0|/file.bin||127.0.0.1|0|0|");
    expect_body("GET file.bin HTTP/1.0\r\nHost: h\r\n\r\n", "0|/file.bin||127.0.0.1|0|0|");
    expect_body("GET 5CCF7F.version?a=b HTTP/1.1\r\nHost: h\r\n\r\n", "0|/5CCF7F.version|a=b|127.0.0.1|1|0|");
    expect_body("GET fota/x.bin HTTP/1.0\r\nUser-Agent: ESP8266-http-Update\r\nHost: http://h\r\nConnection: "
                "close\r\nContent-Length: 0\r\n\r\n",
                "0|/fota/x.bin||127.0.0.1|0|0|ESP8266-http-Update");
    expect_body("GET http://h:80/a/b?c HTTP/1.1\r\nHost: h\r\n\r\n", "0|/a/b|c|127.0.0.1|1|0|");
    expect_body("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", "0|/||127.0.0.1|1|0|");
    expect_body("GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n", "0|/|q|127.0.0.1|1|0|");
    expect_body("GET /a HTTP/1.1\r\nhOST:h\r\nUSER-AGENT: \t spaced  \r\n\r\n", "0|/a||127.0.0.1|1|0|spaced");
    expect_body("\r\n\r\nGET /a HTTP/1.1\r\nHost:\r\n\r\n", "0|/a||127.0.0.1|1|0|");
    expect_body("DELETE /a HTTP/1.1\r\nHost: h\r\n\r\n", "4|/a||127.0.0.1|1|0|");
    expect_body("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "3|/a||127.0.0.1|1|3|");
}

static void test_connections_stay_open_exactly_when_the_request_allows(void **state)
{
    (void)state;
    expect("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 200, false);
    expect("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 200, true);
    expect("GET / HTTP/1.1\r\nHost: h\r\nConnection: foo, Close\r\n\r\n", 200, true);
    expect("GET / HTTP/1.0\r\n\r\n", 200, true);
    expect("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, false);
    expect("GET /status?404 HTTP/1.1\r\nHost: h\r\n\r\n", 404, false);

    struct answer a;
    bool closed;
    static const char ten[] = "GET / HTTP/1.0\r\n\r\n",
                      keep[] = "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
    ask(ten, sizeof ten - 1, &a, true, &closed);
    assert_true(answer_has(&a, "Connection: close\r\n"));
    answer_free(&a);
    ask(keep, sizeof keep - 1, &a, false, &closed);
    assert_true(answer_has(&a, "Connection: keep-alive\r\n"));
    answer_free(&a);
}

static void test_a_head_that_arrives_byte_by_byte_means_the_same(void **state)
{
    (void)state;
    static const char *const texts[] = {"GET file.bin?x HTTP/1.1\r\nHost: h\r\nUser-Agent: u\r\n\r\n",
                                        "\r\nPOST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"};
    static const char *const wanted[] = {"0|/file.bin|x|127.0.0.1|1|0|u", "2|/p||127.0.0.1|1|4|"};
    for (size_t t = 0; t < 2; t++) {
        struct answer a;
        int fd = raw_connect(f.port);
        for (const char *p = texts[t]; *p; p++) {
            raw_send(fd, p, 1);
            pause_us(300); /* so that most bytes travel alone; the result must not depend on it */
        }
        raw_answer(fd, false, &a);
        assert_string_equal(a.body, wanted[t]);
        answer_free(&a);
        close(fd);
    }
}

static void test_a_bad_line_is_refused_also_when_cut_anywhere(void **state)
{
    (void)state;
    static const char text[] = "GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n";
    for (size_t cut = 1; cut < sizeof text - 1; cut++) {
        struct answer a;
        int fd = raw_connect(f.port);
        raw_send(fd, text, cut);
        pause_us(300);
        raw_send(fd, text + cut, sizeof text - 1 - cut);
        raw_answer(fd, false, &a);
        assert_int_equal(a.status, 400);
        answer_free(&a);
        close(fd);
    }
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    enum { COUNT = 400 };
    static char text[COUNT * 96];
    size_t len = 0;
    for (int i = 0; i < COUNT; i++) {
        if (i % 3 == 2)
            len += (size_t)sprintf(text + len,
                                   "POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\nGET / H", i);
        else
            len += (size_t)sprintf(text + len, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i);
    }
    int fd = raw_connect(f.port);
    raw_send(fd, text, len);
    for (int i = 0; i < COUNT; i++) {
        struct answer a;
        char wanted[64];
        raw_answer(fd, false, &a);
        snprintf(wanted, sizeof wanted, "%d|/%d||127.0.0.1|1|%d|", i % 3 == 2 ? 2 : 0, i, i % 3 == 2 ? 7 : 0);
        assert_string_equal(a.body, wanted);
        answer_free(&a);
    }
    close(fd);
}

static void test_pipelined_requests_wait_for_one_that_is_answered_later(void **state)
{
    (void)state;
    static const char *const wanted[] = {"later\n", "0|/2||127.0.0.1|1|0|", "later\n",
                                         "0|/4||127.0.0.1|1|0|"};
    int fd = raw_connect(f.port);
    raw_say(fd, "GET /work?20 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
    raw_say(fd, "GET /work?1 HTTP/1.1\r\nHost: h\r\n\r\nGET /4 HTTP/1.1\r\nHost: h\r\n\r\n");
    for (int i = 0; i < 4; i++) {
        struct answer a;
        raw_answer(fd, false, &a);
        assert_string_equal(a.body, wanted[i]);
        answer_free(&a);
    }
    close(fd);
}

static void test_head_304_and_204_have_no_body(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "HEAD /file HTTP/1.1\r\nHost: h\r\n\r\n", "GET /status?304 HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /status?204 HTTP/1.1\r\nHost: h\r\n\r\n", "HEAD /status?200 HTTP/1.1\r\nHost: h\r\n\r\n"};
    static const int status[] = {200, 304, 204, 200};
    static const uint64_t lengths[] = {FILE_LEN, UINT64_MAX, UINT64_MAX, 12};
    int fd = raw_connect(f.port);
    for (int i = 0; i < 4; i++) { /* one connection: a stray body would spoil the next answer */
        struct answer a;
        raw_say(fd, texts[i]);
        raw_answer(fd, true, &a);
        assert_int_equal(a.status, status[i]);
        assert_int_equal(a.announced, lengths[i]);
    }
    close(fd);
}

static void test_heads_have_a_size_limit(void **state)
{
    (void)state;
    static char text[40000];
    for (int over = 0; over < 2; over++) {
        size_t n = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: h\r\nX-Long: ");
        size_t to = over ? 16384 - 3 : 16384 - 4; /* the empty line included */
        memset(text + n, 'a', to - n);
        strcpy(text + to, "\r\n\r\n");
        expect(text, over ? 431 : 200, over);
    }
    size_t n = (size_t)sprintf(text, "GET /");
    memset(text + n, 'a', 30000);
    text[n + 30000] = 0;
    expect(text, 431, true);
    n = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < 96; i++)
        n += (size_t)sprintf(text + n, "X-%d: y\r\n", i);
    strcpy(text + n, "\r\n");
    expect(text, 431, true);
}

static void post(size_t len, const char *extra, struct answer *a)
{
    char head[256], *body = malloc(len + 1);
    assert_non_null(body);
    for (size_t i = 0; i < len; i++)
        body[i] = (char)file_byte(i);
    snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nHost: h\r\n%sContent-Length: %zu\r\n\r\n", extra,
             len);
    int fd = raw_connect(f.port);
    raw_say(fd, head);
    raw_send(fd, body, len);
    raw_say(fd, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    raw_answer(fd, false, a);
    if (a->status == 200) {
        assert_int_equal(a->body_len, len);
        assert_memory_equal(a->body, body, len);
        struct answer next; /* the connection is in step */
        raw_answer(fd, false, &next);
        assert_string_equal(next.body, "0|/x||127.0.0.1|1|0|");
        answer_free(&next);
    }
    close(fd);
    free(body);
}

static void test_bodies_of_every_size_arrive_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 16383, 16384, 16385, 65535, 65536, 65537, 131072, 299999, 300000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct answer a;
        post(sizes[i], "", &a);
        assert_int_equal(a.status, 200);
        answer_free(&a);
    }
}

static void test_a_body_over_the_limit_is_413_and_the_answer_survives(void **state)
{
    (void)state;
    struct answer a;
    unsigned before = f.handled;
    post(300001, "", &a);
    assert_int_equal(a.status, 413);
    answer_free(&a);
    post(300001, "Expect: 100-continue\r\n", &a);
    assert_int_equal(a.status, 413);
    answer_free(&a);
    assert_int_equal(f.handled, before);
}

static void test_expect_100_continue_is_answered_before_the_body(void **state)
{
    (void)state;
    struct answer a;
    int fd = raw_connect(f.port);
    raw_say(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n");
    raw_answer(fd, true, &a);
    assert_int_equal(a.status, 100);
    raw_say(fd, "abc");
    raw_answer(fd, false, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "abc");
    answer_free(&a);
    close(fd);
    expect("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: a-miracle\r\n\r\n", 417, true);
}

static void test_headers_that_would_split_a_response_become_500(void **state)
{
    (void)state;
    char text[64];
    for (int i = 0; i < 8; i++) {
        struct answer a;
        bool closed;
        int len = snprintf(text, sizeof text, "GET /odd?%d HTTP/1.1\r\nHost: h\r\n\r\n", i);
        ask(text, (size_t)len, &a, i != 7, &closed);
        assert_int_equal(a.status, i == 7 ? 200 : 500);
        assert_false(answer_has(&a, "X-Evil"));
        answer_free(&a);
    }
    expect("GET /status?100 HTTP/1.1\r\nHost: h\r\n\r\n", 500, true);
    expect("GET /status?999 HTTP/1.1\r\nHost: h\r\n\r\n", 500, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_that_could_be_read_in_two_ways_are_400),
        cmocka_unit_test(test_any_transfer_encoding_is_411),
        cmocka_unit_test(test_unknown_versions_and_tunnels_are_refused),
        cmocka_unit_test(test_stock_clients_requests_are_understood),
        cmocka_unit_test(test_connections_stay_open_exactly_when_the_request_allows),
        cmocka_unit_test(test_a_head_that_arrives_byte_by_byte_means_the_same),
        cmocka_unit_test(test_a_bad_line_is_refused_also_when_cut_anywhere),
        cmocka_unit_test(test_pipelined_requests_are_answered_in_order),
        cmocka_unit_test(test_pipelined_requests_wait_for_one_that_is_answered_later),
        cmocka_unit_test(test_head_304_and_204_have_no_body),
        cmocka_unit_test(test_heads_have_a_size_limit),
        cmocka_unit_test(test_bodies_of_every_size_arrive_whole),
        cmocka_unit_test(test_a_body_over_the_limit_is_413_and_the_answer_survives),
        cmocka_unit_test(test_expect_100_continue_is_answered_before_the_body),
        cmocka_unit_test(test_headers_that_would_split_a_response_become_500),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
