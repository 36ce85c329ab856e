/* seal_test.c - what OpenSSL encrypted for a device key BearSSL opens, from any byte on, and nothing near it. */
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "host/sign/sign.h"
#include "ports/bearssl_seal.h"
#include "temp_dir.h"

#define LEN 5000u

static struct temp_dir dir;
static uint8_t scalar[2][MOLT_PRIVATE_KEY_LEN], point[2][MOLT_KEY_LEN];
static uint8_t plain[LEN], sealed[LEN], info[MOLT_SEAL_LEN];

static int make_keys(void **state)
{
    (void)state;
    char path[200], public_path[208], err[SIGN_ERROR_LEN];
    temp_dir_make(&dir);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%d", dir.path, i);
        snprintf(public_path, sizeof public_path, "%s.pub", path);
        if (sign_key_generate(path, NULL, err) != 0 || sign_private_scalar(path, scalar[i], err) != 0 ||
            sign_public_load(public_path, point[i], err) != 0)
            return -1;
    }
    for (unsigned i = 0; i < LEN; i++)
        plain[i] = (uint8_t)(i * 7 + i / 256);
    memcpy(sealed, plain, LEN);
    return sign_seal(point[0], sealed, LEN, info, err);
}

static int drop_keys(void **state)
{
    (void)state;
    temp_dir_remove(&dir);
    return 0;
}

static void it_opens_from_any_byte_on(void **state)
{
    (void)state;
    static const unsigned pieces[] = {1, 3, 16, 17, 128, 1000};
    struct molt_content_key key;
    uint8_t out[LEN];
    assert_memory_not_equal(sealed, plain, 64);
    assert_int_equal(molt_bearssl_seal.open(scalar[0], info, sizeof info, &key), 0);
    for (unsigned p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
        memcpy(out, sealed, LEN);
        for (unsigned at = 0; at < LEN; at += pieces[p])
            molt_bearssl_seal.crypt(&key, at, out + at, LEN - at < pieces[p] ? LEN - at : pieces[p]);
        assert_memory_equal(out, plain, LEN);
    }
    for (unsigned at = 0; at < 100; at++) { /* a download that goes on there */
        memcpy(out, sealed, LEN);
        molt_bearssl_seal.crypt(&key, at, out + at, LEN - at);
        assert_memory_equal(out + at, plain + at, LEN - at);
    }
}

static void the_counter_runs_over_32_bits_of_the_iv(void **state)
{
    (void)state;
    struct molt_content_key key = {.iv = {1}}, late = {.iv = {1}};
    uint8_t a[32] = {0}, b[32] = {0};
    key.iv[15] = 2; /* block 2 of one stream is block 0 of the other */
    molt_bearssl_seal.crypt(&key, 0, a, sizeof a);
    molt_bearssl_seal.crypt(&late, 32, b, sizeof b);
    assert_memory_equal(a, b, sizeof a);
}

static void nobody_else_opens_it(void **state)
{
    (void)state;
    static const struct molt_content_key none;
    struct molt_content_key key;
    assert_int_equal(molt_bearssl_seal.open(scalar[1], info, sizeof info, &key), -MOLT_SEALED);
    assert_memory_equal(&key, &none, sizeof key);
}

static void every_changed_bit_is_refused_but_the_ivs(void **state)
{
    (void)state;
    struct molt_content_key right, key;
    assert_int_equal(molt_bearssl_seal.open(scalar[0], info, sizeof info, &right), 0);
    for (size_t i = 0; i < sizeof info; i++) {
        bool iv = i >= 11 && i < 27; /* signed with the manifest; another one decrypts to noise */
        info[i] ^= 0x10;
        int rc = molt_bearssl_seal.open(scalar[0], info, sizeof info, &key);
        assert_int_equal(rc, iv ? 0 : -MOLT_SEALED);
        if (iv) assert_memory_not_equal(&key, &right, sizeof key);
        info[i] ^= 0x10;
    }
    for (size_t len = 0; len < sizeof info; len++)
        assert_int_equal(molt_bearssl_seal.open(scalar[0], info, len, &key), -MOLT_SEALED);
}

static void two_files_never_share_a_key(void **state)
{
    (void)state;
    char err[SIGN_ERROR_LEN];
    uint8_t again[LEN], other[MOLT_SEAL_LEN];
    memcpy(again, plain, LEN);
    assert_int_equal(sign_seal(point[0], again, LEN, other, err), 0);
    assert_memory_not_equal(again, sealed, 64);
    assert_memory_not_equal(other + 114, info + 114, 40);
}

static void a_point_beside_the_curve_is_refused(void **state)
{
    (void)state;
    char err[SIGN_ERROR_LEN];
    uint8_t wrong[MOLT_KEY_LEN], data[16] = {0}, out[MOLT_SEAL_LEN];
    memcpy(wrong, point[0], sizeof wrong);
    wrong[40] ^= 1;
    assert_int_equal(sign_seal(wrong, data, sizeof data, out, err), -MOLT_KEY_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_opens_from_any_byte_on),
        cmocka_unit_test(the_counter_runs_over_32_bits_of_the_iv),
        cmocka_unit_test(nobody_else_opens_it),
        cmocka_unit_test(every_changed_bit_is_refused_but_the_ivs),
        cmocka_unit_test(two_files_never_share_a_key),
        cmocka_unit_test(a_point_beside_the_curve_is_refused),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
