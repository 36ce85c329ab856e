/* pack_property_test.c - whatever is packed against whatever base comes back byte for byte, and the same job gives the
 * same pack: random and adversarial files, firmware of every chip, code that moved, and headers that lie. */
#include "cmocka_all.h"

#include <stdlib.h>

#include "host/image_build.h"
#include "host/pack/pack.h"
#include "util/bytes.h"

#define LEN_MAX 40000u

static uint32_t random_state = 1;

static uint32_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

/* Packs and unpacks; the pack's length. Every other delta is for a small decoder, and so stays one even where the base is of
 * no use; others are never larger than without the base. */
static size_t round_trip(const uint8_t *base, size_t base_len, const uint8_t *data, size_t len,
                         uint32_t frame_log2)
{
    static unsigned calls;
    struct pack_job job = {
        .data = data, .len = len, .base = base, .base_len = base_len, .frame_log2 = frame_log2};
    uint8_t *pack, *again, *out;
    size_t pack_len, again_len, out_len;
    job.small = base != NULL && calls++ % 2 == 0;
    assert_int_equal(pack_encode(&job, &pack, &pack_len, NULL), 0);
    assert_int_equal(pack_decode(pack, pack_len, base, base_len, &out, &out_len), 0);
    assert_int_equal(out_len, len);
    assert_memory_equal(out, data, len);
    free(out);
    if (!job.small) job.base = NULL;
    assert_int_equal(pack_encode(&job, &again, &again_len, NULL), 0);
    if (job.small || base == NULL) {
        assert_int_equal(again_len, pack_len);
        assert_memory_equal(again, pack, pack_len);
    }
    assert_true(pack_len <= again_len);
    free(again);
    free(pack);
    return pack_len;
}

enum content { ZEROS, NOISE, TEXT, MIXED, PERIODIC, CONTENTS };

static void fill(uint8_t *data, size_t len, enum content content)
{
    static const char words[] = "an old skin is shed for a new one, nothing is lost in between; ";
    uint32_t period = 1 + next_random() % 300;
    for (size_t i = 0; i < len; i++) {
        uint32_t r = next_random();
        data[i] = 0;
        if (content == NOISE || (content == PERIODIC && i < period)) data[i] = (uint8_t)(r >> 9);
        if (content == PERIODIC && i >= period) data[i] = data[i - period];
        if (content == TEXT) data[i] = (uint8_t)words[(i + (r % 97 == 0)) % (sizeof words - 1)];
        if (content == MIXED) data[i] = i > 300 && r % 3 != 0 ? data[i - 1 - r % 290] : (uint8_t)(r >> 20);
    }
}

/* Pieces of base in another order, some changed, some new. */
static size_t shuffle(const uint8_t *base, size_t base_len, uint8_t *out)
{
    size_t len = 0;
    while (len < LEN_MAX - 3000) {
        size_t n = 1 + next_random() % 3000, from = next_random() % base_len;
        if (n > base_len - from) n = base_len - from;
        if (next_random() % 5 == 0)
            fill(out + len, n, NOISE);
        else
            memcpy(out + len, base + from, n);
        for (uint32_t k = next_random() % 20; k > 0; k--)
            out[len + next_random() % n] ^= (uint8_t)next_random();
        len += n;
        if (next_random() % 12 == 0) break;
    }
    return len;
}

static void random_pairs_come_back(void **state)
{
    (void)state;
    static uint8_t base[LEN_MAX], data[LEN_MAX];
    for (uint32_t round = 0; round < 60; round++) {
        size_t base_len = 1 + next_random() % (round % 3 == 0 ? 10 : LEN_MAX);
        fill(base, base_len, round % CONTENTS);
        size_t len = round % 4 == 3 ? 1 + next_random() % LEN_MAX : shuffle(base, base_len, data);
        if (round % 4 == 3) fill(data, len, next_random() % CONTENTS);
        round_trip(base, base_len, data, len, 12 + round % 6);
        round_trip(NULL, 0, data, len, 12 + round % 6);
    }
}

