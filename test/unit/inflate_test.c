/* inflate_test.c - the gzip decoder gives what zlib gives and refuses what zlib refuses, whatever the pieces
 * it is fed in and however little output it may write. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <zlib.h>

#include "gzip/inflate.h"

#define PLAIN_MAX 40000u
#define GZ_MAX    (PLAIN_MAX + 4096u)

static uint8_t plain[PLAIN_MAX], gz[GZ_MAX], result[PLAIN_MAX + 1], expected[PLAIN_MAX + 1];
static uint8_t window[32768];
static uint32_t random_state = 1;

static uint32_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

enum content { ZEROS, NOISE, TEXT, MIXED, CONTENTS };

static void make_plain(enum content content, size_t len)
{
    static const char words[] = "the old skin is shed for a new one, and nothing is lost in between; ";
    for (size_t i = 0; i < len; i++) {
        uint32_t r = next_random();
        plain[i] = 0;
        if (content == NOISE) plain[i] = (uint8_t)(r >> 9);
        if (content == TEXT) plain[i] = (uint8_t)words[(i + (r % 97 == 0)) % (sizeof words - 1)];
        if (content == MIXED) plain[i] = i > 300 && r % 3 != 0 ? plain[i - 1 - r % 290] : (uint8_t)(r >> 20);
    }
}

/* gzip of plain[0..len) into gz; head may be NULL. Returns the compressed length. */
static size_t deflate_plain(size_t len, int level, int strategy, int bits, gz_header *head)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, 16 + bits, 8, strategy), Z_OK);
    if (head != NULL) assert_int_equal(deflateSetHeader(&z, head), Z_OK);
    z.next_in = plain;
    z.avail_in = (uInt)len;
    z.next_out = gz;
    z.avail_out = GZ_MAX;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = z.total_out;
    deflateEnd(&z);
    return n;
}

/* How much input and output the decoder gets a call. Zero: all that there is. Random: 1 to 200. */
enum pieces { WHOLE, SINGLE, RANDOM };

static size_t piece(enum pieces pieces, size_t left)
{
    if (pieces == WHOLE || left == 0) return left;
    size_t n = pieces == SINGLE ? 1 : 1 + next_random() % 200;
    return n < left ? n : left;
}

struct outcome {
    int rc;
    size_t used, made;
};

/* Decodes gz[0..len) into result. Ends when the decoder wants more than there is. */
static struct outcome decode(const uint8_t *data, size_t len, uint32_t window_len, enum pieces pieces)
{
    struct molt_inflate inf;
    struct outcome o = {0, 0, 0};
    assert_int_equal(molt_inflate_begin(&inf, window, window_len), 0);
    for (size_t calls = 0;; calls++) {
        assert_true(calls < 4 * (len + PLAIN_MAX) + 16); /* bounded: every call moves on */
        size_t give = piece(pieces, len - o.used), room = piece(pieces, sizeof result - o.made), made;
        const uint8_t *in = data + o.used;
        size_t in_len = give;
        o.rc = molt_inflate_step(&inf, &in, &in_len, result + o.made, room, &made);
        assert_true(made <= room && in_len <= give && in == data + o.used + (give - in_len));
        o.used += give - in_len;
        o.made += made;
        assert_int_equal(inf.total_in, o.used);
        assert_int_equal(inf.total_out, o.made);
        if (o.rc != MOLT_INFLATE_MORE) return o;
        if (o.used == len && made == 0) return o;
        if (o.made == sizeof result) return o;
    }
}

static void assert_decodes(size_t gz_len, size_t len, uint32_t window_len, enum pieces pieces)
{
    struct outcome o = decode(gz, gz_len, window_len, pieces);
    assert_int_equal(o.rc, MOLT_INFLATE_END);
    assert_int_equal(o.used, gz_len);
    assert_int_equal(o.made, len);
    assert_memory_equal(result, plain, len);
}

