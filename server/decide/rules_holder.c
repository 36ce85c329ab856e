/* rules_holder.c - the current snapshot of the rules, shared between threads and swapped whole.
 * Must never let a reader wait for another reader or for a whole swap: each thread uses its own shard's lock, and a
 * snapshot is freed by whoever drops the last shard's hold on it. Tests: test/unit/rules_test.c (also under TSan). */
#include "rules_index.h"

#include <pthread.h>
#include <stdlib.h>

struct shard {
    pthread_mutex_t lock;
    struct rules *current;
    char apart[64]; /* keeps neighbours off the cache line */
};

struct rules_holder {
    struct shard shards[RULES_SHARDS];
    pthread_mutex_t swap; /* one swap at a time, or two could leave different snapshots in different shards */
};

static atomic_uint threads_seen;

static unsigned my_shard(void)
{
    static _Thread_local unsigned mine; /* 0: not given yet */
    if (mine == 0) mine = atomic_fetch_add(&threads_seen, 1) % RULES_SHARDS + 1;
    return mine - 1;
}

struct rules_holder *rules_holder_new(struct rules *first)
{
    struct rules_holder *holder = calloc(1, sizeof *holder);
    if (!holder) return NULL;
    pthread_mutex_init(&holder->swap, NULL);
    first->index->generation = 1;
    atomic_store(&first->index->shards_left, RULES_SHARDS);
    for (int i = 0; i < RULES_SHARDS; i++) {
        pthread_mutex_init(&holder->shards[i].lock, NULL);
        holder->shards[i].current = first;
    }
    return holder;
}

static void drop_hold(struct rules *rules)
{
    if (atomic_fetch_sub(&rules->index->shards_left, 1) == 1) rules_destroy(rules);
}

void rules_swap(struct rules_holder *holder, struct rules *next)
{
    atomic_store(&next->index->shards_left, RULES_SHARDS);
    pthread_mutex_lock(&holder->swap);
    const uint32_t generation = holder->shards[0].current->index->generation;
    next->index->generation = generation < UINT32_MAX ? generation + 1 : UINT32_MAX;
    for (int i = 0; i < RULES_SHARDS; i++) {
        struct shard *shard = &holder->shards[i];
        pthread_mutex_lock(&shard->lock);
        struct rules *old = shard->current;
        shard->current = next;
        bool unread = old->index->counts[i].readers == 0;
        pthread_mutex_unlock(&shard->lock);
        if (unread) drop_hold(old); /* else its last reader of this shard does */
    }
    pthread_mutex_unlock(&holder->swap);
}

const struct rules *rules_acquire(struct rules_holder *holder)
{
    unsigned mine = my_shard();
    struct shard *shard = &holder->shards[mine];
    pthread_mutex_lock(&shard->lock);
    const struct rules *rules = shard->current;
    rules->index->counts[mine].readers++;
    pthread_mutex_unlock(&shard->lock);
    return rules;
}

uint32_t rules_generation(const struct rules *rules)
{
    return rules->index->generation;
}

void rules_release_ref(struct rules_holder *holder, const struct rules *rules)
{
    unsigned mine = my_shard();
    struct shard *shard = &holder->shards[mine];
    pthread_mutex_lock(&shard->lock);
    struct rules *current = shard->current;
    bool last = --rules->index->counts[mine].readers == 0 && rules != current;
    pthread_mutex_unlock(&shard->lock);
    if (last) drop_hold((struct rules *)(uintptr_t)rules);
}

void rules_holder_free(struct rules_holder *holder)
{
    if (!holder) return;
    rules_destroy(holder->shards[0].current); /* no reader is left, says the contract of freeing */
    for (int i = 0; i < RULES_SHARDS; i++)
        pthread_mutex_destroy(&holder->shards[i].lock);
    pthread_mutex_destroy(&holder->swap);
    free(holder);
}
