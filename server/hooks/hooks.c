/* hooks.c - events become rows, rows become deliveries (hooks.h). Must never let who reports an event wait for the database or for a
 * receiver. Tests: test/unit/hooks_test.c, test/e2e/webhook_test.py. */
#include "parts.h"

#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "molt_reason.h"
#include "server/log.h"

#define QUEUE_MAX  1024 /* events that are no rows yet; more are lost, with a line in the log */
#define FIRST_MS   2000
#define LONGEST_MS (6 * (int64_t)3600 * 1000)
#define FOLLOW_MS  3000  /* several servers: how often to look for what others made rows of */
#define LOOK_MS    60000 /* looks at least so often, whoever forgot to say that something changed */

struct queued {
    enum hook_event event;
    int64_t at_ms;
    json_t *data;
};

struct hooks {
    struct store *store;
    bool (*lead)(void *ctx); /* NULL: the only server; guarded by lock */
    void *lead_ctx;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop, changed; /* guarded by lock, as all until hooks */
    struct queued queue[QUEUE_MAX];
    size_t first, count;
    uint64_t lost;
    struct net allow[HOOKS_ALLOW_MAX];
    size_t allow_count;
    atomic_uint wanted; /* bits that some webhook wants, or more */
    atomic_ullong waiting;
    struct store_hook list[STORE_HOOKS_MAX]; /* the thread's own */
    size_t list_count;
    struct store_delivery rows[STORE_HOOKS_MAX];
};

static const struct {
    const char *name, *when;
} events[] = {
#define HOOK_EVENT(symbol, name, when) {name, when},
#include "event.def"
#undef HOOK_EVENT
};

const char *hook_event_name(enum hook_event event)
{
    return events[event].name;
}

const char *hook_event_when(enum hook_event event)
{
    return events[event].when;
}

enum hook_event hook_event_of(const char *name)
{
    int event = 0;
    while (event < HOOK_EVENTS && strcmp(events[event].name, name) != 0)
        event++;
    return (enum hook_event)event;
}

static int64_t unix_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- what is reported ---- */

static bool wants(const struct hooks *hooks, enum hook_event event)
{
    return hooks != NULL && (atomic_load_explicit(&hooks->wanted, memory_order_relaxed) >> event & 1) != 0;
}

/* data is stolen. */
static void emit(struct hooks *hooks, enum hook_event event, json_t *data)
{
    pthread_mutex_lock(&hooks->lock);
    if (hooks->count < QUEUE_MAX && data != NULL) {
        hooks->queue[(hooks->first + hooks->count++) % QUEUE_MAX] = (struct queued){event, unix_ms(), data};
        data = NULL;
    } else {
        hooks->lost++;
    }
    pthread_cond_signal(&hooks->wake);
    pthread_mutex_unlock(&hooks->lock);
    json_decref(data);
}

static json_t *end_json(const struct model_attempt_end *end)
{
    return json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:b}", "device", end->device_id, "result",
        model_attempt_name(end->result), "reason", end->reason != 0 ? molt_reason_id(end->reason) : "",
        "release", (json_int_t)end->release_id, "code", (json_int_t)end->code, "from_code",
        (json_int_t)end->from_code, "rollout", (json_int_t)end->rollout_id, "verified", end->verified);
}

void hooks_ends(void *ctx, const struct model_attempt_end *ends, size_t count)
{
    struct hooks *hooks = ctx;
    for (size_t i = 0; i < count; i++) {
        enum hook_event event = HOOK_DEVICE_FAILED;
        if (ends[i].result == MODEL_ATTEMPT_NONE) continue;
        if (ends[i].result == MODEL_ATTEMPT_UPDATED || ends[i].result == MODEL_ATTEMPT_PRESUMED)
            event = HOOK_DEVICE_UPDATED;
        if (ends[i].result == MODEL_ATTEMPT_ROLLED_BACK) event = HOOK_DEVICE_ROLLED_BACK;
        if (wants(hooks, event)) emit(hooks, event, end_json(&ends[i]));
    }
}

void hooks_devices(struct hooks *hooks, const struct model_device *devices, size_t count)
{
    for (size_t i = 0; wants(hooks, HOOK_DEVICE_NEW) && i < count; i++) {
        const struct model_device *device = &devices[i];
        if (!device->fresh) continue;
        emit(hooks, HOOK_DEVICE_NEW,
             json_pack("{s:s, s:s, s:s, s:s, s:b, s:b}", "device", device->id, "chip",
                       molt_chip_name(device->chip), "client", model_client_name(device->client), "address",
                       device->address, "assigned", device->product_id != 0, "held", device->held));
    }
}

