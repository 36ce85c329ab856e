/* fleet.c - many virtual devices against one address, and a ledger of all that each of them was told and what it said: what the
 * database is compared with in the end. Must never look at the server but through its device plane. Used by the tests in this
 * folder; the ledger's form is in ledger.py.
 *
 *     nodes-fleet ADDRESS PORT LEDGER KEY=VALUE...
 *       devices=N    with libmolt's check-in, of product lamp        first=N  number of the first of them
 *       files=N      more, with version file and image, of product ring
 *       connections=N, poll_ms=N (between two polls of a device), bad_every=N (of so many one goes back after its trial)
 *       silent_every=N (of so many one never comes back after its download), ahead_every=N (of so many one runs 3 already)
 *       reports=1    each device reports one more version with every request, as fast as it is answered (for the bench)
 *
 * Lines on stdin: "poll_ms N", "end". On stdout a line of counts whenever they changed: updated failed offered answered
 * unanswered files_current. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/checkin.h"

#define DEVICES_MAX     65536
#define CONNECTIONS_MAX 512
#define IN_MAX          32768
#define TICK_MS         5
#define MS              1000000ull
#define ANSWER_MS       20000u /* then a connection is given up, as a device's own time limit does */

enum state { POLLS, FETCHES, REPORTS, GONE };

struct device {
    enum state state;
    bool files, busy;
    uint32_t code, target; /* that runs, that is being installed */
    bool rolls_back;
    uint64_t due_ns;
    char url[MOLT_URL_MAX + 1];
    uint32_t file_len;
    uint8_t digest[MOLT_SHA256_LEN], target_digest[MOLT_SHA256_LEN];
    bool has_digest;
};

struct connection {
    int fd; /* -1: closed */
    bool connecting;
    struct device *device; /* whose request is out, NULL: none */
    char kind;
    uint64_t sent_ns;
    uint8_t out[1024];
    size_t len;
    char in[IN_MAX + 1];
};

/* One entry of the ledger: little-endian, 32 bytes. recv_ns 0: no answer came. */
struct entry {
    uint64_t sent_ns, recv_ns; /* CLOCK_MONOTONIC */
    uint32_t device, code;     /* code: offered, announced, sent or reported */
    uint16_t reason, status;
    uint8_t kind;    /* 'P' check-in, 'R' one with a result, 'A' artifact, 'V' version file, 'B' image */
    uint8_t verdict; /* of a check-in */
    uint8_t node;    /* that answered, as HAProxy says it: 0 not known */
    uint8_t running; /* code that the device ran when it asked */
};
_Static_assert(sizeof(struct entry) == 32, "ledger.py reads 32 bytes");

static struct fleet {
    struct sockaddr_in to;
    FILE *ledger;
    struct device devices[DEVICES_MAX];
    struct connection connections[CONNECTIONS_MAX];
    uint32_t count, molt, first, bad_every, silent_every, ahead_every, connection_count, poll_ms;
    bool reports;
    uint32_t next; /* device that is looked at next */
    int epoll;
    bool ends;
    uint32_t updated, failed, offered;
    uint64_t answered, unanswered, random;
} fleet = {.bad_every = 0, .connection_count = 64, .poll_ms = 1000, .random = 88172645463325252u};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t chance(uint64_t below)
{
    fleet.random ^= fleet.random << 13, fleet.random ^= fleet.random >> 7, fleet.random ^= fleet.random << 17;
    return below > 0 ? fleet.random % below : 0;
}

static void after(struct device *device, uint64_t ms)
{
    device->due_ns = now_ns() + ms * MS / 2 + chance(ms * MS);
}

static uint32_t number_of(const struct device *device)
{
    return fleet.first + (uint32_t)(device - fleet.devices);
}

static void id_of(const struct device *device, char id[MOLT_ID_MAX + 1])
{
    snprintf(id, MOLT_ID_MAX + 1, "24%010x", (unsigned)number_of(device));
}

/* ---- requests ---- */

