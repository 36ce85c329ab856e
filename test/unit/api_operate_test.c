/* api_operate_test.c - groups, filters with a name, webhooks and the table of devices: good calls, and what is refused. */
#include "cmocka_all.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "molt_reason.h"
#include "server/api/call.h"
#include "temp_dir.h"

static struct temp_dir dir;
static struct api api;
static char etag[API_ETAG_LEN];

static int set_up(void **state)
{
    (void)state;
    temp_dir_make(&dir);
    memset(&api, 0, sizeof api);
    return store_open(dir.path, true, &api.store, NULL, 0);
}

static int take_down(void **state)
{
    (void)state;
    store_close(api.store);
    temp_dir_remove(&dir);
    return 0;
}

/* The body, which the caller frees; its tag in etag. */
static char *raw(int status, const char *method, const char *path, const char *query, const char *body,
                 const char *if_match)
{
    struct api_response response;
    struct api_request request = {.method = method,
                                  .path = path,
                                  .query = query,
                                  .trusted = true,
                                  .if_match = if_match,
                                  .body = body,
                                  .body_len = body != NULL ? strlen(body) : 0};
    api_handle(&api, &request, &response);
    if (response.status != status)
        fail_msg("%s %s: %d, not %d: %s", method, path, response.status, status, response.body);
    memcpy(etag, response.etag, sizeof etag);
    return response.body;
}

static json_t *ask(int status, const char *method, const char *path, const char *query, const char *body)
{
    char *text = raw(status, method, path, query, body, NULL);
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    free(text);
    return json;
}

static void done(int status, const char *method, const char *path, const char *query, const char *body)
{
    json_decref(ask(status, method, path, query, body));
}

static void device(const char *id, const char *body)
{
    char path[80];
    snprintf(path, sizeof path, "/api/v1/devices/%s", id);
    done(200, "PUT", path, "", body);
}

static void groups_are_those_of_the_devices(void **state)
{
    (void)state;
    device("5ccf7f000001", "{\"group\":\"roof\"}");
    device("5ccf7f000002", "{\"group\":\"cellar\"}");
    device("5ccf7f000003", "{\"group\":\"roof\"}");
    device("5ccf7f000004", "{}");
    json_t *json = ask(200, "GET", "/api/v1/groups", "limit=1", NULL);
    json_t *first = json_array_get(json_object_get(json, "groups"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "name")), "cellar");
    assert_string_equal(json_string_value(json_object_get(json, "next")), "cellar");
    json_decref(json);
    json = ask(200, "GET", "/api/v1/groups", "limit=1&after=cellar", NULL);
    first = json_array_get(json_object_get(json, "groups"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "name")), "roof");
    assert_int_equal(json_integer_value(json_object_get(first, "devices")), 2);
    assert_true(json_is_null(json_object_get(json, "next")));
    json_decref(json);
    json = ask(200, "PATCH", "/api/v1/groups/roof", "", "{\"name\":\"cellar\"}");
    assert_int_equal(json_integer_value(json_object_get(json, "changed")), 2);
    json_decref(json);
    done(404, "PATCH", "/api/v1/groups/roof", "", "{\"name\":\"cellar\"}");
    done(404, "PATCH", "/api/v1/groups/a\" or id ~ \"*", "",
         "{\"name\":\"cellar\"}"); /* no filter may be smuggled in */
    done(400, "PATCH", "/api/v1/groups/cellar", "", "{\"name\":\"two words\"}");
    done(400, "PATCH", "/api/v1/groups/cellar", "", "{}");
    json = ask(200, "DELETE", "/api/v1/groups/cellar", "", NULL);
    assert_int_equal(json_integer_value(json_object_get(json, "changed")), 3);
    json_decref(json);
    json = ask(200, "GET", "/api/v1/groups", "", NULL);
    assert_int_equal(json_array_size(json_object_get(json, "groups")), 0);
    json_decref(json);
}

