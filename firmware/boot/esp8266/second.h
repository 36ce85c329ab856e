/* second.h - a second stage: code that does not fit sector 0. libmolt has it in the running, trusted firmware and writes
 * it to flash before it commits; the record (boot_record.h) names its place, length and CRC. Sector 0 copies it to RAM,
 * checks the CRC and calls it. It is never downloaded by itself.
 *
 * On the chip it is linked for 0x4010B000, at most MOLT_BOOT_SECOND_MAX bytes; its first word is the address to call;
 * its zeroed-by-nobody variables lie from 0x3FFEC000 on (second.ld). It returns to sector 0. */
#ifndef MOLT_SECOND_H
#define MOLT_SECOND_H

#include "slots/boot_record.h"

/* What sector 0 asks. Everything is lent for the call. */
struct molt_second_call {
    const struct molt_flash *flash; /* reads come in multiples of 4 bytes, into word-aligned memory */
    const struct molt_boot_record *record;
    uint32_t off; /* flash offset of byte 0 of the file; the bytes from MOLT_BOOT_SECTOR on are its body */
    uint32_t
        staged; /* 1: the whole file lies there as it came; 0: only its body does (sector 0 is molt-boot) */
    uint8_t *work; /* 2 * MOLT_BOOT_SECTOR bytes */
};

/* The second stage that checks digests: 0 when the body has the SHA-256 record->digest and, staged and signed, the whole
 * file has record->file_digest; 1 when not; -MOLT_FLASH_READ. Source: FIPS 180-4. */
int molt_second_check(const struct molt_second_call *call);

#endif
