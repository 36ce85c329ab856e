/* devices_census.c - counts the devices in memory by what they have in common, and finds those that a filter means: a look at
 * one cache line of each row (two, when labels are asked for), then one at each state and each word.
 * Must never hold more than one shard, nor a state's or a word's bytes without a reference. Tests: test/unit/devices_census_test.c. */
#include "devices_parts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIRST_PLACES 1024u
#define WORDS_MAX    65536u /* places for words: what is each device's own is looked at each time */
#define AHEAD        16u    /* rows brought into the cache before their turn: they lie in no order */

struct place {
    uint32_t state; /* 0: free */
    uint8_t verdict;
    uint64_t answers; /* of the filter's tests, for such a device without labels */
    struct census_alike alike;
};

struct word {
    uint32_t ref; /* 0: free */
    struct filter_word says;
};

/* States and words by their references, two open tables, and who is wanted. */
struct census {
    struct devices *devices;
    const struct census_wish *wish; /* NULL: all */
    struct filter_asks asks;
    bool labels;
    struct place *places;
    uint32_t mask, used;
    struct word *words;
    uint32_t words_mask, words_used;
    struct model_device own; /* of the row that is looked at: what is asked for of its own */
};

/* ---- states ---- */

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

static void judge(struct census *census, struct place *place)
{
    const struct census_wish *wish = census->wish;
    struct model_device common;
    const char *product = "";
    if (wish == NULL) return;
    device_row_common(&census->devices->pools, place->state, &common);
    place->verdict = (uint8_t)wish->look(wish->ctx, &common, &product);
    const struct filter_subject subject = {&common, product, wish->now_ms};
    if (place->verdict != CENSUS_NONE) place->answers = filter_test(wish->filter, &subject, census->asks.all);
}

/* NULL: memory is short. */
static struct place *place_of(struct census *census, uint32_t state)
{
    struct place *place = find(census->places, census->mask, state);
    if (place->state != 0) return place;
    if (census->used >= census->mask / 2) {
        if (!grow(census)) return NULL;
        place = find(census->places, census->mask, state);
    }
    place->state = state;
    census->used++;
    intern_hold(census->devices->pools.states, state);
    judge(census, place);
    return place;
}

/* ---- words ---- */

static struct word *find_word(struct word *words, uint32_t mask, uint32_t ref)
{
    uint32_t at = ref * 2654435761u & mask;
    while (words[at].ref != 0 && words[at].ref != ref)
        at = (at + 1) & mask;
    return &words[at];
}

static void grow_words(struct census *census)
{
    const uint32_t mask = census->words != NULL ? 2 * census->words_mask + 1 : FIRST_PLACES - 1;
    struct word *words = mask < WORDS_MAX ? calloc((size_t)mask + 1, sizeof *words) : NULL;
    if (words == NULL) return;
    for (uint32_t i = 0; census->words != NULL && i <= census->words_mask; i++)
        if (census->words[i].ref != 0) *find_word(words, mask, census->words[i].ref) = census->words[i];
    free(census->words);
    census->words = words;
    census->words_mask = mask;
}

static void read_word(const struct census *census, uint32_t ref, struct filter_word *out)
{
    char text[MODEL_TAGS_LEN + MODEL_ATTRIBUTES_LEN];
    size_t len;
    const void *bytes = intern_get(census->devices->pools.words, ref, &len);
    if (len >= sizeof text) len = sizeof text - 1; /* no text is that long */
    memcpy(text, bytes, len);
    text[len] = '\0';
    filter_word(census->wish->filter, text, out);
}

/* What a word says that is not at its place of the table: from elsewhere in it, or anew; into *here when there is no room. */
static const struct filter_word *seek_word(struct census *census, uint32_t ref, struct filter_word *here)
{
    if (census->words == NULL || census->words_used >= census->words_mask / 2) grow_words(census);
    struct word *word = census->words != NULL ? find_word(census->words, census->words_mask, ref) : NULL;
    if (word != NULL && word->ref == ref) return &word->says;
    if (word == NULL || census->words_used >= census->words_mask / 2) {
        read_word(census, ref, here);
        return here;
    }
    read_word(census, ref, &word->says);
    word->ref = ref;
    census->words_used++;
    intern_hold(census->devices->pools.words, ref);
    return &word->says;
}

