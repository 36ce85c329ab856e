/* kill_test.c - QEMU is killed at random instants while the firmware fetches, stores, installs and tries a
 * new version: there is always one that boots, and in the end the new one runs. MOLT_SEED and MOLT_KILLS
 * change the run. */
#include "qemu_rig.h"

#include <stdlib.h>

#define SETTINGS "interval=1\nconfirm=30\n"
#define LIFE_MS  1200u /* from power-on to the confirmation takes about so long */
#define TRIES    25

/* Lets the device live for a random while, again and again, until it has confirmed version 2. Returns the
 * kills. */
static unsigned harass(struct rig *rig, struct rig_device *device, uint32_t *seed)
{
    for (unsigned kills = 0; kills < TRIES; kills++) {
        rig_power_on(rig, device);
        const int64_t life_ms = rig_random(seed) % LIFE_MS;
        bool confirmed = rig_try_line(rig, &device->machine, "agent: confirmed", life_ms) != NULL;
        rig_power_off(rig, device);
        if (confirmed) return kills;
        /* The server gives up on a device that took the whole file three times; it cannot know that we
         * pull the plug. */
        rig_forget(rig, device);
    }
    return TRIES;
}

/* A trial that power loss ends is taken up again, but not for ever. */
static bool lost_its_trials(const struct rig_device *device, size_t from)
{
    unsigned starts = 0;
    for (const char *at = device->machine.log + from; (at = strstr(at, "app: molt-reference 2.0.0")) != NULL;
         at++)
        starts++;
    return starts >= 2;
}

static void one_life(struct rig *rig, struct rig_device *device, unsigned long *kills, uint32_t *seed)
{
    rig_reflash(rig, device, "v1", SETTINGS);
    rig_power_on(rig, device);
    rig_hear(rig, device, "app: molt-reference 1.0.0"); /* the first boot stage's work is done */
    rig_power_off(rig, device);
    const size_t from = device->machine.len;
    *kills += harass(rig, device, seed);
    rig_power_on(rig, device);
    const char *line = rig_hear(rig, device, "agent: ");
    while (strstr(line, "up-to-date") == NULL && strstr(line, "failed-before") == NULL)
        line = rig_hear(rig, device, "agent: ");
    if (strstr(line, "agent: failed-before") != NULL) {
        assert_true(lost_its_trials(device, from));
    } else {
        rig_power_off(rig, device);
        rig_power_on(rig, device);
        rig_hear(rig, device, "app: molt-reference 2.0.0");
    }
    rig_power_off(rig, device);
    rig_not_said(&device->machine, "nothing to boot");
}

static void whatever_instant_it_is_killed_at_the_device_boots_and_gets_there(void **state)
{
    struct rig *rig = *state;
    uint32_t seed = rig_seed();
    const char *wanted = getenv("MOLT_KILLS");
    const unsigned long kills_wanted = wanted != NULL ? strtoul(wanted, NULL, 10) : KILLS;
    rig_publish(rig, RIG_BOARD, "v1");
    rig_publish(rig, RIG_BOARD, "v2");
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", SETTINGS);
    unsigned long kills = 0;
    while (kills < kills_wanted)
        one_life(rig, device, &kills, &seed);
    print_message("%lu kills, 0 bricks\n", kills);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whatever_instant_it_is_killed_at_the_device_boots_and_gets_there,
                                        rig_begin, rig_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
