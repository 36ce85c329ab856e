/* tables.c - all tables as they stand, value by value: what copies and checks go through. Knows no meaning.
 * Must never leave a table out that is not named here. Tests: test/unit/store_copy_test.c. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tables.h"

/* In the order in which rows may refer to others. Sessions alone are left out: a copy logs nobody in, whatever its age. */
const struct table store_tables[] = {
    {"product", "id", true},
    {"release", "id", true},
    {"image", "id", true},
    {"sealed", "image_id, encoding, body_only, base", false},
    {"trust", "product_id, key", false},
    {"rollout", "id", true},
    {"rollout_phase", "rollout_id, number", false},
    {"device", "id", false},
    {"token", "sha256", false},
    {"attempt", "id", true},
    {"device_log", "device_id", false},
    {"result_log", "seq", false},
    {"account", "id", true},
    {"account_role", "account_id, product_id", false},
    {"audit", "seq", false},
    {"audit_head", "one", false},
    {"audit_open", "id", true},
    {"saved_filter", "name", false},
    {"webhook", "id", true},
    {"webhook_delivery", "id", true},
};
const size_t store_table_count = sizeof store_tables / sizeof store_tables[0];

struct db_statement *table_open(struct db *db, const struct table *table, char *sql, size_t cap)
{
    int len = snprintf(sql, cap, "SELECT * FROM %s ORDER BY %s", table->name, table->key);
    if (len < 0 || (size_t)len >= cap) {
        store_fail(MOLT_INTERNAL, "a table's name is too long");
        return NULL;
    }
    struct db_statement *stmt = db_prepare(db, sql);
    if (stmt != NULL) db_stream(stmt);
    return stmt;
}

int table_count(struct db *db, const struct table *table, int64_t *count)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table->name);
    struct db_statement *stmt = db_prepare(db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = db_step(stmt);
    *count = rc == 1 ? db_int(stmt, 0) : 0;
    db_finish(stmt);
    return rc < 0 ? rc : 0;
}

static void add(EVP_MD_CTX *hash, const void *bytes, size_t len)
{
    EVP_DigestUpdate(hash, bytes, len);
}

static void add_value(EVP_MD_CTX *hash, const struct db_value *value)
{
    const uint64_t head[2] = {(uint64_t)value->kind,
                              value->kind == DB_INT ? (uint64_t)value->number : value->len};
    add(hash, head, sizeof head);
    if (value->kind == DB_BLOB) add(hash, value->bytes, value->len);
    if (value->kind != DB_TEXT) return;
    char *repaired = db_utf8(value->bytes, value->len); /* as PostgreSQL keeps it */
    add(hash, repaired != NULL ? repaired : value->bytes, value->len);
    free(repaired);
}

int digest_open(struct table_digest *digest)
{
    *digest = (struct table_digest){.hash = EVP_MD_CTX_new()};
    if (digest->hash != NULL && EVP_DigestInit_ex(digest->hash, EVP_sha256(), NULL) == 1) return 0;
    return store_fail(MOLT_INTERNAL, "cannot hash a table");
}

void digest_row(struct table_digest *digest, const struct db_statement *stmt)
{
    const int columns = db_column_count(stmt);
    for (int i = 0; i < columns; i++) {
        struct db_value value;
        db_value(stmt, i, &value);
        add_value(digest->hash, &value);
    }
    digest->rows++;
}

void digest_close(struct table_digest *digest)
{
    unsigned len = sizeof digest->sha256;
    if (digest->hash != NULL) EVP_DigestFinal_ex(digest->hash, digest->sha256, &len);
    EVP_MD_CTX_free(digest->hash);
    digest->hash = NULL;
}

int table_digest(struct db *db, const struct table *table, struct table_digest *digest)
{
    char sql[128];
    int rc = digest_open(digest);
    struct db_statement *stmt = rc == 0 ? table_open(db, table, sql, sizeof sql) : NULL;
    if (rc == 0 && stmt == NULL) rc = -MOLT_STORE_FAILED;
    while (rc == 0 && (rc = db_step(stmt)) == 1) {
        digest_row(digest, stmt);
        rc = 0;
    }
    db_finish(stmt);
    digest_close(digest);
    return rc;
}
