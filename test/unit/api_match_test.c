/* api_match_test.c - ETag, If-Match and If-None-Match: what changed meanwhile is not overwritten; and refusals as problems, each with a
 * remedy. */
#include "cmocka_all.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "molt_reason.h"
#include "server/api/call.h"
#include "temp_dir.h"

#define DEVICE "/api/v1/devices/5ccf7f000001"

static struct temp_dir dir;
static struct api api;

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

static struct api_response send(const char *method, const char *path, const char *body, const char *if_match,
                                const char *if_none_match)
{
    struct api_response response;
    struct api_request request = {.method = method,
                                  .path = path,
                                  .query = "",
                                  .trusted = true,
                                  .if_match = if_match,
                                  .if_none_match = if_none_match,
                                  .body = body,
                                  .body_len = body != NULL ? strlen(body) : 0};
    api_handle(&api, &request, &response);
    return response;
}

/* Sends, checks the status, and keeps the tag. */
static void expect(int status, const char *method, const char *path, const char *body, const char *if_match,
                   char etag[API_ETAG_LEN])
{
    struct api_response response = send(method, path, body, if_match, NULL);
    if (response.status != status)
        fail_msg("%s %s: %d, not %d: %s", method, path, response.status, status, response.body);
    if (etag != NULL) memcpy(etag, response.etag, API_ETAG_LEN);
    free(response.body);
}

static void a_change_is_made_to_the_state_that_was_read_or_not_at_all(void **state)
{
    (void)state;
    char first[API_ETAG_LEN], second[API_ETAG_LEN], list[80];
    expect(200, "PUT", DEVICE, "{}", NULL, NULL);
    expect(200, "GET", DEVICE, NULL, NULL, first);
    assert_int_equal(first[0], '"');
    expect(200, "PATCH", DEVICE, "{\"group\":\"one\"}", first, NULL);
    expect(200, "GET", DEVICE, NULL, NULL, second);
    assert_string_not_equal(first, second);
    expect(412, "PATCH", DEVICE, "{\"group\":\"two\"}", first, NULL);
    expect(412, "DELETE", DEVICE, NULL, first, NULL);
    expect(412, "PATCH", DEVICE, "{\"group\":\"two\"}", "nonsense", NULL);
    snprintf(list, sizeof list, "W/%s", second);
    expect(412, "PATCH", DEVICE, "{\"group\":\"two\"}", list, NULL);
    struct model_device device;
    assert_int_equal(store_device_get(api.store, "5ccf7f000001", &device), 0);
    assert_string_equal(device.group_name, "one");
    snprintf(list, sizeof list, "\"0\" ,\t%s", second);
    expect(200, "PATCH", DEVICE, "{\"group\":\"two\"}", list, NULL);
    expect(200, "PATCH", DEVICE, "{\"group\":\"three\"}", "*", NULL);
    expect(200, "PATCH", DEVICE, "{\"group\":\"four\"}", NULL, NULL);
    expect(412, "PATCH", "/api/v1/devices/5ccf7f000002", "{\"group\":\"two\"}", "*", NULL);
    expect(200, "GET", DEVICE, NULL, NULL, first);
    expect(200, "DELETE", DEVICE, NULL, first, NULL);
}

static void what_devices_do_by_themselves_does_not_change_a_tag(void **state)
{
    (void)state;
    char first[API_ETAG_LEN], second[API_ETAG_LEN];
    struct model_device device;
    expect(200, "PUT", DEVICE, "{}", NULL, NULL);
    expect(200, "GET", DEVICE, NULL, NULL, first);
    assert_int_equal(store_device_get(api.store, "5ccf7f000001", &device), 0);
    device.last_seen_ms = 12345;
    device.running_code = 7;
    device.last_reason = MOLT_NOT_ASSIGNED;
    assert_int_equal(store_save_devices(api.store, &device, 1), 0);
    expect(200, "GET", DEVICE, NULL, NULL, second);
    assert_string_equal(first, second);
    struct api_response seen =
        send("GET", DEVICE, NULL, NULL, first); /* but its answer does change: no 304 */
    assert_int_equal(seen.status, 200);
    free(seen.body);
}

static void who_has_it_already_is_told_so(void **state)
{
    (void)state;
    char etag[API_ETAG_LEN];
    expect(200, "GET", "/api/v1/products", NULL, NULL, etag);
    struct api_response same = send("GET", "/api/v1/products", NULL, NULL, etag);
    assert_int_equal(same.status, 304);
    assert_null(same.body);
    assert_string_equal(same.etag, etag);
    struct api_response other = send("GET", "/api/v1/products", NULL, NULL, "\"0\"");
    assert_int_equal(other.status, 200);
    free(other.body);
}

