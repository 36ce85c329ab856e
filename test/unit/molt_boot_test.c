/* molt_boot_test.c - molt-boot's core and libmolt's slots for it, at the true sector size: each row of the table in
 * doc/boot.md, the second stage, stock commands, damaged flash. Power cuts: test/powercut/boot_sketch_test.c. */
#include "molt_boot_rig.h"

#include "util/crc.h"

/* ---- the table, row by row ---- */

static void without_a_record_the_sketch_starts_and_nothing_is_written(void **state)
{
    (void)state;
    reset(MOLT_BOOT_POWER_ON);
    assert_true(result.started && !result.found);
    assert_int_equal(flash.count.writes + flash.count.erases, 0);
    struct molt_boot_state s = state_now();
    assert_false(s.on_trial || s.has_failed || s.can_roll_back);
    assert_int_equal(boot.slots.ops->reject_step(&boot.slots), -MOLT_NO_ROLLBACK);
    assert_int_equal(boot.slots.ops->confirm_step(&boot.slots), MOLT_DONE);
}

static void a_committed_image_goes_on_trial_and_stays_when_confirmed(void **state)
{
    (void)state;
    install(&new);
    assert_true(runs(&old));
    reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_TRIAL, &new);
    struct molt_boot_state s = state_now();
    assert_true(s.on_trial && s.can_roll_back && !s.has_failed);
    assert_int_equal(boot.slots.ops->target(&boot.slots, 10000, 0, MOLT_RAW, &target), -MOLT_TRIAL_PENDING);
    assert_int_equal(step_all(boot.slots.ops->confirm_step), MOLT_DONE);
    assert_int_equal(step_all(boot.slots.ops->confirm_step), MOLT_DONE);
    for (int i = 0; i < 20; i++)
        reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_CONFIRMED, &new);
    assert_false(state_now().on_trial);
}

static void boots_without_a_confirm_end_in_the_old_image_and_the_new_one_is_remembered(void **state)
{
    (void)state;
    uint8_t digest[MOLT_SHA256_LEN];
    install(&new);
    for (unsigned i = 0; i < MOLT_BOOT_TRIES; i++) {
        reset(MOLT_BOOT_RESET);
        expect(MOLT_PHASE_TRIAL, &new);
    }
    begin_slots();
    struct molt_hash hash;
    int rc;
    while ((rc = boot.slots.ops->identity_step(&boot.slots, &hash, digest)) == MOLT_MORE)
        continue;
    assert_int_equal(rc, MOLT_DONE);
    reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_ROLLED_BACK, &old);
    struct molt_boot_state s = state_now();
    assert_true(s.has_failed && !s.on_trial);
    assert_memory_equal(s.failed_digest, digest, sizeof digest);
}

static void a_rejected_image_goes_back_at_once(void **state)
{
    (void)state;
    install(&large);
    reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_TRIAL, &large);
    begin_slots();
    assert_int_equal(step_all(boot.slots.ops->reject_step), MOLT_DONE);
    reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_ROLLED_BACK, &old);
    assert_true(state_now().has_failed);
}

static void power_cuts_in_a_trial_are_counted_apart_and_say_nothing_of_the_image(void **state)
{
    (void)state;
    install(&new);
    for (unsigned i = 0; i <= MOLT_BOOT_INTERRUPTIONS_MAX; i++) {
        reset(MOLT_BOOT_POWER_ON);
        expect(MOLT_PHASE_TRIAL, &new);
    }
    reset(MOLT_BOOT_POWER_ON);
    expect(MOLT_PHASE_ROLLED_BACK, &old);
    assert_int_equal(molt_boot_verdict(result.state), MOLT_BOOT_BY_POWER);
    assert_false(state_now().has_failed);
}

