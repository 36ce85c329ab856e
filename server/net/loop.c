/* loop.c - one event loop and its thread: start, turns, stop, the pool of exchanges.
 * Must never end while a worker thread holds one of its exchanges, nor free a connection that an event of the turn may still
 * name. Tests: test/e2e/http_limits_test.c. */
#include "server/net/net.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct http_exchange *net_exchange_take(struct net_conn *c)
{
    struct net_loop *loop = c->loop;
    struct http_exchange *x = loop->pool;
    if (x) {
        loop->pool = x->pool_next;
        loop->pool_count--;
    } else {
        x = calloc(1, sizeof *x);
        if (!x) return NULL;
        x->loop = loop;
        x->spool_fd = x->file_fd = -1;
    }
    x->conn = c;
    x->in_len = 0;
    x->unread = false;
    x->method = HTTP_M_OTHER;
    net_head_reset(x, 0);
    return x;
}

static void exchange_free(struct http_exchange *x)
{
    free(x->in);
    free(x->out);
    free(x);
}

/* Keeps it for the next request, unless it or the pool grew large. */
void net_exchange_give(struct net_loop *loop, struct http_exchange *x)
{
    if (loop->pool_count == NET_POOL_MAX || x->in_cap > NET_IN_CAP || x->out_cap > NET_IN_CAP) {
        exchange_free(x);
        return;
    }
    x->pool_next = loop->pool;
    loop->pool = x;
    loop->pool_count++;
}

static void end(struct net_loop *loop)
{
    pthread_mutex_lock(&loop->resume_lock);
    loop->ending = true;
    pthread_mutex_unlock(&loop->resume_lock);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->sweep, NULL);
    uv_close((uv_handle_t *)&loop->drain, NULL);
}

/* When the last connection and the last work are gone the loop has nothing to wait for, and its thread returns. */
void net_loop_check_end(struct net_loop *loop)
{
    if (loop->killed && !loop->ending) net_conn_orphans_drop(loop);
    if (loop->stopping && !loop->ending && loop->open == 0 && loop->working == 0) end(loop);
}

void net_loop_conn_gone(struct net_conn *c)
{
    struct net_loop *loop = c->loop;
    c->later = loop->dead;
    loop->dead = c;
    loop->open--;
    if (loop->stopping) net_loop_check_end(loop);
}

static void kill_all(uv_timer_t *timer)
{
    struct net_loop *loop = timer->data;
    loop->killed = true;
    net_resume_all(loop);
    net_wheel_stop(loop, true);
    net_loop_check_end(loop);
}

static void begin_stop(struct net_loop *loop)
{
    loop->stopping = true;
    for (size_t i = 0; i < loop->accept_count; i++)
        net_accept_stop(&loop->accepts[i]);
    net_wheel_stop(loop, false);
    uv_timer_start(&loop->drain, kill_all, loop->server->drain_ms, 0);
    net_loop_check_end(loop);
}

static void on_wake(uv_async_t *wake)
{
    struct net_loop *loop = wake->data;
    net_resume_all(loop);
    if (!loop->stopping && atomic_load(&loop->server->stopping)) begin_stop(loop);
}

void net_loop_wake(struct net_loop *loop)
{
    pthread_mutex_lock(&loop->resume_lock);
    if (!loop->ending) uv_async_send(&loop->wake);
    pthread_mutex_unlock(&loop->resume_lock);
}

/* ---- turns ---- */

bool net_loop_watch(struct net_loop *loop, struct net_watch *watch, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

void net_loop_unwatch(struct net_loop *loop, int fd)
{
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
}

void net_loop_again(struct net_conn *c)
{
    if (c->again) return;
    c->again = true;
    c->later = c->loop->again;
    c->loop->again = c;
}

static void run_one(struct net_conn *c)
{
    c->again = false;
    if (c->state == NET_CLOSED)
        net_conn_release(c);
    else
        net_conn_run(c);
}

static void run_again(struct net_loop *loop)
{
    struct net_conn *c = loop->again;
    loop->again = NULL;
    for (struct net_conn *next; c; c = next) {
        next = c->later;
        run_one(c);
    }
}

/* Requests are read one after another, then their answers sent one after another: the kernel's ways of both are long, and a
 * peer on this machine that gets its answer early comes with its next request alone. */
bool net_loop_gather(struct net_conn *c)
{
    struct net_loop *loop = c->loop;
    if (!loop->gathering || c->again) return false;
    c->again = true;
    loop->gathered[loop->gathered_count++] = c;
    if (loop->gathered_count == NET_GATHER_MAX) loop->gathering = false;
    return true;
}

static void run_gathered(struct net_loop *loop)
{
    unsigned count = loop->gathered_count;
    loop->gathering = false;
    for (unsigned i = 0; i < count; i++)
        run_one(loop->gathered[i]);
    loop->gathered_count = 0;
}

static void run_events(struct net_loop *loop, struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        if (loop->gathered_count == NET_GATHER_MAX) run_gathered(loop);
        loop->gathering = count > 1;
        struct net_watch *watch = events[i].data.ptr;
        watch->ready(watch, events[i].events);
    }
    run_gathered(loop);
}

static void bury(struct net_loop *loop)
{
    for (struct net_conn *c = loop->dead, *next; c; c = next) {
        next = c->later;
        free(c);
    }
    loop->dead = NULL;
}

static void uv_is_ready(struct net_watch *watch, uint32_t events)
{
    struct net_loop *loop = (struct net_loop *)(void *)((char *)watch - offsetof(struct net_loop, uv_watch));
    (void)events;
    loop->uv_ready = true;
}

