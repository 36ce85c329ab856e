/* boot_view.c - see boot_view.h. Must never leave out what molt_boot_keep_open() looks at. */
#include "boot_view.h"

#include <stdbool.h>
#include <string.h>

#include "util/crc.h"

#define UNIT     4u
#define UNSTABLE 2u /* flag of a unit that is noise after the next power-up */

static bool read_record(const uint8_t *sector, struct molt_boot_record *record)
{
    memcpy(record, sector, sizeof *record);
    return record->magic == MOLT_BOOT_RECORD_MAGIC &&
           record->crc == molt_crc32_msb(MOLT_CRC_MSB_INIT, record, sizeof *record - sizeof record->crc);
}

struct sector {
    struct molt_boot_record record;
    bool is_sound, is_valid, is_proven; /* as molt_boot_keep_open() finds them */
    bool is_sure;                       /* ... and the same after any power-up */
    uint32_t touched;                   /* the last slot that is not blank; 0 also when all are */
    uint32_t tail;                      /* what lies before this slot can never count again */
};

static uint8_t unstable(const uint8_t *flags, uint32_t at, uint32_t len)
{
    uint8_t any = 0;
    for (uint32_t i = at / UNIT; i < (at + len) / UNIT; i++)
        any |= flags[i] & UNSTABLE;
    return any;
}

/* 2: valid, 1: blank, 0: neither. */
static uint8_t kind_of(const uint8_t *slot, uint32_t crc)
{
    uint32_t state, check;
    memcpy(&state, slot, sizeof state);
    memcpy(&check, slot + sizeof state, sizeof check);
    if (state == UINT32_MAX && check == UINT32_MAX) return 1;
    return check == molt_crc32_msb(crc, &state, sizeof state) ? 2 : 0;
}

static void look_at(const uint8_t *bytes, struct sector *sector)
{
    const uint8_t *flags = bytes + MOLT_BOOT_SECTOR;
    uint32_t sure = 0;
    memset(sector, 0, sizeof *sector);
    sector->is_sound = read_record(bytes, &sector->record);
    if (!sector->is_sound) return;
    for (uint32_t i = MOLT_BOOT_SLOTS; i-- > 0;) {
        const uint32_t at = MOLT_BOOT_LOG + i * MOLT_BOOT_SLOT;
        const uint8_t kind = kind_of(bytes + at, sector->record.crc);
        if (kind != 1 && sector->touched == 0) sector->touched = i;
        if (kind != 2) continue;
        sector->is_valid = true;
        if (unstable(flags, at, MOLT_BOOT_SLOT) != 0) continue;
        if (++sure == 2) sector->tail = i; /* the last two say the state, and whether it is settled */
    }
    sector->is_proven = sector->is_valid && sector->touched > 0;
    sector->is_sure = sure >= 2 && unstable(flags, 0, sizeof sector->record) == 0;
}

/* What of a state decides anything: how often the new image was begun counts only while its trial goes on. */
static uint32_t meaning_of(const uint8_t *slot)
{
    uint32_t state;
    memcpy(&state, slot, sizeof state);
    if (molt_boot_phase(state) == MOLT_PHASE_TRIAL) return state;
    return (state & 0x000FFFFFu) | (molt_boot_verdict(state) == MOLT_BOOT_BY_FAILURE ? 1u << 20 : 0);
}

/* The valid states, one after the other, wherever they stand: between them nothing is written any more. Behind the last slot
 * that is not blank: which units may still be programmed. */
static size_t view_log(const uint8_t *bytes, const struct sector *sector, uint8_t *out)
{
    const uint8_t *flags = bytes + MOLT_BOOT_SECTOR;
    size_t n = 0;
    out[n++] = (uint8_t)sector->touched;
    for (uint32_t i = sector->is_sure ? sector->tail : 0; i < MOLT_BOOT_SLOTS; i++) {
        const uint32_t at = MOLT_BOOT_LOG + i * MOLT_BOOT_SLOT;
        if (kind_of(bytes + at, sector->record.crc) == 2) {
            const uint32_t state = meaning_of(bytes + at);
            memcpy(out + n, &state, sizeof state);
            n += sizeof state;
            out[n++] = unstable(flags, at, MOLT_BOOT_SLOT);
        }
        for (uint32_t k = 0; i > sector->touched && k < MOLT_BOOT_SLOT / UNIT; k++)
            out[n++] = flags[at / UNIT + k];
    }
    return n;
}

/* The boot stage and libmolt only read a sector that ended for good; the next record goes to the other one. */
static bool has_ended(const uint8_t *bytes, const struct sector *sector)
{
    const uint8_t *last = bytes + MOLT_BOOT_LOG + sector->tail * MOLT_BOOT_SLOT;
    const uint32_t state = meaning_of(last);
    if (!sector->is_sure || molt_boot_phase(state) < MOLT_PHASE_CONFIRMED) return false;
    for (uint32_t i = sector->tail; i < MOLT_BOOT_SLOTS; i++) {
        const uint8_t *slot = bytes + MOLT_BOOT_LOG + i * MOLT_BOOT_SLOT;
        if (kind_of(slot, sector->record.crc) == 2 && meaning_of(slot) != state) return false;
    }
    return true;
}

/* A sector without a sound record is erased before anything is written there; nothing else of it is ever read. */
static size_t view_sector(const uint8_t *bytes, const struct sector *sector, uint8_t *out)
{
    const uint8_t *flags = bytes + MOLT_BOOT_SECTOR;
    struct molt_boot_record record = sector->record;
    size_t n = 0;
    out[n++] = sector->is_sound;
    if (!sector->is_sound) return n;
    record.seq = record.crc = 0;
    memcpy(out + n, &record, sizeof record);
    n += sizeof record;
    if (has_ended(bytes, sector)) {
        const uint32_t state = meaning_of(bytes + MOLT_BOOT_LOG + sector->tail * MOLT_BOOT_SLOT);
        memcpy(out + n, &state, sizeof state);
        return n + sizeof state;
    }
    out[n++] = unstable(flags, 0, sizeof record);
    return n + view_log(bytes, sector, out + n);
}

size_t boot_view(const uint8_t *first, const uint8_t *second, uint8_t out[BOOT_VIEW_MAX])
{
    struct sector sectors[2];
    look_at(first, &sectors[0]);
    look_at(second, &sectors[1]);
    const bool newer = (int32_t)(sectors[1].record.seq - sectors[0].record.seq) > 0;
    uint8_t chosen = newer;
    if (sectors[0].is_proven != sectors[1].is_proven)
        chosen = sectors[1].is_proven;
    else if (sectors[0].is_valid != sectors[1].is_valid)
        chosen = sectors[1].is_valid;
    size_t n = 0;
    out[n++] = chosen;
    n += view_sector(chosen == 0 ? first : second, &sectors[chosen], out + n);
    if (sectors[chosen].is_sure) return n; /* the other one is erased before it can count */
    n += view_sector(chosen == 0 ? second : first, &sectors[!chosen], out + n);
    out[n++] = sectors[0].is_sound && sectors[1].is_sound && newer;
    return n;
}
