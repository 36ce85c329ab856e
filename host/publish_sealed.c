/* publish_sealed.c - an encrypted file: what its manifest says of it, and what its maker's molt says.
 * Must never believe the maker's molt what the manifest says. Tests: test/unit/publish_signed_test.c, test/e2e/sealed_test.sh. */
#include <stdio.h>
#include <string.h>

#include "publish.h"
#include "sign/sign.h"

#define WINDOW_MAX 32768u

static const uint8_t no_base[32];

/* Do the maker's words go together? */
static bool is_consistent(const struct publish_sealed *sealed)
{
    const bool is_delta = memcmp(sealed->base, no_base, sizeof no_base) != 0;
    if (sealed->encoding > MOLT_PACK) return false;
    if (sealed->encoding == MOLT_GZIP && sealed->window == 0) return false;
    if (sealed->encoding != MOLT_GZIP && !is_delta && sealed->window > 0) return false;
    if (sealed->window > WINDOW_MAX || (is_delta && sealed->encoding != MOLT_PACK)) return false;
    return !sealed->body_only || is_delta;
}

/* Is the encrypted file as long as what it is said to be? */
static bool length_fits(const struct publish_sealed *sealed, size_t len, uint32_t size)
{
    return sealed->encoding == MOLT_RAW ? len == size : len > 0 && len <= size;
}

static void describe(const struct publish_sealed *sealed, const struct molt_manifest_component *component,
                     struct facts *facts, struct model_image *image)
{
    facts->inner_len = component->size;
    memcpy(facts->inner_sha256, component->digest, MOLT_SHA256_LEN);
    facts->image.chip = image->chip;
    facts->image.flash_size = sealed->header_flash_size;
    image->header_flash_size = sealed->header_flash_size;
    image->min_revision = sealed->min_revision;
    image->max_revision = sealed->max_revision;
    image->raw.len = component->size;
    memcpy(image->raw.sha256, component->digest, MOLT_SHA256_LEN);
    memcpy(image->digest, image->component == MODEL_FS ? component->digest : sealed->digest,
           sizeof image->digest);
}

int publish_sealed(const struct publish_options *options, size_t len, struct facts *facts,
                   struct model_image *image, struct model_sealed *form, char *detail, size_t cap)
{
    const struct publish_sealed *sealed = options->sealed;
    const unsigned index = options->fs ? 1 : 0;
    struct molt_manifest manifest;
    detail[0] = '\0';
    if (options->manifest == NULL) {
        snprintf(detail, cap, "an encrypted file is published with its manifest: --manifest FILE.suit");
        return -MOLT_MANIFEST_MISSING;
    }
    const size_t end = molt_manifest_end(options->manifest, options->manifest_len);
    if (end == 0 || molt_manifest_read(options->manifest, end, &manifest) < 0)
        return -MOLT_MANIFEST_MALFORMED;
    image->component = options->fs ? MODEL_FS : MODEL_APP;
    image->chip = options->product != NULL ? sign_chip_of(&manifest, options->product) : MOLT_CHIP_UNKNOWN;
    if (image->chip == MOLT_CHIP_UNKNOWN ||
        (options->chip != MOLT_CHIP_UNKNOWN && options->chip != image->chip)) {
        snprintf(detail, cap, "it is not for product %.64s%s%s",
                 options->product != NULL ? options->product : "",
                 options->chip != MOLT_CHIP_UNKNOWN ? " on " : "",
                 options->chip != MOLT_CHIP_UNKNOWN ? molt_chip_name(options->chip) : "");
        return -MOLT_MANIFEST_CLASS;
    }
    if (index >= manifest.component_count || manifest.component[index].encryption == NULL) {
        snprintf(detail, cap, "the manifest says nothing of an encrypted %s",
                 options->fs ? "file system" : "application");
        return -MOLT_MANIFEST_MISMATCH;
    }
    if (!length_fits(sealed, len, manifest.component[index].size)) {
        snprintf(detail, cap, "the manifest is for %u bytes, the encrypted file has %zu",
                 manifest.component[index].size, len);
        return -MOLT_MANIFEST_MISMATCH;
    }
    if (!is_consistent(sealed)) {
        snprintf(detail, cap, "what is said of the encrypted file does not go together");
        return -MOLT_REQUEST_INVALID;
    }
    describe(sealed, &manifest.component[index], facts, image);
    *form = (struct model_sealed){
        .encoding = sealed->encoding, .window = sealed->window, .body_only = sealed->body_only};
    memcpy(form->base, sealed->base, sizeof form->base);
    image->sealed = form;
    image->sealed_count = 1;
    return 0;
}
