/* db_pg_rows.c - statements on PostgreSQL: values go and rows come in the binary form; many changes go in one pipeline, and
 * new rows by COPY (rows that may be there: db_pg_batch.c). No statement has a name, so that a pool may give each transaction another session.
 * Must never read past what a result holds. Tests: test/unit/store_test.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_postgres.h"
#include "parts.h"

#define COPY_CHUNK 65536

struct pg_piece {
    const char *bytes; /* NULL: NULL */
    int len;
};

struct pg_statement {
    char *sql; /* with $1 for ? */
    PGresult *rows;
    int row;
    /* ---- while it streams: rows then says of what types the columns are ---- */
    char *copied;            /* the row, as COPY gave it */
    struct pg_piece *pieces; /* its columns */
};

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
    if (in->pieces != NULL) pg_copy_end(pg_of(stmt->db));
    if (in->rows != NULL) PQclear(in->rows);
    PQfreemem(in->copied);
    free(in->pieces);
    in->rows = NULL;
    in->row = 0;
    in->copied = NULL;
    in->pieces = NULL;
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

static int64_t read_number(Oid type, const char *from, int len)
{
    const uint8_t *p = (const uint8_t *)from;
    uint64_t v = 0;
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
    if (in->pieces != NULL ? in->pieces[at].bytes == NULL : PQgetisnull(in->rows, in->row, at)) return;
    Oid type = PQftype(in->rows, at);
    const char *bytes = in->pieces != NULL ? in->pieces[at].bytes : PQgetvalue(in->rows, in->row, at);
    int len = in->pieces != NULL ? in->pieces[at].len : PQgetlength(in->rows, in->row, at);
    if (type == OID_INT8 || type == OID_INT4 || type == OID_INT2 || type == OID_BOOL || type == OID_NUM)
        *out = (struct db_value){.kind = DB_INT, .number = read_number(type, bytes, len)};
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

static int64_t touched(PGresult *result)
{
    return strtoll(PQcmdTuples(result), NULL, 10);
}

static int send_one(struct db_statement *stmt)
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
    stmt->changes = touched(result);
    int rc = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : pg_fail(pg, result);
    PQclear(result);
    pg_drain(pg);
    return rc;
}

/* ---- streams: COPY gives rows as they lie, at a third of what single results cost here ---- */

static PGresult *ask(struct pg_db *pg, const char *before, const char *sql, const char *behind,
                     ExecStatusType want)
{
    char text[4096];
    PGresult *result = NULL;
    int len = snprintf(text, sizeof text, "%s%s%s", before, sql, behind);
    if (len < 0 || (size_t)len >= sizeof text) {
        store_fail(MOLT_INTERNAL, "a statement is too long");
        return NULL;
    }
    if (PQsendQuery(pg->conn, text) == 0)
        pg_fail(pg, NULL);
    else if (pg_result(pg, &result) && PQresultStatus(result) != want) {
        pg_fail(pg, result);
        PQclear(result);
        result = NULL;
        if (!pg->lost) pg_drain(pg);
    }
    return result;
}

/* Of what types the columns are, then all rows. The statement has no values. */
static int begin_stream(struct db_statement *stmt)
{
    struct pg_db *pg = pg_of(stmt->db);
    struct pg_statement *in = inner(stmt);
    if (pg->lost) return store_fail(MOLT_STORE_FAILED, "the connection to PostgreSQL is lost");
    in->rows = ask(pg, "SELECT * FROM (", in->sql, ") AS t LIMIT 0", PGRES_TUPLES_OK);
    if (in->rows == NULL) return -MOLT_STORE_FAILED;
    pg_drain(pg);
    PGresult *begun = ask(pg, "COPY (", in->sql, ") TO STDOUT (FORMAT binary)", PGRES_COPY_OUT);
    if (begun == NULL) return -MOLT_STORE_FAILED;
    PQclear(begun);
    in->pieces = calloc((size_t)PQnfields(in->rows) + 1, sizeof *in->pieces);
    return in->pieces != NULL ? 0 : store_fail(MOLT_NO_MEMORY, "out of memory");
}

