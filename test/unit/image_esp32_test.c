/* image_esp32_test.c - the verifier's rules, one by one, for the ESP32 family. */
#include "image_case.h"

static int verdict_with_texts(const struct image_case *c, struct molt_image *image,
                              struct molt_image_texts *texts)
{
    memset(texts, 0, sizeof *texts);
    molt_image_begin(image, &expect_nothing, &molt_bearssl_sha256);
    image->texts = texts;
    return case_finish(image, molt_image_feed(image, c->bytes, c->len));
}

static void an_esp32_image_says_what_it_is(void **state)
{
    (void)state;
    struct image_build spec = {.chip = MOLT_CHIP_ESP32C3,
                               .size = 30000,
                               .version = "2.1.0",
                               .project = "lamp",
                               .flash_size = 2u << 20,
                               .flash_mode = 1,
                               .min_revision = 3,
                               .max_revision = 199,
                               .secure_version = 0x01020304};
    struct image_case c = case_build(&spec);
    struct molt_image image;
    struct molt_image_texts texts;
    assert_int_equal(verdict_with_texts(&c, &image, &texts), 0);
    const struct molt_image_info *info = &image.info;
    assert_int_equal(info->chip, MOLT_CHIP_ESP32C3);
    assert_int_equal(info->len, c.len);
    assert_int_equal(info->flash_size, 2u << 20);
    assert_int_equal(info->flash_mode, 1);
    assert_int_equal(info->min_revision, 3);
    assert_int_equal(info->max_revision, 199);
    assert_int_equal(info->secure_version, 0x01020304);
    assert_true(info->has_hash);
    assert_string_equal(texts.version, "2.1.0");
    assert_string_equal(texts.project, "lamp");
    assert_string_equal(texts.build_date, "Oct 25 2017");
    assert_string_equal(texts.build_time, "12:00:00");
    assert_string_equal(texts.idf_version, "v5.5-synthetic");
    assert_memory_equal(info->digest, c.bytes + c.len - MOLT_SHA256_LEN, MOLT_SHA256_LEN);
    free(c.bytes);
}

static void descriptor_texts_come_out_printable_and_ended(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP32S3);
    struct molt_image image;
    struct molt_image_texts texts;
    memset(c.bytes + 0x30, 'v', 32); /* no NUL in the file */
    c.bytes[0x31] = 0x1B;
    c.bytes[0x32] = 0xC3;
    case_mend_esp32(&c);
    assert_int_equal(verdict_with_texts(&c, &image, &texts), 0);
    assert_string_equal(texts.version, "v??vvvvvvvvvvvvvvvvvvvvvvvvvvvvv");
    free(c.bytes);
}

static void every_chip_is_taken_by_itself_and_refused_by_every_other(void **state)
{
    (void)state;
    for (int built = MOLT_CHIP_ESP8266; built <= MOLT_CHIP_ESP32S31; built++) {
        struct image_case c = case_small((enum molt_chip)built);
        for (int device = MOLT_CHIP_ESP8266; device <= MOLT_CHIP_ESP32S31; device++) {
            struct molt_image image;
            struct molt_image_expect expect = {.chip = (enum molt_chip)device};
            int rc = case_verdict(c.bytes, c.len, &expect, &image);
            assert_int_equal(rc, built == device ? 0 : -MOLT_WRONG_CHIP);
            assert_int_equal(image.info.chip, built);
        }
        free(c.bytes);
    }
}

static void the_wrong_chip_is_refused_within_the_first_36_bytes(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP32);
    struct molt_image image;
    struct molt_image_expect expect = {.chip = MOLT_CHIP_ESP8266};
    molt_image_begin(&image, &expect, &molt_bearssl_sha256);
    assert_int_equal(molt_image_feed(&image, c.bytes, 35), 0);
    assert_int_equal(molt_image_feed(&image, c.bytes + 35, 1), -MOLT_WRONG_CHIP);
    assert_int_equal(molt_image_feed(&image, c.bytes + 36, 1), -MOLT_WRONG_CHIP); /* sticky */
    assert_int_equal(molt_image_finish(&image), -MOLT_WRONG_CHIP);
    free(c.bytes);
}

