/* remote.h - a request over HTTP(S) or over a server's unix socket, by libcurl. Private to client.c. */
#ifndef MOLT_CLI_REMOTE_H
#define MOLT_CLI_REMOTE_H

#include "client.h"
#include "output.h"

#define REMOTE_ANSWER_MAX (64u * 1024 * 1024) /* bytes of an answer */

struct remote_answer {
    char *body; /* malloc'ed, caller frees; NULL when empty */
    size_t len;
};

struct remote;

/* False, after printing why, when it is no address of a server. */
bool remote_url_ok(const char *url);

/* url: "http://..." or "https://...", with nothing behind host and port but a path to put before /api/v1.
 * socket_path: connect there instead, NULL: not. token: NULL: none. All copied. NULL after printing why. */
struct remote *remote_open(const char *url, const char *socket_path, const char *token);
void remote_close(struct remote *remote);

/* The HTTP status, or -1 after printing why there is no answer. */
int remote_call(struct remote *remote, const struct client_request *request, struct output_progress *progress,
                struct remote_answer *answer);

/* Percent-encodes all but RFC 3986's unreserved characters and those in keep. Returns the length without NUL; a length
 * >= cap says that it did not fit (out is then cut). */
size_t remote_escape(char *out, size_t cap, const char *text, const char *keep);

#endif
