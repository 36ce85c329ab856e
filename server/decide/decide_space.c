/* decide_space.c - does it fit, and as which bytes: the space rules of both chip families and the encodings.
 * Must never let a file through that its size alone lets through: eboot copies and inflates over the sketch.
 * Sources: esp8266/Arduino cores/esp8266/Updater.cpp and Esp.cpp, bootloaders/eboot; tests: test/unit/decide_test.c. */
#include "decide_parts.h"

#include <string.h>

#define SECTOR          4096u
#define FLASH_MAX       (16u * 1024 * 1024)
#define ESP8266_TOP_LEN (5u * SECTOR) /* EEPROM, RF calibration and SDK data at the end of flash */
#define WINDOW_4K       4096u
#define WINDOW_32K      32768u
#define MAPPED_MAX      (1024u * 1024) /* bytes of flash from which an ESP8266 sketch can run */

static uint64_t whole_sectors(uint64_t len)
{
    return (len + SECTOR - 1) / SECTOR * SECTOR;
}

/* The ESP8266 space rule (Updater.cpp): does a file of file_len bytes fit beside the running sketch? */
static bool fits_beside(uint32_t file_len, uint32_t sketch_size, uint32_t fs_start)
{
    return whole_sectors(file_len) + whole_sectors(sketch_size) <= fs_start;
}

uint32_t decide_esp8266_room(uint32_t sketch_size, uint32_t fs_start)
{
    uint64_t used = whole_sectors(sketch_size);
    return used < fs_start ? (uint32_t)(fs_start - used) / SECTOR * SECTOR : 0;
}

uint32_t decide_infer_fs_start(uint32_t free_space, uint32_t sketch_size)
{
    if (free_space == 0 || sketch_size == 0 || free_space % SECTOR != 0) return 0;
    uint64_t start = free_space + whole_sectors(sketch_size);
    return start < FLASH_MAX ? (uint32_t)start : 0;
}

/* Updater stages a file right below the file system, and eboot copies or inflates it to offset 0. A reset in the middle
 * makes it begin again: then its source must still be whole, so the new sketch must end where the staged file begins,
 * or before. Updater does not ask for that. */
static bool starts_over(const struct decide_case *c, const struct model_image *image, uint32_t file_len)
{
    return whole_sectors(image->raw.len) + whole_sectors(file_len) <= c->fs_start;
}

/* molt-boot exchanges the two images sector by sector: they must lie beside each other, and that is all. It installs
 * images, so libmolt stages what it unpacked (device/src/slots/molt_boot.c, target). */
static bool exchanges(const struct decide_case *c)
{
    return (c->device->can & MOLT_CAN_EXCHANGE) != 0;
}

bool decide_esp8266_can_stage(const struct decide_case *c, const struct model_image *image, uint32_t file_len)
{
    if (exchanges(c))
        return image->raw.len <= MAPPED_MAX && fits_beside(image->raw.len, c->sketch_size, c->stage_end);
    uint64_t staged = whole_sectors(file_len);
    return image->raw.len <= MAPPED_MAX && image->raw.len + staged <= c->stage_end &&
           fits_beside(file_len, c->sketch_size, c->stage_end);
}

/* Also by its two other sources, which say it by the core's version. */
static bool is_libmolt(const struct decide_case *c)
{
    return c->ask->molt || strncmp(c->device->core, "molt-", 5) == 0;
}

static int choose(struct decision *out, const struct model_artifact *artifact, enum molt_encoding encoding)
{
    out->artifact = artifact;
    out->encoding = encoding;
    return 0;
}

/* The smaller of the compressed files that this molt device can inflate and hold; NULL: none. It verifies what it
 * inflates before it installs, so a third of the air time is saved at no risk. */
