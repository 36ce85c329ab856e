/* parts.h - private to host/store: the open store, its transactions, and rows as structs.
 * Nobody outside this folder includes it. */
#ifndef MOLT_HOST_STORE_PARTS_H
#define MOLT_HOST_STORE_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "db.h"
#include "store.h"

struct store {
    pthread_mutex_t mutex; /* guards db; error-checking, so that a re-entrant call is refused */
    struct db *db;
    int lock_fd;            /* holds the folder as long as it is open */
    int artifacts_fd;       /* <data>/artifacts */
    struct bucket *bucket;  /* NULL: none */
    struct node_self *self; /* nodes_parts.h; NULL: the only server. Owned by the first connection of it */
    bool beside;            /* another connection of a server: knows no artifacts */
    struct store
        *replica; /* replica.c; NULL: none. It has no replica, and is away until it is known to be one */
    char *replica_url;
    bool stands_by; /* it is the replica of another */

    atomic_uint_fast64_t reads[STORE_READ_COUNT]; /* by who answered */

    atomic_uint temp;    /* names of files that are being written */
    int64_t result_seq;  /* the number of the last result that was appended */
    bool results_unsure; /* an append failed: nobody knows whether it is there */
    atomic_bool away;    /* the connection is lost; nobody may wait for it */
    pthread_mutex_t health_lock;
    int64_t ill_since_ms; /* guarded by health_lock; 0: well */
    char ill_why[STORE_WHY_LEN];
};

/* ---- errors ---- */

