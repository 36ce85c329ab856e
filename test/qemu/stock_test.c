/* stock_test.c - the application behind Arduino's own boot stage, unmodified and as it ships
 * (tools/stock_eboot), above a stand-in for the chip's ROM: libmolt's command in RTC memory makes it
 * install the new version over the running one. It has no trial: what runs is what there is. */
#include "qemu_rig.h"

#define QUICK "interval=1\nconfirm=30\n"

static size_t read_start(const char *path, uint8_t *into, size_t cap)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(into, 1, cap, file);
    (void)fclose(file);
    return len;
}

/* "@": a command; "cp:0": copied; "ld": the sketch is loaded. */
static void updates_itself(struct rig *rig, const char *settings, const char *encoding)
{
    static uint8_t wanted[0x100000], found[0x100000];
    char path[512];
    rig_publish(rig, RIG_LX106, "stock-v1");
    struct rig_device *device = rig_flash(rig, RIG_LX106, "stock-v1", settings);
    rig_power_on(rig, device);
    rig_hear(rig, device, "ld");
    rig_hear(rig, device, "app: molt-reference 1.0.0");
    rig_hear(rig, device, "agent: up-to-date");
    rig_publish(rig, RIG_LX106, "stock-v2");
    assert_non_null(strstr(rig_hear(rig, device, "agent: fetching, "), encoding));
    rig_hear(rig, device, "agent: restart");
    rig_hear(rig, device, "@cp:");
    rig_hear(rig, device, "ld");
    rig_hear(rig, device, "app: molt-reference 2.0.0, code 2000000, from ffffffff, after restart");
    rig_hear(rig, device, "agent: up-to-date");
    rig_expect_state(rig, device, "updated");
    rig_power_off(rig, device);
    rig_image_path(rig, path, RIG_LX106, "stock-v2");
    size_t len = read_start(path, wanted, sizeof wanted);
    assert_int_equal(read_start(device->flash, found, len), len);
    assert_memory_equal(found, wanted, len);
    rig_power_on(rig, device); /* nothing to copy */
    rig_hear(rig, device, "app: molt-reference 2.0.0, code 2000000, from ffffffff, after power-on");
    rig_power_off(rig, device);
}

static void stock_eboot_copies_a_raw_image(void **state)
{
    updates_itself(*state, QUICK "raw=1\n", ", raw");
}

static void stock_eboot_installs_what_came_as_gzip(void **state)
{
    updates_itself(*state, QUICK, ", gzip");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stock_eboot_copies_a_raw_image, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(stock_eboot_installs_what_came_as_gzip, rig_begin, rig_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
