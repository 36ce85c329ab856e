/* text.h - small helpers for text that came from elsewhere: is it UTF-8, may a terminal see it, how wide is it. */
#ifndef MOLT_CLI_TEXT_H
#define MOLT_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True when the bytes are well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates). NUL is a character. */
bool text_is_utf8(const char *text, size_t len);

/* Copies text so that a terminal can only show it: control characters (C0, DEL, C1) and bytes that are no UTF-8
 * become '?'. Cut at a whole character when cap is too small. Always terminated (cap >= 1). Returns out. */
char *text_printable(char *out, size_t cap, const char *text);

/* Columns of a UTF-8 text, one for each code point. */
size_t text_width(const char *text);

/* A plain decimal number, nothing around it. 0 and *number, or -1. */
int text_number(const char *text, uint64_t *number);

#endif
