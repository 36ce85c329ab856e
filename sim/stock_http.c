/* stock_http.c - Arduino's HTTPClient over real TCP, with its reading habits and its return codes.
 * Must never be cleverer than the real one: it is what the server is judged by.
 * Tests: test/e2e/stock_client_test.c, test/e2e/doctor/. */
#include "stock_http.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_MAX_LEN 1024

/* base64 (RFC 4648) of the user's name and password as they stand in the URL; false when it does not fit. */
static bool basic(const char *text, size_t len, char out[300])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char name[] = "Authorization: Basic ";
    size_t have = sizeof name - 1;
    if (have + (len + 2) / 3 * 4 + 3 > 300) return false;
    memcpy(out, name, have);
    for (size_t i = 0; i < len; i += 3) {
        uint32_t three = 0;
        for (size_t k = 0; k < 3; k++)
            three = three << 8 | (i + k < len ? (uint8_t)text[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            out[have++] = k <= len - i ? digits[three >> (18 - 6 * k) & 63] : '=';
    }
    memcpy(out + have, "\r\n", 3);
    return true;
}

static bool split_authority(const char *authority, size_t len, struct stock_place *place)
{
    const char *at = memchr(authority, '@', len);
    if (at != NULL) {
        if (!basic(authority, (size_t)(at - authority), place->authorization)) return false;
        len -= (size_t)(at + 1 - authority);
        authority = at + 1;
    }
    const char *colon = memchr(authority, ':', len);
    size_t host_len = colon != NULL ? (size_t)(colon - authority) : len;
    size_t port_len = colon != NULL ? len - host_len - 1 : 0;
    if (host_len == 0 || host_len >= sizeof place->host || port_len >= sizeof place->port) return false;
    if (colon != NULL && port_len == 0) return false;
    memcpy(place->host, authority, host_len);
    place->host[host_len] = '\0';
    if (port_len == 0)
        snprintf(place->port, sizeof place->port, "%s", place->tls ? "443" : "80");
    else
        snprintf(place->port, sizeof place->port, "%.*s", (int)port_len, colon + 1);
    return strspn(place->port, "0123456789") == strlen(place->port);
}

bool stock_place_of(const char *url, struct stock_place *place)
{
    memset(place, 0, sizeof *place);
    place->tls = strncmp(url, "https://", 8) == 0;
    if (!place->tls && strncmp(url, "http://", 7) != 0) return false;
    const char *authority = url + (place->tls ? 8 : 7);
    const size_t len = strcspn(authority, "/");
    place->path = authority[len] == '/' ? authority + len : "/";
    if (!split_authority(authority, len, place)) return false;
    bool usual = strcmp(place->port, "80") == 0 || strcmp(place->port, "443") == 0;
    snprintf(place->header, sizeof place->header, "%s%s%s", place->host, usual ? "" : ":",
             usual ? "" : place->port);
    return true;
}

static int connect_to(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0) return -1;
    int fd = -1;
    for (struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd;
}

static bool send_all(struct stock_http *http, const char *text)
{
    size_t len = strlen(text);
    if (http->wire != NULL) return http->wire->send(http->wire->ctx, text, len);
    while (len > 0) {
        ssize_t n = send(http->fd, text, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

/* Up to cap raw bytes: the count, 0 when the peer closed, -1 when nothing came in time. */
static long receive(struct stock_http *http, void *bytes, size_t cap, int timeout_ms)
{
    if (http->wire != NULL) return http->wire->receive(http->wire->ctx, bytes, cap, timeout_ms);
    struct pollfd wait = {.fd = http->fd, .events = POLLIN};
    if (poll(&wait, 1, timeout_ms) <= 0) return -1;
    ssize_t n = recv(http->fd, bytes, cap, 0);
    return n > 0 ? (long)n : 0;
}

/* 1: there are bytes in the buffer; 0: the peer closed; -1: nothing came in time. */
static int fill(struct stock_http *http, int timeout_ms)
{
    if (http->buf_pos < http->buf_len) return 1;
    long n = receive(http, http->buf, sizeof http->buf, timeout_ms);
    if (n <= 0) return (int)n;
    http->buf_pos = 0;
    http->buf_len = (size_t)n;
    return 1;
}

/* One line as readStringUntil('\n') with trim(): 1, or what fill() said when no line could be read. */
static int read_line(struct stock_http *http, char line[LINE_MAX_LEN], int timeout_ms)
{
    size_t len = 0;
    for (;;) {
        int got = fill(http, timeout_ms);
        if (got <= 0) return got;
        char c = (char)http->buf[http->buf_pos++];
        if (c == '\n') break;
        if (len < LINE_MAX_LEN - 1) line[len++] = c;
    }
    while (len > 0 && strchr(" \t\r", line[len - 1]) != NULL)
        len--;
    line[len] = '\0';
    return 1;
}

/* Arduino's String::toInt(): atol on a 32-bit long, which saturates. */
static int64_t to_int(const char *text)
{
    long long v = strtoll(text, NULL, 10);
    if (v > INT32_MAX) return INT32_MAX;
    return v < INT32_MIN ? INT32_MIN : v;
}

static void take_md5(struct stock_http *http, const char *value)
{
    if (http->md5[0] != '\0' && http->platform == STOCK_ESP8266) {
        size_t have = strlen(http->md5);
        snprintf(http->md5 + have, sizeof http->md5 - have, ",%s", value);
    } else {
        snprintf(http->md5, sizeof http->md5, "%s", value);
    }
}

/* Reads the head as handleHeaderResponse() does. */
static int read_head(struct stock_http *http, int timeout_ms)
{
    char line[LINE_MAX_LEN], encoding[64] = "";
    int status = -1;
    for (;;) {
        int got = read_line(http, line, timeout_ms);
        if (got == 0) return STOCK_HTTP_CONNECTION_LOST;
        if (got < 0) return STOCK_HTTP_READ_TIMEOUT;
        if (strncmp(line, "HTTP/1.", 7) == 0) {
            status = strlen(line) >= 9 ? (int)to_int(line + 9) : -1;
        } else if (line[0] == '\0') {
            break;
        } else {
            char *colon = strchr(line, ':');
            if (colon == NULL) continue;
            *colon = '\0';
            const char *value = colon + 1 + strspn(colon + 1, " \t");
            if (strcasecmp(line, "Content-Length") == 0) http->length = to_int(value);
            if (strcasecmp(line, "Transfer-Encoding") == 0) snprintf(encoding, sizeof encoding, "%s", value);
            if (strcasecmp(line, "Location") == 0)
                snprintf(http->location, sizeof http->location, "%s", value);
            if (strcasecmp(line, "x-MD5") == 0) take_md5(http, value);
        }
    }
    if (status <= 0) return STOCK_HTTP_NO_SERVER;
    if (encoding[0] != '\0') {
        bool identity = strcasecmp(encoding, "identity") == 0 && http->platform == STOCK_ESP32;
        http->chunked = strcasecmp(encoding, "chunked") == 0;
        if (!http->chunked && !identity) return STOCK_HTTP_ENCODING;
    }
    return status;
}

static bool connect_now(struct stock_http *http, const struct stock_place *place)
{
    if (http->wire != NULL)
        return http->wire->open(http->wire->ctx, place->host, place->port, place->tls) == 0;
    http->fd = place->tls ? -1 : connect_to(place->host, place->port);
    return http->fd >= 0;
}

int stock_http_request(struct stock_http *http, const struct stock_place *place, const char *request,
                       int timeout_ms)
{
    http->fd = -1;
    if (!connect_now(http, place)) return STOCK_HTTP_CONNECTION_FAILED;
    return stock_http_again(http, request, timeout_ms);
}

int stock_http_again(struct stock_http *http, const char *request, int timeout_ms)
{
    http->length = -1;
    http->chunked = false;
    http->md5[0] = http->location[0] = '\0';
    http->buf_pos = http->buf_len = 0;
    if (!send_all(http, request)) {
        stock_http_close(http);
        return STOCK_HTTP_SEND_HEADER_FAILED;
    }
    int status = read_head(http, timeout_ms);
    if (status < 0) stock_http_close(http);
    return status;
}

bool stock_http_drain(struct stock_http *http, int wait_ms)
{
    long n;
    http->buf_pos = http->buf_len = 0;
    while ((n = receive(http, http->buf, sizeof http->buf, wait_ms)) > 0) {
    }
    return n == 0;
}

static bool record_is_over(struct stock_http *http)
{
    return http->wire != NULL && http->wire->pending != NULL && http->wire->pending(http->wire->ctx) == 0;
}

size_t stock_http_peek(struct stock_http *http, uint8_t *bytes, size_t want, int timeout_ms)
{
    size_t have = http->buf_len - http->buf_pos;
    if (have < want) { /* make room, so that a few bytes can be completed */
        memmove(http->buf, http->buf + http->buf_pos, have);
        http->buf_pos = 0;
        http->buf_len = have;
    }
    while (http->buf_len - http->buf_pos < want) {
        if (http->buf_len > http->buf_pos && record_is_over(http)) break; /* a begun record never grows */
        long n = receive(http, http->buf + http->buf_len, sizeof http->buf - http->buf_len, timeout_ms);
        if (n <= 0) break;
        http->buf_len += (size_t)n;
    }
    have = http->buf_len - http->buf_pos;
    if (have > want) have = want;
    memcpy(bytes, http->buf + http->buf_pos, have);
    return have;
}

long stock_http_read(struct stock_http *http, void *bytes, size_t cap, int timeout_ms)
{
    int got = fill(http, timeout_ms);
    if (got <= 0) return got;
    size_t n = http->buf_len - http->buf_pos;
    if (n > cap) n = cap;
    memcpy(bytes, http->buf + http->buf_pos, n);
    http->buf_pos += n;
    return (long)n;
}

/* Appends up to len raw bytes to text; false when the peer closed or was silent. */
static bool take_text(struct stock_http *http, char *text, size_t *have, size_t cap, uint64_t len,
                      int timeout_ms)
{
    while (len > 0) {
        char piece[256];
        long n = stock_http_read(http, piece, len < sizeof piece ? (size_t)len : sizeof piece, timeout_ms);
        if (n <= 0) return false;
        for (long i = 0; i < n && *have + 1 < cap; i++)
            text[(*have)++] = piece[i];
        len -= (uint64_t)n;
    }
    return true;
}

void stock_http_text(struct stock_http *http, char *text, size_t cap, int timeout_ms)
{
    size_t have = 0;
    if (http->chunked) {
        char line[LINE_MAX_LEN];
        while (read_line(http, line, timeout_ms) > 0) {
            unsigned long len = strtoul(line, NULL, 16);
            if (len == 0 || !take_text(http, text, &have, cap, len, timeout_ms)) break;
            if (read_line(http, line, timeout_ms) <= 0) break; /* the CRLF behind the chunk */
        }
    } else {
        uint64_t len = http->length >= 0 ? (uint64_t)http->length : cap;
        (void)take_text(http, text, &have, cap, len < cap ? len : cap, timeout_ms);
    }
    text[have] = '\0';
}

void stock_http_close(struct stock_http *http)
{
    if (http->wire != NULL) http->wire->close(http->wire->ctx);
    if (http->fd >= 0) close(http->fd);
    http->fd = -1;
}
