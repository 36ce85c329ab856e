/* manifest_parts.h - what the files of the manifest share; not for users.
 *
 * The envelope's fixed part: everything up to the manifest, with three holes. */
#ifndef MOLT_MANIFEST_PARTS_H
#define MOLT_MANIFEST_PARTS_H

#include <stdbool.h>

#include "manifest.h"

#define ENVELOPE_DIGEST_AT  9u /* the encoded SUIT_Digest: 82 2f 58 20 H */
#define ENVELOPE_DIGEST_LEN 36u
#define ENVELOPE_HASH_AT    13u /* H */
#define ENVELOPE_SIGN_AT    45u /* one COSE_Sign1 in its byte string, or two */
#define ENVELOPE_SIGN_LEN   76u
#define SIGN_ALG            7u /* in it: 26: ES256 (-7), 28: ESP256 (-9) */
#define SIGN_SIGNATURE      12u

/* Where the manifest with its byte-string head begins, behind key 3. */
#define ENVELOPE_BODY_AT(signatures) (ENVELOPE_SIGN_AT + (signatures)*ENVELOPE_SIGN_LEN + 1u)

/* How many signatures data has, 1 or 2, when it begins as the profile says, up to and with the manifest's map key; else 0. */
unsigned envelope_signatures(const uint8_t *data, size_t len);

/* Walks the manifest with its byte-string head. */
bool manifest_walk(const uint8_t *body, size_t len, struct molt_manifest *out);

#endif
