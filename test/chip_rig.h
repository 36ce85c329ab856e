/* chip_rig.h - a virtual chip on the bench: flash, boot stage, slots and one update engine, for tests of
 * whole updates. */
#ifndef MOLT_TEST_CHIP_RIG_H
#define MOLT_TEST_CHIP_RIG_H

#include "sim/eboot.h"
#include "sim/molt_boot.h"
#include "slots/molt_boot.h"
#include "firmware/boot/esp32/esp32_boot.h"
#include "sim/flash.h"
#include "sim/layout.h"
#include "update/update.h"

struct rig {
    enum molt_chip chip;
    struct sim_layout layout;
    struct sim_flash flash;
    struct sim_rtc rtc;
    bool rollback; /* ESP32: how the bootloader was built */
    bool booted;   /* what the last reset did */
    bool powered;  /* the next reset is a power-up (told to molt-boot) */
    uint32_t off;  /* where the running image lies */
    struct sim_eboot_result eboot_result;
    struct esp32_boot_result esp32_result;
    struct molt_esp32_otadata ota;
    struct molt_esp8266_eboot eboot;
    struct molt_boot_slots molt_boot; /* used when sector 0 holds molt-boot */
    struct molt_slots *slots;
    struct molt_update update;
    struct molt_inflate inflate;
    uint8_t window[32768];
    uint64_t fetched;  /* bytes that updates were fed, since the rig was opened */
    uint32_t reserved; /* ESP8266: bytes of the keep store */
};

/* A file to update to. */
struct rig_file {
    const uint8_t *data;
    uint32_t len;
    uint32_t image_len; /* decoded, 0 when not said */
    enum molt_encoding encoding;
    const uint8_t *digest; /* NULL: not checked */
    const uint8_t *running_digest, *failed_digest;
    uint32_t window_len; /* 0: 32768 */
    const uint8_t *image_digest;
    const char *etag; /* NULL: none */
    bool fresh;
};

/* Bytes from the heap: an image or a compressed one. */
struct rig_blob {
    uint8_t *data;
    size_t len;
};

/* Aborts when it cannot. flash_size: what the image's header says. The caller frees data. */
struct rig_blob rig_image(enum molt_chip chip, uint32_t size, uint32_t seed, uint32_t flash_size);
struct rig_blob rig_gzip(const struct rig_blob *in, int window_bits);
/* The same with a new block after each `block` bytes. */
struct rig_blob rig_gzip_blocks(const struct rig_blob *in, int window_bits, uint32_t block);
/* A LittleFS image, as far as its first block's name goes. */
struct rig_blob rig_fs(uint32_t size, uint32_t seed);
void rig_sha256(const struct rig_blob *blob, uint8_t digest[MOLT_SHA256_LEN]);

/* The file to update to. image: NULL when its length is not said. */
struct rig_file rig_raw(const struct rig_blob *image);
struct rig_file rig_gz(const struct rig_blob *gz, const struct rig_blob *image);

/* A chip with an empty flash. esp32 layouts take chip, others are ESP8266s. */
void rig_open(struct rig *rig, const struct sim_layout *layout, enum molt_chip chip, uint32_t write_unit);
void rig_close(struct rig *rig);

/* What a serial upload does: partition table and otadata or nothing, and the image; then a reset. */
void rig_factory(struct rig *rig, const uint8_t *image, size_t len);

/* One reset: the boot stage runs, then the firmware's slots begin. Nothing is asserted: see rig->booted. */
void rig_reset(struct rig *rig);

/* The power goes and comes back. */
void rig_power_cycle(struct rig *rig);

/* True when the running image is exactly these bytes; on an ESP8266 bytes 2 and 3 may be the device's
 * own. */
bool rig_runs(const struct rig *rig, const uint8_t *image, size_t len);

/* The same job as engine sees it; file and rig must outlive it. */
struct molt_job rig_job(struct rig *rig, const struct rig_file *file);

/* Runs one update to its end, feeding pieces of `piece` bytes at most (0: as many as wanted). Asserts
 * that every step did at most one flash operation. Returns MOLT_READY or the reason. */
int rig_update(struct rig *rig, const struct rig_file *file, uint32_t piece);

/* Runs confirm_step or reject_step to its end. */
int rig_run(struct rig *rig, int (*step)(struct molt_slots *));

#endif
