/* agent_keep_test.c - what the agent remembers over restarts: what failed, what was only interrupted, and what the
 * server has not heard yet. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent_rig.h"

#define NVS_TAIL 0xC000u /* the last two sectors of esp32-4M's nvs partition */

static struct rig_blob old_image, new_image, old8266, new8266;
static struct agent_rig rig;

static int build_all(void **state)
{
    (void)state;
    old_image = rig_image(MOLT_CHIP_ESP32, 0x6040, 1, 4u << 20);
    new_image = rig_image(MOLT_CHIP_ESP32, 0x7130, 2, 4u << 20);
    old8266 = rig_image(MOLT_CHIP_ESP8266, 0x6010, 1, 4u << 20);
    new8266 = rig_image(MOLT_CHIP_ESP8266, 0x7130, 2, 4u << 20);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    free(old_image.data);
    free(new_image.data);
    free(old8266.data);
    free(new8266.data);
    return 0;
}

static int close_rig(void **state)
{
    (void)state;
    agent_rig_close(&rig);
    return 0;
}

static struct molt_answer offer(const struct rig_blob *image, bool is_esp32)
{
    struct molt_answer a = {.verdict = MOLT_VERDICT_OFFER,
                            .reason = MOLT_OFFERED,
                            .version_code = 2,
                            .url = "/f",
                            .file_len = (uint32_t)image->len,
                            .image_len = (uint32_t)image->len};
    const struct rig_blob body = {image->data + MOLT_ESP8266_APP_OFFSET,
                                  image->len - MOLT_ESP8266_APP_OFFSET};
    rig_sha256(image, a.file_digest);
    if (is_esp32) {
        memcpy(a.image_digest, image->data + image->len - 32, 32);
    } else {
        rig_sha256(&body, a.image_digest);
    }
    return a;
}

static const struct molt_answer nothing = {.reason = MOLT_UP_TO_DATE};

/* The firmware that the boot stage chose starts, after a reset of this kind. */
static void start(enum molt_reset reset)
{
    bool is_new = rig_runs(&rig.chip, new_image.data, new_image.len);
    rig.config.reset = reset;
    agent_rig_start(&rig, MOLT_SOURCE_CHECK_IN, "http://h", is_new ? 2 : 1);
}

static void power_cycle(void)
{
    rig_power_cycle(&rig.chip);
    start(MOLT_RESET_POWER);
}

static void crash_as(enum molt_reset reset)
{
    rig_reset(&rig.chip);
    start(reset);
}

static void crash(void)
{
    crash_as(MOLT_RESET_OTHER);
}

static bool runs_new(void)
{
    return rig_runs(&rig.chip, new_image.data, new_image.len);
}

/* Installs the new image; its firmware is on trial, its health not known. */
static void update(void)
{
    struct molt_answer a = offer(&new_image, true);
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, "GET /f ", new_image.data, new_image.len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 60000));
    rig.health = MOLT_HEALTH_UNKNOWN;
    crash();
    assert_true(runs_new());
}

static void begin(void)
{
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old_image.data, old_image.len);
    rig.has_health = true;
    rig.keep_off = NVS_TAIL;
    crash();
    update();
}

/* Until the agent is about to ask: it has looked back, confirmed what is healthy, and kept what is to be kept. */
static void settle(void)
{
    struct molt_want want;
    bool is_busy;
    do {
        molt_agent_step(&rig.agent, rig.now_ms, &want);
        if (want.kind == MOLT_WANT_CLOSE) {
            rig.is_open = false;
            rig.used++;
        }
        bool confirms = rig.agent.on_trial && rig.health == MOLT_HEALTH_GOOD;
        is_busy = rig.agent.phase == MOLT_AGENT_STARTING || rig.agent.unsaved || confirms;
    } while (is_busy);
}

static void check_in(int result)
{
    agent_rig_answer(&rig, &nothing);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(rig.message.result, result);
}

