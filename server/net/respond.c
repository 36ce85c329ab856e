/* respond.c - builds the head of a response and decides how its body leaves.
 * Must never let a header from the application split a response or contradict the length. Tests:
 * test/e2e/http_send_test.c, http_tls_test.c. */
#include "server/net/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char *reason_of(int status)
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

static void put_str(struct http_exchange *x, const char *s)
{
    put(x, s, strlen(s));
}

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

/* Most answers have the very lines of the answer before. */
static bool headers_are_clean(struct net_loop *loop, const char *p)
{
    if (strcmp(p, loop->clean) == 0) return true;
    if (!lines_are_clean(p)) return false;
    size_t len = strlen(p);
    if (len < sizeof loop->clean) memcpy(loop->clean, p, len + 1);
    return true;
}

static bool response_is_sane(struct net_loop *loop, const struct http_response *r)
{
    if (r->status < 200 || r->status > 599) return false;
    if (r->body_len > 0 && !r->body) return false;
    if (r->content_type && !value_is_clean(r->content_type, r->content_type + strlen(r->content_type)))
        return false;
    return !r->headers || headers_are_clean(loop, r->headers);
}

/* "Connection" as the request's version needs it; says whether the connection may stay. */
static void put_connection(struct http_exchange *x, const struct http_response *r)
{
    bool stopping = atomic_load_explicit(&x->loop->server->stopping, memory_order_relaxed);
    x->close_after = r->close || !x->keep_alive || stopping;
    if (x->close_after)
        put_str(x, "Connection: close\r\n");
    else if (x->parser.http_minor == 0)
        put_str(x, "Connection: keep-alive\r\n");
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

static void put_status(struct http_exchange *x, int status)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\n";
    if (status == 200) {
        put(x, ok, sizeof ok - 1);
        return;
    }
    put_str(x, "HTTP/1.1 ");
    put_number(x, (uint64_t)status);
    put_str(x, " ");
    put_str(x, reason_of(status));
    put_str(x, "\r\n");
}

static void put_head(struct http_exchange *x, const struct http_response *r, uint64_t length,
                     bool with_length)
{
    put_status(x, r->status);
    put(x, net_loop_date(x->conn->loop), NET_DATE_LEN);
    if (r->content_type) {
        put_str(x, "Content-Type: ");
        put_str(x, r->content_type);
        put_str(x, "\r\n");
    }
    if (with_length) {
        put_str(x, "Content-Length: ");
        put_number(x, length);
        put_str(x, "\r\n");
    }
    put_connection(x, r);
    if (r->headers) put_str(x, r->headers);
}

/* Puts the first bytes of the file behind the head. */
static bool put_file_start(struct http_exchange *x, size_t len)
{
    while (len > 0) {
        ssize_t n = pread(x->file_fd, x->out + x->out_len, len, (off_t)x->file_off);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return false; /* shorter than announced: nothing has been sent yet, so it can still be a 500 */
        x->out_len += (size_t)n;
        x->file_off += (uint64_t)n;
        x->body_rest -= (uint64_t)n;
        len -= (size_t)n;
    }
    return true;
}

static size_t first_part(const struct http_response *r)
{
    if (r->file_fd > 0)
        return (size_t)(r->file_len <= NET_BODY_COPY_MAX ? r->file_len : (uint64_t)NET_FIRST_BODY);
    return r->body_len <= NET_BODY_COPY_MAX ? r->body_len : 0;
}

static bool build(struct http_exchange *x, const struct http_response *r)
{
    bool file = r->file_fd > 0;
    uint64_t length = file ? r->file_len : r->body_len;
    bool bodiless = x->method == HTTP_M_HEAD || r->status == 304 || r->status == 204;
    bool with_length = !r->no_length && r->status != 204 && !(r->status == 304 && length == 0);
    size_t first = bodiless ? 0 : first_part(r);
    size_t texts = (r->headers ? strlen(r->headers) : 0) + (r->content_type ? strlen(r->content_type) : 0);
    if (!reserve(x, 320 + texts + first)) return false;

    x->out_len = x->out_off = 0;
    x->body = NULL;
    x->file_fd = -1;
    x->body_rest = 0;
    put_head(x, r, length, with_length);
    if (x->conn->tls && !bodiless && length > 0) put_padding(x);
    put_str(x, "\r\n");
    x->out_head_len = x->out_len;
    if (bodiless || length == 0) return true;
    x->body_rest = length;
    if (file) {
        x->file_fd = r->file_fd;
        x->file_off = r->file_off;
        return put_file_start(x, first);
    }
    if (first) put(x, r->body, first);
    x->body = (const char *)r->body + first;
    x->body_rest -= first;
    return true;
}

static void abandon(struct http_exchange *x, const struct http_response *r)
{
    if (r->done) r->done(r->done_ctx, x, false, 0);
    x->done = NULL;
}

void http_respond(struct http_exchange *x, const struct http_response *response)
{
    static const struct http_response failed = {.status = 500, .close = true};
    x->sent = 0;
    x->confirm = false;
    if (x->conn->state == NET_CLOSED) { /* the peer left meanwhile */
        abandon(x, response);
    } else if (response_is_sane(x->loop, response) && build(x, response)) {
        x->confirm = response->confirm;
        x->done = response->done;
        x->done_ctx = response->done_ctx;
    } else {
        abandon(x, response);
        if (!build(x, &failed)) net_conn_close(x->conn);
    }
    net_conn_answered(x);
}

static void free_copy(void *ctx, struct http_exchange *x, bool complete, uint64_t sent)
{
    (void)x;
    (void)complete;
    (void)sent;
    free(ctx);
}

void http_respond_text(struct http_exchange *x, int status, const char *text)
{
    struct http_response r = {
        .status = status, .content_type = "text/plain", .body = text, .body_len = strlen(text)};
    if (r.body_len > NET_BODY_COPY_MAX) {
        r.body = r.done_ctx = strdup(text);
        r.done = free_copy;
    }
    http_respond(x, &r);
}

void net_respond_error(struct http_exchange *x, int status)
{
    const char *text = reason_of(status);
    struct http_response r = {.status = status,
                              .content_type = "text/plain",
                              .body = text,
                              .body_len = strlen(text),
                              .close = true};
    http_respond(x, &r);
}
