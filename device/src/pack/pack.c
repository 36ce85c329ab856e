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
    PH_FRAME, /* begins one */
    PH_TOKEN,
    PH_COPY,
    PH_COPY_BASE,
    PH_END,
};

enum { AGAIN = 0, STALL = 1, TELL = 2 };

/* Input and output of one call. */
struct io {
    const uint8_t *in;
    size_t in_len;
    uint8_t *out;
    uint32_t start, end, summed; /* total_out at the call, when out is full, and up to which the CRC goes */
};

/* ---- input ---- */

static void section(struct molt_pack *p, enum phase phase, uint32_t len)
{
    p->phase = phase;
    p->section_left = len;
    p->in_len = p->in_used = 0;
    p->overrun = false;
}

/* Makes n bytes of the section available, or all that is left of it. */
static bool need(struct molt_pack *p, struct io *io, uint32_t n)
{
    uint32_t have = p->in_len - p->in_used;
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
    p->in_len = have + take;
    return p->in_len >= n || p->section_left == 0;
}

static uint32_t next_byte(struct molt_pack *p)
{
    if (p->in_used < p->in_len) return p->in[p->in_used++];
    p->overrun = true;
    return 0;
}

static uint32_t next_word(struct molt_pack *p)
{
    p->in_used += 4;
    return molt_load32le(p->in + p->in_used - 4);
}

/* True when the section's bytes were used to the last and the coder ended as the encoder ends it. */
static bool coder_is_done(const struct molt_pack *p)
{
    return !p->overrun && (p->section_left | (p->in_len - p->in_used) | p->code) == 0;
}

/* ---- the range coder ---- */

static void normalise(struct molt_pack *p)
{
    while (p->range < RANGE_MIN) {
        p->range <<= 8;
        p->code = p->code << 8 | next_byte(p);
    }
}

