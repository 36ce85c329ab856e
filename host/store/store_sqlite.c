/* store_sqlite.c - opens and closes the store; runs statements and transactions on SQLite.
 * Must never report success before the change is on the disk (WAL with synchronous=FULL).
 * Tests: test/unit/store_test.c, test/e2e/store_kill_test.c. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sqlite.h"

#define BUSY_TIMEOUT_MS 5000 /* a person's sqlite3 shell may hold the database for a moment */

static _Thread_local char last_error[512];

int store_fail(int reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(last_error, sizeof last_error, format, args);
    va_end(args);
    return -reason;
}

int store_fail_sqlite(struct store *store, const char *doing)
{
    int code = store->db != NULL ? sqlite3_errcode(store->db) : SQLITE_NOMEM;
    const char *text = store->db != NULL ? sqlite3_errmsg(store->db) : sqlite3_errstr(code);
    return store_fail((code & 0xFF) == SQLITE_CONSTRAINT ? MOLT_ARG : MOLT_STORE_FAILED, "cannot %s: %s",
                      doing, text);
}

const char *store_error(const struct store *store)
{
    (void)store;
    return last_error;
}

int store_enter(struct store *store)
{
    int error = pthread_mutex_lock(&store->mutex);
    if (error != 0) return store_fail(MOLT_STATE, "the store was called from inside its own callback");
    return 0;
}

void store_leave(struct store *store)
{
    pthread_mutex_unlock(&store->mutex);
}

sqlite3_stmt *store_statement(struct store *store, const char *sql)
{
    for (size_t i = 0; i < STORE_STATEMENTS_MAX; i++) {
        if (store->statements[i].sql == sql) {
            sqlite3_reset(store->statements[i].stmt);
            sqlite3_clear_bindings(store->statements[i].stmt);
            return store->statements[i].stmt;
        }
        if (store->statements[i].sql != NULL) continue;
        sqlite3_stmt *stmt = NULL;
        if (sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK) {
            store_fail_sqlite(store, "prepare a statement");
            return NULL;
        }
        store->statements[i].sql = sql;
        store->statements[i].stmt = stmt;
        return stmt;
    }
    store_fail(MOLT_INTERNAL, "STORE_STATEMENTS_MAX is too small");
    return NULL;
}

int store_step(struct store *store, sqlite3_stmt *stmt)
{
    int code = sqlite3_step(stmt);
    if (code == SQLITE_ROW) return 1;
    int rc = code == SQLITE_DONE ? 0 : store_fail_sqlite(store, "use the database");
    sqlite3_reset(stmt);
    return rc;
}

int store_run(struct store *store, const char *sql)
{
    sqlite3_stmt *stmt = store_statement(store, sql);
    return stmt != NULL ? store_step(store, stmt) : -MOLT_STORE_FAILED;
}

int store_begin(struct store *store)
{
    static const char sql[] = "BEGIN IMMEDIATE";
    return store_run(store, sql);
}

int store_end(struct store *store, int rc)
{
    static const char commit[] = "COMMIT", rollback[] = "ROLLBACK";
    if (rc == 0) rc = store_run(store, commit);
    if (rc != 0 && sqlite3_get_autocommit(store->db) == 0) {
        char kept[sizeof last_error]; /* the first failure is the one to tell */
        memcpy(kept, last_error, sizeof kept);
        store_run(store, rollback);
        memcpy(last_error, kept, sizeof kept);
    }
    return rc;
}

int store_bump_generation(struct store *store)
{
    static const char sql[] = "UPDATE meta SET generation = generation + 1";
    return store_run(store, sql);
}

/* ---- open and close ---- */

static int open_database(struct store *store, const char *path)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &store->db, flags, NULL) != SQLITE_OK) return store_fail_sqlite(store, path);
    sqlite3_extended_result_codes(store->db, 1);
    sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    static const char settings[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                   "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
                                   "PRAGMA temp_store = MEMORY;";
    if (sqlite3_exec(store->db, settings, NULL, NULL, NULL) != SQLITE_OK) {
        return store_fail_sqlite(store, "read the database");
    }
    return schema_open(store);
}

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
static int make_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return store_fail(MOLT_STORE_FAILED, "cannot open %s: %s", path, strerror(errno));
    close(fd);
    return 0;
}

static int open_parts(struct store *store, const char *data_dir, bool create)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/molt.db", data_dir);
    if (len < 0 || (size_t)len >= sizeof path) {
        return store_fail(MOLT_STORE_FAILED, "the data folder's path is too long");
    }
    if (!create && access(path, F_OK) != 0) {
        return store_fail(MOLT_STORE_FAILED, "there is no store in %s: %s", data_dir, strerror(errno));
    }
    int rc = create ? folder_make(data_dir) : 0;
    if (rc == 0) rc = folder_lock(data_dir, &store->lock_fd);
    if (rc == 0 && create) rc = make_file(path);
    if (rc == 0) rc = open_database(store, path);
    if (rc == 0) rc = artifacts_open(store, data_dir);
    return rc;
}

int store_open(const char *data_dir, bool create, struct store **out, char *err, size_t err_cap)
{
    *out = NULL;
    struct store *store = calloc(1, sizeof *store);
    int rc = store != NULL ? make_mutex(&store->mutex) : store_fail(MOLT_NO_MEMORY, "out of memory");
    if (rc < 0) {
        free(store);
    } else {
        store->lock_fd = store->artifacts_fd = -1;
        rc = open_parts(store, data_dir, create);
        if (rc == 0) {
            *out = store;
        } else {
            store_close(store);
        }
    }
    if (err != NULL && err_cap > 0) snprintf(err, err_cap, "%s", rc < 0 ? last_error : "");
    return rc;
}

void store_close(struct store *store)
{
    if (store == NULL) return;
    for (size_t i = 0; i < STORE_STATEMENTS_MAX; i++)
        sqlite3_finalize(store->statements[i].stmt);
    sqlite3_close(store->db);
    if (store->artifacts_fd >= 0) close(store->artifacts_fd);
    if (store->lock_fd >= 0) close(store->lock_fd); /* last: only now another may open the folder */
    pthread_mutex_destroy(&store->mutex);
    free(store);
}
