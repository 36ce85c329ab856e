/* api_counts_test.c - the fleet in numbers, in-process on a real store: overview, counts by a field, whom a rollout would reach;
 * and that a tally never grows with what devices say. */
#include "cmocka_all.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "api_case.h"
#include "server/api/tally.h"
#include "server/rollouts/rollout.h"
#include "unit/store_fixture.h"

#define DEVICES 200

static struct {
    struct fixture *store;
    struct api api;
} f;

/* lamp has 200 devices: a tenth failed, every fourth is a canary, half run the newest; one has no product. */
static int open_api(void **state)
{
    memset(&f, 0, sizeof f);
    set_up(state);
    f.store = *state;
    f.api = (struct api){.store = f.store->store};
    struct model_image image = image_of(f.store->store, "x");
    publish(f.store->store, "lamp", 3, &image);
    struct model_device *devices = calloc(DEVICES + 1, sizeof *devices);
    for (int i = 0; i <= DEVICES; i++) {
        struct model_device *device = &devices[i];
        snprintf(device->id, sizeof device->id, "5ccf7f%06x", i);
        device->product_id = i < DEVICES;
        device->chip = MOLT_CHIP_ESP8266;
        device->chip_source = MODEL_CHIP_SAID;
        device->running_code = i % 2 == 0 ? 3 : 2;
        snprintf(device->running_version, sizeof device->running_version, "%u", device->running_code);
        if (i % 4 == 0) snprintf(device->tags, sizeof device->tags, "canary");
        if (i % 10 == 0 && i < DEVICES) {
            device->attempt = MODEL_ATTEMPT_ROLLED_BACK;
            device->attempt_reason = MOLT_CRASHED;
            device->last_reason = MOLT_CRASHED;
        }
    }
    int rc = store_save_devices(f.store->store, devices, DEVICES + 1);
    free(devices);
    return rc;
}

static json_t *call(const char *method, const char *path, const char *query, const char *body, int want)
{
    return api_case_call(&f.api, method, path, query, body, want);
}

static int number(const json_t *json, const char *field)
{
    const json_t *value = json_object_get(json, field);
    assert_true(json_is_integer(value));
    return (int)json_integer_value(value);
}

static void the_overview_counts_each_device_once(void **state)
{
    (void)state;
    json_t *json = call("GET", "/api/v1/overview", "", "", 200), *devices = json_object_get(json, "devices");
    assert_int_equal(number(devices, "total"), DEVICES + 1);
    assert_int_equal(number(devices, "never"), DEVICES + 1);
    assert_int_equal(number(devices, "unassigned"), 1);
    assert_int_equal(number(devices, "failed"), DEVICES / 10);
    assert_int_equal(number(devices, "newest"), DEVICES / 2);
    assert_int_equal(number(devices, "judged"), DEVICES);
    json_t *versions = json_object_get(json, "versions");
    assert_int_equal(json_array_size(versions), 3); /* lamp 2, lamp 3, and the one without a product */
    assert_int_equal(number(json_array_get(versions, 0), "count"), DEVICES / 2);
    json_t *reason = json_array_get(json_object_get(json, "reasons"), 0);
    assert_string_equal(json_string_value(json_object_get(json_object_get(reason, "reason"), "id")),
                        "crashed");
    assert_int_equal(number(reason, "count"), DEVICES / 10);
    json_decref(json);
}

static void counts_are_by_a_field_of_what_matches(void **state)
{
    (void)state;
    json_t *json = call("GET", "/api/v1/device-counts", "by=failure&filter=tag%20%3D%20canary", "", 200);
    assert_int_equal(number(json, "total"), DEVICES / 4 + 1);
    json_t *groups = json_object_get(json, "groups"), *second = json_array_get(groups, 1);
    assert_int_equal(json_array_size(groups), 2);
    assert_true(json_is_null(json_object_get(json_array_get(groups, 0), "value")));
    assert_string_equal(json_string_value(json_object_get(second, "value")), "crashed");
    assert_int_equal(number(second, "count"), DEVICES / 20);
    json_decref(json);
    json_decref(call("GET", "/api/v1/device-counts", "by=state", "", 200));
    json_decref(call("GET", "/api/v1/device-counts", "by=colour", "", 400));
    json_decref(call("GET", "/api/v1/device-counts", "", "", 400));
    json_decref(call("GET", "/api/v1/device-counts", "by=state&filter=%28", "", 400));
}

