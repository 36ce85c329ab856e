/* frame.c - writes tokens as device/src/pack reads them, step by step with the same state.
 * Tests: test/property/pack_property_test.c. */
#include <string.h>

#include "host/pack/pack_parts.h"

#define CHUNK_LEN 32u

void pack_frame_begin(struct pack_encoder *e, uint32_t pos)
{
    pack_all_models_reset(&e->models);
    memset(e->predictor.recent, 0, sizeof e->predictor.recent);
    memset(&e->now, 0, sizeof e->now);
    e->now.pos = e->now.cursor = pos;
    e->unit_history[0] = e->unit_history[1] = e->chunk_history = 0;
}

bool pack_is_odd(const struct pack_encoder *e, uint32_t pos)
{
    return e->base == NULL && e->out->arch == PACK_ARCH_RISCV && (pos & 1u) != 0;
}

static void put_literal(struct pack_encoder *e, const struct pack_token *token)
{
    (void)token;
    struct pack_state *s = &e->now;
    uint32_t byte = e->out->data[s->pos], symbol = 1, like = 0, offset = 0;
    if (s->state >= 7 && e->base == NULL) {
        like = e->out->data[s->pos - s->rep[0] - 1];
        offset = 0x100;
    }
    const bool odd = pack_is_odd(e, s->pos);
    for (uint32_t i = 8; i-- > 0;) {
        uint32_t bit = byte >> i & 1u;
        like <<= 1;
        uint32_t expected = like & offset;
        uint16_t *probs = (uint16_t *)(uintptr_t)pack_literal_models(&e->models, odd, offset + expected);
        pack_put_bit(&e->coder, &probs[symbol], bit);
        symbol = symbol << 1 | bit;
        offset &= bit != 0 ? expected : ~expected;
    }
    s->state = pack_state_after_literal(s->state);
    s->pos++;
    s->cursor++;
}

static void put_length(struct pack_encoder *e, struct pack_lengths *l, uint32_t len)
{
    len -= PACK_MATCH_MIN;
    pack_put_bit(&e->coder, &l->choice[0], len >= 8);
    if (len < 8) {
        pack_put_tree(&e->coder, l->low, len, 3);
        return;
    }
    pack_put_bit(&e->coder, &l->choice[1], len >= 16);
    if (len < 16)
        pack_put_tree(&e->coder, l->mid, len - 8, 3);
    else
        pack_put_tree(&e->coder, e->models.first.residual, len - 16, 8);
}

static void put_distance(struct pack_encoder *e, uint32_t dist, uint32_t len)
{
    struct pack_models *m = &e->models.first;
    uint32_t slot = pack_dist_slot(dist), which = e->base != NULL ? 0 : len - PACK_MATCH_MIN;
    if (which >= PACK_SLOT_MODELS) which = PACK_SLOT_MODELS - 1;
    pack_put_tree(&e->coder, which == 0 ? m->slot : e->models.more.slot[which - 1], slot, 6);
    if (slot < 4) return;
    uint32_t bits = (slot >> 1) - 1, first = (2 | (slot & 1)) << bits;
    if (slot < 14) {
        pack_put_tree(&e->coder, m->special, dist - first, bits);
        return;
    }
    pack_put_direct(&e->coder, (dist - first) >> 4, bits - 4);
    pack_put_tree(&e->coder, m->align, (dist - first) & 15u, 4);
}

static void put_match(struct pack_encoder *e, const struct pack_token *token)
{
    struct pack_state *s = &e->now;
    struct pack_models *m = &e->models.first;
    uint32_t which = 0;
    while (which < 4 && s->rep[which] != token->from)
        which++;
    pack_put_bit(&e->coder, &m->is_rep[s->state], which < 4);
    if (which == 4) {
        put_length(e, &m->match_len, token->len);
        put_distance(e, token->from, token->len);
        which = 3;
        s->state = pack_state_after_match(s->state);
    } else {
        pack_put_bit(&e->coder, &m->is_rep0[s->state], which != 0);
        if (which == 0) {
            pack_put_bit(&e->coder, &m->is_rep0_long[s->state], token->len != 1);
        } else {
            pack_put_bit(&e->coder, &m->is_rep1[s->state], which != 1);
            if (which != 1) pack_put_bit(&e->coder, &m->is_rep2[s->state], which - 2);
        }
        if (token->len != 1) put_length(e, &m->rep_len, token->len);
        s->state = token->len == 1 ? pack_state_after_short_rep(s->state) : pack_state_after_rep(s->state);
    }
    for (; which > 0; which--)
        s->rep[which] = s->rep[which - 1];
    s->rep[0] = token->from;
    s->pos += token->len;
    s->cursor += token->len;
}

