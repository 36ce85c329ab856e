/* fetch.c - artifacts that are in the bucket and not in the folder: two threads bring them, and who asked waits for that.
 * Must never hold up a loop, a worker or another device's answer, however long the bucket is silent.
 * Tests: test/e2e/s3_test.sh. */
#include "fetch.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/log.h"
#include "util/text.h"

#define THREADS     2
#define WAITERS_MAX 1024u
#define AWAY_MS     5000 /* after a failure nobody waits for the bucket for so long */

struct waiter {
    struct waiter *next;
    struct http_exchange *x;
    fetch_then then;
    void *ctx;
    uint8_t sha256[32];
};

struct fetch {
    struct skins *skins;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct waiter *first, **last;
    uint32_t count;
    bool stopping;
    int64_t away_until_ms; /* monotonic */
    atomic_bool stop;      /* ends a transfer */
    unsigned threads;
    struct fetch_thread {
        struct fetch *fetch;
        pthread_t thread;
        bool busy;
        uint8_t sha256[32]; /* that it brings */
    } thread[THREADS];
};

static int64_t monotonic_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Takes those out of the queue who wait for sha256; NULL: all. The lock is held. */
static struct waiter *take(struct fetch *fetch, const uint8_t *sha256)
{
    struct waiter *taken = NULL, **at = &fetch->first;
    while (*at != NULL) {
        struct waiter *waiter = *at;
        if (sha256 != NULL && memcmp(waiter->sha256, sha256, sizeof waiter->sha256) != 0) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        waiter->next = taken;
        taken = waiter;
        fetch->count--;
    }
    fetch->last = at;
    return taken;
}

static void resume(struct fetch *fetch, struct waiter *waiter)
{
    while (waiter != NULL) {
        struct waiter *next = waiter->next;
        http_resume(waiter->x, waiter->then, waiter->ctx);
        free(waiter);
        skin_wait_end(fetch->skins);
        waiter = next;
    }
}

/* One that no thread is at. The lock is held. */
static bool next_digest(const struct fetch *fetch, uint8_t sha256[32])
{
    for (const struct waiter *waiter = fetch->first; waiter != NULL; waiter = waiter->next) {
        bool busy = false;
        for (size_t i = 0; i < THREADS; i++)
            busy =
                busy || (fetch->thread[i].busy && memcmp(fetch->thread[i].sha256, waiter->sha256, 32) == 0);
        if (busy) continue;
        memcpy(sha256, waiter->sha256, 32);
        return true;
    }
    return false;
}

static int bring(struct fetch *fetch, const uint8_t sha256[32])
{
    struct store *store = fetch->skins->options.store;
    char hex[65];
    int fd = store_artifact_here(store, sha256);
    if (fd >= 0) {
        (void)close(fd);
        return 0;
    }
    int rc = store_artifact_fetch(store, sha256, &fetch->stop);
    molt_hex_encode(sha256, 32, hex);
    if (rc == 0)
        log_event("event=artifact-fetched sha256=%s", hex);
    else
        log_event("event=artifact-not-fetched sha256=%s reason=%s error=\"%s\"", hex, molt_reason_id(-rc),
                  store_error(store));
    return rc;
}

static void *run(void *arg)
{
    struct fetch_thread *self = arg;
    struct fetch *fetch = self->fetch;
    pthread_mutex_lock(&fetch->lock);
    for (;;) {
        while (!fetch->stopping && !next_digest(fetch, self->sha256))
            pthread_cond_wait(&fetch->more, &fetch->lock);
        if (fetch->stopping) break;
        self->busy = true;
        pthread_mutex_unlock(&fetch->lock);
        int rc = bring(fetch, self->sha256);
        pthread_mutex_lock(&fetch->lock);
        self->busy = false;
        /* a bucket that does not answer is waited for once, not once a file */
        if (rc == -MOLT_STORE_FAILED) fetch->away_until_ms = monotonic_ms() + AWAY_MS;
        struct waiter *served = take(fetch, rc == -MOLT_STORE_FAILED ? NULL : self->sha256);
        pthread_mutex_unlock(&fetch->lock);
        resume(fetch, served);
        pthread_mutex_lock(&fetch->lock);
    }
    struct waiter *left = take(fetch, NULL);
    pthread_mutex_unlock(&fetch->lock);
    resume(fetch, left);
    return NULL;
}

struct fetch *fetch_new(struct skins *skins)
{
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (fetch == NULL) return NULL;
    fetch->skins = skins;
    fetch->last = &fetch->first;
    pthread_mutex_init(&fetch->lock, NULL);
    pthread_cond_init(&fetch->more, NULL);
    for (; fetch->threads < THREADS; fetch->threads++) {
        struct fetch_thread *thread = &fetch->thread[fetch->threads];
        thread->fetch = fetch;
        if (pthread_create(&thread->thread, NULL, run, thread) != 0) break;
    }
    if (fetch->threads > 0) return fetch;
    fetch_free(fetch);
    return NULL;
}

void fetch_stop(struct fetch *fetch)
{
    if (fetch == NULL) return;
    atomic_store(&fetch->stop, true);
    pthread_mutex_lock(&fetch->lock);
    fetch->stopping = true;
    pthread_cond_broadcast(&fetch->more);
    pthread_mutex_unlock(&fetch->lock);
    for (; fetch->threads > 0; fetch->threads--)
        pthread_join(fetch->thread[fetch->threads - 1].thread, NULL);
}

void fetch_free(struct fetch *fetch)
{
    if (fetch == NULL) return;
    fetch_stop(fetch);
    pthread_cond_destroy(&fetch->more);
    pthread_mutex_destroy(&fetch->lock);
    free(fetch);
}

bool fetch_wait(struct fetch *fetch, struct http_exchange *x, const uint8_t sha256[32], fetch_then then,
                void *ctx)
{
    struct waiter *waiter = fetch != NULL ? calloc(1, sizeof *waiter) : NULL;
    if (waiter == NULL || !skin_wait_begin(fetch->skins)) {
        free(waiter);
        return false;
    }
    *waiter = (struct waiter){.x = x, .then = then, .ctx = ctx};
    memcpy(waiter->sha256, sha256, sizeof waiter->sha256);
    pthread_mutex_lock(&fetch->lock);
    const bool taken =
        !fetch->stopping && fetch->count < WAITERS_MAX && monotonic_ms() >= fetch->away_until_ms;
    if (taken) {
        http_park(x);
        *fetch->last = waiter;
        fetch->last = &waiter->next;
        fetch->count++;
        pthread_cond_signal(&fetch->more);
    }
    pthread_mutex_unlock(&fetch->lock);
    if (taken) return true;
    free(waiter);
    skin_wait_end(fetch->skins);
    return false;
}
