/* inflate.c - streaming gzip decoder: a state machine that can stop at any bit of input and any byte of
 * output. Must never read behind the window, write beyond out_cap, or take a code that zlib would refuse.
 * Tests: test/unit/inflate_test.c, test/fuzz/inflate_fuzz.c. */
#include "inflate.h"

#include <string.h>

#include "../util/bytes.h"
#include "../util/crc.h"

#define CODE_BITS_MAX 15u
#define LITERALS_MAX  286u /* codes a dynamic block may define, as zlib counts */
#define DISTANCES_MAX 30u
#define CODE_LENGTHS  19u
#define END_OF_BLOCK  256

enum { FLAG_HCRC = 2, FLAG_EXTRA = 4, FLAG_NAME = 8, FLAG_COMMENT = 16, FLAGS_RESERVED = 0xE0 };

enum state {
    ST_HEADER,
    ST_EXTRA_LEN,
    ST_EXTRA,
    ST_NAME,
    ST_COMMENT,
    ST_HEADER_CRC,
    ST_BLOCK,
    ST_STORED_LEN,
    ST_STORED,
    ST_DYNAMIC,
    ST_CODE_LENGTHS,
    ST_LENGTHS,
    ST_SYMBOL,
    ST_LENGTH_EXTRA,
    ST_DISTANCE,
    ST_DISTANCE_EXTRA,
    ST_COPY,
    ST_TRAILER,
    ST_END,
};

/* What an action says. Failures are negative reasons. */
enum { AGAIN = 0, STALL = 1 };
enum { STARVED = -1, INVALID = -2 };

/* Input and output of one call. */
struct io {
    const uint8_t *in, *in_start;
    size_t in_len;
    uint8_t *out;
    size_t out_cap, out_len, out_summed; /* out_summed: bytes already in the CRC */
};

/* Makes n (at most 16) bits available. Loads no byte that is not needed, so none behind the member. */
static bool need(struct molt_inflate *inf, struct io *io, uint32_t n)
{
    while (inf->bit_count < n) {
        if (io->in_len == 0) return false;
        inf->bits |= (uint32_t)*io->in++ << inf->bit_count;
        io->in_len--;
        inf->bit_count += 8;
    }
    return true;
}

static uint32_t take(struct molt_inflate *inf, uint32_t n)
{
    uint32_t value = inf->bits & ((1u << n) - 1);
    inf->bits >>= n;
    inf->bit_count -= n;
    return value;
}

static void put(struct molt_inflate *inf, struct io *io, uint8_t byte)
{
    io->out[io->out_len++] = byte;
    inf->window[inf->total_out & inf->window_mask] = byte;
    inf->total_out++;
}

static void go(struct molt_inflate *inf, enum state state)
{
    inf->state = (uint8_t)state;
    inf->field = 0;
    inf->number = 0;
}

/* ---- the gzip header and trailer ---- */

/* One byte of the header, counted in its CRC. */
static bool header_byte(struct molt_inflate *inf, struct io *io, uint8_t *byte)
{
    if (io->in_len == 0) return false;
    *byte = *io->in++;
    io->in_len--;
    inf->crc = molt_crc32_lsb(inf->crc, byte, 1);
    return true;
}

/* Collects a little-endian number of n bytes in inf->number. */
static bool number(struct molt_inflate *inf, struct io *io, uint8_t n)
{
    while (inf->field < n) {
        uint8_t byte;
        if (!header_byte(inf, io, &byte)) return false;
        inf->number |= (uint32_t)byte << (8u * inf->field);
        inf->field++;
    }
    return true;
}

static int header(struct molt_inflate *inf, struct io *io)
{
    static const uint8_t magic[3] = {0x1F, 0x8B, 8};
    while (inf->field < 10) {
        uint8_t byte;
        if (!header_byte(inf, io, &byte)) return STALL;
        if (inf->field < 3 && byte != magic[inf->field]) return -MOLT_BAD_GZIP;
        if (inf->field == 3) {
            if ((byte & FLAGS_RESERVED) != 0) return -MOLT_BAD_GZIP;
            inf->flags = byte;
        }
        inf->field++;
    }
    go(inf, ST_EXTRA_LEN);
    return AGAIN;
}

