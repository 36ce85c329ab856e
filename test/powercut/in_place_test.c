/* in_place_test.c - an update in place from the first byte that is staged to the confirmed image; at each flash operation
 * the power is cut in five ways; the device boots twice and is then updated to the end.
 *
 *     powercut_in_place every     a small flash: the old image or the new one runs after each, whole
 *     powercut_in_place 1m N      1 MB without a file system, a sketch of 80 % of FS_start; every N-th operation */
#include "in_place_rig.h"

#include <stdio.h>

static unsigned step = 1, was_old, was_new;

/* One boot; true when the new image runs. */
static bool boots_new(unsigned operation, unsigned tear)
{
    reset(MOLT_BOOT_POWER_ON);
    const unsigned phase = result.found ? molt_boot_phase(result.state) : 0;
    const bool is_new = phase == MOLT_PHASE_WRITTEN || phase == MOLT_PHASE_CONFIRMED;
    if (result.rc != 0 || !result.started || !runs(is_new ? &new : &old))
        fail_msg("operation %u, tear %u: %d, phase %u: no whole image", operation, tear, result.rc, phase);
    assert_memory_equal(flash.bytes, old.data, MOLT_SECTOR);
    return is_new;
}

static void live_through(void)
{
    assert_int_equal(stage_on(&flash, &pack), MOLT_READY);
    reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_WRITTEN, &new);
    begin_slots();
    assert_int_equal(step_all(boot.slots.ops->confirm_step), MOLT_DONE);
    reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_CONFIRMED, &new);
}

static void restart_life(void)
{
    (void)close_flash(NULL);
    (void)fresh(NULL);
    signed_digest = new_digest;
}

/* A life with a cut in its n-th operation; true when it had so many. */
static bool is_cut(unsigned operation, enum sim_flash_tear tear)
{
    restart_life();
    cut.countdown = operation;
    cut.tear = tear;
    volatile bool was_cut = true;
    if (setjmp(cut.out) == 0) {
        live_through();
        was_cut = false;
    }
    cut.countdown = 0;
    return was_cut;
}

static void every_cut_leaves_a_whole_image_and_an_update_that_gets_there(void **state)
{
    (void)state;
    unsigned n = 1;
    for (bool more = true; more; n += step) {
        for (unsigned tear = 0; tear < SIM_TEARS && more; tear++) {
            more = is_cut(n, (enum sim_flash_tear)tear);
            if (!more) break;
            sim_flash_power_up(&flash);
            bool is_new = boots_new(n, tear);
            sim_flash_power_up(&flash); /* what is unstable reads well once */
            is_new = boots_new(n, tear) || is_new;
            was_new += is_new;
            was_old += !is_new;
            if (is_new) continue;
            assert_int_equal(stage_on(&flash, &pack), MOLT_READY);
            sim_flash_power_up(&flash);
            assert_true(boots_new(n, tear));
        }
    }
    printf("%u operations, %u cuts: %u ran the old image next, %u the new one\n", n - step, was_old + was_new,
           was_old, was_new);
    assert_true(was_old * step > 300 && was_new * step > 300);
}

/* Two cuts: the second one n operations into the boot that follows the first. */
static void two_cuts_leave_it_so_too(void **state)
{
    (void)state;
    signed_digest = new_digest;
    for (unsigned first = 1, ended = 0; ended == 0; first += 11) {
        for (unsigned second = 1; second < 60; second += 3 + first % 7) {
            restart_life();
            assert_int_equal(stage_on(&flash, &pack), MOLT_READY);
            static volatile unsigned lives;
            static unsigned counts[2];
            lives = 0;
            counts[0] = first;
            counts[1] = second;
            if (setjmp(cut.out) != 0) {
                lives++;
                sim_flash_power_up(&flash);
            }
            cut.countdown = lives < 2 ? counts[lives] : 0;
            cut.tear = (enum sim_flash_tear)((first + second + lives) % SIM_TEARS);
            reset(MOLT_BOOT_POWER_ON);
            cut.countdown = 0;
            expect(MOLT_PHASE_WRITTEN, &new);
            ended = lives == 0;
        }
    }
}

static int build(void **state)
{
    (void)state;
    if (step == 1) {
        fs_start = 0x40000;
        make_pair(70000);
    } else {
        fs_start = 0xFB000;
        flash_size = 0x100000;
        make_pair(fs_start / 5 * 4 / 16 * 16);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest every[] = {ROW(every_cut_leaves_a_whole_image_and_an_update_that_gets_there),
                                       ROW(two_cuts_leave_it_so_too)};
    const struct CMUnitTest sample[] = {ROW(every_cut_leaves_a_whole_image_and_an_update_that_gets_there)};
    if (argc > 1 && strcmp(argv[1], "every") == 0) return cmocka_run_group_tests(every, build, free_pair);
    if (argc < 3 || strcmp(argv[1], "1m") != 0) return 2;
    step = (unsigned)strtoul(argv[2], NULL, 10);
    return cmocka_run_group_tests(sample, build, free_pair);
}
