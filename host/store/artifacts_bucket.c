/* artifacts_bucket.c - the folder of artifacts as a cache of a bucket: what is not here comes from there, once, verified.
 * Must never give a file its name whose digest is another. Tests: test/e2e/s3_test.sh. */
#include <string.h>
#include <unistd.h>

#include "bucket.h"
#include "parts.h"

_Static_assert(STORE_LINK_LEN == S3_URL_LEN, "a link is a URL");

bool store_has_bucket(const struct store *store)
{
    return store->bucket != NULL;
}

int store_artifact_fetch(struct store *store, const uint8_t sha256[32], const atomic_bool *stop)
{
    char temp[ARTIFACT_TEMP_LEN];
    if (store->bucket == NULL) return store_fail(MOLT_NOT_FOUND, "there is no bucket to fetch it from");
    int fd = artifact_temp(store, temp);
    return fd >= 0 ? artifact_name(store, fd, temp, sha256, bucket_get(store->bucket, sha256, fd, stop)) : fd;
}

int store_artifact_link(struct store *store, const uint8_t sha256[32], int64_t now_s, uint32_t expires_s,
                        char url[STORE_LINK_LEN])
{
    if (store->bucket == NULL) return store_fail(MOLT_STATE, "there is no bucket");
    return bucket_link(store->bucket, sha256, now_s, expires_s, url);
}

/* ---- all artifacts of all releases ---- */

static int each_of_image(const struct model_image *image, artifact_visitor each, void *ctx,
                         const struct model_release *release)
{
    const struct {
        const struct model_artifact *artifact;
        const char *what;
    } parts[] = {{&image->raw, "image"},
                 {&image->gzip, "gzip form"},
                 {&image->gzip_4k, "gzip form for libmolt"},
                 {&image->manifest, "manifest"}};
    int rc = 0;
    /* of an encrypted image the plain one is nowhere */
    for (size_t i = image->sealed_count == 0 ? 0 : 1; rc == 0 && i < sizeof parts / sizeof parts[0]; i++)
        if (parts[i].artifact->len != 0) rc = each(ctx, parts[i].artifact, parts[i].what, release);
    for (uint32_t i = 0; rc == 0 && i < image->sealed_count; i++) {
        rc = each(ctx, &image->sealed[i].file, "encrypted form", release);
        if (rc == 0 && image->sealed[i].manifest.len != 0)
            rc = each(ctx, &image->sealed[i].manifest, "manifest of an encrypted form", release);
    }
    return rc;
}

int artifacts_of_releases(struct store *store, artifact_visitor each, void *ctx)
{
    struct store_rules rules;
    int rc = store_load_rules(store, &rules);
    if (rc < 0) return rc;
    for (uint32_t i = 0; rc == 0 && i < rules.release_count; i++)
        for (uint32_t k = 0; rc == 0 && k < rules.releases[i].image_count; k++)
            rc = each_of_image(&rules.releases[i].images[k], each, ctx, &rules.releases[i]);
    store_free_rules(&rules);
    return rc;
}

/* ---- upload ---- */

struct upload {
    struct store *store;
    struct store_uploaded *out;
    const struct model_artifact *artifact;
};

static int put(void *ctx, const void *data, size_t len)
{
    const struct upload *upload = ctx;
    struct model_artifact stored;
    int rc = store_artifact_put(upload->store, data, len, &stored);
    if (rc == 0 && memcmp(stored.sha256, upload->artifact->sha256, sizeof stored.sha256) != 0)
        return store_fail(MOLT_STORE_FAILED, "an artifact is damaged: `molt store check` names it");
    if (rc == 0) upload->out->uploaded++;
    if (rc == 0) upload->out->bytes += len;
    return rc;
}

static int upload_one(void *ctx, const struct model_artifact *artifact, const char *what,
                      const struct model_release *release)
{
    struct upload *upload = ctx;
    uint64_t len = 0;
    (void)what;
    (void)release;
    upload->artifact = artifact;
    upload->out->artifacts++;
    int rc = bucket_look(upload->store->bucket, artifact->sha256, &len);
    if (rc == 0 && len == artifact->len) return 0;
    if (rc < 0 && rc != -MOLT_NOT_FOUND) return rc;
    return artifact_with(upload->store, artifact->sha256, put, upload);
}

int store_upload(struct store *store, struct store_uploaded *out)
{
    struct upload upload = {.store = store, .out = out};
    *out = (struct store_uploaded){0};
    if (store->bucket == NULL)
        return store_fail(MOLT_ARG, "there is no bucket: give --artifacts s3://BUCKET");
    return artifacts_of_releases(store, upload_one, &upload);
}