/* What zlib makes of the same bytes: Z_STREAM_END, Z_DATA_ERROR, or Z_BUF_ERROR when it wants more. */
static int zlib_decode(const uint8_t *data, size_t len, size_t *made)
{
    z_stream z = {0};
    assert_int_equal(inflateInit2(&z, 16 + 15), Z_OK);
    z.next_in = (Bytef *)data;
    z.avail_in = (uInt)len;
    z.next_out = expected;
    z.avail_out = sizeof expected;
    int rc = inflate(&z, Z_FINISH);
    *made = z.total_out;
    inflateEnd(&z);
    return rc == Z_OK ? Z_BUF_ERROR : rc;
}

static void assert_judges_like_zlib(const uint8_t *data, size_t len)
{
    size_t made;
    int zlib = zlib_decode(data, len, &made);
    struct outcome o = decode(data, len, 32768, WHOLE);
    assert_int_equal(zlib == Z_STREAM_END, o.rc == MOLT_INFLATE_END);
    if (o.rc < 0) {
        assert_int_equal(o.rc, -MOLT_BAD_GZIP); /* perhaps earlier: zlib reads a trailer before it compares */
    }
    if (o.rc == MOLT_INFLATE_END) {
        assert_int_equal(o.made, made);
        assert_memory_equal(result, expected, made);
    }
}

static void every_level_strategy_and_window_of_zlib_decodes(void **state)
{
    (void)state;
    for (int content = 0; content < CONTENTS; content++) {
        make_plain((enum content)content, PLAIN_MAX);
        for (int level = 0; level <= 9; level++) {
            for (int strategy = Z_DEFAULT_STRATEGY; strategy <= Z_FIXED; strategy++) {
                for (int bits = 9; bits <= 15; bits += level % 3 + 1) {
                    size_t n = deflate_plain(PLAIN_MAX, level, strategy, bits, NULL);
                    assert_decodes(n, PLAIN_MAX, 1u << bits, WHOLE);
                }
            }
        }
    }
}

static void pieces_of_input_and_output_do_not_matter(void **state)
{
    (void)state;
    for (int content = 0; content < CONTENTS; content++) {
        make_plain((enum content)content, 9000);
        for (int strategy = Z_DEFAULT_STRATEGY; strategy <= Z_FIXED; strategy++) {
            size_t n = deflate_plain(9000, strategy == Z_RLE ? 0 : 6, strategy, 12, NULL);
            assert_decodes(n, 9000, 4096, SINGLE);
            for (int i = 0; i < 20; i++) {
                assert_decodes(n, 9000, 4096, RANDOM);
            }
        }
    }
}

static void an_empty_member_and_a_single_byte_decode(void **state)
{
    (void)state;
    make_plain(NOISE, 1);
    for (int level = 0; level <= 9; level += 9) {
        assert_decodes(deflate_plain(0, level, Z_DEFAULT_STRATEGY, 15, NULL), 0, 32768, SINGLE);
        assert_decodes(deflate_plain(1, level, Z_DEFAULT_STRATEGY, 15, NULL), 1, 32768, SINGLE);
    }
}

/* ---- the header ---- */

static void every_combination_of_header_fields_is_skipped(void **state)
{
    (void)state;
    make_plain(TEXT, 500);
    uint8_t extra[300];
    memset(extra, 0, sizeof extra);
    for (int flags = 0; flags < 16; flags++) {
        gz_header head = {0};
        if ((flags & 1) != 0) head.extra = extra, head.extra_len = sizeof extra;
        if ((flags & 2) != 0) head.name = (Bytef *)"firmware.bin";
        if ((flags & 4) != 0) head.comment = (Bytef *)"built on a Sunday";
        head.hcrc = (flags & 8) != 0;
        size_t n = deflate_plain(500, 9, Z_DEFAULT_STRATEGY, 15, &head);
        assert_decodes(n, 500, 32768, WHOLE);
        assert_decodes(n, 500, 32768, SINGLE);
    }
}

