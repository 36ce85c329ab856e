/* attempt_ddi_test.c - one device's attempt, told as the story of a hawkBit client: every kind of feedback in every state. */
#include "cmocka_all.h"

#include <string.h>

#include "server/attempt/attempt_ddi.h"
#include "world.h"

static struct world world;
static struct rules *rules;
static struct model_device device;
static struct attempt_ddi_job job;
static struct decision decision;
static int64_t now;

static void remake_rules(void)
{
    if (rules != NULL) rules_destroy(rules);
    rules = world_rules(&world);
}

static int make(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world_product(&world, "gate", 0);
    for (uint32_t code = 1; code <= 2; code++) {
        world_release(&world, 1, code);
        world_image(&world, MOLT_CHIP_LINUX, 100000 + code);
    }
    remake_rules();
    memset(&device, 0, sizeof device);
    memcpy(device.id, "board-1", sizeof "board-1");
    now = 1700000000000;
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    rules_destroy(rules);
    rules = NULL;
    return 0;
}

static struct attempt_contact contact(const char *version, uint32_t code)
{
    return (struct attempt_contact){.client = MODEL_CLIENT_DDI,
                                    .product = rules_product_named(rules, "gate"),
                                    .verified = true,
                                    .version = version,
                                    .version_code = code};
}

static void poll(void)
{
    const struct attempt_contact c = contact(NULL, 0);
    now += 60000;
    attempt_ddi_poll(rules, &device, &c, now, &job);
}

static void says(const char *version, uint32_t code)
{
    const struct attempt_contact c = contact(version, code);
    now += 1000;
    attempt_ddi_says(rules, &device, &c, now);
}

static bool fetches(int64_t action, bool description)
{
    attempt_ddi_fetch(rules, &device, action, description, now, &decision);
    return decision.verdict == MOLT_VERDICT_OFFER;
}

static int feedback(enum attempt_ddi_report report)
{
    now += 1000;
    return attempt_ddi_feedback(rules, &device, 2, report, "what it said", true, now);
}

static void take_job(void)
{
    says("1", 1);
    poll();
    assert_int_equal(job.action, 2);
    assert_false(job.cancel);
    assert_true(fetches(2, true));
    assert_int_equal(device.attempt, MODEL_ATTEMPT_DOWNLOADING);
    assert_true(fetches(2, false));
}

static void success_is_presumed_until_the_new_version_is_said(void **state)
{
    (void)state;
    take_job();
    assert_int_equal(feedback(ATTEMPT_DDI_RUNNING), 0);
    assert_int_equal(feedback(ATTEMPT_DDI_SUCCESS), 0);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_PRESUMED);
    assert_int_equal(feedback(ATTEMPT_DDI_SUCCESS), 0); /* it repeats */
    poll();
    assert_int_equal(job.action, 0);
    assert_true(job.wants_version);
    says("2", 2);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_UPDATED);
    poll();
    assert_false(job.wants_version);
    assert_int_equal(device.last_reason, MOLT_UP_TO_DATE);
}

static void the_old_version_after_a_success_is_a_rollback(void **state)
{
    (void)state;
    take_job();
    assert_int_equal(feedback(ATTEMPT_DDI_SUCCESS), 0);
    says("1", 1);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_ROLLED_BACK);
    poll();
    assert_int_equal(job.action, 0);
    assert_int_equal(device.last_reason, MOLT_FAILED_BEFORE);
}

static void a_failure_after_the_restart_is_a_rollback(void **state)
{
    (void)state;
    take_job();
    assert_int_equal(feedback(ATTEMPT_DDI_SUCCESS), 0);
    assert_int_equal(feedback(ATTEMPT_DDI_FAILURE), 0);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_ROLLED_BACK);
    assert_int_equal(device.running_code, 0);
}

static void feedback_by_feedback(void **state)
{
    (void)state;
    static const struct {
        enum attempt_ddi_report report;
        enum model_attempt becomes;
        int reason;
        bool goes_on; /* the job is still there at the next poll */
    } rows[] = {
        {ATTEMPT_DDI_RUNNING, MODEL_ATTEMPT_DOWNLOADING, MOLT_DOWNLOADING, true},
        {ATTEMPT_DDI_DOWNLOAD, MODEL_ATTEMPT_DOWNLOADING, MOLT_DOWNLOADING, true},
        {ATTEMPT_DDI_DOWNLOADED, MODEL_ATTEMPT_DOWNLOADED, MOLT_DOWNLOADED, true},
        {ATTEMPT_DDI_REJECTED, MODEL_ATTEMPT_DOWNLOADING, MOLT_DOWNLOADING, true},
        {ATTEMPT_DDI_CANCELED, MODEL_ATTEMPT_FAILED, MOLT_GIVEN_UP, false},
        {ATTEMPT_DDI_FAILURE, MODEL_ATTEMPT_FAILED, MOLT_INSTALL_FAILED, false},
        {ATTEMPT_DDI_SUCCESS, MODEL_ATTEMPT_PRESUMED, MOLT_PRESUMED, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)unmake(NULL);
        (void)make(NULL);
        take_job();
        assert_int_equal(feedback(rows[i].report), 0);
        assert_int_equal(device.attempt, rows[i].becomes);
        assert_int_equal(device.last_reason, rows[i].reason);
        if (rows[i].report != ATTEMPT_DDI_SUCCESS) assert_string_equal(device.last_detail, "what it said");
        poll();
        assert_int_equal(job.action, rows[i].goes_on ? 2 : 0);
        assert_false(job.cancel);
        assert_int_equal(fetches(2, false), rows[i].goes_on);
    }
}

