/* manifest_test.c - the manifest's verifier against the draft's own example, and against everything near it. */
#include "manifest_vector.h"

#include "util/secret.h"

static uint8_t key_store[2][MOLT_KEY_LEN];

static int accept(const uint8_t *data, size_t len)
{
    struct molt_trust trust = example_trust(key_store);
    struct molt_manifest manifest;
    return molt_manifest_accept(&trust, 0, data, len, &manifest);
}

static void the_drafts_example_is_accepted_and_read(void **state)
{
    (void)state;
    uint8_t data[EXAMPLE_LEN], digest[32];
    struct molt_trust trust = example_trust(key_store);
    struct molt_manifest manifest;
    example_read(data);
    assert_int_equal(molt_manifest_accept(&trust, EXAMPLE_SEQUENCE, data, sizeof data, &manifest),
                     MOLT_MANIFEST_ACCEPTED);
    assert_int_equal(manifest.sequence, EXAMPLE_SEQUENCE);
    assert_int_equal(manifest.component_count, 1);
    assert_int_equal(manifest.component[0].size, 34768);
    from_hex("00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210", digest, 32);
    assert_memory_equal(manifest.component[0].digest, digest, 32);
    assert_memory_equal(manifest.vendor, trust.vendor, MOLT_UUID_LEN);
}

static void both_multipliers_give_the_same_answer(void **state)
{
    (void)state;
    uint8_t data[EXAMPLE_LEN];
    struct molt_trust trust = example_trust(key_store);
    struct molt_manifest manifest;
    example_read(data);
    trust.signature = &molt_bearssl_es256_i15;
    assert_int_equal(molt_manifest_accept(&trust, 0, data, sizeof data, &manifest), MOLT_MANIFEST_ACCEPTED);
    data[60] ^= 1;
    assert_int_equal(molt_manifest_accept(&trust, 0, data, sizeof data, &manifest), -MOLT_MANIFEST_SIGNATURE);
}

static void every_changed_bit_is_refused(void **state)
{
    (void)state;
    uint8_t data[EXAMPLE_LEN];
    example_read(data);
    for (size_t i = 0; i < sizeof data; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            data[i] ^= (uint8_t)(1u << bit);
            int rc = accept(data, sizeof data);
            assert_true(rc == -MOLT_MANIFEST_MALFORMED || rc == -MOLT_MANIFEST_SIGNATURE);
            data[i] ^= (uint8_t)(1u << bit);
        }
    }
    assert_int_equal(accept(data, sizeof data), MOLT_MANIFEST_ACCEPTED);
}

static void every_other_length_is_refused(void **state)
{
    (void)state;
    uint8_t data[EXAMPLE_LEN + 300] = {0};
    example_read(data);
    for (size_t len = 0; len < sizeof data; len++) {
        int rc = accept(data, len);
        if (len == EXAMPLE_LEN)
            assert_int_equal(rc, MOLT_MANIFEST_ACCEPTED);
        else
            assert_true(rc == -MOLT_MANIFEST_MALFORMED || rc == -MOLT_MANIFEST_SIGNATURE);
    }
}

/* The parser alone, as if the signature were good: what is accepted is what the profile says, so a changed byte either
 * is a value that may vary or is refused. */
static void the_walk_takes_no_second_encoding(void **state)
{
    (void)state;
    uint8_t data[EXAMPLE_LEN];
    struct molt_manifest manifest, first;
    example_read(data);
    assert_int_equal(molt_manifest_read(data, sizeof data, &first), 0);
    for (size_t i = 122; i < sizeof data; i++) {
        uint8_t was = data[i];
        for (unsigned value = 0; value < 256; value++) {
            data[i] = (uint8_t)value;
            if (value == was || molt_manifest_read(data, sizeof data, &manifest) != 0) continue;
            bool is_policy = data[i - 1] == 1 || data[i - 1] == 2 || data[i - 1] == 3 || data[i - 1] == 0x15;
            bool is_uri = i >= sizeof data - 4 - 27 && i < sizeof data - 4;
            assert_true(memcmp(&manifest, &first, sizeof first) != 0 || (is_policy && value < 16) ||
                        (is_uri && value >= 0x20 && value < 0x7F));
        }
        data[i] = was;
    }
}

static void an_older_sequence_is_refused_and_an_equal_one_is_not(void **state)
{
    (void)state;
    uint8_t data[EXAMPLE_LEN];
    struct molt_trust trust = example_trust(key_store);
    struct molt_manifest manifest;
    example_read(data);
    assert_int_equal(molt_manifest_accept(&trust, EXAMPLE_SEQUENCE + 1, data, sizeof data, &manifest),
                     -MOLT_MANIFEST_OLDER);
    assert_int_equal(manifest.sequence, 0); /* nothing of a refused one can be used */
    assert_int_equal(molt_manifest_accept(&trust, UINT64_MAX, data, sizeof data, &manifest),
                     -MOLT_MANIFEST_OLDER);
    assert_int_equal(molt_manifest_accept(&trust, EXAMPLE_SEQUENCE, data, sizeof data, &manifest),
                     MOLT_MANIFEST_ACCEPTED);
}

static void another_vendor_or_class_is_refused(void **state)
{
    (void)state;
    uint8_t data[EXAMPLE_LEN];
    struct molt_trust trust = example_trust(key_store);
    struct molt_manifest manifest;
    example_read(data);
    for (unsigned i = 0; i < MOLT_UUID_LEN; i++) {
        trust.vendor[i] ^= 1;
        assert_int_equal(molt_manifest_accept(&trust, 0, data, sizeof data, &manifest), -MOLT_MANIFEST_CLASS);
        trust.vendor[i] ^= 1;
        trust.class_id[i] ^= 0x80;
        assert_int_equal(molt_manifest_accept(&trust, 0, data, sizeof data, &manifest), -MOLT_MANIFEST_CLASS);
        trust.class_id[i] ^= 0x80;
    }
}

