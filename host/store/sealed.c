/* sealed.c - the encrypted forms of images: what the maker's molt made of one image, a row each.
 * Must never believe a length that the database claims. Tests: test/unit/store_releases_test.c. */
#include <stdlib.h>
#include <string.h>

#include "images.h"

#define SEALED_FIELDS(F)                                                                                     \
    F(UINT, encoding, encoding)                                                                              \
    F(UINT, gzip_window, window)                                                                             \
    F(UINT, body_only, body_only)                                                                            \
    F(BLOB, base, base)                                                                                      \
    F(BLOB, file_sha256, file.sha256)                                                                        \
    F(BLOB, file_md5, file.md5)                                                                              \
    F(UINT, file_len, file.len)                                                                              \
    F(BLOB, manifest_sha256, manifest.sha256)                                                                \
    F(BLOB, manifest_md5, manifest.md5) F(UINT, manifest_len, manifest.len)

#define AS_NAME(kind, column, field) ", sealed." #column
#define AS_MARK(kind, column, field) ", ?"
#define AS_SET(kind, column, field)  ", " #column " = excluded." #column
#define AS_COLUMN(kind, column, field)                                                                       \
    {COLUMN_##kind, offsetof(struct model_sealed, field), sizeof(((struct model_sealed *)NULL)->field)},

static const struct column columns[] = {SEALED_FIELDS(AS_COLUMN)};
#define COLUMNS (sizeof columns / sizeof columns[0])

int sealed_save(struct store *store, int64_t image_id, const struct model_image *image)
{
    static const char sql[] =
        "INSERT INTO sealed (image_id" SEALED_FIELDS(IMAGE_AS_INTO) ") VALUES (?" SEALED_FIELDS(
            AS_MARK) ") ON CONFLICT (image_id, encoding, body_only, base)"
                     " DO UPDATE SET image_id = excluded.image_id" SEALED_FIELDS(AS_SET);
    static const char count_sql[] = "SELECT count(*) FROM sealed WHERE image_id = ?";
    if (image->sealed_count == 0) return 0;
    for (uint32_t i = 0; i < image->sealed_count; i++) {
        struct db_statement *stmt = db_statement(store->db, sql);
        if (stmt == NULL) return -MOLT_STORE_FAILED;
        db_bind_int(stmt, 1, image_id);
        int rc = store_bind(stmt, 2, columns, COLUMNS, &image->sealed[i]);
        if (rc == 0) rc = db_step(stmt);
        if (rc < 0) return rc;
    }
    struct db_statement *stmt = db_statement(store->db, count_sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, image_id);
    int rc = db_step(stmt);
    int64_t count = rc == 1 ? db_int(stmt, 0) : 0;
    db_reset(stmt);
    if (rc < 0) return rc;
    return count <= MODEL_SEALED_MAX
               ? 0
               : store_fail(MOLT_STATE, "the image has %u encrypted forms already", MODEL_SEALED_MAX);
}

int sealed_find(struct store *store, int64_t image_id, const uint8_t manifest_sha256[32], bool *has_any,
                bool *has_manifest)
{
    static const char sql[] = "SELECT count(*), coalesce(sum(CASE WHEN manifest_sha256 = ?2 THEN 1 ELSE 0 "
                              "END), 0) FROM sealed WHERE image_id = ?1";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, image_id);
    db_bind_blob(stmt, 2, manifest_sha256, 32);
    int rc = db_step(stmt);
    *has_any = rc == 1 && db_int(stmt, 0) > 0;
    *has_manifest = rc == 1 && db_int(stmt, 1) > 0;
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

static struct model_image *find_image(struct store_rules *rules, int64_t id, uint32_t *release,
                                      uint32_t *image)
{
    for (; *release < rules->release_count; (*release)++, *image = 0) {
        for (; *image < rules->releases[*release].image_count; (*image)++) {
            if (rules->releases[*release].images[*image].id == id)
                return &rules->releases[*release].images[*image];
        }
    }
    return NULL;
}

static int add_row(struct db_statement *stmt, struct model_image *image)
{
    if (image == NULL || image->sealed_count == MODEL_SEALED_MAX)
        return store_fail(MOLT_STORE_FAILED, "the database is damaged: table sealed does not fit");
    if (image->sealed == NULL) image->sealed = calloc(MODEL_SEALED_MAX, sizeof *image->sealed);
    if (image->sealed == NULL) return store_fail(MOLT_NO_MEMORY, "out of memory");
    int rc = store_read(stmt, 1, columns, COLUMNS, &image->sealed[image->sealed_count]);
    if (rc == 0) image->sealed_count++;
    return rc;
}

/* The rows come in the order of the images, so that one walk places them all. */
int sealed_load(struct store *store, struct store_rules *out)
{
    static const char sql[] = "SELECT sealed.image_id" SEALED_FIELDS(
        AS_NAME) " FROM sealed JOIN image ON image.id = sealed.image_id"
                 " JOIN release ON release.id = image.release_id"
                 " ORDER BY release.product_id, release.channel, release.code DESC, image.id, file_len";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    uint32_t release = 0, image = 0;
    int rc;
    while ((rc = db_step(stmt)) == 1) {
        rc = add_row(stmt, find_image(out, db_int(stmt, 0), &release, &image));
        if (rc < 0) break;
    }
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}
