/* agent_trial_test.c - after an update: an image proves itself and is confirmed, or the old one comes back,
 * and what failed once is not taken again. ESP32 boot stage with and without rollback. */
#include "cmocka_all.h"

#include <stdlib.h>

#include "agent_rig.h"
#include "host/image_build.h"
#include "ports/bearssl.h"

static uint8_t *old_image, *new_image;
static size_t old_len, new_len;
static struct agent_rig rig;

static int build_all(void **state)
{
    (void)state;
    struct image_build spec = {
        .chip = MOLT_CHIP_ESP32, .size = 0x6040, .seed = 1, .flash_size = 4u << 20, .flash_mode = 2};
    if (image_build(&spec, &old_image, &old_len) != 0) return -1;
    spec.seed = 2;
    spec.size = 0x7130;
    return image_build(&spec, &new_image, &new_len);
}

static int free_all(void **state)
{
    (void)state;
    free(old_image);
    free(new_image);
    return 0;
}

static int close_rig(void **state)
{
    (void)state;
    agent_rig_close(&rig);
    return 0;
}

static struct molt_answer offer(void)
{
    struct molt_answer a = {.verdict = MOLT_VERDICT_OFFER,
                            .reason = MOLT_OFFERED,
                            .version_code = 2,
                            .url = "/f",
                            .file_len = (uint32_t)new_len,
                            .image_len = (uint32_t)new_len};
    struct molt_hash hash = {.ops = &molt_bearssl_sha256};
    hash.ops->init(&hash.state);
    hash.ops->update(&hash.state, new_image, new_len);
    hash.ops->finish(&hash.state, a.file_digest);
    memcpy(a.image_digest, new_image + new_len - 32, 32);
    return a;
}

static const struct molt_answer nothing = {.reason = MOLT_UP_TO_DATE};

/* Installs the new image by a check-in and resets into it; its firmware then starts. */
static void update(bool rollback)
{
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old_image, old_len);
    rig.chip.rollback = rollback;
    rig.has_health = true;
    agent_rig_start(&rig, MOLT_SOURCE_CHECK_IN, "http://h", 1);
    struct molt_answer a = offer();
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, NULL, new_image, new_len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 60000));
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, new_image, new_len));
    rig.health = MOLT_HEALTH_UNKNOWN;
    agent_rig_start(&rig, MOLT_SOURCE_CHECK_IN, "http://h", 2);
}

static void expect_report(int reason)
{
    agent_rig_until_reports(&rig, 1);
    if (agent_rig_last(&rig) != reason) {
        fail_msg("%s, not %s", molt_reason_id(agent_rig_last(&rig)), molt_reason_id(reason));
    }
}

/* The old image runs after a reset; its firmware starts. */
static void back_to_old(void)
{
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, old_image, old_len));
    agent_rig_start(&rig, MOLT_SOURCE_CHECK_IN, "http://h", 1);
}

static void a_healthy_image_is_confirmed_and_says_so(void **state)
{
    (void)state;
    for (int rollback = 0; rollback < 2; rollback++) {
        if (rollback == 1) agent_rig_close(&rig);
        update(rollback == 1);
        agent_rig_answer(&rig, &nothing);
        expect_report(MOLT_UP_TO_DATE);
        assert_true(rig.agent.on_trial);
        assert_int_equal(rig.message.boot, rollback == 1 ? MOLT_BOOT_TRIAL : MOLT_BOOT_UNPROTECTED);
        assert_int_equal(rig.message.result, 0);
        rig.health = MOLT_HEALTH_GOOD;
        expect_report(MOLT_CONFIRMED);
        assert_false(rig.agent.on_trial);
        agent_rig_answer(&rig, &nothing);
        uint64_t confirmed_ms = rig.now_ms;
        expect_report(MOLT_UP_TO_DATE);
        assert_true(rig.now_ms - confirmed_ms < 10000);       /* told soon, not after the interval */
        assert_int_equal(rig.message.result, MOLT_CONFIRMED); /* of what runs: that is not said twice */
        assert_true(rig.message.result_code == 0 && !rig.message.has_result_digest);
        assert_string_equal(rig.message.product, ""); /* and who offered it knows the product */
        assert_memory_equal(rig.message.digest, new_image + new_len - 32, 32);
        assert_int_equal(rig.message.boot, MOLT_BOOT_CONFIRMED);
        rig_power_cycle(&rig.chip);
        assert_true(rig_runs(&rig.chip, new_image, new_len));
        agent_rig_start(&rig, MOLT_SOURCE_CHECK_IN, "http://h", 2);
        agent_rig_answer(&rig, &nothing);
        expect_report(MOLT_UP_TO_DATE);
        assert_false(rig.agent.on_trial);
        assert_int_equal(rig.message.result, 0);
    }
}

