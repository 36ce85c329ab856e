/* http_response_test.c - responses read the same in one piece, byte by byte and in random pieces; what is
 * malformed or ambiguous is refused with its reason. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "http/http.h"

#define BODY_CAP 4096

struct outcome {
    int rc; /* MOLT_HTTP_DONE, MOLT_HTTP_MORE (not complete) or the failure */
    int heads;
    bool ended; /* the peer closed after the bytes */
    struct molt_response res;
    char location[64];
    size_t body_len, left;
    char body[BODY_CAP];
};

/* The size of the next piece: all, 1, or random by a seed. */
static size_t piece(uint32_t *seed, size_t left)
{
    if (*seed == 0) return left;
    if (*seed == 1) return left > 0 ? 1 : 0;
    *seed = *seed * 1664525u + 1013904223u;
    size_t n = 1 + (*seed >> 20) % 11;
    return n < left ? n : left;
}

static void run(struct outcome *o, const char *text, size_t text_len, uint32_t range_from, uint32_t seed)
{
    memset(o, 0, sizeof *o);
    molt_response_begin(&o->res, &(struct molt_response_expect){range_from}, o->location, sizeof o->location);
    size_t at = 0;
    do {
        size_t len = piece(&seed, text_len - at), before;
        uint8_t *tight = malloc(len > 0 ? len : 1); /* each piece alone, so that an over-read is seen */
        assert_non_null(tight);
        memcpy(tight, text + at, len);
        const uint8_t *in = tight, *body;
        size_t body_len;
        before = len;
        do {
            o->rc = molt_response_feed(&o->res, &in, &len, &body, &body_len);
            if (o->rc == MOLT_HTTP_HEAD) o->heads++;
            if (o->rc != MOLT_HTTP_BODY) continue;
            assert_true(body >= tight && body + body_len <= tight + before);
            assert_true(body_len > 0 && o->body_len + body_len <= sizeof o->body);
            memcpy(o->body + o->body_len, body, body_len);
            o->body_len += body_len;
        } while (o->rc == MOLT_HTTP_HEAD || o->rc == MOLT_HTTP_BODY);
        at += before - len;
        free(tight);
    } while (o->rc == MOLT_HTTP_MORE && at < text_len);
    o->left = text_len - at;
    if (o->rc == MOLT_HTTP_MORE) {
        o->ended = true;
        o->rc = molt_response_end(&o->res);
    }
}

/* Every split must give the same outcome; returns it. */
static const struct outcome *fed(const char *text, size_t len, uint32_t range_from)
{
    static struct outcome whole, pieces;
    run(&whole, text, len, range_from, 0);
    for (uint32_t seed = 1; seed < 12; seed++) {
        run(&pieces, text, len, range_from, seed);
        assert_int_equal(pieces.rc, whole.rc);
        assert_int_equal(pieces.heads, whole.heads);
        assert_int_equal(pieces.res.status, whole.res.status);
        assert_int_equal(pieces.ended, whole.ended);
        assert_int_equal(pieces.left, whole.left);
        assert_int_equal(pieces.body_len, whole.body_len);
        assert_memory_equal(pieces.body, whole.body, whole.body_len);
        assert_string_equal(pieces.location, whole.location);
        assert_string_equal(pieces.res.etag, whole.res.etag);
    }
    return &whole;
}

static const struct outcome *got(const char *text)
{
    return fed(text, strlen(text), 0);
}

static void assert_body(const struct outcome *o, const char *want)
{
    assert_int_equal(o->rc, MOLT_HTTP_DONE);
    assert_int_equal(o->heads, 1);
    assert_int_equal(o->body_len, strlen(want));
    assert_memory_equal(o->body, want, o->body_len);
}