/* Keeps the text for store_error() of this thread and returns -reason. */
int store_fail(int reason, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- the folder (folder.c) ---- */

/* Makes the folder and its parents, each 0700 and durable. */
int folder_make(const char *path);
/* Takes the lock; -MOLT_STATE and the holder's pid in the error text when another has it. */
int folder_lock(const char *path, int *lock_fd);
/* The number of the folder that nobody else has; makes it the first time. The lock is held. */
int folder_instance(const char *path, char instance[33]);
/* Makes what was renamed into or created in the folder durable. */
int folder_sync(int dir_fd);
/* What root has just made in the folder (a path as openat() takes it) becomes that of the folder's owner, who serves from it; SQLite
 * does so with its own files. Nothing for any other user, and where root may not. fd stays the caller's. */
void folder_give(int at, const char *folder, int fd);

/* ---- transactions ---- */

struct store *store_new(void);        /* without a database; store_close() frees it. NULL: store_fail() */
int store_enter(struct store *store); /* 0, or -MOLT_STATE when this thread is already inside */
void store_leave(struct store *store);

/* Runs work in a transaction with the mutex held: commits when it returns 0, else rolls back (also when it is positive).
 * Again, from the beginning, when the database says that another transaction was in the way. Returns work's answer, or
 * the commit's failure. */
typedef int (*store_work)(struct store *store, void *ctx);
int store_transact(struct store *store, enum db_begin kind, store_work work, void *ctx);

/* The last of a change of rules: so that no other waits for longer than this commit. */
int store_bump_generation(struct store *store);
/* Runs an INSERT ... RETURNING id. */
int store_insert(struct db_statement *stmt, int64_t *id);

/* The replica while it is well, else the store itself: for what people read at length and no change depends on. replica.c */
struct store *store_reader(struct store *store);
/* After each question to the reader: counts who answered it. True: it failed in the replica, so ask the store. */
bool store_sent_back(struct store *store, const struct store *reader, int rc);
/* True when this thread's last question to a store failed because another transaction, or what a replica replays, was in the way. */
bool store_was_in_the_way(void);

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
int store_bind(struct db_statement *stmt, int first, const struct column *columns, size_t count,
               const void *row);
int store_read(const struct db_statement *stmt, int first, const struct column *columns, size_t count,
               void *row);
/* The same, but what does not fit stays zero: the name of the first such column, NULL when all fit. */
const char *store_read_most(const struct db_statement *stmt, int first, const struct column *columns,
                            size_t count, void *row);

/* The number in a field that is no text and no bytes. set: false when it does not fit. */
int64_t column_number(const struct column *column, const uint8_t *field);
bool column_set_number(const struct column *column, uint8_t *field, int64_t v);

/* ---- devices (devices.c); the mutex is held ---- */

/* Of struct model_device; the first is the id. What stands here has its number in device_state.c: new ones go to the end. */
extern const struct column device_columns[];
extern const size_t device_column_count;
int device_load(struct store *store, const char *id, struct model_device *out); /* -MOLT_NOT_FOUND */
int device_save(struct store *store, const struct model_device *device);
/* In one statement or few. */
int devices_save_all(struct store *store, const struct model_device *devices, size_t count);
/* Rows whose columns, from `first` on, are a device: what can be read of it. */
void device_read(const struct db_statement *stmt, int first, struct model_device *out);
/* PostgreSQL: the devices of ids joined by \x1f (value 1). */
struct db_statement *devices_find_many(struct store *store);
/* PostgreSQL: id, gone_ms and the device (NULL: none) of changes with stamps above value 1, up to value 2, not by server 3. */
struct db_statement *devices_changed_since(struct store *store);
/* Number, state and id of results numbered above value 1, up to value 2, the first of them (3: how many), and the device as its row is
 * (NULL: none). By id, those of one device by number. */
struct db_statement *devices_of_results(struct store *store);

/* ---- results ---- */

/* A device as bytes, as short as it goes. device_state.c */
#define DEVICE_STATE_MAX 2560u
size_t device_state_write(const struct model_device *device, uint8_t out[DEVICE_STATE_MAX]);
/* Sets the fields that the writer of the bytes knew, and leaves the id and those of a later molt. False: damaged. */
bool device_state_read(const uint8_t *bytes, size_t len, struct model_device *device);
/* What an end left behind: folds it. results.c */
int results_recover(struct store *store);
/* What the server of that epoch left: folds it, within a transaction that has the stamp. */
int results_fold_epoch(struct store *store, int64_t epoch, int64_t stamp);
/* ... of the audit log: appends what was begun and never ended, before that time. audit_open.c */
int audit_recover(struct store *store, int64_t before_ms);
/* audit.c: appends within a transaction. The texts must be clean: audit_clean(). */
int audit_append(struct store *store, struct store_audit *entry);
int audit_clean(struct store_audit *entry);
#define ATTEMPT_NAMES                                                                                        \
    "device_id, ended_ms, release_id, code, from_code, rollout_id, result, reason, bytes, verified, once"
#define ATTEMPT_COLUMNS 11
extern const struct column attempt_columns[ATTEMPT_COLUMNS]; /* of struct model_attempt_end; history.c */

/* ---- several servers (nodes*.c) ---- */

/* Joins as that name; folds what dead ones left. The folder is locked. */
int nodes_open(struct store *store, const char *name, const char *data_dir);
/* -MOLT_STATE: servers with a name live. */
int nodes_alone(struct store *store);
/* store_save_devices() of an operator's change. */
int nodes_save_settings(struct store *store, const struct model_device *devices, size_t count);
int nodes_stamp(struct store *store, int64_t *stamp);
int nodes_note_gone(struct store *store, const char *id, int64_t stamp);
/* Saves rows that a dead server's results were folded into, for the others to hear of; sorted, each once. */
int nodes_save_folded(struct store *store, const struct model_device *devices, size_t count, int64_t stamp);
int nodes_check_lease(struct store *store, const char *name, int64_t epoch);

/* ---- parts ---- */
int schema_open(struct store *store, bool must_exist, bool read_only); /* schema.c */
struct store_rules;
int rollouts_load(struct store *store, struct store_rules *out); /* out->rollouts; rollouts.c */
/* sealed.c: the encrypted forms of images. Writes those of image, each in the place of an older one of its kind; the mutex is
 * held and a transaction is open. */
int sealed_save(struct store *store, int64_t image_id, const struct model_image *image);
/* Has the image of that id any? *has_manifest: one with this manifest. */
int sealed_find(struct store *store, int64_t image_id, const uint8_t manifest_sha256[32], bool *has_any,
                bool *has_manifest);
int sealed_load(struct store *store, struct store_rules *out); /* into out->releases' images */
/* Opens the folder, of the data folder or, when not NULL, shared; removes torn files, unless somebody else may be writing them. */
int artifacts_open(struct store *store, const struct store_place *place, const char *shared);
struct store_token;
/* The row of a token: id, kind, label, device, product, made. token_list.c */
int token_read(struct db_statement *stmt, struct store_token *out);
/* Calls each with every artifact there is, mapped; a negative answer ends it. */
int artifacts_each(struct store *store,
                   int (*each)(void *ctx, const uint8_t sha256[32], const void *data, size_t len), void *ctx);
/* 0 when the file is there and has the length and the digest; -MOLT_NOT_FOUND, -MOLT_STORE_FAILED. */
int artifact_verify(struct store *store, const struct model_artifact *artifact);
/* 0 when a file of that name and length is there. */
int artifact_present(struct store *store, const struct model_artifact *artifact);

/* ---- a bucket (artifacts_bucket.c) ---- */
/* Calls each for every artifact of every release (one may come several times); a negative answer ends it. */
typedef int (*artifact_visitor)(void *ctx, const struct model_artifact *artifact, const char *what,
                                const struct model_release *release);
int artifacts_of_releases(struct store *store, artifact_visitor each, void *ctx);
/* Calls use with the artifact's bytes. */
int artifact_with(struct store *store, const uint8_t sha256[32],
                  int (*use)(void *ctx, const void *data, size_t len), void *ctx);
/* A new file without a name in the artifact folder, and its name once it is whole. */
#define ARTIFACT_TEMP_LEN 48
int artifact_temp(struct store *store, char name[ARTIFACT_TEMP_LEN]); /* the descriptor */
/* Closes fd, which has everything, and gives it its name, durably; or removes it when rc is negative. Returns rc, or what failed. */
int artifact_name(struct store *store, int fd, const char *name, const uint8_t sha256[32], int rc);

#endif
