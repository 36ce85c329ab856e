/* devices_census_test.c - lists and counts of a running server, which looks into its memory, beside those of the store alone: the
 * same answers, whatever is asked. */
#include "cmocka_all.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "api_case.h"
#include "devices_hooks.h"
#include "unit/store_fixture.h"

#define DEVICES 2500 /* more than a list looks at in the store */
#define UNIQUE  20   /* words of its own that each has: together more than there is room for in a table */

static struct {
    struct fixture *store;
    struct devices *devices;
    struct api stored, running;
    uint32_t read; /* rows of the store that a list of the running server looked at */
} f;

static void label(struct model_device *device, int i)
{
    size_t at = 0;
    if (i % 4 == 0) snprintf(device->tags, sizeof device->tags, i % 8 == 0 ? "canary" : "canary-2 north");
    for (int n = 0; i % 3 != 0 && n < UNIQUE; n++)
        at += (size_t)snprintf(device->attributes + at, sizeof device->attributes - at, "n%d=%d ", n, i);
    snprintf(device->attributes + at, sizeof device->attributes - at, "floor=%d x=1 x=%d", i % 20, i % 3);
}

static void make_device(struct model_device *device, int i)
{
    snprintf(device->id, sizeof device->id, i % 10 == 0 ? "a-name-that-is-long-%d" : "5ccf7f%06x", i);
    device->product_id = i % 5 != 0;
    device->running_code = (uint32_t)(i % 7);
    snprintf(device->running_version, sizeof device->running_version, "v%d", i % 7);
    snprintf(device->address, sizeof device->address, i % 6 == 0 ? "fe80::%x" : "10.0.0.%d", 1 + i % 250);
    device->first_seen_ms = 1000 + i;
    device->last_seen_ms = i % 9 == 0 ? 0 : 2000 + i;
    device->attempt = i % 11 == 0 ? MODEL_ATTEMPT_ROLLED_BACK : MODEL_ATTEMPT_NONE;
    device->attempt_ms = i % 2 == 0 ? 5 : 0;
    if (i % 13 < 3) snprintf(device->group_name, sizeof device->group_name, "hall%d", i % 13);
    device->last_reason = i % 11 == 0 ? MOLT_CRASHED : 0;
    label(device, i);
}

static void device_now(void *ctx, struct model_device *device)
{
    f.read++;
    hooks_device_now(ctx, device);
}

static int open_both(void **state)
{
    memset(&f, 0, sizeof f);
    set_up(state);
    f.store = *state;
    struct model_image image = image_of(f.store->store, "x");
    publish(f.store->store, "lamp", 3, &image);
    struct model_device *devices = calloc(DEVICES, sizeof *devices);
    for (int i = 0; i < DEVICES; i++)
        make_device(&devices[i], i);
    assert_int_equal(store_save_devices(f.store->store, devices, DEVICES), 0);
    free(devices);
    assert_int_equal(devices_open(&f.devices, f.store->store, NULL), 0);
    f.stored = (struct api){.store = f.store->store};
    f.running = f.stored;
    f.running.hooks = (struct api_hooks){.ctx = f.devices,
                                         .census = hooks_census,
                                         .find_ids = hooks_find_ids,
                                         .each_meant = hooks_each_meant,
                                         .device_now = device_now};
    return 0;
}

static int close_both(void **state)
{
    devices_close(f.devices);
    *state = f.store;
    return tear_down(state);
}

static json_t *ask(const struct api *api, const char *path, const char *query)
{
    return api_case_call(api, "GET", path, query, "", 200);
}

static const char *const asked[] = {
    "",
    "filter=tag%3Dcanary",
    "filter=tag!%3Dcanary",
    "filter=tag~canary*",
    "filter=tag%3Dnorth%20and%20attr.floor%3D8",
    "filter=attr.n3%3D2402",
    "filter=attr.n3!%3D2402",
    "filter=attr.floor>%3D18%20or%20tag%3Dnorth",
    "filter=attr.x%3D1",
    "filter=attr.x%3D2",
    "filter=not(tag%3Dcanary%20or%20attr.floor<19)%20and%20code>3",
    "filter=id~*-19*",
    "filter=address%3D10.0.0.4%20and%20seen%3Dnever",
    "filter=address~fe80*%20and%20product%3Dlamp%20and%20known>1d",
    "filter=product%3Dlamp%20and%20version%3Dv4%20and%20reason%3Dcrashed",
    "filter=tag%3Dnone-has-it",
    "q=LONG-229",
    "q=10.0.0.249",
    "q=v5&filter=tag%3Dcanary",
    "q=fe80::f&product=lamp",
    "reason=crashed&filter=attr.floor%3D19",
    "product=lamp&filter=code%3D6",
};

