/* merge_test.c - copies of a device put together: which wins, and what a change does to its order. The algebra: test/property/merge_property_test.c. */
#include "cmocka_all.h"

#include <string.h>

#include "host/merge.h"
#include "molt_reason.h"

#define NODE_A 1u
#define NODE_B 2u

static struct model_device offered(int64_t now_ms, uint32_t node)
{
    struct model_device before = {.id = "aa", .product_id = 1, .running_code = 1}, after = before;
    after.attempt = MODEL_ATTEMPT_OFFERED;
    after.attempt_release_id = after.announced_code = 2;
    after.rollout_id = 7;
    after.rollout_open = true;
    after.rollout_ms = now_ms;
    merge_stamp(&before, &after, now_ms, node);
    return after;
}

static void ended(struct model_device *device, enum model_attempt how, enum model_outcome outcome,
                  int64_t now_ms)
{
    struct model_device before = *device;
    device->attempt = how;
    device->rollout_open = false;
    device->rollout_outcome = outcome;
    device->rollout_failures += outcome == MODEL_OUTCOME_FAILED || outcome == MODEL_OUTCOME_TIMED_OUT;
    device->rollout_ms = now_ms;
    merge_stamp(&before, device, now_ms, NODE_B);
}

static void both_ways(const struct model_device *a, const struct model_device *b, struct model_device *out)
{
    struct model_device other = *b;
    *out = *a;
    merge_device(out, b);
    merge_device(&other, a);
    assert_memory_equal(out, &other, sizeof other);
}

static void an_end_wins_over_what_an_older_copy_does_later(void **state)
{
    (void)state;
    struct model_device older = offered(1000, NODE_A), newer = older, before, merged;
    ended(&newer, MODEL_ATTEMPT_ROLLED_BACK, MODEL_OUTCOME_FAILED, 2000);
    before = older;
    older.attempt = MODEL_ATTEMPT_DOWNLOADING; /* it has not heard of the end */
    merge_stamp(&before, &older, 3000, NODE_A);
    both_ways(&older, &newer, &merged);
    assert_int_equal(merged.attempt, MODEL_ATTEMPT_ROLLED_BACK);
    assert_false(merged.rollout_open);
    assert_int_equal(merged.rollout_failures, 1);
}

/* B's clock is 2 ms behind A's, which offered a moment before. */
static void what_an_update_proves_to_run_is_not_undone_by_clocks_that_differ(void **state)
{
    (void)state;
    struct model_device known = {.id = "aa", .product_id = 1, .running_code = 1};
    struct model_device at_a = known, at_b = known, merged;
    at_a.attempt = MODEL_ATTEMPT_OFFERED;
    at_a.announced_code = 2;
    at_a.last_reason = MOLT_OFFERED;
    merge_stamp(&known, &at_a, 1001, NODE_A);
    at_b.attempt = at_b.result = MODEL_ATTEMPT_UPDATED;
    at_b.running_code = at_b.announced_code = 2;
    at_b.result_reason = MOLT_CONFIRMED;
    merge_stamp(&known, &at_b, 999, NODE_B);
    both_ways(&at_a, &at_b, &merged);
    merge_settle(&merged);
    assert_int_equal(merged.running_code, 2);
    assert_true(merged.last_reason_ms >
                at_a.last_reason_ms); /* it wins over the copy that has not heard of it */
    const struct model_device settled = merged;
    merge_device(&merged, &at_a);
    merge_settle(&merged);
    assert_memory_equal(&merged, &settled, sizeof settled);
    merged.running_code = 1; /* long after that it is another word */
    merged.last_reason_ms = merged.attempt_ms + MERGE_SKEW_MS + 1;
    merge_settle(&merged);
    assert_int_equal(merged.running_code, 1);
}

static void a_success_wins_over_a_timeout(void **state)
{
    (void)state;
    struct model_device good = offered(1000, NODE_A), late = good, merged;
    ended(&good, MODEL_ATTEMPT_UPDATED, MODEL_OUTCOME_SUCCEEDED, 2000);
    ended(&late, MODEL_ATTEMPT_OFFERED, MODEL_OUTCOME_TIMED_OUT, 3000);
    both_ways(&good, &late, &merged);
    assert_int_equal(merged.rollout_outcome, MODEL_OUTCOME_SUCCEEDED);
    assert_int_equal(merged.attempt, MODEL_ATTEMPT_UPDATED);
}