static void creating_can_be_forbidden_to_replace(void **state)
{
    (void)state;
    struct api_response response = send("PUT", DEVICE, "{}", NULL, "*");
    assert_int_equal(response.status, 200);
    free(response.body);
    response = send("PUT", DEVICE, "{}", NULL, "*");
    assert_int_equal(response.status, 412);
    free(response.body);
}

/* Eight at once, each with the tag that all read: one of them wins. */
static char shared[API_ETAG_LEN];
static pthread_barrier_t line;

static void *racer(void *ctx)
{
    char body[40];
    snprintf(body, sizeof body, "{\"group\":\"racer-%d\"}", *(int *)ctx);
    (void)pthread_barrier_wait(&line); /* so that they meet */
    struct api_response response = send("PATCH", DEVICE, body, shared, NULL);
    *(int *)ctx = response.status;
    free(response.body);
    return NULL;
}

static void of_many_with_the_same_tag_one_wins(void **state)
{
    (void)state;
    enum { RACERS = 8, ROUNDS = 10 };
    assert_int_equal(pthread_barrier_init(&line, NULL, RACERS), 0);
    expect(200, "PUT", DEVICE, "{}", NULL, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[RACERS];
        int status[RACERS], won = 0;
        expect(200, "PATCH", DEVICE, "{\"group\":null}", NULL, NULL);
        expect(200, "GET", DEVICE, NULL, NULL, shared);
        for (int i = 0; i < RACERS; i++) {
            status[i] = i;
            assert_int_equal(pthread_create(&threads[i], NULL, racer, &status[i]), 0);
        }
        for (int i = 0; i < RACERS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            assert_true(status[i] == 200 || status[i] == 412);
            won += status[i] == 200;
        }
        assert_int_equal(won, 1);
    }
    assert_int_equal(pthread_barrier_destroy(&line), 0);
}

static void every_reason_has_a_remedy_and_every_refusal_is_a_problem(void **state)
{
    (void)state;
    static const int reasons[] = {
#define MOLT_REASON(symbol, number, id, who, sentence) number,
#include "molt_reason.def"
#undef MOLT_REASON
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        size_t len = strlen(api_remedy(reasons[i]));
        assert_true(len > 10 && api_remedy(reasons[i])[len - 1] == '.');
    }
    struct api_response response = send("GET", "/api/v1/nothing", NULL, NULL, NULL);
    assert_int_equal(response.status, 404);
    assert_string_equal(response.content_type, "application/problem+json");
    json_t *json = json_loadb(response.body, response.body_len, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(json, "type")), "urn:molt:reason:not-found");
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 404);
    assert_string_equal(json_string_value(json_object_get(json, "reason")), "not-found");
    assert_string_equal(json_string_value(json_object_get(json, "title")),
                        molt_reason_sentence(MOLT_NOT_FOUND));
    assert_string_equal(json_string_value(json_object_get(json, "remedy")), api_remedy(MOLT_NOT_FOUND));
    json_decref(json);
    free(response.body);
    char *cut = api_problem(400, MOLT_REQUEST_INVALID, "ends within a character: \xC3"); /* never no JSON */
    json = json_loads(cut, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(json, "detail")), "ends within a character: ");
    json_decref(json);
    free(cut);
}

static void a_method_that_is_not_known_is_told_which_are(void **state)
{
    (void)state;
    struct api_response response = send("POST", DEVICE, NULL, NULL, NULL);
    assert_int_equal(response.status, 405);
    assert_string_equal(response.allow, "GET, PATCH, DELETE, PUT");
    free(response.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_change_is_made_to_the_state_that_was_read_or_not_at_all, set_up,
                                        take_down),
        cmocka_unit_test_setup_teardown(what_devices_do_by_themselves_does_not_change_a_tag, set_up,
                                        take_down),
        cmocka_unit_test_setup_teardown(who_has_it_already_is_told_so, set_up, take_down),
        cmocka_unit_test_setup_teardown(creating_can_be_forbidden_to_replace, set_up, take_down),
        cmocka_unit_test_setup_teardown(of_many_with_the_same_tag_one_wins, set_up, take_down),
        cmocka_unit_test_setup_teardown(every_reason_has_a_remedy_and_every_refusal_is_a_problem, set_up,
                                        take_down),
        cmocka_unit_test_setup_teardown(a_method_that_is_not_known_is_told_which_are, set_up, take_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