/* Some pages of it; returns how many devices they show. */
static size_t compare_pages(const char *query)
{
    char page[256], after[MODEL_ID_LEN] = "";
    size_t count = 0;
    for (int pages = 0; pages < 3; pages++) {
        snprintf(page, sizeof page, "limit=40&after=%s&%s", after, query);
        f.read = 0;
        json_t *want = ask(&f.stored, "/api/v1/devices", page),
               *got = ask(&f.running, "/api/v1/devices", page);
        const size_t shown = json_array_size(json_object_get(got, "devices"));
        /* the store is asked while one of 16 rows is meant; then memory, and the page's rows are copied */
        assert_in_range(f.read, 0, (shown == 40 ? 1040 : 100 + 16 * shown) + shown + 1);
        if (!json_equal(want, got)) fail_msg("%s: another page", page);
        const char *next = json_string_value(json_object_get(want, "next"));
        count += json_array_size(json_object_get(want, "devices"));
        snprintf(after, sizeof after, "%s", next != NULL ? next : "");
        json_decref(want);
        json_decref(got);
        if (after[0] == '\0') break;
    }
    return count;
}

static void a_list_from_memory_is_the_list_of_the_store(void **state)
{
    (void)state;
    size_t empty = 0;
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++)
        empty += compare_pages(asked[i]) == 0;
    assert_int_equal(empty, 2); /* the tag that none has, and the second x */
}

/* What a text that is no JSON is answered with; free() it. */
static char *ask_table(const struct api *api, const char *query)
{
    struct api_response response;
    const struct api_request request = {
        .method = "GET", .path = "/api/v1/devices.csv", .query = query, .trusted = true, .body = ""};
    api_handle(api, &request, &response);
    assert_int_equal(response.status, 200);
    response.body[response.body_len - 1] = '\0'; /* the last line's end */
    return response.body;
}

static void a_table_from_memory_is_the_table_of_the_store(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        char query[256];
        if (strncmp(asked[i], "filter=", 7) != 0) continue;
        for (const char *const *limit = (const char *const[]){"30", "5000", NULL}; *limit != NULL; limit++) {
            snprintf(query, sizeof query, "limit=%s&after=5ccf7f0000&%s", *limit, asked[i]);
            f.read = 0;
            char *want = ask_table(&f.stored, query), *got = ask_table(&f.running, query);
            size_t lines = 0;
            for (const char *c = got; *c != '\0'; c++)
                lines += *c == '\n'; /* the head's line is one that ends, the last ends no more */
            if (strcmp(want, got) != 0) fail_msg("%s: another table", query);
            assert_in_range(f.read, 0, 100 + 17 * lines + 2);
            free(want);
            free(got);
        }
    }
}

static void counts_from_memory_are_those_of_the_store(void **state)
{
    (void)state;
    static const char *const by[] = {"version", "product", "state", "reason"};
    for (size_t i = 0; i < 16; i++) /* those without q and such */
        for (size_t n = 0; n < sizeof by / sizeof by[0]; n++) {
            char query[256];
            snprintf(query, sizeof query, "by=%s&%s", by[n], asked[i]);
            json_t *want = ask(&f.stored, "/api/v1/device-counts", query);
            json_t *got = ask(&f.running, "/api/v1/device-counts", query);
            assert_int_equal(json_integer_value(json_object_get(want, "total")),
                             json_integer_value(json_object_get(got, "total")));
            if (!json_equal(want, got)) fail_msg("%s: other counts", query);
            json_decref(want);
            json_decref(got);
        }
}

static void groups_from_memory_are_those_of_the_store(void **state)
{
    (void)state;
    json_t *want = ask(&f.stored, "/api/v1/groups", ""), *got = ask(&f.running, "/api/v1/groups", "");
    assert_int_equal(json_array_size(json_object_get(want, "groups")), 3);
    assert_true(json_equal(want, got));
    json_decref(want);
    json_decref(got);
}

/* The answer to somebody who has a role in one product: two, of the store and of memory, and they are the same. */
static void compare_for(const char *token, const char *path, const char *query)
{
    const struct api *const apis[] = {&f.stored, &f.running};
    struct api_response got[2];
    for (size_t i = 0; i < 2; i++) {
        char whole[64];
        snprintf(whole, sizeof whole, "/api/v1/%s", path);
        const struct api_request request = {
            .method = "GET", .path = whole, .query = query, .token = token, .body = ""};
        api_handle(apis[i], &request, &got[i]);
        assert_int_equal(got[i].status, 200);
    }
    if (got[0].body_len != got[1].body_len || memcmp(got[0].body, got[1].body, got[0].body_len) != 0)
        fail_msg("%s?%s: memory says %.*s", path, query, (int)got[1].body_len, got[1].body);
    free(got[0].body);
    free(got[1].body);
}

