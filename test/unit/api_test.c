/* api_test.c - the REST API in-process, on a real store in a temporary folder: every route, every refusal, and what
 * hostile requests get. */
#include "cmocka_all.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/image_build.h"
#include "server/api/api.h"
#include "temp_dir.h"

static struct {
    struct temp_dir dir;
    struct api api;
    int rules_changed, device_changed, flushed, crossings;
    bool unwritable; /* what is in memory does not come to the store */
    char changed_id[MODEL_ID_LEN];
} f;

static void on_rules(void *ctx)
{
    (void)ctx;
    f.rules_changed++;
}

/* Like a server whose own write of the device crosses the change, f.crossings times. */
static void on_device(void *ctx, const char *id)
{
    (void)ctx;
    f.device_changed++;
    struct model_device old = {.last_reason = MOLT_NOT_ASSIGNED};
    if (f.crossings > 0) {
        f.crossings--;
        snprintf(old.id, sizeof old.id, "%s", id);
        assert_int_equal(store_save_devices(f.api.store, &old, 1), 0);
    }
    snprintf(f.changed_id, sizeof f.changed_id, "%s", id);
}

static void on_flush(void *ctx)
{
    (void)ctx;
    f.flushed++;
}

static int on_flush_changes(void *ctx)
{
    on_flush(ctx);
    return f.unwritable ? -MOLT_STORE_FAILED : 0;
}

static void on_count(void *ctx, struct api_device_counts *out)
{
    (void)ctx;
    *out =
        (struct api_device_counts){.devices = 1000000, .unassigned = 5, .held = 4, .updated = 3, .failed = 2};
}

static int open_api(void **state)
{
    (void)state;
    char error[256] = "";
    memset(&f, 0, sizeof f);
    temp_dir_make(&f.dir);
    if (store_open(f.dir.path, true, &f.api.store, error, sizeof error) != 0) fail_msg("%s", error);
    f.api.hooks = (struct api_hooks){.rules_changed = on_rules,
                                     .device_changed = on_device,
                                     .flush_devices = on_flush_changes,
                                     .flush_members = on_flush};
    return 0;
}

static int close_api(void **state)
{
    (void)state;
    store_close(f.api.store);
    temp_dir_remove(&f.dir);
    return 0;
}

/* ---- requests ---- */

/* Sends the request; the answer's JSON (caller decrefs), *status set. Every answer must be JSON. */
static json_t *send(struct api_request request, int *status)
{
    struct api_response response;
    if (request.query == NULL) request.query = "";
    api_handle(&f.api, &request, &response);
    assert_non_null(response.body);
    assert_string_equal(response.content_type,
                        response.status >= 400 ? API_PROBLEM_TYPE : "application/json");
    json_t *json = json_loadb(response.body, response.body_len, 0, NULL);
    assert_non_null(json);
    free(response.body);
    *status = response.status;
    return json;
}

static json_t *call(const char *method, const char *path, const char *query, const char *body, int want)
{
    int status;
    json_t *json = send((struct api_request){.method = method,
                                             .path = path,
                                             .query = query,
                                             .trusted = true,
                                             .body = body,
                                             .body_len = body != NULL ? strlen(body) : 0},
                        &status);
    if (status != want) {
        char *text = json_dumps(json, 0);
        fail_msg("%s %s?%s: %d, not %d: %s", method, path, query != NULL ? query : "", status, want, text);
    }
    return json;
}

static const char *text_at(const json_t *json, const char *a, const char *b)
{
    const json_t *at = json_object_get(json, a);
    if (b != NULL) at = json_object_get(at, b);
    return json_string_value(at) != NULL ? json_string_value(at) : "";
}

/* The refusal's reason and status. */
static void refused(const char *method, const char *path, const char *query, const char *body, int status,
                    const char *reason)
{
    json_t *json = call(method, path, query, body, status);
    assert_string_equal(text_at(json, "reason", NULL), reason);
    assert_true(strlen(text_at(json, "title", NULL)) > 0);
    json_decref(json);
}

