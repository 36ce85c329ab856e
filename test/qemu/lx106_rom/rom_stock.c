/* rom_stock.c - what Arduino's eboot, and a second stage of molt-boot, want of the ESP8266's ROM besides flash: text, bytes, a division.
 * Used with rom.c. Source: which addresses it calls, and eagle.rom.addr.v6.ld for their names. */
#include <stdint.h>

void rom_putc(uint32_t c);

void *rom_memset(void *dst, int value, uint32_t len)
{
    uint8_t *d = dst;
    while (len-- > 0) {
        *d++ = (uint8_t)value;
        __asm__ volatile("");
    }
    return dst;
}

void *rom_memmove(void *dst, const void *src, uint32_t len)
{
    uint8_t *d = dst;
    const uint8_t *s = src;
    for (uint32_t i = 0; i < len; i++) {
        uint32_t at = d < s ? i : len - 1 - i;
        d[at] = s[at];
        __asm__ volatile("");
    }
    return dst;
}

int rom_memcmp(const uint8_t *a, const uint8_t *b, uint32_t len)
{
    for (; len > 0; a++, b++, len--) {
        if (*a != *b) return *a - *b;
    }
    return 0;
}

static uint32_t divide(uint32_t a, uint32_t b)
{
    uint32_t quotient = 0;
    for (int bit = 31; bit >= 0; bit--) {
        if (a >> bit < b) continue;
        a -= b << bit;
        quotient |= 1u << bit;
    }
    return quotient;
}

int rom_divide(int a, int b)
{
    uint32_t quotient = divide(a < 0 ? -(uint32_t)a : (uint32_t)a, b < 0 ? -(uint32_t)b : (uint32_t)b);
    return (int)((a < 0) != (b < 0) ? -quotient : quotient);
}

static void put_hex(uint32_t value)
{
    for (int shift = 28; shift >= 0; shift -= 4) {
        uint32_t digit = value >> shift & 15;
        rom_putc(digit < 10 ? '0' + digit : 'a' + digit - 10);
    }
}

/* "%08x" and "%d" of one digit are all that eboot prints. */
int rom_printf(const char *format, uint32_t value)
{
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            rom_putc((uint8_t)*format);
        } else if (*++format == 'd') {
            rom_putc('0' + value);
        } else {
            format += 2;
            put_hex(value);
        }
    }
    return 0;
}
