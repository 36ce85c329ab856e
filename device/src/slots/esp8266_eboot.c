/* esp8266_eboot.c - Arduino's ESP8266 scheme: where a file may be staged, and the RTC command that makes
 * eboot copy it over the sketch at the next restart.
 * Must never stage where the running sketch lies, nor where the copy would overwrite its own source.
 * Tests: test/unit/eboot_slots_test.c, test/unit/update_test.c. */
#include "esp8266_eboot.h"

#include <string.h>

#include "../log/log.h"
#include "../util/bytes.h"
#include "../util/crc.h"
#include "walk.h"

#define HEADER_LEN  8u
#define MAGIC_MASK  0xFFFFF000u
#define MAPPED_MAX  0x100000u /* bytes of flash that the chip maps, so that a sketch can run */
#define CRC_OFFSET  (MOLT_EBOOT_COMMAND_LEN - 4u)
#define NOT_STARTED 0u

static struct molt_esp8266_eboot *self(struct molt_slots *slots)
{
    return (struct molt_esp8266_eboot *)slots; /* slots is its first member */
}

/* ---- the RTC command: magic, action, args[29], CRC ---- */

void molt_eboot_command_encode(uint8_t raw[MOLT_EBOOT_COMMAND_LEN], const struct molt_eboot_command *command)
{
    const uint32_t words[] = {MOLT_EBOOT_MAGIC, command->action, command->source, command->dest,
                              command->len};
    memset(raw, 0, MOLT_EBOOT_COMMAND_LEN);
    molt_store_words(raw, words, sizeof words / sizeof words[0]);
    molt_store32le(raw + CRC_OFFSET, molt_crc32_msb(MOLT_CRC_MSB_INIT, raw, CRC_OFFSET));
}

bool molt_eboot_command_decode(const uint8_t raw[MOLT_EBOOT_COMMAND_LEN], struct molt_eboot_command *command)
{
    uint32_t words[5];
    if (molt_load32le(raw + CRC_OFFSET) != molt_crc32_msb(MOLT_CRC_MSB_INIT, raw, CRC_OFFSET)) return false;
    molt_load_words(words, raw, sizeof words / sizeof words[0]);
    *command = (struct molt_eboot_command){words[1], words[2], words[3], words[4]};
    return (words[0] & MAGIC_MASK) == MOLT_EBOOT_MAGIC;
}

/* ---- the running sketch ---- */

static int sketch_len(struct molt_slots *slots, uint32_t *len)
{
    uint8_t header[MOLT_WALK_HEADER_MAX];
    uint32_t size = slots->flash->size;
    if (size <= MOLT_ESP8266_APP_OFFSET) return -MOLT_BAD_SEGMENT;
    uint32_t end, cap = size - MOLT_ESP8266_APP_OFFSET;
    int rc = molt_walk_segments(slots, MOLT_ESP8266_APP_OFFSET, cap, HEADER_LEN, header, &end);
    if (rc < 0) return rc;
    *len = (MOLT_ESP8266_APP_OFFSET + end + 16) & ~15u; /* padding and checksum byte */
    return *len <= size ? 0 : -MOLT_BAD_SEGMENT;
}

int molt_esp8266_sketch_len(const struct molt_flash *flash, uint32_t *len)
{
    struct molt_slots slots = {.flash = flash};
    return sketch_len(&slots, len);
}

/* ---- molt_slots_ops ---- */

/* Where staging must end, and what must stay below it: the running sketch, by whole sectors. */
static int staging_bounds(struct molt_esp8266_eboot *b, uint32_t *current, uint32_t *top)
{
    if (b->boot_strap_uart) return -MOLT_BOOT_STRAP;
    if (b->sketch_len == 0) {
        int rc = sketch_len(&b->slots, &b->sketch_len);
        if (rc == -MOLT_FLASH_READ) return rc;
        if (rc < 0) return -MOLT_NO_SPACE; /* what runs cannot be measured, so nothing beside it is free */
    }
    *current = molt_round_up(b->sketch_len, MOLT_SECTOR);
    *top = b->fs_start - molt_min32(b->fs_start, b->reserved);
    bool sound = *top % MOLT_SECTOR == 0 && *top <= b->slots.flash->size && *current <= *top;
    return sound ? 0 : -MOLT_NO_SPACE;
}

/* The staged file ends at the file system. Neither the running sketch nor the new one, as eboot will unpack
 * it, may reach into it: eboot starts over after a reset, and must then find its source whole. */
static int eboot_target(struct molt_slots *slots, uint32_t file_len, uint32_t image_len,
                        enum molt_encoding encoding, struct molt_target *target)
{
    struct molt_esp8266_eboot *b = self(slots);
    uint32_t current, top;
    uint8_t header[4];
    int rc = staging_bounds(b, &current, &top);
    if (rc < 0) return rc;
    uint32_t decoded =
        encoding == MOLT_RAW ? file_len : image_len; /* 0: the engine finds out while it decodes */
    if (file_len == 0 || file_len > top || decoded > MAPPED_MAX) return -MOLT_NO_SPACE;
    uint32_t staged = molt_round_up(encoding == MOLT_PACK ? image_len : file_len, MOLT_SECTOR);
    if (staged > top - current || decoded > top - staged) return -MOLT_NO_SPACE;
    rc = molt_slots_read(slots, 0, header, sizeof header);
    if (rc < 0) return rc;