static json_t *publish(enum molt_chip chip, const char *query, uint32_t seed, int want)
{
    struct image_build spec = {.chip = chip, .size = 40000, .seed = seed, .version = "1.2.3"};
    uint8_t *image;
    size_t len;
    int status;
    assert_int_equal(image_build(&spec, &image, &len), 0);
    json_t *json = send((struct api_request){.method = "POST",
                                             .path = "/api/v1/releases",
                                             .query = query,
                                             .trusted = true,
                                             .body = image,
                                             .body_len = len},
                        &status);
    free(image);
    if (status != want) {
        char *text = json_dumps(json, 0);
        fail_msg("%s: %d, not %d: %s", query, status, want, text);
    }
    return json;
}

static void save_device(const char *id, int reason, int64_t product_id)
{
    struct model_device device = {.last_reason = reason, .product_id = product_id, .last_seen_ms = 1000};
    device.chip = MOLT_CHIP_ESP8266;
    device.chip_source = MODEL_CHIP_SAID;
    snprintf(device.id, sizeof device.id, "%s", id);
    assert_int_equal(store_save_devices(f.api.store, &device, 1), 0);
}

/* ---- who may ask ---- */

static void nothing_is_answered_without_a_token_but_the_description(void **state)
{
    (void)state;
    char token[STORE_TOKEN_LEN], device_token[STORE_TOKEN_LEN];
    assert_int_equal(store_token_create(f.api.store, STORE_TOKEN_ADMIN, "t", NULL, token), 0);
    assert_int_equal(store_token_create(f.api.store, STORE_TOKEN_DEVICE, "d", "5ccf7fc602e2", device_token),
                     0);
    const struct {
        const char *path, *token;
        int status;
    } table[] = {
        {"/api/v1/openapi.json", NULL, 200},
        {"/api/v1/status", NULL, 401},
        {"/api/v1/status", token, 200},
        {"/api/v1/status", device_token, 401},
        {"/api/v1/status", "", 401},
        {"/api/v1/status", "molt_", 401},
        {"/api/v1/no-such-path", NULL, 401},
        {"/api/v1/no-such-path", token, 404},
        {"/api/v1/status", "' OR 1=1 --", 401},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        int status;
        json_decref(send(
            (struct api_request){.method = "GET", .path = table[i].path, .token = table[i].token}, &status));
        if (status != table[i].status) fail_msg("row %zu: %d, not %d", i, status, table[i].status);
    }
}

/* ---- publishing ---- */

static void a_published_file_is_a_release_and_the_server_hears_of_it(void **state)
{
    (void)state;
    json_t *json = publish(MOLT_CHIP_ESP32C3, "product=door&channel=beta", 1, 201);
    assert_string_equal(text_at(json, "product", NULL), "door");
    assert_string_equal(text_at(json, "version", NULL), "1.2.3");
    assert_int_equal(json_integer_value(json_object_get(json, "code")), 1002003);
    assert_string_equal(text_at(json, "channel", NULL), "beta");
    assert_string_equal(text_at(json, "image", "chip"), "esp32c3");
    assert_non_null(strstr(text_at(json, "next", NULL), "molt device set ID --product door"));
    assert_int_equal(f.rules_changed, 1);
    json_decref(json);

    json = call("GET", "/api/v1/releases", "product=door", NULL, 200);
    json_t *release = json_array_get(json_object_get(json, "releases"), 0);
    assert_string_equal(text_at(release, "version", NULL), "1.2.3");
    assert_int_equal(json_array_size(json_object_get(release, "images")), 1);
    json_decref(json);
    json = call("GET", "/api/v1/releases", "channel=stable", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(json, "releases")), 0);
    json_decref(json);
    json = call("GET", "/api/v1/products", NULL, NULL, 200);
    json_t *product = json_array_get(json_object_get(json, "products"), 0);
    assert_string_equal(text_at(product, "name", NULL), "door");
    assert_string_equal(text_at(product, "newest_version", NULL), "1.2.3");
    json_decref(json);
}

