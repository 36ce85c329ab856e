/* image.h - streaming verifier for what an ESP chip boots. Feed it the file in pieces of any size; it
 * refuses at the first byte that tells, and believes nothing before finish() has said so.
 *
 *     molt_image_begin(&image, &expect, &sha256_ops);
 *     while ((n = read(fd, buf, sizeof buf)) > 0)
 *         if ((rc = molt_image_feed(&image, buf, n)) < 0) return rc;   // -MOLT_WRONG_CHIP, ...
 *     rc = molt_image_finish(&image);                                  // 0: every check passed
 *
 * Pieces do not matter: whole, byte by byte and random pieces give the same verdict. A device asks by molt_image_begin_as()
 * for the one format that its chip boots, and links nothing of the others.
 * No flash, no heap, no recursion. Sources: Arduino tools/elf2bin.py and bootloaders/eboot (ESP8266);
 * ESP-IDF esp_app_format.h, esp_app_desc.h and esp_image_format.c (ESP32 family). */
#ifndef MOLT_IMAGE_H
#define MOLT_IMAGE_H

#include "../molt_chip.h"
#include "../molt_port.h"
#include "../molt_reason.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_IMAGE_HEAD_LEN     256u    /* bytes after which chip, kind and most refusals are known */
#define MOLT_ESP8266_APP_OFFSET 0x1000u /* where the sketch begins in an Arduino ESP8266 .bin and in flash */
#define MOLT_REVISION_UNKNOWN   0xFFFFu

/* What the device is, so that a wrong image is refused. All zeros: check nothing of it. */
struct molt_image_expect {
    enum molt_chip chip;    /* MOLT_CHIP_UNKNOWN: any chip */
    uint16_t chip_revision; /* major * 100 + minor (0 is v0.0, a real one); not checked when it is
                                   MOLT_REVISION_UNKNOWN or chip is MOLT_CHIP_UNKNOWN */
    uint32_t flash_size;    /* bytes of real flash; 0: do not check. ESP8266: the header's size nibble
                                   must not exceed it (ESP8266 Updater error 9) */
};

/* What the descriptor of an ESP32-family image says. NUL-terminated and printable ASCII (other bytes become '?'); all are ""
 * on ESP8266, and on an ESP32 image of Arduino-ESP32 1.0 or IDF before 3.3, which have no descriptor. */
struct molt_image_texts {
    char version[33];
    char project[33]; /* project_name */
    char idf_version[33];
    char build_date[17]; /* "Nov 25 2026" as the compiler wrote it */
    char build_time[17];
};

/* What is known of the image. Fields are filled as the bytes that hold them pass; all of them are
 * trustworthy only after molt_image_finish() returned 0. */
struct molt_image_info {
    enum molt_chip chip;
    uint32_t len;            /* bytes of the image */
    uint32_t flash_size;     /* from the header's size nibble, bytes; 0 when the nibble is not in the table */
    uint8_t flash_mode;      /* header byte 2: 0 QIO, 1 QOUT, 2 DIO, 3 DOUT ... */
    uint16_t min_revision;   /* ESP32 family: min_chip_rev_full; 0 on ESP8266 */
    uint16_t max_revision;   /* ESP32 family: max_chip_rev_full; 0xFFFF: no limit */
    uint32_t secure_version; /* ESP32 family: anti-rollback counter of the app descriptor */
    bool has_crc;            /* ESP8266: the words at 0x1010 are there and were verified */
    bool has_hash;           /* ESP32 family: a SHA-256 is appended and was verified */
    uint8_t digest[MOLT_SHA256_LEN]; /* the image's identity: ESP32 family the SHA-256 of all bytes before the
                                   appended digest (equals the appended one); ESP8266 the body digest, SHA-256
                                   of the file from 0x1000 on */
};

/* The rules of one kind of image; which one a device needs is told by its slots backend (slots.h). */
struct molt_image_format;
extern const struct molt_image_format molt_image_esp8266; /* Arduino: boot stage, then sketch */
extern const struct molt_image_format molt_image_esp32;   /* applications of the ESP32 family */
extern const struct molt_image_format
    molt_image_plain; /* no image: any bytes; info.digest is the SHA-256 of them all, and nothing else is told */

