/* serve_parts.h - a running `molt serve`, for serve*.c only: serve.c makes it and takes it down, serve_rules.c keeps its rules
 * current, serve_hooks.c is what the API may ask of it. */
#ifndef MOLT_SERVER_SERVE_PARTS_H
#define MOLT_SERVER_SERVE_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "admin.h"
#include "host/socket_path.h"
#include "serve.h"

#define SERVE_PATH_LEN 4096

struct serve {
    struct store *store;
    struct devices *devices;
    struct nodes *nodes;     /* NULL: the only server */
    struct replica *replica; /* NULL: none */
    struct rules_guard guard;
    struct rules_holder *rules;
    struct static_dir *static_dir;
    struct packs *packs;
    struct skins *skins;
    struct rollout_runner *runner;
    struct trends *trends;
    struct sampler *sampler;
    char data_dir[SERVE_PATH_LEN];
    struct serve_options options; /* as they are now; guarded by settings */
    pthread_mutex_t settings;
    int64_t started_ms;
    struct events *events;
    struct api api;
    struct admin_plane plane, socket_plane;
    struct nudge *nudge;
    struct hooks *hooks;
    struct throttle *requests; /* of a token at the admin plane */
    struct net proxies[SERVE_NETS_MAX];
    struct throttle *guesses; /* wrong tokens at the admin plane */
    struct oidc *oidc;        /* NULL: none */
    struct throttle *logins;  /* wrong passwords of a user */
    struct http_server *http;
    _Atomic(struct http_server *) known; /* the same, once requests may look at it */
    pthread_mutex_t reloading;
    struct http_listener listeners[SERVE_LISTEN_MAX + 2];
    size_t device_count, count;
    char socket_path[SOCKET_PATH_LEN], socket_url[SOCKET_PATH_LEN + 8], public_url[256];
    int socket_folder; /* what socket_path is made with, -1: nothing */
};

/* What the listener is for: "device", "admin", "socket". */
const char *serve_plane_name(const struct serve *serve, size_t idx);

/* ---- serve_rules.c ---- */
/* Makes the rules in the store the current ones, and tells those who wait for news. At the start, and with reloading locked. 0, or negative. */
int serve_load_rules(struct serve *serve);
/* The runner moved a rollout. ctx: struct serve, here and below. */
void serve_rollout_moved(void *ctx);
/* Another server changed the rules. *generation: what the store had. False: they could not be read. */
bool serve_others_changed_rules(void *ctx, uint64_t *generation);
/* The API changed the rules: whoever asked may count on it that no server goes by the old ones when this is over. */
void serve_rules_changed(void *ctx);
/* False: that did not hold for the change that this thread made last. Asked once a change. */
bool serve_unacknowledged(void *ctx);

/* ---- serve_hooks.c ---- */
void serve_api_hooks(struct serve *serve, struct api_hooks *out);
/* The writer wrote these devices. */
void serve_devices_written(void *ctx, const struct model_device *devices, size_t count);

#endif
