/* respond.c - decides how the body of a response leaves; its head: answer_head.c.
 * Must never send another length than was announced. Tests: test/e2e/http_send_test.c, http_tls_test.c. */
#include "server/net/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

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
    bool bodiless = x->method == HTTP_M_HEAD || r->status == 304 || r->status == 204 || length == 0;
    size_t first = bodiless ? 0 : first_part(r);
    x->body = NULL;
    x->file_fd = -1;
    x->body_rest = 0;
    if (r->body_len > 0 && !r->body) return false;
    if (!net_answer_head(x, r, length, !bodiless, first)) return false;
    if (bodiless) return true;
    x->body_rest = length;
    if (file) {
        x->file_fd = r->file_fd;
        x->file_off = r->file_off;
        return put_file_start(x, first);
    }
    memcpy(x->out + x->out_len, r->body, first);
    x->out_len += first;
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
    } else if (build(x, response)) {
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
    const char *text = net_reason_of(status);
    struct http_response r = {.status = status,
                              .content_type = "text/plain",
                              .body = text,
                              .body_len = strlen(text),
                              .close = true};
    http_respond(x, &r);
}
