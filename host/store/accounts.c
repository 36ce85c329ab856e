/* accounts.c - the people who log in, and their roles. Knows passwords as hashes only.
 * Must never save over what somebody else saved in between. Tests: test/unit/store_access_test.c. */
#include <string.h>

#include "access.h"
#include "clock.h"
#include "parts.h"

#define FIELD(kind, field)                                                                                   \
    {                                                                                                        \
        kind, offsetof(struct store_account, field), sizeof(((struct store_account *)NULL)->field)           \
    }
/* What saving writes; id, name, created and revision stand before them when they are read. */
static const struct column columns[] = {
    FIELD(COLUMN_TEXT, password), FIELD(COLUMN_UINT, disabled), FIELD(COLUMN_INT, epoch),
    FIELD(COLUMN_BLOB, totp),     FIELD(COLUMN_BLOB, totp_new), FIELD(COLUMN_INT, totp_step),
    FIELD(COLUMN_BLOB, recovery), FIELD(COLUMN_INT, login_ms),
};
static const struct column head[] = {FIELD(COLUMN_INT, id), FIELD(COLUMN_TEXT, name),
                                     FIELD(COLUMN_INT, created_ms), FIELD(COLUMN_INT, revision)};
#define COLUMNS (sizeof columns / sizeof columns[0])
#define HEAD    (sizeof head / sizeof head[0])
#define SELECT                                                                                               \
    "SELECT id, name, created_ms, revision, password, disabled, epoch, totp, totp_new, totp_step, recovery," \
    " login_ms FROM account "

bool store_account_name_ok(const char *name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789",
                      all[] = "abcdefghijklmnopqrstuvwxyz0123456789._@+-";
    const size_t len = strnlen(name, STORE_ACCOUNT_LEN);
    return len > 0 && len < STORE_ACCOUNT_LEN && strchr(first, name[0]) != NULL && strspn(name, all) == len;
}

static int check(const struct store_account *account)
{
    if (!store_account_name_ok(account->name))
        return store_fail(
            MOLT_ARG, "a name has 1 to 48 of a-z, 0-9, '.', '_', '@', '+' and '-', and begins with a letter "
                      "or digit");
    if (account->grant_count > STORE_GRANTS_MAX) return store_fail(MOLT_ARG, "too many roles");
    for (uint32_t i = 0; i < account->grant_count; i++)
        if (account->grants[i].roles == 0 || account->grants[i].roles > STORE_ROLES_ALL ||
            account->grants[i].product_id < 0)
            return store_fail(MOLT_ARG, "there is no such role");
    return 0;
}

/* ---- reading ---- */

static int read_grants(struct store *store, struct store_account *out)
{
    static const char sql[] =
        "SELECT product_id, roles FROM account_role WHERE account_id = ? ORDER BY product_id";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, out->id);
    int rc;
    out->grant_count = 0;
    while ((rc = db_step(stmt)) == 1) {
        if (out->grant_count == STORE_GRANTS_MAX) {
            db_reset(stmt);
            return store_fail(MOLT_STORE_FAILED, "the database is damaged: an account has too many roles");
        }
        out->grants[out->grant_count++] =
            (struct store_grant){db_int(stmt, 0), (uint32_t)(db_int(stmt, 1) & STORE_ROLES_ALL)};
    }
    return rc;
}

static int read_row(const struct db_statement *stmt, struct store_account *out)
{
    memset(out, 0, sizeof *out);
    int rc = store_read(stmt, 0, head, HEAD, out);
    return rc == 0 ? store_read(stmt, HEAD, columns, COLUMNS, out) : rc;
}

/* The one row of a statement with its values bound. */
static int read_one(struct store *store, struct db_statement *stmt, struct store_account *out)
{
    int rc = db_step(stmt);
    if (rc == 1)
        rc = read_row(stmt, out);
    else if (rc == 0)
        rc = store_fail(MOLT_NOT_FOUND, "there is no such user");
    db_reset(stmt);
    return rc == 0 ? read_grants(store, out) : rc;
}

struct wanted {
    const char *name;
    int64_t id;
    struct store_account *out;
};

static int find(struct store *store, void *ctx)
{
    static const char sql[] = SELECT "WHERE name = ?";
    const struct wanted *wanted = ctx;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, wanted->name);
    return read_one(store, stmt, wanted->out);
}

static int get(struct store *store, void *ctx)
{
    static const char sql[] = SELECT "WHERE id = ?";
    const struct wanted *wanted = ctx;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, wanted->id);
    return read_one(store, stmt, wanted->out);
}

int store_account_find(struct store *store, const char *name, struct store_account *out)
{
    struct wanted wanted = {.name = name, .out = out};
    if (!store_account_name_ok(name)) return store_fail(MOLT_NOT_FOUND, "there is no such user");
    return store_transact(store, DB_READ, find, &wanted);
}

int store_account_get(struct store *store, int64_t id, struct store_account *out)
{
    struct wanted wanted = {.id = id, .out = out};
    return store_transact(store, DB_READ, get, &wanted);
}

/* ---- all of them: a page of names at a time, so that row may take its time ---- */