static int extra_len(struct molt_inflate *inf, struct io *io)
{
    if ((inf->flags & FLAG_EXTRA) == 0) {
        go(inf, ST_NAME);
        return AGAIN;
    }
    if (!number(inf, io, 2)) return STALL;
    inf->stored_left = inf->number;
    go(inf, ST_EXTRA);
    return AGAIN;
}

static int extra(struct molt_inflate *inf, struct io *io)
{
    for (; inf->stored_left > 0; inf->stored_left--) {
        uint8_t byte;
        if (!header_byte(inf, io, &byte)) return STALL;
    }
    go(inf, ST_NAME);
    return AGAIN;
}

/* A NUL-terminated text, when its flag is set. */
static int text(struct molt_inflate *inf, struct io *io, uint8_t flag, enum state next)
{
    uint8_t byte = (inf->flags & flag) != 0;
    while (byte != 0) {
        if (!header_byte(inf, io, &byte)) return STALL;
    }
    go(inf, next);
    return AGAIN;
}

static int header_crc(struct molt_inflate *inf, struct io *io)
{
    if ((inf->flags & FLAG_HCRC) != 0) {
        if (inf->field == 0) inf->copy_len = inf->crc & 0xFFFF; /* before its own bytes are counted */
        if (!number(inf, io, 2)) return STALL;
        if (inf->number != inf->copy_len) return -MOLT_BAD_GZIP;
    }
    inf->crc = 0;
    go(inf, ST_BLOCK);
    return AGAIN;
}

static void sum_output(struct molt_inflate *inf, struct io *io)
{
    inf->crc = molt_crc32_lsb(inf->crc, io->out + io->out_summed, io->out_len - io->out_summed);
    io->out_summed = io->out_len;
}

static int trailer(struct molt_inflate *inf, struct io *io)
{
    sum_output(inf, io);
    while (inf->field < 8) {
        uint32_t want = inf->field < 4 ? inf->crc : inf->total_out;
        if (io->in_len == 0) return STALL;
        if (*io->in != (uint8_t)(want >> (8u * (inf->field & 3u)))) return -MOLT_BAD_GZIP;
        io->in++;
        io->in_len--;
        inf->field++;
    }
    go(inf, ST_END);
    return AGAIN;
}

/* ---- codes ---- */

/* Makes the table of a canonical code. Judges like zlib: an over-subscribed set is wrong, an incomplete one
 * too unless it is one code of one bit, or none at all (where `may_lack`). */
static bool build(uint16_t count[16], uint16_t *symbol, const uint8_t *lengths, uint32_t n, bool may_lack)
{
    uint16_t offset[16];
    memset(count, 0, 16 * sizeof count[0]);
    for (uint32_t i = 0; i < n; i++) {
        count[lengths[i]]++;
    }
    uint32_t used = n - count[0];
    int32_t left = 1;
    offset[0] = offset[1] = 0;
    for (uint32_t len = 1; len <= CODE_BITS_MAX; len++) {
        left = left * 2 - count[len];
        if (left < 0) return false;
        if (len < CODE_BITS_MAX) offset[len + 1] = (uint16_t)(offset[len] + count[len]);
    }
    bool lone = used == 0 || (used == 1 && count[1] == 1);
    if (left > 0 && !(may_lack && lone)) return false;
    for (uint32_t i = 0; i < n; i++) {
        if (lengths[i] != 0) symbol[offset[lengths[i]]++] = (uint16_t)i;
    }
    return true;
}

/* The next symbol, STARVED or INVALID. Bits are used only when they make a whole code. */
static int decode(struct molt_inflate *inf, struct io *io, const uint16_t count[16], const uint16_t *symbol)
{
    for (;;) {
        uint32_t bits = inf->bits, code = 0, first = 0, index = 0;
        uint32_t limit = molt_min32(inf->bit_count, CODE_BITS_MAX);
        for (uint32_t len = 1; len <= limit; len++) {
            code |= bits & 1;
            bits >>= 1;
            if (code - first < count[len]) {
                take(inf, len);
                return symbol[index + code - first];
            }
            index += count[len];
            first = (first + count[len]) << 1;
            code <<= 1;
        }
        if (limit == CODE_BITS_MAX) return INVALID;
        if (!need(inf, io, inf->bit_count + 1)) return STARVED;
    }
}

