/* inplace_test.c - a 1 MB ESP8266 whose sketch takes 80 % of what there is below the file system writes a new one over it,
 * with the power cut at every operation, in five ways, and cut again on the way back. How far it got is in molt-boot's
 * keep sectors, written as molt-boot writes it. */
#include "cmocka_all.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <bearssl_hash.h>

#include "host/image_build.h"
#include "host/pack/pack.h"
#include "inplace/inplace.h"
#include "ports/bearssl.h"
#include "sim/flash.h"
#include "slots/boot_record.h"
#include "util/bytes.h"

#define FLASH_LEN (1u << 20)
#define FS_START  0xFB000u                     /* 1 MB without a file system */
#define KEEP_OFF  (FS_START - 2 * MOLT_SECTOR) /* molt-boot's */
#define OWN_KEEP  (KEEP_OFF - 2 * MOLT_SECTOR) /* libmolt's keep store */
#define STAGE_OFF (OWN_KEEP - 4 * MOLT_SECTOR) /* room for the second stage that runs this */
#define RING_OFF  (STAGE_OFF - MOLT_IN_PLACE_RING)

static struct sim_flash flash;
static struct molt_in_place work;
static struct molt_boot_keep keep;
static uint8_t *was, *is, *pack;
static size_t was_len, is_len, pack_len;

static struct {
    jmp_buf out;
    unsigned at, seen;
    enum sim_flash_tear tear;
} cut;

static int cut_hook(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    if (op == SIM_FLASH_READ || ++cut.seen != cut.at) return 0;
    sim_flash_power_up(&flash); /* what an earlier cut left unstable looked right until now */
    sim_flash_cut(&flash, cut.tear, op, off, len, cut.seen);
    longjmp(cut.out, 1);
}

static uint32_t state_of(uint32_t done)
{
    return MOLT_BOOT_STATE(MOLT_PHASE_SWAP, 0, 0, 0, done);
}

static int note(void *ctx, uint32_t done)
{
    (void)ctx;
    return molt_boot_keep_append(&keep, state_of(done));
}

/* What the boot stage does after a reset while an installation is under way. */
static int boot(const struct molt_in_place_job *job)
{
    int rc = molt_boot_keep_open(&keep, &flash.port, KEEP_OFF);
    assert_true(rc == 0 && keep.found);
    if (molt_boot_phase(keep.state) != MOLT_PHASE_SWAP) return 0;
    rc = molt_boot_keep_append(&keep, keep.state); /* what was written last may read otherwise next time */
    if (rc == 0) rc = molt_boot_keep_append(&keep, keep.state);
    if (rc == 0) rc = molt_in_place_run(&work, job, molt_boot_moves(keep.state));
    if (rc == 0) rc = molt_boot_keep_finish(&keep, MOLT_BOOT_STATE(MOLT_PHASE_CONFIRMED, 0, 0, 0, 0));
    return rc;
}

static void build(uint32_t size, const char *code, uint8_t **data, size_t *len)
{
    struct image_build_tag tag = {"code", code};
    struct image_build how = {.chip = MOLT_CHIP_ESP8266,
                              .size = size,
                              .seed = 1,
                              .version = code,
                              .flash_size = FLASH_LEN,
                              .flash_mode = 2,
                              .tags = &tag,
                              .tag_count = 1};
    assert_int_equal(image_build(&how, data, len), 0);
}

/* Two versions; in the second a part has moved, so that the ring is read, and some is new. */
static void make(uint32_t size)
{
    build(size, "1", &was, &was_len);
    build(size, "2", &is, &is_len);
    for (size_t at = size / 4; at + 9000 < size; at++)
        is[at] = was[at < size / 2 ? at - 9000 : at + 9000];
    for (size_t at = 6000; at < size; at += 20011)
        is[at] ^= 0x5A;
    struct pack_job how = {.data = is, .len = is_len, .base = was, .base_len = was_len, .in_place = true};
    assert_int_equal(pack_encode(&how, &pack, &pack_len, NULL), 0);
}

static void drop(void)
{
    free(was);
    free(is);
    free(pack);
}

