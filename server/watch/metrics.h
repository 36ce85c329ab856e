/* metrics.h - GET /metrics: how the server does, as Prometheus reads it (text format 0.0.4); and whether it may get requests.
 * Every metric that can stand there is one of metrics.def or counters.def, always with its help and type. Tests: test/unit/metrics_test.c,
 * test/e2e/metrics_test.py. */
#ifndef MOLT_SERVER_METRICS_H
#define MOLT_SERVER_METRICS_H

#include "host/store/store.h"
#include "server/decide/rules.h"
#include "server/devices.h"
#include "server/net/http_server.h"

/* All borrowed. */
struct metrics_parts {
    struct store *store;
    struct devices *devices;
    struct rules_holder *rules;
    struct http_server *http;
    const char *data_dir;
    const char *tls_cert; /* PEM; NULL: none */
    int64_t started_ms;
    uint64_t downloads;    /* being sent */
    uint64_t hooks_queued; /* deliveries of webhooks that wait */
    unsigned watchers;     /* of GET /events */
};

/* The text, malloc'ed; NULL when memory is short. Reads a few files; a query of the store is not made. */
char *metrics_text(const struct metrics_parts *parts, size_t *len);

/* Could the server answer a device, and keep what it says? NULL: yes; else why not, static. */
const char *metrics_not_ready(const struct metrics_parts *parts);

/* bytes free below which it is not ready: a release would not fit any more */
#define METRICS_DISK_MIN (64ull << 20)

#endif
