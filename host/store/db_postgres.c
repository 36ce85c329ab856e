/* db_postgres.c - the driver of PostgreSQL: the connection, its errors, and tables written for SQLite. Everything is sent
 * without blocking and awaited with a limit, so that a server that is paused or cut off is noticed.
 * Must never report success before the database's commit came. Tests: test/unit/store_test.c, test/e2e/postgres_test.c. */
#include "db_postgres.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "parts.h"

#define CONNECT_MS  5000
#define TAKE_TRIES  30 /* a process that was killed may be noticed a moment later */
#define TAKE_NS     100000000
#define PATIENCE_MS 600000u /* until the store says otherwise: migrations may take long */

struct pg_db *pg_of(const struct db *db)
{
    return (struct pg_db *)db;
}

/* ---- errors ---- */

static bool begins(const char *state, const char *with)
{
    return state != NULL && strncmp(state, with, strlen(with)) == 0;
}

/* The first line of what libpq says. */
static int say(int reason, const char *text)
{
    size_t len = strcspn(text, "\n");
    return store_fail(reason, "cannot use the database: %.*s", (int)len, text);
}

/* Not supported; what is that; there is no such function; not for you (CockroachDB had COPY for administrators alone). */
static bool is_unknown(const char *state)
{
    return begins(state, "0A000") || begins(state, "42601") || begins(state, "42883") ||
           begins(state, "42501");
}

int pg_fail(struct pg_db *pg, const PGresult *result)
{
    const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *text = result != NULL ? PQresultErrorMessage(result) : PQerrorMessage(pg->conn);
    if (begins(state, "40001") || begins(state, "40P01")) pg->db.retry = true;
    pg->unknown = is_unknown(state);
    /* 57P0x: the server shuts down or ends this session */
    if (PQstatus(pg->conn) == CONNECTION_BAD || begins(state, "57P0") || begins(state, "08")) pg->lost = true;
    if (begins(state, "25006"))
        return store_fail(
            MOLT_STORE_FAILED,
            "the database takes read-only transactions alone: name the primary, not a stand-by; "
            "or default_transaction_read_only is on, and must be off for molt");
    return say(begins(state, "23") || begins(state, "22") ? MOLT_ARG : MOLT_STORE_FAILED, text);
}

/* ---- waiting ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* poll() until the deadline, 0: for ever. Positive: what happened, 0: nothing in time. */
static int poll_until(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t left = deadline_ms - now_ms();
        struct pollfd one = {.fd = fd, .events = events};
        if (deadline_ms != 0 && left <= 0) return 0;
        int got = poll(&one, 1, deadline_ms == 0 ? -1 : (int)left);
        if (got > 0) return one.revents;
        if (got < 0 && errno != EINTR) return 0;
    }
}

int pg_wait(struct pg_db *pg, bool sending)
{
    if (pg->lost) return store_fail(MOLT_STORE_FAILED, "the connection to PostgreSQL is lost");
    int64_t deadline = pg->patience_ms == 0 ? 0 : now_ms() + pg->patience_ms;
    for (;;) {
        int unsent = PQflush(pg->conn);
        if (unsent < 0) break;
        if (sending ? unsent == 0 : PQisBusy(pg->conn) == 0) return 0;
        int got = poll_until(PQsocket(pg->conn), (short)(POLLIN | (unsent > 0 ? POLLOUT : 0)), deadline);
        if (got == 0) {
            pg->lost = true;
            return store_fail(MOLT_STORE_FAILED, "PostgreSQL has not answered for %u ms", pg->patience_ms);
        }
        if ((got & POLLIN) != 0 && PQconsumeInput(pg->conn) == 0) break;
        if ((got & (POLLERR | POLLHUP)) != 0 && PQconsumeInput(pg->conn) == 0) break;
    }
    pg->lost = true;
    return pg_fail(pg, NULL);
}

bool pg_result(struct pg_db *pg, PGresult **result)
{
    *result = NULL;
    if (pg_wait(pg, false) < 0) return false;
    *result = PQgetResult(pg->conn);
    return true;
}

void pg_drain(struct pg_db *pg)
{
    PGresult *result;
    while (pg_result(pg, &result) && result != NULL)
        PQclear(result);
}

