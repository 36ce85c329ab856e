/* update_test.c - firmware on the real instruction sets updates itself from a real server: good versions
 * are confirmed, bad ones rolled back, and the server knows which. Usage: qemu-update-rv32 and
 * qemu-update-lx106. */
#include "qemu_rig.h"

#include <stdlib.h>

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
    assert_non_null(strstr(rig_hear(rig, device, "agent: fetching, "), ", gzip"));
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

/* From version 1 to the bad one and back; what the firmware says on the way, and what the server's page then
 * says. */
static void goes_back(struct rig *rig, const char *bad, const char *says, const char *result)
{
    rig_publish(rig, RIG_BOARD, "v1");
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", QUICK);
    device->watched = RIG_BOARD == RIG_LX106 && strcmp(bad, "deaf") == 0; /* else the board does it */
    rig_power_on(rig, device);
    rig_hear(rig, device, "agent: up-to-date");
    rig_publish(rig, RIG_BOARD, bad);
    rig_hear(rig, device, "agent: restart");
    rig_hear(rig, device, says);
    rig_hear(rig, device, "app: molt-reference 1.0.0");
    rig_expect_result(rig, device, result);
    if (strstr(says, "hanging") != NULL) rig_said(&device->machine, ", after watchdog");
    rig_power_off(rig, device);
    rig_power_on(rig, device); /* and stays */
    rig_hear(rig, device, "app: molt-reference 1.0.0");
    rig_power_off(rig, device);
}

static void a_version_that_crashes_is_rolled_back(void **state)
{
    goes_back(*state, "crash", "panic: exception", "rolled-back, crashed");
}

static void a_version_that_hangs_with_interrupts_off_is_reset_and_rolled_back(void **state)
{
    goes_back(*state, "deaf", "app: hanging", "rolled-back, hung");
}

static void a_version_that_hangs_is_reset_by_the_watchdog_and_rolled_back(void **state)
{
    goes_back(*state, "hang", "app: hanging", "rolled-back, hung");
}

static void a_version_whose_health_check_says_no_goes_back_by_itself(void **state)
{
    goes_back(*state, "unhealthy", "agent: unhealthy", "rolled-back, unhealthy");
}

static void a_version_that_never_confirms_is_ended_by_the_deadline(void **state)
{
    goes_back(*state, "unsure", "agent: confirm-timeout", "rolled-back, confirm-timeout");
}

static void a_device_that_takes_no_gzip_gets_the_image_raw(void **state)
{
    struct rig *rig = *state;
    rig_publish(rig, RIG_BOARD, "v1");
    rig_publish(rig, RIG_BOARD, "v2");
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", QUICK "raw=1\n");
    rig_power_on(rig, device);
    assert_non_null(strstr(rig_hear(rig, device, "agent: fetching, "), ", raw"));
    rig_hear(rig, device, "app: molt-reference 2.0.0");
    rig_hear(rig, device, "agent: confirmed");
    rig_power_off(rig, device);
}

/* "agent: fetching, RECEIVED of LENGTH bytes": the numbers. */
static unsigned long received_in(const char *line, unsigned long *len)
{
    char *end;
    unsigned long received = strtoul(strstr(line, "fetching, ") + 10, &end, 10);
    *len = strtoul(end + 4, NULL, 10);
    return received;
}

/* The second request asks for what is missing, gets that and no more, and nothing of it twice. */
static void after_a_cut_link_only_the_rest_is_fetched(void **state)
{
    struct rig *rig = *state;
    unsigned long len, from = 0;
    rig_publish(rig, RIG_BOARD, "v1");
    rig_publish(rig, RIG_BOARD, "v2");
    rig_middle(rig, "");
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", QUICK);
    device->slow_ms = 150;
    rig_power_on(rig, device);
    while (from == 0)
        from = received_in(rig_hear(rig, device, "agent: fetching, "), &len);
    rig_monitor(device, "set_link n0 off");
    const char *line = rig_hear(rig, device, "agent: interrupted, timeout, after ");
    from = strtoul(strstr(line, "after ") + 6, NULL, 10);
    assert_true(from > 32768 && from < len);
    rig_monitor(device, "set_link n0 on");
    line = rig_wait_line(rig, &rig->middle, "GET 206 ");
    const unsigned long sent = strtoul(strstr(line, "206 ") + 4, NULL, 10);
    assert_int_equal(strtoul(strstr(line, "bytes=") + 6, NULL, 10), from);
    assert_int_equal(sent, len - from);
    rig_hear(rig, device, "app: molt-reference 2.0.0");
    rig_hear(rig, device, "agent: confirmed");
    rig_power_off(rig, device);
}

static void after_a_power_cut_only_the_rest_is_fetched(void **state)
{
    struct rig *rig = *state;
    unsigned long len, from = 0;
    rig_publish(rig, RIG_BOARD, "v1");
    rig_publish(rig, RIG_BOARD, "v2");
    rig_middle(rig, "");
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", QUICK);
    device->slow_ms = 150;
    rig_power_on(rig, device);
    while (from < 65536)
        from = received_in(rig_hear(rig, device, "agent: fetching, "), &len);
    rig_power_off(rig, device);
    device->slow_ms = 0;
    rig_power_on(rig, device);
    const char *line = rig_wait_line(rig, &rig->middle, "GET 206 ");
    const unsigned long sent = strtoul(strstr(line, "206 ") + 4, NULL, 10);
    assert_true(strtoul(strstr(line, "bytes=") + 6, NULL, 10) > 32768);
    assert_int_equal(strtoul(strstr(line, "bytes=") + 6, NULL, 10) + sent, len);
    rig_hear(rig, device, "app: molt-reference 2.0.0");
    rig_hear(rig, device, "agent: confirmed");
    rig_power_off(rig, device);
}

static void its_own_page_says_how_it_stands(void **state)
{
    struct rig *rig = *state;
    rig_publish(rig, RIG_BOARD, "v1");
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", QUICK);
    rig_power_on(rig, device);
    rig_hear(rig, device, "agent: up-to-date");
    const char *page = rig_status_page(rig, device);
    assert_non_null(strstr(page, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(
        strstr(page, "\nproduct molt-reference\nversion 1.0.0\ncode 1000000\non-trial 0\nlast up-to-date\n"));
    rig_power_off(rig, device);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_begin, rig_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_version_is_fetched_tried_and_confirmed),
        TEST(a_device_that_takes_no_gzip_gets_the_image_raw),
        TEST(after_a_cut_link_only_the_rest_is_fetched),
        TEST(after_a_power_cut_only_the_rest_is_fetched),
        TEST(its_own_page_says_how_it_stands),
        TEST(a_version_that_crashes_is_rolled_back),
        TEST(a_version_that_hangs_is_reset_by_the_watchdog_and_rolled_back),
        TEST(a_version_that_hangs_with_interrupts_off_is_reset_and_rolled_back),
        TEST(a_version_whose_health_check_says_no_goes_back_by_itself),
        TEST(a_version_that_never_confirms_is_ended_by_the_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
