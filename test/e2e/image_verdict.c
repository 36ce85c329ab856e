/* image_verdict.c - prints what the verifier says of each file: one line "FILE KIND REASON-ID".
 * Exit status 0 when every file is a good image, 1 otherwise, 2 on usage or a file that cannot be read.
 * A helper of esptool_test.sh, which compares it with esptool's verdicts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"
#include "molt_reason.h"
#include "ports/bearssl.h"

#define FILE_MAX (64u * 1024 * 1024)

static uint8_t *load(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) return NULL;
    uint8_t *data = malloc(FILE_MAX);
    if (data != NULL) *len = fread(data, 1, FILE_MAX, f);
    if (ferror(f)) {
        free(data);
        data = NULL;
    }
    fclose(f);
    return data;
}

static int verdict(const uint8_t *data, size_t len, struct molt_image *image)
{
    const struct molt_image_expect anything = {.chip = MOLT_CHIP_UNKNOWN};
    molt_image_begin(image, &anything, &molt_bearssl_sha256);
    int rc = molt_image_feed(image, data, len);
    return rc < 0 ? rc : molt_image_finish(image);
}

int main(int argc, char **argv)
{
    int status = argc < 2 ? 2 : 0;
    for (int i = 1; i < argc; i++) {
        size_t len = 0;
        uint8_t *data = load(argv[i], &len);
        if (data == NULL) {
            perror(argv[i]);
            return 2;
        }
        struct molt_image image;
        int rc = verdict(data, len, &image);
        printf("%s %s %s\n", argv[i], molt_file_kind_name(molt_image_classify(data, len, len)),
               rc == 0 ? "ok" : molt_reason_id(-rc));
        if (rc != 0) status = 1;
        free(data);
    }
    return status;
}
