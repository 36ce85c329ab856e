/* answer.h - one request of the doctor's own over a wire, and the answer read without the clients' habits. */
#ifndef MOLT_CLI_DOCTOR_ANSWER_H
#define MOLT_CLI_DOCTOR_ANSWER_H

#include "wire.h"

#define ANSWER_VALUE_MAX 512u

/* Sends head (a whole request head) to url and reads the answer to its end: Content-Length, last chunk, the peer's close,
 * or the wire's limits. no_body: the answer ends with its head (HEAD). 0, or -1 when it could not be sent. */
int answer_get(struct wire *wire, const char *url, const char *head, bool no_body);

/* The status, -1 when the answer does not begin as HTTP does or has no whole head. */
int answer_status(const struct wire_tap *tap);

/* How often the header is there; value (may be NULL) receives the first one's. */
int answer_header(const struct wire_tap *tap, const char *name, char value[ANSWER_VALUE_MAX]);

/* Content-Length, -1 when there is none. */
int64_t answer_length(const struct wire_tap *tap);
bool answer_chunked(const struct wire_tap *tap);

/* What followed the head, as it came (not unchunked). Never NULL. */
const uint8_t *answer_body(const struct wire_tap *tap, size_t *len);

/* Decodes chunks in place of the body; the length of the result. */
size_t answer_unchunk(const uint8_t *body, size_t len, uint8_t *out);

/* Splits url as the clients do; false when it is none, or has blanks or control characters. */
bool answer_split(const char *url, struct stock_place *place);

/* Where a Location leads: absolute, a path, or a relative address. False when it is longer than cap. */
bool answer_resolve(const char *url, const char *location, char *out, size_t cap);

#endif
