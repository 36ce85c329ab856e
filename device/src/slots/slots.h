/* slots.h - where images live and what the next boot runs. Three backends behind one face, and a component:
 * esp32_otadata (two or more OTA partitions, chosen by otadata, exactly as ESP-IDF does it),
 * esp8266_eboot (staging below the file system, copied by Arduino's eboot after an RTC command),
 * molt_boot (the same place, exchanged by molt-boot, with trial and rollback) and
 * fs_slots (the file system, staged by one of them or written in place),
 * in_place (an image that molt-boot writes over the running one).
 *
 * The core asks, the caller does: functions named _step do at most one flash operation (one erase, one
 * write, or reads of at most 4096 bytes) and return MOLT_MORE until they are done. */
#ifndef MOLT_SLOTS_H
#define MOLT_SLOTS_H

#include "../image/image.h"
#include "../molt_port.h"
#include "../molt_reason.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Progress codes shared by every *_step function of the library; failures are negative reasons. */
enum molt_progress {
    MOLT_DONE = 0,       /* the work is complete */
    MOLT_MORE = 1,       /* call again */
    MOLT_NEED_DATA = 2,  /* feed bytes first (update.h) */
    MOLT_READY = 3,      /* the image is committed; restart when convenient (update.h) */
    MOLT_VERIFIED = 4,   /* all is stored and read back; the next step commits (update.h) */
    MOLT_OVERWRITES = 5, /* the next step destroys the only copy of what is there now (update.h) */
};

enum molt_encoding {
    MOLT_RAW = 0,
    MOLT_GZIP = 1,
    MOLT_PACK = 2,
    MOLT_IN_PLACE = 3 /* a pack that is staged as it is and written over its base (in_place.h) */
};

/* Where one file goes. */
struct molt_target {
    uint32_t off;      /* flash offset of the first byte; a multiple of MOLT_SECTOR */
    uint32_t cap;      /* bytes that may be written there; a multiple of MOLT_SECTOR */
    uint8_t slot;      /* esp32_otadata: OTA slot index; esp8266_eboot: 0 */
    bool keep_encoded; /* true: the file is stored as it came and the boot stage decodes it (gzip for
                             eboot); false: the decoded image is stored */
    bool patch_header; /* true: header bytes 2 and 3 of the stored image are the device's own
                             (header_byte2, header_byte3), as Arduino's Updater does on the ESP8266; digests
                             are over the original bytes */
    uint8_t header_byte2, header_byte3;
    bool in_place; /* fs_slots: what lies there now is in use and lost with the first erase */
    uint32_t base_off,
        base_cap; /* where the running image lies, for deltas; base_cap 0: not to be read there */
    /* flash offset of MOLT_LOG_LEN bytes for the progress log, a multiple of MOLT_SECTOR, apart from
     * [off, off + cap) and from what runs; 0: no sector is free */
    uint32_t scratch_off;
    /* set by the engine: SHA-256 that the maker signed for the stored file, and that it was read back
     * with; NULL: none. Borrowed until commit_step is done */
    const uint8_t *signed_digest;
};

/* What the last boot chose and how it stands. */
struct molt_boot_state {
    uint8_t running_slot;
    bool on_trial;          /* the running image must be confirmed, or the next reset goes back */
    bool trial_unprotected; /* the running image is new, but the bootloader has no rollback
                               (MOLT_NO_BOOT_ROLLBACK) */
    bool can_roll_back;     /* another slot holds an image that the boot stage would go back to, by its record
                               and headers; reject_step verifies all of it before it changes anything */
    uint8_t refused; /* why the boot stage did not begin with what was committed last: MOLT_DIGEST_MISMATCH or
                               MOLT_BAD_PACK; 0: it did */
    bool has_failed; /* the other slot's image was rolled back or rejected and is still there, with
                               its SHA-256 appended */
    uint8_t failed_digest[MOLT_SHA256_LEN]; /* its identity (image.h), when has_failed */
};

struct molt_slots; /* the common head of every backend; backends embed it as their first member */

struct molt_slots_ops {
    const struct molt_image_format *format; /* of the images that the boot stage starts */
    /* Where a file of file_len bytes (image_len decoded, 0 when unknown) may go. Reads flash, writes none.
     * Returns 0; -MOLT_NO_SPACE, -MOLT_NO_SLOT, -MOLT_TRIAL_PENDING, -MOLT_BAD_PARTITIONS,
     * -MOLT_BOOT_STRAP, -MOLT_FLASH_READ, -MOLT_FS_IN_PLACE (fs_slots.h). */
    int (*target)(struct molt_slots *slots, uint32_t file_len, uint32_t image_len,
                  enum molt_encoding encoding, struct molt_target *target);
    /* Makes the next boot run what was stored at target. The caller has verified it (read back).
     * Steps; MOLT_DONE when the switch is durable. -MOLT_FLASH_*, -MOLT_ARG. */
    int (*commit_step)(struct molt_slots *slots, const struct molt_target *target, uint32_t stored_len);
    /* Marks the running image as good for ever. Steps. MOLT_DONE at once when it is not on trial. */
    int (*confirm_step)(struct molt_slots *slots);
    /* Marks the running image as bad, so that the next boot runs the other. Steps. -MOLT_NO_ROLLBACK when
     * there is none (nothing was changed). */
    int (*reject_step)(struct molt_slots *slots);
    /* Reads how the last boot stands. No writes. */
    int (*state)(struct molt_slots *slots, struct molt_boot_state *state);
    /* The running image's identity (struct molt_image_info digest) read from flash. Steps: hashing a
     * sector at a time where the backend has to. hash: the caller's memory for that, the same at every step.
     * -MOLT_FLASH_READ, -MOLT_BAD_SEGMENT. */
    int (*identity_step)(struct molt_slots *slots, struct molt_hash *hash, uint8_t digest[MOLT_SHA256_LEN]);
    /* Largest file that target() would accept now, bytes; 0 when none. */
    uint32_t (*room)(struct molt_slots *slots);
    /* What is no image (format is molt_image_plain): does a file of file_len bytes that begins like this belong there? 0, or a
     * refusal; NULL where images go. */
    int (*look)(const uint8_t *head, uint32_t head_len, uint32_t file_len);
};

struct molt_slots {
    const struct molt_slots_ops *ops;
    /* the boot stage exchanges two images (molt-boot): a new one may be larger than half of the place */
    bool exchanges;
    const struct molt_flash *flash;
    const struct molt_hash_ops *hash;
    int port_err; /* what the flash callback behind the last -MOLT_FLASH_* returned */
};

#ifdef __cplusplus
}
#endif
#endif
