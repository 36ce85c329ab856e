/* molt_boot_sector_test.c - sector 0 replaced by libmolt: eboot by molt-boot and back, what is refused before an erase, and
 * the one window in which a power cut leaves a chip without a boot stage, counted in flash operations. */
#include "cmocka_all.h"

#include <setjmp.h>
#include <stdlib.h>

#include "chip_rig.h"
#include "host/molt_boot_image.h"
#include "ports/bearssl.h"
#include "sim/molt_boot.h"
#include "slots/molt_boot.h"
#include "slots/molt_boot_sector.h"
#include "util/bytes.h"

#define FS_START 0x20000u

static struct sim_flash flash;
static struct rig_blob old, new;
static uint32_t molt_sector[MOLT_SECTOR / 4], eboot_sector[MOLT_SECTOR / 4];
static unsigned failing_erases, bad_writes; /* that many of each */

static struct cut {
    jmp_buf out;
    unsigned countdown, seen;
    enum sim_flash_tear tear;
} cut;

static int hook(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    if (op == SIM_FLASH_READ && off == 0x800 && cut.seen >= 17 && bad_writes > 0) {
        bad_writes--;
        flash.bytes[off + 5] ^= 0x10; /* it did not take */
    }
    if (op == SIM_FLASH_READ) return 0;
    if (op == SIM_FLASH_ERASE && failing_erases > 0) return failing_erases--, -6;
    cut.seen++;
    if (cut.countdown == 0 || --cut.countdown > 0) return 0;
    sim_flash_cut(&flash, cut.tear, op, off, len, cut.seen);
    longjmp(cut.out, 1);
}

/* A chip with eboot and a sketch. */
static int fresh(void **state)
{
    (void)state;
    failing_erases = bad_writes = 0;
    memset(&cut, 0, sizeof cut);
    assert_int_equal(sim_flash_open(&flash, &(struct sim_flash_config){.size = 0x80000}), 0);
    flash.hook = hook;
    sim_flash_program(&flash, 0, old.data, (uint32_t)old.len);
    return 0;
}

static int close_flash(void **state)
{
    (void)state;
    sim_flash_close(&flash);
    return 0;
}

static bool boots(void)
{
    struct sim_rtc rtc;
    sim_rtc_power_on(&rtc);
    if (sim_molt_boot_is_there(&flash.port)) {
        struct sim_molt_boot_result result;
        sim_molt_boot_run(&flash.port, &rtc, MOLT_BOOT_POWER_ON, &result);
        return result.started;
    }
    struct sim_eboot_result result;
    sim_eboot_run(&flash.port, &rtc, &result);
    return result.started;
}

/* The update of a device with molt-boot, to its end. */
static void update_by_molt_boot(const struct rig_blob *image)
{
    struct molt_boot_slots boot;
    struct molt_target target;
    int rc;
    assert_int_equal(molt_boot_slots_begin(&boot, &flash.port, &molt_bearssl_sha256), 0);
    assert_int_equal(boot.slots.ops->target(&boot.slots, (uint32_t)image->len, 0, MOLT_RAW, &target), 0);
    sim_flash_program(&flash, target.off, image->data, (uint32_t)image->len);
    while ((rc = boot.slots.ops->commit_step(&boot.slots, &target, (uint32_t)image->len)) == MOLT_MORE)
        continue;
    assert_int_equal(rc, MOLT_DONE);
    assert_int_equal(molt_boot_sector_replace(&flash.port, eboot_sector), -MOLT_TRIAL_PENDING);
    assert_true(boots());
    assert_int_equal(molt_boot_sector_replace(&flash.port, eboot_sector), -MOLT_TRIAL_PENDING);
    assert_int_equal(molt_boot_slots_begin(&boot, &flash.port, &molt_bearssl_sha256), 0);
    assert_int_equal(boot.slots.ops->confirm_step(&boot.slots), MOLT_DONE);
}

