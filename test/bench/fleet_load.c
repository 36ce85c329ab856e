/* fleet_load.c - an open-loop client: requests are due at fixed times, whatever the answers do, and a latency is counted
 * from when the request was due, so that a server that stalls cannot hide it. Must never be the slow one: one thread, epoll. */
#include "fleet.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 64
#define QUEUE       4096 /* requests due and not answered, on one connection */

struct connection {
    int fd;
    double due[QUEUE];
    uint32_t first, count; /* of due */
    char in[65536];
    size_t len;
};

static struct connection connections[CONNECTIONS];
static double *latencies;
static size_t answered, wrong;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool open_one(struct connection *c, uint16_t port, int poll)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    return c->fd >= 0 && connect(c->fd, (struct sockaddr *)&to, sizeof to) == 0 &&
           setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
           epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &event) == 0;
}

static bool ask(struct connection *c, uint32_t device, double due)
{
    char id[13], request[128];
    if (c->count == QUEUE) return false;
    fleet_id(device, id);
    int len = snprintf(request, sizeof request, "GET /fota/%s.version HTTP/1.1\r\nHost: bench\r\n\r\n", id);
    c->due[(c->first + c->count++) % QUEUE] = due;
    return send(c->fd, request, (size_t)len, MSG_NOSIGNAL) == len;
}

/* The whole answers in c->in: a head with a Content-Length, and its body. */
static bool take_answers(struct connection *c)
{
    for (;;) {
        c->in[c->len] = '\0';
        char *end = strstr(c->in, "\r\n\r\n"), *length = strcasestr(c->in, "content-length: ");
        if (!end || !length || length > end) return !end;
        size_t whole = (size_t)(end - c->in) + 4 + (size_t)atoi(length + 16);
        if (c->len < whole) return true;
        if (c->count == 0) return false;
        if (strncmp(c->in, "HTTP/1.1 200", 12) != 0) wrong++;
        latencies[answered++] = now() - c->due[c->first];
        c->first = (c->first + 1) % QUEUE;
        c->count--;
        memmove(c->in, c->in + whole, c->len - whole);
        c->len -= whole;
    }
}

static bool read_one(struct connection *c)
{
    ssize_t n = recv(c->fd, c->in + c->len, sizeof c->in - 1 - c->len, 0);
    if (n <= 0) return false;
    c->len += (size_t)n;
    return take_answers(c);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int fleet_load(uint16_t port, double rate, double seconds, uint32_t fleet)
{
    size_t total = (size_t)(rate * seconds), asked = 0;
    uint64_t random = 88172645463325252u;
    int poll = epoll_create1(0);
    latencies = calloc(total + 1, sizeof *latencies);
    for (int i = 0; i < CONNECTIONS; i++)
        if (!latencies || !open_one(&connections[i], port, poll)) return 1;
    double start = now();
    while (answered < total) {
        double at = now();
        for (double due; asked < total && (due = start + (double)asked / rate) <= at; asked++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            if (!ask(&connections[asked % CONNECTIONS], (uint32_t)(random % fleet), due)) return 1;
        }
        struct epoll_event events[CONNECTIONS];
        int ready = epoll_wait(poll, events, CONNECTIONS, 1);
        for (int i = 0; i < ready; i++)
            if (!read_one(events[i].data.ptr)) return 1;
        if (at - start > seconds + 30) return 1; /* it does not keep up */
    }
    qsort(latencies, answered, sizeof *latencies, compare);
    printf("rate %.0f\np50_ms %.3f\np99_ms %.3f\nmax_ms %.3f\nwrong %zu\n",
           (double)answered / (now() - start), 1e3 * latencies[answered / 2],
           1e3 * latencies[answered * 99 / 100], 1e3 * latencies[answered - 1], wrong);
    return 0;
}
