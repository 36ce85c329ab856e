/* update_case.h - what the tests of updates on both chips share: the two chips with the images of chip_images.h, and how an update is
 * refused. Included once a program. */
#ifndef MOLT_TEST_UPDATE_CASE_H
#define MOLT_TEST_UPDATE_CASE_H

#include "cmocka_all.h"

#include "chip_images.h"

static struct rig rig;

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
