/* pack_table.c - a hash table of packs by what they are made of. Must never do I/O, nor hold a lock: decisions look into
 * it. Tests: test/unit/packs_test.c. */
#include "pack_table.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024u

struct pack_table {
    struct pack_entry *bucket[BUCKETS];
    uint32_t count, coming;
    uint64_t bytes, clock;
};

struct pack_table *pack_table_new(void)
{
    return calloc(1, sizeof(struct pack_table));
}

void pack_table_free(struct pack_table *table)
{
    for (uint32_t i = 0; table != NULL && i < BUCKETS; i++) {
        while (table->bucket[i] != NULL) {
            struct pack_entry *entry = table->bucket[i];
            table->bucket[i] = entry->next;
            free(entry);
        }
    }
    free(table);
}

/* The parts are digests already. */
static uint32_t bucket_of(const struct pack_key *key)
{
    uint32_t base, image;
    memcpy(&base, key->base, sizeof base);
    memcpy(&image, key->image, sizeof image);
    return (base * 31u + image + (uint32_t)key->kind) % BUCKETS;
}

static bool same_key(const struct pack_key *a, const struct pack_key *b)
{
    return a->kind == b->kind && memcmp(a->base, b->base, 32) == 0 && memcmp(a->image, b->image, 32) == 0;
}

static struct pack_entry **place_of(struct pack_table *table, const struct pack_key *key)
{
    struct pack_entry **at = &table->bucket[bucket_of(key)];
    while (*at != NULL && !same_key(&(*at)->key, key))
        at = &(*at)->next;
    return at;
}

const struct pack_entry *pack_table_find(const struct pack_table *table, const struct pack_key *key)
{
    const struct pack_entry *entry = table->bucket[bucket_of(key)];
    while (entry != NULL && !same_key(&entry->key, key))
        entry = entry->next;
    return entry;
}

const struct pack_entry *pack_table_by_content(const struct pack_table *table, const uint8_t sha256[32])
{
    for (uint32_t i = 0; i < BUCKETS; i++) {
        for (const struct pack_entry *entry = table->bucket[i]; entry != NULL; entry = entry->next) {
            if (entry->state == PACK_READY && memcmp(entry->file.sha256, sha256, 32) == 0) return entry;
        }
    }
    return NULL;
}

bool pack_table_is_full(const struct pack_table *table)
{
    return table->coming >= PACK_TABLE_COMING_MAX;
}

static void discount(struct pack_table *table, const struct pack_entry *entry)
{
    if (entry->state == PACK_COMING) table->coming--;
    if (entry->state == PACK_READY) table->bytes -= entry->file.len;
}

bool pack_table_set(struct pack_table *table, const struct pack_key *key, enum packs_state state,
                    const struct model_artifact *file)
{
    struct pack_entry **at = place_of(table, key), *entry = *at;
    if (state == PACK_COMING && pack_table_is_full(table)) return false;
    if (entry == NULL) {
        entry = calloc(1, sizeof *entry);
        if (entry == NULL) return false;
        entry->key = *key;
        *at = entry;
        table->count++;
    } else {
        discount(table, entry);
    }
    entry->state = state;
    entry->used = ++table->clock;
    if (state == PACK_COMING) table->coming++;
    if (state != PACK_READY) return true;
    entry->file = *file;
    table->bytes += file->len;
    return true;
}

void pack_table_remove(struct pack_table *table, const struct pack_key *key)
{
    struct pack_entry **at = place_of(table, key), *entry = *at;
    if (entry == NULL) return;
    discount(table, entry);
    *at = entry->next;
    table->count--;
    free(entry);
}

void pack_table_touch(struct pack_table *table, const struct pack_key *key)
{
    struct pack_entry *entry = *place_of(table, key);
    if (entry != NULL) entry->used = ++table->clock;
}

const struct pack_entry *pack_table_oldest(const struct pack_table *table)
{
    const struct pack_entry *oldest = NULL;
    for (uint32_t i = 0; i < BUCKETS; i++) {
        for (const struct pack_entry *entry = table->bucket[i]; entry != NULL; entry = entry->next) {
            if (entry->state == PACK_COMING) continue;
            bool better = oldest == NULL || entry->used < oldest->used;
            if (better) oldest = entry;
        }
    }
    return oldest;
}

uint64_t pack_table_bytes(const struct pack_table *table)
{
    return table->bytes;
}

uint32_t pack_table_count(const struct pack_table *table)
{
    return table->count;
}
