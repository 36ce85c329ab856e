/* api_rollout_test.c - labels, pins, switches and rollouts of the API in-process, on a real store: what is kept, in which
 * form, and what is refused without a trace. */
#include "cmocka_all.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "api_case.h"
#include "unit/store_fixture.h"

static struct {
    struct fixture *store;
    struct api api;
    int rules_changed;
} f;

static void on_rules(void *ctx)
{
    (void)ctx;
    f.rules_changed++;
}

static int open_api(void **state)
{
    memset(&f, 0, sizeof f);
    set_up(state);
    f.store = *state;
    f.api = (struct api){.store = f.store->store, .hooks = {.rules_changed = on_rules}};
    struct model_device device = {
        .id = "5ccf7fc602e2", .chip = MOLT_CHIP_ESP8266, .chip_source = MODEL_CHIP_SAID};
    struct model_image image = image_of(f.store->store, "x");
    publish(f.store->store, "lamp", 3, &image);
    device.product_id = 1;
    return store_save_devices(f.store->store, &device, 1);
}

static json_t *call(const char *method, const char *path, const char *query, const char *body, int want)
{
    return api_case_call(&f.api, method, path, query, body, want);
}

static void expect(json_t *json, const char *field, const char *text)
{
    char *is = json_dumps(json_object_get(json, field), JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    assert_string_equal(is, text);
    free(is);
}

#define DEVICE "/api/v1/devices/5ccf7fc602e2"

static void labels_are_kept_sorted_once_and_bounded(void **state)
{
    (void)state;
    json_t *json =
        call("PATCH", DEVICE, "",
             "{\"tags\":[\"b\",\"a\",\"b\"],\"attributes\":{\"z\":\"1\",\"a\":\"x=y\"},\"group\":\"roof\","
             "\"pin\":3}",
             200);
    expect(json, "tags", "[\"a\",\"b\"]");
    expect(json, "attributes", "{\"a\":\"x=y\",\"z\":\"1\"}");
    expect(json, "group", "\"roof\"");
    expect(json, "pin", "3");
    json_decref(json);
    static const char *const bad[] = {
        "{\"tags\":\"a\"}",
        "{\"tags\":[7]}",
        "{\"tags\":[\"a b\"]}",
        "{\"tags\":[\"\"]}",
        "{\"tags\":[\"-a\"]}",
        "{\"attributes\":[]}",
        "{\"attributes\":{\"a b\":\"c\"}}",
        "{\"attributes\":{\"a\":1}}",
        "{\"pin\":0}",
        "{\"pin\":\"3\"}",
        "{\"pin\":2147483648}",
        "{\"group\":\"a b\"}",
        "{\"attributes\":{\"a\":\"b c\"}}",
        ("{\"tags\":[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
         "\"caaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]}")};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        json_decref(call("PATCH", DEVICE, "", bad[i], 400));
    json = call("GET", DEVICE, "", "", 200);
    expect(json, "tags", "[\"a\",\"b\"]");
    json_decref(json);
    json = call("PATCH", DEVICE, "", "{\"tags\":[],\"attributes\":{},\"group\":null,\"pin\":null}", 200);
    expect(json, "tags", "[]");
    expect(json, "attributes", "{}");
    expect(json, "group", "null");
    expect(json, "pin", "null");
    json_decref(json);
}

static void devices_are_listed_by_filter(void **state)
{
    (void)state;
    json_decref(call("PATCH", DEVICE, "", "{\"tags\":[\"canary\"]}", 200));
    json_t *json =
        call("GET", "/api/v1/devices", "filter=tag%20=%20canary%20and%20product%20=%20lamp", "", 200);
    assert_int_equal(json_array_size(json_object_get(json, "devices")), 1);
    json_decref(json);
    json = call("GET", "/api/v1/devices", "filter=tag%20!=%20canary", "", 200);
    assert_int_equal(json_array_size(json_object_get(json, "devices")), 0);
    json_decref(json);
    json_decref(call("GET", "/api/v1/devices", "filter=colour%20=%20red", "", 400));
}

static void a_rollout_is_refused_for_each_field_that_is_wrong_and_made_with_its_defaults(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}",
        "{\"release\":\"1\"}",
        "{\"release\":1,\"phases\":[]}",
        "{\"release\":1,\"phases\":[{\"percent\":101}]}",
        "{\"release\":1,\"phases\":[{\"percent\":-1}]}",
        "{\"release\":1,\"phases\":[{\"percent\":\"5\"}]}",
        "{\"release\":1,\"phases\":[{\"percentage\":5}]}",
        "{\"release\":1,\"phases\":[5]}",
        "{\"release\":1,\"phases\":[{},{},{},{},{},{},{},{},{}]}",
        "{\"release\":1,\"phases\":[{\"filter\":\"tag =\"}]}",
        "{\"release\":1,\"target\":\"colour = red\"}",
        "{\"release\":1,\"window\":\"at noon\"}",
        "{\"release\":1,\"window\":\"01:00-02:00 Europe/Nowhere\"}",
        "{\"release\":1,\"retries\":101}",
        "{\"release\":1,\"soak_s\":1.5}",
        "{\"release\":1,\"error_percent\":101}",
        "{\"release\":1,\"start_ms\":99999999999999}",
        "{\"release\":1,\"presumed_counts\":1}",
        "{\"release\":1,\"colour\":1}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        json_decref(call("POST", "/api/v1/rollouts", "", bad[i], 400));
    assert_int_equal(f.rules_changed, 0);
    json_t *json = call("POST", "/api/v1/rollouts", "",
                        "{\"release\":1,\"target\":\"((tag=x))\",\"phases\":[{\"percent\":0.07},{}]}", 201);
    expect(json, "status", "\"running\"");
    expect(json, "target", "\"tag = x\"");
    expect(json, "phase", "1");
    const json_t *phases = json_object_get(json, "phases");
    assert_true(json_number_value(json_object_get(json_array_get(phases, 0), "percent")) == 0.07);
    assert_true(json_number_value(json_object_get(json_array_get(phases, 1), "percent")) == 100);
    json_t *rules = json_object_get(json, "rules");
    expect(rules, "error_count", "3");
    expect(rules, "timeout_s", "3600");
    json_decref(json);
    assert_int_equal(f.rules_changed, 1);
}

