/* head_property_test.c - the short way through a request's head (head_plain.c) reads what the long way reads: requests
 * built from what devices send, most of them spoilt somewhere, parsed whole and byte by byte.
 * Must never compare a way with itself: byte by byte only llhttp and head.c read. */
#include "cmocka_all.h"
#include "server/net/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS = 200000 };

static uint64_t state = 0x9E3779B97F4A7C15u;

static unsigned below(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)((state >> 20) % n);
}

static const char *const starts[] = {
    "GET /fota/5ccf7f000001.version HTTP/1.1\r\n",
    "GET /a/b.bin?x=1&y=%20 HTTP/1.1\r\n",
    "GET / HTTP/1.1\r\n",
    "GET /? HTTP/1.1\r\n",
    "GET /a%2Fb+c:d,e=f&g~h HTTP/1.1\r\n",
    "GET //a HTTP/1.1\r\n",
    "GET /a?b?c HTTP/1.1\r\n",
    "GET /a HTTP/1.0\r\n",
    "HEAD /a.bin HTTP/1.1\r\n",
    "POST /molt/v1/check HTTP/1.1\r\n",
    "GET a.bin HTTP/1.1\r\n",
    "GET /a#b HTTP/1.1\r\n",
};
static const char *const lines[] = {
    "Host: 192.168.1.2:8266\r\n",
    "Host: h\r\n",
    "hOsT: h\r\n",
    "User-Agent: ESP8266HTTPClient\r\n",
    "Connection: keep-alive\r\n",
    "Connection: close\r\n",
    "Connection: Keep-Alive\r\n",
    "connection: CLOSE\r\n",
    "Connection: keep-alive, Upgrade\r\n",
    "Connection: upgrade\r\n",
    "Connection:\r\n",
    "Connection: close \r\n",
    "Connection:close\r\n",
    "Proxy-Connection: close\r\n",
    "Upgrade: h2c\r\n",
    "Accept-Encoding: identity;q=1,chunked;q=0.1,*;q=0\r\n",
    "x-ESP8266-STA-MAC: 5C:CF:7F:00:00:01\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "X-Empty:\r\n",
    "X-Empty: \r\n",
    "X-Two:  a  b \r\n",
    "X-Odd: \"{}[]|\\^`<>@()\"\r\n",
    "X_Y: \t\r\n",
    "X-High: \xc3\xa4\r\n",
    "X.Y!: v\r\n",
    " folded\r\n",
};
static const char spoilers[] = " \t\r\n:/?#%.-\x7f\x01\x80GHh1,;@\\\"";

static size_t build(char *out, size_t cap)
{
    size_t n = (size_t)snprintf(out, cap, "%s",
                                starts[below(2) ? below(3) : below(sizeof starts / sizeof starts[0])]);
    bool host = below(8) != 0;
    if (host) n += (size_t)snprintf(out + n, cap - n, "%s", lines[below(3)]);
    for (unsigned i = below(5); i > 0; i--)
        n += (size_t)snprintf(out + n, cap - n, "%s",
                              lines[below(3) ? 3 + below(4) : below(sizeof lines / sizeof lines[0])]);
    n += (size_t)snprintf(out + n, cap - n, "\r\n");
    if (below(4) == 0) n += (size_t)snprintf(out + n, cap - n, "GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    for (unsigned i = below(2) ? 1 + below(2) : 0; i > 0; i--) {
        size_t at = below((unsigned)n);
        char c = below(16) ? spoilers[below(sizeof spoilers - 1)] : '\0';
        switch (below(3)) {
        case 0:
            out[at] = c;
            break;
        case 1:
            memmove(out + at, out + at + 1, n - at - 1);
            n--;
            break;
        default:
            memmove(out + at + 1, out + at, n - at);
            out[at] = c;
            n++;
        }
    }
    return n;
}

static enum net_parse parse(struct http_exchange *x, const char *text, size_t len, size_t piece)
{
    enum net_parse r = NET_MORE;
    x->in_len = 0;
    net_head_reset(x, 0);
    for (size_t at = 0; at < len && r == NET_MORE; at += piece) {
        size_t n = piece < len - at ? piece : len - at;
        assert_true(net_in_reserve(x, n));
        memcpy(x->in + x->in_len, text + at, n);
        x->in_len += n;
        r = net_head_parse(x);
    }
    return r;
}

static void same_span(struct net_span a, struct net_span b)
{
    assert_int_equal(a.len, b.len);
    if (a.len > 0) assert_int_equal(a.off, b.off);
}

static void same(const struct http_exchange *a, const struct http_exchange *b)
{
    assert_int_equal(a->head_len, b->head_len);
    assert_int_equal(a->body_len, b->body_len);
    assert_int_equal(a->method, b->method);
    assert_int_equal(a->keep_alive, b->keep_alive);
    assert_int_equal(http_minor_version(a), http_minor_version(b));
    same_span(a->target, b->target);
    same_span(a->path, b->path);
    same_span(a->query, b->query);
    assert_int_equal(a->header_count, b->header_count);
    assert_true(a->name_lens == b->name_lens);
    assert_memory_equal(a->headers, b->headers, a->header_count * sizeof a->headers[0]);
    assert_memory_equal(a->in, b->in, a->head_len);
}

static void test_both_ways_read_the_same(void **unused)
{
    (void)unused;
    static struct http_exchange whole, split;
    unsigned good = 0, plain = 0;
    char text[1024];
    whole.spool_fd = split.spool_fd = -1;
    for (int i = 0; i < REQUESTS; i++) {
        size_t len = build(text, sizeof text);
        enum net_parse a = parse(&whole, text, len, len), b = parse(&split, text, len, 1);
        /* of what is bad only that is the same: the bytes behind the fault are not the same */
        if (a != b) print_error("%d and %d: %.*s\n", a, b, (int)len, text);
        assert_int_equal(a, b);
        if (a != NET_DONE) continue;
        same(&whole, &split);
        good++;
        net_head_reset(&whole, 0);
        plain += net_head_plain(&whole);
    }
    free(whole.in);
    free(split.in);
    assert_true(good > REQUESTS / 4 && plain > REQUESTS / 8 && plain < good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_ways_read_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