static void a_wrong_header_is_refused_at_the_byte_that_is_wrong(void **state)
{
    (void)state;
    make_plain(TEXT, 100);
    gz_header head = {.name = (Bytef *)"a", .hcrc = 1};
    size_t n = deflate_plain(100, 9, Z_DEFAULT_STRATEGY, 15, &head);
    const struct {
        size_t at;
        uint8_t value;
    } wrong[] = {
        {0, 0x1E}, {1, 0x8C}, {2, 7}, {3, 0x20}, {3, 0x80}, {12, (uint8_t)~gz[12]}, {13, (uint8_t)~gz[13]}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint8_t kept = gz[wrong[i].at];
        gz[wrong[i].at] = wrong[i].value;
        struct outcome o = decode(gz, n, 32768, SINGLE);
        assert_int_equal(o.rc, -MOLT_BAD_GZIP);
        assert_true(o.used <= 14 && o.made == 0);
        gz[wrong[i].at] = kept;
    }
}

/* ---- damage ---- */

static void a_cut_at_any_byte_only_asks_for_more(void **state)
{
    (void)state;
    make_plain(MIXED, 1500);
    size_t n = deflate_plain(1500, 9, Z_DEFAULT_STRATEGY, 15, NULL);
    for (size_t cut = 0; cut < n; cut++) {
        struct outcome o = decode(gz, cut, 32768, WHOLE);
        assert_int_equal(o.rc, MOLT_INFLATE_MORE);
        assert_memory_equal(result, plain, o.made);
    }
}

