/* pack_test.c - the pack decoder: whatever the pieces it is fed in and however little it may write, it gives the same
 * bytes; what is cut, damaged or for another base is refused, and nothing is put out beyond what the header says. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/pack/pack.h"
#include "util/bytes.h"
#include "util/crc.h"
#include "util/text.h"

#define LEN_MAX 70000u

static uint8_t old[LEN_MAX], new[LEN_MAX], result[LEN_MAX + 1];
static uint32_t random_state = 1;
static struct molt_pack decoder;

static uint32_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

/* Bytes that repeat here and there, and a changed copy of them. */
static void make_pair(size_t len)
{
    random_state = 7;
    for (size_t i = 0; i < len; i++) {
        uint32_t r = next_random();
        old[i] = i > 200 && r % 4 != 0 ? old[i - 1 - r % 190] : (uint8_t)(r >> 20);
    }
    for (size_t i = 0; i < len; i++)
        new[i] = old[i < len / 2 ? i : i - 9];
    for (size_t i = 50; i < len; i += 300)
        new[i] ^= (uint8_t)(1 + i % 255);
}

static uint8_t *pack_of(size_t len, bool delta, uint32_t frame_log2, size_t *pack_len)
{
    uint8_t *pack;
    struct pack_job job = {.data = new, .len = len, .frame_log2 = frame_log2};
    if (delta) {
        job.base = old;
        job.base_len = len;
    }
    assert_int_equal(pack_encode(&job, &pack, pack_len, NULL), 0);
    return pack;
}

/* ---- the device's side: reads are checked, output goes to `result` ---- */

static uint32_t base_len;
static uint32_t written;
static int failing_read; /* that many reads from now fails, 0 never */

static int count_read(void)
{
    return failing_read > 0 && --failing_read == 0 ? -5 : 0;
}

static int read_base(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    (void)ctx;
    assert_true(len <= MOLT_PACK_READ_MAX && off <= base_len && len <= base_len - off);
    memcpy(dst, old + off, len);
    return count_read();
}

static int read_output(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    (void)ctx;
    assert_true(len <= MOLT_PACK_READ_MAX && off <= written && len <= written - off);
    memcpy(dst, result + off, len);
    return count_read();
}

/* Feeds pieces of in_piece bytes, takes out_piece bytes a call. The last answer; MORE: starved. */
static int drive(const uint8_t *pack, size_t len, size_t in_piece, size_t out_piece, uint32_t resume_at)
{
    const struct molt_pack_io io = {NULL, read_base, read_output};
    size_t used = 0, made;
    written = 0;
    molt_pack_begin(&decoder, &io);
    for (;;) {
        size_t give = len - used < in_piece ? len - used : in_piece, left = give;
        size_t room = sizeof result - written < out_piece ? sizeof result - written : out_piece;
        const uint8_t *in = pack + used;
        int rc = molt_pack_step(&decoder, &in, &left, result + written, room, &made);
        assert_true(made <= room && left <= give && in == pack + used + (give - left));
        used += give - left;
        written += (uint32_t)made;
        if (rc == MOLT_PACK_HEAD) {
            assert_int_equal(written, 0);
            assert_true(decoder.base_len <= LEN_MAX);
            if (resume_at > 0) {
                used = molt_pack_resume(&decoder, resume_at);
                assert_true(used > 0);
                written = decoder.total_out;
            }
            continue;
        }
        assert_int_equal(written, decoder.total_out);
        if (rc != MOLT_PACK_MORE) {
            if (rc == MOLT_PACK_END) assert_int_equal(used, decoder.total_in);
            return rc;
        }
        if (give == left && made == 0) return rc;
    }
}

static void a_pack_decodes_the_same_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 2, 7, 63, 64, 65, 4096, LEN_MAX};
    for (int delta = 0; delta < 2; delta++) {
        size_t len = 9000, pack_len;
        make_pair(len);
        base_len = (uint32_t)len;
        uint8_t *pack = pack_of(len, delta != 0, 12, &pack_len);
        assert_true(pack_len < len);
        for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
            for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++) {
                memset(result, 0xAA, sizeof result);
                assert_int_equal(drive(pack, pack_len, pieces[i], pieces[k], 0), MOLT_PACK_END);
                assert_int_equal(written, len);
                assert_memory_equal(result, new, len);
            }
        }
        free(pack);
    }
}