static void a_filter_is_kept_canonical_and_replaced_only_by_who_has_read_it(void **state)
{
    (void)state;
    json_t *json =
        ask(200, "PUT", "/api/v1/filters/roof", "", "{\"filter\":\"( group=roof )\",\"note\":\"summer\"}");
    assert_string_equal(json_string_value(json_object_get(json, "filter")), "group = roof");
    json_decref(json);
    done(428, "PUT", "/api/v1/filters/roof", "", "{\"filter\":\"group = a\"}");
    free(raw(200, "GET", "/api/v1/filters/roof", "", NULL, NULL));
    char read[API_ETAG_LEN];
    memcpy(read, etag, sizeof read);
    free(raw(200, "PUT", "/api/v1/filters/roof", "", "{\"filter\":\"group = a\"}", read));
    free(raw(412, "PUT", "/api/v1/filters/roof", "", "{\"filter\":\"group = b\"}", read));
    done(400, "PUT", "/api/v1/filters/wrong", "", "{\"filter\":\"colour = red\"}");
    done(400, "PUT", "/api/v1/filters/-wrong", "", "{\"filter\":\"\"}");
    done(404, "GET", "/api/v1/filters/wrong", "", NULL);
    done(200, "PUT", "/api/v1/filters/all", "", "{}");
    json = ask(200, "GET", "/api/v1/filters", "limit=1", NULL);
    assert_string_equal(json_string_value(json_object_get(json, "next")), "all");
    json_decref(json);
    json = ask(200, "GET", "/api/v1/filters", "after=all", NULL);
    assert_int_equal(json_array_size(json_object_get(json, "filters")), 1);
    json_decref(json);
    done(200, "DELETE", "/api/v1/filters/roof", "", NULL);
    done(404, "DELETE", "/api/v1/filters/roof", "", NULL);
}

static void a_webhook_shows_its_secret_once(void **state)
{
    (void)state;
    json_t *json = ask(201, "POST", "/api/v1/webhooks", "",
                       "{\"url\":\"https://hooks.example.org/x\",\"events\":[\"device.failed\"]}");
    const char *secret = json_string_value(json_object_get(json, "secret"));
    assert_int_equal(strncmp(secret, "whsec_", 6), 0);
    assert_int_equal(strlen(secret), 38);
    char *first = strdup(secret);
    json_decref(json);
    char *text = raw(200, "GET", "/api/v1/webhooks/1", "", NULL, NULL);
    assert_null(strstr(text, "whsec_"));
    free(text);
    text = raw(200, "GET", "/api/v1/webhooks", "", NULL, NULL);
    assert_null(strstr(text, "whsec_"));
    assert_non_null(strstr(text, "rollout.paused")); /* what there is to choose from */
    free(text);
    text = raw(200, "PATCH", "/api/v1/webhooks/1", "", "{\"enabled\":false,\"note\":\"quiet\"}", NULL);
    assert_null(strstr(text, "whsec_"));
    free(text);
    done(409, "POST", "/api/v1/webhooks/1/test", "", NULL); /* it is switched off */
    json = ask(200, "PATCH", "/api/v1/webhooks/1", "", "{\"enabled\":true,\"new_secret\":true}");
    assert_string_not_equal(json_string_value(json_object_get(json, "secret")), first);
    json_decref(json);
    free(first);
    done(202, "POST", "/api/v1/webhooks/1/test", "", NULL);
    json = ask(200, "GET", "/api/v1/webhooks/1/deliveries", "", NULL);
    const json_t *waits = json_array_get(json_object_get(json, "deliveries"), 0);
    assert_string_equal(json_string_value(json_object_get(waits, "state")), "waits");
    assert_string_equal(json_string_value(json_object_get(waits, "event")), "test");
    json_decref(json);
    done(200, "DELETE", "/api/v1/webhooks/1", "", NULL);
    done(404, "GET", "/api/v1/webhooks/1", "", NULL);
    done(404, "GET", "/api/v1/webhooks/1/deliveries", "", NULL);
}

static void an_address_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "ftp://a/",    "http://",    "https:///x", "http://user:pw@host/", "file:///etc/passwd",
        "http://a b/", "gopher://x", "//host",     "http://a\\\\b/"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char body[120];
        snprintf(body, sizeof body, "{\"url\":\"%s\"}", bad[i]);
        done(400, "POST", "/api/v1/webhooks", "", body);
    }
    done(400, "POST", "/api/v1/webhooks", "", "{\"events\":[\"device.failed\"]}");
    done(400, "POST", "/api/v1/webhooks", "", "{\"url\":\"http://a/\",\"events\":[]}");
    done(400, "POST", "/api/v1/webhooks", "", "{\"url\":\"http://a/\",\"events\":[\"device\"]}");
}

