/* rollout_test.c - the rules of rollouts, row by row; the counts under threads; what a restart and a sweep make of them. */
#include "cmocka_all.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "molt_reason.h"
#include "server/attempt/attempt.h"
#include "server/rollouts/rollout_runner.h"
#include "temp_dir.h"
#include "unit/world.h"

#define NOW 1000000000000LL

static struct model_device the_device(const char *id)
{
    struct model_device device = {
        .product_id = 1, .chip = MOLT_CHIP_ESP32, .chip_source = MODEL_CHIP_SAID, .running_code = 1};
    snprintf(device.id, sizeof device.id, "%s", id);
    return device;
}

static int gate(const struct model_rollout *rollout, const struct model_device *device,
                const struct rollout_counts *counts, int64_t now_ms, struct rollout_answer *answer)
{
    const struct rollout_counts none = {0};
    struct rollout_plan plan;
    assert_true(rollout_compile(&plan, rollout));
    rollout_gate(&plan, &(struct filter_subject){device, "lamp", now_ms}, counts != NULL ? counts : &none,
                 true, answer);
    rollout_plan_free(&plan);
    return answer->reason;
}

static struct model_rollout the_rollout(void)
{
    struct model_rollout rollout = {
        .id = 1, .release_id = 2, .status = MODEL_ROLLOUT_RUNNING, .phase_count = 1, .timeout_s = 60};
    rollout.phases[0].percent = 10000;
    return rollout;
}

static void buckets_are_spread_evenly_differ_by_salt_and_never_change(void **state)
{
    (void)state;
    struct model_rollout a = {.id = 1}, b = {.id = 2}, salted = {.id = 3, .salt = 1};
    uint32_t tenths[10] = {0}, both = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        char id[MODEL_ID_LEN];
        snprintf(id, sizeof id, "5ccf7f%06x", i);
        uint32_t bucket = rollout_bucket(&a, id);
        assert_true(bucket < MODEL_BUCKETS);
        assert_int_equal(bucket, rollout_bucket(&salted, id));
        tenths[bucket * 10 / MODEL_BUCKETS]++;
        both += bucket < MODEL_BUCKETS / 10 && rollout_bucket(&b, id) < MODEL_BUCKETS / 10;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(tenths[i], 9600, 10400);
    assert_in_range(both, 800, 1200); /* the first tenth of one is not that of the other */
    assert_int_equal(rollout_bucket(&a, "5ccf7fc602e2"), 17486); /* on every machine, for ever */
}

static void each_rule_has_its_reason(void **state)
{
    (void)state;
    struct rollout_answer answer = {.terse = false};
    struct model_device device = the_device("a");
    struct model_rollout r = the_rollout();
    assert_int_equal(gate(&r, &device, NULL, NOW, &answer), 0);
    r.status = MODEL_ROLLOUT_DONE;
    assert_int_equal(gate(&r, &device, NULL, NOW, &answer), 0);
    r.status = MODEL_ROLLOUT_PAUSED;
    assert_int_equal(gate(&r, &device, NULL, NOW, &answer), MOLT_ROLLOUT_PAUSED);
    r.status = MODEL_ROLLOUT_ABORTED;
    assert_int_equal(gate(&r, &device, NULL, NOW, &answer), MOLT_ROLLOUT_ABORTED);
    r = the_rollout();
    r.start_ms = NOW + 90000;
    assert_int_equal(gate(&r, &device, NULL, NOW, &answer), MOLT_ROLLOUT_LATER);
    assert_int_equal(answer.again_s, 91);
    r = the_rollout();
    strcpy(r.target, "tag = x");
    assert_int_equal(gate(&r, &device, NULL, NOW, &answer), MOLT_NOT_TARGETED);
    strcpy(r.target, "this is no filter"); /* a damaged row: nobody */
    assert_int_equal(gate(&r, &device, NULL, NOW, &answer), MOLT_NOT_TARGETED);
    r = the_rollout();
    strcpy(r.window, "01:00-01:46"); /* it is 01:46:40 */
    assert_int_equal(gate(&r, &device, NULL, NOW, &answer), MOLT_OUTSIDE_WINDOW);
    assert_int_equal(answer.again_s, 23 * 3600 + 13 * 60 + 20 + 1);
    device.rollout_id = 1;
    device.rollout_open = true; /* it began inside */
    assert_int_equal(gate(&r, &device, NULL, NOW, &answer), 0);
    device.rollout_open = false;
    strcpy(r.window, "at noon"); /* a damaged row: never */
    assert_int_equal(gate(&r, &device, NULL, NOW, &answer), MOLT_OUTSIDE_WINDOW);
    device.rollout_id = 0;
    r = the_rollout();
    r.max_open = 3;
    assert_int_equal(gate(&r, &device, &(struct rollout_counts){.open = 2}, NOW, &answer), 0);
    assert_int_equal(gate(&r, &device, &(struct rollout_counts){.open = 3}, NOW, &answer), MOLT_ROLLOUT_FULL);
    assert_int_equal(answer.again_s, 61);
    device.rollout_id = 1;
    device.rollout_open = true; /* it is one of the three */
    assert_int_equal(gate(&r, &device, &(struct rollout_counts){.open = 3}, NOW, &answer), 0);
}

