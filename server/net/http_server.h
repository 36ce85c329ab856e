/* http_server.h - the HTTP/1.x front: sockets, TLS, parsing, limits, sending. It knows nothing of devices.
 *
 * One event loop (epoll, libuv inside) a thread; each connection belongs to one loop for life. A handler is called on the
 * loop's thread when a request is complete and answers with http_respond(), at once or later from the same loop;
 * work that blocks goes through http_work().
 *
 *     static void handle(void *ctx, struct http_exchange *x) {
 *         if (http_path_is(x, "/health")) http_respond_text(x, 200, "ok\n");
 *         else http_respond_text(x, 404, "not found\n");
 *     }
 *     struct http_listener listen[] = {{.url = "http://127.0.0.1:8266", .handler = handle}};
 *     http_server_start(&server, &options, listen, 1);
 *
 * What it guarantees whatever a peer sends: bounded memory (limits below), a strict parse (llhttp, plus what it lets
 * through: Transfer-Encoding on a request 411, space before a colon, empty header name and obs-fold 400), no header
 * from the application that could split a response, head and at least 1 KB of body in one write, over TLS the record
 * that ends the head carries at least 16 body bytes at the granted fragment length, TLS session resumption across
 * threads, max_fragment_length honoured. */
#ifndef MOLT_SERVER_HTTP_SERVER_H
#define MOLT_SERVER_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/net/net_list.h"

struct http_server;
struct http_exchange;

typedef void (*http_handler)(void *ctx, struct http_exchange *x);

/* Where to listen. url: "http://HOST:PORT", "https://HOST:PORT" ([v6] in brackets; port 0 picks a free one) or
 * "unix:PATH" (mode 0600). */
struct http_listener {
    const char *url;
    http_handler handler;
    void *handler_ctx;
    uint64_t body_max;                /* bytes a request body may have; a larger one is 413 */
    const char *cert_path, *key_path; /* PEM, for https */
    /* PEM; clients may prove themselves by a certificate of it; NULL: not asked */
    const char *client_ca_path;
    const char *client_crl_path; /* PEM: lists of certificates of it that are revoked; NULL: none */
};

struct http_options {
    unsigned threads;                     /* 0: one a CPU */
    unsigned connections_max;             /* in all; 0: as many as RLIMIT_NOFILE allows, less a reserve */
    unsigned connections_per_address_max; /* 0: no limit (many devices sit behind one NAT) */
    uint32_t head_timeout_ms;  /* from the first byte of a request to the end of its head; default 10000 */
    uint32_t body_timeout_ms;  /* without 256 more bytes of a request body, or its end; default 30000 */
    uint32_t idle_timeout_ms;  /* keep-alive without a request; default 75000 */
    uint32_t send_timeout_ms;  /* without progress of a response; default 120000 (never for being slow) */
    const struct net *proxies; /* whose X-Forwarded-For is believed: net_list.h; copied */
    size_t proxy_count;
    /* folder for bodies over 64 KiB (unlinked files); required when any body_max is larger */
    const char *spool_dir;
};

/* Starts listening and serving in threads of its own. *out is the caller's until http_server_stop().
 * Returns 0, or -1 with a sentence in err. Signals are the caller's. */
int http_server_start(struct http_server **out, const struct http_options *options,
                      const struct http_listener *listeners, size_t count, char *err, size_t err_cap);

/* The port that listener idx really has (after port 0); 0 for unix sockets. */
uint16_t http_server_port(const struct http_server *server, size_t idx);

/* The options in force: threads and waits are never 0 here. Valid until http_server_stop(). */
const struct http_options *http_server_options(const struct http_server *server);

/* Stops accepting, lets running exchanges finish for up to drain_ms, then closes what is left and joins. Waits for
 * work that http_work() began, however long. What is still parked then is dropped: its resume is never called;
 * http_resume() may be called for it until this returns, without effect. */
void http_server_stop(struct http_server *server, uint32_t drain_ms);

/* Reads certificate and key again for every https listener (SIGHUP). 0, or -1 with err; the old ones stay then, all
 * of them. Sessions begun with the old certificate do not resume: their devices do one full handshake. */
int http_server_reload_tls(struct http_server *server, char *err, size_t err_cap);

struct http_stats {
    uint64_t accepted, open, requests, refused, bytes_sent;
};
void http_server_stats(const struct http_server *server, struct http_stats *out);

