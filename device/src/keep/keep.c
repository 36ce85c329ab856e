/* keep.c - the keep store: whole records, newest counts, the one before is never erased for it.
 * Must never erase the sector that holds the newest record. Tests: test/unit/keep_test.c, test/powercut. */
#include "keep.h"

#include <string.h>

#include "../util/bytes.h"
#include "../util/crc.h"

#define MAGIC     0x324B4D4Du /* "MMK2" */
#define BODY_LEN  (MOLT_KEEP_RECORD_LEN - 4u)
#define IMAGE_LEN (4u + MOLT_SHA256_LEN)
#define CRC_INIT  0xFFFFFFFFu
#define TRIES     3u /* places that may turn out bad in one save */

enum phase { IDLE = 0, WRITE, CHECK };

/* Bytes of a record; all numbers little-endian. */
enum {
    AT_MAGIC = 0,
    AT_SERIAL = 4,
    AT_SEQUENCE = 8,
    AT_BOOTS = 16,
    AT_TRYING = 20,
    AT_INTERRUPTED = 21,
    AT_RESULT = 22,
    AT_TRIED = 24,
    AT_REPORTED = 60,
    AT_FAILED_COUNT = 96,
    AT_STALE_HOURS = 98,
    AT_FAILED = 100,
    AT_FS = 208,
    AT_FS_STATE = 244,
    AT_FS_ROUND = 245,
    AT_KEY_EPOCH = 246,
    AT_FS_LEN = 248
};

void molt_keep_begin(struct molt_keep *keep, const struct molt_flash *flash, uint32_t off)
{
    memset(keep, 0, sizeof *keep);
    keep->flash = flash;
    keep->off = off;
}

void molt_keep_begin_blob(struct molt_keep *keep, const struct molt_keep_blob *blob)
{
    memset(keep, 0, sizeof *keep);
    keep->blob = blob;
}

/* ---- one record ---- */

static void put_image(uint8_t *raw, const struct molt_keep_image *image)
{
    molt_store32le(raw, image->code);
    memcpy(raw + 4, image->digest, MOLT_SHA256_LEN);
}

static void get_image(const uint8_t *raw, struct molt_keep_image *image)
{
    image->code = molt_load32le(raw);
    memcpy(image->digest, raw + 4, MOLT_SHA256_LEN);
}

static void encode(const struct molt_keep *keep, uint8_t raw[MOLT_KEEP_RECORD_LEN])
{
    const struct molt_keep_data *d = &keep->data;
    memset(raw, 0, MOLT_KEEP_RECORD_LEN);
    molt_store32le(raw + AT_MAGIC, MAGIC);
    molt_store32le(raw + AT_SERIAL, keep->serial);
    molt_store32le(raw + AT_SEQUENCE, (uint32_t)d->sequence);
    molt_store32le(raw + AT_SEQUENCE + 4, (uint32_t)(d->sequence >> 32));
    molt_store32le(raw + AT_BOOTS, d->boots);
    raw[AT_TRYING] = d->trying;
    raw[AT_INTERRUPTED] = d->interrupted;
    raw[AT_RESULT] = (uint8_t)d->result;
    raw[AT_RESULT + 1] = (uint8_t)(d->result >> 8);
    put_image(raw + AT_TRIED, &d->tried);
    put_image(raw + AT_REPORTED, &d->reported);
    raw[AT_FAILED_COUNT] = d->failed_count;
    for (uint32_t i = 0; i < MOLT_KEEP_FAILED; i++)
        put_image(raw + AT_FAILED + i * IMAGE_LEN, &d->failed[i]);
    raw[AT_STALE_HOURS] = (uint8_t)d->stale_hours;
    raw[AT_STALE_HOURS + 1] = (uint8_t)(d->stale_hours >> 8);
    raw[AT_KEY_EPOCH] = (uint8_t)d->key_epoch;
    raw[AT_KEY_EPOCH + 1] = (uint8_t)(d->key_epoch >> 8);
    put_image(raw + AT_FS, &d->fs);
    raw[AT_FS_STATE] = d->fs_state;
    raw[AT_FS_ROUND] = d->fs_round;
    molt_store32le(raw + AT_FS_LEN, d->fs_len);
    molt_store32le(raw + BODY_LEN, molt_crc32_lsb(CRC_INIT, raw, BODY_LEN));
}

static bool is_whole(const uint8_t raw[MOLT_KEEP_RECORD_LEN])
{
    return molt_load32le(raw + AT_MAGIC) == MAGIC && raw[AT_FAILED_COUNT] <= MOLT_KEEP_FAILED &&
           molt_load32le(raw + BODY_LEN) == molt_crc32_lsb(CRC_INIT, raw, BODY_LEN);
}

static void decode(struct molt_keep *keep, const uint8_t raw[MOLT_KEEP_RECORD_LEN])
{
    struct molt_keep_data *d = &keep->data;
    keep->serial = molt_load32le(raw + AT_SERIAL);
    d->sequence = molt_load32le(raw + AT_SEQUENCE) | (uint64_t)molt_load32le(raw + AT_SEQUENCE + 4) << 32;
    d->boots = molt_load32le(raw + AT_BOOTS);
    d->trying = raw[AT_TRYING] != 0;
    d->interrupted = raw[AT_INTERRUPTED];
    d->result = molt_load16le(raw + AT_RESULT);
    get_image(raw + AT_TRIED, &d->tried);
    get_image(raw + AT_REPORTED, &d->reported);
    d->failed_count = raw[AT_FAILED_COUNT];
    for (uint32_t i = 0; i < MOLT_KEEP_FAILED; i++)
        get_image(raw + AT_FAILED + i * IMAGE_LEN, &d->failed[i]);
    d->stale_hours = molt_load16le(raw + AT_STALE_HOURS);
    d->key_epoch = molt_load16le(raw + AT_KEY_EPOCH);
    get_image(raw + AT_FS, &d->fs);
    d->fs_state = raw[AT_FS_STATE];
    d->fs_round = raw[AT_FS_ROUND];
    d->fs_len = molt_load32le(raw + AT_FS_LEN);
}

