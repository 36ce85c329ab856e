/* answer_head.c - writes the head of an answer. Answers of one loop are much alike, so what the last one began with, and that
 * its headers were clean, is kept. Must never let a header from the application split a response or contradict the
 * length. Tests: test/e2e/http_send_test.c, http_tls_test.c. */
#include "server/net/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

const char *net_reason_of(int status)
{
    static const struct {
        int status;
        const char *text;
    } table[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {226, "IM Used"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].status == status) return table[i].text;
    return "Other";
}

/* Appends; the space was reserved. */
static void put(struct http_exchange *x, const char *p, size_t len)
{
    memcpy(x->out + x->out_len, p, len);
    x->out_len += len;
}

#define PUT_TEXT(x, text) put((x), (text), sizeof(text) - 1)

static void put_number(struct http_exchange *x, uint64_t n)
{
    char text[20];
    size_t at = sizeof text;
    do {
        text[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    put(x, text + at, sizeof text - at);
}

static bool reserve(struct http_exchange *x, size_t cap)
{
    if (cap <= x->out_cap) return true;
    char *out = realloc(x->out, cap);
    if (!out) return false;
    x->out = out;
    x->out_cap = cap;
    return true;
}

/* Headers that only this file may write. */
static bool is_ours(const char *name, size_t len)
{
    static const char *const ours[] = {"content-length", "transfer-encoding", "connection", "date"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strlen(ours[i]) == len && strncasecmp(name, ours[i], len) == 0) return true;
    return false;
}

static bool value_is_clean(const char *p, const char *end)
{
    for (; p < end; p++)
        if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f) return false;
    return true;
}

/* Whole lines "Name: value\r\n", nothing else. */
static bool lines_are_clean(const char *p)
{
    while (*p) {
        const char *name = p, *end = strchr(p, '\n');
        if (!end || end == p || end[-1] != '\r') return false;
        while (net_token_char((unsigned char)*p))
            p++;
        if (p == name || *p != ':' || is_ours(name, (size_t)(p - name)) || !value_is_clean(p + 1, end - 1))
            return false;
        p = end + 1;
    }
    return true;
}

/* Bytes of the headers, when they are clean; SIZE_MAX: they are not. */
static size_t clean_len(struct net_loop *loop, const char *headers)
{
    if (!headers) return 0;
    if (strcmp(headers, loop->clean) == 0) return loop->clean_len;
    if (!lines_are_clean(headers)) return SIZE_MAX;
    size_t len = strlen(headers);
    if (len >= sizeof loop->clean) return len;
    memcpy(loop->clean, headers, len + 1);
    loop->clean_len = len;
    return len;
}

/* "Connection" as the request's version needs it; says whether the connection may stay. */
static void put_connection(struct http_exchange *x, const struct http_response *r)
{
    bool stopping = atomic_load_explicit(&x->loop->server->stopping, memory_order_relaxed);
    x->close_after = r->close || !x->keep_alive || stopping;
    if (x->close_after)
        PUT_TEXT(x, "Connection: close\r\n");
    else if (x->parser.http_minor == 0)
        PUT_TEXT(x, "Connection: keep-alive\r\n");
}

/* The record that ends the head must carry body bytes: BearSSL clients on ESP8266 wait for the fourth byte of the
 * body inside the record that they are reading, in vain when it ends earlier. A header moves the end. */
static void put_padding(struct http_exchange *x)
{
    static const char line[] = "X-Padding: 0000000000000000000\r\n";
    size_t fragment = net_tls_fragment(x->conn);
    size_t in_last = (x->out_len + 2) % fragment;
    if (in_last == 0 || in_last > fragment - 16) put(x, line, sizeof line - 1);
}

/* Status, date and type. False: the type is none. */
static bool make_start(struct net_start *start, const struct http_response *r, const char *type, time_t now)
{
    struct tm tm;
    char date[40];
    const size_t type_len = strlen(type);
    if (!value_is_clean(type, type + type_len) || type_len >= sizeof start->type) return false;
    start->status = 0; /* until all of it is there */
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    int len =
        snprintf(start->bytes, sizeof start->bytes, "HTTP/1.1 %d %s\r\nDate: %s\r\n%s%s%s", r->status,
                 net_reason_of(r->status), date, *type ? "Content-Type: " : "", type, *type ? "\r\n" : "");
    if (len < 0 || (size_t)len >= sizeof start->bytes) return false;
    memcpy(start->type, type, type_len + 1);
    start->len = (size_t)len;
    start->status = r->status;
    start->second = now;
    return true;
}

static bool put_start(struct http_exchange *x, const struct http_response *r)
{
    struct net_start *start = &x->loop->start;
    const char *type = r->content_type ? r->content_type : "";
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    bool same = start->status == r->status && start->second == now.tv_sec && strcmp(start->type, type) == 0;
    if (!same && !make_start(start, r, type, now.tv_sec)) return false;
    put(x, start->bytes, start->len);
    return true;
}

bool net_answer_head(struct http_exchange *x, const struct http_response *r, uint64_t length, bool body,
                     size_t first)
{
    bool with_length = !r->no_length && r->status != 204 && !(r->status == 304 && length == 0);
    size_t headers = clean_len(x->loop, r->headers);
    if (r->status < 200 || r->status > 599 || headers == SIZE_MAX) return false;
    if (!reserve(x, sizeof x->loop->start.bytes + 160 + headers + first)) return false;
    x->out_len = x->out_off = 0;
    if (!put_start(x, r)) return false;
    if (with_length) {
        PUT_TEXT(x, "Content-Length: ");
        put_number(x, length);
        PUT_TEXT(x, "\r\n");
    }
    put_connection(x, r);
    if (headers) put(x, r->headers, headers);
    if (x->conn->tls && body) put_padding(x);
    PUT_TEXT(x, "\r\n");
    x->out_head_len = x->out_len;
    return true;
}
