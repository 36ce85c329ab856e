/* attempt_checkin_test.c - one device's attempt, told as the story of its check-ins. */
#include "attempt_story.h"

static struct molt_checkin report(uint32_t running)
{
    struct molt_checkin said = {.chip = MOLT_CHIP_ESP8266,
                                .version_code = running,
                                .flash_size = 4 * 1024 * 1024,
                                .fs_start = 0x200000,
                                .image_len = 300000,
                                .can = MOLT_CAN_RAW | MOLT_CAN_GZIP,
                                .gzip_window = 4096};
    if (running >= 1 && running <= 3) {
        said.has_digest = true;
        memcpy(said.digest, image_of((int)running)->digest, 32);
    }
    return said;
}

static void check_in(const struct molt_checkin *said)
{
    now += MINUTE;
    attempt_check_in(rules, NULL, &device, said, rules_product_named(rules, "door"), false, now, &decision);
}

static void offer_and_download(uint32_t running)
{
    const struct molt_checkin said = report(running);
    check_in(&said);
    assert_int_equal(decision.verdict, MOLT_VERDICT_OFFER);
    uint8_t sha256[32];
    memcpy(sha256, decision.artifact->sha256, 32);
    attempt_ask_artifact(rules, NULL, &device, sha256, now, &decision);
    assert_int_equal(decision.verdict, MOLT_VERDICT_OFFER);
    assert_int_equal(decision.encoding, MOLT_GZIP);
    assert_int_equal(attempt_download_begun(&device, &decision, 0, now), 0);
    end_download(true);
}

static void a_check_in_goes_from_offer_through_trial_to_confirmed(void **state)
{
    (void)state;
    offer_and_download(1);
    assert_int_equal(device.product_id, 1);
    struct molt_checkin said = report(3);
    said.boot = MOLT_BOOT_TRIAL;
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_TRIAL);
    assert_int_equal(decision.reason, MOLT_ON_TRIAL);
    said.boot = MOLT_BOOT_CONFIRMED;
    said.result = MOLT_CONFIRMED;
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_UPDATED);
    assert_int_equal(device.attempt_reason, MOLT_CONFIRMED);
    assert_int_equal(decision.reason, MOLT_UP_TO_DATE);
    assert_true(device.gz_proven);
}

static void a_rollback_is_remembered_and_not_offered_again(void **state)
{
    (void)state;
    offer_and_download(1);
    struct molt_checkin said = report(3);
    said.boot = MOLT_BOOT_TRIAL;
    check_in(&said);
    said = report(1);
    said.result = MOLT_CRASHED;
    said.has_result_digest = true;
    memcpy(said.result_digest, image_of(3)->digest, 32);
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_ROLLED_BACK);
    assert_int_equal(device.attempt_reason, MOLT_CRASHED);
    assert_int_equal(decision.reason, MOLT_FAILED_BEFORE);
    assert_string_equal(device.last_detail, "version 3: crashed");
    check_in(&said); /* the report repeats */
    assert_int_equal(device.attempt, MODEL_ATTEMPT_ROLLED_BACK);

    world_release(&world, 1, 4);
    world_image(&world, MOLT_CHIP_ESP8266, 1000);
    make_rules();
    check_in(&said);
    assert_int_equal(decision.release->code, 4);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_OFFERED);
    check_in(&said); /* and must not end the next attempt */
    assert_int_equal(device.attempt, MODEL_ATTEMPT_OFFERED);
    assert_int_equal(decision.release->code, 4);
}

static void a_rollback_is_matched_by_its_code_without_a_digest(void **state)
{
    (void)state;
    offer_and_download(1);
    struct molt_checkin said = report(1);
    said.result = MOLT_CONFIRM_TIMEOUT;
    said.result_code = 3;
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_ROLLED_BACK);
    assert_int_equal(device.attempt_release_id, 3);
}

static void a_trial_that_vanished_without_a_word_rolled_back(void **state)
{
    (void)state;
    offer_and_download(1);
    struct molt_checkin said = report(3);
    said.boot = MOLT_BOOT_TRIAL;
    check_in(&said);
    said = report(1);
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_ROLLED_BACK);
    assert_int_equal(device.attempt_reason, MOLT_ROLLED_BACK);
}