/* Eight million times in a million devices. */
static inline const struct filter_word *word_of(struct census *census, uint32_t ref, struct filter_word *here)
{
    const struct word *word =
        census->words != NULL ? &census->words[ref * 2654435761u & census->words_mask] : NULL;
    return word != NULL && word->ref == ref ? &word->says : seek_word(census, ref, here);
}

/* ---- one row ---- */

static uint64_t ask_labels(struct census *census, const struct device_row *row, uint64_t answers)
{
    struct filter_word here;
    size_t count, tag_count;
    uint64_t turned = 0, named = 0, holds = 0;
    const uint32_t *refs = device_row_labels(&census->devices->pools, row, &count, &tag_count);
    const size_t from = census->asks.tags != 0 ? 0 : tag_count;
    const size_t to = census->asks.attributes != 0 ? count : tag_count;
    for (size_t i = from; i < to; i++) {
        const struct filter_word *word = word_of(census, refs[i], &here);
        if (i < tag_count) {
            turned |= word->tag;
        } else { /* of several attributes of a name the first counts */
            holds |= word->holds & ~named;
            named |= word->named;
        }
    }
    return ((answers ^ turned) & ~named) | holds;
}

static bool has_part(const char *text, const char *part, size_t len)
{
    const char first =
        (char)(*part | 0x20); /* tells small letters from others, not '.' from others like it */
    for (; *text != '\0'; text++)
        if ((*text | 0x20) == first && strncasecmp(text, part, len) == 0) return true;
    return false;
}

/* What is asked for of the row itself. */
static void read_own(struct census *census, const struct device_row *row, bool part)
{
    const struct device_pools *pools = &census->devices->pools;
    struct model_device *own = &census->own;
    own->last_seen_ms = row->last_seen_ms;
    if (census->asks.times != 0) own->first_seen_ms = row->first_seen_ms;
    if (census->asks.id != 0 || part) device_row_id(pools, row, own->id);
    if (census->asks.address == 0 && !part) return;
    memset(own->address, 0, sizeof own->address);
    device_row_address(pools, row, own->address, sizeof own->address);
}

static bool is_meant(struct census *census, const struct device_row *row, const struct place *place)
{
    const struct census_wish *wish = census->wish;
    const struct filter_asks *asks = &census->asks;
    const uint64_t own = asks->id | asks->address | asks->times;
    const bool part = place->verdict == CENSUS_PART;
    uint64_t answers = place->answers;
    if (place->verdict == CENSUS_NONE) return false;
    if (census->labels) answers = ask_labels(census, row, answers);
    if (own != 0 || part) read_own(census, row, part);
    if (own != 0) {
        const struct filter_subject subject = {&census->own, "", wish->now_ms};
        answers = (answers & ~own) | filter_test(wish->filter, &subject, own);
    }
    if (!filter_decide(wish->filter, answers)) return false;
    const size_t len = part ? strlen(wish->part) : 0;
    return !part || has_part(census->own.id, wish->part, len) ||
           has_part(census->own.address, wish->part, len);
}

/* ---- all rows ---- */

typedef bool (*census_each)(void *ctx, const struct device_row *row, struct place *place);

