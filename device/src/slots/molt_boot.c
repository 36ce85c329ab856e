/* molt_boot.c - asks molt-boot for an install, and tells it what became of the trial.
 * Must never stage over the running sketch, nor over an image that the boot stage may still go back to.
 * Tests: test/unit/molt_boot_test.c, test/e2e/molt_boot_sim_test.sh. */
#include "molt_boot.h"

#include <string.h>

#include "../log/log.h"
#include "../util/bytes.h"
#include "../util/crc.h"
#include "esp8266_eboot.h"
#include "walk.h"

#define MAPPED_MAX 0x100000u /* bytes of flash that the chip maps, so that a sketch can run */
#define BUF_LEN    128u
#define FAILURES   3u /* times that a sector of the second stage may read back wrong */

enum { COMMIT_BEGIN, COMMIT_NEW, COMMIT_OLD, COMMIT_ERASE, COMMIT_SECOND, COMMIT_RECORD, COMMIT_SEAL };

static struct molt_boot_slots *self(struct molt_slots *slots)
{
    return (struct molt_boot_slots *)slots; /* slots is its first member */
}

static uint32_t phase_of(const struct molt_boot_slots *b)
{
    return b->keep.found ? molt_boot_phase(b->keep.state) : 0;
}

static uint32_t in_phase(uint32_t state, enum molt_boot_phase phase)
{
    return (state & 0xFFF0FFFFu) | (uint32_t)phase << 16;
}

/* ---- where a file may go ---- */

int molt_boot_slots_bounds(struct molt_boot_slots *b, uint32_t *current, uint32_t *top)
{
    if (phase_of(b) == MOLT_PHASE_TRIAL) return -MOLT_TRIAL_PENDING;
    if (b->sketch_len == 0) {
        int rc = molt_esp8266_sketch_len(b->slots.flash, &b->sketch_len);
        if (rc == -MOLT_FLASH_READ) return rc;
        if (rc < 0) return -MOLT_NO_SPACE; /* what runs cannot be measured, so nothing beside it is free */
    }
    *current = molt_round_up(b->sketch_len, MOLT_SECTOR);
    if (b->second_len > MOLT_BOOT_SECOND_MAX || b->second_len % 4 != 0) return -MOLT_ARG;
    *top = b->keep_off - molt_min32(b->keep_off, b->reserved + molt_round_up(b->second_len, MOLT_SECTOR));
    return *top % MOLT_SECTOR == 0 && *current <= *top ? 0 : -MOLT_NO_SPACE;
}

/* The image ends at the keep sectors; its own first sector is the free place that the exchange begins with. It may be
 * larger than half of what there is: molt-boot moves what is in the way. */
static int boot_target(struct molt_slots *slots, uint32_t file_len, uint32_t image_len,
                       enum molt_encoding encoding, struct molt_target *target)
{
    uint32_t current, top;
    int rc = molt_boot_slots_bounds(self(slots), &current, &top);
    if (rc < 0) return rc;
    const uint32_t len = encoding == MOLT_RAW ? file_len : image_len;
    if (file_len == 0 || len > MAPPED_MAX) return -MOLT_NO_SPACE;
    const uint32_t staged = molt_round_up(len, MOLT_SECTOR);
    if (staged > top - current || current == top) return -MOLT_NO_SPACE;
    memset(target, 0, sizeof *target);
    target->off = len == 0 ? current : top - staged; /* 0: the engine finds out while it decodes */
    target->cap = top - target->off;
    target->base_cap = current;
    if (target->off - current >= MOLT_LOG_LEN) target->scratch_off = current;
    return 0;
}

static uint32_t boot_room(struct molt_slots *slots)
{
    uint32_t current, top;
    if (molt_boot_slots_bounds(self(slots), &current, &top) < 0) return 0;
    return molt_min32(top - current, MAPPED_MAX);
}

/* ---- commit ---- */

/* One sector of a body through the CRC, and through the hash when it is the new one. */
static int sum_sector(struct molt_boot_slots *b, uint32_t base, uint32_t end, uint32_t *crc, bool hashes)
{
    uint8_t buf[BUF_LEN];
    const uint32_t stop = molt_min32(end, b->pos + MOLT_SECTOR);
    while (b->pos < stop) {
        uint32_t n = molt_min32(stop - b->pos, sizeof buf);
        int rc = molt_slots_read(&b->slots, base + b->pos, buf, n);
        if (rc < 0) return rc;
        *crc = molt_crc32_msb(*crc, buf, n);
        if (hashes) b->hash.ops->update(&b->hash.state, buf, n);
        b->pos += n;
    }
    return MOLT_MORE;
}

