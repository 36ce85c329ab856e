/* keys.c - reads the root key's statement of who may sign. Must never let an unsigned byte of it count.
 * Tests: test/unit/manifest_keys_test.c, test/fuzz/manifest_fuzz.c. */
#include "keys.h"

#include <string.h>

#include "../util/secret.h"

/* A statement has one form and two lengths: everything stands where it stands. */
enum {
    AT_ALG = 5,
    AT_PAYLOAD_HEAD = 7, /* 58 and the length */
    AT_PAYLOAD = 9,
    AT_EPOCH = 11,
    AT_CLASS = 14,
    AT_KEYS_LEN = 31,
    AT_KEYS = 32
};

/* What does not change up to the keys; zeros stand for what does. */
static const uint8_t frame[AT_KEYS] = {0xD2, 0x84, 0x43, 0xA1, 0x01, 0, 0xA0, 0x58, 0,    0x83, 0x42,
                                       0,    0,    0x50, 0,    0,    0, 0,    0,    0,    0,    0,
                                       0,    0,    0,    0,    0,    0, 0,    0,    0x58, 0};
static const uint8_t signed_begin[] = {0x84, 0x6A, 'S', 'i', 'g',  'n',  'a', 't',
                                       'u',  'r',  'e', '1', 0x43, 0xA1, 0x01};

/* How many keys it has; 0 when it is no statement. */
static unsigned count_keys(const uint8_t *data, size_t len)
{
    unsigned count = len == MOLT_KEYS_MAX - MOLT_KEY_LEN ? 1 : len == MOLT_KEYS_MAX ? 2 : 0;
    if (count == 0) return 0;
    for (unsigned i = 0; i < sizeof frame; i++) {
        if (frame[i] != 0 && data[i] != frame[i]) return 0;
    }
    const unsigned keys_len = count * MOLT_KEY_LEN;
    const uint8_t *behind = data + AT_KEYS + keys_len;
    if (data[AT_ALG] != 0x26 && data[AT_ALG] != 0x28) return 0;
    if (data[AT_PAYLOAD_HEAD + 1] != AT_KEYS - AT_PAYLOAD + keys_len || data[AT_KEYS_LEN] != keys_len)
        return 0;
    return behind[0] == 0x58 && behind[1] == MOLT_SIGNATURE_LEN ? count : 0;
}

static uint32_t signed_by_root(const struct molt_trust *trust, const uint8_t *data, unsigned count)
{
    static const uint8_t no_aad = 0x40;
    const unsigned payload_end = AT_KEYS + count * MOLT_KEY_LEN;
    struct molt_hash hash;
    uint8_t digest[MOLT_SHA256_LEN];
    trust->hash->init(&hash.state);
    trust->hash->update(&hash.state, signed_begin, sizeof signed_begin);
    trust->hash->update(&hash.state, data + AT_ALG, 1);
    trust->hash->update(&hash.state, &no_aad, 1);
    trust->hash->update(&hash.state, data + AT_PAYLOAD_HEAD, payload_end - AT_PAYLOAD_HEAD);
    trust->hash->finish(&hash.state, digest);
    return trust->signature->verify(digest, trust->root, data + payload_end + 2);
}

int molt_keys_read(const uint8_t *data, size_t len, uint8_t class_id[MOLT_UUID_LEN], struct molt_keys *out)
{
    memset(out, 0, sizeof *out);
    unsigned count = count_keys(data, len);
    if (count == 0) return -MOLT_KEYS_INVALID;
    memcpy(class_id, data + AT_CLASS, MOLT_UUID_LEN);
    out->epoch = (uint16_t)(data[AT_EPOCH] << 8 | data[AT_EPOCH + 1]);
    out->keys = (const uint8_t(*)[MOLT_KEY_LEN])(data + AT_KEYS);
    out->key_count = count;
    return 0;
}

int molt_keys_accept(const struct molt_trust *trust, uint16_t lowest, const uint8_t *data, size_t len,
                     struct molt_keys *out)
{
    uint8_t class_id[MOLT_UUID_LEN];
    unsigned count = count_keys(data, len);
    memset(out, 0, sizeof *out);
    if (trust->root == NULL || count == 0) return -MOLT_KEYS_INVALID;
    volatile uint32_t first = signed_by_root(trust, data, count);
    if (first != MOLT_YES) return -MOLT_KEYS_INVALID;
    volatile uint32_t second = signed_by_root(trust, data, count); /* a fault must strike twice */
    if (second != MOLT_YES) return -MOLT_KEYS_INVALID;
    int rc = molt_keys_read(data, len, class_id, out);
    if (rc == 0 && molt_same_bytes(class_id, trust->class_id, sizeof class_id) != MOLT_YES)
        rc = -MOLT_KEYS_INVALID;
    if (rc == 0 && out->epoch < lowest) rc = -MOLT_KEYS_RETIRED;
    if (rc == 0 && (first ^ MOLT_YES) == 0) return (int)(first & second);
    memset(out, 0, sizeof *out);
    return rc < 0 ? rc : -MOLT_KEYS_INVALID;
}
