/* predict.h - what happens to addresses when code moves: cuts the base into units (instructions, pointers, bytes),
 * finds those that hold an address, and writes them anew for the place and the target they have now.
 *
 * Used by the decoder and by the encoder on the host, which must do exactly the same. A wrong guess costs bytes of
 * the pack, never correctness, so nothing here can fail. No heap, no recursion, no division. */
#ifndef MOLT_PACK_PREDICT_H
#define MOLT_PACK_PREDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "models.h"

#define MOLT_PACK_ROWS_ALL   511u /* rows of the largest map */
#define MOLT_PACK_ROWS_SMALL 120u /* rows of a map that was made for small decoders */
#ifndef MOLT_PACK_ROWS
/* of this decoder; with 120 it needs 3.8 KB, and takes deltas only */
#define MOLT_PACK_ROWS MOLT_PACK_ROWS_ALL
#endif
#if MOLT_PACK_ROWS != 511 && MOLT_PACK_ROWS < 120
#error "MOLT_PACK_ROWS: molt makes maps of up to 511 rows or of up to 120"
#endif
#define PACK_CACHE_LEN  64u
#define PACK_LOOK_AHEAD 44u /* bytes behind a lui or auipc that are searched for its partner */
#define PACK_RECENT     4u

/* A chip decodes its own instructions only; a PC those of all. */
#if defined(__XTENSA__)
#define PACK_WITH_XTENSA 1
#define PACK_WITH_RISCV  0
#elif defined(__riscv)
#define PACK_WITH_XTENSA 0
#define PACK_WITH_RISCV  1
#else
#define PACK_WITH_XTENSA 1
#define PACK_WITH_RISCV  1
#endif

enum pack_arch { PACK_ARCH_NONE = 0, PACK_ARCH_LX106 = 1, PACK_ARCH_XTENSA = 2, PACK_ARCH_RISCV = 3 };

enum pack_kind {
    PACK_BYTE = 0, /* a byte of data */
    PACK_CODE = 1, /* an instruction without an address */
    PACK_POINTER = 2,
    PACK_CALL = 3, /* Xtensa call0, 4, 8, 12; RISC-V jal */
    PACK_L32R = 4,
    PACK_HIGH = 5, /* RISC-V lui or auipc */
    PACK_LOW = 6,  /* its partner */
};

/* The parts of a map, in the order in which a pack tells them. */
enum { PACK_MAP_BASE, PACK_MAP_OUT, PACK_MAP_RANGES, PACK_MAP_SHIFTS, PACK_MAP_PARTS };

/* What holds from one value on, until the next row of its part says otherwise. */
struct pack_row {
    uint32_t from, is;
};

#define PACK_ADDRESS_BASE 0x40000000u /* so that numbers in a map are small */

/* Where base and output lie in memory (from an offset on: the load address less the offset and PACK_ADDRESS_BASE; 0: nowhere;
 * the first row is from 0, and behind the last there is nothing), which addresses a pointer may hold (from an address on: 1, or 0), and which moved by how much (from an address of the base on, modulo 2^32). */
struct pack_map {
    uint32_t arch;                    /* enum pack_arch */
    uint32_t end[1 + PACK_MAP_PARTS]; /* rows before a part; behind the last */
    /* counting from 1; number 0, zeros, is what the first is told from */
    struct pack_row row[1 + MOLT_PACK_ROWS];
};

struct pack_unit {
    uint8_t len;          /* 1 to 4 bytes */
    uint8_t kind;         /* enum pack_kind */
    bool relative;        /* the address is relative to pc (PACK_HIGH, PACK_LOW: to high_pc) */
    uint32_t word;        /* its bytes, the first lowest; 0 behind the copy's end */
    uint32_t target;      /* the address that it holds */
    uint32_t pc, high_pc; /* where it lies in the base */
};

/* The latest bytes read from flash. */
struct pack_cache {
    int (*read)(void *ctx, uint32_t off, void *dst, uint32_t len); /* < 0 when it failed */
    void *ctx;
    int failed; /* what it then returned; bytes are then any */
    uint32_t off, len;
    uint8_t bytes[PACK_CACHE_LEN];
};

/* len bytes from off on, of which those before end (> off) are right. */
const uint8_t *pack_cached(struct pack_cache *cache, uint32_t off, uint32_t len, uint32_t end);

/* A copy from the base in progress. */
struct pack_predictor {
    const struct pack_map *map;
    uint32_t base_len;
    struct pack_cache cache; /* of the base */
    /* the latest corrected shifts, newest first, and where */
    struct pack_recent {
        uint32_t shift, target;
    } recent[PACK_RECENT];
#if PACK_WITH_RISCV
    /* Of lui and auipc seen: one bit a register; its upper part (with pc when relative), and in the 12 bits that
     * leaves the low bits of its own place, which are even, with 1 for relative. */
    uint32_t high_known, high[32];
#endif
};

/* At the start of a copy from the base: no registers known. */
static inline void pack_predict_copy(struct pack_predictor *p)
{
#if PACK_WITH_RISCV
    p->high_known = 0;
#else
    (void)p;
#endif
}

/* The unit of the base at off, cut to left bytes (>= 1). Calls must follow the copy in order. */
void pack_unit_at(struct pack_predictor *p, uint32_t off, uint32_t left, struct pack_unit *unit);

/* The row of the part that holds for value. */
const struct pack_row *pack_row_of(const struct pack_map *map, uint32_t part, uint32_t value);

/* The load address of offset off in the base (part PACK_MAP_BASE) or the output (PACK_MAP_OUT), 0: none. */
uint32_t pack_address(const struct pack_map *map, uint32_t part, uint32_t off);

/* By how much target is believed to have moved, modulo 2^32. */
uint32_t pack_shift(const struct pack_predictor *p, uint32_t target);

/* Remembers that target moved by shift, against what was believed. */
void pack_correct(struct pack_predictor *p, uint32_t target, uint32_t shift);

/* The unit's word when it lies at out_pc and its target moved by shift. */
uint32_t pack_relocate(const struct pack_unit *unit, uint32_t out_pc, uint32_t shift);

#endif
