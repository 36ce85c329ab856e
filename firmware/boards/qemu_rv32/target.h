/* target.h - QEMU's riscv "virt" machine with an RV32IMC core: where things are.
 * Source: QEMU 7.2 hw/riscv/virt.c, hw/block/pflash_cfi01.c. */
#ifndef MOLT_QEMU_RV32_TARGET_H
#define MOLT_QEMU_RV32_TARGET_H

#include <stdint.h>

#define REG8(a)  (*(volatile uint8_t *)(uintptr_t)(a))
#define REG16(a) (*(volatile uint16_t *)(uintptr_t)(a))
#define REG32(a) (*(volatile uint32_t *)(uintptr_t)(a))

#define UART       0x10000000u /* 16550, stride 1 */
#define TEST       0x00100000u /* 0x7777: reset */
#define MTIMECMP   0x02004000u
#define MTIME      0x0200BFF8u /* 10 MHz */
#define PLIC       0x0C000000u
#define VIRTIO_NET 0x10001000u /* virtio-mmio slot 0, interrupt source 1 */
#define PCI_CONFIG 0x30000000u /* ECAM */
#define PCI_MEMORY 0x40000000u

#define FLASH_BASE 0x20000000u
#define FLASH_SIZE 0x00400000u /* as on a common module; the machine's bank is larger */
typedef uint32_t flash_word;   /* two chips of 16 bits side by side */
#define FLASH_REPEAT(c) ((flash_word)(c) << 16 | (flash_word)(c))

#define SETTINGS_OFFSET 0x9000u /* where ESP-IDF has "nvs" */
#define SETTINGS_END    0xE000u
#define ES256           molt_bearssl_es256_i31
#define BAD_ADDRESS     0xF0000000u /* nothing is there: a store is an exception */

/* What a segment of an image may be loaded to (app.ld). */
#define CODE_START 0x80200000u
#define CODE_LEN   0x00100000u
#define DATA_START 0x80010000u
#define DATA_LEN   0x00050000u

#endif
