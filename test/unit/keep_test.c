/* keep_test.c - the keep store: what a save said is durable is there after any number of restarts, and a save that a
 * power cut ends leaves the record before it or its own, never anything else. */
#include "cmocka_all.h"

#include "keep/keep.h"
#include "sim/flash.h"

#define OFF 0x3000u

static struct sim_flash flash;
static struct molt_keep keep;

static int open_flash(void **state)
{
    (void)state;
    return sim_flash_open(&flash, &(struct sim_flash_config){.size = 0x8000, .write_unit = 32});
}

static int close_flash(void **state)
{
    (void)state;
    sim_flash_close(&flash);
    return 0;
}

static int load(void)
{
    int rc;
    molt_keep_begin(&keep, &flash.port, OFF);
    do {
        rc = molt_keep_load_step(&keep);
    } while (rc > 0);
    return rc;
}

static int save(void)
{
    int rc;
    do {
        rc = molt_keep_save_step(&keep);
    } while (rc > 0);
    return rc;
}

static struct molt_keep_image image(uint32_t code)
{
    struct molt_keep_image i = {.code = code};
    memset(i.digest, (int)code, sizeof i.digest);
    return i;
}

static void a_blank_store_reads_as_zeros(void **state)
{
    (void)state;
    static const struct molt_keep_data zeros;
    assert_int_equal(load(), 0);
    assert_memory_equal(&keep.data, &zeros, sizeof zeros);
}

static void everything_comes_back_as_it_was_saved(void **state)
{
    (void)state;
    assert_int_equal(load(), 0);
    keep.data = (struct molt_keep_data){.sequence = 0x123456789ABCDEF0u,
                                        .boots = 7,
                                        .trying = true,
                                        .interrupted = 2,
                                        .tried = image(2147483647),
                                        .result = MOLT_ROLLED_BACK,
                                        .reported = image(9),
                                        .fs_state = MOLT_FS_COPYING,
                                        .fs_round = 200,
                                        .fs_len = 0x12345678,
                                        .fs = image(11)};
    for (uint32_t i = 1; i <= 5; i++) {
        const struct molt_keep_image bad = image(100 + i);
        molt_keep_add_failed(&keep, &bad);
        molt_keep_add_failed(&keep, &bad);
    }
    const struct molt_keep_data data = keep.data;
    assert_int_equal(save(), 0);
    assert_int_equal(load(), 0);
    assert_int_equal(keep.data.sequence, data.sequence);
    assert_int_equal(keep.data.boots, 7);
    assert_true(keep.data.trying);
    assert_int_equal(keep.data.interrupted, 2);
    assert_int_equal(keep.data.tried.code, 2147483647);
    assert_int_equal(keep.data.result, MOLT_ROLLED_BACK);
    assert_memory_equal(keep.data.reported.digest, data.reported.digest, MOLT_SHA256_LEN);
    assert_int_equal(keep.data.failed_count, MOLT_KEEP_FAILED);
    assert_false(molt_keep_has_failed(&keep, 102, NULL)); /* the oldest two fell out */
    for (uint32_t code = 103; code <= 105; code++) {
        assert_true(molt_keep_has_failed(&keep, code, NULL));
        assert_true(molt_keep_has_failed(&keep, 0, image(code).digest));
    }
    assert_false(molt_keep_has_failed(&keep, 0, NULL));
    assert_int_equal(keep.data.fs_state, MOLT_FS_COPYING);
    assert_int_equal(keep.data.fs_round, 200);
    assert_int_equal(keep.data.fs_len, 0x12345678);
    assert_int_equal(keep.data.fs.code, 11);
    assert_memory_equal(keep.data.fs.digest, data.fs.digest, MOLT_SHA256_LEN);
}

static void sectors_take_turns_and_sixteen_saves_cost_one_erase(void **state)
{
    (void)state;
    assert_int_equal(load(), 0);
    for (uint32_t n = 1; n <= 320; n++) {
        keep.data.boots = n;
        assert_int_equal(save(), 0);
        if (n % 5 == 0) {
            assert_int_equal(load(), 0);
            assert_int_equal(keep.data.boots, n);
        }
    }
    assert_int_equal(flash.count.erases, 320 / 16 - 2);
}

/* ---- cuts ---- */

static struct {
    jmp_buf out;
    enum sim_flash_tear tear;
    unsigned at, seen;
} cut;

static int cut_hook(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    if (op == SIM_FLASH_READ || ++cut.seen != cut.at) return 0;
    sim_flash_cut(&flash, cut.tear, op, off, len, cut.seen);
    longjmp(cut.out, 1);
}

