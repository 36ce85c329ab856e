/* devices.c - every known device in memory: a sharded table that polls visit. The way to the store: devices_writer.c;
 * who may make new devices: devices_newcomers.c. Must never do I/O or wait for the store while a shard is locked.
 * Tests: test/unit/devices_test.c, devices_threads_test.c (threads under TSan, 100,000 devices). */
#include "watch/counters.h"
#include "devices_parts.h"
#include "host/merge.h"
#include "host/store/clock.h"
#include "molt_reason.h"

#include <stdlib.h>
#include <string.h>

/* Eight bytes a step, mixed as in MurmurHash's finalizer; ids are not secret. */
static uint64_t hash_id(const char *id)
{
    size_t len = strlen(id);
    uint64_t hash = len;
    for (size_t at = 0; at < len; at += 8) {
        uint64_t word = 0;
        memcpy(&word, id + at, len - at < 8 ? len - at : 8);
        hash = (hash ^ word) * 0xFF51AFD7ED558CCDu;
        hash ^= hash >> 33;
    }
    return hash;
}

struct shard *devices_shard(struct devices *devices, const char *id, uint64_t *hash)
{
    *hash = hash_id(id);
    return &devices->shards[(*hash >> 32) % DEVICES_SHARDS];
}

struct device_row *devices_row(const struct shard *shard, uint32_t ref)
{
    return slab_at(shard->rows.slab, ref);
}

uint32_t devices_find(const struct devices *devices, const struct shard *shard, const char *id, uint64_t hash)
{
    uint32_t ref, at = (uint32_t)hash;
    while ((ref = index_next(&shard->index, (uint32_t)hash, &at)) != 0) {
        const struct device_row *row = devices_row(shard, ref);
        __builtin_prefetch((const char *)row + 64);
        if (device_row_is(&devices->pools, row, id)) break;
    }
    return ref;
}

/* ---- counts ---- */

/* What is counted of a device. */
struct counted {
    bool unassigned, held, updated, failed;
    struct rollout_mark rollout;
};

static struct counted counted_of(const struct model_device *device)
{
    enum model_attempt attempt = device->attempt;
    return (struct counted){
        .unassigned = device->product_id == 0,
        .held = device->held,
        .updated = attempt == MODEL_ATTEMPT_UPDATED || attempt == MODEL_ATTEMPT_PRESUMED,
        .failed = attempt == MODEL_ATTEMPT_FAILED || attempt == MODEL_ATTEMPT_ROLLED_BACK,
        .rollout = rollout_mark_of(device),
    };
}

static void move_count(atomic_uint_least64_t *count, bool was, bool is)
{
    if (was == is) return;
    if (is)
        atomic_fetch_add(count, 1);
    else
        atomic_fetch_sub(count, 1);
}

/* Keeps the counts right, whatever a visit did. NULL: it was not there before, or is gone after. */
static void recount(struct devices *devices, const struct counted *before, const struct counted *after)
{
    static const struct counted nothing;
    rollout_table_move(devices->rollouts, before ? &before->rollout : NULL, after ? &after->rollout : NULL);
    move_count(&devices->count, before != NULL, after != NULL);
    if (!before) before = &nothing;
    if (!after) after = &nothing;
    move_count(&devices->unassigned, before->unassigned, after->unassigned);
    move_count(&devices->held, before->held, after->held);
    move_count(&devices->updated, before->updated, after->updated);
    move_count(&devices->failed, before->failed, after->failed);
}

static uint32_t take_row(struct devices *devices, struct shard *shard)
{
    uint32_t ref = slab_part_take(&shard->rows);
    if (ref != 0) return ref;
    pthread_mutex_lock(&devices->rows_lock);
    const bool more = slab_part_grow(&shard->rows);
    pthread_mutex_unlock(&devices->rows_lock);
    return more ? slab_part_take(&shard->rows) : 0;
}

uint32_t devices_insert(struct devices *devices, struct shard *shard, const struct model_device *device)
{
    uint32_t ref = take_row(devices, shard);
    if (ref == 0) return 0;
    struct device_row *row = devices_row(shard, ref);
    bool made = device_row_make(&devices->pools, row, device);
    if (!made || !index_add(&shard->index, (uint32_t)hash_id(device->id), ref)) {
        if (made) device_row_drop(&devices->pools, row);
        slab_part_give(&shard->rows, ref);
        return 0;
    }
    const struct counted after = counted_of(device);
    recount(devices, NULL, &after);
    atomic_fetch_add(&devices->unstored, 1);
    return ref;
}

