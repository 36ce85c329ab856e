/* power_cut_test.c - the power goes at every flash operation of an update, between two operations or
 * inside one. ESP32: what boots afterwards is the whole old or the whole new image, wherever the cut was,
 * and the next try gets there. ESP8266: the same, except inside the copy of the stock eboot, where
 * exactly the cuts from the first erase to the last write leave a broken sketch: that is what a boot
 * stage of our own is for. */
#include "cmocka_all.h"

#include <stdlib.h>

#include "chip_rig.h"

static const struct sim_partition small_table[] = {
    {"nvs", 1, 2, 0x9000, 0x5000},
    {"otadata", 1, 0, 0xE000, 0x2000},
    {"app0", 0, 0x10, 0x10000, 0x10000},
    {"app1", 0, 0x11, 0x20000, 0x10000},
};
static const struct sim_layout small32 = {"small", true, 0x30000, 0x30000, 0x30000, small_table, 4};
static const struct sim_layout small8266 = {"small", false, 0x80000, 0x7B000, 0x7B000, NULL, 0};

static struct rig_blob older32, old32, new32, old8266, new8266;
static struct rig rig;

/* The scenario that is cut; each leaves the rig as the chip is when it is over. */
struct scenario {
    const struct sim_layout *layout;
    const struct rig_blob *old, *new;
    bool packed;
    uint32_t write_unit;
    bool second; /* ESP32: the old image runs from slot 1, an older one lies in slot 0 */
};

/* ---- the cut ---- */

static struct cut {
    jmp_buf out;
    unsigned countdown, seen;
    bool torn;
    bool in_boot;                     /* the operation belongs to the boot stage */
    unsigned first_erase, last_write; /* of the boot stage, numbered from 1; 0: none */
} cut;

static int count_or_cut(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    cut.seen++;
    if (cut.in_boot && op == SIM_FLASH_ERASE && cut.first_erase == 0) cut.first_erase = cut.seen;
    if (cut.in_boot && op == SIM_FLASH_WRITE) cut.last_write = cut.seen;
    if (cut.countdown == 0 || --cut.countdown > 0) return 0;
    if (cut.torn) sim_flash_cut(&rig.flash, SIM_TEAR_NOISY, op, off, len, cut.seen);
    longjmp(cut.out, 1);
}

static void prepare(const struct scenario *s)
{
    rig_open(&rig, s->layout, MOLT_CHIP_ESP32, s->write_unit);
    static uint8_t dirt[0x80000]; /* no factory-fresh luck */
    memset(dirt, 0x5A, sizeof dirt);
    sim_flash_program(&rig.flash, 0, dirt, rig.flash.port.size);
    if (s->layout->is_esp32) { /* only the first record was ever written */
        uint8_t record[MOLT_OTADATA_ENTRY_LEN];
        memset(record, 0xFF, sizeof record);
        sim_flash_program(&rig.flash, 0xF000, record, sizeof record);
    }
    const struct rig_blob *first = s->second ? &older32 : s->old;
    rig_factory(&rig, first->data, first->len);
    if (s->second) {
        const struct rig_file file = rig_raw(s->old);
        assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
        rig_reset(&rig);
        assert_int_equal(rig_run(&rig, rig.slots->ops->confirm_step), MOLT_DONE);
    }
    assert_true(rig_runs(&rig, s->old->data, s->old->len));
}

/* From the first byte to the confirmed image: update, restart, confirm, restart. */
static void live_through(const struct rig_file *file)
{
    cut.in_boot = false;
    assert_int_equal(rig_update(&rig, file, 0), MOLT_READY);
    cut.in_boot = true;
    rig_reset(&rig);
    cut.in_boot = false;
    assert_int_equal(rig_run(&rig, rig.slots->ops->confirm_step), MOLT_DONE);
    cut.in_boot = true;
    rig_reset(&rig);
}

/* Runs the scenario with the power cut at the n-th flash operation (0: never). True when it was cut. */
static bool run_cut(const struct rig_file *file, unsigned n, bool torn)
{
    cut.countdown = n;
    cut.torn = torn;
    cut.seen = cut.first_erase = cut.last_write = 0;
    rig.flash.hook = count_or_cut;
    volatile bool was_cut = true;
    if (setjmp(cut.out) == 0) {
        live_through(file);
        was_cut = false;
    }
    rig.flash.hook = NULL;
    return was_cut;
}

/* The update once more, without a cut: the second promise. */
static void expect_it_gets_there(const struct scenario *s, const struct rig_file *file)
{
    if (!rig_runs(&rig, s->new->data, s->new->len)) {
        assert_int_equal(rig_update(&rig, file, 0), MOLT_READY);
        rig_reset(&rig);
    }
    assert_int_equal(rig_run(&rig, rig.slots->ops->confirm_step), MOLT_DONE);
    rig_power_cycle(&rig);
    assert_true(rig_runs(&rig, s->new->data, s->new->len));
}

