/* pack.c - the decoder of molt packs (pack.h): sections of the header, then frames of range-coded tokens.
 * Must never read outside base or output, nor put out more than the header says, whatever the input.
 * Tests: test/unit/pack_test.c, test/property/pack_property_test.c, test/fuzz/pack_fuzz.c. */
#include "pack.h"

#include <string.h>

#include "../util/bytes.h"
#include "../util/crc.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the header is read as it lies in memory"
#endif

#define MAGIC     0x326B706Du /* MOLT_PACK_MAGIC */
#define NEED_LEN  48u         /* bytes of input that one symbol can use: 40 at most, see doc/pack.md */
#define FILL_LEN  64u         /* bytes that in[] is filled with */
#define RANGE_MIN (1u << 24)
#define CHUNK_LEN 32u

enum phase {
    PH_HEAD, /* its fixed part */
    PH_INDEX,
    PH_MAP, /* from here on what comes goes through in[] */
    PH_ROW,
    PH_HEAD_CRC,
    PH_FRAME, /* begins one */
    PH_TOKEN,
    PH_COPY,
    PH_COPY_BASE,
    PH_END,
};

enum { AGAIN = 0, STALL = 1, TELL = MOLT_PACK_HEAD };

typedef char models_go_on[offsetof(struct molt_pack, map) - offsetof(struct molt_pack, models) ==
                                  sizeof(struct pack_models)
                              ? 1
                              : -1];
typedef char head_is_as_it_lies
    [offsetof(struct molt_pack, frame) - offsetof(struct molt_pack, magic) == MOLT_PACK_FIXED_LEN ? 1 : -1];

/* ---- input ---- */

static int section(struct molt_pack *p, enum phase phase, uint32_t len)
{
    p->phase = phase;
    p->section_left = len;
    p->next = p->stop = p->in;
    return AGAIN;
}

/* Input of the section, at most room bytes of it; how many. */
static uint32_t take(struct molt_pack *p, uint8_t *to, uint32_t room)
{
    uint32_t n = molt_min32(room, molt_min32(p->section_left, (uint32_t)p->from_len));
    memcpy(to, p->from, n);
    if (p->phase < PH_HEAD_CRC) p->crc = molt_crc32_lsb(p->crc, to, n);
    p->from += n;
    p->from_len -= n;
    p->total_in += n;
    p->section_left -= n;
    return n;
}

/* Makes NEED_LEN bytes of the section available, or all that is left of it: 0, STALL, or that more were used than there
 * were. */
static int need(struct molt_pack *p)
{
    if (p->next > p->stop) return -MOLT_BAD_PACK;
    uint32_t have = (uint32_t)(p->stop - p->next);
    if (have < NEED_LEN && p->section_left > 0) {
        memmove(p->in, p->next, have);
        have += take(p, p->in + have, FILL_LEN - have);
        p->next = p->in;
        p->stop = p->in + have;
        if (have < NEED_LEN && p->section_left > 0) return STALL;
    }
    return 0;
}

static void next_byte(struct molt_pack *p)
{
    p->code = p->code << 8 | *p->next++; /* beyond stop: any, and need() finds it */
}

/* True when the section's bytes were used to the last and the coder ended as the encoder ends it. */
static bool coder_is_done(const struct molt_pack *p)
{
    return (p->section_left | (uint32_t)(p->stop - p->next) | p->code) == 0;
}

/* ---- the range coder ---- */

/* The number of a model: cheaper to hand on than its address, which lies beyond what an instruction reaches. */
#define MODEL(field) ((uint32_t)(offsetof(struct pack_models, field) / sizeof(uint16_t)))
#define MORE(field)                                                                                          \
    ((uint32_t)((sizeof(struct pack_models) + offsetof(struct pack_more_models, field)) / sizeof(uint16_t)))

/* From nothing: the models too. */
static void start_coder(struct molt_pack *p)
{
    uint32_t count = p->base_len != 0 ? MODEL(literal) + 256 : MORE(odd) + 768;
    pack_models_reset((uint16_t *)&p->models, count);
    p->range = 0xFFFFFFFFu;
    for (uint32_t i = 0; i < 4; i++)
        next_byte(p);
}

