/* decide_pack.c - is there a pack that is smaller than what was chosen, and is it worth a wait? A delta is about a fiftieth
 * of an image and takes seconds to make, and devices ask once an hour or so: those that come first wait for it. A pack
 * of the whole image saves a tenth: nobody waits for that. Must never offer a pack to a device that could not hold
 * the image itself, but for one that is written over what runs. Tests: test/unit/decide_pack_test.c. */
#include "decide_parts.h"

#include <string.h>

#include "../rollouts/rollout_table.h"

#define AGAIN_S   30u
#define SECTOR    4096u
#define RING_LEN  65536u /* device/src/inplace/inplace.h: the old content of what is being overwritten */
#define WORTH_LEN 65536u /* bytes: less than that is sent in the time that a device needs to ask again */

/* The pack is unpacked while it is stored, so what counts is the room for the image. */
static bool can_hold(const struct decide_case *c, const struct model_image *image)
{
    if (c->chip != MOLT_CHIP_ESP8266) return true; /* decide_artifact() looked at the slot */
    if (c->fs_start == 0 || c->sketch_size == 0) return false;
    return decide_esp8266_can_stage(c, image, image->raw.len);
}

static const struct pack_entry *look_up(const struct decide_case *c, enum packs_kind kind,
                                        const struct model_image *base, const struct model_image *image,
                                        struct pack_key *key)
{
    memset(key, 0, sizeof *key);
    key->kind = kind;
    if (base != NULL) memcpy(key->base, base->raw.sha256, sizeof key->base);
    memcpy(key->image, image->raw.sha256, sizeof key->image);
    return pack_table_find(c->ask->packs, key);
}

static void take_smaller(struct decision *out, const struct pack_entry *entry)
{
    if (entry == NULL || entry->state != PACK_READY || entry->file.len >= out->artifact->len) return;
    out->artifact = &entry->file;
    out->encoding = MOLT_PACK;
}

/* The image that the device runs, when it was published; a delta needs its bytes. */
static const struct model_image *base_of(const struct decide_case *c, const struct model_image *image)
{
    if (!c->device->has_digest) return NULL;
    const struct model_image *base =
        rules_image_by_digest(c->rules, c->device->product_id, c->device->digest);
    return base != NULL && base->chip == image->chip && base->component == MODEL_APP &&
                   base->sealed_count == 0
               ? base
               : NULL;
}

/* The delta that this device unpacks. */
static enum packs_kind delta_kind(const struct decide_case *c)
{
    const uint32_t can = c->device->can;
    if (c->chip == MOLT_CHIP_ESP8266 && (can & MOLT_CAN_EXCHANGE) != 0)
        return (can & MOLT_CAN_SMALL) != 0 ? PACKS_SMALL_BODY : PACKS_BODY;
    return (can & MOLT_CAN_SMALL) != 0 ? PACKS_SMALL : PACKS_DELTA;
}

int decide_pack(const struct decide_case *c, const struct model_image *image, struct decision *out)
{
    const struct model_device *device = c->device;
    struct pack_key key;
    if (!c->ask->molt || c->ask->packs == NULL || image->component != MODEL_APP) return 0;
    if (!(device->can & MOLT_CAN_PACK) || device->gz_refused || !can_hold(c, image)) return 0;

    const bool small = (device->can & MOLT_CAN_SMALL) != 0; /* deltas only */
    const struct model_image *base = base_of(c, image);
    const struct pack_entry *whole = look_up(c, PACKS_WHOLE, NULL, image, &key);
    const struct pack_key whole_key = key;
    const struct pack_entry *delta = base != NULL ? look_up(c, delta_kind(c), base, image, &key) : NULL;
    take_smaller(out, delta);
    if (!small) take_smaller(out, whole);
    if (base != NULL && delta == NULL && !pack_table_is_full(c->ask->packs)) {
        out->wanted_pack = key;
    } else if (base == NULL || (delta != NULL && delta->state == PACK_USELESS)) {
        if (whole == NULL && !small) out->wanted_pack = whole_key;
        return 0;
    }
    bool coming = out->wanted_pack.kind != 0 || (delta != NULL && delta->state == PACK_COMING);
    if (!coming || out->artifact->len < WORTH_LEN) return 0;
    out->again_s = AGAIN_S;
    return MOLT_PACK_COMING;
}

/* ---- over the running image ---- */

static uint32_t whole_sectors(uint32_t len)
{
    return (len + SECTOR - 1) / SECTOR * SECTOR;
}

/* Bytes for the pack: below the ring, above either image (device/src/slots/in_place.c, place). */
static uint32_t room_in_place(const struct decide_case *c, const struct model_image *image)
{
    uint32_t len = image->raw.len > c->sketch_size ? image->raw.len : c->sketch_size;
    uint32_t used = whole_sectors(len) + RING_LEN;
    return used < c->stage_end ? c->stage_end - used : 0;
}

/* It cannot be undone, so another device must have shown that the release is good, or somebody say that it is to be. */
static bool is_proven(const struct decide_case *c, const struct decision *out)
{
    struct rollout_counts counts = {0};
    if (c->device->pinned_code != 0) return true;
    if (out->rollout != NULL) rollout_table_read(rules_counts(c->rules), out->rollout->id, &counts);
    return counts.succeeded > 0;
}

int decide_in_place(const struct decide_case *c, const struct model_image *image, struct decision *out)
{
    const uint32_t all = MOLT_CAN_IN_PLACE | MOLT_CAN_EXCHANGE | MOLT_CAN_SIGNED;
    const struct model_device *device = c->device;
    struct pack_key key;
    if (!c->ask->molt || c->ask->packs == NULL || (device->can & all) != all || device->gz_refused)
        return MOLT_TOO_LARGE;
    const struct model_image *base = base_of(c, image);
    if (base == NULL || image->manifest.len == 0 || room_in_place(c, image) < SECTOR) return MOLT_TOO_LARGE;
    const struct pack_entry *entry = look_up(c, PACKS_IN_PLACE, base, image, &key);
    const enum packs_state state = entry != NULL ? entry->state : PACK_ABSENT;
    if (state == PACK_USELESS || (state == PACK_READY && entry->file.len > room_in_place(c, image)))
        return MOLT_TOO_LARGE;
    if (!is_proven(c, out))
        return decide_say(out, MOLT_NO_WAY_BACK, "needs %u + %u of %u bytes", image->raw.len, c->sketch_size,
                          c->stage_end);
    if (state == PACK_READY) {
        out->artifact = &entry->file;
        out->encoding = MOLT_IN_PLACE;
        return 0;
    }
    if (state == PACK_ABSENT && !pack_table_is_full(c->ask->packs)) out->wanted_pack = key;
    out->again_s = AGAIN_S;
    return MOLT_PACK_COMING;
}
