/* inplace_test.c - a delta over its own base on a virtual flash: what was signed is in place afterwards; a pack that is
 * anything else is refused before a single write. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include <bearssl_hash.h>

#include "host/image_build.h"
#include "host/pack/pack.h"
#include "inplace/inplace.h"
#include "ports/bearssl.h"
#include "sim/flash.h"
#include "util/bytes.h"
#include "util/crc.h"

#define FLASH_LEN (1u << 20)
#define RING_OFF  0x80000u
#define PACK_OFF  0x98000u
#define BOOT_BYTE 0xB7 /* what fills sector 0: the boot stage's, not the image's */

struct blob {
    uint8_t *data;
    size_t len;
};

static struct sim_flash flash;
static struct molt_in_place work;
static struct molt_in_place_job job;
static uint32_t noted;

static int note(void *ctx, uint32_t done)
{
    (void)ctx;
    assert_int_equal(done, noted + 1);
    noted = done;
    return 0;
}

static struct blob image(uint32_t size, uint32_t seed, const char *code)
{
    struct blob blob;
    struct image_build_tag tag = {"code", code};
    struct image_build build = {.chip = MOLT_CHIP_ESP8266,
                                .size = size,
                                .seed = seed,
                                .version = code,
                                .flash_size = FLASH_LEN,
                                .flash_mode = 2,
                                .tags = &tag,
                                .tag_count = 1};
    assert_int_equal(image_build(&build, &blob.data, &blob.len), 0);
    return blob;
}

/* The image's second half moved and was changed here and there, so that every kind of reference occurs. */
static struct blob moved(const struct blob *from, uint32_t by)
{
    struct blob blob = image((uint32_t)from->len, 1, "2");
    for (size_t at = from->len / 3; at + by < from->len; at++)
        blob.data[at] = from->data[at + by];
    for (size_t at = 5000; at < blob.len; at += 3001)
        blob.data[at] ^= (uint8_t)at;
    return blob;
}

static struct blob pack_of(const struct blob *base, const struct blob *is)
{
    struct blob pack;
    struct pack_job how = {
        .data = is->data, .len = is->len, .base = base->data, .base_len = base->len, .in_place = true};
    assert_int_equal(pack_encode(&how, &pack.data, &pack.len, NULL), 0);
    return pack;
}

static void sha256(const struct blob *blob, uint8_t digest[32])
{
    br_sha256_context context;
    br_sha256_init(&context);
    br_sha256_update(&context, blob->data, blob->len);
    br_sha256_out(&context, digest);
}

/* A device that runs base under another boot stage, with the pack staged. */
static void start(const struct blob *base, const struct blob *is, const struct blob *pack)
{
    assert_int_equal(sim_flash_open(&flash, &(struct sim_flash_config){.size = FLASH_LEN}), 0);
    sim_flash_program(&flash, 0, base->data, (uint32_t)base->len);
    uint8_t boot[MOLT_SECTOR];
    memset(boot, BOOT_BYTE, sizeof boot);
    sim_flash_program(&flash, 0, boot, sizeof boot);
    sim_flash_program(&flash, PACK_OFF, pack->data, (uint32_t)pack->len);
    job = (struct molt_in_place_job){.flash = &flash.port,
                                     .hash = &molt_bearssl_sha256,
                                     .pack_off = PACK_OFF,
                                     .pack_len = (uint32_t)pack->len,
                                     .ring_off = RING_OFF,
                                     .note = note};
    sha256(is, job.digest);
    noted = 0;
}

static bool runs(const struct blob *is)
{
    return flash.bytes[7] == BOOT_BYTE && flash.bytes[MOLT_SECTOR - 1] == BOOT_BYTE &&
           memcmp(flash.bytes + MOLT_SECTOR, is->data + MOLT_SECTOR, is->len - MOLT_SECTOR) == 0;
}

static void drop(struct blob *a, struct blob *b, struct blob *c)
{
    free(a->data);
    free(b->data);
    free(c->data);
}

static void the_new_image_takes_the_place_of_the_old(void **state)
{
    (void)state;
    static const struct {
        uint32_t len, by;
    } rows[] = {{300000, 0}, {300000, 40}, {300000, 5000}, {300000, 50000}, {262144, 4096}, {60000, 12}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct blob base = image(rows[i].len, 1, "1"), is = moved(&base, rows[i].by),
                    pack = pack_of(&base, &is);
        start(&base, &is, &pack);
        assert_int_equal(molt_in_place_run(&work, &job, 0), 0);
        assert_true(runs(&is));
        assert_int_equal(noted, 2 * ((rows[i].len + MOLT_PACK_REACH - 1) / MOLT_PACK_REACH));
        assert_int_equal(molt_in_place_run(&work, &job, noted), 0); /* once more: there is nothing to do */
        assert_true(runs(&is));
        sim_flash_close(&flash);
        drop(&base, &is, &pack);
    }
}

static void it_may_become_longer_or_shorter(void **state)
{
    (void)state;
    for (int longer = 0; longer < 2; longer++) {
        struct blob base = image(longer ? 200000 : 300000, 1, "1"),
                    is = image(longer ? 300000 : 200000, 1, "2"), pack = pack_of(&base, &is);
        start(&base, &is, &pack);
        assert_int_equal(molt_in_place_run(&work, &job, 0), 0);
        assert_true(runs(&is));
        sim_flash_close(&flash);
        drop(&base, &is, &pack);
    }
}

