/* esp32_otadata.c - OTA slots of the ESP32 family: which one an update may use, and the otadata records
 * that make the bootloader run it, on trial, for good, or never again.
 * Must never touch the running slot, nor write a record that ESP-IDF would not have written.
 * Tests: test/unit/otadata_test.c, test/unit/update_test.c, test/property/power_cut_test.c. */
#include "esp32_otadata.h"

#include <string.h>

#include "../log/log.h"
#include "../util/bytes.h"
#include "../util/crc.h"
#include "walk.h"

#define EMPTY      0xFFFFFFFFu
#define HEADER_LEN 24u
#define HASH_FLAG  23u /* header byte: a SHA-256 is appended */

/* Phases of a record's rewrite. */
enum phase { IDLE = 0, VERIFY, ERASE, WRITE, CHECK, UNDO };

static struct molt_esp32_otadata *self(struct molt_slots *slots)
{
    return (struct molt_esp32_otadata *)slots; /* slots is its first member */
}

/* ---- records ---- */

void molt_otadata_decode(const uint8_t raw[MOLT_OTADATA_ENTRY_LEN], struct molt_otadata_entry *entry)
{
    entry->seq = molt_load32le(raw);
    entry->state = molt_load32le(raw + 24);
    entry->crc_ok = molt_load32le(raw + 28) == molt_crc32_lsb(0xFFFFFFFFu, raw, 4);
}

void molt_otadata_encode(uint8_t raw[MOLT_OTADATA_ENTRY_LEN], uint32_t seq, uint32_t state)
{
    memset(raw, 0xFF, MOLT_OTADATA_ENTRY_LEN);
    molt_store32le(raw, seq);
    molt_store32le(raw + 24, state);
    molt_store32le(raw + 28, molt_crc32_lsb(0xFFFFFFFFu, raw, 4));
}

static bool was_refused(const struct molt_otadata_entry *entry)
{
    return entry->state == MOLT_OTADATA_INVALID || entry->state == MOLT_OTADATA_ABORTED;
}

static bool counts(const struct molt_otadata_entry *entry)
{
    return entry->crc_ok && entry->seq != EMPTY && !was_refused(entry);
}

/* Both records and which of them decides (-1: none), by the bootloader's rule. */
struct records {
    struct molt_otadata_entry entry[2];
    int active;
};

static int read_records(struct molt_esp32_otadata *b, struct records *r)
{
    uint8_t raw[MOLT_OTADATA_ENTRY_LEN];
    for (unsigned i = 0; i < 2; i++) {
        int rc = molt_slots_read(&b->slots, b->partitions.otadata_off + i * MOLT_SECTOR, raw, sizeof raw);
        if (rc < 0) return rc;
        molt_otadata_decode(raw, &r->entry[i]);
    }
    bool first = counts(&r->entry[0]), second = counts(&r->entry[1]);
    r->active = first && second ? (r->entry[0].seq >= r->entry[1].seq ? 0 : 1) : first ? 0 : second ? 1 : -1;
    return 0;
}

static unsigned slot_of(const struct molt_esp32_otadata *b, const struct molt_otadata_entry *entry)
{
    return (entry->seq - 1) % b->partitions.slot_count;
}

/* The record that the running image was booted by, NULL when another image was selected and not bootable.
 * */
static const struct molt_otadata_entry *running_record(const struct molt_esp32_otadata *b,
                                                       const struct records *r)
{
    if (r->active < 0 || slot_of(b, &r->entry[r->active]) != b->running_slot) return NULL;
    return &r->entry[r->active];
}

/* The smallest sequence number above seq that selects slot, which seq does not; may wrap. */
static uint32_t next_seq(uint32_t seq, unsigned slot, uint32_t slot_count)
{
    do { /* at most slot_count rounds; in closed form 0, which no one writes but a record may hold, goes wrong */
        seq++;
    } while ((seq - 1) % slot_count != slot);
    return seq;
}

/* ---- one record's rewrite: erase, write, check. A cut in between leaves the record blank, so that the
 * other one decides; both then name complete images ---- */

static void start_rewrite(struct molt_esp32_otadata *b, unsigned which, uint32_t seq, uint32_t state)
{
    b->write_entry = (uint8_t)which;
    molt_otadata_encode(b->raw, seq, state);
    b->phase = ERASE;
}

static int give_up(struct molt_esp32_otadata *b, int port_err, int reason)
{
    b->slots.port_err = port_err;
    b->phase = IDLE;
    b->hash_pos = b->hash_end = 0;
    return -reason;
}