static uint32_t coded_bit(struct molt_pack *p, uint32_t model)
{
    uint16_t *prob = (uint16_t *)&p->models + model;
    uint32_t bound = (p->range >> PACK_PROB_BITS) * pack_prob(*prob), value = 0;
    if (p->code >= bound) {
        p->code -= bound;
        bound = p->range - bound;
        value = 1;
    }
    *prob = pack_prob_after(*prob, value);
    for (p->range = bound; p->range < RANGE_MIN; p->range <<= 8)
        next_byte(p);
    return value;
}

static uint32_t tree(struct molt_pack *p, uint32_t model, uint32_t bits)
{
    uint32_t at = 1, end = 1u << bits;
    while (at < end)
        at = at << 1 | coded_bit(p, model + at);
    return at - end;
}

/* value with count bits that no model knows anything of below it. */
static uint32_t direct(struct molt_pack *p, uint32_t value, uint32_t count)
{
    for (; count > 0; count--) {
        p->models.even[0] = PACK_PROB_INIT;
        value = value << 1 | coded_bit(p, MODEL(even));
    }
    return value;
}

static uint32_t number(struct molt_pack *p, uint32_t model)
{
    uint32_t bits = tree(p, model, PACK_NUMBER_BITS);
    if (bits < 2) return bits;
    return direct(p, 2 | coded_bit(p, model + 32 + bits), bits - 2);
}

static uint32_t signed_number(struct molt_pack *p, uint32_t model)
{
    uint32_t folded = number(p, model);
    return (folded >> 1) ^ (0u - (folded & 1u));
}

static uint32_t bit_of_state(struct molt_pack *p, uint32_t model)
{
    return coded_bit(p, model + p->state);
}

/* ---- the header ---- */

static int head_step(struct molt_pack *p)
{
    take(p, (uint8_t *)&p->magic + p->total_in, p->section_left);
    if (p->section_left > 0) return STALL;
    if (p->phase == PH_INDEX) return section(p, PH_MAP, p->map_len);
    const bool has_room = p->base_len != 0 || sizeof p->map >= sizeof(struct pack_more_models);
    bool is_sound = has_room && p->magic == MAGIC && p->arch <= PACK_ARCH_RISCV && p->flags < 16 &&
                    p->frame_log2 - 12u <= 12u && p->out_len - 1u < MOLT_PACK_OUT_MAX &&
                    p->base_len <= MOLT_PACK_OUT_MAX && p->map_len <= MOLT_PACK_MAP_MAX &&
                    (p->base_len != 0 ? (p->flags & MOLT_PACK_DELTA) != 0 : p->flags == 0) &&
                    p->frames <= MOLT_PACK_FRAMES_MAX &&
                    ((p->out_len - 1u) >> p->frame_log2) + 1u == p->frames;
    if (!is_sound) return -MOLT_BAD_PACK;
    p->head_len = MOLT_PACK_FIXED_LEN + 8u * p->frames + p->map_len + 4u;
    p->map.arch = p->arch;
    return section(p, PH_INDEX, 8u * p->frames);
}

/* What the map begins with: how many rows each of its parts has. */
static int map_step(struct molt_pack *p)
{
    p->phase = PH_ROW;
    if (p->map_len == 0) return AGAIN; /* there is none, and its parts have no rows */
    start_coder(p);
    for (uint32_t part = 0; part < PACK_MAP_PARTS; part++) {
        p->map.end[part + 1] = p->map.end[part] + number(p, MODEL(base_len));
        if (p->map.end[part + 1] > MOLT_PACK_ROWS) return -MOLT_BAD_PACK;
    }
    return AGAIN;
}

