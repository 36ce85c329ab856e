/* nodes.c - servers as rows: who lives, in which epoch, and who folds what a dead one left (nodes.h). Must never take a server for
 * dead by any clock but the database's, nor let two live ones have one name. Tests: test/unit/store_nodes_test.c,
 * test/unit/node_leases_test.c, test/e2e/nodes. */
#include "nodes_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define JOIN_TRIES 12 /* a second each: longer than a killed one counts as live */

uint32_t store_node_id(const struct store *store)
{
    return store->self != NULL ? store->self->id : 0;
}

int64_t nodes_now(struct store *store)
{
    static const char sql[] = "SELECT " DB_NOW;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = db_step(stmt);
    int64_t now = rc == 1 ? db_int(stmt, 0) : -MOLT_STORE_FAILED;
    db_reset(stmt);
    return now;
}

/* Runs a statement that was given its values; its only number, when it gives one. */
static int run_for(struct db_statement *stmt, int64_t *number)
{
    int rc = db_step(stmt);
    if (rc == 1 && number != NULL) *number = db_int(stmt, 0);
    db_reset(stmt);
    return rc;
}

/* ---- joining ---- */

/* A server alone holds this lock as long as its session lives. Where there are no advisory locks, or where they mean nothing, this says yes. */
static int nobody_alone(struct store *store)
{
    static const char sql[] =
        "SELECT CASE WHEN pg_try_advisory_xact_lock_shared(1836018804, hashtext(current_schema()))"
        " THEN 1 ELSE 0 END";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = db_step_if_known(stmt);
    const bool taken = rc == 1 && db_int(stmt, 0) == 0;
    db_reset(stmt);
    if (rc < 0) return rc;
    return !taken ? 0
                  : store_fail(MOLT_STATE, "a molt without --node uses this database: stop it, or give it a "
                                           "--node, too");
}

/* -MOLT_STATE when another of this name lives, or may. *stamp: what the row of this name has seen; negative: there is none, or a server alone changed rows since. */
static int nobody_of_this_name(struct store *store, int64_t *stamp)
{
    static const char sql[] =
        "SELECT CASE WHEN " DB_LIVE " AND epoch <> 0 AND instance <> ?2 AND NOT (id = ?3 AND epoch = ?4)"
        " THEN 1 ELSE 0 END, stamp FROM node WHERE name = ?1 FOR UPDATE";
    const struct node_self *self = store->self;
    struct db_statement *stmt = db_statement(store->db, sql);
    int64_t lives = 0;
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, self->name);
    db_bind_text(stmt, 2, self->instance);
    db_bind_int(stmt, 3, self->id);
    db_bind_int(stmt, 4, self->epoch);
    int rc = db_step(stmt);
    if (rc == 1) lives = db_int(stmt, 0);
    *stamp = rc == 1 ? db_int(stmt, 1) : -1;
    db_reset(stmt);
    if (rc < 0 || lives == 0) return rc < 0 ? rc : 0;
    return store_fail(MOLT_STATE, "another server is node %s: give this one another --node", self->name);
}

static int write_node(struct store *store, int64_t *id, int64_t *epoch)
{
    static const char next[] = "UPDATE node_state SET epoch = epoch + 1 RETURNING epoch";
    static const char sql[] =
        "INSERT INTO node (name, instance, epoch, started_ms, seen_ms, expires_ms, generation, stamp, "
        "version,"
        " schema_version) SELECT ?1, ?2, ?3, " DB_NOW ", " DB_NOW ", " DB_NOW
        " + ?4, 0, 0, ?5, schema_version FROM meta"
        " ON CONFLICT (name) DO UPDATE SET instance = excluded.instance, epoch = excluded.epoch,"
        " started_ms = excluded.started_ms, seen_ms = excluded.seen_ms, expires_ms = excluded.expires_ms,"
        " generation = 0, stamp = 0, version = excluded.version, schema_version = excluded.schema_version"
        " RETURNING id";
    struct db_statement *stmt = db_statement(store->db, next);
    int rc = stmt != NULL ? store_insert(stmt, epoch) : -MOLT_STORE_FAILED;
    if (rc < 0) return rc;
    stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, store->self->name);
    db_bind_text(stmt, 2, store->self->instance);
    db_bind_int(stmt, 3, *epoch);
    db_bind_int(stmt, 4, STORE_NODE_LIVE_MS);
    db_bind_text(stmt, 5, MOLT_VERSION);
    return store_insert(stmt, id);
}

