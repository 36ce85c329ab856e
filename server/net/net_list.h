/* net_list.h - addresses and networks as people write them ("10.1.2.3", "10.0.0.0/8", "fd00::/8"), and who is in one of them.
 * Tests: test/unit/net_list_test.c. */
#ifndef MOLT_SERVER_NET_LIST_H
#define MOLT_SERVER_NET_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An IPv4 network is the same of ::ffff:0:0/96. */
struct net {
    uint8_t address[16];
    uint8_t prefix; /* bits of it that count, 0 to 128 */
};

/* False: it is no address and no network. Bits behind the prefix must be 0: 10.0.0.1/8 is a mistake. */
bool net_read(const char *text, struct net *out);
/* Is it one? */
bool net_list_ok(const char *text);
/* The address ("10.1.2.3", "::1", "::ffff:10.1.2.3") is in one of the networks. What is no address is in none. */
bool net_list_has(const struct net *nets, size_t count, const char *address);

#endif