/* The preview says whom the rollout reaches: rollout_bucket() and the filters, worked out here anew. */
static void a_preview_is_what_the_rollout_reaches(void **state)
{
    (void)state;
    const struct model_rollout rollout = {.id = 1, .salt = 77};
    int first = 0, second = 0;
    for (int i = 0; i < DEVICES; i++) {
        char id[MODEL_ID_LEN];
        snprintf(id, sizeof id, "5ccf7f%06x", i);
        bool canary = i % 4 == 0, low = rollout_bucket(&rollout, id) < MODEL_BUCKETS / 4;
        first += canary;
        second += canary || low;
    }
    json_t *json =
        call("POST", "/api/v1/rollout-preview", "",
             "{\"release\":1,\"salt\":77,\"phases\":[{\"percent\":100,\"filter\":\"tag = canary\"},"
             "{\"percent\":25},{\"percent\":100}]}",
             200);
    json_t *phases = json_object_get(json, "phases");
    assert_int_equal(number(json, "product_devices"), DEVICES);
    assert_int_equal(number(json, "targeted"), DEVICES);
    assert_int_equal(number(json_array_get(phases, 0), "devices"), first);
    assert_int_equal(number(json_array_get(phases, 1), "devices"), second);
    assert_int_equal(number(json_array_get(phases, 1), "added"), second - first);
    assert_int_equal(number(json_array_get(phases, 2), "devices"), DEVICES);
    assert_int_equal(json_array_size(json_object_get(json_array_get(phases, 0), "sample")), 12);
    json_decref(json);
    json_t *rollouts = call("GET", "/api/v1/rollouts", "", "", 200);
    assert_int_equal(json_array_size(json_object_get(rollouts, "rollouts")), 0); /* nothing was made */
    json_decref(rollouts);
    json = call("POST", "/api/v1/rollout-preview", "", "{\"release\":1,\"target\":\"tag = nobody\"}", 200);
    assert_int_equal(number(json, "targeted"), 0);
    json_decref(json);
    json_decref(call("POST", "/api/v1/rollout-preview", "", "{\"release\":9}", 404));
    json_decref(call("POST", "/api/v1/rollout-preview", "", "{\"release\":1,\"target\":\"(\"}", 400));
}

static void without_a_server_there_are_no_trends(void **state)
{
    (void)state;
    json_decref(call("GET", "/api/v1/server", "", "", 404));
    json_decref(call("GET", "/api/v1/trends", "", "", 404));
    json_decref(call("GET", "/api/v1/events", "", "", 404));
}

static void a_tally_is_bounded_and_sorted(void **state)
{
    (void)state;
    struct tally *tally = calloc(1, sizeof *tally);
    char text[300];
    for (int i = 0; i < 3 * TALLY_MAX; i++) {
        snprintf(text, sizeof text, "version %d", i);
        for (int n = 0; n < (i == 5 ? 3 : 1); n++)
            tally_add(tally, text, 1);
    }
    assert_int_equal(tally->used, TALLY_MAX);
    assert_int_equal(tally->total, 3 * TALLY_MAX + 2);
    assert_int_equal(tally->other, 2 * TALLY_MAX);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    tally_add(tally, text, 1);
    tally_sort(tally);
    assert_string_equal(tally->entries[0].text, "version 5");
    assert_int_equal(tally->entries[0].count, 3);
    for (uint32_t i = 1; i < tally->used; i++)
        assert_true(tally->entries[i].count == 1);
    free(tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_overview_counts_each_device_once, open_api, tear_down),
        cmocka_unit_test_setup_teardown(counts_are_by_a_field_of_what_matches, open_api, tear_down),
        cmocka_unit_test_setup_teardown(a_preview_is_what_the_rollout_reaches, open_api, tear_down),
        cmocka_unit_test_setup_teardown(without_a_server_there_are_no_trends, open_api, tear_down),
        cmocka_unit_test(a_tally_is_bounded_and_sorted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
