/* update_test.c - whole updates on virtual chips: what comes is checked, stored, read back, booted; whatever goes
 * wrong on the way leaves the old firmware running. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "chip_rig.h"
#include "host/image_build.h"
#include "ports/bearssl.h"

struct blob {
    uint8_t *data;
    size_t len;
};

static struct blob old8266, new8266, new8266_gz, old32, new32, new32_gz, big8266, big8266_gz, big32, big32_gz;
static struct rig rig;

static struct blob build(enum molt_chip chip, uint32_t size, uint32_t seed, uint32_t flash_size)
{
    struct blob b = {NULL, 0};
    const struct image_build spec = {.chip = chip,
                                     .size = size,
                                     .seed = seed,
                                     .flash_size = flash_size,
                                     .flash_mode = 2,
                                     .version = "2.0.0"};
    if (image_build(&spec, &b.data, &b.len) != 0) abort();
    return b;
}

static struct blob gzip(const struct blob *in, int window_bits)
{
    z_stream z = {0};
    size_t cap = in->len + 1024;
    struct blob out = {malloc(cap), 0};
    if (out.data == NULL) abort();
    if (deflateInit2(&z, 9, Z_DEFLATED, window_bits + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK) abort();
    z.next_in = in->data;
    z.avail_in = (uInt)in->len;
    z.next_out = out.data;
    z.avail_out = (uInt)cap;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END) abort();
    out.len = z.total_out;
    deflateEnd(&z);
    return out;
}

static int build_all(void **state)
{
    (void)state;
    old8266 = build(MOLT_CHIP_ESP8266, 0x6040, 1, 512u << 10);
    new8266 = build(MOLT_CHIP_ESP8266, 0x7130, 2, 512u << 10);
    old32 = build(MOLT_CHIP_ESP32, 0x6040, 1, 4u << 20);
    new32 = build(MOLT_CHIP_ESP32, 0x7130, 2, 4u << 20);
    big8266 = build(MOLT_CHIP_ESP8266, 240000, 3, 512u << 10);
    big32 = build(MOLT_CHIP_ESP32, 600000, 3, 4u << 20);
    new8266_gz = gzip(&new8266, 15);
    new32_gz = gzip(&new32, 15);
    big8266_gz = gzip(&big8266, 12);
    big32_gz = gzip(&big32, 12);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    struct blob *all[] = {&old8266,  &new8266, &new8266_gz, &old32, &new32,
                          &new32_gz, &big8266, &big8266_gz, &big32, &big32_gz};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]->data);
    return 0;
}

/* The two chips of most tests, each with its old image, new image and new image compressed. */
static const struct setup {
    const char *layout;
    const struct blob *old, *new, *new_gz, *other_chip;
} setups[] = {
    {"512K", &old8266, &new8266, &new8266_gz, &new32},
    {"esp32-4M", &old32, &new32, &new32_gz, &new8266},
};
#define SETUPS 2

static void start(const struct setup *s)
{
    rig_open(&rig, sim_layout_find(s->layout), MOLT_CHIP_ESP32, 4);
    rig_factory(&rig, s->old->data, s->old->len);
    assert_true(rig_runs(&rig, s->old->data, s->old->len));
}

static struct rig_file raw_file(const struct blob *b)
{
    return (struct rig_file){.data = b->data, .len = (uint32_t)b->len, .encoding = MOLT_RAW};
}

static struct rig_file gz_file(const struct blob *gz, const struct blob *image)
{
    return (struct rig_file){.data = gz->data,
                             .len = (uint32_t)gz->len,
                             .image_len = image == NULL ? 0 : (uint32_t)image->len,
                             .encoding = MOLT_GZIP};
}

static void sha256(const uint8_t *data, size_t len, uint8_t digest[32])
{
    struct molt_hash hash = {.ops = &molt_bearssl_sha256};
    hash.ops->init(&hash.state);
    hash.ops->update(&hash.state, data, len);
    hash.ops->finish(&hash.state, digest);
}

