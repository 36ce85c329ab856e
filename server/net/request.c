/* request.c - what a handler may ask about its request.
 * Must never hand out a byte that head.c did not check. Tests: test/e2e/http_conformance_test.c. */
#include "server/net/net.h"

#include <arpa/inet.h>
#include <string.h>

enum http_method http_method(const struct http_exchange *x)
{
    return x->method;
}

int http_minor_version(const struct http_exchange *x)
{
    return x->parser.http_minor;
}

struct http_slice http_path(const struct http_exchange *x)
{
    if (x->path.len == 0) return (struct http_slice){"/", 1};
    return (struct http_slice){x->in + x->path.off, x->path.len};
}

struct http_slice http_query(const struct http_exchange *x)
{
    if (x->query.len == 0) return (struct http_slice){"", 0};
    return (struct http_slice){x->in + x->query.off, x->query.len};
}

struct http_slice http_header(const struct http_exchange *x, const char *name, unsigned index)
{
    size_t len = strlen(name);
    if ((x->name_lens >> len % 64 & 1) == 0) return (struct http_slice){NULL, 0}; /* most that is asked for */
    for (unsigned i = 0; i < x->header_count; i++) {
        const struct net_header *h = &x->headers[i];
        if (h->name_len != len || !net_same(x->in + h->name_off, name, len)) continue;
        if (index-- == 0) return (struct http_slice){x->in + h->value_off, h->value_len};
    }
    return (struct http_slice){NULL, 0};
}

struct http_slice http_body(const struct http_exchange *x)
{
    if (x->body_len == 0) return (struct http_slice){"", 0};
    if (x->spool_fd >= 0) return (struct http_slice){x->spool_map, (size_t)x->body_len};
    return (struct http_slice){x->in + x->head_len, (size_t)x->body_len};
}

/* As inet_ntop() does, without its sprintf(): every poll is recorded with its address. */
#define FORWARDED_MAX   1024 /* bytes of X-Forwarded-For that are looked at; more: none is believed */
#define FORWARDED_LINES 8

static void write_v4(const uint8_t bytes[4], char *out)
{
    for (int i = 0; i < 4; i++) {
        if (bytes[i] >= 100) *out++ = (char)('0' + bytes[i] / 100);
        if (bytes[i] >= 10) *out++ = (char)('0' + bytes[i] / 10 % 10);
        *out++ = (char)('0' + bytes[i] % 10);
        *out++ = i < 3 ? '.' : '\0';
    }
}

/* The last address of the header that is no proxy's, into out. What is no address ends it: it stands for nobody. */
static void take_forwarded(const struct http_exchange *x, const struct http_options *o, char *out)
{
    char text[FORWARDED_MAX + 1];
    size_t len = 0;
    for (unsigned i = 0; i < FORWARDED_LINES; i++) { /* several lines are one list */
        struct http_slice line = http_header(x, "x-forwarded-for", i);
        if (line.p == NULL) break;
        if (len + line.len + 1 > FORWARDED_MAX) return;
        if (len > 0) text[len++] = ',';
        memcpy(text + len, line.p, line.len);
        len += line.len;
    }
    while (len > 0) {
        char one[INET6_ADDRSTRLEN];
        size_t begin = len;
        while (begin > 0 && text[begin - 1] != ',')
            begin--;
        size_t from = begin, to = len;
        while (from < to && (text[from] == ' ' || text[from] == '\t'))
            from++;
        while (to > from && (text[to - 1] == ' ' || text[to - 1] == '\t'))
            to--;
        if (to - from >= sizeof one) return;
        memcpy(one, text + from, to - from);
        one[to - from] = '\0';
        if (strchr(one, '/') != NULL || !net_list_ok(one)) return;
        memcpy(out, one, sizeof one);
        if (!net_list_has(o->proxies, o->proxy_count, one)) return;
        len = begin > 0 ? begin - 1 : 0;
    }
}

const char *http_peer(const struct http_exchange *x)
{
    char *out =
        ((struct http_exchange *)(uintptr_t)x)->peer; /* a cache: formatting is dear and seldom wanted */
    const struct in6_addr *addr = &x->conn->addr;
    const struct http_options *o = &x->conn->loop->server->options;
    if (out[0]) return out;
    if (x->conn->listener->unix_path) return "unix";
    if (IN6_IS_ADDR_V4MAPPED(addr))
        write_v4(&addr->s6_addr[12], out);
    else
        inet_ntop(AF_INET6, addr, out, INET6_ADDRSTRLEN);
    if (o->proxy_count > 0 && net_list_has(o->proxies, o->proxy_count, out)) take_forwarded(x, o, out);
    return out;
}

bool http_is_tls(const struct http_exchange *x)
{
    return x->conn->listener->tls;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Undoes %XX; the rest is copied as it is. False: something that is no escape, or too long. */
static bool unescape(struct http_slice path, char *out, size_t cap, size_t *len)
{
    size_t n = 0;
    for (size_t i = 0; i < path.len; i++) {
        int c = (unsigned char)path.p[i];
        if (c == '%') {
            if (path.len - i < 3 || hex(path.p[i + 1]) < 0 || hex(path.p[i + 2]) < 0) return false;
            c = hex(path.p[i + 1]) * 16 + hex(path.p[i + 2]);
            i += 2;
        }
        if (n + 1 >= cap) return false;
        out[n++] = (char)c;
    }
    *len = n;
    return true;
}

static bool has_two_dots(const char *text, size_t len)
{
    const char *end = text + len;
    while ((text = memchr(text, '.', (size_t)(end - text))) != NULL)
        if (*++text == '.') return true; /* a NUL is behind the last byte */
    return false;
}

bool http_path_decode(const struct http_exchange *x, char *out, size_t cap)
{
    struct http_slice path = http_path(x);
    size_t len = path.len;
    if (cap == 0) return false;
    if (memchr(path.p, '%', path.len) != NULL) {
        if (!unescape(path, out, cap, &len)) return false;
    } else {
        if (path.len >= cap) return false;
        memcpy(out, path.p, path.len);
    }
    out[len] = '\0';
    return memchr(out, '\0', len) == NULL && memchr(out, '\\', len) == NULL && !has_two_dots(out, len);
}

bool http_path_is(const struct http_exchange *x, const char *path)
{
    struct http_slice p = http_path(x);
    return strlen(path) == p.len && memcmp(path, p.p, p.len) == 0;
}
