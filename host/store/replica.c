/* replica.c - a second connection, to a stand-by of the database: what people read at length is read from it as long as it is well. Must
 * never change anything, and never make a call fail that the database itself answers. Tests: test/e2e/replica_test.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

#define PATIENCE_MS 5000u /* silent for longer: the database itself is asked */
#define NAME_LEN    96

struct standing {
    bool stands_by, streams;
    char of[NAME_LEN]; /* which cluster, database and schema; the same in every copy of it */
};

struct store *store_reader(struct store *store)
{
    return store->replica != NULL && !store_is_away(store->replica) ? store->replica : store;
}

bool store_sent_back(struct store *store, const struct store *reader, int rc)
{
    if (store->replica == NULL) return false;
    const bool was_in_the_way = store_was_in_the_way();
    enum store_read by = reader == store  ? STORE_READ_AWAY
                         : rc >= 0        ? STORE_READ_REPLICA
                         : was_in_the_way ? STORE_READ_CONFLICT
                                          : STORE_READ_FAILED;
    atomic_fetch_add_explicit(&store->reads[by], 1, memory_order_relaxed);
    return reader != store && rc < 0;
}

void store_replica_state(struct store *store, struct store_replica *out)
{
    *out = (struct store_replica){.named = store->replica != NULL};
    for (int i = 0; i < STORE_READ_COUNT; i++)
        out->reads[i] = atomic_load_explicit(&store->reads[i], memory_order_relaxed);
    if (!out->named) return;
    out->in_use = !store_is_away(store->replica);
    pthread_mutex_lock(&store->replica->health_lock);
    if (!out->in_use) memcpy(out->why, store->replica->ill_why, sizeof out->why);
    pthread_mutex_unlock(&store->replica->health_lock);
}

int store_replica_add(struct store *store, const char *url)
{
    if (!db_is_url(url) || strcmp(db_name(store->db), "postgresql") != 0)
        return store_fail(MOLT_ARG, "a read replica is a stand-by of the PostgreSQL of --store");
    store->replica = store_new();
    if (store->replica == NULL) return -MOLT_NO_MEMORY;
    store->replica->stands_by = true;
    atomic_store(&store->replica->away, true);
    (void)snprintf(store->replica->ill_why, STORE_WHY_LEN, "%s", "it is not connected yet");
    store->replica_url = strdup(url);
    return store->replica_url != NULL ? 0 : store_fail(MOLT_NO_MEMORY, "out of memory");
}

static int read_standing(struct store *store, struct standing *out)
{
    static const char sql[] =
        "SELECT CASE WHEN pg_is_in_recovery() THEN 1 ELSE 0 END, (SELECT count(*) FROM pg_stat_wal_receiver),"
        " (SELECT system_identifier::text FROM pg_control_system())"
        " || ' ' || (SELECT oid::text FROM pg_database WHERE datname = current_database())"
        " || ' ' || (SELECT oid::text FROM pg_namespace WHERE nspname = current_schema())";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = db_step(stmt);
    const char *of = rc == 1 ? db_text(stmt, 2) : NULL;
    *out = (struct standing){.stands_by = rc == 1 && db_int(stmt, 0) == 1,
                             .streams = rc == 1 && db_int(stmt, 1) > 0};
    if (of != NULL && strlen(of) < NAME_LEN) memcpy(out->of, of, strlen(of) + 1);
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

static int look(struct store *store, struct standing *out)
{
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = read_standing(store, out);
    store_leave(store);
    return rc;
}

static int judge(const struct standing *it)
{
    if (!it->stands_by) return store_fail(MOLT_STATE, "it is no stand-by, or none any more");
    return it->streams ? 0 : store_fail(MOLT_STATE, "it receives nothing from its primary");
}

/* Into the place of the connection before, which goes into fresh's. */
static void swap_in(struct store *replica, struct store *fresh)
{
    pthread_mutex_lock(&replica->mutex);
    struct db *before = replica->db;
    replica->db = fresh->db;
    fresh->db = before;
    atomic_store(&replica->away, false);
    pthread_mutex_unlock(&replica->mutex);
}

static int attach(struct store *store)
{
    struct standing here = {.of = ""}, there = {.of = ""};
    struct store *fresh = store_new();
    if (fresh == NULL) return -MOLT_NO_MEMORY;
    int rc = look(store, &here);
    if (rc == 0) rc = db_open_postgres(store->replica_url, true, &fresh->db);
    if (rc == 0) db_patience(fresh->db, PATIENCE_MS);
    if (rc == 0) rc = look(fresh, &there);
    if (rc == 0 && (here.of[0] == '\0' || strcmp(here.of, there.of) != 0))
        rc = store_fail(MOLT_STATE, "it is no copy of this store: another cluster, database or schema");
    if (rc == 0) rc = judge(&there);
    if (rc == 0) rc = schema_open(fresh, true, true);
    if (rc == 0) swap_in(store->replica, fresh);
    store_close(fresh);
    return rc;
}

static void detach(struct store *replica)
{
    pthread_mutex_lock(&replica->mutex);
    atomic_store(&replica->away, true);
    db_hang_up(replica->db);
    pthread_mutex_unlock(&replica->mutex);
}

static int keep_why(struct store *replica, int rc)
{
    pthread_mutex_lock(&replica->health_lock);
    if (rc < 0)
        (void)snprintf(replica->ill_why, STORE_WHY_LEN, "%.*s", STORE_WHY_LEN - 1, store_error(replica));
    pthread_mutex_unlock(&replica->health_lock);
    return rc;
}

int store_replica_round(struct store *store)
{
    struct standing now;
    if (store_is_away(store->replica)) return keep_why(store->replica, attach(store));
    int rc = look(store->replica, &now);
    if (rc < 0 && store_was_in_the_way() && !store_is_away(store->replica)) return 0; /* it replays: well */
    if (rc == 0) rc = judge(&now);
    (void)keep_why(store->replica, rc);
    if (rc < 0) detach(store->replica);
    return rc;
}
