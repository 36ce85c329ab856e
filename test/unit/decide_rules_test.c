/* decide_rules_test.c - approval by a second person and the downgrade rule, as decide() answers them. */
#include "cmocka_all.h"

#include <stdio.h>

#include "molt_reason.h"
#include "server/decide/decide.h"
#include "unit/world.h"

#define NOW 1000000000000LL

/* Releases 2, 4 and 6 of one product for one chip; the device runs `running`. */
struct scene {
    struct world world;
    struct model_device device;
};

static void set_scene(struct scene *s, uint32_t running)
{
    *s = (struct scene){.device = {.id = "240ac4000001",
                                   .product_id = 1,
                                   .chip = MOLT_CHIP_ESP32,
                                   .chip_source = MODEL_CHIP_SAID,
                                   .running_code = running}};
    world_product(&s->world, "lamp", 0);
    for (uint32_t code = 2; code <= 6; code += 2) {
        world_release(&s->world, 1, code);
        world_image(&s->world, MOLT_CHIP_ESP32, 400000);
    }
}

/* The code that is offered, or the negative of the reason. */
static int ask(const struct scene *s)
{
    struct rules *rules = world_rules(&s->world);
    struct decision decision;
    const struct decide_ask question = {.component = MODEL_APP, .molt = true};
    decide(rules, &s->device, &question, NOW, &decision);
    int answer = decision.verdict == MOLT_VERDICT_OFFER ? (int)decision.release->code : -decision.reason;
    rules_destroy(rules);
    return answer;
}

/* Of two newer releases that must be passed the older one comes first; one that was recalled stands in nobody's way. */
static void a_release_that_must_be_passed_comes_before_newer_ones(void **state)
{
    (void)state;
    struct scene s;
    set_scene(&s, 1);
    assert_int_equal(ask(&s), 6);
    s.world.releases[0].required = s.world.releases[1].required = true;
    assert_int_equal(ask(&s), 2);
    s.device.running_code = 2;
    assert_int_equal(ask(&s), 4);
    s.device.running_code = 4;
    assert_int_equal(ask(&s), 6);
    s.device.running_code = 1;
    s.world.releases[0].yanked = true;
    assert_int_equal(ask(&s), 4);
    s.world.releases[1].yanked = true;
    assert_int_equal(ask(&s), 6);
}

static void nobody_goes_back_unless_the_rule_says_so(void **state)
{
    (void)state;
    struct scene s;
    set_scene(&s, 6);
    struct model_product *product = &s.world.products[0];
    s.world.releases[2].yanked = true; /* what it runs is recalled */
    assert_int_equal(ask(&s), -MOLT_DEVICE_NEWER);
    product->downgrade = MODEL_DOWNGRADE_PINNED;
    assert_int_equal(ask(&s), -MOLT_DEVICE_NEWER);
    product->downgrade = MODEL_DOWNGRADE_ALLOWED;
    assert_int_equal(ask(&s), 4);
    s.device.can = MOLT_CAN_SIGNED; /* it would refuse: its sequence never falls */
    assert_int_equal(ask(&s), -MOLT_DEVICE_NEWER);
    s.device.can = 0;
    s.world.releases[2].yanked = false;
    assert_int_equal(ask(&s), -MOLT_UP_TO_DATE);
    s.device.running_code = 9; /* never published here */
    assert_int_equal(ask(&s), 6);
}

static void what_runs_is_there_only_in_the_device_s_own_channel(void **state)
{
    (void)state;
    struct scene s;
    set_scene(&s, 6);
    s.world.products[0].downgrade = MODEL_DOWNGRADE_ALLOWED;
    snprintf(s.world.releases[2].channel, sizeof s.world.releases[2].channel, "beta");
    snprintf(s.device.channel, sizeof s.device.channel, "beta");
    assert_int_equal(ask(&s), -MOLT_UP_TO_DATE);
    s.device.channel[0] = '\0'; /* an operator takes it out of the channel */
    assert_int_equal(ask(&s), 4);
}

