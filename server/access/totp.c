/* totp.c - codes of the second factor. Must never take one twice, nor keep a recovery code. Tests: test/unit/totp_test.c. */
#include "totp.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define CODE_CHARS 16u /* of a recovery code */

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; /* RFC 4648 */

uint32_t totp_code(const uint8_t key[STORE_TOTP_LEN], int64_t step, unsigned digits)
{
    uint8_t counter[8], mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    uint32_t modulus = 1;
    for (int i = 0; i < 8; i++)
        counter[i] = (uint8_t)((uint64_t)step >> (56 - 8 * i));
    if (HMAC(EVP_sha1(), key, (int)STORE_TOTP_LEN, counter, sizeof counter, mac, &len) == NULL || len != 20)
        return UINT32_MAX;                    /* which is no code */
    const uint8_t *at = mac + (mac[19] & 15); /* RFC 4226, 5.3 */
    const uint32_t number =
        (uint32_t)(at[0] & 0x7F) << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    for (unsigned i = 0; i < digits; i++)
        modulus *= 10;
    return number % modulus;
}

bool totp_check(const uint8_t key[STORE_TOTP_LEN], const char *text, int64_t now_ms, int64_t last_step,
                int64_t *step)
{
    const int64_t now = now_ms / TOTP_STEP_MS;
    if (strlen(text) != TOTP_DIGITS || strspn(text, "0123456789") != TOTP_DIGITS || !totp_is_on(key))
        return false;
    bool right = false;
    for (int64_t at = now - 1; at <= now + 1; at++) {
        char code[16];
        (void)snprintf(code, sizeof code, "%06u", (unsigned)totp_code(key, at, TOTP_DIGITS));
        if (strlen(code) != TOTP_DIGITS || CRYPTO_memcmp(code, text, TOTP_DIGITS) != 0 || at <= last_step)
            continue;
        right = true;
        *step = at;
    }
    return right;
}

bool totp_is_on(const uint8_t key[STORE_TOTP_LEN])
{
    static const uint8_t off[STORE_TOTP_LEN];
    return memcmp(key, off, sizeof off) != 0;
}

bool totp_new(uint8_t key[STORE_TOTP_LEN])
{
    return getrandom(key, STORE_TOTP_LEN, 0) == (ssize_t)STORE_TOTP_LEN && totp_is_on(key);
}

void totp_secret(const uint8_t key[STORE_TOTP_LEN], char out[TOTP_SECRET_LEN])
{
    size_t used = 0;
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < STORE_TOTP_LEN; i++) {
        bits = bits << 8 | key[i];
        for (held += 8; held >= 5; held -= 5)
            out[used++] = base32[bits >> (held - 5) & 31];
    }
    out[used] = '\0';
}

void totp_url(const uint8_t key[STORE_TOTP_LEN], const char *name, char out[TOTP_URL_LEN])
{
    char secret[TOTP_SECRET_LEN], label[3 * STORE_ACCOUNT_LEN];
    size_t used = 0;
    for (; *name != '\0' && used + 4 < sizeof label; name++) {
        const bool plain = *name != '@' && *name != '+';
        used += (size_t)snprintf(label + used, sizeof label - used, plain ? "%c" : "%%%02X",
                                 plain ? (unsigned char)*name : (unsigned)*name);
    }
    label[used] = '\0';
    totp_secret(key, secret);
    (void)snprintf(out, TOTP_URL_LEN, "otpauth://totp/molt:%s?secret=%s&issuer=molt", label, secret);
}

/* ---- recovery codes ---- */

static void hash_code(const char chars[CODE_CHARS], uint8_t hash[STORE_RECOVERY_LEN])
{
    uint8_t sha256[32];
    memset(hash, 0, STORE_RECOVERY_LEN);
    if (EVP_Digest(chars, CODE_CHARS, sha256, NULL, EVP_sha256(), NULL) == 1)
        memcpy(hash, sha256, STORE_RECOVERY_LEN);
}

bool recovery_new(char codes[STORE_RECOVERY_MAX][RECOVERY_CODE_LEN],
                  uint8_t hashes[STORE_RECOVERY_MAX * STORE_RECOVERY_LEN])
{
    for (size_t n = 0; n < STORE_RECOVERY_MAX; n++) {
        uint8_t random[CODE_CHARS];
        char chars[CODE_CHARS], *out = codes[n];
        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) return false;
        for (size_t i = 0; i < CODE_CHARS; i++) {
            chars[i] = (char)(base32[random[i] & 31] | (random[i] % 32 < 26 ? 0x20 : 0)); /* lower case */
            if (i > 0 && i % 4 == 0) *out++ = '-';
            *out++ = chars[i];
        }
        *out = '\0';
        hash_code(chars, hashes + n * STORE_RECOVERY_LEN);
    }
    return true;
}

bool recovery_use(uint8_t hashes[STORE_RECOVERY_MAX * STORE_RECOVERY_LEN], const char *text)
{
    char chars[CODE_CHARS];
    uint8_t hash[STORE_RECOVERY_LEN];
    size_t len = 0;
    bool used = false;
    for (; *text != '\0'; text++) {
        if (*text == '-' || *text == ' ') continue;
        if (len == CODE_CHARS) return false;
        chars[len++] = (char)(*text >= 'A' && *text <= 'Z' ? *text | 0x20 : *text);
    }
    if (len != CODE_CHARS) return false;
    hash_code(chars, hash);
    for (size_t n = 0; n < STORE_RECOVERY_MAX; n++) {
        uint8_t *one = hashes + n * STORE_RECOVERY_LEN;
        if (CRYPTO_memcmp(one, hash, sizeof hash) != 0) continue;
        memset(one, 0, STORE_RECOVERY_LEN);
        used = true;
    }
    return used;
}

uint32_t recovery_left(const uint8_t hashes[STORE_RECOVERY_MAX * STORE_RECOVERY_LEN])
{
    static const uint8_t none[STORE_RECOVERY_LEN];
    uint32_t left = 0;
    for (size_t n = 0; n < STORE_RECOVERY_MAX; n++)
        left += memcmp(hashes + n * STORE_RECOVERY_LEN, none, sizeof none) != 0;
    return left;
}