/* What died with slots may have offered more than it wrote, and whoever comes in its place knows nothing of that: so it keeps its number,
 * and its slots as long as those of any dead one, and this one gets a new number. */
static int retire(struct store *store)
{
    static const char sql[] =
        "UPDATE node SET name = substr(name, 1, 40) || '~' || CAST(id AS TEXT), instance = '', expires_ms = 1"
        " WHERE name = ? AND expires_ms <> 0 AND EXISTS"
        " (SELECT 1 FROM slot WHERE slot.node_id = node.id AND slot.slots > 0)";
    if (store->self->id != 0) return 0; /* it was only taken for dead, and knows all that it did */
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, store->self->name);
    return db_step(stmt);
}

struct joining {
    int64_t id, epoch, stamp;
};

static int join_once(struct store *store, void *ctx)
{
    struct joining *joining = ctx;
    int rc = nobody_alone(store);
    if (rc == 0) rc = nobody_of_this_name(store, &joining->stamp);
    if (rc == 0) rc = retire(store);
    return rc == 0 ? write_node(store, &joining->id, &joining->epoch) : rc;
}

int store_node_join(struct store *store)
{
    struct joining joining;
    int rc = store_transact(store, DB_ROWS, join_once, &joining);
    if (rc < 0) return rc;
    store->self->id = (uint32_t)joining.id;
    atomic_store(&store->self->epoch, joining.epoch);
    return joining.stamp < 0;
}

/* The lock of the data folder is held: nobody else goes by this instance. */
int nodes_open(struct store *store, const char *name, const char *data_dir)
{
    if (strnlen(name, MODEL_NAME_LEN) == MODEL_NAME_LEN || name[0] == '\0')
        return store_fail(MOLT_ARG, "--node takes a name of 1 to 64 characters");
    store->self = calloc(1, sizeof *store->self);
    if (store->self == NULL) return store_fail(MOLT_NO_MEMORY, "out of memory");
    snprintf(store->self->name, sizeof store->self->name, "%s", name);
    int rc = folder_instance(data_dir, store->self->instance);
    for (int tries = 0; rc == 0 && tries < JOIN_TRIES; tries++) {
        if (tries > 0) nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        rc = store_node_join(store);
        if (rc != -MOLT_STATE) break;
        if (tries + 1 < JOIN_TRIES) rc = 0;
    }
    uint32_t dead;
    return rc >= 0 ? store_node_bury(store, &dead) : rc;
}

/* No server with a name may live beside one without. */
static int check_alone(struct store *store, void *ctx)
{
    static const char live[] =
        "SELECT coalesce(min(name), ''), count(*) FROM node WHERE " DB_LIVE " AND epoch <> 0";
    static const char bury[] = "UPDATE node SET epoch = 0, stamp = -1";
    static const char free_all[] = "DELETE FROM slot";
    (void)ctx;
    struct db_statement *stmt = db_statement(store->db, live);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = db_step(stmt);
    if (rc == 1 && db_int(stmt, 1) > 0)
        rc = store_fail(MOLT_STATE,
                        "%lld servers use this database, one of them with --node %s: stop them, or give "
                        "this one a --node, too",
                        (long long)db_int(stmt, 1), db_text(stmt, 0));
    db_reset(stmt);
    if (rc < 0) return rc;
    /* whoever of them comes back looks at everything anew */
    stmt = db_statement(store->db, bury);
    rc = stmt != NULL ? db_step(stmt) : -MOLT_STORE_FAILED;
    stmt = rc == 0 ? db_statement(store->db, free_all) : NULL;
    return rc == 0 ? (stmt != NULL ? db_step(stmt) : -MOLT_STORE_FAILED) : rc;
}

int nodes_alone(struct store *store)
{
    return store_transact(store, DB_ROWS, check_alone, NULL);
}

/* ---- once a second ---- */

struct round {
    uint64_t generation;
    int64_t stamp;
    struct store_node_round *out;
};

