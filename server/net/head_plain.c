/* head_plain.c - the short way through the head of a plain GET, as every poll is: one look at each byte.
 * Must never accept what llhttp and head.c would refuse, nor read it differently: it knows only what cannot be read in
 * two ways and leaves the rest to them. Tests: test/property/head_property_test.c, test/fuzz/request_fuzz.c. */
#include "server/net/net.h"

#include <string.h>

/* What a byte may be part of. */
enum { IN_PATH = 1, IN_QUERY = 2, IN_NAME = 4, IN_VALUE = 8 };

#define ALL  (IN_PATH | IN_QUERY | IN_NAME | IN_VALUE)
#define LINK (IN_PATH | IN_QUERY | IN_VALUE)
static const uint8_t kinds[256] = {
    [' '] = IN_VALUE,  ['!'] = IN_VALUE, ['"'] = IN_VALUE,  ['#'] = IN_VALUE, ['$'] = IN_VALUE,
    ['%'] = LINK,      ['&'] = LINK,     ['\''] = IN_VALUE, ['('] = IN_VALUE, [')'] = IN_VALUE,
    ['*'] = IN_VALUE,  ['+'] = LINK,     [','] = LINK,      ['-'] = ALL,      ['.'] = LINK,
    ['/'] = LINK,      ['0'] = ALL,      ['1'] = ALL,       ['2'] = ALL,      ['3'] = ALL,
    ['4'] = ALL,       ['5'] = ALL,      ['6'] = ALL,       ['7'] = ALL,      ['8'] = ALL,
    ['9'] = ALL,       [':'] = LINK,     [';'] = IN_VALUE,  ['<'] = IN_VALUE, ['='] = LINK,
    ['>'] = IN_VALUE,  ['?'] = IN_VALUE, ['@'] = IN_VALUE,  ['A'] = ALL,      ['B'] = ALL,
    ['C'] = ALL,       ['D'] = ALL,      ['E'] = ALL,       ['F'] = ALL,      ['G'] = ALL,
    ['H'] = ALL,       ['I'] = ALL,      ['J'] = ALL,       ['K'] = ALL,      ['L'] = ALL,
    ['M'] = ALL,       ['N'] = ALL,      ['O'] = ALL,       ['P'] = ALL,      ['Q'] = ALL,
    ['R'] = ALL,       ['S'] = ALL,      ['T'] = ALL,       ['U'] = ALL,      ['V'] = ALL,
    ['W'] = ALL,       ['X'] = ALL,      ['Y'] = ALL,       ['Z'] = ALL,      ['['] = IN_VALUE,
    ['\\'] = IN_VALUE, [']'] = IN_VALUE, ['^'] = IN_VALUE,  ['_'] = ALL,      ['`'] = IN_VALUE,
    ['a'] = ALL,       ['b'] = ALL,      ['c'] = ALL,       ['d'] = ALL,      ['e'] = ALL,
    ['f'] = ALL,       ['g'] = ALL,      ['h'] = ALL,       ['i'] = ALL,      ['j'] = ALL,
    ['k'] = ALL,       ['l'] = ALL,      ['m'] = ALL,       ['n'] = ALL,      ['o'] = ALL,
    ['p'] = ALL,       ['q'] = ALL,      ['r'] = ALL,       ['s'] = ALL,      ['t'] = ALL,
    ['u'] = ALL,       ['v'] = ALL,      ['w'] = ALL,       ['x'] = ALL,      ['y'] = ALL,
    ['z'] = ALL,       ['{'] = IN_VALUE, ['|'] = IN_VALUE,  ['}'] = IN_VALUE, ['~'] = LINK,
};

/* The first byte from at on that is not of the kind; end when there is none. */
static size_t skip(const char *in, size_t at, size_t end, unsigned kind)
{
    while (at < end && (kinds[(unsigned char)in[at]] & kind))
        at++;
    return at;
}

/* The same for IN_VALUE, eight bytes at a time: the sums say in each byte's highest bit what it is not. A byte that is found
 * wrong may carry into those behind it, which nobody looks at then. */
static size_t skip_value(const char *in, size_t at, size_t end)
{
    const uint64_t each = UINT64_MAX / 255;
    for (; end - at >= 8; at += 8) {
        uint64_t word, wrong;
        memcpy(&word, in + at, 8);
        wrong = (word | ~(word + each * (0x80 - ' ')) | (word + each * (0x80 - 0x7f))) & (each * 0x80);
        if (wrong != 0) return skip(in, at, at + 8, IN_VALUE);
    }
    return skip(in, at, end, IN_VALUE);
}