static void waking_from_deep_sleep_does_not_count(void **state)
{
    (void)state;
    install(&new);
    reset(MOLT_BOOT_RESET);
    const uint64_t before = flash.count.writes + flash.count.erases;
    for (int i = 0; i < 100; i++)
        reset(MOLT_BOOT_DEEP_SLEEP);
    expect(MOLT_PHASE_TRIAL, &new);
    assert_int_equal(flash.count.writes + flash.count.erases, before);
}

static void a_staged_file_that_changed_since_the_commit_is_refused_before_anything_moves(void **state)
{
    (void)state;
    install(&new);
    flash.bytes[target.off + MOLT_SECTOR + 5000] ^= 1;
    reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_REFUSED, &old);
    assert_int_equal(flash.count.erases, 1); /* for the record */
}

static void a_sketch_that_was_replaced_over_the_wire_since_the_commit_is_left_alone(void **state)
{
    (void)state;
    install(&new);
    struct rig_blob other = sketch((uint32_t)old.len, 77);
    sim_flash_program(&flash, 0, other.data, (uint32_t)other.len);
    reset(MOLT_BOOT_POWER_ON);
    assert_int_equal(molt_boot_phase(result.state), MOLT_PHASE_REFUSED);
    assert_true(result.started && runs(&other));
    free(other.data);
}

static void when_the_old_image_is_damaged_the_new_one_stays(void **state)
{
    (void)state;
    install(&new);
    reset(MOLT_BOOT_RESET);
    flash.bytes[target.off + 100] ^= 1; /* there the old one lies now */
    for (int i = 0; i < 3; i++)
        reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_STUCK, &new);
    assert_true(state_now().trial_unprotected);
    assert_int_equal(step_all(boot.slots.ops->confirm_step), MOLT_DONE);
    reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_CONFIRMED, &new);
}

static void an_image_that_rots_during_its_trial_goes_back(void **state)
{
    (void)state;
    install(&new);
    reset(MOLT_BOOT_RESET);
    flash.bytes[MOLT_SECTOR + 3000] ^= 1;
    reset(MOLT_BOOT_POWER_ON);
    expect(MOLT_PHASE_ROLLED_BACK, &old);
    assert_int_equal(molt_boot_verdict(result.state), MOLT_BOOT_BY_DAMAGE);
}

static void a_bad_sector_undoes_what_was_moved(void **state)
{
    (void)state;
    install(&new);
    bad_sector = target.off + 2 * MOLT_SECTOR;
    reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_ROLLED_BACK, &old);
    assert_int_equal(molt_boot_verdict(result.state), MOLT_BOOT_BY_DAMAGE);
}

static void a_flash_that_cannot_be_read_starts_nothing(void **state)
{
    (void)state;
    install(&new);
    fail_reads = true;
    reset(MOLT_BOOT_RESET);
    assert_int_equal(result.rc, -MOLT_FLASH_READ);
    assert_false(result.started);
    fail_reads = false;
    reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_TRIAL, &new);
}

static void keep_sectors_that_a_stock_update_overwrote_are_no_record(void **state)
{
    (void)state;
    install(&new);
    reset(MOLT_BOOT_RESET);
    sim_flash_program(&flash, KEEP, old.data, MOLT_BOOT_KEEP_LEN);
    reset(MOLT_BOOT_RESET);
    expect(0, &new);
    install(&old); /* and they can be used again */
    reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_TRIAL, &old);
}

/* ---- the second stage: SHA-256 at install and trial ---- */

/* The polynomial of the CRC: to add it to a message leaves the CRC as it was. */
static void change_what_no_crc_sees(uint32_t off)
{
    static const uint8_t polynomial[] = {0x82, 0x60, 0x8E, 0xDB, 0x80};
    for (unsigned i = 0; i < sizeof polynomial; i++)
        flash.bytes[off + i] ^= polynomial[i];
}

