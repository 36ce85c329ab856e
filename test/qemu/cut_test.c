/* cut_test.c - power cuts at exact flash operations of an update: before and after what the chip commits, from the first
 * erased sector to the confirmation. MOLT_SEED chooses the operations; with EVERY each one is tried. */
#include "qemu_rig.h"

#define SETTINGS   "interval=1\nconfirm=60\n"
#define SAMPLES    3
#define OPERATIONS 1500u /* about so many does an update take */

/* false: the update was complete before the operation came. */
static bool cut_at(struct rig *rig, struct rig_device *device, unsigned operation)
{
    rig_forget(rig, device);
    rig_reflash(rig, device, "v1", SETTINGS);
    const size_t from = device->machine.len;
    snprintf(device->plugin, sizeof device->plugin, "cut=%u", operation);
    rig_power_on(rig, device);
    bool complete = rig_try_line(rig, &device->machine, "agent: confirmed", RIG_WAIT_MS) != NULL;
    rig_power_off(rig, device);
    device->plugin[0] = '\0';
    rig_power_on(rig, device);
    while (strstr(device->machine.log + from, "app: molt-reference 2.0.0") == NULL)
        rig_hear(rig, device, "app: molt-reference ");
    rig_hear(rig, device, "agent: up-to-date");
    rig_power_off(rig, device);
    return !complete;
}

static void a_cut_at_any_flash_operation_is_survived(void **state)
{
    struct rig *rig = *state;
    uint32_t seed = rig_seed();
    rig_publish(rig, RIG_BOARD, "v1");
    rig_publish(rig, RIG_BOARD, "v2");
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", SETTINGS);
#if defined(EVERY)
    unsigned operation = 1;
    (void)seed;
    while (cut_at(rig, device, operation))
        operation++;
    print_message("%u operations\n", operation - 1);
#else
    for (unsigned i = 0; i < SAMPLES; i++)
        (void)cut_at(rig, device, 1 + rig_random(&seed) % OPERATIONS);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_cut_at_any_flash_operation_is_survived, rig_begin, rig_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