/* libuv has something to do: a descriptor of its own, a timer that is due, a handle that changed. */
static void run_uv(struct net_loop *loop)
{
    if (!loop->uv_ready && uv_backend_timeout(&loop->uv) != 0) return;
    loop->uv_ready = false;
    uv_run(&loop->uv, UV_RUN_NOWAIT);
}

#define BUSY_EVENTS    8u /* a millisecond, of one loop */
#define BUSY_WINDOW_MS 16u

struct busy {
    uint64_t since_ms;
    unsigned events;
    bool is; /* was, in the window before */
};

/* Busy: then who waits for this processor and has more for us shall have its turn before the next look, not a look each. A loop
 * that is not must not give its turn away: on a machine with other work it gets it back milliseconds later. */
static bool gives_way(struct busy *busy, uint64_t now_ms, int count)
{
    const uint64_t passed_ms = now_ms - busy->since_ms;
    if (passed_ms >= BUSY_WINDOW_MS)
        *busy = (struct busy){.since_ms = now_ms, .is = busy->events >= BUSY_EVENTS * passed_ms};
    if (count > 0) busy->events += (unsigned)count;
    return busy->is && count > 1;
}

static void *run(void *arg)
{
    struct net_loop *loop = arg;
    struct busy busy = {0};
    struct epoll_event events[NET_EVENTS_MAX];
    loop->uv_ready = true; /* its own descriptors are not watched before it ran once */
    run_uv(loop);
    while (uv_loop_alive(&loop->uv)) {
        int timeout = loop->again ? 0 : uv_backend_timeout(&loop->uv);
        int count = epoll_wait(loop->epoll, events, NET_EVENTS_MAX, timeout);
        uv_update_time(&loop->uv);
        run_again(loop);
        run_events(loop, events, count);
        run_uv(loop);
        bury(loop);
        if (gives_way(&busy, uv_now(&loop->uv), count)) (void)sched_yield();
    }
    bury(loop);
    return NULL;
}

static uint32_t tick_of(const struct http_options *o)
{
    uint32_t least = o->head_timeout_ms;
    if (o->body_timeout_ms < least) least = o->body_timeout_ms;
    if (o->idle_timeout_ms < least) least = o->idle_timeout_ms;
    if (o->send_timeout_ms < least) least = o->send_timeout_ms;
    least /= 8;
    return least < 10 ? 10 : least > 500 ? 500 : least;
}

static int open_listeners(struct net_loop *loop, char *err, size_t err_cap)
{
    struct http_server *server = loop->server;
    loop->accepts = calloc(server->listener_count, sizeof *loop->accepts);
    if (!loop->accepts) return -1;
    for (size_t i = 0; i < server->listener_count; i++) {
        struct net_listener *l = &server->listeners[i];
        if (l->unix_path && loop->idx > 0) continue; /* only TCP can share a name among threads */
        struct net_accept *a = &loop->accepts[loop->accept_count];
        *a = (struct net_accept){.loop = loop, .listener = l, .fd = net_listener_open(l, err, err_cap)};
        if (a->fd < 0) return -1;
        loop->accept_count++;
        if (net_accept_start(a) != 0) {
            snprintf(err, err_cap, "cannot watch a listening socket");
            return -1;
        }
    }
    return 0;
}

int net_loop_init(struct net_loop *loop, struct http_server *server, unsigned idx, char *err, size_t err_cap)
{
    uint32_t tick = tick_of(&server->options);
    loop->server = server;
    loop->idx = idx;
    loop->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    pthread_mutex_init(&loop->resume_lock, NULL);
    net_node_init(&loop->orphans);
    snprintf(err, err_cap, "cannot create an event loop");
    loop->in = malloc(NET_IN_CAP);
    loop->plain = malloc(NET_PLAIN_CAP);
    if (!loop->in || !loop->plain) return -1;
    if (uv_loop_init(&loop->uv) != 0) return -1;
    loop->made = true;
    if (uv_async_init(&loop->uv, &loop->wake, on_wake) != 0) return -1;
    uv_timer_init(&loop->uv, &loop->sweep);
    uv_timer_init(&loop->uv, &loop->drain);
    loop->wake.data = loop->sweep.data = loop->drain.data = loop;
    loop->uv_watch.ready = uv_is_ready;
    if (!net_loop_watch(loop, &loop->uv_watch, uv_backend_fd(&loop->uv), EPOLLIN)) return -1;
    net_wheel_init(&loop->wheel, tick, uv_now(&loop->uv));
    uv_timer_start(&loop->sweep, net_sweep, tick, tick);
    return open_listeners(loop, err, err_cap);
}

int net_loop_start(struct net_loop *loop)
{
    sigset_t all, before; /* signals are the caller's, and sendfile() to a peer that left raises one */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&loop->thread, NULL, run, loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    loop->running = rc == 0;
    return rc == 0 ? 0 : -1;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

void net_loop_free(struct net_loop *loop)
{
    if (!loop->server) return;
    for (size_t i = 0; i < loop->accept_count; i++)
        net_accept_stop(&loop->accepts[i]);
    if (loop->made) {
        uv_walk(&loop->uv, close_handle, NULL);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
        uv_loop_close(&loop->uv);
    }
    for (struct http_exchange *x = loop->pool, *next; x; x = next) {
        next = x->pool_next;
        exchange_free(x);
    }
    for (struct http_exchange *x = loop->dropped, *next; x; x = next) {
        next = x->pool_next;
        exchange_free(x);
    }
    if (loop->spare_fd >= 0) close(loop->spare_fd);
    if (loop->epoll >= 0) close(loop->epoll);
    pthread_mutex_destroy(&loop->resume_lock);
    free(loop->in);
    free(loop->plain);
    free(loop->spare_out);
    free(loop->accepts);
}
