/* devices_census.c - counts the devices in memory by what they have in common: a look at one cache line of each row, then one
 * at each state. Must never hold more than one shard, nor a state's bytes without a reference. Tests: test/unit/devices_test.c. */
#include "devices_parts.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_PLACES 1024u
#define AHEAD        16u /* rows brought into the cache before their turn: they lie in no order */

struct place {
    uint32_t state; /* 0: free */
    struct census_alike alike;
};

/* States by their references, an open table. */
struct census {
    struct place *places;
    uint32_t mask, used;
};

static struct place *find(struct place *places, uint32_t mask, uint32_t state)
{
    uint32_t at = state * 2654435761u & mask;
    while (places[at].state != 0 && places[at].state != state)
        at = (at + 1) & mask;
    return &places[at];
}

static bool grow(struct census *census)
{
    const uint32_t mask = census->places != NULL ? 2 * census->mask + 1 : FIRST_PLACES - 1;
    struct place *places = calloc((size_t)mask + 1, sizeof *places);
    if (places == NULL) return false;
    for (uint32_t i = 0; census->places != NULL && i <= census->mask; i++)
        if (census->places[i].state != 0) *find(places, mask, census->places[i].state) = census->places[i];
    free(census->places);
    census->places = places;
    census->mask = mask;
    return true;
}

/* NULL: memory is short. */
static struct place *place_of(struct devices *devices, struct census *census, uint32_t state)
{
    struct place *place = find(census->places, census->mask, state);
    if (place->state != 0) return place;
    if (census->used >= census->mask / 2) {
        if (!grow(census)) return NULL;
        place = find(census->places, census->mask, state);
    }
    place->state = state;
    census->used++;
    intern_hold(devices->pools.states, state);
    return place;
}

static bool count_shard(struct devices *devices, const struct shard *shard, const struct census_ages *ages,
                        struct census *census)
{
    const struct index *index = &shard->index;
    for (uint32_t at = 0; at <= index->mask; at++) {
        const uint32_t ref = index->entries[at].ref, next = index->entries[(at + AHEAD) & index->mask].ref;
        if (next != 0) __builtin_prefetch(devices_row(shard, next));
        if (ref == 0) continue;
        const struct device_row *row = devices_row(shard, ref);
        struct place *place = place_of(devices, census, row->state);
        if (place == NULL) return false;
        census_add(&place->alike, ages, row->last_seen_ms, row->last_reason_ms);
    }
    return true;
}

int devices_census(struct devices *devices, const struct census_ages *ages, census_row row, void *ctx)
{
    struct census census = {.places = NULL};
    bool ok = grow(&census), more = true;
    for (int i = 0; i < DEVICES_SHARDS && ok; i++) {
        struct shard *shard = &devices->shards[i];
        pthread_mutex_lock(&shard->lock);
        ok = count_shard(devices, shard, ages, &census);
        pthread_mutex_unlock(&shard->lock);
    }
    for (uint32_t i = 0; census.places != NULL && i <= census.mask; i++) {
        const struct place *place = &census.places[i];
        struct model_device device;
        if (place->state == 0) continue;
        device_row_common(&devices->pools, place->state, &device);
        if (ok && more) more = row(ctx, &device, &place->alike) == 0;
        intern_drop(devices->pools.states, place->state);
    }
    free(census.places);
    return ok ? 0 : -MOLT_NO_MEMORY;
}
