/* mbedtls_try.c - the hash and signatures of ports/mbedtls.c, executed with the mbedTLS that it is linked with: RFC 6979's P-256
 * example (A.2.5, "sample"), and each of its bits changed. Must believe nothing else. Used by tools/sdk. */
#include <mbedtls/version.h>
#include <stdio.h>
#include <string.h>

#include "ports/mbedtls.h"
#include "util/secret.h"
#include "util/text.h"

static const char key_hex[] = "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
                              "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
static const char signature_hex[] = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
                                    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";

int main(void)
{
    uint8_t key[MOLT_KEY_LEN], signature[MOLT_SIGNATURE_LEN], digest[MOLT_SHA256_LEN];
    uint64_t state[MOLT_HASH_CTX_LEN / 8 + 1];
    unsigned believed = 0;
    if (!molt_hex_decode(key_hex, 128, key, sizeof key) ||
        !molt_hex_decode(signature_hex, 128, signature, sizeof signature))
        return 2;
    molt_mbedtls_sha256.init(state);
    molt_mbedtls_sha256.update(state, "sam", 3);
    molt_mbedtls_sha256.update(state, "ple", 3);
    molt_mbedtls_sha256.finish(state, digest);
    const bool good = molt_mbedtls_es256.verify(digest, key, signature) == MOLT_YES;
    for (unsigned bit = 0; bit < 8 * sizeof signature; bit++) {
        signature[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        believed += molt_mbedtls_es256.verify(digest, key, signature) == MOLT_YES;
        signature[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    printf("mbedTLS %s: RFC 6979's signature is %s, %u of 512 changed ones are believed\n",
           MBEDTLS_VERSION_STRING, good ? "good" : "REFUSED", believed);
    return good && believed == 0 ? 0 : 1;
}
