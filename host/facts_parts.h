/* facts_parts.h - what the files facts*.c share. Not for others. */
#ifndef MOLT_HOST_FACTS_PARTS_H
#define MOLT_HOST_FACTS_PARTS_H

#include "facts.h"

/* The whole verifier over a file in memory: 0 or the refusal. info, texts: as far as it got. */
int facts_verify(const uint8_t *data, size_t len, struct molt_image_info *info,
                 struct molt_image_texts *texts);

/* The name of another tool's signature around a valid image, with its size in detail; NULL when there is none.
 * facts_signed.c */
const char *facts_signature(const uint8_t *data, size_t len, char *detail, size_t cap);

/* The length of the trailer of Arduino's ESP8266 signing at the end of a file (signature, then its length as a
 * 32-bit word), 0 when the last word cannot be one. facts_signed.c */
size_t facts_arduino_trailer(const uint8_t *data, size_t len);

/* Inflates a gzip file of one member, at most FACTS_FILE_MAX bytes of content (malloc'ed).
 * -MOLT_BAD_GZIP, -MOLT_FILE_TOO_LARGE, -MOLT_IMAGE_SIGNED, -MOLT_NO_MEMORY, with detail. facts_gzip.c */
int facts_inflate(const uint8_t *data, size_t len, uint8_t **out, size_t *out_len, char *detail, size_t cap);

/* Fills the tag fields of facts. facts_tag.c */
void facts_read_tag(const uint8_t *data, size_t len, struct facts *facts);

#endif