static void a_crash_on_trial_is_a_failure_that_is_told_with_its_code_and_never_forgotten(void **state)
{
    (void)state;
    begin();
    settle();
    crash(); /* the bootloader goes back */
    assert_false(runs_new());
    settle();
    crash(); /* before a check: the result is still to be told */
    check_in(MOLT_ROLLED_BACK);
    assert_int_equal(rig.message.result_code, 2);
    assert_true(rig.message.has_result_digest);
    settle();
    for (int i = 0; i < 3; i++) {
        power_cycle();
        struct molt_answer a = offer(&new_image, true);
        agent_rig_answer(&rig, &a);
        agent_rig_until_reports(&rig, 1);
        assert_int_equal(rig.message.result, i == 0 ? 0 : MOLT_FAILED_BEFORE);
        assert_int_equal(agent_rig_last(&rig), MOLT_FAILED_BEFORE);
        settle();
    }
    /* another image in its slot, and the record of the slots is gone: the keep store knows */
    static const uint8_t none[MOLT_OTADATA_ENTRY_LEN] = {0};
    sim_flash_program(&rig.chip.flash, 0xF000, none, sizeof none);
    crash();
    assert_false(rig.agent.boot.has_failed);
    struct molt_answer a = offer(&new_image, true);
    agent_rig_answer(&rig, &a);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_FAILED_BEFORE);
}

static void what_ended_the_trial_is_told(void **state)
{
    static const struct {
        enum molt_reset reset;
        int result;
    } rows[] = {{MOLT_RESET_OTHER, MOLT_ROLLED_BACK},
                {MOLT_RESET_CRASH, MOLT_CRASHED},
                {MOLT_RESET_WATCHDOG, MOLT_HUNG}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (i > 0) agent_rig_close(&rig);
        begin();
        settle();
        crash_as(rows[i].reset); /* the bootloader goes back */
        assert_false(runs_new());
        settle();
        crash(); /* another reset of the old firmware says nothing of the new one */
        check_in(rows[i].result);
        assert_int_equal(rig.message.result_code, 2);
        assert_true(molt_keep_has_failed(&rig.keep, 2, NULL));
    }
}

static void a_failed_code_is_not_fetched_again_from_a_version_file(void **state)
{
    (void)state;
    begin();
    settle();
    crash();
    settle();
    power_cycle();
    agent_rig_start(&rig, MOLT_SOURCE_VERSION_FILE, "http://h/", 1);
    agent_rig_text(&rig, NULL, "2");
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_FAILED_BEFORE);
    assert_int_equal(rig.connects, 1);
}

static void an_interrupted_trial_is_tried_again_three_times_without_a_download(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 1; i <= 4; i++) {
        settle();
        power_cycle();
        assert_false(runs_new());
        settle();
        assert_int_equal(rig.keep.data.interrupted, i < 4 ? i : 3);
        if (i == 4) break;
        uint64_t erased = rig.chip.flash.count.erased_bytes;
        struct molt_answer a = offer(&new_image, true);
        agent_rig_answer(&rig, &a);
        agent_rig_file(&rig, "GET /f ", new_image.data, new_image.len)->piece = 300; /* its head is enough */
        assert_true(agent_rig_run(&rig, rig.now_ms + 60000));
        assert_true(rig.at < 1000);
        assert_int_equal(rig.chip.flash.count.erased_bytes - erased, MOLT_SECTOR); /* otadata's */
        crash();
        assert_true(runs_new());
    }
    check_in(MOLT_ROLLED_BACK); /* four in a row are no accident */
}

static void an_interrupted_trial_that_then_proves_itself_is_confirmed(void **state)
{
    (void)state;
    begin();
    settle();
    power_cycle();
    update();
    rig.health = MOLT_HEALTH_GOOD;
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_CONFIRMED);
    settle();
    power_cycle();
    assert_true(runs_new());
    check_in(MOLT_CONFIRMED);
    assert_int_equal(rig.message.result_code, 0); /* of what runs */
    settle();
    power_cycle();
    check_in(0);
}

