/* nodes.c - one of several servers (nodes.h): the thread that follows the others. Must never count as heard what was not taken over, nor
 * use a slot that it gave back. Tests: test/unit/nodes_test.c, test/e2e/nodes. */
#include "nodes.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/store/clock.h"
#include "log.h"
#include "molt_reason.h"

#define PERIOD_MS 1000
#define LEAD_MS   3000    /* between two looks at the lease */
#define HOUSE_MS  10000   /* ... at the dead, and at their slots */
#define PULSE_MS  2000    /* ... of saying that it lives, while it reads the devices */
#define FORGET_MS 3000000 /* not heard for longer: what changed may be forgotten (an hour is kept) */
#define WAIT_MS   50      /* ... at how far the others are, when somebody waits for it */
#define CAPPED_MAX                                                                                           \
    256 /* rollouts with a limit of devices at a time that share slots; the rest offer nothing */

struct nodes {
    struct nodes_parts parts;
    struct store *store; /* the thread's own connection */
    struct store *waits; /* of who waits for the others; guarded by waiting */
    pthread_mutex_t waiting;
    pthread_t thread, pulse;
    pthread_mutex_t lock;
    pthread_cond_t wake, calm;
    bool running, stop, hurry, pulsing; /* guarded by lock */
    _Atomic int64_t
        heard_ms; /* clock_up_ms() before the last question that was answered and taken over; 0: none yet */
    _Atomic int64_t lease; /* epoch, 0: another leads */
    /* ---- the thread's own ---- */
    uint64_t generation;
    int64_t stamp, lead_ms, house_ms;
    uint32_t live;
    bool anew; /* all devices must be looked at again */
    bool was_behind, was_leader;
};

/* ---- what others ask ---- */

static int64_t behind_ms(const struct nodes *nodes)
{
    return clock_up_ms() - atomic_load_explicit(&nodes->heard_ms, memory_order_relaxed);
}

bool nodes_behind(void *ctx)
{
    return ctx != NULL && behind_ms(ctx) > STORE_NODE_BEHIND_MS;
}

bool nodes_lead(const struct nodes *nodes, int64_t *epoch)
{
    if (epoch != NULL) *epoch = 0;
    if (nodes == NULL) return true;
    const int64_t lease = atomic_load(&nodes->lease);
    if (epoch != NULL) *epoch = lease;
    return lease != 0 && behind_ms(nodes) <= STORE_NODE_BEHIND_MS;
}

/* ---- a round ---- */

static int ask_round(struct store *store, uint64_t generation, int64_t stamp, struct store_node_round *out,
                     int64_t *asked_ms)
{
    *asked_ms = clock_up_ms();
    int rc = store_node_round(store, generation, stamp, out);
    if (rc == 0) clock_follow(out->db_ms, *asked_ms, clock_up_ms());
    return rc;
}

/* ---- while it reads the devices ---- */

static void monotonic_in(struct timespec *when, int ms)
{
    clock_gettime(CLOCK_MONOTONIC, when);
    when->tv_nsec += (long)(ms % 1000) * 1000000;
    when->tv_sec += ms / 1000 + when->tv_nsec / 1000000000;
    when->tv_nsec %= 1000000000;
}

/* It lives, and goes by no rules yet. */
static void *pulse(void *arg)
{
    struct nodes *nodes = arg;
    struct store_node_round round;
    pthread_mutex_lock(&nodes->lock);
    while (nodes->pulsing) {
        struct timespec when;
        monotonic_in(&when, PULSE_MS);
        const int64_t stamp = nodes->stamp;
        pthread_mutex_unlock(&nodes->lock);
        pthread_mutex_lock(&nodes->waiting);
        (void)store_recover(nodes->waits);
        (void)store_node_round(nodes->waits, 0, stamp, &round);
        pthread_mutex_unlock(&nodes->waiting);
        pthread_mutex_lock(&nodes->lock);
        while (nodes->pulsing && pthread_cond_timedwait(&nodes->calm, &nodes->lock, &when) == 0) {
        }
    }
    pthread_mutex_unlock(&nodes->lock);
    return NULL;
}

static int pulse_begin(struct nodes *nodes)
{
    nodes->pulsing = true;
    if (pthread_create(&nodes->pulse, NULL, pulse, nodes) == 0) return 0;
    nodes->pulsing = false;
    return -MOLT_NO_MEMORY;
}

