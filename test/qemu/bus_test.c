/* bus_test.c - a whole https update on lx106 keeps the rules of the ESP8266's buses: only words from flash
 * and instruction RAM, nothing outside 80 KB and 32 KB. QEMU itself would let all of it pass. */
#include "qemu_rig.h"

static const char *watched(void)
{
    static char text[16384];
    FILE *file = fopen("bus.txt", "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    return text;
}

static void an_https_update_breaks_no_rule_of_the_bus(void **state)
{
    struct rig *rig = *state;
    rig_publish(rig, RIG_LX106, "v1");
    rig_publish(rig, RIG_LX106, "v2");
    struct rig_device *device = rig_flash(rig, RIG_LX106, "v1", "interval=1\nconfirm=60\n");
    snprintf(device->plugin, sizeof device->plugin, "out=bus.txt");
    rig_power_on(rig, device);
    rig_hear(rig, device, "app: molt-reference 2.0.0");
    rig_hear(rig, device, "agent: up-to-date");
    rig_power_off(rig, device);
    const char *text = watched();
    assert_non_null(strstr(text, "accesses "));
    print_message("%s", text);
    if (strstr(text, "violation:") != NULL) fail_msg("%.3000s", strstr(text, "violation:"));
}

/* So that the one above would have seen it. */
static void a_byte_read_from_flash_is_seen(void **state)
{
    struct rig *rig = *state;
    struct rig_device *device = rig_flash(rig, RIG_LX106, "bytes", "");
    snprintf(device->plugin, sizeof device->plugin, "out=bus.txt");
    rig_power_on(rig, device);
    rig_hear(rig, device, "app: code begins with ");
    rig_power_off(rig, device);
    assert_non_null(strstr(watched(), "load of 1 bytes at 402"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_https_update_breaks_no_rule_of_the_bus, rig_begin_ec, rig_end),
        cmocka_unit_test_setup_teardown(a_byte_read_from_flash_is_seen, rig_begin, rig_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
