/* net.h - what the files of server/net share; nobody else includes it.
 *
 * A loop is a thread. A connection (struct conn) belongs to one loop for life and is small, because thousands of
 * them are idle. An exchange (struct http_exchange) exists from the first byte of a request to the last byte of its
 * response; it holds the buffers and comes from its loop's pool. conn.c drives both through the states below. */
#ifndef MOLT_SERVER_NET_H
#define MOLT_SERVER_NET_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <uv.h>

#include <llhttp.h>

#include "server/net/http_server.h"

enum {
    NET_HEAD_MAX = 16384,       /* request line and headers, bytes; beyond it 431 */
    NET_HEADERS_MAX = 96,       /* header lines; beyond it 431 */
    NET_BODY_IN_MEMORY = 65536, /* larger request bodies go to a file */
    NET_BODY_COPY_MAX = 16384,  /* a response body up to this is copied */
    NET_IN_CAP = 16384,         /* bytes one read takes from a socket */
    NET_PLAIN_CAP = 32768,      /* bytes encrypted at a time; a multiple of every fragment length */
    NET_FIRST_BODY =
        1024, /* bytes of a file that leave in one write with the head (all of it up to 16 KiB) */
    NET_WHEEL_SLOTS = 256,
    NET_POOL_MAX = 64,    /* exchanges a loop keeps for reuse */
    NET_EVENTS_MAX = 256, /* taken from the kernel at a time */
    NET_GATHER_MAX = 32   /* small answers of a turn that leave together; less than NET_POOL_MAX */
};

struct net_loop;
struct net_tls;

/* ---- readiness ----
 * Sockets are watched by an epoll of the loop's own, the libuv of the loop by its backend's descriptor in it: libuv tells
 * of a socket again and again while it is ready, which costs a look at each of them more than telling once does. */
struct net_watch { /* the first member of whatever has the descriptor */
    void (*ready)(struct net_watch *watch, uint32_t events);
};

/* ---- listeners ---- */
struct net_tls_ctx; /* certificate, key and session cache of one https listener; tls.c */

struct net_listener {
    http_handler handler;
    void *handler_ctx;
    uint64_t body_max;
    char *host;      /* NULL for unix */
    char *unix_path; /* NULL for tcp */
    bool tls;
    bool opened;                 /* bound once: the port is known, the unix name is ours */
    uint16_t port;               /* the real one, 0 for unix */
    struct net_tls_ctx *tls_ctx; /* NULL unless tls */
};

/* One listening descriptor of one loop. */
struct net_accept {
    struct net_watch watch; /* told again while connections wait */
    struct net_loop *loop;
    struct net_listener *listener;
    int fd;
    bool open, paused; /* watched; waits for a descriptor */
};

/* ---- deadlines ---- */
struct net_wheel_node {
    struct net_wheel_node *prev, *next;
};

struct net_wheel {
    struct net_wheel_node slots[NET_WHEEL_SLOTS];
    uint64_t tick; /* the tick that was swept last */
    uint32_t tick_ms;
};

/* ---- connections ---- */
enum net_state {
    NET_HANDSHAKE, /* TLS */
    NET_HEAD,      /* idle, or a part of a head has arrived */
    NET_BODY,
    NET_HANDLE, /* the handler has it: running, working or parked */
    NET_SEND,
    NET_ACK,    /* all is with the kernel; the peer's TCP has not taken all of it (http_response.confirm) */
    NET_LINGER, /* response sent, reading what the peer still sends so that the kernel does not reset */
    NET_CLOSED  /* the socket is gone; the struct waits for its exchange and for the end of the loop's turn */
};

