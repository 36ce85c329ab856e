/* operate.h - what operators keep in the store besides: filters with a name, webhooks and their deliveries. Calls as in store.h. */
#ifndef MOLT_HOST_STORE_OPERATE_H
#define MOLT_HOST_STORE_OPERATE_H

#include "store.h"

/* ---- filters with a name (filters.c) ---- */
#define STORE_FILTERS_MAX 500
struct store_filter {
    char name[MODEL_NAME_LEN];
    char filter[MODEL_FILTER_LEN]; /* canonical */
    char note[MODEL_DETAIL_LEN];
    char changed_by[MODEL_NAME_LEN];
    int64_t changed_ms;
};
/* Makes it, or puts it in the place of the one of that name. -MOLT_STATE: there are STORE_FILTERS_MAX. */
int store_filter_put(struct store *store, const struct store_filter *filter);
int store_filter_get(struct store *store, const char *name, struct store_filter *out); /* -MOLT_NOT_FOUND */
int store_filter_delete(struct store *store, const char *name);                        /* -MOLT_NOT_FOUND */
/* By name; as store_each_device(). */
int store_each_filter(struct store *store, int (*row)(void *ctx, const struct store_filter *filter),
                      void *ctx);

/* ---- webhooks (hooks.c) ---- */
#define STORE_HOOKS_MAX      32
#define STORE_HOOK_URL_LEN   512
#define STORE_HOOK_SECRET    44 /* "whsec_" and 32 letters and digits, with room */
#define STORE_HOOK_BODY_LEN  2048
#define STORE_HOOK_QUEUE_MAX 2000 /* deliveries of one that wait */
#define STORE_HOOK_KEPT      100  /* ... that are done, the last ones */
struct store_hook {
    int64_t id;
    char url[STORE_HOOK_URL_LEN];
    char secret[STORE_HOOK_SECRET]; /* kept as it is: it signs */
    uint32_t events;                /* bits of server/hooks/event.def */
    bool enabled;
    char note[MODEL_DETAIL_LEN];
    char created_by[MODEL_NAME_LEN];
    int64_t created_ms;
};
/* Sets the id. -MOLT_STATE: there are STORE_HOOKS_MAX. */
int store_hook_create(struct store *store, struct store_hook *hook);
/* Sets url, secret, events, enabled and note of the one with hook->id. -MOLT_NOT_FOUND. */
int store_hook_set(struct store *store, const struct store_hook *hook);
int store_hook_get(struct store *store, int64_t id, struct store_hook *out); /* -MOLT_NOT_FOUND */
/* With its deliveries. -MOLT_NOT_FOUND. */
int store_hook_delete(struct store *store, int64_t id);
/* By id. */
int store_each_hook(struct store *store, int (*row)(void *ctx, const struct store_hook *hook), void *ctx);

enum store_delivery_state { STORE_DELIVERY_WAITS = 0, STORE_DELIVERY_DONE, STORE_DELIVERY_GIVEN_UP };
struct store_delivery {
    int64_t id, hook_id;
    char event[32];
    int64_t created_ms, next_ms; /* next_ms: when it is tried next */
    uint32_t tries;
    enum store_delivery_state state;
    uint32_t status;              /* HTTP status of the last try; 0: there was no answer */
    char error[MODEL_DETAIL_LEN]; /* of the last try, for people */
    char body[STORE_HOOK_BODY_LEN];
};
/* Adds a delivery to each of count hooks, in one transaction, and sets their ids; one whose hook is gone, or has
 * STORE_HOOK_QUEUE_MAX waiting, is left out and its id is 0. */
int store_delivery_add(struct store *store, struct store_delivery *deliveries, size_t count);
/* The oldest that waits of the hook. -MOLT_NOT_FOUND: none does. */
int store_delivery_first(struct store *store, int64_t hook_id, struct store_delivery *out);
/* Sets what a try came to; of those that are done the last STORE_HOOK_KEPT of the hook stay. */
int store_delivery_save(struct store *store, const struct store_delivery *delivery);
/* The last `limit` of the hook below id `before` (0: all), newest first. */
int store_each_delivery(struct store *store, int64_t hook_id, int64_t before, uint32_t limit,
                        int (*row)(void *ctx, const struct store_delivery *delivery), void *ctx);
int store_delivery_waiting(struct store *store, uint64_t *count);

/* ---- retention (prune.c) ---- */
/* Forgets ends of attempts before that moment, but the last one of each device. *count: how many. */
int store_prune_attempts(struct store *store, int64_t before_ms, int64_t *count);

#endif
