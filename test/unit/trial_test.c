/* trial_test.c - flash that fails during an update, and what becomes of an image on trial. */
#include "update_case.h"

/* ---- flash that fails ---- */

struct fault {
    unsigned countdown;
    bool happened;
    enum sim_flash_op op;
};

static int fail_nth(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    struct fault *f = ctx;
    (void)off;
    (void)len;
    if (f->happened || f->countdown-- > 0) return 0;
    f->happened = true;
    f->op = op;
    return -77;
}

static void every_flash_operation_may_fail_and_the_old_image_still_boots(void **state)
{
    (void)state;
    static const int reasons[] = {
        [SIM_FLASH_READ] = -MOLT_FLASH_READ,
        [SIM_FLASH_WRITE] = -MOLT_FLASH_WRITE,
        [SIM_FLASH_ERASE] = -MOLT_FLASH_ERASE,
    };
    for (size_t i = 0; i < SETUPS * 2; i++) {
        const struct setup *s = &setups[i / 2];
        const struct rig_file file = i & 1 ? rig_gz(s->new_gz, s->new) : rig_raw(s->new);
        unsigned n = 0, failed = 0;
        for (;; n++) {
            struct fault fault = {.countdown = n};
            start(s);
            rig.flash.hook = fail_nth;
            rig.flash.hook_ctx = &fault;
            int rc = rig_update(&rig, &file, 0);
            rig.flash.hook = NULL;
            if (rc ==
                MOLT_READY) { /* not reached, or a look for blankness failed and it was erased instead */
                rig_reset(&rig);
                assert_true(rig_runs(&rig, s->new->data, s->new->len));
                rig_close(&rig);
                if (!fault.happened) break;
                continue;
            }
            failed++;
            assert_int_equal(rc, reasons[fault.op]);
            assert_int_equal(rig.update.port_err, -77);
            expect_refused(s, rc, rc);
            rig_close(&rig);
        }
        assert_true(n > 50 && failed > 40);
    }
}

struct decay {
    uint32_t off;
    bool armed;
};

/* A bit of what was stored falls over before it is read back. */
static int decay_before_read(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    struct decay *d = ctx;
    if (d->armed && op == SIM_FLASH_READ && len <= MOLT_PAGE_LEN && rig.update.received > 0 &&
        rig.update.received == rig.update.job.file_len && rig.update.checked == 0 &&
        off >= rig.update.target.off) {
        rig.flash.bytes[rig.update.target.off + d->off] ^= 0x10;
        d->armed = false;
    }
    return 0;
}

static void what_does_not_read_back_as_it_came_is_not_committed(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETUPS * 2; i++) {
        const struct setup *s = &setups[i / 2];
        const struct rig_file file = i & 1 ? rig_gz(s->new_gz, s->new) : rig_raw(s->new);
        static const uint32_t places[] = {0, 2, 3, 4, 100, 511, 512, 0x1010, 0x2000};
        for (size_t k = 0; k < sizeof places / sizeof places[0]; k++) {
            struct decay decay = {.off = places[k], .armed = true};
            start(s);
            rig.flash.hook = decay_before_read;
            rig.flash.hook_ctx = &decay;
            int rc = rig_update(&rig, &file, 0);
            rig.flash.hook = NULL;
            assert_false(decay.armed);
            expect_refused(s, rc, -MOLT_FLASH_VERIFY);
            rig_close(&rig);
        }
    }
}

/* The record just written reads back with a bit fallen over. */
static int decay_record(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    struct decay *d = ctx;
    if (op == SIM_FLASH_WRITE && off == 0xF000 && len == MOLT_OTADATA_ENTRY_LEN) d->armed = true;
    if (op == SIM_FLASH_READ && d->armed) {
        rig.flash.bytes[0xF000 + d->off] ^= 0x10;
        d->armed = false;
    }
    return 0;
}