static void a_flip_of_any_bit_is_judged_like_zlib(void **state)
{
    (void)state;
    static uint8_t copy[GZ_MAX];
    const struct {
        enum content content;
        size_t len;
        int level, strategy;
    } streams[] = {{MIXED, 700, 9, Z_DEFAULT_STRATEGY},
                   {TEXT, 400, 9, Z_DEFAULT_STRATEGY},
                   {NOISE, 300, 0, Z_DEFAULT_STRATEGY},
                   {MIXED, 300, 6, Z_FIXED},
                   {ZEROS, 5000, 9, Z_RLE},
                   {MIXED, 600, 9, Z_HUFFMAN_ONLY}};
    for (size_t s = 0; s < sizeof streams / sizeof streams[0]; s++) {
        make_plain(streams[s].content, streams[s].len);
        size_t n = deflate_plain(streams[s].len, streams[s].level, streams[s].strategy, 15, NULL);
        memcpy(copy, gz, n);
        for (size_t bit = 0; bit < 8 * n; bit++) {
            copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            assert_judges_like_zlib(copy, n);
            copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
    }
}

/* Behind a good gzip header: noise that begins a dynamic block. Most sets of lengths are over-subscribed or
 * incomplete; the verdict must be zlib's. */
static void noise_after_the_header_is_judged_like_zlib(void **state)
{
    (void)state;
    uint8_t data[80] = {0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3};
    for (int round = 0; round < 200000; round++) {
        for (size_t i = 10; i < sizeof data; i++) {
            data[i] = (uint8_t)(next_random() >> 11);
        }
        if (round % 4 != 0) data[10] = (uint8_t)((data[10] & ~7u) | 5u); /* last block, dynamic */
        assert_judges_like_zlib(data, sizeof data);
    }
}

/* Writes bits as deflate packs them, least significant first. */
struct bit_writer {
    uint8_t bytes[128];
    size_t bits;
};

static void put_bits(struct bit_writer *w, uint32_t value, unsigned n)
{
    for (unsigned i = 0; i < n; i++, w->bits++) {
        if ((value >> i & 1) != 0) w->bytes[w->bits / 8] |= (uint8_t)(1u << (w->bits % 8));
    }
}

/* A Huffman code goes highest bit first. */
static void put_code(struct bit_writer *w, uint32_t code, unsigned n)
{
    while (n-- > 0) {
        put_bits(w, code >> n & 1, 1);
    }
}

static void begin_bits(struct bit_writer *w)
{
    const uint8_t header[10] = {0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3};
    memset(w, 0, sizeof *w);
    memcpy(w->bytes, header, sizeof header);
    w->bits = 80;
}

/* CRC-32 and ISIZE of n zero bytes, on a byte boundary. */
static void put_trailer(struct bit_writer *w, unsigned n)
{
    static const uint8_t zeros[16];
    uint32_t crc = (uint32_t)crc32(0, zeros, n);
    w->bits = (w->bits + 7) / 8 * 8;
    put_bits(w, crc & 0xFFFF, 16), put_bits(w, crc >> 16, 16);
    put_bits(w, n, 32);
}

/* A dynamic block whose literal code has lengths a (of symbol 0) and b (of 256), whose distance codes have length d
 * each; it says three zeros (none when a is 0). Lengths are sent plainly, in the code-length code 0, 1, 2, 18. */
static void write_block(struct bit_writer *w, unsigned a, unsigned b, unsigned d, unsigned distances)
{
    begin_bits(w);
    put_bits(w, 5, 3);             /* last, dynamic */
    put_bits(w, 0, 5);             /* 257 literal codes */
    put_bits(w, distances - 1, 5); /* distance codes */
    put_bits(w, 14, 4);            /* 18 lengths of lengths: up to symbol 1 */
    /* order 16 17 18 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1: 18, 0, 2 and 1 get two bits each */
    for (unsigned i = 0; i < 18; i++) {
        put_bits(w, i == 2 || i == 3 || i == 15 || i == 17 ? 2 : 0, 3);
    }
    put_code(w, a, 2);                      /* canonical: 0, 1, 2 are 00, 01, 10, and 18 is 11 */
    put_code(w, 3, 2), put_bits(w, 127, 7); /* 138 zeros */
    put_code(w, 3, 2), put_bits(w, 106, 7); /* 117 zeros: symbols up to 255 */
    put_code(w, b, 2);
    for (unsigned i = 0; i < distances; i++) {
        put_code(w, d, 2);
    }
    for (int i = 0; i < 3 && a != 0; i++) {
        put_code(w, a <= b ? 0 : 1u << (a - b), a);
    }
    put_code(w, a != 0 && a <= b ? 1u << (b - a) : 0, b);
    put_trailer(w, a != 0 ? 3 : 0);
}

static void incomplete_and_oversubscribed_codes_are_judged_like_zlib(void **state)
{
    (void)state;
    struct bit_writer w;
    unsigned good = 0;
    for (unsigned a = 0; a <= 2; a++) {
        for (unsigned b = 0; b <= 2; b++) {
            for (unsigned d = 0; d <= 2; d++) {
                for (unsigned distances = 1; distances <= 5; distances++) {
                    write_block(&w, a, b, d, distances);
                    assert_judges_like_zlib(w.bytes, w.bits / 8);
                    struct outcome o = decode(w.bytes, w.bits / 8, 32768, WHOLE);
                    if (b == 0) assert_int_equal(o.rc, -MOLT_BAD_GZIP); /* no end of block */
                    if (b == 0) assert_int_equal(o.made, 0);            /* said before any output */
                    good += o.rc == MOLT_INFLATE_END;
                }
            }
        }
    }
    /* Complete literals, or one lone code of one bit; no distance, one of one bit, two of one, four of two. */
    assert_int_equal(good, 2 * (5 + 2 + 1));
}

static void assert_refused_at_once(const struct bit_writer *w)
{
    struct outcome o = decode(w->bytes, (w->bits + 7) / 8, 32768, SINGLE);
    assert_int_equal(o.rc, -MOLT_BAD_GZIP);
}

static void symbols_and_counts_beyond_the_format_are_refused_at_once(void **state)
{
    (void)state;
    struct bit_writer w;
    for (unsigned symbol = 286; symbol <= 287; symbol++) { /* fixed: 280 to 287 are 11000000 to 11000111 */
        begin_bits(&w);
        put_bits(&w, 3, 3), put_code(&w, 0xC0 + symbol - 280, 8);
        assert_refused_at_once(&w);
    }
    for (unsigned symbol = 30; symbol <= 31; symbol++) { /* three zeros' match at a distance that is none */
        begin_bits(&w);
        put_bits(&w, 3, 3), put_code(&w, 0x30, 8), put_code(&w, 1, 7), put_code(&w, symbol, 5);
        assert_refused_at_once(&w);
    }
    for (unsigned literals = 287; literals <= 288; literals++) {
        begin_bits(&w);
        put_bits(&w, 5, 3), put_bits(&w, literals - 257, 5), put_bits(&w, 0, 5), put_bits(&w, 0, 4);
        assert_refused_at_once(&w);
    }
    begin_bits(&w); /* 31 distances */
    put_bits(&w, 5, 3), put_bits(&w, 0, 5), put_bits(&w, 30, 5), put_bits(&w, 0, 4);
    assert_refused_at_once(&w);
    begin_bits(&w); /* "repeat the length before" as the first length; codes 0 -> 0, 16 -> 1 */
    put_bits(&w, 5, 3), put_bits(&w, 0, 5), put_bits(&w, 0, 5), put_bits(&w, 0, 4);
    put_bits(&w, 1, 3), put_bits(&w, 0, 6), put_bits(&w, 1, 3);
    put_code(&w, 1, 1), put_bits(&w, 0, 2);
    assert_refused_at_once(&w);
}

static void a_distance_before_the_first_byte_is_refused_even_when_the_sums_fit(void **state)
{
    (void)state;
    struct bit_writer w;
    memset(window, 0, sizeof window);
    begin_bits(&w); /* fixed: length 3, distance 1, end of block */
    put_bits(&w, 3, 3), put_code(&w, 1, 7), put_code(&w, 0, 5), put_code(&w, 0, 7);
    put_trailer(&w, 3);
    assert_judges_like_zlib(w.bytes, w.bits / 8);
    assert_int_equal(decode(w.bytes, w.bits / 8, 32768, WHOLE).rc, -MOLT_BAD_GZIP);
}

static void fixed_and_dynamic_blocks_may_alternate(void **state)
{
    (void)state;
    make_plain(TEXT, 6000);
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_FIXED), Z_OK);
    z.next_in = plain;
    z.next_out = gz;
    z.avail_out = GZ_MAX;
    for (int part = 0; part < 6; part++) {
        assert_int_equal(deflateParams(&z, 9, part % 2 == 0 ? Z_FIXED : Z_HUFFMAN_ONLY), Z_OK);
        z.avail_in = 1000;
        assert_int_equal(deflate(&z, part == 5 ? Z_FINISH : Z_FULL_FLUSH), part == 5 ? Z_STREAM_END : Z_OK);
    }
    size_t n = z.total_out;
    deflateEnd(&z);
    assert_decodes(n, 6000, 32768, RANDOM);
}

