/* s3_sign.c - Signature Version 4 of AWS in its query form, for S3. Must never put the secret key into anything that leaves.
 * Tests: test/unit/s3_sign_test.c (AWS's own example), test/e2e/s3_test.sh. */
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bucket.h"
#include "parts.h"

#define DIGEST 32

static void to_hex(const uint8_t *bytes, size_t count, char *out)
{
    for (size_t i = 0; i < count; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static bool mac(const uint8_t *key, size_t key_len, const char *text, uint8_t out[DIGEST])
{
    return HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text, strlen(text), out, NULL) != NULL;
}

/* RFC 3986's unreserved characters stay, all others become %XX. False when it does not fit. */
static bool escape(const char *text, char *out, size_t cap)
{
    size_t at = 0;
    for (; *text != '\0'; text++) {
        const char c = *text;
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           strchr("-._~", c) != NULL;
        if (at + 4 > cap) return false;
        if (plain)
            out[at++] = c;
        else
            at += (size_t)snprintf(out + at, 4, "%%%02X", (uint8_t)c);
    }
    if (at >= cap) return false;
    out[at] = '\0';
    return true;
}

/* date: "20130524T000000Z"; its first eight digits are the day. */
static bool sign(const struct s3_signer *signer, const char *date, const char *scope, const char *canonical,
                 char signature[2 * DIGEST + 1])
{
    char text[512], secret[160], day[9];
    uint8_t digest[DIGEST], a[DIGEST], b[DIGEST];
    char hex[2 * DIGEST + 1];
    if (EVP_Digest(canonical, strlen(canonical), digest, NULL, EVP_sha256(), NULL) != 1) return false;
    to_hex(digest, DIGEST, hex);
    (void)snprintf(day, sizeof day, "%.8s", date);
    const int len = snprintf(text, sizeof text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, hex);
    const int secret_len = snprintf(secret, sizeof secret, "AWS4%s", signer->secret_key);
    bool ok = len < (int)sizeof text && secret_len < (int)sizeof secret &&
              mac((const uint8_t *)secret, (size_t)secret_len, day, a) && mac(a, DIGEST, signer->region, b) &&
              mac(b, DIGEST, "s3", a) && mac(a, DIGEST, "aws4_request", b) && mac(b, DIGEST, text, a);
    OPENSSL_cleanse(secret, sizeof secret);
    if (ok) to_hex(a, DIGEST, signature);
    return ok;
}

int s3_presign(const struct s3_signer *signer, const char *method, const char *path, int64_t now_s,
               uint32_t expires_s, char out[S3_URL_LEN])
{
    char date[20], scope[128], credential[400], token[2200] = "", query[3000], canonical[S3_URL_LEN];
    char plain_credential[300], signature[2 * DIGEST + 1];
    const time_t now = (time_t)now_s;
    struct tm utc;
    if (gmtime_r(&now, &utc) == NULL || strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", &utc) == 0)
        return store_fail(MOLT_ARG, "the clock cannot be right");
    int len = snprintf(scope, sizeof scope, "%.8s/%s/s3/aws4_request", date, signer->region);
    bool fits = len < (int)sizeof scope;
    len = snprintf(plain_credential, sizeof plain_credential, "%s/%s", signer->access_key, scope);
    fits =
        fits && len < (int)sizeof plain_credential && escape(plain_credential, credential, sizeof credential);
    if (signer->session_token != NULL) {
        static const char name[] = "&X-Amz-Security-Token=";
        memcpy(token, name, sizeof name);
        fits = fits && escape(signer->session_token, token + sizeof name - 1, sizeof token - sizeof name);
    }
    /* in the order of names, as the signature wants them */
    len = snprintf(query, sizeof query,
                   "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%s&X-Amz-Date=%s&X-Amz-Expires=%" PRIu32
                   "%s&X-Amz-SignedHeaders=host",
                   credential, date, expires_s, token);
    fits = fits && len < (int)sizeof query;
    len = snprintf(canonical, sizeof canonical, "%s\n%s\n%s\nhost:%s\n\nhost\nUNSIGNED-PAYLOAD", method, path,
                   query, signer->host);
    fits = fits && len < (int)sizeof canonical;
    if (!fits) return store_fail(MOLT_ARG, "the bucket's names or keys are too long");
    if (!sign(signer, date, scope, canonical, signature))
        return store_fail(MOLT_INTERNAL, "cannot sign a request to the bucket");
    len = snprintf(out, S3_URL_LEN, "%s://%s%s?%s&X-Amz-Signature=%s", signer->scheme, signer->host, path,
                   query, signature);
    return len < S3_URL_LEN ? 0 : store_fail(MOLT_ARG, "the bucket's names or keys are too long");
}
