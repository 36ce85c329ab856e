/* sign.h - keys, signatures and SUIT envelopes on a PC: what `molt keygen`, `molt sign` and `molt verify` do, and how
 * the server looks at an envelope (it never holds a private key).
 *
 *     struct sign_key *key;
 *     if (sign_key_open(&key, "door.key", NULL, NULL, err) == 0)
 *         rc = sign_envelope(&release, key, envelope, &len, err);
 *
 * Keys are ECDSA P-256 in PEM: PKCS#8 (encrypted with AES-256 when there is a passphrase) and SubjectPublicKeyInfo.
 * err: SIGN_ERROR_LEN bytes, one line for people after a failure. Tests: test/unit/sign_test.c, test/e2e/sign_test.sh,
 * test/e2e/manifest_interop.py. */
#ifndef MOLT_HOST_SIGN_H
#define MOLT_HOST_SIGN_H

#include "manifest/keys.h"
#include "manifest/manifest.h"
#include "manifest/seal.h"
#include "molt_chip.h"

#define SIGN_ERROR_LEN      256
#define SIGN_VENDOR_DEFAULT "molt" /* when the maker names no domain */
#define SIGN_VERSION_PARTS  3

/* ---- keys (keys.c, external.c) ---- */

struct sign_key;

/* Makes a key pair: path (mode 0600) and "path.pub" (0644). Neither may exist. passphrase NULL: not encrypted.
 * 0, -MOLT_KEY_EXISTS, -MOLT_STORE_FAILED; on failure no file is left behind. */
int sign_key_generate(const char *path, const char *passphrase, char err[SIGN_ERROR_LEN]);

/* Opens a private key. passphrase NULL: the key must not be encrypted. 0, -MOLT_NOT_FOUND, -MOLT_KEY_INVALID. */
int sign_key_open(struct sign_key **out, const char *path, const char *passphrase, char err[SIGN_ERROR_LEN]);

/* True when the file holds an encrypted private key. */
bool sign_key_is_encrypted(const char *path);

/* A key that an external program uses (a smart card, an HSM, another machine): `sh -c command` gets the bytes to sign on
 * its standard input and writes an ECDSA-SHA-256 signature, DER or 64 raw bytes, to its standard output, like
 * `openssl dgst -sha256 -sign`. public_path: the public key; a signature that it does not verify is refused. */
int sign_key_external(struct sign_key **out, const char *command, const char *public_path,
                      char err[SIGN_ERROR_LEN]);

/* NULL is fine. */
void sign_key_free(struct sign_key *key);
/* Its public half, x and y. */
void sign_key_public(const struct sign_key *key, uint8_t out[MOLT_KEY_LEN]);

/* ECDSA over SHA-256(data). 0, -MOLT_SIGNING_FAILED. Verified before it is returned. */
int sign_bytes(const struct sign_key *key, const uint8_t *data, size_t len,
               uint8_t signature[MOLT_SIGNATURE_LEN], char err[SIGN_ERROR_LEN]);

/* Public keys: from a PEM text, from a file (a private key's file will not do). 0, -MOLT_NOT_FOUND,
 * -MOLT_KEY_INVALID. */
int sign_public_parse(const char *pem, size_t len, uint8_t out[MOLT_KEY_LEN]);
int sign_public_load(const char *path, uint8_t out[MOLT_KEY_LEN], char err[SIGN_ERROR_LEN]);

/* The name of a key, for people: the first 16 hex digits of SHA-256 over its 64 bytes. */
void sign_key_name(const uint8_t key[MOLT_KEY_LEN], char out[17]);

/* ---- who a manifest is for (ids.c) ---- */

/* vendor: UUIDv5 (RFC 9562) of the domain in the DNS namespace. */
void sign_vendor_id(const char *domain, uint8_t out[MOLT_UUID_LEN]);
/* class: UUIDv5 of "PRODUCT/CHIP" in the vendor's. */
void sign_class_id(const uint8_t vendor[MOLT_UUID_LEN], const char *product, enum molt_chip chip,
                   uint8_t out[MOLT_UUID_LEN]);

/* ---- envelopes (envelope.c) ---- */

struct sign_component {
    uint8_t digest[MOLT_SHA256_LEN];
    uint32_t size;
    bool is_sealed;                  /* the file is encrypted, and ... */
    uint8_t seal[MOLT_SEAL_LEN];     /* ... this COSE_Encrypt says how (sign_seal()) */
    char uri[MOLT_MANIFEST_URI + 1]; /* file name, for other SUIT tools; 1 to 128 printable characters */
};