static void a_pin_goes_back_where_the_product_lets_it(void **state)
{
    (void)state;
    struct scene s;
    set_scene(&s, 6);
    s.device.pinned_code = 4;
    assert_int_equal(ask(&s), -MOLT_PINNED);
    s.world.products[0].downgrade = MODEL_DOWNGRADE_NEVER;
    assert_int_equal(ask(&s), -MOLT_PINNED);
    s.world.products[0].downgrade = MODEL_DOWNGRADE_PINNED;
    assert_int_equal(ask(&s), 4);
    s.device.running_code = 4;
    assert_int_equal(ask(&s), -MOLT_UP_TO_DATE);
}

static void the_rollout_s_own_rule_goes_before_the_product_s(void **state)
{
    (void)state;
    struct scene s;
    set_scene(&s, 6);
    s.world.releases[2].yanked = true;
    struct model_rollout *rollout = world_rollout(&s.world, 2);
    rollout->phases[0].percent = 10000;
    rollout->downgrade = MODEL_DOWNGRADE_ALLOWED;
    assert_int_equal(ask(&s), 4);
    rollout->downgrade = MODEL_DOWNGRADE_NEVER;
    s.world.products[0].downgrade = MODEL_DOWNGRADE_ALLOWED;
    assert_int_equal(ask(&s), -MOLT_DEVICE_NEWER); /* and not to what is older still */
    rollout->downgrade = MODEL_DOWNGRADE_DEFAULT;
    rollout->status = MODEL_ROLLOUT_PAUSED;
    assert_int_equal(ask(&s), 2); /* withheld: the next older one is for it */
}

static void nothing_is_offered_before_somebody_approved(void **state)
{
    (void)state;
    struct scene s;
    set_scene(&s, 2);
    s.world.products[0].approval = true;
    assert_int_equal(ask(&s), -MOLT_NO_ROLLOUT);
    struct model_rollout *rollout = world_rollout(&s.world, 3), next;
    rollout->phases[0].percent = 10000;
    rollout->status = MODEL_ROLLOUT_WAITING;
    snprintf(rollout->created_by, sizeof rollout->created_by, "token 1");
    assert_int_equal(ask(&s), -MOLT_NOT_APPROVED);
    s.device.pinned_code = 6; /* a pin does not pass it by */
    assert_int_equal(ask(&s), -MOLT_NOT_APPROVED);
    s.device.pinned_code = 4;
    assert_int_equal(ask(&s), -MOLT_NO_ROLLOUT);
    s.device.pinned_code = 0;

    assert_int_equal(rollout_approve(rollout, "token 1", NOW, &next), -MOLT_SECOND_PERSON);
    assert_int_equal(rollout_approve(rollout, "", NOW, &next), -MOLT_SECOND_PERSON);
    const struct rollout_counts none = {0};
    assert_int_equal(rollout_act(rollout, &none, ROLLOUT_PAUSE, NOW, &next), -MOLT_STATE);
    assert_int_equal(rollout_act(rollout, &none, ROLLOUT_RESUME, NOW, &next), -MOLT_STATE);
    assert_int_equal(rollout_act(rollout, &none, ROLLOUT_NEXT, NOW, &next), -MOLT_STATE);
    assert_false(rollout_judge(rollout, &none, NOW, &next));
    assert_int_equal(rollout_approve(rollout, "token 2", NOW, &next), 0);
    assert_string_equal(next.approved_by, "token 2");
    assert_true(next.approved_ms == NOW && next.phase_since_ms == NOW);
    *rollout = next;
    assert_int_equal(ask(&s), 6);
    assert_int_equal(rollout_approve(rollout, "token 3", NOW, &next), -MOLT_STATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_release_that_must_be_passed_comes_before_newer_ones),
        cmocka_unit_test(nobody_goes_back_unless_the_rule_says_so),
        cmocka_unit_test(what_runs_is_there_only_in_the_device_s_own_channel),
        cmocka_unit_test(a_pin_goes_back_where_the_product_lets_it),
        cmocka_unit_test(the_rollout_s_own_rule_goes_before_the_product_s),
        cmocka_unit_test(nothing_is_offered_before_somebody_approved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
