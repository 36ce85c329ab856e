/* image_property_test.c - for good, damaged and cut images: pieces never change the verdict, and no single
 * damaged byte and no cut is ever accepted. */
#include "image_case.h"

static uint32_t random_state = 0xC0FFEE;

static uint32_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

/* Fed in pieces of 1 byte (`most` 1) or of 0 to most bytes, up to and with the refusal. */
static int verdict_in_pieces(const uint8_t *bytes, size_t len, const struct molt_image_expect *expect,
                             size_t most, struct molt_image *image)
{
    molt_image_begin(image, expect, &molt_bearssl_sha256);
    int rc = 0;
    for (size_t at = 0; at < len && rc == 0;) {
        size_t n = most == 1 ? 1 : next_random() % (most + 1);
        if (n > len - at) n = len - at;
        rc = molt_image_feed(image, bytes + at, n);
        at += n;
    }
    return case_finish(image, rc);
}

/* Whole, byte by byte and in random pieces: the same verdict and the same facts. Returns the verdict. */
static int agreed_verdict(const uint8_t *bytes, size_t len, const struct molt_image_expect *expect)
{
    static const size_t pieces[] = {1, 7, 300, 5000};
    struct molt_image whole, cut;
    int rc = case_verdict(bytes, len, expect, &whole);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        assert_int_equal(verdict_in_pieces(bytes, len, expect, pieces[i], &cut), rc);
        assert_memory_equal(&cut.info, &whole.info, sizeof whole.info);
    }
    return rc;
}

static struct image_case random_image(void)
{
    struct image_build_tag tag[] = {{"version", "3.1.4"}};
    uint32_t r = next_random();
    struct image_build spec = {.chip = (enum molt_chip)(1 + r % 15),
                               .size = IMAGE_BUILD_MIN + next_random() % 30000,
                               .seed = next_random(),
                               .version = "3.1.4",
                               .flash_mode = (uint8_t)(r >> 8 & 3),
                               .old_core = (r >> 10 & 3) == 0,
                               .no_hash = (r >> 12 & 3) == 0,
                               .tags = tag,
                               .tag_count = r >> 14 & 1};
    return case_build(&spec);
}

static void good_images_are_good_in_any_pieces(void **state)
{
    (void)state;
    for (int round = 0; round < 150; round++) {
        struct image_case c = random_image();
        assert_int_equal(agreed_verdict(c.bytes, c.len, &expect_nothing), 0);
        free(c.bytes);
    }
}

/* A few random bytes changed, half of them in the headers, sums made right or not. */
static void damage(struct image_case *c)
{
    for (uint32_t n = next_random() % 4; n > 0; n--) {
        uint32_t r = next_random();
        size_t at = (r & 1) != 0 ? r % c->len : ((r & 2) != 0 ? 0x1000 : 0) + (r >> 8) % 48;
        c->bytes[at] = (r >> 4 & 3) == 0 ? (uint8_t)(r >> 24) : c->bytes[at] ^ (uint8_t)(1u << (r >> 27 & 7));
    }
    if (next_random() % 3 == 0) case_mend_crc(c);
    if (next_random() % 4 == 0) c->len -= next_random() % c->len;
}

static void damaged_images_get_the_same_verdict_in_any_pieces(void **state)
{
    (void)state;
    for (int round = 0; round < 600; round++) {
        struct image_case c = random_image();
        uint32_t r = next_random();
        struct molt_image_expect expect = {.chip = (r & 3) == 0 ? (enum molt_chip)(r >> 2 & 15)
                                                                : MOLT_CHIP_UNKNOWN,
                                           .chip_revision = (uint16_t)(r >> 6 & 3),
                                           .flash_size = (r >> 8 & 7) == 0 ? 1u << 20 : 0};
        damage(&c);
        (void)agreed_verdict(c.bytes, c.len, &expect);
        free(c.bytes);
    }
}

static void noise_is_refused_in_any_pieces(void **state)
{
    (void)state;
    static const uint8_t first[] = {0xE9, 0xE9, 0xE9, 0xFF, 0xEA, 0x1F, 0x00};
    uint8_t noise[400];
    for (int round = 0; round < 5000; round++) {
        size_t len = next_random() % sizeof noise;
        memset(noise, (next_random() & 1) != 0 ? 0xFF : 0, sizeof noise);
        for (size_t i = 0; i < len; i++) {
            if (next_random() % 3 == 0) noise[i] = (uint8_t)(next_random() >> 7);
        }
        noise[0] = first[next_random() % sizeof first];
        assert_true(agreed_verdict(noise, len, &expect_nothing) < 0);
    }
}

static void refuse_every_flip(struct image_case *c, bool all_values_in_headers)
{
    for (size_t at = 0; at < c->len; at++) {
        bool header = at < 64 || (at >= 0x1000 && at < 0x1030);
        unsigned rounds = header && all_values_in_headers ? 255 : 2;
        uint8_t kept = c->bytes[at];
        for (unsigned i = 1; i <= rounds; i++) {
            uint8_t flip = rounds == 255 ? (uint8_t)i : (uint8_t)(1 + next_random() % 255);
            c->bytes[at] = kept ^ flip;
            assert_true(case_plain_verdict(c) < 0);
        }
        c->bytes[at] = kept;
    }
    assert_int_equal(case_plain_verdict(c), 0);
}

static void every_damaged_byte_of_an_esp32_image_is_refused(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP32);
    refuse_every_flip(&c, false);
    free(c.bytes);
    c = case_small(MOLT_CHIP_ESP32C3);
    refuse_every_flip(&c, false);
    free(c.bytes);
}

static void every_damaged_byte_of_an_esp8266_image_is_refused(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP8266);
    refuse_every_flip(&c, true);
    free(c.bytes);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct image_build spec = {.chip = kind < 2 ? MOLT_CHIP_ESP8266 : MOLT_CHIP_ESP32S3,
                                   .size = IMAGE_BUILD_MIN,
                                   .old_core = kind == 1,
                                   .no_hash = kind == 3};
        struct image_case c = case_build(&spec);
        for (size_t len = 0; len < c.len; len++) {
            struct molt_image image;
            assert_true(case_verdict(c.bytes, len, &expect_nothing, &image) < 0);
        }
        free(c.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_images_are_good_in_any_pieces),
        cmocka_unit_test(damaged_images_get_the_same_verdict_in_any_pieces),
        cmocka_unit_test(noise_is_refused_in_any_pieces),
        cmocka_unit_test(every_damaged_byte_of_an_esp32_image_is_refused),
        cmocka_unit_test(every_damaged_byte_of_an_esp8266_image_is_refused),
        cmocka_unit_test(every_cut_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
