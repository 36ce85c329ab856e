/* pack.c - the decoder of molt packs (pack.h): sections of the header, then frames of range-coded tokens.
 * Must never read outside base or output, nor put out more than the header says, whatever the input.
 * Tests: test/unit/pack_test.c, test/property/pack_test.c, test/fuzz/pack_fuzz.c. */
#include "pack.h"

#include <string.h>

#include "../util/bytes.h"
#include "../util/crc.h"

#define NEED_LEN  48u /* bytes of input that one symbol can use: 40 at most, see doc/pack.md */
#define RANGE_MIN (1u << 24)
#define CHUNK_LEN 32u

enum phase {
    PH_FIXED, /* sections of the header */
    PH_INDEX,
    PH_MAP,
    PH_MAP_ITEM,
    PH_HEAD_CRC,
    PH_HEAD_DONE,
    PH_FRAME, /* begins one */
    PH_CODE,  /* takes the range coder's first bytes */
    PH_TOKEN,
    PH_COPY,
    PH_COPY_BASE,
    PH_FRAME_DONE,
    PH_END,
};

enum { AGAIN = 0, STALL = 1, TELL = 2 };

/* Input and output of one call. */
struct io {
    const uint8_t *in;
    size_t in_len;
    uint8_t *out;
    size_t out_cap, out_len, out_summed;
    uint32_t start; /* total_out at the call */
};

/* ---- input ---- */

static void section(struct molt_pack *p, enum phase phase, uint32_t len)
{
    p->phase = (uint8_t)phase;
    p->section_left = len;
    p->in_len = p->in_used = 0;
    p->overrun = false;
}

/* Makes n bytes of the section available, or all that is left of it. */
static bool need(struct molt_pack *p, struct io *io, uint32_t n)
{
    uint32_t have = (uint32_t)p->in_len - p->in_used;
    if (have >= n || p->section_left == 0) return true;
    memmove(p->in, p->in + p->in_used, have);
    uint32_t take = molt_min32(sizeof p->in - have, p->section_left);
    if (take > io->in_len) take = (uint32_t)io->in_len;
    memcpy(p->in + have, io->in, take);
    if (p->phase < PH_HEAD_CRC) p->crc = molt_crc32_lsb(p->crc, io->in, take);
    io->in += take;
    io->in_len -= take;
    p->total_in += take;
    p->section_left -= take;
    p->in_used = 0;
    p->in_len = (uint8_t)(have + take);
    return p->in_len >= n || p->section_left == 0;
}

static uint32_t next_byte(struct molt_pack *p)
{
    if (p->in_used < p->in_len) return p->in[p->in_used++];
    p->overrun = true;
    return 0;
}

static const uint8_t *take(struct molt_pack *p, uint32_t n)
{
    const uint8_t *bytes = p->in + p->in_used;
    p->in_used = (uint8_t)(p->in_used + n);
    return bytes;
}

/* True when the section's bytes were used to the last and the coder ended as the encoder ends it. */
static bool coder_is_done(const struct molt_pack *p)
{
    return !p->overrun && p->section_left == 0 && p->in_used == p->in_len && p->code == 0;
}

/* ---- the range coder ---- */

static void start_coder(struct molt_pack *p)
{
    p->range = 0xFFFFFFFFu;
    p->code = 0;
    for (uint32_t i = 0; i < 4; i++)
        p->code = p->code << 8 | next_byte(p);
}

static void normalise(struct molt_pack *p)
{
    while (p->range < RANGE_MIN) {
        p->range <<= 8;
        p->code = p->code << 8 | next_byte(p);
    }
}

/* The number of a model: cheaper to hand on than its address, which lies beyond what an instruction reaches. */
#define MODEL(field) ((uint32_t)(offsetof(struct pack_models, field) / sizeof(uint16_t)))

static uint32_t bit(struct molt_pack *p, uint32_t model)
{
    uint16_t *prob = (uint16_t *)&p->models + model;
    uint32_t bound = (p->range >> PACK_PROB_BITS) * pack_prob(*prob), value = p->code >= bound;
    if (value != 0) {
        p->code -= bound;
        p->range -= bound;
    } else {
        p->range = bound;
    }
    *prob = pack_prob_after(*prob, value);
    normalise(p);
    return value;
}

