/* clock_test.c - ports/clock: the day of the build is before now and not long ago, and dates of HTTP answers are read as
 * libc reads them, or not at all. */
#include "ports/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static uint32_t read_date(const char *date)
{
    char head[200];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nServer: x\r\ndate:  %s\r\nContent-Length: 0\r\n\r\n", date);
    return molt_clock_from_head(head, (size_t)n);
}

static void test_the_build_is_before_now(void **state)
{
    (void)state;
    time_t now = time(NULL);
    assert_true(molt_clock_floor() <= (uint64_t)now);
    assert_true(molt_clock_floor() > 1700000000u); /* when this was not yet written */
    assert_int_equal(molt_clock_floor() % 86400u, 0);
}

/* Each day from the build to 2099, at another second. */
static void test_dates_are_what_libc_says(void **state)
{
    (void)state;
    unsigned seen = 0;
    for (uint64_t t = molt_clock_floor(); t < 4102444800u; t += 86400u + 977u) {
        const time_t at = (time_t)t;
        struct tm tm;
        char text[40];
        assert_non_null(gmtime_r(&at, &tm));
        assert_int_equal(strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm), 29);
        assert_int_equal(read_date(text), (uint32_t)t);
        seen++;
    }
    assert_true(seen > 10000);
}

static void test_before_the_build_is_not_believed(void **state)
{
    (void)state;
    assert_int_equal(read_date("Sun, 06 Nov 1994 08:49:37 GMT"), 0);
    const time_t before = (time_t)molt_clock_floor() - 1;
    struct tm tm;
    char text[40];
    assert_non_null(gmtime_r(&before, &tm));
    assert_int_equal(strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm), 29);
    assert_int_equal(read_date(text), 0);
}

static void test_what_is_no_date(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "Sun, 06 Nov 2044 08:49:37 GM",
        "Sun, 06 Nov 2044 08:49:37 GMTX",
        "Sun, 06 Nov 2044 08:49:37 CET",
        "Sunday, 06-Nov-44 08:49:37 GMT",
        "Sun, 00 Nov 2044 08:49:37 GMT",
        "Sun, 32 Nov 2044 08:49:37 GMT",
        "Sun, 06 Nuv 2044 08:49:37 GMT",
        "Sun, 06 Nov 2144 08:49:37 GMT",
        "Sun, 06 Nov 2044 24:49:37 GMT",
        "Sun, 06 Nov 2044 08:60:37 GMT",
        "Sun, 06 Nov 2044 08:49:61 GMT",
        "Sun, 6  Nov 2044 08:49:37 GMT",
        "Sun, +6 Nov 2044 08:49:37 GMT",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(read_date(bad[i]), 0);
    assert_true(read_date("Sun, 06 Nov 2044 08:49:37 GMT") != 0);
}

/* A line that is cut is none; what follows the head is not the head. */
static void test_only_whole_lines_of_the_head(void **state)
{
    (void)state;
    static const char head[] = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 2044 08:49:37 GMT\r\n\r\n";
    static const char body[] = "HTTP/1.1 200 OK\r\n\r\nDate: Sun, 06 Nov 2044 08:49:37 GMT\r\n\r\n";
    for (size_t len = 0; len < sizeof head - 1; len++) {
        const uint32_t got = molt_clock_from_head(head, len);
        assert_true((got != 0) == (len >= sizeof head - 1 - 3));
    }
    assert_int_equal(molt_clock_from_head(body, sizeof body - 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_build_is_before_now),
        cmocka_unit_test(test_dates_are_what_libc_says),
        cmocka_unit_test(test_before_the_build_is_not_believed),
        cmocka_unit_test(test_what_is_no_date),
        cmocka_unit_test(test_only_whole_lines_of_the_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
