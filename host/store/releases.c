/* releases.c - writes products, releases and images.
 * Must never change half of anything, and never point at an artifact that was not stored.
 * Tests: test/unit/store_releases_test.c, test/e2e/store_kill_test.c. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "images.h"

struct publish {
    const char *product, *version, *channel;
    uint32_t code;
    bool adopt, keep;
    const struct model_image *image;
    int64_t product_id, release_id;
    int64_t image_id; /* of the very image, which is there; 0: it is not */
};

/* ---- products ---- */

static int find_product(struct store *store, const char *name, struct model_product *out)
{
    static const char sql[] =
        "SELECT id, adopt_chips, stopped, rollouts_only, trust_unverified, approval, downgrade FROM product"
        " WHERE name = ?";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, name);
    int rc = db_step(stmt);
    if (rc == 0) return store_fail(MOLT_NOT_FOUND, "there is no product %s", name);
    if (rc == 1) {
        out->id = db_int(stmt, 0);
        out->adopt_chips = (uint32_t)db_int(stmt, 1);
        out->stopped = db_int(stmt, 2) != 0;
        out->rollouts_only = db_int(stmt, 3) != 0;
        out->trust_unverified = db_int(stmt, 4) != 0;
        out->approval = db_int(stmt, 5) != 0;
        out->downgrade = (enum model_downgrade)db_int(stmt, 6);
        memcpy(out->name, name, strlen(name) + 1);
        db_reset(stmt);
        rc = 0;
    }
    return rc;
}

int store_product_find(struct store *store, const char *name, struct model_product *out)
{
    memset(out, 0, sizeof *out);
    if (strnlen(name, MODEL_NAME_LEN) == MODEL_NAME_LEN) {
        return store_fail(MOLT_NOT_FOUND, "there is no product with such a long name");
    }
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = find_product(store, name, out);
    store_leave(store);
    return rc;
}

static int ensure_product(struct store *store, struct publish *publish)
{
    static const char sql[] = "INSERT INTO product (name) VALUES (?) RETURNING id";
    struct model_product product;
    int rc = find_product(store, publish->product, &product);
    if (rc == 0) publish->product_id = product.id;
    if (rc != -MOLT_NOT_FOUND) return rc;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, publish->product);
    return store_insert(stmt, &publish->product_id);
}

static int adopt_chip(struct store *store, const struct publish *publish)
{
    static const char other_sql[] =
        "SELECT product.name FROM image JOIN release ON release.id = image.release_id"
        " JOIN product ON product.id = release.product_id WHERE image.chip = ? AND product.id <> ? LIMIT 1";
    static const char set_sql[] = "UPDATE product SET adopt_chips = adopt_chips | ? WHERE id = ?";
    struct db_statement *stmt = db_statement(store->db, other_sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, (int)publish->image->chip);
    db_bind_int(stmt, 2, publish->product_id);
    int rc = db_step(stmt);
    if (rc == 1) {
        rc = store_fail(MOLT_ADOPT_TAKEN, "product %s has images for %s too", db_text(stmt, 0),
                        molt_chip_name(publish->image->chip));
        db_reset(stmt);
    }
    if (rc < 0) return rc;
    stmt = db_statement(store->db, set_sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, (int64_t)1 << publish->image->chip);
    db_bind_int(stmt, 2, publish->product_id);
    return db_step(stmt);
}

int store_adopter(struct store *store, enum molt_chip chip, char name[MODEL_NAME_LEN])
{
    static const char sql[] = "SELECT name FROM product AS adopter WHERE (adopt_chips & ?2) <> 0 AND NOT "
                              "EXISTS (SELECT 1 FROM image"
                              " JOIN release ON release.id = image.release_id"
                              " WHERE image.chip = ?1 AND release.product_id <> adopter.id)";
    int rc = store_enter(store);
    if (rc < 0) return rc;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) {
        store_leave(store);
        return -MOLT_STORE_FAILED;
    }
    db_bind_int(stmt, 1, (int)chip);
    db_bind_int(stmt, 2, (int64_t)1 << chip);
    rc = db_step(stmt);
    if (rc == 1) {
        snprintf(name, MODEL_NAME_LEN, "%s", db_text(stmt, 0));
        db_reset(stmt);
    }
    store_leave(store);
    if (rc == 1) return 0;
    return rc == 0 ? -MOLT_NOT_FOUND : rc;
}