static int commit_begin(struct molt_boot_slots *b, const struct molt_target *target, uint32_t stored_len)
{
    uint32_t current, top;
    int rc = molt_boot_slots_bounds(b, &current, &top);
    if (rc < 0) return rc;
    if (stored_len <= MOLT_SECTOR || target->off % MOLT_SECTOR != 0 || target->off < current ||
        target->off > top || stored_len > top - target->off)
        return -MOLT_ARG;
    b->record = (struct molt_boot_record){.stage = target->off,
                                          .new_len = stored_len,
                                          .new_crc = MOLT_CRC_MSB_INIT,
                                          .old_len = b->sketch_len,
                                          .old_crc = MOLT_CRC_MSB_INIT,
                                          .tries = b->tries,
                                          .second_off = b->second_len > 0 ? top : 0,
                                          .second_len = b->second_len,
                                          .second_crc = MOLT_CRC_MSB_INIT,
                                          .is_signed = target->signed_digest != NULL};
    if (target->signed_digest != NULL)
        memcpy(b->record.file_digest, target->signed_digest, sizeof b->record.file_digest);
    b->hash.ops = b->slots.hash;
    b->hash.ops->init(&b->hash.state);
    b->hashed = 0; /* an identity under way begins again */
    b->pos = MOLT_SECTOR;
    return MOLT_MORE;
}

/* A piece of the second stage, read in whole words: it may lie in memory that is read in no other way. */
static uint32_t second_words(const struct molt_boot_slots *b, uint32_t end, uint32_t words[BUF_LEN / 4])
{
    const uint32_t n = molt_min32(end - b->pos, BUF_LEN);
    for (uint32_t i = 0; i < n / 4; i++)
        words[i] = b->second[b->pos / 4 + i];
    return n;
}

/* Erases a sector, writes a piece of it, or reads it back, until all of the second stage is there. Also when it seems to
 * be there: what a cut left can read well once and never again. */
static int put_second(struct molt_boot_slots *b)
{
    const struct molt_flash *flash = b->slots.flash;
    const uint32_t off = b->record.second_off, begin = b->pos & ~(MOLT_SECTOR - 1);
    uint32_t words[BUF_LEN / 4], there[BUF_LEN / 4];
    if (!b->is_erased) {
        if (flash->erase(flash->ctx, off + b->pos, MOLT_SECTOR) != 0) return -MOLT_FLASH_ERASE;
        b->is_erased = true;
        return MOLT_MORE;
    }
    const uint32_t n = second_words(b, b->second_len, words);
    if (flash->write(flash->ctx, off + b->pos, words, n) != 0) return -MOLT_FLASH_WRITE;
    int rc = molt_slots_read(&b->slots, off + b->pos, there, n);
    if (rc < 0) return rc;
    if (memcmp(words, there, n) != 0) {
        if (b->failures++ == FAILURES) return -MOLT_FLASH_VERIFY;
        b->pos = begin;
        b->record.second_crc = b->sector_crc;
        b->is_erased = false;
        return MOLT_MORE;
    }
    b->record.second_crc = molt_crc32_msb(b->record.second_crc, words, n);
    b->pos += n;
    b->is_erased = b->pos % MOLT_SECTOR != 0;
    if (!b->is_erased) b->sector_crc = b->record.second_crc;
    return MOLT_MORE;
}

void molt_boot_slots_prepared(struct molt_boot_slots *b)
{
    b->phase = COMMIT_OLD;
    b->pos = MOLT_SECTOR;
}

static int commit_some(struct molt_boot_slots *b, const struct molt_target *target, uint32_t stored_len)
{
    struct molt_boot_record *r = &b->record;
    int rc = MOLT_MORE;
    switch (b->phase) {
    case COMMIT_BEGIN:
        rc = commit_begin(b, target, stored_len);
        break;
    case COMMIT_NEW:
        rc = sum_sector(b, r->stage, r->new_len, &r->new_crc, true);
        if (rc < 0 || b->pos < r->new_len) return rc;
        b->hash.ops->finish(&b->hash.state, r->digest);
        molt_boot_slots_prepared(b);
        return MOLT_MORE;
    case COMMIT_OLD:
        rc = sum_sector(b, 0, r->old_len, &r->old_crc, false);
        if (rc < 0 || b->pos < r->old_len) return rc;
        b->pos = 0;
        b->failures = 0;
        b->is_erased = false;
        b->sector_crc = r->second_crc;
        break;
    case COMMIT_ERASE: /* first, so that a record whose commit was cut cannot come to life without its second stage */
        rc = molt_boot_keep_erase_other(&b->keep);
        break;
    case COMMIT_SECOND:
        rc = b->second_len > 0 ? put_second(b) : MOLT_MORE;
        if (rc < 0 || b->pos < b->second_len) return rc;
        break;
    case COMMIT_RECORD:
        rc = molt_boot_keep_write_record(&b->keep, r);
        break;
    case COMMIT_SEAL:
        rc = molt_boot_keep_seal(
            &b->keep, (uint32_t)(r->pack_len != 0 ? MOLT_PHASE_IN_PLACE : MOLT_PHASE_INSTALL) << 16);
        if (rc == 0) b->phase = COMMIT_BEGIN;
        return rc;
    default:
        return -MOLT_STATE;
    }
    b->phase++;
    return rc < 0 ? rc : MOLT_MORE;
}

