/* decide_variant.c - which image of a release is meant for a device: chip, component, then the most specific
 * variant that matches. Must never match a variant on a guess, but for a bare poll, which the .bin request settles.
 * Tests: test/unit/decide_test.c. */
#include "decide_parts.h"

#include <stdio.h>
#include <string.h>

bool decide_has_image(const struct model_release *release, enum molt_chip chip,
                      enum model_component component)
{
    for (uint32_t i = 0; i < release->image_count; i++) {
        const struct model_image *image = &release->images[i];
        if (image->component == component && (chip == MOLT_CHIP_UNKNOWN || image->chip == chip)) return true;
    }
    return false;
}

static bool size_matches(const struct decide_case *c, uint32_t wanted, uint32_t known)
{
    if (wanted == 0 || wanted == known) return true;
    return known == 0 && c->ask->bare; /* the .bin request will say it */
}

/* No stock client says its chip's revision. An ESP32 itself refuses an image whose header asks for a later one, before
 * it is activated; so such an image may be tried, when the release has nothing better. */
static bool revision_is_checked_by_device(const struct model_image *image)
{
    return molt_chip_is_esp32_family(image->chip) && image->min_revision >= image->variant_min_revision;
}

/* How specific the match is: -1 no match; layout before flash size before any; a revision last. */
static int match(const struct decide_case *c, const struct model_image *image)
{
    if (image->component != c->ask->component) return -1;
    if (c->chip != MOLT_CHIP_UNKNOWN && image->chip != c->chip) return -1;
    if (!size_matches(c, image->variant_flash_size, c->flash_size)) return -1;
    if (!size_matches(c, image->variant_fs_start, c->fs_start)) return -1;
    int score = 1 + (image->variant_fs_start != 0 ? 4 : 0) + (image->variant_flash_size != 0 ? 2 : 0);
    if (image->variant_min_revision == 0) return score;
    return revision_is_checked_by_device(image) ? 0 : -1;
}

const struct model_image *decide_choose_image(const struct decide_case *c,
                                              const struct model_release *release, struct decision *out)
{
    const struct model_image *best = NULL;
    int best_score = -1;
    char variants[64] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < release->image_count; i++) {
        const struct model_image *image = &release->images[i];
        if (image->component != c->ask->component) continue;
        if (c->chip != MOLT_CHIP_UNKNOWN && image->chip != c->chip) continue;
        int score = match(c, image);
        if (score > best_score) {
            best = image;
            best_score = score;
        }
        size_t len = strlen(image->variant);
        if (len + 3 < sizeof variants - used) {
            if (used > 0) variants[used++] = ' ';
            memcpy(variants + used, image->variant, len + 1);
            used += len;
        }
    }
    if (best) return best;
    decide_say(out, 0,
               "version %.40s is for %s only; the device has %u bytes of flash, its files begin at 0x%X",
               release->version, used > 0 ? variants : "other devices", (unsigned)c->flash_size,
               (unsigned)c->fs_start);
    return NULL;
}
