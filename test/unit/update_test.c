/* update_test.c - whole updates on virtual chips: what comes is checked, stored, read back, booted; what
 * must not be installed is refused and leaves the old firmware running. */
#include "update_case.h"

#include "ports/bearssl.h"

static struct rig_blob big8266, big8266_gz, big32, big32_gz;

static int build_big_ones_too(void **state)
{
    big8266 = rig_image(MOLT_CHIP_ESP8266, 240000, 3, 512u << 10);
    big32 = rig_image(MOLT_CHIP_ESP32, 600000, 3, 4u << 20);
    big8266_gz = rig_gzip(&big8266, 12);
    big32_gz = rig_gzip(&big32, 12);
    return build_all(state);
}

static int free_big_ones_too(void **state)
{
    struct rig_blob *all[] = {&big8266, &big8266_gz, &big32, &big32_gz};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]->data);
    return free_all(state);
}

/* ---- updates that succeed ---- */

static void an_update_boots_the_new_image_byte_for_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETUPS; i++) {
        const struct setup *s = &setups[i];
        for (int packed = 0; packed < 2; packed++) {
            struct rig_file file = packed ? rig_gz(s->new_gz, s->new) : rig_raw(s->new);
            uint8_t digest[32];
            rig_sha256(packed ? s->new_gz : s->new, digest);
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
        const struct rig_blob *old = layout->is_esp32 ? &old32 : &old8266;
        const struct rig_blob *new = layout->is_esp32 ? &big32 : &big8266;
        const struct rig_blob *new_gz = layout->is_esp32 ? &big32_gz : &big8266_gz;
        for (int packed = 0; packed < 2; packed++) {
            const struct rig_file file = packed ? rig_gz(new_gz, new) : rig_raw(new);
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
            const struct rig_file file = k & 1 ? rig_gz(s->new_gz, NULL) : rig_raw(s->new);
            rig_open(&rig, sim_layout_find(s->layout), MOLT_CHIP_ESP32, units[k / 2 % 4]);
            rig_factory(&rig, s->old->data, s->old->len);
            assert_int_equal(rig_update(&rig, &file, pieces[k / 2]), MOLT_READY);
            rig_reset(&rig);
            assert_true(rig_runs(&rig, s->new->data, s->new->len));
            rig_close(&rig);
        }
    }
}

/* Blank flash is erased too: a cut erase can read as blank and rot later. */
static void the_largest_aligned_erases_are_used_and_none_behind_the_file(void **state)
{
    (void)state;
    uint8_t dirt[0x1000];
    memset(dirt, 0x55, sizeof dirt);
    const struct rig_file file = rig_raw(&big32); /* 147 sectors: nine of 64 KB, then three of 4 KB */
    for (int dirty = 0; dirty < 2; dirty++) {
        start(&setups[1]);
        for (uint32_t off = 0; dirty && off < 0x140000; off += 0x1000)
            sim_flash_program(&rig.flash, 0x150000 + off, dirt, sizeof dirt);
        assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
        assert_int_equal(rig.flash.count.erases, 9 + 3 + 1);
        assert_int_equal(rig.flash.count.erased_bytes, 147 * 0x1000 + 0x1000);
        assert_int_equal(rig.flash.bytes[0x150000 + 147 * 0x1000], dirty ? 0x55 : 0xFF);
        rig_close(&rig);
    }
}

static void the_esp8266_keeps_its_own_header_bytes(void **state)
{
    (void)state;
    struct rig_blob patched = {malloc(old8266.len), old8266.len};
    assert_non_null(patched.data);
    memcpy(patched.data, old8266.data, old8266.len);
    patched.data[2] = 3; /* a tool flashed it as DOUT, 80 MHz */
    patched.data[3] = 0x0F;
    rig_open(&rig, sim_layout_find("512K"), MOLT_CHIP_ESP8266, 4);
    rig_factory(&rig, patched.data, patched.len);
    const struct rig_file file = rig_raw(&new8266);
    assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
    assert_int_equal(rig.flash.bytes[rig.update.target.off + 2], 3);
    rig_reset(&rig);
    assert_true(rig_runs(&rig, new8266.data, new8266.len));
    assert_int_equal(rig.flash.bytes[2], 3);
    assert_int_equal(rig.flash.bytes[3], 0x0F);
    rig_close(&rig);
    free(patched.data);
}