/* Of the groups of all: what is another product's is not counted. */
static void groups_are_those_of_the_product(const char *token)
{
    struct api_response response;
    const struct api_request request = {
        .method = "GET", .path = "/api/v1/groups", .query = "", .token = token, .body = ""};
    json_int_t want = 0, got = 0;
    size_t i;
    json_t *group;
    for (int n = 0; n < DEVICES; n++)
        want += n % 5 != 0 && n % 13 < 3;
    api_handle(&f.running, &request, &response);
    json_t *json = json_loadb(response.body, response.body_len, 0, NULL);
    json_array_foreach(json_object_get(json, "groups"), i, group) got +=
        json_integer_value(json_object_get(group, "devices"));
    assert_int_equal(got, want);
    json_decref(json);
    free(response.body);
}

/* Not even by `next`, which is the id of a device. */
static void memory_tells_nothing_of_another_product(void **state)
{
    struct store_token token = {.kind = STORE_TOKEN_ADMIN, .product_id = 1, .roles = STORE_ROLE_VIEWER};
    char text[STORE_TOKEN_LEN];
    (void)state;
    assert_int_equal(store_token_make(f.store->store, &token, text), 0);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        char query[256];
        snprintf(query, sizeof query, "limit=7&%s", asked[i]);
        compare_for(text, "devices", query);
        if (strncmp(asked[i], "filter=", 7) != 0) continue;
        compare_for(text, "devices.csv", query);
        snprintf(query, sizeof query, "by=version&%s", asked[i]);
        compare_for(text, "device-counts", query);
    }
    compare_for(text, "groups", "");
    groups_are_those_of_the_product(text);
}

static const char *const previewed[] = {
    "",
    "tag = canary",
    "not tag ~ canary*",
    "attr.floor >= 18 or tag = north",
    "attr.n3 = 2402",
    "attr.n3 != 2402 and code > 3",
    "id ~ *-19* or address = 10.0.0.4",
    "seen = never and known > 1d",
    "tag = none-has-it",
};
#define PREVIEWED (sizeof previewed / sizeof previewed[0])

/* Phases' samples are any of those that come in; few: all of them. */
static void compare_samples(const json_t *want, const json_t *got)
{
    const json_t *phases = json_object_get(want, "phases"), *others = json_object_get(got, "phases");
    assert_int_equal(json_array_size(phases), json_array_size(others));
    for (size_t i = 0; i < json_array_size(phases); i++) {
        json_t *phase = json_array_get(phases, i), *other = json_array_get(others, i);
        json_t *sample = json_object_get(phase, "sample"), *mine = json_object_get(other, "sample");
        assert_int_equal(json_array_size(sample), json_array_size(mine));
        const bool all = json_integer_value(json_object_get(phase, "added")) <= 12;
        for (size_t a = 0; all && a < json_array_size(mine); a++) {
            bool found = false;
            for (size_t b = 0; b < json_array_size(sample); b++)
                found = found || json_equal(json_array_get(mine, a), json_array_get(sample, b));
            assert_true(found);
        }
        json_object_del(phase, "sample");
        json_object_del(other, "sample");
    }
}

static void a_preview_from_memory_is_that_of_the_store(void **state)
{
    (void)state;
    json_int_t reached = 0;
    for (size_t n = 0; n < PREVIEWED * PREVIEWED; n++) {
        char body[512];
        snprintf(body, sizeof body,
                 "{\"release\":1,\"target\":\"%s\",\"phases\":[{\"percent\":7},{\"percent\":100,"
                 "\"filter\":\"%s\"},{\"percent\":40,\"filter\":\"%s\"}]}",
                 previewed[n / PREVIEWED], previewed[n % PREVIEWED], previewed[(n + 3) % PREVIEWED]);
        json_t *want = api_case_call(&f.stored, "POST", "/api/v1/rollout-preview", "", body, 200);
        json_t *got = api_case_call(&f.running, "POST", "/api/v1/rollout-preview", "", body, 200);
        reached += json_integer_value(json_object_get(want, "targeted"));
        compare_samples(want, got);
        if (!json_equal(want, got)) fail_msg("%s: another preview", body);
        json_decref(want);
        json_decref(got);
    }
    assert_true(reached > 10 * DEVICES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_list_from_memory_is_the_list_of_the_store),
                                       cmocka_unit_test(a_table_from_memory_is_the_table_of_the_store),
                                       cmocka_unit_test(memory_tells_nothing_of_another_product),
                                       cmocka_unit_test(counts_from_memory_are_those_of_the_store),
                                       cmocka_unit_test(groups_from_memory_are_those_of_the_store),
                                       cmocka_unit_test(a_preview_from_memory_is_that_of_the_store)};
    return cmocka_run_group_tests(tests, open_both, close_both);
}
