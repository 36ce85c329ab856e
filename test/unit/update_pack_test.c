/* update_pack_test.c - updates that come as packs, whole or as deltas against the running image, on virtual chips: the
 * new image boots; a pack for another image, damaged or cut leaves the old one running. */
#include "cmocka_all.h"

#include <stdlib.h>

#include "chip_rig.h"
#include "host/pack/pack.h"

static struct rig rig;
static struct molt_pack decoder;

static const struct setup {
    const char *layout;
    enum molt_chip chip;
    uint32_t size, flash_size;
} setups[] = {
    {"512K", MOLT_CHIP_ESP8266, 90000, 512u << 10},
    {"esp32-4M", MOLT_CHIP_ESP32, 300000, 4u << 20},
};
#define SETUPS 2

/* The new image: the old one with another version, some changed bytes' worth of it. */
struct images {
    struct rig_blob was, is;
    uint8_t was_digest[MOLT_SHA256_LEN];
};

static struct images build(const struct setup *s)
{
    struct images images;
    bool masked;
    images.was = rig_image(s->chip, s->size, 1, s->flash_size);
    images.is = rig_image(s->chip, s->size + 3000, 1, s->flash_size);
    pack_identity(images.was.data, images.was.len, images.was_digest, &masked);
    assert_int_equal(masked, s->chip == MOLT_CHIP_ESP8266);
    return images;
}

static struct rig_blob pack(const struct images *images, bool delta)
{
    struct rig_blob out;
    struct pack_job job = {.data = images->is.data, .len = images->is.len, .frame_log2 = 14};
    if (delta) {
        job.base = images->was.data;
        job.base_len = images->was.len;
    }
    assert_int_equal(pack_encode(&job, &out.data, &out.len, NULL), 0);
    return out;
}

static void start(const struct setup *s, const struct images *images)
{
    rig_open(&rig, sim_layout_find(s->layout), s->chip, 4);
    if (s->chip == MOLT_CHIP_ESP8266) { /* what a serial upload writes there */
        images->was.data[2] ^= 3;
        rig_factory(&rig, images->was.data, images->was.len);
        images->was.data[2] ^= 3;
    } else {
        rig_factory(&rig, images->was.data, images->was.len);
    }
    assert_true(rig.booted);
}

/* Runs the update in pieces; each step does one kind of flash operation, and reads a sector at most. */
static int update(const struct images *images, const struct rig_blob *packed, uint32_t piece)
{
    const struct rig_file file = {.data = packed->data,
                                  .len = (uint32_t)packed->len,
                                  .image_len = (uint32_t)images->is.len,
                                  .encoding = MOLT_PACK,
                                  .running_digest = images->was_digest};
    struct molt_job job = rig_job(&rig, &file);
    job.pack = &decoder;
    job.unpacker = &molt_unpacker;
    int rc = molt_begin(&rig.update, &job);
    while (rc >= 0 && rc != MOLT_READY) {
        struct sim_flash_count before = rig.flash.count;
        rc = molt_step(&rig.update);
        assert_true(rig.flash.count.read_bytes - before.read_bytes <= MOLT_SECTOR);
        assert_true(rig.flash.count.writes + rig.flash.count.erases - before.writes - before.erases <= 1);
        if (rc != MOLT_NEED_DATA) continue;
        uint32_t n = rig.update.need_len < piece ? rig.update.need_len : piece, taken;
        assert_int_equal(molt_feed(&rig.update, packed->data + rig.update.need_offset, n, &taken), 0);
    }
    return rc;
}

static void a_pack_boots_the_new_image_whole_or_as_a_delta(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETUPS; i++) {
        struct images images = build(&setups[i]);
        for (int delta = 0; delta < 2; delta++) {
            struct rig_blob packed = pack(&images, delta != 0);
            if (delta != 0) assert_true(packed.len * 4 < images.is.len);
            start(&setups[i], &images);
            assert_int_equal(update(&images, &packed, delta != 0 ? 1 : 4096), MOLT_READY);
            rig_reset(&rig);
            assert_true(rig_runs(&rig, images.is.data, images.is.len));
            assert_int_equal(rig.flash.count.violations, 0);
            rig_close(&rig);
            free(packed.data);
        }
        free(images.was.data);
        free(images.is.data);
    }
}

static void expect_refused(const struct images *images, const struct rig_blob *packed, int want, bool erases)
{
    uint64_t before = rig.flash.count.erases;
    assert_int_equal(update(images, packed, 4096), want);
    if (!erases) assert_int_equal(rig.flash.count.erases, before);
    rig_reset(&rig);
    assert_true(rig_runs(&rig, images->was.data, images->was.len));
}

