/* db_pg_rows.c - statements on PostgreSQL: values go and rows come in the binary form; many changes go in one pipeline (new rows:
 * db_pg_copy.c; rows that may be there: db_pg_batch.c). No statement has a name, so that a pool may give each transaction another session.
 * Must never read past what a result holds. Tests: test/unit/store_test.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_postgres.h"
#include "parts.h"

/* The values of a statement as libpq takes them. */
struct pg_values {
    Oid types[DB_VALUES_MAX];
    const char *bytes[DB_VALUES_MAX];
    int lengths[DB_VALUES_MAX], formats[DB_VALUES_MAX];
    uint8_t numbers[DB_VALUES_MAX][8];
    char *repaired[DB_VALUES_MAX]; /* texts that are not those of the caller */
};

void pg_put_number(uint8_t *to, size_t len, uint64_t v)
{
    for (size_t i = len; i-- > 0; v >>= 8)
        to[i] = (uint8_t)v;
}

static struct pg_statement *inner(const struct db_statement *stmt)
{
    return stmt->handle;
}

#define PLACE_MAX 8u /* "$96" and the NUL, with room */

/* ? and ?N become $N. */
static char *number_values(const char *sql)
{
    char *out = malloc(strlen(sql) + PLACE_MAX * DB_VALUES_MAX + 1), *to = out;
    int next = 0;
    while (out != NULL && *sql != '\0') {
        if (*sql != '?') {
            *to++ = *sql++;
            continue;
        }
        char *end;
        long number = strtol(++sql, &end, 10);
        next = end > sql ? (int)number : next + 1;
        to += snprintf(to, PLACE_MAX, "$%d", next);
        sql = end;
    }
    if (out != NULL) *to = '\0';
    return out;
}

int pg_prepare(struct db_statement *stmt)
{
    struct pg_statement *made = calloc(1, sizeof *made);
    stmt->handle = made;
    if (made != NULL) made->sql = number_values(stmt->sql);
    return made != NULL && made->sql != NULL ? 0 : store_fail(MOLT_NO_MEMORY, "out of memory");
}

void pg_reset(struct db_statement *stmt)
{
    struct pg_statement *in = inner(stmt);
    pg_end_stream(stmt);
    PQclear(in->rows);
    in->rows = NULL;
    in->row = 0;
}

void pg_finish(struct db_statement *stmt)
{
    struct pg_statement *in = inner(stmt);
    if (in == NULL) return;
    pg_reset(stmt);
    free(in->sql);
    free(in);
}

/* ---- values ---- */

static void release(const struct db_statement *stmt, struct pg_values *values)
{
    for (int i = 0; i < stmt->value_count; i++)
        free(values->repaired[i]);
}

static void fill(const struct db_statement *stmt, struct pg_values *to)
{
    memset(to->repaired, 0, sizeof to->repaired);
    for (int i = 0; i < stmt->value_count; i++) {
        const struct db_value *value = &stmt->values[i];
        to->formats[i] = 1;
        to->bytes[i] = value->bytes;
        to->lengths[i] = (int)value->len;
        switch (value->kind) {
        case DB_INT:
            pg_put_number(to->numbers[i], sizeof to->numbers[i], (uint64_t)value->number);
            to->bytes[i] = (const char *)to->numbers[i];
            to->lengths[i] = sizeof to->numbers[i];
            to->types[i] = OID_INT8;
            break;
        case DB_TEXT:
            to->types[i] = OID_TEXT;
            to->repaired[i] = db_utf8(value->bytes, value->len);
            if (to->repaired[i] != NULL) to->bytes[i] = to->repaired[i];
            break;
        case DB_BLOB:
            to->types[i] = OID_BYTEA;
            break;
        case DB_NULL:
            to->types[i] = 0;
            to->bytes[i] = NULL;
            break;
        }
    }
}

/* sum() of numbers is numeric there; ours are small and whole: digits to the base of 10,000. */
static int64_t read_numeric(const uint8_t *p, int len)
{
    uint16_t words[4 + 5];
    int64_t v = 0;
    if (len < 8 || len % 2 != 0 || len > (int)sizeof words) return 0;
    for (int i = 0; i < len / 2; i++)
        words[i] = (uint16_t)(p[2 * i] << 8 | p[2 * i + 1]);
    for (int i = 0; i <= (int16_t)words[1]; i++)
        v = v * 10000 + (i < words[0] && 4 + i < len / 2 ? words[4 + i] : 0);
    return v;
}

