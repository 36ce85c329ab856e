/* db_pg_copy.c - many rows at once: COPY in its binary form gives them as they lie, at a third of what single results cost here, and takes them.
 * Where the database has no such COPY they come one by one and go as arrays. Must never lose a row, or a transaction, over finding out
 * which. Tests: test/unit/store_copy_refused_test.c, test/unit/store_test.c and the others of the store, with and without COPY. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_postgres.h"
#include "parts.h"

#define COPY_CHUNK 65536
#define SQL_MAX    4096

/* ---- is there such a COPY ---- */

/* Sends it. 1: it has begun; 0: *knows is PG_LACKS, and nothing happened; negative: failed. */
static int begin_copy(struct pg_db *pg, enum pg_knows *knows, const char *sql, ExecStatusType begun)
{
    const bool first = *knows == PG_UNSURE;
    PGresult *result;
    int rc = first ? pg_guard(pg) : 0;
    if (rc < 0) return rc;
    if (PQsendQuery(pg->conn, sql) == 0) return pg_fail(pg, NULL);
    if (!pg_result(pg, &result)) return -MOLT_STORE_FAILED;
    rc = PQresultStatus(result) == begun ? 1 : pg_fail(pg, result);
    PQclear(result);
    if (rc == 1) *knows = PG_KNOWS;
    if (rc == 1 || pg->lost) return rc;
    const bool refused = first && pg->unknown;
    pg_drain(pg);
    if (!refused || pg->lost) return rc;
    rc = pg_unguard(pg);
    if (rc == 0) *knows = PG_LACKS;
    return rc;
}

/* ---- out, by COPY ---- */

/* Of what types the columns are. */
static int ask_types(struct db_statement *stmt)
{
    struct pg_db *pg = pg_of(stmt->db);
    struct pg_statement *in = stmt->handle;
    char sql[SQL_MAX];
    int len = snprintf(sql, sizeof sql, "SELECT * FROM (%s) AS t LIMIT 0", in->sql);
    if (len < 0 || (size_t)len >= sizeof sql) return store_fail(MOLT_INTERNAL, "a statement is too long");
    if (PQsendQuery(pg->conn, sql) == 0) return pg_fail(pg, NULL);
    if (!pg_result(pg, &in->rows)) return -MOLT_STORE_FAILED;
    int rc = PQresultStatus(in->rows) == PGRES_TUPLES_OK ? 0 : pg_fail(pg, in->rows);
    if (!pg->lost) pg_drain(pg);
    return pg->lost ? -MOLT_STORE_FAILED : rc;
}

/* As begin_copy(). The statement has no values. */
static int begin_copied(struct db_statement *stmt)
{
    struct pg_db *pg = pg_of(stmt->db);
    struct pg_statement *in = stmt->handle;
    char sql[SQL_MAX];
    int rc = ask_types(stmt);
    int len = snprintf(sql, sizeof sql, "COPY (%s) TO STDOUT (FORMAT binary)", in->sql);
    if (rc < 0) return rc;
    if (len < 0 || (size_t)len >= sizeof sql) return store_fail(MOLT_INTERNAL, "a statement is too long");
    rc = begin_copy(pg, &pg->copy_out, sql, PGRES_COPY_OUT);
    if (rc != 1) return rc;
    in->pieces = calloc((size_t)PQnfields(in->rows) + 1, sizeof *in->pieces);
    for (int i = 0; in->pieces != NULL && i < PQnfields(in->rows); i++)
        in->pieces[i].type = PQftype(in->rows, i);
    if (in->pieces != NULL) return 1;
    pg_copy_end(pg);
    return store_fail(MOLT_NO_MEMORY, "out of memory");
}

/* A row is a count of columns, then each one's length (-1: NULL) and bytes. -1: it is none; 0: the mark of the end. */
static int cut_row(struct pg_statement *in, char *at, int len)
{
    const int columns = PQnfields(in->rows);
    if (len >= 2 && pg_number(OID_INT2, at, 2) == -1) return 0;
    if (len < 2 || pg_number(OID_INT2, at, 2) != columns) return -1;
    at += 2;
    len -= 2;
    for (int i = 0; i < columns; i++) {
        const int64_t size = len >= 4 ? pg_number(OID_INT4, at, 4) : -2;
        if (size < -1 || size > len - 4) return -1;
        in->pieces[i].bytes = size >= 0 ? at + 4 : NULL;
        in->pieces[i].len = (int)size;
        at[0] = '\0'; /* behind the column before; the last one has a NUL of libpq's behind it */
        at += 4 + (size > 0 ? size : 0);
        len -= 4 + (int)(size > 0 ? size : 0);
    }
    return len == 0 ? 1 : -1;
}

static int next_copied(struct db_statement *stmt)
{
    static const char head[] = "PGCOPY\n\377\r\n\0";
    struct pg_db *pg = pg_of(stmt->db);
    struct pg_statement *in = stmt->handle;
    PQfreemem(in->copied);
    in->copied = NULL;
    int len = pg_copy_row(pg, &in->copied);
    if (len <= 0) return len;
    char *row = in->copied;
    if (len >= 19 &&
        memcmp(row, head, 11) == 0) { /* before the first row, then eight bytes of flags that are 0 */
        row += 19;
        len -= 19;
    }
    int cut = cut_row(in, row, len);
    if (cut == 0) return next_copied(stmt);
    return cut == 1 ? 1 : store_fail(MOLT_STORE_FAILED, "PostgreSQL sent what is no row");
}

