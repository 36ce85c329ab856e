/* db_postgres.h - private to the driver of PostgreSQL: its connection (db_postgres.c) its statements (db_pg_rows.c),
 * and many rows at once (db_pg_batch.c, db_pg_copy.c). */
#ifndef MOLT_HOST_STORE_DB_POSTGRES_H
#define MOLT_HOST_STORE_DB_POSTGRES_H

#include <libpq-fe.h>

#include "db.h"

/* Object ids of types, fixed for ever: pg_type.dat */
#define OID_BOOL  16
#define OID_BYTEA 17
#define OID_INT8  20
#define OID_INT2  21
#define OID_INT4  23
#define OID_TEXT  25
#define OID_NUM   1700
/* ... of arrays of them */
#define OID_BYTEAS 1001
#define OID_TEXTS  1009
#define OID_INT8S  1016

enum pg_knows { PG_UNSURE, PG_KNOWS, PG_LACKS };

struct pg_db {
    struct db db;
    PGconn *conn; /* nonblocking */
    char *url;
    bool read_only, shared, lost; /* shared: one of several servers, maybe behind a pooler */
    bool unknown;                 /* the last failure was that the database does not know what it was asked */
    unsigned patience_ms;         /* 0: for ever */
    enum pg_knows copy_out, copy_in; /* binary COPY, as the database said when it was first asked */
};

struct pg_piece {
    const char *bytes; /* NULL: NULL */
    int len;
    Oid type; /* the same in all rows */
};

struct pg_statement {
    char *sql; /* with $1 for ? */
    PGresult *rows;
    int row;
    /* ---- while it streams by COPY: rows then says of what types the columns are ---- */
    char *copied;            /* the row, as COPY gave it */
    struct pg_piece *pieces; /* its columns */
};

struct pg_db *pg_of(const struct db *db);
/* What the connection or, when not NULL, the result says. Marks the connection as lost when it is. */
int pg_fail(struct pg_db *pg, const PGresult *result);
/* Sends what is queued and reads until a result is there (or, with sending, until all is sent). 0, or negative and the
 * connection is lost: it was silent for longer than the patience. */
int pg_wait(struct pg_db *pg, bool sending);
/* The next result, NULL when there is none left. False: the connection is lost. */
bool pg_result(struct pg_db *pg, PGresult **result);
/* Throws away what is left of an answer. */
void pg_drain(struct pg_db *pg);
/* Runs statements without values and waits until they are done. */
int pg_run(struct pg_db *pg, const char *sql);

/* Of a COPY to here: bytes of the next message, in *row (PQfreemem()); 0: that was the last, and the answer is over; negative:
 * failed. */
int pg_copy_row(struct pg_db *pg, char **row);
/* Reads a COPY to its end that nobody wants to see. */
void pg_copy_end(struct pg_db *pg);

/* Around what the database may not know, which would take its transaction with it. pg_unguard(): after it failed. */
int pg_guard(struct pg_db *pg);
int pg_unguard(struct pg_db *pg);

/* db_pg_rows.c */
int pg_prepare(struct db_statement *stmt);
int pg_step(struct db_statement *stmt);
int pg_step_if_known(struct db_statement *stmt);
void pg_value(const struct db_statement *stmt, int at, struct db_value *out);
int pg_columns(const struct db_statement *stmt);
const char *pg_column_name(const struct db_statement *stmt, int at);
void pg_reset(struct db_statement *stmt);
void pg_finish(struct db_statement *stmt);
int pg_many(struct db_statement *stmt, size_t count, db_binder bind, void *ctx);
void pg_put_number(uint8_t *to, size_t len, uint64_t v); /* big-endian, as everything there */
int64_t pg_number(Oid type, const char *from, int len);
int64_t pg_touched(PGresult *result);
int pg_send_one(struct db_statement *stmt);

/* db_pg_copy.c */
int pg_step_stream(struct db_statement *stmt);
void pg_end_stream(struct db_statement *stmt);
int pg_load(struct db_statement *stmt, const char *table_columns, int columns,
            int (*bind)(struct db_statement *stmt, void *ctx), void *ctx);

/* db_pg_batch.c */
/* Bytes that grow. To begin with zeroes; bytes is to be freed. False: memory is short, and what was put stays. */
struct pg_bytes {
    size_t len, cap;
    char *bytes;
};
bool pg_put(struct pg_bytes *to, const void *bytes, size_t len);
/* A value's length (4 bytes; -1: NULL) and bytes, as a field of COPY's binary form and an element of an array are written. Text is
 * repaired where it is no UTF-8. */
bool pg_put_value(struct pg_bytes *to, const struct db_value *value);
/* Does what pg_load() does, without COPY. */
int pg_load_arrays(struct db_statement *stmt, const char *table_columns, int columns,
                   int (*bind)(struct db_statement *stmt, void *ctx), void *ctx);
int pg_merge(struct db_statement *stmt, const struct db_merge *merge, size_t count, db_binder bind,
             void *ctx);

#endif
