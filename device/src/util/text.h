/* text.h - strict reading and writing of numbers, hex and names in text that came from outside.
 * Works on (pointer, length), never needs a NUL, never depends on a locale. Tests: test/unit/text_test.c. */
#ifndef MOLT_UTIL_TEXT_H
#define MOLT_UTIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_DECIMAL_MAX 10u /* digits of UINT32_MAX */

/* Reads len characters as one decimal number: digits only, at least one, no sign, no space, at most max
 * (leading zeros are allowed). Returns true and sets *value; false leaves *value alone. */
bool molt_text_to_u32(const char *text, size_t len, uint32_t max, uint32_t *value);

/* The same for hexadecimal digits of either case. */
bool molt_hex_to_u32(const char *text, size_t len, uint32_t max, uint32_t *value);

/* Writes value in decimal without a NUL; returns the number of characters, 1 to MOLT_DECIMAL_MAX. */
size_t molt_u32_to_text(uint32_t value, char out[MOLT_DECIMAL_MAX]);

/* 0 to 15, or -1 when c is no hexadecimal digit. */
int molt_hex_digit(char c);

/* Writes 2 * len lower-case hexadecimal digits and a NUL into out (2 * len + 1 bytes). */
void molt_hex_encode(const uint8_t *data, size_t len, char *out);

/* Reads exactly 2 * len hexadecimal digits of either case from text (text_len characters) into out.
 * Returns false when text has another length or another character; out is then undefined. */
bool molt_hex_decode(const char *text, size_t text_len, uint8_t *out, size_t len);

/* True when text (len characters) equals name (NUL-terminated), ASCII letters compared without case. */
bool molt_text_is(const char *text, size_t len, const char *name);

/* c in lower case when it is an ASCII capital, else c. */
char molt_lower(char c);

/* True when all len characters are printable ASCII, 0x20 to 0x7E. */
bool molt_text_printable(const char *text, size_t len);

#ifdef __cplusplus
}
#endif
#endif