static void either_of_two_keys_may_sign_and_no_other(void **state)
{
    (void)state;
    uint8_t data[EXAMPLE_LEN];
    struct molt_trust trust = example_trust(key_store);
    struct molt_manifest manifest;
    example_read(data);
    memcpy(key_store[1], key_store[0], MOLT_KEY_LEN);
    memset(key_store[0], 0x11, MOLT_KEY_LEN); /* no point of the curve */
    trust.key_count = 2;
    assert_int_equal(molt_manifest_accept(&trust, 0, data, sizeof data, &manifest), MOLT_MANIFEST_ACCEPTED);
    trust.key_count = 1;
    assert_int_equal(molt_manifest_accept(&trust, 0, data, sizeof data, &manifest), -MOLT_MANIFEST_SIGNATURE);
    trust.key_count = 0;
    assert_int_equal(molt_manifest_accept(&trust, 0, data, sizeof data, &manifest), -MOLT_ARG);
    trust.key_count = 3;
    assert_int_equal(molt_manifest_accept(&trust, 0, data, sizeof data, &manifest), -MOLT_ARG);
}

/* ---- faults: a verifier whose answers were tampered with ---- */

static uint32_t answers[2];
static unsigned asked;

static uint32_t scripted(const uint8_t *digest, const uint8_t *key, const uint8_t *signature)
{
    (void)digest, (void)key, (void)signature;
    return answers[asked++ % 2];
}

static void one_glitched_verification_is_not_enough(void **state)
{
    (void)state;
    static const struct molt_signature_ops ops = {scripted};
    static const uint32_t wrong[] = {0, 1, UINT32_MAX, MOLT_NO, MOLT_YES ^ 1u, ~MOLT_YES};
    uint8_t data[EXAMPLE_LEN];
    struct molt_trust trust = example_trust(key_store);
    struct molt_manifest manifest;
    example_read(data);
    trust.signature = &ops;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        for (unsigned good = 0; good < 2; good++) {
            asked = 0;
            answers[good] = MOLT_YES;
            answers[1 - good] = wrong[i];
            assert_int_equal(molt_manifest_accept(&trust, 0, data, sizeof data, &manifest),
                             -MOLT_MANIFEST_SIGNATURE);
        }
    }
    asked = 0;
    answers[0] = answers[1] = MOLT_YES;
    assert_int_equal(molt_manifest_accept(&trust, 0, data, sizeof data, &manifest), MOLT_MANIFEST_ACCEPTED);
    assert_int_equal(asked, 2);
}

static void the_signature_is_checked_before_the_parser_runs(void **state)
{
    (void)state;
    uint8_t data[EXAMPLE_LEN];
    example_read(data);
    data[200] ^= 0xFF; /* in the manifest: malformed as CBOR, and hashed */
    struct molt_manifest manifest;
    assert_int_equal(accept(data, sizeof data), -MOLT_MANIFEST_SIGNATURE);
    data[124] = 0xFF;
    assert_int_equal(molt_manifest_read(data, sizeof data, &manifest), -MOLT_MANIFEST_MALFORMED);
    assert_int_equal(accept(data, sizeof data), -MOLT_MANIFEST_SIGNATURE);
}

static void equal_bytes_give_the_pattern_and_each_difference_does_not(void **state)
{
    (void)state;
    uint8_t a[40], b[40];
    memset(a, 0xA5, sizeof a);
    memcpy(b, a, sizeof b);
    assert_true(molt_same_bytes(a, b, sizeof a) == MOLT_YES);
    assert_true(molt_same_bytes(a, b, 0) == MOLT_YES);
    for (size_t i = 0; i < sizeof a * 8; i++) {
        b[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_true(molt_same_bytes(a, b, sizeof a) == MOLT_NO);
        b[i / 8] ^= (uint8_t)(1u << i % 8);
    }
}

/* A count of 16 bits would lose a difference in so many bytes. */
static void more_bytes_than_can_be_counted_are_never_the_same(void **state)
{
    (void)state;
    static uint8_t a[65537], b[65537];
    assert_true(molt_same_bytes(a, b, 65535) == MOLT_YES);
    assert_true(molt_same_bytes(a, b, 65536) == MOLT_NO);
    b[0] = 1;
    assert_true(molt_same_bytes(a, b, 65535) == MOLT_NO);
    assert_true(molt_same_bytes(a, b, 65537) == MOLT_NO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_drafts_example_is_accepted_and_read),
        cmocka_unit_test(both_multipliers_give_the_same_answer),
        cmocka_unit_test(every_changed_bit_is_refused),
        cmocka_unit_test(every_other_length_is_refused),
        cmocka_unit_test(the_walk_takes_no_second_encoding),
        cmocka_unit_test(an_older_sequence_is_refused_and_an_equal_one_is_not),
        cmocka_unit_test(another_vendor_or_class_is_refused),
        cmocka_unit_test(either_of_two_keys_may_sign_and_no_other),
        cmocka_unit_test(one_glitched_verification_is_not_enough),
        cmocka_unit_test(the_signature_is_checked_before_the_parser_runs),
        cmocka_unit_test(equal_bytes_give_the_pattern_and_each_difference_does_not),
        cmocka_unit_test(more_bytes_than_can_be_counted_are_never_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
