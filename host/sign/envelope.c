/* envelope.c - writes the SUIT envelope of manifest.h's profile, signs it, and checks one as a device would.
 * Must never hand out an envelope that the device's own verifier refuses. Tests: test/unit/sign_test.c,
 * test/property/manifest_property_test.c. */
#include <openssl/evp.h>
#include <string.h>

#include "manifest/manifest_parts.h"
#include "ports/bearssl.h"
#include "sign_parts.h"
#include "util/secret.h"
#include "util/text.h"

enum { UINT = 0, NEGATIVE = 1, BYTES = 2, TEXT = 3, ARRAY = 4, MAP = 5 };

struct writer {
    uint8_t bytes[MOLT_MANIFEST_MAX];
    size_t len;
    bool failed;
};

static void put(struct writer *w, const void *data, size_t len)
{
    if (w->failed || len > sizeof w->bytes - w->len) {
        w->failed = true;
        return;
    }
    memcpy(w->bytes + w->len, data, len);
    w->len += len;
}

static void put_head(struct writer *w, unsigned major, uint64_t value)
{
    unsigned bytes = value < 24 ? 0 : value <= 0xFF ? 1 : value <= 0xFFFF ? 2 : value <= UINT32_MAX ? 4 : 8;
    unsigned info = bytes == 0 ? (unsigned)value : bytes == 1 ? 24 : bytes == 2 ? 25 : bytes == 4 ? 26 : 27;
    uint8_t head[9] = {(uint8_t)(major << 5 | info)};
    for (unsigned i = 0; i < bytes; i++)
        head[1 + i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
    put(w, head, 1 + bytes);
}

static void put_pair(struct writer *w, uint64_t a, uint64_t b)
{
    put_head(w, UINT, a);
    put_head(w, UINT, b);
}

static void put_bytes(struct writer *w, const void *data, size_t len)
{
    put_head(w, BYTES, len);
    put(w, data, len);
}

static void put_wrapped(struct writer *w, const struct writer *inner)
{
    if (inner->failed) w->failed = true;
    put_bytes(w, inner->bytes, inner->len);
}

/* [-16, digest] */
static void put_digest(struct writer *w, const uint8_t digest[MOLT_SHA256_LEN])
{
    put_head(w, ARRAY, 2);
    put_head(w, NEGATIVE, 15);
    put_bytes(w, digest, MOLT_SHA256_LEN);
}

/* set-component-index, when there is a choice. */
static void put_index(struct writer *w, const struct sign_release *release, unsigned i)
{
    if (release->component_count > 1) put_pair(w, 12, i);
}

static unsigned indexes(const struct sign_release *release)
{
    return release->component_count > 1 ? 2 * release->component_count : 0;
}

static void put_shared(struct writer *w, const struct sign_release *release)
{
    struct writer seq = {.len = 0};
    put_head(&seq, ARRAY, indexes(release) + 2 * release->component_count + 4);
    for (unsigned i = 0; i < release->component_count; i++) {
        struct writer digest = {.len = 0};
        put_index(&seq, release, i);
        put_head(&seq, UINT, 20);
        put_head(&seq, MAP, i == 0 ? 4 : 2);
        if (i == 0) {
            put_head(&seq, UINT, 1);
            put_bytes(&seq, release->vendor, MOLT_UUID_LEN);
            put_head(&seq, UINT, 2);
            put_bytes(&seq, release->class_id, MOLT_UUID_LEN);
        }
        put_digest(&digest, release->component[i].digest);
        put_head(&seq, UINT, 3);
        put_wrapped(&seq, &digest);
        put_pair(&seq, 14, release->component[i].size);
        if (i == 0) {
            put_pair(&seq, 1, 15);
            put_pair(&seq, 2, 15);
        }
    }
    put_wrapped(w, &seq);
}

static void put_common(struct writer *w, const struct sign_release *release)
{
    struct writer common = {.len = 0};
    put_head(&common, MAP, 2);
    put_head(&common, UINT, 2);
    put_head(&common, ARRAY, release->component_count);
    for (unsigned i = 0; i < release->component_count; i++) {
        uint8_t id = (uint8_t)i;
        put_head(&common, ARRAY, 1);
        put_bytes(&common, &id, 1);
    }
    put_head(&common, UINT, 4);
    put_shared(&common, release);
    put_wrapped(w, &common);
}

static void put_version(struct writer *w, const struct sign_release *release)
{
    struct writer version = {.len = 0};
    put_head(&version, ARRAY, release->version_parts);
    for (unsigned i = 0; i < release->version_parts; i++)
        put_head(&version, UINT, release->version[i]);
    put_head(w, UINT, 6);
    put_wrapped(w, &version);
}

static void put_validate(struct writer *w, const struct sign_release *release)
{
    struct writer seq = {.len = 0};
    put_head(&seq, ARRAY, indexes(release) + 2 * release->component_count);
    for (unsigned i = 0; i < release->component_count; i++) {
        put_index(&seq, release, i);
        put_pair(&seq, 3, 15);
    }
    put_wrapped(w, &seq);
}

static void put_install(struct writer *w, const struct sign_release *release)
{
    struct writer seq = {.len = 0};
    put_head(&seq, ARRAY, indexes(release) + 6 * release->component_count);
    for (unsigned i = 0; i < release->component_count; i++) {
        const char *uri = release->component[i].uri;
        put_index(&seq, release, i);
        put_head(&seq, UINT, 20);
        put_head(&seq, MAP, release->component[i].is_sealed ? 2 : 1);
        if (release->component[i].is_sealed) {
            put_head(&seq, UINT, 19);
            put_bytes(&seq, release->component[i].seal, MOLT_SEAL_LEN);
        }
        put_head(&seq, UINT, 21);
        put_head(&seq, TEXT, strlen(uri));
        put(&seq, uri, strlen(uri));
        put_pair(&seq, 21, 2);
        put_pair(&seq, 3, 15);
    }
    put_wrapped(w, &seq);
}

/* The manifest with its byte-string head. */
static void put_manifest(struct writer *w, const struct sign_release *release)
{
    struct writer manifest = {.len = 0};
    put_head(&manifest, MAP, release->version_parts > 0 ? 6 : 5);
    put_pair(&manifest, 1, 1);
    put_pair(&manifest, 2, release->sequence);
    put_head(&manifest, UINT, 3);
    put_common(&manifest, release);
    if (release->version_parts > 0) put_version(&manifest, release);
    put_head(&manifest, UINT, 7);
    put_validate(&manifest, release);
    put_head(&manifest, UINT, 20);
    put_install(&manifest, release);
    put_wrapped(w, &manifest);
}

static bool release_ok(const struct sign_release *release)
{
    if (release->component_count < 1 || release->component_count > MOLT_COMPONENTS_MAX) return false;
    if (release->version_parts > SIGN_VERSION_PARTS) return false;
    for (unsigned i = 0; i < release->component_count; i++) {
        size_t len = strnlen(release->component[i].uri, MOLT_MANIFEST_URI + 1);
        if (release->component[i].size == 0 || len == 0 || len > MOLT_MANIFEST_URI) return false;
        if (!molt_text_printable(release->component[i].uri, len)) return false;
    }
    return true;
}

static const uint8_t protected_header[] = {0xA1, 0x01, 0x26}; /* {1: -7} */

/* A COSE_Sign1 of payload: attached, or nil in its place. */
static int put_sign1(struct writer *w, const struct writer *payload, bool attached,
                     const struct sign_key *key, char err[SIGN_ERROR_LEN])
{
    uint8_t signature[MOLT_SIGNATURE_LEN];
    struct writer to_sign = {.len = 0};
    put_head(&to_sign, ARRAY, 4);
    put_head(&to_sign, TEXT, 10);
    put(&to_sign, "Signature1", 10);
    put_bytes(&to_sign, protected_header, sizeof protected_header);
    put_head(&to_sign, BYTES, 0);
    put_wrapped(&to_sign, payload);
    int rc = sign_bytes(key, to_sign.bytes, to_sign.len, signature, err);
    if (rc < 0) return rc;
    put_head(w, 6, 18);
    put_head(w, ARRAY, 4);
    put_bytes(w, protected_header, sizeof protected_header);
    put_head(w, MAP, 0);
    if (attached)
        put_wrapped(w, payload);
    else
        put_head(w, 7, 22); /* nil */
    put_bytes(w, signature, sizeof signature);
    return 0;
}

/* Key 2 with the digest of the manifest and the signature over it. */
static int put_authentication(struct writer *w, const struct writer *manifest, const struct sign_key *key,
                              char err[SIGN_ERROR_LEN])
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    struct writer digest = {.len = 0}, cose = {.len = 0}, wrapper = {.len = 0};
    EVP_Digest(manifest->bytes, manifest->len, hash, NULL, EVP_sha256(), NULL);
    put_digest(&digest, hash);
    int rc = put_sign1(&cose, &digest, false, key, err);
    if (rc < 0) return rc;
    put_head(&wrapper, ARRAY, 2);
    put_wrapped(&wrapper, &digest);
    put_wrapped(&wrapper, &cose);
    put_head(w, UINT, 2);
    put_wrapped(w, &wrapper);
    return 0;
}

