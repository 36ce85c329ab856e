/* publish_image.c - what is kept of a verified image: the bytes, two gzip files, and the MD5s it may be known by.
 * Must never alter the image. Tests: test/unit/publish_test.c. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "molt_boot_image.h"
#include "publish.h"

#define GZIP_WINDOW_BITS    15 /* 32 KB: eboot's uzlib and Tasmota */
#define GZIP_4K_WINDOW_BITS 12 /* 4 KB: libmolt */
#define MD5_LEN             16u
#define MODE_OFFSET         2u
#define SIZE_OFFSET         3u
#define MODE_COUNT          4u

/* ---- MD5 variants ---- */

/* Byte 3 of an ESP8266 header as esptool may have patched it: all flash sizes that hold the image, all speeds. */
static uint32_t plausible_sizes(uint32_t len, uint8_t as_built, uint8_t out[64])
{
    static const struct {
        uint8_t nibble;
        uint32_t size;
    } sizes[] = {{1, 256u << 10}, {0, 512u << 10}, {2, 1u << 20}, {3, 2u << 20}, {5, 2u << 20},
                 {4, 4u << 20},   {6, 4u << 20},   {8, 8u << 20}, {9, 16u << 20}};
    static const uint8_t speeds[] = {0x0, 0x1, 0x2, 0xF};
    uint32_t count = 0;
    out[count++] = as_built;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (sizes[i].size < len) continue;
        for (size_t j = 0; j < sizeof speeds; j++) {
            uint8_t byte = (uint8_t)(sizes[i].nibble << 4 | speeds[j]);
            if (byte != as_built) out[count++] = byte;
        }
    }
    return count;
}

static int compare_md5(const void *a, const void *b)
{
    return memcmp(a, b, MD5_LEN);
}

static int hash_variant(EVP_MD_CTX *ctx, const uint8_t *data, size_t len, uint8_t mode, uint8_t size,
                        uint8_t *md5)
{
    uint8_t head[4] = {data[0], data[1], mode, size};
    bool ok = EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 && EVP_DigestUpdate(ctx, head, sizeof head) == 1 &&
              EVP_DigestUpdate(ctx, data + sizeof head, len - sizeof head) == 1 &&
              EVP_DigestFinal_ex(ctx, md5, NULL) == 1;
    return ok ? 0 : -MOLT_NO_MEMORY;
}

/* The running sketch's MD5 is taken over the flash, where Updater has put the chip's own flash mode into byte 2 and
 * esptool, at the first flashing, perhaps its own values into bytes 2 and 3 (ESP8266 Updater.cpp; esptool). */
static int esp8266_md5s(const uint8_t *data, size_t len, struct model_image *image)
{
    uint8_t sizes[64], mode;
    uint32_t size_count = plausible_sizes((uint32_t)len, data[SIZE_OFFSET], sizes), count = 0;
    uint32_t modes = data[MODE_OFFSET] < MODE_COUNT ? MODE_COUNT : MODE_COUNT + 1;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    image->md5_variants = malloc((size_t)modes * size_count * MD5_LEN);
    int rc = ctx != NULL && image->md5_variants != NULL ? 0 : -MOLT_NO_MEMORY;
    for (uint32_t m = 0; m < modes; m++) {
        mode = m < MODE_COUNT ? (uint8_t)m : data[MODE_OFFSET];
        for (uint32_t s = 0; s < size_count && rc == 0; s++) {
            rc = hash_variant(ctx, data, len, mode, sizes[s], image->md5_variants[count++]);
        }
    }
    EVP_MD_CTX_free(ctx);
    if (rc < 0) return rc;
    qsort(image->md5_variants, count, MD5_LEN, compare_md5);
    image->md5_variant_count = count;
    return 0;
}

/* An ESP32-family image lies in flash as it was published. */
static int esp32_md5s(struct model_image *image)
{
    image->md5_variants = malloc(MD5_LEN);
    if (image->md5_variants == NULL) return -MOLT_NO_MEMORY;
    memcpy(image->md5_variants[0], image->raw.md5, MD5_LEN);
    image->md5_variant_count = 1;
    return 0;
}

/* ---- artifacts ---- */

/* Makes and stores a gzip file, unless it would not be smaller. */
static int put_gzip(struct store *store, const uint8_t *data, size_t len, int window_bits,
                    struct model_artifact *artifact, uint32_t *min_start)
{
    uint8_t *gz = NULL;
    size_t gz_len = 0;
    int rc = facts_gzip(data, len, window_bits, &gz, &gz_len);
    if (rc < 0) return rc;
    if (gz_len < len) {
        if (min_start != NULL) *min_start = facts_gzip_min_start(gz, gz_len);
        rc = store_artifact_put(store, gz, gz_len, artifact);
    }
    free(gz);
    return rc;
}

static int put_all(struct store *store, const uint8_t *data, size_t len, struct model_image *image)
{
    int rc = store_artifact_put(store, data, len, &image->raw);
    if (rc < 0 || image->component != MODEL_APP) return rc;
    bool esp8266 = image->chip == MOLT_CHIP_ESP8266;
    const bool inflates =
        esp8266 && !molt_boot_image_has(data, len); /* a stock sketch's boot stage, once it has this */
    if (inflates) rc = put_gzip(store, data, len, GZIP_WINDOW_BITS, &image->gzip, &image->gzip_min_start);
    if (rc == 0) rc = put_gzip(store, data, len, GZIP_4K_WINDOW_BITS, &image->gzip_4k, NULL);
    if (rc == 0) rc = esp8266 ? esp8266_md5s(data, len, image) : esp32_md5s(image);
    return rc;
}

int publish_image(struct store *store, const uint8_t *content, size_t len, const struct facts *facts,
                  struct model_image *image)
{
    image->md5_variants = NULL;
    image->md5_variant_count = 0;
    image->header_flash_size = facts->image.flash_size;
    image->min_revision = facts->image.min_revision;
    image->max_revision = facts->image.max_revision;
    bool app = image->component == MODEL_APP;
    memcpy(image->digest, app ? facts->image.digest : facts->inner_sha256, sizeof image->digest);
    int rc = put_all(store, content, len, image);
    if (rc < 0) {
        free(image->md5_variants);
        image->md5_variants = NULL;
        image->md5_variant_count = 0;
    }
    return rc;
}