static const char *product_of(const struct store_rules *rules, int64_t id)
{
    for (uint32_t i = 0; i < rules->product_count; i++)
        if (rules->products[i].id == id) return rules->products[i].name;
    return "";
}

static const struct model_release *release_of(const struct store_rules *rules, int64_t id)
{
    for (uint32_t i = 0; i < rules->release_count; i++)
        if (rules->releases[i].id == id) return &rules->releases[i];
    return NULL;
}

static json_t *release_json(const struct store_rules *rules, const struct model_release *release)
{
    return json_pack("{s:I, s:s, s:s, s:I, s:s}", "release", (json_int_t)release->id, "product",
                     product_of(rules, release->product_id), "version", release->version, "code",
                     (json_int_t)release->code, "channel", release->channel);
}

static void tell_release(struct hooks *hooks, const struct store_rules *was, const struct store_rules *is,
                         const struct model_release *release)
{
    const struct model_release *old = release_of(was, release->id);
    if (old != NULL && old->yanked == release->yanked) return;
    const enum hook_event event = old == NULL       ? HOOK_RELEASE_PUBLISHED
                                  : release->yanked ? HOOK_RELEASE_YANKED
                                                    : HOOK_RELEASE_UNYANKED;
    if (wants(hooks, event)) emit(hooks, event, release_json(is, release));
}

static void tell_rollout(struct hooks *hooks, const struct store_rules *was, const struct store_rules *is,
                         const struct model_rollout *rollout)
{
    static const enum hook_event by_status[] = {[MODEL_ROLLOUT_RUNNING] = HOOK_ROLLOUT_RESUMED,
                                                [MODEL_ROLLOUT_PAUSED] = HOOK_ROLLOUT_PAUSED,
                                                [MODEL_ROLLOUT_DONE] = HOOK_ROLLOUT_DONE,
                                                [MODEL_ROLLOUT_ABORTED] = HOOK_ROLLOUT_ABORTED,
                                                [MODEL_ROLLOUT_WAITING] = HOOK_ROLLOUT_CREATED};
    const struct model_rollout *old = NULL;
    for (uint32_t i = 0; i < was->rollout_count && old == NULL; i++)
        if (was->rollouts[i].id == rollout->id) old = &was->rollouts[i];
    enum hook_event event = HOOK_ROLLOUT_CREATED;
    if (old != NULL && old->status != rollout->status)
        event = by_status[rollout->status];
    else if (old != NULL && old->phase != rollout->phase)
        event = HOOK_ROLLOUT_PHASE;
    else if (old != NULL)
        return;
    const struct model_release *release = release_of(is, rollout->release_id);
    if (!wants(hooks, event) || release == NULL) return;
    json_t *json = release_json(is, release);
    json_object_set_new(json, "rollout", json_integer((json_int_t)rollout->id));
    json_object_set_new(json, "phase", json_integer((json_int_t)rollout->phase + 1));
    json_object_set_new(json, "note", json_string(rollout->note));
    emit(hooks, event, json);
}

void hooks_rules(struct hooks *hooks, const struct store_rules *was, const struct store_rules *is)
{
    if (hooks == NULL || atomic_load(&hooks->wanted) == 0) return;
    for (uint32_t i = 0; i < is->release_count; i++)
        tell_release(hooks, was, is, &is->releases[i]);
    for (uint32_t i = 0; i < is->rollout_count; i++)
        tell_rollout(hooks, was, is, &is->rollouts[i]);
}

/* ---- rows ---- */

/* JSON of an event; false: it does not fit. data is stolen. */
static bool body_of(enum hook_event event, int64_t now_ms, json_t *data, char out[STORE_HOOK_BODY_LEN])
{
    char time_text[32];
    struct tm tm;
    const time_t seconds = (time_t)(now_ms / 1000);
    strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
    json_t *json =
        json_pack("{s:s, s:s, s:o}", "type", hook_event_name(event), "timestamp", time_text, "data", data);
    size_t len = json != NULL ? json_dumpb(json, out, STORE_HOOK_BODY_LEN - 1, JSON_COMPACT) : 0;
    json_decref(json);
    if (len == 0 || len >= STORE_HOOK_BODY_LEN) return false;
    out[len] = '\0';
    return true;
}