/* The next row, told by how it differs from the one before; one of the output's place from that of the base's. */
static int row_step(struct molt_pack *p)
{
    struct pack_map *map = &p->map;
    uint32_t i = ++p->item, bases = map->end[PACK_MAP_OUT];
    struct pack_row *row = &map->row[i];
    const struct pack_row *like = i > bases && i <= map->end[PACK_MAP_RANGES] ? row - bases : row - 1;
    if (i <= map->end[PACK_MAP_PARTS]) {
        row->from = like->from + signed_number(p, MODEL(base_pos));
        row->is = like->is + signed_number(p, MODEL(shift));
        return AGAIN;
    }
    p->item = 0;
    return p->map_len == 0 || coder_is_done(p) ? section(p, PH_HEAD_CRC, 4) : -MOLT_BAD_PACK;
}

/* The section of the next frame. */
static int next_frame(struct molt_pack *p)
{
    return section(p, PH_FRAME, p->frame[p->item].len);
}

static int head_crc_step(struct molt_pack *p)
{
    if (molt_load32le(p->in) != p->crc) return -MOLT_BAD_PACK;
    p->base.base_len = p->base_len;
    next_frame(p);
    return TELL;
}

/* ---- output ---- */

static int put(struct molt_pack *p, uint32_t value)
{
    uint8_t byte = (uint8_t)value;
    p->out[p->total_out++ - p->out_start] = byte;
    p->crc = molt_crc32_lsb(p->crc, &byte, 1);
    return AGAIN;
}

/* A byte of the output, pos < total_out: of this call, or read back. */
static uint32_t output_byte(struct molt_pack *p, uint32_t pos)
{
    if (pos >= p->out_start) return p->out[pos - p->out_start];
    return *pack_cached(&p->written, pos, 1, p->out_start);
}

/* ---- frames ---- */

static int frame_step(struct molt_pack *p)
{
    start_coder(p);
    memset(p->base.recent, 0, sizeof p->base.recent);
    memset(&p->state, 0, offsetof(struct molt_pack, chunk_left) - offsetof(struct molt_pack, state));
    p->cursor = p->total_out;
    p->frame_end = molt_min32(p->out_len, (p->item + 1) << p->frame_log2);
    p->phase = PH_TOKEN;
    return AGAIN;
}

static int frame_done(struct molt_pack *p)
{
    if (!coder_is_done(p) || p->crc != p->frame[p->item].crc) return -MOLT_BAD_PACK;
    if (++p->item < p->frames) return next_frame(p);
    p->phase = PH_END;
    return AGAIN;
}

static int literal(struct molt_pack *p)
{
    uint32_t symbol = 1, like = 0, offset = 0, model = MODEL(literal);
    if (p->state >= 7 &&
        p->base_len == 0) { /* what the copy before would have given now is not what comes, but near it */
        if (p->rep[0] >= p->total_out) return -MOLT_BAD_PACK;
        like = output_byte(p, p->total_out - p->rep[0] - 1);
        offset = 0x100;
    }
#if PACK_WITH_RISCV
    if (p->base_len == 0 && p->arch == PACK_ARCH_RISCV && (p->total_out & 1u) != 0) model = MORE(odd);
#endif
    while (symbol < 0x100) {
        like <<= 1;
        uint32_t expected = like & offset;
        uint32_t one = coded_bit(p, model + offset + expected + symbol);
        symbol = symbol << 1 | one;
        offset &= expected ^ (one - 1u); /* as long as they agree */
    }
    p->state = pack_state_after_literal((uint8_t)p->state);
    p->cursor++;
    return put(p, symbol);
}

/* model: of a struct pack_lengths */
static uint32_t length(struct molt_pack *p, uint32_t model)
{
    if (coded_bit(p, model) == 0) return PACK_MATCH_MIN + tree(p, model + 2, 3);
    if (coded_bit(p, model + 1) == 0) return PACK_MATCH_MIN + 8 + tree(p, model + 10, 3);
    return PACK_MATCH_MIN + 16 + tree(p, MODEL(residual), 8);
}