static size_t check_in(const struct device *device, bool reports, uint8_t out[1024])
{
    struct molt_checkin said = {.chip = MOLT_CHIP_ESP32C3,
                                .version_code = device->code,
                                .flash_size = 4u << 20,
                                .slot_size = 1u << 20,
                                .can = MOLT_CAN_RAW,
                                .has_digest = device->has_digest};
    uint8_t body[MOLT_CHECKIN_MAX];
    id_of(device, said.id);
    memcpy(said.digest, device->digest, sizeof said.digest);
    if (!reports) memcpy(said.product, "lamp", 5);
    if (reports && device->rolls_back) {
        said.result = MOLT_ROLLED_BACK;
        said.result_code = device->target;
        said.has_result_digest = true;
        memcpy(said.result_digest, device->target_digest, sizeof said.result_digest);
    } else if (reports) {
        said.result = MOLT_CONFIRMED;
    }
    int len = molt_checkin_encode(&said, body, sizeof body);
    if (len < 0) abort();
    int head =
        snprintf((char *)out, 400,
                 "POST " MOLT_CHECKIN_PATH " HTTP/1.1\r\nHost: molt\r\nContent-Type: application/cbor\r\n"
                 "Content-Length: %d\r\n\r\n",
                 len);
    memcpy(out + head, body, (size_t)len);
    return (size_t)(head + len);
}

static size_t get(const char *path, const char *headers, uint8_t out[1024])
{
    return (size_t)snprintf((char *)out, 1024, "GET %s HTTP/1.1\r\nHost: molt\r\n%s\r\n", path, headers);
}

/* As an ESP8266 asks whose core is so old that it takes no gzip: the length says the code. */
static size_t get_image(const char *id, uint8_t out[1024])
{
    char path[64], headers[256];
    snprintf(path, sizeof path, "/p/ring/%s.bin", id);
    snprintf(headers, sizeof headers,
             "User-Agent: ESP8266-http-Update\r\nx-ESP8266-STA-MAC: %.2s:%.2s:%.2s:%.2s:%.2s:%.2s\r\n"
             "x-ESP8266-free-space: 600000\r\nx-ESP8266-sketch-md5: 0\r\n",
             id, id + 2, id + 4, id + 6, id + 8, id + 10);
    return get(path, headers, out);
}

static size_t request(const struct device *device, char *kind, uint8_t out[1024])
{
    char path[128], id[MOLT_ID_MAX + 1];
    if (device->files) {
        id_of(device, id);
        *kind = device->state == FETCHES ? 'B' : 'V';
        snprintf(path, sizeof path, "/p/ring/%s.version", id);
        return *kind == 'B' ? get_image(id, out) : get(path, "", out);
    }
    *kind = device->state == FETCHES ? 'A' : device->state == REPORTS ? 'R' : 'P';
    return *kind == 'A' ? get(device->url, "", out) : check_in(device, *kind == 'R', out);
}

/* ---- answers ---- */

static const char *header(const struct connection *c, const char *name)
{
    const char *at = strcasestr(c->in, name), *end = strstr(c->in, "\r\n\r\n");
    return at != NULL && at < end ? at + strlen(name) : NULL;
}

static void take_offer(struct device *device, const struct molt_answer *answer)
{
    memcpy(device->url, answer->url, sizeof device->url);
    memcpy(device->target_digest, answer->image_digest, sizeof device->target_digest);
    device->target = answer->version_code;
    device->file_len = answer->file_len;
    device->state = FETCHES;
    fleet.offered++;
}

/* It restarts into the new image, and comes back; or it does not. */
static void install(struct device *device)
{
    const uint32_t number = number_of(device);
    if (fleet.silent_every > 0 && number % fleet.silent_every == fleet.silent_every - 1) {
        device->state = GONE;
        return;
    }
    device->rolls_back = fleet.bad_every > 0 && number % fleet.bad_every == fleet.bad_every - 1;
    device->state = REPORTS;
    if (device->rolls_back) return;
    device->code = device->target;
    memcpy(device->digest, device->target_digest, sizeof device->digest);
    device->has_digest = true;
}

static void told(struct device *device, struct entry *entry, const char *body, size_t len)
{
    struct molt_answer answer;
    if (molt_answer_decode(&answer, (const uint8_t *)body, len) < 0) abort();
    entry->verdict = (uint8_t)answer.verdict;
    entry->reason = (uint16_t)answer.reason;
    if (entry->kind == 'R') {
        entry->code = device->rolls_back ? device->target : device->code;
        device->rolls_back ? fleet.failed++ : fleet.updated++;
        device->state = POLLS;
        if (fleet.reports) {
            device->state = REPORTS;
            device->code++;
            return;
        }
    }
    if (answer.verdict == MOLT_VERDICT_OFFER) {
        if (entry->kind == 'P') entry->code = answer.version_code;
        take_offer(device, &answer);
    }
}

/* The images of ring say their code by their length: 8192 + 16 * code. */
static void file_answer(struct device *device, struct entry *entry, const char *body, size_t len)
{
    if (entry->kind == 'V') {
        entry->code = (uint32_t)strtoul(body, NULL, 10);
        device->target = entry->code;
        if (entry->status == 200 && entry->code > device->code) device->state = FETCHES;
        return;
    }
    if (entry->status == 200) {
        entry->code = (uint32_t)(len - 8192) / 16;
        device->code = entry->code;
    }
    device->state = POLLS;
}