static int take_hook(void *ctx, const struct store_hook *hook)
{
    struct hooks *hooks = ctx;
    if (hooks->list_count < STORE_HOOKS_MAX) hooks->list[hooks->list_count++] = *hook;
    return 0;
}

static void load(struct hooks *hooks)
{
    unsigned wanted = 0;
    hooks->list_count = 0;
    (void)store_each_hook(hooks->store, take_hook, hooks);
    for (size_t i = 0; i < hooks->list_count; i++)
        if (hooks->list[i].enabled) wanted |= hooks->list[i].events;
    atomic_store(&hooks->wanted, wanted);
}

static void make_rows(struct hooks *hooks, const struct queued *queued)
{
    struct store_delivery *rows = hooks->rows;
    char body[STORE_HOOK_BODY_LEN];
    size_t count = 0;
    if (!body_of(queued->event, queued->at_ms, queued->data, body)) return;
    for (size_t i = 0; i < hooks->list_count; i++) {
        if (!hooks->list[i].enabled || (hooks->list[i].events >> queued->event & 1) == 0) continue;
        struct store_delivery *row = &rows[count++];
        *row = (struct store_delivery){
            .hook_id = hooks->list[i].id, .created_ms = queued->at_ms, .next_ms = queued->at_ms};
        (void)snprintf(row->event, sizeof row->event, "%s", hook_event_name(queued->event));
        memcpy(row->body, body, sizeof row->body);
    }
    if (count == 0 || store_delivery_add(hooks->store, rows, count) == 0) return;
    log_event("event=webhook-not-kept type=%s error=\"%s\"", hook_event_name(queued->event),
              store_error(hooks->store));
}

/* Takes the oldest of the queue. False: it is empty. The lock is not held. */
static bool take_queued(struct hooks *hooks, struct queued *out, uint64_t *lost)
{
    pthread_mutex_lock(&hooks->lock);
    const bool any = hooks->count > 0;
    if (any) {
        *out = hooks->queue[hooks->first];
        hooks->first = (hooks->first + 1) % QUEUE_MAX;
        hooks->count--;
    }
    *lost = hooks->lost;
    hooks->lost = 0;
    pthread_mutex_unlock(&hooks->lock);
    return any;
}

static void drain(struct hooks *hooks)
{
    struct queued queued;
    uint64_t lost;
    while (take_queued(hooks, &queued, &lost)) {
        make_rows(hooks, &queued); /* takes the data */
        if (lost > 0) log_event("event=webhook-events-lost count=%" PRIu64, lost);
    }
}

/* ---- deliveries ---- */

static int64_t wait_after(uint32_t tries)
{
    int64_t wait = FIRST_MS;
    for (uint32_t i = 1; i < tries && wait < LONGEST_MS; i++)
        wait *= 4;
    return wait < LONGEST_MS ? wait : LONGEST_MS;
}

static void deliver(struct hooks *hooks, const struct store_hook *hook, struct store_delivery *delivery)
{
    struct net allow[HOOKS_ALLOW_MAX];
    pthread_mutex_lock(&hooks->lock);
    const size_t count = hooks->allow_count;
    memcpy(allow, hooks->allow, sizeof allow);
    pthread_mutex_unlock(&hooks->lock);
    const bool taken = hook_send(hook, delivery, allow, count);
    delivery->tries++;
    delivery->next_ms = unix_ms() + wait_after(delivery->tries);
    if (taken) delivery->state = STORE_DELIVERY_DONE;
    if (!taken && delivery->tries >= HOOKS_TRIES) delivery->state = STORE_DELIVERY_GIVEN_UP;
    (void)store_delivery_save(hooks->store, delivery);
    if (!taken && (delivery->tries == 1 || delivery->state == STORE_DELIVERY_GIVEN_UP))
        log_event("event=webhook-failed webhook=%" PRId64 " delivery=%" PRId64
                  " type=%s tries=%u next-step=%s error=\"%s\"",
                  hook->id, delivery->id, delivery->event, (unsigned)delivery->tries,
                  delivery->state == STORE_DELIVERY_GIVEN_UP ? "given-up" : "tried-again", delivery->error);
}