static void pulse_end(struct nodes *nodes)
{
    pthread_mutex_lock(&nodes->lock);
    const bool was = nodes->pulsing;
    nodes->pulsing = false;
    pthread_cond_signal(&nodes->calm);
    pthread_mutex_unlock(&nodes->lock);
    if (was) pthread_join(nodes->pulse, NULL);
}

/* ---- what comes ---- */

static int take_change(void *ctx, const char *id, const struct model_device *device, int64_t gone_ms)
{
    return devices_take(ctx, id, device, gone_ms);
}

/* Everything up to the round's stamp. */
static bool take_devices(struct nodes *nodes, const struct store_node_round *round)
{
    int more = 1;
    if (nodes->anew) {
        const int begun = pulse_begin(nodes);
        int rc = devices_take_all(nodes->parts.devices, nodes->store);
        if (begun == 0) pulse_end(nodes);
        if (rc < 0) return false;
        nodes->anew = false;
        nodes->stamp = round->stamp;
    }
    while (more == 1)
        more =
            store_each_change(nodes->store, &nodes->stamp, round->stamp, take_change, nodes->parts.devices);
    return more == 0;
}

static bool take_rules(struct nodes *nodes, const struct store_node_round *round)
{
    if (round->generation <= nodes->generation) return true;
    return nodes->parts.load_rules(nodes->parts.ctx, &nodes->generation);
}

/* It was away for so long that others took it for dead. */
static void join_anew(struct nodes *nodes)
{
    int rc = store_node_join(nodes->store);
    log_event("event=node-joins-anew result=%s", rc >= 0 ? "ok" : molt_reason_id(-rc));
    if (rc < 0) return;
    nodes->anew = nodes->anew || rc == 1 || behind_ms(nodes) > FORGET_MS;
    atomic_store(&nodes->lease, 0);
}

static bool take_all(struct nodes *nodes)
{
    struct store_node_round round;
    int64_t asked_ms;
    int rc = ask_round(nodes->store, nodes->generation, nodes->stamp, &round, &asked_ms);
    if (rc == -MOLT_STATE) join_anew(nodes);
    if (rc < 0) return false;
    const uint64_t before = nodes->generation;
    nodes->live = round.live;
    if (!take_rules(nodes, &round) || !take_devices(nodes, &round)) return false;
    atomic_store(&nodes->heard_ms, asked_ms);
    /* somebody may wait for this */
    if (nodes->generation != before)
        (void)ask_round(nodes->store, nodes->generation, nodes->stamp, &round, &asked_ms);
    return true;
}

/* ---- slots ---- */

struct capped {
    struct nodes *nodes;
    struct store_slots orders[CAPPED_MAX], *order;
    size_t count;
};

static bool is_capped(const struct model_rollout *rollout)
{
    return rollout->max_open > 0 && rollout->status != MODEL_ROLLOUT_ABORTED;
}

static void collect_capped(struct nodes *nodes, struct capped *capped)
{
    const uint32_t refused = devices_refused_full(nodes->parts.devices);
    const struct rules *rules = rules_acquire(nodes->parts.rules);
    for (uint32_t i = 0; i < rules->data.rollout_count && capped->count < CAPPED_MAX; i++) {
        const struct model_rollout *rollout = &rules->data.rollouts[i];
        struct rollout_counts counts;
        if (!is_capped(rollout)) continue;
        rollout_table_read(devices_rollouts(nodes->parts.devices), rollout->id, &counts);
        capped->orders[capped->count++] =
            (struct store_slots){.rollout_id = rollout->id,
                                 .cap = rollout->max_open,
                                 .used = counts.mine,
                                 .wanted = counts.mine >= counts.slots ? refused : 0};
    }
    rules_release_ref(nodes->parts.rules, rules);
}

/* Nobody opens an offer now: what is given back is not used from here on. */
static void give_back(void *ctx)
{
    const struct capped *capped = ctx;
    struct store_slots *order = capped->order;
    struct rollout_counts counts;
    rollout_table_read(devices_rollouts(capped->nodes->parts.devices), order->rollout_id, &counts);
    order->used = counts.mine;
    if (order->slots < counts.mine && counts.mine <= counts.slots) order->slots = counts.mine;
    if (order->slots < counts.slots)
        devices_set_slots(capped->nodes->parts.devices, order->rollout_id, order->slots);
}