static void one_byte_and_the_file_itself_come_back(void **state)
{
    (void)state;
    static uint8_t data[LEN_MAX];
    fill(data, sizeof data, NOISE);
    round_trip(NULL, 0, data, 1, 0);
    round_trip(data, 1, data + 1, 1, 0);
    assert_true(round_trip(data, sizeof data, data, sizeof data, 0) < 200);
}

/* ---- code that moved ---- */

/* Where a chip's code lies in memory. */
static const struct where {
    uint8_t id; /* in the image's header; ESP8266: none */
    bool is_esp8266, is_riscv;
    uint32_t addr;
} where_code_lies[] = {
    {0xFF, true, false, 0x40202000},  {0x00, false, false, 0x400D0000}, {0x02, false, false, 0x40080000},
    {0x09, false, false, 0x42000000}, {0x05, false, true, 0x42000000},  {0x0C, false, true, 0x42000000},
    {0x0D, false, true, 0x42000000},  {0x10, false, true, 0x42000000},  {0x12, false, true, 0x40000000},
    {0x14, false, true, 0x42000000},  {0x17, false, true, 0x42000000},  {0x19, false, true, 0x42000000},
    {0x1C, false, true, 0x42000000},
};

/* A word of code that holds an address in [first, first + len), at pc; its bytes. */
static uint32_t put_reference(bool riscv, uint8_t *to, uint32_t pc, uint32_t target)
{
    if (riscv) {
        uint32_t far = target - pc;
        molt_store32le(to, 0xEFu | (far >> 20 & 1u) << 31 | (far >> 1 & 0x3FFu) << 21 |
                               (far >> 11 & 1u) << 20 | (far & 0xFF000u));
        return 4;
    }
    uint32_t words = (target - ((pc & ~3u) + 4u)) >> 2;
    to[0] = (uint8_t)(0x05 | words << 6);
    to[1] = (uint8_t)(words >> 2);
    to[2] = (uint8_t)(words >> 10);
    return 3;
}

/* Replaces the image's last segment by calls into itself; code behind `gap_at` lies `gap` bytes later. */
static void put_code(bool riscv, uint8_t *image, size_t len, uint32_t off, uint32_t addr, uint32_t gap)
{
    random_state = 99;
    uint32_t at = off, half = (uint32_t)(len - off) / 2, step = riscv ? 4 : 3;
    for (uint32_t part = 0; part < 2; part++) {
        for (uint32_t i = 0; i + 8 < half - 400; i += step) {
            uint32_t r = next_random(), place = (r >> 8) % (half - 400) & ~3u;
            uint32_t target = addr + place + (r & 1u ? half + gap : 0);
            if (r % 3 == 0)
                put_reference(riscv, image + at, addr + at - off, target);
            else
                molt_store32le(image + at, riscv ? (r & 0xFFFFFF80u) | 0x33u : r << 8 | 0x20u);
            at += step;
        }
        if (part == 0) {
            uint32_t end = off + half + gap;
            while (at < end)
                image[at++] = 0;
        }
    }
}

static void moved_code_is_cheaper_than_its_changed_bytes(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof where_code_lies / sizeof where_code_lies[0]; c++) {
        const struct where *where = &where_code_lies[c];
        const uint32_t off = 64, len = 80000, head = where->is_esp8266 ? 8 : 24;
        uint8_t *was = calloc(1, len), *is = calloc(1, len);
        for (uint32_t k = 0; k < 2; k++) {
            uint8_t *image = k == 0 ? was : is;
            put_code(where->is_riscv, image, len, off, where->addr, k * 48);
            image[0] = 0xE9;
            image[1] = 1;
            molt_store32le(image + head, where->addr - off + head + 8);
            molt_store32le(image + head + 4, len - head - 8);
            if (where->is_esp8266)
                molt_store32le(image + 4, 0x40100000);
            else
                image[12] = where->id;
        }
        size_t moved = round_trip(was, len, is, len, 0);
        uint8_t plain_was = was[0];
        was[0] = is[0] = 0; /* no image: no addresses are known */
        size_t plain = round_trip(was, len, is, len, 0);
        was[0] = is[0] = plain_was;
        if (moved * 5 >= plain * 2) fail_msg("chip %02x: %zu and %zu bytes", where->id, moved, plain);
        free(was);
        free(is);
    }
}

