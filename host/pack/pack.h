/* pack.h - makes molt packs on a PC and takes them apart (format: doc/pack.md; decoder: device/src/pack). */
#ifndef MOLT_HOST_PACK_H
#define MOLT_HOST_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pack/pack.h"

/* What went into a pack; all may be ignored. */
struct pack_report {
    uint64_t literals, matches, base_copies; /* tokens */
    uint64_t base_bytes;                     /* of the output that copies from the base cover */
    uint64_t wrong_units;                    /* units in them that were not what was predicted */
    uint32_t table_len, frames, head_len;
};

/* Bytes of a decoder's memory that a map of so many rows takes. */
#define PACK_MAP_BYTES(rows) ((uint32_t)((1 + (rows)) * sizeof(struct pack_row)))

struct pack_job {
    const uint8_t *data; /* the file to pack, 1 to MOLT_PACK_OUT_MAX bytes */
    size_t len;
    const uint8_t *base; /* NULL: a whole image */
    size_t base_len;
    uint32_t frame_log2; /* 12 to 24; 0: chosen by size */
    bool small;          /* a delta for a decoder that was built with MOLT_PACK_ROWS = MOLT_PACK_ROWS_SMALL */
    bool in_place;  /* for a device that writes it over the base (inplace.h): body_only, frames of 32 KB */
    bool body_only; /* use nothing of the base's first 4096 bytes: on the device molt-boot lies there */
    /* Told between two pieces of work; false gives up. May be NULL. */
    bool (*progress)(void *ctx, uint64_t done, uint64_t total);
    void *ctx;
};

/* Packs. A delta that would be larger than a pack of the whole file is one of the whole file (unless small or in_place: there is
 * none for such devices). The same job gives the same bytes everywhere. *out is malloc'ed, the caller frees. report may be NULL.
 * Returns 0; -MOLT_ARG (sizes; in_place or body_only without an ESP8266 image as base), -MOLT_NO_MEMORY, -MOLT_NOT_NOW (given up). */
int pack_encode(const struct pack_job *job, uint8_t **out, size_t *out_len, struct pack_report *report);

/* A patch for ESP-IDF's esp_delta_ota: detools' sequential form with heatshrink, behind the component's 64 bytes, which
 * name the base by its identity (what esp_partition_get_sha256() gives). job: data and base only. As pack_encode(). */
int pack_detools(const struct pack_job *job, uint8_t **out, size_t *out_len);
/* Applies one that was made here. As pack_decode(). */
int pack_detools_apply(const uint8_t *patch, size_t len, const uint8_t *base, size_t base_len, uint8_t **out,
                       size_t *out_len);

/* Unpacks. base: NULL for a whole image. *out is malloc'ed. Returns 0; -MOLT_BAD_PACK, -MOLT_PACK_BASE (another base,
 * or none), -MOLT_DIGEST_MISMATCH, -MOLT_NO_MEMORY. On failure there is nothing to free. */
int pack_decode(const uint8_t *pack, size_t len, const uint8_t *base, size_t base_len, uint8_t **out,
                size_t *out_len);

/* The header alone, checked. head is large; the caller allocates it. Returns 0 or -MOLT_BAD_PACK. */
int pack_head(const uint8_t *pack, size_t len, struct molt_pack *head);

/* What a pack calls this file when it is a base: the image's identity (image.h), else the SHA-256 of the file.
 * *masked: bytes 2 and 3 differ from device to device (ESP8266). */
void pack_identity(const uint8_t *data, size_t len, uint8_t digest[MOLT_SHA256_LEN], bool *masked);

#endif
