/* store.c - opens and closes the store, and runs its transactions.
 * Must never report success before the change is durable.
 * Tests: test/unit/store_test.c, test/e2e/store_kill_test.c. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bucket.h"
#include "clock.h"
#include "nodes_parts.h"

#define PATIENCE_MS 10000u /* a statement that is silent for longer: the database is away */

static _Thread_local char last_error[512];
static _Thread_local bool in_the_way; /* of what was asked last */

int store_fail(int reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(last_error, sizeof last_error, format, args);
    va_end(args);
    return -reason;
}

const char *store_error(const struct store *store)
{
    (void)store;
    return last_error;
}

/* ---- health ---- */

static void note(struct store *store, bool ok)
{
    pthread_mutex_lock(&store->health_lock);
    if (ok) {
        store->ill_since_ms = 0;
    } else {
        if (store->ill_since_ms == 0) store->ill_since_ms = clock_now_ms();
        snprintf(store->ill_why, sizeof store->ill_why, "%.*s", STORE_WHY_LEN - 1, last_error);
    }
    pthread_mutex_unlock(&store->health_lock);
}

void store_health(struct store *store, struct store_health *out)
{
    *out = (struct store_health){.backend = db_name(store->db)};
    pthread_mutex_lock(&store->health_lock);
    out->ill_since_ms = store->ill_since_ms;
    if (out->ill_since_ms != 0) snprintf(out->why, sizeof out->why, "%s", store->ill_why);
    pthread_mutex_unlock(&store->health_lock);
}

bool store_is_away(const struct store *store)
{
    return atomic_load(&store->away);
}

bool store_recover(struct store *store)
{
    struct db *fresh;
    if (!atomic_load(&store->away)) return true;
    if (db_reconnect(store->db, &fresh) < 0) {
        note(store, false);
        return false;
    }
    pthread_mutex_lock(&store->mutex);
    db_swap(store->db, fresh);
    pthread_mutex_unlock(&store->mutex);
    atomic_store(&store->away, false);
    note(store, true);
    return true;
}

bool store_was_in_the_way(void)
{
    return in_the_way;
}

int store_enter(struct store *store)
{
    in_the_way = false;
    if (atomic_load(&store->away)) return store_fail(MOLT_STORE_FAILED, "the database is away");
    int error = pthread_mutex_lock(&store->mutex);
    if (error != 0) return store_fail(MOLT_STATE, "the store was called from inside its own callback");
    return 0;
}

void store_leave(struct store *store)
{
    bool lost = db_lost(store->db);
    in_the_way = db_take_retry(store->db);
    if (lost) note(store, false);
    if (lost) db_hang_up(store->db);
    if (lost) atomic_store(&store->away, true); /* from here on nobody waits for it */
    pthread_mutex_unlock(&store->mutex);
}

/* ---- transactions ---- */

#define TRIES_MAX 20 /* nobody loses twenty times in a row but by a mistake of ours */

static int transact_once(struct store *store, enum db_begin kind, store_work work, void *ctx)
{
    int rc = db_begin(store->db, kind);
    if (rc < 0) return rc;
    rc = work(store, ctx);
    if (rc == 0) rc = db_commit(store->db);
    if (rc != 0) {
        char kept[sizeof last_error]; /* the first failure is the one to tell */
        memcpy(kept, last_error, sizeof kept);
        db_rollback(store->db);
        memcpy(last_error, kept, sizeof kept);
    }
    return rc;
}

/* Others shall not come back at the same moment. */
static void step_aside(const struct store *store, int tries)
{
    if (store->self == NULL) return; /* nobody else is there */
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const long most = 2000000L << (tries < 5 ? tries : 5); /* ns */
    nanosleep(&(struct timespec){.tv_nsec = now.tv_nsec % most}, NULL);
}

int store_transact(struct store *store, enum db_begin kind, store_work work, void *ctx)
{
    int rc = store_enter(store);
    if (rc < 0) return rc;
    (void)db_take_retry(store->db);
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        rc = transact_once(store, kind, work, ctx);
        if (rc >= 0 || store->stands_by || !db_take_retry(store->db)) break;
        step_aside(store, tries);
    }
    if (kind != DB_READ && (rc == 0 || rc == -MOLT_STORE_FAILED)) note(store, rc == 0);
    store_leave(store);
    return rc;
}

int store_bump_generation(struct store *store)
{
    static const char sql[] = "UPDATE meta SET generation = generation + 1";
    struct db_statement *stmt = db_statement(store->db, sql);
    return stmt != NULL ? db_step(stmt) : -MOLT_STORE_FAILED;
}

int store_insert(struct db_statement *stmt, int64_t *id)
{
    int rc = db_step(stmt);
    if (rc == 1) *id = db_int(stmt, 0);
    db_reset(stmt);
    if (rc == 0) return store_fail(MOLT_INTERNAL, "a new row has no id");
    return rc < 0 ? rc : 0;
}

/* ---- open and close ---- */

static int make_mutex(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attr;
    if (pthread_mutexattr_init(&attr) != 0) return store_fail(MOLT_NO_MEMORY, "out of memory");
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
    int error = pthread_mutex_init(mutex, &attr);
    pthread_mutexattr_destroy(&attr);
    return error == 0 ? 0 : store_fail(MOLT_NO_MEMORY, "out of memory");
}

/* The database's file, empty, for nobody else to read: also in a folder that others may enter. SQLite gives its
 * other files the same permissions. */