/* Tries the first of each that is due. Returns when the next is. */
static int64_t deliver_due(struct hooks *hooks)
{
    int64_t next = INT64_MAX;
    pthread_mutex_lock(&hooks->lock);
    const bool follows = hooks->lead != NULL, mine = !follows || hooks->lead(hooks->lead_ctx);
    pthread_mutex_unlock(&hooks->lock);
    if (follows) next = unix_ms() + FOLLOW_MS; /* others make rows, too */
    for (size_t i = 0; mine && i < hooks->list_count; i++) {
        struct store_delivery first;
        pthread_mutex_lock(&hooks->lock);
        const bool stop = hooks->stop;
        pthread_mutex_unlock(&hooks->lock);
        if (stop || !hooks->list[i].enabled) continue;
        if (store_delivery_first(hooks->store, hooks->list[i].id, &first) != 0) continue;
        if (first.next_ms <= unix_ms()) {
            deliver(hooks, &hooks->list[i], &first);
            next = 0; /* there may be more */
        } else if (first.next_ms < next) {
            next = first.next_ms;
        }
    }
    return next;
}

/* The lock is held; until something is to be done, or the time. */
static void wait_until(struct hooks *hooks, int64_t next_ms)
{
    struct timespec when;
    int64_t wait = next_ms - unix_ms();
    if (wait > LOOK_MS) wait = LOOK_MS;
    if (wait <= 0) return;
    clock_gettime(CLOCK_MONOTONIC, &when);
    when.tv_sec += (time_t)(wait / 1000);
    when.tv_nsec += (long)(wait % 1000) * 1000000;
    if (when.tv_nsec >= 1000000000) when.tv_sec++, when.tv_nsec -= 1000000000;
    while (!hooks->stop && !hooks->changed && hooks->count == 0 &&
           pthread_cond_timedwait(&hooks->wake, &hooks->lock, &when) == 0) {
    }
}

static void *run(void *ctx)
{
    struct hooks *hooks = ctx;
    bool stop = false;
    while (!stop) {
        uint64_t waiting;
        load(hooks);
        drain(hooks);
        int64_t next = deliver_due(hooks);
        if (store_delivery_waiting(hooks->store, &waiting) == 0) atomic_store(&hooks->waiting, waiting);
        pthread_mutex_lock(&hooks->lock);
        wait_until(hooks, next);
        hooks->changed = false;
        stop = hooks->stop;
        pthread_mutex_unlock(&hooks->lock);
    }
    drain(hooks);
    return NULL;
}

/* ---- begin and end ---- */

struct hooks *hooks_start(struct store *store)
{
    struct hooks *hooks = calloc(1, sizeof *hooks);
    pthread_condattr_t attributes;
    if (hooks == NULL) return NULL;
    hooks->store = store;
    pthread_mutex_init(&hooks->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&hooks->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    load(hooks); /* so that the first event after this is told */
    if (pthread_create(&hooks->thread, NULL, run, hooks) == 0) return hooks;
    pthread_cond_destroy(&hooks->wake);
    pthread_mutex_destroy(&hooks->lock);
    free(hooks);
    return NULL;
}

void hooks_stop(struct hooks *hooks)
{
    if (hooks == NULL) return;
    pthread_mutex_lock(&hooks->lock);
    hooks->stop = true;
    pthread_cond_signal(&hooks->wake);
    pthread_mutex_unlock(&hooks->lock);
    pthread_join(hooks->thread, NULL);
    pthread_cond_destroy(&hooks->wake);
    pthread_mutex_destroy(&hooks->lock);
    free(hooks);
}

void hooks_follow(struct hooks *hooks, bool (*lead)(void *ctx), void *ctx)
{
    pthread_mutex_lock(&hooks->lock);
    hooks->lead = lead;
    hooks->lead_ctx = ctx;
    pthread_mutex_unlock(&hooks->lock);
}

void hooks_allow(struct hooks *hooks, const struct net *nets, size_t count)
{
    if (hooks == NULL) return;
    pthread_mutex_lock(&hooks->lock);
    hooks->allow_count = count < HOOKS_ALLOW_MAX ? count : HOOKS_ALLOW_MAX;
    if (count > 0) memcpy(hooks->allow, nets, hooks->allow_count * sizeof *nets);
    pthread_mutex_unlock(&hooks->lock);
}

void hooks_changed(struct hooks *hooks)
{
    if (hooks == NULL) return;
    atomic_store(&hooks->wanted,
                 UINT32_MAX); /* until it was looked: nothing that happens from here on is missed */
    pthread_mutex_lock(&hooks->lock);
    hooks->changed = true;
    pthread_cond_signal(&hooks->wake);
    pthread_mutex_unlock(&hooks->lock);
}

uint64_t hooks_waiting(const struct hooks *hooks)
{
    return hooks != NULL ? atomic_load(&hooks->waiting) : 0;
}