static void a_refusal_is_sticky(void **state)
{
    (void)state;
    struct molt_inflate inf;
    uint8_t out[16];
    size_t made = 99, in_len = 1;
    const uint8_t bad = 0x42, *in = &bad;
    assert_int_equal(molt_inflate_begin(&inf, window, 256), 0);
    assert_int_equal(molt_inflate_step(&inf, &in, &in_len, out, sizeof out, &made), -MOLT_BAD_GZIP);
    make_plain(TEXT, 100);
    in_len = deflate_plain(100, 9, Z_DEFAULT_STRATEGY, 9, NULL);
    in = gz;
    assert_int_equal(molt_inflate_step(&inf, &in, &in_len, out, sizeof out, &made), -MOLT_BAD_GZIP);
    assert_int_equal(made, 0);
    assert_ptr_equal(in, gz);
}

/* ---- window and end ---- */

static void a_distance_beyond_the_window_is_refused_not_misread(void **state)
{
    (void)state;
    make_plain(NOISE, 5000);
    memcpy(plain + 5000, plain, 5000); /* repeats from 5000 bytes back */
    size_t n = deflate_plain(10000, 9, Z_DEFAULT_STRATEGY, 15, NULL);
    assert_decodes(n, 10000, 8192, RANDOM);
    struct outcome o = decode(gz, n, 4096, RANDOM);
    assert_int_equal(o.rc, -MOLT_GZIP_WINDOW);
    assert_memory_equal(result, plain, o.made);
    assert_in_range(o.made, 4900, 5001); /* zlib never matches the very first byte */
    n = deflate_plain(10000, 9, Z_DEFAULT_STRATEGY, 12, NULL);
    assert_decodes(n, 10000, 4096, RANDOM);
}

