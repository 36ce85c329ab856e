/* text.c - helpers for text from elsewhere (text.h). Nothing here may let a control character through to a terminal.
 * Tests: test/unit/args_test.c. */
#include "text.h"

#include <string.h>

/* Length of the well-formed UTF-8 sequence at p (RFC 3629, section 4), 0 when there is none. */
static size_t sequence(const unsigned char *p, size_t left)
{
    if (left == 0) return 0;
    if (p[0] < 0x80) return 1;
    size_t len = p[0] >= 0xC2 && p[0] <= 0xDF   ? 2
                 : (p[0] & 0xF0) == 0xE0        ? 3
                 : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4
                                                : 0;
    if (len == 0 || len > left) return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80) return 0;
    }
    if (p[0] == 0xE0 && p[1] < 0xA0) return 0; /* overlong */
    if (p[0] == 0xED && p[1] > 0x9F) return 0; /* surrogate */
    if (p[0] == 0xF0 && p[1] < 0x90) return 0; /* overlong */
    if (p[0] == 0xF4 && p[1] > 0x8F) return 0; /* beyond U+10FFFF */
    return len;
}

bool text_is_utf8(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    while (len > 0) {
        size_t n = sequence(p, len);
        if (n == 0) return false;
        p += n;
        len -= n;
    }
    return true;
}

char *text_printable(char *out, size_t cap, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t left = strlen(text), used = 0;
    while (left > 0) {
        size_t n = sequence(p, left), take = n == 0 ? 1 : n;
        bool control = n == 0 || p[0] < 0x20 || p[0] == 0x7F || (n == 2 && p[0] == 0xC2 && p[1] < 0xA0);
        size_t need = control ? 1 : take;
        if (used + need >= cap) break;
        if (control)
            out[used] = '?';
        else
            memcpy(out + used, p, need);
        used += need;
        p += take;
        left -= take;
    }
    out[used] = '\0';
    return out;
}

size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++) {
        if (((unsigned char)*text & 0xC0) != 0x80) width++;
    }
    return width;
}

int text_number(const char *text, uint64_t *number)
{
    uint64_t n = 0;
    if (*text == '\0') return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') return -1;
        uint64_t digit = (uint64_t)(*text - '0');
        if (n > (UINT64_MAX - digit) / 10) return -1;
        n = n * 10 + digit;
    }
    *number = n;
    return 0;
}