/* Caller-allocated, about 300 bytes. */
struct molt_image {
    const struct molt_image_format *format; /* private, as all but texts and info */
    uint32_t pos;                           /* bytes checked so far */
    uint32_t left;                          /* bytes of what the state is about still to come */
    int failed;                             /* the refusal, sticky */
    uint8_t state, segments_left;
    uint8_t checksum; /* XOR of the segments' bytes so far, with the seed */
    uint8_t fill;     /* bytes in head[] */
    union {
        struct {
            uint32_t crc;     /* running CRC with the two words at 0x1010 taken as zero */
            uint8_t words[8]; /* the two words as they stand: __crc_len, __crc_val */
            /* of those of their bytes that lie in a segment: the checksum takes them as zero */
            uint8_t words_xor;
            uint8_t trailer; /* the sketch's checksum byte */
        } esp8266;
        struct {
            uint32_t first_load; /* load address of segment 0, until its page size is known */
            uint8_t page_bits;   /* log2 of the flash page that segments are mapped by */
            bool hash_appended, no_descriptor;
        } esp32;
    } of;
    /* NULL, or where the descriptor's texts go: set it, zeroed, after begin */
    struct molt_image_texts *texts;
    struct molt_image_expect expect;
    struct molt_image_info info;
    uint8_t head[36]; /* the header or digest being collected */
    struct molt_hash hash;
};

/* Starts a verification of an image in whatever format it shows. expect and ops: expect is copied, ops must outlive
 * image. Never fails. */
void molt_image_begin(struct molt_image *image, const struct molt_image_expect *expect,
                      const struct molt_hash_ops *ops);

/* The same, and only this format is accepted. Foreign files are refused as precisely as the format knows: images for other
 * chips are -MOLT_WRONG_CHIP, and molt_image_esp8266 calls most of what begins with another byte -MOLT_IMAGE_UNKNOWN. */
void molt_image_begin_as(struct molt_image *image, const struct molt_image_format *format,
                         const struct molt_image_expect *expect, const struct molt_hash_ops *ops);

/* Hands over the next len bytes (0 is allowed). Returns 0, or the refusal, which is sticky:
 * -MOLT_IMAGE_TEXT, _ELF, _HEX, _UF2, _PARTITIONS, _MCUBOOT, _BOOTLOADER, _MERGED, _SDK_V2, _RTOS_SDK,
 * _NO_EBOOT, _UNKNOWN, -MOLT_WRONG_CHIP, -MOLT_CHIP_REVISION, -MOLT_FLASH_SIZE, -MOLT_NO_APP_DESC,
 * -MOLT_BAD_SEGMENT, -MOLT_BAD_CHECKSUM, -MOLT_BAD_HASH,
 * -MOLT_IMAGE_TRAILING, -MOLT_IMAGE_SIGNED (a Secure Boot V2 sector follows), -MOLT_IMAGE_FILESYSTEM. A gzip
 * file is -MOLT_IMAGE_UNKNOWN here: inflate first. What a file is instead of firmware is told from its first
 * 36 bytes, so a merged image may be called a bootloader; molt_image_classify() sees more. */
int molt_image_feed(struct molt_image *image, const void *data, size_t len);

/* Says that the file ends here. Returns 0 when every check passed; else the sticky refusal, or
 * -MOLT_IMAGE_EMPTY, -MOLT_IMAGE_TRUNCATED, -MOLT_BAD_CRC, -MOLT_BAD_CHECKSUM, -MOLT_BAD_HASH. */
int molt_image_finish(struct molt_image *image);

/* What a file is, from its first bytes alone; no verification. */
enum molt_file_kind {
    MOLT_FILE_UNKNOWN = 0,
    MOLT_FILE_EMPTY,
    MOLT_FILE_TEXT, /* HTML, JSON, HTTP, BOM or other text */
    MOLT_FILE_GZIP,
    MOLT_FILE_ELF,
    MOLT_FILE_HEX,
    MOLT_FILE_UF2,
    MOLT_FILE_PARTITIONS,
    MOLT_FILE_MCUBOOT,
    MOLT_FILE_ESP32_APP,
    MOLT_FILE_ESP32_BOOTLOADER,
    MOLT_FILE_MERGED,
    MOLT_FILE_ESP8266_ARDUINO,
    MOLT_FILE_ESP8266_BARE, /* E9 at 0, no second image at 0x1000 */
    MOLT_FILE_ESP8266_SDK_V2,
    MOLT_FILE_ESP8266_RTOS_SDK,
    MOLT_FILE_LITTLEFS,
    MOLT_FILE_SPIFFS,
    MOLT_FILE_FAT,
};

/* Classifies a file by its first head_len bytes and its whole length (table in doc/images.md, order matters).
 * head_len >= 0x8020 or = total_len gives the best answer; with less, kinds that need later bytes (MERGED,
 * ESP8266_ARDUINO, file systems) are guessed from what is there. Never fails. */
enum molt_file_kind molt_image_classify(const uint8_t *head, size_t head_len, uint64_t total_len);

/* Why a file of this kind is refused as firmware (a positive reason), or 0 for ESP32_APP, ESP8266_ARDUINO
 * and GZIP, which may be firmware. */
int molt_file_kind_refusal(enum molt_file_kind kind);

/* "gzip", "esp32-app", "merged-image" ...: kebab-case, static. */
const char *molt_file_kind_name(enum molt_file_kind kind);

#ifdef __cplusplus
}
#endif
#endif
