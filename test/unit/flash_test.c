/* flash_test.c - the virtual flash enforces what a real NOR flash enforces, and a little more. */
#include "cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim/flash.h"

static void open_ram(struct sim_flash *flash, uint32_t write_unit)
{
    const struct sim_flash_config config = {.size = 0x40000, .write_unit = write_unit};
    assert_int_equal(sim_flash_open(flash, &config), 0);
    flash->count_violations = true;
}

static int do_write(struct sim_flash *flash, uint32_t off, const void *src, uint32_t len)
{
    return flash->port.write(flash->port.ctx, off, src, len);
}

static int do_erase(struct sim_flash *flash, uint32_t off, uint32_t len)
{
    return flash->port.erase(flash->port.ctx, off, len);
}

static bool do_is_blank(struct sim_flash *flash, uint32_t off, uint32_t len)
{
    return flash->port.is_blank(flash->port.ctx, off, len);
}

static void a_new_flash_is_blank_and_keeps_what_is_written(void **state)
{
    (void)state;
    struct sim_flash flash;
    open_ram(&flash, 4);
    uint8_t back[8];
    assert_true(do_is_blank(&flash, 0, 0x40000));
    assert_int_equal(do_write(&flash, 0x1004, "molt", 4), 0);
    assert_int_equal(flash.port.read(flash.port.ctx, 0x1003, back, 6), 0);
    assert_memory_equal(back, "\xFFmolt\xFF", 6);
    assert_false(do_is_blank(&flash, 0x1000, 0x1000));
    assert_true(do_is_blank(&flash, 0x1008, 0x0FF8));
    assert_int_equal(flash.count.writes, 1);
    assert_int_equal(flash.count.written_bytes, 4);
    assert_int_equal(flash.count.read_bytes, 0x40000 + 6 + 0x1000 + 0xFF8);
    assert_int_equal(flash.count.violations, 0);
    sim_flash_close(&flash);
}

static void a_unit_is_programmed_once_per_erase_even_with_ff(void **state)
{
    (void)state;
    struct sim_flash flash;
    open_ram(&flash, 16);
    uint8_t ff[16];
    memset(ff, 0xFF, sizeof ff);
    assert_int_equal(do_write(&flash, 0x20, ff, 16), 0);
    assert_false(do_is_blank(&flash, 0x20, 16));
    assert_int_equal(do_write(&flash, 0x20, ff, 16), SIM_FLASH_VIOLATION);
    assert_int_equal(do_erase(&flash, 0, 4096), 0);
    assert_true(do_is_blank(&flash, 0x20, 16));
    assert_int_equal(do_write(&flash, 0x20, ff, 16), 0);
    assert_int_equal(flash.count.violations, 1);
    sim_flash_close(&flash);
}

static void writes_off_the_unit_or_off_the_flash_are_violations(void **state)
{
    (void)state;
    struct sim_flash flash;
    open_ram(&flash, 8);
    uint8_t data[32] = {0};
    assert_int_equal(do_write(&flash, 4, data, 8), SIM_FLASH_VIOLATION);
    assert_int_equal(do_write(&flash, 8, data, 4), SIM_FLASH_VIOLATION);
    assert_int_equal(do_write(&flash, 8, data, 0), SIM_FLASH_VIOLATION);
    assert_int_equal(do_write(&flash, 0x3FFF8, data, 16), SIM_FLASH_VIOLATION);
    assert_int_equal(do_write(&flash, 0xFFFFFFF8, data, 16), SIM_FLASH_VIOLATION);
    assert_int_equal(flash.port.read(flash.port.ctx, 0x3FFFF, data, 2), SIM_FLASH_VIOLATION);
    assert_int_equal(flash.count.violations, 6);
    assert_int_equal(flash.count.writes + flash.count.reads, 0);
    sim_flash_close(&flash);
}

static void an_erase_is_exactly_one_aligned_erase_size(void **state)
{
    (void)state;
    struct sim_flash flash;
    open_ram(&flash, 4);
    assert_int_equal(do_erase(&flash, 0x10000, 0x10000), 0);
    assert_int_equal(do_erase(&flash, 0x8000, 0x8000), 0);
    assert_int_equal(do_erase(&flash, 0x3000, 0x1000), 0);
    assert_int_equal(flash.count.erased_bytes, 0x19000);
    assert_int_equal(do_erase(&flash, 0x1000, 0x8000), SIM_FLASH_VIOLATION);
    assert_int_equal(do_erase(&flash, 0x1000, 0x2000), SIM_FLASH_VIOLATION);
    assert_int_equal(do_erase(&flash, 0x800, 0x1000), SIM_FLASH_VIOLATION);
    assert_int_equal(do_erase(&flash, 0, 0), SIM_FLASH_VIOLATION);
    assert_int_equal(do_erase(&flash, 0x40000, 0x1000), SIM_FLASH_VIOLATION);
    assert_int_equal(flash.count.violations, 5);
    sim_flash_close(&flash);
}

