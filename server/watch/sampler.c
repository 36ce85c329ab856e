/* sampler.c - notes for the plots, by the clock. Must never stand in the way of a poll: it counts the devices once an hour, a
 * shard at a time. Tests: test/dash. */
#include "sampler.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../api/tally.h"
#include "../log.h"
#include "molt_reason.h"

#define MINUTE_MS (60 * (int64_t)1000)
#define HOUR_MS   (60 * MINUTE_MS)

struct sampler {
    struct sampler_parts parts;
    char path[4096];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop; /* guarded by lock */
    struct http_stats last;
    int64_t last_ms, hour_ms; /* of the monotonic clock; hour_ms 0: not noted since the start */
    struct tally tally;
    const struct rules *rules; /* during a sweep */
};

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int note_kind(void *ctx, const struct model_device *device, const struct census_alike *alike)
{
    struct sampler *sampler = ctx;
    char text[TALLY_TEXT];
    const struct model_product *product = rules_product(sampler->rules, device->product_id);
    (void)snprintf(text, sizeof text, "%s\t%s", product != NULL ? product->name : "",
                   device->running_version);
    tally_add(&sampler->tally, text, alike->count);
    return 0;
}

static void note_versions(struct sampler *sampler)
{
    memset(&sampler->tally, 0, sizeof sampler->tally);
    sampler->rules = rules_acquire(sampler->parts.rules);
    const struct census_ages ages = {.now_ms = 0};
    if (devices_census(sampler->parts.devices, &ages, note_kind, sampler) != 0)
        log_event("event=trends-incomplete reason=%s", molt_reason_id(MOLT_NO_MEMORY));
    rules_release_ref(sampler->parts.rules, sampler->rules);
    tally_sort(&sampler->tally);
    trends_versions_begin(sampler->parts.trends, clock_ms(CLOCK_REALTIME));
    for (uint32_t i = 0; i < sampler->tally.used && i < TRENDS_VERSIONS; i++) {
        char *text = sampler->tally.entries[i].text, *tab = strchr(text, '\t');
        if (tab == NULL) continue; /* never: the product's name is shorter */
        *tab = '\0';
        trends_version(sampler->parts.trends, text, tab + 1, sampler->tally.entries[i].count);
    }
    trends_versions_end(sampler->parts.trends);
    if (!trends_save(sampler->parts.trends, sampler->path))
        log_event("event=trends-not-saved path=%s", sampler->path);
}

static void note_rollouts(struct sampler *sampler)
{
    const struct rules *rules = rules_acquire(sampler->parts.rules);
    for (uint32_t i = 0; i < rules->data.rollout_count; i++) {
        const struct model_rollout *rollout = &rules->data.rollouts[i];
        struct rollout_counts counts;
        if (rollout->status != MODEL_ROLLOUT_RUNNING && rollout->status != MODEL_ROLLOUT_PAUSED) continue;
        rollout_table_read(devices_rollouts(sampler->parts.devices), rollout->id, &counts);
        trends_rollout(sampler->parts.trends, clock_ms(CLOCK_REALTIME), rollout->id, counts.offered,
                       counts.succeeded + counts.presumed, counts.failed);
    }
    rules_release_ref(sampler->parts.rules, rules);
}

static void note_rates(struct sampler *sampler)
{
    struct http_stats now;
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC), passed_ms = now_ms - sampler->last_ms;
    http_server_stats(sampler->parts.http, &now);
    if (passed_ms > 0)
        trends_rates(sampler->parts.trends, clock_ms(CLOCK_REALTIME),
                     (double)(now.requests - sampler->last.requests) * 1000 / (double)passed_ms,
                     (double)(now.bytes_sent - sampler->last.bytes_sent) * 1000 / (double)passed_ms);
    sampler->last = now;
    sampler->last_ms = now_ms;
}

/* False when it is time to stop. */
static bool wait_minute(struct sampler *sampler)
{
    int64_t due = sampler->last_ms + MINUTE_MS;
    struct timespec when = {.tv_sec = (time_t)(due / 1000), .tv_nsec = (long)(due % 1000) * 1000000};
    pthread_mutex_lock(&sampler->lock);
    while (!sampler->stop && pthread_cond_timedwait(&sampler->wake, &sampler->lock, &when) == 0) {
    }
    bool goes_on = !sampler->stop;
    pthread_mutex_unlock(&sampler->lock);
    return goes_on;
}

static void *run(void *ctx)
{
    struct sampler *sampler = ctx;
    do {
        int64_t now_ms = clock_ms(CLOCK_MONOTONIC);
        note_rollouts(sampler);
        if (sampler->hour_ms == 0 || now_ms - sampler->hour_ms >= HOUR_MS) {
            sampler->hour_ms = now_ms;
            if (sampler->parts.hourly != NULL) sampler->parts.hourly(sampler->parts.hourly_ctx);
            note_versions(sampler);
        }
        if (!wait_minute(sampler)) return NULL;
        note_rates(sampler);
    } while (true);
}

int sampler_start(struct sampler **out, const struct sampler_parts *parts)
{
    struct sampler *sampler = calloc(1, sizeof *sampler);
    pthread_condattr_t attributes;
    *out = NULL;
    if (sampler == NULL) return -MOLT_NO_MEMORY;
    sampler->parts = *parts;
    (void)snprintf(sampler->path, sizeof sampler->path, "%s/trends.json", parts->data_dir);
    (void)trends_load(parts->trends, sampler->path); /* a new one, or damaged: the plots begin anew */
    http_server_stats(parts->http, &sampler->last);
    sampler->last_ms = clock_ms(CLOCK_MONOTONIC);
    pthread_mutex_init(&sampler->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&sampler->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&sampler->thread, NULL, run, sampler) != 0) {
        pthread_cond_destroy(&sampler->wake);
        pthread_mutex_destroy(&sampler->lock);
        free(sampler);
        return -MOLT_NO_MEMORY;
    }
    *out = sampler;
    return 0;
}

void sampler_stop(struct sampler *sampler)
{
    if (sampler == NULL) return;
    pthread_mutex_lock(&sampler->lock);
    sampler->stop = true;
    pthread_cond_signal(&sampler->wake);
    pthread_mutex_unlock(&sampler->lock);
    pthread_join(sampler->thread, NULL);
    (void)trends_save(sampler->parts.trends, sampler->path);
    pthread_cond_destroy(&sampler->wake);
    pthread_mutex_destroy(&sampler->lock);
    free(sampler);
}
