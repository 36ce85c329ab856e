/* seal.h - encrypted images, as in draft-ietf-suit-firmware-encryption-26 with ECDH-ES+A256KW and A256CTR: one content key a
 * release, wrapped for a device key, and bytes that are decrypted wherever a download goes on.
 *
 * The manifest's parameter 19 holds this COSE_Encrypt, and no other form of it (154 bytes):
 *
 *     96([h'', {1: -65532, 5: IV}, nil,
 *         [[<<{1: -31}>>, {-1: {1: 2, -1: 1, -2: X, -3: Y}}, WRAPPED]]])
 *
 *   - X, Y: an ephemeral P-256 key; the key-encryption key is HKDF-SHA-256 without salt over its shared secret with the
 *     device's, over COSE_KDF_Context [-5, [nil, nil, nil], [nil, nil, nil], [256, <<{1: -31}>>, 'SUIT Payload Encryption']]
 *   - WRAPPED: the content key by AES Key Wrap (RFC 3394); byte n of the file is XORed with byte n of the AES-256-CTR
 *     stream that starts at IV
 *
 * There is no tag: the manifest's signed digest covers the decrypted image, and nothing is booted that does not have it.
 * A content key encrypts one file only. Linked only by firmware that names a struct molt_seal_ops.
 * Tests: test/unit/seal_test.c, test/e2e/sealed_test.sh. */
#ifndef MOLT_SEAL_H
#define MOLT_SEAL_H

#include "../molt_port.h"
#include "../molt_reason.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_SEAL_LEN        154u /* bytes of the COSE_Encrypt */
#define MOLT_PRIVATE_KEY_LEN 32u  /* P-256 scalar, big-endian */
#define MOLT_SEAL_IV_LEN     16u

struct molt_content_key {
    uint8_t key[32], iv[MOLT_SEAL_IV_LEN];
};

/* The whole feature, from the platform's crypto library (ports/bearssl_seal.h). */
struct molt_seal_ops {
    /* molt_seal_open() of below. */
    int (*open)(const uint8_t private_key[MOLT_PRIVATE_KEY_LEN], const uint8_t *info, size_t len,
                struct molt_content_key *out);
    /* Decrypts (or encrypts) in place len bytes that stand at byte at of the file. */
    void (*crypt)(const struct molt_content_key *key, uint32_t at, uint8_t *data, size_t len);
};

/* The parts of a COSE_Encrypt. */
struct molt_seal_parts {
    const uint8_t *iv, *wrapped; /* 16 and 40 bytes, within info */
    uint8_t point[64];           /* the ephemeral key: x, then y */
};
/* False when info has not exactly the form above. */
bool molt_seal_parse(const uint8_t *info, size_t len, struct molt_seal_parts *out);

/* The COSE_KDF_Context: what HKDF's info is. */
#define MOLT_SEAL_CONTEXT_LEN 43u
extern const uint8_t molt_seal_context[MOLT_SEAL_CONTEXT_LEN];

/* Writes the COSE_Encrypt: for the program that encrypts. */
void molt_seal_write(const uint8_t iv[MOLT_SEAL_IV_LEN], const uint8_t point[64], const uint8_t wrapped[40],
                     uint8_t out[MOLT_SEAL_LEN]);

#ifdef __cplusplus
}
#endif
#endif
