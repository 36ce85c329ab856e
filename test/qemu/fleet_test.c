/* fleet_test.c - ten devices of both kinds update themselves at once from one server. */
#include "qemu_rig.h"

#define QUICK   "interval=1\nconfirm=60\n"
#define DEVICES 10

static void ten_devices_of_both_kinds_update_at_once(void **state)
{
    struct rig *rig = *state;
    struct rig_device *devices[DEVICES];
    rig_publish(rig, RIG_RV32, "v1");
    rig_publish(rig, RIG_LX106, "v1");
    for (size_t i = 0; i < DEVICES; i++)
        devices[i] = rig_flash(rig, i % 2 == 0 ? RIG_RV32 : RIG_LX106, "v1", QUICK);
    for (size_t i = 0; i < DEVICES; i++)
        rig_power_on(rig, devices[i]);
    for (size_t i = 0; i < DEVICES; i++)
        rig_hear(rig, devices[i], "agent: up-to-date");
    rig_publish(rig, RIG_RV32, "v2");
    rig_publish(rig, RIG_LX106, "v2");
    for (size_t i = 0; i < DEVICES; i++) {
        rig_hear(rig, devices[i], "app: molt-reference 2.0.0");
        rig_hear(rig, devices[i], "agent: confirmed");
        rig_hear(rig, devices[i], "agent: up-to-date");
        rig_expect_state(rig, devices[i], "updated");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ten_devices_of_both_kinds_update_at_once, rig_begin, rig_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
