/* admin.c - from an HTTP exchange to the API and back. Must never run the API on the loop's thread (it blocks), nor
 * trust a request because of what it says of itself. Tests: test/e2e/serve_test.c. */
#include "admin.h"

#include "dash.h"
#include "log.h"
#include "molt_reason.h"
#include "watch/counters.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define PATH_LEN       512
#define QUERY_LEN      2304
#define TOKEN_LEN      128
#define REQUEST_ID_LEN 24
#define MATCH_LEN      256             /* of If-Match: some tags */
#define COOKIE         "molt_session=" /* as server/api/session.c sets it */

struct admin_call {
    const struct admin_plane *plane;
    char path[PATH_LEN], query[QUERY_LEN], token[TOKEN_LEN];
    char cookie[SESSIONS_KEY_LEN], csrf[SESSIONS_KEY_LEN], after[EVENTS_ID_LEN];
    char id[REQUEST_ID_LEN]; /* X-Request-Id of the answer, and of the log */
    char from[64], if_match[MATCH_LEN], if_none_match[MATCH_LEN];
    struct api_request request;
    struct api_response response;
};

static const char *method_name(enum http_method method)
{
    switch (method) {
    case HTTP_M_GET:
    case HTTP_M_HEAD: /* answered like GET; the front leaves the body out */
        return "GET";
    case HTTP_M_POST:
        return "POST";
    case HTTP_M_PUT:
        return "PUT";
    case HTTP_M_DELETE:
        return "DELETE";
    case HTTP_M_PATCH:
        return "PATCH";
    case HTTP_M_OTHER:
        break;
    }
    return "OTHER";
}

/* Does the request bring something that may be guessed? */
static bool guesses(const struct admin_call *call)
{
    return call->plane->guesses != NULL &&
           (call->token[0] != '\0' || call->cookie[0] != '\0' || strcmp(call->path, "/api/v1/session") == 0);
}

static int64_t unix_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void refuse(struct api_response *response, int status, int reason, const char *detail)
{
    char *body = api_problem(status, reason, detail);
    *response = (struct api_response){.status = status,
                                      .body = body,
                                      .body_len = body != NULL ? strlen(body) : 0,
                                      .content_type = API_PROBLEM_TYPE};
}

/* Whoever sent many wrong tokens lately is not told whether this one is right. */
static void work(void *ctx, struct http_exchange *x)
{
    struct admin_call *call = ctx;
    const bool guess = guesses(call);
    const int64_t now_ms = unix_ms();
    if (guess && !throttle_has(call->plane->guesses, http_peer(x), now_ms)) {
        refuse(&call->response, 429, MOLT_TOO_MANY_TRIES,
               "too many wrong tokens came from this address; wait a minute");
        return;
    }
    if (call->plane->requests != NULL &&
        !throttle_take(call->plane->requests, call->token[0] != '\0' ? call->token : http_peer(x), now_ms)) {
        counters_add(COUNTER_LIMITED_API);
        refuse(&call->response, 429, MOLT_RATE_LIMITED,
               "too many requests came with this token, or from this address");
        return;
    }
    api_handle(call->plane->api, &call->request, &call->response);
    if (strcmp(call->request.method, "GET") != 0) { /* what changes something; the audit log has who */
        char path[PATH_LEN];
        (void)snprintf(path, sizeof path, "%s", call->path);
        for (char *c = path; *c != '\0'; c++)
            if (*c == '"' || *c == '\\') *c = '?'; /* it stands in quotes */
        log_event("event=api request=%s method=%s path=\"%s\" status=%d ms=%lld from=%s", call->id,
                  call->request.method, path, call->response.status, (long long)(unix_ms() - now_ms),
                  call->from);
    }
    if (guess && call->response.status == 401)
        (void)throttle_take(call->plane->guesses, http_peer(x), now_ms);
}

static void sent(void *ctx, struct http_exchange *x, bool complete, uint64_t bytes)
{
    struct admin_call *call = ctx;
    (void)x;
    (void)complete;
    (void)bytes;
    free(call->response.body);
    free(call);
}

static void count_status(int status)
{
    counters_add(status < 300   ? COUNTER_API_2XX
                 : status < 400 ? COUNTER_API_3XX
                 : status < 500 ? COUNTER_API_4XX
                                : COUNTER_API_5XX);
}

static void answer(void *ctx, struct http_exchange *x)
{
    struct admin_call *call = ctx;
    if (call->response.watches) {
        char after[EVENTS_ID_LEN];
        struct events *events = call->plane->events;
        const bool coarse = call->response.coarse;
        memcpy(after, call->after, sizeof after);
        free(call);
        events_wait(events, x, after, coarse);
        return;
    }
    count_status(call->response.status);
    const struct api_response *from = &call->response;
    const bool later = from->status == 429 || from->status == 503;
    char headers[600];
    (void)snprintf(headers, sizeof headers,
                   "X-Request-Id: %s\r\nCache-Control: no-store\r\nX-Content-Type-Options: "
                   "nosniff\r\n%s%s%s%s%s%s%s%s%s%s%s",
                   call->id, from->status == 401 ? "WWW-Authenticate: Bearer\r\n" : "",
                   later ? "Retry-After: 60\r\n" : "", from->set_cookie[0] != '\0' ? "Set-Cookie: " : "",
                   from->set_cookie, from->set_cookie[0] != '\0' ? "\r\n" : "",
                   from->etag[0] != '\0' ? "ETag: " : "", from->etag, from->etag[0] != '\0' ? "\r\n" : "",
                   from->allow[0] != '\0' ? "Allow: " : "", from->allow,
                   from->allow[0] != '\0' ? "\r\n" : "");
    struct http_response response = {.status = call->response.status,
                                     .content_type = call->response.content_type,
                                     .headers = headers,
                                     .no_length = call->response.status == 304,
                                     .body = call->response.body,
                                     .body_len = call->response.body_len,
                                     .done = sent,
                                     .done_ctx = call};
    http_respond(x, &response);
}