static int make_file(const char *data_dir, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return store_fail(MOLT_STORE_FAILED, "cannot open %s: %s", path, strerror(errno));
    folder_give(AT_FDCWD, data_dir, fd);
    close(fd);
    return 0;
}

/* Is there something to open? Looked at before anything is made. */
static int check_there(const struct store_place *place, const char *path)
{
    const char *wanted = place->url != NULL ? place->data_dir : path;
    if (place->url != NULL && !db_is_url(place->url))
        return store_fail(MOLT_ARG, "a store is named by postgres://USER@HOST/DATABASE");
    if (place->create || access(wanted, F_OK) == 0) return 0;
    return store_fail(MOLT_STORE_FAILED, "there is no store in %s: %s", place->data_dir, strerror(errno));
}

static int open_database(struct store *store, const struct store_place *place, const char *path)
{
    if (place->node != NULL) return db_open_shared(place->url, &store->db);
    if (place->url != NULL) return db_open_postgres(place->url, place->read_only, &store->db);
    int rc = place->create ? make_file(place->data_dir, path) : 0;
    return rc == 0 ? db_open_sqlite(path, place->read_only, &store->db) : rc;
}

/* What several servers cannot do without. */
static int check_node(const struct store_place *place)
{
    if (place->node == NULL) return 0;
    if (place->url == NULL)
        return store_fail(MOLT_ARG,
                          "several servers share a PostgreSQL: give --store postgres://USER@HOST/DATABASE");
    if (place->artifacts == NULL)
        return store_fail(MOLT_ARG, "several servers share their artifacts: give --artifacts s3://BUCKET, or "
                                    "--artifacts and a folder that all of them mount");
    return 0;
}

/* Any URL: bucket_open() says which of them name one. */
static bool is_bucket(const struct store_place *place)
{
    return place->artifacts != NULL && strstr(place->artifacts, "://") != NULL;
}

/* After the tables are as this molt knows them. */
static int take_store(struct store *store, const struct store_place *place)
{
    if (place->read_only) return 0;
    if (place->node != NULL) return nodes_open(store, place->node, place->data_dir);
    int rc = place->url != NULL ? nodes_alone(store) : 0;
    return rc == 0 ? results_recover(store) : rc;
}

static int open_parts(struct store *store, const struct store_place *place)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/molt.db", place->data_dir);
    if (len < 0 || (size_t)len >= sizeof path) {
        return store_fail(MOLT_STORE_FAILED, "the data folder's path is too long");
    }
    int rc = check_node(place);
    if (rc == 0 && is_bucket(place)) rc = bucket_open(place->artifacts, &store->bucket);
    if (rc == 0) rc = check_there(place, path);
    if (rc == 0 && place->create) rc = folder_make(place->data_dir);
    if (rc == 0 && !place->read_only) rc = folder_lock(place->data_dir, &store->lock_fd);
    if (rc == 0) rc = open_database(store, place, path);
    if (rc == 0) rc = schema_open(store, !place->create, place->read_only);
    if (rc == 0) rc = take_store(store, place);
    if (rc == 0 && !place->read_only)
        rc = audit_recover(store, place->url != NULL ? clock_now_ms() - STORE_AUDIT_OPEN_MS : INT64_MAX);
    if (rc == 0) rc = artifacts_open(store, place, is_bucket(place) ? NULL : place->artifacts);
    if (rc == 0) db_patience(store->db, PATIENCE_MS);
    return rc;
}

struct store *store_new(void)
{
    struct store *store = calloc(1, sizeof *store);
    int rc = store != NULL ? make_mutex(&store->mutex) : store_fail(MOLT_NO_MEMORY, "out of memory");
    if (rc < 0) {
        free(store);
        return NULL;
    }
    pthread_mutex_init(&store->health_lock, NULL);
    store->lock_fd = store->artifacts_fd = -1;
    return store;
}

int store_open_place(const struct store_place *place, struct store **out, char *err, size_t err_cap)
{
    *out = NULL;
    struct store *store = store_new();
    int rc = store != NULL ? 0 : -MOLT_NO_MEMORY;
    if (store != NULL) {
        rc = open_parts(store, place);
        if (rc == 0) {
            *out = store;
        } else {
            store_close(store);
        }
    }
    if (err != NULL && err_cap > 0) snprintf(err, err_cap, "%s", rc < 0 ? last_error : "");
    return rc;
}

int store_open(const char *data_dir, bool create, struct store **out, char *err, size_t err_cap)
{
    const struct store_place place = {.data_dir = data_dir, .create = create};
    return store_open_place(&place, out, err, err_cap);
}

void store_close(struct store *store)
{
    if (store == NULL) return;
    store_close(store->replica);
    free(store->replica_url);
    db_close(store->db);
    if (!store->beside) free(store->self);
    bucket_close(store->bucket);
    if (store->artifacts_fd >= 0) close(store->artifacts_fd);
    if (store->lock_fd >= 0) close(store->lock_fd); /* last: only now another may open the folder */
    pthread_mutex_destroy(&store->mutex);
    pthread_mutex_destroy(&store->health_lock);
    free(store);
}

/* ---- another connection of the same server ---- */

int store_node_beside(struct store *store, struct store **out)
{
    struct store *beside = store_new();
    *out = NULL;
    if (beside == NULL) return -MOLT_NO_MEMORY;
    beside->self = store->self;
    beside->beside = true;
    int rc = db_reconnect(store->db, &beside->db);
    if (rc == 0)
        *out = beside;
    else
        store_close(beside);
    return rc;
}
