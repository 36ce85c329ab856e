/* sessions.c - rows of those who are logged in (access.h). Must never keep what a browser or a program could log in with: hashes only.
 * Tests: test/unit/store_access_test.c. */
#include <string.h>

#include "access.h"
#include "parts.h"

#define FIELD(kind, field)                                                                                   \
    {                                                                                                        \
        kind, offsetof(struct store_session, field), sizeof(((struct store_session *)NULL)->field)           \
    }
static const struct column columns[] = {FIELD(COLUMN_BLOB, key),       FIELD(COLUMN_BLOB, token),
                                        FIELD(COLUMN_INT, account_id), FIELD(COLUMN_INT, epoch),
                                        FIELD(COLUMN_INT, since_ms),   FIELD(COLUMN_INT, used_ms)};
#define COLUMNS (sizeof columns / sizeof columns[0])
#define NAMES   "sha256, token, account_id, epoch, since_ms, used_ms"

/* One change of rows, or one question. */
struct change {
    const char *sql;
    const uint8_t *key; /* the first value; NULL: account_id is */
    int64_t numbers[3]; /* the values behind it, or from the first on */
    size_t count;       /* of numbers */
    struct store_session *out;
    uint32_t rows; /* that changed, or what was counted */
};

static struct db_statement *prepare(struct store *store, const struct change *change)
{
    struct db_statement *stmt = db_statement(store->db, change->sql);
    int n = 0;
    if (stmt == NULL) return NULL;
    for (size_t i = 0; i < change->count; i++)
        db_bind_int(stmt, ++n, change->numbers[i]);
    if (change->key != NULL) db_bind_blob(stmt, ++n, change->key, 32);
    return stmt;
}

static int run(struct store *store, void *ctx)
{
    struct change *change = ctx;
    struct db_statement *stmt = prepare(store, change);
    int rc = stmt != NULL ? db_step(stmt) : -MOLT_STORE_FAILED;
    if (rc == 0) change->rows = (uint32_t)db_changes(stmt);
    return rc;
}

/* ---- begin ---- */

struct beginning {
    const struct store_session *session;
    int64_t since_ms, used_ms;
    uint32_t most;
};

static int begin(struct store *store, void *ctx)
{
    static const char over[] = "DELETE FROM session WHERE since_ms < ? OR used_ms < ?";
    static const char surplus[] =
        "DELETE FROM session WHERE sha256 IN (SELECT sha256 FROM session WHERE account_id = ? AND token = ?"
        " ORDER BY used_ms DESC, since_ms DESC LIMIT 1000000 OFFSET ?)";
    static const char add[] = "INSERT INTO session (" NAMES ") VALUES (?, ?, ?, ?, ?, ?)";
    const struct beginning *b = ctx;
    struct change forget = {.sql = over, .numbers = {b->since_ms, b->used_ms}, .count = 2};
    int rc = run(store, &forget);
    struct db_statement *stmt = rc == 0 ? db_statement(store->db, surplus) : NULL;
    if (stmt == NULL) return rc < 0 ? rc : -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, b->session->account_id);
    db_bind_blob(stmt, 2, b->session->token, 32);
    db_bind_int(stmt, 3, (int64_t)b->most - 1);
    rc = db_step(stmt);
    if (rc < 0) return rc;
    stmt = db_statement(store->db, add);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    rc = store_bind(stmt, 1, columns, COLUMNS, b->session);
    return rc == 0 ? db_step(stmt) : rc;
}

int store_session_begin(struct store *store, const struct store_session *session, int64_t since_ms,
                        int64_t used_ms, uint32_t most)
{
    struct beginning b = {session, since_ms, used_ms, most};
    return store_transact(store, DB_CHANGE, begin, &b);
}

/* ---- one ---- */

static int look(struct store *store, struct change *change)
{
    struct db_statement *stmt = prepare(store, change);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = db_step(stmt);
    if (rc == 1 && change->out != NULL)
        rc = store_read(stmt, 0, columns, COLUMNS, change->out);
    else if (rc == 1)
        change->rows = (uint32_t)db_int(stmt, 0), rc = 0;
    else if (rc == 0)
        rc = store_fail(MOLT_NOT_FOUND, "there is no such session");
    db_reset(stmt);
    return rc;
}

static int ask(struct store *store, struct change *change)
{
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = look(store, change);
    store_leave(store);
    return rc;
}

int store_session_find(struct store *store, const uint8_t key[32], struct store_session *out)
{
    struct change one = {.sql = "SELECT " NAMES " FROM session WHERE sha256 = ?", .key = key, .out = out};
    memset(out, 0, sizeof *out);
    return ask(store, &one);
}

int store_session_used(struct store *store, const uint8_t key[32], int64_t used_ms)
{
    struct change one = {.sql = "UPDATE session SET used_ms = ? WHERE sha256 = ?",
                         .numbers = {used_ms},
                         .count = 1,
                         .key = key};
    return store_transact(store, DB_ROWS, run, &one);
}

int store_session_renew(struct store *store, const uint8_t key[32], int64_t epoch)
{
    struct change one = {
        .sql = "UPDATE session SET epoch = ? WHERE sha256 = ?", .numbers = {epoch}, .count = 1, .key = key};
    return store_transact(store, DB_ROWS, run, &one);
}

int store_session_end(struct store *store, const uint8_t key[32])
{
    struct change one = {.sql = "DELETE FROM session WHERE sha256 = ?", .key = key};
    return store_transact(store, DB_ROWS, run, &one);
}

/* ---- of an account ---- */

int store_session_end_account(struct store *store, int64_t account_id, uint32_t *count)
{
    struct change all = {
        .sql = "DELETE FROM session WHERE account_id = ?", .numbers = {account_id}, .count = 1};
    int rc = account_id != 0 ? store_transact(store, DB_ROWS, run, &all) : 0; /* 0: those of tokens */
    *count = rc == 0 ? all.rows : 0;
    return rc;
}

int store_session_count(struct store *store, int64_t account_id, int64_t since_ms, int64_t used_ms,
                        uint32_t *count)
{
    struct change all = {.sql = "SELECT count(*) FROM session WHERE account_id = ? AND since_ms >= ?"
                                " AND used_ms >= ?",
                         .numbers = {account_id, since_ms, used_ms},
                         .count = 3};
    int rc = ask(store, &all);
    *count = rc == 0 ? all.rows : 0;
    return rc;
}
