/* api_access_test.c - every route for every role, as doc/access.md says it; nothing of one product for who has roles in
 * another; and two people where two are needed. */
#include "unit/api_people.h"

static const char *const role_names[] = {"viewer", "operator", "uploader", "approver", "admin"};
#define ROLE_COUNT 5

/* ---- every route, every role ---- */

/* Whether the page gives the route to each role: "| `GET /api/v1/x` | yes | | ... |". False: it has no such row. */
static bool read_row(const char *page, const struct api_route *route, bool may[ROLE_COUNT])
{
    char head[160];
    const size_t prefix =
        strncmp(route->path, API_PREFIX "/", sizeof API_PREFIX) == 0 ? sizeof API_PREFIX - 1 : 0;
    snprintf(head, sizeof head, "| `%s %s` |", route->method, route->path + prefix);
    const char *at = strstr(page, head);
    if (at == NULL) return false;
    at += strlen(head);
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        const char *bar = strchr(at, '|');
        assert_non_null(bar);
        const char *yes = strstr(at, "yes");
        may[i] = yes != NULL && yes < bar;
        at = bar + 1;
    }
    return true;
}

static char *read_page(void)
{
    static char page[65536];
    FILE *file = fopen(MOLT_ACCESS_PAGE, "r");
    assert_non_null(file);
    size_t len = fread(page, 1, sizeof page - 1, file);
    assert_true(len < sizeof page - 1);
    page[len] = '\0';
    fclose(file);
    return page;
}

/* The path with something in the place of {id}. */
static void fill_path(const char *pattern, const char *id, char *out, size_t cap)
{
    const char *brace = strstr(pattern, "{id}");
    if (brace == NULL)
        snprintf(out, cap, "%s", pattern);
    else
        snprintf(out, cap, "%.*s%s%s", (int)(brace - pattern), pattern, id, brace + 4);
}

static void each_route_is_for_the_roles_that_the_page_says(void **state)
{
    (void)state;
    size_t count, rows = 0;
    const struct api_route *routes = api_routes(&count);
    char *page = read_page();
    for (size_t r = 0; r < ROLE_COUNT; r++) {
        char roles[32];
        snprintf(roles, sizeof roles, "\"%s\"", role_names[r]);
        (void)user(role_names[r], roles);
    }
    for (size_t i = 0; i < count; i++) {
        bool may[ROLE_COUNT];
        char path[200];
        fill_path(routes[i].path, "999999", path,
                  sizeof path); /* nothing that is there, so nothing happens */
        if (!read_row(page, &routes[i], may))
            fail_msg("doc/access.md has no row for %s %s", routes[i].method, routes[i].path);
        rows++;
        for (size_t r = 0; r < ROLE_COUNT; r++) {
            int status;
            struct caller caller = again(role_names[r]);
            json_t *json = call(&caller, routes[i].method, path, "", &status);
            const bool forbidden = status == 403 && strcmp(reason_of(json), "forbidden") == 0;
            json_decref(json);
            if (forbidden == may[r])
                fail_msg("%s %s for a %s: %d, and the page says %s", routes[i].method, path, role_names[r],
                         status, may[r] ? "yes" : "no");
        }
    }
    for (const char *at = page; (at = strstr(at, "\n| `")) != NULL; at++)
        rows--;
    assert_int_equal(rows, 0); /* and it has no row of a route that is gone */
}

static void nobody_gets_in_without_a_credential(void **state)
{
    (void)state;
    size_t count;
    const struct api_route *routes = api_routes(&count);
    for (size_t i = 0; i < count; i++) {
        char path[200];
        fill_path(routes[i].path, "1", path, sizeof path);
        const bool open = (routes[i].flags & API_OPEN) != 0 && strcmp(routes[i].method, "GET") == 0;
        if (strcmp(routes[i].path, "/api/v1/session/oidc") == 0)
            refused(&nobody, routes[i].method, path, "", 404,
                    "not-found"); /* open, and there is no provider */
        else if (open)
            done(&nobody, routes[i].method, path, "");
        else
            refused(&nobody, routes[i].method, path, "", 401, "unauthorized");
    }
}

/* ---- of another product ---- */

