/* rules.c - the look-up tables over one immutable picture of products, releases and images.
 * Must never change after rules_build(): many threads read it without a lock. Sharing: rules_holder.c.
 * Tests: test/unit/rules_test.c. */
#include "rules_index.h"

#include <stdlib.h>
#include <string.h>

static int compare_ids(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_releases(const void *a, const void *b)
{
    const struct model_release *x = a, *y = b;
    int order = compare_ids(x->product_id, y->product_id);
    if (order == 0) order = strcmp(x->channel, y->channel);
    if (order == 0) order = (x->code < y->code) - (x->code > y->code); /* falling */
    return order;
}

static int compare_product_ids(const void *a, const void *b)
{
    const struct product_entry *x = a, *y = b;
    return compare_ids(x->id, y->id);
}

static int compare_product_names(const void *a, const void *b)
{
    const struct model_product *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static int compare_release_ids(const void *a, const void *b)
{
    const struct model_release *const *x = a, *const *y = b;
    return compare_ids((*x)->id, (*y)->id);
}

/* Equal hashes: the newest release first, so that the image found is of the newest release that has it. */
static int compare_images(const void *a, const void *b)
{
    const struct image_entry *x = a, *y = b;
    int order = memcmp(x->hash, y->hash, sizeof x->hash);
    if (order == 0) order = compare_ids(x->release->product_id, y->release->product_id);
    if (order == 0) order = (x->release->code < y->release->code) - (x->release->code > y->release->code);
    return order;
}

/* The two counting passes of the tables of images. */
static void count_images(const struct store_rules *data, size_t *images, size_t *md5s)
{
    *images = *md5s = 0;
    for (uint32_t r = 0; r < data->release_count; r++) {
        *images += data->releases[r].image_count;
        for (uint32_t i = 0; i < data->releases[r].image_count; i++)
            *md5s += 1 + (size_t)data->releases[r].images[i].md5_variant_count;
    }
}

static void add_md5(struct rules_index *index, const uint8_t md5[16], const struct model_image *image,
                    const struct model_release *release)
{
    struct image_entry *entry = &index->by_md5[index->md5_count++];
    memset(entry, 0, sizeof *entry);
    memcpy(entry->hash, md5, 16);
    entry->image = image;
    entry->release = release;
}

static void add_image(struct rules_index *index, const struct model_image *image,
                      const struct model_release *release)
{
    struct image_entry *entry = &index->by_digest[index->digest_count++];
    memcpy(entry->hash, image->digest, sizeof entry->hash);
    entry->image = image;
    entry->release = release;
    if (image->component == MODEL_APP) { /* no client tells the MD5 of its file system */
        if (image->sealed_count == 0) add_md5(index, image->raw.md5, image, release);
        for (uint32_t i = 0; i < image->md5_variant_count; i++)
            add_md5(index, image->md5_variants[i], image, release);
    }
}

static struct product_entry *find_product(const struct rules_index *index, int64_t product_id)
{
    size_t low = 0, high = index->product_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int64_t id = index->by_id[middle].id;
        if (id == product_id) return &index->by_id[middle];
        if (id < product_id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Which chips a product has images for; yanked releases count: they were published for the chip. */
static void collect_chips(struct rules_index *index, const struct store_rules *data)
{
    for (uint32_t r = 0; r < data->release_count; r++) {
        const struct model_release *release = &data->releases[r];
        struct product_entry *entry = find_product(index, release->product_id);
        for (uint32_t i = 0; entry && i < release->image_count; i++)
            entry->chips |= 1u << (release->images[i].chip & 31);
    }
}

/* Releases are sorted by product, then channel. */
static void collect_channels(struct rules_index *index, const struct store_rules *data)
{
    uint32_t used = 0;
    for (uint32_t r = 0; r < data->release_count; r++) {
        const struct model_release *release = &data->releases[r], *before = r > 0 ? release - 1 : NULL;
        bool same_product = before != NULL && before->product_id == release->product_id;
        if (same_product && strcmp(before->channel, release->channel) == 0) {
            index->channels[used - 1].count++;
            continue;
        }
        struct product_entry *entry = find_product(index, release->product_id);
        if (entry && !same_product) entry->first_channel = used;
        if (entry) entry->channel_count++;
        index->channels[used++] = (struct channel_entry){.name = release->channel, .first = r, .count = 1};
    }
}

static uint32_t esp32_chips(uint32_t chips)
{
    return chips & ~(1u << MOLT_CHIP_UNKNOWN) & ~(1u << MOLT_CHIP_ESP8266);
}

static enum molt_chip single_chip(uint32_t chips)
{
    for (int chip = 1; chip <= MOLT_CHIP_MAX; chip++)
        if (chips == 1u << chip) return (enum molt_chip)chip;
    return MOLT_CHIP_UNKNOWN;
}

/* An adopter is the only product that has images for the chip or adopts it. */
static void choose_adopters(struct rules_index *index)
{
    uint32_t family = 0;
    for (int chip = 1; chip <= MOLT_CHIP_MAX; chip++) {
        uint32_t claims = 0;
        const struct model_product *adopter = NULL;
        for (size_t i = 0; i < index->product_count; i++) {
            const struct product_entry *entry = &index->by_id[i];
            if ((entry->chips | entry->product->adopt_chips) & (1u << chip)) claims++;
            if (entry->product->adopt_chips & (1u << chip)) adopter = entry->product;
        }
        if (claims == 1) index->adopters[chip] = adopter;
    }
    for (size_t i = 0; i < index->product_count; i++)
        family |= index->by_id[i].chips | index->by_id[i].product->adopt_chips;
    enum molt_chip only = single_chip(esp32_chips(family));
    index->esp32_adopter = only != MOLT_CHIP_UNKNOWN ? index->adopters[only] : NULL;
}

static bool allocate(struct rules_index *index, const struct store_rules *data)
{
    size_t images, md5s;
    count_images(data, &images, &md5s);
    index->by_id = calloc(data->product_count + (size_t)1, sizeof *index->by_id);
    index->channels = calloc(data->release_count + (size_t)1, sizeof *index->channels);
    index->by_name = calloc(data->product_count + (size_t)1, sizeof *index->by_name);
    index->releases_by_id = calloc(data->release_count + (size_t)1, sizeof *index->releases_by_id);
    index->by_digest = calloc(images + 1, sizeof *index->by_digest);
    index->by_md5 = calloc(md5s + 1, sizeof *index->by_md5);
    index->plans = calloc(data->rollout_count + (size_t)1, sizeof *index->plans);
    index->rollouts_by_id = calloc(data->rollout_count + (size_t)1, sizeof *index->rollouts_by_id);
    index->plan_of = calloc(data->release_count + (size_t)1, sizeof *index->plan_of);
    if (!index->plans || !index->rollouts_by_id || !index->plan_of) return false;
    return index->by_id && index->channels && index->by_name && index->releases_by_id && index->by_digest &&
           index->by_md5;
}

static void fill(struct rules_index *index, const struct store_rules *data)
{
    index->product_count = data->product_count;
    for (uint32_t i = 0; i < data->product_count; i++) {
        index->by_id[i].id = data->products[i].id;
        index->by_id[i].product = &data->products[i];
        index->by_name[i] = &data->products[i];
    }
    for (uint32_t r = 0; r < data->release_count; r++) {
        index->releases_by_id[r] = &data->releases[r];
        for (uint32_t i = 0; i < data->releases[r].image_count; i++)
            add_image(index, &data->releases[r].images[i], &data->releases[r]);
    }
    qsort(index->by_id, index->product_count, sizeof *index->by_id, compare_product_ids);
    qsort(index->by_name, index->product_count, sizeof *index->by_name, compare_product_names);
    qsort(index->releases_by_id, data->release_count, sizeof *index->releases_by_id, compare_release_ids);
    qsort(index->by_digest, index->digest_count, sizeof *index->by_digest, compare_images);
    qsort(index->by_md5, index->md5_count, sizeof *index->by_md5, compare_images);
    collect_chips(index, data);
    collect_channels(index, data);
    for (size_t i = 0; i < index->product_count; i++)
        index->by_id[i].single_esp32 = single_chip(esp32_chips(index->by_id[i].chips));
    choose_adopters(index);
}

static void free_index(struct rules_index *index)
{
    free(index->by_id);
    free(index->channels);
    free(index->by_name);
    free(index->releases_by_id);
    free(index->by_digest);
    free(index->by_md5);
    for (uint32_t i = 0; i < index->plan_count; i++)
        rollout_plan_free(&index->plans[i]);
    free(index->plans);
    free(index->rollouts_by_id);
    free(index->plan_of);
    free(index);
}

struct rules *rules_build(struct store_rules *data)
{
    struct rules *rules = calloc(1, sizeof *rules);
    struct rules_index *index = calloc(1, sizeof *index);
    if (data->rollout_count > 0) /* the store promises the order; before any pointer is taken */
        qsort(data->rollouts, data->rollout_count, sizeof *data->rollouts, rules_compare_rollouts);
    if (!rules || !index || !allocate(index, data) || !rules_plan(index, data)) {
        if (index) free_index(index);
        free(rules);
        return NULL;
    }
    rules->data = *data;
    rules->index = index;
    memset(data, 0, sizeof *data);
    /* the store promises this order; a picture built by hand gets it here. Before any pointer is taken. */
    if (rules->data.release_count > 0)
        qsort(rules->data.releases, rules->data.release_count, sizeof *rules->data.releases,
              compare_releases);
    fill(index, &rules->data);
    rules_plan_releases(rules);
    return rules;
}

void rules_destroy(struct rules *rules)
{
    if (!rules) return;
    free_index(rules->index);
    store_free_rules(&rules->data);
    free(rules);
}

const struct model_product *rules_product(const struct rules *rules, int64_t product_id)
{
    const struct product_entry *entry = find_product(rules->index, product_id);
    return entry ? entry->product : NULL;
}

const struct model_product *rules_product_named(const struct rules *rules, const char *name)
{
    size_t low = 0, high = rules->index->product_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(rules->index->by_name[middle]->name, name);
        if (order == 0) return rules->index->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct model_product *rules_adopter(const struct rules *rules, enum molt_chip chip)
{
    if (chip <= MOLT_CHIP_UNKNOWN || chip > MOLT_CHIP_MAX) return NULL;
    return rules->index->adopters[chip];
}

const struct model_product *rules_esp32_adopter(const struct rules *rules)
{
    return rules->index->esp32_adopter;
}

const struct model_release *rules_release(const struct rules *rules, int64_t release_id)
{
    size_t low = 0, high = rules->data.release_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct model_release *release = rules->index->releases_by_id[middle];
        if (release->id == release_id) return release;
        if (release->id < release_id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct model_release *rules_channel(const struct rules *rules, int64_t product_id, const char *channel,
                                          uint32_t *count)
{
    const struct product_entry *product = find_product(rules->index, product_id);
    *count = 0;
    for (uint32_t i = 0; product && i < product->channel_count; i++) { /* a product has few */
        const struct channel_entry *entry = &rules->index->channels[product->first_channel + i];
        if (strcmp(entry->name, channel) != 0) continue;
        *count = entry->count;
        return &rules->data.releases[entry->first];
    }
    return NULL;
}

static const struct model_release *with_code(const struct model_release *releases, uint32_t count,
                                             uint32_t code)
{
    for (uint32_t i = 0; i < count && releases[i].code >= code; i++) /* they fall */
        if (releases[i].code == code) return &releases[i];
    return NULL;
}

const struct model_release *rules_release_by_code(const struct rules *rules, int64_t product_id,
                                                  const char *channel, uint32_t code)
{
    uint32_t count;
    const struct model_release *releases = rules_channel(rules, product_id, channel, &count);
    const struct model_release *found = with_code(releases, count, code);
    const struct product_entry *product = find_product(rules->index, product_id);
    for (uint32_t i = 0; !found && product && i < product->channel_count; i++) {
        const struct channel_entry *entry = &rules->index->channels[product->first_channel + i];
        found = with_code(&rules->data.releases[entry->first], entry->count, code);
    }
    return found;
}

/* product_id 0: of any product; the entries of one hash are sorted by product, then code falling. */
static const struct model_image *find_image(const struct image_entry *entries, size_t count,
                                            const uint8_t hash[32], int64_t product_id)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(entries[middle].hash, hash, 32) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < count && memcmp(entries[low].hash, hash, 32) == 0; low++)
        if (product_id == 0 || entries[low].release->product_id == product_id) return entries[low].image;
    return NULL;
}

const struct model_image *rules_image_by_digest(const struct rules *rules, int64_t product_id,
                                                const uint8_t digest[32])
{
    return find_image(rules->index->by_digest, rules->index->digest_count, digest, product_id);
}

/* Among the variants from low on, below high. */
static bool is_variant(const struct model_image *image, const uint8_t md5[16], uint32_t low, uint32_t high)
{
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = memcmp(image->md5_variants[middle], md5, 16);
        if (order == 0) return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

bool rules_brings_molt_boot(const struct model_image *image)
{
    return image->chip == MOLT_CHIP_ESP8266 && image->component == MODEL_APP && image->gzip.len == 0 &&
           image->sealed_count == 0;
}

enum rules_md5 rules_md5_kind(const struct model_image *image, const uint8_t md5[16])
{
    const uint32_t all = image->md5_variant_count;
    const uint32_t boot = all - (image->md5_boot_count < all ? image->md5_boot_count : all);
    if (is_variant(image, md5, boot, all)) return RULES_MD5_BOOT;
    const bool is_file = image->sealed_count == 0 && memcmp(image->raw.md5, md5, 16) == 0;
    if (!is_file && !is_variant(image, md5, 0, boot)) return RULES_MD5_OTHER;
    return rules_brings_molt_boot(image) ? RULES_MD5_BOOT : RULES_MD5_STOCK;
}

const struct model_image *rules_image_by_md5(const struct rules *rules, int64_t product_id,
                                             const uint8_t md5[16])
{
    uint8_t hash[32] = {0};
    memcpy(hash, md5, 16);
    return find_image(rules->index->by_md5, rules->index->md5_count, hash, product_id);
}

enum molt_chip rules_single_esp32_chip(const struct rules *rules, int64_t product_id)
{
    const struct product_entry *entry = find_product(rules->index, product_id);
    return entry ? entry->single_esp32 : MOLT_CHIP_UNKNOWN;
}

bool rules_only(const struct rules *rules, int64_t product_id, enum molt_chip chip)
{
    const struct product_entry *entry = find_product(rules->index, product_id);
    return entry && entry->chips == 1u << chip;
}
