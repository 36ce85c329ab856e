/* audit_open.c - what is to go into the audit log and is not done yet: a row before it is done, which the entry takes out. Must never
 * forget one without an entry, but for store_audit_forget(). Tests: test/unit/store_audit_test.c, test/unit/api_audit_test.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "parts.h"

/* before the detail */
#define UNKNOWN_SAYS "the server ended before it was answered: it may be done or not; "

#define FIELD(kind, field)                                                                                   \
    {                                                                                                        \
        kind, offsetof(struct store_audit, field), sizeof(((struct store_audit *)NULL)->field)               \
    }
static const struct column columns[] = {FIELD(COLUMN_INT, at_ms),    FIELD(COLUMN_TEXT, who),
                                        FIELD(COLUMN_TEXT, from),    FIELD(COLUMN_TEXT, action),
                                        FIELD(COLUMN_TEXT, product), FIELD(COLUMN_TEXT, detail)};
#define COLUMNS (sizeof columns / sizeof columns[0])
#define NAMES   "at_ms, who, source, action, product, detail"

static int forget(struct store *store, int64_t open_id)
{
    static const char sql[] = "DELETE FROM audit_open WHERE id = ?";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, open_id);
    return db_step(stmt);
}

struct opened {
    int64_t id;
    struct store_audit *entry;
};

static int begin(struct store *store, void *ctx)
{
    static const char sql[] = "INSERT INTO audit_open (" NAMES ") VALUES (?, ?, ?, ?, ?, ?) RETURNING id";
    struct opened *opened = ctx;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = store_bind(stmt, 1, columns, COLUMNS, opened->entry);
    return rc == 0 ? store_insert(stmt, &opened->id) : rc;
}

int store_audit_begin(struct store *store, struct store_audit *entry, int64_t *open_id)
{
    struct opened opened = {.entry = entry};
    int rc = audit_clean(entry);
    if (rc == 0) rc = store_transact(store, DB_ROWS, begin, &opened);
    *open_id = rc == 0 ? opened.id : 0;
    return rc;
}

static int end(struct store *store, void *ctx)
{
    struct opened *opened = ctx;
    int rc = audit_append(store, opened->entry);
    return rc == 0 && opened->id != 0 ? forget(store, opened->id) : rc;
}

int store_audit_end(struct store *store, int64_t open_id, struct store_audit *entry)
{
    struct opened opened = {open_id, entry};
    int rc = audit_clean(entry);
    return rc == 0 ? store_transact(store, DB_CHANGE, end, &opened) : rc;
}

static int forget_alone(struct store *store, void *ctx)
{
    return forget(store, *(const int64_t *)ctx);
}

int store_audit_forget(struct store *store, int64_t open_id)
{
    return store_transact(store, DB_ROWS, forget_alone, &open_id);
}

/* ---- what an end left behind ---- */

struct recovering {
    int64_t before_ms;
    struct store_audit entry;
    char detail[STORE_AUDIT_DETAIL_LEN];
    bool any;
};

/* One of them, the oldest first. */
static int recover_one(struct store *store, void *ctx)
{
    static const char sql[] = "SELECT " NAMES ", id FROM audit_open WHERE at_ms < ? ORDER BY id LIMIT 1";
    struct recovering *r = ctx;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    memset(&r->entry, 0, sizeof r->entry);
    db_bind_int(stmt, 1, r->before_ms);
    int rc = db_step(stmt);
    r->any = rc == 1;
    if (rc != 1) return rc;
    (void)store_read_most(stmt, 0, columns, COLUMNS, &r->entry);
    const int64_t id = db_int(stmt, COLUMNS);
    db_reset(stmt);
    memcpy(r->detail, r->entry.detail, sizeof r->detail);
    (void)snprintf(r->entry.detail, sizeof r->entry.detail, UNKNOWN_SAYS "%.900s", r->detail);
    r->entry.status = STORE_AUDIT_UNKNOWN;
    const int64_t at_ms = r->entry.at_ms;
    rc = audit_clean(&r->entry);
    r->entry.at_ms = at_ms; /* when it was begun */
    if (rc == 0) rc = audit_append(store, &r->entry);
    return rc == 0 ? forget(store, id) : rc;
}

int audit_recover(struct store *store, int64_t before_ms)
{
    struct recovering *r = calloc(1, sizeof *r);
    if (r == NULL) return store_fail(MOLT_NO_MEMORY, "out of memory");
    r->before_ms = before_ms;
    int rc;
    do {
        rc = store_transact(store, DB_CHANGE, recover_one, r);
    } while (rc == 0 && r->any);
    free(r);
    return rc;
}