static void a_rollback_that_this_server_never_offered_is_believed(void **state)
{
    (void)state;
    struct molt_checkin said = report(2);
    said.result = MOLT_HUNG;
    said.result_code = 3;
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_ROLLED_BACK);
    assert_int_equal(decision.reason, MOLT_FAILED_BEFORE);
}

static void the_report_of_an_older_try_does_not_end_a_trial(void **state)
{
    (void)state;
    offer_and_download(1);
    struct molt_checkin said = report(3);
    said.boot = MOLT_BOOT_TRIAL;
    said.result = MOLT_CRASHED;
    said.result_code = 3;
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_TRIAL);
    assert_reason(MOLT_ON_TRIAL);
}

struct ending {
    int result;
    enum model_attempt attempt;
    int reason; /* of the decision that follows */
    bool gz_refused;
};
static const struct ending endings[] = {
    {MOLT_CONNECTION_LOST, MODEL_ATTEMPT_OFFERED, MOLT_OFFERED, false},
    {MOLT_TIMEOUT, MODEL_ATTEMPT_OFFERED, MOLT_OFFERED, false},
    {MOLT_HTTP_NOT_FOUND, MODEL_ATTEMPT_OFFERED, MOLT_OFFERED, false},
    {MOLT_DIGEST_MISMATCH, MODEL_ATTEMPT_OFFERED, MOLT_OFFERED, false},
    {MOLT_BAD_GZIP, MODEL_ATTEMPT_OFFERED, MOLT_OFFERED, true},
    {MOLT_GZIP_WINDOW, MODEL_ATTEMPT_OFFERED, MOLT_OFFERED, true},
    {MOLT_FLASH_MODE, MODEL_ATTEMPT_OFFERED, MOLT_OFFERED, true},
    {MOLT_WRONG_CHIP, MODEL_ATTEMPT_FAILED, MOLT_FAILED_BEFORE, false},
    {MOLT_BAD_HASH, MODEL_ATTEMPT_FAILED, MOLT_FAILED_BEFORE, false},
    {MOLT_NO_SPACE, MODEL_ATTEMPT_FAILED, MOLT_FAILED_BEFORE, false},
    {MOLT_FLASH_WRITE, MODEL_ATTEMPT_FAILED, MOLT_FAILED_BEFORE, false},
    {MOLT_FAILED_BEFORE, MODEL_ATTEMPT_FAILED, MOLT_FAILED_BEFORE, false},
    {MOLT_ROLLED_BACK, MODEL_ATTEMPT_ROLLED_BACK, MOLT_FAILED_BEFORE, false},
    {MOLT_UNHEALTHY, MODEL_ATTEMPT_ROLLED_BACK, MOLT_FAILED_BEFORE, false},
};

static void only_what_the_image_is_to_blame_for_ends_an_attempt(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        memset(&device, 0, sizeof device);
        offer_and_download(1);
        struct molt_checkin said = report(1);
        said.result = endings[i].result;
        said.result_code = 3;
        check_in(&said);
        assert_string_equal(molt_reason_id(decision.reason), molt_reason_id(endings[i].reason));
        assert_int_equal(device.attempt, endings[i].attempt);
        assert_int_equal(device.attempt_reason, endings[i].result);
        assert_int_equal(device.gz_refused, endings[i].gz_refused);
        if (endings[i].gz_refused) assert_int_equal(decision.encoding, MOLT_RAW);
    }
}

/* The release is offered again in the answer to the very report, and fetched again. */
static void an_alarm_for_want_of_news_is_no_attempts_end(void **state)
{
    (void)state;
    offer_and_download(1);
    struct molt_checkin said = report(1);
    said.result = MOLT_BAD_HASH;
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_FAILED);
    said.result = MOLT_STALE;
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_FAILED);
    assert_int_equal(decision.reason, MOLT_FAILED_BEFORE);
}

