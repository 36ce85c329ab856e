/* predict.h - what happens to addresses when code moves: cuts the base into units (instructions, pointers, bytes),
 * finds those that hold an address, and writes them anew for the place and the target they have now.
 *
 * Used by the decoder and by the encoder on the host, which must do exactly the same. A wrong guess costs bytes of
 * the pack, never correctness, so nothing here can fail. No heap, no recursion, no division. */
#ifndef MOLT_PACK_PREDICT_H
#define MOLT_PACK_PREDICT_H

#include <stdbool.h>
#include <stdint.h>

#define PACK_SEGMENTS_MAX 8u
#define PACK_RANGES_MAX   4u
#define PACK_TABLE_MAX    238u
#define PACK_BASE_CACHE   64u
#define PACK_LOOK_AHEAD   44u /* bytes behind a lui or auipc that are searched for its partner */
#define PACK_RECENT       4u

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

struct pack_segment {
    uint32_t off, len, addr; /* file offset, bytes, load address of the first */
};

struct pack_range {
    uint32_t first, end; /* addresses that a pointer may hold */
};

/* The parts of a map, in the order in which a pack tells them. */
enum { PACK_MAP_BASE, PACK_MAP_OUT, PACK_MAP_RANGES, PACK_MAP_SHIFTS, PACK_MAP_PARTS };

#define PACK_ADDRESS_NONE 0x40000000u /* what the first address of a map is told from */

/* Where base and output lie in memory, and which addresses moved by how much. Entries of segment, from and shift count
 * from 1; number 0 is what the first is told from: addr PACK_ADDRESS_NONE of the base's, else zeros. */
struct pack_map {
    uint8_t arch;
    uint16_t count[PACK_MAP_PARTS];
    struct pack_segment segment[2][1 + PACK_SEGMENTS_MAX]; /* PACK_MAP_BASE, PACK_MAP_OUT */
    struct pack_range range[PACK_RANGES_MAX];
    uint32_t from[1 + PACK_TABLE_MAX]; /* rising: from this address of the base on ... */
    int32_t shift[1 + PACK_TABLE_MAX]; /* ... the target lies so much higher */
};

struct pack_unit {
    uint8_t len;          /* 1 to 4 bytes */
    uint8_t kind;         /* enum pack_kind */
    bool relative;        /* the address is relative to pc (PACK_HIGH, PACK_LOW: to high_pc) */
    uint32_t word;        /* its bytes, the first lowest; 0 behind the copy's end */
    uint32_t target;      /* the address that it holds */
    uint32_t pc, high_pc; /* where it lies in the base */
};

/* A copy from the base in progress. */
struct pack_predictor {
    const struct pack_map *map;
    int (*read)(void *ctx, uint32_t off, void *dst, uint32_t len); /* of the base; < 0 when it failed */
    void *ctx;
    uint32_t base_len;
    int failed;         /* what read returned when it failed; bytes are then any */
    uint32_t cache_off; /* PACK_CACHE_EMPTY at the start */
    /* the latest corrected shifts, newest first, and where */
    struct pack_recent {
        int32_t shift;
        uint32_t target;
    } recent[PACK_RECENT];
    uint8_t cache[PACK_BASE_CACHE];
#if PACK_WITH_RISCV
    /* Of lui and auipc seen: one bit a register; its upper part (with pc when relative), and in the 12 bits that
     * leaves the low bits of its own place, which are even, with 1 for relative. */
    uint32_t high_known, high[32];
#endif
};

#define PACK_CACHE_EMPTY 0x80000000u

/* At the start of a frame: nothing corrected yet. */
void pack_predict_reset(struct pack_predictor *p);

/* At the start of a copy from the base: no registers known. */
void pack_predict_copy(struct pack_predictor *p);

/* The byte of the base at off, 0 past its end. */
uint8_t pack_base_byte(struct pack_predictor *p, uint32_t off);

/* The unit of the base at off, cut to left bytes (>= 1). Calls must follow the copy in order. */
void pack_unit_at(struct pack_predictor *p, uint32_t off, uint32_t left, struct pack_unit *unit);

/* The load address of offset off in the base (part PACK_MAP_BASE) or the output (PACK_MAP_OUT); *left: bytes until the
 * segment's end. Outside of segments 0 and 1. */
uint32_t pack_address(const struct pack_map *map, uint32_t part, uint32_t off, uint32_t *left);

/* By how much target is believed to have moved. */
int32_t pack_shift(const struct pack_predictor *p, uint32_t target);

/* Remembers that target moved by shift, against what was believed. */
void pack_correct(struct pack_predictor *p, uint32_t target, int32_t shift);

/* The unit's word when it lies at out_pc and its target moved by shift. */
uint32_t pack_relocate(const struct pack_unit *unit, uint32_t out_pc, int32_t shift);

#endif
