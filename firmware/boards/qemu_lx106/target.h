/* target.h - QEMU's xtensa "lx60" board with the ESP8266's core: the chip's memory map for RAM, the
 * board's own devices. Source: QEMU 7.2 hw/xtensa/xtfpga.c, hw/net/opencores_eth.c; chip: esp8266
 * technical reference, eagle.app.v6.ld. */
#ifndef MOLT_QEMU_LX106_TARGET_H
#define MOLT_QEMU_LX106_TARGET_H

#include <stdint.h>

#define REG32(a) (*(volatile uint32_t *)(uintptr_t)(a))

#define CYCLES_PER_MS 40000u
#define FPGA          0xFD020000u /* +0x10: 0xDEAD resets */
#define ETH           0xFD030000u
#define ETH_TABLE     0xFD030400u /* descriptors */
#define ETH_MEMORY    0xFD800000u /* 16 KB for frames, apart from the chip's 80 KB */
#define UART          0xFD050020u /* 16550, stride 4 */

#define RTC_USER_MEMORY 0x60001200u /* the chip's; RAM here, which a restart leaves alone as well */
/* Counts how often the watchdog was fed: the machine has none, whoever runs it looks here. */
#define FED 0x600012C0u

#define FLASH_BASE 0xF8000000u
#define FLASH_SIZE 0x00400000u
typedef uint16_t flash_word;
#define FLASH_REPEAT(c) ((flash_word)(c))

#define SETTINGS_OFFSET 0x3FB000u /* where Arduino has "EEPROM" */
#define FS_START        0x200000u /* layout 4M2M */
#define ES256           molt_bearssl_es256_i15
#define BAD_ADDRESS     0x20000000u /* nothing is there: a store is an exception */

#endif
