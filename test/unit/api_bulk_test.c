/* api_bulk_test.c - POST /devices: many devices in one transaction, all of them or none, and what a refusal says. */
#include "cmocka_all.h"

#include <jansson.h>

#include "molt_reason.h"
#include "server/api/api.h"
#include "temp_dir.h"

static struct {
    struct temp_dir dir;
    struct api api;
    int changed;
    char put_back[MODEL_ID_LEN]; /* a server's own write puts this device's old settings back, once */
    struct model_device old;
} f;

static void device_changed(void *ctx, const char *id)
{
    (void)ctx;
    f.changed++;
    if (strcmp(id, f.put_back) != 0) return;
    f.put_back[0] = '\0';
    assert_int_equal(store_save_devices(f.api.store, &f.old, 1), 0);
}

static int set_up(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    temp_dir_make(&f.dir);
    assert_int_equal(store_open(f.dir.path, true, &f.api.store, NULL, 0), 0);
    f.api.hooks.device_changed = device_changed;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_close(f.api.store);
    temp_dir_remove(&f.dir);
    return 0;
}

/* The status; part: what the answer must hold. */
static int post(const char *body, const char *part)
{
    const struct api_request request = {.method = "POST",
                                        .path = "/api/v1/devices",
                                        .query = "",
                                        .body = body,
                                        .body_len = strlen(body),
                                        .trusted = true};
    struct api_response response = {0};
    api_handle(&f.api, &request, &response);
    int status = response.status;
    if (strstr(response.body, part) == NULL) fail_msg("%s is not in %d %s", part, status, response.body);
    free(response.body);
    return status;
}

static bool is_there(const char *id, const char *group)
{
    struct model_device device;
    return store_device_get(f.api.store, id, &device) == 0 && strcmp(device.group_name, group) == 0;
}

static void new_ones_and_old_ones_are_set(void **state)
{
    const struct model_device old = {.id = "a", .channel = "beta", .group_name = "x"};
    struct model_device now;
    (void)state;
    assert_int_equal(store_save_devices(f.api.store, &old, 1), 0);
    assert_int_equal(post("{\"devices\": [{\"id\": \"a\", \"group\": \"roof\"},"
                          " {\"id\": \"5C:CF:7F:00:00:01\", \"group\": \"hall\", \"tags\": [\"t\"]}]}",
                          "\"changed\":2"),
                     200);
    assert_int_equal(f.changed, 2);
    assert_true(is_there("a", "roof") && is_there("5ccf7f000001", "hall"));
    assert_int_equal(store_device_get(f.api.store, "a", &now), 0);
    assert_string_equal(now.channel, "beta");
}

static void one_that_is_refused_keeps_all_out(void **state)
{
    (void)state;
    static const struct {
        const char *rows, *says;
    } cases[] = {
        {"{\"id\": \"a\"}, {\"id\": \"b\", \"product\": \"none\"}", "device 2 (b): "},
        {"{\"id\": \"a\"}, {\"id\": \"b\", \"held\": 1}", "device 2 (b): "},
        {"{\"id\": \"a\"}, {\"id\": \"b\", \"colour\": 1}", "device 2: unknown field 'colour'"},
        {"{\"id\": \"a\"}, {\"id\": \"not/an/id\"}", "device 2: 'not/an/id'"},
        {"{\"id\": \"a\"}, {\"group\": \"x\"}", "device 2: "},
        {"{\"id\": \"a\"}, 7", "device 2: "},
        {"{\"id\": \"a\"}, {\"id\": \"A\"}, {\"id\": \"a\"}", "there twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[256];
        snprintf(body, sizeof body, "{\"devices\": [%s]}", cases[i].rows);
        assert_in_range(post(body, cases[i].says), 400, 404);
        assert_false(is_there("a", "") || is_there("b", ""));
    }
    assert_int_equal(f.changed, 0);
}

static void lists_have_a_limit(void **state)
{
    static char body[40000];
    size_t len = 0;
    (void)state;
    assert_int_equal(post("{\"devices\": []}", "1 to 1000"), 400);
    assert_int_equal(post("{\"devices\": 7}", "1 to 1000"), 400);
    assert_int_equal(post("{}", "1 to 1000"), 400);
    len += (size_t)snprintf(body, sizeof body, "{\"devices\": [");
    for (int i = 0; i <= 1000; i++)
        len += (size_t)snprintf(body + len, sizeof body - len, "%s{\"id\": \"d%d\"}", i > 0 ? ", " : "", i);
    snprintf(body + len, sizeof body - len, "]}");
    assert_int_equal(post(body, "1 to 1000"), 400);
    memcpy(body + 13, "             ", 12); /* without the first */
    body[13 + 12] = ' ';
    assert_int_equal(post(body, "\"changed\":1000"), 200);
    assert_true(is_there("d1", "") && is_there("d1000", ""));
}

static void what_a_server_put_back_meanwhile_is_set_again(void **state)
{
    (void)state;
    f.old = (struct model_device){.id = "b", .group_name = "old"};
    snprintf(f.put_back, sizeof f.put_back, "b");
    assert_int_equal(
        post("{\"devices\": [{\"id\": \"a\", \"group\": \"new\"}, {\"id\": \"b\", \"group\": \"new\"},"
             " {\"id\": \"c\", \"group\": \"new\"}]}",
             "\"changed\":3"),
        200);
    assert_true(is_there("a", "new") && is_there("b", "new") && is_there("c", "new"));
    assert_int_equal(f.changed, 4); /* only the one was set again */
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(new_ones_and_old_ones_are_set),
        TEST(one_that_is_refused_keeps_all_out),
        TEST(lists_have_a_limit),
        TEST(what_a_server_put_back_meanwhile_is_set_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
