/* durable.c - answers that acknowledge a reported result: they leave when the result is durable, and not before, for the
 * device forgets it then. Must never acknowledge what may be lost. Tests: test/e2e/skins_checkin_test.c, test/e2e/ddi_test.c. */
#include "skin.h"

#include <stdlib.h>
#include <string.h>

struct waiting {
    struct skins *skins;
    struct http_exchange *x;
    const char *content_type;
    bool kept;
    size_t len;
    uint8_t body[MOLT_CHECKIN_MAX];
};

static void respond(struct http_exchange *x, const char *content_type, const uint8_t *body, size_t len)
{
    struct http_response response = {.status = 200,
                                     .content_type = content_type,
                                     .headers = "Cache-Control: no-store\r\n",
                                     .body = body,
                                     .body_len = len};
    http_respond(x, &response);
}

/* The result was taken, but nobody can say that it is kept: the device shall report it again. */
static void ask_again(struct http_exchange *x)
{
    struct http_response response = {.status = 503, .headers = "Retry-After: 60\r\n"};
    http_respond(x, &response);
}

void skin_ask_again(struct ask *ask)
{
    ask_again(ask->x);
}

static void respond_waited(void *ctx, struct http_exchange *x)
{
    struct waiting *waiting = ctx;
    atomic_fetch_sub(&waiting->skins->in_flight, 1);
    if (waiting->kept)
        respond(x, waiting->content_type, waiting->body, waiting->len);
    else
        ask_again(x);
    free(waiting);
}

static void is_durable(void *ctx, bool kept)
{
    struct waiting *waiting = ctx;
    struct skins *skins = waiting->skins;
    waiting->kept = kept;
    http_resume(waiting->x, respond_waited, waiting);
    skin_wait_end(skins);
}

void skin_respond_when_durable(struct ask *ask, const char *content_type, const uint8_t *body, size_t len)
{
    struct waiting *waiting = calloc(1, sizeof *waiting);
    if (waiting == NULL || !skin_wait_begin(ask->skins)) {
        free(waiting);
        ask_again(ask->x);
        return;
    }
    *waiting = (struct waiting){.skins = ask->skins, .x = ask->x, .content_type = content_type, .len = len};
    if (len > 0) memcpy(waiting->body, body, len);
    atomic_fetch_add(&ask->skins->in_flight, 1);
    http_park(ask->x);
    devices_when_durable(ask->skins->options.devices, ask->id, is_durable, waiting);
}