static void every_truncated_pack_stays_incomplete(void **state)
{
    (void)state;
    for (int delta = 0; delta < 2; delta++) {
        size_t len = 2500, pack_len;
        make_pair(len);
        base_len = (uint32_t)len;
        uint8_t *pack = pack_of(len, delta != 0, 12, &pack_len);
        for (size_t cut = 0; cut < pack_len; cut++) {
            assert_int_not_equal(drive(pack, cut, LEN_MAX, 512, 0), MOLT_PACK_END);
            uint8_t *out = NULL;
            size_t out_len;
            int rc = pack_decode(pack, cut, delta != 0 ? old : NULL, len, &out, &out_len);
            assert_int_equal(rc, -MOLT_BAD_PACK);
            assert_null(out);
        }
        free(pack);
    }
}

static void every_damaged_byte_is_found(void **state)
{
    (void)state;
    static const uint8_t flips[] = {1, 0xFF};
    for (int delta = 0; delta < 2; delta++) {
        size_t len = 2500, pack_len;
        make_pair(len);
        base_len = (uint32_t)len;
        uint8_t *pack = pack_of(len, delta != 0, 12, &pack_len);
        for (size_t i = 0; i < pack_len; i++) {
            for (size_t k = 0; k < sizeof flips; k++) {
                pack[i] ^= flips[k];
                int rc = drive(pack, pack_len, LEN_MAX, 512, 0);
                /* a header that seems longer waits for its end, and has put out nothing */
                assert_true(rc == -MOLT_BAD_PACK || (rc == MOLT_PACK_MORE && written == 0));
                assert_true(written <= len);
                pack[i] ^= flips[k];
            }
        }
        assert_int_equal(drive(pack, pack_len, LEN_MAX, 512, 0), MOLT_PACK_END);
        free(pack);
    }
}

/* A small pair of two frames, of which the delta has matches, copies and literals. */
static uint8_t *small_pack(bool delta, size_t *len, size_t *pack_len)
{
    *len = 4096 + 150;
    make_pair(*len);
    memset(old + 200, 0x55, *len - 400); /* keeps the pack short */
    memcpy(new + 200, old + 200, *len - 400);
    base_len = (uint32_t)*len;
    return pack_of(*len, delta, 12, pack_len);
}

/* Nothing is sampled: each byte in each of its 255 other values. What comes out of a frame before it was checked is
 * bounded, and its end is never reached. */
static void every_other_value_of_every_byte_is_found(void **state)
{
    (void)state;
    for (int delta = 0; delta < 2; delta++) {
        size_t len, pack_len;
        uint8_t *pack = small_pack(delta != 0, &len, &pack_len);
        assert_int_equal(drive(pack, pack_len, LEN_MAX, LEN_MAX, 0), MOLT_PACK_END);
        const size_t head = decoder.head_len;
        for (size_t i = 0; i < pack_len; i++) {
            for (unsigned other = 1; other < 256; other++) {
                pack[i] ^= (uint8_t)other;
                int rc = drive(pack, pack_len, LEN_MAX, LEN_MAX, 0);
                assert_true(rc == -MOLT_BAD_PACK || (rc == MOLT_PACK_MORE && i < head));
                assert_true(i >= head ? written <= len : written == 0);
                pack[i] ^= (uint8_t)other;
            }
        }
        free(pack);
    }
}

static void every_beginning_of_a_small_pack_is_incomplete(void **state)
{
    (void)state;
    for (int delta = 0; delta < 2; delta++) {
        size_t len, pack_len;
        uint8_t *pack = small_pack(delta != 0, &len, &pack_len);
        for (size_t cut = 0; cut < pack_len; cut++) {
            int rc = drive(pack, cut, LEN_MAX, LEN_MAX, 0);
            assert_true(rc == MOLT_PACK_MORE && written <= len);
            assert_memory_equal(result, new, written); /* what comes before the cut is right */
        }
        free(pack);
    }
}

static void bytes_behind_the_end_are_left_alone(void **state)
{
    (void)state;
    size_t len = 3000, pack_len, out_len;
    make_pair(len);
    uint8_t *pack = pack_of(len, false, 0, &pack_len), *longer = malloc(pack_len + 1), *out = NULL;
    memcpy(longer, pack, pack_len);
    longer[pack_len] = 0;
    assert_int_equal(drive(longer, pack_len + 1, LEN_MAX, LEN_MAX, 0), MOLT_PACK_END);
    assert_int_equal(decoder.total_in, pack_len);
    assert_int_equal(pack_decode(longer, pack_len + 1, NULL, 0, &out, &out_len), -MOLT_BAD_PACK);
    free(longer);
    free(pack);
}

