/* boot_record.c - the keep sectors of molt-boot: choosing between two, reading and growing the log.
 * Must never believe what was written last before a power cut until something was written behind it.
 * Tests: test/powercut/boot_test.c, test/unit/molt_boot_test.c. */
#include "boot_record.h"

#include "../util/crc.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "records are written as they lie in memory"
#endif

#define BLANK       0xFFFFFFFFu
#define NONE        0xFFFFFFFFu
#define CHUNK_SLOTS 8u

struct slot {
    uint32_t state, check;
};

static uint32_t slot_check(const struct molt_boot_record *record, uint32_t state)
{
    return molt_crc32_msb(record->crc, &state, sizeof state);
}

static uint32_t sector_off(const struct molt_boot_keep *keep, uint32_t which)
{
    return keep->off + which * MOLT_BOOT_SECTOR;
}

int molt_boot_keep_off(const struct molt_flash *flash, uint32_t *keep_off)
{
    struct molt_boot_trailer t;
    *keep_off = 0;
    if (flash->read(flash->ctx, MOLT_BOOT_TRAILER_OFF, &t, sizeof t) != 0) return -MOLT_FLASH_READ;
    if (t.magic == MOLT_BOOT_TRAILER_MAGIC && t.crc == molt_crc32_msb(MOLT_CRC_MSB_INIT, &t, 12) &&
        t.keep_off % MOLT_BOOT_SECTOR == 0 && t.keep_off <= flash->size - 2 * MOLT_BOOT_SECTOR)
        *keep_off = t.keep_off;
    return 0;
}

/* ---- reading ---- */

static uint32_t sectors(uint32_t len)
{
    return len / MOLT_BOOT_SECTOR + (len % MOLT_BOOT_SECTOR != 0);
}

/* Everything that the boot stage computes offsets from. */
static bool is_sound(const struct molt_boot_record *r, uint32_t keep_off)
{
    uint32_t stage = r->stage / MOLT_BOOT_SECTOR, top = keep_off / MOLT_BOOT_SECTOR;
    return r->magic == MOLT_BOOT_RECORD_MAGIC &&
           r->crc == molt_crc32_msb(MOLT_CRC_MSB_INIT, r, sizeof *r - sizeof r->crc) && r->tries <= 15 &&
           r->stage % MOLT_BOOT_SECTOR == 0 && r->new_len > MOLT_BOOT_SECTOR &&
           r->old_len > MOLT_BOOT_SECTOR && sectors(r->old_len) <= stage && stage <= top &&
           sectors(r->pack_len != 0 ? r->pack_len : r->new_len) <= top - stage &&
           r->second_off % MOLT_BOOT_SECTOR == 0 && r->second_off <= keep_off && r->second_len % 4 == 0 &&
           r->second_len <= MOLT_BOOT_SECOND_MAX && r->second_len <= keep_off - r->second_off;
}

struct found {
    bool valid; /* the record is right and has a state, which may still be unsure */
    /* something was written behind the first slot, so the record and its first state are complete */
    bool proven;
    bool settled;
    uint32_t state, next;
};

/* Reads one sector: the record, and the last valid state of its log. */
static int read_sector(const struct molt_boot_keep *keep, uint32_t which, struct molt_boot_record *record,
                       struct found *found)
{
    const struct molt_flash *flash = keep->flash;
    uint32_t off = sector_off(keep, which), before = BLANK, touched = NONE;
    struct slot slots[CHUNK_SLOTS];
    found->valid = found->proven = found->settled = false;
    found->state = found->next = 0;
    if (flash->read(flash->ctx, off, record, sizeof *record) != 0) return -MOLT_FLASH_READ;
    if (!is_sound(record, keep->off)) return 0;
    for (uint32_t i = 0; i < MOLT_BOOT_SLOTS; i++) {
        const struct slot *s = &slots[i % CHUNK_SLOTS];
        if (i % CHUNK_SLOTS == 0 &&
            flash->read(flash->ctx, off + MOLT_BOOT_LOG + i * MOLT_BOOT_SLOT, slots, sizeof slots) != 0)
            return -MOLT_FLASH_READ;
        if (s->state == BLANK && s->check == BLANK) continue;
        touched = i;
        if (s->check != slot_check(record, s->state)) continue;
        found->valid = true;
        found->state = s->state;
        found->settled = before == s->state;
        before = s->state;
    }
    /* The slot behind the last one may have been begun and look blank: it is left out. */
    found->next = touched + 2;
    found->proven = found->valid && touched > 0;
    return 0;
}