static bool copy(struct http_slice from, char *out, size_t cap)
{
    if (from.len >= cap || (from.len > 0 && memchr(from.p, '\0', from.len) != NULL)) return false;
    if (from.len > 0) memcpy(out, from.p, from.len);
    out[from.len] = '\0';
    return true;
}

/* The value of our cookie among the others that the browser sends. */
static void take_cookie(struct http_exchange *x, char out[SESSIONS_KEY_LEN])
{
    struct http_slice all = http_header(x, "cookie", 0);
    for (size_t i = 0; i < all.len;) {
        size_t end = i;
        while (end < all.len && all.p[end] != ';')
            end++;
        while (i < end && all.p[i] == ' ')
            i++;
        struct http_slice value = {all.p + i + sizeof COOKIE - 1, end - i - (sizeof COOKIE - 1)};
        if (end - i > sizeof COOKIE - 1 && memcmp(all.p + i, COOKIE, sizeof COOKIE - 1) == 0 &&
            !copy(value, out, SESSIONS_KEY_LEN))
            out[0] = '\0';
        i = end + 1;
    }
}

static bool slice_is(struct http_slice slice, const char *text)
{
    return slice.len == strlen(text) && strncasecmp(slice.p, text, slice.len) == 0;
}

/* Did the browser come by https? A proxy says so, or the page's own origin. Who forges it gets a cookie that goes fewer ways. */
static bool is_secure(struct http_exchange *x)
{
    static const char https[] = "https://";
    const struct http_slice origin = http_header(x, "origin", 0);
    return http_is_tls(x) || slice_is(http_header(x, "x-forwarded-proto", 0), "https") ||
           (origin.len > sizeof https - 1 && strncasecmp(origin.p, https, sizeof https - 1) == 0);
}

/* Made by the page of another origin, as the browser says: a neighbour's below the same domain, too. */
static bool is_cross_site(struct http_exchange *x)
{
    const struct http_slice site = http_header(x, "sec-fetch-site", 0);
    return site.len > 0 && !slice_is(site, "same-origin") && !slice_is(site, "none");
}

static bool take_apart(struct admin_call *call, struct http_exchange *x)
{
    struct http_slice authorization = http_header(x, "authorization", 0), body = http_body(x);
    static const char scheme[] = "Bearer ";
    if (!http_path_decode(x, call->path, sizeof call->path) ||
        !copy(http_query(x), call->query, sizeof call->query))
        return false;
    if (authorization.len > sizeof scheme - 1 &&
        strncasecmp(authorization.p, scheme, sizeof scheme - 1) == 0) {
        struct http_slice token = {authorization.p + sizeof scheme - 1,
                                   authorization.len - (sizeof scheme - 1)};
        if (!copy(token, call->token, sizeof call->token)) call->token[0] = '\0';
    }
    take_cookie(x, call->cookie);
    (void)snprintf(call->from, sizeof call->from, "%s", call->plane->trusted ? "socket" : http_peer(x));
    if (!copy(http_header(x, "x-csrf-token", 0), call->csrf, sizeof call->csrf)) call->csrf[0] = '\0';
    if (!copy(http_header(x, "last-event-id", 0), call->after, sizeof call->after)) call->after[0] = '\0';
    static atomic_ullong number;
    (void)snprintf(call->id, sizeof call->id, "%llx-%llx", (unsigned long long)unix_ms(),
                   (unsigned long long)atomic_fetch_add(&number, 1));
    const bool fits =
        copy(http_header(x, "if-match", 0), call->if_match, sizeof call->if_match) &&
        copy(http_header(x, "if-none-match", 0), call->if_none_match, sizeof call->if_none_match);
    if (!fits) return false; /* a condition that is not understood must not be taken for none */
    call->request =
        (struct api_request){.method = method_name(http_method(x)),
                             .path = call->path,
                             .query = call->query,
                             .token = call->token[0] != '\0' ? call->token : NULL,
                             .cookie = call->cookie[0] != '\0' ? call->cookie : NULL,
                             .csrf = call->csrf[0] != '\0' ? call->csrf : NULL,
                             .if_match = call->if_match[0] != '\0' ? call->if_match : NULL,
                             .if_none_match = call->if_none_match[0] != '\0' ? call->if_none_match : NULL,
                             .secure = is_secure(x),
                             .cross_site = is_cross_site(x),
                             .from = call->from,
                             .trusted = call->plane->trusted,
                             .body = body.p,
                             .body_len = body.len};
    return true;
}

void admin_handle(void *ctx, struct http_exchange *x)
{
    if (!((struct admin_plane *)ctx)->trusted && dash_handle(x)) return;
    struct admin_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        http_respond_text(x, 503, "out-of-memory\n");
        return;
    }
    call->plane = ctx;
    if (!take_apart(call, x)) {
        refuse(&call->response, 400, MOLT_REQUEST_INVALID,
               "the path, the query or a condition is malformed or too long");
        answer(call, x);
        return;
    }
    http_work(x, work, answer, call);
}
