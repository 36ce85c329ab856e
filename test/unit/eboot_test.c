/* eboot_test.c - the virtual eboot copies, inflates, skips and fails exactly as Arduino's does. */
#include "cmocka_all.h"

#include <setjmp.h>
#include <stdlib.h>
#include <zlib.h>

#include "host/image_build.h"
#include "sim/eboot.h"
#include "sim/flash.h"
#include "util/bytes.h"

#define FLASH_LEN 0x100000u
#define STAGED    0x80000u

static struct sim_flash flash;
static struct sim_rtc rtc;
static uint8_t *old_image, *new_image;
static size_t old_len, new_len;

static int build_images(void **state)
{
    (void)state;
    const struct image_build a = {
        .chip = MOLT_CHIP_ESP8266, .size = 0x9A30, .seed = 1, .flash_size = 1u << 20};
    const struct image_build b = {
        .chip = MOLT_CHIP_ESP8266, .size = 0xB120, .seed = 1, .flash_size = 1u << 20};
    return image_build(&a, &old_image, &old_len) != 0 || image_build(&b, &new_image, &new_len) != 0;
}

static int free_images(void **state)
{
    (void)state;
    free(old_image);
    free(new_image);
    return 0;
}

static int power_on(void **state)
{
    (void)state;
    if (sim_flash_open(&flash, &(struct sim_flash_config){.size = FLASH_LEN}) != 0) return -1;
    sim_flash_program(&flash, 0, old_image, (uint32_t)old_len);
    sim_rtc_power_on(&rtc);
    return 0;
}

static int power_off(void **state)
{
    (void)state;
    sim_flash_close(&flash);
    return 0;
}

static void command(uint32_t source, uint32_t len)
{
    const struct molt_eboot_command cmd = {.action = MOLT_EBOOT_COPY_RAW, .source = source, .len = len};
    molt_eboot_command_encode(rtc.bytes, &cmd);
}

static struct sim_eboot_result reset(void)
{
    struct sim_eboot_result result;
    sim_eboot_run(&flash.port, &rtc, &result);
    return result;
}

static uint8_t *gzip(const uint8_t *data, size_t len, size_t *gz_len)
{
    z_stream z = {0};
    size_t cap = len + 1024;
    uint8_t *out = malloc(cap);
    assert_non_null(out);
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (uint8_t *)(uintptr_t)data;
    z.avail_in = (uInt)len;
    z.next_out = out;
    z.avail_out = (uInt)cap;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    *gz_len = z.total_out;
    deflateEnd(&z);
    return out;
}

static void the_command_has_the_published_crc(void **state)
{
    (void)state;
    const struct molt_eboot_command cmd = {
        .action = MOLT_EBOOT_COPY_RAW, .source = 0xB1000, .dest = 0, .len = 0x4B2C0};
    uint8_t raw[MOLT_EBOOT_COMMAND_LEN];
    struct molt_eboot_command back;
    molt_eboot_command_encode(raw, &cmd);
    assert_int_equal(molt_load32le(raw), 0xEB001000);
    assert_int_equal(molt_load32le(raw + 124), 0x1B78631E);
    assert_true(molt_eboot_command_decode(raw, &back));
    assert_memory_equal(&back, &cmd, sizeof cmd);
    raw[9] ^= 1;
    assert_false(molt_eboot_command_decode(raw, &back));
}

static void without_a_command_the_sketch_is_started(void **state)
{
    (void)state;
    struct sim_eboot_result r = reset();
    assert_false(r.had_command);
    assert_int_equal(r.copy, SIM_EBOOT_NO_COPY);
    assert_true(r.started);
    assert_int_equal(r.entry, molt_load32le(old_image + 0x1004));
    assert_int_equal(flash.count.writes + flash.count.erases, 0);
}

static void a_raw_file_is_copied_and_eboots_own_sector_is_left_when_it_is_the_same(void **state)
{
    (void)state;
    assert_memory_equal(old_image + 4, new_image + 4, 64); /* both carry one eboot */
    sim_flash_program(&flash, STAGED, new_image, (uint32_t)new_len);
    command(STAGED, (uint32_t)new_len);
    struct sim_eboot_result r = reset();
    assert_true(r.had_command && r.started);
    assert_int_equal(r.copy, SIM_EBOOT_COPIED);
    assert_int_equal(r.sector0_same, memcmp(old_image, new_image, 4096) == 0);
    assert_memory_equal(flash.bytes, new_image, new_len);
    uint64_t erases = flash.count.erases;
    assert_int_equal(erases, (new_len + 4095) / 4096 - (r.sector0_same ? 1 : 0));

    r = reset();
    assert_false(r.had_command); /* cleared */
    assert_int_equal(flash.count.erases, erases);
    command(STAGED, (uint32_t)new_len); /* once more: sector 0 is now the same in any case */
    r = reset();
    assert_true(r.sector0_same);
    assert_int_equal(flash.count.erases, erases + (new_len + 4095) / 4096 - 1);
}

