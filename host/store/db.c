/* db.c - what SQLite and PostgreSQL have in common: the cache of statements, their values, transactions.
 * Must never keep a value longer than until the statement is reset. Tests: test/unit/store_test.c. */
#include "db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

bool db_is_url(const char *text)
{
    return strncmp(text, "postgres://", 11) == 0 || strncmp(text, "postgresql://", 13) == 0;
}

const char *db_name(const struct db *db)
{
    return db->driver->name;
}

/* ---- statements ---- */

static int count_values(const char *sql)
{
    int next = 0, most = 0;
    for (const char *p = sql; (p = strchr(p, '?')) != NULL; p++) {
        int number = 0;
        for (const char *digit = p + 1; *digit >= '0' && *digit <= '9' && number < DB_VALUES_MAX; digit++)
            number = 10 * number + (*digit - '0');
        next = number > 0 ? number : next + 1;
        if (next > most) most = next;
    }
    return most;
}

struct db_statement *db_prepare(struct db *db, const char *sql)
{
    int count = count_values(sql);
    struct db_statement *stmt = calloc(1, sizeof *stmt);
    if (stmt != NULL) stmt->values = calloc((size_t)count + 1, sizeof *stmt->values);
    if (stmt == NULL || stmt->values == NULL || count > DB_VALUES_MAX) {
        if (stmt != NULL) free(stmt->values);
        free(stmt);
        store_fail(MOLT_NO_MEMORY, "out of memory");
        return NULL;
    }
    stmt->db = db;
    stmt->sql = sql;
    stmt->value_count = count;
    if (db->driver->prepare(stmt) == 0) return stmt;
    db_finish(stmt);
    return NULL;
}

void db_finish(struct db_statement *stmt)
{
    if (stmt == NULL) return;
    stmt->db->driver->finish(stmt);
    free(stmt->values);
    free(stmt);
}

struct db_statement *db_statement(struct db *db, const char *sql)
{
    for (size_t i = 0; i < DB_STATEMENTS_MAX; i++) {
        struct db_statement *stmt = db->statements[i];
        if (stmt == NULL) return db->statements[i] = db_prepare(db, sql);
        if (stmt->sql != sql) continue;
        db_reset(stmt);
        return stmt;
    }
    store_fail(MOLT_INTERNAL, "DB_STATEMENTS_MAX is too small");
    return NULL;
}

void db_bind_value(struct db_statement *stmt, int at, const struct db_value *value)
{
    if (at >= 1 && at <= stmt->value_count) stmt->values[at - 1] = *value;
}

void db_bind_int(struct db_statement *stmt, int at, int64_t v)
{
    db_bind_value(stmt, at, &(struct db_value){.kind = DB_INT, .number = v});
}

void db_bind_text(struct db_statement *stmt, int at, const char *text)
{
    if (text == NULL)
        db_bind_value(stmt, at, &(struct db_value){.kind = DB_NULL});
    else
        db_bind_value(stmt, at, &(struct db_value){.kind = DB_TEXT, .bytes = text, .len = strlen(text)});
}

void db_bind_blob(struct db_statement *stmt, int at, const void *bytes, size_t len)
{
    db_bind_value(stmt, at,
                  &(struct db_value){.kind = DB_BLOB, .bytes = bytes != NULL ? bytes : "", .len = len});
}

static int stepped(struct db_statement *stmt, int rc)
{
    stmt->running = rc == 1;
    if (rc != 1) stmt->db->driver->reset(stmt);
    return rc;
}

int db_step(struct db_statement *stmt)
{
    return stepped(stmt, stmt->db->driver->step(stmt));
}

int db_step_if_known(struct db_statement *stmt)
{
    const struct db_driver *driver = stmt->db->driver;
    return stepped(stmt, driver->step_if_known != NULL ? driver->step_if_known(stmt) : driver->step(stmt));
}

void db_stream(struct db_statement *stmt)
{
    stmt->stream = true;
}

void db_reset(struct db_statement *stmt)
{
    stmt->db->driver->reset(stmt);
    stmt->running = stmt->stream = false;
    memset(stmt->values, 0, (size_t)stmt->value_count * sizeof *stmt->values);
}

void db_value(const struct db_statement *stmt, int at, struct db_value *out)
{
    *out = (struct db_value){.kind = DB_NULL};
    stmt->db->driver->value(stmt, at, out);
}

int64_t db_int(const struct db_statement *stmt, int at)
{
    struct db_value value;
    db_value(stmt, at, &value);
    return value.kind == DB_INT ? value.number : 0;
}

const char *db_text(const struct db_statement *stmt, int at)
{
    struct db_value value;
    db_value(stmt, at, &value);
    return value.kind == DB_TEXT ? value.bytes : NULL;
}

