/* conn.c - the life of a connection: one state at a time, and never a blocking call. The kernel tells of readiness once, so
 * readable and blocked stand until a read or a write says otherwise.
 * Must never free a connection whose exchange a handler still holds. Tests: test/e2e/http_*_test.c. */
#include "server/net/net.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LINGER_MS = 2000,
    LINGER_BYTES = 1 << 20,
    ACK_MS = 250,       /* between two looks at the kernel's queue */
    STEPS_MAX = 256,    /* in a row; then others get their turn */
    BODY_PROGRESS = 256 /* bytes of a body that count as progress */
};

/* Has the struct freed once nothing refers to it. */
void net_conn_release(struct net_conn *c)
{
    if (c->state == NET_CLOSED && !c->x && !c->running && !c->again) net_loop_conn_gone(c);
}

_Static_assert(sizeof(struct net_conn) <= 128, "an idle connection is little more than this");

static void finish_exchange(struct net_conn *c, bool complete)
{
    struct http_exchange *x = c->x;
    if (x->done) {
        void (*done)(void *, struct http_exchange *, bool, uint64_t) = x->done;
        x->done = NULL;
        done(x->done_ctx, x, complete, x->sent);
    }
    net_spool_close(x);
    x->file_fd = -1;
    x->body = NULL;
    x->body_rest = 0;
    x->peer[0] = 0;
}

static void drop_exchange(struct net_conn *c, bool complete)
{
    if (!c->x || c->x->handling) return;
    finish_exchange(c, complete);
    net_exchange_give(c->loop, c->x);
    c->x = NULL;
}

void net_conn_close(struct net_conn *c)
{
    if (c->state == NET_CLOSED) return;
    bool clean = c->state == NET_HEAD;
    c->state = NET_CLOSED;
    if (c->tls) net_tls_close(c, clean);
    /* closing would do, but for a child process that holds the descriptor for a moment */
    if (c->watched) net_loop_unwatch(c->loop, c->fd);
    close(c->fd);
    c->fd = -1;
    net_node_unlink(&c->node);
    if (c->x && c->x->handling) net_node_link(&c->loop->orphans, &c->node);
    struct http_server *server = c->loop->server;
    atomic_fetch_sub_explicit(&server->open, 1, memory_order_relaxed);
    if (server->addresses && !c->listener->unix_path) net_addresses_leave(server->addresses, &c->addr);
    net_count(&c->loop->counters.closed, 1);
    drop_exchange(c, false);
    net_conn_release(c);
}

static uint32_t kernel_queue(const struct net_conn *c)
{
    int n = 0;
    return ioctl(c->fd, SIOCOUTQ, &n) == 0 && n > 0 ? (uint32_t)n : 0;
}

/* The peer's TCP has taken everything but, maybe, the end of the stream. */
static bool is_acked(const struct net_conn *c)
{
    return kernel_queue(c) <= (c->x->close_after && !c->tls ? 1u : 0u);
}

static void conn_ready(struct net_watch *watch, uint32_t events)
{
    struct net_conn *c = (struct net_conn *)(void *)watch;
    if (c->state == NET_CLOSED) return; /* by something before it in this turn */
    if (events & EPOLLERR) {
        /* an ESP8266 resets the connection after the last byte */
        if (c->state == NET_ACK && is_acked(c)) finish_exchange(c, true);
        net_conn_close(c);
        return;
    }
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) c->readable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP)) c->ended = true;
    if (events & EPOLLOUT) c->blocked = false;
    net_conn_run(c);
}

bool net_conn_append(struct net_conn *c, const char *data, size_t len)
{
    if (!c->x && !(c->x = net_exchange_take(c))) return false;
    if (!net_in_reserve(c->x, len)) return false;
    memcpy(c->x->in + c->x->in_len, data, len);
    c->x->in_len += len;
    return true;
}

/* Reads once, if there may be something. -1: there is nothing. A short read took all there was: what comes later is told
 * anew, but not an end that was there already. */