static void before_commit(void *ctx, struct store_slots *order)
{
    struct capped *capped = ctx;
    capped->order = order;
    devices_hold_offers(capped->nodes->parts.devices, give_back, capped);
}

static void share_slots(struct nodes *nodes)
{
    struct capped *capped = calloc(1, sizeof *capped);
    if (capped == NULL) return;
    capped->nodes = nodes;
    collect_capped(nodes, capped);
    int rc =
        store_slots_take(nodes->store, capped->orders, capped->count, nodes->live, before_commit, capped);
    for (size_t i = 0; rc == 0 && i < capped->count; i++)
        devices_set_slots(nodes->parts.devices, capped->orders[i].rollout_id, capped->orders[i].slots);
    free(capped);
}

/* ---- what one does for all ---- */

#define OPEN_MAX 512

struct open_offers {
    struct open_row {
        int64_t rollout_id;
        uint32_t node, count;
    } rows[OPEN_MAX];
    size_t count;
    bool full;
};

static enum devices_change count_open(void *ctx, struct model_device *device, bool is_new)
{
    struct open_offers *open = ctx;
    size_t i = 0;
    (void)is_new;
    if (!device->rollout_open || device->rollout_node == 0) return DEVICES_UNCHANGED;
    while (i < open->count &&
           (open->rows[i].rollout_id != device->rollout_id || open->rows[i].node != device->rollout_node))
        i++;
    if (i == OPEN_MAX) {
        open->full = true;
        return DEVICES_UNCHANGED;
    }
    if (i == open->count)
        open->rows[open->count++] =
            (struct open_row){.rollout_id = device->rollout_id, .node = device->rollout_node};
    open->rows[i].count++;
    return DEVICES_UNCHANGED;
}

static uint32_t open_of(void *ctx, int64_t rollout_id, uint32_t node)
{
    const struct open_offers *open = ctx;
    if (open->full) return UINT32_MAX; /* nobody knows: nothing is given back */
    for (size_t i = 0; i < open->count; i++)
        if (open->rows[i].rollout_id == rollout_id && open->rows[i].node == node) return open->rows[i].count;
    return 0;
}

static void keep_house(struct nodes *nodes)
{
    uint32_t dead = 0;
    struct open_offers *open = calloc(1, sizeof *open);
    int rc = store_node_bury(nodes->store, &dead);
    if (dead > 0) log_event("event=node-dead count=%u next-step=\"see molt node list\"", dead);
    if (open != NULL && rc == 0) {
        devices_sweep(nodes->parts.devices, count_open, open);
        (void)store_slots_reclaim(nodes->store, open_of, open);
        (void)store_prune_changes(nodes->store);
    }
    free(open);
}

static void take_lead(struct nodes *nodes)
{
    int64_t epoch = 0;
    if (clock_up_ms() - nodes->lead_ms < LEAD_MS) return;
    nodes->lead_ms = clock_up_ms();
    if (store_lease_take(nodes->store, "leader", &epoch) < 0) epoch = 0;
    atomic_store(&nodes->lease, epoch);
    if (nodes->was_leader != (epoch != 0)) log_event("event=node leads=%s", epoch != 0 ? "yes" : "no");
    nodes->was_leader = epoch != 0;
    if (epoch == 0 || clock_up_ms() - nodes->house_ms < HOUSE_MS) return;
    nodes->house_ms = clock_up_ms();
    keep_house(nodes);
}

/* ---- the thread ---- */

static void tell_behind(struct nodes *nodes)
{
    const int64_t ms = behind_ms(nodes);
    const bool behind = ms > STORE_NODE_BEHIND_MS;
    if (behind != nodes->was_behind)
        log_event("event=node behind=%s ms=%lld", behind ? "yes" : "no", (long long)ms);
    nodes->was_behind = behind;
}

/* False when it is time to stop. */
static bool wait_period(struct nodes *nodes)
{
    struct timespec when;
    monotonic_in(&when, PERIOD_MS);
    pthread_mutex_lock(&nodes->lock);
    while (!nodes->stop && !nodes->hurry && pthread_cond_timedwait(&nodes->wake, &nodes->lock, &when) == 0) {
    }
    const bool goes_on = !nodes->stop;
    nodes->hurry = false;
    pthread_mutex_unlock(&nodes->lock);
    return goes_on;
}

