/* filters.c - filters that operators gave a name. Knows nothing of their language. Must never keep more than STORE_FILTERS_MAX.
 * Tests: test/unit/store_operate_test.c. */
#include <string.h>

#include "clock.h"
#include "operate.h"
#include "parts.h"

#define FIELD(kind, field)                                                                                   \
    {                                                                                                        \
        kind, offsetof(struct store_filter, field), sizeof(((struct store_filter *)NULL)->field)             \
    }
static const struct column columns[] = {FIELD(COLUMN_TEXT, name), FIELD(COLUMN_TEXT, filter),
                                        FIELD(COLUMN_TEXT, note), FIELD(COLUMN_TEXT, changed_by),
                                        FIELD(COLUMN_INT, changed_ms)};
#define COLUMNS (sizeof columns / sizeof columns[0])
#define SELECT  "SELECT name, filter, note, changed_by, changed_ms FROM saved_filter "

static int put(struct store *store, void *ctx)
{
    static const char
        count_sql[] = "SELECT count(*) FROM saved_filter WHERE name <> ?",
        sql[] = "INSERT INTO saved_filter (name, filter, note, changed_by, changed_ms)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET filter = excluded.filter,"
                " note = excluded.note, changed_by = excluded.changed_by, changed_ms = excluded.changed_ms";
    const struct store_filter *filter = ctx;
    struct db_statement *stmt = db_statement(store->db, count_sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, filter->name);
    int rc = db_step(stmt);
    const int64_t others = rc == 1 ? db_int(stmt, 0) : 0;
    db_reset(stmt);
    if (rc < 0) return rc;
    if (others >= STORE_FILTERS_MAX)
        return store_fail(MOLT_STATE, "there are %d filters already", STORE_FILTERS_MAX);
    stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    rc = store_bind(stmt, 1, columns, COLUMNS, filter);
    return rc == 0 ? db_step(stmt) : rc;
}

int store_filter_put(struct store *store, const struct store_filter *filter)
{
    return store_transact(store, DB_CHANGE, put, (void *)filter);
}

int store_filter_get(struct store *store, const char *name, struct store_filter *out)
{
    static const char sql[] = SELECT "WHERE name = ?";
    int rc = store_enter(store);
    if (rc < 0) return rc;
    struct db_statement *stmt = db_statement(store->db, sql);
    rc = stmt != NULL ? 0 : -MOLT_STORE_FAILED;
    if (rc == 0) {
        db_bind_text(stmt, 1, name);
        rc = db_step(stmt);
        if (rc == 0) rc = store_fail(MOLT_NOT_FOUND, "there is no such filter");
        memset(out, 0, sizeof *out);
        if (rc == 1) rc = store_read(stmt, 0, columns, COLUMNS, out);
        db_reset(stmt);
    }
    store_leave(store);
    return rc;
}

static int delete_filter(struct store *store, void *ctx)
{
    static const char sql[] = "DELETE FROM saved_filter WHERE name = ?";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, ctx);
    int rc = db_step(stmt);
    return rc == 0 && db_changes(stmt) == 0 ? store_fail(MOLT_NOT_FOUND, "there is no such filter") : rc;
}

int store_filter_delete(struct store *store, const char *name)
{
    return store_transact(store, DB_ROWS, delete_filter, (void *)name);
}

int store_each_filter(struct store *store, int (*row)(void *ctx, const struct store_filter *filter),
                      void *ctx)
{
    static const char sql[] = SELECT "ORDER BY name";
    int rc = store_enter(store);
    if (rc < 0) return rc;
    struct db_statement *stmt = db_statement(store->db, sql);
    rc = stmt != NULL ? 0 : -MOLT_STORE_FAILED;
    while (rc == 0 && (rc = db_step(stmt)) == 1) {
        struct store_filter filter;
        memset(&filter, 0, sizeof filter);
        rc = store_read(stmt, 0, columns, COLUMNS, &filter);
        if (rc < 0 || row(ctx, &filter) != 0) break;
    }
    if (stmt != NULL) db_reset(stmt);
    store_leave(store);
    return rc < 0 ? rc : 0;
}
