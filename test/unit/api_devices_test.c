/* api_devices_test.c - devices of the REST API: listed, found, set, deleted, and why each is answered what it is. */
#include "api_fixture.h"

static void devices_come_in_pages_without_gap_or_repetition(void **state)
{
    (void)state;
    for (int i = 0; i < 25; i++) {
        char id[16];
        snprintf(id, sizeof id, "5ccf7f0000%02x", i);
        save_device(id, MOLT_NOT_ASSIGNED, 0);
    }
    char query[64] = "limit=10";
    int seen = 0;
    for (int page = 0; page < 3; page++) {
        json_t *json = call("GET", "/api/v1/devices", query, NULL, 200);
        const json_t *device;
        size_t i;
        json_array_foreach(json_object_get(json, "devices"), i, device)
        {
            char want[16];
            snprintf(want, sizeof want, "5ccf7f0000%02x", seen++);
            assert_string_equal(text_at(device, "id", NULL), want);
        }
        snprintf(query, sizeof query, "limit=10&after=%s", text_at(json, "next", NULL));
        assert_int_equal(json_is_null(json_object_get(json, "next")), page == 2);
        json_decref(json);
    }
    assert_int_equal(seen, 25);
    assert_true(f.flushed >= 3);
}

static size_t count_devices(const char *query)
{
    json_t *json = call("GET", "/api/v1/devices", query, NULL, 200);
    size_t count = json_array_size(json_object_get(json, "devices"));
    json_decref(json);
    return count;
}

static void in_memory(void *ctx, struct model_device *device)
{
    (void)ctx;
    device->last_reason = MOLT_HELD;
}

/* What a server has not written yet goes before what the store has. */
static void a_list_is_of_the_devices_as_they_are_in_memory(void **state)
{
    (void)state;
    const struct model_device device = {.id = "aabbccddeeff", .last_reason = MOLT_UP_TO_DATE};
    assert_int_equal(store_save_devices(f.api.store, &device, 1), 0);
    f.api.hooks.device_now = in_memory;
    json_t *json = call("GET", "/api/v1/devices", "reason=held", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(json, "devices")), 1);
    json_decref(json);
    json = call("GET", "/api/v1/devices", "reason=up-to-date", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(json, "devices")), 0);
    json_decref(json);
}

static void devices_are_found_by_product_reason_and_text(void **state)
{
    (void)state;
    json_decref(publish(MOLT_CHIP_ESP8266, "product=door&version=1", 1, 201));
    struct model_product door;
    assert_int_equal(store_product_find(f.api.store, "door", &door), 0);
    save_device("5ccf7fc602e2", MOLT_NOT_ASSIGNED, 0);
    save_device("5ccf7fc602e3", MOLT_UP_TO_DATE, door.id);
    save_device("garage", MOLT_HELD, door.id);
    assert_int_equal(count_devices(""), 3);
    assert_int_equal(count_devices("product=door"), 2);
    assert_int_equal(count_devices("reason=held"), 1);
    assert_int_equal(count_devices("reason=held&product=door"), 1);
    assert_int_equal(count_devices("q=C602E"), 2);
    assert_int_equal(count_devices("q=DOOR"), 2);
    assert_int_equal(count_devices("q="), 3);
    assert_int_equal(count_devices("q=%27%20OR%201%3D1"), 0);
    refused("GET", "/api/v1/devices", "product=gate", NULL, 404, "not-found");
    refused("GET", "/api/v1/devices", "reason=no-such-reason", NULL, 400, "invalid-request");
    refused("GET", "/api/v1/devices", "limit=0", NULL, 400, "invalid-request");
    refused("GET", "/api/v1/devices", "limit=1001", NULL, 400, "invalid-request");
}

