/* publish_manifest.c - does the signed statement belong to what is published?
 * Must never let a manifest pass that a device of the product would refuse. Tests: test/unit/publish_signed_test.c. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "publish.h"
#include "sign/sign.h"

_Static_assert(STORE_KEY_LEN == MOLT_KEY_LEN, "the store keeps keys as devices hold them");

static int compare(const struct molt_manifest *manifest, const struct facts *facts,
                   const struct model_image *image, char *detail, size_t cap)
{
    unsigned index = image->component == MODEL_FS ? 1 : 0;
    if (index >= manifest->component_count) {
        snprintf(detail, cap, "the manifest says nothing of a file system");
        return -MOLT_MANIFEST_MISMATCH;
    }
    const struct molt_manifest_component *component = &manifest->component[index];
    if (component->encryption != NULL && image->sealed_count == 0) {
        snprintf(detail, cap,
                 "the manifest is of an encrypted file: publish that, with --encrypted FILE.enc");
        return -MOLT_MANIFEST_MISMATCH;
    }
    if (component->size != facts->inner_len) {
        snprintf(detail, cap, "the manifest is for %u bytes, the file has %" PRIu64, component->size,
                 facts->inner_len);
        return -MOLT_MANIFEST_MISMATCH;
    }
    if (memcmp(component->digest, facts->inner_sha256, MOLT_SHA256_LEN) == 0) return 0;
    snprintf(detail, cap, "the SHA-256 of the file is another one");
    return -MOLT_MANIFEST_MISMATCH;
}

int publish_manifest(struct store *store, const char *product, const uint8_t *manifest, size_t len,
                     const struct facts *facts, struct model_image *image, char *detail, size_t cap)
{
    uint8_t keys[STORE_TRUST_MAX][STORE_KEY_LEN], approvers[STORE_TRUST_MAX][STORE_KEY_LEN];
    uint32_t count = 0, approver_count = 0;
    struct molt_manifest read;
    memset(&image->manifest, 0, sizeof image->manifest);
    image->sequence = 0;
    image->approved = false;
    detail[0] = '\0';
    int rc = store_trust_list(store, product, STORE_TRUST_SIGNER, keys, &count);
    if (rc == 0) rc = store_trust_list(store, product, STORE_TRUST_APPROVER, approvers, &approver_count);
    if (rc < 0) {
        snprintf(detail, cap, "%s", store_error(store));
        return rc;
    }
    if (manifest == NULL) {
        if (count == 0 && approver_count == 0) return 0;
        snprintf(detail, cap, "product %s takes signed images only: molt sign, then --manifest FILE.suit",
                 product);
        return -MOLT_MANIFEST_MISSING;
    }
    if (count == 0) {
        snprintf(detail, cap, "no key is trusted for product %s: molt product trust %s --key FILE.pub",
                 product, product);
        return -MOLT_MANIFEST_SIGNATURE;
    }
    rc = sign_check(manifest, len, (const uint8_t(*)[MOLT_KEY_LEN])keys, count, product, image->chip, &read);
    if (rc == -MOLT_MANIFEST_CLASS)
        snprintf(detail, cap, "it is not for product %s on %s", product, molt_chip_name(image->chip));
    if (rc == 0 && read.sequence > INT64_MAX) rc = -MOLT_MANIFEST_MALFORMED;
    if (rc == 0) rc = compare(&read, facts, image, detail, cap);
    if (rc == 0 && approver_count > 0) {
        rc = sign_check_approval(manifest, len, (const uint8_t(*)[MOLT_KEY_LEN])approvers, approver_count,
                                 NULL);
        image->approved = rc == 0;
        if (rc < 0)
            snprintf(detail, cap,
                     "product %s needs a second signature: molt sign FILE.suit --approve --key SECOND",
                     product);
    }
    if (rc == 0) image->sequence = (int64_t)read.sequence;
    if (rc == 0) image->manifest.len = (uint32_t)len;
    return rc;
}
