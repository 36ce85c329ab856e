/* netif.h - the board's network card as lwIP's interface, with an address by DHCP. Tests: test/qemu. */
#ifndef MOLT_FIRMWARE_NETIF_H
#define MOLT_FIRMWARE_NETIF_H

#include <stdbool.h>
#include <stdint.h>

/* Starts card and DHCP. false: no card. */
bool net_begin(const uint8_t mac[6]);
/* Hands received frames to lwIP and lets its clocks run. true: something came. */
bool net_poll(void);
/* The address as text, NULL: none yet. */
const char *net_address(void);

#endif
