/* world.h - products, releases and images made up for tests of the server's brain, turned into a rules snapshot. */
#ifndef MOLT_TEST_WORLD_H
#define MOLT_TEST_WORLD_H

#include "server/decide/rules.h"

#define WORLD_PRODUCTS 8
#define WORLD_RELEASES 64
#define WORLD_IMAGES   4
#define WORLD_ROLLOUTS 16

struct world {
    struct model_product products[WORLD_PRODUCTS];
    struct model_release releases[WORLD_RELEASES];
    struct model_image images[WORLD_RELEASES][WORLD_IMAGES];
    uint8_t variants[WORLD_RELEASES][WORLD_IMAGES][2][16]; /* two MD5 variants for each image */
    struct model_rollout rollouts[WORLD_ROLLOUTS];
    uint32_t product_count, release_count, rollout_count, next_hash;
};

/* Ids count from 1 in the order of making. adopt_chips: as model_product. */
int64_t world_product(struct world *world, const char *name, uint32_t adopt_chips);
/* Channel "stable", version = the code in digits. Changes are allowed until world_rules(). */
struct model_release *world_release(struct world *world, int64_t product_id, uint32_t code);
/* Added to the release last made; app, any variant; every digest and MD5 is different. */
struct model_image *world_image(struct world *world, enum molt_chip chip, uint32_t raw_len);
/* Running, of one phase of 100 percent, without rules. */
struct model_rollout *world_rollout(struct world *world, int64_t release_id);
/* Gives a made-up artifact of len bytes its own digests. */
void world_artifact(struct world *world, struct model_artifact *artifact, uint32_t len);
/* A deep copy as a snapshot; destroy with rules_destroy(). */
struct rules *world_rules(const struct world *world);

#endif
