/* window_test.c - maintenance windows: what they mean row by row, what is none, and that local time is what libc says it
 * is, in many zones at random times. MOLT_SEED repeats a run. */
#define _GNU_SOURCE /* tm_gmtoff */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "host/filter/window.h"

#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"

static int64_t utc(int year, int month, int day, int hour, int minute)
{
    struct tm tm = {
        .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute};
    return (int64_t)timegm(&tm) * 1000;
}

static void windows_open_when_they_say(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int month, day, hour, minute; /* of 2026, UTC */
        int opens_in_m;
    } rows[] = {
        {"01:00-04:00", 6, 1, 0, 59, 1},
        {"01:00-04:00", 6, 1, 1, 0, 0},
        {"01:00-04:00", 6, 1, 3, 59, 0},
        {"01:00-04:00", 6, 1, 4, 0, 21 * 60},
        {"mon 01:00-04:00", 6, 1, 2, 0, 0}, /* 2026-06-01 is a Monday */
        {"tue 01:00-04:00", 6, 1, 2, 0, 23 * 60},
        {"sun 01:00-04:00", 6, 1, 0, 0, (6 * 24 + 1) * 60},
        {"mon 01:00-04:00", 6, 1, 5, 0, (7 * 24 - 4) * 60},
        {"sat-mon 10:00-11:00", 6, 1, 10, 30, 0},
        {"mon,wed 10:00-11:00", 6, 2, 10, 0, 24 * 60},
        {"sun 22:00-02:00", 6, 1, 1, 59, 0}, /* it began on Sunday */
        {"sun 22:00-02:00", 6, 1, 2, 0, (6 * 24 + 20) * 60},
        {"mon 22:00-02:00", 6, 1, 1, 0, 21 * 60},
        {"sat 00:00-24:00", 6, 6, 23, 59, 0},
        {"sat 00:00-24:00", 6, 7, 0, 0, 6 * 24 * 60},
        {"01:00-04:00 " BERLIN, 6, 1, 23, 0, 0},       /* summer: 01:00 */
        {"01:00-04:00 " BERLIN, 1, 1, 23, 0, 60},      /* winter: 00:00 */
        {"01:00-04:00 " BERLIN, 3, 29, 0, 30, 0},      /* 01:30 before the change */
        {"03:00-04:00 " BERLIN, 3, 29, 0, 59, 1},      /* 01:59 is followed by 03:00 */
        {"05:00-06:00 " BERLIN, 3, 28, 22, 0, 5 * 60}, /* 23:00; an hour is left out until then */
        {"09:00-10:00 <+0530>-5:30", 6, 1, 3, 30, 0},
        {"09:00-10:00 <-03>3", 6, 1, 12, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct window window;
        assert_int_equal(window_parse(&window, rows[i].text), 0);
        int64_t now = utc(2026, rows[i].month, rows[i].day, rows[i].hour, rows[i].minute);
        int64_t is = window_opens_in(&window, now);
        if (is != (int64_t)rows[i].opens_in_m * 60000)
            fail_msg("row %zu: %s opens in %lld min", i, rows[i].text, (long long)is / 60000);
    }
}

static void what_is_no_window_never_opens(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "mon",
                                      "01:00",
                                      "01:00-",
                                      "1-2",
                                      "25:00-26:00",
                                      "24:00-01:00",
                                      "01:60-02:00",
                                      "01:00-02:00 ",
                                      "01:00-02:00 X1",
                                      "01:00-02:00 CET",
                                      "01:00-02:00 CET-1CEST",
                                      "01:00-02:00 CET-1CEST,M3.5.0",
                                      "01:00-02:00 CET-1CEST,M13.5.0,M1.1.1",
                                      "01:00-02:00 CET-1CEST,M3.6.0,M1.1.1",
                                      "01:00-02:00 CET-1CEST,M3.5.7,M1.1.1",
                                      "mon- 01:00-02:00",
                                      "mon-xyz 01:00-02:00",
                                      "mon,01:00-02:00",
                                      "01:00-02:00 CET-999",
                                      "01:00-02:00 <CET",
                                      "01:00-02:00 CET-1 x",
                                      "01:00-02:00 CET-1CEST,J0,J1",
                                      "01:00-02:00 Europe/Berlin"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct window window;
        if (window_parse(&window, bad[i]) != -1) fail_msg("'%s' is taken", bad[i]);
        assert_int_equal(window_opens_in(&window, utc(2026, 1, 1, 0, 0)), -1);
    }
}

static void a_zone_is_found_by_name_and_no_other_file_is(void **state)
{
    (void)state;
    char out[WINDOW_TEXT_MAX], error[200];
    assert_int_equal(window_resolve("mon-fri 01:00-04:00 Europe/Berlin", out, error, sizeof error), 0);
    assert_string_equal(out, "mon-fri 01:00-04:00 " BERLIN);
    assert_int_equal(window_resolve("01:00-04:00", out, error, sizeof error), 0);
    assert_string_equal(out, "01:00-04:00");
    assert_int_equal(window_resolve("01:00-04:00 " BERLIN, out, error, sizeof error), 0);
    static const char *const bad[] = {"01:00-04:00 Europe/Nowhere", "01:00-04:00 ../../etc/passwd",
                                      "01:00-04:00 /etc/passwd",    "01:00-04:00 Europe",
                                      "soon Europe/Berlin",         "01:00-04:00 Europe/../Asia/Tokyo"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(window_resolve(bad[i], out, error, sizeof error), -1);
}

static void local_time_is_what_libc_says(void **state)
{
    (void)state;
    static const char *const zones[] = {BERLIN,
                                        "EST5EDT,M3.2.0,M11.1.0",
                                        "AEST-10AEDT,M10.1.0,M4.1.0/3",
                                        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
                                        "NST3:30NDT,M3.2.0,M11.1.0",
                                        "IST-1GMT0,M10.5.0,M3.5.0/1",
                                        "<-03>3",
                                        "UTC0",
                                        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
                                        "EET-2EEST,M4.5.5/0,M10.5.4/24",
                                        "<+14>-14",
                                        "XXX4YYY,J60/2,J300/3",
                                        "XXX-4YYY,59/2,299/3",
                                        "<-04>4<-03>,M9.1.6/24,M4.1.6/24"};
    const char *given = getenv("MOLT_SEED");
    uint64_t random = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("MOLT_SEED=%llu\n", (unsigned long long)random);
    for (size_t z = 0; z < sizeof zones / sizeof zones[0]; z++) {
        char text[WINDOW_TEXT_MAX];
        struct window window;
        snprintf(text, sizeof text, "00:00-24:00 %s", zones[z]);
        if (window_parse(&window, text) != 0) fail_msg("%s", text);
        setenv("TZ", zones[z], 1);
        tzset();
        for (int i = 0; i < 20000; i++) {
            struct tm tm;
            random = random * 6364136223846793005u + 1442695040888963407u;
            time_t at = (time_t)(random >> 31); /* up to 2242 */
            localtime_r(&at, &tm);
            if (tm.tm_gmtoff != window_offset(&window, at))
                fail_msg("%s at %lld: %ld, not %d", zones[z], (long long)at, tm.tm_gmtoff,
                         window_offset(&window, at));
        }
    }
    unsetenv("TZ");
    tzset();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_open_when_they_say),
        cmocka_unit_test(what_is_no_window_never_opens),
        cmocka_unit_test(a_zone_is_found_by_name_and_no_other_file_is),
        cmocka_unit_test(local_time_is_what_libc_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