void devices_is_stored(struct devices *devices, struct device_row *row)
{
    if (!row->has_row) atomic_fetch_sub(&devices->unstored, 1);
    row->has_row = row->may_have = true;
}

void devices_remove(struct devices *devices, struct shard *shard, uint32_t ref)
{
    struct device_row *row = devices_row(shard, ref);
    struct model_device device;
    device_row_read(&devices->pools, row, NULL, &device);
    const struct counted before = counted_of(&device);
    recount(devices, &before, NULL);
    if (!row->has_row) atomic_fetch_sub(&devices->unstored, 1);
    devices_mark(devices, shard, ref, CLEAN);
    index_remove(&shard->index, (uint32_t)hash_id(device.id), ref);
    device_row_drop(&devices->pools, row);
    slab_part_give(&shard->rows, ref);
}

static void set_seen(struct model_device *device, const char *address, int64_t now_ms)
{
    device->last_seen_ms = now_ms;
    size_t len = strnlen(address, sizeof device->address - 1);
    memcpy(device->address, address, len);
    memset(device->address + len, 0, sizeof device->address - len);
}

/* ---- visits ---- */

/* Puts the device back as the visit left it; false: it stays as it was. */
static bool put_back(struct devices *devices, struct shard *shard, uint32_t ref, const struct counted *before,
                     const struct model_device *device)
{
    const struct counted after = counted_of(device);
    struct device_row *row = devices_row(shard, ref);
    if (!device_row_write(&devices->pools, row, device)) return false; /* memory is short */
    recount(devices, before, &after);
    if (row->dirty < DIRTY_NOW) devices_mark(devices, shard, ref, DIRTY_NOW);
    return true;
}

bool devices_replace(struct devices *devices, struct shard *shard, uint32_t ref,
                     const struct model_device *device)
{
    struct device_row *row = devices_row(shard, ref);
    struct model_device is;
    device_row_read(&devices->pools, row, NULL, &is);
    const struct counted before = counted_of(&is), after = counted_of(device);
    if (!device_row_write(&devices->pools, row, device)) return false;
    recount(devices, &before, &after);
    return true;
}

#ifdef MOLT_CHECKS /* in the builds that are tested */
/* Did the visit tell the truth, that it changed nothing? */
static bool is_unchanged(const struct devices *devices, const struct device_row *row,
                         const struct model_device *device)
{
    struct model_device was;
    device_row_read(&devices->pools, row, device->address, &was);
    was.last_seen_ms = device->last_seen_ms;
    was.announced_ms = device->announced_ms;
    return memcmp(&was, device, sizeof was) == 0;
}
#endif

/* Under what an answer about this row is kept. */
static uint32_t memo_key(const struct devices_memo *memo, const struct device_row *row, int64_t now_ms)
{
    return memo->key | (row->announced_ms != 0 && now_ms - row->announced_ms <= memo->recent_ms);
}

static void keep_answer(struct devices *devices, const struct device_row *row, uint32_t key,
                        const struct devices_memo *memo)
{
    const uint32_t answer = memo->code | (memo->announces ? DEVICES_CODE_MAX + 1 : 0);
    intern_set_note(devices->pools.states, row->state, 1, (uint64_t)memo->reason);
    intern_set_note(devices->pools.states, row->state, 0, (uint64_t)key << 32 | answer);
}

static bool recall_answer(const struct devices *devices, const struct device_row *row, int64_t now_ms,
                          struct devices_memo *memo)
{
    if (memo->key == 0 || row->rollout_ms > now_ms) return false; /* the clock was set back: see rollout.c */
    const uint64_t note = intern_note(devices->pools.states, row->state, 0);
    if (note >> 32 != memo_key(memo, row, now_ms)) return false;
    memo->known = true;
    memo->reason = (int)intern_note(devices->pools.states, row->state, 1);
    memo->code = note & DEVICES_CODE_MAX;
    memo->announces = (note & (DEVICES_CODE_MAX + 1)) != 0;
    return true;
}