/* ---- loading ---- */

static int load_blob(struct molt_keep *keep)
{
    uint8_t raw[MOLT_KEEP_RECORD_LEN];
    keep->is_loaded = true;
    if (keep->blob->load(keep->blob->ctx, raw) == 0 && is_whole(raw)) decode(keep, raw);
    return 0;
}

int molt_keep_load_step(struct molt_keep *keep)
{
    uint8_t raw[MOLT_KEEP_RECORD_LEN];
    const struct molt_flash *flash = keep->flash;
    if (keep->is_loaded) return 0;
    if (keep->blob != NULL) return load_blob(keep);
    if (keep->at == MOLT_KEEP_LEN) {
        keep->is_loaded = true;
        return 0;
    }
    uint32_t at = keep->at, sector = at / MOLT_SECTOR;
    keep->at += MOLT_KEEP_RECORD_LEN;
    if (flash->is_blank(flash->ctx, keep->off + at, sizeof raw)) return 1;
    keep->port_err = flash->read(flash->ctx, keep->off + at, raw, sizeof raw);
    if (keep->port_err < 0) {
        keep->is_loaded = true;
        return -MOLT_FLASH_READ;
    }
    keep->used[sector] = at % MOLT_SECTOR + MOLT_KEEP_RECORD_LEN;
    if (!is_whole(raw) || molt_load32le(raw + AT_SERIAL) < keep->serial) return 1;
    decode(keep, raw);
    keep->current = (uint8_t)sector;
    return 1;
}

/* ---- saving ---- */

static int failed(struct molt_keep *keep, int port_err, int reason)
{
    keep->port_err = port_err;
    keep->phase = IDLE;
    return -reason;
}

static int write_record(struct molt_keep *keep)
{
    uint8_t raw[MOLT_KEEP_RECORD_LEN];
    const struct molt_flash *flash = keep->flash;
    if (keep->used[keep->current] == MOLT_SECTOR) {
        uint8_t other = keep->current ^ 1u;
        if (keep->used[other] != 0) {
            int rc = flash->erase(flash->ctx, keep->off + other * MOLT_SECTOR, MOLT_SECTOR);
            if (rc < 0) return failed(keep, rc, MOLT_FLASH_ERASE);
        }
        keep->used[other] = 0;
        keep->current = other;
        return 1;
    }
    encode(keep, raw);
    keep->at = keep->current * MOLT_SECTOR + keep->used[keep->current];
    keep->used[keep->current] += MOLT_KEEP_RECORD_LEN;
    int rc = flash->write(flash->ctx, keep->off + keep->at, raw, sizeof raw);
    if (rc < 0) return failed(keep, rc, MOLT_FLASH_WRITE);
    keep->phase = CHECK;
    return 1;
}

static int check_record(struct molt_keep *keep)
{
    uint8_t raw[MOLT_KEEP_RECORD_LEN];
    const struct molt_flash *flash = keep->flash;
    int rc = flash->read(flash->ctx, keep->off + keep->at, raw, sizeof raw);
    if (rc < 0) return failed(keep, rc, MOLT_FLASH_READ);
    if (is_whole(raw) && molt_load32le(raw + AT_SERIAL) == keep->serial) {
        keep->phase = IDLE;
        return 0;
    }
    keep->phase = WRITE;
    return ++keep->tries < TRIES ? 1 : failed(keep, 0, MOLT_FLASH_VERIFY);
}

int molt_keep_save_step(struct molt_keep *keep)
{
    if (keep->blob != NULL) {
        uint8_t raw[MOLT_KEEP_RECORD_LEN];
        encode(keep, raw);
        int rc = keep->blob->save(keep->blob->ctx, raw);
        return rc < 0 ? failed(keep, rc, MOLT_FLASH_WRITE) : 0;
    }
    if (keep->phase == IDLE) {
        keep->serial++;
        keep->tries = 0;
        keep->phase = WRITE;
    }
    return keep->phase == WRITE ? write_record(keep) : check_record(keep);
}

/* ---- what failed ---- */

bool molt_keep_has_failed(const struct molt_keep *keep, uint32_t code, const uint8_t *digest)
{
    for (uint32_t i = 0; i < keep->data.failed_count; i++) {
        const struct molt_keep_image *image = &keep->data.failed[i];
        if (digest != NULL ? memcmp(image->digest, digest, MOLT_SHA256_LEN) == 0
                           : code != 0 && image->code == code)
            return true;
    }
    return false;
}

void molt_keep_add_failed(struct molt_keep *keep, const struct molt_keep_image *image)
{
    struct molt_keep_data *d = &keep->data;
    if (molt_keep_has_failed(keep, image->code, image->digest)) return;
    memmove(&d->failed[1], &d->failed[0], (MOLT_KEEP_FAILED - 1) * sizeof d->failed[0]);
    d->failed[0] = *image;
    if (d->failed_count < MOLT_KEEP_FAILED) d->failed_count++;
}
