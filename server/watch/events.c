/* events.c - a ring of events, and the exchanges that wait for the next. Must never keep more than the ring for a watcher that
 * does not keep up, nor answer an exchange outside its loop's thread. Tests: test/unit/events_test.c, test/dash. */
#include "events.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SINGLE_MAX  16  /* devices of a batch that are named one by one */
#define GATHER_MS   100 /* what follows closely goes in the same answer */
#define EVENT_SPACE 128 /* bytes of one event as text, at most */

struct event {
    const char *type; /* static */
    char data[64];    /* JSON */
};

struct watcher {
    struct watcher *next;
    struct events *events;
    struct http_exchange *x;
    int64_t until_ms;
    char after[EVENTS_ID_LEN];
    bool coarse;
};

struct events {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    uint64_t epoch; /* another server's ids mean nothing here */
    uint64_t next;  /* number of the next event; the ring has those before */
    bool stop, fresh;
    struct event ring[EVENTS_KEPT];
    struct watcher *watchers;
    unsigned watcher_count;
};

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wait_until(struct events *events, int64_t when_ms)
{
    struct timespec when = {.tv_sec = (time_t)(when_ms / 1000), .tv_nsec = (long)(when_ms % 1000) * 1000000};
    pthread_cond_timedwait(&events->changed, &events->lock, &when);
}

/* ---- answers ---- */

static void add(char *out, size_t *len, uint64_t epoch, uint64_t number, const struct event *event)
{
    int n =
        snprintf(out + *len, EVENTS_TEXT_MAX - *len, "id: %" PRIx64 "-%" PRIu64 "\nevent: %s\ndata: %s\n\n",
                 epoch, number, event->type, event->data);
    if (n > 0 && (size_t)n < EVENTS_TEXT_MAX - *len) *len += (size_t)n;
}

/* The lock is held. */
static size_t read_locked(struct events *events, const char *after, bool coarse, char *out)
{
    static const struct event hello = {"hello", "{}"}, resync = {"resync", "{}"}, some = {"devices", "{}"};
    static const char retry[] = "retry: 1000\n\n";
    const uint64_t newest = events->next - 1, kept = newest < EVENTS_KEPT ? newest : EVENTS_KEPT;
    size_t len = sizeof retry - 1;
    uint64_t epoch = 0, seen = 0;
    memcpy(out, retry, sizeof retry);
    if (after[0] == '\0') {
        add(out, &len, events->epoch, newest, &hello);
        return len;
    }
    if (sscanf(after, "%16" SCNx64 "-%18" SCNu64, &epoch, &seen) != 2 || epoch != events->epoch ||
        seen > newest || newest - seen > kept) {
        add(out, &len, events->epoch, newest, &resync);
        return len;
    }
    if (seen == newest) return 0;
    for (uint64_t number = seen + 1; number <= newest && len + EVENT_SPACE < EVENTS_TEXT_MAX; number++) {
        const struct event *event = &events->ring[number % EVENTS_KEPT];
        add(out, &len, events->epoch, number,
            coarse && strncmp(event->type, "device", 6) == 0 ? &some : event);
    }
    return len;
}

size_t events_read(struct events *events, const char *after, bool coarse, char *out)
{
    pthread_mutex_lock(&events->lock);
    size_t len = read_locked(events, after, coarse, out);
    pthread_mutex_unlock(&events->lock);
    return len;
}

static void respond(struct http_exchange *x, const char *text, size_t len)
{
    struct http_response response = {.status = 200,
                                     .content_type = "text/event-stream",
                                     .headers =
                                         "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
                                     .body = text,
                                     .body_len = len};
    http_respond(x, &response);
}

static void answer(void *ctx, struct http_exchange *x)
{
    struct watcher *watcher = ctx;
    char text[EVENTS_TEXT_MAX];
    size_t len = events_read(watcher->events, watcher->after, watcher->coarse, text);
    if (len == 0) len = (size_t)snprintf(text, sizeof text, "retry: 1000\n\n: nothing new\n\n");
    respond(x, text, len);
    free(watcher);
}

/* ---- the thread that wakes them ---- */

static bool is_due(const struct events *events, const struct watcher *watcher, int64_t now_ms, char *text)
{
    return events->stop || now_ms >= watcher->until_ms ||
           read_locked((struct events *)events, watcher->after, watcher->coarse, text) > 0;
}

