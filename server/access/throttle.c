/* throttle.c - token buckets of addresses (throttle.h). Must never let one address in because another did nothing.
 * Tests: test/unit/throttle_test.c. */
#include "throttle.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_MS 60000
#define SETS      1024
#define WAYS      4

struct bucket {
    uint64_t address; /* IPv4, or the /64 of an IPv6 address, hashed; 0: free */
    int64_t at_ms;
    int64_t credit; /* in 1/60000 of one */
};

struct throttle {
    pthread_mutex_t lock;
    uint32_t per_minute; /* 0: no limit */
    struct net exempt[THROTTLE_EXEMPT_MAX];
    size_t exempt_count;
    struct bucket table[SETS][WAYS];
};

struct throttle *throttle_new(uint32_t per_minute)
{
    struct throttle *throttle = calloc(1, sizeof *throttle);
    if (throttle == NULL) return NULL;
    pthread_mutex_init(&throttle->lock, NULL);
    throttle->per_minute = per_minute;
    return throttle;
}

void throttle_free(struct throttle *throttle)
{
    if (throttle == NULL) return;
    pthread_mutex_destroy(&throttle->lock);
    free(throttle);
}

/* An IPv6 customer has a whole /64, so that is what counts. */
static uint64_t address_key(const char *address)
{
    uint8_t bytes[16] = {0};
    size_t len = 8;
    if (inet_pton(AF_INET6, address, bytes) == 1) {
        static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
        if (memcmp(bytes, mapped, sizeof mapped) == 0) {
            memmove(bytes, bytes + 12, 4);
            len = 4;
        }
    } else if (inet_pton(AF_INET, address, bytes) == 1) {
        len = 4;
    } else {
        len = 0; /* a name: all of it */
    }
    uint64_t hash = 0xCBF29CE484222325u ^ len;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 0x100000001B3u;
    for (const char *c = address; len == 0 && *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001B3u;
    hash ^= hash >> 32;
    return hash != 0 ? hash : 1;
}

static void refill(struct bucket *one, uint32_t per_minute, int64_t now_ms)
{
    int64_t full = (int64_t)per_minute * MINUTE_MS;
    int64_t passed = now_ms - one->at_ms;
    if (passed < 0) passed = 0; /* the clock was set back */
    if (passed > MINUTE_MS) passed = MINUTE_MS;
    one->credit += passed * per_minute;
    if (one->credit > full) one->credit = full;
    one->at_ms = now_ms;
}

/* The address's bucket; a new one takes the place of the one unused for the longest. */
static struct bucket *bucket_of(struct throttle *throttle, uint64_t key, int64_t now_ms)
{
    struct bucket *set = throttle->table[key % SETS];
    struct bucket *oldest = &set[0];
    for (int i = 0; i < WAYS; i++) {
        if (set[i].address == key) return &set[i];
        if (set[i].at_ms < oldest->at_ms) oldest = &set[i];
    }
    *oldest =
        (struct bucket){.address = key, .at_ms = now_ms, .credit = (int64_t)throttle->per_minute * MINUTE_MS};
    return oldest;
}

static bool look(struct throttle *throttle, const char *address, int64_t now_ms, bool take)
{
    uint64_t key = address_key(address);
    pthread_mutex_lock(&throttle->lock);
    if (throttle->per_minute == 0 || net_list_has(throttle->exempt, throttle->exempt_count, address)) {
        pthread_mutex_unlock(&throttle->lock);
        return true;
    }
    struct bucket *one = bucket_of(throttle, key, now_ms);
    refill(one, throttle->per_minute, now_ms);
    bool allowed = one->credit >= MINUTE_MS;
    if (allowed && take) one->credit -= MINUTE_MS;
    pthread_mutex_unlock(&throttle->lock);
    return allowed;
}

bool throttle_take(struct throttle *throttle, const char *address, int64_t now_ms)
{
    return look(throttle, address, now_ms, true);
}

bool throttle_has(struct throttle *throttle, const char *address, int64_t now_ms)
{
    return look(throttle, address, now_ms, false);
}

void throttle_exempt(struct throttle *throttle, const struct net *nets, size_t count)
{
    pthread_mutex_lock(&throttle->lock);
    throttle->exempt_count = count < THROTTLE_EXEMPT_MAX ? count : THROTTLE_EXEMPT_MAX;
    if (count > 0) memcpy(throttle->exempt, nets, throttle->exempt_count * sizeof *nets);
    pthread_mutex_unlock(&throttle->lock);
}

void throttle_set(struct throttle *throttle, uint32_t per_minute)
{
    pthread_mutex_lock(&throttle->lock);
    throttle->per_minute = per_minute;
    pthread_mutex_unlock(&throttle->lock);
}
