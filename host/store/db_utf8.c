/* db_utf8.c - texts that a database may refuse: what is no UTF-8, and NUL. Must never change a text that is fine.
 * Tests: test/unit/store_test.c. */
#include <stdlib.h>
#include <string.h>

#include "db.h"

/* Bytes of the character at p, 0: it is none of UTF-8, or NUL. */
static size_t character(const uint8_t *p, size_t left)
{
    static const struct {
        uint8_t mask, lead, len;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 1, 1}, {0xE0, 0xC0, 2, 0x80}, {0xF0, 0xE0, 3, 0x800}, {0xF8, 0xF0, 4, 0x10000}};
    for (size_t i = 0; i < 4; i++) {
        if ((p[0] & forms[i].mask) != forms[i].lead) continue;
        uint32_t code = p[0] & (uint8_t)~forms[i].mask;
        if (forms[i].len > left) return 0;
        for (size_t k = 1; k < forms[i].len; k++) {
            if ((p[k] & 0xC0) != 0x80) return 0;
            code = code << 6 | (p[k] & 0x3F);
        }
        const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
        return code >= forms[i].least && code <= 0x10FFFF && !surrogate ? forms[i].len : 0;
    }
    return 0;
}

/* Where the text stops to be UTF-8; len: nowhere. A device may send anything, and a cut may go through a character. */
static size_t utf8_until(const uint8_t *text, size_t len)
{
    size_t at = 0;
    for (size_t n; at < len && (n = character(text + at, len - at)) > 0;)
        at += n;
    return at;
}

static void repair(uint8_t *text, size_t len)
{
    for (size_t at = 0; (at += utf8_until(text + at, len - at)) < len;)
        text[at++] = '?';
}

char *db_utf8(const void *text, size_t len)
{
    if (utf8_until(text, len) == len) return NULL;
    char *copy = malloc(len + 1);
    if (copy == NULL) return NULL; /* the database will refuse the text */
    memcpy(copy, text, len);
    copy[len] = '\0';
    repair((uint8_t *)copy, len);
    return copy;
}
