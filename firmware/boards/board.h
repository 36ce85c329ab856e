/* board.h - what a board gives to the firmware: console, clock, watchdog, restart with its cause, flash,
 * network card. One implementation a board: qemu_rv32, qemu_lx106. One thread, interrupts only wake it up
 * and watch over it. Tests: test/qemu. */
#ifndef MOLT_BOARD_H
#define MOLT_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "molt_port.h"

/* Why the firmware or boot stage starts. */
enum board_cause {
    BOARD_POWER_ON,
    BOARD_RESTART,  /* it asked for it */
    BOARD_PANIC,    /* an exception, or board_panic() */
    BOARD_WATCHDOG, /* it was not fed, or the reset line was pulled */
};

#define BOARD_WATCHDOG_MS 4000u /* a firmware that does not feed for so long is reset */

/* Clock, interrupts, reset cause. First call. */
void board_begin(void);
enum board_cause board_cause(void);
const char *board_cause_name(enum board_cause cause);

void board_putc(char c);
uint64_t board_ms(void);     /* since the start */
uint32_t board_random(void); /* not predictable on a chip; in QEMU as good as its clock */
void board_idle(void);       /* sleeps until an interrupt: the clock's (every 10 ms) or the network card's */

void board_watchdog_begin(void);
void board_watchdog_feed(void);

void board_restart(enum board_cause cause) __attribute__((noreturn));
void board_panic(const char *why) __attribute__((noreturn));
void board_interrupts_off(void); /* for good: to try the watchdog */

/* The flash that the firmware lives in: 4 KB sectors, and the rules of NOR enforced (cfi_flash.h). */
extern const struct molt_flash board_flash;

/* What the boot stage tells the firmware; survives a restart. */
uint32_t board_booted_from(void); /* flash offset of the image that runs */

/* The network card. Frames without the check sequence, at most BOARD_FRAME_MAX bytes. */
#define BOARD_FRAME_MAX 1514u
bool board_nic_begin(const uint8_t mac[6]);
void *board_nic_frame(void);          /* where the next frame is to be written */
void board_nic_send(size_t len);      /* sends it; done when it returns */
size_t board_nic_receive(void **out); /* bytes of the next frame, 0: none; it stays until _received() */
void board_nic_received(void);

/* From the linker script: what the stack may use. Painted at the start, so that its peak can be read. */
extern uint32_t board_stack_low[], board_stack_top[];
size_t board_stack_peak(void);

#endif