static void a_gzip_file_is_inflated_and_its_last_sector_filled_with_ff(void **state)
{
    (void)state;
    size_t gz_len;
    uint8_t *gz = gzip(new_image, new_len, &gz_len);
    sim_flash_program(&flash, STAGED, gz, (uint32_t)gz_len);
    command(STAGED, (uint32_t)gz_len);
    struct sim_eboot_result r = reset();
    assert_int_equal(r.copy, SIM_EBOOT_COPIED);
    assert_true(r.started);
    assert_memory_equal(flash.bytes, new_image, new_len);
    for (size_t i = new_len; i % 4096 != 0; i++)
        assert_int_equal(flash.bytes[i], 0xFF);
    free(gz);
}

static void a_gzip_length_that_is_not_exact_makes_rubbish(void **state)
{
    (void)state;
    size_t gz_len;
    uint8_t *gz = gzip(new_image, new_len, &gz_len);
    sim_flash_program(&flash, STAGED, gz, (uint32_t)gz_len);
    command(STAGED, (uint32_t)gz_len + 4); /* ISIZE is then read from blank flash: minus one, nothing to do */
    struct sim_eboot_result r = reset();
    assert_int_equal(r.copy, SIM_EBOOT_COPIED);
    assert_memory_equal(flash.bytes, old_image, old_len);
    free(gz);
}

static void unaligned_commands_fail_with_1_and_the_old_sketch_starts(void **state)
{
    (void)state;
    sim_flash_program(&flash, STAGED, new_image, (uint32_t)new_len);
    command(STAGED + 16, (uint32_t)new_len);
    struct sim_eboot_result r = reset();
    assert_int_equal(r.copy, SIM_EBOOT_ALIGNMENT);
    assert_true(r.started);
    assert_memory_equal(flash.bytes, old_image, old_len);
    assert_false(reset().had_command);
}

struct failure {
    enum sim_flash_op op;
    unsigned countdown;
};

static int fail_one(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    struct failure *f = ctx;
    (void)off;
    (void)len;
    return op == f->op && f->countdown-- == 0 ? -1 : 0;
}

static void expect_failure(enum sim_flash_op op, unsigned nth, enum sim_eboot_copy want)
{
    struct failure failure = {op, nth};
    sim_flash_program(&flash, 0, old_image, (uint32_t)old_len);
    command(STAGED, (uint32_t)new_len);
    flash.hook = fail_one;
    flash.hook_ctx = &failure;
    struct sim_eboot_result r = reset();
    flash.hook = NULL;
    assert_int_equal(r.copy, want);
    assert_int_equal(r.started, op != SIM_FLASH_WRITE); /* the sketch's first sector is blank then */
    assert_false(reset().had_command);
}

static void failing_flash_operations_have_their_numbers(void **state)
{
    (void)state;
    sim_flash_program(&flash, STAGED, new_image, (uint32_t)new_len);
    expect_failure(SIM_FLASH_ERASE, 0, SIM_EBOOT_ERASE);
    expect_failure(SIM_FLASH_WRITE, 0, SIM_EBOOT_WRITE);
    expect_failure(SIM_FLASH_READ, 1, SIM_EBOOT_READ);  /* 0: the look for a gzip magic */
    expect_failure(SIM_FLASH_READ, 2, SIM_EBOOT_WRITE); /* the look at sector 0 */
}

static void damaged_gzip_files_fail_with_5_and_6(void **state)
{
    (void)state;
    size_t gz_len;
    uint8_t *gz = gzip(new_image, new_len, &gz_len);
    gz[2] = 7;
    sim_flash_program(&flash, STAGED, gz, (uint32_t)gz_len);
    command(STAGED, (uint32_t)gz_len);
    assert_int_equal(reset().copy, SIM_EBOOT_GZIP_HEADER);
    assert_memory_equal(flash.bytes, old_image, old_len);
    gz[2] = 8;
    gz[10] |= 6; /* block type 3 */
    sim_flash_program(&flash, STAGED, gz, (uint32_t)gz_len);
    command(STAGED, (uint32_t)gz_len);
    assert_int_equal(reset().copy, SIM_EBOOT_INFLATE);
    free(gz);
}

static void a_staged_file_beyond_the_flash_fails_with_3(void **state)
{
    (void)state;
    command(FLASH_LEN - 0x1000, 0x2000);
    assert_int_equal(reset().copy, SIM_EBOOT_READ);
    command(0xFFFFF000, 0x2000);
    assert_int_equal(reset().copy, SIM_EBOOT_READ);
}