static void a_signed_image_is_checked_against_the_makers_digest(void **state)
{
    (void)state;
    uint32_t len;
    const uint32_t *second = molt_boot_second(&len);
    install_signed(&new);
    const struct molt_boot_record *r = &boot.keep.record;
    assert_true(r->is_signed == 1 && r->second_len == len && r->second_off == KEEP - MOLT_SECTOR);
    assert_memory_equal(r->file_digest, signed_digest, MOLT_SHA256_LEN);
    assert_memory_equal(flash.bytes + r->second_off, second, len);
    reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_TRIAL, &new);
    reset(MOLT_BOOT_POWER_ON);
    expect(MOLT_PHASE_TRIAL, &new);
    begin_slots();
    assert_int_equal(step_all(boot.slots.ops->confirm_step), MOLT_DONE);
    flash.count.erases = 0;
    install_signed(&large);
    assert_int_equal(flash.count.erases, 2); /* the record's sector, and that of the second stage */
    reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_TRIAL, &large);
}

/* The whole way: what the engine was told that the maker signed is what the boot stage compares with. */
static void the_engine_hands_the_makers_digest_to_the_boot_stage(void **state)
{
    (void)state;
    static struct molt_update update;
    uint8_t digest[MOLT_SHA256_LEN];
    sha256(new.data, new.len, digest);
    with_second = true;
    begin_slots();
    const struct molt_job job = {.slots = &boot.slots,
                                 .hash = &molt_bearssl_sha256,
                                 .expect = {.chip = MOLT_CHIP_ESP8266,
                                            .chip_revision = MOLT_REVISION_UNKNOWN,
                                            .flash_size = flash_size},
                                 .encoding = MOLT_RAW,
                                 .file_len = (uint32_t) new.len,
                                 .image_len = (uint32_t) new.len,
                                 .signed_digest = digest};
    assert_int_equal(molt_begin(&update, &job), 0);
    int rc;
    while ((rc = molt_step(&update)) > 0 && rc != MOLT_READY) {
        uint32_t taken;
        if (rc != MOLT_NEED_DATA) continue;
        assert_int_equal(molt_feed(&update, new.data + update.need_offset, update.need_len, &taken), 0);
    }
    assert_int_equal(rc, MOLT_READY);
    assert_int_equal(boot.keep.record.is_signed, 1);
    assert_memory_equal(boot.keep.record.file_digest, digest, sizeof digest);
    reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_TRIAL, &new);
}

static void an_image_that_is_not_what_was_signed_is_refused_before_anything_moves(void **state)
{
    (void)state;
    uint8_t digest[MOLT_SHA256_LEN];
    sha256(new.data, new.len, digest);
    digest[31] ^= 1;
    with_second = true;
    signed_digest = digest;
    install(&new);
    reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_REFUSED, &old);
}

static void a_change_that_the_crc_cannot_see_is_seen(void **state)
{
    (void)state;
    install(&new); /* without the second stage it is not */
    change_what_no_crc_sees(target.off + MOLT_SECTOR + 300);
    reset(MOLT_BOOT_RESET);
    assert_int_equal(molt_boot_phase(result.state), MOLT_PHASE_TRIAL);
    assert_false(runs(&new));

    for (int first_sector = 0; first_sector < 2; first_sector++) {
        close_flash(NULL);
        fresh(NULL);
        install_signed(&new); /* the first sector is covered by the signature only */
        change_what_no_crc_sees(target.off + (first_sector ? 64 : MOLT_SECTOR + 300));
        reset(MOLT_BOOT_RESET);
        expect(MOLT_PHASE_REFUSED, &old);
    }
    close_flash(NULL);
    fresh(NULL);
    install_signed(&new);
    reset(MOLT_BOOT_RESET);
    change_what_no_crc_sees(MOLT_SECTOR + 5000);
    reset(MOLT_BOOT_POWER_ON);
    expect(MOLT_PHASE_ROLLED_BACK, &old);
    assert_int_equal(molt_boot_verdict(result.state), MOLT_BOOT_BY_DAMAGE);
}

