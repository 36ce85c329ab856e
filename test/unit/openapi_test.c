/* openapi_test.c - the description that the server serves names exactly the routes that it has, with their parameters,
 * and every reference in it leads somewhere. */
#include "cmocka_all.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "server/api/call.h"

static json_t *description;

static int load(void **state)
{
    (void)state;
    struct api api = {0};
    struct api_request request = {.method = "GET", .path = "/api/v1/openapi.json", .query = ""};
    struct api_response response;
    api_handle(&api, &request, &response);
    assert_int_equal(response.status, 200);
    description = json_loadb(response.body, response.body_len, JSON_REJECT_DUPLICATES, NULL);
    free(response.body);
    return description != NULL ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    json_decref(description);
    return 0;
}

static const json_t *operation(const struct api_route *route)
{
    char method[8];
    const json_t *path = json_object_get(json_object_get(description, "paths"), route->path);
    size_t i;
    for (i = 0; route->method[i] != '\0'; i++)
        method[i] = (char)(route->method[i] | 0x20);
    method[i] = '\0';
    return json_object_get(path, method);
}

static const char *route_name(const struct api_route *route)
{
    static char name[128];
    snprintf(name, sizeof name, "%s %s", route->method, route->path);
    return name;
}

static void every_route_is_described(void **state)
{
    (void)state;
    size_t count;
    const struct api_route *routes = api_routes(&count);
    for (size_t i = 0; i < count; i++) {
        const json_t *op = operation(&routes[i]);
        if (op == NULL) fail_msg("%s %s is not described", routes[i].method, routes[i].path);
        bool open = json_is_array(json_object_get(op, "security"));
        assert_int_equal(open, (routes[i].flags & API_OPEN) != 0);
        const bool is_door =
            strcmp(route_name(&routes[i]), "POST /api/v1/session") == 0; /* it looks itself */
        assert_int_equal(json_object_get(json_object_get(op, "responses"), "401") == NULL, open && !is_door);
        assert_int_equal(json_object_get(json_object_get(op, "responses"), "403") == NULL, open && !is_door);
        if (!open) { /* each looks the caller up, and counts him */
            assert_non_null(json_object_get(json_object_get(op, "responses"), "429"));
            assert_non_null(json_object_get(json_object_get(op, "responses"), "503"));
        }
        assert_int_equal(json_object_get(json_object_get(json_object_get(op, "requestBody"), "content"),
                                         "application/octet-stream") != NULL,
                         (routes[i].flags & API_FILE_BODY) != 0);
    }
}

static void nothing_is_described_that_is_no_route(void **state)
{
    (void)state;
    size_t count, described = 0;
    const struct api_route *routes = api_routes(&count);
    const char *path, *method;
    json_t *item, *op;
    json_object_foreach(json_object_get(description, "paths"), path, item)
    {
        json_object_foreach(item, method, op)
        {
            bool found = false;
            for (size_t i = 0; i < count && !found; i++)
                found = strcmp(routes[i].path, path) == 0 && strcasecmp(routes[i].method, method) == 0;
            if (!found) fail_msg("%s %s is described and does not exist", method, path);
            described++;
        }
    }
    assert_int_equal(described, count);
}

static void the_query_parameters_are_those_of_the_table(void **state)
{
    (void)state;
    size_t count;
    const struct api_route *routes = api_routes(&count);
    for (size_t i = 0; i < count; i++) {
        char names[256] = "";
        size_t n, len = 0;
        const json_t *param;
        json_array_foreach(json_object_get(operation(&routes[i]), "parameters"), n, param)
        {
            const char *in = json_string_value(json_object_get(param, "in"));
            if (in == NULL || strcmp(in, "query") != 0) continue; /* a reference is a header's */
            len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", len > 0 ? " " : "",
                                    json_string_value(json_object_get(param, "name")));
            assert_true(len < sizeof names);
        }
        assert_string_equal(names, routes[i].params);
    }
}

/* "#/components/schemas/Device" */
static void follow(const char *reference)
{
    char part[64];
    const json_t *at = description;
    assert_int_equal(strncmp(reference, "#/", 2), 0);
    for (const char *p = reference + 1; *p == '/';) {
        size_t len = strcspn(++p, "/");
        assert_true(len < sizeof part);
        memcpy(part, p, len);
        part[len] = '\0';
        at = json_object_get(at, part);
        if (at == NULL) fail_msg("%s leads nowhere", reference);
        p += len;
    }
}

static int check_references(const json_t *json, int depth)
{
    int found = 0;
    const char *key;
    json_t *value;
    size_t i;
    assert_true(depth < 32);
    if (json_is_object(json)) {
        json_object_foreach((json_t *)(uintptr_t)json, key, value)
        {
            if (strcmp(key, "$ref") == 0) {
                follow(json_string_value(value));
                found++;
            }
            found += check_references(value, depth + 1);
        }
    }
    json_array_foreach(json, i, value) found += check_references(value, depth + 1);
    return found;
}

static void every_reference_leads_somewhere(void **state)
{
    (void)state;
    assert_true(check_references(description, 0) > 50);
}

static void the_version_is_that_of_the_program(void **state)
{
    (void)state;
    assert_string_equal(json_string_value(json_object_get(description, "openapi")), "3.1.0");
    assert_string_equal(json_string_value(json_object_get(json_object_get(description, "info"), "version")),
                        MOLT_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(nothing_is_described_that_is_no_route),
        cmocka_unit_test(the_query_parameters_are_those_of_the_table),
        cmocka_unit_test(every_reference_leads_somewhere),
        cmocka_unit_test(the_version_is_that_of_the_program),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
