/* filter_test.c - what filters mean, row by row, and what is no filter. */
#include "cmocka_all.h"

#include <stdio.h>

#include "host/filter/filter.h"
#include "molt_reason.h"

#define NOW 1000000000000LL

static struct model_device the_device(void)
{
    return (struct model_device){.id = "5ccf7fc602e2",
                                 .chip = MOLT_CHIP_ESP8266,
                                 .client = MODEL_CLIENT_ESP8266,
                                 .running_code = 1002,
                                 .running_version = "1.2",
                                 .flash_size = 4 << 20,
                                 .fs_start = 0x200000,
                                 .core = "2.2.2-dev",
                                 .address = "192.168.1.7",
                                 .attempt = MODEL_ATTEMPT_ROLLED_BACK,
                                 .last_reason = MOLT_UP_TO_DATE,
                                 .last_seen_ms = NOW - 3600000,
                                 .verified = true,
                                 .group_name = "berlin",
                                 .tags = "canary roof",
                                 .attributes = "board=v2 floor=12 room=A3"};
}

static bool matches(const char *text)
{
    struct filter filter;
    char error[200] = "";
    struct model_device device = the_device();
    if (filter_parse(&filter, text, error, sizeof error) != 0) fail_msg("%s: %s", text, error);
    return filter_match(&filter, &(struct filter_subject){&device, "door", NOW});
}

static void filters_mean_what_they_say(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool matches;
    } rows[] = {
        {"", true},
        {"  \t", true},
        {"id = 5ccf7fc602e2", true},
        {"id != 5ccf7fc602e2", false},
        {"id ~ 5ccf7f*", true},
        {"id ~ 5ccf7f", false},
        {"product = door", true},
        {"product in (lamp, door)", true},
        {"product in (lamp)", false},
        {"channel = stable", true},
        {"group = berlin", true},
        {"group=\"berlin\"", true},
        {"tag = canary", true},
        {"tag = can", false},
        {"tag ~ r??f", true},
        {"tag != canary", false},
        {"tag != test", true},
        {"not tag = test and chip = esp8266", true},
        {"client = esphttpupdate", true},
        {"version = 1.2", true},
        {"code = 1002", true},
        {"code < 1002", false},
        {"code <= 1002", true},
        {"code >= 1003", false},
        {"flash = 4M", true},
        {"flash = 4096K", true},
        {"fs > 1M", true},
        {"layout = 4M2M", true},
        {"layout != 4M2M", false},
        {"layout ~ 4M*", true},
        {"pin = 0", true},
        {"result = none", true},
        {"slot = 0", true},
        {"core ~ 2.*", true},
        {"state = rolled-back", true},
        {"reason = up-to-date", true},
        {"address ~ 192.168.*", true},
        {"seen < 61m", true},
        {"seen < 1h", false},
        {"seen <= 1h", true},
        {"seen > 30d", false},
        {"known = never", true},
        {"held = no", true},
        {"held != no", false},
        {"verified = yes", true},
        {"rollout = 0", true},
        {"attr.board = v2", true},
        {"attr.board ~ v*", true},
        {"attr.floor > 9", true},
        {"attr.floor < 9", false},
        {"attr.room > A2", true},
        {"attr.none = x", false},
        {"attr.none < x", false},
        {"attr.none != x", true},
        {"attr.boar = v2", false},
        {"tag = test or tag = roof and chip = esp32", false},
        {"(tag = roof or tag = test) and chip = esp8266", true},
        {"tag = roof or tag = test and chip = esp32", true},
        {"not not tag = roof", true},
        {"not (tag = roof and tag = canary)", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (matches(rows[i].text) != rows[i].matches) fail_msg("'%s' is wrong", rows[i].text);
}

static void what_is_no_filter_is_refused_with_its_place_and_then_matches_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } rows[] = {
        {"id", "character 3"},
        {"id =", "value"},
        {"= 3", "field"},
        {"colour = red", "colour"},
        {"id < 3", "compared"},
        {"code ~ 3", "compared"},
        {"code = x", "number"},
        {"seen = 3", "age"},
        {"held = maybe", "yes or no"},
        {"(id = x", "')'"},
        {"id = x)", "the end"},
        {"id = x id = y", "the end"},
        {"id = \"x", "no end"},
        {"id = x and", "field"},
        {"id in x", "'in' wants"},
        {"id in (x", "')'"},
        {"id in ()", "value"},
        {"id = $", "unexpected"},
        {"attr. = x", "attr."},
        {"code = 99999999999999999999", "number"},
        {"not", "field"},
        {"seen < 999999999999999d", "age"},
        {"id = \"a\x01\"", "control"},
        {"id = 00000000000000000000000000000000000000000000000000000000000000000", "64 characters"},
    };
    struct model_device device = the_device();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct filter filter;
        char error[200] = "";
        assert_int_equal(filter_parse(&filter, rows[i].text, error, sizeof error), -1);
        if (strstr(error, rows[i].part) == NULL) fail_msg("'%s': %s", rows[i].text, error);
        assert_false(filter_match(&filter, &(struct filter_subject){&device, "door", NOW}));
    }
}