/* A fleet of a million that waits has one text and no reason to be written again at each poll; "why" says all of it. */
static void what_is_recorded_of_a_refusal_is_the_same_for_all_and_lasts(void **state)
{
    (void)state;
    const struct model_device a = the_device("a"), b = the_device("b");
    for (int exact = 0; exact <= 1; exact++) {
        struct rollout_answer one = {.exact = exact}, other = {.exact = exact};
        struct model_rollout r = the_rollout();
        r.phases[0].percent = 1;
        assert_int_equal(gate(&r, &a, NULL, NOW, &one), MOLT_NOT_IN_PHASE);
        assert_int_equal(gate(&r, &b, NULL, NOW, &other), MOLT_NOT_IN_PHASE);
        assert_int_equal(strcmp(one.detail, other.detail) != 0, exact);
        r = the_rollout();
        r.start_ms = NOW + 90000;
        assert_int_equal(gate(&r, &a, NULL, NOW, &one), MOLT_ROLLOUT_LATER);
        assert_int_equal(gate(&r, &a, NULL, NOW + 5000, &other), MOLT_ROLLOUT_LATER);
        assert_int_equal(strcmp(one.detail, other.detail) != 0, exact);
        r = the_rollout();
        r.max_open = 3;
        assert_int_equal(gate(&r, &a, &(struct rollout_counts){.open = 3}, NOW, &one), MOLT_ROLLOUT_FULL);
        assert_int_equal(gate(&r, &a, &(struct rollout_counts){.open = 4}, NOW, &other), MOLT_ROLLOUT_FULL);
        assert_int_equal(strcmp(one.detail, other.detail) != 0, exact);
    }
}

static void retries_wait_twice_as_long_each_time_and_end_in_quarantine(void **state)
{
    (void)state;
    struct rollout_answer answer = {.terse = false};
    struct model_device device = the_device("a");
    struct model_rollout r = the_rollout();
    int64_t now = NOW;
    r.retries = 2;
    r.retry_s = 100;
    for (uint32_t failures = 1; failures <= 2; failures++) {
        rollout_offer(&r, &device, now);
        device.attempt = MODEL_ATTEMPT_ROLLED_BACK;
        device.attempt_release_id = r.release_id;
        assert_true(rollout_settle(&r, &device, true, now));
        assert_false(rollout_settle(&r, &device, true, now)); /* once */
        int64_t pause = failures == 1 ? 100000 : 200000;
        assert_int_equal(gate(&r, &device, NULL, now + pause - 1, &answer), MOLT_RETRY_LATER);
        assert_int_equal(gate(&r, &device, NULL, now + pause, &answer), 0);
        assert_true(rollout_may_retry(&r, &device));
        now += pause;
    }
    rollout_offer(&r, &device, now);
    assert_true(rollout_settle(&r, &device, true, now));
    assert_int_equal(gate(&r, &device, NULL, now + 1000000000, &answer), MOLT_QUARANTINED);
    assert_false(rollout_may_retry(&r, &device));
}

