/* hooks.c - webhooks, and what is to be delivered to them. Knows nothing of HTTP. Must never let a receiver that does not answer fill
 * the database: its queue and its log are bounded. Tests: test/unit/store_operate_test.c. */
#include <string.h>

#include "operate.h"
#include "parts.h"

#define FIELD(type, kind, field)                                                                             \
    {                                                                                                        \
        kind, offsetof(struct type, field), sizeof(((struct type *)NULL)->field)                             \
    }
#define HOOK(kind, field)     FIELD(store_hook, kind, field)
#define DELIVERY(kind, field) FIELD(store_delivery, kind, field)

static const struct column hook_columns[] = {HOOK(COLUMN_TEXT, url),       HOOK(COLUMN_TEXT, secret),
                                             HOOK(COLUMN_UINT, events),    HOOK(COLUMN_UINT, enabled),
                                             HOOK(COLUMN_TEXT, note),      HOOK(COLUMN_TEXT, created_by),
                                             HOOK(COLUMN_INT, created_ms), HOOK(COLUMN_INT, id)};
#define HOOK_COLUMNS (sizeof hook_columns / sizeof hook_columns[0])
#define HOOK_SET     5 /* those that store_hook_set() sets come first */
#define HOOK_SELECT  "SELECT url, secret, events, enabled, note, created_by, created_ms, id FROM webhook "

static const struct column delivery_columns[] = {
    DELIVERY(COLUMN_INT, hook_id), DELIVERY(COLUMN_TEXT, event), DELIVERY(COLUMN_INT, created_ms),
    DELIVERY(COLUMN_INT, next_ms), DELIVERY(COLUMN_UINT, tries), DELIVERY(COLUMN_UINT, state),
    DELIVERY(COLUMN_UINT, status), DELIVERY(COLUMN_TEXT, error), DELIVERY(COLUMN_TEXT, body),
    DELIVERY(COLUMN_INT, id)};
#define DELIVERY_COLUMNS (sizeof delivery_columns / sizeof delivery_columns[0])
#define DELIVERY_SELECT                                                                                      \
    "SELECT webhook_id, event, created_ms, next_ms, tries, state, status, error, body, id"                   \
    " FROM webhook_delivery "

