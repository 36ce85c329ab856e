/* flash_test.c - the flash of the QEMU boards, on which all the others stand: 4 KB sectors, bits that a
 * write can only clear, and contents that outlive the machine. */
#include "qemu_rig.h"

#define SCRATCH 0x3F0000 /* flash_check.c's */

static void the_rules_of_nor_are_enforced(void **state)
{
    struct rig *rig = *state;
    uint8_t found[2][4096];
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "flash", "");
    rig_power_on(rig, device);
    rig_hear(rig, device, "flash: done, 0 wrong");
    rig_power_off(rig, device);
    FILE *file = fopen(device->flash, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, SCRATCH, SEEK_SET), 0);
    assert_int_equal(fread(found, 1, sizeof found, file), sizeof found);
    (void)fclose(file);
    for (size_t i = 0; i < sizeof found[0]; i++)
        assert_int_equal(found[0][i], 0xFF);
    assert_memory_equal(found[1], "\x78\x56\x34\x12\xFF\xFF\xFF\xFF", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_rules_of_nor_are_enforced, rig_begin, rig_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