struct net_conn {
    struct net_watch watch;     /* told once: what is not done at once must be remembered below */
    struct net_conn *later;     /* of the loop's list of those to run again, or of those to free */
    struct net_wheel_node node; /* every open connection is in a slot */
    uint64_t deadline_ms;       /* UINT64_MAX: none */
    uint64_t slot_tick;
    struct net_loop *loop;
    struct net_listener *listener;
    struct http_exchange *x; /* NULL while idle */
    struct net_tls *tls;     /* NULL on plain connections */
    struct in6_addr addr;    /* IPv4 as ::ffff:a.b.c.d */
    int fd;
    uint32_t progress; /* NET_BODY: bytes since the deadline was set; NET_SEND, NET_ACK: kernel's queue then;
                            NET_LINGER: bytes thrown away */
    uint8_t state;     /* enum net_state */
    bool watched;      /* by the loop's epoll */
    bool readable;     /* the kernel said so, and what there was has not all been read */
    bool ended;        /* ... and the end of the stream is behind it */
    bool blocked;      /* the kernel takes nothing until it says so */
    bool again;        /* one of the loop's again or gathered: it will be run */
    bool running;      /* net_conn_run is on the stack */
    bool head_timed;   /* the deadline of a head runs */
    uint32_t stalled_ms; /* NET_ACK: without progress */
};

/* ---- exchanges ---- */
/* A piece of in, by offset, because in may move while a body arrives. */
struct net_span {
    size_t off, len;
};

struct net_header {
    uint16_t name_off, name_len, value_off, value_len;
};

struct http_exchange {
    struct net_conn *conn;
    struct net_loop *loop;
    struct http_exchange *pool_next;

    /* the request: head, body (when in memory) and whatever is pipelined behind it */
    char *in;
    size_t in_len, in_cap;
    size_t head_len;      /* with the empty line; 0 until the head is complete */
    uint64_t body_len;    /* announced */
    uint64_t body_got;    /* spooled so far */
    size_t fed, searched; /* bytes llhttp has seen, bytes searched for the empty line */
    llhttp_t parser;
    struct net_span target, path, query; /* path.len 0 means "/" */
    struct net_header headers[NET_HEADERS_MAX];
    unsigned header_count;
    uint64_t name_lens; /* bit n: a header's name has n bytes, modulo 64 */
    int spool_fd;       /* -1: body in memory */
    void *spool_map;
    enum http_method method;
    int bad_status;  /* why the head was refused */
    bool keep_alive; /* the request allows it */
    bool handling;   /* handed to the handler and not yet answered */
    bool working;    /* a worker thread has it */
    bool unread;     /* refused: the rest of the request is still on its way */

    /* the response: head and the first part of the body, then the rest */
    char *out;
    size_t out_len, out_off, out_cap;
    size_t out_head_len;
    const char *body; /* memory not copied into out */
    uint64_t body_rest;
    uint64_t file_off; /* file_fd >= 0: where body_rest begins */
    int file_fd;
    bool close_after;
    bool confirm;
    uint64_t sent; /* body bytes that the kernel took */
    void (*done)(void *ctx, struct http_exchange *x, bool complete, uint64_t sent);
    void *done_ctx;

    /* work and parking */
    uv_work_t work;
    void (*work_fn)(void *ctx, struct http_exchange *x);
    void (*after_fn)(void *ctx, struct http_exchange *x);
    void *after_ctx;
    struct http_exchange *resume_next;
    char peer[INET6_ADDRSTRLEN]; /* "" until asked for */
};

/* ---- loops and the server ---- */
struct net_counters {
    _Atomic uint64_t accepted, closed, requests, refused, bytes_sent;
};

/* Status, date and type, with which the last answer began. */
struct net_start {
    int status; /* 0: none yet */
    time_t second;
    char type[64], bytes[256];
    size_t len;
};

