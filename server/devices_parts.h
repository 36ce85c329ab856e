/* devices_parts.h - the device table inside: shared by devices.c (visits), devices_writer.c and devices_results.c (the ways to the
 * store), devices_open.c (start and end) and devices_newcomers.c (who may make new devices, and who is forgotten). */
#ifndef MOLT_SERVER_DEVICES_PARTS_H
#define MOLT_SERVER_DEVICES_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "device_row.h"
#include "devices.h"
#include "access/throttle.h"
#include "slab.h"

#define DEVICES_SHARDS    256
#define DEVICES_BATCH_MAX 2048u /* rows, or results, of one transaction */

/* Taken: by the pass that the writer is in. Its waiters count on it, so it must stay in that list until it is copied. */
enum dirty { CLEAN, DIRTY_LAZY, DIRTY_NOW, DIRTY_TAKEN };

struct shard {
    _Alignas(64) pthread_mutex_t lock; /* guards everything here, and its devices' rows */
    struct index index;                /* of rows, by the hash of the id */
    struct slab_part rows;
    uint32_t dirty[DIRTY_TAKEN + 1]; /* the first of each list, by kind of dirt; 0: none */
};

struct waiter {
    struct waiter *next;
    devices_done done;
    void *ctx;
};

/* Results on their way to the store's log. */
struct results {
    pthread_mutex_t lock; /* taken with a shard locked */
    struct model_attempt_end *ends;
    size_t count, capacity;
};

struct gone_list { /* evicted devices whose rows are still to be deleted */
    char (*ids)[MODEL_ID_LEN];
    size_t count, capacity;
};

/* What devices wrote, on its way to the store; the oldest first. devices_lines.c */
struct lines_queue {
    struct lines_entry *first, *last;
    size_t bytes;
};

struct devices {
    struct shard shards[DEVICES_SHARDS];
    struct slab rows;          /* of struct device_row */
    pthread_mutex_t rows_lock; /* for more of them in a shard, with it locked */
    struct store *store;
    uint32_t unassigned_max;
    struct throttle *newcomers; /* how many devices an address may make */
    struct device_pools pools;
    struct rollout_table *rollouts; /* the counts over all rows here */
    atomic_uint_least64_t count, unassigned, held, updated, failed, dirty, written;
    atomic_uint_least64_t unstored; /* devices of which the store has no row */
    pthread_mutex_t
        writing; /* from a copy out of the table until it is in the store; before any other lock */
    pthread_mutex_t eviction; /* one eviction at a time */
    /* ---- one of several servers ---- */
    uint32_t node; /* 0: the only one */
    pthread_mutex_t
        opening;      /* from looking at slots until they are counted as taken; a shard may be locked */
    atomic_uint full; /* times that slots were all taken */
    bool *gone_batch; /* the writer's: of its batch */
    /* ---- the writer; guarded by lock ---- */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    struct waiter *waiters; /* for the log */
    struct flush *flushes;  /* for all rows */
    struct gone_list gone;
    devices_saved saved; /* may be NULL */
    devices_ended ended; /* may be NULL */
    void *ended_ctx;
    void *saved_ctx;
    struct results results;
    struct lines_queue lines;
    /* ---- the writer thread's own ---- */
    struct model_device *batch;
    struct model_attempt_end *ends; /* of the batch, when it is one of results */
    int64_t appended, folded;       /* numbers of the last results in the log, and in rows */
};

struct shard *devices_shard(struct devices *devices, const char *id, uint64_t *hash);
/* The following with the shard locked. */
struct device_row *devices_row(const struct shard *shard, uint32_t ref);
uint32_t devices_find(const struct devices *devices, const struct shard *shard, const char *id,
                      uint64_t hash); /* 0: not there */
uint32_t devices_insert(struct devices *devices, struct shard *shard,
                        const struct model_device *device); /* 0: memory is short */
void devices_remove(struct devices *devices, struct shard *shard, uint32_t ref);
void devices_is_stored(struct devices *devices, struct device_row *row); /* the store has a row of it */
void devices_mark(struct devices *devices, struct shard *shard, uint32_t ref, enum dirty dirty);

/* Another server's: not to be written. False: memory is short. */
bool devices_replace(struct devices *devices, struct shard *shard, uint32_t ref,
                     const struct model_device *device);

/* ---- devices_nodes.c ---- */
/* By the writer: saves its batch, and takes what other servers had written into it. */
bool nodes_save_batch(struct devices *devices, size_t count);

/* ---- devices_load.c ---- */
int devices_load(struct devices *devices); /* all that the store has, or negative */

/* ---- devices_results.c ---- */
/* With the shard locked: the device as it will be when the writer comes, and, when result is not NONE, an end. False: too much waits. */
bool results_queue(struct devices *devices, struct device_row *row, const struct model_attempt_end *end);
/* The line that an attempt which ended in this visit is worth, taken out of the device. False: none ended. */
bool results_take_end(struct model_device *device, struct model_attempt_end *end);
/* For GET /metrics. */
void results_count(const struct model_attempt_end *end);
/* By the writer: appends what is queued. True: all that was queued before is durable. */
bool results_append(struct devices *devices);
/* By the writer, when all rows that changed before number `last` was appended are saved. */
bool results_fold(struct devices *devices, int64_t last);

/* ---- devices_lines.c ---- */
void lines_write(struct devices *devices); /* by the writer; what fails waits for the next time */
void lines_free(struct devices *devices);

/* ---- devices_writer.c ---- */
void *devices_write(void *devices); /* the thread */

/* Forgets the unassigned devices that were not seen for the longest, when there are too many. */
void newcomers_evict(struct devices *devices);

#endif