/* Saves n = 1, 2 ... with a cut in the at-th operation; then, over three power-ups, what is loaded and saved again. */
static void cut_and_look(unsigned at, enum sim_flash_tear tear)
{
    volatile uint32_t saving = 0;
    cut.at = at;
    cut.seen = 0;
    cut.tear = tear;
    assert_int_equal(load(), 0);
    flash.hook = cut_hook;
    if (setjmp(cut.out) == 0) {
        for (uint32_t n = 1; n <= 40; n++) {
            saving = n;
            keep.data.sequence = n;
            assert_int_equal(save(), 0);
        }
        fail_msg("it was not cut");
    }
    flash.hook = NULL;
    sim_flash_power_up(&flash);
    assert_int_equal(load(), 0);
    uint64_t seen = keep.data.sequence;
    assert_true(seen == saving || seen + 1 == saving);
    assert_int_equal(save(), 0); /* as its users do before they act on it */
    for (int i = 0; i < 2; i++) {
        sim_flash_power_up(&flash);
        assert_int_equal(load(), 0);
        assert_int_equal(keep.data.sequence, seen);
    }
}

static void a_cut_anywhere_leaves_the_old_record_or_the_new_one(void **state)
{
    (void)state;
    for (int tear = 0; tear < SIM_TEARS; tear++) {
        for (unsigned at = 1; at <= 40; at++) {
            cut_and_look(at, (enum sim_flash_tear)tear);
            close_flash(NULL);
            open_flash(NULL);
        }
    }
}

static void foreign_bytes_are_no_record_and_are_written_over(void **state)
{
    (void)state;
    static uint8_t dirt[MOLT_KEEP_LEN]; /* the stock Updater stages right up to FS_start */
    memset(dirt, 0x4D, sizeof dirt);
    sim_flash_program(&flash, OFF, dirt, sizeof dirt);
    assert_int_equal(load(), 0);
    assert_int_equal(keep.data.sequence, 0);
    keep.data.sequence = 5;
    assert_int_equal(save(), 0);
    assert_int_equal(load(), 0);
    assert_int_equal(keep.data.sequence, 5);
}

static int fail_one(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)off;
    (void)len;
    return op == *(const enum sim_flash_op *)ctx ? -7 : 0;
}

static void flash_that_fails_is_told_and_what_was_there_stays(void **state)
{
    (void)state;
    static const struct {
        enum sim_flash_op op;
        int reason;
    } rows[] = {{SIM_FLASH_WRITE, MOLT_FLASH_WRITE}, {SIM_FLASH_READ, MOLT_FLASH_READ}};
    assert_int_equal(load(), 0);
    keep.data.sequence = 1;
    assert_int_equal(save(), 0);
    for (size_t i = 0; i < 2; i++) {
        enum sim_flash_op op = rows[i].op;
        flash.hook = fail_one;
        flash.hook_ctx = &op;
        assert_int_equal(save(), -rows[i].reason);
        assert_int_equal(keep.port_err, -7);
        flash.hook = NULL;
        assert_int_equal(load(), 0);
        assert_int_equal(keep.data.sequence, 1);
    }
}

static uint8_t blob[MOLT_KEEP_RECORD_LEN];
static bool has_blob;

static int load_blob(void *ctx, uint8_t raw[MOLT_KEEP_RECORD_LEN])
{
    (void)ctx;
    memcpy(raw, blob, sizeof blob);
    return has_blob ? 0 : -1;
}

static int save_blob(void *ctx, const uint8_t raw[MOLT_KEEP_RECORD_LEN])
{
    (void)ctx;
    memcpy(blob, raw, sizeof blob);
    has_blob = true;
    return 0;
}

static void a_blob_of_the_port_does_as_well(void **state)
{
    (void)state;
    const struct molt_keep_blob port = {.load = load_blob, .save = save_blob};
    molt_keep_begin_blob(&keep, &port);
    assert_int_equal(molt_keep_load_step(&keep), 0);
    keep.data.sequence = 9;
    assert_int_equal(molt_keep_save_step(&keep), 0);
    molt_keep_begin_blob(&keep, &port);
    assert_int_equal(molt_keep_load_step(&keep), 0);
    assert_int_equal(keep.data.sequence, 9);
    blob[8] ^= 1;
    molt_keep_begin_blob(&keep, &port);
    assert_int_equal(molt_keep_load_step(&keep), 0);
    assert_int_equal(keep.data.sequence, 0);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, open_flash, close_flash)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_blank_store_reads_as_zeros),
        ROW(everything_comes_back_as_it_was_saved),
        ROW(sectors_take_turns_and_sixteen_saves_cost_one_erase),
        ROW(a_cut_anywhere_leaves_the_old_record_or_the_new_one),
        ROW(foreign_bytes_are_no_record_and_are_written_over),
        ROW(flash_that_fails_is_told_and_what_was_there_stays),
        ROW(a_blob_of_the_port_does_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
