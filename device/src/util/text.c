/* text.c - strict reading and writing of numbers, hex and names.
 * Must never accept what it cannot represent, nor read past the given length. Tests: test/unit/text_test.c.
 * */
#include "text.h"

static bool to_u32(const char *text, size_t len, uint32_t base, uint32_t max, uint32_t *value)
{
    if (len == 0) return false;
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        int digit = molt_hex_digit(text[i]);
        if (digit < 0 || (uint32_t)digit >= base) return false;
        if (sum > (max - (uint32_t)digit) / base || (uint32_t)digit > max) return false;
        sum = sum * base + (uint32_t)digit;
    }
    *value = sum;
    return true;
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
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    for (size_t i = 0; i < count; i++)
        out[i] = digits[count - 1 - i];
    return count;
}

int molt_hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
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
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool molt_text_printable(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] > 0x7E) return false;
    }
    return true;
}
