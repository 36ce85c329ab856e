/* boot_fuzz.c - any bytes as RTC memory and as flash, with the checks of a command, a record and its states made right, so that
 * what they say reaches molt-boot: it comes to an end, stays inside the flash, and leaves sector 0 alone.
 * Input: choices, 32 words of RTC memory, a record, two states, then the flash from sector 1 on. Small sectors. */
#include "fuzz.h"

#include <string.h>

#include "firmware/boot/esp8266/boot.h"
#include "util/crc.h"

#define SECTOR  MOLT_BOOT_SECTOR
#define SECTORS 24u
#define KEEP    ((SECTORS - 4) * SECTOR)

static uint8_t bytes[SECTORS * SECTOR];
static unsigned operations;

static int flash_read(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    (void)ctx;
    FUZZ_CHECK(len <= sizeof bytes && off <= sizeof bytes - len);
    memcpy(dst, bytes + off, len);
    return 0;
}

static int flash_write(void *ctx, uint32_t off, const void *src, uint32_t len)
{
    (void)ctx;
    FUZZ_CHECK(len <= sizeof bytes && off <= sizeof bytes - len && off % 4 == 0 && len % 4 == 0);
    FUZZ_CHECK(++operations < 2000);
    memcpy(bytes + off, src, len);
    return 0;
}

static int flash_erase(void *ctx, uint32_t off, uint32_t len)
{
    (void)ctx;
    FUZZ_CHECK(len == SECTOR && off % SECTOR == 0 && off < sizeof bytes);
    FUZZ_CHECK(++operations < 2000);
    memset(bytes + off, 0xFF, len);
    return 0;
}

static uint32_t loaded;

static void second_put(uint32_t at, const void *data, uint32_t len)
{
    FUZZ_CHECK(len % 4 == 0 && len <= SECTOR && at <= MOLT_BOOT_SECOND_MAX - len);
    for (uint32_t i = 0; i < len; i++)
        loaded += ((const uint8_t *)data)[i];
}

/* Agrees, disagrees or fails as its bytes have it. */
static int second_start(const struct molt_second_call *call)
{
    FUZZ_CHECK(call->record->second_len > 0 && call->record->new_len > SECTOR);
    FUZZ_CHECK(call->off <= sizeof bytes && call->record->new_len <= sizeof bytes - call->off);
    int said = molt_second_check(call);
    return loaded % 4 == 0 ? said : loaded % 4 == 1 ? -MOLT_FLASH_READ : 0;
}

/* Takes len bytes of the input, 0xFF behind its end. */
static void take(const uint8_t **data, size_t *size, void *dst, size_t len)
{
    size_t n = len < *size ? len : *size;
    memset(dst, 0xFF, len);
    if (n > 0) memcpy(dst, *data, n);
    *data += n;
    *size -= n;
}

static void put_record(const uint8_t **data, size_t *size)
{
    struct molt_boot_record record;
    uint32_t slots[4];
    take(data, size, &record, sizeof record);
    record.magic = MOLT_BOOT_RECORD_MAGIC;
    record.stage = record.stage % SECTORS * SECTOR;
    record.new_len %= sizeof bytes;
    record.old_len %= sizeof bytes;
    record.tries &= 15;
    record.second_off = record.second_off % SECTORS * SECTOR;
    record.second_len %= MOLT_BOOT_SECOND_MAX + 8;
    record.crc = molt_crc32_msb(MOLT_CRC_MSB_INIT, &record, sizeof record - 4);
    take(data, size, &slots[0], 4);
    take(data, size, &slots[2], 4);
    slots[1] = molt_crc32_msb(record.crc, &slots[0], 4);
    slots[3] = molt_crc32_msb(record.crc, &slots[2], 4);
    memcpy(bytes + KEEP, &record, sizeof record);
    memcpy(bytes + KEEP + MOLT_BOOT_LOG, slots, sizeof slots);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct molt_flash flash = {.size = sizeof bytes,
                                            .write_unit = 4,
                                            .erase_sizes = {SECTOR},
                                            .read = flash_read,
                                            .write = flash_write,
                                            .erase = flash_erase};
    static struct molt_boot boot = {.flash = &flash, .second_put = second_put, .second_start = second_start};
    struct molt_boot_trailer trailer = {MOLT_BOOT_TRAILER_MAGIC, 1, KEEP, 0};
    uint32_t rtc[MOLT_BOOT_RTC_WORDS], app;
    uint8_t choices, sector0[SECTOR];
    operations = 0;
    take(&data, &size, &choices, 1);
    take(&data, &size, rtc, sizeof rtc);
    if ((choices & 1) != 0) { /* a command that counts */
        rtc[0] = 0xEB001000u;
        rtc[1] = 1;
        rtc[31] = molt_crc32_msb(MOLT_CRC_MSB_INIT, rtc, 124);
    }
    memset(bytes, 0xFF, sizeof bytes);
    if ((choices & 2) != 0) put_record(&data, &size);
    take(&data, &size, bytes + SECTOR, KEEP - SECTOR);
    trailer.crc = molt_crc32_msb(MOLT_CRC_MSB_INIT, &trailer, 12);
    memcpy(bytes + MOLT_BOOT_TRAILER_OFF, &trailer, sizeof trailer);
    memcpy(sector0, bytes, sizeof sector0);
    const bool replaces = rtc[5] == MOLT_BOOT_REPLACE_0 && rtc[6] == MOLT_BOOT_REPLACE_1;
    for (int boots = 0; boots < 8; boots++) {
        if (molt_boot_run(&boot, (enum molt_boot_cause)(choices >> 2 & 3) % 3, rtc, &app) < 0) break;
    }
    if (!replaces) FUZZ_CHECK(memcmp(sector0, bytes, sizeof sector0) == 0);
    return 0;
}