static ssize_t receive(struct net_conn *c)
{
    if (!c->readable) return -1;
    ssize_t n = recv(c->fd, c->loop->in, NET_IN_CAP, 0);
    c->readable = n == NET_IN_CAP || (n > 0 && c->ended) || (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return -1;
    return n < 0 ? 0 : n;
}

/* Reads once. True: the state machine should look again. */
static bool fill(struct net_conn *c)
{
    ssize_t n = receive(c);
    if (n < 0) return c->readable;
    enum net_io io = NET_IO_FAILED;
    if (n > 0 && c->tls)
        io = net_tls_input(c, c->loop->in, (size_t)n);
    else if (n > 0)
        io = net_conn_append(c, c->loop->in, (size_t)n) ? NET_IO_DONE : NET_IO_FAILED;
    if (io == NET_IO_FAILED) net_conn_close(c);
    return true;
}

static void call_handler(struct net_conn *c)
{
    struct http_exchange *x = c->x;
    c->state = NET_HANDLE;
    x->handling = true;
    net_deadline(c, 0);
    net_count(&c->loop->counters.requests, 1);
    c->listener->handler(c->listener->handler_ctx, x);
}

static void refuse(struct net_conn *c, int status)
{
    c->state = NET_HANDLE;
    c->x->handling = true;
    c->x->unread = true;
    net_deadline(c, 0);
    net_respond_error(c->x, status);
}

static void say_continue(struct net_conn *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (c->tls)
        net_tls_say(c, text, sizeof text - 1);
    else /* a peer that does not read what it was sent may wait for its own time-out */
        (void)!send(c->fd, text, sizeof text - 1, MSG_NOSIGNAL);
}

static void head_done(struct net_conn *c)
{
    struct http_exchange *x = c->x;
    struct http_slice expect = http_header(x, "expect", 0);
    if (x->body_len > c->listener->body_max) {
        refuse(c, 413);
        return;
    }
    bool here = x->in_len - x->head_len >= x->body_len;
    if (expect.len && x->parser.http_minor == 1) {
        if (expect.len != 12 || strncasecmp(expect.p, "100-continue", 12) != 0) {
            refuse(c, 417);
            return;
        }
        if (!here) say_continue(c);
    }
    if (here) {
        call_handler(c);
        return;
    }
    if (x->body_len > NET_BODY_IN_MEMORY && !net_spool_open(x)) {
        refuse(c, 507);
        return;
    }
    c->state = NET_BODY;
    c->progress = 0;
    net_deadline(c, c->loop->server->options.body_timeout_ms);
}

static bool step_head(struct net_conn *c)
{
    struct http_exchange *x = c->x;
    enum net_parse r = x && x->in_len > x->fed ? net_head_parse(x) : NET_MORE;
    if (r == NET_DONE) {
        head_done(c);
        return true;
    }
    if (r == NET_BAD) {
        refuse(c, x->bad_status);
        return true;
    }
    if (fill(c)) return true;
    if (x && x->in_len == 0) { /* only empty lines: the idle time goes on */
        drop_exchange(c, true);
    } else if (x && !c->head_timed) {
        c->head_timed = true;
        net_deadline(c, c->loop->server->options.head_timeout_ms);
    }
    return false;
}

/* Moves what has arrived to the file; bytes behind the body stay. */
static bool spool_arrived(struct http_exchange *x)
{
    uint64_t want = x->body_len - x->body_got;
    size_t have = x->in_len - x->head_len, take = have < want ? have : (size_t)want;
    if (!net_spool_write(x, x->in + x->head_len, take)) return false;
    memmove(x->in + x->head_len, x->in + x->head_len + take, have - take);
    x->in_len -= take;
    return true;
}

static bool step_body(struct net_conn *c)
{
    struct http_exchange *x = c->x;
    if (x->spool_fd >= 0 && !spool_arrived(x)) {
        refuse(c, 507);
        return true;
    }
    uint64_t got = x->spool_fd >= 0 ? x->body_got : x->in_len - x->head_len;
    if (got >= x->body_len) {
        if (x->spool_fd >= 0 && !net_spool_map(x))
            refuse(c, 507);
        else
            call_handler(c);
        return true;
    }
    if (got - c->progress >= BODY_PROGRESS && got > c->progress) {
        c->progress = (uint32_t)got;
        net_deadline(c, c->loop->server->options.body_timeout_ms);
    }
    return fill(c);
}

static void start_linger(struct net_conn *c)
{
    if (c->tls) net_tls_close(c, true);
    drop_exchange(c, true);
    shutdown(c->fd, SHUT_WR);
    c->state = NET_LINGER;
    c->progress = 0;
    net_deadline(c, LINGER_MS);
}

/* The wait for a request begins; its head's deadline will begin with its first byte, once. */
void net_conn_idle(struct net_conn *c)
{
    c->head_timed = false;
    net_deadline(c, c->loop->server->options.idle_timeout_ms);
}

static void response_complete(struct net_conn *c)
{
    struct http_exchange *x = c->x;
    size_t used = x->head_len + (x->spool_fd < 0 ? (size_t)x->body_len : 0);
    bool more = x->unread || x->in_len > used;
    if (x->close_after) {
        finish_exchange(c, true);
        if (more) {
            start_linger(c);
        } else {
            c->state = NET_HEAD; /* a clean end */
            net_conn_close(c);
        }
        return;
    }
    c->state = NET_HEAD;
    net_conn_idle(c);
    if (!more) {
        drop_exchange(c, true);
        return;
    }
    finish_exchange(c, true);
    net_head_reset(x, used);
}

/* Waits until the peer has it, looking at the kernel's queue when the peer says something, else now and then. */
static void start_ack(struct net_conn *c)
{
    if (c->x->close_after && !c->tls) shutdown(c->fd, SHUT_WR); /* it may wait for the end of the stream */
    c->state = NET_ACK;
    c->stalled_ms = 0;
    c->progress = kernel_queue(c);
    net_deadline(c, ACK_MS);
}

static bool step_ack(struct net_conn *c)
{
    if (!is_acked(c)) return false; /* nor is the next request read before this is settled */
    response_complete(c);
    return true;
}

static void ack_timeout(struct net_conn *c)
{
    uint32_t queue = kernel_queue(c);
    c->stalled_ms = queue < c->progress ? 0 : c->stalled_ms + ACK_MS;
    c->progress = queue;
    if (c->stalled_ms >= c->loop->server->options.send_timeout_ms) {
        net_conn_close(c);
        return;
    }
    net_deadline(c, ACK_MS);
    net_conn_run(c);
}

static bool step_send(struct net_conn *c)
{
    if (c->blocked) return false; /* whatever the peer sends meanwhile does not make it less slow */
    if (!c->tls && c->x->body_rest == 0 && net_loop_gather(c)) return false;
    enum net_io io = c->tls ? net_tls_send(c) : net_send(c);
    if (io == NET_IO_DONE) {
        if (c->x->confirm && kernel_queue(c) > 0)
            start_ack(c);
        else
            response_complete(c);
        return true;
    }
    if (io == NET_IO_FAILED) {
        net_conn_close(c);
        return false;
    }
    c->blocked = io == NET_IO_AGAIN;
    if (io == NET_IO_TURN) net_loop_again(c);
    c->progress = kernel_queue(c); /* the socket took something: it was writable */
    net_deadline(c, c->loop->server->options.send_timeout_ms);
    return false;
}

static bool step_linger(struct net_conn *c)
{
    ssize_t n = receive(c);
    if (n < 0) return c->readable;
    c->progress += (uint32_t)n;
    if (n == 0 || c->progress > LINGER_BYTES) net_conn_close(c);
    return true;
}

static bool step(struct net_conn *c)
{
    switch ((enum net_state)c->state) {
    case NET_HANDSHAKE:
        return fill(c);
    case NET_HEAD:
        return step_head(c);
    case NET_BODY:
        return step_body(c);
    case NET_SEND:
        return step_send(c);
    case NET_ACK:
        return step_ack(c);
    case NET_LINGER:
        return step_linger(c);
    case NET_HANDLE:
    case NET_CLOSED:
        break;
    }
    return false;
}

/* Once and for all: connections of one request are over before it. */
static bool watch(struct net_conn *c)
{
    c->watch.ready = conn_ready;
    c->watched = net_loop_watch(c->loop, &c->watch, c->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    return c->watched;
}

void net_conn_run(struct net_conn *c)
{
    if (c->running) return; /* a handler answered at once: the loop below goes on */
    c->running = true;
    if (c->tls && net_tls_flush(c) == NET_IO_FAILED) net_conn_close(c);
    unsigned steps = 0;
    while (steps < STEPS_MAX && step(c))
        steps++;
    c->running = false;
    if (c->state == NET_CLOSED) {
        net_conn_release(c);
        return;
    }
    if (steps == STEPS_MAX) net_loop_again(c);
    if (!c->watched && !c->again && !watch(c)) net_conn_close(c);
}

/* http_respond() built the response, or the connection is gone. */
void net_conn_answered(struct http_exchange *x)
{
    struct net_conn *c = x->conn;
    x->handling = false;
    if (c->state == NET_CLOSED) {
        net_node_unlink(&c->node);
        drop_exchange(c, false);
        net_conn_release(c);
        return;
    }
    c->state = NET_SEND;
    net_conn_run(c);
}

void net_conn_timeout(struct net_conn *c)
{
    const struct http_options *o = &c->loop->server->options;
    if (c->state == NET_ACK) {
        ack_timeout(c);
        return;
    }
    if (c->state == NET_SEND) {
        uint32_t queue = kernel_queue(c); /* slow is not stalled: the peer took some of it */
        if (queue < c->progress) {
            c->progress = queue;
            net_deadline(c, o->send_timeout_ms);
            return;
        }
    }
    if ((c->state == NET_HEAD && c->x) || c->state == NET_BODY) {
        refuse(c, 408);
        return;
    }
    net_conn_close(c);
}

void net_conn_stop(struct net_conn *c, bool at_once)
{
    bool idle = c->state == NET_HANDSHAKE || c->state == NET_LINGER || (c->state == NET_HEAD && !c->x);
    if (at_once || idle) net_conn_close(c);
}

/* The server stops and nobody will answer these any more. */
void net_conn_orphans_drop(struct net_loop *loop)
{
    struct net_wheel_node *node = loop->orphans.next;
    while (node != &loop->orphans) {
        struct net_conn *c = (struct net_conn *)(void *)((char *)node - offsetof(struct net_conn, node));
        node = node->next;
        struct http_exchange *x = c->x;
        if (x->working) continue;
        net_node_unlink(&c->node);
        c->x = NULL;
        net_spool_close(x);
        x->pool_next = loop->dropped;
        loop->dropped = x;
        net_conn_release(c);
    }
}

void net_conn_open(struct net_loop *loop, struct net_listener *l, int fd, const struct in6_addr *addr)
{
    struct net_conn *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        atomic_fetch_sub_explicit(&loop->server->open, 1, memory_order_relaxed);
        return;
    }
    c->loop = loop;
    c->listener = l;
    c->fd = fd;
    c->addr = *addr;
    c->state = NET_HEAD;
    c->readable = true; /* often the request is already there: this saves the wait for it */
    loop->open++;
    net_count(&loop->counters.accepted, 1);
    net_wheel_insert(loop, c);
    net_conn_idle(c);
    if (l->tls) {
        c->state = NET_HANDSHAKE;
        net_deadline(c, loop->server->options.head_timeout_ms);
        if (!net_tls_open(c)) {
            net_conn_close(c);
            return;
        }
    }
    net_conn_run(c);
}
