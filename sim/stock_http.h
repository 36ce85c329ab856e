/* stock_http.h - the HTTP client of the Arduino cores (HTTPClient), as far as updates use it, over real TCP: it
 * reads answers exactly as ESP8266HTTPClient.cpp and the ESP32's HTTPClient.cpp do, with their return codes.
 * Redirects are off, as they are by default in both libraries; stock_redirect.c follows them where a sketch asks for it.
 * Plain http, unless the caller brings a wire. */
#ifndef MOLT_SIM_STOCK_HTTP_H
#define MOLT_SIM_STOCK_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* HTTPClient's return codes (HTTPC_ERROR_* of both cores). */
enum stock_http_error {
    STOCK_HTTP_CONNECTION_FAILED = -1,
    STOCK_HTTP_SEND_HEADER_FAILED = -2,
    STOCK_HTTP_NOT_CONNECTED = -4,
    STOCK_HTTP_CONNECTION_LOST = -5,
    STOCK_HTTP_NO_SERVER = -7,
    STOCK_HTTP_ENCODING = -9,
    STOCK_HTTP_READ_TIMEOUT = -11,
};

#define STOCK_LOCATION_MAX 512

enum stock_platform { STOCK_ESP8266, STOCK_ESP32 };

/* How bytes travel, for callers that bring TLS or want to watch (`molt doctor`). */
struct stock_wire {
    void *ctx;
    int (*open)(void *ctx, const char *host, const char *port, bool tls); /* 0, or -1 */
    bool (*send)(void *ctx, const char *bytes, size_t len);
    /* The count, 0 when the peer closed, -1 when nothing came within timeout_ms (0: look once). TLS: bytes of one
     * record only. */
    long (*receive)(void *ctx, void *bytes, size_t cap, int timeout_ms);
    size_t (*pending)(
        void *ctx); /* bytes left of the TLS record that receive() began; NULL: there are no records */
    void (*close)(void *ctx);
};

/* One open answer. */
struct stock_http {
    enum stock_platform platform;
    const struct stock_wire *wire; /* NULL: plain TCP by fd, plain http only */
    int fd;
    int64_t length; /* Content-Length as toInt() reads it; -1: none was sent, or the answer is chunked */
    bool chunked;
    char location[STOCK_LOCATION_MAX]; /* where a redirect leads, "" when nothing was said */
    char md5[80];      /* x-MD5; duplicates joined by "," on the ESP8266, the last one on the ESP32 */
    uint8_t buf[4096]; /* received and not yet taken */
    size_t buf_pos, buf_len;
};

/* A URL in the parts that requests need. */
struct stock_place {
    char host[128], port[8];
    char header[160];        /* the Host header: no port for 80 and 443, whichever the scheme */
    char authorization[300]; /* "Authorization: Basic ...\r\n" for user:password@, else "" */
    const char *path;        /* in the URL; at least "/" */
    bool tls;
};

/* Splits "http[s]://[user:password@]host[:port]/path". False when it is anything else or a part is too long. url must
 * outlive place. Source: HTTPClient::beginInternal() of both cores. */
bool stock_place_of(const char *url, struct stock_place *place);

/* Connects, sends request (whole head, NUL-terminated) and reads the answer's head. Returns the status, or an
 * enum stock_http_error; the connection is closed then. timeout_ms: for each wait for bytes. */
int stock_http_request(struct stock_http *http, const struct stock_place *place, const char *request,
                       int timeout_ms);

/* The same over the connection that is already open; when it cannot be sent, STOCK_HTTP_SEND_HEADER_FAILED. */
int stock_http_again(struct stock_http *http, const char *request, int timeout_ms);

/* Takes and drops whatever has come, waiting wait_ms for the peer's close behind it. True when it closed. */
bool stock_http_drain(struct stock_http *http, int wait_ms);

/* Waits up to timeout_ms for at least want body bytes (want <= 4) and copies them without taking them; timeout 0
 * looks once. Over TLS an ESP8266 counts only what is left of the record that it has begun (BearSSL's peekBytes). Returns how many are there. */
size_t stock_http_peek(struct stock_http *http, uint8_t *bytes, size_t want, int timeout_ms);

/* Takes up to cap raw bytes of the body. Returns the count, 0 when the peer closed, -1 when timeout_ms passed. */
long stock_http_read(struct stock_http *http, void *bytes, size_t cap, int timeout_ms);

/* Reads the whole body as getString() does (length, chunked or until the peer closes), at most cap - 1 bytes. */
void stock_http_text(struct stock_http *http, char *text, size_t cap, int timeout_ms);

/* Closes the connection, read to its end or not. */
void stock_http_close(struct stock_http *http);

#endif
