/* admin.h - the admin plane: the REST API (server/api) behind HTTP, the dashboard, metrics and health. */
#ifndef MOLT_SERVER_ADMIN_H
#define MOLT_SERVER_ADMIN_H

#include "access/throttle.h"
#include "api/api.h"
#include "net/http_server.h"
#include "watch/events.h"

#define ADMIN_BODY_MAX (17u * 1024 * 1024) /* bytes: the largest image, and room */

struct admin_plane {
    const struct api *api;
    struct events *events;
    struct throttle *guesses;  /* wrong tokens of an address; NULL: any number */
    struct throttle *requests; /* of a token, or of an address; NULL: any number */
    bool trusted;              /* a unix socket with mode 0600: no token is asked for */
};

/* The handler; ctx: struct admin_plane. Calls the API on a worker thread. */
void admin_handle(void *ctx, struct http_exchange *x);

#endif