static void without_a_health_check_an_answer_of_the_server_confirms(void **state)
{
    (void)state;
    update(true);
    rig.has_health = false;
    agent_rig_start(&rig, MOLT_SOURCE_CHECK_IN, "http://h", 2);
    assert_false(agent_rig_run(&rig, rig.now_ms + 24u * 3600 * 1000)); /* nobody answers */
    assert_true(rig.agent.on_trial);
    agent_rig_answer(&rig, &nothing);
    agent_rig_until_reports(&rig, 1);
    while (agent_rig_last(&rig) != MOLT_UP_TO_DATE)
        agent_rig_until_reports(&rig, 1);
    expect_report(MOLT_CONFIRMED);
}

static void an_unhealthy_image_goes_and_its_offer_is_not_taken_again(void **state)
{
    (void)state;
    update(true);
    rig.health = MOLT_HEALTH_BAD;
    assert_true(agent_rig_run(&rig, rig.now_ms + 60000));
    assert_int_equal(agent_rig_last(&rig), MOLT_UNHEALTHY);
    back_to_old();
    struct molt_answer a = offer();
    agent_rig_answer(&rig, &a);
    expect_report(MOLT_FAILED_BEFORE);
    assert_int_equal(rig.message.result, MOLT_ROLLED_BACK);
    assert_true(rig.message.has_result_digest);
    assert_memory_equal(rig.message.result_digest, a.image_digest, 32);
    agent_rig_answer(&rig, &a);
    rig.endless = true;
    expect_report(MOLT_FAILED_BEFORE);
    assert_int_equal(rig.message.result, MOLT_FAILED_BEFORE);
    agent_rig_run(&rig, rig.now_ms + 24u * 3600 * 1000);
    assert_in_range(rig.connects, 4, 20); /* and ever more rarely; nothing was fetched */
    assert_int_equal(rig.chip.flash.count.violations, 0);
    assert_true(rig_runs(&rig.chip, old_image, old_len));
}

static void an_image_that_a_reset_rolled_back_is_reported(void **state)
{
    (void)state;
    update(true);
    back_to_old(); /* it crashed before it was confirmed */
    agent_rig_answer(&rig, &nothing);
    expect_report(MOLT_UP_TO_DATE);
    assert_int_equal(rig.message.result, MOLT_ROLLED_BACK);
    assert_memory_equal(rig.message.result_digest, new_image + new_len - 32, 32);
    agent_rig_answer(&rig, &nothing);
    expect_report(MOLT_UP_TO_DATE);
    assert_int_equal(rig.message.result, 0);
}

static void a_version_file_does_not_bring_back_what_failed(void **state)
{
    (void)state;
    update(true);
    back_to_old();
    agent_rig_start(&rig, MOLT_SOURCE_VERSION_FILE, "http://h/", 1);
    agent_rig_text(&rig, NULL, "2");
    agent_rig_file(&rig, NULL, new_image, new_len);
    expect_report(MOLT_FAILED_BEFORE);
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, old_image, old_len));
    agent_rig_text(&rig, NULL, "2");
    rig.endless = true;
    agent_rig_run(&rig, rig.now_ms + 24u * 3600 * 1000);
    assert_int_equal(agent_rig_last(&rig), MOLT_FAILED_BEFORE);
    assert_null(strstr(rig.request, ".bin")); /* the number is known to be bad */
}