static void start(struct molt_in_place_job *job, uint32_t pack_off)
{
    struct molt_boot_record record = {.tries = 3, .old_len = (uint32_t)was_len, .new_len = 2 * MOLT_SECTOR};
    record.stage = pack_off;
    br_sha256_context sha;
    assert_int_equal(sim_flash_open(&flash, &(struct sim_flash_config){.size = FLASH_LEN}), 0);
    sim_flash_program(&flash, 0, was, (uint32_t)was_len);
    sim_flash_program(&flash, pack_off, pack, (uint32_t)pack_len);
    assert_int_equal(molt_boot_keep_open(&keep, &flash.port, KEEP_OFF), 0);
    assert_int_equal(molt_boot_keep_erase_other(&keep), 0);
    assert_int_equal(molt_boot_keep_write_record(&keep, &record), 0);
    assert_int_equal(molt_boot_keep_seal(&keep, state_of(0)), 0);
    *job = (struct molt_in_place_job){.flash = &flash.port,
                                      .hash = &molt_bearssl_sha256,
                                      .pack_off = pack_off,
                                      .pack_len = (uint32_t)pack_len,
                                      .ring_off = RING_OFF,
                                      .note = note};
    br_sha256_init(&sha);
    br_sha256_update(&sha, is, is_len);
    br_sha256_out(&sha, job->digest);
}

static bool runs(const uint8_t *image, size_t len)
{
    return memcmp(flash.bytes + MOLT_SECTOR, image + MOLT_SECTOR, len - MOLT_SECTOR) == 0;
}

static uint32_t place_of_pack(void)
{
    uint32_t off = RING_OFF - molt_round_up((uint32_t)pack_len, MOLT_SECTOR);
    assert_true(off >= molt_round_up((uint32_t)(was_len > is_len ? was_len : is_len), MOLT_SECTOR));
    return off;
}

/* One installation, cut at its at-th operation (0: not) and, when again is not 0, once more that many operations into
 * what follows. Returns how many operations there were. */
static unsigned live(unsigned at, enum sim_flash_tear tear, unsigned again)
{
    static struct molt_in_place_job job;
    static unsigned next[2];
    static volatile unsigned lives;
    start(&job, place_of_pack());
    next[0] = at;
    next[1] = again;
    lives = 0;
    flash.hook = cut_hook;
    cut.tear = tear;
    if (setjmp(cut.out) != 0) lives++;
    cut.seen = 0;
    cut.at = lives < 2 ? next[lives] : 0;
    memset(&work, 0xA5, sizeof work); /* RAM keeps nothing */
    assert_int_equal(boot(&job), 0);
    unsigned operations = cut.seen;
    flash.hook = NULL;
    sim_flash_power_up(&flash);
    assert_true(runs(is, is_len));
    assert_int_equal(boot(&job), 0); /* it is over */
    assert_true(runs(is, is_len));
    assert_int_equal(flash.count.violations, 0);
    sim_flash_close(&flash);
    return operations;
}

static void every_cut_is_survived(void **state)
{
    (void)state;
    make(90000);
    unsigned operations = live(0, SIM_TEAR_BEFORE, 0);
    assert_true(operations > 80);
    for (unsigned at = 1; at <= operations; at++) {
        for (int tear = 0; tear < SIM_TEARS; tear++)
            (void)live(at, (enum sim_flash_tear)tear, 0);
    }
    drop();
}

static void two_cuts_are_survived(void **state)
{
    (void)state;
    make(90000);
    unsigned operations = live(0, SIM_TEAR_BEFORE, 0);
    for (unsigned at = 1; at <= operations; at += 5) {
        for (unsigned again = 1; again < 40; again += 2 + at % 5)
            (void)live(at, (enum sim_flash_tear)((at + again) % SIM_TEARS), again);
    }
    drop();
}

static void a_sketch_of_four_fifths_updates_itself(void **state)
{
    (void)state;
    const uint32_t size = FS_START / 5 * 4 / 4 * 4;
    make(size);
    unsigned operations = live(0, SIM_TEAR_BEFORE, 0);
    for (unsigned at = 1; at <= operations; at += operations / 12)
        (void)live(at, (enum sim_flash_tear)(at % SIM_TEARS), 0);
    drop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_is_survived),
        cmocka_unit_test(two_cuts_are_survived),
        cmocka_unit_test(a_sketch_of_four_fifths_updates_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
