/* replica.c - the thread of replica.h. Must never hold up anything else: connecting may take seconds. Tests: test/e2e/replica_test.c. */
#include "replica.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/store/store.h"
#include "log.h"

#define PERIOD_S 1

struct replica {
    struct store *store;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop; /* guarded by lock */
};

/* Once a second at most. False: stop. */
static bool wait_period(struct replica *replica)
{
    struct timespec when;
    clock_gettime(CLOCK_MONOTONIC, &when);
    when.tv_sec += PERIOD_S;
    pthread_mutex_lock(&replica->lock);
    while (!replica->stop && pthread_cond_timedwait(&replica->wake, &replica->lock, &when) == 0) {
    }
    const bool goes_on = !replica->stop;
    pthread_mutex_unlock(&replica->lock);
    return goes_on;
}

static void *look_after(void *arg)
{
    struct replica *replica = arg;
    char said[STORE_WHY_LEN] = "not yet"; /* "": that it is in use */
    do {
        char why[STORE_WHY_LEN] = "";
        if (store_replica_round(replica->store) < 0)
            (void)snprintf(why, sizeof why, "%.*s", STORE_WHY_LEN - 1, store_error(replica->store));
        if (strcmp(why, said) == 0) continue;
        memcpy(said, why, sizeof said);
        if (why[0] == '\0')
            log_event("event=replica in-use=yes");
        else
            log_event("event=replica in-use=no why=\"%s\" next-step=\"lists come from --store meanwhile\"",
                      why);
    } while (wait_period(replica));
    return NULL;
}

struct replica *replica_start(struct store *store, const char *url)
{
    pthread_condattr_t attributes;
    struct replica *replica = store_replica_add(store, url) == 0 ? calloc(1, sizeof *replica) : NULL;
    if (replica == NULL) return NULL;
    replica->store = store;
    pthread_mutex_init(&replica->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&replica->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&replica->thread, NULL, look_after, replica) == 0) return replica;
    pthread_mutex_destroy(&replica->lock);
    pthread_cond_destroy(&replica->wake);
    free(replica);
    return NULL;
}

void replica_stop(struct replica *replica)
{
    if (replica == NULL) return;
    pthread_mutex_lock(&replica->lock);
    replica->stop = true;
    pthread_cond_signal(&replica->wake);
    pthread_mutex_unlock(&replica->lock);
    pthread_join(replica->thread, NULL);
    pthread_mutex_destroy(&replica->lock);
    pthread_cond_destroy(&replica->wake);
    free(replica);
}
