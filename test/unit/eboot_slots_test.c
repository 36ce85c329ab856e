/* eboot_slots_test.c - where a file may be staged on an ESP8266, the command that installs it, and what the
 * running sketch is. */
#include "cmocka_all.h"

#include <stdlib.h>

#include "host/image_build.h"
#include "ports/bearssl.h"
#include "sim/eboot.h"
#include "sim/flash.h"
#include "sim/layout.h"
#include "slots/esp8266_eboot.h"
#include "util/bytes.h"

#define SKETCH_LEN 278400u /* the thread's sketch of 278,396 bytes, as a whole image */

static uint8_t *image;
static size_t image_len;
static struct sim_flash flash;
static struct sim_rtc rtc;
static struct molt_esp8266_eboot eboot;
static struct molt_target target;

static int build_image(void **state)
{
    (void)state;
    const struct image_build spec = {
        .chip = MOLT_CHIP_ESP8266, .size = SKETCH_LEN, .seed = 9, .flash_size = 512u << 10, .flash_mode = 2};
    return image_build(&spec, &image, &image_len);
}

static int free_image(void **state)
{
    (void)state;
    free(image);
    return 0;
}

static void power_on(const char *layout_name, bool boot_strap_uart)
{
    const struct sim_layout *layout = sim_layout_find(layout_name);
    assert_non_null(layout);
    assert_int_equal(sim_flash_open(&flash, &(struct sim_flash_config){.size = layout->flash_size}), 0);
    sim_flash_program(&flash, 0, image, (uint32_t)image_len);
    sim_rtc_power_on(&rtc);
    const struct molt_rtc port = sim_rtc_port(&rtc);
    molt_esp8266_eboot_begin(&eboot, &flash.port, &molt_bearssl_sha256, &port, layout->fs_start,
                             boot_strap_uart);
}

static int raw(uint32_t len)
{
    return eboot.slots.ops->target(&eboot.slots, len, 0, MOLT_RAW, &target);
}

static int gz(uint32_t len, uint32_t decoded)
{
    return eboot.slots.ops->target(&eboot.slots, len, decoded, MOLT_GZIP, &target);
}

static void the_sketch_is_measured_by_its_segments(void **state)
{
    (void)state;
    uint32_t len = 0;
    power_on("4M2M", false);
    assert_int_equal(molt_esp8266_sketch_len(&flash.port, &len), 0);
    assert_int_equal(len, image_len);
    uint8_t sector[4096];
    memcpy(sector, image + 0x1000, sizeof sector);
    molt_store32le(sector + 12, 0xFFFFFFF0u);
    sim_flash_program(&flash, 0x1000, sector, sizeof sector);
    assert_int_equal(molt_esp8266_sketch_len(&flash.port, &len), -MOLT_BAD_SEGMENT);
    memset(sector, 0xFF, sizeof sector);
    sim_flash_program(&flash, 0x1000, sector, sizeof sector);
    assert_int_equal(molt_esp8266_sketch_len(&flash.port, &len), -MOLT_BAD_SEGMENT);
    assert_int_equal(raw(1000), -MOLT_NO_SPACE);
    sim_flash_close(&flash);
}

static void files_are_staged_right_below_the_file_system(void **state)
{
    (void)state;
    power_on("4M2M", false);
    assert_int_equal(raw(300001), 0);
    assert_int_equal(target.cap, 303104);
    assert_int_equal(target.off, 0x200000 - 303104);
    assert_true(target.patch_header && !target.keep_encoded);
    assert_int_equal(target.header_byte2, image[2]);
    assert_int_equal(target.header_byte3, image[3]);
    assert_int_equal(gz(200000, 300000), 0);
    assert_true(target.keep_encoded && !target.patch_header);
    assert_int_equal(flash.count.writes + flash.count.erases, 0);
    sim_flash_close(&flash);
}

