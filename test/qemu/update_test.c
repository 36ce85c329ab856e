/* update_test.c - firmware on the real instruction sets updates itself from a real server: good versions are confirmed, bad
 * ones rolled back, and the server knows which. Usage: qemu-update-rv32 and qemu-update-lx106. */
#include "qemu_rig.h"
#include "slots/molt_boot.h"

#define QUICK "interval=1\nconfirm=6\n"

static void a_new_version_is_fetched_tried_and_confirmed(void **state)
{
    struct rig *rig = *state;
    rig_publish(rig, RIG_BOARD, "v1");
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", QUICK);
    rig_power_on(rig, device);
    rig_hear(rig, device, "app: molt-reference 1.0.0");
    rig_hear(rig, device, "agent: up-to-date");
    rig_publish(rig, RIG_BOARD, "v2");
    rig_hear(rig, device, "agent: restart");
    rig_hear(rig, device, "app: molt-reference 2.0.0");
    rig_hear(rig, device, "agent: confirmed");
    rig_hear(rig, device, "agent: up-to-date");
    rig_expect_state(rig, device, "updated");
    rig_power_off(rig, device);
    rig_power_on(rig, device); /* it stays */
    rig_hear(rig, device, "app: molt-reference 2.0.0");
    rig_hear(rig, device, "agent: up-to-date");
    rig_power_off(rig, device);
}

/* This board has no watchdog that works without interrupts: a hand pulls the reset line whenever it hangs, until the boot
 * stage has seen enough. */
static void reset_by_hand(struct rig *rig, struct rig_device *device)
{
    for (unsigned tries = 1; tries < MOLT_BOOT_TRIES; tries++) {
        rig_monitor(device, "system_reset");
        rig_hear(rig, device, "app: hanging");
    }
    rig_monitor(device, "system_reset");
}

/* From version 1 to the bad one and back; what the firmware says on the way, and what the server then knows. */
static void goes_back(struct rig *rig, const char *bad, const char *says, const char *state)
{
    rig_publish(rig, RIG_BOARD, "v1");
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", QUICK);
    rig_power_on(rig, device);
    rig_hear(rig, device, "agent: up-to-date");
    rig_publish(rig, RIG_BOARD, bad);
    rig_hear(rig, device, "agent: restart");
    rig_hear(rig, device, says);
    if (RIG_BOARD == RIG_LX106 && strcmp(bad, "deaf") == 0) reset_by_hand(rig, device);
    rig_hear(rig, device, "app: molt-reference 1.0.0");
    rig_hear(rig, device, "agent: ");
    rig_hear(rig, device, "agent: ");
    rig_expect_state(rig, device, state);
    rig_power_off(rig, device);
    rig_power_on(rig, device); /* and stays */
    rig_hear(rig, device, "app: molt-reference 1.0.0");
    rig_power_off(rig, device);
}

static void a_version_that_crashes_is_rolled_back(void **state)
{
    goes_back(*state, "crash", "panic: exception", "rolled-back");
}

static void a_version_that_hangs_with_interrupts_off_is_reset_and_rolled_back(void **state)
{
    goes_back(*state, "deaf", "app: hanging", "rolled-back");
}

#if defined(SLOW)
static void a_version_that_hangs_is_reset_by_the_watchdog_and_rolled_back(void **state)
{
    goes_back(*state, "hang", "app: hanging", "rolled-back");
}

static void a_version_whose_health_check_says_no_goes_back_by_itself(void **state)
{
    goes_back(*state, "unhealthy", "agent: unhealthy", "rolled-back");
}

static void a_version_that_never_confirms_is_ended_by_the_deadline(void **state)
{
    goes_back(*state, "unsure", "agent: confirm-timeout", "rolled-back");
}

static void a_lost_link_is_waited_for(void **state)
{
    struct rig *rig = *state;
    rig_publish(rig, RIG_BOARD, "v1");
    rig_publish(rig, RIG_BOARD, "v2");
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", QUICK);
    rig_power_on(rig, device);
    rig_hear(rig, device, "agent: fetching");
    rig_monitor(device, "set_link n0 off");
    rig_monitor(device, "set_link n0 on");
    rig_hear(rig, device, "app: molt-reference 2.0.0");
    rig_hear(rig, device, "agent: confirmed");
    rig_power_off(rig, device);
}

#endif

/* The default run has each way back once over both boards; SLOW has all of them. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_version_is_fetched_tried_and_confirmed, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_version_that_crashes_is_rolled_back, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_version_that_hangs_with_interrupts_off_is_reset_and_rolled_back,
                                        rig_begin, rig_end),
#if defined(SLOW)
        cmocka_unit_test_setup_teardown(a_version_that_hangs_is_reset_by_the_watchdog_and_rolled_back,
                                        rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_version_whose_health_check_says_no_goes_back_by_itself, rig_begin,
                                        rig_end),
        cmocka_unit_test_setup_teardown(a_version_that_never_confirms_is_ended_by_the_deadline, rig_begin,
                                        rig_end),
        cmocka_unit_test_setup_teardown(a_lost_link_is_waited_for, rig_begin, rig_end),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