static int revision_verdict(struct image_case *c, uint16_t min, uint16_t max, uint16_t device)
{
    struct molt_image image;
    struct molt_image_expect expect = {.chip = MOLT_CHIP_ESP32C3, .chip_revision = device};
    c->bytes[15] = (uint8_t)min;
    c->bytes[16] = (uint8_t)(min >> 8);
    c->bytes[17] = (uint8_t)max;
    c->bytes[18] = (uint8_t)(max >> 8);
    case_mend_esp32(c);
    return case_verdict(c->bytes, c->len, &expect, &image);
}

static void chip_revisions_must_be_within_the_images_range(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP32C3);
    assert_int_equal(revision_verdict(&c, 3, 199, 3), 0);
    assert_int_equal(revision_verdict(&c, 3, 199, 199), 0);
    assert_int_equal(revision_verdict(&c, 3, 199, 2), -MOLT_CHIP_REVISION);
    assert_int_equal(revision_verdict(&c, 3, 199, 200), -MOLT_CHIP_REVISION);
    assert_int_equal(revision_verdict(&c, 301, 0, 300), -MOLT_CHIP_REVISION);
    assert_int_equal(revision_verdict(&c, 0, 0, 65534), 0);      /* 0: no limit */
    assert_int_equal(revision_verdict(&c, 0, 0xFFFF, 65534), 0); /* so is 65535 */
    assert_int_equal(revision_verdict(&c, 900, 901, MOLT_REVISION_UNKNOWN), 0);
    free(c.bytes);
}

static void the_old_revision_byte_counts_on_the_esp32_only(void **state)
{
    (void)state;
    struct molt_image image;
    struct molt_image_expect expect = {.chip = MOLT_CHIP_ESP32, .chip_revision = 100};
    struct image_case c = case_small(MOLT_CHIP_ESP32), s = case_small(MOLT_CHIP_ESP32S2);
    c.bytes[14] = s.bytes[14] = 3;
    case_mend_esp32(&c);
    case_mend_esp32(&s);
    assert_int_equal(case_verdict(c.bytes, c.len, &expect, &image), -MOLT_CHIP_REVISION);
    expect.chip_revision = 300;
    assert_int_equal(case_verdict(c.bytes, c.len, &expect, &image), 0);
    assert_int_equal(image.info.min_revision, 300);
    expect.chip = MOLT_CHIP_ESP32S2;
    expect.chip_revision = 0;
    assert_int_equal(case_verdict(s.bytes, s.len, &expect, &image), 0);
    free(c.bytes);
    free(s.bytes);
}

static void segments_are_1_to_16_of_whole_words_below_16_mb(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP32S3);
    const uint32_t lengths[] = {0x101, 0x102, 0x103, 0x1000000, 0xFFFFFFFC, 0xFFFFFFFF};
    c.bytes[1] = 0;
    assert_int_equal(case_plain_verdict(&c), -MOLT_BAD_SEGMENT);
    c.bytes[1] = 17;
    assert_int_equal(case_plain_verdict(&c), -MOLT_BAD_SEGMENT);
    c.bytes[1] = 4;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        molt_store32le(c.bytes + 28, lengths[i]);
        assert_int_equal(case_plain_verdict(&c), -MOLT_BAD_SEGMENT);
    }
    free(c.bytes);
}

/* Offset of the segment header after `n` segments. */
static size_t segment_at(const struct image_case *c, unsigned n)
{
    size_t at = 24;
    for (unsigned i = 0; i < n; i++) {
        at += 8 + molt_load32le(c->bytes + at + 4);
    }
    return at;
}

