/* server.c - starts and stops the loops; options and their defaults.
 * Must never return from a stop while a thread of ours runs. Tests: test/e2e/http_limits_test.c. */
#include "server/net/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { THREADS_MAX = 64 };

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

/* Files that handlers serve, the store and the loops need descriptors too. */
static unsigned places(unsigned wanted)
{
    struct rlimit limit = {.rlim_cur = 1024};
    getrlimit(RLIMIT_NOFILE, &limit);
    rlim_t most = limit.rlim_cur > 1000000 ? 1000000 : limit.rlim_cur;
    unsigned reserve = 64 + (unsigned)most / 8, room = most > reserve ? (unsigned)most - reserve : 1;
    return wanted && wanted < room ? wanted : room;
}

static int set_options(struct http_server *s, const struct http_options *from)
{
    s->options = *from;
    struct http_options *o = &s->options;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (o->threads == 0) o->threads = cpus > 0 ? (unsigned)cpus : 1;
    if (o->threads > THREADS_MAX) o->threads = THREADS_MAX;
    o->head_timeout_ms = or_default(o->head_timeout_ms, 10000);
    o->body_timeout_ms = or_default(o->body_timeout_ms, 30000);
    o->idle_timeout_ms = or_default(o->idle_timeout_ms, 75000);
    o->send_timeout_ms = or_default(o->send_timeout_ms, 120000);
    s->connections_max = places(o->connections_max);
    if (o->spool_dir && !(s->spool_dir = strdup(o->spool_dir))) return -1;
    if (o->connections_per_address_max == 0) return 0;
    s->addresses = net_addresses_new(o->connections_per_address_max);
    return s->addresses ? 0 : -1;
}

static int set_listeners(struct http_server *s, const struct http_listener *from, size_t count, char *err,
                         size_t err_cap)
{
    s->listeners = calloc(count ? count : 1, sizeof *s->listeners);
    if (!s->listeners) return -1;
    for (size_t i = 0; i < count; i++) {
        if (from[i].body_max > NET_BODY_IN_MEMORY && !s->spool_dir) {
            snprintf(err, err_cap, "a body limit over %d bytes needs a spool folder", NET_BODY_IN_MEMORY);
            return -1;
        }
        s->listener_count++;
        if (net_listener_parse(&s->listeners[i], &from[i], err, err_cap) != 0) return -1;
    }
    return 0;
}

static void server_free(struct http_server *s)
{
    for (unsigned i = 0; s->loops && i < s->loop_count; i++)
        net_loop_free(&s->loops[i]);
    for (size_t i = 0; i < s->listener_count; i++)
        net_listener_free(&s->listeners[i]);
    net_addresses_free(s->addresses);
    free(s->loops);
    free(s->listeners);
    free(s->spool_dir);
    free(s);
}

static int start_loops(struct http_server *s, char *err, size_t err_cap)
{
    s->loop_count = s->options.threads;
    s->loops = calloc(s->loop_count, sizeof *s->loops);
    if (!s->loops) return -1;
    for (unsigned i = 0; i < s->loop_count; i++)
        if (net_loop_init(&s->loops[i], s, i, err, err_cap) != 0) return -1;
    for (unsigned i = 0; i < s->loop_count; i++) {
        if (net_loop_start(&s->loops[i]) != 0) {
            snprintf(err, err_cap, "cannot start a thread");
            return -1;
        }
    }
    return 0;
}

/* Tells every running loop and waits for them. */
static void stop_loops(struct http_server *s, uint32_t drain_ms)
{
    s->drain_ms = drain_ms;
    atomic_store(&s->stopping, true);
    for (unsigned i = 0; i < s->loop_count; i++)
        if (s->loops[i].running) net_loop_wake(&s->loops[i]);
    for (unsigned i = 0; i < s->loop_count; i++)
        if (s->loops[i].running) pthread_join(s->loops[i].thread, NULL);
}

int http_server_start(struct http_server **out, const struct http_options *options,
                      const struct http_listener *listeners, size_t count, char *err, size_t err_cap)
{
    struct http_server *s = calloc(1, sizeof *s);
    snprintf(err, err_cap, "out of memory");
    if (!s) return -1;
    if (set_options(s, options) == 0 && set_listeners(s, listeners, count, err, err_cap) == 0 &&
        start_loops(s, err, err_cap) == 0) {
        *out = s;
        return 0;
    }
    if (s->loops) stop_loops(s, 0);
    server_free(s);
    return -1;
}

uint16_t http_server_port(const struct http_server *server, size_t idx)
{
    return idx < server->listener_count ? server->listeners[idx].port : 0;
}

const struct http_options *http_server_options(const struct http_server *server)
{
    return &server->options;
}

void http_server_stop(struct http_server *server, uint32_t drain_ms)
{
    stop_loops(server, drain_ms);
    server_free(server);
}

int http_server_reload_tls(struct http_server *server, char *err, size_t err_cap)
{
    struct net_tls_ctx **fresh = calloc(server->listener_count + 1, sizeof *fresh);
    int rc = fresh ? 0 : -1;
    /* read all before changing any */
    for (size_t i = 0; rc == 0 && i < server->listener_count; i++) {
        if (!server->listeners[i].tls) continue;
        fresh[i] = net_tls_ctx_read_again(server->listeners[i].tls_ctx, err, err_cap);
        if (!fresh[i]) rc = -1;
    }
    for (size_t i = 0; fresh && i < server->listener_count; i++) {
        if (rc == 0 && fresh[i])
            net_tls_ctx_swap(server->listeners[i].tls_ctx, fresh[i]);
        else
            net_tls_ctx_free(fresh[i]);
    }
    free(fresh);
    return rc;
}

void http_server_stats(const struct http_server *server, struct http_stats *out)
{
    *out = (struct http_stats){0};
    uint64_t closed = 0;
    for (unsigned i = 0; i < server->loop_count; i++) {
        const struct net_counters *c = &server->loops[i].counters;
        closed += atomic_load_explicit(&c->closed, memory_order_relaxed);
        out->accepted += atomic_load_explicit(&c->accepted, memory_order_relaxed);
        out->requests += atomic_load_explicit(&c->requests, memory_order_relaxed);
        out->refused += atomic_load_explicit(&c->refused, memory_order_relaxed);
        out->bytes_sent += atomic_load_explicit(&c->bytes_sent, memory_order_relaxed);
    }
    out->open = out->accepted > closed ? out->accepted - closed : 0;
}
