/* cut_test.c - power cuts at exact flash stores of an update, from the first erased sector to the
 * confirmation. One update runs with plugin.c's journal of everything that the flash took. A cut leaves
 * nothing but flash, so the flash after any store is made again from the journal and booted: there must be
 * an application that starts, and from some, MOLT_SEED says which, the whole update must still be had.
 * Tried is every store with which the work goes on to another sector: each step of an image, boot records,
 * logs, what is kept; those that stand alone are torn as well. With EVERY each store of all, whole and
 * torn. */
#include "qemu_rig.h"

#include <stdlib.h>

#define SETTINGS "interval=1\nconfirm=60\n"
#define SECTOR   4096u
#define LINE     2048u
#define PAGE     256u
#define FINISHED 4 /* cuts after which the update is finished */

#define CUTS       3
#define OPERATIONS 900u /* an update takes more */

struct change { /* as plugin.c writes it */
    uint32_t offset;
    uint8_t bytes[LINE];
};

static struct change *changes;
static size_t change_count;
static uint8_t flash[RIG_FLASH_LEN];

static void read_file(const char *path, void *into, size_t len)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(into, 1, len, file), len);
    (void)fclose(file);
}

/* One whole update; flash: as it was before, changes: what happened to it. */
static void record(struct rig *rig, struct rig_device *device)
{
    read_file(device->flash, flash, sizeof flash);
    snprintf(device->plugin, sizeof device->plugin, "journal=journal,from=%s", device->flash);
    rig_power_on(rig, device);
    rig_hear(rig, device, "agent: confirmed");
    rig_hear(rig, device, "agent: up-to-date");
    rig_power_off(rig, device);
    device->plugin[0] = '\0';
    FILE *file = fopen("journal", "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    change_count = (size_t)ftell(file) / sizeof *changes;
    (void)fclose(file);
    assert_true(change_count > 500);
    changes = calloc(change_count, sizeof *changes);
    assert_non_null(changes);
    read_file("journal", changes, change_count * sizeof *changes);
}

static bool same_sector(size_t a, size_t b)
{
    return a < change_count && b < change_count && changes[a].offset / SECTOR == changes[b].offset / SECTOR;
}

/* A store by itself, between those of other sectors: of boot records, logs, what is kept. */
static bool is_record(size_t at)
{
    return !same_sector(at, at - 1) && !same_sector(at, at + 1);
}

/* The work has gone on to another sector. */
static bool is_interesting(size_t at)
{
    return !same_sector(at, at - 1) || at + 1 == change_count;
}

static void boots(struct rig *rig, struct rig_device *device, bool finishes)
{
    const size_t from = device->machine.len;
    rig_set_flash(device, flash);
    if (finishes) rig_forget(rig, device);
    rig_power_on(rig, device);
    rig_hear(rig, device, "app: molt-reference ");
    if (finishes) {
        while (strstr(device->machine.log + from, "app: molt-reference 2.0.0") == NULL)
            rig_hear(rig, device, "app: molt-reference ");
        rig_hear(rig, device, "agent: up-to-date");
    }
    rig_power_off(rig, device);
    if (strstr(device->machine.log + from, "nothing to boot") != NULL)
        fail_msg("%s", device->machine.log + from);
}

/* Half of what the store changed. */
static void tear(const struct change *change)
{
    uint8_t *line = flash + change->offset;
    size_t first = 0, last = 0;
    for (size_t i = LINE; i-- > 0;) {
        if (line[i] == change->bytes[i]) continue;
        first = i;
        if (last == 0) last = i + 1;
    }
    memcpy(line + first, change->bytes + first, (last - first) / 2);
}

static void a_cut_at_any_flash_store_is_survived(void **state)
{
    struct rig *rig = *state;
    uint32_t seed = rig_seed();
    unsigned tried = 0;
    rig_publish(rig, RIG_BOARD, "v1");
    rig_publish(rig, RIG_BOARD, "v2");
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", SETTINGS);
    record(rig, device);
    for (size_t i = 0; i < change_count; i++) {
        const bool wanted = EVERY || is_interesting(i);
        const bool finishes = rig_random(&seed) % change_count < FINISHED;
        if (wanted && (EVERY || is_record(i))) {
            tear(&changes[i]);
            boots(rig, device, false);
            tried++;
        }
        memcpy(flash + changes[i].offset, changes[i].bytes, LINE);
        if (!wanted && !finishes) continue;
        boots(rig, device, finishes);
        tried++;
    }
    print_message("%zu stores, %u cuts\n", change_count, tried);
    free(changes);
}

/* The same without a journal: the machine itself ends at a store, in the middle of all that it does. */
static void a_machine_that_ends_at_a_store_gets_there(void **state)
{
    struct rig *rig = *state;
    uint32_t seed = rig_seed();
    rig_publish(rig, RIG_BOARD, "v1");
    rig_publish(rig, RIG_BOARD, "v2");
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", SETTINGS);
    for (unsigned i = 0; i < CUTS; i++) {
        rig_forget(rig, device);
        rig_reflash(rig, device, "v1", SETTINGS);
        const size_t from = device->machine.len;
        snprintf(device->plugin, sizeof device->plugin, "cut=%u", 1 + rig_random(&seed) % OPERATIONS);
        rig_power_on(rig, device);
        rig_wait_end(rig, device);
        device->plugin[0] = '\0';
        rig_power_on(rig, device);
        while (strstr(device->machine.log + from, "app: molt-reference 2.0.0") == NULL)
            rig_hear(rig, device, "app: molt-reference ");
        rig_hear(rig, device, "agent: up-to-date");
        rig_power_off(rig, device);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_machine_that_ends_at_a_store_gets_there, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_cut_at_any_flash_store_is_survived, rig_begin, rig_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
