/* manifest.h - the signed statement of a release: which images, for what, in which order. A SUIT envelope
 * (draft-ietf-suit-manifest-34) of at most MOLT_MANIFEST_MAX bytes, verified before it is parsed.
 *
 *     struct molt_manifest manifest;
 *     if (molt_manifest_accept(&trust, lowest, data, len, &manifest) == MOLT_MANIFEST_ACCEPTED)
 *         fetch manifest.component[0]: size bytes with that digest, whatever URL and encoding they come by
 *
 * The profile, and everything else is refused:
 *
 *     107({2: <<[ <<[-16, H]>>, <<18([<<{1: -7 or -9}>>, {}, nil, SIG])>> ]>>,   one such, or the approver's behind it
 *          3: <<{1: 1, 2: SEQUENCE,
 *                3: <<{2: [[h'00']] or [[h'00'], [h'01']],               application; file system
 *                      4: <<[20, {1: VENDOR, 2: CLASS, 3: <<[-16, DIGEST]>>, 14: SIZE}, 1, 15, 2, 15]>>}>>,
 *                6: <<[1, 4, 0]>>,                                        optional: the version, for people
 *                7: <<[3, 15]>>,
 *                20: <<[20, {21: "x.bin"}, 21, 2, 3, 15]>>}>>})
 *
 *   - one order, one encoding: definite lengths, shortest heads, keys rising, no trailing byte anywhere
 *   - the envelope up to the manifest is 121 bytes (197 with two signatures) whose only variables are H, the
 *     algorithms and SIGs; a device without an approver looks at the first signature alone
 *   - H is SHA-256 over the manifest with its byte-string head; SIG is ECDSA P-256 (r, s) over the COSE
 *     Sig_structure of the encoded digest
 *   - SEQUENCE up to 64 bits, all other integers up to 32, report policies up to 15, the URI 1 to 128
 *     printable characters, which are ignored: the server says where, the digest says whether
 *   - with two components each one's commands follow a set-component-index (12), and vendor and class are
 *     those of component 0
 *   - parameter 19 before 21 says how the component's file is encrypted (seal.h); nothing else may stand there
 *   - no other command, no nesting deeper than above (5 levels)
 *
 * DIGEST covers the original file, not what stands in the flash of an ESP8266 (header bytes 2 and 3 differ).
 * No heap, no recursion; stack below 512 bytes besides the crypto. Tests: test/unit/manifest_test.c,
 * test/property/manifest_property_test.c, test/fuzz/manifest_fuzz.c, test/e2e/manifest_interop.py. */
#ifndef MOLT_MANIFEST_H
#define MOLT_MANIFEST_H

#include "../molt_port.h"
#include "../molt_reason.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_MANIFEST_MAX   768u  /* bytes of an envelope; two encrypted images and two signatures take 731 */
#define MOLT_MANIFEST_URI   128u  /* characters */
#define MOLT_STATEMENT_MAX  1024u /* bytes of an envelope and a key statement (keys.h) behind it */
#define MOLT_KEY_LEN        64u   /* P-256 public point: x, then y, big-endian */
#define MOLT_SIGNATURE_LEN  64u   /* r, then s, big-endian */
#define MOLT_UUID_LEN       16u
#define MOLT_TRUST_KEYS_MAX 2u
#define MOLT_COMPONENTS_MAX 2u

/* The one good result of molt_manifest_accept(): many bits, so that a skipped instruction or a flipped bit does
 * not make one. Compare with ==, never with "not negative". */
#define MOLT_MANIFEST_ACCEPTED 0x3CA5965A

/* ECDSA over P-256, supplied by the platform's crypto library (ports/bearssl.h). */
struct molt_signature_ops {
    /* MOLT_YES (util/secret.h) when signature is key's over the SHA-256 digest, MOLT_NO when not, or when key is
     * no point of the curve. */
    uint32_t (*verify)(const uint8_t digest[MOLT_SHA256_LEN], const uint8_t key[MOLT_KEY_LEN],
                       const uint8_t signature[MOLT_SIGNATURE_LEN]);
};