static uint32_t direct(struct molt_pack *p, uint32_t count)
{
    uint32_t value = 0;
    for (; count > 0; count--) {
        p->range >>= 1;
        uint32_t one = p->code >= p->range;
        if (one != 0) p->code -= p->range;
        value = value << 1 | one;
        normalise(p);
    }
    return value;
}

static uint32_t tree(struct molt_pack *p, uint32_t model, uint32_t bits)
{
    uint32_t at = 1, end = 1u << bits;
    while (at < end)
        at = at << 1 | bit(p, model + at);
    return at - end;
}

static uint32_t reverse_tree(struct molt_pack *p, uint32_t model, uint32_t bits)
{
    uint32_t value = tree(p, model, bits), reversed = 0;
    for (; bits > 0; bits--) {
        reversed = reversed << 1 | (value & 1u);
        value >>= 1;
    }
    return reversed;
}

static uint32_t number(struct molt_pack *p, uint32_t model)
{
    uint32_t bits = tree(p, model, PACK_NUMBER_BITS);
    if (bits < 2) return bits;
    uint32_t value = 2 | bit(p, model + 32 + bits);
    return value << (bits - 2) | direct(p, bits - 2);
}

static uint32_t unfold(uint32_t folded)
{
    return (folded >> 1) ^ (0u - (folded & 1u));
}

/* ---- the header ---- */

static int fixed_step(struct molt_pack *p)
{
    const uint8_t *h = take(p, MOLT_PACK_FIXED_LEN);
    uint32_t flags = h[4], map_len = molt_load32le(h + 16);
    p->map.arch = h[5];
    p->masks_header = (flags & 2u) != 0;
    p->body_only = (flags & 4u) != 0;
    p->in_place = (flags & 8u) != 0;
    p->frame_log2 = h[6];
    p->out_len = molt_load32le(h + 8);
    p->base_len = molt_load32le(h + 12);
    p->base_head_crc = molt_load32le(h + 20);
    memcpy(p->digest, h + 24, MOLT_SHA256_LEN);
    memcpy(p->base_digest, h + 56, MOLT_SHA256_LEN);
    if (memcmp(h, MOLT_PACK_MAGIC, 4) != 0 || flags > 15 || h[5] > PACK_ARCH_RISCV || h[7] != 0 ||
        (p->base_len != 0 ? (flags & 1u) == 0 : flags != 0) || p->out_len - 1u >= MOLT_PACK_OUT_MAX ||
        p->base_len > MOLT_PACK_OUT_MAX || map_len > MOLT_PACK_MAP_MAX || h[6] - 12u > 12u)
        return -MOLT_BAD_PACK;
    uint32_t frames = ((p->out_len - 1u) >> p->frame_log2) + 1u;
    if (frames > MOLT_PACK_FRAMES_MAX) return -MOLT_BAD_PACK;
    p->frames = (uint8_t)frames;
    p->head_len = MOLT_PACK_FIXED_LEN + 8u * frames + map_len + 4u;
    p->copy_len = map_len;
    section(p, PH_INDEX, 8u * frames);
    return AGAIN;
}

static int index_step(struct molt_pack *p)
{
    const uint8_t *entry = take(p, 8);
    struct molt_pack_frame *frame = &p->frame[p->item];
    frame->len = molt_load32le(entry);
    frame->crc = molt_load32le(entry + 4);
    if (frame->len > 2 * MOLT_PACK_OUT_MAX) return -MOLT_BAD_PACK;
    if (++p->item < p->frames) return AGAIN;
    if (p->copy_len == 0)
        section(p, PH_HEAD_CRC, 4);
    else
        section(p, PH_MAP, p->copy_len);
    return AGAIN;
}

/* What the map begins with: how many entries each of its parts has. */
static int map_step(struct molt_pack *p)
{
    static const uint16_t most[PACK_MAP_PARTS] = {PACK_SEGMENTS_MAX, PACK_SEGMENTS_MAX, PACK_RANGES_MAX,
                                                  PACK_TABLE_MAX};
    start_coder(p);
    for (uint32_t part = 0; part < PACK_MAP_PARTS; part++) {
        uint32_t count = number(p, MODEL(base_len));
        if (count > most[part]) return -MOLT_BAD_PACK;
        p->map.count[part] = (uint16_t)count;
    }
    p->phase = PH_MAP_ITEM;
    p->copy_from = p->item = 0;
    return AGAIN;
}