struct next {
    char after[STORE_ACCOUNT_LEN];
    struct store_account account;
};

static int read_next(struct store *store, void *ctx)
{
    static const char sql[] = SELECT "WHERE name > ? ORDER BY name LIMIT 1";
    struct next *next = ctx;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, next->after);
    return read_one(store, stmt, &next->account);
}

int store_each_account(struct store *store, int (*row)(void *ctx, const struct store_account *account),
                       void *ctx)
{
    struct next next = {.after = ""};
    int rc;
    while ((rc = store_transact(store, DB_READ, read_next, &next)) == 0) {
        memcpy(next.after, next.account.name, sizeof next.after);
        if (row(ctx, &next.account) != 0) break;
    }
    return rc == -MOLT_NOT_FOUND ? 0 : rc;
}

static int count_rows(struct store *store, void *ctx)
{
    static const char sql[] = "SELECT count(*) FROM account";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = db_step(stmt);
    if (rc == 1) *(uint32_t *)ctx = (uint32_t)db_int(stmt, 0);
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

int store_account_count(struct store *store, uint32_t *count)
{
    *count = 0;
    return store_transact(store, DB_READ, count_rows, count);
}

/* ---- writing ---- */

static int delete_grants(struct store *store, int64_t id)
{
    static const char sql[] = "DELETE FROM account_role WHERE account_id = ?";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, id);
    return db_step(stmt);
}

static int write_grants(struct store *store, const struct store_account *account)
{
    static const char sql[] = "INSERT INTO account_role (account_id, product_id, roles) VALUES (?, ?, ?)";
    int rc = delete_grants(store, account->id);
    for (uint32_t i = 0; rc == 0 && i < account->grant_count; i++) {
        struct db_statement *stmt = db_statement(store->db, sql);
        if (stmt == NULL) return -MOLT_STORE_FAILED;
        db_bind_int(stmt, 1, account->id);
        db_bind_int(stmt, 2, account->grants[i].product_id);
        db_bind_int(stmt, 3, account->grants[i].roles);
        rc = db_step(stmt);
    }
    return rc;
}

static int create(struct store *store, void *ctx)
{
    static const char sql[] =
        "INSERT INTO account (name, created_ms, revision, password, disabled, epoch, totp,"
        " totp_new, totp_step, recovery, login_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id";
    struct store_account *account = ctx;
    struct store_account taken;
    struct wanted wanted = {.name = account->name, .out = &taken};
    int rc = find(store, &wanted);
    if (rc == 0) return store_fail(MOLT_STATE, "there is a user of this name already");
    if (rc != -MOLT_NOT_FOUND) return rc;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    rc = store_bind(stmt, 1, head + 1, HEAD - 1, account);
    if (rc == 0) rc = store_bind(stmt, HEAD, columns, COLUMNS, account);
    if (rc == 0) rc = store_insert(stmt, &account->id);
    return rc == 0 ? write_grants(store, account) : rc;
}

int store_account_create(struct store *store, struct store_account *account)
{
    int rc = check(account);
    if (rc < 0) return rc;
    account->created_ms = clock_now_ms();
    account->revision = 1;
    return store_transact(store, DB_CHANGE, create, account);
}

static int save(struct store *store, void *ctx)
{
    static const char sql[] =
        "UPDATE account SET password = ?, disabled = ?, epoch = ?, totp = ?, totp_new = ?, totp_step = ?,"
        " recovery = ?, login_ms = ?, revision = revision + 1 WHERE id = ? AND revision = ?";
    const struct store_account *account = ctx;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = store_bind(stmt, 1, columns, COLUMNS, account);
    if (rc < 0) return rc;
    db_bind_int(stmt, COLUMNS + 1, account->id);
    db_bind_int(stmt, COLUMNS + 2, account->revision);
    rc = db_step(stmt);
    if (rc == 0 && db_changes(stmt) == 0)
        return store_fail(MOLT_STATE, "somebody else changed this user meanwhile; try again");
    return rc == 0 ? write_grants(store, account) : rc;
}

int store_account_save(struct store *store, struct store_account *account)
{
    int rc = check(account);
    if (rc == 0) rc = store_transact(store, DB_CHANGE, save, account);
    if (rc == 0) account->revision++;
    return rc;
}

static int delete_account(struct store *store, void *ctx)
{
    static const char sql[] = "DELETE FROM account WHERE id = ?";
    struct store_account found;
    struct wanted wanted = {.name = ctx, .out = &found};
    int rc = find(store, &wanted);
    if (rc == 0) rc = delete_grants(store, found.id);
    struct db_statement *stmt = rc == 0 ? db_statement(store->db, sql) : NULL;
    if (rc == 0 && stmt == NULL) rc = -MOLT_STORE_FAILED;
    if (rc < 0) return rc;
    db_bind_int(stmt, 1, found.id);
    return db_step(stmt);
}

int store_account_delete(struct store *store, const char *name)
{
    if (!store_account_name_ok(name)) return store_fail(MOLT_NOT_FOUND, "there is no such user");
    return store_transact(store, DB_CHANGE, delete_account, (void *)(uintptr_t)name);
}
