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
#define SECTOR              4096u

static const struct {
    uint32_t flash_size, fs_start;
} boot_layouts[] = {
    {512u << 10, 0x7B000}, {1u << 20, 0xFB000},  {1u << 20, 0xEB000},
    {1u << 20, 0x7B000},   {2u << 20, 0x100000}, {4u << 20, 0x3FB000},
    {4u << 20, 0x300000},  {4u << 20, 0x200000}, {4u << 20, 0x100000},
};
#define BOOT_LAYOUTS (sizeof boot_layouts / sizeof boot_layouts[0])

/* ---- MD5 variants ---- */

/* Flash sizes as bits 4 to 7 of byte 3 of an ESP8266 header say them. */
static const struct {
    uint8_t nibble;
    uint32_t size;
} flash_sizes[] = {{1, 256u << 10}, {0, 512u << 10}, {2, 1u << 20}, {3, 2u << 20}, {5, 2u << 20},
                   {4, 4u << 20},   {6, 4u << 20},   {8, 8u << 20}, {9, 16u << 20}};

/* Byte 3 of a header as esptool may have patched it: all flash sizes from smallest to largest, all speeds. */
static uint32_t plausible_sizes(uint32_t smallest, uint32_t largest, uint8_t as_built, uint8_t out[64])
{
    static const uint8_t speeds[] = {0x0, 0x1, 0x2, 0xF};
    uint32_t count = 0;
    out[count++] = as_built;
    for (size_t i = 0; i < sizeof flash_sizes / sizeof flash_sizes[0]; i++) {
        if (flash_sizes[i].size < smallest || flash_sizes[i].size > largest) continue;
        for (size_t j = 0; j < sizeof speeds; j++) {
            uint8_t byte = (uint8_t)(flash_sizes[i].nibble << 4 | speeds[j]);
            if (byte != as_built) out[count++] = byte;
        }
    }
    return count;
}

static int compare_md5(const void *a, const void *b)
{
    return memcmp(a, b, MD5_LEN);
}

/* MD5s while they are made. */
struct md5s {
    EVP_MD_CTX *ctx;
    const uint8_t *data; /* the image ... */
    size_t len;
    const uint8_t *sector; /* ... and what lies in its first sector, but for bytes 2 and 3 */
    uint8_t (*out)[MD5_LEN];
    uint32_t count;
};

static int hash_variant(struct md5s *m, uint8_t mode, uint8_t size)
{
    uint8_t head[4] = {m->sector[0], m->sector[1], mode, size};
    bool ok = EVP_DigestInit_ex(m->ctx, EVP_md5(), NULL) == 1 &&
              EVP_DigestUpdate(m->ctx, head, sizeof head) == 1 &&
              EVP_DigestUpdate(m->ctx, m->sector + sizeof head, SECTOR - sizeof head) == 1 &&
              EVP_DigestUpdate(m->ctx, m->data + SECTOR, m->len - SECTOR) == 1 &&
              EVP_DigestFinal_ex(m->ctx, m->out[m->count++], NULL) == 1;
    return ok ? 0 : -MOLT_NO_MEMORY;
}

/* Each of the header bytes 3, with each flash mode: Updater puts the chip's own into byte 2. */
static int hash_modes(struct md5s *m, const uint8_t *sizes, uint32_t size_count)
{
    const uint8_t as_built = m->data[MODE_OFFSET];
    const uint32_t modes = as_built < MODE_COUNT ? MODE_COUNT : MODE_COUNT + 1;
    int rc = 0;
    for (uint32_t i = 0; i < modes; i++) {
        for (uint32_t j = 0; j < size_count && rc == 0; j++)
            rc = hash_variant(m, i < MODE_COUNT ? (uint8_t)i : as_built, sizes[j]);
    }
    return rc;
}

/* As it lies behind molt-boot, which keeps its own sector 0: each layout that `molt image set-boot` knows (sim/layout.h)
 * and each molt-boot that was released. There is one; the next one must leave the bytes of this one here. */
static int hash_behind_molt_boot(struct md5s *m, uint32_t header_flash_size)
{
    int rc = 0;
    for (size_t i = 0; i < BOOT_LAYOUTS && rc == 0; i++) {
        uint8_t sector[SECTOR], sizes[64];
        const uint32_t flash = boot_layouts[i].flash_size;
        if (flash < header_flash_size || m->len > boot_layouts[i].fs_start) continue;
        molt_boot_image_sector(sector, m->data[MODE_OFFSET], m->data[SIZE_OFFSET], boot_layouts[i].fs_start);
        m->sector = sector;
        rc = hash_modes(m, sizes, plausible_sizes(flash, flash, m->data[SIZE_OFFSET], sizes));
    }
    return rc;
}

/* The running sketch's MD5 is taken over the flash, where Updater has put the chip's own flash mode into byte 2 and
 * esptool, at the first flashing, perhaps its own values into bytes 2 and 3 (ESP8266 Updater.cpp; esptool); and
 * sector 0 may be molt-boot's. */
static int esp8266_md5s(const uint8_t *data, size_t len, struct model_image *image)
{
    uint8_t sizes[64];
    const uint32_t size_count = plausible_sizes((uint32_t)len, UINT32_MAX, data[SIZE_OFFSET], sizes);
    struct md5s m = {.data = data, .len = len, .sector = data};
    m.ctx = EVP_MD_CTX_new();
    m.out = image->md5_variants = malloc(MD5_LEN * (MODE_COUNT + 1) * (size_count + BOOT_LAYOUTS * 9));
    int rc = m.ctx != NULL && m.out != NULL ? 0 : -MOLT_NO_MEMORY;
    if (rc == 0) rc = hash_modes(&m, sizes, size_count);
    const uint32_t first = molt_boot_image_has(data, len) ? 0 : m.count;
    if (rc == 0) rc = hash_behind_molt_boot(&m, image->header_flash_size);
    EVP_MD_CTX_free(m.ctx);
    if (rc < 0) return rc;
    image->md5_variant_count = m.count;
    image->md5_boot_count = m.count - first;
    qsort(m.out, first, MD5_LEN, compare_md5);
    qsort(m.out + first, m.count - first, MD5_LEN, compare_md5);
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
                    struct model_artifact *artifact)
{
    uint8_t *gz = NULL;
    size_t gz_len = 0;
    int rc = facts_gzip(data, len, window_bits, &gz, &gz_len);
    if (rc < 0) return rc;
    if (gz_len < len) rc = store_artifact_put(store, gz, gz_len, artifact);
    free(gz);
    return rc;
}

static int put_all(struct store *store, const uint8_t *data, size_t len, struct model_image *image)
{
    int rc = store_artifact_put(store, data, len, &image->raw);
    if (rc < 0 || image->component != MODEL_APP || image->chip == MOLT_CHIP_LINUX) return rc;
    bool esp8266 = image->chip == MOLT_CHIP_ESP8266;
    const bool inflates =
        esp8266 && !molt_boot_image_has(data, len); /* a stock sketch's boot stage, once it has this */
    if (inflates) rc = put_gzip(store, data, len, GZIP_WINDOW_BITS, &image->gzip);
    if (rc == 0) rc = put_gzip(store, data, len, GZIP_4K_WINDOW_BITS, &image->gzip_4k);
    if (rc == 0) rc = esp8266 ? esp8266_md5s(data, len, image) : esp32_md5s(image);
    return rc;
}

int publish_image(struct store *store, const uint8_t *content, size_t len, const struct facts *facts,
                  struct model_image *image)
{
    image->md5_variants = NULL;
    image->md5_variant_count = image->md5_boot_count = 0;
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