#ifdef MOLT_CHECKS
/* Would the visit have come to the same? */
static bool is_true(const struct devices *devices, const struct device_row *row, const char *address,
                    int64_t now_ms, const struct devices_memo *memo, devices_visitor visit, void *ctx)
{
    struct model_device device;
    struct devices_memo found = *memo, *mine = (struct devices_memo *)(uintptr_t)memo;
    device_row_read(&devices->pools, row, address, &device);
    device.last_seen_ms = now_ms;
    bool same = visit(ctx, &device, false) == DEVICES_UNCHANGED && mine->keep && mine->code == found.code &&
                mine->announces == found.announces;
    *mine = found;
    return same;
}
#endif

/* What the visitor's row becomes when nothing is to be written of it soon. */
static void saw_row(struct devices *devices, struct device_row *row, const char *address, int64_t now_ms,
                    int64_t announced_ms)
{
    row->announced_ms = announced_ms;
    device_row_saw(&devices->pools, row, address, now_ms);
}

/* Who visits, and when. */
struct guest {
    devices_visitor visit;
    void *ctx;
    const char *address; /* NULL: it is no sighting */
    int64_t now_ms;
    bool is_new;
    struct devices_memo *memo; /* may be NULL */
};

/* Calls the visitor; false: the row is gone. */
static bool visit_plainly(struct devices *devices, struct shard *shard, uint32_t ref,
                          const struct guest *guest)
{
    struct device_row *row = devices_row(shard, ref);
    struct model_device device;
    device_row_read(&devices->pools, row, guest->address, &device);
    if (guest->address != NULL) device.last_seen_ms = guest->now_ms;
    const struct counted before = counted_of(&device);
    struct model_device was; /* of several servers: what the change is told from */
    if (devices->node != 0) memcpy(&was, &device, sizeof was);
    const uint32_t key = guest->memo && guest->memo->key ? memo_key(guest->memo, row, guest->now_ms) : 0;
    struct model_attempt_end end;
    enum devices_change change = guest->visit(guest->ctx, &device, guest->is_new);
    if (change == DEVICES_DROP && guest->is_new) {
        devices_remove(devices, shard, ref);
        return false;
    }
    const bool ended = results_take_end(&device, &end);
    if (devices->node != 0 && change == DEVICES_CHANGED)
        merge_stamp(&was, &device, clock_now_ms(), devices->node);
    if (devices->node != 0 && ended) end.once = merge_once(&device, &end);
    if (devices->node != 0 && device.last_reason == MOLT_ROLLOUT_FULL) atomic_fetch_add(&devices->full, 1);
    if (change == DEVICES_CHANGED) {
        if (put_back(devices, shard, ref, &before, &device) && ended) {
            results_count(&end);
            (void)results_queue(devices, row, &end);
        }
    } else if (guest->address != NULL) {
#ifdef MOLT_CHECKS
        if (!is_unchanged(devices, row, &device)) abort();
#endif
        saw_row(devices, row, guest->address, guest->now_ms, device.announced_ms);
        if (key != 0 && guest->memo->keep) keep_answer(devices, row, key, guest->memo);
    }
    return true;
}

static bool visit_row(struct devices *devices, struct shard *shard, uint32_t ref, const struct guest *guest)
{
    if (!rollout_table_has_slots(devices->rollouts)) return visit_plainly(devices, shard, ref, guest);
    pthread_mutex_lock(&devices->opening);
    const bool there = visit_plainly(devices, shard, ref, guest);
    pthread_mutex_unlock(&devices->opening);
    return there;
}

static void init_device(struct model_device *device, const char *id, int64_t now_ms)
{
    memset(device, 0, sizeof *device);
    memcpy(device->id, id, strlen(id) + 1);
    device->first_seen_ms = now_ms;
}

static void visit_seen(struct devices *devices, struct shard *shard, uint32_t ref, const struct guest *guest)
{
    struct device_row *row = devices_row(shard, ref);
    if (guest->memo != NULL && recall_answer(devices, row, guest->now_ms, guest->memo)) {
#ifdef MOLT_CHECKS
        if (!is_true(devices, row, guest->address, guest->now_ms, guest->memo, guest->visit, guest->ctx))
            abort();
#endif
        saw_row(devices, row, guest->address, guest->now_ms,
                guest->memo->announces ? guest->now_ms : row->announced_ms);
    } else if (!visit_row(devices, shard, ref, guest)) {
        return;
    }
    enum dirty dirty = guest->is_new ? DIRTY_NOW : DIRTY_LAZY;
    if (row->dirty < dirty) devices_mark(devices, shard, ref, dirty);
}

