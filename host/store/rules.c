/* rules.c - loads products, releases and images as one picture.
 * Must never return half a picture. Tests: test/unit/store_releases_test.c. */
#include <stdlib.h>
#include <string.h>

#include "images.h"

#define FIELD(type, kind, field)                                                                             \
    {                                                                                                        \
        COLUMN_##kind, offsetof(struct type, field), sizeof(((struct type *)NULL)->field)                    \
    }
static const struct column product_columns[] = {FIELD(model_product, INT, id),
                                                FIELD(model_product, TEXT, name),
                                                FIELD(model_product, UINT, adopt_chips),
                                                FIELD(model_product, UINT, stopped),
                                                FIELD(model_product, UINT, rollouts_only),
                                                FIELD(model_product, UINT, trust_unverified),
                                                FIELD(model_product, UINT, approval),
                                                FIELD(model_product, UINT, downgrade),
                                                FIELD(model_product, UINT, two_signatures)};
static const struct column release_columns[] = {
    FIELD(model_release, INT, id),          FIELD(model_release, INT, product_id),
    FIELD(model_release, TEXT, version),    FIELD(model_release, UINT, code),
    FIELD(model_release, TEXT, channel),    FIELD(model_release, UINT, yanked),
    FIELD(model_release, UINT, required),   FIELD(model_release, INT, created_ms),
    FIELD(model_release, UINT, image_count)};
static const struct column image_columns[] = {
    FIELD(model_image, INT, id), FIELD(model_image, INT, release_id), IMAGE_FIELDS(IMAGE_AS_COLUMN)};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char products_sql[] =
    "SELECT id, name, adopt_chips, stopped, rollouts_only, trust_unverified, approval, downgrade,"
    " (SELECT count(*) > 0 FROM trust WHERE product_id = product.id AND role = 1) FROM product";
static const char releases_sql[] =
    "SELECT id, product_id, version, code, channel, yanked, required, created_ms,"
    " (SELECT count(*) FROM image WHERE release_id = release.id)"
    " FROM release ORDER BY product_id, channel, code DESC";
static const char images_sql[] = "SELECT image.id, image.release_id" IMAGE_FIELDS(
    IMAGE_AS_NAME) ", image.md5_variants"
                   " FROM image JOIN release ON release.id = image.release_id"
                   " ORDER BY release.product_id, release.channel, release.code DESC, image.id";

static int out_of_memory(void)
{
    return store_fail(MOLT_NO_MEMORY, "out of memory");
}

static int read_number(struct store *store, const char *sql, int64_t *number)
{
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = db_step(stmt);
    if (rc == 1) *number = db_int(stmt, 0);
    db_reset(stmt);
    if (rc == 0) return store_fail(MOLT_STORE_FAILED, "the database is damaged: a row is missing");
    return rc < 0 ? rc : 0;
}

static int load_products(struct store *store, struct store_rules *out, uint32_t count)
{
    struct db_statement *stmt = db_statement(store->db, products_sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc;
    while ((rc = db_step(stmt)) == 1 && out->product_count < count) {
        rc = store_read(stmt, 0, product_columns, COUNT(product_columns), &out->products[out->product_count]);
        if (rc < 0) break;
        out->product_count++;
    }
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

static int load_releases(struct store *store, struct store_rules *out, uint32_t count)
{
    struct db_statement *stmt = db_statement(store->db, releases_sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc;
    while ((rc = db_step(stmt)) == 1 && out->release_count < count) {
        struct model_release *release = &out->releases[out->release_count];
        rc = store_read(stmt, 0, release_columns, COUNT(release_columns), release);
        if (rc < 0) break;
        out->release_count++;
        if (release->image_count == 0) continue;
        release->images = calloc(release->image_count, sizeof *release->images);
        if (release->images == NULL) {
            release->image_count = 0;
            rc = out_of_memory();
            break;
        }
    }
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

static int read_image(struct db_statement *stmt, struct model_image *image)
{
    int rc = store_read(stmt, 0, image_columns, COUNT(image_columns), image);
    if (rc < 0) return rc;
    int at = (int)COUNT(image_columns);
    size_t len;
    const void *bytes = db_blob(stmt, at, &len);
    if (len % 16 != 0 || len / 16 > IMAGE_MD5_VARIANTS_MAX) {
        return store_fail(MOLT_STORE_FAILED, "the database is damaged: column md5_variants does not fit");
    }
    if (len == 0) return 0;
    image->md5_variants = malloc(len);
    if (image->md5_variants == NULL) return out_of_memory();
    memcpy(image->md5_variants, bytes, len);
    image->md5_variant_count = (uint32_t)(len / 16);
    return 0;
}

/* The rows come in the order of the releases, so that one walk places them all. */
static int load_images(struct store *store, struct store_rules *out)
{
    struct db_statement *stmt = db_statement(store->db, images_sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    uint32_t release = 0, image = 0;
    int rc;
    while ((rc = db_step(stmt)) == 1) {
        while (release < out->release_count && image == out->releases[release].image_count)
            release++, image = 0;
        rc = release < out->release_count ? read_image(stmt, &out->releases[release].images[image])
                                          : store_fail(MOLT_INTERNAL, "more images than were counted");
        if (rc < 0) break;
        if (out->releases[release].images[image].release_id != out->releases[release].id) {
            rc = store_fail(MOLT_INTERNAL, "an image came out of order");
            break;
        }
        image++;
    }
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

static int load_all(struct store *store, void *ctx)
{
    struct store_rules *out = ctx;
    static const char generation_sql[] = "SELECT generation FROM meta";
    static const char products_count_sql[] = "SELECT count(*) FROM product";
    static const char releases_count_sql[] = "SELECT count(*) FROM release";
    int64_t generation = 0, products = 0, releases = 0;
    int rc = read_number(store, generation_sql, &generation);
    if (rc == 0) rc = read_number(store, products_count_sql, &products);
    if (rc == 0) rc = read_number(store, releases_count_sql, &releases);
    if (rc < 0) return rc;
    out->generation = (uint64_t)generation;
    out->products = calloc((size_t)products + 1, sizeof *out->products); /* + 1: never an empty allocation */
    out->releases = calloc((size_t)releases + 1, sizeof *out->releases);
    if (out->products == NULL || out->releases == NULL) return out_of_memory();
    rc = load_products(store, out, (uint32_t)products);
    if (rc == 0) rc = load_releases(store, out, (uint32_t)releases);
    if (rc == 0) rc = load_images(store, out);
    if (rc == 0) rc = sealed_load(store, out);
    return rc == 0 ? rollouts_load(store, out) : rc;
}

int store_load_rules(struct store *store, struct store_rules *out)
{
    memset(out, 0, sizeof *out);
    int rc = store_transact(store, DB_READ, load_all, out);
    if (rc < 0) store_free_rules(out);
    return rc;
}

void store_free_rules(struct store_rules *rules)
{
    for (uint32_t i = 0; i < rules->release_count; i++) {
        struct model_release *release = &rules->releases[i];
        for (uint32_t j = 0; j < release->image_count; j++) {
            free(release->images[j].md5_variants);
            free(release->images[j].sealed);
        }
        free(release->images);
    }
    free(rules->releases);
    free(rules->products);
    free(rules->rollouts);
    memset(rules, 0, sizeof *rules);
}
