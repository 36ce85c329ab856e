/* http.h - the HTTP/1.1 client's words without a wire: URLs, a request writer, an incremental response
 * parser. No sockets, no heap, no recursion; nothing here waits or allocates.
 *
 *     molt_url_parse(&url, "http://10.0.0.2:8266/fota/5CCF7FC602E2.version");
 *     molt_request_write(&(struct molt_request){.url = &url}, head, sizeof head, &head_len);
 *     send(head, head_len);
 *     molt_response_begin(&res, &(struct molt_response_expect){0}, location, sizeof location);
 *     while ((n = receive(buf)) > 0)
 *         while ((rc = molt_response_feed(&res, &in, &n, &body, &body_len)) > 0)
 *             if (rc == MOLT_HTTP_BODY) use(body, body_len);
 *
 * Sources: RFC 9110, RFC 9112, RFC 3986, RFC 7617 (Basic). */
#ifndef MOLT_HTTP_H
#define MOLT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../molt_reason.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef MOLT_HTTP_URL_MAX
/* characters of a URL, redirects included; signed cloud URLs need up to 2047 */
#define MOLT_HTTP_URL_MAX 511u
#endif
#define MOLT_HOST_MAX      100u  /* characters of a host name or address */
#define MOLT_HTTP_HEAD_MAX 8192u /* bytes of a response's head, interim responses and trailers included */
#define MOLT_ETAG_MAX      71u   /* characters of an ETag, quotes included */

/* ---- URLs ---- */

/* Part of a text; not NUL-terminated. */
struct molt_span {
    const char *at;
    size_t len;
};

/* A URL in parts; the spans point into the text it was parsed from (or at a static "/"). */
struct molt_url {
    bool tls;                  /* https */
    bool is_ipv6;              /* host is an IPv6 address, without its brackets */
    uint16_t port;             /* 1 to 65535; 80 or 443 when the text has none */
    struct molt_span userinfo; /* "user:password" as written, percent-encoded; len 0: none */
    struct molt_span host;     /* 1 to MOLT_HOST_MAX characters */
    struct molt_span path;     /* path and query, begins with "/"; a fragment is left out */
};

/* Parses an absolute http or https URL, NUL-terminated, of at most MOLT_HTTP_URL_MAX characters. text must
 * outlive url. Returns 0 or -MOLT_BAD_URL (url is then undefined): another scheme, no host, a port that is
 * none, spaces, quotes, backslashes, controls or bytes beyond ASCII. */
int molt_url_parse(struct molt_url *url, const char *text);

/* Follows a redirect: replaces the URL in text (a valid one; room for cap bytes) by location, which is an
 * absolute URL, "//host/path" or a path beginning with "/". Credentials stay only with a path.
 * Returns 0 or -MOLT_REDIRECT_REFUSED: from https to http, another relative form, not a URL, or too long;
 * text is then undefined. location must not lie in text. */
int molt_url_redirect(char *text, size_t cap, const char *location);

/* ---- requests ---- */

/* Texts are NUL-terminated; NULL: leave out. */
struct molt_request {
    bool http10; /* HTTP/1.0, as stock clients ask, so that no server answers in chunks */
    const struct molt_url *url;
    const char *user_agent; /* NULL: "molt/<version>", and the chip behind a space */
    const char *chip;    /* of molt_chip_name(): a server of files cannot know it otherwise; NULL: not said */
    uint32_t range_from; /* > 0: "Range: bytes=<range_from>-" */
    const char *if_range; /* strong ETag with its quotes, for a range */
};

enum molt_method { MOLT_GET = 0, MOLT_POST = 1 };

/* What else may be said. */
struct molt_request_more {
    enum molt_method method;
    const char *extra;        /* complete header lines, each ended by CR LF */
    const char *content_type; /* POST */
    uint32_t content_len;     /* POST: bytes that follow the head */
};

/* Writes the head of a GET (request line to empty line; "Connection: close") into out and its length into *len. Returns 0,
 * or -MOLT_ARG when it does not fit, a field holds a control character or the URL has credentials; *len is then
 * undefined. */
int molt_request_write(const struct molt_request *request, char *out, size_t cap, size_t *len);

/* The same with more, and credentials in the URL become Basic authorization; -MOLT_ARG also when they are badly encoded, or
 * when extra is anything but printable lines. Firmware that only downloads from URLs without credentials does not link it. */
int molt_request_write_more(const struct molt_request *request, const struct molt_request_more *more,
                            char *out, size_t cap, size_t *len);

/* ---- responses ---- */

enum molt_http_event {
    MOLT_HTTP_MORE = 0, /* everything given was taken; feed more */
    MOLT_HTTP_HEAD = 1, /* the head is complete: the public fields are valid. Once */
    MOLT_HTTP_BODY = 2, /* *body, *body_len: the next bytes of the body, in the caller's own buffer */
    MOLT_HTTP_DONE = 3, /* the response is complete; bytes left over are not part of it */
};

/* What was asked, as far as the answer depends on it. */
struct molt_response_expect {
    uint32_t range_from; /* of the request; 0: no range was asked for */
};

/* Caller-allocated, about 200 bytes. */
struct molt_response {
    uint16_t status;
    bool has_length;        /* the body's length was said (Content-Length) */
    bool has_retry_after;   /* in seconds; the date form is ignored */
    uint32_t length;        /* bytes of body, when has_length */
    uint32_t retry_after_s; /* when has_retry_after */
    uint32_t total;         /* 206: bytes of the whole file, 0 when not said */
    char *location;         /* caller's buffer; "" when there was no Location or it did not fit */
    /* ---- private, but for etag ---- */
    char *value;                 /* where the value being read is kept */
    size_t value_cap, value_len; /* characters that fit there, and that it has */
    uint32_t head_len;           /* bytes of head, chunk lines and trailer seen */
    uint32_t left;               /* bytes of the body or chunk to come */
    uint32_t received;           /* bytes of body delivered */
    uint8_t state, header, flags, fill;
    int failed;
    struct molt_response_expect expect;
    uint32_t range_first, range_last;
    size_t location_cap;
    char text[40];                /* the name or short value being read */
    char etag[MOLT_ETAG_MAX + 1]; /* a strong one, with its quotes; "" when none, weak or too long */
};

/* Starts a response. location: cap bytes (at least 1) for the text of a Location header; must outlive res. */
void molt_response_begin(struct molt_response *res, const struct molt_response_expect *expect, char *location,
                         size_t cap);

/* Takes bytes from *data (advancing *data and *len by what was taken) until there is an event. Call again
 * with what is left until it returns MOLT_HTTP_MORE or MOLT_HTTP_DONE. Interim (1xx) responses are skipped.
 * Failures are sticky:
 * -MOLT_HTTP_MALFORMED (not HTTP/1.0 or 1.1, conflicting lengths, folded or broken header lines, bad chunks),
 * -MOLT_HTTP_HEAD_LONG, -MOLT_HTTP_ENCODING (a Transfer-Encoding but chunked, or a 2xx with a
 * Content-Encoding but identity), -MOLT_HTTP_RANGE (206 that does not fit what was asked), -MOLT_TOO_LARGE
 * (more than 2^32 - 1 bytes). */
int molt_response_feed(struct molt_response *res, const uint8_t **data, size_t *len, const uint8_t **body,
                       size_t *body_len);

/* Says that the peer has closed. Returns MOLT_HTTP_DONE when the response is complete (a body without a
 * length ends here), else the sticky failure or -MOLT_CONNECTION_LOST. */
int molt_response_end(struct molt_response *res);

#ifdef __cplusplus
}
#endif
#endif