/* The id is not known: a row of its own, when the address has not made too many. */
static int visit_newcomer(struct devices *devices, const char *id, struct guest *guest)
{
    struct model_device device;
    init_device(&device, id, guest->now_ms);
    set_seen(&device, guest->address, guest->now_ms);
    if (!throttle_take(devices->newcomers, guest->address, guest->now_ms)) {
        counters_add(COUNTER_LIMITED_NEW_DEVICE);
        guest->visit(guest->ctx, &device, true);
        return -MOLT_RATE_LIMITED;
    }
    uint64_t hash;
    struct shard *shard = devices_shard(devices, id, &hash);
    pthread_mutex_lock(&shard->lock);
    uint32_t ref = devices_find(devices, shard, id, hash); /* another thread may have been faster */
    guest->is_new = ref == 0;
    if (guest->is_new) ref = devices_insert(devices, shard, &device);
    if (ref != 0) visit_seen(devices, shard, ref, guest);
    pthread_mutex_unlock(&shard->lock);
    if (ref == 0) {
        guest->visit(guest->ctx, &device, true); /* memory is short: answer, but do not remember */
        return -MOLT_NO_MEMORY;
    }
    if (guest->is_new) newcomers_evict(devices);
    return 0;
}

int devices_visit_unless_known(struct devices *devices, const char *id, const char *address, int64_t now_ms,
                               struct devices_memo *memo, devices_visitor visit, void *ctx)
{
    struct guest guest = {.visit = visit, .ctx = ctx, .address = address, .now_ms = now_ms, .memo = memo};
    if (id[0] == '\0' || strnlen(id, MODEL_ID_LEN) == MODEL_ID_LEN) return -MOLT_ARG;
    uint64_t hash;
    struct shard *shard = devices_shard(devices, id, &hash);
    pthread_mutex_lock(&shard->lock);
    uint32_t ref = devices_find(devices, shard, id, hash);
    if (ref != 0) visit_seen(devices, shard, ref, &guest);
    pthread_mutex_unlock(&shard->lock);
    return ref != 0 ? 0 : visit_newcomer(devices, id, &guest);
}

int devices_visit(struct devices *devices, const char *id, const char *address, int64_t now_ms,
                  devices_visitor visit, void *ctx)
{
    return devices_visit_unless_known(devices, id, address, now_ms, NULL, visit, ctx);
}

void devices_expect(struct devices *devices, const char *id)
{
    uint64_t hash;
    const struct shard *shard = devices_shard(devices, id, &hash);
    index_expect(&shard->index, (uint32_t)hash);
}

int devices_rehearse(struct devices *devices, const char *id, const char *address, int64_t now_ms,
                     devices_visitor visit, void *ctx)
{
    if (id[0] == '\0' || strnlen(id, MODEL_ID_LEN) == MODEL_ID_LEN) return -MOLT_ARG;
    struct model_device copy;
    uint64_t hash;
    init_device(&copy, id, now_ms);
    struct shard *shard = devices_shard(devices, id, &hash);
    pthread_mutex_lock(&shard->lock);
    uint32_t ref = devices_find(devices, shard, id, hash);
    if (ref != 0) device_row_read(&devices->pools, devices_row(shard, ref), address, &copy);
    pthread_mutex_unlock(&shard->lock);
    set_seen(&copy, address, now_ms);
    visit(ctx, &copy, ref == 0);
    return 0;
}

int devices_peek(struct devices *devices, const char *id, devices_visitor visit, void *ctx)
{
    uint64_t hash;
    struct shard *shard = devices_shard(devices, id, &hash);
    pthread_mutex_lock(&shard->lock);
    uint32_t ref = devices_find(devices, shard, id, hash);
    const struct guest guest = {.visit = visit, .ctx = ctx};
    if (ref != 0) visit_row(devices, shard, ref, &guest);
    pthread_mutex_unlock(&shard->lock);
    return ref != 0 ? 0 : -MOLT_NOT_FOUND;
}

