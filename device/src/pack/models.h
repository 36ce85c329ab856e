/* models.h - the adaptive probabilities of a pack's range coder, used by the decoder and by the encoder on the host.
 * Must give both the same numbers for ever: a change here is another codec version. Tests: test/unit/pack_test.c. */
#ifndef MOLT_PACK_MODELS_H
#define MOLT_PACK_MODELS_H

#include <stdint.h>

#define PACK_PROB_BITS  13u
#define PACK_COUNT_BITS 3u
#define PACK_COUNT_MASK ((1u << PACK_COUNT_BITS) - 1u)
#define PACK_PROB_INIT  ((uint16_t)(1u << (PACK_PROB_BITS - 1u) << PACK_COUNT_BITS))

#define PACK_STATES      12u /* what the last tokens were, as LZMA counts it */
#define PACK_MATCH_MIN   2u
#define PACK_MATCH_MAX   273u
#define PACK_SLOT_MODELS 4u /* of lengths 2, 3, 4 and more */
#define PACK_NUMBER_BITS 5u

/* A number of up to 31 bits: its length in bits by a tree, the bit below the leading one by its length. */
struct pack_number {
    uint16_t bits[32];
    uint16_t second[32];
};

struct pack_lengths {
    uint16_t choice[2];
    uint16_t low[8], mid[8];
};

/* What a unit of the base is (predict.h), with the fate of the two units before it. */
#define PACK_UNIT_MODELS 32u

/* A frame's models, in a delta; an array of probabilities in the end (pack_models_reset). */
struct pack_models {
    uint16_t is_match[PACK_STATES], is_rep[PACK_STATES], is_base[PACK_STATES];
    uint16_t is_rep0[PACK_STATES], is_rep0_long[PACK_STATES], is_rep1[PACK_STATES], is_rep2[PACK_STATES];
    uint16_t slot[64], special[32], align[16];
    struct pack_lengths match_len, rep_len;
    struct pack_number base_pos, base_len, shift;
    uint16_t chunk[8];
    uint16_t unit[PACK_UNIT_MODELS];
    uint16_t by_shift[8];
    uint16_t recent[4];
    /* [bytes of the unit; 0: it seemed to hold an address][index][an earlier one differed] */
    uint16_t same[40];
    uint16_t even[2];       /* of bits that no model knows anything of: always PACK_PROB_INIT */
    uint16_t residual[256]; /* of bytes that differ, and of lengths above 17 */
    uint16_t literal[256];
};

/* What is added to them in a pack of a whole image, which needs no map: they share its memory. */
struct pack_more_models {
    uint16_t matched[512];                   /* literals after a copy; numbers go on from literal */
    uint16_t slot[PACK_SLOT_MODELS - 1][64]; /* of matches longer than 2 */
    uint16_t odd[768];                       /* of RISC-V, whose code is even: literals at odd places */
};

static inline void pack_models_reset(uint16_t *probs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        probs[i] = PACK_PROB_INIT;
}

/* The probability that the next bit is 0, 1 to 2^PACK_PROB_BITS - 1. */
static inline uint32_t pack_prob(uint16_t prob)
{
    return (uint32_t)prob >> PACK_COUNT_BITS;
}

/* After a bit: fast at first (half of the way), ever slower, down to a 32th of the way. */
static inline uint16_t pack_prob_after(uint16_t prob, uint32_t bit)
{
    uint32_t count = prob & PACK_COUNT_MASK, p = (uint32_t)prob >> PACK_COUNT_BITS;
    uint32_t rate = 1u + ((count + 1u) >> 1), to = bit != 0 ? (1u << rate) - 1u : 1u << PACK_PROB_BITS;
    p += (uint32_t)((int32_t)(to - p) >> rate); /* towards 0 it is rounded so that p never gets there */
    if (count < PACK_COUNT_MASK) count++;
    return (uint16_t)(p << PACK_COUNT_BITS | count);
}

static inline uint8_t pack_state_after_literal(uint8_t state)
{
    return (uint8_t)(state < 4 ? 0 : state < 10 ? state - 3 : state - 6);
}

static inline uint8_t pack_state_after_match(uint8_t state)
{
    return state < 7 ? 7 : 10;
}

static inline uint8_t pack_state_after_rep(uint8_t state)
{
    return state < 7 ? 8 : 11;
}

static inline uint8_t pack_state_after_short_rep(uint8_t state)
{
    return state < 7 ? 9 : 11;
}

#endif
