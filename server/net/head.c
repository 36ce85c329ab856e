/* head.c - parses the head of a request: llhttp decides what it means, a second, strict reading of every line
 * refuses what llhttp is lenient about; head_plain.c reads what is too plain for that. Two readings that disagree are
 * a 400; never guess where a message ends. Tests: test/e2e/http_conformance_test.c. */
#include "server/net/net.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    struct http_exchange *x = parser->data;
    if (x->target.len == 0) x->target.off = (size_t)(at - x->in);
    x->target.len += len;
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED; /* bodies are counted by conn.c: only Content-Length can announce one here */
}

static const llhttp_settings_t settings = {.on_url = on_url, .on_headers_complete = on_headers_complete};

static void parser_restart(struct http_exchange *x)
{
    llhttp_init(&x->parser, HTTP_REQUEST, &settings);
    x->parser.data = x;
    x->fed = 0;
    x->target = (struct net_span){0, 0};
}

void net_head_reset(struct http_exchange *x, size_t used)
{
    if (x->in_len > used) memmove(x->in, x->in + used, x->in_len - used);
    x->in_len -= used;
    x->head_len = 0;
    x->body_len = x->body_got = 0;
    x->searched = 0;
    x->header_count = 0;
    x->name_lens = 0;
    x->bad_status = 0;
    parser_restart(x);
}

bool net_in_reserve(struct http_exchange *x, size_t more)
{
    size_t need = x->in_len + more;
    if (need <= x->in_cap) return true;
    size_t cap = x->in_cap ? x->in_cap : 512;
    while (cap < need)
        cap *= 2;
    char *in = realloc(x->in, cap);
    if (!in) return false;
    x->in = in;
    x->in_cap = cap;
    return true;
}

bool net_token_char(unsigned char c)
{
    /* a bit a byte: "!#$%&'*+-.^_`|~", digits and letters */
    static const uint32_t set[8] = {0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff};
    return (set[c >> 5] >> (c & 31) & 1) != 0;
}

static enum net_parse bad(struct http_exchange *x, int status)
{
    x->bad_status = status;
    return NET_BAD;
}

/* Some sketches ask for "file.bin": put the slash in and parse once more. */
static bool put_slash(struct http_exchange *x)
{
    const char *space = memchr(x->in, ' ', x->in_len);
    if (!space) return false;
    size_t at = (size_t)(space - x->in) + 1;
    if (at >= x->in_len || x->in[at] == '/' || x->in[at] == ' ' || !net_in_reserve(x, 1)) return false;
    memmove(x->in + at + 1, x->in + at, x->in_len - at);
    x->in[at] = '/';
    x->in_len++;
    if (x->head_len) x->head_len++;
    parser_restart(x);
    return true;
}

/* Empty lines before a request are skipped, as RFC 9112 asks. */
static void skip_empty_lines(struct http_exchange *x)
{
    size_t n = 0;
    while (x->in_len - n >= 2 && x->in[n] == '\r' && x->in[n + 1] == '\n')
        n += 2;
    if (n > 0) memmove(x->in, x->in + n, x->in_len - n);
    x->in_len -= n;
}

static void find_end(struct http_exchange *x)
{
    size_t from = x->searched > 3 ? x->searched - 3 : 0;
    const char *end = memmem(x->in + from, x->in_len - from, "\r\n\r\n", 4);
    x->searched = x->in_len;
    if (end) x->head_len = (size_t)(end - x->in) + 4;
}

static enum net_parse feed(struct http_exchange *x)
{
    for (;;) {
        size_t upto = x->head_len ? x->head_len : x->in_len;
        llhttp_errno_t e = llhttp_execute(&x->parser, x->in + x->fed, upto - x->fed);
        x->fed = upto;
        if (e == HPE_OK) return x->head_len ? bad(x, 400) : NET_MORE;
        if (e == HPE_PAUSED) return x->head_len ? NET_DONE : bad(x, 400);
        if (e == HPE_INVALID_URL && put_slash(x)) continue;
        if (e == HPE_INVALID_TRANSFER_ENCODING || (x->parser.flags & F_TRANSFER_ENCODING)) return bad(x, 411);
        if (e == HPE_INVALID_VERSION) return bad(x, 505);
        return bad(x, 400);
    }
}

static bool header_is(const struct http_exchange *x, const struct net_header *h, const char *name, size_t len)
{
    return h->name_len == len && strncasecmp(x->in + h->name_off, name, len) == 0;
}

