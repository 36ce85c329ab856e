/* molt_boot.h - slots on an ESP8266 with molt-boot (doc/boot.md): the new image is staged whole below the keep sectors,
 * exchanged with the running one at the next reset, and goes back unless it is confirmed.
 *
 *     if (molt_boot_slots_begin(&boot, &flash, &hash) == 0) slots = &boot.slots;
 *     else ...                        // sector 0 holds no molt-boot: use molt_esp8266_eboot_begin()
 *
 * Here a step may write a record and read it back (some milliseconds); once in 380 states it erases the other keep sector, too. */
#ifndef MOLT_BOOT_SLOTS_H
#define MOLT_BOOT_SLOTS_H

#include "boot_record.h"
#include "slots.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_BOOT_TRIES 3u /* boots without a confirm until the boot stage goes back */

/* Caller-allocated, private but for what is above the line. */
struct molt_boot_slots {
    struct molt_slots slots; /* pass &x.slots to the library */
    /* bytes right below molt-boot's keep sectors that are not staged into: MOLT_KEEP_LEN when a keep
     * store (keep.h) lies there. Set after begin; a multiple of MOLT_SECTOR */
    uint32_t reserved;
    uint32_t tries; /* MOLT_BOOT_TRIES after begin; 1 to 15 */
    /* the second stage that checks SHA-256 at install and trial (doc/boot.md), from the product's own
     * firmware: second_len bytes, a multiple of 4, at most MOLT_BOOT_SECOND_MAX. It is written below
     * what is reserved, and takes whole sectors there. NULL after begin: the boot stage checks by CRC-32
     * only. Set before anything else is called */
    const uint32_t *second;
    uint32_t second_len;
    /* ---- private, and in_place.c's ---- */
    struct molt_boot_keep keep;
    struct molt_boot_record record; /* being committed */
    uint32_t keep_off, sketch_len;
    uint8_t phase, failures;
    uint32_t pos;
    uint32_t sector_crc; /* of the second stage up to the sector that is being written */
    bool is_erased;
    uint32_t hashed;
    struct molt_hash hash;
};

/* flash, hash: must outlive backend. Reads flash. 0, -MOLT_NO_SLOT (sector 0 holds no molt-boot), -MOLT_FLASH_READ. */
int molt_boot_slots_begin(struct molt_boot_slots *backend, const struct molt_flash *flash,
                          const struct molt_hash_ops *hash);

/* For in_place.c. Between which offsets there is room: behind the running sketch, below what is kept. 0, or why nothing may be
 * staged now (-MOLT_TRIAL_PENDING, -MOLT_NO_SPACE, -MOLT_ARG, -MOLT_FLASH_READ). */
int molt_boot_slots_bounds(struct molt_boot_slots *backend, uint32_t *current, uint32_t *top);
/* The next commit_step goes on with what is in backend->record, but for old_crc, second_crc and what the record's own
 * functions fill in. */
void molt_boot_slots_prepared(struct molt_boot_slots *backend);

#ifdef __cplusplus
}
#endif
#endif
