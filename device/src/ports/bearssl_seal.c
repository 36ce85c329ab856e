/* bearssl_seal.c - unwraps the content key of an encrypted image and decrypts its bytes, by BearSSL's constant-time AES.
 * Must leave no key in memory that it was not asked for. Tests: test/unit/seal_test.c. */
#if defined(MOLT_WITH_BEARSSL)

#include "bearssl_seal.h"

#include <bearssl.h>
#include <string.h>

#include "../util/secret.h"

#define BLOCK 16u

static void forget(void *secret, size_t len)
{
    volatile uint8_t *at = secret;
    while (len-- > 0)
        *at++ = 0;
}

/* The x of point times the private key. */
static bool ecdh(const uint8_t private_key[MOLT_PRIVATE_KEY_LEN], const uint8_t point[64], uint8_t shared[32])
{
    uint8_t full[65] = {0x04};
    memcpy(full + 1, point, 64);
    uint32_t good = br_ec_p256_m15.mul(full, sizeof full, private_key, MOLT_PRIVATE_KEY_LEN, BR_EC_secp256r1);
    memcpy(shared, full + 1, 32);
    forget(full, sizeof full);
    return good == 1;
}

static void derive(const uint8_t shared[32], uint8_t kek[32])
{
    br_hkdf_context hkdf;
    br_hkdf_init(&hkdf, &br_sha256_vtable, NULL, 0);
    br_hkdf_inject(&hkdf, shared, 32);
    br_hkdf_flip(&hkdf);
    br_hkdf_produce(&hkdf, molt_seal_context, sizeof molt_seal_context, kek, 32);
    forget(&hkdf, sizeof hkdf);
}

/* RFC 3394, section 2.2.2, for a key of four 64-bit blocks. */
static bool unwrap(const uint8_t kek[32], const uint8_t wrapped[40], uint8_t key[32])
{
    static const uint8_t expected[8] = {0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6};
    br_aes_ct_cbcdec_keys aes;
    uint8_t block[BLOCK], zero[BLOCK];
    br_aes_ct_cbcdec_init(&aes, kek, 32);
    memcpy(block, wrapped, 8);
    memcpy(key, wrapped + 8, 32);
    for (unsigned t = 24; t >= 1; t--) {
        uint8_t *r = key + (t - 1) % 4 * 8;
        memset(zero, 0, sizeof zero);
        block[7] ^= (uint8_t)t;
        memcpy(block + 8, r, 8);
        br_aes_ct_cbcdec_run(&aes, zero, block, sizeof block); /* one block without chaining */
        memcpy(r, block + 8, 8);
    }
    bool good = molt_same_bytes(block, expected, sizeof expected) == MOLT_YES;
    forget(&aes, sizeof aes);
    forget(block, sizeof block);
    return good;
}

static int open_seal(const uint8_t private_key[MOLT_PRIVATE_KEY_LEN], const uint8_t *info, size_t len,
                     struct molt_content_key *out)
{
    struct molt_seal_parts parts;
    uint8_t shared[32], kek[32];
    memset(out, 0, sizeof *out);
    if (!molt_seal_parse(info, len, &parts) || !ecdh(private_key, parts.point, shared)) return -MOLT_SEALED;
    derive(shared, kek);
    bool good = unwrap(kek, parts.wrapped, out->key);
    memcpy(out->iv, parts.iv, sizeof out->iv);
    if (!good) forget(out, sizeof *out);
    forget(shared, sizeof shared);
    forget(kek, sizeof kek);
    return good ? 0 : -MOLT_SEALED;
}

static void crypt(const struct molt_content_key *key, uint32_t at, uint8_t *data, size_t len)
{
    br_aes_ct_ctr_keys aes;
    const uint8_t *iv = key->iv;
    uint32_t first = (uint32_t)iv[12] << 24 | (uint32_t)iv[13] << 16 | (uint32_t)iv[14] << 8 | iv[15];
    uint32_t counter = first + at / BLOCK, skip = at % BLOCK;
    br_aes_ct_ctr_init(&aes, key->key, sizeof key->key);
    if (skip > 0 && len > 0) { /* the rest of a block that was begun */
        uint8_t block[BLOCK] = {0};
        size_t n = len < BLOCK - skip ? len : BLOCK - skip;
        memcpy(block + skip, data, n);
        br_aes_ct_ctr_run(&aes, iv, counter++, block, sizeof block);
        memcpy(data, block + skip, n);
        data += n;
        len -= n;
    }
    br_aes_ct_ctr_run(&aes, iv, counter, data, len);
    forget(&aes, sizeof aes);
}

const struct molt_seal_ops molt_bearssl_seal = {open_seal, crypt};

#else
typedef int molt_bearssl_seal_not_built_here;
#endif