/* One line, "name: value", without its CRLF: no space before the colon, no empty name, no control characters. */
static bool index_line(struct http_exchange *x, size_t from, size_t to)
{
    struct net_header *h = &x->headers[x->header_count++];
    size_t colon = from;
    while (colon < to && net_token_char((unsigned char)x->in[colon]))
        colon++;
    if (colon == from || colon == to || x->in[colon] != ':') return false;
    size_t begin = colon + 1, end = to;
    for (size_t i = begin; i < end; i++) {
        unsigned char c = (unsigned char)x->in[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
    }
    while (begin < end && (x->in[begin] == ' ' || x->in[begin] == '\t'))
        begin++;
    while (end > begin && (x->in[end - 1] == ' ' || x->in[end - 1] == '\t'))
        end--;
    *h = (struct net_header){(uint16_t)from, (uint16_t)(colon - from), (uint16_t)begin,
                             (uint16_t)(end - begin)};
    x->name_lens |= (uint64_t)1 << h->name_len % 64;
    return true;
}

/* "METHOD target HTTP/1.x": exactly one space each. */
static bool check_request_line(const struct http_exchange *x, size_t end)
{
    size_t at = x->target.off;
    if (x->target.len == 0 || at < 2 || x->in[at - 1] != ' ' || x->in[at - 2] == ' ') return false;
    size_t after = at + x->target.len;
    return after + 9 == end && memcmp(x->in + after, " HTTP/1.", 8) == 0;
}

static enum net_parse index_lines(struct http_exchange *x)
{
    size_t at = 0, end = x->head_len - 2;
    for (bool first = true; at < end; first = false) {
        const char *cr = memchr(x->in + at, '\r', end - at);
        if (!cr || cr[1] != '\n') return bad(x, 400);
        size_t to = (size_t)(cr - x->in);
        if (first && !check_request_line(x, to)) return bad(x, 400);
        if (!first) {
            if (x->header_count == NET_HEADERS_MAX) return bad(x, 431);
            if (!index_line(x, at, to)) return bad(x, 400);
        }
        at = to + 2;
    }
    return NET_DONE;
}

static bool all_digits(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] < '0' || p[i] > '9') return false;
    return len > 0;
}

static enum net_parse check_headers(struct http_exchange *x)
{
    unsigned hosts = 0, lengths = 0;
    for (unsigned i = 0; i < x->header_count; i++) {
        const struct net_header *h = &x->headers[i];
        if (header_is(x, h, "transfer-encoding", 17)) return bad(x, 411);
        if (header_is(x, h, "host", 4)) hosts++;
        if (header_is(x, h, "content-length", 14)) {
            lengths++;
            if (!all_digits(x->in + h->value_off, h->value_len)) return bad(x, 400);
        }
    }
    if (hosts > 1 || lengths > 1) return bad(x, 400);
    if (hosts == 0 && x->parser.http_minor == 1) return bad(x, 400);
    x->body_len = lengths ? x->parser.content_length : 0;
    return NET_DONE;
}

/* Cuts "http://host" off and splits path and query. */
static bool split_target(struct http_exchange *x)
{
    const char *t = x->in + x->target.off;
    size_t len = x->target.len, cut = 0;
    if (memchr(t, '#', len)) return false;
    if (t[0] != '/') {
        if (len > 7 && strncasecmp(t, "http://", 7) == 0) cut = 7;
        if (len > 8 && strncasecmp(t, "https://", 8) == 0) cut = 8;
        if (!cut) return false;
        while (cut < len && t[cut] != '/' && t[cut] != '?')
            cut++;
    }
    size_t end = cut;
    while (end < len && t[end] != '?')
        end++;
    x->path = (struct net_span){x->target.off + cut, end - cut};
    x->query = (struct net_span){0, 0};
    if (end < len) x->query = (struct net_span){x->target.off + end + 1, len - end - 1};
    return true;
}

static enum http_method method_of(const llhttp_t *parser)
{
    switch (parser->method) {
    case HTTP_GET:
        return HTTP_M_GET;
    case HTTP_HEAD:
        return HTTP_M_HEAD;
    case HTTP_POST:
        return HTTP_M_POST;
    case HTTP_PUT:
        return HTTP_M_PUT;
    case HTTP_DELETE:
        return HTTP_M_DELETE;
    case HTTP_PATCH:
        return HTTP_M_PATCH;
    default:
        return HTTP_M_OTHER;
    }
}

enum net_parse net_head_parse(struct http_exchange *x)
{
    if (x->fed == 0) skip_empty_lines(x);
    if (x->in_len == 0 || (x->in_len == 1 && x->in[0] == '\r')) return NET_MORE;
    if (x->fed == 0 && net_head_plain(x)) return NET_DONE;
    find_end(x);
    if ((x->head_len ? x->head_len : x->in_len) > NET_HEAD_MAX) return bad(x, 431);
    enum net_parse r = feed(x);
    if (r != NET_DONE) return r;
    if (x->parser.http_major != 1 || x->parser.http_minor > 1) return bad(x, 505);
    if ((r = index_lines(x)) != NET_DONE || (r = check_headers(x)) != NET_DONE) return r;
    x->method = method_of(&x->parser);
    if (x->parser.method == HTTP_CONNECT) return bad(x, 501);
    if (!split_target(x)) return bad(x, 400);
    x->keep_alive = llhttp_should_keep_alive(&x->parser) != 0;
    return NET_DONE;
}