static const char *lamp_thing(const char *pattern, char id[32])
{
    snprintf(id, 32, "lamp");
    if (strstr(pattern, "/devices/") != NULL) snprintf(id, 32, "5ccf7f0000aa");
    if (strstr(pattern, "/releases/") != NULL) snprintf(id, 32, "%lld", (long long)f.lamp_release);
    if (strstr(pattern, "/rollouts/") != NULL) snprintf(id, 32, "%lld", (long long)f.lamp_rollout);
    return id;
}

static void try_all_on_lamp(const struct caller *caller, const char *role)
{
    static const char *const bodies[] = {"", "{}", "{\"stopped\":true}", "{\"held\":true}",
                                         "{\"required\":true}"};
    size_t count;
    const struct api_route *routes = api_routes(&count);
    for (size_t i = 0; i < count; i++) {
        char path[200], id[32];
        if ((routes[i].flags & API_OPEN) != 0 || strstr(routes[i].path, "/account") != NULL ||
            strcmp(routes[i].path, "/api/v1/session") == 0)
            continue; /* of nobody, and of himself */
        fill_path(routes[i].path, lamp_thing(routes[i].path, id), path, sizeof path);
        for (size_t b = 0; b < sizeof bodies / sizeof bodies[0]; b++) {
            int status;
            json_t *json = call(caller, routes[i].method, path, bodies[b], &status);
            char *text = json != NULL ? json_dumps(json, 0) : strdup("");
            if (strstr(routes[i].path, "{id}") != NULL && status != 403 && status != 404 && status != 400)
                fail_msg("%s@other: %s %s: %d %s", role, routes[i].method, path, status, text);
            if (status < 300 && (strstr(text, "lamp") != NULL || strstr(text, "5ccf7f0000aa") != NULL))
                fail_msg("%s@other: %s %s shows %s", role, routes[i].method, path, text);
            free(text);
            json_decref(json);
        }
    }
}

static void who_has_roles_in_one_product_reaches_nothing_of_another(void **state)
{
    (void)state;
    struct store_rules before, after;
    struct model_device device, now;
    assert_int_equal(store_load_rules(f.api.store, &before), 0);
    assert_int_equal(store_device_get(f.api.store, "5ccf7f0000aa", &device), 0);
    for (size_t r = 0; r < ROLE_COUNT; r++) {
        char roles[32];
        snprintf(roles, sizeof roles, "\"%s@other\"", role_names[r]);
        struct caller caller = user(role_names[r], roles);
        try_all_on_lamp(&caller, role_names[r]);
    }
    assert_int_equal(store_load_rules(f.api.store, &after), 0);
    assert_true(before.generation == after.generation);
    assert_int_equal(store_device_get(f.api.store, "5ccf7f0000aa", &now), 0);
    assert_memory_equal(&device, &now, sizeof now);
    store_free_rules(&before);
    store_free_rules(&after);
}

static void what_one_may_see_and_not_do_is_forbidden_and_not_hidden(void **state)
{
    (void)state;
    char path[96], body[64];
    struct caller anna = user("anna", "\"viewer@lamp\",\"operator@other\"");
    json_t *json = ok(&anna, "GET", "/api/v1/releases", "");
    assert_int_equal(json_array_size(json_object_get(json, "releases")), 2);
    json_decref(json);
    json = ok(&anna, "GET", "/api/v1/devices", "");
    assert_int_equal(json_array_size(json_object_get(json, "devices")), 2);
    json_decref(json);
    refused(&anna, "PATCH", "/api/v1/devices/5ccf7f0000aa", "{\"held\":true}", 403, "forbidden");
    refused(&anna, "PATCH", "/api/v1/devices/5ccf7f0000bb", "{\"product\":\"lamp\"}", 403, "forbidden");
    refused(&anna, "PATCH", "/api/v1/products/lamp", "{\"stopped\":true}", 403, "forbidden");
    refused(&anna, "PATCH", "/api/v1/products/other", "{\"approval\":true}", 403, "forbidden");
    done(&anna, "PATCH", "/api/v1/products/other", "{\"stopped\":true}");
    snprintf(path, sizeof path, "/api/v1/rollouts/%lld/pause", (long long)f.lamp_rollout);
    refused(&anna, "POST", path, "", 403, "forbidden");
    snprintf(body, sizeof body, "{\"release\":%lld}", (long long)f.lamp_release);
    refused(&anna, "POST", "/api/v1/rollout-preview", body, 403, "forbidden");
    refused(&anna, "GET", "/api/v1/releases?product=nothing", "", 404, "not-found");
    done(&anna, "PATCH", "/api/v1/devices/5ccf7f0000bb", "{\"held\":true}");
    json = ok(&anna, "PATCH", "/api/v1/devices?filter=id%20~%20%22*%22", "{\"held\":false}");
    assert_int_equal(json_integer_value(json_object_get(json, "changed")), 1);
    json_decref(json);
    done(&anna, "PUT", "/api/v1/devices/5ccf7f0000dd", "{}"); /* in the one where he may */
    json = ok(&anna, "GET", "/api/v1/devices/5ccf7f0000dd", "");
    assert_string_equal(json_string_value(json_object_get(json, "product")), "other");
    json_decref(json);
    json = ok(&anna, "GET", "/api/v1/overview", "");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "devices"), "total")), 3);
    json_decref(json);
    refused(&anna, "GET", "/api/v1/server", "", 403, "forbidden");
    struct caller ben = user("ben", "\"operator@lamp\",\"operator@other\"");
    refused(&ben, "PUT", "/api/v1/devices/5ccf7f0000ee", "{}", 404, "not-found"); /* in which of the two? */
    refused(&local, "GET", "/api/v1/devices/5ccf7f0000ee", "", 404, "not-found");
}

