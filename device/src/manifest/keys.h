/* keys.h - who may sign, as the root key says: keys change without a new firmware, and a leaked one is refused from then on.
 *
 * A manifest's file may end with a key statement, a COSE_Sign1 (RFC 9052) that makes a CBOR sequence of the two:
 *
 *     18([<<{1: -7 or -9}>>, {}, <<[EPOCH, CLASS, KEYS]>>, SIG])
 *
 *   - EPOCH: byte string of 2, big-endian, counted up by the maker: 1 for his first statement
 *   - CLASS: 16 bytes, the class id of manifest.h: a statement is for one product on one chip
 *   - KEYS: byte string of 64 or 128: one or two public keys, x then y, which alone may sign releases
 *   - SIG: by the root key alone, over ["Signature1", protected, h'', payload]
 *
 * A device that has seen an epoch takes no statement of an older one, and none of the keys it was compiled with when they
 * are older: revoking costs one statement, seen once. The statement travels with each manifest, so that a device keeps the
 * epoch alone. Root and release keys are different keys in different places: who steals a release key cannot change the
 * keys; who steals the root key alone cannot sign a release for devices that he shows no statement.
 *
 * Linked only by firmware that names molt_keys_accept(). Tests: test/unit/manifest_keys_test.c, test/e2e/attacks. */
#ifndef MOLT_KEYS_H
#define MOLT_KEYS_H

#include "manifest.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_KEYS_MAX 226u /* bytes of a statement of two keys; one of one key has 162 */

struct molt_keys {
    uint16_t epoch;
    const uint8_t (*keys)[MOLT_KEY_LEN]; /* within the statement */
    unsigned key_count;                  /* 1 or 2 */
};

/* Reads a statement that trust->root signed for trust's class, of at least the epoch lowest. Returns
 * MOLT_MANIFEST_ACCEPTED and fills *out, or -MOLT_KEYS_INVALID, -MOLT_KEYS_RETIRED (its epoch is below lowest), and *out
 * is all zero. */
int molt_keys_accept(const struct molt_trust *trust, uint16_t lowest, const uint8_t *data, size_t len,
                     struct molt_keys *out);

/* Reads without believing: for programs that show a statement. 0 or -MOLT_KEYS_INVALID. */
int molt_keys_read(const uint8_t *data, size_t len, uint8_t class_id[MOLT_UUID_LEN], struct molt_keys *out);

#ifdef __cplusplus
}
#endif
#endif
