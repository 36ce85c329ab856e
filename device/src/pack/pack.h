/* pack.h - streaming decoder of molt packs: whole images and deltas in one format, for chips with a few KB of RAM.
 *
 * Flash is the window. What a pack refers back to is the output already written and, in a delta, the running image;
 * both are read through callbacks, so there is no window in RAM. A delta predicts how addresses in moved code
 * changed (predict.h). The format, byte by byte: doc/pack.md.
 *
 *     molt_pack_begin(&pack, &io);
 *     for (;;) {
 *         rc = molt_pack_step(&pack, &in, &in_len, out, sizeof out, &out_len);
 *         store(out, out_len);                      // before the next call: io.read_output must yield it
 *         if (rc == MOLT_PACK_HEAD && !is_running(pack.base_digest)) refuse();   // nothing was put out yet
 *         if (rc == MOLT_PACK_END || rc < 0) break;
 *         if (in_len == 0) refill(&in, &in_len);
 *     }
 *
 * The output is cut into frames. Each begins from nothing but what is in flash and has its CRC-32 in the header, so
 * that after a power cut the finished frames are found by reading them, and molt_pack_resume() goes on behind.
 *
 * No heap, no recursion, no division a byte, no writes; a call does work proportional to in_len + out_cap, with at
 * most one read of MOLT_PACK_READ_MAX bytes for each byte of output. Sizes are checked before anything is put out:
 * the output never exceeds out_len of the header. What the CRC cannot see is for the digest over the output. */
#ifndef MOLT_PACK_H
#define MOLT_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../molt_port.h"
#include "../molt_reason.h"
#include "models.h"
#include "predict.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_PACK_MAGIC      "mpk2" /* the last character is the codec version */
#define MOLT_PACK_FIXED_LEN  88u    /* bytes of the header's fixed part */
#define MOLT_PACK_FRAMES_MAX 32u
#define MOLT_PACK_OUT_MAX    (16u << 20) /* bytes of the largest output and base */
#define MOLT_PACK_MAP_MAX    16384u      /* bytes of the map at most */
#define MOLT_PACK_READ_MAX   PACK_CACHE_LEN
#define MOLT_PACK_REACH      32768u /* bytes that an in-place pack refers back, and its frames */
#define MOLT_PACK_BASE_HEAD  4096u  /* bytes of the base that base_head_crc covers, less when it is shorter */

enum { MOLT_PACK_MORE = 0, MOLT_PACK_END = 1, MOLT_PACK_HEAD = 2 };

/* Where the decoder reads. Both return 0, or a negative port code, which ends the decoding (-MOLT_FLASH_READ). */
struct molt_pack_io {
    void *ctx;
    /* Bytes off to off + len of the base, off + len <= base_len; 0 where the flags say so. */
    int (*read_base)(void *ctx, uint32_t off, void *dst, uint32_t len);
    /* Bytes of the output that earlier calls produced. */
    int (*read_output)(void *ctx, uint32_t off, void *dst, uint32_t len);
};

struct molt_pack_frame {
    uint32_t len; /* bytes in the pack */
    uint32_t crc; /* CRC-32 (gzip's) of the frame's output */
};

/* flags of a header */
#define MOLT_PACK_DELTA 1u
/* bytes 2 and 3 of the base differ from device to device: read_base must yield 0 */
#define MOLT_PACK_MASKS_HEADER 2u
/* the base's first MOLT_PACK_BASE_HEAD bytes belong to a boot stage: likewise */
#define MOLT_PACK_BODY_ONLY 4u
#define MOLT_PACK_IN_PLACE  8u /* it refers back at most so far as inplace.h says */

/* Caller-allocated, must not move. The first fields are private: what is small and used at every byte stands first, so
 * that code reaches it with short offsets. Then the header as it lies in the pack, valid from MOLT_PACK_HEAD on; may be
 * read. */