static void an_offer_without_a_result_times_out_and_a_late_success_still_counts(void **state)
{
    (void)state;
    struct model_device device = the_device("a");
    struct model_rollout r = the_rollout();
    rollout_offer(&r, &device, NOW);
    device.attempt = MODEL_ATTEMPT_DOWNLOADED;
    device.attempt_release_id = r.release_id;
    assert_false(rollout_settle(&r, &device, true, NOW + 59999));
    assert_true(rollout_settle(&r, &device, true, NOW + 60000));
    assert_int_equal(device.rollout_outcome, MODEL_OUTCOME_TIMED_OUT);
    device.attempt = MODEL_ATTEMPT_UPDATED;
    assert_true(rollout_settle(&r, &device, true, NOW + 70000));
    assert_int_equal(device.rollout_outcome, MODEL_OUTCOME_SUCCEEDED);
    assert_true(device.rollout_counts && !device.rollout_open);
}

static void a_clock_that_was_set_back_makes_nobody_wait_until_it_has_caught_up(void **state)
{
    (void)state;
    const int64_t year = 365 * 86400000LL;
    struct model_device device = the_device("a");
    struct model_rollout r = the_rollout(), next;
    struct rollout_answer answer = {.terse = false};
    r.retries = 1;
    r.retry_s = 100;
    rollout_offer(&r, &device, NOW + year);
    device.attempt_release_id = r.release_id;
    device.attempt = MODEL_ATTEMPT_DOWNLOADING;
    assert_true(rollout_settle(&r, &device, true, NOW)); /* its time begins now */
    assert_true(rollout_settle(&r, &device, true, NOW + 60000));
    assert_int_equal(device.rollout_outcome, MODEL_OUTCOME_TIMED_OUT);
    device.rollout_ms = NOW + year;
    assert_true(rollout_settle(&r, &device, true, NOW));
    assert_int_equal(gate(&r, &device, NULL, NOW + 99999, &answer), MOLT_RETRY_LATER);
    assert_int_equal(gate(&r, &device, NULL, NOW + 100000, &answer), 0);

    const struct rollout_counts counts = {.offered = 1, .succeeded = 1, .last_success_ms = NOW + year};
    r.success_count = 1;
    r.soak_s = 60;
    r.phase_since_ms = NOW + year;
    assert_true(rollout_judge(&r, &counts, NOW, &next));
    assert_true(next.phase_since_ms == NOW && next.status == MODEL_ROLLOUT_RUNNING);
    r = next;
    assert_false(rollout_judge(&r, &counts, NOW + 59999, &next));
    assert_true(rollout_judge(&r, &counts, NOW + 60000, &next));
    assert_int_equal(next.status, MODEL_ROLLOUT_DONE);
}

static void presumed_counts_only_where_the_rollout_says_so(void **state)
{
    (void)state;
    struct model_rollout r = the_rollout(), next;
    const struct rollout_counts counts = {.offered = 2, .presumed = 2};
    r.success_count = 2;
    assert_false(rollout_judge(&r, &counts, NOW, &next));
    r.presumed_counts = true;
    assert_true(rollout_judge(&r, &counts, NOW, &next));
    assert_int_equal(next.status, MODEL_ROLLOUT_DONE);
}