/* ---- out, one by one as they come ---- */

static int begin_single(struct db_statement *stmt)
{
    struct pg_db *pg = pg_of(stmt->db);
    struct pg_statement *in = stmt->handle;
    PQclear(in->rows);
    in->rows = NULL;
    int rc = pg_send_one(stmt);
    return rc == 0 && PQsetSingleRowMode(pg->conn) != 1 ? pg_fail(pg, NULL) : rc;
}

static int next_single(struct db_statement *stmt)
{
    struct pg_db *pg = pg_of(stmt->db);
    struct pg_statement *in = stmt->handle;
    PQclear(in->rows);
    in->rows = NULL;
    if (!pg_result(pg, &in->rows)) return -MOLT_STORE_FAILED;
    if (PQresultStatus(in->rows) == PGRES_SINGLE_TUPLE) return 1;
    int rc = PQresultStatus(in->rows) == PGRES_TUPLES_OK ? 0 : pg_fail(pg, in->rows);
    if (!pg->lost) pg_drain(pg);
    return pg->lost ? -MOLT_STORE_FAILED : rc;
}

int pg_step_stream(struct db_statement *stmt)
{
    struct pg_db *pg = pg_of(stmt->db);
    struct pg_statement *in = stmt->handle;
    int rc = 0;
    if (pg->lost) return store_fail(MOLT_STORE_FAILED, "the connection to PostgreSQL is lost");
    if (!stmt->running && pg->copy_out != PG_LACKS) rc = begin_copied(stmt);
    if (rc == 0 && !stmt->running && pg->copy_out == PG_LACKS) rc = begin_single(stmt);
    if (rc < 0) return rc;
    return in->pieces != NULL ? next_copied(stmt) : next_single(stmt);
}

void pg_end_stream(struct db_statement *stmt)
{
    struct pg_db *pg = pg_of(stmt->db);
    struct pg_statement *in = stmt->handle;
    if (in->pieces != NULL)
        pg_copy_end(pg);
    else if (PQresultStatus(in->rows) == PGRES_SINGLE_TUPLE)
        pg_drain(pg);
    PQfreemem(in->copied);
    free(in->pieces);
    in->copied = NULL;
    in->pieces = NULL;
}

/* ---- in ---- */

struct copy {
    struct pg_db *pg;
    struct pg_bytes put;
};

static bool put_row(struct pg_bytes *to, const struct db_statement *stmt)
{
    uint8_t count[2];
    pg_put_number(count, sizeof count, (uint64_t)stmt->value_count);
    bool ok = pg_put(to, count, sizeof count);
    for (int i = 0; ok && i < stmt->value_count; i++)
        ok = pg_put_value(to, &stmt->values[i]);
    return ok;
}

static int flush_copy(struct copy *copy)
{
    if (PQputCopyData(copy->pg->conn, copy->put.bytes, (int)copy->put.len) < 0)
        return pg_fail(copy->pg, NULL);
    copy->put.len = 0;
    return pg_wait(copy->pg, true);
}

static int copy_rows(struct copy *copy, struct db_statement *stmt,
                     int (*bind)(struct db_statement *stmt, void *ctx), void *ctx)
{
    static const char head[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0"; /* and no flags, no extension */
    int rc = pg_put(&copy->put, head, 19) ? 0 : store_fail(MOLT_NO_MEMORY, "out of memory");
    while (rc == 0 && (rc = bind(stmt, ctx)) == 1) {
        rc = put_row(&copy->put, stmt) ? 0 : store_fail(MOLT_NO_MEMORY, "out of memory");
        if (rc == 0 && copy->put.len >= COPY_CHUNK) rc = flush_copy(copy);
    }
    if (rc == 0 && !pg_put(&copy->put, "\377\377", 2)) rc = store_fail(MOLT_NO_MEMORY, "out of memory");
    return rc == 0 ? flush_copy(copy) : rc;
}

int pg_load(struct db_statement *stmt, const char *table_columns, int columns,
            int (*bind)(struct db_statement *stmt, void *ctx), void *ctx)
{
    struct copy copy = {.pg = pg_of(stmt->db)};
    struct pg_db *pg = copy.pg;
    char sql[SQL_MAX];
    PGresult *result;
    if (pg->lost) return store_fail(MOLT_STORE_FAILED, "the connection to PostgreSQL is lost");
    int len = snprintf(sql, sizeof sql, "COPY %s FROM STDIN (FORMAT binary)", table_columns);
    if (len < 0 || (size_t)len >= sizeof sql)
        return store_fail(MOLT_INTERNAL, "a table has too many columns");
    int rc = pg->copy_in != PG_LACKS ? begin_copy(pg, &pg->copy_in, sql, PGRES_COPY_IN) : 0;
    if (rc < 0) return rc;
    if (rc == 0) return pg_load_arrays(stmt, table_columns, columns, bind, ctx);
    rc = copy_rows(&copy, stmt, bind, ctx);
    free(copy.put.bytes);
    if (!pg->lost && PQputCopyEnd(pg->conn, rc < 0 ? "given up" : NULL) < 0) rc = pg_fail(pg, NULL);
    while (pg_result(pg, &result) && result != NULL) {
        if (rc == 0 && PQresultStatus(result) != PGRES_COMMAND_OK) rc = pg_fail(pg, result);
        if (rc == 0) stmt->changes = pg_touched(result);
        PQclear(result);
    }
    return pg->lost && rc == 0 ? -MOLT_STORE_FAILED : rc;
}
