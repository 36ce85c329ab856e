/* manifest_parts.h - what the files of the manifest share; not for users.
 *
 * The envelope's fixed part: everything up to the manifest, with three holes. */
#ifndef MOLT_MANIFEST_PARTS_H
#define MOLT_MANIFEST_PARTS_H

#include <stdbool.h>

#include "manifest.h"

#define ENVELOPE_HEAD_LEN   121u /* bytes before the manifest's map key */
#define ENVELOPE_DIGEST_AT  9u   /* the encoded SUIT_Digest: 82 2f 58 20 H */
#define ENVELOPE_DIGEST_LEN 36u
#define ENVELOPE_HASH_AT    13u /* H */
#define ENVELOPE_ALG_AT     52u /* 26: ES256 (-7), 28: ESP256 (-9) */
#define ENVELOPE_SIG_AT     57u
#define ENVELOPE_BODY_AT    122u /* the manifest with its byte-string head; before it stands key 3 */

/* True when data begins as the profile says, up to and with the manifest's map key. */
bool envelope_head_ok(const uint8_t *data, size_t len);

/* Walks the manifest with its byte-string head. */
bool manifest_walk(const uint8_t *body, size_t len, struct molt_manifest *out);

#endif