static void a_body_with_a_length_is_delivered(void **state)
{
    (void)state;
    const struct outcome *o = got("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n2017102502\n");
    assert_body(o, "2017102502\n");
    assert_true(o->res.has_length);
    assert_int_equal(o->res.length, 11);
    assert_false(o->ended);
    o = got("HTTP/1.0 200\ncontent-LENGTH:\t 2 \t\n\nokEXTRA"); /* LF lines, no reason, odd spacing */
    assert_body(o, "ok");
    assert_int_equal(o->left, 5);
    assert_body(got("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "");
    assert_body(got("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"), "ok");
    assert_body(
        got("HTTP/1.1 200 "
            "\xC3\xA4\r\nX:\r\nY-Very-Long-Name-That-Is-Longer-Than-Any-Name-The-Parser-Keeps-Around: z"
            "\r\nContent-Encoding: identity\r\nContent-Length: 1\r\n\r\nx"),
        "x");
}

static void a_body_without_a_length_ends_with_the_connection(void **state)
{
    (void)state;
    const struct outcome *o = got("HTTP/1.0 200 OK\r\n\r\nall of it");
    assert_body(o, "all of it");
    assert_false(o->res.has_length);
    assert_true(o->ended);
    assert_body(got("HTTP/1.1 404 Not Found\r\n\r\n"), "");
}

static void chunks_are_joined(void **state)
{
    (void)state;
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n";
    static const struct {
        const char *wire, *want;
    } rows[] = {
        {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"},
        {"0\r\n\r\n", ""},
        {"0000A;x=\"y\"\r\n0123456789\r\n000\r\nTrailer: z\r\nMore: y\r\n\r\n", "0123456789"},
        {"a \r\n0123456789\r\n0;last\r\n\r\n", "0123456789"},
        {"2\nab\n0\n\n", "ab"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "%s%s", head, rows[i].wire);
        assert_body(got(text), rows[i].want);
    }
}

static void answers_without_a_body_are_complete_with_their_head(void **state)
{
    (void)state;
    const struct outcome *o = got("HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n");
    assert_body(o, "");
    assert_int_equal(o->res.status, 304);
    assert_body(got("HTTP/1.1 204 No Content\r\n\r\n"), "");
    o = got("HTTP/1.1 100 Continue\r\nETag: \"no\"\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 "
            "OK\r\nContent-Length: 2\r\n\r\nok");
    assert_body(o, "ok");
    assert_int_equal(o->res.status, 200);
    assert_string_equal(o->res.etag, "");
}

static void the_headers_that_matter_are_kept(void **state)
{
    (void)state;
    const struct outcome *o =
        got("HTTP/1.1 302 Found\r\nLOCATION:  /new/place?x=1  \r\nRetry-After: 120\r\nETag: \"a-b\"\r\n"
            "Content-Length: 0\r\n\r\n");
    assert_int_equal(o->res.status, 302);
    assert_string_equal(o->location, "/new/place?x=1");
    assert_string_equal(o->res.etag, "\"a-b\"");
    assert_true(o->res.has_retry_after);
    assert_int_equal(o->res.retry_after_s, 120);
    o = got("HTTP/1.1 503 Busy\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nETag: "
            "W/\"weak\"\r\nContent-Length: 0\r\n\r\n");
    assert_false(o->res.has_retry_after);
    assert_string_equal(o->res.etag, "");
}

static void texts_that_do_not_fit_are_left_empty(void **state)
{
    (void)state;
    char text[512], etag[MOLT_ETAG_MAX] = {0}, path[64] = {0};
    memset(etag, 'e', sizeof etag - 1);
    memset(path, 'x', sizeof path - 1);
    snprintf(text, sizeof text,
             "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nETag: \"%s\"\r\nLocation: /%s\r\n\r\n", etag, path);
    const struct outcome *o = got(text);
    assert_int_equal(o->rc, MOLT_HTTP_DONE);
    assert_string_equal(o->location, "");
    assert_string_equal(o->res.etag, "");
    o = got("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "
            "/23456789012345678901234567890123456789012345678901234567890123\r\n\r\n");
    assert_int_equal(strlen(o->location), 63);
}

struct bad {
    int reason;
    const char *text;
};

static const struct bad bad_responses[] = {
    {MOLT_CONNECTION_LOST, ""},
    {MOLT_CONNECTION_LOST, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1234"},
    {MOLT_CONNECTION_LOST, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"},
    {MOLT_CONNECTION_LOST, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
    {MOLT_CONNECTION_LOST, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"},
    {MOLT_CONNECTION_LOST, "HTTP/1.1 100 Continue\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "hello\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "SSH-2.0-OpenSSH\r\n"},
    {MOLT_HTTP_MALFORMED, "\r\nHTTP/1.1 200 OK\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "http/1.1 200 OK\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/2.0 200 OK\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.2 200 OK\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1  200 OK\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 20 OK\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 2000 OK\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 099 OK\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 600 OK\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 101 Switching\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 O\x01K\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\rX: y\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n12345"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\n: 5\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nNoColon\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\n X: y\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nX: a\x7F\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nX: y\r\n\rZ"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n12345"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n12345"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n12345"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n12345"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n12345"},
    {MOLT_HTTP_MALFORMED,
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {MOLT_HTTP_MALFORMED,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\rX"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\rX"},
    {MOLT_HTTP_MALFORMED, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000000\r\n\r\n"},
    {MOLT_TOO_LARGE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000000\r\n"},
    {MOLT_TOO_LARGE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nFFFFFFFF\r\n"},
    {MOLT_TOO_LARGE, "HTTP/1.1 200 OK\r\nContent-Length: 4294967296\r\n\r\n"},
    {MOLT_HTTP_ENCODING, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"},
    {MOLT_HTTP_ENCODING, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
    {MOLT_HTTP_ENCODING,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {MOLT_HTTP_ENCODING,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n"},
    {MOLT_HTTP_ENCODING, "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nContent-Length: 1\r\n\r\nx"},
    {MOLT_HTTP_ENCODING, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {MOLT_HTTP_ENCODING, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"},
    {MOLT_HTTP_ENCODING,
     "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Encoding: identity\r\nContent-Length: 1\r\n\r\nx"},
    {MOLT_HTTP_RANGE, "HTTP/1.1 206 Partial\r\nContent-Range: bytes 1-2/3\r\nContent-Length: 2\r\n\r\nbc"},
};

static void malformed_and_ambiguous_responses_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_responses / sizeof bad_responses[0]; i++) {
        const struct outcome *o = got(bad_responses[i].text);
        if (o->rc != -bad_responses[i].reason) {
            fail_msg("%s: %s", molt_reason_id(o->rc < 0 ? -o->rc : o->rc), bad_responses[i].text);
        }
    }
    assert_int_equal(fed("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", 28, 0)->rc, -MOLT_HTTP_MALFORMED);
}

static void an_error_page_may_be_encoded_for_it_is_not_read(void **state)
{
    (void)state;
    const struct outcome *o =
        got("HTTP/1.1 404 Not Found\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx");
    assert_int_equal(o->rc, MOLT_HTTP_DONE);
    assert_int_equal(o->res.status, 404);
}

static void a_partial_answer_must_begin_where_it_was_asked_to(void **state)
{
    (void)state;
    static const struct {
        int rc;
        const char *range;
    } rows[] = {
        {MOLT_HTTP_DONE, "bytes 100-104/1000"},
        {MOLT_HTTP_DONE, "bytes 100-104/*"},
        {-MOLT_HTTP_RANGE, "bytes 101-105/1000"},
        {-MOLT_HTTP_RANGE, "bytes 100-105/1000"},
        {-MOLT_HTTP_RANGE, "bytes 100-104/104"},
        {-MOLT_HTTP_RANGE, "bytes 100-99/1000"},
        {-MOLT_HTTP_RANGE, "bytes */1000"},
        {-MOLT_HTTP_RANGE, "bytes 100-104"},
        {-MOLT_HTTP_RANGE, "bytes 100/104-1000"},
        {-MOLT_HTTP_RANGE, "pages 100-104/1000"},
        {-MOLT_HTTP_RANGE, "bytes 100-4294967400/*"},
        {-MOLT_HTTP_RANGE, "x"},
        {-MOLT_HTTP_RANGE, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "HTTP/1.1 206 Partial\r\nContent-Range: %s\r\nContent-Length: 5\r\n\r\nabcde",
                 rows[i].range);
        const struct outcome *o = fed(text, strlen(text), 100);
        if (o->rc != rows[i].rc) fail_msg("%d: %s", o->rc, rows[i].range);
    }
    static const char none[] = "HTTP/1.1 206 Partial\r\nContent-Length: 5\r\n\r\nabcde";
    assert_int_equal(fed(none, sizeof none - 1, 100)->rc, -MOLT_HTTP_RANGE);
    static const char whole[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde"; /* the condition failed */
    const struct outcome *o = fed(whole, sizeof whole - 1, 100);
    assert_int_equal(o->rc, MOLT_HTTP_DONE);
    assert_int_equal(o->res.status, 200);
}

static void heads_without_end_are_refused(void **state)
{
    (void)state;
    static char text[3 * MOLT_HTTP_HEAD_MAX];
    static const char *const starts[] = {
        "HTTP/1.1 200 ",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nX: ",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
    };
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        memset(text, 'x', sizeof text);
        memcpy(text, starts[i], strlen(starts[i]));
        assert_int_equal(fed(text, sizeof text, 0)->rc, -MOLT_HTTP_HEAD_LONG);
    }
    size_t len = 0; /* interim responses count together */
    while (len + 32 < sizeof text) {
        memcpy(text + len, "HTTP/1.1 100 C\r\n\r\n", 18);
        len += 18;
    }
    assert_int_equal(fed(text, len, 0)->rc, -MOLT_HTTP_HEAD_LONG);
}

static void a_failure_is_sticky(void **state)
{
    (void)state;
    struct molt_response res;
    char location[8];
    molt_response_begin(&res, &(struct molt_response_expect){0}, location, sizeof location);
    const uint8_t *in = (const uint8_t *)"X\n", *body;
    size_t len = 2, body_len;
    assert_int_equal(molt_response_feed(&res, &in, &len, &body, &body_len), -MOLT_HTTP_MALFORMED);
    in = (const uint8_t *)"HTTP/1.1 200 OK\r\n\r\n";
    len = 19;
    assert_int_equal(molt_response_feed(&res, &in, &len, &body, &body_len), -MOLT_HTTP_MALFORMED);
    assert_int_equal(molt_response_end(&res), -MOLT_HTTP_MALFORMED);
}

static void every_single_byte_change_reads_the_same_in_pieces(void **state)
{
    (void)state;
    static const char good[] =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: \"e\"\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    char text[sizeof good];
    for (size_t at = 0; at < sizeof good - 1; at++) {
        for (unsigned value = 0; value < 256; value += 3) {
            memcpy(text, good, sizeof good);
            text[at] = (char)value;
            const struct outcome *o = fed(text, sizeof good - 1, 0);
            assert_true(o->rc == MOLT_HTTP_DONE || o->rc < 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_with_a_length_is_delivered),
        cmocka_unit_test(a_body_without_a_length_ends_with_the_connection),
        cmocka_unit_test(chunks_are_joined),
        cmocka_unit_test(answers_without_a_body_are_complete_with_their_head),
        cmocka_unit_test(the_headers_that_matter_are_kept),
        cmocka_unit_test(texts_that_do_not_fit_are_left_empty),
        cmocka_unit_test(malformed_and_ambiguous_responses_are_refused),
        cmocka_unit_test(an_error_page_may_be_encoded_for_it_is_not_read),
        cmocka_unit_test(a_partial_answer_must_begin_where_it_was_asked_to),
        cmocka_unit_test(heads_without_end_are_refused),
        cmocka_unit_test(a_failure_is_sticky),
        cmocka_unit_test(every_single_byte_change_reads_the_same_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