static void a_delta_names_its_base_and_takes_no_other(void **state)
{
    (void)state;
    size_t len = 5000, pack_len, out_len;
    make_pair(len);
    uint8_t *pack = pack_of(len, true, 0, &pack_len), *out = NULL;
    assert_int_equal(pack_decode(pack, pack_len, NULL, 0, &out, &out_len), -MOLT_PACK_BASE);
    assert_int_equal(pack_decode(pack, pack_len, old, len - 1, &out, &out_len), -MOLT_PACK_BASE);
    old[len - 1] ^= 1;
    assert_int_equal(pack_decode(pack, pack_len, old, len, &out, &out_len), -MOLT_PACK_BASE);
    old[len - 1] ^= 1;
    assert_int_equal(pack_decode(pack, pack_len, old, len, &out, &out_len), 0);
    assert_int_equal(out_len, len);
    assert_memory_equal(out, new, len);
    free(out);
    free(pack);
}

static void decoding_goes_on_at_any_frame(void **state)
{
    (void)state;
    for (int delta = 0; delta < 2; delta++) {
        size_t len = 60001, pack_len;
        make_pair(len);
        base_len = (uint32_t)len;
        uint8_t *pack = pack_of(len, delta != 0, 13, &pack_len);
        assert_int_equal(drive(pack, pack_len, LEN_MAX, LEN_MAX, 0), MOLT_PACK_END);
        assert_int_equal(decoder.frames, 8);
        for (uint32_t frame = 1; frame < 8; frame++) {
            uint32_t from = frame << 13;
            assert_int_equal(molt_crc32_lsb(0, new + from - (1u << 13), 1u << 13),
                             decoder.frame[frame - 1].crc);
            memcpy(result, new, from); /* what the flash still holds */
            memset(result + from, 0xFF, sizeof result - from);
            assert_int_equal(drive(pack, pack_len, 100, 512, frame), MOLT_PACK_END);
            assert_memory_equal(result, new, len);
        }
        free(pack);
    }
}

static void resuming_is_for_the_moment_after_the_head_only(void **state)
{
    (void)state;
    size_t len = 20000, pack_len;
    make_pair(len);
    uint8_t *pack = pack_of(len, false, 12, &pack_len);
    assert_int_equal(drive(pack, pack_len, LEN_MAX, LEN_MAX, 0), MOLT_PACK_END);
    assert_int_equal(molt_pack_resume(&decoder, 1), 0);
    const struct molt_pack_io io = {NULL, read_base, read_output};
    molt_pack_begin(&decoder, &io);
    assert_int_equal(molt_pack_resume(&decoder, 0), 0);
    free(pack);
}

static void a_failing_read_ends_the_decoding(void **state)
{
    (void)state;
    size_t len = 2500, pack_len;
    make_pair(len);
    base_len = (uint32_t)len;
    uint8_t *pack = pack_of(len, true, 12, &pack_len);
    for (int n = 1; n < 20; n++) {
        failing_read = n;
        assert_int_equal(drive(pack, pack_len, LEN_MAX, 512, 0), -MOLT_FLASH_READ);
        assert_int_equal(decoder.port_err, -5);
    }
    failing_read = 0;
    free(pack);
}

/* A header whose CRC is right, whatever it says. */
static void reseal(uint8_t *pack, uint32_t head_len)
{
    molt_store32le(pack + head_len - 4, molt_crc32_lsb(0, pack, head_len - 4));
}

static void a_head_that_promises_too_much_is_refused_before_any_output(void **state)
{
    (void)state;
    size_t len = 2500, pack_len;
    make_pair(len);
    uint8_t *pack = pack_of(len, false, 12, &pack_len);
    assert_int_equal(drive(pack, pack_len, LEN_MAX, LEN_MAX, 0), MOLT_PACK_END);
    uint32_t head_len = decoder.head_len;
    static const struct {
        uint32_t at, value;
    } bad[] = {{8, 0},          {8, MOLT_PACK_OUT_MAX + 1},
               {8, 0xFFFFFFFF}, {8, 1u << 18},
               {12, 1},         {16, MOLT_PACK_MAP_MAX + 1},
               {0, 0x316B706D}, {4, 0x010C0004},
               {4, 0x010C0002}, {4, 0x010C0010},
               {4, 0x010C0400}, {4, 0x000C0000},
               {4, 0x020C0000}, {4, 0x01190000},
               {4, 0x010B0000}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint32_t was = molt_load32le(pack + bad[i].at);
        molt_store32le(pack + bad[i].at, bad[i].value);
        reseal(pack, head_len);
        assert_int_equal(drive(pack, pack_len, LEN_MAX, LEN_MAX, 0), -MOLT_BAD_PACK);
        assert_int_equal(written, 0);
        molt_store32le(pack + bad[i].at, was);
    }
    reseal(pack, head_len);
    assert_int_equal(drive(pack, pack_len, LEN_MAX, LEN_MAX, 0), MOLT_PACK_END);
    free(pack);
}

