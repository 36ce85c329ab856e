/* idf_try.c - what a test wants of the ESP-IDF example beyond what it shows, from the environment: another URL, a PEM in place
 * of the bundle, a maker's key, and everything that may be put off, put off once. Must change nothing otherwise.
 *
 *     SDK_URL=URL SDK_PEM=FILE SDK_MAKER=<192 hex digits> SDK_LATER=1 */
#include <ports/esp_idf.h>
#include <ports/mbedtls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk_idf.h"
#include "util/text.h"

void sdk_try(struct molt_idf *idf);

static void power(void *ctx, bool is_low)
{
    (void)ctx;
    printf("power %s\n", is_low ? "low" : "full");
}

static bool is_now(const char *what)
{
    static unsigned asked;
    const bool now = asked++ % 2 == 1;
    printf("%s %s\n", what, now ? "now" : "later");
    return now;
}

static bool may_connect(void *ctx, bool is_tls)
{
    (void)ctx;
    return is_now(is_tls ? "handshake" : "connect");
}

static bool may_verify(void *ctx)
{
    (void)ctx;
    return is_now("verify");
}

static void trust_maker(struct molt_agent_config *config, const char *hex)
{
    static uint8_t keys[1][MOLT_KEY_LEN];
    static struct molt_trust trust;
    trust.hash = &molt_mbedtls_sha256;
    trust.signature = &molt_mbedtls_es256;
    trust.keys = (const uint8_t(*)[MOLT_KEY_LEN])keys;
    trust.key_count = 1;
    if (strlen(hex) != 2 * (MOLT_KEY_LEN + 2 * MOLT_UUID_LEN) || !molt_hex_decode(hex, 128, keys[0], 64) ||
        !molt_hex_decode(hex + 128, 32, trust.vendor, 16) ||
        !molt_hex_decode(hex + 160, 32, trust.class_id, 16))
        sdk_abort("SDK_MAKER is not a key");
    config->trust = &trust;
}

static char *read_text(const char *path)
{
    static char text[8192];
    FILE *file = fopen(path, "r");
    if (file == NULL) sdk_abort("no PEM");
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

void sdk_try(struct molt_idf *idf)
{
    const char *url = getenv("SDK_URL"), *pem = getenv("SDK_PEM"), *maker = getenv("SDK_MAKER");
    if (url != NULL) idf->config.url = url;
    if (maker != NULL) trust_maker(&idf->config, maker);
    if (pem != NULL) {
        idf->ca_pem = read_text(pem);
        idf->crt_bundle_attach = NULL;
    }
    if (getenv("SDK_LATER") == NULL) return;
    idf->power = power;
    idf->may_connect = may_connect;
    idf->config.may_verify = may_verify;
}