/* ---- the properties ---- */

struct window {
    unsigned operations, first_erase, last_write;
};

static struct window clean_run(const struct scenario *s, const struct rig_file *file)
{
    prepare(s);
    assert_false(run_cut(file, 0, false));
    assert_true(rig_runs(&rig, s->new->data, s->new->len));
    struct window w = {cut.seen, cut.first_erase, cut.last_write};
    rig_close(&rig);
    return w;
}

static void cut_everywhere(const struct scenario *s)
{
    struct rig_blob gz = rig_gzip(s->new, 12);
    const struct rig_file file = s->packed ? rig_gz(&gz, s->new) : rig_raw(s->new);
    const struct window w = clean_run(s, &file);
    unsigned old_boots = 0, new_boots = 0, broken = 0;
    for (int torn = 0; torn < 2; torn++) {
        for (unsigned n = 1; n <= w.operations; n++) {
            prepare(s);
            assert_true(run_cut(&file, n, torn != 0));
            rig_power_cycle(&rig);
            bool is_old = rig_runs(&rig, s->old->data, s->old->len);
            bool is_new = rig_runs(&rig, s->new->data, s->new->len);
            old_boots += is_old;
            new_boots += is_new;
            bool in_copy = !s->layout->is_esp32 && n >= w.first_erase + (torn ? 0 : 1) && n <= w.last_write;
            assert_int_equal(is_old || is_new, !in_copy);
            if (in_copy) {
                broken++;
            } else {
                expect_it_gets_there(s, &file);
            }
            assert_int_equal(rig.flash.count.violations, 0);
            rig_close(&rig);
        }
    }
    assert_true(w.operations > 60 && old_boots > 60 && new_boots > 0);
    assert_int_equal(old_boots + new_boots + broken, 2 * w.operations);
    unsigned window = w.last_write - w.first_erase + 1;
    assert_int_equal(broken, s->layout->is_esp32 ? 0 : window + window - 1);
    free(gz.data);
}

static void an_esp32_boots_a_whole_image_wherever_a_raw_update_is_cut(void **state)
{
    (void)state;
    cut_everywhere(&(struct scenario){&small32, &old32, &new32, false, 4, false});
}

static void an_esp32_boots_a_whole_image_wherever_an_update_back_into_slot_0_is_cut(void **state)
{
    (void)state;
    cut_everywhere(&(struct scenario){&small32, &old32, &new32, false, 16, true});
}

static void an_esp32_boots_a_whole_image_wherever_a_gzip_update_is_cut(void **state)
{
    (void)state;
    cut_everywhere(&(struct scenario){&small32, &old32, &new32, true, 32, false});
}

static void an_esp8266_boots_a_whole_image_unless_a_raw_copy_of_eboot_is_cut(void **state)
{
    (void)state;
    cut_everywhere(&(struct scenario){&small8266, &old8266, &new8266, false, 4, false});
}

static void an_esp8266_boots_a_whole_image_unless_a_gzip_copy_of_eboot_is_cut(void **state)
{
    (void)state;
    cut_everywhere(&(struct scenario){&small8266, &old8266, &new8266, true, 4, false});
}

/* ---- images ---- */

static int build_all(void **state)
{
    (void)state;
    older32 = rig_image(MOLT_CHIP_ESP32, 0x3000, 3, 4u << 20);
    old32 = rig_image(MOLT_CHIP_ESP32, 0x3010, 1, 4u << 20);
    new32 = rig_image(MOLT_CHIP_ESP32, 0x3420, 2, 4u << 20);
    old8266 = rig_image(MOLT_CHIP_ESP8266, 0x3010, 1, 512u << 10);
    new8266 = rig_image(MOLT_CHIP_ESP8266, 0x3420, 2, 512u << 10);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    free(older32.data);
    free(old32.data);
    free(new32.data);
    free(old8266.data);
    free(new8266.data);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_esp32_boots_a_whole_image_wherever_a_raw_update_is_cut),
        cmocka_unit_test(an_esp32_boots_a_whole_image_wherever_an_update_back_into_slot_0_is_cut),
        cmocka_unit_test(an_esp32_boots_a_whole_image_wherever_a_gzip_update_is_cut),
        cmocka_unit_test(an_esp8266_boots_a_whole_image_unless_a_raw_copy_of_eboot_is_cut),
        cmocka_unit_test(an_esp8266_boots_a_whole_image_unless_a_gzip_copy_of_eboot_is_cut),
    };
    return cmocka_run_group_tests(tests, build_all, free_all);
}
