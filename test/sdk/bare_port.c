/* bare_port.c - a port in under 150 lines, as doc/porting.md explains it: a bare main loop that never waits, flash in
 * memory, SHA-256 of another library (OpenSSL), polled sockets. Must never block. Tests: test/sdk/bare_port_test.c. */
#define OPENSSL_SUPPRESS_DEPRECATED /* the one API of OpenSSL that keeps no heap */
#include "bare_port.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/sha.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- 1. flash: offsets from 0, whole sectors erased, each word written once per erase ---- */

uint8_t bare_memory[4u << 20];

static int flash_read(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    (void)ctx;
    memcpy(dst, bare_memory + off, len);
    return 0;
}

static int flash_write(void *ctx, uint32_t off, const void *src, uint32_t len)
{
    (void)ctx;
    for (uint32_t i = 0; i < len; i++)
        bare_memory[off + i] &= ((const uint8_t *)src)[i]; /* NOR flash clears bits */
    return 0;
}

static int flash_erase(void *ctx, uint32_t off, uint32_t len)
{
    (void)ctx;
    memset(bare_memory + off, 0xFF, len);
    return 0;
}

static bool flash_is_blank(void *ctx, uint32_t off, uint32_t len)
{
    (void)ctx;
    for (uint32_t i = 0; i < len; i++) {
        if (bare_memory[off + i] != 0xFF) return false;
    }
    return true;
}

const struct molt_flash bare_flash = {
    .size = sizeof bare_memory,
    .write_unit = 4,
    .erase_sizes = {MOLT_SECTOR},
    .read = flash_read,
    .write = flash_write,
    .erase = flash_erase,
    .is_blank = flash_is_blank,
};

/* ---- 2. SHA-256: the state lies in the library's own memory, and may be left in the middle without a word ---- */

static void sha256_init(void *state)
{
    SHA256_Init(state);
}

static void sha256_update(void *state, const void *data, size_t len)
{
    SHA256_Update(state, data, len);
}

static void sha256_finish(void *state, uint8_t digest[MOLT_SHA256_LEN])
{
    SHA256_Final(digest, state);
}

_Static_assert(sizeof(SHA256_CTX) <= MOLT_HASH_CTX_LEN, "the state fits");
const struct molt_hash_ops bare_sha256 = {sha256_init, sha256_update, sha256_finish};

/* ---- 3. network and clock: do what the agent wants, as far as it goes at once, and say how it went ---- */

static int fd = -1;
static uint8_t buffer[1460]; /* what was received stays as it is until the agent wants more */

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

static void do_connect(struct molt_agent *agent, const struct molt_want *want)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(want->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK); /* this machine knows one host */
    if (want->tls || strcmp(want->host, "127.0.0.1") != 0) {
        molt_agent_failed(agent, want->tls ? MOLT_TLS : MOLT_DNS);
        return;
    }
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
        molt_agent_connected(agent);
    else
        molt_agent_failed(agent, MOLT_CONNECT);
}

bool bare_turn(struct molt_agent *agent)
{
    struct molt_want want;
    ssize_t n;
    molt_agent_step(agent, now_ms(), &want);
    switch (want.kind) {
    case MOLT_WANT_CONNECT:
        do_connect(agent, &want);
        break;
    case MOLT_WANT_SEND:
        n = send(fd, want.data, want.len, MSG_NOSIGNAL);
        if (n > 0) molt_agent_sent(agent, (size_t)n);
        if (n < 0 && errno != EAGAIN) molt_agent_failed(agent, MOLT_CONNECTION_LOST);
        break;
    case MOLT_WANT_RECEIVE: /* without a report the agent wants the same again, until its own time-out */
        n = recv(fd, buffer, sizeof buffer, 0);
        if (n > 0) molt_agent_received(agent, buffer, (size_t)n);
        if (n == 0) molt_agent_closed(agent);
        if (n < 0 && errno != EAGAIN) molt_agent_failed(agent, MOLT_CONNECTION_LOST);
        break;
    case MOLT_WANT_CLOSE:
        close(fd);
        fd = -1;
        break;
    case MOLT_WANT_RESTART:
        return false;
    case MOLT_WANT_STEP:
    case MOLT_WANT_WAIT:
        break;
    }
    return true;
}