int sign_approve(uint8_t envelope[MOLT_STATEMENT_MAX], size_t *len, const struct sign_key *approver,
                 char err[SIGN_ERROR_LEN])
{
    size_t end = molt_manifest_end(envelope, *len), behind = *len - end, head = ENVELOPE_BODY_AT(1) - 1;
    struct writer digest = {.len = 0}, cose = {.len = 0}, out = {.len = 0};
    if (end == 0) return sign_fail(err, MOLT_MANIFEST_MALFORMED, "it is no manifest of molt's profile");
    if (envelope_signatures(envelope, end) != 1) return sign_fail(err, MOLT_STATE, "it is approved already");
    put(&digest, envelope + ENVELOPE_DIGEST_AT, ENVELOPE_DIGEST_LEN);
    int rc = put_sign1(&cose, &digest, false, approver, err);
    if (rc < 0) return rc;
    put(&out, envelope, head);
    put_wrapped(&out, &cose);
    put(&out, envelope + head, end - head);
    if (out.failed || out.len + behind > MOLT_STATEMENT_MAX)
        return sign_fail(err, MOLT_ARG, "the manifest is too long for a second signature");
    out.bytes[5] =
        (uint8_t)(out.bytes[5] + ENVELOPE_SIGN_LEN); /* the wrapper's length, and how many there are in it */
    out.bytes[6]++;
    memmove(envelope + out.len, envelope + end, behind);
    memcpy(envelope, out.bytes, out.len);
    *len = out.len + behind;
    return 0;
}