static void a_bomb_gives_no_more_than_asked_for_and_no_more_than_announced(void **state)
{
    (void)state;
    uint8_t *zeros = calloc(1, 1u << 20), *pack, small[512];
    size_t pack_len, out_len;
    struct pack_job job = {.data = zeros, .len = 1u << 20};
    assert_int_equal(pack_encode(&job, &pack, &pack_len, NULL), 0);
    assert_true(pack_len < 3000);
    const struct molt_pack_io io = {NULL, read_base, read_output};
    const uint8_t *in = pack;
    size_t in_len = pack_len, made;
    molt_pack_begin(&decoder, &io);
    assert_int_equal(molt_pack_step(&decoder, &in, &in_len, small, sizeof small, &made), MOLT_PACK_HEAD);
    assert_int_equal(molt_pack_step(&decoder, &in, &in_len, small, sizeof small, &made), MOLT_PACK_MORE);
    assert_int_equal(made, sizeof small);
    uint8_t *out;
    assert_int_equal(pack_decode(pack, pack_len, NULL, 0, &out, &out_len), 0);
    assert_int_equal(out_len, 1u << 20);
    assert_memory_equal(out, zeros, out_len);
    free(out);
    free(pack);
    free(zeros);
}

/* Is the text on doc/pack.md, where lines end now and then? */
static bool page_holds(const char *text)
{
    static char page[65536];
    FILE *file = fopen(MOLT_PACK_PAGE, "r");
    size_t len = 0;
    assert_non_null(file);
    for (int c; (c = fgetc(file)) != EOF;) {
        assert_true(len < sizeof page - 1);
        if (c != '\n') page[len++] = (char)c;
    }
    page[len] = '\0';
    fclose(file);
    return strstr(page, text) != NULL;
}

/* The vectors of doc/pack.md: the format is what it was, and the page says so. */
static void the_documented_vectors_decode_and_are_made_again(void **state)
{
    (void)state;
    static const char was[] = "An old skin is shed, and an old skin is worn: an old skin.\n";
    static const char is[] = "An old skin is shed, and a new skin is worn: a new skin.\n";
    static const char *const vectors[2] = {
        "6d706b3200001101390000000000000000000000000000001bbfd986df9858b6eaaacb50b32af91d82b8fa27"
        "d2f1f312effb26229c4b431f0000000000000000000000000000000000000000000000000000000000000000"
        "260000001eadabea5f45f03320c05ed39e29c972f6a68d1d41054a86f0351ee3e0c6438c1644e9dc48f8b719"
        "de20b1bc0000",
        "6d706b3201001201390000003b00000000000000a1ab701c1bbfd986df9858b6eaaacb50b32af91d82b8fa27"
        "d2f1f312effb26229c4b431f9cc91e9b06e72f496108010c99e86bfe3eadc8c54be9c39d3cbe6d18c4cda060"
        "0f0000001eadabea1f5fba4fc058f81656f0e98ccc578eb3633000"};
    for (int delta = 0; delta < 2; delta++) {
        uint8_t vector[400], *pack, *out;
        assert_true(page_holds(vectors[delta]));
        size_t len = strlen(vectors[delta]) / 2, pack_len, out_len;
        const uint8_t *base = delta != 0 ? (const uint8_t *)was : NULL;
        assert_true(molt_hex_decode(vectors[delta], 2 * len, vector, len));
        assert_int_equal(pack_decode(vector, len, base, sizeof was - 1, &out, &out_len), 0);
        assert_int_equal(out_len, sizeof is - 1);
        assert_memory_equal(out, is, out_len);
        struct pack_job job = {.data = out, .len = out_len, .base = base, .base_len = sizeof was - 1};
        assert_int_equal(pack_encode(&job, &pack, &pack_len, NULL), 0);
        assert_int_equal(pack_len, len);
        assert_memory_equal(pack, vector, len);
        free(pack);
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pack_decodes_the_same_in_pieces_of_any_size),
        cmocka_unit_test(the_documented_vectors_decode_and_are_made_again),
        cmocka_unit_test(every_truncated_pack_stays_incomplete),
        cmocka_unit_test(every_damaged_byte_is_found),
        cmocka_unit_test(every_other_value_of_every_byte_is_found),
        cmocka_unit_test(every_beginning_of_a_small_pack_is_incomplete),
        cmocka_unit_test(bytes_behind_the_end_are_left_alone),
        cmocka_unit_test(a_delta_names_its_base_and_takes_no_other),
        cmocka_unit_test(decoding_goes_on_at_any_frame),
        cmocka_unit_test(resuming_is_for_the_moment_after_the_head_only),
        cmocka_unit_test(a_failing_read_ends_the_decoding),
        cmocka_unit_test(a_head_that_promises_too_much_is_refused_before_any_output),
        cmocka_unit_test(a_bomb_gives_no_more_than_asked_for_and_no_more_than_announced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