static void the_command_does_not_outlive_the_power(void **state)
{
    (void)state;
    sim_flash_program(&flash, STAGED, new_image, (uint32_t)new_len);
    command(STAGED, (uint32_t)new_len);
    sim_rtc_power_on(&rtc);
    struct sim_eboot_result r = reset();
    assert_false(r.had_command);
    assert_memory_equal(flash.bytes, old_image, old_len);
}

static void the_loader_starts_damaged_sketches_and_fails_only_on_unreadable_ones(void **state)
{
    (void)state;
    uint8_t sector[4096];
    memcpy(sector, flash.bytes + 0x1000, sizeof sector);
    sector[100] ^= 0xFF;
    sim_flash_program(&flash, 0x1000, sector, sizeof sector);
    assert_true(reset().started);
    memcpy(sector, old_image + 0x1000, sizeof sector);
    molt_store32le(sector + 8, 0x3FFE8000); /* first segment: data RAM, longer than the flash */
    molt_store32le(sector + 12, 0x200000);
    sim_flash_program(&flash, 0x1000, sector, sizeof sector);
    struct sim_eboot_result r = reset();
    assert_false(r.started);
    assert_int_equal(r.load_error, 3);
}

/* ---- a reset in the middle of the copy: the command is still there, and eboot begins again ---- */

static struct {
    jmp_buf out;
    unsigned countdown, seen;
} stop;

static int stop_there(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    if (op == SIM_FLASH_READ) return 0;
    stop.seen++;
    if (stop.countdown == 0 || --stop.countdown > 0) return 0;
    sim_flash_cut(&flash, SIM_TEAR_HALF, op, off, len, stop.seen);
    longjmp(stop.out, 1);
}

/* How many of the operations of the copy can be interrupted by a reset so that the new sketch is broken for good. They are the
 * last ones: all that come before them are harmless. */
static unsigned broken_by_a_reset(uint32_t source, const uint8_t *file, size_t len, unsigned *operations)
{
    volatile unsigned broken = 0;
    for (volatile unsigned n = 1;; n++) {
        power_off(NULL);
        assert_int_equal(power_on(NULL), 0);
        sim_flash_program(&flash, source, file, (uint32_t)len);
        command(source, (uint32_t)len);
        flash.hook = stop_there;
        stop.countdown = n;
        stop.seen = 0;
        const bool was_reset = setjmp(stop.out) != 0;
        if (!was_reset) reset();
        stop.countdown = 0;
        *operations = n - 1;
        if (!was_reset) break;
        reset();
        const bool is_broken = memcmp(flash.bytes, new_image, new_len) != 0;
        assert_true(is_broken || broken == 0);
        broken += is_broken;
    }
    assert_memory_equal(flash.bytes, new_image,
                        new_len); /* without a reset it is whole, wherever it was staged */
    return broken;
}

static void a_copy_survives_a_reset_when_its_source_begins_where_the_sketch_ends_and_only_then(void **state)
{
    (void)state;
    unsigned operations;
    const uint32_t end = molt_round_up((uint32_t)new_len, MOLT_SECTOR);
    size_t gz_len;
    uint8_t *gz = gzip(new_image, new_len, &gz_len);
    assert_int_equal(broken_by_a_reset(end, new_image, new_len, &operations), 0);
    assert_true(operations > 15);
    assert_int_equal(broken_by_a_reset(end, gz, gz_len, &operations), 0);
    assert_true(operations > 15);
    const unsigned a_sector = operations / (end / MOLT_SECTOR - 1); /* eboot leaves its own alone */
    for (uint32_t n = 1; n <= 3; n++) { /* from the moment on when it erases the first sector of its source */
        const uint32_t source = end - n * MOLT_SECTOR;
        assert_int_equal(broken_by_a_reset(source, new_image, new_len, &operations), n * a_sector);
        assert_int_equal(broken_by_a_reset(source, gz, gz_len, &operations), n * a_sector);
    }
    free(gz);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, power_on, power_off)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_command_has_the_published_crc),
        CASE(without_a_command_the_sketch_is_started),
        CASE(a_raw_file_is_copied_and_eboots_own_sector_is_left_when_it_is_the_same),
        CASE(a_gzip_file_is_inflated_and_its_last_sector_filled_with_ff),
        CASE(a_gzip_length_that_is_not_exact_makes_rubbish),
        CASE(unaligned_commands_fail_with_1_and_the_old_sketch_starts),
        CASE(failing_flash_operations_have_their_numbers),
        CASE(damaged_gzip_files_fail_with_5_and_6),
        CASE(a_staged_file_beyond_the_flash_fails_with_3),
        CASE(the_command_does_not_outlive_the_power),
        CASE(a_copy_survives_a_reset_when_its_source_begins_where_the_sketch_ends_and_only_then),
        CASE(the_loader_starts_damaged_sketches_and_fails_only_on_unreadable_ones),
    };
    return cmocka_run_group_tests(tests, build_images, free_images);
}
