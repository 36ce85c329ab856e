/* second.h - a second stage: code that does not fit sector 0. libmolt has it in the running, trusted firmware and writes
 * it to flash before it commits; the record (boot_record.h) names its place, length and CRC. Sector 0 copies it to RAM,
 * checks the CRC and calls it. It is never downloaded by itself.
 *
 * On the chip it is linked for 0x4010B000, at most MOLT_BOOT_SECOND_MAX bytes; its first word is the address to call;
 * its zeroed-by-nobody variables lie from 0x3FFEC000 on (second.ld). It returns to sector 0. */
#ifndef MOLT_SECOND_H
#define MOLT_SECOND_H

#include "slots/boot_record.h"

enum molt_second_what {
    MOLT_SECOND_BODY = 0,     /* is the body of the image at off the new one? (sector 0 is molt-boot) */
    MOLT_SECOND_STAGED = 1,   /* is the file at off, whole as it came? */
    MOLT_SECOND_IN_PLACE = 2, /* write the pack at record->stage over the running image */
};

/* What sector 0 asks. Everything is lent for the call. */
struct molt_second_call {
    const struct molt_flash *flash; /* reads come in multiples of 4 bytes, into word-aligned memory */
    const struct molt_boot_record *record;
    uint32_t what; /* enum molt_second_what; a stage that does not know it says 1 */
    uint32_t off;  /* flash offset of byte 0 of the file; the bytes from MOLT_BOOT_SECTOR on are its body */
    uint8_t *work; /* 2 * MOLT_BOOT_SECTOR bytes */
    /* MOLT_SECOND_IN_PLACE: what was noted last, 0 at first; note makes a higher number durable, or gives -MOLT_FLASH_*. */
    uint32_t done;
    int (*note)(void *ctx, uint32_t done);
    void *ctx;
};

/* The second stage that checks digests: 0 when the body has the SHA-256 record->digest and, staged and signed, the whole
 * file has record->file_digest; 1 when not; -MOLT_FLASH_READ. */
int molt_second_check(const struct molt_second_call *call);

/* The same, and it writes in place: 0 when the new image is there; 1: nothing was changed, or what was begun cannot go on;
 * -MOLT_FLASH_*: again after a reset. */
int molt_second_in_place(const struct molt_second_call *call);

#endif