static void from_eboot_to_molt_boot_and_back(void **state)
{
    (void)state;
    struct molt_boot_slots boot;
    assert_int_equal(molt_boot_slots_begin(&boot, &flash.port, &molt_bearssl_sha256), -MOLT_NO_SLOT);
    assert_int_equal(molt_boot_sector_replace(&flash.port, molt_sector), 0);
    assert_memory_equal(flash.bytes + 4, (uint8_t *)molt_sector + 4, MOLT_SECTOR - 4);
    assert_memory_equal(flash.bytes + 2, old.data + 2, 2); /* flash mode and size are the chip's */
    assert_true(boots());
    update_by_molt_boot(&new);
    assert_true(boots());
    assert_int_equal(molt_boot_sector_replace(&flash.port, eboot_sector), 0);
    assert_memory_equal(flash.bytes, old.data, MOLT_SECTOR);
    assert_memory_equal(flash.bytes + MOLT_SECTOR, new.data + MOLT_SECTOR, new.len - MOLT_SECTOR);
    assert_true(boots());
    assert_int_equal(molt_boot_slots_begin(&boot, &flash.port, &molt_bearssl_sha256), -MOLT_NO_SLOT);
}

static void what_is_there_is_not_written_again(void **state)
{
    (void)state;
    assert_int_equal(molt_boot_sector_replace(&flash.port, eboot_sector), 0);
    assert_int_equal(cut.seen, 0);
    assert_int_equal(molt_boot_sector_replace(&flash.port, molt_sector), 0);
    assert_int_equal(cut.seen, 17);
    assert_int_equal(molt_boot_sector_replace(&flash.port, molt_sector), 0);
    assert_int_equal(cut.seen, 17);
}

/* Every byte of header, segment header, code, checksum and trailer counts, but for flash mode and size; bytes 4 and
 * 8 are the lowest of the entry and of the place of the code: the entry may be anywhere in it. */
static void what_does_not_start_is_refused_before_the_erase(void **state)
{
    (void)state;
    static uint32_t bad[MOLT_SECTOR / 4];
    uint8_t *bytes = (uint8_t *)bad;
    const uint32_t len = molt_boot_image_len();
    for (uint32_t at = 0; at < MOLT_SECTOR; at++) {
        const bool is_code = at >= 16 && at < len - 1;
        const bool counts =
            at < 2 || (at >= 5 && at != 8 && at < len && (!is_code || at % 7 == 0)) || at >= MOLT_SECTOR - 16;
        if (!counts || (is_code && at >= 16 + molt_load32le((uint8_t *)molt_sector + 12))) continue;
        memcpy(bad, molt_sector, sizeof bad);
        bytes[at] ^= 0x80;
        if (at >= MOLT_SECTOR - 16 && at < MOLT_SECTOR - 12)
            continue; /* no trailer: a boot stage that keeps nothing */
        int rc = molt_boot_sector_replace(&flash.port, bad);
        if (rc >= 0) fail_msg("byte %u may be wrong: %d", at, rc);
    }
    memcpy(bad, molt_sector, sizeof bad);
    bytes[1] = 0;
    assert_int_equal(molt_boot_sector_replace(&flash.port, bad), -MOLT_IMAGE_UNKNOWN);
    memset(bad, 0xFF, sizeof bad);
    assert_int_equal(molt_boot_sector_replace(&flash.port, bad), -MOLT_IMAGE_UNKNOWN);
    memcpy(bad, molt_sector, sizeof bad);
    molt_store32le(bytes + 12, 0xFFFFFFF0u);
    assert_int_equal(molt_boot_sector_replace(&flash.port, bad), -MOLT_BAD_SEGMENT);
    molt_boot_image_sector(bytes, 2, 0x40, 0x81000); /* keep sectors that this flash does not have */
    assert_int_equal(molt_boot_sector_replace(&flash.port, bad), -MOLT_ARG);
    assert_int_equal(cut.seen, 0);
    assert_memory_equal(flash.bytes, old.data, old.len);
}