static bool not_heard(void *ctx)
{
    (void)ctx;
    return true;
}

static void a_stop_of_which_not_all_servers_heard_is_kept_and_not_called_done(void **state)
{
    (void)state;
    f.api.hooks.unacknowledged = not_heard;
    json_t *json = call("PATCH", "/api/v1/products/lamp", "", "{\"stopped\":true}", 503);
    expect(json, "reason", "\"not-acknowledged\"");
    json_decref(json);
    json = call("GET", "/api/v1/products/lamp", "", "", 200);
    assert_true(json_is_true(json_object_get(json, "stopped")));
    json_decref(json);
}

static void why_tells_step_by_step_and_an_order_is_heard_by_the_server(void **state)
{
    (void)state;
    json_decref(call("POST", "/api/v1/rollouts", "", "{\"release\":1,\"phases\":[{\"percent\":0},{}]}", 201));
    json_t *json = call("GET", DEVICE "/why", "", "", 200);
    expect(json, "verdict", "\"nothing\"");
    const json_t *step = json_array_get(json_object_get(json, "steps"), 0);
    assert_string_equal(json_string_value(json_object_get(json_object_get(step, "reason"), "id")),
                        "not-in-phase");
    json_decref(json);
    json_decref(call("POST", "/api/v1/rollouts/1/next", "", "", 200));
    assert_int_equal(f.rules_changed, 2);
    json = call("GET", DEVICE "/why", "", "", 200);
    expect(json, "verdict", "\"offer\"");
    json_decref(json);
    json_decref(call("POST", "/api/v1/rollouts/1/abort", "", "", 200));
    json_decref(call("POST", "/api/v1/rollouts/1/next", "", "", 409));
    json_decref(call("POST", "/api/v1/rollouts/1x/next", "", "", 404));
    json_decref(call("PATCH", "/api/v1/products/lamp", "", "{\"stopped\":true}", 200));
    json = call("GET", DEVICE "/why", "", "", 200);
    assert_string_equal(json_string_value(json_object_get(json_object_get(json, "reason"), "id")), "stopped");
    json_decref(json);
    json_decref(call("PATCH", "/api/v1/products/lamp", "", "{\"stopped\":\"yes\"}", 400));
}