static void mapped_segments_lie_at_the_same_place_in_page_and_memory(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP32C6);
    size_t irom = segment_at(&c, 3);
    uint32_t load = molt_load32le(c.bytes + irom);
    molt_store32le(c.bytes + irom, load + 0x8000);
    case_mend_esp32(&c);
    assert_int_equal(case_plain_verdict(&c), -MOLT_BAD_SEGMENT);
    c.bytes[0xD4] = 15; /* 32 KB pages: now it fits */
    case_mend_esp32(&c);
    assert_int_equal(case_plain_verdict(&c), 0);
    molt_store32le(c.bytes + irom, load + 0x4000);
    case_mend_esp32(&c);
    assert_int_equal(case_plain_verdict(&c), -MOLT_BAD_SEGMENT);
    molt_store32le(c.bytes + irom, 0x40800001); /* RAM: not mapped, no rule */
    case_mend_esp32(&c);
    assert_int_equal(case_plain_verdict(&c), 0);
    molt_store32le(c.bytes + 24, molt_load32le(c.bytes + 24) + 16); /* segment 0 too */
    case_mend_esp32(&c);
    assert_int_equal(case_plain_verdict(&c), -MOLT_BAD_SEGMENT);
    free(c.bytes);
}

static void only_the_page_sizes_that_exist_count(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP32C6);
    size_t irom = segment_at(&c, 3);
    molt_store32le(c.bytes + irom, molt_load32le(c.bytes + irom) + 0x10000); /* right below 64 KB only */
    const uint8_t bits[] = {0, 12, 17, 20, 255};
    for (size_t i = 0; i < sizeof bits; i++) {
        c.bytes[0xD4] = bits[i];
        case_mend_esp32(&c);
        assert_int_equal(case_plain_verdict(&c), 0);
    }
    free(c.bytes);
}

static void a_segment_of_no_whole_words_is_refused_in_an_otherwise_sound_image(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP32C3);
    size_t dram = segment_at(&c, 1), iram = segment_at(&c, 2);
    uint8_t header[8];
    memcpy(header, c.bytes + iram, 8);
    molt_store32le(c.bytes + dram + 4, molt_load32le(c.bytes + dram + 4) + 2);
    molt_store32le(header + 4, molt_load32le(header + 4) - 2);
    memcpy(c.bytes + iram + 2, header, 8);
    case_mend_esp32(&c);
    assert_int_equal(case_plain_verdict(&c), -MOLT_BAD_SEGMENT);
    free(c.bytes);
}

static void seventeen_sound_segments_are_one_too_many(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP32C3);
    size_t dram = segment_at(&c, 1);
    uint32_t len = molt_load32le(c.bytes + dram + 4);
    assert_true(len > 13 * 8);
    for (unsigned count = 16; count <= 17;
         count++) { /* empty segments, then what is left of the one in RAM */
        unsigned empty = count - 4;
        for (unsigned i = 0; i < empty; i++) {
            memset(c.bytes + dram + 8 * i, 0, 8);
        }
        molt_store32le(c.bytes + dram + 8 * empty, 0);
        molt_store32le(c.bytes + dram + 8 * empty + 4, len - 8 * empty);
        c.bytes[1] = (uint8_t)count;
        case_mend_esp32(&c);
        assert_int_equal(case_plain_verdict(&c), count == 16 ? 0 : -MOLT_BAD_SEGMENT);
    }
    free(c.bytes);
}

static void padding_segments_and_empty_ones_are_taken(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP32);
    size_t dram = segment_at(&c, 1);
    uint32_t len = molt_load32le(c.bytes + dram + 4);
    molt_store32le(c.bytes + dram, 0); /* load address 0: padding */
    case_mend_esp32(&c);
    assert_int_equal(case_plain_verdict(&c), 0);
    /* Split it: nothing, then the rest. */
    c.bytes[1] = 5;
    molt_store32le(c.bytes + dram + 4, 0);
    molt_store32le(c.bytes + dram + 8, 0);
    molt_store32le(c.bytes + dram + 12, len - 8);
    case_mend_esp32(&c);
    assert_int_equal(case_plain_verdict(&c), 0);
    free(c.bytes);
}