/* Runs a statement that gives one number. */
static int number(struct db_statement *stmt, int64_t *out)
{
    int rc = db_step(stmt);
    *out = rc == 1 ? db_int(stmt, 0) : 0;
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

/* A question for rows of one kind: a statement with numbers for its values. */
struct question {
    const char *sql;
    int64_t values[3];
    int value_count;
    const struct column *columns;
    size_t column_count, size; /* size: of the struct that a row becomes */
};

/* Calls take for each row until it answers non-zero, with the row in room, while the store is locked; NULL: the first row alone. 1: take
 * is NULL and there is one. */
static int ask(struct store *store, const struct question *question, void *room,
               int (*take)(void *ctx, const void *row), void *ctx)
{
    int rc = store_enter(store);
    if (rc < 0) return rc;
    struct db_statement *stmt = db_statement(store->db, question->sql);
    rc = stmt != NULL ? 0 : -MOLT_STORE_FAILED;
    for (int i = 0; rc == 0 && i < question->value_count; i++)
        db_bind_int(stmt, i + 1, question->values[i]);
    while (rc == 0 && (rc = db_step(stmt)) == 1) {
        memset(room, 0, question->size);
        rc = store_read(stmt, 0, question->columns, question->column_count, room);
        if (rc == 0 && take == NULL) rc = 1; /* the first is all that was asked for */
        if (rc != 0 || take(ctx, room) != 0) break;
    }
    if (stmt != NULL) db_reset(stmt);
    store_leave(store);
    return rc;
}

/* The first row into out, or -MOLT_NOT_FOUND with that sentence. */
static int ask_one(struct store *store, const struct question *question, void *out, const char *missing)
{
    memset(out, 0, question->size);
    int rc = ask(store, question, out, NULL, NULL);
    return rc == 1 ? 0 : rc == 0 ? store_fail(MOLT_NOT_FOUND, "%s", missing) : rc;
}

/* ---- webhooks ---- */

static int create(struct store *store, void *ctx)
{
    static const char count_sql[] = "SELECT count(*) FROM webhook",
                      sql[] =
                          "INSERT INTO webhook (url, secret, events, enabled, note, created_by, created_ms)"
                          " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id";
    struct store_hook *hook = ctx;
    int64_t count;
    struct db_statement *stmt = db_statement(store->db, count_sql);
    int rc = stmt != NULL ? number(stmt, &count) : -MOLT_STORE_FAILED;
    if (rc < 0) return rc;
    if (count >= STORE_HOOKS_MAX)
        return store_fail(MOLT_STATE, "there are %d webhooks already", STORE_HOOKS_MAX);
    stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    rc = store_bind(stmt, 1, hook_columns, HOOK_COLUMNS - 1, hook);
    return rc == 0 ? store_insert(stmt, &hook->id) : rc;
}

int store_hook_create(struct store *store, struct store_hook *hook)
{
    return store_transact(store, DB_CHANGE, create, hook);
}

static int set(struct store *store, void *ctx)
{
    static const char sql[] =
        "UPDATE webhook SET url = ?, secret = ?, events = ?, enabled = ?, note = ? WHERE id = ?";
    const struct store_hook *hook = ctx;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = store_bind(stmt, 1, hook_columns, HOOK_SET, hook);
    if (rc < 0) return rc;
    db_bind_int(stmt, HOOK_SET + 1, hook->id);
    rc = db_step(stmt);
    return rc == 0 && db_changes(stmt) == 0 ? store_fail(MOLT_NOT_FOUND, "there is no such webhook") : rc;
}

int store_hook_set(struct store *store, const struct store_hook *hook)
{
    return store_transact(store, DB_ROWS, set, (void *)hook);
}

#define OF_HOOKS .columns = hook_columns, .column_count = HOOK_COLUMNS, .size = sizeof(struct store_hook)

int store_hook_get(struct store *store, int64_t id, struct store_hook *out)
{
    const struct question one = {
        .sql = HOOK_SELECT "WHERE id = ?", .values = {id}, .value_count = 1, OF_HOOKS};
    return ask_one(store, &one, out, "there is no such webhook");
}

static int delete_hook(struct store *store, void *ctx)
{
    static const char deliveries[] = "DELETE FROM webhook_delivery WHERE webhook_id = ?",
                      sql[] = "DELETE FROM webhook WHERE id = ?";
    struct db_statement *stmt = db_statement(store->db, deliveries);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, *(const int64_t *)ctx);
    int rc = db_step(stmt);
    if (rc < 0) return rc;
    stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, *(const int64_t *)ctx);
    rc = db_step(stmt);
    return rc == 0 && db_changes(stmt) == 0 ? store_fail(MOLT_NOT_FOUND, "there is no such webhook") : rc;
}

int store_hook_delete(struct store *store, int64_t id)
{
    return store_transact(store, DB_CHANGE, delete_hook, &id);
}

struct hook_taker {
    int (*row)(void *ctx, const struct store_hook *hook);
    void *ctx;
};

static int take_hook(void *ctx, const void *row)
{
    const struct hook_taker *taker = ctx;
    return taker->row(taker->ctx, row);
}

int store_each_hook(struct store *store, int (*row)(void *ctx, const struct store_hook *hook), void *ctx)
{
    const struct question all = {.sql = HOOK_SELECT "ORDER BY id", OF_HOOKS};
    struct hook_taker taker = {row, ctx};
    struct store_hook room;
    int rc = ask(store, &all, &room, take_hook, &taker);
    return rc < 0 ? rc : 0;
}

/* ---- deliveries ---- */

struct adding {
    struct store_delivery *deliveries;
    size_t count;
};

/* May the hook have one more? */
static int may_wait(struct store *store, int64_t hook_id, bool *may)
{
    static const char sql[] = "SELECT (SELECT count(*) FROM webhook WHERE id = ?1),"
                              " (SELECT count(*) FROM webhook_delivery WHERE webhook_id = ?1 AND state = 0)";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, hook_id);
    int rc = db_step(stmt);
    *may = rc == 1 && db_int(stmt, 0) == 1 && db_int(stmt, 1) < STORE_HOOK_QUEUE_MAX;
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