static void a_damaged_second_stage_is_never_run_and_installs_nothing(void **state)
{
    (void)state;
    install_signed(&new);
    flash.bytes[KEEP - MOLT_SECTOR + 700] ^= 1;
    reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_REFUSED, &old);
    install_signed(&new); /* it is written again */
    reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_TRIAL, &new);
    flash.bytes[KEEP - MOLT_SECTOR] ^= 1;
    reset(MOLT_BOOT_POWER_ON); /* what cannot be checked does not stay */
    expect(MOLT_PHASE_ROLLED_BACK, &old);
}

static void a_second_stage_that_cannot_be_written_leaves_the_running_image_alone(void **state)
{
    (void)state;
    with_second = true;
    begin_slots();
    assert_int_equal(boot.slots.ops->target(&boot.slots, (uint32_t) new.len, 0, MOLT_RAW, &target), 0);
    sim_flash_program(&flash, target.off, new.data, (uint32_t) new.len);
    bad_sector = KEEP - MOLT_SECTOR;
    int rc;
    while ((rc = boot.slots.ops->commit_step(&boot.slots, &target, (uint32_t) new.len)) == MOLT_MORE)
        continue;
    assert_int_equal(rc, -MOLT_FLASH_ERASE);
    reset(MOLT_BOOT_RESET);
    expect(0, &old);
}

static void digests_are_taken_at_install_and_trial_and_not_on_every_wake(void **state)
{
    (void)state;
    const uint64_t keep =
        MOLT_BOOT_KEEP_LEN + 4096; /* at most: records, logs, trailer, headers of the sketch */
    reset(MOLT_BOOT_POWER_ON);
    assert_true(flash.count.read_bytes < old.len); /* the loader reads what goes to RAM */
    const uint64_t loader = flash.count.read_bytes;
    install_signed(&new);
    flash.count.read_bytes = 0;
    reset(
        MOLT_BOOT_RESET); /* two SHA-256 and a CRC of the new, a CRC of the old, the copies, then CRC and SHA-256 */
    assert_true(flash.count.read_bytes > 5 * new.len + old.len);
    static const enum molt_boot_cause quiet[] = {MOLT_BOOT_DEEP_SLEEP, MOLT_BOOT_RESET};
    for (unsigned i = 0; i < 2; i++) {
        flash.count.read_bytes = 0;
        reset(quiet[i]);
        assert_true(flash.count.read_bytes <= loader + keep);
    }
    flash.count.read_bytes = 0;
    reset(MOLT_BOOT_POWER_ON); /* a power cut may have damaged it: once again */
    assert_true(flash.count.read_bytes > 2 * (new.len - MOLT_SECTOR));
    begin_slots();
    assert_int_equal(step_all(boot.slots.ops->confirm_step), MOLT_DONE);
    for (enum molt_boot_cause cause = MOLT_BOOT_POWER_ON; cause <= MOLT_BOOT_RESET; cause++) {
        flash.count.read_bytes = flash.count.writes = flash.count.erases = 0;
        reset(cause);
        assert_true(flash.count.read_bytes <= loader + keep);
        assert_int_equal(flash.count.writes + flash.count.erases, 0);
    }
    expect(MOLT_PHASE_CONFIRMED, &new);
}

/* ---- space ---- */

