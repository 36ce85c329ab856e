/* pack_test.c - firmware on a real instruction set takes packs: it updates itself by a delta, and a pack of the whole image
 * whose connection was cut goes on at the byte, after a power cut at its second frame. On lx106 over https, with all that
 * takes in the 80 KB of an ESP8266. Usage: qemu-pack-BOARD. */
#include "qemu_rig.h"

#include <stdlib.h>

#define PACKS "interval=1\nconfirm=6\npacks=1\n"

/* The number behind name in a line. */
static unsigned long number_in(const char *line, const char *name)
{
    const char *at = strstr(line, name);
    assert_non_null(at);
    return strtoul(at + strlen(name), NULL, 10);
}

/* The server has a pack to offer; its length. */
static unsigned long pack_is_ready(struct rig *rig, const char *kind)
{
    char event[64];
    snprintf(event, sizeof event, "event=pack kind=%s ", kind);
    return number_in(rig_wait_line(rig, &rig->server, event), "bytes=");
}

/* The deepest stack that the device told of is within what app.ld keeps for it. */
static void expect_small_stack(const struct rig_device *device)
{
    static const char before[] = ", stack ";
    unsigned long deepest = 0;
    for (const char *at = device->machine.log; (at = strstr(at, before)) != NULL;) {
        at += sizeof before - 1;
        unsigned long now = strtoul(at, NULL, 10);
        if (now > deepest) deepest = now;
    }
    print_message("stack: %lu bytes\n", deepest);
    assert_in_range(deepest, 1000, 6144);
}

static void it_runs_version_2(struct rig *rig, struct rig_device *device)
{
    rig_hear(rig, device, "agent: restart");
    rig_hear(rig, device, "app: molt-reference 2.0.0");
    rig_hear(rig, device, "agent: confirmed");
    rig_hear(rig, device, "agent: up-to-date");
    rig_expect_state(rig, device, "updated");
    rig_power_off(rig, device);
}

static void a_new_version_comes_as_a_delta(void **state)
{
    struct rig *rig = *state;
    rig_publish(rig, RIG_BOARD, "v1");
    rig_publish(rig, RIG_BOARD, "v2");
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", PACKS);
    rig_power_on(rig, device);
    rig_hear(rig, device, "agent: pack-in-the-making");
    const unsigned long len = pack_is_ready(rig, RIG_BOARD == RIG_LX106 ? "delta-body" : "delta");
    rig_power_off(rig, device); /* it would ask again in 30 seconds */
    rig_power_on(rig, device);
    const char *line = rig_hear(rig, device, "agent: fetching, ");
    assert_non_null(strstr(line, ", pack"));
    assert_int_equal(number_in(line, " of "), len);
    assert_true(len < (RIG_BOARD == RIG_LX106 ? 8192 : 4096)); /* molt-boot has the first sector */
    it_runs_version_2(rig, device);
    if (RIG_BOARD == RIG_LX106) expect_small_stack(device);
}

static void a_pack_of_the_whole_image_comes_over_https(void **state)
{
    struct rig *rig = *state;
    rig_publish(rig, RIG_BOARD, "v2"); /* and not what the devices run */
    struct rig_device *first = rig_flash(rig, RIG_BOARD, "v1", PACKS);
    rig_power_on(rig, first);
    const unsigned long len = pack_is_ready(rig, "whole");
    rig_power_off(rig, first); /* it has the image itself meanwhile */
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", PACKS);
    rig_power_on(rig, device);
    const char *line = rig_hear(rig, device, "agent: fetching, ");
    assert_non_null(strstr(line, ", pack"));
    assert_int_equal(number_in(line, " of "), len);
    it_runs_version_2(rig, device);
    expect_small_stack(device);
}

static void a_cut_pack_goes_on_at_the_byte_and_after_a_power_cut_at_its_frame(void **state)
{
    struct rig *rig = *state;
    char cut[64];
    rig_publish(rig, RIG_BOARD, "v2"); /* and not what the devices run, so there is no delta */
    struct rig_device *first = rig_flash(rig, RIG_BOARD, "v1", PACKS);
    rig_power_on(rig, first);
    const unsigned long len = pack_is_ready(rig, "whole"), at = len - 100;
    rig_power_off(rig, first);

    snprintf(cut, sizeof cut, "--cut %lu --hold", at);
    rig_middle(rig, cut);
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", PACKS);
    rig_power_on(rig, device);
    assert_non_null(strstr(rig_hear(rig, device, "agent: fetching, "), ", pack"));
    assert_int_equal(number_in(rig_hear(rig, device, "agent: interrupted, "), "after "), at);
    const char *line = rig_wait_line(rig, &rig->middle, "GET 206 ");
    assert_int_equal(number_in(line, "bytes="), at);
    rig_power_off(rig, device); /* while the rest does not come */

    rig_power_on(rig, device);
    line = rig_wait_line(rig, &rig->middle, "GET 206 ");
    const unsigned long frame = number_in(line, "bytes=");
    assert_int_equal(number_in(line, "206 ") + frame, len);
    assert_true(frame > len / 2 && frame < at); /* the second of two; the first holds 128 KB of 137 */
    it_runs_version_2(rig, device);
}

#define TEST(name, begin) cmocka_unit_test_setup_teardown(name, begin, rig_end)

int main(void)
{
    const struct CMUnitTest rv32[] = {
        TEST(a_new_version_comes_as_a_delta, rig_begin),
        TEST(a_cut_pack_goes_on_at_the_byte_and_after_a_power_cut_at_its_frame, rig_begin),
    };
    const struct CMUnitTest lx106[] = {
        TEST(a_new_version_comes_as_a_delta, rig_begin_ec),
        TEST(a_pack_of_the_whole_image_comes_over_https, rig_begin_ec),
    };
    return RIG_BOARD == RIG_LX106 ? cmocka_run_group_tests(lx106, NULL, NULL)
                                  : cmocka_run_group_tests(rv32, NULL, NULL);
}
