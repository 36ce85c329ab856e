/* retained.h - words of RAM that survive a restart but not a power cut: why the firmware starts, where
 * from, and what the boot stage left. The linker script of each program puts `retained` at the same
 * address. */
#ifndef MOLT_RETAINED_H
#define MOLT_RETAINED_H

#include "board.h"

/* At the start: reads why, and arms the record so that a reset nobody announced is the watchdog's. */
void retained_load(void);
/* Before a restart: says why. */
void retained_store(enum board_cause cause);
/* The boot stage says what it booted. */
void retained_set_booted(uint32_t off);

#endif