const void *db_blob(const struct db_statement *stmt, int at, size_t *len)
{
    struct db_value value;
    db_value(stmt, at, &value);
    *len = value.kind == DB_BLOB ? value.len : 0;
    return value.kind == DB_BLOB ? value.bytes : NULL;
}

int db_column_count(const struct db_statement *stmt)
{
    return stmt->db->driver->columns(stmt);
}

const char *db_column_name(const struct db_statement *stmt, int at)
{
    const char *name = stmt->db->driver->column_name(stmt, at);
    return name != NULL ? name : "?";
}

int64_t db_changes(const struct db_statement *stmt)
{
    return stmt->changes;
}

/* A change for each of count rows: one round trip for all. */
static int many(struct db_statement *stmt, size_t count, db_binder bind, void *ctx)
{
    if (stmt->db->driver->many != NULL) return stmt->db->driver->many(stmt, count, bind, ctx);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = bind(stmt, i, ctx);
        if (rc == 0) rc = db_step(stmt);
    }
    return rc;
}

/* INSERT INTO table (columns) VALUES (?, ...) */
static struct db_statement *prepare_insert(struct db *db, char *sql, size_t cap, const char *table_columns,
                                           int columns)
{
    int len = snprintf(sql, cap, "INSERT INTO %s VALUES (?", table_columns);
    if (len < 0 || (size_t)len + 3 * (size_t)columns + 2 > cap) {
        store_fail(MOLT_INTERNAL, "a table has too many columns");
        return NULL;
    }
    for (int i = 1; i < columns; i++)
        memcpy(sql + len + 3 * (i - 1), ", ?", 3);
    memcpy(sql + len + 3 * (columns - 1), ")", 2);
    return db_prepare(db, sql);
}

int db_load(struct db *db, const char *table_columns, int columns,
            int (*bind)(struct db_statement *stmt, void *ctx), void *ctx)
{
    char sql[2048];
    struct db_statement *stmt = prepare_insert(db, sql, sizeof sql, table_columns, columns);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = 0;
    if (db->driver->load != NULL) rc = db->driver->load(stmt, table_columns, columns, bind, ctx);
    while (db->driver->load == NULL && rc == 0 && (rc = bind(stmt, ctx)) == 1)
        rc = db_step(stmt);
    db_finish(stmt);
    return rc;
}

#define MERGE_MIN 32u /* fewer go one by one, in a pipeline */

int db_merge(struct db *db, const struct db_merge *merge, bool distinct, size_t count, db_binder bind,
             void *ctx)
{
    struct db_statement *stmt = db_statement(db, merge->one);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    const bool at_once = db->driver->merge != NULL && distinct && count >= MERGE_MIN;
    return at_once ? db->driver->merge(stmt, merge, count, bind, ctx) : many(stmt, count, bind, ctx);
}

/* ---- transactions ---- */

int db_begin(struct db *db, enum db_begin kind)
{
    return db_script(db, db->driver->begin[kind]);
}

int db_commit(struct db *db)
{
    return db_script(db, "COMMIT");
}

void db_rollback(struct db *db)
{
    if (db->driver->inside(db)) db_script(db, "ROLLBACK");
}

bool db_take_retry(struct db *db)
{
    bool retry = db->retry;
    db->retry = false;
    return retry;
}

/* ---- the connection ---- */

bool db_lost(const struct db *db)
{
    return db->driver->lost != NULL && db->driver->lost(db);
}

void db_hang_up(struct db *db)
{
    db->driver->hang_up(db);
}

int db_reconnect(const struct db *db, struct db **fresh)
{
    return db->driver->reconnect(db, fresh);
}

void db_swap(struct db *db, struct db *fresh)
{
    db->driver->swap(db, fresh);
    db_close(fresh);
}

void db_patience(struct db *db, unsigned ms)
{
    if (db->driver->patience != NULL) db->driver->patience(db, ms);
}

void db_close(struct db *db)
{
    if (db == NULL) return;
    for (size_t i = 0; i < DB_STATEMENTS_MAX; i++)
        db_finish(db->statements[i]);
    db->driver->close(db);
    free(db);
}

/* ---- tables ---- */

int db_script(struct db *db, const char *sql)
{
    return db->driver->script(db, sql);
}

int db_tables(struct db *db, int64_t *count, bool *has_meta)
{
    struct db_statement *stmt = db_prepare(db, db->driver->tables_sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = db_step(stmt);
    *count = rc == 1 ? db_int(stmt, 0) : 0;
    *has_meta = rc == 1 && db_int(stmt, 1) == 1;
    db_finish(stmt);
    return rc == 1 ? 0 : rc;
}

int db_ids_follow(struct db *db, const char *table)
{
    return db->driver->ids_follow != NULL ? db->driver->ids_follow(db, table) : 0;
}

int db_examine(struct db *db)
{
    return db->driver->examine != NULL ? db->driver->examine(db) : 0;
}
