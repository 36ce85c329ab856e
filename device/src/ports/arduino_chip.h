/* arduino_chip.h - what arduino.cpp wants of a chip: esp8266_arduino.cpp, esp32_arduino.cpp. */
#ifndef MOLT_PORT_ARDUINO_CHIP_H
#define MOLT_PORT_ARDUINO_CHIP_H

#include <Client.h>

#include "../agent/agent.h"

#define MOLT_ARDUINO_TLS_MS 15000u /* what a handshake may take; BearSSL's client has this bound of its own */

/* Fills in what the chip knows. 0 or a negative reason. */
int molt_arduino_chip_begin(struct molt_agent_config *config);
/* 0 or -MOLT_ARG: this layout has no file system. */
int molt_arduino_chip_take_fs(struct molt_agent_config *config);
/* Erases and writes so far. */
uint32_t molt_arduino_chip_changes(void);
/* The Client that http goes over when the sketch names none. */
Client *molt_arduino_chip_client(void);
/* Has Wi-Fi joined a network? */
bool molt_arduino_chip_has_joined(void);
/* False: not connected, for whatever reason. Takes at most ms where the chip's own clients are asked. */
bool molt_arduino_chip_connect(Client *client, const char *host, uint16_t port, uint32_t ms);
/* ECDSA P-256, on a stack that is large enough. MOLT_YES or MOLT_NO. */
uint32_t molt_arduino_chip_verify(const uint8_t *digest, const uint8_t *key, const uint8_t *signature);

#endif