/* ---- copies from the base ---- */

static uint8_t byte_of(uint32_t word, uint32_t i)
{
    return (uint8_t)(word >> 8 * i);
}

/* Is word what stands in the output? */
static bool is_output(const uint8_t *out, uint32_t word, uint32_t len)
{
    uint32_t i = 0;
    while (i < len && byte_of(word, i) == out[i])
        i++;
    return i == len;
}

/* The shift with which the unit becomes what stands in the output; false when none does. */
static bool true_shift(const struct pack_encoder *e, const struct pack_unit *unit, uint32_t pc,
                       uint32_t *shift)
{
    struct pack_predictor p;
    struct pack_unit now;
    const uint8_t *out = e->out->data + e->now.pos;
    for (uint32_t i = 0; i < PACK_RECENT; i++) {
        *shift = e->predictor.recent[i].shift;
        if (is_output(out, pack_relocate(unit, pc, *shift), unit->len)) return true;
    }
    if (unit->kind == PACK_LOW) return false;
    pack_predictor_on(&p, &e->turned, e->out);
    pack_unit_at(&p, e->now.pos, e->out->len - e->now.pos, &now);
    if (now.kind != unit->kind || now.len != unit->len) return false;
    *shift = now.target - unit->target;
    return is_output(out, pack_relocate(unit, pc, *shift), unit->len);
}

static uint16_t *same_models(struct pack_models *m, const struct pack_unit *unit)
{
    return m->same + (unit->kind >= PACK_POINTER ? 0 : 8u * unit->len);
}

/* predicted: what was; of a unit that seemed to hold an address the bytes are told from the base's own. */
static void mend_bytes(struct pack_encoder *e, const struct pack_unit *unit, uint32_t predicted)
{
    struct pack_models *m = &e->models.first;
    const uint8_t *out = e->out->data + e->now.pos;
    uint16_t *same = same_models(m, unit);
    uint32_t differs = 0;
    if (unit->kind >= PACK_POINTER) predicted = unit->word;
    for (uint32_t i = 0; i < unit->len; i++) {
        uint32_t byte = byte_of(predicted, i), wrong = byte != out[i];
        pack_put_bit(&e->coder, &same[i * 2 + differs], wrong);
        if (wrong == 0) continue;
        differs = 1;
        pack_put_tree(&e->coder, m->residual, (uint8_t)(out[i] - byte), 8);
    }
}

/* The same for a unit that seemed to hold an address. */
static uint32_t bytes_price(const struct pack_encoder *e, const struct pack_unit *unit)
{
    const struct pack_models *m = &e->models.first;
    const uint8_t *out = e->out->data + e->now.pos;
    uint32_t price = 0, differs = 0;
    for (uint32_t i = 0; i < unit->len; i++) {
        uint32_t byte = byte_of(unit->word, i), wrong = byte != out[i];
        price += pack_price(m->same[i * 2 + differs], wrong);
        if (wrong == 0) continue;
        differs = 1;
        price += pack_tree_price(m->residual, (uint8_t)(out[i] - byte), 8);
    }
    return price;
}

/* Which of the recent shifts it is, PACK_RECENT when none. */
static uint32_t recent_index(const struct pack_encoder *e, uint32_t shift)
{
    uint32_t i = 0;
    while (i < PACK_RECENT && e->predictor.recent[i].shift != shift)
        i++;
    return i;
}

static uint32_t shift_price(const struct pack_encoder *e, uint32_t shift, uint32_t believed)
{
    uint32_t i = recent_index(e, shift), folded = pack_fold(shift - believed);
    if (i < PACK_RECENT)
        return pack_price(e->models.first.recent[0], 0) + pack_tree_price(e->models.first.recent, i, 2);
    if (folded >> 31 != 0) return UINT32_MAX;
    return pack_price(e->models.first.recent[0], 1) + pack_number_price(&e->models.first.shift, folded);
}

static void put_shift(struct pack_encoder *e, const struct pack_unit *unit, uint32_t shift, uint32_t believed)
{
    struct pack_models *m = &e->models.first;
    uint32_t i = recent_index(e, shift);
    pack_put_bit(&e->coder, &m->recent[0], i == PACK_RECENT);
    if (i < PACK_RECENT)
        pack_put_tree(&e->coder, m->recent, i, 2);
    else
        pack_put_number(&e->coder, &m->shift, pack_fold(shift - believed));
    pack_correct(&e->predictor, unit->target, shift);
}

