/* update_case.h - what the tests of updates on both chips share: the images, the two chips, and how an update is refused. Included once a
 * program; the group's set-up is build_all() and its end free_all(), unless the program has more to build. */
#ifndef MOLT_TEST_UPDATE_CASE_H
#define MOLT_TEST_UPDATE_CASE_H

#include "cmocka_all.h"

#include <stdlib.h>

#include "chip_rig.h"

static struct rig_blob old8266, new8266, new8266_gz, old32, new32, new32_gz;
static struct rig rig;

static int build_all(void **state)
{
    (void)state;
    old8266 = rig_image(MOLT_CHIP_ESP8266, 0x6040, 1, 512u << 10);
    new8266 = rig_image(MOLT_CHIP_ESP8266, 0x7130, 2, 512u << 10);
    old32 = rig_image(MOLT_CHIP_ESP32, 0x6040, 1, 4u << 20);
    new32 = rig_image(MOLT_CHIP_ESP32, 0x7130, 2, 4u << 20);
    new8266_gz = rig_gzip(&new8266, 15);
    new32_gz = rig_gzip(&new32, 15);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    struct rig_blob *all[] = {&old8266, &new8266, &new8266_gz, &old32, &new32, &new32_gz};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]->data);
    return 0;
}

/* The two chips of most tests, each with its old image, new image and new image compressed. */
static const struct setup {
    const char *layout;
    const struct rig_blob *old, *new, *new_gz, *other_chip;
} setups[] = {
    {"512K", &old8266, &new8266, &new8266_gz, &new32},
    {"esp32-4M", &old32, &new32, &new32_gz, &new8266},
};
#define SETUPS 2

static void start(const struct setup *s)
{
    rig_open(&rig, sim_layout_find(s->layout), MOLT_CHIP_ESP32, 4);
    rig_factory(&rig, s->old->data, s->old->len);
    assert_true(rig_runs(&rig, s->old->data, s->old->len));
}

/* The update ended with `want`, and after a reset the old image runs as if nothing had been. */
static void expect_refused(const struct setup *s, int rc, int want)
{
    assert_int_equal(rc, want);
    assert_int_equal(molt_step(&rig.update), -MOLT_STATE);
    rig_reset(&rig);
    assert_true(rig_runs(&rig, s->old->data, s->old->len));
}

#endif
