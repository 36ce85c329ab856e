/* trust.c - the public keys whose signatures count for a product.
 * Must never hold a private key. Tests: test/unit/publish_signed_test.c. */
#include <string.h>

#include "clock.h"
#include "sqlite.h"

/* 0 and the id, or 0 and 0 when there is no such product. */
static int product_id(struct store *store, const char *name, int64_t *id)
{
    static const char sql[] = "SELECT id FROM product WHERE name = ?";
    *id = 0;
    if (strnlen(name, MODEL_NAME_LEN) == MODEL_NAME_LEN)
        return store_fail(MOLT_ARG, "the product's name is too long");
    sqlite3_stmt *stmt = store_statement(store, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    sqlite3_bind_text(stmt, 1, name, -1, SQLITE_TRANSIENT);
    int rc = store_step(store, stmt);
    if (rc == 1) {
        *id = sqlite3_column_int64(stmt, 0);
        sqlite3_reset(stmt);
        rc = 0;
    }
    return rc;
}

static int ensure_product(struct store *store, const char *name, int64_t *id)
{
    static const char sql[] = "INSERT INTO product (name) VALUES (?)";
    int rc = product_id(store, name, id);
    if (rc < 0 || *id != 0) return rc;
    sqlite3_stmt *stmt = store_statement(store, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    sqlite3_bind_text(stmt, 1, name, -1, SQLITE_TRANSIENT);
    rc = store_step(store, stmt);
    *id = sqlite3_last_insert_rowid(store->db);
    return rc == 0 ? store_bump_generation(store) : rc;
}

static int list(struct store *store, int64_t id, enum store_trust_role role,
                uint8_t keys[STORE_TRUST_MAX][STORE_KEY_LEN], uint32_t *count)
{
    static const char sql[] =
        "SELECT key FROM trust WHERE product_id = ? AND role = ? ORDER BY created_ms, key";
    *count = 0;
    sqlite3_stmt *stmt = store_statement(store, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    sqlite3_bind_int64(stmt, 1, id);
    sqlite3_bind_int(stmt, 2, (int)role);
    int rc;
    while ((rc = store_step(store, stmt)) == 1) {
        if (*count == STORE_TRUST_MAX || sqlite3_column_bytes(stmt, 0) != (int)STORE_KEY_LEN) {
            rc = store_fail(MOLT_STORE_FAILED, "the database is damaged: a trusted key does not fit");
            sqlite3_reset(stmt);
            break;
        }
        memcpy(keys[(*count)++], sqlite3_column_blob(stmt, 0), STORE_KEY_LEN);
    }
    return rc < 0 ? rc : 0;
}

static bool is_listed(uint8_t keys[STORE_TRUST_MAX][STORE_KEY_LEN], uint32_t count, const uint8_t *key)
{
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(keys[i], key, STORE_KEY_LEN) == 0) return true;
    }
    return false;
}

static int write_key(struct store *store, sqlite3_stmt *stmt, int64_t id, const uint8_t key[STORE_KEY_LEN])
{
    sqlite3_bind_int64(stmt, 1, id);
    sqlite3_bind_blob(stmt, 2, key, (int)STORE_KEY_LEN, SQLITE_TRANSIENT);
    return store_step(store, stmt);
}

static int insert_key(struct store *store, int64_t id, enum store_trust_role role,
                      const uint8_t key[STORE_KEY_LEN])
{
    static const char sql[] = "INSERT INTO trust (product_id, key, created_ms, role) VALUES (?, ?, ?, ?)";
    sqlite3_stmt *stmt = store_statement(store, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    sqlite3_bind_int64(stmt, 3, clock_now_ms());
    sqlite3_bind_int(stmt, 4, (int)role);
    int rc = write_key(store, stmt, id, key);
    return rc == 0 ? store_bump_generation(store) : rc;
}

static int add(struct store *store, const char *product, enum store_trust_role role,
               const uint8_t key[STORE_KEY_LEN])
{
    const enum store_trust_role other =
        role == STORE_TRUST_SIGNER ? STORE_TRUST_APPROVER : STORE_TRUST_SIGNER;
    uint8_t keys[STORE_TRUST_MAX][STORE_KEY_LEN], others[STORE_TRUST_MAX][STORE_KEY_LEN];
    uint32_t count = 0, other_count = 0;
    int64_t id;
    int rc = ensure_product(store, product, &id);
    if (rc == 0) rc = list(store, id, role, keys, &count);
    if (rc == 0) rc = list(store, id, other, others, &other_count);
    if (rc < 0 || is_listed(keys, count, key)) return rc;
    if (is_listed(others, other_count, key))
        return store_fail(MOLT_STATE, "product %s has this key in the other role: who signs does not approve",
                          product);
    if (count == STORE_TRUST_MAX)
        return store_fail(MOLT_STATE, "product %s trusts %u keys already", product, count);
    return insert_key(store, id, role, key);
}

static int take_away(struct store *store, const char *product, const uint8_t key[STORE_KEY_LEN])
{
    static const char sql[] = "DELETE FROM trust WHERE product_id = ? AND key = ?";
    int64_t id;
    int rc = product_id(store, product, &id);
    if (rc < 0) return rc;
    sqlite3_stmt *stmt = store_statement(store, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    rc = write_key(store, stmt, id, key);
    if (rc == 0 && sqlite3_changes(store->db) == 0)
        rc = store_fail(MOLT_NOT_FOUND, "product %s does not trust this key", product);
    return rc == 0 ? store_bump_generation(store) : rc;
}

int store_trust_add(struct store *store, const char *product, enum store_trust_role role,
                    const uint8_t key[STORE_KEY_LEN])
{
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = store_begin(store);
    if (rc == 0) rc = store_end(store, add(store, product, role, key));
    store_leave(store);
    return rc;
}

int store_trust_remove(struct store *store, const char *product, const uint8_t key[STORE_KEY_LEN])
{
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = store_begin(store);
    if (rc == 0) rc = store_end(store, take_away(store, product, key));
    store_leave(store);
    return rc;
}

int store_trust_list(struct store *store, const char *product, enum store_trust_role role,
                     uint8_t keys[STORE_TRUST_MAX][STORE_KEY_LEN], uint32_t *count)
{
    int64_t id;
    *count = 0;
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = product_id(store, product, &id);
    if (rc == 0 && id != 0) rc = list(store, id, role, keys, count);
    store_leave(store);
    return rc;
}
