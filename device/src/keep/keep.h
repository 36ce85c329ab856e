/* keep.h - what must survive updates, going back and power cuts: the *keep* store. Unlike the scratch log it is
 * believed.
 *
 *     molt_keep_begin(&keep, &flash, off);
 *     while ((rc = molt_keep_load_step(&keep)) > 0) {}     // a store that is blank or lost reads as all zeros
 *     keep.data.sequence = 7;
 *     while ((rc = molt_keep_save_step(&keep)) > 0) {}     // 0: durable, and the one before it still lies there
 *
 * Two sectors with records of 256 bytes, written behind each other; the newest whole one counts. A sector is erased
 * only when the other one is full, so that a record which was read whole is never lost to a cut.
 * Where they lie: ESP8266, the two sectors below FS_start (with molt-boot, which has its own there, the two below
 * those); pass their size to the slots as reserved. ESP32: flash outside the partitions must not be written, so a blob
 * in NVS through molt_keep_begin_blob(). In the simulator the last two sectors of the nvs partition.
 *
 * What was written last before a power cut may read well once and never again. So whoever acts on what a load gave
 * saves first; the agent does. */
#ifndef MOLT_KEEP_H
#define MOLT_KEEP_H

#include "../molt_port.h"
#include "../molt_reason.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_KEEP_RECORD_LEN 256u
#define MOLT_KEEP_SECTORS    2u
#define MOLT_KEEP_LEN        (MOLT_KEEP_SECTORS * MOLT_SECTOR)
#define MOLT_KEEP_FAILED     3u

struct molt_keep_image {
    uint32_t code;                   /* version code, 0 when not known */
    uint8_t digest[MOLT_SHA256_LEN]; /* identity (image.h); all zeros when not known */
};

struct molt_keep_data {
    uint64_t sequence;            /* anti-rollback: the highest that was confirmed */
    uint16_t key_epoch;           /* the highest statement of signing keys that was seen (manifest/keys.h) */
    uint16_t stale_hours;         /* of uptime since the last newer signed manifest */
    uint32_t boots;               /* starts of a firmware while something was being tried */
    bool trying;                  /* tried was committed and has not proved itself */
    uint8_t interrupted;          /* trials of tried that a power cut ended */
    struct molt_keep_image tried; /* what was committed last */
    uint16_t result;              /* a reason that the server has not heard, 0: none */
    struct molt_keep_image reported; /* ... and of which image */
    uint8_t failed_count;            /* newest first; the oldest falls out */
    struct molt_keep_image failed[MOLT_KEEP_FAILED];
    uint8_t fs_state; /* enum molt_keep_fs */
    uint8_t fs_round; /* of the copy, fs_slots.h */
    uint32_t fs_len;  /* bytes of the image that is being copied */
    /* MOLT_FS_WHOLE: the image that was installed; its code is 0 when nobody said it. MOLT_FS_COPYING:
     * the one that lies staged */
    struct molt_keep_image fs;
};

/* How the file system stands. A product mounts it in the first two of these states only. */
enum molt_keep_fs {
    MOLT_FS_UNKNOWN = 0, /* as the factory left it */
    MOLT_FS_WHOLE = 1,   /* installed, read back, and since then the product's */
    MOLT_FS_COPYING = 2, /* an image lies staged and is being copied over it */
    MOLT_FS_BROKEN = 3,  /* being written in place, or what was staged is gone: it must come again */
};

/* A blob that is replaced as a whole or not at all (NVS). Return 0 or negative; load: also when there is none. */
struct molt_keep_blob {
    void *ctx;
    int (*load)(void *ctx, uint8_t raw[MOLT_KEEP_RECORD_LEN]);
    int (*save)(void *ctx, const uint8_t raw[MOLT_KEEP_RECORD_LEN]);
};

/* Caller-allocated. data may be read and changed once loaded; the rest is private. */
struct molt_keep {
    struct molt_keep_data data;
    bool is_loaded; /* a load has ended, well or not */
    int port_err;   /* what the failing callback returned */
    /* ---- private ---- */
    const struct molt_flash *flash;
    const struct molt_keep_blob *blob;
    uint32_t off, at, serial;
    uint32_t used[MOLT_KEEP_SECTORS];
    uint8_t current, phase, tries;
};

/* flash, blob: must outlive keep. off: MOLT_KEEP_LEN bytes there, a multiple of MOLT_SECTOR. */
void molt_keep_begin(struct molt_keep *keep, const struct molt_flash *flash, uint32_t off);
void molt_keep_begin_blob(struct molt_keep *keep, const struct molt_keep_blob *blob);

/* Reads the newest record, one a call. 1: call again; 0: data is set, zeros when there is none; -MOLT_FLASH_READ. */
int molt_keep_load_step(struct molt_keep *keep);

/* Writes data; it must not change until this has returned 0 or less. At most one flash operation a call. 1: call
 * again; 0: durable, and read back; -MOLT_FLASH_ERASE, _WRITE, _READ, _VERIFY (what was there before still is). */
int molt_keep_save_step(struct molt_keep *keep);

/* Is this image among the failed ones: by its digest, or when digest is NULL by its code (not 0)? */
bool molt_keep_has_failed(const struct molt_keep *keep, uint32_t code, const uint8_t *digest);
/* Puts it there, once. */
void molt_keep_add_failed(struct molt_keep *keep, const struct molt_keep_image *image);

#ifdef __cplusplus
}
#endif
#endif