int sign_keys(const struct sign_key *root, uint16_t epoch, const uint8_t class_id[MOLT_UUID_LEN],
              const uint8_t (*keys)[MOLT_KEY_LEN], unsigned count, uint8_t out[MOLT_KEYS_MAX], size_t *len,
              char err[SIGN_ERROR_LEN])
{
    const uint8_t number[2] = {(uint8_t)(epoch >> 8), (uint8_t)epoch};
    struct writer payload = {.len = 0}, statement = {.len = 0};
    if (count < 1 || count > MOLT_TRUST_KEYS_MAX || epoch == 0)
        return sign_fail(err, MOLT_ARG, "a statement has one or two keys and an epoch of 1 to 65535");
    put_head(&payload, ARRAY, 3);
    put_bytes(&payload, number, sizeof number);
    put_bytes(&payload, class_id, MOLT_UUID_LEN);
    put_bytes(&payload, keys, count * MOLT_KEY_LEN);
    int rc = put_sign1(&statement, &payload, true, root, err);
    if (rc < 0) return rc;
    memcpy(out, statement.bytes, statement.len);
    *len = statement.len;
    return 0;
}

/* The device's verifier has the last word. */
static bool is_accepted(const struct sign_release *release, const struct sign_key *key,
                        const struct writer *envelope)
{
    struct molt_trust trust = {.hash = &molt_bearssl_sha256,
                               .signature = &molt_bearssl_es256_i31,
                               .keys = (const uint8_t(*)[MOLT_KEY_LEN])key->public_key,
                               .key_count = 1};
    struct molt_manifest manifest;
    memcpy(trust.vendor, release->vendor, MOLT_UUID_LEN);
    memcpy(trust.class_id, release->class_id, MOLT_UUID_LEN);
    return molt_manifest_accept(&trust, release->sequence, envelope->bytes, envelope->len, &manifest) ==
           MOLT_MANIFEST_ACCEPTED;
}

int sign_envelope(const struct sign_release *release, const struct sign_key *key,
                  uint8_t out[MOLT_MANIFEST_MAX], size_t *len, char err[SIGN_ERROR_LEN])
{
    struct writer manifest = {.len = 0}, envelope = {.len = 0};
    if (!release_ok(release)) return sign_fail(err, MOLT_ARG, "a file name, size or version is out of range");
    put_manifest(&manifest, release);
    if (manifest.failed)
        return sign_fail(err, MOLT_ARG, "the manifest is longer than %u bytes", MOLT_MANIFEST_MAX);
    put_head(&envelope, 6, 107);
    put_head(&envelope, MAP, 2);
    int rc = put_authentication(&envelope, &manifest, key, err);
    if (rc < 0) return rc;
    put_head(&envelope, UINT, 3);
    put(&envelope, manifest.bytes, manifest.len);
    if (envelope.failed)
        return sign_fail(err, MOLT_ARG, "the envelope is longer than %u bytes", MOLT_MANIFEST_MAX);
    if (!is_accepted(release, key, &envelope))
        return sign_fail(err, MOLT_SIGNING_FAILED, "the envelope was refused by the verifier");
    memcpy(out, envelope.bytes, envelope.len);
    *len = envelope.len;
    return 0;
}