int molt_boot_keep_open(struct molt_boot_keep *keep, const struct molt_flash *flash, uint32_t keep_off)
{
    struct molt_boot_record record[2];
    struct found found[2];
    keep->flash = flash;
    keep->off = keep_off;
    for (uint32_t i = 0; i < 2; i++) {
        int rc = read_sector(keep, i, &record[i], &found[i]);
        if (rc < 0) return rc;
    }
    const bool newer = (int32_t)(record[1].seq - record[0].seq) > 0;
    uint32_t c = newer;
    if (found[0].proven != found[1].proven)
        c = found[1].proven;
    else if (found[0].valid != found[1].valid)
        c = found[1].valid;
    keep->chosen = (uint8_t)c;
    keep->found = found[c].valid;
    keep->record = record[c];
    keep->state = found[c].state;
    keep->settled = found[c].settled;
    keep->next = found[c].next;
    if (!keep->found) {
        keep->chosen = 0; /* so that every first record goes to the same place, over what was begun there */
        keep->record.seq = 0;
    }
    return 0;
}

/* ---- writing ---- */

/* Writes and reads back: a write that did not take is found before anything is built on it. */
static int write_checked(const struct molt_flash *flash, uint32_t off, const void *data, uint32_t len)
{
    const uint8_t *wanted = data;
    uint32_t words[sizeof(struct molt_boot_record) / 4]; /* the ROM reads into whole words */
    const uint8_t *there = (const uint8_t *)words;
    if (flash->write(flash->ctx, off, data, len) != 0) return -MOLT_FLASH_WRITE;
    if (flash->read(flash->ctx, off, words, len) != 0) return -MOLT_FLASH_READ;
    for (uint32_t i = 0; i < len; i++) {
        if (there[i] != wanted[i]) return -MOLT_FLASH_VERIFY;
    }
    return 0;
}

static int write_slot(const struct molt_boot_keep *keep, uint32_t which, uint32_t index, uint32_t state)
{
    struct slot s;
    s.state = state;
    s.check = slot_check(&keep->record, state);
    return write_checked(keep->flash, sector_off(keep, which) + MOLT_BOOT_LOG + index * MOLT_BOOT_SLOT, &s,
                         sizeof s);
}

int molt_boot_keep_erase_other(struct molt_boot_keep *keep)
{
    const struct molt_flash *flash = keep->flash;
    int rc = flash->erase(flash->ctx, sector_off(keep, !keep->chosen), MOLT_BOOT_SECTOR);
    return rc == 0 ? 0 : -MOLT_FLASH_ERASE;
}

int molt_boot_keep_write_record(struct molt_boot_keep *keep, const struct molt_boot_record *record)
{
    uint32_t seq = keep->record.seq + 1;
    keep->record = *record;
    keep->record.magic = MOLT_BOOT_RECORD_MAGIC;
    keep->record.seq = seq;
    keep->record.crc = molt_crc32_msb(MOLT_CRC_MSB_INIT, &keep->record, sizeof *record - sizeof record->crc);
    return write_checked(keep->flash, sector_off(keep, !keep->chosen), &keep->record, sizeof keep->record);
}

int molt_boot_keep_seal(struct molt_boot_keep *keep, uint32_t state)
{
    int rc = write_slot(keep, !keep->chosen, 0, state);
    if (rc == 0) rc = write_slot(keep, !keep->chosen, 1, state);
    if (rc < 0) return rc;
    keep->chosen = !keep->chosen;
    keep->found = true;
    keep->settled = true;
    keep->state = state;
    keep->next = 2;
    return 0;
}

/* The log is full: record and state move into the other sector. */
static int move_on(struct molt_boot_keep *keep, uint32_t state)
{
    int rc = molt_boot_keep_erase_other(keep);
    if (rc == 0) rc = molt_boot_keep_write_record(keep, &keep->record);
    return rc == 0 ? molt_boot_keep_seal(keep, state) : rc;
}

int molt_boot_keep_append(struct molt_boot_keep *keep, uint32_t state)
{
    while (keep->next < MOLT_BOOT_SLOTS) { /* a slot that does not take it is left behind */
        if (write_slot(keep, keep->chosen, keep->next++, state) == 0) {
            keep->settled = keep->state == state;
            keep->state = state;
            return 0;
        }
    }
    return move_on(keep, state);
}

int molt_boot_keep_finish(struct molt_boot_keep *keep, uint32_t state)
{
    while (keep->state != state || !keep->settled) {
        int rc = molt_boot_keep_append(keep, state);
        if (rc < 0) return rc;
    }
    return 0;
}
