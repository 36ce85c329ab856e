/* plain.c - the rules of what is no image, a file system for instance: none. All that is to be known of it is its digest.
 * Must never be a format of what a chip boots. Tests: test/unit/image_test.c, test/unit/agent_fs_test.c. */
#include "image_parts.h"

static int pass(struct molt_image *image, const uint8_t *p, uint32_t n)
{
    image->hash.ops->update(&image->hash.state, p, n);
    return 0;
}

static int verdict(struct molt_image *image)
{
    image->hash.ops->finish(&image->hash.state, image->info.digest);
    return 0;
}

const struct molt_image_format molt_image_plain = {.pass = pass, .verdict = verdict, .is_plain = true};
