/* chip.c - molt-boot on the ESP8266: flash, reset cause and serial port by functions of the chip's ROM, and the loader
 * of Arduino's eboot. Must never call anything but the ROM: nothing else is there yet.
 * Tests: test/qemu/molt_boot_test.c runs these very bytes above a stand-in for the ROM. */
#include "boot.h"

#define HEADER_MAGIC   0xE9u
#define RTC_COMMAND    0x60001200u /* eboot's command */
#define RTC_RESET_INFO 0x60001100u /* where the SDK keeps the reason of the last reset */
#define SDK_DEEP_SLEEP 5u
#define ROM_POWER_ON   1u
#define ROM_EXTERNAL   2u /* reset pin, restart, and wake from deep sleep */
#define SOFT_RESET     0x60000700u
#define SECOND         0x4010B000u /* where a second stage runs: second.ld */
#define FLASH_MAX      0x1000000u  /* the ROM knows the true size and fails beyond it */

/* Addresses: chip.ld, as in Espressif's eagle.rom.addr.v6.ld. Each returns 0 when it went well. */
int SPIRead(uint32_t off, void *dst, uint32_t len);
int SPIWrite(uint32_t off, const void *src, uint32_t len);
int SPIEraseSector(uint32_t sector);
void ets_wdt_enable(void);
void ets_wdt_disable(void);
void ets_putc(char c);
uint32_t rtc_get_reset_reason(void);

static int flash_read(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    (void)ctx;
    return SPIRead(off, dst, len);
}

static int flash_write(void *ctx, uint32_t off, const void *src, uint32_t len)
{
    (void)ctx;
    return SPIWrite(off, src, len);
}

static int flash_erase(void *ctx, uint32_t off, uint32_t len)
{
    (void)ctx;
    (void)len;
    return SPIEraseSector(off / MOLT_BOOT_SECTOR);
}

static const struct molt_flash flash = {
    .size = FLASH_MAX, .write_unit = 4, .read = flash_read, .write = flash_write, .erase = flash_erase};

/* This memory takes whole words only. */
static void second_put(uint32_t at, const void *data, uint32_t len)
{
    const uint32_t *from = data;
    for (uint32_t i = 0; i < len; i += 4)
        *(volatile uint32_t *)(SECOND + at + i) = *from++;
}

static int second_start(const struct molt_second_call *call)
{
    return ((int (*)(const struct molt_second_call *))(*(volatile uint32_t *)SECOND))(call);
}

static struct molt_boot boot; /* not cleared by anybody */

static enum molt_boot_cause cause(void)
{
    uint32_t reason = rtc_get_reset_reason();
    if (reason == ROM_POWER_ON) return MOLT_BOOT_POWER_ON;
    if (reason == ROM_EXTERNAL && *(volatile uint32_t *)RTC_RESET_INFO == SDK_DEEP_SLEEP)
        return MOLT_BOOT_DEEP_SLEEP;
    return MOLT_BOOT_RESET;
}

/* Memory that a segment is copied to; the others are run where they lie, in the mapped flash. */
static bool is_memory(uint32_t address)
{
    return address < 0x40000000u || (address >= 0x40100000u && address < 0x4010C000u) ||
           address >= 0x60000000u;
}

/* Loads the image at pos and jumps. Comes back when there is none. Everything of ours but code and stack may be
 * overwritten here. */
static void start(uint32_t pos)
{
    uint32_t header[2], segment[2];
    if (SPIRead(pos, header, sizeof header) != 0 || (header[0] & 0xFFu) != HEADER_MAGIC) return;
    pos += sizeof header;
    for (uint32_t left = header[0] >> 8 & 0xFFu; left > 0; left--) {
        if (SPIRead(pos, segment, sizeof segment) != 0) return;
        pos += sizeof segment;
        if (is_memory(segment[0]) && SPIRead(pos, (void *)segment[0], segment[1]) != 0) return;
        pos += segment[1];
    }
    __asm__ volatile("mov a1, %0\n jx %1" ::"r"(0x3FFFFFF0u), "r"(header[1]));
}

void molt_boot_main(void)
{
    volatile uint32_t *command = (volatile uint32_t *)RTC_COMMAND;
    uint32_t rtc[MOLT_BOOT_RTC_WORDS], app;
    for (uint32_t i = 0; i < MOLT_BOOT_RTC_WORDS; i++)
        rtc[i] = command[i];
    boot.flash = &flash;
    boot.second_put = second_put;
    boot.second_start = second_start;
    ets_wdt_disable();
    int rc = molt_boot_run(&boot, cause(), rtc, &app);
    ets_wdt_enable();
    command[0] = rtc[0];
    command[1] = rtc[1];
    ets_putc('M');
    ets_putc((char)(boot.keep.found ? 'A' + molt_boot_phase(boot.keep.state) : '-'));
    ets_putc(rc == 0 ? '.' : '!');
    ets_putc('\n');
    if (rc == 0) start(app + MOLT_BOOT_SECTOR);
    *(volatile uint32_t *)SOFT_RESET |= 0x80000000u;
    for (;;)
        continue;
}
