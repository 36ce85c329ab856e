/* image_parts.h - what image.c, esp8266.c, esp32.c and classify.c share. Not for users of the library. */
#ifndef MOLT_IMAGE_PARTS_H
#define MOLT_IMAGE_PARTS_H

#include "image.h"

#define IMAGE_MAGIC         0xE9u
#define IMAGE_CHECKSUM_SEED 0xEFu
#define IMAGE_SEGMENTS_MAX  16u
#define IMAGE_SEGMENT_LIMIT 0x1000000u /* a segment is shorter than 16 MB */
#define IMAGE_SNIFF_LEN     36u        /* bytes that tell the kind: up to the descriptor's magic */
#define APP_DESC_OFFSET     0x20u      /* in an ESP32-family application */
#define APP_DESC_END        0x120u
#define APP_DESC_MAGIC      0xABCD5432u
#define RTOS_DESC_OFFSET    0x10u   /* the same descriptor in an ESP8266_RTOS_SDK application */
#define CRC_WORDS           0x1010u /* __crc_len and __crc_val of an Arduino ESP8266 image */
#define CRC_WORDS_END       0x1018u

/* One window of addresses through which an ESP8266 runs code from flash. */
#define ESP8266_IROM     0x40200000u
#define ESP8266_IROM_END 0x40300000u

/* True when an ESP8266 segment can load there: data RAM, instruction RAM or flash window. */
bool image_esp8266_address(uint32_t load);

/* A segment at that file offset can be part of a boot stage: it lies in RAM, and it and the checksum after it
 * end before the sketch begins. No other first image of a file does that. */
bool image_esp8266_boot_segment(uint32_t off, uint32_t load, uint32_t len);

/* True when the chip reads that address from flash through its cache (ESP-IDF's SOC_DROM_*, SOC_IROM_*). */
bool image_esp32_is_mapped(enum molt_chip chip, uint32_t load);

/* The complete header is in image->head. Fill info, set segments_left, or refuse. */
int image_esp8266_header(struct molt_image *image);
int image_esp32_header(struct molt_image *image);

/* A segment's header was read; its data begin at image->pos. Accept it, or refuse. */
int image_esp8266_segment(struct molt_image *image, uint32_t load, uint32_t len);
int image_esp32_segment(struct molt_image *image, uint32_t load, uint32_t len);

/* n bytes of segment 0 at file offset `off` passed, none of them beyond APP_DESC_END: keep those of the
 * descriptor. */
int image_esp32_descriptor(struct molt_image *image, uint32_t off, const uint8_t *p, uint32_t n);

/* The file ended where the sketch did: CRC words and the sketch's checksum. */
int image_esp8266_verdict(struct molt_image *image);

#endif