/* ---- releases ---- */

/* Is this another statement of the image that is there? Of a plain image another manifest, of an encrypted one a form. */
static int is_said_anew(struct store *store, const struct publish *publish, struct db_statement *stmt,
                        bool *anew)
{
    const struct model_image *image = publish->image;
    bool was_sealed, has_manifest;
    int rc = sealed_find(store, db_int(stmt, 5), image->manifest.sha256, &was_sealed, &has_manifest);
    const bool is_sealed = image->sealed_count > 0;
    size_t len;
    const void *manifest = db_blob(stmt, 6, &len);
    const bool differs = len == 32 && memcmp(manifest, image->manifest.sha256, 32) != 0;
    *anew = rc == 0 && image->manifest.len > 0 && was_sealed == is_sealed &&
            (is_sealed ? !has_manifest : differs);
    return rc;
}

/* The very image is there: stmt stands on its row. */
static int same_image(struct db_statement *stmt)
{
    const long long code = db_int(stmt, 0), release = db_int(stmt, 3);
    const char *version = db_text(stmt, 1);
    if (db_int(stmt, 4) == 0)
        return store_fail(MOLT_ALREADY_PUBLISHED, "it is version %s (code %lld), release %lld, and on offer",
                          version, code, release);
    return store_fail(MOLT_ALREADY_PUBLISHED,
                      "it is version %s (code %lld), and yanked: `molt release unyank %lld` offers it again",
                      version, code, release);
}

/* Is this code allowed after what the chip, variant and component already have in this channel? A yanked release
 * counts: devices may run it, and they never go back. */
static int check_code(struct store *store, struct publish *publish)
{
    static const char sql[] =
        "SELECT release.code, release.version, image.raw_sha256, release.id, release.yanked, image.id,"
        " image.manifest_sha256 FROM image"
        " JOIN release ON release.id = image.release_id"
        " WHERE release.product_id = ? AND release.channel = ? AND image.chip = ? AND image.component = ?"
        " AND image.variant = ? AND release.code >= ? ORDER BY release.code DESC";
    const struct model_image *image = publish->image;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, publish->product_id);
    db_bind_text(stmt, 2, publish->channel);
    db_bind_int(stmt, 3, (int)image->chip);
    db_bind_int(stmt, 4, (int)image->component);
    db_bind_text(stmt, 5, image->variant);
    db_bind_int(stmt, 6, publish->code);
    int rc, verdict = 0;
    bool anew = false;
    while ((rc = db_step(stmt)) == 1) {
        int64_t code = db_int(stmt, 0);
        size_t len;
        const void *raw = db_blob(stmt, 2, &len);
        if (code == publish->code && len == 32 && memcmp(raw, image->raw.sha256, 32) == 0) {
            rc = is_said_anew(store, publish, stmt, &anew);
            if (rc < 0) break;
            if (anew) publish->image_id = db_int(stmt, 5);
            verdict = anew ? 0 : same_image(stmt);
        } else if (verdict == 0) {
            verdict = store_fail(MOLT_OLDER_CODE, "code %u is not above %lld (%s%s)", publish->code,
                                 (long long)code, db_text(stmt, 1), db_int(stmt, 4) != 0 ? ", yanked" : "");
        }
    }
    db_reset(stmt);
    return rc < 0 ? rc : verdict;
}

/* Devices never take a lower sequence than one they confirmed: the order of the sequences must be that of the codes,
 * over all channels of the product. */