static void depth_size_and_length_are_bounded(void **state)
{
    (void)state;
    struct filter filter;
    char text[4096], error[200];
    for (int depth = 1; depth <= 40; depth++) {
        snprintf(text, sizeof text, "%.*sid = x%.*s", depth, "((((((((((((((((((((((((((((((((((((((((",
                 depth, "))))))))))))))))))))))))))))))))))))))))");
        assert_int_equal(filter_parse(&filter, text, error, sizeof error),
                         depth <= FILTER_DEPTH_MAX ? 0 : -1);
    }
    size_t len = 0;
    for (int i = 0; i < 40; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%sid=x", i > 0 ? " or " : "");
    assert_int_equal(filter_parse(&filter, text, error, sizeof error), -1); /* 79 nodes */
    memset(text, ' ', sizeof text);
    text[FILTER_TEXT_MAX - 1] = '\0';
    assert_int_equal(filter_parse(&filter, text, error, sizeof error), 0);
    text[FILTER_TEXT_MAX - 1] = ' ';
    text[sizeof text - 1] = '\0';
    assert_int_equal(filter_parse(&filter, text, error, sizeof error), -1);
}

static void a_hostile_glob_takes_no_more_than_pattern_times_text(void **state)
{
    (void)state;
    struct filter filter;
    struct model_device device = {.id = "x"};
    memset(device.running_version, 'a', sizeof device.running_version - 1);
    assert_int_equal(
        filter_parse(&filter, "version ~ *a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", NULL, 0), 0);
    for (int i = 0; i < 10000; i++)
        assert_false(filter_match(&filter, &(struct filter_subject){&device, "", NOW}));
}

static void filters_print_with_no_more_brackets_than_needed(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"( (id=x))and(not(tag=y))", "id = x and not tag = y"},
        {"id=x or (tag=y and tag=z)", "id = x or tag = y and tag = z"},
        {"(id=x or tag=y) and tag=z", "(id = x or tag = y) and tag = z"},
        {"not (id=x or tag=y)", "not (id = x or tag = y)"},
        {"tag in (a,b) and held=no", "(tag = a or tag = b) and held = no"},
        {"version = \"a b\"", "version = \"a b\""},
        {"attr.room=\"q\\\"\"", "attr.room = \"q\\\"\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct filter filter;
        char out[FILTER_TEXT_MAX];
        assert_int_equal(filter_parse(&filter, rows[i][0], NULL, 0), 0);
        assert_int_equal(filter_print(&filter, out, sizeof out), (int)strlen(rows[i][1]));
        assert_string_equal(out, rows[i][1]);
        assert_int_equal(filter_print(&filter, out, strlen(rows[i][1])), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_mean_what_they_say),
        cmocka_unit_test(what_is_no_filter_is_refused_with_its_place_and_then_matches_nothing),
        cmocka_unit_test(depth_size_and_length_are_bounded),
        cmocka_unit_test(a_hostile_glob_takes_no_more_than_pattern_times_text),
        cmocka_unit_test(filters_print_with_no_more_brackets_than_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