static void feedback_to_another_job_is_refused(void **state)
{
    (void)state;
    take_job();
    assert_int_equal(attempt_ddi_feedback(rules, &device, 1, ATTEMPT_DDI_SUCCESS, "", true, now),
                     -MOLT_STATE);
    assert_int_equal(attempt_ddi_feedback(rules, &device, 9, ATTEMPT_DDI_SUCCESS, "", true, now),
                     -MOLT_STATE);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_DOWNLOADING);
    assert_int_equal(feedback(ATTEMPT_DDI_FAILURE), 0);
    assert_int_equal(feedback(ATTEMPT_DDI_FAILURE), 0);           /* it repeats */
    assert_int_equal(feedback(ATTEMPT_DDI_SUCCESS), -MOLT_STATE); /* and is over */
    assert_false(fetches(1, true));
}

static void a_yank_cancels_what_was_taken(void **state)
{
    (void)state;
    take_job();
    world.releases[1].yanked = true;
    remake_rules();
    poll();
    assert_int_equal(job.action, 2);
    assert_true(job.cancel);
    assert_false(fetches(2, false));
    assert_int_equal(attempt_ddi_canceled(&device, 2, ATTEMPT_DDI_RUNNING, now), 0);
    poll();
    assert_true(job.cancel);
    assert_int_equal(attempt_ddi_canceled(&device, 2, ATTEMPT_DDI_SUCCESS, now), 0);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_NONE);
    assert_int_equal(attempt_ddi_canceled(&device, 2, ATTEMPT_DDI_SUCCESS, now), -MOLT_STATE);
    poll();
    assert_int_equal(job.action, 0);
}

static void a_refused_cancelation_is_not_repeated(void **state)
{
    (void)state;
    take_job();
    world.products[0].stopped = true;
    remake_rules();
    poll();
    assert_true(job.cancel);
    assert_int_equal(attempt_ddi_canceled(&device, 2, ATTEMPT_DDI_REJECTED, now), 0);
    poll();
    assert_false(job.cancel);
    assert_int_equal(feedback(ATTEMPT_DDI_SUCCESS), 0);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_PRESUMED);
}

static void a_newer_release_cancels_the_job_before_it(void **state)
{
    (void)state;
    take_job();
    world_release(&world, 1, 3);
    world_image(&world, MOLT_CHIP_LINUX, 5000);
    remake_rules();
    poll();
    assert_int_equal(job.action, 2);
    assert_true(job.cancel);
    assert_int_equal(attempt_ddi_canceled(&device, 2, ATTEMPT_DDI_SUCCESS, now), 0);
    poll();
    assert_int_equal(job.action, 3);
    assert_false(job.cancel);
}

static void an_id_that_is_no_int_is_not_offered(void **state)
{
    (void)state;
    world.releases[1].id = (int64_t)INT32_MAX + 1;
    world.images[1][0].release_id = world.releases[1].id;
    remake_rules();
    says("1", 1);
    poll();
    assert_int_equal(job.action, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(success_is_presumed_until_the_new_version_is_said, make, unmake),
        cmocka_unit_test_setup_teardown(the_old_version_after_a_success_is_a_rollback, make, unmake),
        cmocka_unit_test_setup_teardown(a_failure_after_the_restart_is_a_rollback, make, unmake),
        cmocka_unit_test_setup_teardown(feedback_by_feedback, make, unmake),
        cmocka_unit_test_setup_teardown(feedback_to_another_job_is_refused, make, unmake),
        cmocka_unit_test_setup_teardown(a_yank_cancels_what_was_taken, make, unmake),
        cmocka_unit_test_setup_teardown(a_refused_cancelation_is_not_repeated, make, unmake),
        cmocka_unit_test_setup_teardown(a_newer_release_cancels_the_job_before_it, make, unmake),
        cmocka_unit_test_setup_teardown(an_id_that_is_no_int_is_not_offered, make, unmake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