static void everything_that_fits_beside_the_sketch_is_taken_and_nothing_more(void **state)
{
    (void)state;
    begin_slots();
    const uint32_t current = molt_round_up((uint32_t)old.len, MOLT_SECTOR), room = KEEP - current;
    assert_int_equal(boot.slots.ops->room(&boot.slots), room);
    assert_int_equal(boot.slots.ops->target(&boot.slots, room, 0, MOLT_RAW, &target), 0);
    assert_int_equal(target.off, current);
    assert_int_equal(boot.slots.ops->target(&boot.slots, room + 1, 0, MOLT_RAW, &target), -MOLT_NO_SPACE);
    assert_int_equal(boot.slots.ops->target(&boot.slots, 5000, room + 1, MOLT_GZIP, &target), -MOLT_NO_SPACE);
    assert_int_equal(boot.slots.ops->target(&boot.slots, 5000, 0, MOLT_GZIP, &target), 0);
    assert_true(target.off == current && target.cap == room && !target.keep_encoded);
    boot.second = molt_boot_second(&boot.second_len);
    assert_true(boot.second_len > 0 && boot.second_len <= MOLT_SECTOR);
    assert_int_equal(boot.slots.ops->room(&boot.slots), room - MOLT_SECTOR);
    boot.reserved = 2 * MOLT_SECTOR;
    assert_int_equal(boot.slots.ops->room(&boot.slots), room - 3 * MOLT_SECTOR);
    assert_int_equal(boot.slots.ops->target(&boot.slots, room, 0, MOLT_RAW, &target), -MOLT_NO_SPACE);
    assert_true(large.len > KEEP / 2); /* what the other tests call large needs more than half */
}

/* ---- a stock sketch's command ---- */

static void command(uint32_t source, uint32_t dest, uint32_t len, const struct rig_blob *staged)
{
    if (staged != NULL) sim_flash_program(&flash, source, staged->data, (uint32_t)staged->len);
    const struct molt_eboot_command c = {MOLT_EBOOT_COPY_RAW, source, dest, len};
    molt_eboot_command_encode(rtc.bytes, &c);
}

/* Layout 1M64, 304 KB run and 604 KB come: Updater's rule lets it pass, but the copy overlaps its own source. */
static void a_staging_that_overlaps_is_exchanged_for_libmolt_and_refused_to_all_others(void **state)
{
    (void)state;
    struct rig_blob small, big;
    struct molt_esp8266_eboot eboot;
    close_flash(NULL);
    fs_start = 0xEB000;
    flash_size = 0x100000;
    small = sketch(304u << 10, 8);
    big = sketch(604u << 10, 9);
    const uint32_t source = fs_start - molt_round_up((uint32_t)big.len, MOLT_SECTOR);
    assert_true(source > molt_round_up((uint32_t)small.len, MOLT_SECTOR)); /* the rule is kept */
    assert_true(source < big.len);                                         /* and it overlaps */

    assert_int_equal(sim_flash_open(&flash, &(struct sim_flash_config){.size = flash_size}), 0);
    sim_flash_program(&flash, 0, small.data, (uint32_t)small.len);
    const struct molt_rtc port = sim_rtc_port(&rtc);
    molt_esp8266_eboot_begin(&eboot, &flash.port, &molt_bearssl_sha256, &port, fs_start, false);
    assert_int_equal(eboot.slots.ops->target(&eboot.slots, (uint32_t)big.len, 0, MOLT_RAW, &target),
                     -MOLT_NO_SPACE);
    command(source, 0, (uint32_t)big.len, &big);
    reset(MOLT_BOOT_RESET);
    assert_true(result.started && runs(&small));

    install_signed(&big);
    reset(MOLT_BOOT_RESET);
    assert_int_equal(molt_boot_phase(result.state), MOLT_PHASE_TRIAL);
    assert_true(runs(&big));
    for (unsigned i = 0; i < MOLT_BOOT_TRIES; i++)
        reset(MOLT_BOOT_RESET);
    assert_int_equal(molt_boot_phase(result.state), MOLT_PHASE_ROLLED_BACK);
    assert_true(runs(&small));

    install_signed(&big); /* and once more, for good; then back to the smaller one as an update */
    reset(MOLT_BOOT_RESET);
    begin_slots();
    assert_int_equal(step_all(boot.slots.ops->confirm_step), MOLT_DONE);
    install_signed(&small);
    reset(MOLT_BOOT_RESET);
    assert_int_equal(molt_boot_phase(result.state), MOLT_PHASE_TRIAL);
    assert_true(runs(&small));
    free(small.data);
    free(big.data);
    fs_start = 0x20000;
    flash_size = 0x80000;
}

