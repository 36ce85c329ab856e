/* hooks_test.c - webhooks without a network: signatures against the vector of Standard Webhooks, addresses that may be reached, what of
 * two sets of rules is told. */
#include "cmocka_all.h"

#include <jansson.h>
#include <string.h>

#include "server/hooks/parts.h"
#include "temp_dir.h"

/* standardwebhooks.com: libraries of six languages have this one in their tests. */
static void a_signature_is_the_one_of_standard_webhooks(void **state)
{
    (void)state;
    unsigned char key[HOOK_KEY_MAX + 8];
    char signature[HOOK_SIGNATURE_LEN];
    size_t len = hook_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", key);
    assert_int_equal(len, 24);
    hook_sign(key, len, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, "{\"test\": 2432232314}", signature);
    assert_string_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void what_is_no_secret_signs_nothing(void **state)
{
    (void)state;
    unsigned char key[HOOK_KEY_MAX + 8];
    static const char *const bad[] = {"",
                                      "whsec_",
                                      "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                                      "whsec_MfKQ",
                                      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
                                      "whsec_####################################"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (hook_key(bad[i], key) != 0) fail_msg("'%s' is taken", bad[i]);
    }
}

static void only_public_addresses_are_reached_unless_they_are_allowed(void **state)
{
    (void)state;
    static const char *const closed[] = {"127.0.0.1",
                                         "10.0.0.1",
                                         "192.168.1.1",
                                         "172.31.0.1",
                                         "169.254.169.254",
                                         "0.0.0.0",
                                         "100.64.0.1",
                                         "224.0.0.1",
                                         "255.255.255.255",
                                         "::1",
                                         "::",
                                         "fe80::1",
                                         "fd00::1",
                                         "::ffff:127.0.0.1",
                                         "::ffff:10.0.0.1",
                                         "64:ff9b::a00:1",
                                         "2002:a00:1::1",
                                         "2001:db8::1",
                                         "ff02::1",
                                         "192.0.2.1",
                                         "unix",
                                         "",
                                         "2001::1"};
    static const char *const open[] = {"93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "172.32.0.1",
                                       "::ffff:8.8.8.8"};
    struct net net;
    for (size_t i = 0; i < sizeof closed / sizeof closed[0]; i++) {
        if (hook_may_reach(closed[i], NULL, 0)) fail_msg("%s is reached", closed[i]);
    }
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        if (!hook_may_reach(open[i], NULL, 0)) fail_msg("%s is not reached", open[i]);
    }
    assert_true(net_read("10.1.0.0/16", &net));
    assert_true(hook_may_reach("10.1.2.3", &net, 1));
    assert_true(hook_may_reach("::ffff:10.1.2.3", &net, 1));
    assert_false(hook_may_reach("10.2.2.3", &net, 1));
}

static void every_event_has_a_name_of_its_own(void **state)
{
    (void)state;
    assert_true(HOOK_EVENTS <= 32);
    for (int i = 0; i < HOOK_EVENTS; i++)
        assert_int_equal(hook_event_of(hook_event_name((enum hook_event)i)), i);
    assert_int_equal(hook_event_of("device"), HOOK_EVENTS);
}

/* ---- what is told ---- */

struct told {
    int count;
    char events[8][32], bodies[8][STORE_HOOK_BODY_LEN];
};

static int take(void *ctx, const struct store_delivery *delivery)
{
    struct told *told = ctx;
    assert_true(told->count < 8);
    memcpy(told->events[told->count], delivery->event, sizeof told->events[0]);
    memcpy(told->bodies[told->count++], delivery->body, sizeof told->bodies[0]);
    return 0;
}

static void what_differs_between_rules_is_told_once_and_ends_of_attempts_are(void **state)
{
    (void)state;
    struct temp_dir dir;
    struct store *store;
    temp_dir_make(&dir);
    assert_int_equal(store_open(dir.path, true, &store, NULL, 0), 0);
    struct store_hook hook = {.url = "http://127.0.0.1:9/",
                              .secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                              .enabled = true,
                              .events = ~(1u << HOOK_RELEASE_YANKED)};
    assert_int_equal(store_hook_create(store, &hook), 0);
    struct hooks *hooks = hooks_start(store);
    assert_non_null(hooks);
    struct model_product product = {.id = 1, .name = "lamp"};
    struct model_release release = {.id = 4,
                                    .product_id = 1,
                                    .version = "2.0",
                                    .code = 2,
                                    .channel = "stable"},
                         yanked = release;
    struct model_rollout rollout = {.id = 7,
                                    .product_id = 1,
                                    .release_id = 4,
                                    .status = MODEL_ROLLOUT_RUNNING},
                         paused = rollout;
    struct store_rules none = {.products = &product, .product_count = 1}, one = none, two, three;
    one.releases = &release;
    one.release_count = 1;
    two = one;
    two.rollouts = &rollout;
    two.rollout_count = 1;
    three = two;
    yanked.yanked = true;
    three.releases = &yanked;
    paused.status = MODEL_ROLLOUT_PAUSED;
    snprintf(paused.note, sizeof paused.note, "3 of 4 failed");
    three.rollouts = &paused;
    hooks_rules(hooks, &none, &none);
    hooks_rules(hooks, &none, &one);
    hooks_rules(hooks, &one, &one);
    hooks_rules(hooks, &one, &two);
    hooks_rules(hooks, &two, &three); /* yanked is not wanted, paused is */
    struct model_attempt_end ends[] = {
        {.device_id = "5ccf7f000001", .result = MODEL_ATTEMPT_ROLLED_BACK, .code = 2},
        {.device_id = "5ccf7f000002", .result = MODEL_ATTEMPT_NONE}};
    hooks_ends(hooks, ends, 2);
    hooks_stop(hooks); /* makes rows of what is left */
    struct told told = {0};
    assert_int_equal(store_each_delivery(store, hook.id, 0, 100, take, &told), 0);
    assert_int_equal(told.count, 4); /* the newest first */
    assert_string_equal(told.events[3], "release.published");
    assert_string_equal(told.events[2], "rollout.created");
    assert_string_equal(told.events[1], "rollout.paused");
    assert_string_equal(told.events[0], "device.rolled-back");
    json_t *json = json_loads(told.bodies[1], 0, NULL);
    const json_t *data = json_object_get(json, "data");
    assert_string_equal(json_string_value(json_object_get(json, "type")), "rollout.paused");
    assert_string_equal(json_string_value(json_object_get(data, "note")), "3 of 4 failed");
    assert_string_equal(json_string_value(json_object_get(data, "product")), "lamp");
    assert_int_equal(json_integer_value(json_object_get(data, "rollout")), 7);
    json_decref(json);
    store_close(store);
    temp_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signature_is_the_one_of_standard_webhooks),
        cmocka_unit_test(what_is_no_secret_signs_nothing),
        cmocka_unit_test(only_public_addresses_are_reached_unless_they_are_allowed),
        cmocka_unit_test(every_event_has_a_name_of_its_own),
        cmocka_unit_test(what_differs_between_rules_is_told_once_and_ends_of_attempts_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