/* The update ended with `want`, and after a reset the old image runs as if nothing had been. */
static void expect_refused(const struct setup *s, int rc, int want)
{
    assert_int_equal(rc, want);
    assert_int_equal(molt_step(&rig.update), -MOLT_STATE);
    rig_reset(&rig);
    assert_true(rig_runs(&rig, s->old->data, s->old->len));
}

/* ---- updates that succeed ---- */

static void an_update_boots_the_new_image_byte_for_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETUPS; i++) {
        const struct setup *s = &setups[i];
        for (int packed = 0; packed < 2; packed++) {
            struct rig_file file = packed ? gz_file(s->new_gz, s->new) : raw_file(s->new);
            uint8_t digest[32];
            sha256(file.data, file.len, digest);
            file.digest = digest;
            start(s);
            assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
            assert_int_equal(molt_step(&rig.update), MOLT_READY);
            assert_int_equal(rig.update.received, file.len);
            assert_int_equal(rig.update.image.info.len, s->new->len);
            rig_reset(&rig);
            assert_true(rig_runs(&rig, s->new->data, s->new->len));
            assert_int_equal(rig.flash.count.violations, 0);
            rig_close(&rig);
        }
    }
}

static void every_layout_takes_raw_and_gzip(void **state)
{
    (void)state;
    const struct sim_layout *layout;
    for (size_t i = 0; (layout = sim_layout_at(i)) != NULL; i++) {
        const struct blob *old = layout->is_esp32 ? &old32 : &old8266;
        const struct blob *new = layout->is_esp32 ? &big32 : &big8266;
        const struct blob *new_gz = layout->is_esp32 ? &big32_gz : &big8266_gz;
        for (int packed = 0; packed < 2; packed++) {
            const struct rig_file file = packed ? gz_file(new_gz, new) : raw_file(new);
            rig_open(&rig, layout, MOLT_CHIP_ESP32, 4);
            rig_factory(&rig, old->data, old->len);
            assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
            rig_reset(&rig);
            assert_true(rig_runs(&rig, new->data, new->len));
            rig_close(&rig);
        }
    }
}

static void pieces_and_write_units_do_not_matter(void **state)
{
    (void)state;
    static const uint32_t pieces[] = {1, 3, 127, 128, 511, 512, 5000};
    static const uint32_t units[] = {1, 4, 16, 32};
    for (size_t i = 0; i < SETUPS; i++) {
        const struct setup *s = &setups[i];
        for (size_t k = 0; k < 7 * 2; k++) {
            const struct rig_file file = k & 1 ? gz_file(s->new_gz, NULL) : raw_file(s->new);
            rig_open(&rig, sim_layout_find(s->layout), MOLT_CHIP_ESP32, units[k / 2 % 4]);
            rig_factory(&rig, s->old->data, s->old->len);
            assert_int_equal(rig_update(&rig, &file, pieces[k / 2]), MOLT_READY);
            rig_reset(&rig);
            assert_true(rig_runs(&rig, s->new->data, s->new->len));
            rig_close(&rig);
        }
    }
}

static void the_largest_aligned_erases_are_used_and_blank_sectors_are_left(void **state)
{
    (void)state;
    uint8_t dirt[0x1000];
    memset(dirt, 0x55, sizeof dirt);
    const struct rig_file file = raw_file(&big32); /* 147 sectors: nine of 64 KB, then three of 4 KB */
    start(&setups[1]);
    assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
    assert_int_equal(rig.flash.count.erases, 1); /* only otadata's */
    rig_close(&rig);

    start(&setups[1]);
    for (uint32_t off = 0; off < 0x140000; off += 0x1000) {
        sim_flash_program(&rig.flash, 0x150000 + off, dirt, sizeof dirt);
    }
    assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
    assert_int_equal(rig.flash.count.erases, 9 + 3 + 1);
    assert_int_equal(rig.flash.count.erased_bytes, 147 * 0x1000 + 0x1000);
    assert_int_equal(rig.flash.bytes[0x150000 + 147 * 0x1000], 0x55);
    rig_close(&rig);
}