/* ---- the request; valid until the response is finished ---- */
enum http_method {
    HTTP_M_GET,
    HTTP_M_HEAD,
    HTTP_M_POST,
    HTTP_M_PUT,
    HTTP_M_DELETE,
    HTTP_M_PATCH,
    HTTP_M_OTHER
};

struct http_slice {
    const char *p;
    size_t len;
};

enum http_method http_method(const struct http_exchange *x);
int http_minor_version(const struct http_exchange *x); /* 0 or 1 */
struct http_slice
http_path(const struct http_exchange *x); /* as sent (not decoded), begins with "/": a missing
                                                                   slash was added; "http://host" was cut off */
struct http_slice http_query(const struct http_exchange *x); /* without "?", may be empty */
/* Value of a header (name in lower case), trimmed; len 0 and p NULL when absent. index: 0 for the first. */
struct http_slice http_header(const struct http_exchange *x, const char *name, unsigned index);
struct http_slice
http_body(const struct http_exchange *x); /* memory, or a private mapping of the spooled file */
/* Textual address, "unix" for unix sockets. Behind a proxy of http_options: the last address of X-Forwarded-For that is no such
 * proxy's, when it is one. */
const char *http_peer(const struct http_exchange *x);
bool http_is_tls(const struct http_exchange *x);
/* The common name in the certificate that the client showed, which is one of client_ca_path. False: it showed none,
 * or one that is revoked by now. */
bool http_tls_client(const struct http_exchange *x, char *out, size_t cap);
/* True when a list in the file says that it should have been renewed by now (unix_s). False also when it cannot be read. */
bool http_crl_stale(const char *path, int64_t unix_s);
/* Percent-decodes the path into out; false when it is malformed, holds NUL, "..", a backslash or does not fit. */
bool http_path_decode(const struct http_exchange *x, char *out, size_t cap);
bool http_path_is(const struct http_exchange *x, const char *path);

/* ---- the response ---- */
struct http_response {
    int status;
    const char *content_type; /* at most 63 bytes; NULL: none is sent */
    /* extra header lines, each "Name: value\r\n"; NULL or "". Copied. A line with a bare CR, LF or NUL inside a
     * value is a caller bug: the response becomes 500 */
    const char *headers;
    /* the body, one of: */
    const void *body;
    size_t body_len; /* copied when <= 16 KiB, else must stay valid until done() */
    int file_fd;
    uint64_t file_off, file_len; /* file_fd > 0: sent with sendfile (pread over TLS); not closed here:
                                                 done() may do it */
    bool close;                  /* close the connection afterwards, also on HTTP/1.1 keep-alive */
    bool no_length;              /* 1xx, 204, 304: no Content-Length is sent */
    bool confirm;                /* done() says complete only when the peer's TCP has taken the last byte */
    /* Over TLS, sent counts what was encrypted and handed over in whole batches of up to 32 KiB, so it may be less
     * than what arrived, never more. Called once, on the loop's thread, when the response was handed to the kernel in full (complete; with confirm:
     * when it was acknowledged) or the connection ended before (not complete; sent = body bytes that were written).
     * May be NULL. */
    void (*done)(void *ctx, struct http_exchange *x, bool complete, uint64_t sent);
    void *done_ctx;
};

/* Answers. HEAD and 304 send no body but the length that GET would have. Must be called exactly once an exchange. */
void http_respond(struct http_exchange *x, const struct http_response *response);
void http_respond_text(struct http_exchange *x, int status, const char *text); /* text/plain, copied */

/* Runs work(ctx) on a worker thread, then after(ctx, x) on the loop's thread, which must respond. The exchange (and
 * its request data) stays valid; when the peer left meanwhile, after() is still called and responding is harmless. */
void http_work(struct http_exchange *x, void (*work)(void *ctx, struct http_exchange *x),
               void (*after)(void *ctx, struct http_exchange *x), void *ctx);

/* Parks the exchange: the handler returns without answering, and somebody calls http_resume() later from any
 * thread, exactly once (it has no time-out of its own: whoever parks sees to that); resume(ctx, x) then runs on the loop's thread and must respond. */
void http_park(struct http_exchange *x);
void http_resume(struct http_exchange *x, void (*resume)(void *ctx, struct http_exchange *x), void *ctx);

#endif