/* After a failure what was read of the keep sectors is no longer what is there. */
static int after(struct molt_boot_slots *b, int rc)
{
    if (rc >= 0) return rc;
    b->phase = COMMIT_BEGIN;
    (void)molt_boot_keep_open(&b->keep, b->slots.flash, b->keep_off);
    return rc;
}

static int boot_commit_step(struct molt_slots *slots, const struct molt_target *target, uint32_t stored_len)
{
    struct molt_boot_slots *b = self(slots);
    return after(b, commit_some(b, target, stored_len));
}

/* ---- trial ---- */

static int boot_confirm_step(struct molt_slots *slots)
{
    struct molt_boot_slots *b = self(slots);
    const uint32_t phase = phase_of(b);
    if (phase != MOLT_PHASE_TRIAL && phase != MOLT_PHASE_STUCK && phase != MOLT_PHASE_WRITTEN)
        return MOLT_DONE;
    return after(b, molt_boot_keep_finish(&b->keep, in_phase(b->keep.state, MOLT_PHASE_CONFIRMED)));
}

static int boot_reject_step(struct molt_slots *slots)
{
    struct molt_boot_slots *b = self(slots);
    if (phase_of(b) != MOLT_PHASE_TRIAL) return -MOLT_NO_ROLLBACK;
    const uint32_t state = in_phase(b->keep.state, MOLT_PHASE_REVERT) & 0xFF0FFFFFu;
    return after(b, molt_boot_keep_append(&b->keep, state | (uint32_t)MOLT_BOOT_BY_FAILURE << 20));
}

static int boot_state(struct molt_slots *slots, struct molt_boot_state *state)
{
    const struct molt_boot_slots *b = self(slots);
    memset(state, 0, sizeof *state);
    state->on_trial = phase_of(b) == MOLT_PHASE_TRIAL;
    state->can_roll_back = state->on_trial;
    state->trial_unprotected = phase_of(b) == MOLT_PHASE_STUCK || phase_of(b) == MOLT_PHASE_WRITTEN;
    if (phase_of(b) == MOLT_PHASE_REFUSED)
        state->refused = b->keep.record.pack_len != 0 ? MOLT_BAD_PACK : MOLT_DIGEST_MISMATCH;
    state->has_failed =
        phase_of(b) == MOLT_PHASE_ROLLED_BACK && molt_boot_verdict(b->keep.state) == MOLT_BOOT_BY_FAILURE;
    if (state->has_failed) memcpy(state->failed_digest, b->keep.record.digest, MOLT_SHA256_LEN);
    return 0;
}

static int boot_identity_step(struct molt_slots *slots, struct molt_hash *hash,
                              uint8_t digest[MOLT_SHA256_LEN])
{
    struct molt_boot_slots *b = self(slots);
    return molt_esp8266_identity_step(slots, hash, &b->hashed, &b->sketch_len, digest);
}

static const struct molt_slots_ops boot_ops = {
    .format = &molt_image_esp8266,
    .target = boot_target,
    .commit_step = boot_commit_step,
    .confirm_step = boot_confirm_step,
    .reject_step = boot_reject_step,
    .state = boot_state,
    .identity_step = boot_identity_step,
    .room = boot_room,
};

int molt_boot_slots_begin(struct molt_boot_slots *backend, const struct molt_flash *flash,
                          const struct molt_hash_ops *hash)
{
    memset(backend, 0, sizeof *backend);
    backend->slots = (struct molt_slots){.ops = &boot_ops, .exchanges = true, .flash = flash, .hash = hash};
    backend->tries = MOLT_BOOT_TRIES;
    int rc = molt_boot_keep_off(flash, &backend->keep_off);
    if (rc == 0 && backend->keep_off == 0) rc = -MOLT_NO_SLOT;
    return rc < 0 ? rc : molt_boot_keep_open(&backend->keep, flash, backend->keep_off);
}
