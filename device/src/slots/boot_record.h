/* boot_record.h - molt-boot's two keep sectors: what libmolt asks the boot stage to do and how far it got.
 * The same code runs in the boot stage, in libmolt and on the PC, so that they cannot disagree.
 * The format, byte by byte, and why it stands any power cut: doc/boot.md.
 *
 *     rc = molt_boot_keep_open(&keep, flash, keep_off);        // reads only
 *     if (rc == 0 && keep.found && molt_boot_phase(keep.state) == MOLT_PHASE_TRIAL) ...
 *     rc = molt_boot_keep_append(&keep, MOLT_BOOT_STATE(MOLT_PHASE_CONFIRMED, 0, 0, 0, 0));
 *
 * Uses no C library. Every function but open writes flash; a negative reason means that it may be done again. */
#ifndef MOLT_BOOT_RECORD_H
#define MOLT_BOOT_RECORD_H

#include "../molt_port.h"
#include "../molt_reason.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sizes in bytes. Tests build this file with small ones, so that every flash state can be visited. */
#ifndef MOLT_BOOT_SECTOR
#define MOLT_BOOT_SECTOR 4096u
#define MOLT_BOOT_LOG    1024u /* offset of the log in a keep sector; what lies between is libmolt's */
#endif
#define MOLT_BOOT_SLOT  8u
#define MOLT_BOOT_SLOTS ((MOLT_BOOT_SECTOR - MOLT_BOOT_LOG) / MOLT_BOOT_SLOT)

#define MOLT_BOOT_SECOND_MAX (4u * MOLT_BOOT_SECTOR) /* bytes of a second stage */

/* The last 16 bytes of sector 0, written by `molt image set-boot`: magic, version, keep offset, CRC of the three. */
#define MOLT_BOOT_TRAILER_OFF   (MOLT_BOOT_SECTOR - 16u)
#define MOLT_BOOT_TRAILER_MAGIC 0x54424F4Du /* "MOBT" */
struct molt_boot_trailer {
    uint32_t magic;
    uint32_t version;  /* of molt-boot */
    uint32_t keep_off; /* flash offset of the first keep sector: FS_start - 2 sectors */
    uint32_t crc;      /* molt_crc32_msb over the three words */
};

#define MOLT_BOOT_RECORD_MAGIC 0x33424B4Du /* "MKB3" */
/* One install, at the start of a keep sector; little-endian words. Never changed once written. */
struct molt_boot_record {
    uint32_t magic;
    uint32_t seq;              /* the higher one of two counts (difference as a signed number) */
    uint32_t stage;            /* flash offset of the staged file; a multiple of the sector */
    uint32_t new_len, new_crc; /* of the new file: bytes; molt_crc32_msb of its bytes from sector 1 on */
    uint32_t old_len, old_crc; /* the same of what runs now */
    uint32_t tries;            /* boots without a confirm until it goes back, 1 to 15 */
    uint8_t digest[32];        /* identity of the new image (image.h): SHA-256 from sector 1 on */
    uint32_t second_off;       /* flash offset of the second stage (second.h); a multiple of the sector */
    uint32_t second_len;       /* bytes, a multiple of 4, at most MOLT_BOOT_SECOND_MAX; 0: there is none */
    uint32_t second_crc;       /* molt_crc32_msb of them */
    uint32_t is_signed;        /* 1: file_digest was signed by the maker and verified; 0: it is zeros */
    uint8_t file_digest[32];   /* SHA-256 of the whole new file, from its manifest */
    uint32_t pack_len; /* bytes of a pack at stage, which the second stage writes over the running image
                                  (new_len is the image's, new_crc is not known); 0: stage holds the image */
    uint32_t crc;      /* molt_crc32_msb over all before */
};

/* How far it got. Final phases are those from MOLT_PHASE_CONFIRMED on. */
enum molt_boot_phase {
    MOLT_PHASE_INSTALL = 1,     /* committed; nothing has moved */
    MOLT_PHASE_SWAP = 2,        /* `moves` moves are done */
    MOLT_PHASE_TRIAL = 3,       /* the new image runs and is not confirmed */
    MOLT_PHASE_REVERT = 4,      /* `moves` moves are still to be undone */
    MOLT_PHASE_IN_PLACE = 5,    /* committed; the second stage writes, and `moves` is what it noted last */
    MOLT_PHASE_CONFIRMED = 8,   /* the new image runs for good */
    MOLT_PHASE_ROLLED_BACK = 9, /* the old image runs again */
    MOLT_PHASE_REFUSED =
        10, /* the staged file or the running image was not what the record says: nothing moved */
    MOLT_PHASE_STUCK = 11,   /* it should have gone back, but the old image is damaged: the new one stays */
    MOLT_PHASE_WRITTEN = 12, /* the new image was written over the old one, and is not confirmed */
};