static void wake(struct events *events, char *text)
{
    int64_t now_ms = monotonic_ms();
    struct watcher **at = &events->watchers;
    while (*at != NULL) {
        struct watcher *watcher = *at;
        if (!is_due(events, watcher, now_ms, text)) {
            at = &watcher->next;
            continue;
        }
        *at = watcher->next;
        events->watcher_count--;
        http_resume(watcher->x, answer, watcher);
    }
}

static void *waker(void *ctx)
{
    struct events *events = ctx;
    char text[EVENTS_TEXT_MAX];
    pthread_mutex_lock(&events->lock);
    while (!events->stop) {
        if (events->fresh) { /* let company come */
            int64_t until = monotonic_ms() + GATHER_MS;
            while (!events->stop && monotonic_ms() < until)
                wait_until(events, until);
            events->fresh = false;
        } else {
            wait_until(events, monotonic_ms() + 1000);
        }
        wake(events, text);
    }
    wake(events, text);
    pthread_mutex_unlock(&events->lock);
    return NULL;
}

void events_wait(struct events *events, struct http_exchange *x, const char *after, bool coarse)
{
    static const char busy[] = "retry: 30000\n\n: too many watch\n\n";
    char text[EVENTS_TEXT_MAX];
    pthread_mutex_lock(&events->lock);
    size_t len = read_locked(events, after, coarse, text);
    struct watcher *watcher = NULL;
    if (len == 0 && !events->stop && events->watcher_count < EVENTS_WATCHERS_MAX)
        watcher = calloc(1, sizeof *watcher);
    if (watcher != NULL) {
        watcher->events = events;
        watcher->x = x;
        watcher->coarse = coarse;
        watcher->until_ms = monotonic_ms() + EVENTS_WAIT_MS;
        (void)snprintf(watcher->after, sizeof watcher->after, "%s", after);
        watcher->next = events->watchers;
        events->watchers = watcher;
        events->watcher_count++;
        http_park(x);
    }
    pthread_mutex_unlock(&events->lock);
    if (watcher == NULL) respond(x, len > 0 ? text : busy, len > 0 ? len : sizeof busy - 1);
}

/* ---- events ---- */

/* The lock is held. */
static struct event *append(struct events *events, const char *type)
{
    struct event *event = &events->ring[events->next++ % EVENTS_KEPT];
    event->type = type;
    events->fresh = true;
    return event;
}

static void publish(struct events *events, const char *type, const char *data)
{
    pthread_mutex_lock(&events->lock);
    (void)snprintf(append(events, type)->data, sizeof events->ring[0].data, "%s", data);
    pthread_cond_signal(&events->changed);
    pthread_mutex_unlock(&events->lock);
}

void events_rules(struct events *events)
{
    publish(events, "rules", "{}");
}

void events_devices(void *ctx, const struct model_device *devices, size_t count)
{
    struct events *events = ctx;
    char data[64];
    if (count > SINGLE_MAX) {
        (void)snprintf(data, sizeof data, "{\"count\":%zu}", count);
        publish(events, "devices", data);
        return;
    }
    for (size_t i = 0; i < count; i++) { /* an id has letters, digits, '.', '-' and '_' only */
        (void)snprintf(data, sizeof data, "{\"id\":\"%s\"%s}", devices[i].id,
                       devices[i].fresh ? ",\"new\":true" : "");
        publish(events, "device", data);
    }
}

unsigned events_watchers(struct events *events)
{
    pthread_mutex_lock(&events->lock);
    unsigned count = events->watcher_count;
    pthread_mutex_unlock(&events->lock);
    return count;
}

/* ---- begin and end ---- */

struct events *events_new(void)
{
    struct events *events = calloc(1, sizeof *events);
    struct timespec now;
    pthread_condattr_t attributes;
    if (events == NULL) return NULL;
    clock_gettime(CLOCK_REALTIME, &now);
    events->epoch = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    events->next = 1;
    pthread_mutex_init(&events->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&events->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&events->thread, NULL, waker, events) != 0) {
        pthread_cond_destroy(&events->changed);
        pthread_mutex_destroy(&events->lock);
        free(events);
        return NULL;
    }
    return events;
}

void events_stop(struct events *events)
{
    pthread_mutex_lock(&events->lock);
    bool running = !events->stop;
    events->stop = true;
    pthread_cond_signal(&events->changed);
    pthread_mutex_unlock(&events->lock);
    if (running) pthread_join(events->thread, NULL);
}

void events_free(struct events *events)
{
    if (events == NULL) return;
    events_stop(events);
    pthread_cond_destroy(&events->changed);
    pthread_mutex_destroy(&events->lock);
    free(events);
}
