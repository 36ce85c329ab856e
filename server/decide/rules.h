/* rules.h - what decisions are made over: an immutable snapshot of products and releases, swapped whole.
 * Readers take a reference, use it for one request and give it back; a change makes a new snapshot. */
#ifndef MOLT_SERVER_RULES_H
#define MOLT_SERVER_RULES_H

#include "../rollouts/rollout_table.h"
#include "host/store/store.h"

struct rules {
    struct store_rules data; /* owned */
    /* ---- look-up tables, private to rules*.c ---- */
    struct rules_index *index;
};

/* Builds a snapshot from what the store loaded (takes ownership of *data). NULL when memory is short. */
struct rules *rules_build(struct store_rules *data);
void rules_destroy(struct rules *rules);

const struct model_product *rules_product(const struct rules *rules, int64_t product_id);
const struct model_product *rules_product_named(const struct rules *rules, const char *name);
/* The product that unknown devices of the chip get, or NULL (none adopts, or another product has images for it). */
const struct model_product *rules_adopter(const struct rules *rules, enum molt_chip chip);
/* The product that devices of the ESP32 family get which do not say their chip, or NULL: all ESP32-family images that
 * there are must be of one chip and of one product, which adopts it. */
const struct model_product *rules_esp32_adopter(const struct rules *rules);
const struct model_release *rules_release(const struct rules *rules, int64_t release_id);
/* All releases of the product in the channel, yanked ones too, code falling: *count of them from the answer on. */
const struct model_release *rules_channel(const struct rules *rules, int64_t product_id, const char *channel,
                                          uint32_t *count);
/* The release of that code, in the channel if it is there, else in any of the product's; NULL when there is none. */
const struct model_release *rules_release_by_code(const struct rules *rules, int64_t product_id,
                                                  const char *channel, uint32_t code);
/* What a sketch's MD5 says of it and of the boot stage below it. */
enum rules_md5 {
    RULES_MD5_OTHER, /* it is another image */
    RULES_MD5_STOCK, /* the image, with the boot stage that it came with */
    RULES_MD5_BOOT,  /* the image, and sector 0 holds molt-boot */
};
enum rules_md5 rules_md5_kind(const struct model_image *image, const uint8_t md5[16]);
/* True when the image has molt-boot in its first sector: there is no .gz of it for stock sketches (host/publish.h). */
bool rules_brings_molt_boot(const struct model_image *image);
/* The image with that identity, or with that MD5 among its variants, of the product (0: of any); NULL when none. */
const struct model_image *rules_image_by_digest(const struct rules *rules, int64_t product_id,
                                                const uint8_t digest[32]);
const struct model_image *rules_image_by_md5(const struct rules *rules, int64_t product_id,
                                             const uint8_t md5[16]);
/* The one chip of all ESP32-family images of the product, or MOLT_CHIP_UNKNOWN when they are of several or none. */
enum molt_chip rules_single_esp32_chip(const struct rules *rules, int64_t product_id);
/* Has the product images, and are all of them for that chip? */
bool rules_only(const struct rules *rules, int64_t product_id, enum molt_chip chip);

/* ---- rollouts ---- */
/* The rollout that counts for the release: its last one; NULL when it has none. */
const struct rollout_plan *rules_rollout_of(const struct rules *rules, int64_t release_id);
/* The same by the release itself, without a search when it is one of the snapshot. */
const struct rollout_plan *rules_rollout_for(const struct rules *rules, const struct model_release *release);
const struct model_rollout *rules_rollout(const struct rules *rules, int64_t rollout_id);
/* Where the decision finds how many devices are at it; before the snapshot is shared. NULL: everywhere none. */
void rules_count_by(struct rules *rules, const struct rollout_table *table);
const struct rollout_table *rules_counts(const struct rules *rules);

/* ---- several servers on one store ---- */
/* What a server that is not the only one adds to its rules. */
struct rules_guard {
    bool (*behind)(
        void *ctx); /* it hears nothing of the others: nothing may be offered. Any thread, at any time */
    void *ctx;
};
/* Before the snapshot is shared: other servers have the same rules and devices, and a device may ask any of them. */
void rules_share(struct rules *rules);
bool rules_shared(const struct rules *rules);

/* ---- the current snapshot, shared between threads ----
 * A reference is given back by the thread that took it. Taking one is an uncontended lock of the thread's own shard. */
struct rules_holder;
struct rules_holder *rules_holder_new(struct rules *first);
void rules_holder_free(struct rules_holder *holder);
const struct rules *rules_acquire(struct rules_holder *holder); /* give back with rules_release_ref() */
void rules_release_ref(struct rules_holder *holder, const struct rules *rules);
/* Which of the holder's snapshots it is, counted from 1; UINT32_MAX for all that come when numbers are used up. */
uint32_t rules_generation(const struct rules *rules);
void rules_swap(struct rules_holder *holder,
                struct rules *next); /* frees the old one when its last reader left */

#endif
