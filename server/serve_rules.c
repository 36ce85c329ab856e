/* serve_rules.c - the current rules of a running server: loaded anew after each change, whoever made it. Must never replace a later
 * picture by an earlier one. Tests: test/e2e/serve_test.c, test/e2e/rollout_test.sh, test/e2e/nodes. */
#include <time.h>

#include "hooks/hooks.h"
#include "log.h"
#include "molt_reason.h"
#include "nodes.h"
#include "nudge.h"
#include "serve_parts.h"
#include "watch/events.h"

#define RELOAD_TRIES 10 /* a second each, where other servers are waited for anyway */

int serve_load_rules(struct serve *serve)
{
    struct store_rules data;
    int rc = store_load_rules(serve->store, &data);
    struct rules *rules = rc == 0 ? rules_build(&data) : NULL;
    if (rc != 0) return rc;
    if (rules == NULL) return -MOLT_NO_MEMORY;
    rules_count_by(rules, devices_rollouts(serve->devices));
    if (serve->options.node != NULL) rules_share(rules);
    if (serve->rules == NULL) {
        serve->rules = rules_holder_new(rules);
        if (serve->rules == NULL) rules_destroy(rules);
        if (serve->rules == NULL) return -MOLT_NO_MEMORY;
    } else {
        const struct rules *was = rules_acquire(serve->rules);
        if (nodes_lead(serve->nodes, NULL)) hooks_rules(serve->hooks, &was->data, &rules->data);
        rules_release_ref(serve->rules, was);
        rules_swap(serve->rules, rules);
    }
    nudge_rules(serve->nudge, &rules->data); /* only now: who asks at once is answered by these */
    return 0;
}

/* *generation: what the store had. */
static bool reload_rules(struct serve *serve, uint64_t *generation)
{
    pthread_mutex_lock(&serve->reloading); /* so that a later picture is never replaced by an earlier one */
    int rc = serve_load_rules(serve);
    const struct rules *rules = rules_acquire(serve->rules);
    *generation = rules->data.generation;
    rules_release_ref(serve->rules, rules);
    pthread_mutex_unlock(&serve->reloading);
    if (rc != 0) log_event("event=rules-not-loaded reason=%s", molt_reason_id(-rc));
    events_rules(serve->events);
    return rc == 0;
}

void serve_rollout_moved(void *ctx)
{
    uint64_t generation;
    (void)reload_rules(ctx, &generation);
}

static _Thread_local bool not_acknowledged; /* of the change that this thread made last */

bool serve_unacknowledged(void *ctx)
{
    const bool was = not_acknowledged;
    (void)ctx;
    not_acknowledged = false;
    return was;
}

/* The database may have gone away behind the commit. */
static bool reload_for_sure(struct serve *serve, uint64_t *generation)
{
    bool loaded = reload_rules(serve, generation);
    for (int tries = 0; !loaded && serve->nodes != NULL && tries < RELOAD_TRIES; tries++) {
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        loaded = reload_rules(serve, generation);
    }
    return loaded;
}

void serve_rules_changed(void *ctx)
{
    struct serve *serve = ctx;
    uint64_t generation;
    not_acknowledged = !reload_for_sure(serve, &generation) && serve->nodes != NULL;
    if (!not_acknowledged) not_acknowledged = !nodes_wait(serve->nodes, generation);
    if (!not_acknowledged) return;
    log_event("event=node-wait result=failed generation=%llu next-step=\"see molt node list\"",
              (unsigned long long)generation);
}

bool serve_others_changed_rules(void *ctx, uint64_t *generation)
{
    return reload_rules(ctx, generation);
}
