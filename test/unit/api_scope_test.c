/* api_scope_test.c - a token of one product reaches nothing of another: every route of the table is asked for the other's things,
 * and nothing of them is shown or changed. */
#include "cmocka_all.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/api/call.h"
#include "server/watch/trends.h"
#include "unit/store_fixture.h"

#define OTHER_DEVICE "5ccf7f0000bb"

static struct {
    struct fixture *store;
    struct api api;
    char token[STORE_TOKEN_LEN];
    int64_t own_release, other_release, other_rollout;
} f;

static void add(const char *id, int64_t product_id)
{
    struct model_device device = {
        .product_id = product_id, .chip = MOLT_CHIP_ESP8266, .chip_source = MODEL_CHIP_SAID};
    SET_TEXT(device.id, id);
    assert_int_equal(store_save_devices(f.store->store, &device, 1), 0);
}

static int open_api(void **state)
{
    struct model_product own, other;
    memset(&f, 0, sizeof f);
    set_up(state);
    f.store = *state;
    f.api = (struct api){.store = f.store->store};
    struct model_image image = image_of(f.store->store, "x");
    f.own_release = publish(f.store->store, "lamp", 3, &image);
    f.other_release = publish(f.store->store, "other", 3, &image);
    assert_int_equal(store_product_find(f.store->store, "lamp", &own), 0);
    assert_int_equal(store_product_find(f.store->store, "other", &other), 0);
    add("5ccf7f0000aa", own.id);
    add(OTHER_DEVICE, other.id);
    add("5ccf7f0000cc", 0);
    struct model_rollout rollout = {
        .release_id = f.other_release, .status = MODEL_ROLLOUT_RUNNING, .phase_count = 1};
    assert_int_equal(store_rollout_create(f.store->store, &rollout), 0);
    f.other_rollout = rollout.id;
    assert_int_equal(
        store_token_create_for(f.store->store, STORE_TOKEN_ADMIN, "lamp's", NULL, own.id, f.token), 0);
    return 0;
}

/* The status; *answer: the body, to be freed. */
static int call(const char *method, const char *path, const char *query, const char *body, char **answer)
{
    struct api_response response;
    const struct api_request request = {.method = method,
                                        .path = path,
                                        .query = query,
                                        .token = f.token,
                                        .body = body,
                                        .body_len = strlen(body)};
    api_handle(&f.api, &request, &response);
    *answer = response.body;
    return response.status;
}

static int status_of(const char *method, const char *path, const char *query, const char *body)
{
    char *answer;
    int status = call(method, path, query, body, &answer);
    free(answer);
    return status;
}

/* The path with the other product's thing in the place of {id}. */
static void fill_path(const char *pattern, char *out, size_t cap)
{
    char id[32] = "other";
    const char *brace = strstr(pattern, "{id}");
    if (strstr(pattern, "/devices/") != NULL) snprintf(id, sizeof id, OTHER_DEVICE);
    if (strstr(pattern, "/releases/") != NULL) snprintf(id, sizeof id, "%lld", (long long)f.other_release);
    if (strstr(pattern, "/rollouts/") != NULL) snprintf(id, sizeof id, "%lld", (long long)f.other_rollout);
    if (brace == NULL)
        snprintf(out, cap, "%s", pattern);
    else
        snprintf(out, cap, "%.*s%s%s", (int)(brace - pattern), pattern, id, brace + 4);
}

static void no_route_shows_or_changes_what_is_another_product_s(void **state)
{
    (void)state;
    size_t count;
    const struct api_route *routes = api_routes(&count);
    struct store_rules before, after;
    struct model_device device, again;
    assert_int_equal(store_load_rules(f.store->store, &before), 0);
    assert_int_equal(store_device_get(f.store->store, OTHER_DEVICE, &device), 0);
    for (size_t i = 0; i < count; i++) {
        static const char *const bodies[] = {"", "{}", "{\"stopped\":true}", "{\"held\":true}",
                                             "{\"required\":true}"};
        char path[200], *answer;
        fill_path(routes[i].path, path, sizeof path);
        if (strcmp(routes[i].path, "/api/v1/openapi.json") == 0) continue;
        for (size_t b = 0; b < sizeof bodies / sizeof bodies[0]; b++) {
            /* whoever says "all of them" means all of his */
            const bool bulk = api_listed(routes[i].params, "filter");
            int status =
                call(routes[i].method, path, bulk ? "filter=id%20~%20%22*%22" : "", bodies[b], &answer);
            if (strstr(routes[i].path, "{id}") != NULL && status < 400)
                fail_msg("%s %s: %d: %s", routes[i].method, path, status, answer);
            if (status < 400 && (strstr(answer, "other") != NULL || strstr(answer, OTHER_DEVICE) != NULL))
                fail_msg("%s %s shows: %s", routes[i].method, path, answer);
            free(answer);
        }
    }
    assert_int_equal(store_load_rules(f.store->store, &after), 0);
    assert_true(after.generation == before.generation && after.release_count == before.release_count);
    assert_int_equal(store_device_get(f.store->store, OTHER_DEVICE, &again), 0);
    assert_memory_equal(&device, &again, sizeof device);
    store_free_rules(&before);
    store_free_rules(&after);
}