/* Whether a caller of GET /events is told of what alone, and not of which thing. */
static bool hears_coarsely(const struct caller *who)
{
    struct api_response response;
    const struct api_request request = {
        .method = "GET", .path = "/api/v1/events", .query = "", .cookie = who->cookie, .body = ""};
    api_handle(&f.api, &request, &response);
    assert_int_equal(response.status, 200);
    assert_true(response.watches);
    return response.coarse;
}

static void who_sees_some_products_hears_of_changes_coarsely(void **state)
{
    (void)state;
    const struct caller anna = user("anna", "\"viewer@lamp\",\"operator@other\""),
                        ben = user("ben", "\"viewer\"");
    assert_true(hears_coarsely(&anna));
    assert_false(hears_coarsely(&ben));
}

/* ---- two people ---- */

static int64_t new_rollout(const struct caller *who)
{
    char body[64];
    snprintf(body, sizeof body, "{\"release\":%lld}", (long long)f.other_release);
    json_t *json = ok(who, "POST", "/api/v1/rollouts", body);
    assert_string_equal(json_string_value(json_object_get(json, "status")), "waiting");
    int64_t id = json_integer_value(json_object_get(json, "id"));
    json_decref(json);
    return id;
}

static void nobody_approves_of_his_own_rollout_whatever_he_holds(void **state)
{
    (void)state;
    char path[96];
    struct caller anna = user("anna", "\"admin\""), bert = user("bert", "\"approver@other\""),
                  token = {.local = false};
    done(&local, "PATCH", "/api/v1/products/other", "{\"approval\":true}");
    snprintf(path, sizeof path, "/api/v1/rollouts/%lld/approve", (long long)new_rollout(&anna));
    refused(&anna, "POST", path, "", 409, "second-person");
    json_t *json = ok(&anna, "POST", "/api/v1/tokens", "{\"label\":\"a second me\"}");
    SET_TEXT(token.token, json_string_value(json_object_get(json, "token")));
    json_decref(json);
    refused(&token, "POST", path, "", 409, "second-person"); /* a token of hers is she */
    json = ok(&token, "POST", "/api/v1/tokens", "{\"label\":\"a third me\"}");
    SET_TEXT(token.token, json_string_value(json_object_get(json, "token")));
    json_decref(json);
    refused(&token, "POST", path, "", 409, "second-person");
    json = ok(&bert, "POST", path, "");
    assert_string_equal(json_string_value(json_object_get(json, "created_by")), "user anna");
    assert_string_equal(json_string_value(json_object_get(json, "approved_by")), "user bert");
    json_decref(json);
    refused(&bert, "POST", "/api/v1/rollouts/1/approve", "", 404, "not-found"); /* lamp's */
}

/* ---- lists, conditions, pages of others ---- */

