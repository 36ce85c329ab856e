/* devices_census.c - counts the devices in memory by what they have in common, and finds those that a filter means: a look at
 * one cache line of each row (two, when labels are asked for), then one at each state and each word.
 * Must never hold more than one shard, nor a state's or a word's bytes when the pools are not pinned. Tests: test/unit/devices_census_test.c. */
#include "devices_parts.h"
#include "devices_search.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_PLACES 1024u
#define AHEAD        8u /* rows brought into the cache before their turn */
_Static_assert(AHEAD <= SLAB_RUN, "at most a run ahead");

#define QUESTIONS (1u + CENSUS_ALSO) /* the wish's filter is the first */

struct place {      /* a cache line, of which there is one a state */
    uint32_t state; /* 0: free */
    uint32_t number;
    uint8_t verdict;
    uint64_t answers; /* of the filter's tests, for such a device without labels */
    struct census_alike alike;
};

/* What words say, of which there are few kinds: most say nothing. By reference, each word's kind. */
enum { KIND_NOT_READ, KIND_NOTHING, KIND_FIRST, KINDS = 255, KIND_TOO_MANY = KINDS };
struct words {
    uint8_t *kinds;
    uint32_t limit; /* words that came later are read each time */
    uint32_t used;
    struct filter_word *says; /* KINDS of them */
};

/* What comes of answers. */
#define DECIDED_BITS 5u
struct decided {
    uint64_t answers;
    bool is, passes;
};

struct question {
    const struct filter *filter;
    struct filter_asks asks;
    bool labels;
    struct words words;
    struct decided decided[1u << DECIDED_BITS];
};

struct census {
    struct devices *devices;
    const struct census_wish *wish; /* NULL: all */
    struct question questions[QUESTIONS];
    uint32_t question_count; /* 0: of all */
    struct place *places;    /* by state: an open table */
    uint32_t mask, used;
    uint64_t (*also)[CENSUS_ALSO]; /* the answers to further filters, by a place's number */
    struct search *search;         /* NULL: for nothing */
    bool both_lines;               /* of a row are asked for */
    struct model_device own;       /* of the row that is looked at: what is asked for of its own */
    struct census_cost cost;
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
    if (census->question_count > 1) {
        void *also = realloc(census->also, ((size_t)mask / 2 + 1) * sizeof *census->also);
        if (also == NULL) {
            free(places);
            return false;
        }
        census->also = also;
    }
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
    if (place->verdict == CENSUS_NONE) return;
    place->answers = filter_test(wish->filter, &subject, census->questions[0].asks.all);
    for (uint32_t i = 1; i < census->question_count; i++)
        census->also[place->number][i - 1] =
            filter_test(census->questions[i].filter, &subject, census->questions[i].asks.all);
}

/* NULL: memory is short. */
static struct place *new_place(struct census *census, uint32_t state)
{
    if (census->used >= census->mask / 2 && !grow(census)) return NULL;
    struct place *place = find(census->places, census->mask, state);
    place->state = state;
    place->number = census->used++;
    census->cost.states++;
    judge(census, place);
    return place;
}

static inline struct place *place_of(struct census *census, uint32_t state)
{
    struct place *place = find(census->places, census->mask, state);
    return place->state != 0 ? place : new_place(census, state);
}

/* ---- words ---- */

static void read_word(struct census *census, const struct question *question, uint32_t ref,
                      struct filter_word *out)
{
    char text[MODEL_TAGS_LEN + MODEL_ATTRIBUTES_LEN];
    size_t len;
    const void *bytes = intern_get(census->devices->pools.words, ref, &len);
    if (len >= sizeof text) len = sizeof text - 1; /* no text is that long */
    memcpy(text, bytes, len);
    text[len] = '\0';
    filter_word(question->filter, text, out);
    census->cost.words++;
}

static uint8_t kind_of(struct words *words, const struct filter_word *says)
{
    for (uint32_t kind = KIND_NOTHING; kind < words->used; kind++)
        if (memcmp(&words->says[kind], says, sizeof *says) == 0) return (uint8_t)kind;
    if (words->used == KINDS) return KIND_TOO_MANY;
    words->says[words->used] = *says;
    return (uint8_t)words->used++;
}

/* A word that was not read yet, or for which there is no room: then it is read into *here. */
static const struct filter_word *new_word(struct census *census, struct question *question, uint32_t ref,
                                          struct filter_word *here)
{
    struct words *words = &question->words;
    read_word(census, question, ref, here);
    if (ref >= words->limit || words->kinds[ref] == KIND_TOO_MANY) return here;
    words->kinds[ref] = kind_of(words, here);
    return here;
}