static void a_phase_ends_by_new_successes_their_share_and_a_soak(void **state)
{
    (void)state;
    struct model_rollout r = the_rollout(), next;
    r.phase_count = 2;
    r.phases[1].percent = 10000;
    r.success_count = 4;
    r.success_percent = 80;
    r.soak_s = 10;
    r.phase_since_ms = NOW - 100000;
    struct rollout_counts counts = {.offered = 6, .succeeded = 4, .last_success_ms = NOW - 20000};
    assert_false(rollout_judge(&r, &counts, NOW, &next)); /* 67 % */
    counts.offered = 5;
    counts.succeeded = 3;
    assert_false(rollout_judge(&r, &counts, NOW, &next)); /* too few */
    counts.succeeded = 4;
    counts.last_success_ms = NOW - 9999;
    assert_false(rollout_judge(&r, &counts, NOW, &next)); /* too fresh */
    assert_true(rollout_judge(&r, &counts, NOW + 1, &next));
    assert_int_equal(next.phase, 1);
    assert_int_equal(next.phase_succeeded, 4);
    assert_false(rollout_judge(&next, &counts, NOW + 1000000, &r)); /* what was is not new again */
}

static void failures_pause_it_resuming_acknowledges_them_also_when_it_is_done(void **state)
{
    (void)state;
    struct model_rollout r = the_rollout(), next;
    r.error_count = 4;
    r.error_percent = 25;
    struct rollout_counts counts = {.offered = 9, .succeeded = 1, .failed = 2};
    assert_false(rollout_judge(&r, &counts, NOW, &next)); /* 3 results */
    counts.succeeded = 6;
    assert_false(rollout_judge(&r, &counts, NOW, &next)); /* 25 % is not more than 25 % */
    counts.failed = 3;
    assert_true(rollout_judge(&r, &counts, NOW, &next));
    assert_int_equal(next.status, MODEL_ROLLOUT_PAUSED);
    assert_string_equal(next.note, "paused by itself: 3 of 9 results are failures, more than 25 %");
    assert_int_equal(rollout_act(&next, &counts, ROLLOUT_NEXT, NOW, &r), -MOLT_STATE);
    assert_int_equal(rollout_act(&next, &counts, ROLLOUT_RESUME, NOW, &r), 0);
    assert_false(rollout_judge(&r, &counts, NOW, &next));
    counts.failed = 7;
    r.status = MODEL_ROLLOUT_DONE;
    assert_true(rollout_judge(&r, &counts, NOW, &next));
    assert_int_equal(next.status, MODEL_ROLLOUT_PAUSED);
    assert_int_equal(rollout_act(&next, &counts, ROLLOUT_ABORT, NOW, &r), 0);
    assert_int_equal(rollout_act(&r, &counts, ROLLOUT_RESUME, NOW, &next), -MOLT_STATE);
}

static void an_unverified_report_moves_nothing_unless_the_product_trusts_it(void **state)
{
    (void)state;
    for (int trusted = 0; trusted <= 1; trusted++) {
        static struct world world;
        struct model_device device = the_device("a");
        struct molt_checkin said = {.chip = MOLT_CHIP_ESP32, .boot = MOLT_BOOT_CONFIRMED, .version_code = 1};
        struct rollout_counts counts;
        struct decision decision;
        memset(&world, 0, sizeof world);
        world_product(&world, "lamp", 0);
        world.products[0].trust_unverified = trusted;
        world_rollout(&world, world_release(&world, 1, 2)->id);
        world_image(&world, MOLT_CHIP_ESP32, 400000);
        struct rules *rules = world_rules(&world);
        struct rollout_table *table = rollout_table_new();
        attempt_check_in(rules, NULL, &device, &said, rules_product(rules, 1), false, NOW, &decision);
        assert_int_equal(decision.reason, MOLT_OFFERED);
        assert_true(device.rollout_open);
        said.result = MOLT_CRASHED;
        said.result_code = 2;
        attempt_check_in(rules, NULL, &device, &said, rules_product(rules, 1), false, NOW + 1, &decision);
        assert_int_equal(device.rollout_outcome, MODEL_OUTCOME_FAILED);
        const struct rollout_mark mark = rollout_mark_of(&device);
        rollout_table_move(table, NULL, &mark);
        rollout_table_read(table, 1, &counts);
        assert_int_equal(counts.offered, 1);
        assert_int_equal(counts.failed, trusted);
        rollout_table_free(table);
        rules_destroy(rules);
    }
}