static void a_delta_for_another_image_is_refused_before_an_erase(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETUPS; i++) {
        struct images images = build(&setups[i]), other = images;
        struct rig_blob packed = pack(&images, true);
        start(&setups[i], &images);
        other.was_digest[0] ^= 1;
        expect_refused(&other, &packed, -MOLT_PACK_BASE, false);
        rig.flash.bytes[rig.off + 600] ^= 1; /* the name fits, the first sector does not */
        uint64_t before = rig.flash.count.erases;
        assert_int_equal(update(&images, &packed, 4096), -MOLT_PACK_BASE);
        assert_int_equal(rig.flash.count.erases, before);
        rig_close(&rig);
        free(packed.data);
        free(images.was.data);
        free(images.is.data);
    }
}

static void a_damaged_or_cut_pack_leaves_the_old_image_running(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETUPS; i++) {
        struct images images = build(&setups[i]);
        struct rig_blob packed = pack(&images, true);
        start(&setups[i], &images);
        for (size_t at = 0; at < packed.len; at += 1 + packed.len / 23) {
            packed.data[at] ^= 0x10;
            int rc = update(&images, &packed, 4096);
            assert_true(rc < 0 && rc != -MOLT_STATE);
            rig_reset(&rig);
            assert_true(rig_runs(&rig, images.was.data, images.was.len));
            packed.data[at] ^= 0x10;
            struct rig_blob cut = {packed.data, at + 1};
            assert_int_equal(update(&images, &cut, 4096), -MOLT_BAD_PACK);
        }
        struct rig_blob longer = {malloc(packed.len + 1), packed.len + 1};
        memcpy(longer.data, packed.data, packed.len);
        longer.data[packed.len] = 0;
        expect_refused(&images, &longer, -MOLT_BAD_PACK, true);
        free(longer.data);
        rig_close(&rig);
        free(packed.data);
        free(images.was.data);
        free(images.is.data);
    }
}

/* Each byte of a small delta changed, and each of its beginnings: refused, and the old image boots. */
static void no_damaged_byte_and_no_beginning_of_a_pack_does_harm(void **state)
{
    (void)state;
    const struct setup small = {"512K", MOLT_CHIP_ESP8266, 20000, 512u << 10};
    struct images images = build(&small);
    free(images.is.data);
    images.is = rig_image(small.chip, small.size + 64, 1, small.flash_size);
    struct rig_blob packed = pack(&images, true);
    assert_in_range(packed.len, 200, 2000);
    start(&small, &images);
    for (size_t at = 0; at < packed.len; at++) {
        struct rig_blob cut = {packed.data, at > 0 ? at : 1};
        packed.data[at] ^= (uint8_t)(1u << at % 8);
        int rc = update(&images, &packed, 4096);
        assert_true(rc < 0 && rc != -MOLT_STATE);
        packed.data[at] ^= (uint8_t)(1u << at % 8);
        assert_int_equal(update(&images, &cut, 4096), -MOLT_BAD_PACK);
        rig_reset(&rig);
        assert_true(rig_runs(&rig, images.was.data, images.was.len));
    }
    assert_int_equal(update(&images, &packed, 4096), MOLT_READY);
    rig_close(&rig);
    free(packed.data);
    free(images.was.data);
    free(images.is.data);
}

static void a_well_framed_pack_of_a_bad_image_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETUPS; i++) {
        struct images images = build(&setups[i]);
        images.is.data[images.is.len / 2] ^= 1;
        struct rig_blob packed = pack(&images, true);
        start(&setups[i], &images);
        int rc = update(&images, &packed, 4096);
        assert_true(rc == -MOLT_BAD_CRC || rc == -MOLT_BAD_CHECKSUM || rc == -MOLT_BAD_HASH);
        rig_reset(&rig);
        assert_true(rig_runs(&rig, images.was.data, images.was.len));
        rig_close(&rig);
        free(packed.data);
        free(images.was.data);
        free(images.is.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pack_boots_the_new_image_whole_or_as_a_delta),
        cmocka_unit_test(a_delta_for_another_image_is_refused_before_an_erase),
        cmocka_unit_test(a_damaged_or_cut_pack_leaves_the_old_image_running),
        cmocka_unit_test(no_damaged_byte_and_no_beginning_of_a_pack_does_harm),
        cmocka_unit_test(a_well_framed_pack_of_a_bad_image_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
