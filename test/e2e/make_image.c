/* make_image.c - writes a synthetic firmware image for tests of the command line: make_image CHIP SEED VERSION FILE.
 * Never for a real chip (host/image_build.h). Used by test/e2e/cli_test.sh and esptool_test.sh. */
#include <stdio.h>
#include <stdlib.h>

#include "host/image_build.h"

int main(int argc, char **argv)
{
    if (argc != 5) return 2;
    struct image_build_tag tags[] = {{"version", argv[3]}};
    struct image_build spec = {
        .chip = molt_chip_from_name(argv[1]),
        .size = 60000,
        .seed = (uint32_t)strtoul(argv[2], NULL, 10),
        .version = argv[3],
        .tags = tags,
        .tag_count = 1,
    };
    uint8_t *image;
    size_t len;
    if (image_build(&spec, &image, &len) < 0) return 1;
    FILE *file = fopen(argv[4], "wb");
    bool ok = file != NULL && fwrite(image, 1, len, file) == len;
    if (file != NULL && fclose(file) != 0) ok = false;
    free(image);
    return ok ? 0 : 1;
}
