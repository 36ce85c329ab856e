/* db_pg_batch.c - many rows in one statement of PostgreSQL, those that may be there, and new ones where it has no COPY: each column goes
 * as one array, of which unnest() makes rows. Costs no more than COPY into a temporary table and from there. Must never leave anything in
 * the session. Tests: test/unit/store_test.c, test/unit/store_copy_refused_test.c, test/e2e/postgres_test.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_postgres.h"
#include "parts.h"

/* Rows of one statement: the values of each column as an array in the binary form, which unnest() makes rows of again. */
struct array {
    Oid element; /* 0: no value but NULL yet, which is a number's */
    struct pg_bytes put;
};

struct batch {
    int columns;
    size_t rows, len;
    struct array arrays[DB_VALUES_MAX];
};

#define BATCH_ROWS 1000u
#define BATCH_MAX  (4u << 20) /* bytes; one row may pass it */
#define ARRAY_HEAD 20u        /* dimensions, are there NULLs, of what type, how many, from where */

bool pg_put(struct pg_bytes *to, const void *bytes, size_t len)
{
    if (to->len + len > to->cap) {
        size_t cap = 2 * (to->len + len);
        char *grown = realloc(to->bytes, cap);
        if (grown == NULL) return false;
        to->bytes = grown;
        to->cap = cap;
    }
    memcpy(to->bytes + to->len, bytes, len);
    to->len += len;
    return true;
}

bool pg_put_value(struct pg_bytes *to, const struct db_value *value)
{
    uint8_t head[4], number[8];
    const bool is_number = value->kind == DB_INT, is_null = value->kind == DB_NULL;
    pg_put_number(number, sizeof number, (uint64_t)value->number);
    pg_put_number(head, sizeof head, is_null ? UINT32_MAX : is_number ? sizeof number : value->len);
    bool ok = pg_put(to, head, sizeof head) && (is_null || pg_put(to, is_number ? number : value->bytes,
                                                                  is_number ? sizeof number : value->len));
    char *repaired = ok && value->kind == DB_TEXT ? db_utf8(value->bytes, value->len) : NULL;
    if (repaired != NULL) memcpy(to->bytes + to->len - value->len, repaired, value->len);
    free(repaired);
    return ok;
}

static bool put_value(struct array *array, const struct db_value *value)
{
    if (value->kind == DB_INT)
        array->element = OID_INT8;
    else if (value->kind != DB_NULL)
        array->element = value->kind == DB_TEXT ? OID_TEXT : OID_BYTEA;
    return pg_put_value(&array->put, value);
}

static int put_row(struct batch *batch, const struct db_statement *stmt)
{
    for (int i = 0; i < batch->columns; i++) {
        const size_t before = batch->arrays[i].put.len;
        if (!put_value(&batch->arrays[i], &stmt->values[i]))
            return store_fail(MOLT_NO_MEMORY, "out of memory");
        batch->len += batch->arrays[i].put.len - before;
    }
    batch->rows++;
    return 0;
}

typedef int (*next_row)(struct db_statement *stmt, void *ctx); /* 1: with its values, 0: no more */

/* The next rows, as many as go into one statement. 1: there may be more; 0: those were the last, or there was none. */
static int fill_batch(struct batch *batch, struct db_statement *stmt, next_row next, void *ctx)
{
    static const char head[ARRAY_HEAD];
    int rc = 1;
    batch->rows = batch->len = 0;
    for (int i = 0; i < batch->columns; i++) {
        batch->arrays[i].put.len = 0;
        if (!pg_put(&batch->arrays[i].put, head, sizeof head))
            return store_fail(MOLT_NO_MEMORY, "out of memory");
    }
    while (rc == 1 && batch->rows < BATCH_ROWS && batch->len < BATCH_MAX) {
        rc = next(stmt, ctx);
        if (rc == 1 && put_row(batch, stmt) < 0) rc = -MOLT_NO_MEMORY;
    }
    return rc;
}