static void the_esp8266_keeps_its_own_header_bytes(void **state)
{
    (void)state;
    struct blob patched = {malloc(old8266.len), old8266.len};
    assert_non_null(patched.data);
    memcpy(patched.data, old8266.data, old8266.len);
    patched.data[2] = 3; /* a tool flashed it as DOUT, 80 MHz */
    patched.data[3] = 0x0F;
    rig_open(&rig, sim_layout_find("512K"), MOLT_CHIP_ESP8266, 4);
    rig_factory(&rig, patched.data, patched.len);
    const struct rig_file file = raw_file(&new8266);
    assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
    assert_int_equal(rig.flash.bytes[rig.update.target.off + 2], 3);
    rig_reset(&rig);
    assert_true(rig_runs(&rig, new8266.data, new8266.len));
    assert_int_equal(rig.flash.bytes[2], 3);
    assert_int_equal(rig.flash.bytes[3], 0x0F);
    rig_close(&rig);
    free(patched.data);
}

static void one_update_after_the_other_alternates_the_slots(void **state)
{
    (void)state;
    const struct blob *images[] = {&new32, &old32, &new32, &old32};
    start(&setups[1]);
    for (size_t i = 0; i < 4; i++) {
        const struct rig_file file = raw_file(images[i]);
        assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
        rig_reset(&rig);
        assert_true(rig_runs(&rig, images[i]->data, images[i]->len));
        assert_int_equal(rig.esp32_result.index, (i + 1) % 2);
        assert_int_equal(rig_update(&rig, &file, 0), -MOLT_TRIAL_PENDING);
        assert_int_equal(rig_run(&rig, rig.slots->ops->confirm_step), MOLT_DONE);
    }
    rig_close(&rig);
}

static void every_chip_of_the_esp32_family_updates(void **state)
{
    (void)state;
    static const enum molt_chip chips[] = {MOLT_CHIP_ESP32S2, MOLT_CHIP_ESP32C3, MOLT_CHIP_ESP32S3,
                                           MOLT_CHIP_ESP32C6, MOLT_CHIP_ESP32H2, MOLT_CHIP_ESP32P4,
                                           MOLT_CHIP_ESP32C2};
    for (size_t i = 0; i < sizeof chips / sizeof chips[0]; i++) {
        struct blob a = build(chips[i], 0x6000, 1, 4u << 20), b = build(chips[i], 0x7000, 2, 4u << 20);
        const struct rig_file file = raw_file(&b), wrong = raw_file(&new32);
        rig_open(&rig, sim_layout_find("esp32-4M"), chips[i], 16);
        rig_factory(&rig, a.data, a.len);
        assert_int_equal(rig_update(&rig, &wrong, 0), -MOLT_WRONG_CHIP);
        assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
        rig_reset(&rig);
        assert_true(rig_runs(&rig, b.data, b.len));
        rig_close(&rig);
        free(a.data);
        free(b.data);
    }
}

/* ---- what must be refused ---- */

static void the_wrong_chip_and_other_files_are_refused_before_any_erase(void **state)
{
    (void)state;
    static const char html[] = "<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>"
                               "............................................................"
                               "............................................................"
                               "............................................................"
                               "............................................................"
                               "............................................................</body></html>";
    struct blob text = {(uint8_t *)(uintptr_t)html, sizeof html};
    struct blob text_gz = gzip(&text, 15);
    for (size_t i = 0; i < SETUPS; i++) {
        const struct setup *s = &setups[i];
        struct blob other_gz = gzip(s->other_chip, 15);
        const struct {
            struct rig_file file;
            int want;
        } rows[] = {
            {raw_file(s->other_chip), -MOLT_WRONG_CHIP}, {gz_file(&other_gz, NULL), -MOLT_WRONG_CHIP},
            {raw_file(&text), -MOLT_IMAGE_TEXT},         {gz_file(&text_gz, NULL), -MOLT_IMAGE_TEXT},
            {raw_file(s->new_gz), -MOLT_IMAGE_UNKNOWN}, /* gzip announced as raw */
            {gz_file(s->new, NULL), -MOLT_BAD_GZIP},    /* and the other way */
        };
        for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
            start(s);
            sim_flash_program(&rig.flash, 0x50000, html, sizeof html); /* not everything is blank */
            expect_refused(s, rig_update(&rig, &rows[k].file, 0), rows[k].want);
            assert_int_equal(rig.flash.count.erases + rig.flash.count.writes, 0);
            rig_close(&rig);
        }
        free(other_gz.data);
    }
    free(text_gz.data);
}