static void the_space_rule_holds_for_every_layout_to_the_sector(void **state)
{
    (void)state;
    for (size_t i = 0; sim_layout_at(i) != NULL; i++) {
        const struct sim_layout *layout = sim_layout_at(i);
        if (layout->is_esp32) continue;
        power_on(layout->name, false);
        uint32_t room = eboot.slots.ops->room(&eboot.slots);
        uint32_t current = molt_round_up(SKETCH_LEN, 4096);
        assert_true(room > 0 && room % 4096 == 0);
        assert_int_equal(raw(room), 0);
        assert_true(target.off >= current && target.off >= room &&
                    target.off + target.cap == layout->fs_start);
        assert_int_equal(raw(room + 1), -MOLT_NO_SPACE);
        assert_int_equal(raw(0xFFFFFFFFu), -MOLT_NO_SPACE);
        assert_int_equal(raw(0), -MOLT_NO_SPACE);
        sim_flash_close(&flash);
    }
}

static void the_threads_sketch_fits_into_512k_only_compressed(void **state)
{
    (void)state;
    power_on("512K", false);
    assert_int_equal(eboot.slots.ops->room(&eboot.slots), 225280);
    assert_int_equal(raw(SKETCH_LEN), -MOLT_NO_SPACE);
    assert_int_equal(gz(200000, SKETCH_LEN), 0);
    assert_int_equal(target.off, 0x7B000 - 200704);
    sim_flash_close(&flash);
}

static void what_gzip_unpacks_to_must_end_below_the_staged_file(void **state)
{
    (void)state;
    power_on("1M64", false); /* file system at 0xEB000 = 962560 */
    assert_int_equal(gz(409600, 552960), 0);
    assert_int_equal(target.off, 552960);
    assert_int_equal(gz(409600, 552961), -MOLT_NO_SPACE);
    assert_int_equal(gz(409601, 552960), -MOLT_NO_SPACE);
    assert_int_equal(gz(409600, 0), 0); /* not said: the engine finds out */
    assert_int_equal(gz(100000, 0x100001), -MOLT_NO_SPACE);
    sim_flash_close(&flash);
}

static void a_raw_file_larger_than_half_the_space_is_refused_even_over_a_small_sketch(void **state)
{
    (void)state;
    power_on("1M", false); /* 0xFB000 = 1028096: stock would copy a file of 700,000 bytes over its own tail */
    assert_int_equal(raw(700000), -MOLT_NO_SPACE);
    assert_int_equal(raw(512000), 0);
    sim_flash_close(&flash);
}

static void the_chip_maps_no_more_than_a_megabyte(void **state)
{
    (void)state;
    power_on("4M", false);
    assert_int_equal(raw(0x100000), 0);
    assert_int_equal(raw(0x100001), -MOLT_NO_SPACE);
    sim_flash_close(&flash);
}

static void a_chip_started_by_the_boot_strap_is_not_updated(void **state)
{
    (void)state;
    power_on("4M2M", true);
    assert_int_equal(raw(1000), -MOLT_BOOT_STRAP);
    assert_int_equal(eboot.slots.ops->room(&eboot.slots), 0);
    sim_flash_close(&flash);
}

static void a_file_system_outside_the_flash_leaves_no_space(void **state)
{
    (void)state;
    power_on("512K", false);
    eboot.fs_start = 0x81000;
    assert_int_equal(raw(1000), -MOLT_NO_SPACE);
    eboot.fs_start = 0x7B010;
    assert_int_equal(raw(1000), -MOLT_NO_SPACE);
    eboot.fs_start = 0;
    assert_int_equal(raw(1000), -MOLT_NO_SPACE);
    sim_flash_close(&flash);
}