static void a_stock_copy_installs_for_good_and_leaves_sector_0_alone(void **state)
{
    (void)state;
    struct rig_blob plain = rig_image(MOLT_CHIP_ESP8266, 0x5000, 5, 512u << 10);
    const uint32_t source = fs_start - molt_round_up((uint32_t)plain.len, MOLT_SECTOR);
    command(source, 0, (uint32_t)plain.len, &plain);
    reset(MOLT_BOOT_RESET);
    expect(0, &plain);
    assert_int_equal(rtc.bytes[0], 0);
    reset(MOLT_BOOT_RESET);
    expect(0, &plain);
    free(plain.data);
}

static void a_stock_copy_in_a_trial_ends_the_trial(void **state)
{
    (void)state;
    install(&new);
    reset(MOLT_BOOT_RESET);
    command(0x40000, 0, (uint32_t)large.len, &large);
    reset(MOLT_BOOT_RESET);
    assert_true(runs(&large));
    for (int i = 0; i < 5; i++)
        reset(MOLT_BOOT_RESET);
    expect(MOLT_PHASE_CONFIRMED, &large);
}

static void what_eboot_would_break_is_refused(void **state)
{
    (void)state;
    struct rig_blob gz = rig_gzip(&new, 12);
    const uint32_t overlap = molt_round_up((uint32_t)old.len, MOLT_SECTOR);
    static const struct molt_eboot_command bad[] = {
        {MOLT_EBOOT_COPY_RAW, 0x10001, 0, 0x5000},     {MOLT_EBOOT_COPY_RAW, 0x10000, 1, 0x5000},
        {MOLT_EBOOT_COPY_RAW, 0x10000, 0, 0},          {MOLT_EBOOT_COPY_RAW, 0x7F000, 0, 0x5000},
        {MOLT_EBOOT_COPY_RAW, 0xFFFFF000, 0, 0x5000},  {MOLT_EBOOT_COPY_RAW, 0x10000, 0xFFFFF000, 0x5000},
        {MOLT_EBOOT_COPY_RAW, 0x10000, 0, 0xFFFFFFFF}, {7, 0x10000, 0, 0x5000},
        {MOLT_EBOOT_COPY_RAW, 0, 0, 0x5000},
    };
    command(overlap, 0, overlap + 1, &large); /* a second pass would find its source overwritten */
    reset(MOLT_BOOT_RESET);
    expect(0, &old);
    command(0x10000, 0, (uint32_t)gz.len, &gz);
    reset(MOLT_BOOT_RESET);
    expect(0, &old);
    command(0x10000, 0, 0x5000, NULL); /* 0xFF is no image */
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        molt_eboot_command_encode(rtc.bytes, &bad[i]);
        reset(MOLT_BOOT_RESET);
        expect(0, &old);
    }
    free(gz.data);
}

static void only_a_command_that_says_so_replaces_the_boot_stage(void **state)
{
    (void)state;
    struct rig_blob plain = rig_image(MOLT_CHIP_ESP8266, 0x5000, 5, 512u << 10);
    struct sim_eboot_result eboot;
    command(0x40000, 0, (uint32_t)plain.len, &plain);
    molt_store32le(rtc.bytes + 20, MOLT_BOOT_REPLACE_0);
    molt_store32le(rtc.bytes + 24, MOLT_BOOT_REPLACE_1);
    molt_store32le(rtc.bytes + 124, molt_crc32_msb(MOLT_CRC_MSB_INIT, rtc.bytes, 124));
    reset(MOLT_BOOT_RESET);
    assert_true(result.started);
    assert_memory_equal(flash.bytes, plain.data, plain.len);
    assert_false(sim_molt_boot_is_there(&flash.port));
    sim_eboot_run(&flash.port, &rtc, &eboot); /* eboot starts it, and can bring molt-boot again */
    assert_true(eboot.started && !eboot.had_command);
    command(0x40000, 0, (uint32_t) new.len, &new);
    sim_eboot_run(&flash.port, &rtc, &eboot);
    assert_int_equal(eboot.copy, SIM_EBOOT_COPIED);
    assert_true(sim_molt_boot_is_there(&flash.port));
    reset(MOLT_BOOT_RESET);
    assert_true(result.started && runs(&new));
    free(plain.data);
}

