/* sqlite.h - private to host/store: the open store, its statements, and rows as structs.
 * Nobody outside this folder includes it. */
#ifndef MOLT_HOST_STORE_SQLITE_H
#define MOLT_HOST_STORE_SQLITE_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "store.h"

#define STORE_STATEMENTS_MAX 96

struct store {
    pthread_mutex_t
        mutex; /* guards db and statements; error-checking, so that a re-entrant call is refused */
    sqlite3 *db;
    struct {
        const char *sql; /* the key: the address of a static text */
        sqlite3_stmt *stmt;
    } statements[STORE_STATEMENTS_MAX];
    int lock_fd;      /* holds the folder as long as it is open */
    int artifacts_fd; /* <data>/artifacts */
    atomic_uint temp; /* names of files that are being written */
};

/* ---- errors ---- */

/* Keeps the text for store_error() of this thread and returns -reason. */
int store_fail(int reason, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, with what SQLite said. Constraint failures are -MOLT_ARG, everything else -MOLT_STORE_FAILED. */
int store_fail_sqlite(struct store *store, const char *doing);

/* ---- the folder (folder.c) ---- */

/* Makes the folder and its parents, each 0700 and durable. */
int folder_make(const char *path);
/* Takes the lock; -MOLT_STATE and the holder's pid in the error text when another has it. */
int folder_lock(const char *path, int *lock_fd);
/* Makes what was renamed into or created in the folder durable. */
int folder_sync(int dir_fd);

/* ---- statements; the mutex is held ---- */

int store_enter(struct store *store); /* 0, or -MOLT_STATE when this thread is already inside */
void store_leave(struct store *store);

/* The statement of a static SQL text, prepared once, reset and without bindings. NULL: store_fail_sqlite(). */
sqlite3_stmt *store_statement(struct store *store, const char *sql);
/* 1: a row is there, 0: done, negative: failed. Anything but a row leaves the statement reset. */
int store_step(struct store *store, sqlite3_stmt *stmt);
/* Runs a static text without rows and bindings. */
int store_run(struct store *store, const char *sql);

int store_begin(struct store *store);
/* Commits when rc is 0, else rolls back (also when it is positive). Returns rc, or the commit's failure. */
int store_end(struct store *store, int rc);
int store_bump_generation(struct store *store);

/* ---- rows and structs ---- */

enum column_kind {
    COLUMN_TEXT, /* char[size], NUL-terminated */
    COLUMN_BLOB, /* uint8_t[size] */
    COLUMN_INT,  /* signed, 4 or 8 bytes */
    COLUMN_UINT, /* unsigned or enum, 2 or 4 bytes; bool, 1 byte */
    COLUMN_REF,  /* int64_t row id; 0 is NULL */
};

struct column {
    enum column_kind kind;
    size_t offset, size;
};

/* Binds or reads count columns, the first being number `first` of the statement (bind: from 1, read: from 0).
 * -MOLT_ARG: a text is not terminated. -MOLT_STORE_FAILED: a value in the database does not fit its field. */
int store_bind(sqlite3_stmt *stmt, int first, const struct column *columns, size_t count, const void *row);
int store_read(sqlite3_stmt *stmt, int first, const struct column *columns, size_t count, void *row);

/* ---- parts ---- */
int schema_open(struct store *store); /* makes the tables or refuses what is not ours; schema.c */
struct store_rules;
int rollouts_load(struct store *store, struct store_rules *out); /* out->rollouts; rollouts.c */
/* sealed.c: the encrypted forms of images. Writes those of image, each in the place of an older one of its kind; the mutex is
 * held and a transaction is open. */
int sealed_save(struct store *store, int64_t image_id, const struct model_image *image);
/* Has the image of that id any? *has_manifest: one with this manifest. */
int sealed_find(struct store *store, int64_t image_id, const uint8_t manifest_sha256[32], bool *has_any,
                bool *has_manifest);
int sealed_load(struct store *store, struct store_rules *out); /* into out->releases' images */
int artifacts_open(struct store *store, const char *data_dir); /* opens the folder, removes torn files */
struct store_token;
/* The row of a token: id, kind, label, device, product, made. token_list.c */
int token_read(sqlite3_stmt *stmt, struct store_token *out);
/* 0 when a file of that name and length is there. */
int artifact_present(struct store *store, const struct model_artifact *artifact);

#endif