/* A record that selects a new image and may or may not be whole: better none, the other one decides then.
 * A failed confirmation or rejection stays as it is and can be repeated. */
static int give_up_record(struct molt_esp32_otadata *b, int port_err, int reason)
{
    bool selects_new = molt_load32le(b->raw + 24) == MOLT_OTADATA_NEW;
    give_up(b, port_err, reason);
    if (!selects_new) return -reason;
    b->reason = reason;
    b->phase = UNDO;
    return MOLT_MORE;
}

static int rewrite_step(struct molt_esp32_otadata *b)
{
    const struct molt_flash *flash = b->slots.flash;
    uint32_t off = b->partitions.otadata_off + b->write_entry * MOLT_SECTOR;
    uint8_t back[MOLT_OTADATA_ENTRY_LEN];
    int rc;
    switch ((enum phase)b->phase) {
    case ERASE:
        rc = flash->erase(flash->ctx, off, MOLT_SECTOR);
        if (rc < 0) return give_up(b, rc, MOLT_FLASH_ERASE);
        b->phase = WRITE;
        return MOLT_MORE;
    case WRITE:
        rc = flash->write(flash->ctx, off, b->raw, sizeof b->raw);
        if (rc < 0) return give_up_record(b, rc, MOLT_FLASH_WRITE);
        b->phase = CHECK;
        return MOLT_MORE;
    case CHECK:
        rc = flash->read(flash->ctx, off, back, sizeof back);
        if (rc < 0) return give_up_record(b, rc, MOLT_FLASH_READ);
        if (memcmp(back, b->raw, sizeof back) != 0) return give_up_record(b, 0, MOLT_FLASH_VERIFY);
        b->phase = IDLE;
        return MOLT_DONE;
    case UNDO:
        b->phase = IDLE;
        (void)flash->erase(flash->ctx, off, MOLT_SECTOR);
        return -b->reason;
    case IDLE:
    case VERIFY:
        break;
    }
    return -MOLT_STATE;
}

/* ---- images in slots ---- */

/* An image in flash. */
struct found {
    uint32_t off, end; /* of the bytes that its identity covers */
    bool hashed;       /* its SHA-256 is appended, at end */
};

static int find_image(struct molt_esp32_otadata *b, uint32_t off, uint32_t cap, struct found *image)
{
    uint8_t header[MOLT_WALK_HEADER_MAX];
    uint32_t end;
    int rc = molt_walk_segments(&b->slots, off, cap, HEADER_LEN, header, &end);
    if (rc < 0) return rc;
    end = (end + 16) & ~15u; /* padding and checksum byte */
    image->hashed = header[HASH_FLAG] == 1;
    image->off = off;
    image->end = off + end;
    return end + (image->hashed ? MOLT_SHA256_LEN : 0) <= cap ? 0 : -MOLT_BAD_SEGMENT;
}

static int find_in_slot(struct molt_esp32_otadata *b, unsigned slot, struct found *image)
{
    return find_image(b, b->partitions.slot_off[slot], b->partitions.slot_len[slot], image);
}

static int read_digest(struct molt_esp32_otadata *b, const struct found *image,
                       uint8_t digest[MOLT_SHA256_LEN])
{
    return molt_slots_read(&b->slots, image->end, digest, MOLT_SHA256_LEN);
}

static void start_hash(struct molt_esp32_otadata *b, struct molt_hash *hash, const struct found *image)
{
    hash->ops = b->slots.hash;
    hash->ops->init(&hash->state);
    b->hash_pos = image->off;
    b->hash_end = image->end;
}

/* ---- molt_slots_ops ---- */

static int otadata_target(struct molt_slots *slots, uint32_t file_len, uint32_t image_len,
                          enum molt_encoding encoding, struct molt_target *target)
{
    struct molt_esp32_otadata *b = self(slots);
    const struct molt_partitions *p = &b->partitions;
    struct records r;
    int rc = read_records(b, &r);
    if (rc < 0) return rc;
    const struct molt_otadata_entry *running = running_record(b, &r);
    if (running != NULL && running->state == MOLT_OTADATA_PENDING_VERIFY) return -MOLT_TRIAL_PENDING;