/* One entry of a part: a segment is told by where it begins behind the one before, how long it is and where it is loaded,
 * those of the output by how they differ from the base's; a range by its ends; a shift by the one before. */
static bool map_item(struct molt_pack *p, uint32_t part)
{
    struct pack_map *map = &p->map;
    uint32_t i = p->item++;
    uint32_t pos = number(p, MODEL(base_pos));
    uint32_t len = part == PACK_MAP_SHIFTS ? 0 : number(p, MODEL(base_len));
    uint32_t shift = part == PACK_MAP_RANGES ? 0 : unfold(number(p, MODEL(shift)));
    if (part < PACK_MAP_RANGES) {
        struct pack_segment *to = &map->segment[part][i + 1], *like = &map->segment[0][0];
        if (part != 0 && i < map->count[0]) like += i + 1;
        to->off = to[-1].off + to[-1].len + pos;
        to->len = like->len + unfold(len);
        to->addr = like->addr + shift;
        return to->off <= MOLT_PACK_OUT_MAX && to->len <= MOLT_PACK_OUT_MAX;
    }
    if (part == PACK_MAP_RANGES) {
        map->range[i].first = pos << 12;
        map->range[i].end = (pos + len) << 12;
        return true;
    }
    map->from[i + 1] = map->from[i] + pos;
    map->shift[i + 1] = (int32_t)((uint32_t)map->shift[i] + shift);
    return map->from[i + 1] >= map->from[i];
}

static int map_item_step(struct molt_pack *p)
{
    while (p->item == p->map.count[p->copy_from]) {
        p->item = 0;
        if (++p->copy_from < PACK_MAP_PARTS) continue;
        if (!coder_is_done(p)) return -MOLT_BAD_PACK;
        section(p, PH_HEAD_CRC, 4);
        return AGAIN;
    }
    return map_item(p, p->copy_from) ? AGAIN : -MOLT_BAD_PACK;
}

static int head_crc_step(struct molt_pack *p)
{
    if (molt_load32le(take(p, 4)) != p->crc) return -MOLT_BAD_PACK;
    p->base.base_len = p->base_len;
    p->item = 0;
    p->phase = PH_HEAD_DONE;
    return TELL;
}

/* ---- output ---- */

static void put(struct molt_pack *p, struct io *io, uint8_t byte)
{
    io->out[io->out_len++] = byte;
    p->total_out++;
}

static void sum_output(struct molt_pack *p, struct io *io)
{
    p->crc = molt_crc32_lsb(p->crc, io->out + io->out_summed, io->out_len - io->out_summed);
    io->out_summed = io->out_len;
}

/* A byte of the output, pos < total_out: of this call, or read back. */
static uint8_t output_byte(struct molt_pack *p, struct io *io, uint32_t pos)
{
    if (pos >= io->start) return io->out[pos - io->start];
    if (pos - p->cache_off >= p->cache_len) {
        p->cache_off = pos;
        p->cache_len = molt_min32(sizeof p->cache, io->start - pos);
        int rc = p->io.read_output(p->io.ctx, pos, p->cache, p->cache_len);
        if (rc < 0) p->base.failed = rc;
    }
    return p->cache[pos - p->cache_off];
}

/* ---- frames ---- */

static int frame_step(struct molt_pack *p)
{
    pack_models_reset((uint16_t *)&p->models, sizeof p->models / sizeof(uint16_t));
    pack_predict_reset(&p->base);
    memset(p->rep, 0, sizeof p->rep);
    p->state = p->chunk_history = p->unit_history[0] = p->unit_history[1] = 0;
    p->unit_len = p->unit_used = 0;
    p->after_base = false;
    p->cursor = p->total_out;
    p->crc = 0;
    p->frame_end = molt_min32(p->out_len, (p->item + 1) << p->frame_log2);
    section(p, PH_CODE, p->frame[p->item].len);
    return AGAIN;
}

static int frame_done(struct molt_pack *p, struct io *io)
{
    sum_output(p, io);
    if (!coder_is_done(p) || p->crc != p->frame[p->item].crc) return -MOLT_BAD_PACK;
    p->item++;
    p->phase = p->item == p->frames ? PH_END : PH_FRAME;
    return AGAIN;
}