static int refuse_writes(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)off;
    (void)len;
    unsigned *seen = ctx;
    (*seen)++;
    return op == SIM_FLASH_WRITE ? -7 : 0;
}

static void the_hook_sees_every_operation_and_can_fail_it(void **state)
{
    (void)state;
    struct sim_flash flash;
    open_ram(&flash, 4);
    unsigned seen = 0;
    flash.hook = refuse_writes;
    flash.hook_ctx = &seen;
    assert_int_equal(do_write(&flash, 0, "abcd", 4), -7);
    assert_int_equal(do_erase(&flash, 0, 4096), 0);
    assert_true(do_is_blank(&flash, 0, 4096));
    assert_int_equal(seen, 3);
    assert_int_equal(flash.count.writes, 0);
    assert_int_equal(flash.bytes[0], 0xFF);
    sim_flash_close(&flash);
}

static void a_file_keeps_the_flash_and_what_was_programmed(void **state)
{
    (void)state;
    char dir[] = "/tmp/molt-flash-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/chip.bin", dir);
    struct sim_flash flash;
    struct sim_flash_config config = {.size = 0x10000, .path = path};
    assert_int_equal(sim_flash_open(&flash, &config), 0);
    assert_true(do_is_blank(&flash, 0, 0x10000));
    assert_int_equal(do_write(&flash, 0x2000, "molt", 4), 0);
    sim_flash_close(&flash);

    assert_int_equal(sim_flash_open(&flash, &config), 0);
    flash.count_violations = true;
    assert_memory_equal(flash.bytes + 0x2000, "molt", 4);
    assert_int_equal(do_write(&flash, 0x2000, "molt", 4), SIM_FLASH_VIOLATION);
    assert_int_equal(do_write(&flash, 0x2004, "more", 4), 0);
    sim_flash_close(&flash);

    config.size = 0x20000;
    assert_int_equal(sim_flash_open(&flash, &config), -EINVAL);
    sim_flash_close(&flash);
    unlink(path);
    rmdir(dir);
}

static void geometries_that_no_chip_has_are_refused(void **state)
{
    (void)state;
    const struct sim_flash_config bad[] = {
        {.size = 0},
        {.size = 0x1800},
        {.size = 0x10000, .write_unit = 3},
        {.size = 0x10000, .write_unit = 64},
        {.size = 0x10000, .erase_sizes = {8192}},
        {.size = 0x10000, .erase_sizes = {4096, 4096}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sim_flash flash;
        assert_int_equal(sim_flash_open(&flash, &bad[i]), -EINVAL);
    }
}

static void the_programmer_erases_what_it_writes_over(void **state)
{
    (void)state;
    struct sim_flash flash;
    open_ram(&flash, 4);
    assert_int_equal(do_write(&flash, 0x1FFC, "old!", 4), 0);
    sim_flash_program(&flash, 0x1000, "firmware", 8);
    assert_memory_equal(flash.bytes + 0x1000, "firmware", 8);
    assert_int_equal(flash.bytes[0x1FFC], 0xFF);
    assert_int_equal(do_write(&flash, 0x1004, "x...", 4), SIM_FLASH_VIOLATION);
    assert_int_equal(do_write(&flash, 0x1008, "x...", 4), 0);
    assert_int_equal(flash.count.erases, 0);
    sim_flash_close(&flash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_flash_is_blank_and_keeps_what_is_written),
        cmocka_unit_test(a_unit_is_programmed_once_per_erase_even_with_ff),
        cmocka_unit_test(writes_off_the_unit_or_off_the_flash_are_violations),
        cmocka_unit_test(an_erase_is_exactly_one_aligned_erase_size),
        cmocka_unit_test(the_hook_sees_every_operation_and_can_fail_it),
        cmocka_unit_test(a_file_keeps_the_flash_and_what_was_programmed),
        cmocka_unit_test(geometries_that_no_chip_has_are_refused),
        cmocka_unit_test(the_programmer_erases_what_it_writes_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