/* From nothing: the models too. */
static void start_coder(struct molt_pack *p)
{
    pack_models_reset((uint16_t *)&p->models, sizeof p->models / sizeof(uint16_t));
    p->range = 1; /* as if 31 bits were used up: the first 4 bytes come */
    p->code = 0;
    normalise(p);
    p->code = p->code << 8 | next_byte(p);
    p->range = 0xFFFFFFFFu;
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

static uint32_t bit_of_state(struct molt_pack *p, uint32_t model)
{
    return bit(p, model + p->state);
}

/* ---- the header ---- */

static int fixed_step(struct molt_pack *p)
{
    const uint8_t *h = p->in;
    uint32_t flags = h[4], log2 = h[6];
    if (memcmp(h, MOLT_PACK_MAGIC, 4) != 0 || flags > 15 || h[5] > PACK_ARCH_RISCV || h[7] != 0 ||
        log2 - 12u > 12u)
        return -MOLT_BAD_PACK;
    p->map.arch = h[5];
    p->masks_header = (flags & 2u) != 0;
    p->body_only = (flags & 4u) != 0;
    p->in_place = (flags & 8u) != 0;
    p->frame_log2 = (uint8_t)log2;
    p->in_used = 8;
    p->out_len = next_word(p);
    p->base_len = next_word(p);
    p->copy_len = next_word(p); /* of the map */
    p->base_head_crc = next_word(p);
    memcpy(p->digest, h + 24, 2 * MOLT_SHA256_LEN);
    if ((p->base_len != 0 ? (flags & 1u) == 0 : flags != 0) || p->out_len - 1u >= MOLT_PACK_OUT_MAX ||
        p->base_len > MOLT_PACK_OUT_MAX || p->copy_len > MOLT_PACK_MAP_MAX)
        return -MOLT_BAD_PACK;
    uint32_t frames = ((p->out_len - 1u) >> log2) + 1u;
    if (frames > MOLT_PACK_FRAMES_MAX) return -MOLT_BAD_PACK;
    p->frames = (uint8_t)frames;
    p->head_len = MOLT_PACK_FIXED_LEN + 8u * frames + p->copy_len + 4u;
    section(p, PH_INDEX, 8u * frames);
    return AGAIN;
}

static int index_step(struct molt_pack *p)
{
    struct molt_pack_frame *frame = &p->frame[p->item++];
    frame->len = next_word(p);
    frame->crc = next_word(p);
    if (frame->len > 2 * MOLT_PACK_OUT_MAX) return -MOLT_BAD_PACK;
    if (p->item == p->frames) section(p, PH_MAP, p->copy_len);
    return AGAIN;
}

/* What the map begins with: how many entries each of its parts has. */
static int map_step(struct molt_pack *p)
{
    static const uint8_t most[PACK_MAP_PARTS] = {PACK_SEGMENTS_MAX, PACK_SEGMENTS_MAX, PACK_RANGES_MAX,
                                                 PACK_TABLE_MAX};
    p->copy_from = p->item = 0;
    p->phase = PH_MAP_ITEM;
    if (p->copy_len == 0) return AGAIN; /* there is none, and its parts have no entries */
    start_coder(p);
    for (uint32_t part = 0; part < PACK_MAP_PARTS; part++) {
        uint32_t count = number(p, MODEL(base_len));
        if (count > most[part]) return -MOLT_BAD_PACK;
        p->map.count[part] = (uint16_t)count;
    }
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

/* The section of the next frame. */
static void next_frame(struct molt_pack *p)
{
    section(p, PH_FRAME, p->frame[p->item].len);
}

static int head_crc_step(struct molt_pack *p)
{
    if (next_word(p) != p->crc) return -MOLT_BAD_PACK;
    p->base.base_len = p->base_len;
    p->item = 0;
    next_frame(p);
    return TELL;
}

/* ---- output ---- */

static void put(struct molt_pack *p, struct io *io, uint32_t byte)
{
    io->out[p->total_out++ - io->start] = (uint8_t)byte;
}

static void sum_output(struct molt_pack *p, struct io *io)
{
    p->crc = molt_crc32_lsb(p->crc, io->out + (io->summed - io->start), p->total_out - io->summed);
    io->summed = p->total_out;
}

/* A byte of the output, pos < total_out: of this call, or read back. */
static uint32_t output_byte(struct molt_pack *p, struct io *io, uint32_t pos)
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
    start_coder(p);
    pack_predict_reset(&p->base);
    memset(p->rep, 0, sizeof p->rep);
    p->state = p->chunk_history = p->unit_history[0] = p->unit_history[1] = 0;
    p->after_base = false;
    p->cursor = p->total_out;
    p->crc = 0;
    p->frame_end = molt_min32(p->out_len, (p->item + 1) << p->frame_log2);
    p->phase = PH_TOKEN;
    return AGAIN;
}

static int frame_done(struct molt_pack *p, struct io *io)
{
    sum_output(p, io);
    if (!coder_is_done(p) || p->crc != p->frame[p->item].crc) return -MOLT_BAD_PACK;
    if (++p->item < p->frames)
        next_frame(p);
    else
        p->phase = PH_END;
    return AGAIN;
}

static int literal(struct molt_pack *p, struct io *io)
{
    uint32_t symbol = 1, like = 0, offset = 0;
    if (p->state >= 7) { /* what the copy before would have given now is not what comes, but often near it */
        offset = 0x100;
        if (p->after_base) {
            like = pack_base_byte(&p->base, p->cursor);
        } else {
            if (p->rep[0] >= p->total_out) return -MOLT_BAD_PACK;
            like = output_byte(p, io, p->total_out - p->rep[0] - 1);
        }
    }
    while (symbol < 0x100) {
        like <<= 1;
        uint32_t expected = like & offset;
        uint32_t one = bit(p, MODEL(literal) + offset + expected + symbol);
        symbol = symbol << 1 | one;
        offset &= expected ^ (one - 1u); /* as long as they agree */
    }
    p->state = pack_state_after_literal((uint8_t)p->state);
    p->cursor++;
    put(p, io, symbol);
    return AGAIN;
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

/* A match's distance and length; both may be any. */
static void match_symbols(struct molt_pack *p)
{
    uint32_t which = 3, dist, after = p->state < 7 ? 7 : 10;
    if (bit_of_state(p, MODEL(is_rep)) == 0) {
        p->copy_len = length(p, MODEL(match_len));
        dist = distance(p, p->copy_len);
    } else {
        which = bit_of_state(p, MODEL(is_rep0));
        if (which == 0 && bit_of_state(p, MODEL(is_rep0_long)) == 0) {
            p->copy_len = 1;
            p->state = after == 7 ? 9 : 11;
            return;
        }
        if (which != 0 && bit_of_state(p, MODEL(is_rep1)) != 0) which = 2 + bit_of_state(p, MODEL(is_rep2));
        p->copy_len = length(p, MODEL(rep_len));
        dist = p->rep[which];
        after++;
    }
    for (; which > 0; which--)
        p->rep[which] = p->rep[which - 1];
    p->rep[0] = dist;
    p->state = after;
}

static int match(struct molt_pack *p)
{
    match_symbols(p);
    uint32_t dist = p->rep[0];
    if (dist >= p->total_out || p->copy_len > p->frame_end - p->total_out) return -MOLT_BAD_PACK;
    p->copy_from = p->total_out - dist - 1;
    if (p->in_place && (dist >= MOLT_PACK_REACH || (p->item != 0 && p->copy_from < MOLT_PACK_BASE_HEAD)))
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
    p->state = pack_state_after_match((uint8_t)p->state);
    p->cursor = p->copy_from + p->copy_len;
    p->after_base = true;
    p->chunk_left = p->unit_left = 0;
    pack_predict_copy(&p->base);
    p->phase = PH_COPY_BASE;
    return AGAIN;
}

static int token_step(struct molt_pack *p, struct io *io)
{
    if (bit_of_state(p, MODEL(is_match)) == 0) return literal(p, io);
    if (p->base_len != 0 && bit_of_state(p, MODEL(is_base)) != 0) return base_copy(p);
    return match(p);
}

static int copy_step(struct molt_pack *p, struct io *io)
{
    put(p, io, output_byte(p, io, p->copy_from++));
    if (--p->copy_len == 0) p->phase = PH_TOKEN;
    return AGAIN;
}

/* ---- copies from the base ---- */

/* The bytes of a unit that is not what was predicted. What seemed to hold an address likely holds none: its bytes are
 * told from the base's own. */
static void mend_bytes(struct molt_pack *p, const struct pack_unit *unit)
{
    uint32_t differs = 0, left = unit->len, same = MODEL(same) - 8 + left * 8, residual = MODEL(residual);
    bool reference = unit->kind >= PACK_POINTER;
    if (reference) {
        p->unit = unit->word;
        same = MODEL(same_reference);
    }
    if (unit->kind == PACK_BYTE) residual += 256;
    for (; left > 0; left--, same += 2) {
        uint32_t byte = p->unit;
        if ((!reference && left == 1 && differs == 0) || bit(p, same + differs) != 0) {
            differs = 1;
            byte += tree(p, residual, 8);
        }
        p->unit = p->unit >> 8 | byte << 24;
    }
    p->unit >>= 32 - 8 * unit->len;
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
    p->unit = pack_relocate(unit, out_pc, shift);
}

/* A bit whose model is the latest few of its like. */
static uint32_t bit_by_history(struct molt_pack *p, uint32_t model, uint32_t *history, uint32_t mask)
{
    uint32_t value = bit(p, model + *history);
    *history = (*history << 1 | value) & mask;
    return value;
}

/* Decodes the next unit into p->unit. */
static void base_unit(struct molt_pack *p)
{
    struct pack_unit unit;
    uint32_t left;
    int32_t believed = 0;
    pack_unit_at(&p->base, p->copy_from, p->copy_len, &unit);
    bool holds = unit.kind >= PACK_POINTER;
    uint32_t out_pc = pack_address(&p->map, PACK_MAP_OUT, p->total_out, &left);
    if (holds) believed = pack_shift(&p->base, unit.target);
    p->unit = pack_relocate(&unit, out_pc, believed);
    if (p->chunk_left == 0) {
        p->chunk_dirty = bit_by_history(p, MODEL(chunk), &p->chunk_history, 7) != 0;
        p->chunk_left = CHUNK_LEN;
    }
    p->unit_left = unit.len;
    p->chunk_left -= molt_min32(p->chunk_left, unit.len);
    p->copy_from += unit.len;
    p->copy_len -= unit.len;
    if (!p->chunk_dirty || bit_by_history(p, MODEL(unit) + unit.kind * 4u, &p->unit_history[holds], 3) == 0)
        return;
    if (holds && out_pc != 0 && bit(p, MODEL(by_shift) + unit.kind) != 0) {
        mend_shift(p, &unit, out_pc, believed);
    } else {
        mend_bytes(p, &unit);
    }
}

static int copy_base_step(struct molt_pack *p, struct io *io)
{
    if (p->unit_left == 0) base_unit(p);
    put(p, io, p->unit);
    p->unit >>= 8;
    if (--p->unit_left == 0 && p->copy_len == 0) p->phase = PH_TOKEN;
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
    [PH_FRAME] = 4,
    [PH_TOKEN] = NEED_LEN,
    [PH_COPY_BASE] = NEED_LEN,
    [PH_END] = 0,
};

static int act(struct molt_pack *p, struct io *io)
{
    enum phase phase = (enum phase)p->phase;
    if (phase >= PH_TOKEN && phase < PH_END) {
        if (p->total_out == p->frame_end) return frame_done(p, io);
        if (p->total_out == io->end) return STALL;
    }
    if (!need(p, io, needs[phase])) return STALL;
    switch (phase) {
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
    case PH_FRAME:
        return frame_step(p);
    case PH_TOKEN:
        return token_step(p, io);
    case PH_COPY:
        return copy_step(p, io);
    case PH_COPY_BASE:
        return copy_base_step(p, io);
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
    pack->base.cache_off = PACK_CACHE_EMPTY;
    section(pack, PH_FIXED, MOLT_PACK_FIXED_LEN);
}

int molt_pack_step(struct molt_pack *pack, const uint8_t **in, size_t *in_len, uint8_t *out, size_t out_cap,
                   size_t *out_len)
{
    uint32_t start = pack->total_out;
    *out_len = 0;
    if (pack->failed != 0) return pack->failed;
    struct io io = {*in, *in_len, out, start, start + (uint32_t)out_cap, start};
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
    *out_len = pack->total_out - start;
    if (rc < 0) {
        pack->failed = rc;
        return rc;
    }
    if (rc == TELL) return MOLT_PACK_HEAD;
    return pack->phase == PH_END ? MOLT_PACK_END : MOLT_PACK_MORE;
}

uint32_t molt_pack_resume(struct molt_pack *pack, uint32_t frame)
{
    if (pack->failed != 0 || pack->phase != PH_FRAME || pack->total_out != 0 || frame >= pack->frames)
        return 0;
    uint32_t offset = pack->head_len;
    for (uint32_t i = 0; i < frame; i++)
        offset += pack->frame[i].len;
    pack->item = frame;
    pack->total_out = frame << pack->frame_log2;
    pack->total_in = offset;
    next_frame(pack);
    return offset;
}