static void a_record_that_does_not_read_back_is_withdrawn(void **state)
{
    (void)state;
    for (uint32_t place = 0; place < MOLT_OTADATA_ENTRY_LEN; place++) {
        struct decay decay = {.off = place, .armed = false};
        const struct rig_file file = rig_raw(&new32);
        start(&setups[1]);
        rig.flash.hook = decay_record;
        rig.flash.hook_ctx = &decay;
        int rc = rig_update(&rig, &file, 0);
        rig.flash.hook = NULL;
        expect_refused(&setups[1], rc, -MOLT_FLASH_VERIFY);
        assert_int_equal(rig.flash.bytes[0xF000], 0xFF);
        rig_close(&rig);
    }
}

/* ---- trial ---- */

static void start_trial(bool rollback)
{
    const struct rig_file file = rig_raw(&new32);
    start(&setups[1]);
    rig.rollback = rollback;
    assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
    rig_reset(&rig);
    assert_true(rig_runs(&rig, new32.data, new32.len));
}

static struct molt_boot_state boot_state(void)
{
    struct molt_boot_state s;
    assert_int_equal(rig.slots->ops->state(rig.slots, &s), 0);
    return s;
}

static void a_confirmed_trial_stays(void **state)
{
    (void)state;
    start_trial(true);
    assert_true(boot_state().on_trial);
    assert_true(boot_state().can_roll_back);
    assert_int_equal(rig_run(&rig, rig.slots->ops->confirm_step), MOLT_DONE);
    for (int i = 0; i < 3; i++) {
        rig_power_cycle(&rig);
        assert_true(rig_runs(&rig, new32.data, new32.len));
        assert_false(boot_state().on_trial);
    }
    rig_close(&rig);
}

static void an_unconfirmed_trial_goes_back_at_the_next_reset(void **state)
{
    (void)state;
    start_trial(true);
    rig_reset(&rig);
    assert_true(rig_runs(&rig, old32.data, old32.len));
    struct molt_boot_state s = boot_state();
    assert_true(s.has_failed && !s.on_trial);
    assert_memory_equal(s.failed_digest, new32.data + new32.len - 32, 32);
    const struct rig_file file = rig_raw(&new32); /* and may be tried again */
    assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
    rig_reset(&rig);
    assert_true(rig_runs(&rig, new32.data, new32.len));
    assert_true(boot_state().on_trial);
    rig_close(&rig);
}

static void a_rejected_trial_goes_back_and_is_remembered(void **state)
{
    (void)state;
    start_trial(true);
    assert_int_equal(rig_run(&rig, rig.slots->ops->reject_step), MOLT_DONE);
    rig_reset(&rig);
    assert_true(rig_runs(&rig, old32.data, old32.len));
    assert_true(boot_state().has_failed);
    assert_false(rig.esp32_result.wrote_otadata);
    rig_close(&rig);
}

static void without_bootloader_rollback_the_trial_is_reported_as_unprotected(void **state)
{
    (void)state;
    start_trial(false);
    assert_true(boot_state().trial_unprotected);
    assert_false(boot_state().on_trial);
    rig_reset(&rig);
    assert_true(rig_runs(&rig, new32.data, new32.len));
    assert_int_equal(rig_run(&rig, rig.slots->ops->reject_step),
                     MOLT_DONE); /* its own verdict still counts */
    rig_reset(&rig);
    assert_true(rig_runs(&rig, old32.data, old32.len));
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flash_operation_may_fail_and_the_old_image_still_boots),
        cmocka_unit_test(what_does_not_read_back_as_it_came_is_not_committed),
        cmocka_unit_test(a_record_that_does_not_read_back_is_withdrawn),
        cmocka_unit_test(a_confirmed_trial_stays),
        cmocka_unit_test(an_unconfirmed_trial_goes_back_at_the_next_reset),
        cmocka_unit_test(a_rejected_trial_goes_back_and_is_remembered),
        cmocka_unit_test(without_bootloader_rollback_the_trial_is_reported_as_unprotected),
    };
    return cmocka_run_group_tests(tests, build_all, free_all);
}
