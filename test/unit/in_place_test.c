/* in_place_test.c - from a staged pack to the new image in the place of the old: libmolt's slots, molt-boot and its second
 * stage; what is not for this device, or not what the maker signed, changes nothing. */
#include "in_place_rig.h"

#include "util/crc.h"

#define SIZE 90000u

static struct molt_boot_state after_reset(enum molt_boot_phase phase, const struct rig_blob *image)
{
    reset(MOLT_BOOT_RESET);
    expect(phase, image);
    return state_now();
}

static void the_new_image_is_written_over_the_old_one(void **state)
{
    (void)state;
    assert_int_equal(stage_on(&flash, &pack), MOLT_READY);
    assert_true(runs(&old));
    struct molt_boot_state s = after_reset(MOLT_PHASE_WRITTEN, &new);
    assert_true(s.trial_unprotected && !s.on_trial && !s.has_failed && !s.can_roll_back && s.refused == 0);
    assert_int_equal(boot.slots.ops->reject_step(&boot.slots), -MOLT_NO_ROLLBACK);
    assert_int_equal(step_all(boot.slots.ops->confirm_step), MOLT_DONE);
    uint64_t writes = flash.count.writes;
    s = after_reset(MOLT_PHASE_CONFIRMED, &new);
    assert_false(s.trial_unprotected);
    assert_int_equal(flash.count.writes, writes);
}

/* Every frame is sound and the header names what the maker signed; the content is another image. */
static void a_well_framed_pack_with_wrong_content_changes_nothing(void **state)
{
    (void)state;
    struct rig_blob other = sketch((uint32_t) new.len, 5), evil = pack_of(&old, &other, true);
    struct molt_pack *head = malloc(sizeof *head);
    assert_int_equal(pack_head(evil.data, evil.len, head), 0);
    memcpy(evil.data + 24, new_digest, sizeof new_digest);
    molt_store32le(evil.data + head->head_len - 4, molt_crc32_lsb(0, evil.data, head->head_len - 4));
    assert_int_equal(stage_on(&flash, &evil), MOLT_READY); /* libmolt cannot see it */
    uint64_t erases = flash.count.erases;
    struct molt_boot_state s = after_reset(MOLT_PHASE_REFUSED, &old);
    assert_int_equal(s.refused, MOLT_BAD_PACK);
    assert_false(s.trial_unprotected || s.has_failed);
    assert_int_equal(flash.count.erases, erases);
    assert_int_equal(stage_on(&flash, &pack), MOLT_READY); /* and the right one is taken */
    (void)after_reset(MOLT_PHASE_WRITTEN, &new);
    free(head);
    free(evil.data);
    free(other.data);
}

static void a_pack_that_rots_while_it_waits_changes_nothing(void **state)
{
    (void)state;
    for (uint32_t at = 0; at < pack.len; at += 1 + (uint32_t)pack.len / 23) {
        (void)close_flash(NULL);
        (void)fresh(NULL);
        signed_digest = new_digest;
        assert_int_equal(stage_on(&flash, &pack), MOLT_READY);
        begin_slots();
        flash.bytes[boot.keep.record.stage + at] ^= 4;
        assert_int_equal(after_reset(MOLT_PHASE_REFUSED, &old).refused, MOLT_BAD_PACK);
    }
}

static void a_second_stage_that_rots_is_not_started(void **state)
{
    (void)state;
    assert_int_equal(stage_on(&flash, &pack), MOLT_READY);
    begin_slots();
    flash.bytes[boot.keep.record.second_off + 40] ^= 1;
    (void)after_reset(MOLT_PHASE_REFUSED, &old);
}

static void a_base_that_was_replaced_over_the_wire_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(stage_on(&flash, &pack), MOLT_READY);
    struct rig_blob other = sketch((uint32_t)old.len, 77);
    sim_flash_program(&flash, 0, other.data, (uint32_t)other.len);
    reset(MOLT_BOOT_POWER_ON);
    assert_int_equal(molt_boot_phase(result.state), MOLT_PHASE_REFUSED);
    assert_true(result.started && runs(&other));
    free(other.data);
}

static void what_is_not_for_this_device_is_refused_before_a_commit(void **state)
{
    (void)state;
    struct rig_blob other = sketch((uint32_t)old.len + 8, 9), wrong_base = pack_of(&other, &new, true),
                    wrong_image = pack_of(&old, &other, true), plain = pack_of(&old, &new, false);
    assert_int_equal(stage_on(&flash, &wrong_base), -MOLT_PACK_BASE);
    assert_int_equal(stage_on(&flash, &wrong_image), -MOLT_DIGEST_MISMATCH);
    uint64_t erases = flash.count.erases;
    assert_int_equal(stage_on(&flash, &plain), -MOLT_BAD_PACK);
    assert_int_equal(stage_on(&flash, &new), -MOLT_NO_SPACE);
    signed_digest = NULL;
    assert_int_equal(stage_on(&flash, &pack), -MOLT_MANIFEST_MISSING);
    assert_int_equal(flash.count.erases, erases);
    reset(MOLT_BOOT_RESET);
    assert_true(result.started && !result.found && runs(&old));
    free(plain.data);
    free(wrong_image.data);
    free(wrong_base.data);
    free(other.data);
}

/* A second stage of an older firmware, which cannot do it, in a record that asks for it. */
static void a_second_stage_that_only_checks_says_no(void **state)
{
    (void)state;
    assert_int_equal(stage_on(&flash, &pack), MOLT_READY);
    begin_slots();
    struct molt_boot_record record = boot.keep.record;
    uint32_t len;
    const uint32_t *check = molt_boot_second(&len);
    sim_flash_program(&flash, record.second_off, (const uint8_t *)check, len);
    record.second_len = len;
    record.second_crc = molt_crc32_msb(MOLT_CRC_MSB_INIT, check, len);
    assert_int_equal(molt_boot_keep_erase_other(&boot.keep), 0);
    assert_int_equal(molt_boot_keep_write_record(&boot.keep, &record), 0);
    assert_int_equal(molt_boot_keep_seal(&boot.keep, MOLT_BOOT_STATE(MOLT_PHASE_IN_PLACE, 0, 0, 0, 0)), 0);
    (void)after_reset(MOLT_PHASE_REFUSED, &old);
}

static int setup(void **state)
{
    int rc = fresh(state);
    signed_digest = new_digest;
    return rc;
}

static int build_pair(void **state)
{
    (void)state;
    fs_start = 0x3F000;
    make_pair(SIZE);
    return 0;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, close_flash)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_new_image_is_written_over_the_old_one),
        CASE(a_well_framed_pack_with_wrong_content_changes_nothing),
        CASE(a_pack_that_rots_while_it_waits_changes_nothing),
        CASE(a_second_stage_that_rots_is_not_started),
        CASE(a_base_that_was_replaced_over_the_wire_is_left_alone),
        CASE(what_is_not_for_this_device_is_refused_before_a_commit),
        CASE(a_second_stage_that_only_checks_says_no),
    };
    return cmocka_run_group_tests(tests, build_pair, free_pair);
}