/* The same with a token, which is all that tells people apart. */
static json_t *call_as(const char *token, const char *method, const char *path, const char *body, int want)
{
    struct api_response response;
    const struct api_request request = {
        .method = method, .path = path, .query = "", .token = token, .body = body, .body_len = strlen(body)};
    api_handle(&f.api, &request, &response);
    if (response.status != want)
        fail_msg("%s %s: %d, not %d: %s", method, path, response.status, want, response.body);
    json_t *json = json_loadb(response.body, response.body_len, 0, NULL);
    assert_non_null(json);
    free(response.body);
    return json;
}

static void expect_reason(json_t *json, const char *id)
{
    assert_string_equal(json_string_value(json_object_get(json, "reason")), id);
    json_decref(json);
}

static void a_rollout_is_approved_by_somebody_else_than_its_maker(void **state)
{
    (void)state;
    char anna[STORE_TOKEN_LEN], bert[STORE_TOKEN_LEN];
    assert_int_equal(store_token_create(f.api.store, STORE_TOKEN_ADMIN, "anna", NULL, anna), 0);
    assert_int_equal(store_token_create(f.api.store, STORE_TOKEN_ADMIN, "bert", NULL, bert), 0);
    json_t *json = call("PATCH", "/api/v1/products/lamp", "", "{\"approval\":true}", 200);
    expect(json, "approval", "true");
    expect(json, "downgrade", "\"never\"");
    json_decref(json);
    json_decref(call("PATCH", "/api/v1/products/lamp", "", "{\"approval\":\"yes\"}", 400));
    json_decref(call("PATCH", "/api/v1/products/lamp", "", "{\"downgrade\":\"maybe\"}", 400));
    json = call("PATCH", "/api/v1/products/lamp", "", "{\"downgrade\":\"pinned\"}", 200);
    expect(json, "approval", "true"); /* one switch leaves the others alone */
    json_decref(json);

    json = call_as(anna, "POST", "/api/v1/rollouts", "{\"release\":1,\"downgrade\":\"allowed\"}", 201);
    expect(json, "status", "\"waiting\"");
    expect(json, "downgrade", "\"allowed\"");
    expect(json, "approved_by", "null");
    json_decref(json);
    expect_reason(call_as(anna, "POST", "/api/v1/rollouts/1/approve", "", 409), "second-person");
    json_decref(call_as(anna, "POST", "/api/v1/rollouts/1/next", "", 409));
    json = call("GET", DEVICE "/why", "", "", 200);
    expect(json, "verdict", "\"nothing\"");
    json_decref(json);
    json = call_as(bert, "POST", "/api/v1/rollouts/1/approve", "", 200);
    expect(json, "status", "\"running\"");
    assert_memory_equal(json_string_value(json_object_get(json, "approved_by")), "token ", 6);
    json_decref(json);
    json = call("GET", DEVICE "/why", "", "", 200);
    expect(json, "verdict", "\"offer\"");
    json_decref(json);
    expect_reason(call_as(bert, "POST", "/api/v1/rollouts/1/approve", "", 409), "wrong-state");
    json_decref(call_as("molt_wrong", "POST", "/api/v1/rollouts/1/abort", "", 401));

    /* whoever is on the server itself is one person too */
    json_decref(call("POST", "/api/v1/rollouts/1/abort", "", "", 200));
    json = call("POST", "/api/v1/rollouts", "", "{\"release\":1}", 201);
    expect(json, "created_by", "\"local\"");
    json_decref(json);
    expect_reason(call("POST", "/api/v1/rollouts/2/approve", "", "", 409), "second-person");
    json_decref(call_as(anna, "POST", "/api/v1/rollouts/2/approve", "", 200));
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, open_api, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(labels_are_kept_sorted_once_and_bounded),
        API_TEST(devices_are_listed_by_filter),
        API_TEST(a_rollout_is_refused_for_each_field_that_is_wrong_and_made_with_its_defaults),
        API_TEST(a_rollout_is_approved_by_somebody_else_than_its_maker),
        API_TEST(a_stop_of_which_not_all_servers_heard_is_kept_and_not_called_done),
        API_TEST(why_tells_step_by_step_and_an_order_is_heard_by_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