static void a_flipped_bit_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETUPS; i++) {
        const struct setup *s = &setups[i];
        struct blob bad = {malloc(s->new->len), s->new->len};
        assert_non_null(bad.data);
        for (size_t at = 0; at < bad.len; at = at < 40 || at >= bad.len - 34 ? at + 1 : at + 331) {
            memcpy(bad.data, s->new->data, bad.len);
            bad.data[at] ^= (uint8_t)(1u << (at % 8));
            const struct rig_file file = raw_file(&bad);
            start(s);
            int rc = rig_update(&rig, &file, 0);
            assert_true(rc < 0);
            expect_refused(s, rc, rc);
            rig_close(&rig);
        }
        free(bad.data);
    }
}

static void a_flipped_bit_in_a_gzip_file_is_refused_by_its_digest(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETUPS; i++) {
        const struct setup *s = &setups[i];
        struct blob bad = {malloc(s->new_gz->len), s->new_gz->len};
        uint8_t digest[32];
        assert_non_null(bad.data);
        sha256(s->new_gz->data, s->new_gz->len, digest);
        for (size_t at = 0; at < bad.len; at = at < 20 || at >= bad.len - 9 ? at + 1 : at + 211) {
            memcpy(bad.data, s->new_gz->data, bad.len);
            bad.data[at] ^= (uint8_t)(1u << (at % 8));
            struct rig_file file = gz_file(&bad, s->new);
            file.digest = digest;
            start(s);
            int rc = rig_update(&rig, &file, 0);
            assert_true(rc < 0);
            expect_refused(s, rc, rc);
            rig_close(&rig);
        }
        free(bad.data);
    }
}

static void short_and_long_files_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETUPS; i++) {
        const struct setup *s = &setups[i];
        struct blob longer = {calloc(1, s->new->len + 4096), s->new->len};
        assert_non_null(longer.data);
        memcpy(longer.data, s->new->data, s->new->len);
        static const uint32_t cuts[] = {1, 4, 16, 33, 1000, 0x1000, 0x7000};
        for (size_t k = 0; k < sizeof cuts / sizeof cuts[0]; k++) {
            struct rig_file file = raw_file(&longer);
            file.len -= cuts[k];
            start(s);
            expect_refused(s, rig_update(&rig, &file, 0), -MOLT_IMAGE_TRUNCATED);
            rig_close(&rig);
            file = raw_file(&longer);
            file.len += cuts[k] & 0xFFF ? cuts[k] & 0xFFF : 16;
            start(s);
            expect_refused(s, rig_update(&rig, &file, 0), -MOLT_IMAGE_TRAILING);
            rig_close(&rig);
        }
        memcpy(longer.data, s->new_gz->data, s->new_gz->len);
        memset(longer.data + s->new_gz->len, 0, s->new->len + 4096 - s->new_gz->len);
        struct rig_file file = {.data = longer.data, .encoding = MOLT_GZIP};
        for (int by = -20; by <= 20; by += 5) {
            if (by == 0) continue;
            file.len = (uint32_t)((int)s->new_gz->len + by);
            start(s);
            expect_refused(s, rig_update(&rig, &file, 0), -MOLT_BAD_GZIP);
            rig_close(&rig);
        }
        file = gz_file(s->new_gz, s->new);
        file.image_len += 4;
        start(s);
        expect_refused(s, rig_update(&rig, &file, 0), -MOLT_LENGTH_MISMATCH);
        rig_close(&rig);
        free(longer.data);
    }
}

