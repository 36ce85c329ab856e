/* tables.h - private to host/store: every table, read value by value. */
#ifndef MOLT_HOST_STORE_TABLES_H
#define MOLT_HOST_STORE_TABLES_H

#include <openssl/evp.h>

#include "parts.h"

struct table {
    const char *name, *key; /* rows are read in the order of key */
    bool counts;            /* the database makes its ids */
};
extern const struct table store_tables[];
extern const size_t store_table_count;

/* Of a table: how many rows, and the SHA-256 of all values in order, which is the same on every database. */
struct table_digest {
    EVP_MD_CTX *hash;
    int64_t rows;
    uint8_t sha256[32];
};
int digest_open(struct table_digest *digest);
void digest_row(struct table_digest *digest, const struct db_statement *stmt);
void digest_close(struct table_digest *digest);
int table_digest(struct db *db, const struct table *table, struct table_digest *digest);

/* All rows, one by one as they come; end with db_finish(). sql: room that outlives the statement. */
struct db_statement *table_open(struct db *db, const struct table *table, char *sql, size_t cap);
int table_count(struct db *db, const struct table *table, int64_t *count);

#endif