static void what_happens_next_counts_the_devices_that_it_is_for(void **state)
{
    (void)state;
    json_decref(publish(MOLT_CHIP_ESP8266, "product=door&version=1", 1, 201));
    struct model_product door;
    assert_int_equal(store_product_find(f.api.store, "door", &door), 0);
    save_device("a", MOLT_NOT_ASSIGNED, 0);
    json_t *json = publish(MOLT_CHIP_ESP8266, "product=door&version=2", 2, 201);
    assert_non_null(strstr(text_at(json, "next", NULL), "1 without a product may be meant"));
    json_decref(json);
    save_device("b", MOLT_UP_TO_DATE, door.id);
    json = publish(MOLT_CHIP_ESP8266, "product=door&version=3", 3, 201);
    assert_string_equal(text_at(json, "next", NULL),
                        "1 device of product door will be offered it at the next poll");
    json_decref(json);
    json = publish(MOLT_CHIP_ESP8266, "product=door&version=4&adopt=true", 4, 201);
    assert_non_null(strstr(text_at(json, "next", NULL), "every esp8266 that has no product"));
    json_decref(json);
}

static void a_refused_file_says_why_and_stores_nothing(void **state)
{
    (void)state;
    json_decref(publish(MOLT_CHIP_ESP8266, "product=door&version=2.0.0", 1, 201));
    static const struct {
        const char *query, *body;
        int status;
        const char *reason;
    } table[] = {
        {"product=door&version=3", "<!DOCTYPE html><html>not found</html>", 422, "text-not-firmware"},
        {"product=door&version=3", "", 422, "empty-file"},
        {"version=3", "x", 400, "invalid-request"},
        {"product=door&code=0", "x", 400, "invalid-request"},
        {"product=door&code=2147483648", "x", 400, "invalid-request"},
        {"product=door&code=-1", "x", 400, "invalid-request"},
        {"product=door&code=1e9", "x", 400, "invalid-request"},
        {"product=door&chip=z80", "x", 400, "invalid-request"},
        {"product=door&component=rom", "x", 400, "invalid-request"},
        {"product=door&adopt=maybe", "x", 400, "invalid-request"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        refused("POST", "/api/v1/releases", table[i].query, table[i].body, table[i].status, table[i].reason);

    static const struct {
        const char *query;
        int status;
        const char *reason;
    } firmware[] = {
        {"product=&version=3.0.0", 400, "invalid-name"},
        {"product=..%2F..%2Fetc&version=3.0.0", 400, "invalid-name"},
        {"product=door&version=3.0.0&channel=a%20b", 400, "invalid-name"},
        {"product=door&version=1.0.0", 409, "older-code"},
        {"product=door", 422, "version-needed"},
        {"product=door&version=two", 422, "code-needed"},
        {"product=door&version=3.0.0&chip=esp32", 422, "wrong-chip"},
        {"product=door&version=3.0.0&variant=9Z", 400, "invalid-variant"},
    };
    for (size_t i = 0; i < sizeof firmware / sizeof firmware[0]; i++) {
        json_t *json = publish(MOLT_CHIP_ESP8266, firmware[i].query, 9, firmware[i].status);
        assert_string_equal(text_at(json, "reason", NULL), firmware[i].reason);
        json_decref(json);
    }
    assert_int_equal(f.rules_changed, 1);
    json_t *json = call("GET", "/api/v1/releases", NULL, NULL, 200);
    assert_int_equal(json_array_size(json_object_get(json, "releases")), 1);
    json_decref(json);
}

static void a_yanked_release_can_be_shown_and_offered_again(void **state)
{
    (void)state;
    json_decref(publish(MOLT_CHIP_ESP8266, "product=door&version=1", 1, 201));
    json_t *json = call("GET", "/api/v1/releases", NULL, NULL, 200);
    char path[64];
    json_int_t id =
        json_integer_value(json_object_get(json_array_get(json_object_get(json, "releases"), 0), "id"));
    json_decref(json);
    snprintf(path, sizeof path, "/api/v1/releases/%lld/yank", (long long)id);
    json = call("POST", path, NULL, NULL, 200);
    assert_true(json_is_true(json_object_get(json, "yanked")));
    json_decref(json);
    snprintf(path, sizeof path, "/api/v1/releases/%lld/unyank", (long long)id);
    json = call("POST", path, NULL, NULL, 200);
    assert_true(json_is_false(json_object_get(json, "yanked")));
    json_decref(json);
    assert_int_equal(f.rules_changed, 3);
    refused("GET", "/api/v1/releases/99", NULL, NULL, 404, "not-found");
    refused("POST", "/api/v1/releases/99/yank", NULL, NULL, 404, "not-found");
    refused("GET", "/api/v1/releases/0x1", NULL, NULL, 404, "not-found");
    refused("GET", "/api/v1/releases/-1", NULL, NULL, 404, "not-found");
    refused("GET", "/api/v1/releases/99999999999999999999", NULL, NULL, 404, "not-found");
    refused("GET", "/api/v1/releases", "product=gate", NULL, 404, "not-found");
}

/* ---- devices ---- */

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
    refused("GET", "/api/v1/devices/000000000000/why", NULL, NULL, 404, "not-found");
}

/* ---- tokens, inspect, status ---- */

static void a_token_works_until_it_is_revoked_and_is_shown_once(void **state)
{
    (void)state;
    int status;
    json_t *made = call("POST", "/api/v1/tokens", NULL, "{\"label\":\"ci\"}", 201);
    const char *token = text_at(made, "token", NULL);
    json_decref(
        send((struct api_request){.method = "GET", .path = "/api/v1/status", .token = token}, &status));
    assert_int_equal(status, 200);

    json_t *list = call("GET", "/api/v1/tokens", NULL, NULL, 200);
    const json_t *first = json_array_get(json_object_get(list, "tokens"), 0);
    assert_string_equal(text_at(first, "label", NULL), "ci");
    assert_string_equal(text_at(first, "kind", NULL), "admin");
    char *all = json_dumps(list, 0), path[64];
    assert_null(strstr(all, token));
    free(all);
    snprintf(path, sizeof path, "/api/v1/tokens/%s", text_at(first, "id", NULL));
    json_decref(call("DELETE", path, NULL, NULL, 200));
    json_decref(
        send((struct api_request){.method = "GET", .path = "/api/v1/status", .token = token}, &status));
    assert_int_equal(status, 401);
    refused("DELETE", path, NULL, NULL, 404, "not-found");
    refused("DELETE", "/api/v1/tokens/%", NULL, NULL, 404, "not-found");
    json_decref(list);
    json_decref(made);
}

static void tokens_of_devices_name_their_device(void **state)
{
    (void)state;
    json_t *made =
        call("POST", "/api/v1/tokens", NULL, "{\"kind\":\"device\",\"device\":\"5C-CF-7F-C6-02-E2\"}", 201);
    assert_string_equal(text_at(made, "device", NULL), "5ccf7fc602e2");
    const char *token = text_at(made, "token", NULL);
    struct store_token found;
    assert_int_equal(store_token_find(f.api.store, token, &found), 0);
    assert_int_equal(found.kind, STORE_TOKEN_DEVICE);
    assert_string_equal(found.device_id, "5ccf7fc602e2");
    json_decref(made);
    static const char *const bad[] = {
        "{\"kind\":\"device\"}",
        "{\"device\":\"a\"}",
        "{\"kind\":\"root\"}",
        "{\"kind\":\"device\",\"device\":\"a/b\"}",
        "{\"kind\":null}",
        "{\"label\":\"0123456789012345678901234567890123456789012345678901234567890123456789\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refused("POST", "/api/v1/tokens", NULL, bad[i], 400, "invalid-request");
}

static void inspect_explains_a_file_and_stores_nothing(void **state)
{
    (void)state;
    json_t *json = call("POST", "/api/v1/inspect", NULL, "<html><body>404</body></html>", 200);
    assert_string_equal(text_at(json, "kind", NULL), "text");
    assert_true(json_is_false(json_object_get(json, "publishable")));
    assert_string_equal(text_at(json, "reason", "id"), "text-not-firmware");
    json_decref(json);
    json = call("GET", "/api/v1/status", NULL, NULL, 200);
    assert_int_equal(json_integer_value(json_object_get(json, "releases")), 0);
    assert_true(json_is_true(json_object_get(json, "serving")));
    json_decref(json);
}

/* ---- hostile requests ---- */

static void malformed_paths_and_methods_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        int status;
    } table[] = {
        {"GET", "", 404},
        {"GET", "/", 404},
        {"GET", "/api/v1", 404},
        {"GET", "/api/v1/", 404},
        {"GET", "/api/v1/devices/", 404},
        {"GET", "/api/v1/devices/a/b", 404},
        {"GET", "/api/v1/devices/../../etc/passwd", 404},
        {"GET", "/api/v1/devices/..", 400},
        {"GET", "/api/v1/devices/\x1b[2J", 400},
        {"GET", "/api/v1/devices/\xff\xff", 400},
        {"GET", "/api/v1/devices/a'b", 400},
        {"GET", "/api/v1/devices/0123456789012345678901234567890123", 400},
        {"GET", "/api/v2/devices", 404},
        {"PUT", "/api/v1/devices", 405},
        {"DELETE", "/api/v1/releases", 405},
        {"get", "/api/v1/devices", 405},
        {"", "/api/v1/devices", 405},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        json_t *json = call(table[i].method, table[i].path, NULL, NULL, table[i].status);
        assert_true(strlen(text_at(json, "reason", NULL)) > 0);
        json_decref(json);
    }
    char path[2000] = "/api/v1/devices/";
    memset(path + strlen(path), 'a', 1900);
    refused("GET", path, NULL, NULL, 404, "not-found");
}