/* Of a statement by one of the keys: whose signature counts then. */
static int check_keys(struct molt_trust *trust, const uint8_t *data, size_t len,
                      const uint8_t (*keys)[MOLT_KEY_LEN], size_t key_count)
{
    struct molt_keys stated;
    uint8_t class_id[MOLT_UUID_LEN];
    if (molt_keys_read(data, len, class_id, &stated) < 0) return -MOLT_MANIFEST_MALFORMED;
    for (size_t i = 0; i < key_count; i++) {
        trust->root = keys[i];
        if (molt_keys_accept(trust, 0, data, len, &stated) != MOLT_MANIFEST_ACCEPTED) continue;
        trust->keys = stated.keys;
        trust->key_count = stated.key_count;
        return 0;
    }
    return -MOLT_KEYS_INVALID;
}

int sign_check(const uint8_t *envelope, size_t len, const uint8_t (*keys)[MOLT_KEY_LEN], size_t key_count,
               const char *product, enum molt_chip chip, struct molt_manifest *out)
{
    struct molt_trust trust = {
        .hash = &molt_bearssl_sha256, .signature = &molt_bearssl_es256_i31, .key_count = 1};
    struct molt_manifest read;
    size_t end = molt_manifest_end(envelope, len);
    int rc = end > 0 ? molt_manifest_read(envelope, end, &read) : -MOLT_MANIFEST_MALFORMED;
    if (rc < 0) return rc;
    memcpy(trust.vendor, read.vendor, MOLT_UUID_LEN);
    sign_class_id(trust.vendor, product, chip, trust.class_id);
    if (end < len) {
        rc = check_keys(&trust, envelope + end, len - end, keys, key_count);
        if (rc == 0) rc = molt_manifest_accept(&trust, 0, envelope, end, out);
        return rc == MOLT_MANIFEST_ACCEPTED ? 0 : rc < 0 ? rc : -MOLT_MANIFEST_SIGNATURE;
    }
    rc = -MOLT_MANIFEST_SIGNATURE;
    for (size_t i = 0; i < key_count && rc == -MOLT_MANIFEST_SIGNATURE; i++) {
        trust.keys = &keys[i];
        rc = molt_manifest_accept(&trust, 0, envelope, end, out);
    }
    return rc == MOLT_MANIFEST_ACCEPTED ? 0 : rc < 0 ? rc : -MOLT_MANIFEST_SIGNATURE;
}

unsigned sign_signatures(const uint8_t *envelope, size_t len)
{
    size_t end = molt_manifest_end(envelope, len);
    return end > 0 ? envelope_signatures(envelope, end) : 0;
}

/* Which of the keys made the first signature? The device's verifier looks. */
static bool find_signer(const uint8_t *envelope, size_t end, const uint8_t (*keys)[MOLT_KEY_LEN],
                        size_t count, size_t *who)
{
    for (size_t i = 0; i < count; i++) {
        const struct molt_trust trust = {.hash = &molt_bearssl_sha256,
                                         .signature = &molt_bearssl_es256_i31,
                                         .keys = &keys[i],
                                         .key_count = 1};
        if (molt_manifest_signed(&trust, envelope, end) != MOLT_YES) continue;
        if (who != NULL) *who = i;
        return true;
    }
    return false;
}

int sign_find_signer(const uint8_t *envelope, size_t len, const uint8_t (*keys)[MOLT_KEY_LEN], size_t count,
                     size_t *who)
{
    const size_t end = molt_manifest_end(envelope, len);
    if (end == 0) return -MOLT_MANIFEST_MALFORMED;
    return find_signer(envelope, end, keys, count, who) ? 0 : -MOLT_MANIFEST_SIGNATURE;
}

int sign_check_approval(const uint8_t *envelope, size_t len, const uint8_t (*approvers)[MOLT_KEY_LEN],
                        size_t count, size_t *who)
{
    uint8_t copy[MOLT_MANIFEST_MAX], *first = copy + ENVELOPE_SIGN_AT, *second = first + ENVELOPE_SIGN_LEN;
    const size_t end = molt_manifest_end(envelope, len);
    if (end == 0) return -MOLT_MANIFEST_MALFORMED;
    if (envelope_signatures(envelope, end) != 2) return -MOLT_MANIFEST_UNAPPROVED;
    memcpy(copy, envelope, end); /* with the two exchanged, so that the approver's is the first */
    memcpy(first, envelope + ENVELOPE_SIGN_AT + ENVELOPE_SIGN_LEN, ENVELOPE_SIGN_LEN);
    memcpy(second, envelope + ENVELOPE_SIGN_AT, ENVELOPE_SIGN_LEN);
    return find_signer(copy, end, approvers, count, who) ? 0 : -MOLT_MANIFEST_UNAPPROVED;
}