static void fixed_codes(struct molt_inflate *inf)
{
    if (inf->fixed_codes) return;
    memset(inf->lengths, 8, 144);
    memset(inf->lengths + 144, 9, 112);
    memset(inf->lengths + 256, 7, 24);
    memset(inf->lengths + 280, 8, 8);
    (void)build(inf->literal_count, inf->literal_symbol, inf->lengths, 288, false);
    memset(inf->lengths, 5, 32);
    (void)build(inf->distance_count, inf->distance_symbol, inf->lengths, 32, false);
    inf->fixed_codes = true;
}

/* ---- blocks ---- */

static int block(struct molt_inflate *inf, struct io *io)
{
    if (inf->last_block) {
        inf->bits = inf->bit_count = 0; /* fewer than 8: the rest of the byte */
        go(inf, ST_TRAILER);
        return AGAIN;
    }
    if (inf->skip_bits > 0) { /* of a byte whose first bits were used before a resume */
        if (!need(inf, io, inf->skip_bits)) return STALL;
        (void)take(inf, inf->skip_bits);
        inf->skip_bits = 0;
    }
    if (!need(inf, io, 3)) return STALL;
    uint32_t loaded = inf->total_in + (uint32_t)(io->in - io->in_start);
    inf->block.in = loaded - (inf->bit_count + 7) / 8;
    inf->block.bit = (uint8_t)(-inf->bit_count & 7u);
    inf->block.out = inf->total_out;
    inf->last_block = take(inf, 1) != 0;
    switch (take(inf, 2)) {
    case 0:
        inf->bits = inf->bit_count = 0;
        go(inf, ST_STORED_LEN);
        return AGAIN;
    case 1:
        fixed_codes(inf);
        go(inf, ST_SYMBOL);
        return AGAIN;
    case 2:
        go(inf, ST_DYNAMIC);
        return AGAIN;
    default:
        return -MOLT_BAD_GZIP;
    }
}

static int stored_len(struct molt_inflate *inf, struct io *io)
{
    for (; inf->field < 4; inf->field++) {
        if (!need(inf, io, 8)) return STALL;
        inf->number |= take(inf, 8) << (8u * inf->field);
    }
    if ((inf->number & 0xFFFF) != (~inf->number >> 16)) return -MOLT_BAD_GZIP;
    inf->stored_left = inf->number & 0xFFFF;
    go(inf, ST_STORED);
    return AGAIN;
}

static int stored(struct molt_inflate *inf, struct io *io)
{
    while (inf->stored_left > 0) {
        if (io->in_len == 0 || io->out_len == io->out_cap) return STALL;
        put(inf, io, *io->in++);
        io->in_len--;
        inf->stored_left--;
    }
    go(inf, ST_BLOCK);
    return AGAIN;
}

static int dynamic(struct molt_inflate *inf, struct io *io)
{
    if (!need(inf, io, 14)) return STALL;
    inf->n_literal = (uint16_t)(take(inf, 5) + 257);
    inf->n_distance = (uint16_t)(take(inf, 5) + 1);
    inf->n_code = (uint16_t)(take(inf, 4) + 4);
    if (inf->n_literal > LITERALS_MAX || inf->n_distance > DISTANCES_MAX) return -MOLT_BAD_GZIP;
    inf->fixed_codes = false;
    inf->lengths_have = 0;
    memset(inf->lengths, 0, CODE_LENGTHS);
    go(inf, ST_CODE_LENGTHS);
    return AGAIN;
}

static int code_lengths(struct molt_inflate *inf, struct io *io)
{
    static const uint8_t order[CODE_LENGTHS] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                11, 4,  12, 3, 13, 2, 14, 1, 15};
    while (inf->lengths_have < inf->n_code) {
        if (!need(inf, io, 3)) return STALL;
        inf->lengths[order[inf->lengths_have++]] = (uint8_t)take(inf, 3);
    }
    /* The code of the lengths sits in the distance table until the lengths are read. */
    if (!build(inf->distance_count, inf->distance_symbol, inf->lengths, CODE_LENGTHS, false))
        return -MOLT_BAD_GZIP;
    inf->lengths_have = 0;
    go(inf, ST_LENGTHS);
    return AGAIN;
}

