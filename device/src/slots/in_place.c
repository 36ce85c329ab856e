/* in_place.c - stages a pack that molt-boot's second stage writes over the running image, and asks for that.
 * Must never commit a pack that is not for what runs, nor one that is not signed. Tests: test/unit/in_place_test.c,
 * test/powercut/in_place_test.c. */
#include "in_place.h"

#include <string.h>

#include "../inplace/inplace.h"
#include "../log/log.h"
#include "../util/bytes.h"
#include "../util/crc.h"

#define FLAGS    0x0Fu /* of a pack: a delta, made to be written over its base, of an ESP8266 */
#define HEAD_LEN MOLT_PACK_FIXED_LEN

static struct molt_in_place_slots *self(struct molt_slots *slots)
{
    return (struct molt_in_place_slots *)slots; /* slots is its first member */
}

/* The pack lies right below the ring; neither image may reach into it. */
static int place(struct molt_slots *slots, uint32_t file_len, uint32_t image_len, enum molt_encoding encoding,
                 struct molt_target *target)
{
    const struct molt_in_place_slots *in_place = self(slots);
    uint32_t current, top;
    int rc = molt_boot_slots_bounds(in_place->boot, &current, &top);
    (void)image_len;
    if (rc < 0) return rc;
    if (encoding != MOLT_RAW || in_place->boot->second_len == 0) return -MOLT_ARG;
    const uint32_t image = molt_round_up(in_place->image_len, MOLT_SECTOR);
    const uint32_t below = image > current ? image : current;
    if (top < MOLT_IN_PLACE_RING || below > top - MOLT_IN_PLACE_RING) return -MOLT_NO_SPACE;
    const uint32_t room = top - MOLT_IN_PLACE_RING - below;
    if (file_len > room) return -MOLT_NO_SPACE; /* both are whole sectors */
    memset(target, 0, sizeof *target);
    target->cap = molt_round_up(file_len, MOLT_SECTOR);
    target->off = top - MOLT_IN_PLACE_RING - target->cap;
    if (target->off - current >= MOLT_LOG_LEN) target->scratch_off = current;
    return 0;
}

/* Does a pack for this begin so? */
static int look(const uint8_t *head, uint32_t head_len, uint32_t file_len)
{
    (void)file_len;
    bool is_pack = head_len >= HEAD_LEN && memcmp(head, MOLT_PACK_MAGIC, 4) == 0 && head[4] == FLAGS;
    return is_pack ? 0 : -MOLT_BAD_PACK;
}

/* Is what was staged a delta from what runs to what was signed? What this cannot see the second stage does. */
static int check_head(const struct molt_in_place_slots *in_place, const struct molt_target *target)
{
    uint32_t words[HEAD_LEN / 4];
    const uint8_t *head = (const uint8_t *)words;
    const struct molt_flash *flash = in_place->boot->slots.flash;
    if (flash->read(flash->ctx, target->off, words, HEAD_LEN) != 0) return -MOLT_FLASH_READ;
    if (look(head, HEAD_LEN, HEAD_LEN) != 0) return -MOLT_BAD_PACK;
    if (molt_load32le(head + 12) != in_place->boot->sketch_len ||
        memcmp(head + 56, in_place->running_digest, MOLT_SHA256_LEN) != 0)
        return -MOLT_PACK_BASE;
    bool is_signed = molt_load32le(head + 8) == in_place->image_len &&
                     memcmp(head + 24, in_place->signed_digest, MOLT_SHA256_LEN) == 0;
    return is_signed ? 0 : -MOLT_DIGEST_MISMATCH;
}

static int prepare(struct molt_in_place_slots *in_place, const struct molt_target *target,
                   uint32_t stored_len)
{
    struct molt_boot_slots *b = in_place->boot;
    uint32_t current, top;
    int rc = molt_boot_slots_bounds(b, &current, &top);
    if (rc == 0) rc = check_head(in_place, target);
    if (rc < 0) return rc;
    b->record = (struct molt_boot_record){.stage = target->off,
                                          .pack_len = stored_len,
                                          .new_len = in_place->image_len,
                                          .old_len = b->sketch_len,
                                          .old_crc = MOLT_CRC_MSB_INIT,
                                          .tries = b->tries,
                                          .second_off = top,
                                          .second_len = b->second_len,
                                          .second_crc = MOLT_CRC_MSB_INIT,
                                          .is_signed = 1};
    memcpy(b->record.file_digest, in_place->signed_digest, MOLT_SHA256_LEN);
    if (in_place->image_digest != NULL) memcpy(b->record.digest, in_place->image_digest, MOLT_SHA256_LEN);
    molt_boot_slots_prepared(b);
    return MOLT_MORE;
}

static int commit_step(struct molt_slots *slots, const struct molt_target *target, uint32_t stored_len)
{
    struct molt_in_place_slots *in_place = self(slots);
    struct molt_boot_slots *b = in_place->boot;
    if (b->phase == 0) return prepare(in_place, target, stored_len);
    int rc = b->slots.ops->commit_step(&b->slots, target, stored_len);
    slots->port_err = b->slots.port_err;
    return rc;
}

static int bind(struct molt_in_place_slots *in_place, struct molt_job *job)
{
    if (job->signed_digest == NULL) return -MOLT_MANIFEST_MISSING;
    if (job->running_digest == NULL) return -MOLT_PACK_BASE;
    in_place->image_len = job->image_len;
    in_place->signed_digest = job->signed_digest;
    in_place->image_digest = job->image_digest;
    in_place->running_digest = job->running_digest;
    job->slots = &in_place->slots;
    job->encoding = MOLT_RAW;
    job->image_len = 0;
    job->unpacker = NULL;
    job->signed_digest = job->image_digest = job->running_digest = job->failed_digest = NULL;
    return 0;
}

void molt_in_place_slots_begin(struct molt_in_place_slots *in_place, struct molt_boot_slots *boot)
{
    static const struct molt_slots_ops ops = {
        .format = &molt_image_plain, .target = place, .commit_step = commit_step, .look = look};
    memset(in_place, 0, sizeof *in_place);
    in_place->slots = (struct molt_slots){.ops = &ops, .flash = boot->slots.flash, .hash = boot->slots.hash};
    in_place->boot = boot;
    in_place->bind = bind;
}