static void malformed_queries_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "nonsense=1", "limit=5&limit=6",
        "q=%",        "q=%0",
        "q=%zz",      "q=%00",
        "q=%0a",      "q=%ff",
        "=x",         "limit",
        "limit=%31x", "q%00=x",
        "q=\x01",     "limit= 5",
        "q=%c0%80",   "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz=1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refused("GET", "/api/v1/devices", bad[i], NULL, 400, "invalid-request");
    char longer[5000] = "q=";
    memset(longer + 2, 'a', 2100);
    refused("GET", "/api/v1/devices", longer, NULL, 400, "invalid-request");
    memset(longer + 2, '&', 4096);
    refused("GET", "/api/v1/devices", longer, NULL, 400, "invalid-request");
    json_decref(call("GET", "/api/v1/devices", "&&limit=%35&", NULL, 200)); /* odd, not wrong */
}

static void bodies_beyond_the_bounds_are_refused(void **state)
{
    (void)state;
    size_t len = (16u << 20) + 1;
    char *body = calloc(1, len + 1);
    memset(body, ' ', len);
    int status;
    struct api_request request = {
        .method = "POST", .path = "/api/v1/inspect", .trusted = true, .body = body, .body_len = len};
    json_t *json = send(request, &status);
    assert_int_equal(status, 413);
    assert_string_equal(text_at(json, "reason", NULL), "file-too-large");
    json_decref(json);
    request.path = "/api/v1/tokens";
    request.body_len = 64u * 1024 + 1;
    json = send(request, &status);
    assert_int_equal(status, 413);
    json_decref(json);
    memset(body, '[', 60000); /* nested deeper than a parser may go */
    body[60000] = '\0';
    request.body_len = 60000;
    json = send(request, &status);
    assert_int_equal(status, 400);
    json_decref(json);
    free(body);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_api, close_api)