static void a_failed_health_check_and_a_missed_deadline_are_failures(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        if (late) agent_rig_close(&rig);
        begin();
        if (!late) rig.health = MOLT_HEALTH_BAD;
        if (late) agent_rig_answer(&rig, &nothing);
        assert_true(agent_rig_run(&rig, rig.now_ms + 400 * 1000));
        assert_int_equal(agent_rig_last(&rig), late ? MOLT_CONFIRM_TIMEOUT : MOLT_UNHEALTHY);
        crash();
        assert_false(runs_new());
        settle();
        check_in(late ? MOLT_CONFIRM_TIMEOUT : MOLT_UNHEALTHY);
        assert_int_equal(rig.message.result_code, 2);
        settle();
        assert_true(molt_keep_has_failed(&rig.keep, 2, NULL));
    }
}

static void the_result_of_an_attempt_survives_restarts_until_it_was_heard(void **state)
{
    (void)state;
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old_image.data, old_image.len);
    rig.keep_off = NVS_TAIL;
    start(MOLT_RESET_OTHER);
    struct molt_answer a = offer(&new_image, true);
    agent_rig_answer(&rig, &a);
    agent_rig_expect(&rig, "GET /f ", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", NULL, 0);
    agent_rig_until_reports(&rig, 1);
    settle();
    power_cycle();
    settle();
    power_cycle();
    check_in(MOLT_HTTP_NOT_FOUND);
    assert_int_equal(rig.message.result_code, 2);
    settle();
    power_cycle();
    check_in(0);
}

/* A web server is told nothing, so nothing is kept for it: a device that wakes each minute would wear its flash out. */
static void a_result_that_nobody_will_hear_is_not_written_at_each_start(void **state)
{
    (void)state;
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old_image.data, old_image.len);
    rig.keep_off = NVS_TAIL;
    for (unsigned i = 0; i < 4; i++) {
        const uint64_t writes = rig.chip.flash.count.writes;
        if (i > 0) rig_power_cycle(&rig.chip);
        agent_rig_start(&rig, MOLT_SOURCE_VERSION_FILE, "http://h/", 1);
        agent_rig_text(&rig, NULL, i == 0 ? "2" : "1");
        if (i == 0)
            agent_rig_expect(&rig, NULL, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", NULL, 0);
        agent_rig_until_reports(&rig, 1);
        assert_int_equal(agent_rig_last(&rig), i == 0 ? MOLT_HTTP_NOT_FOUND : MOLT_UP_TO_DATE);
        settle();
        if (i > 0) assert_int_equal(rig.chip.flash.count.writes, writes);
    }
}

static void an_esp8266_that_copied_the_image_says_that_it_runs(void **state)
{
    (void)state;
    agent_rig_open(&rig, "4M2M", MOLT_CHIP_ESP8266, old8266.data, old8266.len);
    rig.keep_off = rig.chip.layout.fs_start - MOLT_KEEP_LEN;
    rig.chip.reserved = MOLT_KEEP_LEN;
    rig_reset(&rig.chip);
    start(MOLT_RESET_OTHER);
    struct molt_answer a = offer(&new8266, false);
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, "GET /f ", new8266.data, new8266.len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 60000));
    crash();
    assert_true(rig_runs(&rig.chip, new8266.data, new8266.len));
    check_in(MOLT_CONFIRMED);
    assert_int_equal(rig.message.result_code, 0); /* of what runs */
}

/* ---- the whole way, cut once at every write and erase ---- */

static struct {
    jmp_buf out;
    unsigned at, seen;
    enum sim_flash_tear tear;
} cut;

static int cut_hook(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    if (op == SIM_FLASH_READ || ++cut.seen != cut.at) return 0;
    sim_flash_cut(&rig.chip.flash, cut.tear, op, off, len, cut.seen);
    longjmp(cut.out, 1);
}