struct sign_release {
    uint8_t vendor[MOLT_UUID_LEN], class_id[MOLT_UUID_LEN];
    uint64_t sequence;
    unsigned component_count; /* 1 or 2 */
    struct sign_component component[MOLT_COMPONENTS_MAX];
    unsigned version_parts; /* 0: not said */
    uint32_t version[SIGN_VERSION_PARTS];
};

/* Writes the signed envelope (up to MOLT_MANIFEST_MAX bytes). The result went through the device's own verifier.
 * 0, -MOLT_ARG (a field is out of range, or it does not fit), -MOLT_SIGNING_FAILED. */
int sign_envelope(const struct sign_release *release, const struct sign_key *key,
                  uint8_t out[MOLT_MANIFEST_MAX], size_t *len, char err[SIGN_ERROR_LEN]);

/* Adds the approver's signature to an envelope of one, in place; statements behind it stay. 0, -MOLT_MANIFEST_MALFORMED,
 * -MOLT_STATE (it is approved already), -MOLT_ARG (it does not fit), -MOLT_SIGNING_FAILED. */
int sign_approve(uint8_t envelope[MOLT_STATEMENT_MAX], size_t *len, const struct sign_key *approver,
                 char err[SIGN_ERROR_LEN]);

/* Writes the root's statement (manifest/keys.h) that only these 1 or 2 keys may sign for the class from epoch on. 0,
 * -MOLT_ARG, -MOLT_SIGNING_FAILED. */
int sign_keys(const struct sign_key *root, uint16_t epoch, const uint8_t class_id[MOLT_UUID_LEN],
              const uint8_t (*keys)[MOLT_KEY_LEN], unsigned count, uint8_t out[MOLT_KEYS_MAX], size_t *len,
              char err[SIGN_ERROR_LEN]);

/* Encrypts data in place under a new content key, and writes how a device that has the private key of recipient opens it
 * (manifest/seal.h; seal.c). 0, -MOLT_KEY_INVALID (recipient is no point of the curve), -MOLT_SIGNING_FAILED. */
int sign_seal(const uint8_t recipient[MOLT_KEY_LEN], uint8_t *data, size_t len, uint8_t out[MOLT_SEAL_LEN],
              char err[SIGN_ERROR_LEN]);

/* The scalar of a private key, for a device that opens what was encrypted for it. 0, or as sign_key_open(). */
int sign_private_scalar(const char *path, uint8_t out[MOLT_PRIVATE_KEY_LEN], char err[SIGN_ERROR_LEN]);

/* What a device of that product and chip which trusts the keys would say; the vendor is taken from the manifest. A second
 * signature is not looked at; a key statement must be signed by one of the keys, and names those who may have signed.
 * 0 and *out, or -MOLT_MANIFEST_MALFORMED, -MOLT_MANIFEST_SIGNATURE, -MOLT_MANIFEST_CLASS, -MOLT_KEYS_INVALID. */
int sign_check(const uint8_t *envelope, size_t len, const uint8_t (*keys)[MOLT_KEY_LEN], size_t key_count,
               const char *product, enum molt_chip chip, struct molt_manifest *out);

/* Did one of the approvers sign the envelope, too (behind the maker)? *who: which, when not NULL. 0,
 * -MOLT_MANIFEST_MALFORMED, -MOLT_MANIFEST_UNAPPROVED. */
int sign_check_approval(const uint8_t *envelope, size_t len, const uint8_t (*approvers)[MOLT_KEY_LEN],
                        size_t count, size_t *who);

/* The same of the maker's signature, the first; a key statement behind the envelope is not looked at. 0,
 * -MOLT_MANIFEST_MALFORMED, -MOLT_MANIFEST_SIGNATURE. */
int sign_find_signer(const uint8_t *envelope, size_t len, const uint8_t (*keys)[MOLT_KEY_LEN], size_t count,
                     size_t *who);

/* How many signatures stand in it, 1 or 2; 0: it is no envelope of the profile. */
unsigned sign_signatures(const uint8_t *envelope, size_t len);

/* The chip that the manifest is for, when it is for the product: its class names both. MOLT_CHIP_UNKNOWN: for another product. */
enum molt_chip sign_chip_of(const struct molt_manifest *manifest, const char *product);

#endif
