/* watchdog.c - the i6300ESB watchdog card, which QEMU has for PCI machines: it resets the machine whether
 * or not the firmware still takes interrupts. Without the card nothing is watched. Tests: test/qemu.
 * Source: Intel 6300ESB datasheet, chapter 16. */
#include "../board.h"
#include "target.h"

#define CARD  0x25AB8086u /* device and vendor id */
#define SLOTS 32u
/* bits 0-1: 3 = first stage is silent; bit 2: 0 = slow clock; bit 5: 0 = second stage resets */
#define CONFIG_60   0x60u
#define LOCK_68     0x68u /* bit 1: enable */
#define RELOAD      0x0Cu
#define MS_PER_TICK 1u /* 2^15 cycles of 33 MHz */

static uint32_t config; /* address of the card's configuration, 0: no card */

static void unlock(void)
{
    REG16(PCI_MEMORY + RELOAD) = 0x80;
    REG16(PCI_MEMORY + RELOAD) = 0x86;
}

void board_watchdog_feed(void)
{
    if (config == 0) return;
    unlock();
    REG16(PCI_MEMORY + RELOAD) = 0x100;
}

void board_watchdog_begin(void)
{
    for (uint32_t slot = 0; slot < SLOTS && config == 0; slot++) {
        if (REG32(PCI_CONFIG + (slot << 15)) == CARD) config = PCI_CONFIG + (slot << 15);
    }
    if (config == 0) return;
    REG32(config + 0x10) = PCI_MEMORY; /* base address 0 */
    REG16(config + 4) = 2;             /* decode memory */
    REG16(config + CONFIG_60) = 3;
    unlock();
    REG32(PCI_MEMORY + 0) = BOARD_WATCHDOG_MS / MS_PER_TICK / 2; /* both stages together */
    unlock();
    REG32(PCI_MEMORY + 4) = BOARD_WATCHDOG_MS / MS_PER_TICK / 2;
    REG8(config + LOCK_68) = 2;
    board_watchdog_feed();
}
