/* db.h - private to host/store: one connection to SQLite or PostgreSQL behind one interface, so that every statement is
 * written once. The dialect is what both understand, with these differences that the drivers take away:
 *   - values are `?` or `?1`, and 64-bit integers, texts, byte strings or NULL; a new row's id comes by RETURNING;
 *   - tables are written as for SQLite: INTEGER, TEXT, BLOB, x'00', AUTOINCREMENT, STRICT, WITHOUT ROWID (db_script());
 *   - texts are compared byte by byte.
 * One thread at a time (the store's mutex). Failures are store_fail(): -MOLT_ARG when a constraint refused the values, else
 * -MOLT_STORE_FAILED. Tests: test/unit/store_test.c and the others of the store, on both. */
#ifndef MOLT_HOST_STORE_DB_H
#define MOLT_HOST_STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;
struct db_statement;

enum db_kind { DB_NULL, DB_INT, DB_TEXT, DB_BLOB };
struct db_value {
    enum db_kind kind;
    int64_t number;
    const void *bytes; /* text and blob; a text that was read has a NUL behind it */
    size_t len;
};

/* path: a file that is there. read_only: beside the process that holds the store. */
int db_open_sqlite(const char *path, bool read_only, struct db **out);
/* url: postgres://... as libpq takes it. -MOLT_STATE: another molt has it (not asked when read_only). */
int db_open_postgres(const char *url, bool read_only, struct db **out);
/* As one of several servers: nothing of it hangs on the session, which a pooler may give to another between two transactions. */
int db_open_shared(const char *url, struct db **out);
void db_close(struct db *db); /* NULL: nothing */

bool db_is_url(const char *text);         /* postgres:// or postgresql:// */
const char *db_name(const struct db *db); /* "sqlite", "postgresql" */

/* A malloc'ed copy of a text that is not UTF-8, as PostgreSQL gets it; NULL: it is. */
char *db_utf8(const void *text, size_t len);

/* ---- statements ---- */

/* The statement of a static SQL text, made once, reset and without values. NULL: store_fail(). */
struct db_statement *db_statement(struct db *db, const char *sql);
/* Values, from 1. The bytes must live until the statement is reset. */
void db_bind_int(struct db_statement *stmt, int at, int64_t v);
void db_bind_text(struct db_statement *stmt, int at, const char *text); /* NULL: NULL */
void db_bind_blob(struct db_statement *stmt, int at, const void *bytes, size_t len);
void db_bind_value(struct db_statement *stmt, int at, const struct db_value *value);
/* 1: a row is there, 0: done, negative: failed. Anything but a row leaves the statement reset. */
int db_step(struct db_statement *stmt);
/* The same of one that the database may not know: then 0, and a transaction goes on as if nobody had asked. */
int db_step_if_known(struct db_statement *stmt);
/* Rows one by one as they come, instead of all at once: nothing else may be asked until the last. For millions of rows. */
void db_stream(struct db_statement *stmt);
/* Columns of the row, from 0; valid until the next step. A value of another kind is 0 or NULL. */
int64_t db_int(const struct db_statement *stmt, int at);
const char *db_text(const struct db_statement *stmt, int at);
const void *db_blob(const struct db_statement *stmt, int at, size_t *len);
void db_value(const struct db_statement *stmt, int at, struct db_value *out);
int db_column_count(const struct db_statement *stmt);
const char *db_column_name(const struct db_statement *stmt, int at);
void db_reset(struct db_statement *stmt);
/* Rows that the last change made by the statement touched. */
int64_t db_changes(const struct db_statement *stmt);

/* The values of one of several rows: 0, or negative and it ends. */
typedef int (*db_binder)(struct db_statement *stmt, size_t i, void *ctx);
/* Rows that take the place of those with the same key. The texts are static; PostgreSQL takes many of them in one statement, which costs
 * it a fraction of one statement each. NULL is a number's only. */
struct db_merge {
    const char *one;  /* INSERT INTO t (c, ...) VALUES (?, ...) ON CONFLICT ... DO UPDATE ... */
    const char *into; /* t (c, ...) */
    const char *over; /* ON CONFLICT ... DO UPDATE ... */
    int columns;
};
/* distinct: no two of the rows have the same key. Within a transaction. */
int db_merge(struct db *db, const struct db_merge *merge, bool distinct, size_t count, db_binder bind,
             void *ctx);
