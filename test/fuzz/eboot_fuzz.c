/* eboot_fuzz.c - anything as eboot's RTC command, and anything as the flash of an ESP8266: a command that is believed reads back
 * as it was, and what is staged lies between the running sketch and the file system, clear of the copy.
 * The first byte: bit 0 mends the command's CRC, bits 1 and 2 are the encoding, the others the length. */
#include "ram_flash.h"

#include "molt_reason.h"
#include "ports/bearssl.h"
#include "slots/esp8266_eboot.h"
#include "util/bytes.h"
#include "util/crc.h"

#define FS_START 0x30000u
#define CRC_AT   (MOLT_EBOOT_COMMAND_LEN - 4u)

static uint8_t rtc[MOLT_EBOOT_COMMAND_LEN];

static int rtc_write(void *ctx, const uint8_t *data, uint32_t len)
{
    (void)ctx;
    FUZZ_CHECK(len == sizeof rtc);
    memcpy(rtc, data, len);
    return 0;
}

static void try_command(uint8_t raw[MOLT_EBOOT_COMMAND_LEN], bool mended)
{
    struct molt_eboot_command command, again;
    if (mended) molt_store32le(raw + CRC_AT, molt_crc32_msb(MOLT_CRC_MSB_INIT, raw, CRC_AT));
    if (!molt_eboot_command_decode(raw, &command)) return;
    FUZZ_CHECK((molt_load32le(raw) & 0xFFFFF000u) == MOLT_EBOOT_MAGIC);
    molt_eboot_command_encode(rtc, &command);
    FUZZ_CHECK(molt_eboot_command_decode(rtc, &again));
    FUZZ_CHECK(again.action == command.action && again.source == command.source &&
               again.dest == command.dest && again.len == command.len);
}

static void stage(struct molt_slots *slots, uint32_t len, enum molt_encoding encoding)
{
    struct molt_target target;
    struct molt_eboot_command command;
    uint32_t sketch, image_len = encoding == MOLT_RAW ? 0 : len + len / 2;
    int rc = slots->ops->target(slots, len, image_len, encoding, &target);
    FUZZ_CHECK(rc == 0 || rc == -MOLT_NO_SPACE);
    FUZZ_CHECK(slots->ops->room(slots) <= FS_START);
    if (rc != 0) return;
    FUZZ_CHECK(molt_esp8266_sketch_len(&ram_port, &sketch) == 0 && target.off >= sketch);
    FUZZ_CHECK(target.off % MOLT_SECTOR == 0 && target.off + target.cap == FS_START);
    FUZZ_CHECK((encoding == MOLT_RAW ? len : image_len) <= target.off);
    FUZZ_CHECK(slots->ops->commit_step(slots, &target, len <= target.cap ? len : target.cap) == MOLT_DONE);
    FUZZ_CHECK(molt_eboot_command_decode(rtc, &command));
    FUZZ_CHECK(command.source == target.off && command.dest == 0 && command.action == MOLT_EBOOT_COPY_RAW);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 + MOLT_EBOOT_COMMAND_LEN) return 0;
    uint8_t choice = data[0], raw[MOLT_EBOOT_COMMAND_LEN], digest[MOLT_SHA256_LEN];
    memcpy(raw, data + 1, sizeof raw);
    try_command(raw, (choice & 1) != 0);

    struct molt_esp8266_eboot eboot;
    struct molt_hash hash;
    int rc, steps = 0;
    ram_fill(MOLT_ESP8266_APP_OFFSET, FS_START - MOLT_ESP8266_APP_OFFSET, data + 1 + sizeof raw,
             size - 1 - sizeof raw);
    molt_esp8266_eboot_begin(&eboot, &ram_port, &molt_bearssl_sha256, &(struct molt_rtc){.write = rtc_write},
                             FS_START, false);
    stage(&eboot.slots, (uint32_t)(choice >> 3) * 0x1800 + 100, (enum molt_encoding)((choice >> 1 & 3) % 3));
    while ((rc = eboot.slots.ops->identity_step(&eboot.slots, &hash, digest)) == MOLT_MORE)
        FUZZ_CHECK(++steps < 100);
    FUZZ_CHECK(rc == MOLT_DONE || rc == -MOLT_BAD_SEGMENT);
    return 0;
}