static void a_file_that_is_not_the_announced_one_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETUPS; i++) {
        const struct setup *s = &setups[i];
        uint8_t digest[32];
        sha256(s->old->data, s->old->len, digest);
        for (int packed = 0; packed < 2; packed++) {
            struct rig_file file = packed ? gz_file(s->new_gz, s->new) : raw_file(s->new);
            file.digest = digest;
            start(s);
            expect_refused(s, rig_update(&rig, &file, 0), -MOLT_DIGEST_MISMATCH);
            rig_close(&rig);
        }
    }
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct blob huge32 = build(MOLT_CHIP_ESP32, 1310720 + 16, 4, 4u << 20);
    struct blob huge32_gz = gzip(&huge32, 15);
    struct rig_file file = raw_file(&huge32);
    start(&setups[1]);
    expect_refused(&setups[1], rig_update(&rig, &file, 0), -MOLT_NO_SPACE);
    file = gz_file(&huge32_gz, &huge32);
    expect_refused(&setups[1], rig_update(&rig, &file, 0), -MOLT_NO_SPACE);
    file = gz_file(&huge32_gz, NULL); /* found out while decoding */
    expect_refused(&setups[1], rig_update(&rig, &file, 0), -MOLT_NO_SPACE);
    rig_close(&rig);
    free(huge32.data);
    free(huge32_gz.data);

    struct blob huge = build(MOLT_CHIP_ESP8266, 430000, 4, 512u << 10);
    struct blob huge_gz = gzip(&huge, 15);
    start(&setups[0]);
    file = raw_file(&huge);
    expect_refused(&setups[0], rig_update(&rig, &file, 0), -MOLT_NO_SPACE);
    file = gz_file(&huge_gz, NULL); /* it would unpack over its own source */
    assert_true(huge.len > 0x7B000 - (huge_gz.len + 4095) / 4096 * 4096);
    expect_refused(&setups[0], rig_update(&rig, &file, 0), -MOLT_NO_SPACE);
    rig_close(&rig);
    free(huge.data);
    free(huge_gz.data);
}

static void a_gzip_head_too_long_to_be_looked_into_is_refused_where_it_is_stored_compressed(void **state)
{
    (void)state;
    struct blob named = {malloc(new8266_gz.len + 600), new8266_gz.len + 600};
    assert_non_null(named.data);
    memcpy(named.data, new8266_gz.data, 10);
    named.data[3] |= 8; /* a file name of 599 letters */
    memset(named.data + 10, 'a', 600);
    named.data[609] = 0;
    memcpy(named.data + 610, new8266_gz.data + 10, new8266_gz.len - 10);
    const struct rig_file file = gz_file(&named, NULL);
    start(&setups[0]);
    expect_refused(&setups[0], rig_update(&rig, &file, 0), -MOLT_BAD_GZIP);
    assert_int_equal(rig.flash.count.erases + rig.flash.count.writes, 0);
    rig_close(&rig);
    free(named.data);
}

static void a_window_smaller_than_the_file_needs_is_refused(void **state)
{
    (void)state;
    const struct molt_job job = {.slots = NULL};
    struct molt_update u;
    assert_int_equal(molt_begin(&u, &job), -MOLT_ARG);
    assert_int_equal(molt_step(&u), -MOLT_STATE);
    start(&setups[1]);
    struct molt_job good = {.slots = rig.slots,
                            .hash = &molt_bearssl_sha256,
                            .encoding = MOLT_GZIP,
                            .file_len = 1000,
                            .window = rig.window,
                            .window_len = 1000};
    assert_int_equal(molt_begin(&u, &good), -MOLT_ARG);
    good.window = NULL;
    assert_int_equal(molt_begin(&u, &good), -MOLT_ARG);
    good = (struct molt_job){.slots = rig.slots, .hash = &molt_bearssl_sha256};
    assert_int_equal(molt_begin(&u, &good), -MOLT_ARG); /* no length */
    rig_close(&rig);
}

