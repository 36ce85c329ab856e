/* inflate.h - streaming gzip decoder (RFC 1951, RFC 1952) for small chips. The caller supplies the window;
 * a member that refers further back than the window is refused, never mis-decoded.
 *
 *     molt_inflate_begin(&inf, window, sizeof window);
 *     for (;;) {
 *         rc = molt_inflate_step(&inf, &in, &in_len, out, sizeof out, &out_len);
 *         consume(out, out_len);
 *         if (rc == MOLT_INFLATE_END || rc < 0) break;
 *         if (in_len == 0) refill(&in, &in_len);
 *     }
 *
 * No heap, no recursion, no flash; bounded work a call (proportional to in_len + out_cap).
 * The header's CRC-32 and ISIZE are checked. One member only: bytes behind it are not consumed. */
#ifndef MOLT_INFLATE_H
#define MOLT_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../molt_reason.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { MOLT_INFLATE_MORE = 0, MOLT_INFLATE_END = 1 };

/* Where a block begins: its header's first bit in the member, and the output before it. */
struct molt_inflate_block {
    uint32_t in;  /* byte of the member */
    uint8_t bit;  /* bits of that byte which belong to what is before, 0 to 7 */
    uint32_t out; /* bytes produced before the block */
};

/* Caller-allocated. Fields above the line may be read; the rest is private. */
struct molt_inflate {
    uint32_t total_in;               /* compressed bytes consumed */
    uint32_t total_out;              /* bytes produced */
    struct molt_inflate_block block; /* the last one begun; all zeros: none yet */
    /* ---- private ---- */
    uint8_t *window;
    uint32_t window_mask;
    uint32_t bits, bit_count; /* bits read and not yet used; the next one is the lowest */
    uint32_t crc;             /* of the header, then of the output */
    uint32_t copy_len, copy_dist, stored_left;
    uint32_t number;                                   /* the multi-byte number being collected */
    uint16_t literal_count[16], distance_count[16];    /* codes of each length */
    uint16_t literal_symbol[288], distance_symbol[32]; /* symbols in order of their codes */
    uint8_t lengths[320];                              /* code lengths while they are read */
    uint16_t lengths_have, n_literal, n_distance, n_code;
    uint8_t state, flags, field, extra_bits, skip_bits;
    bool last_block, fixed_codes; /* fixed_codes: the tables hold the fixed codes */
    int failed;
};

/* Starts a member. window: caller's, must outlive inf; window_len: a power of two from 256 to 32768 bytes
 * (4096 suffices for what molt's server makes; any gzip needs 32768).
 * Returns 0, or -MOLT_ARG when window_len is not such a number. */
int molt_inflate_begin(struct molt_inflate *inf, uint8_t *window, uint32_t window_len);

/* Goes on in the middle of a member, at a block's header (never a member's end): the next byte of input is the one at
 * block->in. The window must hold the output before the block, byte n of it at window[n & (window_len - 1)]; crc: of
 * the block->out bytes of output before it, molt_crc32_lsb from 0. Returns as molt_inflate_begin() does. */
int molt_inflate_resume(struct molt_inflate *inf, uint8_t *window, uint32_t window_len,
                        const struct molt_inflate_block *block, uint32_t crc);

/* Decodes from *in (advancing *in and *in_len by what was consumed) into out, at most out_cap bytes;
 * *out_len is set to what was produced. Returns MOLT_INFLATE_MORE (give more input or take the output and
 * call again), MOLT_INFLATE_END (member complete, CRC-32 and ISIZE right), or, sticky, -MOLT_BAD_GZIP or
 * -MOLT_GZIP_WINDOW. On failure *out_len bytes are still valid output. */
int molt_inflate_step(struct molt_inflate *inf, const uint8_t **in, size_t *in_len, uint8_t *out,
                      size_t out_cap, size_t *out_len);

#ifdef __cplusplus
}
#endif
#endif
