/* bare_port.h - what bare_port.c gives a product: see there. */
#ifndef BARE_PORT_H
#define BARE_PORT_H

#include "agent/agent.h"

extern uint8_t bare_memory[4u << 20];      /* the flash */
extern const struct molt_flash bare_flash; /* ... as libmolt sees it */
extern const struct molt_hash_ops bare_sha256;

/* One turn of the main loop: never waits. False: the agent wants a restart. */
bool bare_turn(struct molt_agent *agent);

#endif