struct molt_trust;
struct molt_keys;

/* Whom a device believes, and what it is. Compiled into the firmware; `molt key show` prints it. */
struct molt_trust {
    const struct molt_hash_ops *hash;
    const struct molt_signature_ops *signature;
    const uint8_t (*keys)[MOLT_KEY_LEN]; /* key_count keys; any of them may sign */
    unsigned key_count;                  /* 1 to MOLT_TRUST_KEYS_MAX: the current key and the next */
    const uint8_t *approver;             /* NULL, or MOLT_KEY_LEN bytes: this one must have signed as well */
    const uint8_t *root; /* NULL, or MOLT_KEY_LEN bytes: signs who may sign (keys.h), never a release */
    /* With root: &molt_keys_accept. NULL: key statements are refused. */
    int (*accept_keys)(const struct molt_trust *trust, uint16_t lowest, const uint8_t *data, size_t len,
                       struct molt_keys *out);
    uint16_t epoch; /* of keys, counted by the maker: a statement of the root's below it is refused */
    uint8_t vendor[MOLT_UUID_LEN];   /* UUIDv5(DNS namespace, the maker's domain) */
    uint8_t class_id[MOLT_UUID_LEN]; /* UUIDv5(vendor, "PRODUCT/CHIP") */
};

struct molt_manifest_component {
    uint8_t digest[MOLT_SHA256_LEN]; /* SHA-256 of the file, decoded */
    uint32_t size;                   /* bytes of it, > 0 */
    const uint8_t *encryption;       /* COSE_Encrypt (seal.h), within the envelope; NULL: not encrypted */
    uint16_t encryption_len;
};

struct molt_manifest {
    uint64_t sequence;
    uint8_t vendor[MOLT_UUID_LEN], class_id[MOLT_UUID_LEN];
    unsigned component_count;                                      /* 1: application; 2: and file system */
    struct molt_manifest_component component[MOLT_COMPONENTS_MAX]; /* [0] application, [1] file system */
};

/* The whole decision: authentic, well-formed, for this device, not older than lowest. Reads data once more only
 * after the signature was found good, so data must not change meanwhile (keep it in RAM of your own). Returns
 * MOLT_MANIFEST_ACCEPTED and fills *out, or a negative reason and *out is all zero:
 *   -MOLT_ARG                 trust is incomplete
 *   -MOLT_MANIFEST_MALFORMED  not an envelope of the profile
 *   -MOLT_MANIFEST_SIGNATURE  not signed by one of the keys, or changed since
 *   -MOLT_MANIFEST_UNAPPROVED signed, but the approver whom trust names has not
 *   -MOLT_MANIFEST_CLASS      signed, but for another maker, product or chip
 *   -MOLT_MANIFEST_OLDER      signed, but its sequence is below lowest
 * Costs one ECDSA verification for each key tried, up to the first good one, and that one twice. */
int molt_manifest_accept(const struct molt_trust *trust, uint64_t lowest, const uint8_t *data, size_t len,
                         struct molt_manifest *out);

/* Where the envelope at the front of data ends: 1 to len, or 0 when it does not begin as one. */
size_t molt_manifest_end(const uint8_t *data, size_t len);

/* The signatures alone: MOLT_YES when one of trust's keys and the approver, if any, signed data, else another pattern. */
uint32_t molt_manifest_signed(const struct molt_trust *trust, const uint8_t *data, size_t len);

/* Reads without believing: for programs that show an envelope. 0, or -MOLT_MANIFEST_MALFORMED. Never let a device
 * act on it. */
int molt_manifest_read(const uint8_t *data, size_t len, struct molt_manifest *out);

#ifdef __cplusplus
}
#endif
#endif
