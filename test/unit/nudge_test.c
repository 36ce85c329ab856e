/* nudge_test.c - addresses of brokers, and when the number of a product changes. */
#include "cmocka_all.h"

#include "server/nudge_parts.h"
#include "unit/world.h"

static void an_address_is_taken_apart_or_refused(void **state)
{
    (void)state;
    struct nudge_url url;
    assert_true(nudge_url_parse("mqtt://broker", &url));
    assert_string_equal(url.host, "broker");
    assert_string_equal(url.prefix, "molt");
    assert_true(url.port == 1883 && !url.tls);
    assert_true(nudge_url_parse("mqtts://anna:se:cret@[::1]:9000/site/a", &url));
    assert_string_equal(url.user, "anna");
    assert_string_equal(url.password, "se:cret");
    assert_string_equal(url.host, "::1");
    assert_string_equal(url.prefix, "site/a");
    assert_true(url.port == 9000 && url.tls);
    assert_true(nudge_url_parse("mqtts://b/", &url) && url.port == 8883);
    static const char *const bad[] = {
        "",          "http://b",    "mqtt://",      "mqtt://b:0", "mqtt://b:65536",
        "mqtt://b:", "mqtt://b:1x", "mqtt://b/a/+", "mqtt://b/#", "mqtt://u@",
        "mqtt:///p", "mqtt://b/a/"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (nudge_url_parse(bad[i], &url)) fail_msg("'%s' was taken", bad[i]);
}

static void the_number_changes_with_the_product_s_own_rules_only(void **state)
{
    (void)state;
    struct world world = {.product_count = 0};
    world_product(&world, "lamp", 0);
    world_product(&world, "door", 0);
    world_release(&world, 1, 1);
    world_image(&world, MOLT_CHIP_ESP32, 1000);
    struct model_rollout *rollout = world_rollout(&world, 1);
    struct rules *rules = world_rules(&world);
    uint64_t lamp = nudge_generation(&rules->data, &rules->data.products[0]);
    uint64_t door = nudge_generation(&rules->data, &rules->data.products[1]);
    rules_destroy(rules);
    rules = world_rules(&world);
    assert_true(nudge_generation(&rules->data, &rules->data.products[0]) == lamp); /* also after a restart */
    rules_destroy(rules);
    for (int what = 0; what < 4; what++) {
        if (what == 0) world.products[0].stopped = true;
        if (what == 1) world.releases[0].yanked = true;
        if (what == 2) rollout->status = MODEL_ROLLOUT_PAUSED;
        if (what == 3) world_release(&world, 1, 2);
        rules = world_rules(&world);
        uint64_t now = nudge_generation(&rules->data, &rules->data.products[0]);
        assert_true(now != lamp);
        assert_true(nudge_generation(&rules->data, &rules->data.products[1]) == door);
        lamp = now;
        rules_destroy(rules);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_taken_apart_or_refused),
        cmocka_unit_test(the_number_changes_with_the_product_s_own_rules_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