static void the_table_is_safe_to_open(void **state)
{
    (void)state;
    device("5ccf7f000001", "{\"group\":\"roof\",\"attributes\":{\"a\":\"=1+1,\\\"x\\\"\"}}");
    device("gate", "{\"tags\":[\"b\",\"a\"]}");
    struct model_device gate; /* what devices say of themselves is a stranger's text */
    assert_int_equal(store_device_get(api.store, "gate", &gate), 0);
    snprintf(gate.running_version, sizeof gate.running_version, "=cmd|'/c calc'!A0");
    assert_int_equal(store_save_devices(api.store, &gate, 1), 0);
    char *text = raw(200, "GET", "/api/v1/devices.csv", "", NULL, NULL);
    assert_int_equal(strncmp(text, "id,product,channel,", 19), 0);
    assert_non_null(strstr(text, "\r\ngate,,stable,,,a b,,\"'=cmd|'/c calc'!A0\","));
    assert_non_null(strstr(text, "\r\n5ccf7f000001,,stable,,roof,,\"a==1+1,\"\"x\"\"\",,"));
    free(text);
    text = raw(200, "GET", "/api/v1/devices.csv", "filter=group%20%3D%20roof", NULL, NULL);
    assert_null(strstr(text, "gate"));
    free(text);
    text = raw(200, "GET", "/api/v1/devices.csv", "limit=1", NULL, NULL);
    assert_null(strstr(text, "gate"));
    free(text);
    done(400, "GET", "/api/v1/devices.csv", "filter=(", NULL);
}

/* ---- many at once ---- */

static void put_failed(const char *id, enum model_attempt attempt, enum model_outcome outcome,
                       uint32_t failures)
{
    struct model_device it = {.id = "", .group_name = "roof", .first_seen_ms = 1};
    snprintf(it.id, sizeof it.id, "%s", id);
    it.attempt = attempt;
    it.rollout_id = 7;
    it.rollout_outcome = outcome;
    it.rollout_failures = failures;
    assert_int_equal(store_save_devices(api.store, &it, 1), 0);
}

static json_int_t how_many(const char *method, const char *path, const char *query, const char *field)
{
    json_t *json = ask(200, method, path, query, NULL);
    assert_true(json_is_integer(json_object_get(json, field)));
    json_int_t count = json_integer_value(json_object_get(json, field));
    json_decref(json);
    return count;
}

#define ROOF "filter=group%20%3D%20roof"

static void those_that_failed_are_let_out_of_quarantine_and_no_others(void **state)
{
    struct model_device it;
    (void)state;
    put_failed("a", MODEL_ATTEMPT_ROLLED_BACK, MODEL_OUTCOME_FAILED, 3);
    put_failed("b", MODEL_ATTEMPT_UPDATED, MODEL_OUTCOME_SUCCEEDED, 1);
    put_failed("c", MODEL_ATTEMPT_OFFERED, MODEL_OUTCOME_TIMED_OUT, 1);
    put_failed("d", MODEL_ATTEMPT_DOWNLOADING, MODEL_OUTCOME_NONE, 0);
    device("e", "{\"group\":\"cellar\"}");
    assert_int_equal(how_many("POST", "/api/v1/device-retry", ROOF, "changed"), 2);
    for (const char *id = "a\0c\0"; *id != '\0'; id += 2) {
        assert_int_equal(store_device_get(api.store, id, &it), 0);
        assert_int_equal(it.attempt, MODEL_ATTEMPT_NONE);
        assert_int_equal(it.rollout_outcome, MODEL_OUTCOME_NONE);
        assert_int_equal(it.rollout_failures, 0);
    }
    assert_int_equal(store_device_get(api.store, "b", &it), 0);
    assert_int_equal(it.rollout_outcome,
                     MODEL_OUTCOME_SUCCEEDED); /* a success stays one in its rollout's counts */
    assert_int_equal(store_device_get(api.store, "d", &it), 0);
    assert_int_equal(it.attempt, MODEL_ATTEMPT_DOWNLOADING);
    assert_int_equal(how_many("POST", "/api/v1/device-retry", ROOF, "changed"), 0);
    done(200, "POST", "/api/v1/devices/b/retry", "", NULL);
    assert_int_equal(store_device_get(api.store, "b", &it), 0);
    assert_int_equal(it.rollout_outcome, MODEL_OUTCOME_SUCCEEDED);
}