/* ---- COPY to here ---- */

int pg_copy_row(struct pg_db *pg, char **row)
{
    int64_t deadline = pg->patience_ms == 0 ? 0 : now_ms() + pg->patience_ms;
    int len;
    while ((len = PQgetCopyData(pg->conn, row, 1)) == 0) { /* not whole yet */
        if (poll_until(PQsocket(pg->conn), POLLIN, deadline) == 0) {
            pg->lost = true;
            return store_fail(MOLT_STORE_FAILED, "PostgreSQL has not answered for %u ms", pg->patience_ms);
        }
        if (PQconsumeInput(pg->conn) == 0) break;
    }
    if (len > 0) return len;
    PGresult *result = NULL;
    int rc = len == -1 && pg_result(pg, &result) && PQresultStatus(result) == PGRES_COMMAND_OK
                 ? 0
                 : pg_fail(pg, result);
    PQclear(result);
    if (!pg->lost) pg_drain(pg);
    return rc;
}

void pg_copy_end(struct pg_db *pg)
{
    char *row = NULL;
    while (!pg->lost && PQtransactionStatus(pg->conn) == PQTRANS_ACTIVE && pg_copy_row(pg, &row) > 0)
        PQfreemem(row);
}

/* ---- scripts ---- */

static const struct {
    const char *sqlite, *postgres;
} dialect[] = {
    {" INTEGER PRIMARY KEY AUTOINCREMENT", " BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"},
    {") STRICT, WITHOUT ROWID", ")"},
    {") STRICT", ")"},
    {" INTEGER", " BIGINT"},
    {" TEXT", " TEXT COLLATE \"C\""},
    {" BLOB", " BYTEA"},
    {" x'", " '\\x"},
};
#define DIALECT_COUNT (sizeof dialect / sizeof dialect[0])
#define GROWTH_MAX    3 /* none makes a text more than three times as long */

static char *translate(const char *sql)
{
    char *out = malloc(strlen(sql) * GROWTH_MAX + 1), *to = out;
    while (out != NULL && *sql != '\0') {
        size_t i = 0;
        while (i < DIALECT_COUNT && strncmp(sql, dialect[i].sqlite, strlen(dialect[i].sqlite)) != 0)
            i++;
        if (i == DIALECT_COUNT) {
            *to++ = *sql++;
            continue;
        }
        memcpy(to, dialect[i].postgres, strlen(dialect[i].postgres));
        to += strlen(dialect[i].postgres);
        sql += strlen(dialect[i].sqlite);
    }
    if (out != NULL) *to = '\0';
    return out;
}

int pg_run(struct pg_db *pg, const char *sql)
{
    if (pg->lost) return store_fail(MOLT_STORE_FAILED, "the connection to PostgreSQL is lost");
    if (PQsendQuery(pg->conn, sql) == 0) return pg_fail(pg, NULL);
    int rc = 0;
    PGresult *result;
    for (;;) {
        if (!pg_result(pg, &result)) return -MOLT_STORE_FAILED;
        if (result == NULL) return rc;
        ExecStatusType status = PQresultStatus(result);
        if (rc == 0 && status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) rc = pg_fail(pg, result);
        /* a COMMIT of what has failed answers ROLLBACK, and no error */
        if (rc == 0 && strcmp(sql, "COMMIT") == 0 && strcmp(PQcmdStatus(result), "COMMIT") != 0)
            rc = store_fail(MOLT_STORE_FAILED, "cannot use the database: the transaction had failed");
        PQclear(result);
    }
}

int pg_guard(struct pg_db *pg)
{
    return PQtransactionStatus(pg->conn) == PQTRANS_INTRANS ? pg_run(pg, "SAVEPOINT before_it") : 0;
}

int pg_unguard(struct pg_db *pg)
{
    return PQtransactionStatus(pg->conn) == PQTRANS_INERROR ? pg_run(pg, "ROLLBACK TO SAVEPOINT before_it")
                                                            : 0;
}

static int script(struct db *db, const char *sql)
{
    char *translated = translate(sql);
    if (translated == NULL) return store_fail(MOLT_NO_MEMORY, "out of memory");
    int rc = pg_run(pg_of(db), translated);
    free(translated);
    return rc;
}