static void a_device_is_set_and_the_server_hears_of_it(void **state)
{
    (void)state;
    json_decref(publish(MOLT_CHIP_ESP8266, "product=door&version=1", 1, 201));
    save_device("5ccf7fc602e2", MOLT_NOT_ASSIGNED, 0);
    json_t *json = call("PATCH", "/api/v1/devices/5C:CF:7F:C6:02:E2", NULL,
                        "{\"product\":\"door\",\"channel\":\"beta\",\"chip\":\"esp32\",\"held\":true}", 200);
    assert_string_equal(text_at(json, "product", NULL), "door");
    assert_string_equal(text_at(json, "channel", NULL), "beta");
    assert_string_equal(text_at(json, "chip", NULL), "esp32");
    assert_string_equal(text_at(json, "chip_source", NULL), "set");
    assert_true(json_is_true(json_object_get(json, "held")));
    json_decref(json);
    assert_int_equal(f.device_changed, 1);
    assert_string_equal(f.changed_id, "5ccf7fc602e2");
    json = call("PATCH", "/api/v1/devices/5ccf7fc602e2", NULL,
                "{\"product\":null,\"channel\":null,\"chip\":null}", 200);
    assert_true(json_is_null(json_object_get(json, "product")));
    assert_string_equal(text_at(json, "channel", NULL), "stable");
    assert_true(json_is_null(json_object_get(json, "chip")));
    assert_true(json_is_true(json_object_get(json, "held"))); /* was left out: stays */
    json_decref(json);
}