/* A server of a million devices answers its status from what it knows: it reads no row and writes none. */
static void a_status_of_a_running_server_counts_no_rows(void **state)
{
    (void)state;
    f.api.hooks.count_devices = on_count;
    json_t *status = call("GET", "/api/v1/status", NULL, NULL, 200),
           *devices = json_object_get(status, "devices");
    assert_int_equal(json_integer_value(json_object_get(devices, "count")), 1000000);
    assert_int_equal(json_integer_value(json_object_get(devices, "unassigned")), 5);
    assert_int_equal(json_integer_value(json_object_get(devices, "held")), 4);
    assert_int_equal(json_integer_value(json_object_get(devices, "updated")), 3);
    assert_int_equal(json_integer_value(json_object_get(devices, "failed")), 2);
    assert_int_equal(f.flushed, 0);
    json_decref(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_status_of_a_running_server_counts_no_rows),
        TEST(nothing_is_answered_without_a_token_but_the_description),
        TEST(a_published_file_is_a_release_and_the_server_hears_of_it),
        TEST(what_happens_next_counts_the_devices_that_it_is_for),
        TEST(a_refused_file_says_why_and_stores_nothing),
        TEST(a_yanked_release_can_be_shown_and_offered_again),
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
        TEST(a_token_works_until_it_is_revoked_and_is_shown_once),
        TEST(tokens_of_devices_name_their_device),
        TEST(inspect_explains_a_file_and_stores_nothing),
        TEST(malformed_paths_and_methods_are_refused),
        TEST(malformed_queries_are_refused),
        TEST(bodies_beyond_the_bounds_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
