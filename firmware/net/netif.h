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

/* Asks a time server (SNTP) at this IPv4 address, "": none, once there is an own address. port 0: the
 * usual one. */
void net_ask_time(const char *server, uint16_t port);
/* Seconds since 1970 as the server told, running on with the board's clock; 0: not told yet. */
uint32_t net_time_s(void);

#endif