/* Eight million times in a million devices. Most words say nothing, but which of them cannot be foreseen: that is added up, too. */
static inline const struct filter_word *word_of(struct census *census, struct question *question,
                                                const struct words *words, uint32_t ref,
                                                struct filter_word *here)
{
    const unsigned kind = ref < words->limit ? words->kinds[ref] : KIND_TOO_MANY;
    return kind != KIND_NOT_READ && kind != KIND_TOO_MANY ? &words->says[kind]
                                                          : new_word(census, question, ref, here);
}

/* Memory being short, each word is read each time. */
static void begin_words(const struct census *census, struct words *words)
{
    words->used = KIND_FIRST;
    words->limit = intern_limit(census->devices->pools.words);
    words->kinds = calloc(words->limit, 1);
    words->says = calloc(KINDS, sizeof *words->says);
    if (words->kinds == NULL || words->says == NULL) words->limit = 0;
}

static void ask(struct census *census, const struct filter *filter)
{
    struct question *question = &census->questions[census->question_count++];
    question->filter = filter;
    filter_asks(filter, &question->asks);
    question->labels = (question->asks.tags | question->asks.attributes) != 0;
    if (question->labels) begin_words(census, &question->words);
}

/* ---- one row ---- */

static uint64_t ask_labels(struct census *census, struct question *question, const struct device_row *row,
                           uint64_t answers)
{
    struct filter_word here;
    size_t count = row->label_count, tag_count = row->tag_count;
    uint64_t turned = 0, named = 0, holds = 0;
    const struct words words = question->words; /* a copy, so that it stays in registers */
    const uint32_t *refs = row->labels;
    if (count == DEVICE_ROW_LIST) refs = device_row_labels(&census->devices->pools, row, &count, &tag_count);
    for (size_t i = 0; question->asks.tags != 0 && i < tag_count; i++)
        turned |= word_of(census, question, &words, refs[i], &here)->tag;
    for (size_t i = tag_count; question->asks.attributes != 0 && i < count; i++) {
        const struct filter_word *word = word_of(census, question, &words, refs[i], &here);
        holds |= word->holds & ~named; /* of several attributes of a name the first counts */
        named |= word->named;
    }
    return ((answers ^ turned) & ~named) | holds;
}

/* The answers of tests that ask for what is the row's own. */
static uint64_t ask_own(struct census *census, const struct question *question, const struct device_row *row,
                        uint64_t which)
{
    const struct device_pools *pools = &census->devices->pools;
    struct model_device *own = &census->own;
    const struct filter_subject subject = {own, "", census->wish->now_ms};
    own->last_seen_ms = row->last_seen_ms;
    own->first_seen_ms = question->asks.times != 0 ? row->first_seen_ms : 0;
    if (question->asks.id != 0 && row->long_id)
        device_row_id(pools, row, own->id);
    else
        memcpy(own->id, row->id, sizeof row->id);
    if (question->asks.address != 0) {
        memset(own->address, 0, sizeof own->address);
        device_row_address(pools, row, own->address, sizeof own->address);
    }
    census->cost.own += (question->asks.id | question->asks.address) != 0;
    return filter_test(question->filter, &subject, which);
}

/* The same answers come again and again. */
static inline bool decide(struct question *question, uint64_t answers)
{
    struct decided *decided = &question->decided[answers * 0x9E3779B97F4A7C15u >> (64 - DECIDED_BITS)];
    if (!decided->is || decided->answers != answers)
        *decided = (struct decided){answers, true, filter_decide(question->filter, answers)};
    return decided->passes;
}

static bool passes(struct census *census, struct question *question, const struct device_row *row,
                   uint64_t answers)
{
    const struct filter_asks *asks = &question->asks;
    const uint64_t own = asks->id | asks->address | asks->times;
    if (question->labels) answers = ask_labels(census, question, row, answers);
    if (own != 0) answers = (answers & ~own) | ask_own(census, question, row, own);
    return decide(question, answers);
}

/* ---- all rows ---- */

/* False: no more. */
typedef bool (*census_each)(void *ctx, const struct device_row *row, struct place *place);

/* Those of the rows that wait for it in which the part is. */
static bool search_now(struct census *census, census_each each, void *ctx)
{
    const struct device_row *rows[SEARCH_ROWS];
    const uint32_t count = search_find(census->search, rows);
    bool ok = true;
    for (uint32_t i = 0; ok && i < count; i++) /* its place is there: it was looked at */
        ok = each(ctx, rows[i], place_of(census, rows[i]->state));
    return ok;
}

static inline bool look_at(struct census *census, const struct device_row *row, census_each each, void *ctx)
{
    struct place *place = place_of(census, row->state);
    if (place == NULL) return false;
    census->cost.rows++;
    if (place->verdict == CENSUS_NONE && census->wish != NULL) return true;
    if (census->wish != NULL && !passes(census, &census->questions[0], row, place->answers)) return true;
    if (census->wish == NULL || place->verdict == CENSUS_ALL) return each(ctx, row, place);
    census->cost.own++;
    return !search_add(census->search, row) || search_now(census, each, ctx);
}

