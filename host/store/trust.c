/* trust.c - the public keys whose signatures count for a product.
 * Must never hold a private key. Tests: test/unit/publish_signed_test.c. */
#include <string.h>

#include "clock.h"
#include "parts.h"

/* 0 and the id, or 0 and 0 when there is no such product. */
static int product_id(struct store *store, const char *name, int64_t *id)
{
    static const char sql[] = "SELECT id FROM product WHERE name = ?";
    *id = 0;
    if (strnlen(name, MODEL_NAME_LEN) == MODEL_NAME_LEN)
        return store_fail(MOLT_ARG, "the product's name is too long");
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, name);
    int rc = db_step(stmt);
    if (rc == 1) {
        *id = db_int(stmt, 0);
        db_reset(stmt);
        rc = 0;
    }
    return rc;
}

static int ensure_product(struct store *store, const char *name, int64_t *id)
{
    static const char sql[] = "INSERT INTO product (name) VALUES (?) RETURNING id";
    int rc = product_id(store, name, id);
    if (rc < 0 || *id != 0) return rc;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, name);
    rc = store_insert(stmt, id);
    return rc == 0 ? store_bump_generation(store) : rc;
}

static int list(struct store *store, int64_t id, enum store_trust_role role,
                uint8_t keys[STORE_TRUST_MAX][STORE_KEY_LEN], uint32_t *count)
{
    static const char sql[] =
        "SELECT key FROM trust WHERE product_id = ? AND role = ? ORDER BY created_ms, key";
    *count = 0;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, id);
    db_bind_int(stmt, 2, (int)role);
    int rc;
    while ((rc = db_step(stmt)) == 1) {
        size_t len;
        const void *key = db_blob(stmt, 0, &len);
        if (*count == STORE_TRUST_MAX || len != STORE_KEY_LEN) {
            rc = store_fail(MOLT_STORE_FAILED, "the database is damaged: a trusted key does not fit");
            db_reset(stmt);
            break;
        }
        memcpy(keys[(*count)++], key, STORE_KEY_LEN);
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

static int write_key(struct db_statement *stmt, int64_t id, const uint8_t key[STORE_KEY_LEN])
{
    db_bind_int(stmt, 1, id);
    db_bind_blob(stmt, 2, key, STORE_KEY_LEN);
    return db_step(stmt);
}

static int insert_key(struct store *store, int64_t id, enum store_trust_role role,
                      const uint8_t key[STORE_KEY_LEN])
{
    static const char sql[] = "INSERT INTO trust (product_id, key, created_ms, role) VALUES (?, ?, ?, ?)";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 3, clock_now_ms());
    db_bind_int(stmt, 4, (int)role);
    int rc = write_key(stmt, id, key);
    return rc == 0 ? store_bump_generation(store) : rc;
}

/* What is asked for. */
struct order {
    const char *product;
    enum store_trust_role role;
    const uint8_t *key;
};

static int add(struct store *store, void *ctx)
{
    const struct order *order = ctx;
    const char *product = order->product;
    const uint8_t *key = order->key;
    const enum store_trust_role role = order->role;
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

static int take_away(struct store *store, void *ctx)
{
    const struct order *order = ctx;
    static const char sql[] = "DELETE FROM trust WHERE product_id = ? AND key = ?";
    int64_t id;
    int rc = product_id(store, order->product, &id);
    if (rc < 0) return rc;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    rc = write_key(stmt, id, order->key);
    if (rc == 0 && db_changes(stmt) == 0)
        rc = store_fail(MOLT_NOT_FOUND, "product %s does not trust this key", order->product);
    return rc == 0 ? store_bump_generation(store) : rc;
}

int store_trust_add(struct store *store, const char *product, enum store_trust_role role,
                    const uint8_t key[STORE_KEY_LEN])
{
    struct order order = {product, role, key};
    return store_transact(store, DB_CHANGE, add, &order);
}

int store_trust_remove(struct store *store, const char *product, const uint8_t key[STORE_KEY_LEN])
{
    struct order order = {.product = product, .key = key};
    return store_transact(store, DB_CHANGE, take_away, &order);
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