static void a_stop_and_a_pause_hold_up_what_is_on_its_way(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        static struct world world;
        struct model_device device = the_device("a");
        const struct molt_checkin said = {
            .chip = MOLT_CHIP_ESP32, .boot = MOLT_BOOT_CONFIRMED, .version_code = 1};
        struct decision decision;
        memset(&world, 0, sizeof world);
        world_product(&world, "lamp", 0);
        world_rollout(&world, world_release(&world, 1, 2)->id);
        const struct model_image *image = world_image(&world, MOLT_CHIP_ESP32, 400000);
        struct rules *rules = world_rules(&world);
        attempt_check_in(rules, NULL, &device, &said, rules_product(rules, 1), true, NOW, &decision);
        attempt_ask_artifact(rules, NULL, &device, image->raw.sha256, NOW + 1, &decision);
        assert_int_equal(decision.verdict, MOLT_VERDICT_OFFER);
        rules_destroy(rules);
        if (how == 0) world.products[0].stopped = true;
        if (how == 1) world.rollouts[0].status = MODEL_ROLLOUT_PAUSED;
        if (how == 2) world.rollouts[0].status = MODEL_ROLLOUT_ABORTED;
        rules = world_rules(&world);
        attempt_ask_artifact(rules, NULL, &device, image->raw.sha256, NOW + 2, &decision);
        assert_int_equal(decision.verdict, MOLT_VERDICT_NOTHING);
        rules_destroy(rules);
    }
}

/* ---- the counts ---- */

#define THREADS 4
#define MOVES   50000

static void *mover(void *arg)
{
    struct rollout_table *table = arg;
    struct rollout_mark at = {.rollout_id = 1, .ms = 1};
    rollout_table_move(table, NULL, &at);
    for (uint32_t i = 0; i < MOVES; i++) {
        struct rollout_mark to = {.rollout_id = 1 + i % 700,
                                  .ms = i,
                                  .open = i % 2,
                                  .counts = i % 3 != 0,
                                  .outcome = (enum model_outcome)(i % 5)};
        rollout_table_move(table, &at, &to);
        at = to;
    }
    rollout_table_move(table, &at, NULL);
    return NULL;
}

static void counts_of_many_threads_add_up_to_nothing_left(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    struct rollout_table *table = rollout_table_new();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, mover, table), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int64_t id = -1; id <= 2000000; id += id < 800 ? 1 : 99999) {
        struct rollout_counts counts;
        rollout_table_read(table, id, &counts);
        assert_true(counts.offered + counts.open + counts.succeeded + counts.presumed + counts.failed == 0);
    }
    rollout_table_free(table);
}

/* ---- the runner, over a real store ---- */

struct rig {
    struct temp_dir dir;
    struct store *store;
    struct devices *devices;
    struct rules_holder *rules;
    struct rollout_runner_parts parts;
};

static struct rules *load(struct rig *rig)
{
    struct store_rules data;
    assert_int_equal(store_load_rules(rig->store, &data), 0);
    struct rules *rules = rules_build(&data);
    assert_non_null(rules);
    rules_count_by(rules, devices_rollouts(rig->devices));
    return rules;
}

static void on_change(void *ctx)
{
    struct rig *rig = ctx;
    rules_swap(rig->rules, load(rig));
}

static void open_rig(struct rig *rig, bool create)
{
    assert_int_equal(store_open(rig->dir.path, create, &rig->store, NULL, 0), 0);
    assert_int_equal(devices_open(&rig->devices, rig->store, NULL), 0);
    rig->rules = rules_holder_new(load(rig));
    rig->parts = (struct rollout_runner_parts){rig->store, rig->devices, rig->rules, rig, on_change, NULL};
}

static void close_rig(struct rig *rig)
{
    devices_close(rig->devices);
    rules_holder_free(rig->rules);
    store_close(rig->store);
}

struct offer {
    const struct model_rollout *rollout;
    int64_t release_id;
};

