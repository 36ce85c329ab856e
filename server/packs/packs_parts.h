/* packs_parts.h - what the files of the packs share: packs.c (table, queue), packs_make.c, packs_disk.c. */
#ifndef MOLT_SERVER_PACKS_PARTS_H
#define MOLT_SERVER_PACKS_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "packs.h"

#define PACKS_NAME_LEN 256

struct packs {
    struct store *store;
    uint64_t bytes_max;
    int folder_fd;
    pthread_rwlock_t lock; /* of the table and the queue */
    struct pack_table *table;
    struct pack_key queue[PACK_TABLE_COMING_MAX];
    uint32_t queue_at, queue_count;
    pthread_mutex_t wake_lock;
    pthread_cond_t wake;
    uint32_t pending; /* keys not yet taken from the queue, under wake_lock */
    atomic_bool stop;
    pthread_t thread;
};

/* A whole file in memory. */
struct packs_file {
    uint8_t *data;
    size_t len;
};

/* ---- packs_disk.c ---- */
int packs_folder_open(const char *data_dir); /* the descriptor, or a negative reason */
/* Takes in what earlier runs left, the least recently used first; removes what is torn, damaged or of another format. */
void packs_load(struct packs *packs);
/* Writes the file and fills artifact. 0 or -MOLT_STORE_FAILED. */
int packs_save(struct packs *packs, const struct pack_key *key, const struct packs_file *file,
               struct model_artifact *artifact);
void packs_delete(struct packs *packs, const struct pack_entry *entry);
int packs_file_open(struct packs *packs, const struct pack_entry *entry); /* -1: it is not there */

/* ---- packs_make.c ---- */
/* Makes the pack in memory (free file->data). 0; -MOLT_NOT_NOW: the server stops; else why there will never be one. */
int packs_make(struct packs *packs, const struct pack_key *key, struct packs_file *file);

#endif
