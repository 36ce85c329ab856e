/* request.c - writes the head of a request.
 * Must never write a line that the fields smuggled in. Tests: test/unit/http_request_test.c. */
#include "http.h"

#include <string.h>

#include "../molt_version.h"
#include "../util/text.h"

struct out {
    char *at;
    size_t left;
    bool failed;
};

static void put(struct out *out, const char *text, size_t len)
{
    if (len > out->left) {
        out->failed = true;
        out->left = 0; /* nothing comes behind what is missing */
        return;
    }
    memcpy(out->at, text, len);
    out->at += len;
    out->left -= len;
}

static void put_text(struct out *out, const char *text)
{
    put(out, text, strlen(text));
}

static void put_number(struct out *out, const char *begin, uint32_t value)
{
    char digits[MOLT_DECIMAL_MAX];
    put_text(out, begin);
    put(out, digits, molt_u32_to_text(value, digits));
}

/* A header line that begins with this text, unless its value is NULL. */
static void put_header(struct out *out, const char *begin, const char *value)
{
    if (value == NULL) return;
    if (!molt_text_printable(value, strlen(value))) out->failed = true;
    put_text(out, begin);
    put_text(out, value);
    put_text(out, "\r\n");
}

/* The digit of base64 for six bits, by arithmetic: a table would lie in RAM. */
static char base64_digit(uint32_t bits)
{
    bits &= 63;
    return (char)(bits < 26   ? 'A' + bits
                  : bits < 52 ? 'a' + bits - 26
                  : bits < 62 ? '0' + bits - 52
                  : bits < 63 ? '+'
                              : '/');
}

/* The next byte of percent-encoded credentials; *at goes behind it. */
static uint32_t userinfo_byte(struct out *out, struct molt_span userinfo, size_t *at)
{
    uint32_t byte = (uint8_t)userinfo.at[(*at)++];
    if (byte != '%') return byte;
    if (userinfo.len - *at < 2 || !molt_hex_to_u32(userinfo.at + *at, 2, 255, &byte)) out->failed = true;
    *at += 2;
    return byte;
}

/* RFC 7617 over the decoded credentials. */
static void put_basic(struct out *out, struct molt_span userinfo)
{
    put_text(out, "Authorization: Basic ");
    for (size_t at = 0; at < userinfo.len;) {
        char four[4];
        uint32_t bits = 0;
        int bytes = 0;
        for (; bytes < 3 && at < userinfo.len; bytes++)
            bits |= userinfo_byte(out, userinfo, &at) << (16 - 8 * bytes);
        for (int i = 0; i < 4; i++, bits <<= 6)
            four[i] = i <= bytes ? base64_digit(bits >> 18) : '=';
        put(out, four, 4);
    }
    put_text(out, "\r\n");
}

static void put_host(struct out *out, const struct molt_url *url)
{
    put_text(out, url->is_ipv6 ? "Host: [" : "Host: ");
    put(out, url->host.at, url->host.len);
    if (url->is_ipv6) put_text(out, "]");
    if (url->port != (url->tls ? 443 : 80)) put_number(out, ":", url->port);
    put_text(out, "\r\n");
}

/* Header lines from elsewhere: printable, each ended by CR LF, none empty or folded. */
static void put_extra(struct out *out, const char *extra)
{
    bool at_start = true;
    for (const char *c = extra; *c != '\0'; c++) {
        if (*c == '\r' && c[1] == '\n' && !at_start) {
            c++;
            at_start = true;
            continue;
        }
        if (!molt_text_printable(c, 1) || (at_start && *c == ' ')) out->failed = true;
        at_start = false;
    }
    if (!at_start) out->failed = true;
    put_text(out, extra);
}

static void put_start(struct out *out, const struct molt_request *request, const char *method)
{
    const struct molt_url *url = request->url;
    put_text(out, method);
    put(out, url->path.at, url->path.len);
    put_text(out, request->http10 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
    put_host(out, url);
    if (request->user_agent == NULL) {
        put_text(out, "User-Agent: molt/" MOLT_VERSION);
        put_header(out, request->chip != NULL ? " " : "", request->chip != NULL ? request->chip : "");
    }
    put_header(out, "User-Agent: ", request->user_agent);
}

static void put_rest(struct out *out, const struct molt_request *request)
{
    put_text(out, "Connection: close\r\n");
    if (request->range_from > 0) {
        put_number(out, "Range: bytes=", request->range_from);
        put_text(out, "-\r\n");
        put_header(out, "If-Range: ", request->if_range);
    }
}

static int end(struct out *out, const char *head, size_t *len)
{
    put_text(out, "\r\n");
    *len = (size_t)(out->at - head);
    return out->failed ? -MOLT_ARG : 0;
}

int molt_request_write(const struct molt_request *request, char *head, size_t cap, size_t *len)
{
    struct out out = {head, cap, request->url->userinfo.len > 0};
    put_start(&out, request, "GET ");
    put_rest(&out, request);
    return end(&out, head, len);
}

int molt_request_write_more(const struct molt_request *request, const struct molt_request_more *more,
                            char *head, size_t cap, size_t *len)
{
    struct out out = {head, cap, false};
    put_start(&out, request, more->method == MOLT_POST ? "POST " : "GET ");
    if (request->url->userinfo.len > 0) put_basic(&out, request->url->userinfo);
    put_rest(&out, request);
    if (more->extra != NULL) put_extra(&out, more->extra);
    if (more->method == MOLT_POST) {
        put_header(&out, "Content-Type: ", more->content_type);
        put_number(&out, "Content-Length: ", more->content_len);
        put_text(&out, "\r\n");
    }
    return end(&out, head, len);
}