static bool inside(const struct db *db)
{
    const struct pg_db *pg = pg_of(db);
    return !pg->lost && PQtransactionStatus(pg->conn) != PQTRANS_IDLE;
}

/* ---- the connection ---- */

static bool lost(const struct db *db)
{
    return pg_of(db)->lost;
}

static void hang_up(struct db *db)
{
    PQfinish(pg_of(db)->conn);
    pg_of(db)->conn = NULL;
}

static void patience(struct db *db, unsigned ms)
{
    pg_of(db)->patience_ms = ms;
}

static int connect_to(struct pg_db *pg)
{
    const char *const names[] = {"dbname", "client_encoding", "fallback_application_name", NULL};
    const char *const values[] = {pg->url, "UTF8", "molt", NULL};
    pg->conn = PQconnectStartParams(names, values, 1);
    if (pg->conn == NULL) return store_fail(MOLT_NO_MEMORY, "out of memory");
    int64_t deadline = now_ms() + CONNECT_MS;
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (PQstatus(pg->conn) != CONNECTION_BAD && state != PGRES_POLLING_OK &&
           state != PGRES_POLLING_FAILED) {
        short events = state == PGRES_POLLING_WRITING ? POLLOUT : POLLIN;
        if (poll_until(PQsocket(pg->conn), events, deadline) == 0)
            return store_fail(MOLT_STORE_FAILED, "PostgreSQL does not answer");
        state = PQconnectPoll(pg->conn);
    }
    if (PQstatus(pg->conn) != CONNECTION_OK) return say(MOLT_STORE_FAILED, PQerrorMessage(pg->conn));
    return PQsetnonblocking(pg->conn, 1) == 0 ? 0 : pg_fail(pg, NULL);
}

/* Held by this session as long as it lives. Many servers on one database are not there yet: each would decide over its
 * own picture. */
static int take(struct pg_db *pg)
{
    struct db_statement *stmt =
        db_prepare(&pg->db, "SELECT CASE WHEN pg_try_advisory_lock(1836018804, hashtext(current_schema()))"
                            " THEN 1 ELSE 0 END");
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = 0;
    for (int tries = 0; rc == 0 && tries < TAKE_TRIES; tries++) {
        if (tries > 0) nanosleep(&(struct timespec){.tv_nsec = TAKE_NS}, NULL);
        db_reset(stmt);
        rc = db_step(stmt);
        if (rc == 1 && db_int(stmt, 0) == 0) rc = 0;
    }
    db_finish(stmt);
    if (rc == 0) return store_fail(MOLT_STATE, "another molt uses this database");
    return rc < 0 ? rc : 0;
}

static void say_nothing(void *ctx, const char *message)
{
    (void)ctx;
    (void)message;
}

/* A setting of the session would become somebody else's. */
static int open_shared(struct pg_db *pg)
{
    PQsetNoticeProcessor(pg->conn, say_nothing, NULL);
    struct db_statement *stmt = db_prepare(
        &pg->db, "SELECT CASE WHEN current_setting('synchronous_commit') = 'off' THEN 0 ELSE 1 END");
    int rc = stmt != NULL ? db_step(stmt) : -MOLT_STORE_FAILED;
    if (rc == 1 && db_int(stmt, 0) == 0)
        rc = store_fail(MOLT_ARG,
                        "the role's commits are not durable: ALTER ROLE ... SET synchronous_commit = on");
    db_finish(stmt);
    return rc < 0 ? rc : 0;
}

static int open_session(struct pg_db *pg)
{
    /* a commit is durable whatever the role's default; a dead client is noticed within half a minute; that a table is there
     * already is no news */
    static const char settings[] =
        "SELECT set_config('synchronous_commit', 'on', false)"
        "  WHERE current_setting('synchronous_commit') = 'off';"
        "SET client_min_messages = warning;"
        "SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;";
    int rc = connect_to(pg);
    if (pg->shared) return rc == 0 ? open_shared(pg) : rc;
    if (rc == 0) rc = pg_run(pg, settings);
    if (rc == 0 && !pg->read_only) rc = take(pg);
    if (rc == 0 && pg->read_only) rc = pg_run(pg, "SET default_transaction_read_only = on");
    return rc;
}

