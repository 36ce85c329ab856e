/* rollout_runner.c - the thread that judges rollouts (rollout_runner.h). Must never hold a device while it
 * waits for the store, nor change a rollout that changed since it was judged. Tests: test/unit/rollout_test.c, test/e2e/rollout_test.sh. */
#include "rollout_runner.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "../log.h"
#include "host/store/clock.h"
#include "host/store/nodes.h"
#include "molt_reason.h"

#define PERIOD_MS        1000
#define EXPIRE_PERIOD_MS 10000 /* a sweep looks at every device */

struct rollout_runner {
    struct rollout_runner_parts parts;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop; /* guarded by lock */
};

static void log_change(const struct model_rollout *rollout)
{
    static const char *const names[] = {"", "running", "paused", "done", "aborted", "waiting"};
    log_event("event=rollout id=%lld status=%s phase=%u note=\"%s\"", (long long)rollout->id,
              names[rollout->status], rollout->phase + 1, rollout->note);
}

/* epoch 0: the only server. */
static int save(const struct rollout_runner_parts *parts, const struct model_rollout *was,
                const struct model_rollout *is, int64_t epoch)
{
    return epoch == 0 ? store_rollout_update(parts->store, was, is)
                      : store_rollout_advance(parts->store, was, is, "leader", epoch);
}

uint32_t rollout_runner_judge(const struct rollout_runner_parts *parts, int64_t now_ms)
{
    uint32_t changed = 0;
    int64_t epoch = 0;
    if (parts->lead != NULL && !parts->lead(parts->ctx, &epoch)) return 0;
    const struct rules *rules = rules_acquire(parts->rules);
    for (uint32_t i = 0; i < rules->data.rollout_count; i++) {
        const struct model_rollout *rollout = &rules->data.rollouts[i];
        struct rollout_counts counts;
        struct model_rollout next;
        rollout_table_read(devices_rollouts(parts->devices), rollout->id, &counts);
        if (!rollout_judge(rollout, &counts, now_ms, &next)) continue;
        int rc = save(parts, rollout, &next, epoch);
        if (rc == 0) {
            changed++;
            log_change(&next);
        } else if (rc != -MOLT_STATE) {
            log_event("event=rollout-not-saved id=%lld reason=%s", (long long)rollout->id,
                      molt_reason_id(-rc));
        }
    }
    rules_release_ref(parts->rules, rules);
    if (changed > 0) parts->changed(parts->ctx);
    return changed;
}

struct sweep {
    const struct rules *rules;
    int64_t now_ms;
};

static enum devices_change expire(void *ctx, struct model_device *device, bool is_new)
{
    const struct sweep *sweep = ctx;
    (void)is_new;
    if (!device->rollout_open) return DEVICES_UNCHANGED;
    const struct model_product *product = rules_product(sweep->rules, device->product_id);
    bool believed = device->verified || (product != NULL && product->trust_unverified);
    const struct model_rollout *rollout = rules_rollout(sweep->rules, device->rollout_id);
    return rollout_settle(rollout, device, believed, sweep->now_ms) ? DEVICES_CHANGED : DEVICES_UNCHANGED;
}

void rollout_runner_expire(const struct rollout_runner_parts *parts, int64_t now_ms)
{
    struct sweep sweep = {.rules = rules_acquire(parts->rules), .now_ms = now_ms};
    bool open = false;
    int64_t epoch;
    const bool mine = parts->lead == NULL || parts->lead(parts->ctx, &epoch);
    for (uint32_t i = 0; mine && i < sweep.rules->data.rollout_count && !open; i++) {
        struct rollout_counts counts;
        rollout_table_read(devices_rollouts(parts->devices), sweep.rules->data.rollouts[i].id, &counts);
        open = counts.open > 0;
    }
    if (open) devices_sweep(parts->devices, expire, &sweep);
    rules_release_ref(parts->rules, sweep.rules);
}

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* False when it is time to stop. */
static bool wait_period(struct rollout_runner *runner)
{
    int64_t due = clock_ms(CLOCK_MONOTONIC) + PERIOD_MS;
    struct timespec when = {.tv_sec = (time_t)(due / 1000), .tv_nsec = (long)(due % 1000) * 1000000};
    pthread_mutex_lock(&runner->lock);
    while (!runner->stop && pthread_cond_timedwait(&runner->wake, &runner->lock, &when) == 0) {
    }
    bool goes_on = !runner->stop;
    pthread_mutex_unlock(&runner->lock);
    return goes_on;
}

/* A line when the store falls ill, and one when it is well again. */
static void tell_health(struct store *store, bool *ill)
{
    struct store_health health;
    store_health(store, &health);
    if (*ill == (health.ill_since_ms != 0)) return;
    *ill = !*ill;
    if (*ill)
        log_event("event=store-ill backend=%s why=\"%s\"", health.backend, health.why);
    else
        log_event("event=store-well backend=%s", health.backend);
}

static void *run(void *arg)
{
    struct rollout_runner *runner = arg;
    bool store_ill = false;
    int64_t expired = clock_ms(CLOCK_MONOTONIC);
    while (wait_period(runner)) {
        tell_health(runner->parts.store, &store_ill);
        if (clock_ms(CLOCK_MONOTONIC) - expired >= EXPIRE_PERIOD_MS) {
            rollout_runner_expire(&runner->parts, clock_now_ms());
            expired = clock_ms(CLOCK_MONOTONIC);
        }
        rollout_runner_judge(&runner->parts, clock_now_ms());
    }
    return NULL;
}

int rollout_runner_start(struct rollout_runner **out, const struct rollout_runner_parts *parts)
{
    struct rollout_runner *runner = calloc(1, sizeof *runner);
    pthread_condattr_t attributes;
    *out = NULL;
    if (runner == NULL) return -MOLT_NO_MEMORY;
    runner->parts = *parts;
    pthread_mutex_init(&runner->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&runner->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&runner->thread, NULL, run, runner) != 0) {
        pthread_cond_destroy(&runner->wake);
        pthread_mutex_destroy(&runner->lock);
        free(runner);
        return -MOLT_NO_MEMORY;
    }
    *out = runner;
    return 0;
}

void rollout_runner_stop(struct rollout_runner *runner)
{
    if (!runner) return;
    pthread_mutex_lock(&runner->lock);
    runner->stop = true;
    pthread_cond_signal(&runner->wake);
    pthread_mutex_unlock(&runner->lock);
    pthread_join(runner->thread, NULL);
    pthread_cond_destroy(&runner->wake);
    pthread_mutex_destroy(&runner->lock);
    free(runner);
}