    memset(target, 0, sizeof *target);
    target->off = top - staged;
    target->cap = staged;
    target->keep_encoded = encoding == MOLT_GZIP;
    target->patch_header = encoding != MOLT_GZIP;
    target->base_cap = current;
    target->header_byte2 = header[2];
    target->header_byte3 = header[3];
    if (target->off - current >= MOLT_LOG_LEN) target->scratch_off = current;
    return 0;
}

static int eboot_commit_step(struct molt_slots *slots, const struct molt_target *target, uint32_t stored_len)
{
    struct molt_esp8266_eboot *b = self(slots);
    uint8_t raw[MOLT_EBOOT_COMMAND_LEN];
    if (stored_len == 0 || stored_len > target->cap || target->off % MOLT_SECTOR != 0) return -MOLT_ARG;
    const struct molt_eboot_command command = {
        .action = MOLT_EBOOT_COPY_RAW, .source = target->off, .dest = 0, .len = stored_len};
    molt_eboot_command_encode(raw, &command);
    int rc = b->rtc.write(b->rtc.ctx, raw, sizeof raw);
    if (rc == 0) return MOLT_DONE;
    slots->port_err = rc;
    return -MOLT_FLASH_WRITE;
}

static int eboot_confirm_step(struct molt_slots *slots)
{
    (void)slots; /* eboot has overwritten the old sketch: there is no trial */
    return MOLT_DONE;
}

static int eboot_reject_step(struct molt_slots *slots)
{
    (void)slots;
    return -MOLT_NO_ROLLBACK;
}

static int eboot_state(struct molt_slots *slots, struct molt_boot_state *state)
{
    (void)slots;
    memset(state, 0, sizeof *state);
    return 0;
}

int molt_esp8266_identity_step(struct molt_slots *slots, struct molt_hash *hash, uint32_t *hashed,
                               uint32_t *len, uint8_t digest[MOLT_SHA256_LEN])
{
    if (*hashed == NOT_STARTED) {
        int rc = sketch_len(slots, len);
        if (rc < 0) return rc;
        hash->ops = slots->hash;
        hash->ops->init(&hash->state);
        *hashed = MOLT_ESP8266_APP_OFFSET;
        return MOLT_MORE;
    }
    int rc = molt_slots_hash_some(slots, hash, hashed, *len);
    if (rc == 0 && *hashed < *len) return MOLT_MORE;
    *hashed = NOT_STARTED;
    if (rc < 0) return rc;
    hash->ops->finish(&hash->state, digest);
    return MOLT_DONE;
}

static int eboot_identity_step(struct molt_slots *slots, struct molt_hash *hash,
                               uint8_t digest[MOLT_SHA256_LEN])
{
    struct molt_esp8266_eboot *b = self(slots);
    return molt_esp8266_identity_step(slots, hash, &b->hashed, &b->sketch_len, digest);
}

static uint32_t eboot_room(struct molt_slots *slots)
{
    uint32_t current, top;
    if (staging_bounds(self(slots), &current, &top) < 0) return 0;
    uint32_t half = top / 2 & ~(MOLT_SECTOR - 1); /* a raw file lies there twice while it is copied */
    return molt_min32(molt_min32(top - current, half), MAPPED_MAX);
}

static const struct molt_slots_ops eboot_ops = {
    .format = &molt_image_esp8266,
    .target = eboot_target,
    .commit_step = eboot_commit_step,
    .confirm_step = eboot_confirm_step,
    .reject_step = eboot_reject_step,
    .state = eboot_state,
    .identity_step = eboot_identity_step,
    .room = eboot_room,
};

/* All that the engine asks for. */
static const struct molt_slots_ops engine_ops = {
    .format = &molt_image_esp8266, .target = eboot_target, .commit_step = eboot_commit_step};

void molt_esp8266_eboot_begin_engine(struct molt_esp8266_eboot *backend, const struct molt_flash *flash,
                                     const struct molt_rtc *rtc, uint32_t fs_start, bool boot_strap_uart)
{
    memset(backend, 0, sizeof *backend);
    backend->slots.ops = &engine_ops;
    backend->slots.flash = flash;
    backend->rtc = *rtc;
    backend->fs_start = fs_start;
    backend->boot_strap_uart = boot_strap_uart;
}

void molt_esp8266_eboot_begin(struct molt_esp8266_eboot *backend, const struct molt_flash *flash,
                              const struct molt_hash_ops *hash, const struct molt_rtc *rtc, uint32_t fs_start,
                              bool boot_strap_uart)
{
    molt_esp8266_eboot_begin_engine(backend, flash, rtc, fs_start, boot_strap_uart);
    backend->slots.ops = &eboot_ops;
    backend->slots.hash = hash;
}