static int add(struct store *store, void *ctx)
{
    static const char sql[] =
        "INSERT INTO webhook_delivery (webhook_id, event, created_ms, next_ms, tries, state,"
        " status, error, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id";
    const struct adding *adding = ctx;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < adding->count; i++) {
        struct store_delivery *delivery = &adding->deliveries[i];
        bool may;
        delivery->id = 0;
        rc = may_wait(store, delivery->hook_id, &may);
        if (rc < 0 || !may) continue;
        struct db_statement *stmt = db_statement(store->db, sql);
        if (stmt == NULL) return -MOLT_STORE_FAILED;
        rc = store_bind(stmt, 1, delivery_columns, DELIVERY_COLUMNS - 1, delivery);
        if (rc == 0) rc = store_insert(stmt, &delivery->id);
    }
    return rc;
}

int store_delivery_add(struct store *store, struct store_delivery *deliveries, size_t count)
{
    struct adding adding = {deliveries, count};
    return store_transact(store, DB_CHANGE, add, &adding);
}

#define OF_DELIVERIES                                                                                        \
    .columns = delivery_columns, .column_count = DELIVERY_COLUMNS, .size = sizeof(struct store_delivery)

int store_delivery_first(struct store *store, int64_t hook_id, struct store_delivery *out)
{
    const struct question first = {.sql = DELIVERY_SELECT
                                   "WHERE webhook_id = ? AND state = 0 ORDER BY id LIMIT 1",
                                   .values = {hook_id},
                                   .value_count = 1,
                                   OF_DELIVERIES};
    return ask_one(store, &first, out, "nothing waits");
}

static int prune(struct store *store, int64_t hook_id)
{
    static const char sql[] = "DELETE FROM webhook_delivery WHERE webhook_id = ?1 AND state <> 0 AND id <="
                              " (SELECT id FROM webhook_delivery WHERE webhook_id = ?1 AND state <> 0"
                              " ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, hook_id);
    db_bind_int(stmt, 2, STORE_HOOK_KEPT);
    return db_step(stmt);
}

static int save(struct store *store, void *ctx)
{
    static const char sql[] =
        "UPDATE webhook_delivery SET next_ms = ?, tries = ?, state = ?, status = ?, error = ?"
        " WHERE id = ?";
    const struct store_delivery *delivery = ctx;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, delivery->next_ms);
    db_bind_int(stmt, 2, delivery->tries);
    db_bind_int(stmt, 3, (int64_t)delivery->state);
    db_bind_int(stmt, 4, delivery->status);
    db_bind_text(stmt, 5, delivery->error);
    db_bind_int(stmt, 6, delivery->id);
    int rc = db_step(stmt);
    return rc == 0 && delivery->state != STORE_DELIVERY_WAITS ? prune(store, delivery->hook_id) : rc;
}

int store_delivery_save(struct store *store, const struct store_delivery *delivery)
{
    return store_transact(store, DB_ROWS, save, (void *)delivery);
}

struct delivery_taker {
    int (*row)(void *ctx, const struct store_delivery *delivery);
    void *ctx;
};

static int take_delivery(void *ctx, const void *row)
{
    const struct delivery_taker *taker = ctx;
    return taker->row(taker->ctx, row);
}

int store_each_delivery(struct store *store, int64_t hook_id, int64_t before, uint32_t limit,
                        int (*row)(void *ctx, const struct store_delivery *delivery), void *ctx)
{
    const struct question some = {.sql = DELIVERY_SELECT
                                  "WHERE webhook_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
                                  .values = {hook_id, before != 0 ? before : INT64_MAX, limit},
                                  .value_count = 3,
                                  OF_DELIVERIES};
    struct delivery_taker taker = {row, ctx};
    struct store_delivery room;
    int rc = ask(store, &some, &room, take_delivery, &taker);
    return rc < 0 ? rc : 0;
}

int store_delivery_waiting(struct store *store, uint64_t *count)
{
    static const char sql[] = "SELECT count(*) FROM webhook_delivery WHERE state = 0";
    int64_t waiting = 0;
    *count = 0;
    int rc = store_enter(store);
    if (rc < 0) return rc;
    struct db_statement *stmt = db_statement(store->db, sql);
    rc = stmt != NULL ? number(stmt, &waiting) : -MOLT_STORE_FAILED;
    store_leave(store);
    *count = (uint64_t)waiting;
    return rc;
}
