/* fault_test.c - flash that fails instead of power that goes: each operation of an update fails once, reads too, and
 * each sector in turn goes bad for good. What runs stays whole, the reason is told, and where there is a way the next try
 * takes it. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "chip_rig.h"

#define FAILED (-77)

static const struct sim_partition small_table[] = {
    {"nvs", 1, 2, 0x9000, 0x5000},
    {"otadata", 1, 0, 0xE000, 0x2000},
    {"app0", 0, 0x10, 0x10000, 0x10000},
    {"app1", 0, 0x11, 0x20000, 0x10000},
};
static const struct sim_layout small32 = {"small", true, 0x30000, 0x30000, 0x30000, small_table, 4};
static const struct sim_layout small8266 = {"small", false, 0x80000, 0x20000, 0x80000, NULL, 0};

static struct rig rig;
static struct rig_blob old_image, new_image, gz;
static struct rig_file file;
static uint8_t digest[MOLT_SHA256_LEN], image_digest[MOLT_SHA256_LEN];

static struct {
    unsigned at, seen;
    uint32_t bad; /* flash offset of the bad sector, 0: none */
    bool wrote_bad;
    uint8_t stuck; /* what its byte 17 is then */
} fault;

static void open_device(const struct sim_layout *layout, bool packed)
{
    const enum molt_chip chip = layout->is_esp32 ? MOLT_CHIP_ESP32 : MOLT_CHIP_ESP8266;
    const uint32_t flash = layout->is_esp32 ? 4u << 20 : 512u << 10;
    old_image = rig_image(chip, 0x3010, 1, flash);
    new_image = rig_image(chip, 0x3420, 2, flash);
    gz = rig_gzip_blocks(&new_image, 12, 2048);
    file = packed ? rig_gz(&gz, &new_image) : rig_raw(&new_image);
    rig_sha256(packed ? &gz : &new_image, digest);
    memcpy(image_digest, new_image.data + new_image.len - MOLT_SHA256_LEN, MOLT_SHA256_LEN);
    file.digest = digest;
    file.image_digest = layout->is_esp32 ? image_digest : NULL;
    memset(&fault, 0, sizeof fault);
    rig_open(&rig, layout, chip, 4);
    rig_factory(&rig, old_image.data, old_image.len);
    assert_true(rig_runs(&rig, old_image.data, old_image.len));
}

static void close_device(void)
{
    rig_close(&rig);
    free(old_image.data);
    free(new_image.data);
    free(gz.data);
}

static bool runs(const struct rig_blob *image)
{
    return rig_runs(&rig, image->data, image->len);
}

static bool is_flash_reason(int rc)
{
    return rc == -MOLT_FLASH_READ || rc == -MOLT_FLASH_WRITE || rc == -MOLT_FLASH_ERASE ||
           rc == -MOLT_FLASH_VERIFY;
}

static int fail_once(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    (void)op;
    (void)off;
    (void)len;
    return ++fault.seen == fault.at ? FAILED : 0;
}

/* One update in which the at-th operation fails (0: none). Returns how many there were. */
static unsigned fail_at(const struct sim_layout *layout, bool packed, unsigned at)
{
    open_device(layout, packed);
    fault.at = at;
    rig.flash.hook = fail_once;
    int rc = rig_update(&rig, &file, 0);
    rig.flash.hook = NULL;
    unsigned operations = fault.seen;
    if (rc != MOLT_READY) { /* nothing has changed for the next boot; the next try goes on */
        assert_true(is_flash_reason(rc) || rc == -MOLT_NO_SPACE);
        rig_reset(&rig);
        assert_true(runs(&old_image));
        assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
    }
    rig_reset(&rig);
    assert_true(runs(&new_image));
    assert_int_equal(rig_run(&rig, rig.slots->ops->confirm_step), MOLT_DONE);
    assert_int_equal(rig.flash.count.violations, 0);
    close_device();
    return operations;
}

static void fail_everywhere(const struct sim_layout *layout, bool packed)
{
    unsigned operations = fail_at(layout, packed, 0);
    assert_true(operations > 60);
    for (unsigned at = 1; at <= operations; at++)
        (void)fail_at(layout, packed, at);
}

static void any_operation_of_a_raw_update_may_fail_once(void **state)
{
    (void)state;
    fail_everywhere(&small32, false);
    fail_everywhere(&small8266, false);
}

static void any_operation_of_a_gzip_update_may_fail_once(void **state)
{
    (void)state;
    fail_everywhere(&small32, true);
    fail_everywhere(&small8266, true);
}

/* A byte of the bad sector is stuck as soon as anything else is done. */
static int rot(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    (void)len;
    if (fault.wrote_bad) rig.flash.bytes[fault.bad + 17] = fault.stuck;
    fault.wrote_bad = op == SIM_FLASH_WRITE && off / MOLT_SECTOR == fault.bad / MOLT_SECTOR;
    return 0;
}

static void a_bad_sector_in_the_slot_is_found_before_the_switch(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        open_device(&small32, false);
        fault.bad = 0x20000 + i * MOLT_SECTOR;
        fault.stuck = new_image.data[i * MOLT_SECTOR + 17] ^ 4;
        for (int n = 0; n < 3; n++) {
            rig.flash.hook = rot;
            int rc = rig_update(&rig, &file, 0);
            rig.flash.hook = NULL;
            assert_int_equal(rc, -MOLT_FLASH_VERIFY);
            rig_power_cycle(&rig);
            assert_true(runs(&old_image));
        }
        close_device();
    }
}

static void a_bad_log_costs_progress_and_nothing_else(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < MOLT_LOG_SECTORS; i++) {
        open_device(&small32, false);
        fault.bad = 0x30000 - MOLT_LOG_LEN + i * MOLT_SECTOR;
        rig.flash.hook = rot;
        assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
        rig.flash.hook = NULL;
        rig_reset(&rig);
        assert_true(runs(&new_image));
        close_device();
    }
}

static void a_bad_otadata_sector_never_takes_the_running_image_away(void **state)
{
    (void)state;
    open_device(&small32, false);
    fault.bad = 0xF000;
    rig.flash.hook = rot;
    int rc = rig_update(&rig, &file, 0);
    rig.flash.hook = NULL;
    assert_true(rc < 0 || rc == MOLT_READY);
    rig_power_cycle(&rig);
    assert_true(runs(&old_image) || runs(&new_image));
    close_device();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_operation_of_a_raw_update_may_fail_once),
        cmocka_unit_test(any_operation_of_a_gzip_update_may_fail_once),
        cmocka_unit_test(a_bad_sector_in_the_slot_is_found_before_the_switch),
        cmocka_unit_test(a_bad_log_costs_progress_and_nothing_else),
        cmocka_unit_test(a_bad_otadata_sector_never_takes_the_running_image_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