static const struct model_artifact *molt_gzip(const struct decide_case *c, const struct model_image *image)
{
    if (!(c->device->can & MOLT_CAN_GZIP) || c->device->gz_refused) return NULL;
    bool staged = c->chip == MOLT_CHIP_ESP8266; /* the others inflate into the slot */
    if (staged && (c->fs_start == 0 || c->sketch_size == 0)) return NULL;
    const struct model_artifact *best = NULL;
    uint32_t best_len = image->raw.len;
    if (c->device->gzip_window >= WINDOW_32K && image->gzip.len > 0 && image->gzip.len < best_len &&
        (!staged || decide_esp8266_can_stage(c, image, image->gzip.len))) {
        best = &image->gzip;
        best_len = best->len;
    }
    if (c->device->gzip_window >= WINDOW_4K && image->gzip_4k.len > 0 && image->gzip_4k.len < best_len &&
        (!staged || decide_esp8266_can_stage(c, image, image->gzip_4k.len)))
        best = &image->gzip_4k;
    return best;
}

/* The refusal's numbers: what is needed, what there is, and what a smaller release on the way may have. */
static int too_large(const struct decide_case *c, int reason, uint32_t below, uint32_t len, uint32_t step,
                     struct decision *out)
{
    return decide_say(out, reason, "needs %llu + %llu of %u bytes; a stepping stone may have %u bytes",
                      (unsigned long long)whole_sectors(len), (unsigned long long)whole_sectors(below),
                      (unsigned)(is_libmolt(c) ? c->stage_end : c->fs_start), (unsigned)step);
}

/* libmolt on an ESP8266: compressed saves air time, raw is the fallback; it refuses what it could not install. */
static int esp8266_molt_app(const struct decide_case *c, const struct model_image *image,
                            struct decision *out)
{
    const struct model_artifact *gzip = c->ask->molt ? molt_gzip(c, image) : NULL;
    if (gzip) return choose(out, gzip, MOLT_GZIP);
    bool known = c->fs_start != 0 && c->sketch_size != 0;
    if (!known || decide_esp8266_can_stage(c, image, image->raw.len))
        return choose(out, &image->raw, MOLT_RAW);
    uint32_t below = image->raw.len > c->sketch_size ? image->raw.len : c->sketch_size;
    if (exchanges(c)) below = c->sketch_size;
    uint32_t room = decide_esp8266_room(c->sketch_size, c->stage_end);
    uint32_t half = c->stage_end / 2 / SECTOR * SECTOR; /* a raw image lies there twice */
    if (room > half && !exchanges(c)) room = half;
    if (room > MAPPED_MAX) room = MAPPED_MAX;
    int reason = decide_in_place(c, image, out);
    if (reason != MOLT_TOO_LARGE) return reason;
    return too_large(c, c->device->gz_refused ? MOLT_GZ_REFUSED : MOLT_TOO_LARGE, below, image->raw.len, room,
                     out);
}

/* The file fits, or its .gz does, but the copy would write over its own source: no stepping stone helps. */
static int overlaps(const struct decide_case *c, const struct model_image *image, uint32_t file_len,
                    struct decision *out)
{
    return decide_say(
        out, MOLT_TOO_LARGE,
        "the copy would write over its source: needs %llu + %llu of %u bytes; make it smaller or use "
        "molt-boot",
        (unsigned long long)whole_sectors(image->raw.len), (unsigned long long)whole_sectors(file_len),
        (unsigned)c->fs_start);
}

