/* nodes_slots.c - leases: of the work that one server does for all, and of slots for open offers of rollouts. Must never let the slots of all
 * servers be more than the rollout allows, whoever dies. Tests: test/unit/node_leases_test.c. */
#include <string.h>

#include "nodes_parts.h"

/* ---- work that one does for all ---- */

struct lease {
    const char *name;
    int64_t epoch;
};

static int take_lease(struct store *store, void *ctx)
{
    static const char sql[] =
        "INSERT INTO lease (name, node_id, epoch, expires_ms) VALUES (?1, ?2, 1, " DB_NOW " + ?3)"
        " ON CONFLICT (name) DO UPDATE SET node_id = excluded.node_id, expires_ms = excluded.expires_ms,"
        " epoch = CASE WHEN lease.node_id = excluded.node_id AND lease." DB_LIVE
        " THEN lease.epoch ELSE lease.epoch + 1 END"
        " WHERE lease.node_id = excluded.node_id OR NOT lease." DB_LIVE " RETURNING epoch";
    struct lease *lease = ctx;
    struct db_statement *stmt = db_statement(store->db, sql);
    lease->epoch = 0;
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, lease->name);
    db_bind_int(stmt, 2, store->self->id);
    db_bind_int(stmt, 3, STORE_NODE_LIVE_MS);
    int rc = db_step(stmt);
    if (rc == 1) lease->epoch = db_int(stmt, 0);
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

int store_lease_take(struct store *store, const char *name, int64_t *epoch)
{
    struct lease lease = {.name = name};
    int rc = store_transact(store, DB_ROWS, take_lease, &lease);
    *epoch = rc == 0 ? lease.epoch : 0;
    return rc;
}

int nodes_check_lease(struct store *store, const char *name, int64_t epoch)
{
    static const char sql[] = "SELECT 1 FROM lease WHERE name = ? AND node_id = ? AND epoch = ? AND " DB_LIVE;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, name);
    db_bind_int(stmt, 2, store->self->id);
    db_bind_int(stmt, 3, epoch);
    int rc = db_step(stmt);
    db_reset(stmt);
    if (rc == 0) return store_fail(MOLT_STATE, "another server does this now");
    return rc < 0 ? rc : 0;
}

/* ---- slots ---- */

struct taking {
    struct store_slots *orders;
    size_t count;
    uint32_t live;
    void (*before)(void *ctx, struct store_slots *order);
    void *ctx;
};

/* One at a time looks at slots and changes them. */
static int lock_slots(struct store *store)
{
    static const char sql[] = "INSERT INTO lease (name, node_id, epoch, expires_ms) VALUES ('slots', 0, 0, 0)"
                              " ON CONFLICT (name) DO UPDATE SET epoch = lease.epoch + 1";
    struct db_statement *stmt = db_statement(store->db, sql);
    return stmt != NULL ? db_step(stmt) : -MOLT_STORE_FAILED;
}

struct others {
    int64_t slots, wants; /* of servers that live: wants */
};

static int read_others(struct store *store, int64_t rollout_id, struct others *others)
{
    static const char sql[] =
        "SELECT CAST(coalesce(sum(slots), 0) AS BIGINT), CAST(coalesce(sum(CASE WHEN node_id IN"
        " (SELECT id FROM node WHERE epoch <> 0 AND " DB_LIVE ") THEN wants ELSE 0 END), 0) AS BIGINT)"
        " FROM slot WHERE rollout_id = ? AND node_id <> ?";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, rollout_id);
    db_bind_int(stmt, 2, store->self->id);
    int rc = db_step(stmt);
    if (rc == 1) *others = (struct others){db_int(stmt, 0), db_int(stmt, 1)};
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

static int write_slots(struct store *store, const struct store_slots *order)
{
    static const char sql[] =
        "INSERT INTO slot (rollout_id, node_id, slots, wants) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (rollout_id, node_id) DO UPDATE SET slots = excluded.slots, wants = excluded.wants";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, order->rollout_id);
    db_bind_int(stmt, 2, store->self->id);
    db_bind_int(stmt, 3, order->slots);
    db_bind_int(stmt, 4, order->slots <= order->used ? order->wanted : 0);
    return db_step(stmt);
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A share is kept ready for who asks next, unless another server asks in vain and here nobody does. Where both do, nobody takes
 * more than his share. */