static void a_wrong_change_of_a_device_changes_nothing(void **state)
{
    (void)state;
    save_device("5ccf7fc602e2", MOLT_NOT_ASSIGNED, 0);
    static const struct {
        const char *body;
        int status;
        const char *reason;
    } table[] = {
        {"{\"product\":\"no-such\"}", 404, "not-found"},
        {"{\"product\":7}", 400, "invalid-request"},
        {"{\"channel\":\"a b\"}", 400, "invalid-name"},
        {"{\"channel\":\"../x\"}", 400, "invalid-name"},
        {"{\"chip\":\"z80\"}", 400, "invalid-request"},
        {"{\"held\":1}", 400, "invalid-request"},
        {"{\"held\":true,\"prodct\":\"x\"}", 400, "invalid-request"},
        {"{\"held\":true,\"held\":false}", 400, "invalid-request"},
        {"{\"held\":true", 400, "invalid-request"},
        {"[]", 400, "invalid-request"},
        {"", 400, "invalid-request"},
        {"{\"channel\":\"\\u0000\"}", 400, "invalid-request"},
        {"{\"channel\":\"\xff\"}", 400, "invalid-request"},
        {"{\"channel\":\"\\u001b[2J\"}", 400, "invalid-request"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        refused("PATCH", "/api/v1/devices/5ccf7fc602e2", NULL, table[i].body, table[i].status,
                table[i].reason);
    struct model_device device;
    assert_int_equal(store_device_get(f.api.store, "5ccf7fc602e2", &device), 0);
    assert_false(device.held);
    assert_int_equal(f.device_changed, 0);
    refused("PATCH", "/api/v1/devices/000000000000", NULL, "{\"held\":true}", 404, "not-found");
}

static void a_change_that_a_write_of_the_server_crosses_is_made_again_or_refused(void **state)
{
    (void)state;
    save_device("5ccf7fc602e2", MOLT_NOT_ASSIGNED, 0);
    f.crossings = 2;
    json_t *json =
        call("PATCH", "/api/v1/devices/5ccf7fc602e2", NULL, "{\"held\":true,\"channel\":\"beta\"}", 200);
    assert_true(json_is_true(json_object_get(json, "held")));
    assert_string_equal(text_at(json, "channel", NULL), "beta");
    json_decref(json);
    assert_int_equal(f.device_changed, 3);
    f.crossings = 3;
    refused("PATCH", "/api/v1/devices/5ccf7fc602e2", NULL, "{\"held\":true}", 409, "wrong-state");
}

/* More rows than are read under one lock of the store. */
static void many_devices_are_all_counted_and_found(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    struct model_device *devices = calloc(COUNT, sizeof *devices);
    for (int i = 0; i < COUNT; i++) {
        snprintf(devices[i].id, sizeof devices[i].id, "%012x", i * 7);
        devices[i].held = i >= COUNT - 2;
        devices[i].last_reason = i >= COUNT - 2 ? MOLT_HELD : MOLT_NOT_ASSIGNED;
    }
    assert_int_equal(store_save_devices(f.api.store, devices, COUNT), 0);
    free(devices);
    json_t *json = call("GET", "/api/v1/status", NULL, NULL, 200);
    const json_t *counts = json_object_get(json, "devices");
    assert_int_equal(json_integer_value(json_object_get(counts, "count")), COUNT);
    assert_int_equal(json_integer_value(json_object_get(counts, "held")), 2);
    json_decref(json);
    assert_int_equal(count_devices("reason=held"), 2);
    assert_int_equal(count_devices("limit=1000&after=000000000000"), 1000);
    assert_int_equal(count_devices("after=zzzz"), 0);
}

/* Whether it is there is not known then: 404 would say that it is not. */
static void a_device_without_a_row_is_asked_for_again_while_nothing_can_be_written(void **state)
{
    static const char path[] = "/api/v1/devices/5ccf7f0a0b0d";
    (void)state;
    f.unwritable = true;
    json_t *json = call("GET", path, NULL, NULL, 503);
    assert_string_equal(text_at(json, "reason", NULL), "store-failed");
    json_decref(json);
    json_decref(call("PATCH", path, NULL, "{\"held\":true}", 503));
    json_decref(call("DELETE", path, NULL, NULL, 503));
    f.unwritable = false;
    json_decref(call("GET", path, NULL, NULL, 404));
}

static void a_deleted_device_is_gone(void **state)
{
    (void)state;
    save_device("garage", MOLT_NOT_ASSIGNED, 0);
    json_decref(call("DELETE", "/api/v1/devices/garage", NULL, NULL, 200));
    assert_string_equal(f.changed_id, "garage");
    refused("DELETE", "/api/v1/devices/garage", NULL, NULL, 404, "not-found");
    refused("GET", "/api/v1/devices/garage", NULL, NULL, 404, "not-found");
}

static void why_knows_whether_the_device_takes_gzip(void **state)
{
    (void)state;
    json_decref(publish(MOLT_CHIP_ESP8266, "product=door&version=2", 1, 201));
    struct model_device device = {.id = "5ccf7fc602e2",
                                  .product_id = 1,
                                  .chip = MOLT_CHIP_ESP8266,
                                  .chip_source = MODEL_CHIP_SAID,
                                  .client = MODEL_CLIENT_ESP8266,
                                  .core = "2_2_2-dev(38a443e)", /* older than gzip, and said like any other */
                                  .running_code = 1,
                                  .fs_start =
                                      0x13000, /* the running sketch, and less than an image beside it */
                                  .sketch_size = 40000,
                                  .can = MOLT_CAN_RAW};
    assert_int_equal(store_save_devices(f.api.store, &device, 1), 0);
    json_t *json = call("GET", "/api/v1/devices/5ccf7fc602e2/why", NULL, NULL, 200);
    assert_string_equal(text_at(json, "reason", "id"), "core-too-old-for-gzip");
    json_decref(json);
    device.can |= MOLT_CAN_GZIP;
    assert_int_equal(store_save_devices(f.api.store, &device, 1), 0);
    json = call("GET", "/api/v1/devices/5ccf7fc602e2/why", NULL, NULL, 200);
    assert_string_equal(text_at(json, "verdict", NULL), "offer");
    assert_string_equal(text_at(json, "encoding", NULL), "gzip");
    json_decref(json);
}

static void a_device_has_its_attempt_and_the_result_of_the_one_before(void **state)
{
    (void)state;
    json_decref(publish(MOLT_CHIP_ESP8266, "product=door&version=2", 1, 201));
    struct model_device device = {
        .id = "5ccf7fc602e2", .product_id = 1, .attempt = MODEL_ATTEMPT_DOWNLOADING};
    device.attempt_release_id = 1;
    assert_int_equal(store_save_devices(f.api.store, &device, 1), 0);
    json_t *json = call("GET", "/api/v1/devices/5ccf7fc602e2", NULL, NULL, 200);
    assert_true(json_is_null(json_object_get(json_object_get(json, "attempt"), "result")));
    json_decref(json);
    device.result = MODEL_ATTEMPT_FAILED;
    device.result_reason = MOLT_TLS_NAME;
    device.result_release_id = 1;
    assert_int_equal(store_save_devices(f.api.store, &device, 1), 0);
    static const char *const pages[] = {"/api/v1/devices/5ccf7fc602e2", "/api/v1/devices/5ccf7fc602e2/why"};
    for (int i = 0; i < 2; i++) {
        json = call("GET", pages[i], NULL, NULL, 200);
        const json_t *attempt = json_object_get(json, "attempt");
        const json_t *result = json_object_get(attempt, "result");
        assert_string_equal(text_at(attempt, "state", NULL), "downloading");
        assert_true(json_is_null(json_object_get(attempt, "reason")));
        assert_string_equal(text_at(result, "state", NULL), "failed");
        assert_string_equal(text_at(result, "reason", "id"), "tls-wrong-host");
        assert_int_equal(json_integer_value(json_object_get(result, "release")), 1);
        json_decref(json);
    }
}

static void why_says_what_the_device_would_be_answered_and_what_to_do(void **state)
{
    (void)state;
    json_decref(publish(MOLT_CHIP_ESP8266, "product=door&version=7", 1, 201));
    save_device("5ccf7fc602e2", MOLT_NOT_ASSIGNED, 0);
    json_t *json = call("GET", "/api/v1/devices/5ccf7fc602e2/why", NULL, NULL, 200);
    assert_string_equal(text_at(json, "verdict", NULL), "nothing");
    assert_string_equal(text_at(json, "reason", "id"), "not-assigned");
    assert_string_equal(text_at(json, "next", NULL), "molt device set 5ccf7fc602e2 --product NAME");
    json_decref(json);
    json_decref(
        call("PATCH", "/api/v1/devices/5ccf7fc602e2", NULL, "{\"product\":\"door\",\"held\":true}", 200));
    json = call("GET", "/api/v1/devices/5ccf7fc602e2/why", NULL, NULL, 200);
    assert_string_equal(text_at(json, "reason", "id"), "held");
    assert_string_equal(text_at(json, "next", NULL), "molt device set 5ccf7fc602e2 --release");
    json_decref(json);
    json_decref(call("POST", "/api/v1/rollouts", NULL,
                     "{\"release\":1,\"phases\":[{\"percent\":100,\"filter\":\"tag = canary\"}]}", 201));
    json_decref(call("PATCH", "/api/v1/devices/5ccf7fc602e2", NULL, "{\"held\":false}", 200));
    json = call("GET", "/api/v1/devices/5ccf7fc602e2/why", NULL, NULL, 200);
    assert_string_equal(text_at(json, "reason", "id"), "not-in-phase");
    assert_string_equal(text_at(json, "next", NULL), "molt rollout show 1");
    json_decref(json);
    refused("GET", "/api/v1/devices/000000000000/why", NULL, NULL, 404, "not-found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(devices_come_in_pages_without_gap_or_repetition),
        TEST(a_list_is_of_the_devices_as_they_are_in_memory),
        TEST(devices_are_found_by_product_reason_and_text),
        TEST(a_device_is_set_and_the_server_hears_of_it),
        TEST(a_wrong_change_of_a_device_changes_nothing),
        TEST(a_change_that_a_write_of_the_server_crosses_is_made_again_or_refused),
        TEST(many_devices_are_all_counted_and_found),
        TEST(a_device_without_a_row_is_asked_for_again_while_nothing_can_be_written),
        TEST(a_deleted_device_is_gone),
        TEST(a_device_has_its_attempt_and_the_result_of_the_one_before),
        TEST(why_says_what_the_device_would_be_answered_and_what_to_do),
        TEST(why_knows_whether_the_device_takes_gzip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
