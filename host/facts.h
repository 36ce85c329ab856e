/* facts.h - everything molt can say about a file: kind, image facts, digests, what is wrong with it.
 * Used by `molt inspect`, `molt publish`, the API's upload, --static folders and the doctor. */
#ifndef MOLT_HOST_FACTS_H
#define MOLT_HOST_FACTS_H

#include <stddef.h>

#include "image/image.h"
#include "model.h"

#define FACTS_FILE_MAX (16u * 1024 * 1024) /* bytes: the largest flash of an ESP */

/* A tag that a build puts into its image so that version and product can be read from the file, whatever the
 * chip: "moltinf\0" then key\0value\0 pairs, ended by an empty key; at most 32 pairs of printable ASCII, at most 64
 * characters each. molt's keys: version, code, product, board, confirm ("1": this firmware confirms its trial).
 * Blynk's "blnkinf\0" is read too: mcu is the version, fw-type the product (docs.blynk.io, device MQTT API). */
#define FACTS_TAG       "moltinf"
#define FACTS_TAG_BLYNK "blnkinf"

struct facts {
    uint64_t len;                   /* bytes of the file */
    uint8_t sha256[32], md5[16];    /* of the file as it is */
    enum molt_file_kind kind;       /* of the file as it is */
    bool gzip;                      /* the file is gzip; the fields below are about its content */
    enum molt_file_kind inner_kind; /* of the content (= kind when not gzip) */
    uint64_t inner_len;
    uint8_t inner_sha256[32], inner_md5[16];
    bool is_image;                 /* a firmware image (or file-system image) that passed every check */
    int refusal;                   /* why not: a positive reason; 0 when is_image */
    char detail[MODEL_DETAIL_LEN]; /* the numbers behind the refusal, for people; "" when there are none */
    struct molt_image_info image;  /* when the content is an application; to be believed when is_image */
    struct molt_image_texts texts; /* likewise */
    bool has_tag;
    char tag_version[65], tag_product[65], tag_board[65]; /* from the tag, "" when not there */
    uint32_t tag_code;                                    /* 0 when not there */
    bool tag_confirms; /* the tag says that this firmware confirms its trial */
};

/* Reads a whole file from memory. Never fails: what is wrong is in refusal (also -MOLT_NO_MEMORY's). Signed files of
 * other tools are MOLT_IMAGE_SIGNED and named in detail: the trailers of Arduino's ESP8266 and ESP32 cores, Secure
 * Boot V1 and V2, esp32FOTA's prefix. inflated, inflated_len: receive the content of a gzip file (malloc'ed, caller
 * frees; NULL otherwise, and when the gzip is damaged); both may be NULL when not wanted. */
void facts_read(const uint8_t *data, size_t len, struct facts *facts, uint8_t **inflated,
                size_t *inflated_len);

/* The suffix of an update for a board with a system of its own, which molt passes on as it is: ".swu" (SWUpdate: a cpio
 * archive that begins with sw-description), ".raucb" (RAUC: a squashfs); NULL: it is none. len: at least the first 128
 * bytes of it, or all. Its chip is MOLT_CHIP_LINUX, its digest that of the file; that it is signed is the device's to see. */
const char *facts_bundle_suffix(const uint8_t *data, size_t len);

/* Reads a file by path into memory (malloc'ed, caller frees), at most FACTS_FILE_MAX bytes.
 * 0, -MOLT_NOT_FOUND, -MOLT_FILE_TOO_LARGE, -MOLT_STORE_FAILED (errno kept). */
int facts_load_file(const char *path, uint8_t **data, size_t *len);

/* True when the version code stands in the content as a 32-bit little-endian word, as decimal text, or in a tag:
 * a warning is due when it does not (the label would not be the version compiled in). */
bool facts_has_code(const uint8_t *data, size_t len, uint32_t code);

/* The value of a key in the content's tag ("moltinf\0" or "blnkinf\0", wherever it stands), printable ASCII, cut at
 * cap - 1. False, and value "", when there is no such key. Used by the simulator too. */
bool facts_tag(const uint8_t *data, size_t len, const char *key, char *value, size_t cap);

/* Version text to code: all digits is its number; x.y.z gives x*1000000 + y*1000 + z with y, z <= 999.
 * 0 and *code, or -MOLT_CODE_NEEDED, -MOLT_CODE_RANGE. */
int facts_version_code(const char *version, uint32_t *code);

/* gzip (RFC 1952, no name, mtime 0) of data with a window of 2^window_bits bytes, 9 to 15; level 9.
 * 0 and *out (malloc'ed, caller frees), or -MOLT_NO_MEMORY. */
int facts_gzip(const uint8_t *data, size_t len, int window_bits, uint8_t **out, size_t *out_len);

#endif
