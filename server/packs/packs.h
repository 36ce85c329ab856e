/* packs.h - packs made lazily in the background and kept on disk: <data>/packs, dropped by least recent use.
 *
 *     table = packs_read(packs);       what there is now, for one decision
 *     decide(...);                     may say decision.wanted_pack
 *     packs_read_end(packs);
 *     packs_want(packs, &key);         one thread makes it, at the lowest priority; never waits
 *
 * One pack is made at a time, of files of at most PACKS_FILE_MAX bytes; each is unpacked again and compared before
 * anybody is offered it. Nothing in the folder is believed: at the start every file is hashed again. It can be deleted
 * at any time when the server is down. Thread-safe. */
#ifndef MOLT_SERVER_PACKS_H
#define MOLT_SERVER_PACKS_H

#include "host/store/store.h"
#include "pack_table.h"

#define PACKS_FOLDER    "packs"
#define PACKS_BYTES_MAX (512ull << 20) /* on disk */
#define PACKS_FILE_MAX  (4u << 20) /* bytes of a base or an image: the maker takes some 75 times that in RAM */

struct packs;

/* Makes the folder, starts the maker. bytes_max 0: PACKS_BYTES_MAX. store is borrowed and outlives the packs. 0, or
 * -MOLT_NO_MEMORY, -MOLT_STORE_FAILED. */
int packs_open(struct packs **out, const char *data_dir, struct store *store, uint64_t bytes_max);
/* Gives up what is being made. */
void packs_close(struct packs *packs);

/* The table, which does not change until packs_read_end(). packs NULL: NULL. */
const struct pack_table *packs_read(struct packs *packs);
void packs_read_end(struct packs *packs);

/* Asks for a pack, unless it is there, coming, or known to be useless. Never waits for it. */
void packs_want(struct packs *packs, const struct pack_key *key);

/* A descriptor of the pack with that SHA-256 (the caller closes), or -MOLT_NOT_FOUND. It is read from what was hashed;
 * dropping it does not disturb who reads it. */
int packs_open_content(struct packs *packs, const uint8_t sha256[32]);

#endif
