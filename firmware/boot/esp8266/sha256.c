/* sha256.c - SHA-256 for a second stage: small, and constants are read in words, since they lie in memory that takes no
 * other access. Must never be used where a faster one is at hand. Tests: test/unit/molt_boot_test.c. Source: FIPS 180-4. */
#include "sha256.h"

#define CHUNK 64u

struct sha256 {
    uint32_t state[8];
    uint32_t len;
    uint8_t block[CHUNK]; /* being filled */
};
typedef char sha256_fits[sizeof(struct sha256) <= MOLT_HASH_CTX_LEN ? 1 : -1];

static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
static const uint32_t first_state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static uint32_t rotate(uint32_t x, uint32_t n)
{
    return x >> n | x << (32 - n);
}

/* Word i of the message schedule; w holds the last 16. */
static uint32_t schedule(uint32_t w[16], const uint8_t *block, uint32_t i)
{
    if (i < 16) {
        const uint8_t *p = block + 4 * i;
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    } else {
        const uint32_t a = w[(i + 1) & 15], b = w[(i + 14) & 15];
        w[i & 15] += w[(i + 9) & 15] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
                     (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
    return w[i & 15];
}

static void compress(struct sha256 *sha)
{
    uint32_t w[16], v[8];
    for (uint32_t i = 0; i < 8; i++)
        v[i] = sha->state[i];
    for (uint32_t i = 0; i < 64; i++) {
        uint32_t t = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)) +
                     ((v[4] & v[5]) ^ (~v[4] & v[6])) + round_constants[i] + schedule(w, sha->block, i);
        uint32_t u = (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) +
                     ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        for (uint32_t j = 7; j > 0; j--)
            v[j] = v[j - 1];
        v[4] += t;
        v[0] = t + u;
    }
    for (uint32_t i = 0; i < 8; i++)
        sha->state[i] += v[i];
}

static void add_byte(struct sha256 *sha, uint8_t byte)
{
    sha->block[sha->len % CHUNK] = byte;
    if (++sha->len % CHUNK == 0) compress(sha);
}

static void init(void *state)
{
    struct sha256 *sha = state;
    for (uint32_t i = 0; i < 8; i++)
        sha->state[i] = first_state[i];
    sha->len = 0;
}

static void update(void *state, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++)
        add_byte(state, bytes[i]);
}

static void finish(void *state, uint8_t digest[MOLT_SHA256_LEN])
{
    struct sha256 *sha = state;
    const uint32_t bytes = sha->len;
    add_byte(sha, 0x80);
    while (sha->len % CHUNK != CHUNK - 5)
        add_byte(sha, 0);
    add_byte(sha, (uint8_t)(bytes >> 29)); /* the length in bits */
    for (uint32_t i = 0; i < 4; i++)
        add_byte(sha, (uint8_t)(bytes << 3 >> (24 - 8 * i)));
    for (uint32_t i = 0; i < MOLT_SHA256_LEN; i++)
        digest[i] = (uint8_t)(sha->state[i / 4] >> (24 - 8 * (i % 4)));
}

const struct molt_hash_ops molt_boot_sha256 = {init, update, finish};
