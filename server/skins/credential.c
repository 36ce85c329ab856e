/* credential.c - tokens of devices. Must never keep a token in memory: only a digest of it and of the device.
 * Tests: test/unit/client_test.c (headers), test/e2e/skins_checkin_test.c. */
#include "credential.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ports/bearssl.h"

#define SLOTS 4096

struct slot {
    uint8_t key[MOLT_SHA256_LEN];
    int64_t until_ms; /* 0: free */
    struct credential credential;
};

struct credential_cache {
    pthread_mutex_t lock;
    struct slot slots[SLOTS];
};

struct credential_cache *credential_cache_new(void)
{
    struct credential_cache *cache = calloc(1, sizeof *cache);
    if (cache != NULL) pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void credential_cache_free(struct credential_cache *cache)
{
    if (cache == NULL) return;
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static struct slot *slot_of(struct credential_cache *cache, const char *token, const char *id,
                            uint8_t key[MOLT_SHA256_LEN])
{
    struct molt_hash hash = {.ops = &molt_bearssl_sha256};
    hash.ops->init(&hash.state);
    hash.ops->update(&hash.state, token, strlen(token) + 1);
    hash.ops->update(&hash.state, id, strlen(id));
    hash.ops->finish(&hash.state, key);
    return &cache->slots[(key[0] | ((unsigned)key[1] << 8)) % SLOTS];
}

struct credential credential_recall(struct credential_cache *cache, const char *token, const char *id,
                                    int64_t now_ms)
{
    uint8_t key[MOLT_SHA256_LEN];
    struct credential found = {CREDENTIAL_UNKNOWN, 0};
    struct slot *slot = slot_of(cache, token, id, key);
    pthread_mutex_lock(&cache->lock);
    /* a clock that was set back must not make it last */
    bool fresh = slot->until_ms > now_ms && slot->until_ms <= now_ms + CREDENTIAL_KEEP_MS;
    if (fresh && memcmp(slot->key, key, sizeof key) == 0) found = slot->credential;
    pthread_mutex_unlock(&cache->lock);
    return found;
}

void credential_remember(struct credential_cache *cache, const char *token, const char *id,
                         const struct credential *credential, int64_t now_ms)
{
    uint8_t key[MOLT_SHA256_LEN];
    struct slot *slot = slot_of(cache, token, id, key);
    pthread_mutex_lock(&cache->lock);
    memcpy(slot->key, key, sizeof key);
    slot->credential = *credential;
    slot->until_ms = now_ms + CREDENTIAL_KEEP_MS;
    pthread_mutex_unlock(&cache->lock);
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    return c == '/' ? 63 : -1;
}

/* Decodes as text; 0 bytes when it is malformed, holds a NUL or does not fit. */
static size_t base64(const char *in, size_t len, char *out, size_t cap)
{
    uint32_t bits = 0;
    unsigned count = 0;
    size_t used = 0;
    while (len > 0 && in[len - 1] == '=')
        len--;
    for (size_t i = 0; i < len; i++) {
        int digit = base64_digit(in[i]);
        if (digit < 0) return 0;
        bits = (bits << 6) | (uint32_t)digit;
        count += 6;
        if (count < 8) continue;
        count -= 8;
        char c = (char)((bits >> count) & 0xff);
        if (c == '\0' || used + 1 >= cap) return 0;
        out[used++] = c;
    }
    out[used] = '\0';
    return used;
}

static bool begins(struct http_slice s, const char *scheme)
{
    size_t n = strlen(scheme);
    return s.len > n && strncasecmp(s.p, scheme, n) == 0;
}

bool credential_token(struct http_slice authorization, char *out, size_t cap)
{
    out[0] = '\0';
    static const char *const schemes[] = {"Bearer ", "TargetToken ", "GatewayToken "};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (!begins(authorization, schemes[i])) continue;
        const size_t at = strlen(schemes[i]), len = authorization.len - at;
        if (len >= cap || memchr(authorization.p, '\0', authorization.len) != NULL) return false;
        memcpy(out, authorization.p + at, len);
        out[len] = '\0';
        return len > 0;
    }
    if (!begins(authorization, "Basic ")) return false;
    char pair[256];
    if (base64(authorization.p + 6, authorization.len - 6, pair, sizeof pair) == 0) return false;
    char *colon = strchr(pair, ':');
    if (colon == NULL) return false;
    *colon = '\0';
    const char *token = colon[1] != '\0' ? colon + 1 : pair;
    size_t len = strlen(token);
    if (len == 0 || len >= cap) return false;
    memcpy(out, token, len + 1);
    return true;
}
