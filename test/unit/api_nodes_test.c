/* api_nodes_test.c - GET /nodes and DELETE /nodes/{id} in-process, on two servers of one PostgreSQL, on a server alone, and without a database. */
#include "unit/nodes_rig.h"

#include <jansson.h>

#include "server/api/api.h"

/* The answer (caller decrefs), which must have that status. */
static json_t *call(struct store *store, const char *method, const char *path, int want)
{
    const struct api api = {.store = store};
    const struct api_request request = {.method = method, .path = path, .query = "", .trusted = true};
    struct api_response response;
    api_handle(&api, &request, &response);
    if (response.status != want)
        fail_msg("%s %s: %d, not %d: %s", method, path, response.status, want, response.body);
    json_t *json = json_loadb(response.body, response.body_len, 0, NULL);
    assert_non_null(json);
    free(response.body);
    return json;
}

static void refused(struct store *store, const char *method, const char *path, int status, const char *reason,
                    const char *words)
{
    json_t *json = call(store, method, path, status);
    const char *detail = json_string_value(json_object_get(json, "detail"));
    assert_string_equal(json_string_value(json_object_get(json, "reason")), reason);
    assert_non_null(json_object_get(json, "remedy"));
    if (detail == NULL || strstr(detail, words) == NULL) fail_msg("'%s' does not say '%s'", detail, words);
    json_decref(json);
}

static json_t *node(const json_t *list, size_t i)
{
    return json_array_get(json_object_get(list, "nodes"), i);
}

static int64_t number(const json_t *list, size_t i, const char *key)
{
    const json_t *value = json_object_get(node(list, i), key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static bool is(const json_t *list, size_t i, const char *key)
{
    const json_t *value = json_object_get(node(list, i), key);
    assert_true(json_is_boolean(value));
    return json_is_true(value);
}

static void each_server_is_listed_as_it_is(void **state)
{
    struct rig *rig = *state;
    struct store_node_round round;
    int64_t epoch;
    assert_int_equal(store_node_round(rig->a, 7, 3, &round), 0);
    assert_int_equal(store_lease_take(rig->a, "leader", &epoch), 0);
    sql(rig, "UPDATE node SET expires_ms = 1, seen_ms = seen_ms - 60000 WHERE name = 'b'");
    json_t *list = call(rig->a, "GET", "/api/v1/nodes", 200);
    assert_int_equal(json_array_size(json_object_get(list, "nodes")), 2);
    assert_string_equal(json_string_value(json_object_get(node(list, 0), "name")), "a");
    assert_string_equal(json_string_value(json_object_get(node(list, 1), "name")), "b");
    assert_true(is(list, 0, "live") && is(list, 0, "leads"));
    assert_false(is(list, 1, "live") || is(list, 1, "leads"));
    assert_int_equal(number(list, 0, "generation"), 7);
    assert_true(number(list, 1, "behind_ms") >= 60000);
    assert_true(number(list, 0, "epoch") > 0 && number(list, 0, "epoch") != number(list, 1, "epoch"));
    assert_true(number(list, 0, "schema") > 0 && number(list, 0, "started_ms") > 0);
    assert_true(strlen(json_string_value(json_object_get(node(list, 0), "version"))) > 0);
    json_decref(list);
}

static void who_never_comes_back_is_forgotten_and_who_lives_is_not(void **state)
{
    struct rig *rig = *state;
    refused(rig->a, "DELETE", "/api/v1/nodes/b", 409, "wrong-state", "node b lives: stop it first");
    sql(rig, "UPDATE node SET expires_ms = 1 WHERE name = 'b'");
    json_t *answer = call(rig->a, "DELETE", "/api/v1/nodes/b", 200);
    assert_string_equal(json_string_value(json_object_get(answer, "deleted")), "b");
    json_decref(answer);
    refused(rig->a, "DELETE", "/api/v1/nodes/b", 404, "not-found", "there is no node b");
    json_t *list = call(rig->a, "GET", "/api/v1/nodes", 200);
    assert_int_equal(json_array_size(json_object_get(list, "nodes")), 1);
    json_decref(list);
}

static void a_name_that_none_can_have_is_not_found(void **state)
{
    struct rig *rig = *state;
    char path[200];
    snprintf(path, sizeof path, "/api/v1/nodes/%0*d", MODEL_NAME_LEN, 0);
    refused(rig->a, "DELETE", path, 404, "not-found", "no such node");
}

static void a_server_alone_has_no_nodes(void **state)
{
    struct temp_dir dir;
    struct store *alone;
    char err[256];
    (void)state;
    temp_dir_make(&dir);
    if (store_open(dir.path, true, &alone, err, sizeof err) != 0) fail_msg("%s", err);
    json_t *list = call(alone, "GET", "/api/v1/nodes", 200);
    assert_int_equal(json_array_size(json_object_get(list, "nodes")), 0);
    json_decref(list);
    refused(alone, "DELETE", "/api/v1/nodes/a", 404, "not-found", "no such node");
    store_close(alone);
    temp_dir_remove(&dir);
}

static void without_the_database_nothing_is_claimed(void **state)
{
    struct rig *rig = *state;
    postgres_stop(&cluster, SIGKILL);
    json_t *list = call(rig->a, "GET", "/api/v1/nodes", 500);
    assert_null(json_object_get(list, "nodes"));
    json_decref(list);
    list = call(rig->a, "DELETE", "/api/v1/nodes/b", 500);
    assert_null(json_object_get(list, "deleted"));
    json_decref(list);
    postgres_start(&cluster);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_server_is_listed_as_it_is),
        TEST(who_never_comes_back_is_forgotten_and_who_lives_is_not),
        TEST(a_name_that_none_can_have_is_not_found),
        TEST(a_server_alone_has_no_nodes),
        TEST(without_the_database_nothing_is_claimed),
    };
    return cmocka_run_group_tests_name("api_nodes", tests, begin, end);
}