static void a_result_stands_until_the_next_one(void **state)
{
    (void)state;
    assert_int_equal(device.result, MODEL_ATTEMPT_NONE);
    offer_and_download(1);
    assert_int_equal(device.result, MODEL_ATTEMPT_NONE);
    struct molt_checkin said = report(1);
    said.result = MOLT_TLS_NAME;
    said.result_code = 3;
    check_in(&said);
    assert_int_equal(decision.verdict, MOLT_VERDICT_OFFER);
    assert_int_equal(device.result_reason, MOLT_TLS_NAME);
    assert_int_equal(attempt_download_begun(&device, &decision, 0, now), 0);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_DOWNLOADING);
    assert_int_equal(device.attempt_reason, 0);
    end_download(false); /* libmolt goes on with what was cut: that is no result */
    assert_int_equal(device.result, MODEL_ATTEMPT_FAILED);
    assert_int_equal(device.result_reason, MOLT_TLS_NAME);
    assert_int_equal(device.result_release_id, 3);

    world_release(&world, 1, 4);
    world_image(&world, MOLT_CHIP_ESP8266, 1000);
    make_rules();
    check_in(&said);                                /* nor is another release */
    assert_int_equal(device.attempt_release_id, 5); /* release 4 of the door */
    assert_int_equal(device.result_reason, MOLT_TLS_NAME);
    assert_int_equal(device.result_release_id, 3);
    said = report(1);
    said.has_digest = true;
    memcpy(said.digest, image_of(5)->digest, 32);
    said.version_code = 4;
    check_in(&said);
    assert_int_equal(device.result, MODEL_ATTEMPT_UPDATED);
    assert_int_equal(device.result_reason, MOLT_CONFIRMED);
    assert_int_equal(device.result_release_id, 5);
}

static void an_unprotected_update_counts_with_its_reason(void **state)
{
    (void)state;
    offer_and_download(1);
    struct molt_checkin said = report(3);
    said.boot = MOLT_BOOT_UNPROTECTED;
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_UPDATED);
    assert_int_equal(device.attempt_reason, MOLT_NO_BOOT_ROLLBACK);
}

static void an_artifact_is_only_for_whom_it_was_offered(void **state)
{
    (void)state;
    device.product_id = 1;
    attempt_ask_artifact(rules, NULL, &device, image_of(3)->raw.sha256, now, &decision);
    assert_int_equal(decision.reason, MOLT_RANGE_UNKNOWN);
    const struct molt_checkin said = report(1);
    check_in(&said);
    attempt_ask_artifact(rules, NULL, &device, image_of(2)->raw.sha256, now, &decision); /* another release */
    assert_int_equal(decision.reason, MOLT_RANGE_UNKNOWN);
    attempt_ask_artifact(rules, NULL, &device, image_of(3)->gzip_4k.sha256, now, &decision);
    assert_int_equal(decision.verdict, MOLT_VERDICT_OFFER);
    now += 60 * MINUTE + 1;
    attempt_ask_artifact(rules, NULL, &device, image_of(3)->gzip_4k.sha256, now, &decision);
    assert_int_equal(decision.reason, MOLT_RANGE_UNKNOWN);
}

static void a_device_flashed_by_cable_is_believed(void **state)
{
    (void)state;
    offer_and_download(1);
    struct molt_checkin said = report(3);
    check_in(&said);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_UPDATED);
    said = report(1);
    check_in(&said); /* back to the old one by cable: it is offered again */
    assert_int_equal(decision.reason, MOLT_OFFERED);
    assert_int_equal(device.attempt, MODEL_ATTEMPT_OFFERED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_check_in_goes_from_offer_through_trial_to_confirmed),
        TEST(a_rollback_is_remembered_and_not_offered_again),
        TEST(a_rollback_is_matched_by_its_code_without_a_digest),
        TEST(a_trial_that_vanished_without_a_word_rolled_back),
        TEST(a_rollback_that_this_server_never_offered_is_believed),
        TEST(the_report_of_an_older_try_does_not_end_a_trial),
        TEST(only_what_the_image_is_to_blame_for_ends_an_attempt),
        TEST(an_alarm_for_want_of_news_is_no_attempts_end),
        TEST(a_result_stands_until_the_next_one),
        TEST(an_unprotected_update_counts_with_its_reason),
        TEST(an_artifact_is_only_for_whom_it_was_offered),
        TEST(a_device_flashed_by_cable_is_believed),
    };
    return cmocka_run_group_tests_name("attempt-checkin", tests, NULL, NULL);
}
