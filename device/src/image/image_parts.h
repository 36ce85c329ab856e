/* image_parts.h - what the files of this folder share. Not for users of the library. */
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

/* What of the machine in image.c a format needs to know. */
enum image_state {
    ST_SNIFF,   /* collecting the bytes that tell what the file is */
    ST_HEADER,  /* collecting an image header */
    ST_SEGMENT, /* collecting a segment header */
    ST_DATA,    /* in a segment */
    ST_PAD,     /* zeros up to and with the checksum byte */
    ST_GAP,     /* ESP8266: between boot stage and sketch; plain: all of it */
    ST_DIGEST,  /* ESP32 family: collecting the appended SHA-256 */
    ST_END,     /* the image is complete: nothing may follow */
    ST_DONE,    /* finish() said yes */
};

/* Goes into a state that is over after len > 0 bytes: collected in head[], but for data, pad and gap. */
void image_enter(struct molt_image *image, enum image_state state, uint32_t len);

#define IMAGE_BORDERS 2

/* Every function returns 0 or a refusal. */
struct molt_image_format {
    /* head[] holds the first `fill` bytes: IMAGE_SNIFF_LEN of a file that begins with the magic, fewer (> 0) of another, which
     * must be refused. */
    int (*look)(struct molt_image *image);
    int (*header)(struct molt_image *image); /* it is in head[]: fill info, set segments_left */
    int (*segment)(struct molt_image *image, uint32_t load, uint32_t len); /* its data begin at pos */
    int (*pass)(
        struct molt_image *image, const uint8_t *p,
        uint32_t
            n); /* n > 0 bytes at pos, in image->state; none in ST_END: what p[0] begins must not be there */
    int (*pad_end)(struct molt_image *image, uint8_t checksum); /* the byte before pos; sets the next state */
    int (*digest)(struct molt_image *image);  /* it is in head[]; only for a format that goes to ST_DIGEST */
    int (*verdict)(struct molt_image *image); /* the file ended at ST_END, or it is plain */
    uint16_t borders[IMAGE_BORDERS]; /* offsets where bytes change their meaning for pass(); 0: none */
    uint8_t header_len;
    bool is_plain; /* nothing is looked at but by pass() and verdict() */
};

#endif
