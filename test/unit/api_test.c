/* api_test.c - the REST API in-process: who may ask, publishing, tokens, status, every refusal, and what hostile requests
 * get. Its devices: api_devices_test.c. */
#include "api_fixture.h"

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

static void on_count(void *ctx, struct api_device_counts *out)
{
    (void)ctx;
    *out =
        (struct api_device_counts){.devices = 1000000, .unassigned = 5, .held = 4, .updated = 3, .failed = 2};
}

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
        TEST(a_token_works_until_it_is_revoked_and_is_shown_once),
        TEST(tokens_of_devices_name_their_device),
        TEST(inspect_explains_a_file_and_stores_nothing),
        TEST(malformed_paths_and_methods_are_refused),
        TEST(malformed_queries_are_refused),
        TEST(bodies_beyond_the_bounds_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