static void a_file_system_that_was_sent_too_often_is_sent_again(void **state)
{
    struct model_device it = {.id = "a", .group_name = "roof", .fs_sends = 3};
    (void)state;
    assert_int_equal(store_save_devices(api.store, &it, 1), 0);
    assert_int_equal(how_many("POST", "/api/v1/device-retry", ROOF, "changed"), 1);
    assert_int_equal(store_device_get(api.store, "a", &it), 0);
    assert_int_equal(it.fs_sends, 0);
}

static void those_that_match_are_forgotten_with_their_tokens(void **state)
{
    struct model_device it;
    char token[STORE_TOKEN_LEN], id[MODEL_ID_LEN];
    uint32_t tokens;
    (void)state;
    for (int i = 0; i < 1500; i++) { /* more than one transaction's */
        snprintf(id, sizeof id, "roof-%d", i);
        it = (struct model_device){.group_name = "roof"};
        memcpy(it.id, id, sizeof id);
        assert_int_equal(store_save_devices(api.store, &it, 1), 0);
    }
    device("stays", "{\"group\":\"cellar\"}");
    assert_int_equal(store_token_create(api.store, STORE_TOKEN_DEVICE, NULL, "roof-1499", token), 0);
    assert_int_equal(how_many("DELETE", "/api/v1/devices", ROOF, "deleted"), 1500);
    assert_int_equal(how_many("DELETE", "/api/v1/devices", ROOF, "deleted"), 0);
    assert_int_equal(store_device_get(api.store, "roof-0", &it), -MOLT_NOT_FOUND);
    assert_int_equal(store_device_get(api.store, "roof-1499", &it), -MOLT_NOT_FOUND);
    assert_int_equal(store_device_get(api.store, "stays", &it), 0);
    assert_int_equal(store_token_count(api.store, STORE_TOKEN_DEVICE, &tokens), 0);
    assert_int_equal(tokens, 0);
}

static void all_devices_are_never_meant_by_leaving_the_filter_out(void **state)
{
    static const char *const bad[] = {"", "filter=", "filter=%20%20", "filter=(",
                                      "filter=colour%20%3D%20red"};
    struct model_device it;
    (void)state;
    device("a", "{}");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        done(400, "DELETE", "/api/v1/devices", bad[i], NULL);
        done(400, "POST", "/api/v1/device-retry", bad[i], NULL);
        done(400, "PATCH", "/api/v1/devices", bad[i], "{\"held\":true}");
    }
    assert_int_equal(store_device_get(api.store, "a", &it), 0);
    assert_false(it.held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(groups_are_those_of_the_devices, set_up, take_down),
        cmocka_unit_test_setup_teardown(a_filter_is_kept_canonical_and_replaced_only_by_who_has_read_it,
                                        set_up, take_down),
        cmocka_unit_test_setup_teardown(a_webhook_shows_its_secret_once, set_up, take_down),
        cmocka_unit_test_setup_teardown(an_address_that_is_none_is_refused, set_up, take_down),
        cmocka_unit_test_setup_teardown(the_table_is_safe_to_open, set_up, take_down),
        cmocka_unit_test_setup_teardown(those_that_failed_are_let_out_of_quarantine_and_no_others, set_up,
                                        take_down),
        cmocka_unit_test_setup_teardown(a_file_system_that_was_sent_too_often_is_sent_again, set_up,
                                        take_down),
        cmocka_unit_test_setup_teardown(those_that_match_are_forgotten_with_their_tokens, set_up, take_down),
        cmocka_unit_test_setup_teardown(all_devices_are_never_meant_by_leaving_the_filter_out, set_up,
                                        take_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