static void answered(struct connection *c, const char *body, size_t len)
{
    struct device *device = c->device;
    const char *node = header(c, "\nx-node: n");
    struct entry entry = {.sent_ns = c->sent_ns,
                          .recv_ns = now_ns(),
                          .device = number_of(device),
                          .status = (uint16_t)strtoul(c->in + 9, NULL, 10),
                          .kind = (uint8_t)c->kind,
                          .node = (uint8_t)(node != NULL ? atoi(node) : 0),
                          .running = (uint8_t)device->code};
    uint64_t wait_ms = fleet.poll_ms;
    fleet.answered++;
    if (device->files) {
        file_answer(device, &entry, body, len);
        if (device->state == FETCHES) wait_ms = 1;
    } else if (c->kind == 'A') {
        if (entry.status == 200 && len == device->file_len)
            install(device);
        else
            device->state = POLLS; /* as the agent does after a download that it may not have: it asks anew */
        wait_ms = 100 + chance(200);
    } else if (entry.status == 200) {
        told(device, &entry, body, len);
        if (device->state == FETCHES) wait_ms = 10 + chance(50);
    }
    fwrite(&entry, sizeof entry, 1, fleet.ledger);
    device->busy = false;
    after(device, wait_ms);
    c->device = NULL;
}

/* ---- connections ---- */

static void hang_up(struct connection *c)
{
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->len = 0;
    if (c->device == NULL) return;
    struct entry entry = {.sent_ns = c->sent_ns,
                          .device = number_of(c->device),
                          .kind = (uint8_t)c->kind,
                          .running = (uint8_t)c->device->code};
    fwrite(&entry, sizeof entry, 1, fleet.ledger);
    fleet.unanswered++;
    c->device->busy = false;
    if (c->kind == 'A' || c->kind == 'B') c->device->state = POLLS;
    after(c->device, fleet.poll_ms);
    c->device = NULL;
}

static void connect_one(struct connection *c)
{
    int on = 1;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) abort();
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->connecting = connect(c->fd, (struct sockaddr *)&fleet.to, sizeof fleet.to) != 0;
    if (c->connecting && errno != EINPROGRESS) {
        close(c->fd);
        c->fd = -1;
        return;
    }
    if (epoll_ctl(fleet.epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) abort();
}

static void ask(struct connection *c, struct device *device)
{
    size_t len = request(device, &c->kind, c->out);
    c->device = device;
    device->busy = true;
    c->sent_ns = now_ns();
    if (send(c->fd, c->out, len, MSG_NOSIGNAL) != (ssize_t)len) hang_up(c);
}

/* True when the whole answer was there and is dealt with. */
static bool take_answer(struct connection *c)
{
    c->in[c->len] = '\0';
    const char *end = strstr(c->in, "\r\n\r\n");
    if (end == NULL || strncmp(c->in, "HTTP/1.", 7) != 0) return false;
    const char *length = header(c, "\ncontent-length: ");
    const size_t head = (size_t)(end - c->in) + 4;
    const size_t body = length != NULL ? strtoul(length, NULL, 10) : 0;
    if (c->len < head + body) return false;
    const bool closes = header(c, "\nconnection: close") != NULL;
    answered(c, c->in + head, body);
    c->len = 0;
    if (closes) hang_up(c);
    return true;
}

static void on_event(struct connection *c, uint32_t events)
{
    if (c->fd < 0) return;
    if (c->connecting && (events & EPOLLOUT) != 0) c->connecting = false;
    while ((events & EPOLLIN) != 0 && c->fd >= 0) {
        ssize_t n = recv(c->fd, c->in + c->len, IN_MAX - c->len, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (n <= 0 || c->device == NULL) {
            hang_up(c);
            return;
        }
        c->len += (size_t)n;
        (void)take_answer(c);
        if (c->len == IN_MAX) hang_up(c);
    }
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) hang_up(c);
}

/* ---- the course ---- */

static struct device *next_due(uint64_t now)
{
    for (uint32_t looked = 0; looked < fleet.count; looked++) {
        struct device *device = &fleet.devices[fleet.next];
        fleet.next = fleet.next + 1 < fleet.count ? fleet.next + 1 : 0;
        if (!device->busy && device->state != GONE && device->due_ns <= now) return device;
    }
    return NULL;
}