static void firmware_of_every_chip_comes_back(void **state)
{
    (void)state;
    static const enum molt_chip chips[] = {MOLT_CHIP_ESP8266, MOLT_CHIP_ESP32,   MOLT_CHIP_ESP32S2,
                                           MOLT_CHIP_ESP32S3, MOLT_CHIP_ESP32C3, MOLT_CHIP_ESP32C6,
                                           MOLT_CHIP_ESP32P4};
    for (size_t c = 0; c < sizeof chips / sizeof chips[0]; c++) {
        struct image_build_tag tags[] = {{"version", "1.0.0"}};
        struct image_build spec = {.chip = chips[c], .size = 90000, .seed = 3, .tags = tags, .tag_count = 1};
        uint8_t *was, *is;
        size_t was_len, is_len;
        assert_int_equal(image_build(&spec, &was, &was_len), 0);
        tags[0].value = "2.0.0";
        assert_int_equal(image_build(&spec, &is, &is_len), 0);
        assert_true(round_trip(was, was_len, is, is_len, 0) < 600);
        for (uint32_t k = 0; k < 200; k++)
            is[next_random() % is_len] = (uint8_t)next_random(); /* headers that lie included */
        round_trip(was, was_len, is, is_len, 0);
        round_trip(is, is_len, was, was_len, 0);
        free(was);
        free(is);
    }
}

static int read_masked(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    memcpy(dst, (uint8_t *)ctx + off, len);
    for (uint32_t i = 2; i < 4; i++) {
        if (i - off < len) ((uint8_t *)dst)[i - off] = 0;
    }
    return 0;
}

static uint8_t *made;

static int read_made(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    (void)ctx;
    memcpy(dst, made + off, len);
    return 0;
}

static void an_esp8266_base_may_differ_in_its_header_bytes(void **state)
{
    (void)state;
    struct image_build spec = {.chip = MOLT_CHIP_ESP8266, .size = 60000, .seed = 3};
    uint8_t *was, *is, *pack, digest[MOLT_SHA256_LEN];
    size_t was_len, is_len, pack_len, out_len;
    bool masked;
    assert_int_equal(image_build(&spec, &was, &was_len), 0);
    spec.seed = 4;
    assert_int_equal(image_build(&spec, &is, &is_len), 0);
    struct pack_job job = {.data = is, .len = is_len, .base = was, .base_len = was_len, .small = true};
    assert_int_equal(pack_encode(&job, &pack, &pack_len, NULL), 0);
    pack_identity(was, was_len, digest, &masked);
    assert_true(masked);
    was[2] ^= 3; /* as Arduino's Updater writes it */
    was[3] ^= 0x40;
    made = malloc(is_len);
    struct molt_pack *decoder = malloc(sizeof *decoder);
    const struct molt_pack_io io = {was, read_masked, read_made};
    const uint8_t *in = pack;
    size_t in_len = pack_len;
    molt_pack_begin(decoder, &io);
    assert_int_equal(molt_pack_step(decoder, &in, &in_len, made, is_len, &out_len), MOLT_PACK_HEAD);
    assert_true((decoder->flags & MOLT_PACK_MASKS_HEADER) != 0);
    assert_memory_equal(decoder->base_digest, digest, sizeof digest);
    assert_int_equal(molt_pack_step(decoder, &in, &in_len, made, is_len, &out_len), MOLT_PACK_END);
    assert_int_equal(out_len, is_len);
    assert_memory_equal(made, is, is_len);
    free(decoder);
    free(made);
    free(pack);
    free(was);
    free(is);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_pairs_come_back),
        cmocka_unit_test(one_byte_and_the_file_itself_come_back),
        cmocka_unit_test(moved_code_is_cheaper_than_its_changed_bytes),
        cmocka_unit_test(firmware_of_every_chip_comes_back),
        cmocka_unit_test(an_esp8266_base_may_differ_in_its_header_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