static uint32_t distance(struct molt_pack *p, uint32_t len)
{
    uint32_t model = MODEL(slot);
    if (p->base_len == 0 && len > PACK_MATCH_MIN)
        model =
            MORE(slot) + 64 * (molt_min32(len, PACK_MATCH_MIN + PACK_SLOT_MODELS - 1) - PACK_MATCH_MIN - 1);
    uint32_t slot = tree(p, model, 6);
    if (slot < 4) return slot;
    uint32_t bits = (slot >> 1) - 1, dist = (2 | (slot & 1)) << bits;
    if (slot < 14) return dist + tree(p, MODEL(special), bits);
    dist = direct(p, 2 | (slot & 1), bits - 4) << 4;
    return dist + tree(p, MODEL(align), 4);
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
    if ((p->flags & MOLT_PACK_IN_PLACE) != 0 &&
        (dist >= MOLT_PACK_REACH || (p->item != 0 && p->copy_from < MOLT_PACK_BASE_HEAD)))
        return -MOLT_BAD_PACK;
    p->cursor += p->copy_len;
    p->phase = PH_COPY;
    return AGAIN;
}

static int base_copy(struct molt_pack *p)
{
    p->copy_from = p->cursor + signed_number(p, MODEL(base_pos));
    p->copy_len = number(p, MODEL(base_len)) + 1;
    if (p->copy_from > p->base_len || p->copy_len > p->base_len - p->copy_from ||
        p->copy_len > p->frame_end - p->total_out)
        return -MOLT_BAD_PACK;
    if ((p->flags & MOLT_PACK_IN_PLACE) != 0 && p->copy_from + MOLT_PACK_REACH < p->item << p->frame_log2)
        return -MOLT_BAD_PACK;
    p->state = pack_state_after_match((uint8_t)p->state);
    p->cursor = p->copy_from + p->copy_len;
    p->chunk_left = p->unit_left = 0;
    pack_predict_copy(&p->base);
    p->phase = PH_COPY_BASE;
    return AGAIN;
}

static int token_step(struct molt_pack *p)
{
    if (bit_of_state(p, MODEL(is_match)) == 0) return literal(p);
    if (p->base_len != 0 && bit_of_state(p, MODEL(is_base)) != 0) return base_copy(p);
    return match(p);
}

static int copy_step(struct molt_pack *p)
{
    if (--p->copy_len == 0) p->phase = PH_TOKEN;
    return put(p, output_byte(p, p->copy_from++));
}

/* ---- copies from the base ---- */

/* The bytes of a unit that is not what was predicted. What seemed to hold an address likely holds none: its bytes are
 * told from the base's own. */
static void mend_bytes(struct molt_pack *p, const struct pack_unit *unit)
{
    uint32_t differs = 0, same = MODEL(same);
    if (unit->kind >= PACK_POINTER)
        p->unit = unit->word;
    else
        same += 8 * unit->len;
    for (uint32_t left = unit->len; left > 0; left--, same += 2) {
        uint32_t byte = p->unit;
        if (coded_bit(p, same + differs) != 0) {
            differs = 1;
            byte += tree(p, MODEL(residual), 8);
        }
        p->unit = p->unit >> 8 | byte << 24;
    }
    p->unit >>= 32 - 8 * unit->len;
}

/* The target went elsewhere: as another one did lately, or by a number. */
static void mend_shift(struct molt_pack *p, const struct pack_unit *unit, uint32_t out_pc, uint32_t believed)
{
    uint32_t shift = coded_bit(p, MODEL(recent)) == 0 ? p->base.recent[tree(p, MODEL(recent), 2)].shift
                                                      : believed + signed_number(p, MODEL(shift));
    pack_correct(&p->base, unit->target, shift);
    p->unit = pack_relocate(unit, out_pc, shift);
}

/* A bit whose model is the latest few of its like. */
static uint32_t bit_by_history(struct molt_pack *p, uint32_t model, uint32_t *history, uint32_t mask)
{
    uint32_t value = coded_bit(p, model + *history);
    *history = (*history << 1 | value) & mask;
    return value;
}