static int check_sequence(struct store *store, const struct publish *publish)
{
    static const char sql[] =
        "SELECT release.code, image.sequence FROM image JOIN release ON release.id = image.release_id"
        " WHERE release.product_id = ?1 AND image.chip = ?2 AND image.manifest_len > 0"
        " AND ((release.code < ?3 AND image.sequence >= ?4) OR (release.code > ?3 AND image.sequence <= ?4)) "
        "LIMIT 1";
    const struct model_image *image = publish->image;
    if (image->manifest.len == 0) return 0;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, publish->product_id);
    db_bind_int(stmt, 2, (int)image->chip);
    db_bind_int(stmt, 3, publish->code);
    db_bind_int(stmt, 4, image->sequence);
    int rc = db_step(stmt);
    if (rc == 1) {
        rc = store_fail(MOLT_MANIFEST_OLDER, "code %u has sequence %lld, and code %lld has sequence %lld",
                        publish->code, (long long)image->sequence, (long long)db_int(stmt, 0),
                        (long long)db_int(stmt, 1));
        db_reset(stmt);
    }
    return rc;
}

static int insert_release(struct store *store, struct publish *publish)
{
    static const char sql[] =
        "INSERT INTO release (product_id, version, code, channel, created_ms) VALUES (?, ?, ?, ?, ?)"
        " RETURNING id";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, publish->product_id);
    db_bind_text(stmt, 2, publish->version);
    db_bind_int(stmt, 3, publish->code);
    db_bind_text(stmt, 4, publish->channel);
    db_bind_int(stmt, 5, clock_now_ms());
    return store_insert(stmt, &publish->release_id);
}

static int ensure_release(struct store *store, struct publish *publish)
{
    static const char sql[] =
        "SELECT id, version FROM release WHERE product_id = ? AND channel = ? AND code = ?";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, publish->product_id);
    db_bind_text(stmt, 2, publish->channel);
    db_bind_int(stmt, 3, publish->code);
    int rc = db_step(stmt);
    if (rc < 0) return rc;
    if (rc == 0) return insert_release(store, publish);
    const char *version = db_text(stmt, 1);
    rc = 0;
    if (version == NULL || strcmp(version, publish->version) != 0) {
        rc = store_fail(MOLT_OLDER_CODE, "code %u is already version %s, not %s", publish->code,
                        version != NULL ? version : "?", publish->version);
    }
    publish->release_id = db_int(stmt, 0);
    db_reset(stmt);
    return rc;
}

static int insert_image(struct store *store, const struct publish *publish)
{
    static const char sql[] = "INSERT INTO image (release_id, md5_variants" IMAGE_FIELDS(
        IMAGE_AS_INTO) ") VALUES (?, ?" IMAGE_FIELDS(IMAGE_AS_MARK) ") RETURNING id";
    static const struct column columns[] = {IMAGE_FIELDS(IMAGE_AS_COLUMN)};
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    const struct model_image *image = publish->image;
    db_bind_int(stmt, 1, publish->release_id);
    db_bind_blob(stmt, 2, image->md5_variants, (size_t)image->md5_variant_count * 16);
    int64_t id = 0;
    int rc = store_bind(stmt, 3, columns, sizeof columns / sizeof columns[0], image);
    if (rc == 0) rc = store_insert(stmt, &id);
    return rc == 0 ? sealed_save(store, id, image) : rc;
}

/* The image is there: its manifest is another one from now on, and it may have one form more. */
static int say_anew(struct store *store, const struct publish *publish)
{
    static const char sql[] =
        "UPDATE image SET manifest_sha256 = ?, manifest_md5 = ?, manifest_len = ?, sequence = ?, approved = ?"
        " WHERE id = ?";
    const struct model_image *image = publish->image;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_blob(stmt, 1, image->manifest.sha256, 32);
    db_bind_blob(stmt, 2, image->manifest.md5, 16);
    db_bind_int(stmt, 3, image->manifest.len);
    db_bind_int(stmt, 4, image->sequence);
    db_bind_int(stmt, 5, image->approved);
    db_bind_int(stmt, 6, publish->image_id);
    int rc = db_step(stmt);
    return rc == 0 ? sealed_save(store, publish->image_id, image) : rc;
}

/* ---- publishing ---- */

