/* text.c - strict reading and writing of numbers, hex and names.
 * Must never accept what it cannot represent, nor read past the given length. Tests: test/unit/text_test.c.
 * */
#include "text.h"

#include <string.h>

static bool to_u32(const char *text, size_t len, uint32_t base, uint32_t max, uint32_t *value)
{
    const uint32_t sum_max = base == 10 ? UINT32_MAX / 10 : UINT32_MAX / 16;
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        uint32_t digit = (uint32_t)molt_hex_digit(text[i]); /* huge when it is none */
        if (digit >= base || sum > sum_max) return false;
        sum = sum * base + digit;
        if (sum < digit || sum > max) return false;
    }
    if (len > 0) *value = sum;
    return len > 0;
}

bool molt_text_to_u32(const char *text, size_t len, uint32_t max, uint32_t *value)
{
    return to_u32(text, len, 10, max, value);
}

bool molt_hex_to_u32(const char *text, size_t len, uint32_t max, uint32_t *value)
{
    return to_u32(text, len, 16, max, value);
}

size_t molt_u32_to_text(uint32_t value, char out[MOLT_DECIMAL_MAX])
{
    char digits[MOLT_DECIMAL_MAX];
    size_t at = MOLT_DECIMAL_MAX;
    do {
        uint32_t rest = value / 10;
        digits[--at] = (char)('0' + (value - rest * 10));
        value = rest;
    } while (value > 0);
    memcpy(out, digits + at, MOLT_DECIMAL_MAX - at);
    return MOLT_DECIMAL_MAX - at;
}

int molt_hex_digit(char c)
{
    unsigned digit = (unsigned)c - '0', letter = ((unsigned)c | 0x20) - 'a';
    return digit <= 9 ? (int)digit : letter <= 5 ? (int)letter + 10 : -1;
}

void molt_hex_encode(const uint8_t *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * len] = '\0';
}

bool molt_hex_decode(const char *text, size_t text_len, uint8_t *out, size_t len)
{
    if (text_len != 2 * len) return false;
    for (size_t i = 0; i < len; i++) {
        int high = molt_hex_digit(text[2 * i]);
        int low = molt_hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

bool molt_text_is(const char *text, size_t len, const char *name)
{
    size_t i = 0;
    while (i < len && name[i] != '\0' && molt_lower(text[i]) == molt_lower(name[i]))
        i++;
    return i == len && name[i] == '\0';
}

char molt_lower(char c)
{
    return (unsigned)c - 'A' < 26 ? (char)(c | 0x20) : c;
}

bool molt_text_printable(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] > 0x7E) return false;
    }
    return true;
}