/* Decodes the next unit into p->unit. */
static void base_unit(struct molt_pack *p)
{
    struct pack_unit unit;
    uint32_t believed = 0;
    pack_unit_at(&p->base, p->copy_from, p->copy_len, &unit);
    bool holds = unit.kind >= PACK_POINTER;
    uint32_t out_pc = pack_address(&p->map, PACK_MAP_OUT, p->total_out);
    if (holds) believed = pack_shift(&p->base, unit.target);
    p->unit = pack_relocate(&unit, out_pc, believed);
    if (p->chunk_left == 0) {
        p->chunk_dirty = bit_by_history(p, MODEL(chunk), &p->chunk_history, 7);
        p->chunk_left = CHUNK_LEN;
    }
    p->unit_left = unit.len;
    p->chunk_left -= molt_min32(p->chunk_left, unit.len);
    p->copy_from += unit.len;
    p->copy_len -= unit.len;
    if (p->chunk_dirty == 0 ||
        bit_by_history(p, MODEL(unit) + unit.kind * 4u, &p->unit_history[holds], 3) == 0)
        return;
    if (holds && out_pc != 0 && coded_bit(p, MODEL(by_shift) + unit.kind) != 0) {
        mend_shift(p, &unit, out_pc, believed);
    } else {
        mend_bytes(p, &unit);
    }
}

static int copy_base_step(struct molt_pack *p)
{
    if (p->unit_left == 0) base_unit(p);
    uint32_t byte = p->unit;
    p->unit >>= 8;
    if (--p->unit_left == 0 && p->copy_len == 0) p->phase = PH_TOKEN;
    return put(p, byte);
}

/* ---- the machine ---- */

static int act(struct molt_pack *p)
{
    enum phase phase = (enum phase)p->phase;
    if (phase <= PH_INDEX) return head_step(p);
    if (phase >= PH_TOKEN) {
        if (phase == PH_END) return STALL;
        if (p->total_out == p->frame_end) return frame_done(p);
        if (p->total_out == p->out_end) return STALL;
    }
    if (phase != PH_COPY) {
        int rc = need(p);
        if (rc != 0) return rc;
    }
    switch (phase) {
    case PH_MAP:
        return map_step(p);
    case PH_ROW:
        return row_step(p);
    case PH_HEAD_CRC:
        return head_crc_step(p);
    case PH_FRAME:
        return frame_step(p);
    case PH_TOKEN:
        return token_step(p);
    case PH_COPY:
        return copy_step(p);
    default:
        return copy_base_step(p);
    }
}

void molt_pack_begin(struct molt_pack *pack, const struct molt_pack_io *io)
{
    memset(pack, 0, sizeof *pack);
    pack->base.map = &pack->map;
    pack->base.cache.read = io->read_base;
    pack->written.read = io->read_output;
    pack->base.cache.ctx = pack->written.ctx = io->ctx;
    section(pack, PH_HEAD, MOLT_PACK_FIXED_LEN);
}

int molt_pack_step(struct molt_pack *pack, const uint8_t **in, size_t *in_len, uint8_t *out, size_t out_cap,
                   size_t *out_len)
{
    int rc = pack->failed;
    *out_len = 0;
    if (rc != 0) return rc;
    pack->from = *in;
    pack->from_len = *in_len;
    pack->out = out;
    pack->out_start = pack->total_out;
    pack->out_end = pack->total_out + (uint32_t)out_cap;
    do {
        rc = act(pack);
        pack->port_err = pack->base.cache.failed | pack->written.failed; /* one at most */
        if (pack->port_err != 0) rc = -MOLT_FLASH_READ;
    } while (rc == AGAIN);
    *in = pack->from;
    *in_len = pack->from_len;
    *out_len = pack->total_out - pack->out_start;
    if (rc < 0) pack->failed = rc;
    if (rc == STALL) rc = pack->phase == PH_END ? MOLT_PACK_END : MOLT_PACK_MORE;
    return rc;
}

uint32_t molt_pack_resume(struct molt_pack *pack, uint32_t frame)
{
    if (pack->phase != PH_FRAME || pack->total_out != 0 || frame >= pack->frames) return 0;
    pack->total_in = pack->head_len;
    for (; pack->item < frame; pack->item++)
        pack->total_in += pack->frame[pack->item].len;
    pack->total_out = frame << pack->frame_log2;
    next_frame(pack);
    return pack->total_in;
}