    uint32_t need = encoding == MOLT_RAW ? file_len : image_len;
    unsigned first = b->running_slot < p->slot_count ? b->running_slot + 1u : 0;
    for (unsigned i = 0; i < p->slot_count; i++) {
        unsigned slot = (first + i) % p->slot_count;
        if (slot == b->running_slot || p->slot_len[slot] < need) continue;
        memset(target, 0, sizeof *target);
        target->off = p->slot_off[slot];
        target->cap = p->slot_len[slot];
        target->slot = (uint8_t)slot;
        if (b->running_slot < p->slot_count) {
            target->base_off = p->slot_off[b->running_slot];
            target->base_cap = p->slot_len[b->running_slot];
        }
        if (need > 0 &&
            molt_round_up(need, MOLT_SECTOR) + MOLT_LOG_LEN <= target->cap) { /* the slot's tail */
            target->cap -= MOLT_LOG_LEN;
            target->scratch_off = target->off + target->cap;
        }
        return 0;
    }
    return -MOLT_NO_SPACE;
}

static int otadata_commit_step(struct molt_slots *slots, const struct molt_target *target,
                               uint32_t stored_len)
{
    struct molt_esp32_otadata *b = self(slots);
    if (b->phase != IDLE) return rewrite_step(b);

    unsigned slot = target->slot;
    if (slot >= b->partitions.slot_count || slot == b->running_slot ||
        target->off != b->partitions.slot_off[slot] || stored_len > b->partitions.slot_len[slot]) {
        return -MOLT_ARG;
    }
    struct records r;
    int rc = read_records(b, &r);
    if (rc < 0) return rc;
    if (r.active < 0) {
        start_rewrite(b, 0, slot + 1, MOLT_OTADATA_NEW);
    } else if (slot_of(b, &r.entry[r.active]) == slot) { /* it was selected, but was not bootable */
        start_rewrite(b, (unsigned)r.active, r.entry[r.active].seq, MOLT_OTADATA_NEW);
    } else {
        uint32_t seq = next_seq(r.entry[r.active].seq, slot, b->partitions.slot_count);
        if (seq < r.entry[r.active].seq || seq == EMPTY) return -MOLT_BAD_PARTITIONS; /* numbers used up */
        start_rewrite(b, r.active == 0 ? 1 : 0, seq, MOLT_OTADATA_NEW);
    }
    return MOLT_MORE;
}

static int otadata_confirm_step(struct molt_slots *slots)
{
    struct molt_esp32_otadata *b = self(slots);
    if (b->phase != IDLE) return rewrite_step(b);

    struct records r;
    int rc = read_records(b, &r);
    if (rc < 0) return rc;
    const struct molt_otadata_entry *running = running_record(b, &r);
    if (running == NULL) return MOLT_DONE;
    if (running->state != MOLT_OTADATA_PENDING_VERIFY && running->state != MOLT_OTADATA_NEW) return MOLT_DONE;
    start_rewrite(b, (unsigned)r.active, running->seq, MOLT_OTADATA_VALID);
    return MOLT_MORE;
}

/* Finds the image that the bootloader would choose if the running one's record were refused: the other
 * record's, else the factory image, else slot 0. -MOLT_NO_ROLLBACK when there is none. */
static int find_behind(struct molt_esp32_otadata *b, const struct records *r, struct found *image)
{
    const struct molt_otadata_entry *other = &r->entry[r->active == 0 ? 1 : 0];
    const struct molt_partitions *p = &b->partitions;
    int rc;
    if (!counts(other) && p->factory_len != 0) {
        rc = find_image(b, p->factory_off, p->factory_len, image);
    } else {
        unsigned slot = counts(other) ? slot_of(b, other) : 0;
        if (slot == b->running_slot) return -MOLT_NO_ROLLBACK;
        rc = find_in_slot(b, slot, image);
    }
    return rc == -MOLT_BAD_SEGMENT ? -MOLT_NO_ROLLBACK : rc;
}

/* Only a complete image is worth going back to. */
static int verify_behind(struct molt_esp32_otadata *b)
{
    uint8_t digest[MOLT_SHA256_LEN];
    int rc = molt_slots_hash_some(&b->slots, &b->hash, &b->hash_pos, b->hash_end);
    if (rc < 0) return give_up(b, b->slots.port_err, MOLT_FLASH_READ);
    if (b->hash_pos < b->hash_end) return MOLT_MORE;
    b->hash.ops->finish(&b->hash.state, digest);
    if (memcmp(digest, b->digest, sizeof digest) != 0) return give_up(b, 0, MOLT_NO_ROLLBACK);
    b->phase = ERASE;
    return MOLT_MORE;
}

