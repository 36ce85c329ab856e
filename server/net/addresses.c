/* addresses.c - how many connections each peer has, for the limit an address; an IPv6 peer is its /64.
 * Used only when the limit is set. Must never refuse one peer because of another. Tests: test/e2e/http_limits_test.c. */
#include "server/net/net.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096 };

struct entry {
    struct entry *next;
    unsigned char key[16];
    unsigned count;
};

struct net_addresses {
    pthread_mutex_t lock;
    unsigned max;
    struct entry *buckets[BUCKETS];
};

struct net_addresses *net_addresses_new(unsigned max)
{
    struct net_addresses *a = calloc(1, sizeof *a);
    if (!a) return NULL;
    pthread_mutex_init(&a->lock, NULL);
    a->max = max;
    return a;
}

void net_addresses_free(struct net_addresses *a)
{
    if (!a) return;
    for (unsigned i = 0; i < BUCKETS; i++) {
        while (a->buckets[i]) {
            struct entry *e = a->buckets[i];
            a->buckets[i] = e->next;
            free(e);
        }
    }
    pthread_mutex_destroy(&a->lock);
    free(a);
}

static void make_key(const struct in6_addr *addr, unsigned char key[16])
{
    memset(key, 0, 16);
    memcpy(key, addr, IN6_IS_ADDR_V4MAPPED(addr) ? 16 : 8);
}

/* A peer cannot choose many addresses cheaply, and there are never more entries than connections. */
static struct entry **find(struct net_addresses *a, const unsigned char key[16])
{
    uint32_t h = 2166136261u;
    for (unsigned i = 0; i < 16; i++)
        h = (h ^ key[i]) * 16777619u;
    struct entry **at = &a->buckets[h % BUCKETS];
    while (*at && memcmp((*at)->key, key, 16) != 0)
        at = &(*at)->next;
    return at;
}

bool net_addresses_enter(struct net_addresses *a, const struct in6_addr *addr)
{
    unsigned char key[16];
    make_key(addr, key);
    pthread_mutex_lock(&a->lock);
    struct entry **at = find(a, key);
    if (!*at && (*at = calloc(1, sizeof **at))) memcpy((*at)->key, key, 16);
    bool ok = *at && (*at)->count < a->max;
    if (ok) (*at)->count++;
    pthread_mutex_unlock(&a->lock);
    return ok;
}

void net_addresses_leave(struct net_addresses *a, const struct in6_addr *addr)
{
    unsigned char key[16];
    make_key(addr, key);
    pthread_mutex_lock(&a->lock);
    struct entry **at = find(a, key), *e = *at;
    if (e && --e->count == 0) {
        *at = e->next;
        free(e);
    }
    pthread_mutex_unlock(&a->lock);
}
