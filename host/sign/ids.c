/* ids.c - the UUIDs that name maker and device class, and the short names of keys.
 * Must never depend on byte order or locale. Tests: test/unit/sign_test.c (the draft's own values). */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "sign.h"
#include "util/text.h"

static void uuid5(const uint8_t space[MOLT_UUID_LEN], const char *name, uint8_t out[MOLT_UUID_LEN])
{
    uint8_t digest[EVP_MAX_MD_SIZE] = {0};
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) == 1 &&
        EVP_DigestUpdate(ctx, space, MOLT_UUID_LEN) == 1 && EVP_DigestUpdate(ctx, name, strlen(name)) == 1) {
        EVP_DigestFinal_ex(ctx, digest, NULL);
    }
    EVP_MD_CTX_free(ctx);
    memcpy(out, digest, MOLT_UUID_LEN);
    out[6] = (uint8_t)((out[6] & 0x0F) | 0x50);
    out[8] = (uint8_t)((out[8] & 0x3F) | 0x80);
}

void sign_vendor_id(const char *domain, uint8_t out[MOLT_UUID_LEN])
{
    static const uint8_t dns[MOLT_UUID_LEN] = {0x6B, 0xA7, 0xB8, 0x10, 0x9D, 0xAD, 0x11, 0xD1,
                                               0x80, 0xB4, 0x00, 0xC0, 0x4F, 0xD4, 0x30, 0xC8};
    uuid5(dns, domain, out);
}

void sign_class_id(const uint8_t vendor[MOLT_UUID_LEN], const char *product, enum molt_chip chip,
                   uint8_t out[MOLT_UUID_LEN])
{
    char name[128];
    snprintf(name, sizeof name, "%.64s/%s", product, molt_chip_name(chip));
    uuid5(vendor, name, out);
}

enum molt_chip sign_chip_of(const struct molt_manifest *manifest, const char *product)
{
    static const enum molt_chip chips[] = {
#define MOLT_CHIP(symbol, number, name, image_chip_id) MOLT_CHIP_##symbol,
#include "molt_chip.def"
#undef MOLT_CHIP
    };
    for (size_t i = 0; i < sizeof chips / sizeof chips[0]; i++) {
        uint8_t class_id[MOLT_UUID_LEN];
        sign_class_id(manifest->vendor, product, chips[i], class_id);
        if (memcmp(class_id, manifest->class_id, MOLT_UUID_LEN) == 0) return chips[i];
    }
    return MOLT_CHIP_UNKNOWN;
}

void sign_key_name(const uint8_t key[MOLT_KEY_LEN], char out[17])
{
    uint8_t digest[EVP_MAX_MD_SIZE] = {0};
    EVP_Digest(key, MOLT_KEY_LEN, digest, NULL, EVP_sha256(), NULL);
    molt_hex_encode(digest, 8, out);
}