static int go_round(struct store *store, void *ctx)
{
    static const char sql[] =
        "UPDATE node SET seen_ms = " DB_NOW ", expires_ms = " DB_NOW " + ?1, generation = ?2, stamp = ?3"
        " WHERE id = ?4 AND epoch = ?5 RETURNING " DB_NOW ", (SELECT generation FROM meta),"
        " (SELECT stamp FROM node_state), (SELECT count(*) FROM node WHERE " DB_LIVE " AND epoch <> 0)";
    const struct round *round = ctx;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, STORE_NODE_LIVE_MS);
    db_bind_int(stmt, 2, (int64_t)round->generation);
    db_bind_int(stmt, 3, round->stamp);
    db_bind_int(stmt, 4, store->self->id);
    db_bind_int(stmt, 5, store->self->epoch);
    int rc = db_step(stmt);
    if (rc == 1) {
        *round->out = (struct store_node_round){.db_ms = db_int(stmt, 0),
                                                .generation = (uint64_t)db_int(stmt, 1),
                                                .stamp = db_int(stmt, 2),
                                                .live = (uint32_t)db_int(stmt, 3)};
        if (round->out->live == 0) round->out->live = 1; /* it counts as dead until this very moment */
    }
    db_reset(stmt);
    if (rc == 0) return store_fail(MOLT_STATE, "this server was taken for dead");
    return rc < 0 ? rc : 0;
}

int store_node_round(struct store *store, uint64_t generation, int64_t stamp, struct store_node_round *out)
{
    struct round round = {generation, stamp, out};
    return store_transact(store, DB_ROWS, go_round, &round);
}

static int leave(struct store *store, void *ctx)
{
    static const char sql[] = "UPDATE node SET expires_ms = 0, epoch = 0 WHERE id = ? AND epoch = ?";
    struct db_statement *stmt = db_statement(store->db, sql);
    (void)ctx;
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, store->self->id);
    db_bind_int(stmt, 2, store->self->epoch);
    return db_step(stmt);
}

int store_node_leave(struct store *store)
{
    return store_transact(store, DB_ROWS, leave, NULL);
}

/* ---- the dead ---- */

#define DEAD_MAX 16

struct dead {
    int64_t id, epoch; /* id 0: it has no row any more */
};

static int find_dead(struct store *store, struct dead dead[DEAD_MAX], uint32_t *count)
{
    static const char sql[] = "SELECT id, epoch FROM node WHERE epoch <> 0 AND expires_ms <= " DB_NOW
                              " UNION SELECT 0, seq >> 40 FROM result_log WHERE (seq >> 40) NOT IN"
                              " (SELECT epoch FROM node WHERE epoch <> 0)";
    struct db_statement *stmt = db_statement(store->db, sql);
    *count = 0;
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc;
    while ((rc = db_step(stmt)) == 1 && *count < DEAD_MAX)
        dead[(*count)++] = (struct dead){db_int(stmt, 0), db_int(stmt, 1)};
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

/* False when it lives after all. */
static int take_epoch(struct store *store, const struct dead *dead, bool *taken)
{
    static const char sql[] =
        "UPDATE node SET epoch = 0 WHERE id = ? AND epoch = ? AND expires_ms <= " DB_NOW;
    *taken = true;
    if (dead->id == 0) return 0;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, dead->id);
    db_bind_int(stmt, 2, dead->epoch);
    int rc = db_step(stmt);
    *taken = rc == 0 && db_changes(stmt) == 1;
    return rc;
}

static int bury_one(struct store *store, void *ctx)
{
    const struct dead *dead = ctx;
    int64_t stamp;
    bool taken = false;
    int rc = nodes_stamp(store, &stamp);
    if (rc == 0) rc = take_epoch(store, dead, &taken);
    return rc == 0 && taken ? results_fold_epoch(store, dead->epoch, stamp) : rc;
}

struct search {
    struct dead dead[DEAD_MAX];
    uint32_t count;
};

static int search_dead(struct store *store, void *ctx)
{
    struct search *search = ctx;
    return find_dead(store, search->dead, &search->count);
}

int store_node_bury(struct store *store, uint32_t *count)
{
    struct search search;
    *count = 0;
    int rc = store_transact(store, DB_READ, search_dead, &search);
    for (uint32_t i = 0; rc == 0 && i < search.count; i++) {
        rc = store_transact(store, DB_ROWS, bury_one, &search.dead[i]);
        if (rc == 0) ++*count;
    }
    return rc;
}

/* ---- for people ---- */