static void the_deadline_runs_from_the_first_answer_of_a_server(void **state)
{
    (void)state;
    update(true);
    assert_false(agent_rig_run(&rig, rig.now_ms + 48u * 3600 * 1000)); /* two days without a network */
    assert_true(rig.agent.on_trial);
    agent_rig_expect(&rig, NULL, "HTTP/1.1 500 Oops\r\n\r\n", NULL, 0); /* a server, if a broken one */
    while (agent_rig_last(&rig) != MOLT_HTTP_STATUS)
        agent_rig_until_reports(&rig, 1);
    uint64_t answered_ms = rig.now_ms;
    while (agent_rig_last(&rig) != MOLT_CONFIRM_TIMEOUT)
        agent_rig_until_reports(&rig, 1);
    assert_in_range(rig.now_ms - answered_ms, 299000, 303000); /* confirm_s */
    assert_true(agent_rig_run(&rig, rig.now_ms + 60000));
    back_to_old();
}

static void no_update_begins_while_an_image_is_on_trial(void **state)
{
    (void)state;
    update(true);
    struct molt_answer a = offer();
    a.image_digest[0] ^= 1;
    agent_rig_answer(&rig, &a);
    expect_report(MOLT_TRIAL_PENDING);
    assert_int_equal(rig.connects, 1);
    assert_int_equal(rig.agent.failures, 0);
}

static void an_unhealthy_image_with_nothing_to_go_back_to_stays_and_says_so(void **state)
{
    (void)state;
    update(true);
    static const uint8_t blank[MOLT_SECTOR];
    sim_flash_program(&rig.chip.flash, rig.chip.ota.partitions.slot_off[0], blank, sizeof blank);
    rig.health = MOLT_HEALTH_BAD;
    expect_report(MOLT_UNHEALTHY);
    expect_report(MOLT_UNHEALTHY); /* the end of the trial: it stays */
    assert_false(rig.agent.on_trial);
    agent_rig_answer(&rig, &nothing);
    expect_report(MOLT_UP_TO_DATE);
    assert_int_equal(rig.message.result, MOLT_UNHEALTHY);
    rig_reset(&rig.chip);
    assert_true(
        rig_runs(&rig.chip, new_image, new_len)); /* a device that can be mended beats one that is dead */
}

static int fail_writes(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    (void)off;
    (void)len;
    return op == SIM_FLASH_READ ? 0 : -77;
}

static void a_confirmation_that_cannot_be_written_is_tried_again(void **state)
{
    (void)state;
    update(true);
    rig.health = MOLT_HEALTH_GOOD;
    rig.chip.flash.hook = fail_writes;
    agent_rig_until_reports(&rig, 1);
    assert_true(agent_rig_last(&rig) == MOLT_FLASH_WRITE || agent_rig_last(&rig) == MOLT_FLASH_ERASE);
    assert_int_equal(rig.agent.port_err, -77);
    assert_true(rig.agent.on_trial);
    rig.chip.flash.hook = NULL;
    uint64_t failed_ms = rig.now_ms;
    while (agent_rig_last(&rig) != MOLT_CONFIRMED)
        agent_rig_until_reports(&rig, 1);
    assert_in_range(rig.now_ms - failed_ms, 59000, 65000);
}

static void a_flash_that_fails_in_an_update_is_reported_with_its_code(void **state)
{
    (void)state;
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old_image, old_len);
    agent_rig_start(&rig, MOLT_SOURCE_CHECK_IN, "http://h", 1);
    struct molt_answer a = offer();
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, NULL, new_image, new_len);
    rig.chip.flash.hook = fail_writes;
    agent_rig_until_reports(&rig, 1);
    assert_true(agent_rig_last(&rig) == MOLT_FLASH_WRITE || agent_rig_last(&rig) == MOLT_FLASH_ERASE);
    assert_int_equal(rig.agent.port_err, -77);
}

#define T(test) cmocka_unit_test_teardown(test, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_healthy_image_is_confirmed_and_says_so),
        T(without_a_health_check_an_answer_of_the_server_confirms),
        T(an_unhealthy_image_goes_and_its_offer_is_not_taken_again),
        T(an_image_that_a_reset_rolled_back_is_reported),
        T(a_version_file_does_not_bring_back_what_failed),
        T(the_deadline_runs_from_the_first_answer_of_a_server),
        T(no_update_begins_while_an_image_is_on_trial),
        T(an_unhealthy_image_with_nothing_to_go_back_to_stays_and_says_so),
        T(a_confirmation_that_cannot_be_written_is_tried_again),
        T(a_flash_that_fails_in_an_update_is_reported_with_its_code),
    };
    return cmocka_run_group_tests(tests, build_all, free_all);
}