struct net_loop {
    uv_loop_t uv; /* timers, worker threads, wake; sockets are in epoll */
    int epoll;
    struct net_watch uv_watch;
    bool uv_ready;
    struct net_conn *again, *dead; /* to be run once more, to be freed, when this turn is over */
    /* whose answers leave when the requests of this turn have been read */
    struct net_conn *gathered[NET_GATHER_MAX];
    unsigned gathered_count;
    bool gathering; /* such answers wait */
    pthread_t thread;
    struct http_server *server;
    unsigned idx;
    struct net_accept *accepts;
    size_t accept_count;
    uv_async_t wake;
    uv_timer_t sweep, drain;
    struct net_wheel wheel;
    struct net_counters counters;
    struct http_exchange *pool;
    unsigned pool_count;
    unsigned open; /* connections whose struct exists */
    unsigned working;
    int spare_fd;       /* given up to accept and close when descriptors run out */
    bool made, running; /* the uv loop exists; the thread was started */
    bool stopping, killed;
    bool ending;                   /* under resume_lock: wake is gone */
    struct net_wheel_node orphans; /* connections that are gone while a handler holds their exchange */
    struct http_exchange *dropped; /* parked when the server stopped; freed when its threads are gone */
    pthread_mutex_t resume_lock;
    struct http_exchange *resume_head, *resume_tail;
    char *spare_out; /* a TLS output buffer nobody uses now; NULL: somebody does */
    size_t spare_out_cap;
    struct net_start start;
    char clean[96]; /* headers of a response that were found clean last */
    size_t clean_len;
    char *in,
        *plain; /* NET_IN_CAP, NET_PLAIN_CAP; apart, so that a byte too much is seen by AddressSanitizer */
};

struct http_server {
    struct http_options options;
    char *spool_dir;
    struct net_listener *listeners;
    size_t listener_count;
    struct net_loop *loops;
    unsigned loop_count;
    unsigned connections_max;
    _Atomic unsigned open;
    struct net_addresses *addresses; /* NULL: no limit an address */
    _Atomic bool stopping;
    uint32_t drain_ms;
};