/* Why it went back. */
enum molt_boot_verdict {
    MOLT_BOOT_BY_NONE = 0,
    MOLT_BOOT_BY_FAILURE = 1, /* not confirmed in `tries` boots, or rejected by the application */
    MOLT_BOOT_BY_POWER = 2,   /* the power went too often during the trial: says nothing about the image */
    MOLT_BOOT_BY_DAMAGE = 3,  /* the installed copy did not verify, or a sector could not be written */
};

/* The state word: moves, phase, verdict, boots of the trial, interruptions of the trial. */
#define MOLT_BOOT_STATE(phase, verdict, tries, interruptions, moves)                                         \
    ((uint32_t)(moves) | (uint32_t)(phase) << 16 | (uint32_t)(verdict) << 20 | (uint32_t)(tries) << 24 |     \
     (uint32_t)(interruptions) << 28)
static inline uint32_t molt_boot_moves(uint32_t state)
{
    return state & 0xFFFFu;
}
static inline uint32_t molt_boot_phase(uint32_t state)
{
    return state >> 16 & 15u;
}
static inline uint32_t molt_boot_verdict(uint32_t state)
{
    return state >> 20 & 15u;
}
static inline uint32_t molt_boot_tries(uint32_t state)
{
    return state >> 24 & 15u;
}
static inline uint32_t molt_boot_interruptions(uint32_t state)
{
    return state >> 28;
}

/* Both keep sectors as they were found. Caller-allocated; record, state, found and settled may be read. */
struct molt_boot_keep {
    bool found;     /* there is a record with a state */
    bool settled;   /* the last two states in the log are the same, so the first of them is surely complete */
    uint32_t state; /* the last valid one */
    struct molt_boot_record record;
    /* ---- private ---- */
    const struct molt_flash *flash;
    uint32_t off;   /* of the first sector */
    uint32_t next;  /* first free slot of the chosen sector's log */
    uint8_t chosen; /* 0 or 1; when nothing was found, the sector that a new record does not go to */
};

/* Reads the trailer of sector 0: flash offset of the keep sectors, 0 when sector 0 holds no molt-boot.
 * 0 or -MOLT_FLASH_READ. */
int molt_boot_keep_off(const struct molt_flash *flash, uint32_t *keep_off);

/* Finds the newest complete record and its last state. 0 (see keep->found) or -MOLT_FLASH_READ. */
int molt_boot_keep_open(struct molt_boot_keep *keep, const struct molt_flash *flash, uint32_t keep_off);

/* Erases the sector that is not in use. One erase. 0 or -MOLT_FLASH_ERASE. */
int molt_boot_keep_erase_other(struct molt_boot_keep *keep);

/* Writes a record (magic, seq and crc are filled in) into the other sector, which was erased just before. It
 * counts only with its first state: call molt_boot_keep_seal next. 0, -MOLT_FLASH_WRITE, -MOLT_FLASH_VERIFY. */
int molt_boot_keep_write_record(struct molt_boot_keep *keep, const struct molt_boot_record *record);

/* Switches to the other sector by writing its first state, twice: the second proves the first. 0, -MOLT_FLASH_WRITE, -MOLT_FLASH_VERIFY. */
int molt_boot_keep_seal(struct molt_boot_keep *keep, uint32_t state);

/* Writes the state at the end of the log; when the log is full, moves record and state into the other
 * sector (erase, record, state). Then keep->state is state. -MOLT_FLASH_*. */
int molt_boot_keep_append(struct molt_boot_keep *keep, uint32_t state);

/* The same for a final state, twice unless it already stands there twice, so that it can never be unsure. */
int molt_boot_keep_finish(struct molt_boot_keep *keep, uint32_t state);

#ifdef __cplusplus
}
#endif
#endif