static Oid array_of(Oid element)
{
    return element == OID_TEXT ? OID_TEXTS : element == OID_BYTEA ? OID_BYTEAS : OID_INT8S;
}

static int send_batch(struct pg_db *pg, const struct batch *batch, const char *sql)
{
    Oid types[DB_VALUES_MAX];
    const char *bytes[DB_VALUES_MAX];
    int lengths[DB_VALUES_MAX], formats[DB_VALUES_MAX];
    for (int i = 0; i < batch->columns; i++) {
        const struct array *array = &batch->arrays[i];
        uint8_t *head = (uint8_t *)array->put.bytes;
        pg_put_number(head, 4, 1);
        pg_put_number(head + 4, 4, 1); /* there may be NULLs */
        pg_put_number(head + 8, 4, array->element != 0 ? array->element : OID_INT8);
        pg_put_number(head + 12, 4, batch->rows);
        pg_put_number(head + 16, 4, 1);
        types[i] = array_of(array->element);
        bytes[i] = array->put.bytes;
        lengths[i] = (int)array->put.len;
        formats[i] = 1;
    }
    PGresult *result;
    if (PQsendQueryParams(pg->conn, sql, batch->columns, types, bytes, lengths, formats, 1) == 0)
        return pg_fail(pg, NULL);
    if (!pg_result(pg, &result)) return -MOLT_STORE_FAILED;
    int rc = PQresultStatus(result) == PGRES_COMMAND_OK ? 0 : pg_fail(pg, result);
    PQclear(result);
    if (!pg->lost) pg_drain(pg);
    return pg->lost ? -MOLT_STORE_FAILED : rc;
}

static int make_sql(char *sql, size_t cap, const char *into, int columns, const char *over)
{
    size_t len = (size_t)snprintf(sql, cap, "INSERT INTO %s SELECT * FROM unnest($1", into);
    for (int i = 2; i <= columns && len < cap; i++)
        len += (size_t)snprintf(sql + len, cap - len, ", $%d", i);
    if (len < cap) len += (size_t)snprintf(sql + len, cap - len, ") %s", over);
    return len < cap ? 0 : store_fail(MOLT_INTERNAL, "a table has too many columns");
}

static int send_all(struct db_statement *stmt, int columns, const char *sql, next_row next, void *ctx)
{
    struct pg_db *pg = pg_of(stmt->db);
    struct batch batch = {.columns = columns};
    int rc = 1;
    while (rc == 1) {
        rc = fill_batch(&batch, stmt, next, ctx);
        const int sent = rc >= 0 && batch.rows > 0 ? send_batch(pg, &batch, sql) : 0;
        if (sent < 0) rc = sent;
    }
    for (int i = 0; i < columns; i++)
        free(batch.arrays[i].put.bytes);
    return rc;
}

/* Rows that are counted. */
struct counted {
    db_binder bind;
    void *ctx;
    size_t next, count;
};

static int next_counted(struct db_statement *stmt, void *ctx)
{
    struct counted *rows = ctx;
    if (rows->next == rows->count) return 0;
    int rc = rows->bind(stmt, rows->next++, rows->ctx);
    return rc < 0 ? rc : 1;
}

int pg_merge(struct db_statement *stmt, const struct db_merge *merge, size_t count, db_binder bind, void *ctx)
{
    struct counted rows = {.bind = bind, .ctx = ctx, .count = count};
    char sql[8192];
    if (pg_of(stmt->db)->lost) return store_fail(MOLT_STORE_FAILED, "the connection to PostgreSQL is lost");
    int rc = make_sql(sql, sizeof sql, merge->into, merge->columns, merge->over);
    return rc == 0 ? send_all(stmt, merge->columns, sql, next_counted, &rows) : rc;
}

int pg_load_arrays(struct db_statement *stmt, const char *table_columns, int columns, next_row next,
                   void *ctx)
{
    char sql[8192];
    int rc = make_sql(sql, sizeof sql, table_columns, columns, "");
    return rc == 0 ? send_all(stmt, columns, sql, next, ctx) : rc;
}