/* A row is a count of columns, then each one's length (-1: NULL) and bytes. -1: it is none; 0: the mark of the end. */
static int cut_row(struct pg_statement *in, char *at, int len)
{
    const int columns = PQnfields(in->rows);
    if (len >= 2 && read_number(OID_INT2, at, 2) == -1) return 0;
    if (len < 2 || read_number(OID_INT2, at, 2) != columns) return -1;
    at += 2;
    len -= 2;
    for (int i = 0; i < columns; i++) {
        const int64_t size = len >= 4 ? read_number(OID_INT4, at, 4) : -2;
        if (size < -1 || size > len - 4) return -1;
        in->pieces[i] = (struct pg_piece){size >= 0 ? at + 4 : NULL, (int)size};
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
    struct pg_statement *in = inner(stmt);
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

static int step_stream(struct db_statement *stmt)
{
    int rc = stmt->running ? 0 : begin_stream(stmt);
    if (rc == 0) rc = next_copied(stmt);
    return rc;
}

int pg_step(struct db_statement *stmt)
{
    struct pg_statement *in = inner(stmt);
    if (stmt->stream) return step_stream(stmt);
    if (!stmt->running) {
        int rc = send_one(stmt);
        return rc == 0 ? receive(stmt) : rc;
    }
    return ++in->row < PQntuples(in->rows);
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
            *changes += touched(result);
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

/* ---- COPY ---- */

struct copy {
    struct pg_db *pg;
    size_t len, cap;
    char *bytes;
};

static bool put(struct copy *copy, const void *bytes, size_t len)
{
    if (copy->len + len > copy->cap) {
        size_t cap = 2 * (copy->len + len);
        char *grown = realloc(copy->bytes, cap);
        if (grown == NULL) return false;
        copy->bytes = grown;
        copy->cap = cap;
    }
    memcpy(copy->bytes + copy->len, bytes, len);
    copy->len += len;
    return true;
}

static bool put_row(struct copy *copy, const struct db_statement *stmt)
{
    uint8_t head[4], number[8];
    pg_put_number(head, 2, (uint64_t)stmt->value_count);
    bool ok = put(copy, head, 2);
    for (int i = 0; ok && i < stmt->value_count; i++) {
        const struct db_value *value = &stmt->values[i];
        const bool is_number = value->kind == DB_INT, is_null = value->kind == DB_NULL;
        pg_put_number(number, sizeof number, (uint64_t)value->number);
        pg_put_number(head, sizeof head, is_null ? UINT32_MAX : is_number ? sizeof number : value->len);
        ok = put(copy, head, sizeof head) && (is_null || put(copy, is_number ? number : value->bytes,
                                                             is_number ? sizeof number : value->len));
        char *repaired = ok && value->kind == DB_TEXT ? db_utf8(value->bytes, value->len) : NULL;
        if (repaired != NULL) memcpy(copy->bytes + copy->len - value->len, repaired, value->len);
        free(repaired);
    }
    return ok;
}

static int flush_copy(struct copy *copy)
{
    if (PQputCopyData(copy->pg->conn, copy->bytes, (int)copy->len) < 0) return pg_fail(copy->pg, NULL);
    copy->len = 0;
    return pg_wait(copy->pg, true);
}

static int copy_rows(struct copy *copy, struct db_statement *stmt,
                     int (*bind)(struct db_statement *stmt, void *ctx), void *ctx)
{
    static const char head[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0"; /* and no flags, no extension */
    int rc = put(copy, head, 19) ? 0 : store_fail(MOLT_NO_MEMORY, "out of memory");
    while (rc == 0 && (rc = bind(stmt, ctx)) == 1) {
        rc = put_row(copy, stmt) ? 0 : store_fail(MOLT_NO_MEMORY, "out of memory");
        if (rc == 0 && copy->len >= COPY_CHUNK) rc = flush_copy(copy);
    }
    if (rc == 0 && !put(copy, "\377\377", 2)) rc = store_fail(MOLT_NO_MEMORY, "out of memory");
    return rc == 0 ? flush_copy(copy) : rc;
}

int pg_load(struct db_statement *stmt, const char *table_columns, int columns,
            int (*bind)(struct db_statement *stmt, void *ctx), void *ctx)
{
    struct copy copy = {.pg = pg_of(stmt->db)};
    struct pg_db *pg = copy.pg;
    char sql[2048];
    PGresult *result;
    (void)columns;
    if (pg->lost) return store_fail(MOLT_STORE_FAILED, "the connection to PostgreSQL is lost");
    int len = snprintf(sql, sizeof sql, "COPY %s FROM STDIN (FORMAT binary)", table_columns);
    if (len < 0 || (size_t)len >= sizeof sql)
        return store_fail(MOLT_INTERNAL, "a table has too many columns");
    if (PQsendQuery(pg->conn, sql) == 0) return pg_fail(pg, NULL);
    if (!pg_result(pg, &result)) return -MOLT_STORE_FAILED;
    int rc = PQresultStatus(result) == PGRES_COPY_IN ? 0 : pg_fail(pg, result);
    PQclear(result);
    if (rc == 0) {
        rc = copy_rows(&copy, stmt, bind, ctx);
        free(copy.bytes);
        if (!pg->lost && PQputCopyEnd(pg->conn, rc < 0 ? "given up" : NULL) < 0) rc = pg_fail(pg, NULL);
    }
    while (pg_result(pg, &result) && result != NULL) {
        if (rc == 0 && PQresultStatus(result) != PGRES_COMMAND_OK) rc = pg_fail(pg, result);
        if (rc == 0) stmt->changes = touched(result);
        PQclear(result);
    }
    return pg->lost && rc == 0 ? -MOLT_STORE_FAILED : rc;
}