static void what_is_another_s_is_answered_as_what_is_not_there(void **state)
{
    (void)state;
    char body[64], path[96];
    assert_int_equal(status_of("GET", "/api/v1/releases", "product=other", ""), 404);
    assert_int_equal(status_of("GET", "/api/v1/releases", "product=nothing", ""), 404);
    assert_int_equal(status_of("GET", "/api/v1/devices", "product=other", ""), 404);
    assert_int_equal(status_of("GET", "/api/v1/devices/" OTHER_DEVICE, "", ""), 404);
    assert_int_equal(status_of("GET", "/api/v1/devices/5ccf7f0000cc", "", ""),
                     404); /* nobody's is not its own */
    assert_int_equal(status_of("PUT", "/api/v1/devices/" OTHER_DEVICE, "", "{\"product\":\"lamp\"}"), 404);
    /* nor in a list, in which others are his */
    assert_int_equal(status_of("POST", "/api/v1/devices", "",
                               "{\"devices\":[{\"id\":\"5ccf7f0000aa\"},{\"id\":\"" OTHER_DEVICE
                               "\",\"product\":\"lamp\"}]}"),
                     404);
    assert_int_equal(status_of("POST", "/api/v1/devices", "",
                               "{\"devices\":[{\"id\":\"5ccf7f0000ab\",\"product\":\"other\"}]}"),
                     404);
    snprintf(body, sizeof body, "{\"release\":%lld}", (long long)f.other_release);
    assert_int_equal(status_of("POST", "/api/v1/rollouts", "", body), 404);
    snprintf(path, sizeof path, "/api/v1/rollouts/%lld/abort", (long long)f.other_rollout);
    assert_int_equal(status_of("POST", path, "", ""), 404);
    assert_int_equal(status_of("POST", "/api/v1/releases", "product=other&version=9", "x"), 404);
    assert_int_equal(status_of("POST", "/api/v1/releases", "version=9", "x"), 404);
    assert_int_equal(status_of("POST", "/api/v1/releases", "product=lamp&adopt=true&version=9", "x"), 404);
    assert_int_equal(status_of("POST", "/api/v1/tokens", "", "{}"), 403);
    assert_int_equal(status_of("GET", "/api/v1/tokens", "", ""), 403);
    /* its own device goes to no other product, nor to none */
    assert_int_equal(status_of("PATCH", "/api/v1/devices/5ccf7f0000aa", "", "{\"product\":\"other\"}"), 404);
    assert_int_equal(status_of("PATCH", "/api/v1/devices/5ccf7f0000aa", "", "{\"product\":\"\"}"), 404);
}

static void its_own_it_may_see_and_change(void **state)
{
    (void)state;
    char body[64], *answer;
    struct model_device device;
    assert_int_equal(call("GET", "/api/v1/devices", "", "", &answer), 200);
    assert_non_null(strstr(answer, "5ccf7f0000aa"));
    assert_null(strstr(answer, "5ccf7f0000cc"));
    free(answer);
    assert_int_equal(status_of("PATCH", "/api/v1/products/lamp", "", "{\"rollouts_only\":true}"), 200);
    snprintf(body, sizeof body, "{\"release\":%lld}", (long long)f.own_release);
    assert_int_equal(status_of("POST", "/api/v1/rollouts", "", body), 201);
    assert_int_equal(status_of("PUT", "/api/v1/devices/5ccf7f0000dd", "", "{}"), 200);
    assert_int_equal(call("PATCH", "/api/v1/devices", "filter=id%20~%20%22*%22", "{\"held\":true}", &answer),
                     200);
    assert_non_null(strstr(answer, "\"changed\":2"));
    free(answer);
    assert_int_equal(store_device_get(f.store->store, OTHER_DEVICE, &device), 0);
    assert_false(device.held);
    assert_int_equal(store_device_get(f.store->store, "5ccf7f0000dd", &device), 0);
    assert_true(device.held && device.product_id != 0);
}

static void is_a_server(void *ctx, struct api_server_info *info)
{
    (void)ctx;
    (void)info;
}

static void plots_are_of_its_own_product(void **state)
{
    (void)state;
    char *answer;
    f.api.trends = trends_new();
    f.api.hooks.server_info = is_a_server;
    assert_non_null(f.api.trends);
    trends_rates(f.api.trends, 1, 4321, 4321);
    trends_versions_begin(f.api.trends, 1);
    trends_version(f.api.trends, "lamp", "1.0.77", 5);
    trends_version(f.api.trends, "other", "1.0.99", 5);
    trends_versions_end(f.api.trends);
    assert_int_equal(call("GET", "/api/v1/trends", "", "", &answer), 200);
    assert_non_null(strstr(answer, "1.0.77"));
    assert_null(strstr(answer, "1.0.99"));
    assert_null(strstr(answer, "other"));
    assert_null(strstr(answer, "4321")); /* how busy the server is: of all products */
    free(answer);
    trends_free(f.api.trends);
    f.api.trends = NULL;
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, open_api, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(no_route_shows_or_changes_what_is_another_product_s),
        API_TEST(what_is_another_s_is_answered_as_what_is_not_there),
        API_TEST(its_own_it_may_see_and_change),
        API_TEST(plots_are_of_its_own_product),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
