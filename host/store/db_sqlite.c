/* db_sqlite.c - the driver of SQLite: a file in WAL mode, durable at each commit (synchronous=FULL).
 * Must never report success before the change is on the disk. Tests: test/unit/store_test.c, test/e2e/store_kill_test.c. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "parts.h"

#define BUSY_TIMEOUT_MS 5000 /* a person's sqlite3 shell may hold the database for a moment */

struct sqlite_db {
    struct db db;
    sqlite3 *handle;
};

static sqlite3 *handle_of(const struct db *db)
{
    return ((const struct sqlite_db *)db)->handle;
}

/* What the operating system said of the last failure, of the write-ahead log or of the file itself: "disk I/O error" alone does
 * not tell people that the disk was mounted read-only. "": nothing. */
static const char *system_error(sqlite3 *handle)
{
    sqlite3_file *journal = NULL;
    int error = sqlite3_system_errno(handle);
    (void)sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &journal);
    if (error == 0 && journal != NULL && journal->pMethods != NULL)
        (void)journal->pMethods->xFileControl(journal, SQLITE_FCNTL_LAST_ERRNO, &error);
    if (error == 0) (void)sqlite3_file_control(handle, "main", SQLITE_FCNTL_LAST_ERRNO, &error);
    return error != 0 ? strerror(error) : "";
}

static int fail(const struct db *db, const char *doing)
{
    sqlite3 *handle = handle_of(db);
    int code = handle != NULL ? sqlite3_errcode(handle) : SQLITE_NOMEM;
    const char *text = handle != NULL ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
    const char *why = (code & 0xFF) == SQLITE_IOERR ? system_error(handle) : "";
    return store_fail((code & 0xFF) == SQLITE_CONSTRAINT ? MOLT_ARG : MOLT_STORE_FAILED, "cannot %s: %s%s%s",
                      doing, text, why[0] != '\0' ? ": " : "", why);
}

/* ---- statements ---- */

static int prepare(struct db_statement *stmt)
{
    sqlite3_stmt *made = NULL;
    if (sqlite3_prepare_v3(handle_of(stmt->db), stmt->sql, -1, SQLITE_PREPARE_PERSISTENT, &made, NULL) !=
        SQLITE_OK)
        return fail(stmt->db, "prepare a statement");
    stmt->handle = made;
    return 0;
}

static void bind_all(struct db_statement *stmt)
{
    sqlite3_stmt *to = stmt->handle;
    for (int i = 0; i < stmt->value_count; i++) {
        const struct db_value *value = &stmt->values[i];
        if (value->kind == DB_INT)
            sqlite3_bind_int64(to, i + 1, value->number);
        else if (value->kind == DB_TEXT)
            sqlite3_bind_text64(to, i + 1, value->bytes, value->len, SQLITE_STATIC, SQLITE_UTF8);
        else if (value->kind == DB_BLOB)
            sqlite3_bind_blob64(to, i + 1, value->bytes, value->len, SQLITE_STATIC);
        else
            sqlite3_bind_null(to, i + 1);
    }
}

static int step(struct db_statement *stmt)
{
    if (!stmt->running) bind_all(stmt);
    int code = sqlite3_step(stmt->handle);
    if (code == SQLITE_ROW) return 1;
    if (code != SQLITE_DONE) return fail(stmt->db, "use the database");
    stmt->changes = sqlite3_changes64(handle_of(stmt->db));
    return 0;
}

static void value(const struct db_statement *stmt, int at, struct db_value *out)
{
    sqlite3_stmt *from = stmt->handle;
    switch (sqlite3_column_type(from, at)) {
    case SQLITE_INTEGER:
        *out = (struct db_value){.kind = DB_INT, .number = sqlite3_column_int64(from, at)};
        break;
    case SQLITE_TEXT:
        out->kind = DB_TEXT;
        out->bytes = sqlite3_column_text(from, at);
        out->len = (size_t)sqlite3_column_bytes(from, at);
        break;
    case SQLITE_BLOB:
        out->kind = DB_BLOB;
        out->bytes = sqlite3_column_blob(from, at);
        out->len = (size_t)sqlite3_column_bytes(from, at);
        if (out->bytes == NULL) out->bytes = "";
        break;
    default:
        break;
    }
}

static int columns(const struct db_statement *stmt)
{
    return sqlite3_column_count(stmt->handle);
}

static const char *column_name(const struct db_statement *stmt, int at)
{
    return sqlite3_column_name(stmt->handle, at);
}

static void reset(struct db_statement *stmt)
{
    sqlite3_reset(stmt->handle);
}

static void finish(struct db_statement *stmt)
{
    sqlite3_finalize(stmt->handle);
}

/* ---- the rest ---- */

static int script(struct db *db, const char *sql)
{
    return sqlite3_exec(handle_of(db), sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(db, "use the database");
}

static bool inside(const struct db *db)
{
    return sqlite3_get_autocommit(handle_of(db)) == 0;
}

/* One line that is not "ok" is enough to know. */
static int examine_by(struct db *db, const char *sql, bool ok_line)
{
    struct db_statement *stmt = db_prepare(db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = db_step(stmt);
    const char *text = rc == 1 ? db_text(stmt, 0) : NULL;
    if (rc == 1 && !(ok_line && text != NULL && text[0] == 'o' && text[1] == 'k'))
        rc = store_fail(MOLT_STORE_FAILED, "the database is damaged: %s", text != NULL ? text : "?");
    db_finish(stmt);
    return rc < 0 ? rc : 0;
}

static int examine(struct db *db)
{
    int rc = examine_by(db, "PRAGMA integrity_check(1)", true);
    return rc == 0 ? examine_by(db, "PRAGMA foreign_key_check", false) : rc;
}

static void close_db(struct db *db)
{
    sqlite3_close(handle_of(db));
}

static const struct db_driver driver = {
    .name = "sqlite",
    .prepare = prepare,
    .step = step,
    .value = value,
    .columns = columns,
    .column_name = column_name,
    .reset = reset,
    .finish = finish,
    .script = script,
    .inside = inside,
    .begin = {[DB_READ] = "BEGIN", [DB_ROWS] = "BEGIN IMMEDIATE", [DB_CHANGE] = "BEGIN IMMEDIATE"},
    .tables_sql = "SELECT count(*), coalesce(sum(type = 'table' AND name = 'meta'), 0) FROM sqlite_schema",
    .examine = examine,
    .close = close_db,
};

static int configure(struct sqlite_db *made)
{
    static const char settings[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                   "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
                                   "PRAGMA temp_store = MEMORY;";
    sqlite3_extended_result_codes(made->handle, 1);
    sqlite3_busy_timeout(made->handle, BUSY_TIMEOUT_MS);
    sqlite3_db_config(made->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (sqlite3_db_readonly(made->handle, "main") == 1) return 0;
    return sqlite3_exec(made->handle, settings, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : fail(&made->db, "read the database");
}

int db_open_sqlite(const char *path, bool read_only, struct db **out)
{
    struct sqlite_db *made = calloc(1, sizeof *made);
    if (made == NULL) return store_fail(MOLT_NO_MEMORY, "out of memory");
    made->db.driver = &driver;
    int flags = (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(path, &made->handle, flags, NULL) == SQLITE_OK ? configure(made)
                                                                            : fail(&made->db, path);
    if (rc < 0)
        db_close(&made->db);
    else
        *out = &made->db;
    return rc;
}