/* The one window that cannot be avoided: while eboot brings molt-boot, its own sector is erased and written. */
static void eboot_is_without_a_boot_stage_for_one_erase_and_one_write(void **state)
{
    (void)state;
    struct rig_blob plain = rig_image(MOLT_CHIP_ESP8266, 0x5000, 5, 512u << 10);
    volatile unsigned without = 0;
    for (volatile unsigned n = 1; n < 1000; n++) {
        struct sim_eboot_result eboot;
        sim_flash_program(&flash, 0, plain.data, (uint32_t)plain.len);
        command(0x40000, 0, (uint32_t) new.len, &new);
        cut.countdown = n;
        cut.tear = SIM_TEAR_NOISY;
        if (setjmp(cut.out) == 0) {
            sim_eboot_run(&flash.port, &rtc, &eboot);
            break;
        }
        cut.countdown = 0;
        without += memcmp(flash.bytes, plain.data, MOLT_SECTOR) != 0 &&
                   memcmp(flash.bytes, new.data, MOLT_SECTOR) != 0;
    }
    cut.countdown = 0;
    assert_int_equal(without, 2);
    free(plain.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(without_a_record_the_sketch_starts_and_nothing_is_written),
        ROW(a_committed_image_goes_on_trial_and_stays_when_confirmed),
        ROW(boots_without_a_confirm_end_in_the_old_image_and_the_new_one_is_remembered),
        ROW(a_rejected_image_goes_back_at_once),
        ROW(power_cuts_in_a_trial_are_counted_apart_and_say_nothing_of_the_image),
        ROW(waking_from_deep_sleep_does_not_count),
        ROW(a_staged_file_that_changed_since_the_commit_is_refused_before_anything_moves),
        ROW(a_sketch_that_was_replaced_over_the_wire_since_the_commit_is_left_alone),
        ROW(when_the_old_image_is_damaged_the_new_one_stays),
        ROW(an_image_that_rots_during_its_trial_goes_back),
        ROW(a_bad_sector_undoes_what_was_moved),
        ROW(a_flash_that_cannot_be_read_starts_nothing),
        ROW(keep_sectors_that_a_stock_update_overwrote_are_no_record),
        ROW(a_signed_image_is_checked_against_the_makers_digest),
        ROW(the_engine_hands_the_makers_digest_to_the_boot_stage),
        ROW(an_image_that_is_not_what_was_signed_is_refused_before_anything_moves),
        ROW(a_change_that_the_crc_cannot_see_is_seen),
        ROW(a_damaged_second_stage_is_never_run_and_installs_nothing),
        ROW(a_second_stage_that_cannot_be_written_leaves_the_running_image_alone),
        ROW(digests_are_taken_at_install_and_trial_and_not_on_every_wake),
        ROW(everything_that_fits_beside_the_sketch_is_taken_and_nothing_more),
        ROW(a_staging_that_overlaps_is_exchanged_for_libmolt_and_refused_to_all_others),
        ROW(a_stock_copy_installs_for_good_and_leaves_sector_0_alone),
        ROW(a_stock_copy_in_a_trial_ends_the_trial),
        ROW(what_eboot_would_break_is_refused),
        ROW(only_a_command_that_says_so_replaces_the_boot_stage),
        ROW(eboot_is_without_a_boot_stage_for_one_erase_and_one_write),
    };
    return cmocka_run_group_tests(tests, build_all, free_all);
}