static void put_wrong_unit(struct pack_encoder *e, const struct pack_unit *unit, uint32_t pc,
                           uint32_t believed, uint32_t predicted)
{
    uint32_t shift = 0;
    e->tally.wrong_units++;
    if (unit->kind >= PACK_POINTER && pc != 0) {
        bool by_shift =
            true_shift(e, unit, pc, &shift) && shift_price(e, shift, believed) < bytes_price(e, unit);
        pack_put_bit(&e->coder, &e->models.first.by_shift[unit->kind], by_shift);
        if (by_shift) {
            put_shift(e, unit, shift, believed);
            return;
        }
    }
    mend_bytes(e, unit, predicted);
}

/* The units of the next chunk of a copy, as predicted now; true when one of them is wrong. Predictions do not change
 * within a chunk that is right, so that is exact when it says false. */
static bool chunk_is_dirty(struct pack_encoder *e, uint32_t from, uint32_t left)
{
    struct pack_predictor *p = &e->predictor;
    uint32_t known = p->high_known, done = 0, high[32];
    memcpy(high, p->high, sizeof high);
    bool dirty = false;
    while (!dirty && done < CHUNK_LEN && done < left) {
        struct pack_unit unit;
        pack_unit_at(p, from + done, left - done, &unit);
        uint32_t at = pack_address(&e->map, PACK_MAP_OUT, e->now.pos + done);
        uint32_t shift = unit.kind >= PACK_POINTER ? pack_shift(p, unit.target) : 0;
        dirty = !is_output(e->out->data + e->now.pos + done, pack_relocate(&unit, at, shift), unit.len);
        done += unit.len;
    }
    p->high_known = known;
    memcpy(p->high, high, sizeof high);
    return dirty;
}

static void put_unit(struct pack_encoder *e, const struct pack_unit *unit, bool dirty)
{
    uint32_t pc = pack_address(&e->map, PACK_MAP_OUT, e->now.pos);
    uint32_t believed = unit->kind >= PACK_POINTER ? pack_shift(&e->predictor, unit->target) : 0;
    if (!dirty) return;
    uint32_t predicted = pack_relocate(unit, pc, believed);
    uint32_t wrong = !is_output(e->out->data + e->now.pos, predicted, unit->len);
    uint8_t *history = &e->unit_history[unit->kind >= PACK_POINTER];
    pack_put_bit(&e->coder, &e->models.first.unit[unit->kind * 4u + *history], wrong);
    *history = (uint8_t)((*history << 1 | wrong) & 3u);
    if (wrong != 0) put_wrong_unit(e, unit, pc, believed, predicted);
}

static void put_base_copy(struct pack_encoder *e, const struct pack_token *token)
{
    struct pack_state *s = &e->now;
    struct pack_models *m = &e->models.first;
    uint32_t chunk_left = 0, dirty = 0;
    pack_put_number(&e->coder, &m->base_pos, pack_fold(token->from - s->cursor));
    pack_put_number(&e->coder, &m->base_len, token->len - 1);
    pack_predict_copy(&e->predictor);
    for (uint32_t done = 0; done < token->len;) {
        struct pack_unit unit;
        if (chunk_left == 0) {
            dirty = chunk_is_dirty(e, token->from + done, token->len - done);
            pack_put_bit(&e->coder, &m->chunk[e->chunk_history], dirty);
            e->chunk_history = (uint8_t)((e->chunk_history << 1 | dirty) & 7u);
            chunk_left = CHUNK_LEN;
        }
        pack_unit_at(&e->predictor, token->from + done, token->len - done, &unit);
        put_unit(e, &unit, dirty != 0);
        chunk_left -= unit.len < chunk_left ? unit.len : chunk_left;
        done += unit.len;
        s->pos += unit.len;
    }
    s->cursor = token->from + token->len;
    s->state = pack_state_after_match(s->state);
    e->tally.base_copies++;
    e->tally.base_bytes += token->len;
}

void pack_put_token(struct pack_encoder *e, const struct pack_token *token)
{
    struct pack_models *m = &e->models.first;
    struct pack_state *s = &e->now;
    pack_put_bit(&e->coder, &m->is_match[s->state], token->kind != PACK_LITERAL);
    if (token->kind == PACK_LITERAL) {
        e->tally.literals++;
        put_literal(e, token);
        return;
    }
    if (e->base != NULL) pack_put_bit(&e->coder, &m->is_base[s->state], token->kind == PACK_BASE);
    if (token->kind == PACK_BASE) {
        put_base_copy(e, token);
    } else {
        e->tally.matches++;
        put_match(e, token);
    }
}