/* Page by page comes what comes at once. */
static void a_list_comes_in_pages(void **state)
{
    (void)state;
    static const char *const names[] = {"anna", "bert", "carl"};
    char path[96] = "/api/v1/users?limit=2", seen[64] = "";
    int pages = 0;
    for (size_t i = 0; i < 3; i++)
        (void)user(names[i], "\"viewer\"");
    for (bool more = true; more; pages++) {
        json_t *page = ok(&local, "GET", path, ""), *one;
        const char *next = json_string_value(json_object_get(page, "next"));
        size_t i;
        json_array_foreach(json_object_get(page, "users"), i, one)
            strcat(strcat(seen, json_string_value(json_object_get(one, "name"))), " ");
        more = next != NULL;
        snprintf(path, sizeof path, "/api/v1/users?limit=2&after=%s", more ? next : "");
        json_decref(page);
    }
    assert_string_equal(seen, "anna bert carl ");
    assert_int_equal(pages, 2);
    json_t *all = ok(&local, "GET", "/api/v1/releases", "");
    assert_int_equal(json_array_size(json_object_get(all, "releases")), 2);
    assert_true(json_is_null(json_object_get(all, "next")));
    const json_int_t first =
        json_integer_value(json_object_get(json_array_get(json_object_get(all, "releases"), 0), "id"));
    json_decref(all);
    snprintf(path, sizeof path, "/api/v1/releases?limit=1&after=%lld", (long long)first);
    all = ok(&local, "GET", path, "");
    assert_int_equal(json_array_size(json_object_get(all, "releases")), 1);
    assert_true(json_is_null(json_object_get(all, "next"))); /* these were the last */
    json_decref(all);
    refused(&local, "GET", "/api/v1/users?after=dora", "", 400, "invalid-request");
    refused(&local, "GET", "/api/v1/users?limit=0", "", 400, "invalid-request");
}

/* A condition is no way to ask what is there. */
static void a_condition_tells_nobody_of_what_he_does_not_see(void **state)
{
    (void)state;
    static const char *const paths[] = {"/api/v1/devices/5ccf7f0000bb", "/api/v1/devices/5ccf7f0000cc",
                                        "/api/v1/products/other", "/api/v1/products/nothing"};
    static const char *const conditions[] = {"*", "\"0123456789abcdef01234567\""};
    struct caller anna = user("anna", "\"operator@lamp\"");
    for (size_t c = 0; c < 4; c++) {
        int said[4];
        for (size_t i = 0; i < 4; i++) {
            struct api_response response;
            const struct api_request request = {.method = "PATCH",
                                                .path = paths[i],
                                                .query = "",
                                                .cookie = anna.cookie,
                                                .csrf = anna.csrf,
                                                .if_match = c < 2 ? conditions[c] : NULL,
                                                .if_none_match = c >= 2 ? conditions[c - 2] : NULL,
                                                .body = "{}",
                                                .body_len = 2};
            api_handle(&f.api, &request, &response);
            assert_null(strstr(response.body, "ETag is another")); /* so it is there */
            free(response.body);
            said[i] = response.status;
        }
        assert_in_range(said[0], 400, 499);
        assert_int_equal(said[0], said[1]); /* there, and not there */
        assert_in_range(said[2], 400, 499);
        assert_int_equal(said[2], said[3]);
    }
}

static void the_page_of_another_site_changes_nothing(void **state)
{
    (void)state;
    struct caller anna = user("anna", "\"admin\"");
    struct api_response response;
    struct api_request request = {.method = "PATCH",
                                  .path = "/api/v1/devices/5ccf7f0000aa",
                                  .query = "",
                                  .cookie = anna.cookie,
                                  .csrf = anna.csrf,
                                  .cross_site = true,
                                  .body = "{\"held\":true}",
                                  .body_len = 13};
    api_handle(&f.api, &request, &response);
    assert_int_equal(response.status, 403);
    free(response.body);
    request.cross_site = false;
    api_handle(&f.api, &request, &response);
    assert_int_equal(response.status, 200);
    free(response.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(who_sees_some_products_hears_of_changes_coarsely),
        API_TEST(each_route_is_for_the_roles_that_the_page_says),
        API_TEST(nobody_gets_in_without_a_credential),
        API_TEST(who_has_roles_in_one_product_reaches_nothing_of_another),
        API_TEST(what_one_may_see_and_not_do_is_forbidden_and_not_hidden),
        API_TEST(nobody_approves_of_his_own_rollout_whatever_he_holds),
        API_TEST(a_list_comes_in_pages),
        API_TEST(a_condition_tells_nobody_of_what_he_does_not_see),
        API_TEST(the_page_of_another_site_changes_nothing),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