static bool each_of_shard(struct census *census, const struct shard *shard, census_each each, void *ctx)
{
    const struct index *index = &shard->index;
    for (uint32_t at = 0; at <= index->mask; at++) {
        const uint32_t ref = index->entries[at].ref, next = index->entries[(at + AHEAD) & index->mask].ref;
        if (next != 0) {
            const char *ahead = (const char *)devices_row(shard, next);
            __builtin_prefetch(ahead);
            if (census->wish != NULL) __builtin_prefetch(ahead + sizeof(struct device_row) / 2);
        }
        if (ref == 0) continue;
        const struct device_row *row = devices_row(shard, ref);
        struct place *place = place_of(census, row->state);
        if (place == NULL) return false;
        if ((census->wish == NULL || is_meant(census, row, place)) && !each(ctx, row, place)) return false;
    }
    return true;
}

/* False: memory is short. */
static bool each_row(struct census *census, census_each each, void *ctx)
{
    if (census->wish != NULL) filter_asks(census->wish->filter, &census->asks);
    census->labels = (census->asks.tags | census->asks.attributes) != 0;
    bool ok = grow(census);
    for (int i = 0; i < DEVICES_SHARDS && ok; i++) {
        struct shard *shard = &census->devices->shards[i];
        pthread_mutex_lock(&shard->lock);
        ok = each_of_shard(census, shard, each, ctx);
        pthread_mutex_unlock(&shard->lock);
    }
    return ok;
}

static void let_go(struct census *census)
{
    for (uint32_t i = 0; census->places != NULL && i <= census->mask; i++)
        intern_drop(census->devices->pools.states, census->places[i].state);
    for (uint32_t i = 0; census->words != NULL && i <= census->words_mask; i++)
        intern_drop(census->devices->pools.words, census->words[i].ref);
    free(census->places);
    free(census->words);
}

/* ---- counting ---- */

static bool count_one(void *ctx, const struct device_row *row, struct place *place)
{
    census_add(&place->alike, ctx, row->last_seen_ms, row->last_reason_ms);
    return true;
}

int devices_census_of(struct devices *devices, const struct census_wish *wish, const struct census_ages *ages,
                      census_row row, void *ctx)
{
    struct census census = {.devices = devices, .wish = wish};
    struct census_ages copy = *ages;
    bool ok = each_row(&census, count_one, &copy), more = true;
    for (uint32_t i = 0; ok && more && i <= census.mask; i++) {
        const struct place *place = &census.places[i];
        struct model_device device;
        if (place->state == 0 || place->alike.count == 0) continue;
        device_row_common(&devices->pools, place->state, &device);
        more = row(ctx, &device, &place->alike) == 0;
    }
    let_go(&census);
    return ok ? 0 : -MOLT_NO_MEMORY;
}

int devices_census(struct devices *devices, const struct census_ages *ages, census_row row, void *ctx)
{
    return devices_census_of(devices, NULL, ages, row, ctx);
}

/* ---- finding: a list of the smallest ids so far, in order ---- */

struct first_ids {
    const struct devices *devices;
    const char *after;
    char (*ids)[MODEL_ID_LEN];
    uint32_t count, cap;
};

static bool take_id(void *ctx, const struct device_row *row, struct place *place)
{
    struct first_ids *first = ctx;
    char id[MODEL_ID_LEN];
    (void)place;
    device_row_id(&first->devices->pools, row, id);
    if (first->count == first->cap && strcmp(id, first->ids[first->cap - 1]) > 0) return true;
    if (strcmp(id, first->after) <= 0) return true;
    uint32_t low = 0, high = first->count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (strcmp(first->ids[middle], id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (first->count < first->cap) first->count++;
    memmove(first->ids + low + 1, first->ids + low, (first->count - 1 - low) * sizeof *first->ids);
    memcpy(first->ids[low], id, sizeof id);
    return true;
}

int devices_find_ids(struct devices *devices, const struct census_wish *wish, const char *after,
                     char (*ids)[MODEL_ID_LEN], uint32_t cap)
{
    struct census census = {.devices = devices, .wish = wish};
    struct first_ids first = {devices, after, ids, 0, cap};
    bool ok = cap == 0 || each_row(&census, take_id, &first);
    let_go(&census);
    return ok ? (int)first.count : -MOLT_NO_MEMORY;
}
