/* log_test.c - the progress log: what was written is found, what is torn is not there, and the sector with the
 * newest record is never the one that is erased. */
#include "cmocka_all.h"

#include "log/log.h"
#include "sim/flash.h"
#include "util/bytes.h"
#include "util/crc.h"

#define OFF 0x2000u

static struct sim_flash flash;
static struct molt_log log_;
static const uint8_t tag[MOLT_LOG_TAG_LEN] = "job one", other_tag[MOLT_LOG_TAG_LEN] = "job two";

static int open_flash(void **state)
{
    (void)state;
    return sim_flash_open(&flash, &(struct sim_flash_config){.size = 0x6000, .write_unit = 32});
}

static int close_flash(void **state)
{
    (void)state;
    sim_flash_close(&flash);
    return 0;
}

static int find(uint32_t after, struct molt_log_record *record)
{
    int rc;
    molt_log_search(&log_, after);
    do {
        rc = molt_log_search_step(&log_, record);
    } while (rc > 0);
    return rc;
}

static void begin(const uint8_t *name)
{
    struct molt_log_record record;
    molt_log_begin(&log_, &flash.port, OFF, name);
    (void)find(0, &record);
}

static int append(uint32_t stored)
{
    const struct molt_log_record record = {.stored = stored,
                                           .crc = stored * 3,
                                           .erased = molt_round_up(stored, MOLT_SECTOR) + 5 * MOLT_SECTOR,
                                           .original = {2, 0x40},
                                           .block_at = stored * 4 + 5,
                                           .block_out = stored - 1};
    int rc;
    do {
        rc = molt_log_append_step(&log_, &record);
    } while (rc > 0);
    return rc;
}

static void a_record_is_found_as_it_was_written(void **state)
{
    (void)state;
    struct molt_log_record r;
    begin(tag);
    assert_int_equal(append(8192), 0);
    assert_int_equal(append(12300), 0);
    begin(tag);
    assert_int_equal(find(0, &r), 0);
    assert_int_equal(r.stored, 8192);
    assert_int_equal(r.crc, 8192 * 3);
    assert_int_equal(r.erased, 8192 + 5 * MOLT_SECTOR);
    assert_int_equal(r.original[1], 0x40);
    assert_int_equal(r.block_at, 4096 * 8 + 5);
    assert_int_equal(r.block_out, 8191);
    assert_int_equal(find(8192, &r), 0);
    assert_int_equal(r.stored, 12300);
    assert_int_equal(r.erased, 4 * MOLT_SECTOR + 5 * MOLT_SECTOR);
    assert_int_equal(find(12300, &r), -MOLT_NOT_FOUND);
}

static void another_job_sees_nothing_and_writes_behind(void **state)
{
    (void)state;
    struct molt_log_record r;
    begin(tag);
    assert_int_equal(append(4096), 0);
    begin(other_tag);
    assert_int_equal(find(0, &r), -MOLT_NOT_FOUND);
    assert_int_equal(append(4096), 0);
    assert_int_equal(flash.count.erases, 0);
    begin(tag);
    assert_int_equal(find(0, &r), 0);
}

static void a_torn_record_is_not_there_and_the_next_goes_behind_it(void **state)
{
    (void)state;
    struct molt_log_record r;
    begin(tag);
    assert_int_equal(append(4096), 0);
    assert_int_equal(append(8192), 0);
    for (uint32_t i = 0; i < 32; i++) { /* each byte of it in turn */
        flash.bytes[OFF + 32 + i] ^= 1;
        begin(tag);
        assert_int_equal(find(4096, &r), -MOLT_NOT_FOUND);
        flash.bytes[OFF + 32 + i] ^= 1;
    }
    flash.bytes[OFF + 32] ^= 1;
    begin(tag);
    assert_int_equal(append(8192), 0);
    assert_int_equal(flash.count.violations, 0);
    begin(tag);
    assert_int_equal(find(4096, &r), 0);
}

static void rotation_keeps_the_sector_with_the_newest_record(void **state)
{
    (void)state;
    struct molt_log_record r;
    begin(tag);
    for (uint32_t n = 1; n <= 1000; n++) {
        assert_int_equal(append(n * MOLT_SECTOR), 0);
        if (n % 7 == 0) begin(tag);
        if (n % 50 != 0) continue;
        begin(tag);
        assert_int_equal(find((n - 1) * MOLT_SECTOR, &r), 0);
        assert_int_equal(r.stored, n * MOLT_SECTOR);
    }
    /* a restart can cost up to three places: what it finds is taken in fours */
    assert_in_range(flash.count.erases, 1000 / 128 - 2, 2 * 1000 / 128);
}

static void after_an_erase_that_was_cut_the_log_still_works(void **state)
{
    (void)state;
    static const enum sim_flash_tear tears[] = {SIM_TEAR_BEFORE, SIM_TEAR_HALF, SIM_TEAR_NOISY,
                                                SIM_TEAR_AFTER, SIM_TEAR_UNSTABLE};
    for (size_t i = 0; i < SIM_TEARS; i++) {
        struct molt_log_record r;
        begin(tag);
        uint32_t last = 0;
        for (uint32_t n = 1; n <= 256; n++) {
            assert_int_equal(append(n * MOLT_SECTOR), 0);
            last = n * MOLT_SECTOR;
        }
        uint32_t victim = OFF + (log_.current ^ 1u) * MOLT_SECTOR;
        sim_flash_cut(&flash, tears[i], SIM_FLASH_ERASE, victim, MOLT_SECTOR, 1);
        sim_flash_power_up(&flash);
        begin(tag);
        assert_int_equal(find(last - 1, &r), 0);
        assert_int_equal(append(last + MOLT_SECTOR), 0);
        begin(tag);
        assert_int_equal(find(last, &r), 0);
        const uint8_t none[2 * MOLT_SECTOR] = {0};
        sim_flash_program(&flash, OFF, none, sizeof none);
    }
}

static int always_fail(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)off;
    (void)len;
    return op == *(const enum sim_flash_op *)ctx ? -5 : 0;
}

static void flash_that_fails_is_told(void **state)
{
    (void)state;
    struct molt_log_record r;
    enum sim_flash_op op = SIM_FLASH_WRITE;
    begin(tag);
    assert_int_equal(append(4096), 0);
    flash.hook = always_fail;
    flash.hook_ctx = &op;
    assert_int_equal(append(8192), -MOLT_FLASH_WRITE);
    op = SIM_FLASH_READ;
    assert_int_equal(find(0, &r), -MOLT_FLASH_READ);
    flash.hook = NULL;
    const uint8_t none[2 * MOLT_SECTOR] = {0};
    sim_flash_program(&flash, OFF, none, sizeof none);
    begin(tag);
    op = SIM_FLASH_ERASE;
    flash.hook = always_fail;
    assert_int_equal(append(4096), -MOLT_FLASH_ERASE);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, open_flash, close_flash)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_record_is_found_as_it_was_written),
        ROW(another_job_sees_nothing_and_writes_behind),
        ROW(a_torn_record_is_not_there_and_the_next_goes_behind_it),
        ROW(rotation_keeps_the_sector_with_the_newest_record),
        ROW(after_an_erase_that_was_cut_the_log_still_works),
        ROW(flash_that_fails_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