static void bytes_that_were_not_asked_for_are_not_taken(void **state)
{
    (void)state;
    uint32_t taken = 77;
    start(&setups[1]);
    const struct molt_job job = {.slots = rig.slots,
                                 .hash = &molt_bearssl_sha256,
                                 .expect = {.chip = MOLT_CHIP_ESP32, .chip_revision = 0},
                                 .file_len = (uint32_t)new32.len};
    struct molt_update *u = &rig.update;
    assert_int_equal(molt_begin(u, &job), 0);
    assert_int_equal(molt_feed(u, new32.data, 10, &taken), -MOLT_STATE);
    assert_int_equal(taken, 0);
    assert_int_equal(molt_step(u), MOLT_NEED_DATA);
    assert_int_equal(u->need_offset, 0);
    assert_int_equal(u->need_len, MOLT_PAGE_LEN);
    assert_int_equal(molt_feed(u, new32.data, 0, &taken), -MOLT_ARG);
    assert_int_equal(molt_feed(u, new32.data, 100, &taken), 0);
    assert_int_equal(molt_feed(u, new32.data + 100, 5000, &taken), 0);
    assert_int_equal(taken, MOLT_PAGE_LEN - 100);
    assert_int_equal(molt_feed(u, new32.data, 10, &taken), -MOLT_STATE);
    rig_close(&rig);
}

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
        const struct rig_file file = i & 1 ? gz_file(s->new_gz, s->new) : raw_file(s->new);
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
        const struct rig_file file = i & 1 ? gz_file(s->new_gz, s->new) : raw_file(s->new);
        static const uint32_t places[] = {0, 2, 3, 100, 511, 512, 0x1010, 0x2000};
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

/* ---- trial ---- */

static void start_trial(bool rollback)
{
    const struct rig_file file = raw_file(&new32);
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
    const struct rig_file file = raw_file(&new32); /* and may be tried again */
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
        cmocka_unit_test(an_update_boots_the_new_image_byte_for_byte),
        cmocka_unit_test(every_layout_takes_raw_and_gzip),
        cmocka_unit_test(pieces_and_write_units_do_not_matter),
        cmocka_unit_test(the_largest_aligned_erases_are_used_and_blank_sectors_are_left),
        cmocka_unit_test(the_esp8266_keeps_its_own_header_bytes),
        cmocka_unit_test(one_update_after_the_other_alternates_the_slots),
        cmocka_unit_test(every_chip_of_the_esp32_family_updates),
        cmocka_unit_test(the_wrong_chip_and_other_files_are_refused_before_any_erase),
        cmocka_unit_test(a_flipped_bit_anywhere_is_refused),
        cmocka_unit_test(a_flipped_bit_in_a_gzip_file_is_refused_by_its_digest),
        cmocka_unit_test(short_and_long_files_are_refused),
        cmocka_unit_test(a_file_that_is_not_the_announced_one_is_refused),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_gzip_head_too_long_to_be_looked_into_is_refused_where_it_is_stored_compressed),
        cmocka_unit_test(a_window_smaller_than_the_file_needs_is_refused),
        cmocka_unit_test(bytes_that_were_not_asked_for_are_not_taken),
        cmocka_unit_test(every_flash_operation_may_fail_and_the_old_image_still_boots),
        cmocka_unit_test(what_does_not_read_back_as_it_came_is_not_committed),
        cmocka_unit_test(a_confirmed_trial_stays),
        cmocka_unit_test(an_unconfirmed_trial_goes_back_at_the_next_reset),
        cmocka_unit_test(a_rejected_trial_goes_back_and_is_remembered),
        cmocka_unit_test(without_bootloader_rollback_the_trial_is_reported_as_unprotected),
    };
    return cmocka_run_group_tests(tests, build_all, free_all);
}