static int64_t slots_wished(const struct store_slots *order, const struct others *others, uint32_t live)
{
    const int64_t share = larger(order->cap / (live > 0 ? live : 1), 1), used = order->used;
    if (order->wanted == 0) return others->wants > 0 ? used : used + share;
    if (others->wants > 0) return larger(used, share);
    return used + larger(order->wanted, share);
}

static int take_one(struct store *store, const struct taking *taking, struct store_slots *order)
{
    struct others others = {0};
    int rc = read_others(store, order->rollout_id, &others);
    if (rc < 0) return rc;
    const int64_t free = larger(order->cap - others.slots, 0);
    order->slots = (uint32_t)smaller(slots_wished(order, &others, taking->live), free);
    taking->before(taking->ctx, order);
    return write_slots(store, order);
}

static int take_all(struct store *store, void *ctx)
{
    const struct taking *taking = ctx;
    int rc = lock_slots(store);
    for (size_t i = 0; rc == 0 && i < taking->count; i++)
        rc = take_one(store, taking, &taking->orders[i]);
    return rc;
}

int store_slots_take(struct store *store, struct store_slots *orders, size_t count, uint32_t live,
                     void (*before)(void *ctx, struct store_slots *order), void *ctx)
{
    struct taking taking = {orders, count, live, before, ctx};
    return count == 0 ? 0 : store_transact(store, DB_ROWS, take_all, &taking);
}

/* ---- those of servers that are gone ---- */

#define UNWRITTEN_MS  3600000 /* how long what was not written may be open, where a rollout has no timeout */
#define SETTLE_MS     15000   /* until whoever lives has seen all that was written */
#define RECLAIMED_MAX 64

struct gone_slots {
    int64_t rollout_id, node_id, slots;
};

struct reclaiming {
    store_open_count open;
    void *ctx;
};

static int find_gone(struct store *store, struct gone_slots gone[RECLAIMED_MAX], size_t *count)
{
    static const char sql[] =
        "SELECT slot.rollout_id, slot.node_id, slot.slots FROM slot JOIN node ON node.id = slot.node_id"
        " LEFT JOIN rollout ON rollout.id = slot.rollout_id"
        " WHERE node.epoch = 0 AND slot.slots > 0 AND node.seen_ms + CASE WHEN node.expires_ms = 0 THEN ?1"
        " WHEN coalesce(rollout.timeout_s, 0) = 0 THEN ?2 ELSE rollout.timeout_s * 1000 + ?1 END < " DB_NOW;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, SETTLE_MS);
    db_bind_int(stmt, 2, UNWRITTEN_MS);
    int rc;
    while ((rc = db_step(stmt)) == 1 && *count < RECLAIMED_MAX)
        gone[(*count)++] = (struct gone_slots){
            .rollout_id = db_int(stmt, 0), .node_id = db_int(stmt, 1), .slots = db_int(stmt, 2)};
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

static int reclaim(struct store *store, void *ctx)
{
    static const char sql[] = "UPDATE slot SET slots = ?3, wants = 0 WHERE rollout_id = ?1 AND node_id = ?2";
    const struct reclaiming *reclaiming = ctx;
    struct gone_slots gone[RECLAIMED_MAX];
    size_t count = 0;
    int rc = lock_slots(store);
    if (rc == 0) rc = find_gone(store, gone, &count);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        const uint32_t open =
            reclaiming->open(reclaiming->ctx, gone[i].rollout_id, (uint32_t)gone[i].node_id);
        if (open >= gone[i].slots) continue;
        struct db_statement *stmt = db_statement(store->db, sql);
        if (stmt == NULL) return -MOLT_STORE_FAILED;
        db_bind_int(stmt, 1, gone[i].rollout_id);
        db_bind_int(stmt, 2, gone[i].node_id);
        db_bind_int(stmt, 3, open);
        rc = db_step(stmt);
    }
    return rc;
}

int store_slots_reclaim(struct store *store, store_open_count open, void *ctx)
{
    struct reclaiming reclaiming = {open, ctx};
    return store_transact(store, DB_ROWS, reclaim, &reclaiming);
}
