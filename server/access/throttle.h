/* throttle.h - a token bucket for each address: how often it may do something that costs, or that guesses. A fixed table, so a
 * flood of addresses costs no memory; an address that falls out of it begins with a full bucket again. Thread-safe. */
#ifndef MOLT_SERVER_THROTTLE_H
#define MOLT_SERVER_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "../net/net_list.h"

struct throttle;

/* A full bucket holds per_minute and is full again after a minute. NULL when memory is short. */
struct throttle *throttle_new(uint32_t per_minute);
void throttle_free(struct throttle *throttle);

/* Takes one from the address's bucket; false: it is empty. An IPv6 customer has a whole /64, so that is one address. */
bool throttle_take(struct throttle *throttle, const char *address, int64_t now_ms);
/* Is one left? For what is only known to cost after it was done: it may then be taken a few times too often. */
bool throttle_has(struct throttle *throttle, const char *address, int64_t now_ms);

/* Addresses that are never held back: many devices sit behind one NAT. */
#define THROTTLE_EXEMPT_MAX 32
void throttle_exempt(struct throttle *throttle, const struct net *nets, size_t count);
/* Another number a minute; 0: as many as one likes. */
void throttle_set(struct throttle *throttle, uint32_t per_minute);

#endif