/* One length, or a repeat: its symbol is kept in `number` while its extra bits are missing. */
static int one_length(struct molt_inflate *inf, struct io *io)
{
    if (inf->number == 0) {
        int symbol = decode(inf, io, inf->distance_count, inf->distance_symbol);
        if (symbol == STARVED) return STALL;
        if (symbol < 0) return -MOLT_BAD_GZIP;
        if (symbol < 16) {
            inf->lengths[inf->lengths_have++] = (uint8_t)symbol;
            return AGAIN;
        }
        inf->number = (uint32_t)symbol;
    }
    static const uint8_t extra_of[3] = {2, 3, 7}, base_of[3] = {3, 3, 11};
    uint32_t kind = inf->number - 16, value = 0;
    if (!need(inf, io, extra_of[kind])) return STALL;
    uint32_t repeat = base_of[kind] + take(inf, extra_of[kind]);
    inf->number = 0;
    if (kind == 0) {
        if (inf->lengths_have == 0) return -MOLT_BAD_GZIP;
        value = inf->lengths[inf->lengths_have - 1];
    }
    if (inf->lengths_have + repeat > (uint32_t)inf->n_literal + inf->n_distance) return -MOLT_BAD_GZIP;
    memset(inf->lengths + inf->lengths_have, (int)value, repeat);
    inf->lengths_have = (uint16_t)(inf->lengths_have + repeat);
    return AGAIN;
}

static int lengths(struct molt_inflate *inf, struct io *io)
{
    while (inf->lengths_have < inf->n_literal + inf->n_distance) {
        int rc = one_length(inf, io);
        if (rc != AGAIN) return rc;
    }
    if (inf->lengths[END_OF_BLOCK] == 0) return -MOLT_BAD_GZIP;
    const uint8_t *distances = inf->lengths + inf->n_literal;
    if (!build(inf->literal_count, inf->literal_symbol, inf->lengths, inf->n_literal, true) ||
        !build(inf->distance_count, inf->distance_symbol, distances, inf->n_distance, true)) {
        return -MOLT_BAD_GZIP;
    }
    go(inf, ST_SYMBOL);
    return AGAIN;
}

/* ---- symbols ---- */

/* A length symbol's base and extra bits (RFC 1951 3.2.5, as a formula). */
static void begin_match(struct molt_inflate *inf, uint32_t symbol)
{
    inf->extra_bits = symbol < 8 || symbol == 28 ? 0 : (uint8_t)(symbol / 4 - 1);
    inf->copy_len = symbol < 8 ? symbol + 3 : ((4 + symbol % 4) << inf->extra_bits) + 3;
    if (symbol == 28) inf->copy_len = 258;
    go(inf, ST_LENGTH_EXTRA);
}

static int symbols(struct molt_inflate *inf, struct io *io)
{
    while (io->out_len < io->out_cap) {
        int symbol = decode(inf, io, inf->literal_count, inf->literal_symbol);
        if (symbol == STARVED) return STALL;
        if (symbol < 0 || symbol > END_OF_BLOCK + 29) return -MOLT_BAD_GZIP;
        if (symbol >= END_OF_BLOCK) {
            if (symbol == END_OF_BLOCK) go(inf, ST_BLOCK);
            if (symbol > END_OF_BLOCK) begin_match(inf, (uint32_t)symbol - END_OF_BLOCK - 1);
            return AGAIN;
        }
        put(inf, io, (uint8_t)symbol);
    }
    return STALL;
}

static int length_extra(struct molt_inflate *inf, struct io *io)
{
    if (!need(inf, io, inf->extra_bits)) return STALL;
    inf->copy_len += take(inf, inf->extra_bits);
    go(inf, ST_DISTANCE);
    return AGAIN;
}

static int distance(struct molt_inflate *inf, struct io *io)
{
    int symbol = decode(inf, io, inf->distance_count, inf->distance_symbol);
    if (symbol == STARVED) return STALL;
    if (symbol < 0 || symbol >= (int)DISTANCES_MAX) return -MOLT_BAD_GZIP;
    uint32_t s = (uint32_t)symbol;
    inf->extra_bits = s < 4 ? 0 : (uint8_t)(s / 2 - 1);
    inf->copy_dist = s < 4 ? s + 1 : ((2 + s % 2) << inf->extra_bits) + 1;
    go(inf, ST_DISTANCE_EXTRA);
    return AGAIN;
}

