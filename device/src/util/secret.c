/* secret.c - constant-time compare with a hardened answer.
 * Must never stop at the first difference. Tests: test/unit/manifest_test.c. */
#include "secret.h"

uint32_t molt_same_bytes(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a, *y = b;
    if (len > UINT16_MAX) return MOLT_NO; /* the count below has 16 bits */
    /* Counts down in its lower half, and keeps every difference in its upper one: a loop that a glitch leaves early has
     * not come to 0. Volatile, so that no compiler leaves it early either. */
    volatile uint32_t left = (uint32_t)len;
    for (size_t i = 0; i < len; i++)
        left = (left - 1) | (uint32_t)(x[i] ^ y[i]) << 16;
    uint32_t difference = left;
    /* 0 gives all ones, everything else 0: no branch on the secret */
    uint32_t mask = ((difference | (0u - difference)) >> 31) - 1;
    return (MOLT_YES & mask) | (MOLT_NO & ~mask);
}
