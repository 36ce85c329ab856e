/* fs_slots.h - the file system (LittleFS, SPIFFS, FAT) as a second component, behind the same face as the application's
 * slots. Pass &x.slots to the engine: it takes a LittleFS, SPIFFS or FAT image by its first page, in place of the image
 * check; its identity is the SHA-256 of all its bytes.
 *
 *     molt_fs_slots_begin(&fs, app_slots, off, len);      // of the file system's place in flash
 *
 * Where the application's slots have room for the whole image it is *staged* there, read back, and then copied over the
 * file system sector by sector: until the copy begins the old content is whole, and a copy that was cut goes on from the
 * staged image without a network. Where there is no room it is written *in place* (molt_target.in_place): the old content
 * is lost with the first erase, which is done only when may_overwrite allows it, and what a cut leaves is completed from
 * the server.
 *
 * Staging takes the place of the image that the device would go back to, as an update of the application does.
 * The file system must not be mounted while any of this writes to it. Tests: test/unit/agent_fs_test.c,
 * test/powercut/fs_test.c. */
#ifndef MOLT_FS_SLOTS_H
#define MOLT_FS_SLOTS_H

#include "../log/log.h"
#include "slots.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_FS_PIECE 512u /* bytes copied at once; a multiple of every write unit */

/* Caller-allocated. */
struct molt_fs_slots {
    struct molt_slots slots;
    uint32_t off, len; /* of the file system, bytes */
    /* round is kept where a power cut does not reach it (keep.h): a copy that was cut goes on; false: it
     * begins again */
    bool can_resume;
    uint8_t round;      /* another one for each copy that begins */
    bool may_overwrite; /* it may be written in place, where the old content is lost at once; else target() is
                           -MOLT_FS_IN_PLACE when it cannot be staged */
    /* ---- private ---- */
    struct molt_slots *app;
    struct molt_log log;
    struct molt_log_record found;
    struct molt_target staged;
    struct molt_hash hash;
    uint32_t copied, checked, hashed;
    uint8_t phase;
    uint8_t piece[MOLT_FS_PIECE];
};

/* app: where images are staged; it and what it uses must outlive fs. off, len: multiples of MOLT_SECTOR, apart from the
 * application's slots; on an ESP32 partitions.fs_off and fs_len, on an ESP8266 what lies between _FS_start and _FS_end.
 * 0, or -MOLT_ARG. */
int molt_fs_slots_begin(struct molt_fs_slots *fs, struct molt_slots *app, uint32_t off, uint32_t len);

/* After a restart in the middle of a copy: is the staged image of len bytes still whole? Steps: MOLT_MORE; MOLT_DONE:
 * go on with molt_fs_copy_step(); -MOLT_NOT_FOUND: it is not there, the server has to send it again; what the
 * application's target() says. Changes nothing in flash. */
int molt_fs_find_step(struct molt_fs_slots *fs, uint32_t len, const uint8_t digest[MOLT_SHA256_LEN]);

/* Copies what was found. Steps, each at most one flash operation: MOLT_MORE, MOLT_DONE (the file system is what was
 * staged, read back), -MOLT_FLASH_*. */
int molt_fs_copy_step(struct molt_fs_slots *fs, uint32_t len);

#ifdef __cplusplus
}
#endif
#endif