static int reconnect(const struct db *db, struct db **fresh)
{
    const struct pg_db *pg = pg_of(db);
    int rc = pg->shared ? db_open_shared(pg->url, fresh) : db_open_postgres(pg->url, pg->read_only, fresh);
    if (rc == 0) pg_of(*fresh)->patience_ms = pg->patience_ms;
    return rc;
}

static void swap(struct db *db, struct db *fresh)
{
    struct pg_db *pg = pg_of(db), *other = pg_of(fresh);
    PGconn *old = pg->conn;
    pg->conn = other->conn;
    other->conn = old;
    pg->lost = false;
    other->lost = true;
    db->retry = false;
}

static void close_db(struct db *db)
{
    struct pg_db *pg = pg_of(db);
    PQfinish(pg->conn);
    free(pg->url);
}

static int ids_follow(struct db *db, const char *table)
{
    char sql[256];
    int len = snprintf(sql, sizeof sql,
                       "SELECT setval(pg_get_serial_sequence('%s', 'id'), (SELECT max(id) FROM %s))"
                       " WHERE EXISTS (SELECT 1 FROM %s)",
                       table, table, table);
    if (len < 0 || (size_t)len >= sizeof sql) return store_fail(MOLT_INTERNAL, "a table's name is too long");
    return pg_run(pg_of(db), sql);
}

/* A server of several that is held up in the middle must not hold up the others: what it had locked is free after a few seconds, and
 * who waits for a lock gives up before it counts as dead. For this transaction only, as a pooler wants it. */
#define LIMITS "; SET LOCAL idle_in_transaction_session_timeout = 4000; SET LOCAL lock_timeout = 3000"

#define DRIVER(...)                                                                                          \
    {                                                                                                        \
        .name = "postgresql", .prepare = pg_prepare, .step = pg_step, .step_if_known = pg_step_if_known,     \
        .value = pg_value, .columns = pg_columns, .column_name = pg_column_name, .reset = pg_reset,          \
        .finish = pg_finish, .many = pg_many, .load = pg_load, .merge = pg_merge, .script = script,          \
        .inside = inside, .begin = {__VA_ARGS__},                                                            \
        .tables_sql = "SELECT count(*), coalesce(sum(CASE WHEN tablename = 'meta' THEN 1 ELSE 0 END), 0)"    \
                      "::bigint FROM pg_catalog.pg_tables WHERE schemaname = current_schema()",              \
        .ids_follow = ids_follow, .lost = lost, .hang_up = hang_up, .reconnect = reconnect, .swap = swap,    \
        .patience = patience, .close = close_db,                                                             \
    }

static const struct db_driver driver = DRIVER([DB_READ] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                                              [DB_ROWS] = "BEGIN ISOLATION LEVEL READ COMMITTED",
                                              [DB_CHANGE] = "BEGIN ISOLATION LEVEL SERIALIZABLE");
static const struct db_driver shared_driver =
    DRIVER([DB_READ] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" LIMITS,
           [DB_ROWS] = "BEGIN ISOLATION LEVEL READ COMMITTED" LIMITS,
           [DB_CHANGE] = "BEGIN ISOLATION LEVEL SERIALIZABLE" LIMITS);

static int open_database(const char *url, bool read_only, bool shared, struct db **out)
{
    struct pg_db *pg = calloc(1, sizeof *pg);
    if (pg != NULL) pg->url = strdup(url);
    if (pg == NULL || pg->url == NULL) {
        free(pg);
        return store_fail(MOLT_NO_MEMORY, "out of memory");
    }
    pg->db.driver = shared ? &shared_driver : &driver;
    pg->read_only = read_only;
    pg->shared = shared;
    pg->patience_ms = PATIENCE_MS;
    int rc = open_session(pg);
    if (rc < 0)
        db_close(&pg->db);
    else
        *out = &pg->db;
    return rc;
}

int db_open_postgres(const char *url, bool read_only, struct db **out)
{
    return open_database(url, read_only, false, out);
}

int db_open_shared(const char *url, struct db **out)
{
    return open_database(url, false, true, out);
}