static int otadata_reject_step(struct molt_slots *slots)
{
    struct molt_esp32_otadata *b = self(slots);
    if (b->phase == VERIFY) return verify_behind(b);
    if (b->phase != IDLE) return rewrite_step(b);

    struct records r;
    struct found behind;
    int rc = read_records(b, &r);
    if (rc < 0) return rc;
    if (running_record(b, &r) == NULL) return -MOLT_NO_ROLLBACK;
    rc = find_behind(b, &r, &behind);
    if (rc < 0) return rc;
    if (behind.hashed) {
        rc = read_digest(b, &behind, b->digest);
        if (rc < 0) return rc;
        start_hash(b, &b->hash, &behind);
    }
    start_rewrite(b, (unsigned)r.active, r.entry[r.active].seq, MOLT_OTADATA_INVALID);
    if (behind.hashed) b->phase = VERIFY; /* without a hash the bootloader's checksum has to do */
    return MOLT_MORE;
}

static int otadata_state(struct molt_slots *slots, struct molt_boot_state *state)
{
    struct molt_esp32_otadata *b = self(slots);
    struct records r;
    struct found image;
    memset(state, 0, sizeof *state);
    state->running_slot = b->running_slot;
    int rc = read_records(b, &r);
    if (rc < 0) return rc;
    const struct molt_otadata_entry *running = running_record(b, &r);
    if (running != NULL) {
        state->on_trial = running->state == MOLT_OTADATA_PENDING_VERIFY;
        state->trial_unprotected = running->state == MOLT_OTADATA_NEW;
        state->can_roll_back = find_behind(b, &r, &image) == 0;
    }
    for (unsigned i = 0; i < 2; i++) {
        const struct molt_otadata_entry *e = &r.entry[i];
        if (!e->crc_ok || e->seq == EMPTY || !was_refused(e) || slot_of(b, e) == b->running_slot) continue;
        if (find_in_slot(b, slot_of(b, e), &image) < 0 || !image.hashed) continue;
        if (read_digest(b, &image, state->failed_digest) == 0) state->has_failed = true;
    }
    return 0;
}

static int otadata_identity_step(struct molt_slots *slots, struct molt_hash *hash,
                                 uint8_t digest[MOLT_SHA256_LEN])
{
    struct molt_esp32_otadata *b = self(slots);
    if (b->hash_pos == b->hash_end) {
        struct found image;
        if (b->running_slot >= b->partitions.slot_count) return -MOLT_NO_SLOT;
        int rc = find_in_slot(b, b->running_slot, &image);
        if (rc < 0) return rc;
        if (image.hashed) return read_digest(b, &image, digest); /* the bootloader has verified it */
        start_hash(b, hash, &image);
        return MOLT_MORE;
    }
    int rc = molt_slots_hash_some(slots, hash, &b->hash_pos, b->hash_end);
    if (rc < 0) b->hash_pos = b->hash_end;
    if (rc < 0 || b->hash_pos < b->hash_end) return rc < 0 ? rc : MOLT_MORE;
    hash->ops->finish(&hash->state, digest);
    return MOLT_DONE;
}

static uint32_t otadata_room(struct molt_slots *slots)
{
    struct molt_esp32_otadata *b = self(slots);
    struct molt_target target;
    uint32_t room = 0;
    if (otadata_target(slots, 0, 0, MOLT_RAW, &target) < 0) return 0;
    for (unsigned i = 0; i < b->partitions.slot_count; i++) {
        if (i != b->running_slot && b->partitions.slot_len[i] > room) room = b->partitions.slot_len[i];
    }
    return room;
}

static const struct molt_slots_ops otadata_ops = {
    .format = &molt_image_esp32,
    .target = otadata_target,
    .commit_step = otadata_commit_step,
    .confirm_step = otadata_confirm_step,
    .reject_step = otadata_reject_step,
    .state = otadata_state,
    .identity_step = otadata_identity_step,
    .room = otadata_room,
};

int molt_esp32_otadata_begin(struct molt_esp32_otadata *backend, const struct molt_flash *flash,
                             const struct molt_hash_ops *hash, uint8_t running_slot)
{
    memset(backend, 0, sizeof *backend);
    backend->slots = (struct molt_slots){.ops = &otadata_ops, .flash = flash, .hash = hash};
    backend->running_slot = running_slot;
    int rc = molt_partitions_read(flash, &backend->partitions);
    if (rc < 0) return rc;
    bool enough = backend->partitions.slot_count >= 2 && backend->partitions.otadata_len != 0;
    return enough ? 0 : -MOLT_NO_SLOT;
}
