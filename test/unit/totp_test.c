/* totp_test.c - the vectors of RFC 6238 and RFC 4226, the window, no code twice, and recovery codes. */
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "server/access/totp.h"

static const uint8_t rfc_key[STORE_TOTP_LEN] = "12345678901234567890"; /* without its NUL */

static void the_vectors_of_the_rfcs(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        uint32_t code; /* 8 digits: RFC 6238, appendix B, SHA1 */
    } vectors[] = {{59, 94287082},         {1111111109, 7081804},  {1111111111, 14050471},
                   {1234567890, 89005924}, {2000000000, 69279037}, {INT64_C(20000000000), 65353130}};
    static const uint32_t hotp[] = {755224, 287082, 359152, 969429, 338314,
                                    254676, 287922, 162583, 399871, 520489}; /* RFC 4226, appendix D */
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        assert_int_equal(totp_code(rfc_key, vectors[i].seconds / 30, 8), vectors[i].code);
    for (int64_t i = 0; i < 10; i++)
        assert_int_equal(totp_code(rfc_key, i, 6), hotp[i]);
}

static void a_code_is_good_once_and_a_step_early_or_late(void **state)
{
    (void)state;
    const int64_t now = INT64_C(1111111111) * 1000;
    int64_t step = 0;
    char code[16];
    for (int64_t off = -3; off <= 3; off++) {
        const int64_t at = now / TOTP_STEP_MS + off;
        snprintf(code, sizeof code, "%06u", totp_code(rfc_key, at, 6));
        assert_int_equal(totp_check(rfc_key, code, now, 0, &step), off >= -1 && off <= 1);
        if (off < -1 || off > 1) continue;
        assert_int_equal(step, at);
        assert_false(totp_check(rfc_key, code, now, step, &step));
    }
    snprintf(code, sizeof code, "%06u", totp_code(rfc_key, now / TOTP_STEP_MS, 6));
    assert_false(totp_check(rfc_key, code + 1, now, 0, &step));
    code[5] = (char)(code[5] == '9' ? '0' : code[5] + 1);
    assert_false(totp_check(rfc_key, code, now, 0, &step));
    assert_false(totp_check(rfc_key, "", now, 0, &step));
    assert_false(totp_check(rfc_key, "12345a", now, 0, &step));
    static const uint8_t off[STORE_TOTP_LEN];
    snprintf(code, sizeof code, "%06u", totp_code(off, now / TOTP_STEP_MS, 6));
    assert_false(totp_check(off, code, now, 0, &step)); /* no secret is no secret of zeros */
}

static void apps_read_the_secret(void **state)
{
    (void)state;
    char secret[TOTP_SECRET_LEN], url[TOTP_URL_LEN];
    uint8_t key[STORE_TOTP_LEN], other[STORE_TOTP_LEN];
    totp_secret(rfc_key, secret);
    assert_string_equal(secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"); /* base32 of the RFC's key */
    totp_url(rfc_key, "anna+1@example.org", url);
    assert_string_equal(url,
                        "otpauth://totp/molt:anna%2B1%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
                        "&issuer=molt");
    assert_true(totp_new(key) && totp_new(other));
    assert_memory_not_equal(key, other, sizeof key);
}

static void a_recovery_code_is_good_once(void **state)
{
    (void)state;
    char codes[STORE_RECOVERY_MAX][RECOVERY_CODE_LEN], loud[64];
    uint8_t hashes[STORE_RECOVERY_MAX * STORE_RECOVERY_LEN];
    assert_true(recovery_new(codes, hashes));
    assert_int_equal(recovery_left(hashes), STORE_RECOVERY_MAX);
    for (size_t i = 0; i < STORE_RECOVERY_MAX; i++) {
        assert_int_equal(strlen(codes[i]), 19);
        assert_int_equal(strspn(codes[i], "abcdefghijklmnopqrstuvwxyz234567-"), 19);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(codes[i], codes[j]);
    }
    assert_true(recovery_use(hashes, codes[2]));
    assert_false(recovery_use(hashes, codes[2]));
    snprintf(loud, sizeof loud, " %s ", codes[5]);
    for (char *c = loud; *c != '\0'; c++)
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c == '-' ? ' ' : *c);
    assert_true(recovery_use(hashes, loud));
    assert_int_equal(recovery_left(hashes), STORE_RECOVERY_MAX - 2);
    assert_false(recovery_use(hashes, ""));
    assert_false(recovery_use(hashes, "aaaa-aaaa-aaaa-aaaa"));
    assert_false(recovery_use(hashes, "aaaa-aaaa-aaaa-aaaa-aaaa"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_rfcs),
        cmocka_unit_test(a_code_is_good_once_and_a_step_early_or_late),
        cmocka_unit_test(apps_read_the_secret),
        cmocka_unit_test(a_recovery_code_is_good_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