static void read_node(const struct db_statement *stmt, struct store_node *node)
{
    const char *name = db_text(stmt, 1), *version = db_text(stmt, 8);
    *node = (struct store_node){.id = (uint32_t)db_int(stmt, 0),
                                .epoch = db_int(stmt, 2),
                                .started_ms = db_int(stmt, 3),
                                .seen_ms = db_int(stmt, 4),
                                .now_ms = db_int(stmt, 5),
                                .generation = (uint64_t)db_int(stmt, 6),
                                .live = db_int(stmt, 7) != 0,
                                .schema = db_int(stmt, 9),
                                .leads = db_int(stmt, 10) != 0};
    snprintf(node->name, sizeof node->name, "%s", name != NULL ? name : "");
    snprintf(node->version, sizeof node->version, "%s", version != NULL ? version : "");
}

int store_each_node(struct store *store, int (*row)(void *ctx, const struct store_node *node), void *ctx)
{
    static const char sql[] =
        "SELECT id, name, epoch, started_ms, seen_ms, " DB_NOW ", generation,"
        " CASE WHEN " DB_LIVE " AND epoch <> 0 THEN 1 ELSE 0 END, version, schema_version,"
        " CASE WHEN id = (SELECT node_id FROM lease WHERE name = 'leader' AND " DB_LIVE ") THEN 1 ELSE 0 END"
        " FROM node ORDER BY name";
    if (store->self == NULL) return 0;
    int rc = store_enter(store);
    if (rc < 0) return rc;
    struct db_statement *stmt = db_statement(store->db, sql);
    rc = stmt != NULL ? 0 : -MOLT_STORE_FAILED;
    while (rc == 0 && (rc = db_step(stmt)) == 1) {
        struct store_node node;
        read_node(stmt, &node);
        rc = 0;
        if (row(ctx, &node) != 0) break;
    }
    if (stmt != NULL) db_reset(stmt);
    store_leave(store);
    return rc < 0 ? rc : 0;
}

static int forget(struct store *store, void *ctx)
{
    static const char find[] = "SELECT id, CASE WHEN " DB_LIVE " AND epoch <> 0 THEN 1 ELSE 0 END FROM node"
                               " WHERE name = ? FOR UPDATE";
    static const char slots[] = "DELETE FROM slot WHERE node_id = ?";
    static const char node[] = "DELETE FROM node WHERE id = ?";
    static const char *const both[] = {slots, node};
    struct db_statement *stmt = db_statement(store->db, find);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, ctx);
    int rc = db_step(stmt);
    const int64_t id = rc == 1 ? db_int(stmt, 0) : 0, live = rc == 1 ? db_int(stmt, 1) : 0;
    db_reset(stmt);
    if (rc < 0) return rc;
    if (id == 0) return store_fail(MOLT_NOT_FOUND, "there is no node %s", (const char *)ctx);
    if (live != 0) return store_fail(MOLT_STATE, "node %s lives: stop it first", (const char *)ctx);
    for (size_t i = 0; i < 2; i++) {
        stmt = db_statement(store->db, both[i]);
        if (stmt == NULL) return -MOLT_STORE_FAILED;
        db_bind_int(stmt, 1, id);
        if (db_step(stmt) < 0) return -MOLT_STORE_FAILED;
    }
    return 0;
}

int store_node_forget(struct store *store, const char *name)
{
    char copy[MODEL_NAME_LEN];
    uint32_t count;
    if (store->self == NULL || strnlen(name, sizeof copy) == sizeof copy)
        return store_fail(MOLT_NOT_FOUND, "there is no such node");
    snprintf(copy, sizeof copy, "%s", name);
    int rc = store_node_bury(store, &count); /* what it left in the log stays */
    return rc == 0 ? store_transact(store, DB_ROWS, forget, copy) : rc;
}

struct acknowledged {
    uint64_t generation;
    uint32_t *behind;
};

static int count_behind(struct store *store, void *ctx)
{
    static const char sql[] =
        "SELECT count(*) FROM node WHERE " DB_LIVE " AND epoch <> 0 AND generation > 0 AND generation < ?";
    const struct acknowledged *acknowledged = ctx;
    struct db_statement *stmt = db_statement(store->db, sql);
    int64_t count = 0;
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, (int64_t)acknowledged->generation);
    int rc = run_for(stmt, &count);
    *acknowledged->behind = (uint32_t)count;
    return rc < 0 ? rc : 0;
}

int store_node_acknowledged(struct store *store, uint64_t generation, uint32_t *behind)
{
    struct acknowledged acknowledged = {generation, behind};
    *behind = 0;
    return store_transact(store, DB_READ, count_behind, &acknowledged);
}