static void a_distance_of_exactly_the_window_is_taken(void **state)
{
    (void)state;
    make_plain(NOISE, 1024);
    memcpy(plain + 1024, plain, 1024);
    size_t n = deflate_plain(2048, 9, Z_DEFAULT_STRATEGY, 15, NULL);
    assert_decodes(n, 2048, 1024, SINGLE);
    assert_int_equal(decode(gz, n, 512, SINGLE).rc, -MOLT_GZIP_WINDOW);
    make_plain(NOISE, 1025); /* one byte further */
    memcpy(plain + 1025, plain, 1025);
    n = deflate_plain(2050, 9, Z_DEFAULT_STRATEGY, 15, NULL);
    assert_int_equal(decode(gz, n, 1024, SINGLE).rc, -MOLT_GZIP_WINDOW);
}

static void bytes_behind_the_member_are_left_alone(void **state)
{
    (void)state;
    make_plain(MIXED, 3000);
    for (int level = 0; level <= 9; level += 3) {
        size_t n = deflate_plain(3000, level, Z_DEFAULT_STRATEGY, 15, NULL);
        memset(gz + n, 0xA5, 64);
        struct outcome o = decode(gz, n + 64, 32768, RANDOM);
        assert_int_equal(o.rc, MOLT_INFLATE_END);
        assert_int_equal(o.used, n);
    }
}

static void a_window_length_must_be_a_power_of_two_in_range(void **state)
{
    (void)state;
    struct molt_inflate inf;
    const uint32_t wrong[] = {0, 1, 128, 255, 257, 4095, 32767, 65536, 0x80000000u};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(molt_inflate_begin(&inf, window, wrong[i]), -MOLT_ARG);
    }
    assert_int_equal(molt_inflate_begin(&inf, NULL, 4096), -MOLT_ARG);
    for (uint32_t len = 256; len <= 32768; len *= 2) {
        assert_int_equal(molt_inflate_begin(&inf, window, len), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level_strategy_and_window_of_zlib_decodes),
        cmocka_unit_test(pieces_of_input_and_output_do_not_matter),
        cmocka_unit_test(an_empty_member_and_a_single_byte_decode),
        cmocka_unit_test(every_combination_of_header_fields_is_skipped),
        cmocka_unit_test(a_wrong_header_is_refused_at_the_byte_that_is_wrong),
        cmocka_unit_test(a_cut_at_any_byte_only_asks_for_more),
        cmocka_unit_test(a_flip_of_any_bit_is_judged_like_zlib),
        cmocka_unit_test(noise_after_the_header_is_judged_like_zlib),
        cmocka_unit_test(incomplete_and_oversubscribed_codes_are_judged_like_zlib),
        cmocka_unit_test(symbols_and_counts_beyond_the_format_are_refused_at_once),
        cmocka_unit_test(a_distance_before_the_first_byte_is_refused_even_when_the_sums_fit),
        cmocka_unit_test(fixed_and_dynamic_blocks_may_alternate),
        cmocka_unit_test(a_refusal_is_sticky),
        cmocka_unit_test(a_distance_beyond_the_window_is_refused_not_misread),
        cmocka_unit_test(a_distance_of_exactly_the_window_is_taken),
        cmocka_unit_test(bytes_behind_the_member_are_left_alone),
        cmocka_unit_test(a_window_length_must_be_a_power_of_two_in_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