static void a_failed_erase_is_tried_again(void **state)
{
    (void)state;
    failing_erases = 2;
    assert_int_equal(molt_boot_sector_replace(&flash.port, molt_sector), 0);
    assert_true(boots());
    failing_erases = 3;
    assert_int_equal(molt_boot_sector_replace(&flash.port, eboot_sector), -MOLT_FLASH_VERIFY);
    assert_true(boots()); /* nothing was erased */
}

static void a_write_that_did_not_take_is_seen_and_done_again(void **state)
{
    (void)state;
    bad_writes = 2;
    assert_int_equal(molt_boot_sector_replace(&flash.port, molt_sector), 0);
    assert_int_equal(cut.seen, 3 * 17);
    assert_true(boots());
    bad_writes = 4; /* the first of them before anything is written */
    assert_int_equal(molt_boot_sector_replace(&flash.port, eboot_sector), -MOLT_FLASH_VERIFY);
    assert_int_equal(molt_boot_sector_replace(&flash.port, eboot_sector), 0);
    assert_true(boots());
}

/* Cut at every operation, in five ways. The sketch is never touched; the boot stage is missing after a cut in the erase
 * or in one of the sixteen programs, and then only. */
static void the_window_is_one_erase_and_sixteen_programs(void **state)
{
    (void)state;
    volatile unsigned without[18] = {0};
    for (volatile unsigned n = 1; n <= 18; n++) {
        for (volatile unsigned tear = 0; tear < SIM_TEARS; tear++) {
            close_flash(NULL);
            fresh(NULL);
            cut.countdown = n;
            cut.tear = (enum sim_flash_tear)tear;
            if (setjmp(cut.out) == 0) {
                assert_int_equal(molt_boot_sector_replace(&flash.port, molt_sector), 0);
                assert_int_equal(n, 18); /* there are seventeen operations */
            }
            cut.countdown = 0;
            sim_flash_power_up(&flash);
            const bool whole = memcmp(flash.bytes + 4, old.data + 4, MOLT_SECTOR - 4) == 0 ||
                               memcmp(flash.bytes + 4, (uint8_t *)molt_sector + 4, MOLT_SECTOR - 4) == 0;
            assert_memory_equal(flash.bytes + MOLT_SECTOR, old.data + MOLT_SECTOR, old.len - MOLT_SECTOR);
            if (whole) assert_true(boots());
            without[n - 1] += !whole;
        }
    }
    assert_int_equal(without[0], SIM_TEARS - 1); /* the erase: all but "nothing was done" */
    for (unsigned i = 1; i < 16; i++)
        assert_int_equal(without[i], SIM_TEARS);
    assert_true(without[16] < SIM_TEARS && without[16] >= 3); /* the last program: done is done */
    assert_int_equal(without[17], 0);
}

static int build_all(void **state)
{
    (void)state;
    old = rig_image(MOLT_CHIP_ESP8266, 0x7010, 1, 512u << 10);
    new = rig_image(MOLT_CHIP_ESP8266, 0x9420, 2, 512u << 10);
    molt_boot_image_sector((uint8_t *)molt_sector, 0, 0, FS_START);
    memcpy(eboot_sector, old.data, sizeof eboot_sector);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    free(old.data);
    free(new.data);
    return 0;
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fresh, close_flash)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(from_eboot_to_molt_boot_and_back),
        ROW(what_is_there_is_not_written_again),
        ROW(what_does_not_start_is_refused_before_the_erase),
        ROW(a_failed_erase_is_tried_again),
        ROW(a_write_that_did_not_take_is_seen_and_done_again),
        ROW(the_window_is_one_erase_and_sixteen_programs),
    };
    return cmocka_run_group_tests(tests, build_all, free_all);
}