static void ask_all_due(void)
{
    const uint64_t now = now_ns();
    struct device *device = NULL;
    for (uint32_t i = 0; i < fleet.connection_count; i++) {
        struct connection *c = &fleet.connections[i];
        if (c->device != NULL && now - c->sent_ns > ANSWER_MS * MS) hang_up(c);
        if (c->fd < 0) connect_one(c);
        if (c->fd < 0 || c->connecting || c->device != NULL || fleet.ends) continue;
        device = next_due(now);
        if (device == NULL) return;
        ask(c, device);
    }
}

static uint32_t files_current(void)
{
    uint32_t least = UINT32_MAX, count = 0;
    for (uint32_t i = fleet.molt; i < fleet.count; i++, count++)
        if (fleet.devices[i].code < least) least = fleet.devices[i].code;
    return count > 0 ? least : 0;
}

static void show(void)
{
    static uint64_t sum;
    const uint64_t is = fleet.answered + fleet.unanswered;
    if (is == sum) return;
    sum = is;
    printf("%u %u %u %llu %llu %u\n", (unsigned)fleet.updated, (unsigned)fleet.failed,
           (unsigned)fleet.offered, (unsigned long long)fleet.answered, (unsigned long long)fleet.unanswered,
           (unsigned)files_current());
    (void)fflush(stdout);
}

static void command(void)
{
    char line[128];
    ssize_t n = read(STDIN_FILENO, line, sizeof line - 1);
    if (n < 0) return;
    line[n] = '\0';
    if (n == 0 || strstr(line, "end") != NULL) fleet.ends = true;
    (void)sscanf(line, "poll_ms %u", &fleet.poll_ms);
}

static bool some_wait(void)
{
    for (uint32_t i = 0; i < fleet.connection_count; i++)
        if (fleet.connections[i].device != NULL) return true;
    return false;
}

static void run(void)
{
    uint64_t shown = 0;
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(fleet.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) != 0) abort();
    while (!fleet.ends || some_wait()) {
        struct epoll_event events[64];
        ask_all_due();
        int ready = epoll_wait(fleet.epoll, events, 64, TICK_MS);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr == NULL) {
                command();
                if (fleet.ends) (void)epoll_ctl(fleet.epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
            } else {
                on_event(events[i].data.ptr, events[i].events);
            }
        }
        if (now_ns() - shown < 100 * MS) continue;
        shown = now_ns();
        show();
    }
    show();
}

static uint32_t setting(int argc, char **argv, const char *name, uint32_t otherwise)
{
    const size_t len = strlen(name);
    for (int i = 4; i < argc; i++)
        if (strncmp(argv[i], name, len) == 0 && argv[i][len] == '=')
            return (uint32_t)strtoul(argv[i] + len + 1, NULL, 10);
    return otherwise;
}

int main(int argc, char **argv)
{
    if (argc < 4) return 2;
    fleet.to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
    if (inet_pton(AF_INET, argv[1], &fleet.to.sin_addr) != 1) return 2;
    fleet.ledger = fopen(argv[3], "wb");
    fleet.molt = setting(argc, argv, "devices", 100);
    fleet.count = fleet.molt + setting(argc, argv, "files", 0);
    fleet.first = setting(argc, argv, "first", 0);
    fleet.bad_every = setting(argc, argv, "bad_every", 0);
    fleet.silent_every = setting(argc, argv, "silent_every", 0);
    fleet.ahead_every = setting(argc, argv, "ahead_every", 0);
    fleet.poll_ms = setting(argc, argv, "poll_ms", 1000);
    fleet.reports = setting(argc, argv, "reports", 0) != 0;
    fleet.connection_count = setting(argc, argv, "connections", 64);
    fleet.random += setting(argc, argv, "seed", 1) * 2654435761u;
    fleet.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (fleet.ledger == NULL || fleet.epoll < 0 || fleet.count > DEVICES_MAX ||
        fleet.connection_count > CONNECTIONS_MAX)
        return 2;
    for (uint32_t i = 0; i < fleet.count; i++) {
        fleet.devices[i].files = i >= fleet.molt;
        fleet.devices[i].code =
            !fleet.devices[i].files && fleet.ahead_every > 0 && (fleet.first + i) % fleet.ahead_every == 2
                ? 3
                : 1;
        if (fleet.reports) fleet.devices[i].state = REPORTS;
        after(&fleet.devices[i], fleet.poll_ms);
    }
    for (uint32_t i = 0; i < fleet.connection_count; i++)
        fleet.connections[i].fd = -1;
    run();
    return fclose(fleet.ledger) == 0 ? 0 : 1;
}
