/* checkin.h - molt's own check-in: one POST of a small CBOR map, one small CBOR map back. The codec is used
 * by devices, by the server and by the simulator; it has no state, no heap and no recursion.
 *
 * Wire: POST <base>/molt/v1/check-in, Content-Type: application/cbor, at most MOLT_CHECKIN_MAX bytes each
 * way. Encoding: RFC 8949 deterministic (4.2.1): definite lengths, shortest integers, keys rising. The
 * decoder refuses anything else, duplicate keys and trailing bytes; unknown keys above 31 are skipped when
 * they hold an unsigned integer, a byte string or a text. Keys 24 to 31 are reserved for authentication (24
 * counter, 25 HMAC). */
#ifndef MOLT_CHECKIN_H
#define MOLT_CHECKIN_H

#include "../molt_chip.h"
#include "../molt_port.h"
#include "../molt_reason.h"
#include "../slots/slots.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_CHECKIN_PATH     "/molt/v1/check-in"
#define MOLT_CHECKIN_MAX      512u        /* bytes */
#define MOLT_CHECKIN_CODE_MAX 2147483647u /* version codes */
#define MOLT_ID_MAX           32u /* characters of a device id: 12 lower-case hex digits of the MAC, or a name */
#define MOLT_NAME_MAX         64u  /* characters of product, channel, version */
#define MOLT_URL_MAX          200u /* characters of an offer's URL */
#define MOLT_MANIFEST_URL_MAX 120u /* characters of its manifest's URL */

/* What the device's encodings are; bits of molt_checkin.can. */
enum {
    MOLT_CAN_RAW = 1u << MOLT_RAW,
    MOLT_CAN_GZIP = 1u << MOLT_GZIP,
    MOLT_CAN_PACK = 1u << MOLT_PACK,
    MOLT_CAN_IN_PLACE = 1u << MOLT_IN_PLACE /* only where MOLT_CAN_SIGNED and MOLT_CAN_EXCHANGE are, too */
};
#define MOLT_CAN_SIGNED (1u << 16) /* a bit of the same: it takes signed images only */
#define MOLT_CAN_FS     (1u << 17) /* and another: it takes file systems */
/* ESP8266 with molt-boot: a new image may be larger than half of the place */
#define MOLT_CAN_EXCHANGE (1u << 18)
#define MOLT_CAN_SEALED   (1u << 19) /* it has a key that opens encrypted images */
/* with MOLT_CAN_PACK: only deltas made for a small decoder (pack/predict.h, MOLT_PACK_ROWS) */
#define MOLT_CAN_SMALL (1u << 20)

enum molt_boot_kind {
    MOLT_BOOT_CONFIRMED = 0,   /* an image that was confirmed (or needs no confirmation) */
    MOLT_BOOT_TRIAL = 1,       /* a new image, not yet confirmed */
    MOLT_BOOT_UNPROTECTED = 2, /* a new image whose bootloader cannot roll back */
};

/* Device to server. Texts are NUL-terminated printable ASCII; "" and 0 mean "not said" and are left out. */
struct molt_checkin {
    char id[MOLT_ID_MAX + 1];        /* key 1, required */
    enum molt_chip chip;             /* key 2, required: molt_chip.def number */
    char product[MOLT_NAME_MAX + 1]; /* key 3; devices leave it out beside a result */
    uint32_t version_code;           /* key 4: of the running firmware, 0 to 2147483647; always sent */
    char version[MOLT_NAME_MAX + 1]; /* key 5: for people */
    uint32_t flash_size;             /* key 6: bytes of real flash */
    uint32_t fs_start;               /* key 7: ESP8266: flash offset of the file system */
    uint32_t slot_size;              /* key 8: ESP32: bytes of the next OTA slot */
    uint32_t image_len;              /* key 9: of the running image, bytes */
    bool has_digest;
    uint8_t digest[MOLT_SHA256_LEN]; /* key 10: identity of the running image (image.h) */
    enum molt_boot_kind boot;        /* key 11; always sent */
    uint32_t can;                    /* key 12: MOLT_CAN_* bits; always sent */
    int result;                      /* key 13: reason of the last attempt's end (MOLT_CONFIRMED,
                                           MOLT_ROLLED_BACK, a download's refusal ...), 0 when none */
    uint32_t result_code; /* key 14: version code that the attempt was for, 0 when unknown; 14 and 15 are left
                                           out with MOLT_CONFIRMED, which is of what runs */
    bool has_result_digest;
    uint8_t result_digest[MOLT_SHA256_LEN]; /* key 15: identity of the image that the attempt was for */
    uint32_t gzip_window;                   /* key 16: bytes of window the device inflates with; 0: cannot */
    bool has_fs_digest;
    /* key 17: SHA-256 of the file system's image that was installed and is whole */
    uint8_t fs_digest[MOLT_SHA256_LEN];
    uint32_t fs_code; /* key 18: version code of the release that it came from */
    uint32_t fs_size; /* key 19: bytes of the file system's place */
    /* key 20: ESP8266: flash offset where staged files end, fs_start less what is kept below it */
    uint32_t stage_end;
};

enum molt_verdict { MOLT_VERDICT_NOTHING = 0, MOLT_VERDICT_OFFER = 1, MOLT_VERDICT_WAIT = 2 };

/* Server to device. */
struct molt_answer {
    enum molt_verdict verdict; /* key 1; always sent */
    int reason;                /* key 2: why; always sent */
    uint32_t again_s;          /* key 3: ask again after this many seconds; 0: the device's own interval */
    uint32_t version_code;     /* key 4: offer */
    char version[MOLT_NAME_MAX + 1];       /* key 5: offer */
    char url[MOLT_URL_MAX + 1];            /* key 6: offer: a path beginning with "/", or an absolute URL */
    enum molt_encoding encoding;           /* key 7: offer; always sent with an offer */
    uint32_t file_len;                     /* key 8: offer: bytes that the URL yields */
    uint8_t file_digest[MOLT_SHA256_LEN];  /* key 9: offer: SHA-256 of these bytes */
    uint32_t image_len;                    /* key 10: offer: decoded bytes */
    uint8_t image_digest[MOLT_SHA256_LEN]; /* key 11: offer: identity of the image */
    /* key 12: offer: 0, left out: the application; 1: the file system. Below 32, so that a device that
     * does not know it takes no file system for an application */
    uint32_t component;
    char manifest_url[MOLT_MANIFEST_URL_MAX +
                      1]; /* key 32: offer: of the signed manifest, as url; "": not signed.
                                        Above 31, so that devices that do not know it pass it over */
};

/* Encode into out (cap bytes). Return the number of bytes, or -MOLT_ARG when a field breaks its limit or the
 * message does not fit. */
int molt_checkin_encode(const struct molt_checkin *message, uint8_t *out, size_t cap);
int molt_answer_encode(const struct molt_answer *answer, uint8_t *out, size_t cap);

/* Decode len bytes. Return 0, or -MOLT_CHECKIN_MALFORMED (the struct is then undefined). */
int molt_checkin_decode(struct molt_checkin *message, const uint8_t *data, size_t len);
int molt_answer_decode(struct molt_answer *answer, const uint8_t *data, size_t len);

#ifdef __cplusplus
}
#endif
#endif
