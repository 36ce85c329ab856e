/* coder.c - the range coder's writing half, and what symbols cost. Must put exactly what device/src/pack reads back.
 * Tests: test/property/pack_property_test.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/pack/pack_parts.h"

#define RANGE_MIN (1u << 24)

void *pack_list_add(struct pack_list *list, size_t size)
{
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 256 : list->cap * 2;
        void *data = realloc(list->data, cap * size);
        if (data == NULL) return NULL;
        list->data = data;
        list->cap = cap;
    }
    return (uint8_t *)list->data + size * list->count++;
}

static void put_byte(struct pack_coder *c, uint8_t byte)
{
    if (c->first) { /* always 0, and not sent */
        c->first = false;
        return;
    }
    uint8_t *to = pack_list_add(&c->bytes, 1);
    if (to == NULL)
        c->failed = true;
    else
        *to = byte;
}

static void shift_low(struct pack_coder *c)
{
    if (c->low < 0xFF000000u || c->low > 0xFFFFFFFFu) {
        uint8_t carry = (uint8_t)(c->low >> 32);
        put_byte(c, (uint8_t)(c->cache + carry));
        for (; c->pending > 0; c->pending--)
            put_byte(c, (uint8_t)(0xFF + carry));
        c->cache = (uint8_t)(c->low >> 24);
    } else {
        c->pending++;
    }
    c->low = (c->low & 0x00FFFFFFu) << 8;
}

void pack_coder_begin(struct pack_coder *c)
{
    c->low = 0;
    c->range = 0xFFFFFFFFu;
    c->pending = 0;
    c->cache = 0;
    c->first = true;
}

void pack_coder_end(struct pack_coder *c)
{
    for (int i = 0; i < 5; i++)
        shift_low(c);
}

static void renew(struct pack_coder *c)
{
    while (c->range < RANGE_MIN) {
        c->range <<= 8;
        shift_low(c);
    }
}

void pack_put_bit(struct pack_coder *c, uint16_t *prob, uint32_t bit)
{
    uint32_t bound = (c->range >> PACK_PROB_BITS) * pack_prob(*prob);
    if (bit == 0) {
        c->range = bound;
    } else {
        c->low += bound;
        c->range -= bound;
    }
    *prob = pack_prob_after(*prob, bit);
    renew(c);
}

void pack_put_direct(struct pack_coder *c, uint32_t value, uint32_t bits)
{
    while (bits-- > 0) {
        uint16_t even = PACK_PROB_INIT;
        pack_put_bit(c, &even, value >> bits & 1u);
    }
}

void pack_put_tree(struct pack_coder *c, uint16_t *probs, uint32_t value, uint32_t bits)
{
    uint32_t at = 1;
    while (bits-- > 0) {
        uint32_t bit = value >> bits & 1u;
        pack_put_bit(c, &probs[at], bit);
        at = at << 1 | bit;
    }
}

static uint32_t bit_length(uint32_t value)
{
    uint32_t bits = 0;
    for (; value != 0; value >>= 1)
        bits++;
    return bits;
}

void pack_put_number(struct pack_coder *c, struct pack_number *number, uint32_t value)
{
    uint32_t bits = bit_length(value);
    pack_put_tree(c, number->bits, bits, PACK_NUMBER_BITS);
    if (bits < 2) return;
    pack_put_bit(c, &number->second[bits], value >> (bits - 2) & 1u);
    pack_put_direct(c, value & ((1u << (bits - 2)) - 1u), bits - 2);
}

uint32_t pack_fold(uint32_t value)
{
    return value << 1 ^ (0u - (value >> 31));
}

uint32_t pack_dist_slot(uint32_t dist)
{
    if (dist < 4) return dist;
    uint32_t bits = bit_length(dist);
    return (bits - 1) * 2 + (dist >> (bits - 2) & 1u);
}

/* ---- prices ---- */

#define PRICE_STEPS 1024u
static uint16_t price_table[PRICE_STEPS];

__attribute__((constructor)) static void fill_prices(void)
{
    for (uint32_t i = 0; i < PRICE_STEPS; i++)
        price_table[i] = (uint16_t)lround(-log2((i + 0.5) / PRICE_STEPS) * PACK_BIT_PRICE);
}

uint32_t pack_price(uint16_t prob, uint32_t bit)
{
    uint32_t p = pack_prob(prob);
    if (bit != 0) p = (1u << PACK_PROB_BITS) - p;
    return price_table[p >> (PACK_PROB_BITS - 10)];
}

uint32_t pack_tree_price(const uint16_t *probs, uint32_t value, uint32_t bits)
{
    uint32_t at = 1, price = 0;
    while (bits-- > 0) {
        uint32_t bit = value >> bits & 1u;
        price += pack_price(probs[at], bit);
        at = at << 1 | bit;
    }
    return price;
}

uint32_t pack_number_price(const struct pack_number *number, uint32_t value)
{
    uint32_t bits = bit_length(value);
    uint32_t price = pack_tree_price(number->bits, bits, PACK_NUMBER_BITS);
    if (bits < 2) return price;
    return price + pack_price(number->second[bits], value >> (bits - 2) & 1u) + (bits - 2) * PACK_BIT_PRICE;
}
