/* packs.c - the table of packs, the queue of those to make, and the one thread that makes them.
 * Must never make a request wait for a pack, nor let the folder grow beyond its limit.
 * Tests: test/unit/packs_test.c, test/e2e/packs_test.c. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../log.h"
#include "packs_parts.h"

const struct pack_table *packs_read(struct packs *packs)
{
    if (packs == NULL) return NULL;
    pthread_rwlock_rdlock(&packs->lock);
    return packs->table;
}

void packs_read_end(struct packs *packs)
{
    if (packs != NULL) pthread_rwlock_unlock(&packs->lock);
}

void packs_want(struct packs *packs, const struct pack_key *key)
{
    if (packs == NULL) return;
    pthread_rwlock_wrlock(&packs->lock);
    /* the queue may be longer than what is COMING: it keeps keys that were found on the disk meanwhile */
    bool queued = packs->queue_count < PACK_TABLE_COMING_MAX && pack_table_find(packs->table, key) == NULL &&
                  pack_table_set(packs->table, key, PACK_COMING, NULL);
    if (queued) {
        packs->queue[(packs->queue_at + packs->queue_count) % PACK_TABLE_COMING_MAX] = *key;
        packs->queue_count++;
    }
    pthread_rwlock_unlock(&packs->lock);
    if (!queued) return;
    pthread_mutex_lock(&packs->wake_lock);
    packs->pending++;
    pthread_cond_signal(&packs->wake);
    pthread_mutex_unlock(&packs->wake_lock);
}

int packs_open_content(struct packs *packs, const uint8_t sha256[32])
{
    if (packs == NULL) return -MOLT_NOT_FOUND;
    pthread_rwlock_wrlock(&packs->lock);
    const struct pack_entry *entry = pack_table_by_content(packs->table, sha256);
    int fd = entry != NULL ? packs_file_open(packs, entry) : -1;
    if (fd >= 0) {
        struct pack_key key = entry->key;
        pack_table_touch(packs->table, &key);
    }
    pthread_rwlock_unlock(&packs->lock);
    return fd >= 0 ? fd : -MOLT_NOT_FOUND;
}

/* ---- the maker ---- */

/* Waits for a key; false when it is time to stop. */
static bool next_key(struct packs *packs, struct pack_key *key)
{
    pthread_mutex_lock(&packs->wake_lock);
    while (packs->pending == 0 && !atomic_load(&packs->stop))
        pthread_cond_wait(&packs->wake, &packs->wake_lock);
    bool goes_on = !atomic_load(&packs->stop);
    if (goes_on) packs->pending--;
    pthread_mutex_unlock(&packs->wake_lock);
    if (!goes_on) return false;
    pthread_rwlock_wrlock(&packs->lock);
    *key = packs->queue[packs->queue_at];
    packs->queue_at = (packs->queue_at + 1) % PACK_TABLE_COMING_MAX;
    packs->queue_count--;
    pthread_rwlock_unlock(&packs->lock);
    return true;
}

/* Drops what was not used for longest until everything has room; under the lock. */
static void make_room(struct packs *packs)
{
    while (pack_table_bytes(packs->table) > packs->bytes_max ||
           pack_table_count(packs->table) > PACK_TABLE_MAX_ENTRIES) {
        const struct pack_entry *oldest = pack_table_oldest(packs->table);
        if (oldest == NULL) return;
        struct pack_key key = oldest->key;
        if (oldest->state == PACK_READY) packs_delete(packs, oldest);
        pack_table_remove(packs->table, &key);
    }
}

static bool is_ready(struct packs *packs, const struct pack_key *key)
{
    const struct pack_table *table = packs_read(packs);
    const struct pack_entry *entry = pack_table_find(table, key);
    bool ready = entry != NULL && entry->state == PACK_READY;
    packs_read_end(packs);
    return ready;
}

static void note(struct packs *packs, const struct pack_key *key, enum packs_state state,
                 const struct model_artifact *artifact)
{
    pthread_rwlock_wrlock(&packs->lock);
    if (state == PACK_ABSENT)
        pack_table_remove(packs->table, key);
    else
        (void)pack_table_set(packs->table, key, state, artifact); /* the entry is there: it takes no memory */
    make_room(packs);
    pthread_rwlock_unlock(&packs->lock);
}

static double seconds_since(const struct timespec *begin)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begin->tv_sec) + (double)(now.tv_nsec - begin->tv_nsec) / 1e9;
}

static void make_one(struct packs *packs, const struct pack_key *key)
{
    static const char *const kinds[] = {"",        "whole",    "delta",       "delta-body",
                                        "detools", "in-place", "delta-small", "delta-small-body"};
    struct packs_file file = {0};
    struct model_artifact artifact = {0};
    struct timespec begin;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    int rc = packs_make(packs, key, &file);
    if (rc == 0) rc = packs_save(packs, key, &file, &artifact);
    note(packs, key, rc == 0 ? PACK_READY : rc == -MOLT_NOT_NOW ? PACK_ABSENT : PACK_USELESS, &artifact);
    free(file.data);
    log_event("event=pack kind=%s image=%02x%02x%02x%02x bytes=%u seconds=%.1f reason=%s", kinds[key->kind],
              key->image[0], key->image[1], key->image[2], key->image[3], artifact.len, seconds_since(&begin),
              rc == 0 ? "ready" : molt_reason_id(-rc));
}

static void *run(void *arg)
{
    struct packs *packs = arg;
    struct pack_key key;
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), 19); /* on Linux that is this thread alone */
    packs_load(packs);
    pthread_rwlock_wrlock(&packs->lock);
    make_room(packs);
    pthread_rwlock_unlock(&packs->lock);
    while (next_key(packs, &key)) {
        if (!is_ready(packs, &key)) make_one(packs, &key); /* else it was found on the disk meanwhile */
    }
    return NULL;
}

/* ---- life ---- */

static void release(struct packs *packs)
{
    pack_table_free(packs->table);
    pthread_cond_destroy(&packs->wake);
    pthread_mutex_destroy(&packs->wake_lock);
    pthread_rwlock_destroy(&packs->lock);
    if (packs->folder_fd >= 0) (void)close(packs->folder_fd);
    free(packs);
}

int packs_open(struct packs **out, const char *data_dir, struct store *store, uint64_t bytes_max)
{
    struct packs *packs = calloc(1, sizeof *packs);
    pthread_rwlockattr_t attributes;
    *out = NULL;
    if (packs == NULL) return -MOLT_NO_MEMORY;
    packs->store = store;
    packs->bytes_max = bytes_max != 0 ? bytes_max : PACKS_BYTES_MAX;
    pthread_rwlockattr_init(&attributes); /* readers come all the time, so a writer goes first */
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&packs->lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    pthread_mutex_init(&packs->wake_lock, NULL);
    pthread_cond_init(&packs->wake, NULL);
    packs->table = pack_table_new();
    packs->folder_fd = packs_folder_open(data_dir);
    int rc = packs->table == NULL ? -MOLT_NO_MEMORY : packs->folder_fd < 0 ? packs->folder_fd : 0;
    if (rc == 0 && pthread_create(&packs->thread, NULL, run, packs) != 0) rc = -MOLT_NO_MEMORY;
    if (rc == 0)
        *out = packs;
    else
        release(packs);
    return rc;
}

void packs_close(struct packs *packs)
{
    if (packs == NULL) return;
    pthread_mutex_lock(&packs->wake_lock);
    atomic_store(&packs->stop, true);
    pthread_cond_signal(&packs->wake);
    pthread_mutex_unlock(&packs->wake_lock);
    pthread_join(packs->thread, NULL);
    release(packs);
}