static void the_esp8266_takes_no_gzip_that_brings_another_flash_mode(void **state)
{
    (void)state;
    const struct rig_file gz = rig_gz(&new8266_gz, &new8266);
    start(&setups[0]);
    uint8_t sector[MOLT_SECTOR];
    memcpy(sector, rig.flash.bytes, sizeof sector);
    sector[2] = 3; /* a DOUT-only board; the image says another */
    assert_int_not_equal(new8266.data[2], 3);
    sim_flash_program(&rig.flash, 0, sector, sizeof sector);
    const uint64_t erases = rig.flash.count.erases;
    assert_int_equal(rig_update(&rig, &gz, 0), -MOLT_FLASH_MODE);
    assert_int_equal(rig.flash.count.erases, erases);
    const struct rig_file raw = rig_raw(&new8266);
    assert_int_equal(rig_update(&rig, &raw, 0), MOLT_READY); /* the raw one is made to fit */
    rig_close(&rig);
}

static void one_update_after_the_other_alternates_the_slots(void **state)
{
    (void)state;
    const struct rig_blob *images[] = {&new32, &old32, &new32, &old32};
    start(&setups[1]);
    for (size_t i = 0; i < 4; i++) {
        const struct rig_file file = rig_raw(images[i]);
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
        struct rig_blob a = rig_image(chips[i], 0x6000, 1, 4u << 20),
                        b = rig_image(chips[i], 0x7000, 2, 4u << 20);
        const struct rig_file file = rig_raw(&b), wrong = rig_raw(&new32);
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
    struct rig_blob text = {(uint8_t *)(uintptr_t)html, sizeof html};
    struct rig_blob text_gz = rig_gzip(&text, 15);
    for (size_t i = 0; i < SETUPS; i++) {
        const struct setup *s = &setups[i];
        struct rig_blob other_gz = rig_gzip(s->other_chip, 15);
        const struct {
            struct rig_file file;
            int want;
        } rows[] = {
            {rig_raw(s->other_chip), -MOLT_WRONG_CHIP}, {rig_gz(&other_gz, NULL), -MOLT_WRONG_CHIP},
            {rig_raw(&text), -MOLT_IMAGE_TEXT},         {rig_gz(&text_gz, NULL), -MOLT_IMAGE_TEXT},
            {rig_raw(s->new_gz), -MOLT_IMAGE_UNKNOWN}, /* gzip announced as raw */
            {rig_gz(s->new, NULL), -MOLT_BAD_GZIP},    /* and the other way */
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
        struct rig_blob bad = {malloc(s->new->len), s->new->len};
        assert_non_null(bad.data);
        for (size_t at = 0; at < bad.len; at = at < 40 || at >= bad.len - 34 ? at + 1 : at + 331) {
            memcpy(bad.data, s->new->data, bad.len);
            bad.data[at] ^= (uint8_t)(1u << (at % 8));
            const struct rig_file file = rig_raw(&bad);
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
        struct rig_blob bad = {malloc(s->new_gz->len), s->new_gz->len};
        uint8_t digest[32];
        assert_non_null(bad.data);
        rig_sha256(s->new_gz, digest);
        for (size_t at = 0; at < bad.len; at = at < 20 || at >= bad.len - 9 ? at + 1 : at + 211) {
            memcpy(bad.data, s->new_gz->data, bad.len);
            bad.data[at] ^= (uint8_t)(1u << (at % 8));
            struct rig_file file = rig_gz(&bad, s->new);
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
        struct rig_blob longer = {calloc(1, s->new->len + 4096), s->new->len};
        assert_non_null(longer.data);
        memcpy(longer.data, s->new->data, s->new->len);
        static const uint32_t cuts[] = {1, 4, 16, 33, 1000, 0x1000, 0x7000};
        for (size_t k = 0; k < sizeof cuts / sizeof cuts[0]; k++) {
            struct rig_file file = rig_raw(&longer);
            file.len -= cuts[k];
            start(s);
            expect_refused(s, rig_update(&rig, &file, 0), -MOLT_IMAGE_TRUNCATED);
            rig_close(&rig);
            file = rig_raw(&longer);
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
        file = rig_gz(s->new_gz, s->new);
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
        rig_sha256(s->old, digest);
        for (int packed = 0; packed < 2; packed++) {
            struct rig_file file = packed ? rig_gz(s->new_gz, s->new) : rig_raw(s->new);
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
    struct rig_blob huge32 = rig_image(MOLT_CHIP_ESP32, 1310720 + 16, 4, 4u << 20);
    struct rig_blob huge32_gz = rig_gzip(&huge32, 15);
    struct rig_file file = rig_raw(&huge32);
    start(&setups[1]);
    expect_refused(&setups[1], rig_update(&rig, &file, 0), -MOLT_NO_SPACE);
    file = rig_gz(&huge32_gz, &huge32);
    expect_refused(&setups[1], rig_update(&rig, &file, 0), -MOLT_NO_SPACE);
    file = rig_gz(&huge32_gz, NULL); /* found out while decoding */
    expect_refused(&setups[1], rig_update(&rig, &file, 0), -MOLT_NO_SPACE);
    rig_close(&rig);
    free(huge32.data);
    free(huge32_gz.data);

    struct rig_blob huge = rig_image(MOLT_CHIP_ESP8266, 430000, 4, 512u << 10);
    struct rig_blob huge_gz = rig_gzip(&huge, 15);
    start(&setups[0]);
    file = rig_raw(&huge);
    expect_refused(&setups[0], rig_update(&rig, &file, 0), -MOLT_NO_SPACE);
    file = rig_gz(&huge_gz, NULL); /* it would unpack over its own source */
    assert_true(huge.len > 0x7B000 - (huge_gz.len + 4095) / 4096 * 4096);
    expect_refused(&setups[0], rig_update(&rig, &file, 0), -MOLT_NO_SPACE);
    rig_close(&rig);
    free(huge.data);
    free(huge_gz.data);
}

static void a_gzip_head_too_long_to_be_looked_into_is_refused_where_it_is_stored_compressed(void **state)
{
    (void)state;
    struct rig_blob named = {malloc(new8266_gz.len + 600), new8266_gz.len + 600};
    assert_non_null(named.data);
    memcpy(named.data, new8266_gz.data, 10);
    named.data[3] |= 8; /* a file name of 599 letters */
    memset(named.data + 10, 'a', 600);
    named.data[609] = 0;
    memcpy(named.data + 610, new8266_gz.data + 10, new8266_gz.len - 10);
    const struct rig_file file = rig_gz(&named, NULL);
    start(&setups[0]);
    expect_refused(&setups[0], rig_update(&rig, &file, 0), -MOLT_BAD_GZIP);
    assert_int_equal(rig.flash.count.erases + rig.flash.count.writes, 0);
    rig_close(&rig);
    free(named.data);
}

static void unsound_jobs_are_refused(void **state)
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
                            .inflate = &rig.inflate,
                            .window = rig.window,
                            .window_len = 1024};
    assert_int_equal(molt_begin(&u, &good), -MOLT_ARG); /* no decoder */
    good.unpacker = &molt_ungzip;
    assert_int_equal(molt_begin(&u, &good), 0);
    good.window_len = 1000;
    assert_int_equal(molt_begin(&u, &good), -MOLT_ARG);
    good.window_len = 1024;
    good.inflate = NULL;
    assert_int_equal(molt_begin(&u, &good), -MOLT_ARG);
    good.inflate = &rig.inflate;
    good.window = NULL;
    assert_int_equal(molt_begin(&u, &good), -MOLT_ARG);
    good = (struct molt_job){.slots = rig.slots, .hash = &molt_bearssl_sha256};
    assert_int_equal(molt_begin(&u, &good), -MOLT_ARG); /* no length */
    rig_close(&rig);
}

static void a_window_smaller_than_the_file_needs_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETUPS; i++) {
        const struct setup *s = &setups[i];
        struct rig_file file = rig_gz(s->new_gz, s->new);
        file.window_len = 256;
        start(s);
        expect_refused(s, rig_update(&rig, &file, 0), -MOLT_GZIP_WINDOW);
        rig_close(&rig);
    }
}

static void what_runs_already_or_failed_before_is_not_installed(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETUPS; i++) {
        const struct setup *s = &setups[i];
        const bool esp32 = i == 1; /* identity: the appended digest, or the digest of the body */
        const struct rig_blob body = {s->new->data + 0x1000, s->new->len - 0x1000};
        const struct rig_blob front = {s->new->data, s->new->len - 32};
        uint8_t identity[32], other[32] = {0};
        rig_sha256(esp32 ? &front : &body, identity);
        for (int packed = 0; packed < 2; packed++) {
            struct rig_file file = packed ? rig_gz(s->new_gz, s->new) : rig_raw(s->new);
            start(s);
            file.running_digest = identity;
            expect_refused(s, rig_update(&rig, &file, 0), -MOLT_SAME_DIGEST);
            file.running_digest = other;
            file.failed_digest = identity;
            expect_refused(s, rig_update(&rig, &file, 0), -MOLT_FAILED_BEFORE);
            file.failed_digest = other;
            assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
            rig_close(&rig);
        }
    }
}

static void the_last_write_unit_is_filled_with_ff(void **state)
{
    (void)state;
    struct rig_blob padded = {malloc(new8266_gz.len + 8), 0};
    assert_non_null(padded.data); /* a comment makes the length one that no write unit divides */
    memcpy(padded.data, new8266_gz.data, 10);
    padded.data[3] |= 16;
    size_t comment = 32 - new8266_gz.len % 32 > 1 ? 2 : 3;
    memcpy(padded.data + 10, "c\0\0", 2);
    if (comment == 3) memcpy(padded.data + 10, "cc\0", 3);
    memcpy(padded.data + 10 + comment, new8266_gz.data + 10, new8266_gz.len - 10);
    padded.len = new8266_gz.len + comment;
    assert_true(padded.len % 32 != 0);
    const struct rig_file file = rig_gz(&padded, &new8266);
    rig_open(&rig, sim_layout_find("512K"), MOLT_CHIP_ESP8266, 32);
    rig_factory(&rig, old8266.data, old8266.len);
    assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
    const uint8_t *stored = rig.flash.bytes + rig.update.target.off;
    assert_memory_equal(stored, padded.data, padded.len);
    for (size_t i = padded.len; i % 4096 != 0; i++)
        assert_int_equal(stored[i], 0xFF);
    rig_reset(&rig);
    assert_true(rig_runs(&rig, new8266.data, new8266.len));
    rig_close(&rig);
    free(padded.data);
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

    start(&setups[1]); /* after a step the question has to be asked again */
    assert_int_equal(molt_begin(u, &job), 0);
    assert_int_equal(molt_step(u), MOLT_NEED_DATA);
    assert_int_equal(molt_feed(u, new32.data, 100, &taken), 0);
    assert_int_equal(molt_step(u), MOLT_MORE);
    assert_int_equal(molt_feed(u, new32.data + 100, 100, &taken), -MOLT_STATE);
    assert_int_equal(molt_step(u), MOLT_NEED_DATA);
    assert_int_equal(u->need_offset, 100);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_update_boots_the_new_image_byte_for_byte),
        cmocka_unit_test(every_layout_takes_raw_and_gzip),
        cmocka_unit_test(pieces_and_write_units_do_not_matter),
        cmocka_unit_test(the_largest_aligned_erases_are_used_and_none_behind_the_file),
        cmocka_unit_test(the_esp8266_keeps_its_own_header_bytes),
        cmocka_unit_test(the_esp8266_takes_no_gzip_that_brings_another_flash_mode),
        cmocka_unit_test(one_update_after_the_other_alternates_the_slots),
        cmocka_unit_test(every_chip_of_the_esp32_family_updates),
        cmocka_unit_test(the_wrong_chip_and_other_files_are_refused_before_any_erase),
        cmocka_unit_test(a_flipped_bit_anywhere_is_refused),
        cmocka_unit_test(a_flipped_bit_in_a_gzip_file_is_refused_by_its_digest),
        cmocka_unit_test(short_and_long_files_are_refused),
        cmocka_unit_test(a_file_that_is_not_the_announced_one_is_refused),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_gzip_head_too_long_to_be_looked_into_is_refused_where_it_is_stored_compressed),
        cmocka_unit_test(unsound_jobs_are_refused),
        cmocka_unit_test(a_window_smaller_than_the_file_needs_is_refused),
        cmocka_unit_test(what_runs_already_or_failed_before_is_not_installed),
        cmocka_unit_test(the_last_write_unit_is_filled_with_ff),
        cmocka_unit_test(bytes_that_were_not_asked_for_are_not_taken),
    };
    return cmocka_run_group_tests(tests, build_big_ones_too, free_big_ones_too);
}
