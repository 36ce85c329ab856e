/* in_place_rig.h - a virtual ESP8266 with molt-boot that takes packs made to be written over what runs: staged by libmolt's
 * engine, installed by the second stage. On top of molt_boot_rig.h. */
#ifndef MOLT_TEST_IN_PLACE_RIG_H
#define MOLT_TEST_IN_PLACE_RIG_H

#include "host/pack/pack.h"
#include "inplace/inplace.h"
#include "molt_boot_rig.h"
#include "slots/in_place.h"

static struct rig_blob pack; /* from old to new */
static uint8_t new_digest[MOLT_SHA256_LEN], old_identity[MOLT_SHA256_LEN];

static inline struct rig_blob pack_of(const struct rig_blob *base, const struct rig_blob *is, bool in_place)
{
    struct rig_blob made;
    const struct pack_job how = {.data = is->data,
                                 .len = is->len,
                                 .base = base->data,
                                 .base_len = base->len,
                                 .body_only = true,
                                 .in_place = in_place};
    assert_int_equal(pack_encode(&how, &made.data, &made.len, NULL), 0);
    return made;
}

/* Two sketches of about size bytes: the second has some of the first at other places, so that the ring is read. Only in
 * the middle, where no header of a segment is. */
static inline void make_pair(uint32_t size)
{
    old = sketch(size, 1);
    new = sketch(size + 60, 1);
    for (size_t at = size / 4; at + size / 4 < size; at++)
        new.data[at] = old.data[at < size / 2 ? at - 9000 : at + 9000];
    for (size_t at = size / 4; at + size / 4 < size; at += 2011)
        new.data[at] ^= 0x5A;
    pack = pack_of(&old, &new, true);
    sha256(new.data, new.len, new_digest);
    sha256(old.data + MOLT_SECTOR, old.len - MOLT_SECTOR, old_identity);
}

static inline int free_pair(void **state)
{
    free(pack.data);
    pack.data = NULL;
    return free_all(state);
}

/* The engine over file, from begin to its end: MOLT_READY, or a negative reason. */
static inline int stage_on(struct sim_flash *on, const struct rig_blob *file)
{
    static struct molt_update update; /* a power cut leaves it as it is */
    struct molt_boot_slots slots;
    struct molt_in_place_slots in_place;
    struct molt_job job = {.hash = &molt_bearssl_sha256,
                           .expect = {.chip = MOLT_CHIP_ESP8266, .flash_size = flash_size},
                           .encoding = MOLT_IN_PLACE,
                           .file_len = (uint32_t)file->len,
                           .image_len = (uint32_t) new.len,
                           .has_digest = true,
                           .signed_digest = signed_digest,
                           .running_digest = old_identity};
    sha256(file->data, file->len, job.digest);
    assert_int_equal(molt_boot_slots_begin(&slots, &on->port, &molt_bearssl_sha256), 0);
    slots.second = molt_boot_second_in_place(&slots.second_len);
    molt_in_place_slots_begin(&in_place, &slots);
    int rc = in_place.bind(&in_place, &job);
    if (rc == 0) rc = molt_begin(&update, &job);
    while (rc >= 0 && rc != MOLT_READY) {
        rc = molt_step(&update);
        uint32_t taken = 0;
        if (rc == MOLT_NEED_DATA)
            rc = molt_feed(&update, file->data + update.need_offset, update.need_len, &taken);
    }
    return rc;
}

#endif
