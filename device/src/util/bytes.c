/* bytes.c - rows of little-endian words.
 * Must never cast a pointer to a wider type. Tests: test/unit/log_test.c, test/unit/eboot_slots_test.c. */
#include "bytes.h"

void molt_load_words(uint32_t *words, const uint8_t *p, unsigned count)
{
    for (; count > 0; count--, p += 4)
        *words++ = molt_load32le(p);
}

void molt_store_words(uint8_t *p, const uint32_t *words, unsigned count)
{
    for (; count > 0; count--, p += 4)
        molt_store32le(p, *words++);
}