static void literal(struct molt_pack *p, struct io *io)
{
    uint32_t symbol = 1, like = 0, offset = 0;
    if (p->state >= 7) { /* what the copy before would have given now is not what comes, but often near it */
        like = p->after_base ? pack_base_byte(&p->base, p->cursor)
                             : output_byte(p, io, p->total_out - p->rep[0] - 1);
        offset = 0x100;
    }
    while (symbol < 0x100) {
        like <<= 1;
        uint32_t expected = like & offset;
        uint32_t one = bit(p, MODEL(literal) + offset + expected + symbol);
        symbol = symbol << 1 | one;
        offset &= one != 0 ? expected : ~expected;
    }
    p->state = pack_state_after_literal(p->state);
    p->cursor++;
    put(p, io, (uint8_t)symbol);
}

/* model: of a struct pack_lengths */
static uint32_t length(struct molt_pack *p, uint32_t model)
{
    if (bit(p, model) == 0) return PACK_MATCH_MIN + tree(p, model + 2, 3);
    if (bit(p, model + 1) == 0) return PACK_MATCH_MIN + 8 + tree(p, model + 10, 3);
    return PACK_MATCH_MIN + 16 + tree(p, MODEL(long_len), 8);
}

static uint32_t distance(struct molt_pack *p, uint32_t len)
{
    uint32_t slot = tree(p, MODEL(slot) + 64 * molt_min32(len - PACK_MATCH_MIN, PACK_SLOT_MODELS - 1), 6);
    if (slot < 4) return slot;
    uint32_t bits = (slot >> 1) - 1, dist = (2 | (slot & 1)) << bits;
    if (slot < 14) return dist + reverse_tree(p, MODEL(special) + dist - slot, bits);
    dist += direct(p, bits - 4) << 4;
    return dist + reverse_tree(p, MODEL(align), 4);
}

/* One of the four latest distances; true: a single byte of the latest. */
static bool repeated_distance(struct molt_pack *p)
{
    if (bit(p, MODEL(is_rep0) + p->state) == 0) return bit(p, MODEL(is_rep0_long) + p->state) == 0;
    uint32_t which = 1;
    if (bit(p, MODEL(is_rep1) + p->state) != 0) which = 2 + bit(p, MODEL(is_rep2) + p->state);
    uint32_t dist = p->rep[which];
    for (; which > 0; which--)
        p->rep[which] = p->rep[which - 1];
    p->rep[0] = dist;
    return false;
}

static int match(struct molt_pack *p)
{
    if (bit(p, MODEL(is_rep) + p->state) == 0) {
        for (uint32_t i = 3; i > 0; i--)
            p->rep[i] = p->rep[i - 1];
        p->copy_len = length(p, MODEL(match_len));
        p->rep[0] = distance(p, p->copy_len);
        p->state = pack_state_after_match(p->state);
    } else if (repeated_distance(p)) {
        p->copy_len = 1;
        p->state = pack_state_after_short_rep(p->state);
    } else {
        p->copy_len = length(p, MODEL(rep_len));
        p->state = pack_state_after_rep(p->state);
    }
    if (p->rep[0] >= p->total_out || p->copy_len > p->frame_end - p->total_out) return -MOLT_BAD_PACK;
    p->copy_from = p->total_out - p->rep[0] - 1;
    if (p->in_place && (p->rep[0] >= MOLT_PACK_REACH || (p->item != 0 && p->copy_from < MOLT_PACK_BASE_HEAD)))
        return -MOLT_BAD_PACK;
    p->cursor += p->copy_len;
    p->after_base = false;
    p->phase = PH_COPY;
    return AGAIN;
}

static int base_copy(struct molt_pack *p)
{
    p->copy_from = p->cursor + unfold(number(p, MODEL(base_pos)));
    p->copy_len = number(p, MODEL(base_len)) + 1;
    if (p->copy_from > p->base_len || p->copy_len > p->base_len - p->copy_from ||
        p->copy_len > p->frame_end - p->total_out)
        return -MOLT_BAD_PACK;
    if (p->in_place && p->copy_from + MOLT_PACK_REACH < p->item << p->frame_log2) return -MOLT_BAD_PACK;
    p->state = pack_state_after_match(p->state);
    p->cursor = p->copy_from + p->copy_len;
    p->after_base = true;
    p->chunk_left = 0;
    pack_predict_copy(&p->base);
    p->phase = PH_COPY_BASE;
    return AGAIN;
}