static void an_image_without_descriptor_is_an_old_esp32_one_or_refused(void **state)
{
    (void)state;
    struct image_case old = case_small(MOLT_CHIP_ESP32), c3 = case_small(MOLT_CHIP_ESP32C3);
    struct molt_image image;
    old.bytes[0x23] ^= 1;
    c3.bytes[0x23] ^= 1;
    case_mend_esp32(&old);
    case_mend_esp32(&c3);
    struct molt_image_texts texts;
    assert_int_equal(verdict_with_texts(&old, &image, &texts), 0);
    assert_string_equal(texts.version, "");
    assert_int_equal(image.info.secure_version, 0);
    assert_int_equal(case_plain_verdict(&c3), -MOLT_NO_APP_DESC);
    c3.bytes[0x23] ^= 1;
    molt_store32le(c3.bytes + 28, 252); /* shorter than a descriptor */
    assert_int_equal(case_plain_verdict(&c3), -MOLT_NO_APP_DESC);
    free(old.bytes);
    free(c3.bytes);
}

static void checksum_and_hash_are_told_apart(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP32S2);
    c.bytes[c.len - 33] ^= 1;
    assert_int_equal(case_plain_verdict(&c), -MOLT_BAD_CHECKSUM);
    c.bytes[c.len - 33] ^= 1;
    c.bytes[c.len - 1] ^= 1;
    assert_int_equal(case_plain_verdict(&c), -MOLT_BAD_HASH);
    c.bytes[c.len - 1] ^= 1;
    c.bytes[0x200] ^= 4; /* two flips that leave the XOR as it was */
    c.bytes[0x201] ^= 4;
    assert_int_equal(case_plain_verdict(&c), -MOLT_BAD_HASH);
    free(c.bytes);
}

static void an_image_without_hash_is_judged_by_its_checksum(void **state)
{
    (void)state;
    struct image_build spec = {.chip = MOLT_CHIP_ESP32, .size = 9000, .no_hash = true};
    struct image_case c = case_build(&spec);
    struct molt_image image;
    uint8_t whole[MOLT_SHA256_LEN];
    struct molt_hash hash = {.ops = &molt_bearssl_sha256};
    assert_int_equal(case_verdict(c.bytes, c.len, &expect_nothing, &image), 0);
    assert_false(image.info.has_hash);
    hash.ops->init(&hash.state);
    hash.ops->update(&hash.state, c.bytes, c.len);
    hash.ops->finish(&hash.state, whole);
    assert_memory_equal(image.info.digest, whole, sizeof whole);
    c.bytes[0x300] ^= 1;
    assert_int_equal(case_plain_verdict(&c), -MOLT_BAD_CHECKSUM);
    free(c.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_esp32_image_says_what_it_is),
        cmocka_unit_test(descriptor_texts_come_out_printable_and_ended),
        cmocka_unit_test(every_chip_is_taken_by_itself_and_refused_by_every_other),
        cmocka_unit_test(the_wrong_chip_is_refused_within_the_first_36_bytes),
        cmocka_unit_test(chip_revisions_must_be_within_the_images_range),
        cmocka_unit_test(the_old_revision_byte_counts_on_the_esp32_only),
        cmocka_unit_test(segments_are_1_to_16_of_whole_words_below_16_mb),
        cmocka_unit_test(mapped_segments_lie_at_the_same_place_in_page_and_memory),
        cmocka_unit_test(only_the_page_sizes_that_exist_count),
        cmocka_unit_test(a_segment_of_no_whole_words_is_refused_in_an_otherwise_sound_image),
        cmocka_unit_test(seventeen_sound_segments_are_one_too_many),
        cmocka_unit_test(padding_segments_and_empty_ones_are_taken),
        cmocka_unit_test(an_image_without_descriptor_is_an_old_esp32_one_or_refused),
        cmocka_unit_test(checksum_and_hash_are_told_apart),
        cmocka_unit_test(an_image_without_hash_is_judged_by_its_checksum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