/* From any state to the new image confirmed and told, as a fleet would: the server offers while the old one runs. */
static void live(enum molt_reset reset)
{
    struct molt_answer a = offer(&new_image, true);
    rig.health = MOLT_HEALTH_GOOD;
    if (reset == MOLT_RESET_POWER) rig_power_cycle(&rig.chip);
    for (int boots = 0; boots < 6; boots++) {
        assert_true(rig.chip.booted);
        assert_true(runs_new() || rig_runs(&rig.chip, old_image.data, old_image.len));
        start(boots == 0 ? reset : MOLT_RESET_OTHER);
        settle(); /* a trial is confirmed at once here */
        if (runs_new() && !rig.agent.on_trial) {
            settle();
            return;
        }
        agent_rig_answer(&rig, &a);
        agent_rig_file(&rig, "GET /f ", new_image.data, new_image.len);
        uint32_t from = 0;
        while (from == 0 && !agent_rig_run(&rig, rig.now_ms + 50) && rig.agent.is_installing) {
            if (rig.agent.state == 6) from = rig.agent.received; /* it reconnects behind what it has */
        }
        if (from > 0) {
            char head[200];
            snprintf(head, sizeof head,
                     "HTTP/1.1 206 Partial\r\nContent-Range: bytes %u-%zu/%zu\r\nContent-Length: %zu\r\n\r\n",
                     from, new_image.len - 1, new_image.len, new_image.len - from);
            agent_rig_expect(&rig, "GET /f ", head, new_image.data + from, new_image.len - from);
        }
        assert_true(agent_rig_run(&rig, rig.now_ms + 60000));
        rig_reset(&rig.chip);
    }
    fail_msg("it does not get there");
}

static void wherever_it_is_cut_the_new_image_ends_confirmed_and_is_never_taken_for_failed(void **state)
{
    (void)state;
    unsigned total = 0;
    for (int tear = 0; tear < SIM_TEARS; tear++) {
        for (unsigned at = 1; tear == 0 && total == 0 ? true : at <= total; at++) {
            agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old_image.data, old_image.len);
            rig.has_health = true;
            rig.keep_off = NVS_TAIL;
            cut.at = total == 0 ? 0 : at;
            cut.seen = 0;
            cut.tear = (enum sim_flash_tear)tear;
            rig.chip.flash.hook = cut_hook;
            if (setjmp(cut.out) == 0) {
                live(MOLT_RESET_OTHER);
                if (total == 0) total = cut.seen;
            } else {
                rig.chip.flash.hook = NULL;
                live(MOLT_RESET_POWER);
            }
            assert_true(runs_new());
            assert_int_equal(rig.keep.data.failed_count, 0);
            assert_int_equal(rig.agent.result, MOLT_CONFIRMED);
            assert_int_equal(rig.agent.result_code, 2);
            if (at < total || tear < SIM_TEARS - 1) agent_rig_close(&rig);
        }
    }
    assert_in_range(total, 70, 200);
}

#define T(test) cmocka_unit_test_teardown(test, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_crash_on_trial_is_a_failure_that_is_told_with_its_code_and_never_forgotten),
        T(what_ended_the_trial_is_told),
        T(a_failed_code_is_not_fetched_again_from_a_version_file),
        T(an_interrupted_trial_is_tried_again_three_times_without_a_download),
        T(an_interrupted_trial_that_then_proves_itself_is_confirmed),
        T(a_failed_health_check_and_a_missed_deadline_are_failures),
        T(the_result_of_an_attempt_survives_restarts_until_it_was_heard),
        T(a_result_that_nobody_will_hear_is_not_written_at_each_start),
        T(an_esp8266_that_copied_the_image_says_that_it_runs),
        T(wherever_it_is_cut_the_new_image_ends_confirmed_and_is_never_taken_for_failed),
    };
    return cmocka_run_group_tests(tests, build_all, free_all);
}
