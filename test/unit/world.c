/* world.c - see world.h. Must hand every piece to the rules as the store would: each array from malloc(). */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(bool truth)
{
    if (!truth) abort();
}

static void fill_hash(struct world *world, uint8_t *hash, size_t len)
{
    uint32_t x = ++world->next_hash * 2654435761u;
    for (size_t i = 0; i < len; i++, x = x * 1664525u + 1013904223u)
        hash[i] = (uint8_t)(x >> 24);
}

int64_t world_product(struct world *world, const char *name, uint32_t adopt_chips)
{
    require(world->product_count < WORLD_PRODUCTS);
    struct model_product *product = &world->products[world->product_count++];
    product->id = world->product_count;
    snprintf(product->name, sizeof product->name, "%s", name);
    product->adopt_chips = adopt_chips;
    return product->id;
}

struct model_release *world_release(struct world *world, int64_t product_id, uint32_t code)
{
    require(world->release_count < WORLD_RELEASES);
    struct model_release *release = &world->releases[world->release_count++];
    release->id = world->release_count;
    release->product_id = product_id;
    release->code = code;
    snprintf(release->version, sizeof release->version, "%u", (unsigned)code);
    snprintf(release->channel, sizeof release->channel, "%s", MODEL_CHANNEL_DEFAULT);
    return release;
}

void world_artifact(struct world *world, struct model_artifact *artifact, uint32_t len)
{
    artifact->len = len;
    fill_hash(world, artifact->sha256, sizeof artifact->sha256);
    fill_hash(world, artifact->md5, sizeof artifact->md5);
}

struct model_image *world_image(struct world *world, enum molt_chip chip, uint32_t raw_len)
{
    struct model_release *release = &world->releases[world->release_count - 1];
    require(release->image_count < WORLD_IMAGES);
    uint32_t r = world->release_count - 1, i = release->image_count++;
    struct model_image *image = &world->images[r][i];
    image->id = (int64_t)r * WORLD_IMAGES + i + 1;
    image->release_id = release->id;
    image->chip = chip;
    image->max_revision = 0xFFFF;
    fill_hash(world, image->digest, sizeof image->digest);
    world_artifact(world, &image->raw, raw_len);
    image->md5_variant_count = 2;
    fill_hash(world, world->variants[r][i][0], 16);
    memcpy(world->variants[r][i][1], world->variants[r][i][0], 16);
    world->variants[r][i][1][15] ^= 0xFF;
    if (memcmp(world->variants[r][i][0], world->variants[r][i][1], 16) > 0) {
        world->variants[r][i][0][15] ^= 0xFF; /* the store keeps them sorted */
        world->variants[r][i][1][15] ^= 0xFF;
    }
    return image;
}

struct model_rollout *world_rollout(struct world *world, int64_t release_id)
{
    require(world->rollout_count < WORLD_ROLLOUTS);
    struct model_rollout *rollout = &world->rollouts[world->rollout_count++];
    *rollout = (struct model_rollout){.id = world->rollout_count,
                                      .release_id = release_id,
                                      .product_id = world->releases[release_id - 1].product_id,
                                      .status = MODEL_ROLLOUT_RUNNING,
                                      .phase_count = 1};
    rollout->phases[0].percent = 10000;
    return rollout;
}

static void *copy(const void *from, size_t count, size_t size)
{
    void *to = calloc(count + 1, size);
    require(to != NULL);
    if (count > 0) memcpy(to, from, count * size);
    return to;
}

struct rules *world_rules(const struct world *world)
{
    struct store_rules data = {
        .generation = 1, .product_count = world->product_count, .release_count = world->release_count};
    data.products = copy(world->products, world->product_count, sizeof *data.products);
    data.releases = copy(world->releases, world->release_count, sizeof *data.releases);
    data.rollout_count = world->rollout_count;
    data.rollouts = copy(world->rollouts, world->rollout_count, sizeof *data.rollouts);
    for (uint32_t r = 0; r < data.release_count; r++) {
        struct model_release *release = &data.releases[r];
        release->images = copy(world->images[r], release->image_count, sizeof *release->images);
        for (uint32_t i = 0; i < release->image_count; i++) {
            struct model_image *image = &release->images[i];
            image->md5_variants = copy(world->variants[r][i], image->md5_variant_count, 16);
            if (image->sealed_count > 0)
                image->sealed = copy(image->sealed, image->sealed_count, sizeof *image->sealed);
        }
    }
    struct rules *rules = rules_build(&data);
    require(rules != NULL);
    return rules;
}
