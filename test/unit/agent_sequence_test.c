/* agent_sequence_test.c - an agent with a trust anchor, on virtual chips with a scripted network: the number that never goes
 * back, where it is kept, and what happens when it cannot be read. */
#include "agent_signed_case.h"

static void the_sequence_is_raised_when_the_firmware_is_confirmed(void **state)
{
    (void)state;
    kept = raised = 0;
    broken = false;
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old32.data, old32.len);
    start(MOLT_SOURCE_VERSION_FILE, BASE, 1);
    struct envelope e = sign(&new32, 2);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_file(&rig, SUIT, e.data, e.len);
    agent_rig_file(&rig, BIN, new32.data, new32.len);
    expect_installed(&new32);
    assert_int_equal(kept, 1);
    start(MOLT_SOURCE_VERSION_FILE, BASE, 2);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_until_reports(&rig, 2);
    assert_int_equal(agent_rig_last(&rig), MOLT_CONFIRMED);
    assert_int_equal(kept, 2);
    assert_int_equal(raised, 2);

    start(MOLT_SOURCE_VERSION_FILE, BASE, 1); /* as if an older firmware were flashed by wire */
    e = sign(&old32, 1);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "3");
    agent_rig_file(&rig, SUIT, e.data, e.len);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_MANIFEST_OLDER);
    assert_int_equal(kept, 2);
}

static void a_trial_that_ends_badly_raises_nothing(void **state)
{
    (void)state;
    kept = raised = 0;
    broken = false;
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old32.data, old32.len);
    start(MOLT_SOURCE_VERSION_FILE, BASE, 1);
    struct envelope e = sign(&new32, 9);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "9");
    agent_rig_file(&rig, SUIT, e.data, e.len);
    agent_rig_file(&rig, BIN, new32.data, new32.len);
    expect_installed(&new32);
    rig.has_health = true;
    rig.health = MOLT_HEALTH_BAD;
    start(MOLT_SOURCE_VERSION_FILE, BASE, 9);
    assert_true(agent_rig_run(&rig, rig.now_ms + 60000));
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, old32.data, old32.len));
    assert_int_equal(kept, 1);
    rig.has_health = false;
}

static void a_store_that_cannot_be_read_stops_all_updates(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    struct envelope e = sign(&new8266, 2);
    broken = true;
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_file(&rig, SUIT, e.data, e.len);
    agent_rig_until_reports(&rig, 2); /* once at the start */
    assert_int_equal(rig.reports[0], MOLT_SEQUENCE_STORE);
    assert_int_equal(agent_rig_last(&rig), MOLT_SEQUENCE_STORE);
    assert_int_equal(rig.connects, 2);
}

static void the_keep_store_holds_the_number_over_restarts(void **state)
{
    (void)state;
    static struct molt_keep keep;
    const uint32_t nvs_tail = 0xC000; /* the last two sectors of esp32-4M's nvs partition */
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old32.data, old32.len);
    for (uint32_t code = 1; code <= 2; code++) {
        molt_keep_begin(&keep, &rig.chip.flash.port, nvs_tail);
        start(MOLT_SOURCE_VERSION_FILE, BASE, code == 1 ? 5 : 3); /* then an older one by wire */
        rig.config.read_sequence = NULL;
        rig.config.raise_sequence = NULL;
        rig.config.keep = &keep;
        struct envelope e = sign(&new32, 4);
        agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "9");
        agent_rig_file(&rig, SUIT, e.data, e.len);
        agent_rig_until_reports(&rig, 1);
        assert_int_equal(agent_rig_last(&rig), MOLT_MANIFEST_OLDER);
        assert_int_equal(keep.data.sequence, 5);
    }
    rig.config.keep = NULL;
}

static void a_keep_store_that_cannot_be_read_stops_all_updates(void **state)
{
    (void)state;
    static struct molt_keep keep;
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    molt_keep_begin(&keep, &rig.chip.flash.port, 0x3E000);
    keep.is_loaded = true; /* a load that ended badly */
    keep.port_err = -5;
    rig.config.read_sequence = NULL;
    rig.config.keep = &keep;
    struct envelope e = sign(&new8266, 2);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_file(&rig, SUIT, e.data, e.len);
    agent_rig_until_reports(&rig, 2);
    assert_int_equal(agent_rig_last(&rig), MOLT_SEQUENCE_STORE);
    assert_int_equal(rig.connects, 2);
    rig.config.keep = NULL;
}

static void without_a_store_nothing_goes_below_what_runs(void **state)
{
    (void)state;
    open8266(MOLT_SOURCE_VERSION_FILE, BASE);
    rig.config.read_sequence = NULL;
    rig.config.raise_sequence = NULL;
    rig.config.sequence = 50; /* signed with a sequence of its own */
    agent_rig_start(&rig, MOLT_SOURCE_VERSION_FILE, BASE, 1);
    struct envelope e = sign(&new8266, 49);
    agent_rig_text(&rig, "GET /fota/5CCF7FC602E2.version", "2");
    agent_rig_file(&rig, SUIT, e.data, e.len);
    agent_rig_until_reports(&rig, 1);
    assert_int_equal(agent_rig_last(&rig), MOLT_MANIFEST_OLDER);
    rig.config.sequence = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_sequence_is_raised_when_the_firmware_is_confirmed),
        TEST(a_trial_that_ends_badly_raises_nothing),
        TEST(a_store_that_cannot_be_read_stops_all_updates),
        TEST(the_keep_store_holds_the_number_over_restarts),
        TEST(a_keep_store_that_cannot_be_read_stops_all_updates),
        TEST(without_a_store_nothing_goes_below_what_runs),
    };
    return cmocka_run_group_tests(tests, make_all, free_made);
}