/* Fifty million times when a million devices are loaded; compilers make one instruction of it. */
static int64_t read_eight(const uint8_t *p)
{
    return (int64_t)((uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 |
                     (uint64_t)p[3] << 32 | (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 |
                     (uint64_t)p[6] << 8 | (uint64_t)p[7]);
}

int64_t pg_number(Oid type, const char *from, int len)
{
    const uint8_t *p = (const uint8_t *)from;
    uint64_t v = 0;
    if (type == OID_INT8 && len == 8) return read_eight(p);
    if (type == OID_NUM) return read_numeric(p, len);
    for (int i = 0; i < len && i < 8; i++)
        v = v << 8 | p[i];
    if (len == 4) return (int32_t)(uint32_t)v;
    return len == 2 ? (int16_t)(uint16_t)v : (int64_t)v;
}

void pg_value(const struct db_statement *stmt, int at, struct db_value *out)
{
    const struct pg_statement *in = inner(stmt);
    if (in->rows == NULL || at >= PQnfields(in->rows)) return;
    const struct pg_piece *piece = in->pieces != NULL ? &in->pieces[at] : NULL;
    if (piece != NULL ? piece->bytes == NULL : PQgetisnull(in->rows, in->row, at)) return;
    const Oid type = piece != NULL ? piece->type : PQftype(in->rows, at);
    const char *bytes = piece != NULL ? piece->bytes : PQgetvalue(in->rows, in->row, at);
    const int len = piece != NULL ? piece->len : PQgetlength(in->rows, in->row, at);
    if (type == OID_INT8 || type == OID_INT4 || type == OID_INT2 || type == OID_BOOL || type == OID_NUM)
        *out = (struct db_value){.kind = DB_INT, .number = pg_number(type, bytes, len)};
    else
        *out = (struct db_value){
            .kind = type == OID_BYTEA ? DB_BLOB : DB_TEXT, .bytes = bytes, .len = (size_t)len};
}

int pg_columns(const struct db_statement *stmt)
{
    const struct pg_statement *in = inner(stmt);
    return in->rows != NULL ? PQnfields(in->rows) : 0;
}

const char *pg_column_name(const struct db_statement *stmt, int at)
{
    const struct pg_statement *in = inner(stmt);
    return in->rows != NULL ? PQfname(in->rows, at) : NULL;
}

/* ---- one statement ---- */

int64_t pg_touched(PGresult *result)
{
    return strtoll(PQcmdTuples(result), NULL, 10);
}

int pg_send_one(struct db_statement *stmt)
{
    struct pg_db *pg = pg_of(stmt->db);
    struct pg_values values;
    if (pg->lost) return store_fail(MOLT_STORE_FAILED, "the connection to PostgreSQL is lost");
    fill(stmt, &values);
    int sent = PQsendQueryParams(pg->conn, inner(stmt)->sql, stmt->value_count, values.types, values.bytes,
                                 values.lengths, values.formats, 1);
    release(stmt, &values);
    return sent == 0 ? pg_fail(pg, NULL) : 0;
}

/* The next result of the statement that was sent: 1 with rows, 0: it is over. */
static int receive(struct db_statement *stmt)
{
    struct pg_db *pg = pg_of(stmt->db);
    struct pg_statement *in = inner(stmt);
    PGresult *result;
    if (!pg_result(pg, &result)) return -MOLT_STORE_FAILED;
    if (result == NULL) return 0;
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK && PQntuples(result) > 0) {
        in->rows = result;
        in->row = 0;
        pg_drain(pg);
        return 1;
    }
    stmt->changes = pg_touched(result);
    int rc = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : pg_fail(pg, result);
    PQclear(result);
    pg_drain(pg);
    return rc;
}

int pg_step(struct db_statement *stmt)
{
    struct pg_statement *in = inner(stmt);
    if (stmt->stream) return pg_step_stream(stmt);
    if (!stmt->running) {
        int rc = pg_send_one(stmt);
        return rc == 0 ? receive(stmt) : rc;
    }
    return ++in->row < PQntuples(in->rows);
}

int pg_step_if_known(struct db_statement *stmt)
{
    struct pg_db *pg = pg_of(stmt->db);
    if (pg->lost) return store_fail(MOLT_STORE_FAILED, "the connection to PostgreSQL is lost");
    int rc = pg_guard(pg);
    if (rc == 0) rc = pg_step(stmt);
    return rc < 0 && pg->unknown && !pg->lost ? pg_unguard(pg) : rc;
}

/* ---- many ---- */

/* Parsed once, then bound for each row. */
static bool queue_one(struct db_statement *stmt, bool first)
{
    struct pg_db *pg = pg_of(stmt->db);
    struct pg_values values;
    const char *sql = inner(stmt)->sql;
    fill(stmt, &values);
    bool ok = !first || PQsendPrepare(pg->conn, "", sql, stmt->value_count, values.types) == 1;
    ok = ok && PQsendQueryPrepared(pg->conn, "", stmt->value_count, values.bytes, values.lengths,
                                   values.formats, 1) == 1;
    release(stmt, &values);
    return ok;
}

static int queue_all(struct db_statement *stmt, size_t count, db_binder bind, void *ctx)
{
    struct pg_db *pg = pg_of(stmt->db);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = bind(stmt, i, ctx);
        if (rc == 0 && !queue_one(stmt, i == 0)) rc = pg_fail(pg, NULL);
    }
    return PQpipelineSync(pg->conn) == 1 ? rc : pg_fail(pg, NULL);
}

/* Results until the pipeline's end; the first failure is the one to tell. */
static int read_all(struct pg_db *pg, int64_t *changes)
{
    int rc = 0;
    PGresult *result;
    for (ExecStatusType status = PGRES_EMPTY_QUERY; status != PGRES_PIPELINE_SYNC;) {
        if (!pg_result(pg, &result)) return -MOLT_STORE_FAILED;
        if (result == NULL) continue; /* between the results of two statements */
        status = PQresultStatus(result);
        if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
            *changes += pg_touched(result);
        else if (rc == 0 && status != PGRES_PIPELINE_SYNC && status != PGRES_PIPELINE_ABORTED)
            rc = pg_fail(pg, result);
        PQclear(result);
    }
    return rc;
}

int pg_many(struct db_statement *stmt, size_t count, db_binder bind, void *ctx)
{
    struct pg_db *pg = pg_of(stmt->db);
    stmt->changes = 0;
    if (count == 0) return 0;
    if (pg->lost) return store_fail(MOLT_STORE_FAILED, "the connection to PostgreSQL is lost");
    if (PQenterPipelineMode(pg->conn) != 1) return pg_fail(pg, NULL);
    int queued = queue_all(stmt, count, bind, ctx);
    int rc = pg->lost ? queued : read_all(pg, &stmt->changes);
    if (!pg->lost && PQexitPipelineMode(pg->conn) != 1) rc = pg_fail(pg, NULL);
    return queued < 0 ? queued : rc;
}
