/* pack_test.c - an update that comes as a pack, cut by the power and taken up again: at the frame that what is missing
 * begins in, behind the pack's header. Whole images and deltas, both chips. Usage: powercut-pack [every], which cuts at
 * every operation instead of each thirteenth. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "chip_rig.h"
#include "host/pack/pack.h"

#define FRAME_LOG2 14u

static struct rig rig;
static struct molt_pack decoder;
static struct rig_blob was, is, packed;
static uint8_t was_digest[MOLT_SHA256_LEN], is_digest[MOLT_SHA256_LEN], file_digest[MOLT_SHA256_LEN];

static unsigned step = 13;

static struct {
    jmp_buf out;
    unsigned at, seen;
    enum sim_flash_tear tear;
} cut;

static int cut_hook(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    if (op == SIM_FLASH_READ || ++cut.seen != cut.at) return 0;
    sim_flash_cut(&rig.flash, cut.tear, op, off, len, 1);
    longjmp(cut.out, 1);
}

static void update(void)
{
    const struct rig_file file = {.data = packed.data,
                                  .len = (uint32_t)packed.len,
                                  .image_len = (uint32_t)is.len,
                                  .encoding = MOLT_PACK,
                                  .digest = file_digest,
                                  .image_digest = is_digest,
                                  .running_digest = was_digest};
    struct molt_job job = rig_job(&rig, &file);
    job.pack = &decoder;
    job.unpacker = &molt_unpacker;
    int rc = molt_begin(&rig.update, &job);
    assert_true(rc < 0 || rig.update.can_resume);
    while (rc >= 0 && rc != MOLT_READY) {
        rc = molt_step(&rig.update);
        if (rc != MOLT_NEED_DATA) continue;
        uint32_t taken;
        assert_int_equal(
            molt_feed(&rig.update, packed.data + rig.update.need_offset, rig.update.need_len, &taken), 0);
        rig.fetched += taken;
    }
    assert_int_equal(rc, MOLT_READY);
}

/* One update whose at-th write or erase is cut (0: none), and a second one. Returns how many there were. */
static unsigned cut_at(const char *layout, enum molt_chip chip, unsigned at)
{
    static const enum sim_flash_tear tears[] = {SIM_TEAR_BEFORE, SIM_TEAR_HALF, SIM_TEAR_NOISY,
                                                SIM_TEAR_AFTER, SIM_TEAR_UNSTABLE};
    rig_open(&rig, sim_layout_find(layout), chip, 4);
    rig_factory(&rig, was.data, was.len);
    cut.at = at;
    cut.seen = 0;
    cut.tear = tears[at % SIM_TEARS];
    rig.flash.hook = cut_hook;
    volatile bool was_cut = true;
    if (setjmp(cut.out) == 0) {
        update();
        was_cut = false;
    }
    rig.flash.hook = NULL;
    if (was_cut) {
        rig_power_cycle(&rig);
        assert_true(rig_runs(&rig, was.data, was.len) || rig_runs(&rig, is.data, is.len));
        if (!rig_runs(&rig, is.data, is.len)) update();
        /* a frame, the header with its indexes, and the sector that was not yet whole */
        uint64_t again = rig.fetched > packed.len ? rig.fetched - packed.len : 0;
        assert_in_range(again, 0, decoder.head_len + (1u << FRAME_LOG2) + MOLT_SECTOR);
    }
    rig_reset(&rig);
    assert_true(rig_runs(&rig, is.data, is.len));
    assert_int_equal(rig.flash.count.violations, 0);
    rig_close(&rig);
    return cut.seen;
}

static void cut_now_and_then(const char *layout, enum molt_chip chip, uint32_t size, uint32_t flash_size,
                             bool delta)
{
    bool masked;
    was = rig_image(chip, size, 1, flash_size);
    is = rig_image(chip, size + 3000, 1, flash_size);
    pack_identity(was.data, was.len, was_digest, &masked);
    pack_identity(is.data, is.len, is_digest, &masked);
    struct pack_job job = {.data = is.data, .len = is.len, .frame_log2 = FRAME_LOG2};
    if (delta) {
        job.base = was.data;
        job.base_len = was.len;
    }
    assert_int_equal(pack_encode(&job, &packed.data, &packed.len, NULL), 0);
    rig_sha256(&packed, file_digest);
    unsigned operations = cut_at(layout, chip, 0);
    assert_true(operations > 150);
    for (unsigned at = 1; at <= operations; at += step)
        (void)cut_at(layout, chip, at);
    free(packed.data);
    free(was.data);
    free(is.data);
}

static void a_whole_image_goes_on_at_a_frame(void **state)
{
    (void)state;
    cut_now_and_then("512K", MOLT_CHIP_ESP8266, 90000, 512u << 10, false);
    cut_now_and_then("esp32-4M", MOLT_CHIP_ESP32, 90000, 4u << 20, false);
}

static void a_delta_goes_on_at_a_frame(void **state)
{
    (void)state;
    cut_now_and_then("512K", MOLT_CHIP_ESP8266, 90000, 512u << 10, true);
    cut_now_and_then("esp32-4M", MOLT_CHIP_ESP32, 90000, 4u << 20, true);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "every") == 0) step = 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_image_goes_on_at_a_frame),
        cmocka_unit_test(a_delta_goes_on_at_a_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
