/* copy.c - one store into another, whatever databases they are on, and proof that it arrived.
 * Must never write into a store that holds something, nor call a copy done that was not read back.
 * Tests: test/unit/store_copy_test.c, test/e2e/store_cli_test.sh. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tables.h"

struct copying {
    struct store *from, *to;
    struct store_copied *copied;
    const struct model_artifact *artifact; /* that is being copied, of a source with a bucket */
};

/* ---- a table ---- */

struct rows {
    struct db_statement *from;
    struct table_digest *digest;
    bool first; /* its row is there already */
    int rc;
};

static int next_row(struct db_statement *stmt, void *ctx)
{
    struct rows *rows = ctx;
    if (!rows->first) rows->rc = db_step(rows->from);
    rows->first = false;
    if (rows->rc != 1) return rows->rc;
    digest_row(rows->digest, rows->from);
    const int columns = db_column_count(rows->from);
    for (int i = 0; i < columns; i++) {
        struct db_value value;
        db_value(rows->from, i, &value);
        db_bind_value(stmt, i + 1, &value);
    }
    return 1;
}

/* table ("column", ...) by the names that the rows have: the order may differ. */
static int name_columns(const struct table *table, const struct db_statement *stmt, char *text, size_t cap)
{
    size_t len = (size_t)snprintf(text, cap, "%s (", table->name);
    const int columns = db_column_count(stmt);
    for (int i = 0; i < columns && len < cap; i++)
        len +=
            (size_t)snprintf(text + len, cap - len, "%s\"%s\"", i > 0 ? ", " : "", db_column_name(stmt, i));
    if (len < cap) len += (size_t)snprintf(text + len, cap - len, ")");
    return len < cap ? 0 : store_fail(MOLT_INTERNAL, "table %s has too many columns", table->name);
}

static int copy_table(struct copying *copying, const struct table *table, struct table_digest *digest)
{
    char sql[128], names[1800];
    struct db_statement *from = table_open(copying->from->db, table, sql, sizeof sql);
    if (from == NULL) return -MOLT_STORE_FAILED;
    struct rows rows = {.from = from, .digest = digest, .first = true, .rc = db_step(from)};
    int rc = rows.rc < 0 ? rows.rc : digest_open(digest);
    if (rc == 0 && rows.rc == 1) {
        rc = name_columns(table, from, names, sizeof names);
        if (rc == 0) rc = db_load(copying->to->db, names, db_column_count(from), next_row, &rows);
    }
    db_finish(from);
    digest_close(digest);
    if (rc == 0 && table->counts) rc = db_ids_follow(copying->to->db, table->name);
    return rc;
}

/* ---- all of them ---- */

static int copy_generation(struct copying *copying)
{
    static const char get[] = "SELECT generation FROM meta", set[] = "UPDATE meta SET generation = ?";
    struct db_statement *from = db_statement(copying->from->db, get);
    struct db_statement *to = db_statement(copying->to->db, set);
    if (from == NULL || to == NULL) return -MOLT_STORE_FAILED;
    int rc = db_step(from);
    if (rc == 1) db_bind_int(to, 1, db_int(from, 0));
    db_reset(from);
    return rc < 0 ? rc : db_step(to);
}

static int refuse_rows(struct copying *copying)
{
    for (size_t i = 0; i < store_table_count; i++) {
        int64_t count;
        int rc = table_count(copying->to->db, &store_tables[i], &count);
        if (rc < 0) return rc;
        if (count > 0)
            return store_fail(MOLT_STATE, "the store to copy to is not empty: table %s has %lld rows",
                              store_tables[i].name, (long long)count);
    }
    return 0;
}

static int copy_tables(struct store *to, void *ctx)
{
    struct copying *copying = ctx;
    (void)to;
    copying->copied->rows = 0;
    int rc = refuse_rows(copying);
    if (rc == 0) rc = copy_generation(copying);
    for (size_t i = 0; rc == 0 && i < store_table_count; i++) {
        struct table_digest left, arrived;
        rc = copy_table(copying, &store_tables[i], &left);
        if (rc == 0) rc = table_digest(copying->to->db, &store_tables[i], &arrived);
        if (rc < 0) break;
        if (left.rows != arrived.rows || memcmp(left.sha256, arrived.sha256, sizeof left.sha256) != 0)
            return store_fail(MOLT_STORE_FAILED, "table %s did not arrive as it left: %lld rows of %lld",
                              store_tables[i].name, (long long)arrived.rows, (long long)left.rows);
        copying->copied->rows += (uint64_t)left.rows;
        if (strcmp(store_tables[i].name, "device") == 0) copying->copied->devices = (uint64_t)left.rows;
    }
    return rc;
}

/* Within the one picture of the source. */
static int copy_picture(struct store *from, void *ctx)
{
    struct copying *copying = ctx;
    (void)from;
    return store_transact(copying->to, DB_ROWS, copy_tables, copying);
}

static bool same_folder(const struct store *a, const struct store *b)
{
    struct stat one, other;
    return fstat(a->artifacts_fd, &one) == 0 && fstat(b->artifacts_fd, &other) == 0 &&
           one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static int copy_artifact(void *ctx, const uint8_t sha256[32], const void *data, size_t len)
{
    struct copying *copying = ctx;
    struct model_artifact artifact;
    int rc = store_artifact_put(copying->to, data, len, &artifact);
    if (rc == 0 && memcmp(artifact.sha256, sha256, 32) != 0)
        rc = store_fail(MOLT_STORE_FAILED, "an artifact is damaged: `molt store check` names it");
    copying->copied->artifacts++;
    copying->copied->artifact_bytes += len;
    return rc;
}

static int copy_named(void *ctx, const void *data, size_t len)
{
    struct copying *copying = ctx;
    return copy_artifact(copying, copying->artifact->sha256, data, len);
}

/* Of a source with a bucket: the folder may lack some. */
static int copy_released(void *ctx, const struct model_artifact *artifact, const char *what,
                         const struct model_release *release)
{
    struct copying *copying = ctx;
    (void)what;
    (void)release;
    copying->artifact = artifact;
    return artifact_with(copying->from, artifact->sha256, copy_named, copying);
}

int store_copy(struct store *from, struct store *to, struct store_copied *copied)
{
    struct copying copying = {.from = from, .to = to, .copied = copied};
    *copied = (struct store_copied){0};
    db_patience(from->db, 0); /* a table may take minutes */
    db_patience(to->db, 0);
    int rc = store_transact(from, DB_READ, copy_picture, &copying);
    /* after the rows: they name no artifact that is not there, and files never change */
    if (rc < 0 || same_folder(from, to)) return rc;
    if (from->bucket != NULL) return artifacts_of_releases(from, copy_released, &copying);
    return artifacts_each(from, copy_artifact, &copying);
}
