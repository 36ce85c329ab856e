/* boot_sketch_test.c - molt-boot at the true sector size: a whole life (second stage, commit, install, reject, way back)
 * runs once; at each of its flash operations a copy of the flash loses its power, in five ways, and boots three times.
 * Flash states that were looked at before are not looked at again.
 *
 *     powercut_boot_sketch every      a small sketch, every operation
 *     powercut_boot_sketch 1m64 N     layout 1M64, 304 to 604 KB, which a raw staging overlaps; every N-th operation
 *     powercut_boot_sketch again      a second update that follows the cut, and its own cut */
#include "molt_boot_rig.h"

#include <stdio.h>

#define BOOTS 3u /* after the cut */

static unsigned cut_step = 1; /* which operations are cut: each, or each so manieth */

static void live_through(const struct rig_blob *image)
{
    install_signed(image);
    reset(MOLT_BOOT_RESET);
    begin_slots();
    assert_int_equal(step_all(boot.slots.ops->reject_step), MOLT_DONE);
    reset(MOLT_BOOT_RESET);
}

/* ---- states that were looked at ---- */

static struct {
    uint64_t *hashes;
    size_t cap, count;
} seen;

/* Of all that decides what further boots do: the bytes, what may be programmed, what is unstable, how many boots follow. */
static uint64_t hash_of(const struct sim_flash *f, unsigned boots)
{
    uint64_t hash = 0xCBF29CE484222325u + boots + 16u * f->any_unstable;
    const uint32_t units = f->port.size / f->port.write_unit;
    const struct {
        const uint8_t *data;
        size_t len;
    } parts[] = {
        {f->bytes, f->port.size}, {f->programmed, units}, {f->unstable, f->any_unstable ? units : 0}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        for (size_t at = 0; at < parts[i].len; at += sizeof hash) {
            uint64_t word;
            memcpy(&word, parts[i].data + at, sizeof word);
            hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
            hash ^= hash >> 32;
        }
    }
    return hash == 0 ? 1 : hash; /* 0 marks a free place */
}

/* True the first time. */
static bool is_new(uint64_t hash)
{
    if (seen.cap == 0) {
        seen.cap = 1u << 18;
        seen.hashes = calloc(seen.cap, sizeof *seen.hashes);
        assert_non_null(seen.hashes);
    }
    size_t at = hash & (seen.cap - 1);
    for (; seen.hashes[at] != 0; at = (at + 1) & (seen.cap - 1)) {
        if (seen.hashes[at] == hash) return false;
    }
    assert_true(seen.count++ < seen.cap / 2);
    seen.hashes[at] = hash;
    return true;
}

/* ---- the cuts ---- */

static struct sim_flash other; /* the copy that loses its power */
static unsigned operations, cuts, boots_done, trials, back;

static void boot_it(unsigned operation, unsigned tear, unsigned nth)
{
    struct sim_rtc other_rtc;
    struct sim_molt_boot_result after;
    sim_rtc_power_on(&other_rtc);
    sim_molt_boot_run(&other.port, &other_rtc, MOLT_BOOT_POWER_ON, &after);
    const unsigned phase = after.found ? molt_boot_phase(after.state) : 0;
    const struct rig_blob *image = phase == MOLT_PHASE_TRIAL ? &large : &old;
    const bool whole =
        memcmp(other.bytes + MOLT_SECTOR, image->data + MOLT_SECTOR, image->len - MOLT_SECTOR) == 0 &&
        memcmp(other.bytes, old.data, MOLT_SECTOR) == 0;
    if (after.rc != 0 || !after.started || !whole)
        fail_msg("operation %u, tear %u, boot %u: %d, phase %u, %s", operation, tear, nth, after.rc, phase,
                 whole ? "whole" : "no whole image");
    boots_done++;
    trials += phase == MOLT_PHASE_TRIAL;
    back += phase == MOLT_PHASE_ROLLED_BACK;
}

/* Before each operation of the life: what would be if the power went in it? */
static int cut_a_copy(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    if (op == SIM_FLASH_READ || operations++ % cut_step != 0) return 0;
    for (unsigned tear = 0; tear < SIM_TEARS; tear++) {
        sim_flash_copy(&other, &flash);
        other.writing = flash.writing;
        sim_flash_cut(&other, (enum sim_flash_tear)tear, op, off, len, operations);
        cuts++;
        for (unsigned nth = 0; nth < BOOTS; nth++) {
            if (nth > 0) sim_flash_power_up(&other); /* what is unstable reads well once */
            if (!is_new(hash_of(&other, BOOTS - nth))) break;
            boot_it(operations, tear, nth);
        }
    }
    return 0;
}

static void a_cut_at_every_operation_leaves_a_whole_image_running(void **state)
{
    (void)state;
    assert_int_equal(sim_flash_open(&other, &(struct sim_flash_config){.size = flash_size}), 0);
    flash.hook = cut_a_copy;
    live_through(&large);
    expect(MOLT_PHASE_ROLLED_BACK, &old);
    printf("%u operations, %u cuts, %u boots\n", operations, cuts, boots_done);
    assert_true(operations > 150 && cuts >= operations / cut_step * SIM_TEARS);
    assert_true(trials * cut_step > 100 && back * cut_step > 100);
    sim_flash_close(&other);
    free(seen.hashes);
}

/* True when the update was cut before its end. */
static bool run_cut(unsigned operation, enum sim_flash_tear tear)
{
    close_flash(NULL);
    fresh(NULL);
    cut.countdown = operation;
    cut.tear = tear;
    volatile bool was_cut = true;
    if (setjmp(cut.out) == 0) {
        live_through(&large);
        was_cut = false;
    }
    cut.countdown = 0;
    return was_cut;
}

/* The application asks once more, right after the power came back, and the power goes again before the install. Each
 * operation of the commit is cut, and some of what follows. */
static void a_second_try_after_a_cut_gets_there(void **state)
{
    (void)state;
    unsigned n = 1;
    for (bool more = true; more; n += n < 40 ? 1 : 7) {
        for (unsigned tear = 0; tear < SIM_TEARS && more; tear++) {
            more = run_cut(n, (enum sim_flash_tear)tear);
            if (!more) break;
            sim_flash_power_up(&flash);
            reset(MOLT_BOOT_POWER_ON);
            if (state_now().on_trial) assert_int_equal(step_all(boot.slots.ops->confirm_step), MOLT_DONE);
            const struct rig_blob *next = runs(&large) ? &new : &large;
            install_signed(next);
            sim_flash_power_up(&flash);
            reset(MOLT_BOOT_RESET);
            expect(MOLT_PHASE_TRIAL, next);
        }
    }
    assert_true(n > 150);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest every[] = {ROW(a_cut_at_every_operation_leaves_a_whole_image_running)};
    const struct CMUnitTest again[] = {ROW(a_second_try_after_a_cut_gets_there)};
    if (argc > 1 && strcmp(argv[1], "again") == 0) return cmocka_run_group_tests(again, build_all, free_all);
    if (argc > 2 && strcmp(argv[1], "1m64") == 0) {
        fs_start = 0xEB000;
        flash_size = 0x100000;
        cut_step = (unsigned)strtoul(argv[2], NULL, 10);
    } else if (argc < 2 || strcmp(argv[1], "every") != 0) {
        return 2;
    }
    return cmocka_run_group_tests(every, build_all, free_all);
}