/* "GET /path?query HTTP/1.1\r\n". Returns where the next line begins, 0: it is not plain. */
static size_t take_request_line(struct http_exchange *x, size_t end)
{
    static const char rest[] = " HTTP/1.1\r\n";
    const char *in = x->in;
    if (end < 5 || memcmp(in, "GET /", 5) != 0) return 0;
    size_t path_end = skip(in, 5, end, IN_PATH), at = path_end;
    bool query = at < end && in[at] == '?';
    if (query) at = skip(in, at + 1, end, IN_QUERY);
    if (end - at < sizeof rest - 1 || memcmp(in + at, rest, sizeof rest - 1) != 0) return 0;
    x->target = (struct net_span){4, at - 4};
    x->path = (struct net_span){4, path_end - 4};
    x->query = query ? (struct net_span){path_end + 1, at - path_end - 1} : (struct net_span){0, 0};
    return at + sizeof rest - 1;
}

static bool is(const char *text, size_t len, const char *lower, size_t lower_len)
{
    return len == lower_len && net_same(text, lower, len);
}

/* Headers that say something about the message or the connection: only the two that do no more than keep it or not. */
static bool take_meaning(struct http_exchange *x, const struct net_header *h, unsigned seen[2])
{
    const char *name = x->in + h->name_off, *value = x->in + h->value_off;
    switch (h->name_len) {
    case 4:
        return !is(name, 4, "host", 4) || seen[0]++ == 0;
    case 7:
        return !is(name, 7, "upgrade", 7);
    case 10:
        if (!is(name, 10, "connection", 10)) return true;
        x->keep_alive = is(value, h->value_len, "keep-alive", 10);
        return seen[1]++ == 0 && (x->keep_alive || is(value, h->value_len, "close", 5));
    case 14:
        return !is(name, 14, "content-length", 14);
    case 16:
        return !is(name, 16, "proxy-connection", 16);
    case 17:
        return !is(name, 17, "transfer-encoding", 17);
    default:
        return true;
    }
}

/* "Name: value\r\n". Returns where the next line begins, 0: it is not plain. */
static size_t take_header(struct http_exchange *x, size_t at, size_t end, struct net_header *h)
{
    const char *in = x->in;
    size_t colon = skip(in, at, end, IN_NAME);
    if (colon == at || end - colon < 3 || in[colon] != ':' || in[colon + 1] != ' ') return 0;
    size_t value = colon + 2, stop = skip_value(in, value, end);
    if (stop == value || end - stop < 2 || in[stop] != '\r' || in[stop + 1] != '\n') return 0;
    if (in[value] == ' ' || in[stop - 1] == ' ') return 0;
    *h = (struct net_header){(uint16_t)at, (uint16_t)(colon - at), (uint16_t)value, (uint16_t)(stop - value)};
    return stop + 2;
}

bool net_head_plain(struct http_exchange *x)
{
    unsigned seen[2] = {0, 0}; /* Host, Connection */
    size_t end = x->in_len < NET_HEAD_MAX ? x->in_len : NET_HEAD_MAX;
    size_t at = take_request_line(x, end);
    x->keep_alive = true;
    unsigned count = 0;
    x->name_lens = 0;
    while (at != 0 && at < end && x->in[at] != '\r') {
        struct net_header *h = &x->headers[count];
        at = count++ < NET_HEADERS_MAX ? take_header(x, at, end, h) : 0;
        if (at != 0 && !take_meaning(x, h, seen)) at = 0;
        if (at != 0) x->name_lens |= (uint64_t)1 << h->name_len % 64;
    }
    if (at == 0 || end - at < 2 || x->in[at + 1] != '\n' || seen[0] == 0) {
        x->target = (struct net_span){0, 0}; /* llhttp begins at the beginning */
        x->name_lens = 0;
        return false;
    }
    x->head_len = x->fed = at + 2;
    x->header_count = count;
    x->body_len = 0;
    x->method = HTTP_M_GET;
    x->parser.method = HTTP_GET;
    x->parser.http_major = x->parser.http_minor = 1;
    return true;
}