static void *follow(void *arg)
{
    struct nodes *nodes = arg;
    do {
        (void)store_recover(nodes->store);
        tell_behind(nodes);
        if (!take_all(nodes)) continue;
        tell_behind(nodes);
        share_slots(nodes);
        take_lead(nodes);
    } while (wait_period(nodes));
    return NULL;
}

static void free_nodes(struct nodes *nodes)
{
    store_close(nodes->store);
    store_close(nodes->waits);
    pthread_cond_destroy(&nodes->wake);
    pthread_cond_destroy(&nodes->calm);
    pthread_mutex_destroy(&nodes->lock);
    pthread_mutex_destroy(&nodes->waiting);
    free(nodes);
}

static struct nodes *new_nodes(void)
{
    struct nodes *nodes = calloc(1, sizeof *nodes);
    pthread_condattr_t attributes;
    if (nodes == NULL) return NULL;
    nodes->live = 1;
    atomic_store(&nodes->heard_ms, clock_up_ms() - STORE_NODE_LIVE_MS); /* nothing yet */
    pthread_mutex_init(&nodes->lock, NULL);
    pthread_mutex_init(&nodes->waiting, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&nodes->wake, &attributes);
    pthread_cond_init(&nodes->calm, &attributes);
    pthread_condattr_destroy(&attributes);
    return nodes;
}

int nodes_prepare(struct nodes **out, struct store *store)
{
    struct nodes *nodes = new_nodes();
    struct store_node_round round;
    int64_t asked_ms;
    *out = NULL;
    if (nodes == NULL) return -MOLT_NO_MEMORY;
    int rc = store_node_beside(store, &nodes->store);
    if (rc == 0) rc = store_node_beside(store, &nodes->waits);
    if (rc == 0) rc = ask_round(nodes->store, 0, 0, &round, &asked_ms);
    if (rc == 0) nodes->stamp = round.stamp;
    if (rc == 0) rc = pulse_begin(nodes);
    if (rc == 0)
        *out = nodes;
    else
        free_nodes(nodes);
    return rc;
}

int nodes_start(struct nodes *nodes, const struct nodes_parts *parts)
{
    nodes->parts = *parts;
    pulse_end(nodes);
    nodes->running = pthread_create(&nodes->thread, NULL, follow, nodes) == 0;
    return nodes->running ? 0 : -MOLT_NO_MEMORY;
}

void nodes_stop(struct nodes *nodes)
{
    if (nodes == NULL) return;
    pthread_mutex_lock(&nodes->lock);
    nodes->stop = true;
    pthread_cond_signal(&nodes->wake);
    pthread_mutex_unlock(&nodes->lock);
    pulse_end(nodes);
    if (nodes->running) pthread_join(nodes->thread, NULL);
    nodes->running = false;
}

void nodes_leave(struct nodes *nodes)
{
    if (nodes == NULL) return;
    (void)store_node_leave(nodes->store);
    free_nodes(nodes);
}

/* ---- waiting for the others ---- */

static void hurry(struct nodes *nodes)
{
    pthread_mutex_lock(&nodes->lock);
    nodes->hurry = true;
    pthread_cond_signal(&nodes->wake);
    pthread_mutex_unlock(&nodes->lock);
}

bool nodes_wait(struct nodes *nodes, uint64_t generation)
{
    uint32_t behind = 1;
    if (nodes == NULL) return true;
    const int64_t until = clock_up_ms() + STORE_NODE_LIVE_MS + 2 * PERIOD_MS;
    hurry(nodes); /* this server is one of those */
    pthread_mutex_lock(&nodes->waiting);
    while (behind > 0 && clock_up_ms() < until) {
        (void)store_recover(nodes->waits);
        if (store_node_acknowledged(nodes->waits, generation, &behind) < 0) behind = 1; /* it may come back */
        if (behind > 0) nanosleep(&(struct timespec){.tv_nsec = WAIT_MS * 1000000}, NULL);
    }
    pthread_mutex_unlock(&nodes->waiting);
    return behind == 0;
}