static inline void net_count(_Atomic uint64_t *counter, uint64_t n)
{
    /* one writer, the loop's thread: no locked instruction is needed */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* listen.c */
int net_listener_parse(struct net_listener *l, const struct http_listener *from, char *err, size_t err_cap);
int net_listener_open(struct net_listener *l, char *err, size_t err_cap); /* fd or -1 */
void net_listener_free(struct net_listener *l);
int net_accept_start(struct net_accept *a);
void net_accept_stop(struct net_accept *a);
void net_accept_resume(struct net_loop *loop); /* those that wait for a descriptor */

/* loop.c */
int net_loop_init(struct net_loop *loop, struct http_server *server, unsigned idx, char *err, size_t err_cap);
int net_loop_start(struct net_loop *loop);
void net_loop_free(struct net_loop *loop); /* not running */
void net_loop_conn_gone(struct net_conn *c);
void net_loop_wake(struct net_loop *loop); /* from any thread */
bool net_loop_watch(struct net_loop *loop, struct net_watch *watch, int fd, uint32_t events);
void net_loop_unwatch(struct net_loop *loop, int fd);
void net_loop_again(struct net_conn *c);  /* runs it in the loop's next turn */
bool net_loop_gather(struct net_conn *c); /* true: it is run again in this turn, to send what it has */
void net_loop_check_end(struct net_loop *loop);
void net_resume_all(struct net_loop *loop);                  /* work.c */
struct http_exchange *net_exchange_take(struct net_conn *c); /* NULL without memory */
void net_exchange_give(struct net_loop *loop, struct http_exchange *x);

/* timeouts.c */
void net_wheel_init(struct net_wheel *w, uint32_t tick_ms, uint64_t now_ms);
void net_wheel_insert(struct net_loop *loop, struct net_conn *c);
void net_deadline(struct net_conn *c, uint32_t in_ms); /* 0: none */
void net_sweep(uv_timer_t *timer);
void net_wheel_stop(struct net_loop *loop, bool at_once); /* net_conn_stop for every open connection */
void net_node_init(struct net_wheel_node *node);
void net_node_link(struct net_wheel_node *head, struct net_wheel_node *node);
void net_node_unlink(struct net_wheel_node *node);

/* conn.c */
void net_conn_open(struct net_loop *loop, struct net_listener *l, int fd, const struct in6_addr *addr);
void net_conn_run(struct net_conn *c);
void net_conn_idle(struct net_conn *c);
void net_conn_timeout(struct net_conn *c);
void net_conn_close(struct net_conn *c);
void net_conn_release(struct net_conn *c); /* has it freed, when it is closed and nothing holds it */
void net_conn_stop(struct net_conn *c, bool at_once); /* draining: closes idle ones, or all of them */
void net_conn_answered(struct http_exchange *x);
void net_conn_orphans_drop(struct net_loop *loop);
bool net_conn_append(struct net_conn *c, const char *data, size_t len);

/* head.c: NET_MORE, NET_DONE (head_len, headers, path ... are set) or NET_BAD (bad_status is set) */
enum net_parse { NET_MORE, NET_DONE, NET_BAD };
enum net_parse net_head_parse(struct http_exchange *x);
void net_head_reset(struct http_exchange *x, size_t used); /* forgets used bytes of in, the request before */
bool net_in_reserve(struct http_exchange *x, size_t more);
/* The same, but for the case of letters? lower: letters in lower case, digits, '-'. text: no control characters. */
static inline bool net_same(const char *text, const char *lower, size_t len)
{
    const uint64_t bits = UINT64_MAX / 255 * 0x20; /* of a small letter; a digit and '-' have it, too */
    for (; len >= 8; text += 8, lower += 8, len -= 8) {
        uint64_t a, b;
        memcpy(&a, text, 8);
        memcpy(&b, lower, 8);
        if ((a | bits) != b) return false;
    }
    for (; len > 0; text++, lower++, len--)
        if ((*text | 0x20) != *lower) return false;
    return true;
}

/* head_plain.c: a whole head of the plainest kind. False: it is not one, and nothing but headers has changed. */
bool net_head_plain(struct http_exchange *x);
bool net_token_char(unsigned char c);

/* answer_head.c: the head, and room for the first bytes of the body behind it. False: the caller's headers are no headers, or
 * memory is short. */
bool net_answer_head(struct http_exchange *x, const struct http_response *r, uint64_t length, bool body,
                     size_t first);
const char *net_reason_of(int status);

/* respond.c */
void net_respond_error(struct http_exchange *x, int status);

/* send.c */
enum net_io {
    NET_IO_AGAIN, /* not before the kernel says so */
    NET_IO_TURN,  /* others first */
    NET_IO_DONE,
    NET_IO_FAILED
};
enum net_io net_send(struct net_conn *c);

/* spool.c */
bool net_spool_open(struct http_exchange *x);
bool net_spool_write(struct http_exchange *x, const char *data, size_t len);
bool net_spool_map(struct http_exchange *x);
void net_spool_close(struct http_exchange *x);

/* tls.c */
struct net_tls_files {
    const char *cert, *key, *ca, *crl; /* paths; all but cert may be NULL */
};
struct net_tls_ctx *net_tls_ctx_new(const struct net_tls_files *files, char *err, size_t err_cap);
struct net_tls_ctx *net_tls_ctx_read_again(const struct net_tls_ctx *ctx, char *err, size_t err_cap);
void net_tls_ctx_swap(struct net_tls_ctx *ctx, struct net_tls_ctx *fresh); /* takes over and frees fresh */
void net_tls_ctx_free(struct net_tls_ctx *ctx);
bool net_tls_open(struct net_conn *c);
void net_tls_close(struct net_conn *c, bool clean);
/* Takes len bytes that came from the socket: handshake, or plaintext that is appended to the exchange. */
enum net_io net_tls_input(struct net_conn *c, const char *data, size_t len);
enum net_io net_tls_send(struct net_conn *c);
enum net_io net_tls_flush(struct net_conn *c);
void net_tls_say(struct net_conn *c, const char *text, size_t len);
size_t net_tls_fragment(const struct net_conn *c); /* bytes of plaintext a record may carry at first */

/* addresses.c: connections per address */
struct net_addresses *net_addresses_new(unsigned max);
void net_addresses_free(struct net_addresses *a);
bool net_addresses_enter(struct net_addresses *a, const struct in6_addr *addr);
void net_addresses_leave(struct net_addresses *a, const struct in6_addr *addr);

#endif
