/* pack_table.h - which packs there are, which are being made, and which are not worth it: what a decision knows of packs.
 * Plain look-ups over memory; no files, no locks (packs.h has both).
 *
 * A pack is named by what goes in and what comes out: the SHA-256 of the base's file (all zero: none), the SHA-256 of
 * the image's file, and its kind. */
#ifndef MOLT_SERVER_PACK_TABLE_H
#define MOLT_SERVER_PACK_TABLE_H

#include "host/model.h"

enum packs_kind {
    PACKS_WHOLE = 1, /* molt pack of the whole image */
    PACKS_DELTA,     /* molt pack against the base */
    PACKS_BODY,      /* the same without the base's first sector, which molt-boot owns on the device */
    PACKS_DETOOLS,   /* Espressif's esp_delta_ota: detools sequential, heatshrink */
    PACKS_IN_PLACE,  /* PACKS_BODY, made to be written over its base */
    PACKS_SMALL, /* PACKS_DELTA for a decoder of less than 4 KB (device/src/pack/predict.h, MOLT_PACK_ROWS) */
    PACKS_SMALL_BODY, /* both */
};
#define PACKS_KIND_MAX PACKS_SMALL_BODY

struct pack_key {
    enum packs_kind kind;
    uint8_t base[32], image[32];
};

enum packs_state {
    PACK_ABSENT = 0, /* nobody asked for it yet */
    PACK_COMING,     /* queued, or being made */
    PACK_READY,
    PACK_USELESS, /* it could not be made, or is not smaller than the image */
};

struct pack_entry {
    struct pack_key key;
    enum packs_state state;
    struct model_artifact file; /* PACK_READY */
    uint64_t used;              /* rises with each use: the smallest goes first */
    struct pack_entry *next;
};

#define PACK_TABLE_MAX_ENTRIES 4096u
#define PACK_TABLE_COMING_MAX  32u /* waiting to be made, at a time */

struct pack_table;

struct pack_table *pack_table_new(void); /* NULL when memory is short */
void pack_table_free(struct pack_table *table);

/* NULL: PACK_ABSENT. Valid until the table changes. */
const struct pack_entry *pack_table_find(const struct pack_table *table, const struct pack_key *key);
/* The ready pack whose file has that SHA-256, or NULL. */
const struct pack_entry *pack_table_by_content(const struct pack_table *table, const uint8_t sha256[32]);
/* True when PACK_TABLE_COMING_MAX are coming: another would not be taken. */
bool pack_table_is_full(const struct pack_table *table);

/* Adds or changes an entry. False when memory is short or, for a PACK_COMING, the table is full. */
bool pack_table_set(struct pack_table *table, const struct pack_key *key, enum packs_state state,
                    const struct model_artifact *file);
void pack_table_remove(struct pack_table *table, const struct pack_key *key);
/* Notes that it was used now. */
void pack_table_touch(struct pack_table *table, const struct pack_key *key);
/* The entry that was not used for longest, of those that are not coming; NULL: there is none. */
const struct pack_entry *pack_table_oldest(const struct pack_table *table);
uint64_t pack_table_bytes(const struct pack_table *table); /* of all ready ones */
uint32_t pack_table_count(const struct pack_table *table);

#endif