static int token_step(struct molt_pack *p, struct io *io)
{
    if (p->total_out == p->frame_end) {
        p->phase = PH_FRAME_DONE;
        return AGAIN;
    }
    if (io->out_len == io->out_cap) return STALL;
    if (bit(p, MODEL(is_match) + p->state) == 0) {
        if (p->state >= 7 && !p->after_base && p->rep[0] >= p->total_out) return -MOLT_BAD_PACK;
        literal(p, io);
        return AGAIN;
    }
    if (p->base_len != 0 && bit(p, MODEL(is_base) + p->state) != 0) return base_copy(p);
    return match(p);
}

static int copy_step(struct molt_pack *p, struct io *io)
{
    while (p->copy_len > 0) {
        if (io->out_len == io->out_cap) return STALL;
        put(p, io, output_byte(p, io, p->copy_from));
        p->copy_from++;
        p->copy_len--;
    }
    p->phase = PH_TOKEN;
    return AGAIN;
}

/* ---- copies from the base ---- */

/* The bytes of a unit that is not what was predicted. What seemed to hold an address likely holds none: its bytes are
 * told from the base's own. */
static void mend_bytes(struct molt_pack *p, const struct pack_unit *unit)
{
    uint32_t differs = 0;
    bool reference = unit->kind >= PACK_POINTER;
    if (reference) memcpy(p->unit, unit->bytes, 4);
    for (uint32_t i = 0; i < unit->len; i++) {
        uint32_t same = reference ? MODEL(same_reference) : MODEL(same) + (unit->len - 1u) * 8;
        same += i * 2 + differs;
        if ((reference || i + 1u < unit->len || differs != 0) && bit(p, same) == 0) continue;
        differs = 1;
        p->unit[i] =
            (uint8_t)(p->unit[i] + tree(p, MODEL(residual) + (unit->kind == PACK_BYTE ? 256 : 0), 8));
    }
}

/* The target went elsewhere: as another one did lately, or by a number. */
static void mend_shift(struct molt_pack *p, const struct pack_unit *unit, uint32_t out_pc, int32_t believed)
{
    int32_t shift;
    if (bit(p, MODEL(recent) + 0) == 0) {
        shift = p->base.recent[tree(p, MODEL(recent), 2)].shift;
    } else {
        shift = (int32_t)((uint32_t)believed + unfold(number(p, MODEL(shift))));
    }
    pack_correct(&p->base, unit->target, shift);
    pack_relocate(unit, out_pc, shift, p->unit);
}

/* Decodes the next unit into p->unit. */
static void base_unit(struct molt_pack *p)
{
    struct pack_unit unit;
    uint32_t left;
    pack_unit_at(&p->base, p->copy_from, p->copy_len, &unit);
    uint32_t out_pc = pack_address(&p->map, PACK_MAP_OUT, p->total_out, &left);
    int32_t believed = unit.kind >= PACK_POINTER ? pack_shift(&p->base, unit.target) : 0;
    pack_relocate(&unit, out_pc, believed, p->unit);
    if (p->chunk_left == 0) {
        p->chunk_dirty = bit(p, MODEL(chunk) + p->chunk_history) != 0;
        p->chunk_history = (uint8_t)((p->chunk_history << 1 | p->chunk_dirty) & 7u);
        p->chunk_left = CHUNK_LEN;
    }
    p->chunk_left -= molt_min32(p->chunk_left, unit.len);
    if (p->chunk_dirty) {
        uint8_t *history = &p->unit_history[unit.kind >= PACK_POINTER];
        uint32_t wrong = bit(p, MODEL(unit) + unit.kind * 4u + *history);
        *history = (uint8_t)((*history << 1 | wrong) & 3u);
        if (wrong != 0) {
            if (unit.kind >= PACK_POINTER && out_pc != 0 && bit(p, MODEL(by_shift) + unit.kind) != 0) {
                mend_shift(p, &unit, out_pc, believed);
            } else {
                mend_bytes(p, &unit);
            }
        }
    }
    p->unit_len = unit.len;
    p->unit_used = 0;
    p->copy_from += unit.len;
    p->copy_len -= unit.len;
}