static enum devices_change offer_visit(void *ctx, struct model_device *device, bool is_new)
{
    const struct offer *offer = ctx;
    (void)is_new;
    device->product_id = offer->rollout->product_id;
    device->verified = true;
    device->attempt = MODEL_ATTEMPT_OFFERED;
    device->attempt_release_id = offer->release_id;
    rollout_offer(offer->rollout, device, NOW);
    return DEVICES_CHANGED;
}

static void make_rollout(struct rig *rig, struct model_rollout *rollout)
{
    struct model_image image = {.chip = MOLT_CHIP_ESP32};
    assert_int_equal(store_artifact_put(rig->store, "x", 1, &image.raw), 0);
    assert_int_equal(store_publish(rig->store, "lamp", "2", 2, "stable", false, &image, &rollout->release_id),
                     0);
    assert_int_equal(store_rollout_create(rig->store, rollout), 0);
    on_change(rig);
}

static void devices_that_never_come_back_time_out_and_pause_it_and_a_restart_counts_the_same(void **state)
{
    (void)state;
    static struct rig rig;
    struct rollout_counts before, after;
    struct model_rollout rollout = the_rollout();
    memset(&rig, 0, sizeof rig);
    temp_dir_make(&rig.dir);
    open_rig(&rig, true);
    rollout.error_count = 3;
    make_rollout(&rig, &rollout);
    struct offer offer = {&rollout, rollout.release_id};
    for (int i = 0; i < 3; i++) {
        char id[2] = {(char)('a' + i), '\0'};
        assert_int_equal(devices_visit(rig.devices, id, "::1", NOW, offer_visit, &offer), 0);
    }
    rollout_runner_expire(&rig.parts, NOW + 59999);
    assert_int_equal(rollout_runner_judge(&rig.parts, NOW + 59999), 0);
    rollout_runner_expire(&rig.parts, NOW + 60000);
    assert_int_equal(rollout_runner_judge(&rig.parts, NOW + 60000), 1);
    assert_int_equal(rollout_runner_judge(&rig.parts, NOW + 60000), 0); /* and not again */
    const struct rules *rules = rules_acquire(rig.rules);
    assert_int_equal(rules_rollout(rules, rollout.id)->status, MODEL_ROLLOUT_PAUSED);
    rules_release_ref(rig.rules, rules);
    rollout_table_read(devices_rollouts(rig.devices), rollout.id, &before);
    assert_int_equal(before.failed, 3);
    close_rig(&rig);
    open_rig(&rig, false);
    rollout_table_read(devices_rollouts(rig.devices), rollout.id, &after);
    assert_memory_equal(&before, &after, sizeof before);
    close_rig(&rig);
    temp_dir_remove(&rig.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_are_spread_evenly_differ_by_salt_and_never_change),
        cmocka_unit_test(each_rule_has_its_reason),
        cmocka_unit_test(what_is_recorded_of_a_refusal_is_the_same_for_all_and_lasts),
        cmocka_unit_test(retries_wait_twice_as_long_each_time_and_end_in_quarantine),
        cmocka_unit_test(an_offer_without_a_result_times_out_and_a_late_success_still_counts),
        cmocka_unit_test(a_clock_that_was_set_back_makes_nobody_wait_until_it_has_caught_up),
        cmocka_unit_test(presumed_counts_only_where_the_rollout_says_so),
        cmocka_unit_test(a_phase_ends_by_new_successes_their_share_and_a_soak),
        cmocka_unit_test(failures_pause_it_resuming_acknowledges_them_also_when_it_is_done),
        cmocka_unit_test(an_unverified_report_moves_nothing_unless_the_product_trusts_it),
        cmocka_unit_test(a_stop_and_a_pause_hold_up_what_is_on_its_way),
        cmocka_unit_test(counts_of_many_threads_add_up_to_nothing_left),
        cmocka_unit_test(devices_that_never_come_back_time_out_and_pause_it_and_a_restart_counts_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
