/* mbedtls.c - SHA-256 and ECDSA P-256 from mbedTLS, as the library wants it. Must never leave a hash with mbedTLS
 * that nobody will finish. Tests: test/sdk. */
#if defined(ESP_PLATFORM)

#include "mbedtls.h"

#include <mbedtls/version.h>
#include <stdlib.h>
#include <string.h>

#if MBEDTLS_VERSION_MAJOR > 3 ||                                                                             \
    defined(MOLT_WITH_PSA) /* tests have PSA of mbedTLS 2, which ESP-IDF 4.4 has not */
#define WITH_PSA
#endif

#if defined(WITH_PSA)
#include <psa/crypto.h>
#else
#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/sha256.h>
#endif

#include "../util/secret.h"

#if !defined(WITH_PSA) && MBEDTLS_VERSION_MAJOR < 3 /* of Arduino's core 2: the same functions */
#define mbedtls_sha256_starts mbedtls_sha256_starts_ret
#define mbedtls_sha256_update mbedtls_sha256_update_ret
#define mbedtls_sha256_finish mbedtls_sha256_finish_ret
#endif

#if defined(WITH_PSA)
typedef psa_hash_operation_t context;
#else
typedef mbedtls_sha256_context context;
#endif

/* A running hash of mbedTLS, and the molt_hash that it is for; NULL: free. */
static struct {
    const void *owner;
    context hash;
} slots[MOLT_MBEDTLS_HASHES];

static context *find(const void *owner)
{
    for (size_t i = 0; i < MOLT_MBEDTLS_HASHES; i++) {
        if (slots[i].owner == owner) return &slots[i].hash;
    }
    return NULL;
}

static void drop(context *hash)
{
#if defined(WITH_PSA)
    (void)psa_hash_abort(hash);
#else
    mbedtls_sha256_free(hash);
#endif
}

static void give_back(const void *owner)
{
    for (size_t i = 0; i < MOLT_MBEDTLS_HASHES; i++) {
        if (slots[i].owner == owner) slots[i].owner = NULL;
    }
}

static void take(context *hash, const void *owner)
{
    for (size_t i = 0; i < MOLT_MBEDTLS_HASHES; i++) {
        if (&slots[i].hash == hash) slots[i].owner = owner;
    }
}

static void sha256_init(void *state)
{
    context *hash = find(state);
    if (hash != NULL) {
        drop(hash);
    } else {
        hash = find(NULL);
        if (hash == NULL) abort(); /* more hashes at once than the library ever begins */
        take(hash, state);
    }
    memset(hash, 0, sizeof *hash);
#if defined(WITH_PSA)
    if (psa_crypto_init() != PSA_SUCCESS || psa_hash_setup(hash, PSA_ALG_SHA_256) != PSA_SUCCESS) abort();
#else
    mbedtls_sha256_init(hash);
    if (mbedtls_sha256_starts(hash, 0) != 0) abort();
#endif
}

static void sha256_update(void *state, const void *data, size_t len)
{
    context *hash = find(state);
    if (hash == NULL) abort();
#if defined(WITH_PSA)
    if (psa_hash_update(hash, data, len) != PSA_SUCCESS) abort();
#else
    if (mbedtls_sha256_update(hash, data, len) != 0) abort();
#endif
}

static void sha256_finish(void *state, uint8_t digest[MOLT_SHA256_LEN])
{
    context *hash = find(state);
    if (hash == NULL) abort();
#if defined(WITH_PSA)
    size_t len = 0;
    if (psa_hash_finish(hash, digest, MOLT_SHA256_LEN, &len) != PSA_SUCCESS) abort();
#else
    if (mbedtls_sha256_finish(hash, digest) != 0) abort();
#endif
    drop(hash);
    give_back(state);
}

const struct molt_hash_ops molt_mbedtls_sha256 = {sha256_init, sha256_update, sha256_finish};

#if defined(WITH_PSA)

static uint32_t verify(const uint8_t *digest, const uint8_t *point, size_t point_len,
                       const uint8_t *signature)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t id = 0;
    psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&attributes, 256);
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_VERIFY_HASH);
    psa_set_key_algorithm(&attributes, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
    if (psa_crypto_init() != PSA_SUCCESS) return MOLT_NO;
    if (psa_import_key(&attributes, point, point_len, &id) != PSA_SUCCESS) return MOLT_NO;
    volatile psa_status_t status = psa_verify_hash(id, PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest,
                                                   MOLT_SHA256_LEN, signature, MOLT_SIGNATURE_LEN);
    (void)psa_destroy_key(id);
    return status == PSA_SUCCESS && (status ^ PSA_SUCCESS) == 0 ? MOLT_YES : MOLT_NO;
}

#else

static uint32_t verify(const uint8_t *digest, const uint8_t *point, size_t point_len,
                       const uint8_t *signature)
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point key;
    mbedtls_mpi r, s;
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&key);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    volatile int rc = mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1);
    if (rc == 0) rc = mbedtls_ecp_point_read_binary(&group, &key, point, point_len);
    if (rc == 0) rc = mbedtls_ecp_check_pubkey(&group, &key);
    if (rc == 0) rc = mbedtls_mpi_read_binary(&r, signature, MOLT_SIGNATURE_LEN / 2);
    if (rc == 0) rc = mbedtls_mpi_read_binary(&s, signature + MOLT_SIGNATURE_LEN / 2, MOLT_SIGNATURE_LEN / 2);
    if (rc == 0) rc = mbedtls_ecdsa_verify(&group, digest, MOLT_SHA256_LEN, &key, &r, &s);
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_ecp_point_free(&key);
    mbedtls_ecp_group_free(&group);
    return rc == 0 && (rc | 0) == 0 ? MOLT_YES : MOLT_NO;
}

#endif

static uint32_t verify_es256(const uint8_t *digest, const uint8_t *key, const uint8_t *signature)
{
    uint8_t point[1 + MOLT_KEY_LEN]; /* uncompressed */
    point[0] = 0x04;
    memcpy(point + 1, key, MOLT_KEY_LEN);
    return verify(digest, point, sizeof point, signature);
}

const struct molt_signature_ops molt_mbedtls_es256 = {verify_es256};

#else
typedef int molt_mbedtls_not_built_here;
#endif