/* What ESPhttpUpdate and its like get: raw, else gzip. */
static int esp8266_app(const struct decide_case *c, const struct model_image *image, struct decision *out)
{
    if (is_libmolt(c)) return esp8266_molt_app(c, image, out);
    if (c->fs_start == 0 || c->sketch_size == 0) return choose(out, &image->raw, MOLT_RAW);
    const bool raw_fits = fits_beside(image->raw.len, c->sketch_size, c->fs_start);
    if (raw_fits && starts_over(c, image, image->raw.len)) return choose(out, &image->raw, MOLT_RAW);
    const struct model_artifact *gzip = &image->gzip;
    const bool gzip_fits = gzip->len > 0 && fits_beside(gzip->len, c->sketch_size, c->fs_start);
    const bool inflates = gzip_fits && starts_over(c, image, gzip->len);
    bool unknown = c->ask->bare && c->device->can == 0; /* the .bin request says it */
    if (inflates && !c->device->gz_refused && (c->ask->stock_gzip || unknown))
        return choose(out, gzip, MOLT_GZIP);
    if (!inflates && (raw_fits || gzip_fits))
        return overlaps(c, image, gzip_fits ? gzip->len : image->raw.len, out);
    int reason = !inflates ? MOLT_TOO_LARGE : c->device->gz_refused ? MOLT_GZ_REFUSED : MOLT_OLD_CORE;
    uint32_t room = decide_esp8266_room(c->sketch_size, c->fs_start);
    uint32_t half = c->fs_start / 2 / SECTOR * SECTOR;
    return too_large(c, reason, c->sketch_size, image->raw.len, room < half ? room : half, out);
}

static int esp32_app(const struct decide_case *c, const struct model_image *image, struct decision *out)
{
    if (c->slot_size != 0 && image->raw.len > c->slot_size) {
        return decide_say(out, MOLT_TOO_LARGE, "needs %u of %u bytes in the slot", (unsigned)image->raw.len,
                          (unsigned)c->slot_size);
    }
    const struct model_artifact *gzip = c->ask->molt ? molt_gzip(c, image) : NULL;
    return gzip ? choose(out, gzip, MOLT_GZIP) : choose(out, &image->raw, MOLT_RAW);
}

static int esp8266_fs(const struct decide_case *c, const struct model_image *image, struct decision *out)
{
    if (c->fs_start != 0 && c->flash_size != 0 &&
        (uint64_t)c->fs_start + image->raw.len + ESP8266_TOP_LEN > c->flash_size) {
        return decide_say(out, MOLT_TOO_LARGE, "needs %u bytes from 0x%X on, of %u bytes of flash",
                          (unsigned)image->raw.len, (unsigned)c->fs_start, (unsigned)c->flash_size);
    }
    return choose(out, &image->raw, MOLT_RAW);
}

/* libmolt unpacks it on the way, wherever it goes; most of a file system is blank. */
static bool fs_gzip(const struct decide_case *c, const struct model_image *image)
{
    return (c->device->can & MOLT_CAN_GZIP) != 0 && c->device->gzip_window >= WINDOW_4K &&
           image->gzip_4k.len > 0 && image->gzip_4k.len < image->raw.len;
}

int decide_artifact(const struct decide_case *c, const struct model_image *image, struct decision *out)
{
    /* raw or compressed: the chip would run with a flash size that it does not have */
    if (c->flash_size != 0 && image->header_flash_size > c->flash_size) {
        return decide_say(out, MOLT_FLASH_TOO_SMALL, "built for %u bytes of flash, the device has %u",
                          (unsigned)image->header_flash_size, (unsigned)c->flash_size);
    }
    if (c->chip == MOLT_CHIP_UNKNOWN) return choose(out, &image->raw, MOLT_RAW); /* a bare first poll */
    if (image->component == MODEL_FS && c->ask->fs_size != 0 && image->raw.len > c->ask->fs_size)
        return decide_say(out, MOLT_TOO_LARGE, "needs %u of %u bytes of the file system",
                          (unsigned)image->raw.len, (unsigned)c->ask->fs_size);
    if (image->component == MODEL_FS && c->ask->molt && fs_gzip(c, image))
        return choose(out, &image->gzip_4k, MOLT_GZIP);
    if (image->component == MODEL_FS)
        return c->chip == MOLT_CHIP_ESP8266 ? esp8266_fs(c, image, out) : choose(out, &image->raw, MOLT_RAW);
    return c->chip == MOLT_CHIP_ESP8266 ? esp8266_app(c, image, out) : esp32_app(c, image, out);
}