/* New rows of `table (column, ...)`, by the fastest way in. bind: 1 with the next row's values, 0: no more. The texts are
 * static, as a statement's. NULL is a number's or a text's. */
int db_load(struct db *db, const char *table_columns, int columns,
            int (*bind)(struct db_statement *stmt, void *ctx), void *ctx);

/* ---- transactions ---- */

enum db_begin {
    DB_READ,   /* one picture, and no change */
    DB_ROWS,   /* changes of rows that depend on nothing else */
    DB_CHANGE, /* what is read stays true until the end */
};
int db_begin(struct db *db, enum db_begin kind);
int db_commit(struct db *db);
void db_rollback(struct db *db); /* also when there is none */
/* True, once, when the last failure was that another transaction was in the way: the same again may succeed. */
bool db_take_retry(struct db *db);

/* ---- the connection ---- */

/* True when the connection is gone: nothing works until db_reconnect() and db_swap(). */
bool db_lost(const struct db *db);
/* Closes what is left of a lost connection: the database must not keep its session, which holds the lock. */
void db_hang_up(struct db *db);
/* A new connection beside it, made without the mutex (it may take seconds), to be swapped in with it. */
int db_reconnect(const struct db *db, struct db **fresh);
/* Puts fresh's connection into db, and closes fresh. */
void db_swap(struct db *db, struct db *fresh);
/* How long a statement may be silent before the connection counts as lost; 0: for ever. SQLite: means nothing. */
void db_patience(struct db *db, unsigned ms);

/* ---- tables ---- */

/* Runs several statements without values: tables and settings. */
int db_script(struct db *db, const char *sql);
/* How many tables there are, and whether one is called meta. */
int db_tables(struct db *db, int64_t *count, bool *has_meta);
/* After rows with ids of their own: the next id is above them. */
int db_ids_follow(struct db *db, const char *table);
/* What the database itself can say against its health; 0: nothing. */
int db_examine(struct db *db);

/* ---- between db.c and the drivers ---- */

struct db_driver {
    const char *name;
    int (*prepare)(struct db_statement *stmt);
    int (*step)(struct db_statement *stmt);
    int (*step_if_known)(struct db_statement *stmt); /* NULL: it knows all of them */
    void (*value)(const struct db_statement *stmt, int at, struct db_value *out);
    int (*columns)(const struct db_statement *stmt);
    const char *(*column_name)(const struct db_statement *stmt, int at);
    void (*reset)(struct db_statement *stmt);
    void (*finish)(struct db_statement *stmt);
    int (*many)(struct db_statement *stmt, size_t count, db_binder bind, void *ctx); /* NULL: step by step */
    int (*load)(struct db_statement *stmt, const char *table_columns, int columns,
                int (*bind)(struct db_statement *stmt, void *ctx), void *ctx); /* NULL: by INSERT */
    /* stmt: one of merge; NULL: row by row */
    int (*merge)(struct db_statement *stmt, const struct db_merge *merge, size_t count, db_binder bind,
                 void *ctx);
    int (*script)(struct db *db, const char *sql);
    bool (*inside)(const struct db *db); /* a transaction is open */
    const char *begin[DB_CHANGE + 1];
    const char *tables_sql; /* one row: how many tables; how many called meta */
    int (*ids_follow)(struct db *db, const char *table);
    int (*examine)(struct db *db);
    bool (*lost)(const struct db *db); /* these five NULL: never */
    void (*hang_up)(struct db *db);
    int (*reconnect)(const struct db *db, struct db **fresh);
    void (*swap)(struct db *db, struct db *fresh);
    void (*patience)(struct db *db, unsigned ms);
    void (*close)(struct db *db);
};

#define DB_STATEMENTS_MAX 192
#define DB_VALUES_MAX     96

struct db_statement {
    struct db *db;
    const char *sql; /* the key: the address of a static text */
    void *handle;    /* the driver's */
    bool running, stream;
    int value_count;
    int64_t changes;
    struct db_value *values;
};

/* What every driver's connection begins with. */
struct db {
    const struct db_driver *driver;
    bool retry;
    struct db_statement *statements[DB_STATEMENTS_MAX];
};

/* A statement outside the cache, for db_load() and scripts; end with db_finish(). */
struct db_statement *db_prepare(struct db *db, const char *sql);
void db_finish(struct db_statement *stmt);

#endif
