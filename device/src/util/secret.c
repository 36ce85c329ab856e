/* secret.c - constant-time compare with a hardened answer.
 * Must never stop at the first difference. Tests: test/unit/manifest_test.c. */
#include "secret.h"

uint32_t molt_same_bytes(const void *a, const void *b, size_t len)
{
    const volatile uint8_t *x = a, *y = b;
    volatile size_t done = 0; /* a loop that a glitch leaves early has not done len */
    uint32_t difference = 0;
    for (size_t i = 0; i < len; i++, done = done + 1)
        difference |= (uint32_t)(x[i] ^ y[i]);
    difference |= (uint32_t)(done ^ len);
    /* 0 gives all ones, everything else 0: no branch on the secret */
    uint32_t mask = ((difference | (0u - difference)) >> 31) - 1;
    return (MOLT_YES & mask) | (MOLT_NO & ~mask);
}
