/* bytes.h - load and store integers at any address, by their byte order on flash or wire.
 * Must never cast a pointer to a wider type. Tests: test/unit/reason_test.c. */
#ifndef MOLT_UTIL_BYTES_H
#define MOLT_UTIL_BYTES_H

#include <stdint.h>

static inline uint16_t molt_load16le(const uint8_t *p)
{
    return (uint16_t)(p[0] | ((unsigned)p[1] << 8));
}

static inline uint32_t molt_load32le(const uint8_t *p)
{
    return (uint32_t)p[0] | ((uint32_t)p[1] << 8) | ((uint32_t)p[2] << 16) | ((uint32_t)p[3] << 24);
}

static inline void molt_store32le(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

/* Several 32-bit words in a row, as the records of the stores are made of. */
void molt_load_words(uint32_t *words, const uint8_t *p, unsigned count);
void molt_store_words(uint8_t *p, const uint32_t *words, unsigned count);

/* The next multiple of unit, a power of two; wraps to 0 above UINT32_MAX - unit + 1. */
static inline uint32_t molt_round_up(uint32_t v, uint32_t unit)
{
    return (v + (unit - 1)) & ~(unit - 1);
}

static inline uint32_t molt_min32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

#endif
