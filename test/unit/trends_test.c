/* trends_test.c - the points of plots: bounded, thinned out, and the same after a restart; a damaged file is no harm. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/watch/trends.h"
#include "temp_dir.h"

static json_t *path(json_t *json, const char *first, const char *second)
{
    return json_object_get(json_object_get(json, first), second);
}

static void rates_keep_the_last(void **state)
{
    (void)state;
    struct trends *trends = trends_new();
    for (int i = 0; i < TRENDS_MINUTES + 10; i++)
        trends_rates(trends, i, i, 2.0 * i);
    json_t *json = trends_json(trends);
    assert_int_equal(json_array_size(path(json, "rates", "times_ms")), TRENDS_MINUTES);
    assert_int_equal(json_integer_value(json_array_get(path(json, "rates", "times_ms"), 0)), 10);
    assert_int_equal((int)json_number_value(json_array_get(path(json, "rates", "bytes"), TRENDS_MINUTES - 1)),
                     2 * (TRENDS_MINUTES + 9));
    json_decref(json);
    trends_free(trends);
}

static void a_long_rollout_is_thinned_out(void **state)
{
    (void)state;
    struct trends *trends = trends_new();
    for (int i = 0; i < 10000; i++)
        trends_rollout(trends, i, 7, (uint32_t)i, 0, 0);
    json_t *json = trends_progress_json(trends, 7), *times = json_object_get(json, "times_ms");
    size_t count = json_array_size(times);
    assert_true(count > TRENDS_POINTS / 2 && count <= TRENDS_POINTS);
    assert_int_equal(json_integer_value(json_array_get(times, 0)), 0);
    assert_true(json_integer_value(json_array_get(times, count - 1)) > 9900);
    for (size_t i = 1; i < count; i++)
        assert_true(json_integer_value(json_array_get(times, i)) >
                    json_integer_value(json_array_get(times, i - 1)));
    json_decref(json);
    json = trends_progress_json(trends, 8);
    assert_int_equal(json_array_size(json_object_get(json, "times_ms")), 0);
    json_decref(json);
    trends_free(trends);
}

static void note(struct trends *trends, int64_t now_ms, const char *version, uint64_t count)
{
    trends_versions_begin(trends, now_ms);
    trends_version(trends, "lamp", version, count);
    trends_versions_end(trends);
}

static void the_rarest_version_gives_way(void **state)
{
    (void)state;
    struct trends *trends = trends_new();
    char version[16];
    trends_versions_begin(trends, 1);
    for (unsigned i = 0; i < TRENDS_VERSIONS; i++) {
        snprintf(version, sizeof version, "%u", i);
        trends_version(trends, "lamp", version, 100 + i);
    }
    trends_version(trends, "lamp", "rare", 1); /* finds no place */
    trends_version(trends, "lamp", "common", 500);
    trends_versions_end(trends);
    json_t *json = trends_json(trends), *series = path(json, "shares", "series");
    bool rare = false, common = false, first = false;
    for (size_t i = 0; i < json_array_size(series); i++) {
        const char *is = json_string_value(json_object_get(json_array_get(series, i), "version"));
        rare = rare || strcmp(is, "rare") == 0;
        common = common || strcmp(is, "common") == 0;
        first = first || strcmp(is, "0") == 0;
    }
    assert_true(common && !rare && !first);
    json_decref(json);
    trends_free(trends);
}

static void a_restart_forgets_nothing(void **state)
{
    (void)state;
    char file[96];
    struct temp_dir dir;
    struct trends *before = trends_new(), *after = trends_new();
    temp_dir_make(&dir);
    snprintf(file, sizeof file, "%s/trends.json", dir.path);
    trends_rates(before, 60000, 1.5, 3000);
    for (int hour = 0; hour < TRENDS_HOURS + 3; hour++)
        note(before, hour, hour < 400 ? "1" : "2", (uint64_t)hour);
    note(before, 1000, "not \xff UTF-8", 5);
    trends_rollout(before, 1, 3, 10, 5, 1);
    assert_true(trends_save(before, file));
    assert_true(trends_load(after, file));
    json_t *is = trends_json(after), *was = trends_json(before);
    assert_true(json_equal(is, was));
    assert_int_equal(json_array_size(path(is, "shares", "times_ms")), TRENDS_HOURS);
    json_decref(is);
    json_decref(was);
    is = trends_progress_json(after, 3);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(is, "succeeded"), 0)), 5);
    json_decref(is);
    trends_free(before);
    trends_free(after);
    temp_dir_remove(&dir);
}

static void a_damaged_file_is_no_harm(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"rates\":7,\"shares\":[],\"rollouts\":{}}",
        "{\"rates\":{\"times_ms\":[1,\"x\",null],\"requests\":[-1,1e300],\"bytes\":7},"
        "\"shares\":{\"times_ms\":[1,2],\"series\":[7,{\"product\":7,\"counts\":[1,-5,99999999999]}]},"
        "\"rollouts\":[7,{\"rollout\":1,\"every\":-3,\"times_ms\":[1],\"offered\":7}]}"};
    char file[96];
    struct temp_dir dir;
    temp_dir_make(&dir);
    snprintf(file, sizeof file, "%s/trends.json", dir.path);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct trends *trends = trends_new();
        FILE *out = fopen(file, "w");
        assert_non_null(out);
        fputs(texts[i], out);
        fclose(out);
        (void)trends_load(trends, file);
        trends_rates(trends, 5, 1, 1);
        note(trends, 5, "1", 1);
        trends_rollout(trends, 5, 1, 1, 1, 1);
        json_t *json = trends_json(trends);
        assert_non_null(json);
        json_decref(json);
        trends_free(trends);
    }
    temp_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_keep_the_last), cmocka_unit_test(a_long_rollout_is_thinned_out),
        cmocka_unit_test(the_rarest_version_gives_way), cmocka_unit_test(a_restart_forgets_nothing),
        cmocka_unit_test(a_damaged_file_is_no_harm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
