/* esp8266_eboot.h - Arduino's ESP8266 scheme: the new image is staged right below the file system, a
 * command in RTC memory makes eboot copy (or inflate) it over the running one at the next reset.
 * Sources: esp8266/Arduino bootloaders/eboot/eboot.c and eboot_command.h, cores/esp8266/Updater.cpp. */
#ifndef MOLT_ESP8266_EBOOT_H
#define MOLT_ESP8266_EBOOT_H

#include "slots.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_EBOOT_COMMAND_LEN 128u
#define MOLT_EBOOT_MAGIC       0xEB001000u
#define MOLT_EBOOT_COPY_RAW    1u
#define MOLT_EBOOT_LOAD_APP    0xFFFFFFFFu

/* The RTC command, decoded. */
struct molt_eboot_command {
    uint32_t action; /* MOLT_EBOOT_COPY_RAW or MOLT_EBOOT_LOAD_APP */
    uint32_t source; /* flash offset of the staged file */
    uint32_t dest;   /* flash offset to copy to; 0 for the sketch */
    uint32_t len;    /* bytes of the staged file, exact */
};

/* With magic and CRC; the words that no field names are 0. */
void molt_eboot_command_encode(uint8_t raw[MOLT_EBOOT_COMMAND_LEN], const struct molt_eboot_command *command);

/* Returns true and fills command when magic and CRC are right. */
bool molt_eboot_command_decode(const uint8_t raw[MOLT_EBOOT_COMMAND_LEN], struct molt_eboot_command *command);

/* RTC user memory, where the command lives (0x60001200). Writes MOLT_EBOOT_COMMAND_LEN bytes at its start;
 * returns 0 or a negative number of the port's own. */
struct molt_rtc {
    void *ctx;
    int (*write)(void *ctx, const uint8_t *data, uint32_t len);
};

/* Length of the Arduino image that lies in flash at 0 (walks the sketch's segments from 0x1000), the
 * value of ESP.getSketchSize(). Returns 0 and sets *len, or -MOLT_BAD_SEGMENT, -MOLT_FLASH_READ. */
int molt_esp8266_sketch_len(const struct molt_flash *flash, uint32_t *len);

/* One step of hashing that image, for both boot stages of the ESP8266 (molt_slots_ops.identity_step). *hashed: how far it is, 0 before
 * the first step and after the last; *len: set in the first. */
int molt_esp8266_identity_step(struct molt_slots *slots, struct molt_hash *hash, uint32_t *hashed,
                               uint32_t *len, uint8_t digest[MOLT_SHA256_LEN]);

/* Caller-allocated, private but for slots. */
struct molt_esp8266_eboot {
    struct molt_slots slots; /* pass &x.slots to the library */
    uint32_t reserved; /* bytes right below fs_start that are not staged into: MOLT_KEEP_LEN when a keep store
                                (keep.h) lies there. Set after begin; a multiple of MOLT_SECTOR */
    /* ---- private ---- */
    struct molt_rtc rtc;
    uint32_t fs_start; /* flash offset where the file system (or the reserved top) begins */
    bool boot_strap_uart;
    uint32_t sketch_len; /* 0: not read yet */
    uint32_t hashed;     /* of it, for the identity */
};

/* flash, hash: must outlive backend; rtc is copied. fs_start: bytes, a multiple of MOLT_SECTOR (from the
 * linker script: _FS_start - 0x40200000). boot_strap_uart: true when the chip was started with GPIO0 low,
 * so that a software restart would end in UART mode (MOLT_BOOT_STRAP). Never fails. */
void molt_esp8266_eboot_begin(struct molt_esp8266_eboot *backend, const struct molt_flash *flash,
                              const struct molt_hash_ops *hash, const struct molt_rtc *rtc, uint32_t fs_start,
                              bool boot_strap_uart);

/* The same for firmware that has the engine (update.h) and nothing else of the library, no agent: identity, room and state
 * are not linked, and their functions in slots.ops are NULL. */
void molt_esp8266_eboot_begin_engine(struct molt_esp8266_eboot *backend, const struct molt_flash *flash,
                                     const struct molt_rtc *rtc, uint32_t fs_start, bool boot_strap_uart);

#ifdef __cplusplus
}
#endif
#endif
