/* http_fixture.h - a server of server/net with a handful of routes, and a client that writes raw bytes. */
#ifndef MOLT_TEST_HTTP_FIXTURE_H
#define MOLT_TEST_HTTP_FIXTURE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/net/http_server.h"

enum { FILE_LEN = 1500007, ANSWER_CAP = 4 << 20 };

struct fixture {
    struct http_server *server;
    uint16_t port;
    char dir[64];
    int file_fd; /* FILE_LEN bytes of file_byte() */
    _Atomic unsigned
        handled; /* counted before the answer leaves, /hold when let go, /park once it is parked */
    _Atomic unsigned done_complete, done_cut;
    _Atomic uint64_t sent;                     /* of the last response that was cut */
    _Atomic unsigned holding, let_go, turn_at; /* /hold, /turn */
    pthread_mutex_t lock;
    struct http_exchange *parked[64];
    unsigned parked_count;
};

/* Routes: see handle() in the .c. */
void fixture_start(struct fixture *f, const struct http_options *options, const char *url, uint64_t body_max);
void fixture_stop(struct fixture *f, uint32_t drain_ms);
/* Resumes everything that /park holds. */
unsigned fixture_resume(struct fixture *f);
/* Waits until *counter reaches at least n; fails the test when it never does. */
void fixture_wait(const _Atomic unsigned *counter, unsigned n);
void fixture_wait_open(struct fixture *f, uint64_t n);
/* cert.pem and key.pem in f->dir; kind "ec" or "rsa". */
void fixture_make_cert(const char *dir, const char *kind);
unsigned char file_byte(uint64_t at);

/* ---- the raw client; every wait ends with a failed test when nothing comes for two minutes ---- */
int raw_connect(uint16_t port);
void raw_send(int fd, const void *data, size_t len);
void raw_say(int fd, const char *text);
/* Waits until the kernel at the other end has all that was sent: on a loaded machine that is not at once. */
void raw_arrived(int fd);
/* Reads until the peer closes; a reset counts as the end. Returns the length; out is ended with a NUL. */
size_t raw_read_all(int fd, char *out, size_t cap);
void raw_reset(int fd); /* closes with RST */

struct answer {
    int status; /* 0: the connection ended before a head was complete */
    char head[20000];
    char *body;
    size_t body_len;
    uint64_t announced; /* Content-Length, UINT64_MAX without */
};

/* Reads one response; bodiless: an answer to HEAD. The body is freed with the answer. */
void raw_answer(int fd, bool bodiless, struct answer *a);
void answer_free(struct answer *a);
bool answer_has(const struct answer *a, const char *line_start); /* a header line begins so, any case */
/* True when the peer closed, false when it is open and silent: known at once when it must close, else after a look
 * that is short. */
bool raw_closed(int fd, bool must);
/* Asks until it is answered: where waits are short, a client that gets no processor is cut as any slow one is. The first
 * returns the connection, with its answer read. */
int fixture_served(const struct fixture *f);
void fixture_serves(const struct fixture *f);
void pause_us(long us);

#endif
