/* rules_index.h - the look-up tables of a snapshot and its reader counts; for rules*.c only. */
#ifndef MOLT_SERVER_RULES_INDEX_H
#define MOLT_SERVER_RULES_INDEX_H

#include <stdatomic.h>

#include "rules.h"

#define RULES_SHARDS 16 /* threads that take references without meeting each other */

struct product_entry {
    int64_t id; /* of the product: a search looks at nothing else */
    const struct model_product *product;
    uint32_t chips; /* bit 1 << enum molt_chip: it has images for the chip */
    enum molt_chip single_esp32;
    uint32_t first_channel, channel_count; /* of rules_index.channels */
};

struct channel_entry { /* the releases of one product in one channel */
    const char *name;
    uint32_t first, count; /* of data.releases */
};

struct image_entry { /* sorted by hash, product, falling code */
    uint8_t hash[32];
    const struct model_image *image;
    const struct model_release *release;
};

struct reader_count { /* each on its own cache line, guarded by the holder's shard of the same number */
    uint32_t readers;
    char apart[60];
};

struct rules_index {
    struct product_entry *by_id;
    struct channel_entry *channels;
    const struct model_product **by_name;
    const struct model_release **releases_by_id;
    struct image_entry *by_digest, *by_md5;
    size_t product_count, digest_count, md5_count;
    struct rollout_plan *plans;          /* as data.rollouts: by release, then id */
    const struct rollout_plan **plan_of; /* as data.releases; NULL: it has none */
    const struct model_rollout **rollouts_by_id;
    const struct rollout_table *table;
    bool shared;
    uint32_t plan_count;
    const struct model_product *adopters[MOLT_CHIP_MAX + 1];
    const struct model_product *esp32_adopter;
    /* ---- rules_holder.c ---- */
    uint32_t generation; /* of the holder, from 1; 0: in none */
    struct reader_count counts[RULES_SHARDS];
    atomic_uint shards_left; /* shards that still hold the snapshot */
};

/* ---- rules_rollouts.c ---- */
int rules_compare_rollouts(const void *a, const void *b);
/* Compiles what data->rollouts holds, which stays where it is. False when memory is short. */
bool rules_plan(struct rules_index *index, const struct store_rules *data);
/* Once the releases are where they stay. */
void rules_plan_releases(struct rules *rules);

#endif