void devices_reload(struct devices *devices, const char *id)
{
    struct model_device stored, device;
    int rc = store_device_get(devices->store, id, &stored);
    if (rc < 0 && rc != -MOLT_NOT_FOUND) return; /* the store is ill; what is in memory stays */
    uint64_t hash;
    struct shard *shard = devices_shard(devices, id, &hash);
    pthread_mutex_lock(&shard->lock);
    uint32_t ref = devices_find(devices, shard, id, hash);
    struct device_row *row = ref != 0 ? devices_row(shard, ref) : NULL;
    if (rc == 0 && !row) {
        ref = devices_insert(devices, shard, &stored);
        row = ref != 0 ? devices_row(shard, ref) : NULL;
        if (row) devices_is_stored(devices, row);
    } else if (rc == 0 && devices->node != 0) {
        device_row_read(&devices->pools, row, NULL, &device);
        merge_device(&device, &stored);
        devices_replace(devices, shard, ref, &device);
    } else if (rc == 0) {
        device_row_read(&devices->pools, row, NULL, &device);
        const struct counted before = counted_of(&device);
        model_device_keep_settings(&device, &stored);
        put_back(devices, shard, ref, &before, &device);
    } else if (row && row->has_row) { /* else it was never there: it is new and will be written */
        devices_remove(devices, shard, ref);
    }
    pthread_mutex_unlock(&shard->lock);
}

static void forget(struct devices *devices, const char *id)
{
    uint64_t hash;
    struct shard *shard = devices_shard(devices, id, &hash);
    pthread_mutex_lock(&shard->lock);
    const uint32_t ref = devices_find(devices, shard, id, hash);
    if (ref != 0) devices_remove(devices, shard, ref);
    pthread_mutex_unlock(&shard->lock);
}

int devices_delete(struct devices *devices, const char (*ids)[MODEL_ID_LEN], size_t count)
{
    pthread_mutex_lock(&devices->writing); /* no copy of them is on its way to the store */
    int rc = store_delete_devices(devices->store, ids, count);
    for (size_t i = 0; rc == 0 && i < count; i++)
        forget(devices, ids[i]);
    pthread_mutex_unlock(&devices->writing);
    return rc;
}

void devices_sweep(struct devices *devices, devices_visitor visit, void *ctx)
{
    const struct guest guest = {.visit = visit, .ctx = ctx};
    for (int i = 0; i < DEVICES_SHARDS; i++) {
        struct shard *shard = &devices->shards[i];
        pthread_mutex_lock(&shard->lock);
        for (uint32_t at = 0; at <= shard->index.mask; at++) {
            uint32_t ref = shard->index.entries[at].ref;
            if (ref != 0) visit_row(devices, shard, ref, &guest);
        }
        pthread_mutex_unlock(&shard->lock);
    }
}

const struct rollout_table *devices_rollouts(const struct devices *devices)
{
    return devices->rollouts;
}

static uint64_t bytes_of(struct devices *devices)
{
    uint64_t bytes = device_pools_bytes(&devices->pools);
    pthread_mutex_lock(&devices->rows_lock);
    bytes += (uint64_t)devices->rows.high * sizeof(struct device_row);
    pthread_mutex_unlock(&devices->rows_lock);
    for (int i = 0; i < DEVICES_SHARDS; i++) {
        struct shard *shard = &devices->shards[i];
        pthread_mutex_lock(&shard->lock);
        bytes += ((uint64_t)shard->index.mask + 1) * sizeof *shard->index.entries;
        bytes += shard->rows.capacity * sizeof *shard->rows.runs;
        pthread_mutex_unlock(&shard->lock);
    }
    return bytes;
}

void devices_stats(struct devices *devices, struct devices_stats *out)
{
    *out = (struct devices_stats){.count = atomic_load(&devices->count),
                                  .unassigned = atomic_load(&devices->unassigned),
                                  .dirty = atomic_load(&devices->dirty),
                                  .written = atomic_load(&devices->written),
                                  .held = atomic_load(&devices->held),
                                  .updated = atomic_load(&devices->updated),
                                  .failed = atomic_load(&devices->failed),
                                  .bytes = bytes_of(devices)};
}