struct molt_pack {
    /* ---- private ---- */
    uint32_t range, code, phase;
    const uint8_t *next, *stop; /* of in[] */
    uint8_t *out;
    uint32_t out_start, out_end;  /* total_out at the call, and when out is full */
    uint32_t cursor;              /* place in the base that goes with the output's */
    uint32_t copy_len, copy_from; /* bytes left of a copy, and where the next one lies */
    uint32_t unit, unit_left;     /* the base unit being put out: the next byte lowest */
    /* ---- zeros when a frame begins ---- */
    uint32_t state;
    uint32_t rep[4];          /* latest distances, less 1 */
    uint32_t unit_history[2]; /* of plain units, of those with an address */
    uint32_t chunk_history;
    uint32_t crc; /* of the header, or of the frame's output */
    /* ---- */
    uint32_t chunk_left, chunk_dirty; /* bytes until the next chunk flag, and the last one */
    uint32_t item;                    /* number of the last row of the map, or of the frame */
    uint32_t frame_end;               /* total_out when it is complete */
    uint32_t section_left;            /* bytes of the section that are not yet in in[] */
    const uint8_t *from;              /* input of this call */
    size_t from_len;
    int failed;
    /* ---- public ---- */
    uint32_t total_out; /* bytes produced */
    uint32_t total_in;  /* bytes of the pack consumed */
    uint32_t head_len;  /* bytes of the header: offset of the first frame */
    int port_err;       /* what the failing callback returned */
    /* ---- the header, byte by byte ---- */
    uint32_t magic;
    uint8_t flags, arch;
    uint8_t frame_log2; /* a frame is 2^frame_log2 bytes of output; the last may be shorter */
    uint8_t frames;
    uint32_t out_len;  /* bytes that the pack yields, 1 to MOLT_PACK_OUT_MAX */
    uint32_t base_len; /* bytes of the base, 0: a whole image */
    uint32_t map_len;
    /* CRC-32 of the base's first MOLT_PACK_BASE_HEAD bytes as read_base yields them */
    uint32_t base_head_crc;
    uint8_t digest[MOLT_SHA256_LEN];      /* SHA-256 of the whole output */
    uint8_t base_digest[MOLT_SHA256_LEN]; /* identity of the base (image.h; of another file its SHA-256) */
    struct molt_pack_frame frame[MOLT_PACK_FRAMES_MAX];
    /* ---- private ---- */
    uint8_t in[112];           /* 64 bytes, and what one symbol reads beyond the end of a damaged pack */
    struct pack_cache written; /* of the output that earlier calls produced */
    struct pack_predictor base;
    struct pack_models models;
    struct pack_map map; /* right behind: a whole image has more models in its place, whose numbers go on */
};

/* Starts a pack. io is copied. */
void molt_pack_begin(struct molt_pack *pack, const struct molt_pack_io *io);

/* Decodes from *in (advancing *in and *in_len by what was consumed) into out, at most out_cap bytes; *out_len is set
 * to what was produced. Returns MOLT_PACK_MORE (give more input, or take the output and call again), MOLT_PACK_HEAD
 * (once: the header is complete and nothing was put out), MOLT_PACK_END (complete, every frame's CRC right), or,
 * sticky, -MOLT_BAD_PACK (damaged, or another codec version) or -MOLT_FLASH_READ (port_err tells). On failure
 * *out_len bytes were produced and not yet checked: they must not be used. Bytes behind the end are not consumed. */
int molt_pack_step(struct molt_pack *pack, const uint8_t **in, size_t *in_len, uint8_t *out, size_t out_cap,
                   size_t *out_len);

/* After MOLT_PACK_HEAD and before any output: goes on at frame number `frame`, whose predecessors the caller found
 * complete (their CRC). Returns the pack's offset that must be fed next, 0 when the call is not allowed. */
uint32_t molt_pack_resume(struct molt_pack *pack, uint32_t frame);

#ifdef __cplusplus
}
#endif
#endif