static bool each_of_shard(struct census *census, const struct shard *shard, census_each each, void *ctx)
{
    const struct slab_part *part = &shard->rows;
    const struct device_row *rows, *next = part->count != 0 ? devices_row(shard, part->runs[0]) : NULL;
    for (uint32_t run = 0; run < part->count; run++) {
        rows = next;
        if (run + 1 < part->count) next = devices_row(shard, part->runs[run + 1]);
        for (uint32_t i = 0; i < SLAB_RUN; i++) {
            const struct device_row *ahead =
                i + AHEAD < SLAB_RUN ? &rows[i + AHEAD] : &next[i + AHEAD - SLAB_RUN];
            __builtin_prefetch(ahead);
            if (census->both_lines) __builtin_prefetch((const char *)ahead + sizeof *ahead / 2);
            if (rows[i].state != 0 && !look_at(census, &rows[i], each, ctx)) return false;
        }
    }
    return census->search == NULL || search_now(census, each, ctx);
}

static const struct filter every_device;

static bool begin(struct census *census, const struct census_also *also)
{
    const struct census_wish *wish = census->wish;
    intern_pin(census->devices->pools.states);
    intern_pin(census->devices->pools.words);
    if (wish != NULL) ask(census, wish->filter);
    for (uint32_t i = 0; also != NULL && i < also->count; i++)
        ask(census, also->filters[i] != NULL ? also->filters[i] : &every_device);
    if (wish != NULL && wish->part != NULL) census->search = search_new(&census->devices->pools, wish->part);
    census->both_lines = census->search != NULL;
    for (uint32_t i = 0; i < census->question_count; i++) {
        const struct question *question = &census->questions[i];
        census->both_lines |= question->labels || (question->asks.address | question->asks.times) != 0;
    }
    return grow(census) && (wish == NULL || wish->part == NULL || census->search != NULL);
}

/* False: memory is short, or each wanted no more. */
static bool each_row(struct census *census, const struct census_also *also, census_each each, void *ctx)
{
    bool ok = begin(census, also);
    for (int i = 0; i < DEVICES_SHARDS && ok; i++) {
        struct shard *shard = &census->devices->shards[i];
        pthread_mutex_lock(&shard->lock);
        ok = each_of_shard(census, shard, each, ctx);
        pthread_mutex_unlock(&shard->lock);
    }
    return ok;
}

static void end(struct census *census)
{
    intern_unpin(census->devices->pools.states);
    intern_unpin(census->devices->pools.words);
    if (census->wish != NULL && census->wish->cost != NULL) *census->wish->cost = census->cost;
    free(census->places);
    free(census->also);
    for (uint32_t i = 0; i < census->question_count; i++) {
        free(census->questions[i].words.kinds);
        free(census->questions[i].words.says);
    }
    search_free(census->search);
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
    bool ok = each_row(&census, NULL, count_one, &copy), more = true;
    for (uint32_t i = 0; ok && more && i <= census.mask; i++) {
        const struct place *place = &census.places[i];
        struct model_device device;
        if (place->state == 0 || place->alike.count == 0) continue;
        device_row_common(&devices->pools, place->state, &device);
        more = row(ctx, &device, &place->alike) == 0;
    }
    end(&census);
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
    bool ok = cap == 0 || each_row(&census, NULL, take_id, &first);
    end(&census);
    return ok ? (int)first.count : -MOLT_NO_MEMORY;
}

/* ---- telling of each ---- */

struct meant {
    struct census_device device; /* the first: passes_also() is called with it */
    struct census *census;
    const struct device_row *row;
    const struct place *place;
    census_meant each;
    void *ctx;
};

static bool passes_also(const struct census_device *device, uint32_t which)
{
    const struct meant *meant = (const struct meant *)(const void *)device;
    return passes(meant->census, &meant->census->questions[1 + which], meant->row,
                  meant->census->also[meant->place->number][which]);
}

static bool tell(void *ctx, const struct device_row *row, struct place *place)
{
    struct meant *meant = ctx;
    char id[MODEL_ID_LEN];
    device_row_id(&meant->census->devices->pools, row, id);
    meant->device.id = id;
    meant->row = row;
    meant->place = place;
    meant->each(meant->ctx, &meant->device);
    return true;
}

int devices_each_meant(struct devices *devices, const struct census_wish *wish,
                       const struct census_also *also, census_meant each, void *ctx)
{
    struct census census = {.devices = devices, .wish = wish};
    struct meant meant = {.device = {.passes = passes_also}, .census = &census, .each = each, .ctx = ctx};
    bool ok = each_row(&census, also, tell, &meant);
    end(&census);
    return ok ? 0 : -MOLT_NO_MEMORY;
}