static int check_input(const struct publish *publish)
{
    const struct model_image *image = publish->image;
    if (strnlen(publish->product, MODEL_NAME_LEN) == MODEL_NAME_LEN ||
        strnlen(publish->version, MODEL_NAME_LEN) == MODEL_NAME_LEN ||
        strnlen(publish->channel, MODEL_NAME_LEN) == MODEL_NAME_LEN ||
        strnlen(image->variant, MODEL_NAME_LEN) == MODEL_NAME_LEN || image->sealed_count > MODEL_SEALED_MAX ||
        image->md5_variant_count > IMAGE_MD5_VARIANTS_MAX || (unsigned)image->chip > MOLT_CHIP_MAX) {
        return store_fail(MOLT_ARG, "a field of the release is out of its range");
    }
    return 0;
}

static int check_artifacts(struct store *store, const struct model_image *image)
{
    int rc = image->sealed_count == 0 ? artifact_present(store, &image->raw) : 0;
    for (uint32_t i = 0; rc == 0 && i < image->sealed_count; i++) {
        rc = artifact_present(store, &image->sealed[i].file);
        if (rc == 0) rc = artifact_present(store, &image->sealed[i].manifest);
    }
    if (rc == 0 && image->gzip.len > 0) rc = artifact_present(store, &image->gzip);
    if (rc == 0 && image->gzip_4k.len > 0) rc = artifact_present(store, &image->gzip_4k);
    if (rc == 0 && image->manifest.len > 0) rc = artifact_present(store, &image->manifest);
    return rc;
}

enum { ONLY_CHECKED = 1 };

static int write_publish(struct store *store, void *ctx)
{
    struct publish *publish = ctx;
    publish->image_id = 0;
    int rc = ensure_product(store, publish);
    if (rc == 0) rc = check_code(store, publish);
    if (rc == 0) rc = check_sequence(store, publish);
    if (rc == 0) rc = ensure_release(store, publish);
    if (rc == 0 && publish->adopt) rc = adopt_chip(store, publish);
    if (rc == 0) rc = publish->image_id == 0 ? insert_image(store, publish) : say_anew(store, publish);
    if (rc == 0) rc = store_bump_generation(store);
    return rc == 0 && !publish->keep ? ONLY_CHECKED : rc;
}

static int publish_as(struct store *store, struct publish *publish)
{
    int rc = check_input(publish);
    if (rc == 0 && publish->keep) rc = check_artifacts(store, publish->image);
    if (rc == 0) rc = store_transact(store, DB_CHANGE, write_publish, publish);
    return rc == ONLY_CHECKED ? 0 : rc;
}

int store_publish_check(struct store *store, const char *product, const char *version, uint32_t code,
                        const char *channel, bool adopt, const struct model_image *image)
{
    return publish_as(store, &(struct publish){.product = product,
                                               .version = version,
                                               .channel = channel,
                                               .code = code,
                                               .adopt = adopt,
                                               .image = image});
}

int store_publish(struct store *store, const char *product, const char *version, uint32_t code,
                  const char *channel, bool adopt, const struct model_image *image, int64_t *release_id)
{
    struct publish publish = {.product = product,
                              .version = version,
                              .channel = channel,
                              .code = code,
                              .adopt = adopt,
                              .image = image,
                              .keep = true};
    int rc = publish_as(store, &publish);
    if (rc == 0 && release_id != NULL) *release_id = publish.release_id;
    return rc;
}

static int write_yank(struct store *store, void *ctx)
{
    static const char sql[] = "UPDATE release SET yanked = ? WHERE id = ?";
    const int64_t *numbers = ctx;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, numbers[1]);
    db_bind_int(stmt, 2, numbers[0]);
    int rc = db_step(stmt);
    if (rc == 0 && db_changes(stmt) == 0) {
        rc = store_fail(MOLT_NOT_FOUND, "there is no release %lld", (long long)numbers[0]);
    }
    return rc == 0 ? store_bump_generation(store) : rc;
}

int store_release_yank(struct store *store, int64_t release_id, bool yank)
{
    int64_t numbers[] = {release_id, yank};
    return store_transact(store, DB_CHANGE, write_yank, numbers);
}