static int copy_base_step(struct molt_pack *p, struct io *io)
{
    for (; p->unit_used < p->unit_len; p->unit_used++) {
        if (io->out_len == io->out_cap) return STALL;
        put(p, io, p->unit[p->unit_used]);
    }
    if (p->copy_len == 0)
        p->phase = PH_TOKEN;
    else if (io->out_len == io->out_cap)
        return STALL;
    else
        base_unit(p);
    return AGAIN;
}

/* ---- the machine ---- */

/* What a phase may use of the input in one step; else 0. */
static const uint8_t needs[] = {
    [PH_FIXED] = MOLT_PACK_FIXED_LEN,
    [PH_INDEX] = 8,
    [PH_MAP] = NEED_LEN,
    [PH_MAP_ITEM] = NEED_LEN,
    [PH_HEAD_CRC] = 4,
    [PH_CODE] = 4,
    [PH_TOKEN] = NEED_LEN,
    [PH_COPY_BASE] = NEED_LEN,
    [PH_END] = 0,
};

static int act(struct molt_pack *p, struct io *io)
{
    if (!need(p, io, needs[p->phase])) return STALL;
    switch ((enum phase)p->phase) {
    case PH_FIXED:
        return fixed_step(p);
    case PH_INDEX:
        return index_step(p);
    case PH_MAP:
        return map_step(p);
    case PH_MAP_ITEM:
        return map_item_step(p);
    case PH_HEAD_CRC:
        return head_crc_step(p);
    case PH_HEAD_DONE:
    case PH_FRAME:
        return frame_step(p);
    case PH_CODE:
        start_coder(p);
        p->phase = PH_TOKEN;
        return AGAIN;
    case PH_TOKEN:
        return token_step(p, io);
    case PH_COPY:
        return copy_step(p, io);
    case PH_COPY_BASE:
        return copy_base_step(p, io);
    case PH_FRAME_DONE:
        return frame_done(p, io);
    case PH_END:
        break;
    }
    return STALL;
}

void molt_pack_begin(struct molt_pack *pack, const struct molt_pack_io *io)
{
    memset(pack, 0, sizeof *pack);
    pack->io = *io;
    pack->map.segment[0][0].addr = PACK_ADDRESS_NONE;
    pack->base.map = &pack->map;
    pack->base.read = io->read_base;
    pack->base.ctx = io->ctx;
    pack_models_reset((uint16_t *)&pack->models, sizeof pack->models / sizeof(uint16_t));
    section(pack, PH_FIXED, MOLT_PACK_FIXED_LEN);
}

int molt_pack_step(struct molt_pack *pack, const uint8_t **in, size_t *in_len, uint8_t *out, size_t out_cap,
                   size_t *out_len)
{
    *out_len = 0;
    if (pack->failed != 0) return pack->failed;
    struct io io = {.in = *in, .in_len = *in_len, .out = out, .out_cap = out_cap, .start = pack->total_out};
    int rc;
    do {
        rc = act(pack, &io);
        if (pack->base.failed != 0) {
            pack->port_err = pack->base.failed;
            rc = -MOLT_FLASH_READ;
        }
    } while (rc == AGAIN);
    if (pack->phase >= PH_TOKEN) sum_output(pack, &io);
    *in = io.in;
    *in_len = io.in_len;
    *out_len = io.out_len;
    if (rc < 0) {
        pack->failed = rc;
        return rc;
    }
    if (rc == TELL) return MOLT_PACK_HEAD;
    return pack->phase == PH_END ? MOLT_PACK_END : MOLT_PACK_MORE;
}

uint32_t molt_pack_resume(struct molt_pack *pack, uint32_t frame)
{
    if (pack->failed != 0 || pack->phase != PH_HEAD_DONE || frame >= pack->frames) return 0;
    uint32_t offset = pack->head_len;
    for (uint32_t i = 0; i < frame; i++)
        offset += pack->frame[i].len;
    pack->item = frame;
    pack->total_out = frame << pack->frame_log2;
    pack->total_in = offset;
    return offset;
}
