/* text_test.c - numbers and hex from outside are read strictly: what does not fit is refused. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "util/text.h"

#define KEEP 77u /* *value must stay untouched on refusal */

static bool reads(const char *text, uint32_t max, uint32_t want)
{
    size_t len = strlen(text);
    char *exact = malloc(len + 1); /* no NUL behind it: an over-read is seen by the sanitizer */
    assert_non_null(exact);
    memcpy(exact, text, len);
    char *tight = realloc(exact, len > 0 ? len : 1);
    assert_non_null(tight);
    uint32_t value = KEEP;
    bool ok = molt_text_to_u32(tight, len, max, &value);
    free(tight);
    assert_int_equal(value, ok ? want : KEEP);
    return ok;
}

static void decimal_numbers_up_to_the_bound_are_read(void **state)
{
    (void)state;
    assert_true(reads("0", 0, 0));
    assert_true(reads("0", UINT32_MAX, 0));
    assert_true(reads("2017102501", 2147483647, 2017102501));
    assert_true(reads("2147483647", 2147483647, 2147483647));
    assert_true(reads("4294967295", UINT32_MAX, UINT32_MAX));
    assert_true(reads("000000000000000000042", UINT32_MAX, 42));
    assert_true(reads("9", 9, 9));
}

static void numbers_beyond_the_bound_are_refused_not_wrapped(void **state)
{
    (void)state;
    assert_false(reads("2147483648", 2147483647, 0));
    assert_false(reads("4294967296", UINT32_MAX, 0));
    assert_false(reads("42949672950", UINT32_MAX, 0));
    assert_false(reads("99999999999999999999", UINT32_MAX, 0));
    assert_false(reads("1", 0, 0));
    assert_false(reads("10", 9, 0));
    assert_false(reads("5", 3, 0));
}

static void text_that_is_no_plain_number_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", " 1", "1 ", "+1", "-1", "1.5", "0x10", "1a", "a", "\xEF\xBB\xBF\x31", "v1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(reads(bad[i], UINT32_MAX, 0));
    uint32_t value = KEEP;
    assert_false(molt_text_to_u32("1\0", 2, UINT32_MAX, &value));
    assert_int_equal(value, KEEP);
}

static void every_bound_near_a_value_decides_exactly(void **state)
{
    (void)state;
    for (uint32_t value = 0; value < 1200; value++) {
        char text[16];
        snprintf(text, sizeof text, "%u", value);
        for (uint32_t max = value < 12 ? 0 : value - 12; max < value + 12; max++)
            assert_int_equal(reads(text, max, value), value <= max);
    }
}

static void numbers_are_written_as_printf_writes_them(void **state)
{
    (void)state;
    static const uint32_t values[] = {0, 9, 10, 99, 100, 65535, 2017102501, 2147483647, UINT32_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char want[16], out[MOLT_DECIMAL_MAX];
        int len = snprintf(want, sizeof want, "%u", values[i]);
        assert_int_equal(molt_u32_to_text(values[i], out), len);
        assert_memory_equal(out, want, (size_t)len);
    }
}

static void hex_is_read_in_either_case_and_exact_length(void **state)
{
    (void)state;
    uint8_t mac[6];
    static const uint8_t want[6] = {0x5C, 0xCF, 0x7F, 0xC6, 0x02, 0xE2};
    assert_true(molt_hex_decode("5CCF7FC602E2", 12, mac, 6));
    assert_memory_equal(mac, want, 6);
    assert_true(molt_hex_decode("5ccf7fc602e2", 12, mac, 6));
    assert_memory_equal(mac, want, 6);
    assert_false(molt_hex_decode("5ccf7fc602e", 11, mac, 6));
    assert_false(molt_hex_decode("5ccf7fc602e2a", 13, mac, 6));
    assert_false(molt_hex_decode("5ccf7fc602g2", 12, mac, 6));
    char text[13];
    molt_hex_encode(want, 6, text);
    assert_string_equal(text, "5ccf7fc602e2");
    uint32_t value = KEEP;
    assert_true(molt_hex_to_u32("fFfFfFfF", 8, UINT32_MAX, &value));
    assert_int_equal(value, UINT32_MAX);
    assert_false(molt_hex_to_u32("100000000", 9, UINT32_MAX, &value));
    assert_false(molt_hex_to_u32("g", 1, UINT32_MAX, &value));
}

static void hex_digits_are_exactly_the_twenty_two(void **state)
{
    (void)state;
    for (int c = -128; c < 128; c++) {
        const char *digits = "0123456789abcdef0123456789ABCDEF";
        const char *at = c == 0 ? NULL : strchr(digits, c);
        assert_int_equal(molt_hex_digit((char)c), at == NULL ? -1 : (int)(at - digits) % 16);
    }
}

static void names_are_compared_without_case_and_whole(void **state)
{
    (void)state;
    assert_true(molt_text_is("Content-LENGTH", 14, "content-length"));
    assert_false(molt_text_is("Content-Lengt", 13, "content-length"));
    assert_false(molt_text_is("Content-Lengthy", 15, "content-length"));
    assert_true(molt_text_is("", 0, ""));
    assert_false(molt_text_is("", 0, "a"));
    assert_false(molt_text_is("a\0b", 3, "a"));
    assert_false(molt_text_is("[", 1, "{")); /* differ by 0x20 but are no letters */
    assert_true(molt_text_printable(" ~", 2));
    assert_false(molt_text_printable("\x7F", 1));
    assert_false(molt_text_printable("\x1F", 1));
    assert_false(molt_text_printable("\x80", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimal_numbers_up_to_the_bound_are_read),
        cmocka_unit_test(numbers_beyond_the_bound_are_refused_not_wrapped),
        cmocka_unit_test(text_that_is_no_plain_number_is_refused),
        cmocka_unit_test(every_bound_near_a_value_decides_exactly),
        cmocka_unit_test(numbers_are_written_as_printf_writes_them),
        cmocka_unit_test(hex_is_read_in_either_case_and_exact_length),
        cmocka_unit_test(hex_digits_are_exactly_the_twenty_two),
        cmocka_unit_test(names_are_compared_without_case_and_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