static void the_commit_is_one_rtc_command_with_the_exact_length(void **state)
{
    (void)state;
    struct molt_eboot_command command;
    power_on("4M2M", false);
    assert_int_equal(raw(300001), 0);
    assert_false(molt_eboot_command_decode(rtc.bytes, &command));
    assert_int_equal(eboot.slots.ops->commit_step(&eboot.slots, &target, 0), -MOLT_ARG);
    assert_int_equal(eboot.slots.ops->commit_step(&eboot.slots, &target, 303105), -MOLT_ARG);
    assert_int_equal(eboot.slots.ops->commit_step(&eboot.slots, &target, 300001), MOLT_DONE);
    assert_true(molt_eboot_command_decode(rtc.bytes, &command));
    assert_int_equal(command.action, MOLT_EBOOT_COPY_RAW);
    assert_int_equal(command.source, target.off);
    assert_int_equal(command.dest, 0);
    assert_int_equal(command.len, 300001);
    sim_flash_close(&flash);
}

static int refuse(void *ctx, const uint8_t *data, uint32_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
    return -5;
}

static void a_failing_rtc_is_reported(void **state)
{
    (void)state;
    power_on("4M2M", false);
    eboot.rtc.write = refuse;
    assert_int_equal(raw(1000), 0);
    assert_int_equal(eboot.slots.ops->commit_step(&eboot.slots, &target, 1000), -MOLT_FLASH_WRITE);
    assert_int_equal(eboot.slots.port_err, -5);
    sim_flash_close(&flash);
}

static void there_is_no_trial_and_no_way_back(void **state)
{
    (void)state;
    struct molt_boot_state s;
    power_on("4M2M", false);
    assert_int_equal(eboot.slots.ops->confirm_step(&eboot.slots), MOLT_DONE);
    assert_int_equal(eboot.slots.ops->reject_step(&eboot.slots), -MOLT_NO_ROLLBACK);
    assert_int_equal(eboot.slots.ops->state(&eboot.slots, &s), 0);
    assert_false(s.on_trial || s.can_roll_back || s.has_failed || s.trial_unprotected);
    sim_flash_close(&flash);
}

static void the_identity_is_the_sha256_of_the_sketch_from_0x1000_on(void **state)
{
    (void)state;
    struct molt_hash hash = {.ops = &molt_bearssl_sha256};
    uint8_t want[32], got[32];
    int rc, steps = 0;
    power_on("1M64", false);
    hash.ops->init(&hash.state);
    hash.ops->update(&hash.state, image + 0x1000, image_len - 0x1000);
    hash.ops->finish(&hash.state, want);
    for (int round = 0; round < 2; round++) {
        do {
            uint64_t before = flash.count.read_bytes;
            rc = eboot.slots.ops->identity_step(&eboot.slots, &hash, got);
            assert_true(flash.count.read_bytes - before <= 4096);
            assert_true(++steps < 1000);
        } while (rc == MOLT_MORE);
        assert_int_equal(rc, MOLT_DONE);
        assert_memory_equal(got, want, 32);
    }
    sim_flash_close(&flash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sketch_is_measured_by_its_segments),
        cmocka_unit_test(files_are_staged_right_below_the_file_system),
        cmocka_unit_test(the_space_rule_holds_for_every_layout_to_the_sector),
        cmocka_unit_test(the_threads_sketch_fits_into_512k_only_compressed),
        cmocka_unit_test(what_gzip_unpacks_to_must_end_below_the_staged_file),
        cmocka_unit_test(a_raw_file_larger_than_half_the_space_is_refused_even_over_a_small_sketch),
        cmocka_unit_test(the_chip_maps_no_more_than_a_megabyte),
        cmocka_unit_test(a_chip_started_by_the_boot_strap_is_not_updated),
        cmocka_unit_test(a_file_system_outside_the_flash_leaves_no_space),
        cmocka_unit_test(the_commit_is_one_rtc_command_with_the_exact_length),
        cmocka_unit_test(a_failing_rtc_is_reported),
        cmocka_unit_test(there_is_no_trial_and_no_way_back),
        cmocka_unit_test(the_identity_is_the_sha256_of_the_sketch_from_0x1000_on),
    };
    return cmocka_run_group_tests(tests, build_image, free_image);
}