static int distance_extra(struct molt_inflate *inf, struct io *io)
{
    if (!need(inf, io, inf->extra_bits)) return STALL;
    inf->copy_dist += take(inf, inf->extra_bits);
    if (inf->copy_dist > inf->total_out) return -MOLT_BAD_GZIP;
    if (inf->copy_dist > inf->window_mask + 1) return -MOLT_GZIP_WINDOW;
    go(inf, ST_COPY);
    return AGAIN;
}

static int copy(struct molt_inflate *inf, struct io *io)
{
    for (; inf->copy_len > 0; inf->copy_len--) {
        if (io->out_len == io->out_cap) return STALL;
        put(inf, io, inf->window[(inf->total_out - inf->copy_dist) & inf->window_mask]);
    }
    go(inf, ST_SYMBOL);
    return AGAIN;
}

static int act(struct molt_inflate *inf, struct io *io)
{
    switch ((enum state)inf->state) {
    case ST_HEADER:
        return header(inf, io);
    case ST_EXTRA_LEN:
        return extra_len(inf, io);
    case ST_EXTRA:
        return extra(inf, io);
    case ST_NAME:
        return text(inf, io, FLAG_NAME, ST_COMMENT);
    case ST_COMMENT:
        return text(inf, io, FLAG_COMMENT, ST_HEADER_CRC);
    case ST_HEADER_CRC:
        return header_crc(inf, io);
    case ST_BLOCK:
        return block(inf, io);
    case ST_STORED_LEN:
        return stored_len(inf, io);
    case ST_STORED:
        return stored(inf, io);
    case ST_DYNAMIC:
        return dynamic(inf, io);
    case ST_CODE_LENGTHS:
        return code_lengths(inf, io);
    case ST_LENGTHS:
        return lengths(inf, io);
    case ST_SYMBOL:
        return symbols(inf, io);
    case ST_LENGTH_EXTRA:
        return length_extra(inf, io);
    case ST_DISTANCE:
        return distance(inf, io);
    case ST_DISTANCE_EXTRA:
        return distance_extra(inf, io);
    case ST_COPY:
        return copy(inf, io);
    case ST_TRAILER:
        return trailer(inf, io);
    case ST_END:
        break;
    }
    return STALL;
}

int molt_inflate_begin(struct molt_inflate *inf, uint8_t *window, uint32_t window_len)
{
    bool power = window_len != 0 && (window_len & (window_len - 1)) == 0;
    if (window == NULL || !power || window_len < 256 || window_len > 32768) return -MOLT_ARG;
    memset(inf, 0, sizeof *inf);
    inf->window = window;
    inf->window_mask = window_len - 1;
    return 0;
}

int molt_inflate_resume(struct molt_inflate *inf, uint8_t *window, uint32_t window_len,
                        const struct molt_inflate_block *block, uint32_t crc)
{
    int rc = molt_inflate_begin(inf, window, window_len);
    if (rc < 0) return rc;
    inf->block = *block;
    inf->total_in = block->in;
    inf->total_out = block->out;
    inf->skip_bits = block->bit & 7u;
    inf->crc = crc;
    inf->state = ST_BLOCK;
    return 0;
}

int molt_inflate_step(struct molt_inflate *inf, const uint8_t **in, size_t *in_len, uint8_t *out,
                      size_t out_cap, size_t *out_len)
{
    *out_len = 0;
    if (inf->failed != 0) return inf->failed;
    struct io io = {.in = *in, .in_start = *in, .in_len = *in_len, .out = out, .out_cap = out_cap};
    int rc;
    do {
        rc = act(inf, &io);
    } while (rc == AGAIN);
    if (inf->state > ST_HEADER_CRC) sum_output(inf, &io);
    inf->total_in += (uint32_t)(*in_len - io.in_len);
    *in = io.in;
    *in_len = io.in_len;
    *out_len = io.out_len;
    if (rc < 0) {
        inf->failed = rc;
        return rc;
    }
    return inf->state == ST_END ? MOLT_INFLATE_END : MOLT_INFLATE_MORE;
}
