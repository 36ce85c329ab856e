/* molt_boot_rig.h - a virtual ESP8266 with molt-boot in sector 0 and libmolt's slots for it, at the true sector size;
 * for the tests of molt-boot. One device for each program: all of it is static. */
#ifndef MOLT_TEST_MOLT_BOOT_RIG_H
#define MOLT_TEST_MOLT_BOOT_RIG_H

#include "cmocka_all.h"

#include <setjmp.h>
#include <stdlib.h>

#include "chip_rig.h"
#include "host/molt_boot_image.h"
#include "ports/bearssl.h"
#include "sim/molt_boot.h"
#include "slots/molt_boot.h"
#include "util/bytes.h"

#define KEEP (fs_start - MOLT_BOOT_KEEP_LEN)

static uint32_t fs_start = 0x20000, flash_size = 0x80000;
static struct sim_flash flash;
static struct sim_rtc rtc;
static struct sim_molt_boot_result result;
static struct molt_boot_slots boot;
static struct molt_target target;
static struct rig_blob old, new, large;
static uint32_t bad_sector;          /* erases of it fail; 0: none */
static bool fail_reads, with_second; /* a second stage is linked into the product */
static const uint8_t *signed_digest;

static struct cut {
    jmp_buf out;
    unsigned countdown, seen;
    enum sim_flash_tear tear;
} cut;

static inline int hook(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    if (op == SIM_FLASH_READ) return fail_reads ? -5 : 0;
    if (op == SIM_FLASH_ERASE && bad_sector != 0 && off == bad_sector) return -6;
    cut.seen++;
    if (cut.countdown == 0 || --cut.countdown > 0) return 0;
    sim_flash_cut(&flash, cut.tear, op, off, len, cut.seen);
    longjmp(cut.out, 1);
}

/* ---- the device ---- */

static inline struct rig_blob sketch(uint32_t size, uint32_t seed)
{
    struct rig_blob b = rig_image(MOLT_CHIP_ESP8266, size, seed, flash_size);
    assert_int_equal(molt_boot_image_set(b.data, b.len, fs_start), 0);
    return b;
}

static inline int fresh(void **state)
{
    (void)state;
    bad_sector = 0;
    fail_reads = with_second = false;
    signed_digest = NULL;
    memset(&cut, 0, sizeof cut);
    assert_int_equal(sim_flash_open(&flash, &(struct sim_flash_config){.size = flash_size}), 0);
    flash.hook = hook;
    sim_flash_program(&flash, 0, old.data, (uint32_t)old.len);
    sim_rtc_power_on(&rtc);
    return 0;
}

static inline int close_flash(void **state)
{
    (void)state;
    sim_flash_close(&flash);
    return 0;
}

static inline void reset(enum molt_boot_cause cause)
{
    sim_molt_boot_run(&flash.port, &rtc, cause, &result);
}

static inline void begin_slots(void)
{
    assert_int_equal(molt_boot_slots_begin(&boot, &flash.port, &molt_bearssl_sha256), 0);
    if (with_second) boot.second = molt_boot_second(&boot.second_len);
}

static inline int step_all(int (*step)(struct molt_slots *))
{
    int rc;
    while ((rc = step(&boot.slots)) == MOLT_MORE)
        continue;
    return rc;
}

/* What the engine does once all is stored: ask for the place, and commit. */
static inline void install(const struct rig_blob *image)
{
    begin_slots();
    assert_int_equal(boot.slots.ops->target(&boot.slots, (uint32_t)image->len, 0, MOLT_RAW, &target), 0);
    target.signed_digest = signed_digest;
    sim_flash_program(&flash, target.off, image->data, (uint32_t)image->len);
    int rc;
    while ((rc = boot.slots.ops->commit_step(&boot.slots, &target, (uint32_t)image->len)) == MOLT_MORE)
        continue;
    assert_int_equal(rc, MOLT_DONE);
}

static inline bool runs(const struct rig_blob *image)
{
    return memcmp(flash.bytes + MOLT_SECTOR, image->data + MOLT_SECTOR, image->len - MOLT_SECTOR) == 0;
}

static inline void expect(enum molt_boot_phase phase, const struct rig_blob *image)
{
    assert_int_equal(result.rc, 0);
    assert_true(result.started);
    assert_int_equal(result.found ? molt_boot_phase(result.state) : 0, phase);
    assert_true(runs(image));
    assert_memory_equal(flash.bytes, old.data, MOLT_SECTOR); /* sector 0 is never touched */
}

static inline struct molt_boot_state state_now(void)
{
    struct molt_boot_state s;
    begin_slots();
    assert_int_equal(boot.slots.ops->state(&boot.slots, &s), 0);
    return s;
}

/* ---- the signed update, with the second stage ---- */

static inline void sha256(const uint8_t *data, size_t len, uint8_t digest[MOLT_SHA256_LEN])
{
    struct molt_hash hash = {.ops = &molt_bearssl_sha256};
    hash.ops->init(&hash.state);
    hash.ops->update(&hash.state, data, len);
    hash.ops->finish(&hash.state, digest);
}

static inline void install_signed(const struct rig_blob *image)
{
    static uint8_t digest[MOLT_SHA256_LEN];
    sha256(image->data, image->len, digest);
    with_second = true;
    signed_digest = digest;
    install(image);
}

/* ---- the sketches ---- */

static inline int build_all(void **state)
{
    (void)state;
    const bool is_1m64 = fs_start == 0xEB000;
    old = sketch(is_1m64 ? 304u << 10 : 0x7010, 1);
    new = sketch(0x9420, 2);
    large = sketch(is_1m64 ? 604u << 10 : 0x13000, 3);
    return 0;
}

static inline int free_all(void **state)
{
    (void)state;
    free(old.data);
    free(new.data);
    free(large.data);
    return 0;
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fresh, close_flash)

#endif