static void expect_untouched(const struct blob *base, int want)
{
    struct sim_flash_count before = flash.count;
    int rc = molt_in_place_run(&work, &job, 0);
    if (want != 0) assert_int_equal(rc, want);
    assert_true(rc < 0);
    assert_int_equal(flash.count.writes + flash.count.erases, before.writes + before.erases);
    assert_int_equal(noted, 0);
    assert_true(runs(base));
}

static void a_well_framed_pack_with_wrong_content_changes_nothing(void **state)
{
    (void)state;
    struct blob base = image(300000, 1, "1"), is = moved(&base, 40), evil = moved(&base, 5000),
                pack = pack_of(&base, &evil);
    start(&base, &is, &pack); /* signed is another file than the one that the pack gives, without a fault */
    expect_untouched(&base, -MOLT_DIGEST_MISMATCH);
    sha256(&evil, job.digest);
    flash.bytes[200000] ^= 1; /* the pack is right, and the base is another one */
    base.data[200000] ^= 1;
    expect_untouched(&base, 0);
    flash.bytes[200000] ^= 1;
    assert_int_equal(molt_in_place_run(&work, &job, 0), 0);
    sim_flash_close(&flash);
    free(evil.data);
    drop(&base, &is, &pack);
}

static void damage_is_found_before_the_first_write(void **state)
{
    (void)state;
    struct blob base = image(100000, 1, "1"), is = moved(&base, 40), pack = pack_of(&base, &is);
    start(&base, &is, &pack);
    for (uint32_t at = 0; at < pack.len; at += 1 + (uint32_t)pack.len / 61) {
        flash.bytes[PACK_OFF + at] ^= 0x10;
        expect_untouched(&base, 0);
        flash.bytes[PACK_OFF + at] ^= 0x10;
    }
    for (uint32_t len = 0; len < pack.len; len += 1 + (uint32_t)pack.len / 17) {
        job.pack_len = len;
        expect_untouched(&base, -MOLT_BAD_PACK);
    }
    job.pack_len = (uint32_t)pack.len + 1; /* a byte behind its end */
    expect_untouched(&base, -MOLT_BAD_PACK);
    job.pack_len = (uint32_t)pack.len;
    job.ring_off = 0x10000; /* in the image */
    expect_untouched(&base, -MOLT_NO_SPACE);
    job.ring_off = PACK_OFF - MOLT_IN_PLACE_RING + MOLT_SECTOR;
    expect_untouched(&base, -MOLT_NO_SPACE);
    job.ring_off = FLASH_LEN - MOLT_SECTOR;
    expect_untouched(&base, -MOLT_NO_SPACE);
    job.ring_off = RING_OFF + 1;
    expect_untouched(&base, -MOLT_NO_SPACE);
    sim_flash_close(&flash);
    drop(&base, &is, &pack);
}

/* The header's flags with a new CRC: it says that it is made for this. */
static void pretend(struct blob *pack)
{
    struct molt_pack *head = malloc(sizeof *head);
    assert_int_equal(pack_head(pack->data, pack->len, head), 0);
    pack->data[4] |= 8;
    molt_store32le(pack->data + head->head_len - 4, molt_crc32_lsb(0, pack->data, head->head_len - 4));
    free(head);
}

static void a_pack_that_refers_too_far_back_is_refused(void **state)
{
    (void)state;
    struct blob base = image(300000, 1, "1"), is = moved(&base, 40), pack;
    for (size_t at = 100000; at < is.len;
         at++) /* what lies 60000 bytes back in the base, and in the output */
        is.data[at] = at < 200000 ? base.data[at - 60000] : is.data[at - 60000];
    struct pack_job how = {.data = is.data,
                           .len = is.len,
                           .base = base.data,
                           .base_len = base.len,
                           .body_only = true,
                           .frame_log2 = 15};
    assert_int_equal(pack_encode(&how, &pack.data, &pack.len, NULL), 0);
    start(&base, &is, &pack);
    expect_untouched(&base, -MOLT_BAD_PACK); /* it does not even say so */
    sim_flash_close(&flash);
    pretend(&pack);
    start(&base, &is, &pack);
    expect_untouched(&base, -MOLT_BAD_PACK);
    sim_flash_close(&flash);
    free(pack.data);
    how.in_place = true;
    assert_int_equal(pack_encode(&how, &pack.data, &pack.len, NULL), 0);
    start(&base, &is, &pack);
    assert_int_equal(molt_in_place_run(&work, &job, 0), 0);
    assert_true(runs(&is));
    sim_flash_close(&flash);
    drop(&base, &is, &pack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_new_image_takes_the_place_of_the_old),
        cmocka_unit_test(it_may_become_longer_or_shorter),
        cmocka_unit_test(a_well_framed_pack_with_wrong_content_changes_nothing),
        cmocka_unit_test(damage_is_found_before_the_first_write),
        cmocka_unit_test(a_pack_that_refers_too_far_back_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