static void the_next_offer_wins_over_the_last_end(void **state)
{
    (void)state;
    struct model_device ended_copy = offered(1000, NODE_A), again, before, merged;
    ended(&ended_copy, MODEL_ATTEMPT_FAILED, MODEL_OUTCOME_FAILED, 2000);
    again = before = ended_copy;
    again.attempt = MODEL_ATTEMPT_OFFERED;
    again.rollout_open = true;
    again.rollout_ms = 9000;
    merge_stamp(&before, &again, 9000, NODE_B);
    both_ways(&ended_copy, &again, &merged);
    assert_true(merged.rollout_open);
    assert_int_equal(merged.rollout_node, NODE_B);
    assert_int_equal(merged.rollout_failures, 1);
    assert_int_equal(merged.attempt, MODEL_ATTEMPT_OFFERED);
}

static void a_person_who_lets_it_try_again_is_heard(void **state)
{
    (void)state;
    struct model_device failed = offered(1000, NODE_A), lifted, before, merged;
    ended(&failed, MODEL_ATTEMPT_FAILED, MODEL_OUTCOME_FAILED, 2000);
    lifted = before = failed;
    lifted.attempt = MODEL_ATTEMPT_NONE;
    lifted.rollout_failures = 0;
    lifted.rollout_outcome = MODEL_OUTCOME_NONE;
    merge_stamp(&before, &lifted, 2500, NODE_B);
    both_ways(&failed, &lifted, &merged);
    assert_int_equal(merged.rollout_failures, 0);
    assert_int_equal(merged.attempt, MODEL_ATTEMPT_NONE);
}

static void facts_and_sightings_go_their_own_ways(void **state)
{
    (void)state;
    struct model_device polled = offered(1000, NODE_A), told = polled, before = polled, merged;
    polled.last_seen_ms = 5000;
    memcpy(polled.address, "10.0.0.5", 9);
    told.running_code = 2;
    told.last_seen_ms = 4000;
    merge_stamp(&before, &told, 4000, NODE_B);
    both_ways(&polled, &told, &merged);
    assert_int_equal(merged.running_code, 2);
    assert_int_equal(merged.last_seen_ms, 5000);
    assert_string_equal(merged.address, "10.0.0.5");
    assert_int_equal(merged.attempt,
                     MODEL_ATTEMPT_OFFERED); /* who told of it knew nothing of the offer's end */
}

static void what_an_operator_says_later_wins_whole(void **state)
{
    (void)state;
    struct model_device a = {.id = "aa", .product_id = 1, .held = true}, b = {.id = "aa", .settings_rev = 1},
                        merged;
    memcpy(b.tags, "roof", 5);
    both_ways(&a, &b, &merged);
    assert_int_equal(merged.product_id, 0);
    assert_false(merged.held);
    assert_string_equal(merged.tags, "roof");
}

static void one_end_has_one_name_wherever_it_is_concluded(void **state)
{
    (void)state;
    struct model_device device = offered(1000, NODE_A);
    struct model_attempt_end end = {.result = MODEL_ATTEMPT_UPDATED, .reason = 120}, other = end;
    other.reason = 121; /* known by a check-in, and by what runs */
    assert_int_equal(merge_once(&device, &end), merge_once(&device, &other));
    other.result = MODEL_ATTEMPT_FAILED;
    assert_int_not_equal(merge_once(&device, &end), merge_once(&device, &other));
    const int64_t first = merge_once(&device, &end);
    device.attempt_no++;
    assert_int_not_equal(first, merge_once(&device, &end));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_wins_over_what_an_older_copy_does_later),
        cmocka_unit_test(what_an_update_proves_to_run_is_not_undone_by_clocks_that_differ),
        cmocka_unit_test(a_success_wins_over_a_timeout),
        cmocka_unit_test(the_next_offer_wins_over_the_last_end),
        cmocka_unit_test(a_person_who_lets_it_try_again_is_heard),
        cmocka_unit_test(facts_and_sightings_go_their_own_ways),
        cmocka_unit_test(what_an_operator_says_later_wins_whole),
        cmocka_unit_test(one_end_has_one_name_wherever_it_is_concluded),
    };
    return cmocka_run_group_tests_name("merge", tests, NULL, NULL);
}
