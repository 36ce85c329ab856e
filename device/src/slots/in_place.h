/* in_place.h - an update for an ESP8266 whose flash has no room for two images: libmolt stages a delta that was made for
 * this (../inplace/inplace.h), and the second stage of molt-boot, which comes from the running firmware, writes it over
 * the sketch. There is no way back.
 *
 *     molt_in_place_slots_begin(&in_place, &boot);     // boot.second: the one that installs (doc/boot.md)
 *     config.in_place = &in_place;                     // agent.h; config.slots stays &boot.slots
 *
 * Only what the maker signed is taken so: the second stage decodes the whole pack and compares the SHA-256 with the signed
 * one before it writes anything. Firmware that names this links it, and no other does. In flash, from below:
 *
 *     running sketch | ... | pack | ring (64 KB) | second stage | what libmolt and molt-boot keep
 *
 * Tests: test/unit/in_place_test.c, test/powercut/in_place_test.c, test/e2e/in_place_test.sh. */
#ifndef MOLT_IN_PLACE_SLOTS_H
#define MOLT_IN_PLACE_SLOTS_H

#include "../update/update.h"
#include "molt_boot.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Caller-allocated, private. */
struct molt_in_place_slots {
    struct molt_slots slots;
    struct molt_boot_slots *boot;
    /* Makes the job of a pack one of these slots: of an image of job->image_len bytes with job->signed_digest, over that with
     * the identity job->running_digest. 0; -MOLT_MANIFEST_MISSING (not signed), -MOLT_PACK_BASE (what runs is not known). */
    int (*bind)(struct molt_in_place_slots *in_place, struct molt_job *job);
    uint32_t image_len;
    const uint8_t *signed_digest, *image_digest, *running_digest;
};

/* boot was begun and has its second stage; it outlives in_place. Touches nothing else. */
void molt_in_place_slots_begin(struct molt_in_place_slots *in_place, struct molt_boot_slots *boot);

#ifdef __cplusplus
}
#endif
#endif
