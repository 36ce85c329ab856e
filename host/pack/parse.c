/* parse.c - chooses the tokens of a frame: between copies from the base, the cheapest way through by dynamic
 * programming over prices of the current models, a window at a time; twice, the second time with the prices that the
 * first found. Deterministic. Tests: test/property/pack_property_test.c. */
#include <stdlib.h>
#include <string.h>

#include "host/pack/pack.h"
#include "host/pack/pack_parts.h"

#define WINDOW      8192u
#define NICE_LEN    128u /* a match of this length is taken without looking further */
#define BASE_MIN    4u
#define INFINITE    UINT32_MAX
#define UNKNOWN     UINT32_MAX
#define CHUNK_PRICE (PACK_BIT_PRICE / 4)

/* The cheapest known way to a position. */
struct node {
    uint32_t price, before; /* before: the position where the last token begins */
    struct pack_token token;
    struct pack_state state;
};

/* Prices of everything but literals under one set of models. */
struct prices {
    uint32_t len[2][PACK_MATCH_MAX + 1]; /* of matches, of repeated matches */
    uint32_t slot[PACK_SLOT_MODELS][64];
    uint32_t near[PACK_SLOT_MODELS][128];
    uint32_t align[16];
};

struct parser {
    struct pack_encoder *e;
    const struct pack_all_models *all; /* that prices are taken from */
    const struct pack_models *models;  /* the first part of them */
    struct prices prices;
    struct node *node; /* WINDOW + 1 */
    uint32_t begin, end;
    const struct pack_list *found; /* matches of the frame */
    const uint32_t *first;         /* index of the first match at each position of the frame, and one more */
    uint32_t frame, frame_end;
    struct pack_match *base; /* the base's longest match at each position of the frame; dist: its place, len
                                UNKNOWN: not searched yet */
};

static void fill_lengths(const struct pack_models *m, const struct pack_lengths *l, uint32_t *price)
{
    for (uint32_t len = 0; len <= PACK_MATCH_MAX - PACK_MATCH_MIN; len++) {
        uint32_t p = pack_price(l->choice[0], len >= 8);
        if (len < 8)
            p += pack_tree_price(l->low, len, 3);
        else if (len < 16)
            p += pack_price(l->choice[1], 0) + pack_tree_price(l->mid, len - 8, 3);
        else
            p += pack_price(l->choice[1], 1) + pack_tree_price(m->residual, len - 16, 8);
        price[len + PACK_MATCH_MIN] = p;
    }
}

static void fill_prices(struct prices *to, const struct pack_all_models *all, bool is_delta)
{
    const struct pack_models *m = &all->first;
    fill_lengths(m, &m->match_len, to->len[0]);
    fill_lengths(m, &m->rep_len, to->len[1]);
    for (uint32_t i = 0; i < PACK_SLOT_MODELS; i++) {
        for (uint32_t slot = 0; slot < 64; slot++) {
            to->slot[i][slot] =
                pack_tree_price(i == 0 || is_delta ? m->slot : all->more.slot[i - 1], slot, 6);
            if (slot >= 14) to->slot[i][slot] += ((slot >> 1) - 1 - 4) * PACK_BIT_PRICE;
        }
        for (uint32_t dist = 0; dist < 128; dist++) {
            uint32_t slot = pack_dist_slot(dist), bits = slot < 4 ? 0 : (slot >> 1) - 1;
            uint32_t first = (2 | (slot & 1)) << bits;
            to->near[i][dist] = to->slot[i][slot];
            if (bits > 0) to->near[i][dist] += pack_tree_price(m->special, dist - first, bits);
        }
    }
    for (uint32_t i = 0; i < 16; i++)
        to->align[i] = pack_tree_price(m->align, i, 4);
}

static uint32_t distance_price(const struct prices *p, uint32_t dist, uint32_t len)
{
    uint32_t which = len - PACK_MATCH_MIN < PACK_SLOT_MODELS ? len - PACK_MATCH_MIN : PACK_SLOT_MODELS - 1;
    if (dist < 128) return p->near[which][dist];
    uint32_t slot = pack_dist_slot(dist), bits = (slot >> 1) - 1, first = (2 | (slot & 1)) << bits;
    return p->slot[which][slot] + p->align[(dist - first) & 15u];
}

static uint32_t literal_price(struct parser *p, const struct pack_state *s)
{
    const struct pack_file *out = p->e->out;
    uint32_t byte = out->data[s->pos];
    const bool odd = pack_is_odd(p->e, s->pos);
    if (s->state < 7 || p->e->base != NULL)
        return pack_tree_price(pack_literal_models(p->all, odd, 0), byte, 8);
    uint32_t like = out->data[s->pos - s->rep[0] - 1];
    uint32_t price = 0, offset = 0x100, symbol = 1;
    for (uint32_t i = 8; i-- > 0;) {
        uint32_t bit = byte >> i & 1u;
        like <<= 1;
        uint32_t expected = like & offset;
        price += pack_price(pack_literal_models(p->all, odd, offset + expected)[symbol], bit);
        symbol = symbol << 1 | bit;
        offset &= bit != 0 ? expected : ~expected;
    }
    return price;
}

/* May out[pos...) be told by what lies dist + 1 bytes before it? */
static bool may_match(const struct pack_encoder *e, uint32_t pos, uint32_t dist)
{
    if (!e->in_place) return true;
    /* behind the first frame the first sector is not in flash: a boot stage lies there */
    return dist < MOLT_PACK_REACH && (pos < MOLT_PACK_REACH || pos - dist - 1 >= MOLT_PACK_BASE_HEAD);
}

/* Where the base begins that out[pos...) may be told by. */
static uint32_t base_floor(const struct pack_encoder *e, uint32_t pos)
{
    uint32_t frame = pos & ~(MOLT_PACK_REACH - 1u);
    return e->in_place && frame > MOLT_PACK_REACH ? frame - MOLT_PACK_REACH : 0;
}

static struct node *better(struct parser *p, uint32_t pos, uint32_t price)
{
    struct node *node = &p->node[pos - p->begin];
    if (price >= node->price) return NULL;
    node->price = price;
    return node;
}

static void try_literal(struct parser *p, const struct node *at, uint32_t base_price)
{
    const struct pack_state *s = &at->state;
    uint32_t price = base_price + pack_price(p->models->is_match[s->state], 0) + literal_price(p, s);
    struct node *to = better(p, s->pos + 1, price);
    if (to == NULL) return;
    to->before = s->pos;
    to->token = (struct pack_token){PACK_LITERAL, 1, 0};
    to->state = *s;
    to->state.state = pack_state_after_literal(s->state);
    to->state.pos++;
    to->state.cursor++;
}

static void go_match(const struct node *at, struct node *to, uint32_t len, uint32_t dist, uint32_t which)
{
    const struct pack_state *s = &at->state;
    to->before = s->pos;
    to->token = (struct pack_token){PACK_MATCH, len, dist};
    to->state = *s;
    to->state.state = which == 4 ? pack_state_after_match(s->state)
                      : len == 1 ? pack_state_after_short_rep(s->state)
                                 : pack_state_after_rep(s->state);
    for (uint32_t i = which < 4 ? which : 3; i > 0; i--)
        to->state.rep[i] = to->state.rep[i - 1];
    to->state.rep[0] = dist;
    to->state.pos += len;
    to->state.cursor += len;
}

static uint32_t rep_price(const struct pack_models *m, uint8_t state, uint32_t which)
{
    uint32_t price = pack_price(m->is_rep[state], 1) + pack_price(m->is_rep0[state], which != 0);
    if (which == 0) return price + pack_price(m->is_rep0_long[state], 1);
    price += pack_price(m->is_rep1[state], which != 1);
    return which == 1 ? price : price + pack_price(m->is_rep2[state], which - 2);
}

/* Repeated distances; the longest such match. */
static uint32_t try_reps(struct parser *p, const struct node *at, uint32_t base_price, uint32_t limit)
{
    const struct pack_state *s = &at->state;
    const uint8_t *here = p->e->out->data + s->pos;
    uint32_t longest = 0;
    for (uint32_t which = 0; which < 4; which++) {
        uint32_t dist = s->rep[which], len = 0;
        if (dist >= s->pos || (which > 0 && dist == s->rep[0]) || !may_match(p->e, s->pos, dist)) continue;
        const uint8_t *there = here - dist - 1;
        while (len < limit && there[len] == here[len])
            len++;
        if (which == 0 && len >= 1) {
            uint32_t price = base_price + pack_price(p->models->is_rep[s->state], 1) +
                             pack_price(p->models->is_rep0[s->state], 0) +
                             pack_price(p->models->is_rep0_long[s->state], 0);
            struct node *to = better(p, s->pos + 1, price);
            if (to != NULL) go_match(at, to, 1, dist, 0);
        }
        if (len < PACK_MATCH_MIN) continue;
        uint32_t fixed = base_price + rep_price(p->models, s->state, which);
        for (uint32_t l = len > NICE_LEN ? len : PACK_MATCH_MIN; l <= len; l++) {
            struct node *to = better(p, s->pos + l, fixed + p->prices.len[1][l]);
            if (to != NULL) go_match(at, to, l, dist, which);
        }
        if (len > longest) longest = len;
    }
    return longest;
}

static uint32_t try_matches(struct parser *p, const struct node *at, uint32_t base_price, uint32_t limit)
{
    const struct pack_state *s = &at->state;
    uint32_t i = p->first[s->pos - p->frame], end = p->first[s->pos - p->frame + 1], len = PACK_MATCH_MIN;
    const struct pack_match *found = p->found->data;
    uint32_t fixed = base_price + pack_price(p->models->is_rep[s->state], 0), longest = 0;
    for (; i < end; i++) {
        uint32_t most = found[i].len < limit ? found[i].len : limit;
        if (!may_match(p->e, s->pos, found[i].dist)) continue;
        if (most > NICE_LEN && len < most) len = most;
        for (; len <= most; len++) {
            uint32_t price = fixed + p->prices.len[0][len] + distance_price(&p->prices, found[i].dist, len);
            struct node *to = better(p, s->pos + len, price);
            if (to != NULL) go_match(at, to, len, found[i].dist, 4);
        }
        longest = most;
    }
    return longest;
}

static void try_base_at(struct parser *p, const struct node *at, uint32_t base_price, uint32_t from,
                        uint32_t len)
{
    const struct pack_state *s = &at->state;
    const struct pack_models *m = p->models;
    uint32_t price = base_price + pack_number_price(&m->base_pos, pack_fold(from - s->cursor)) +
                     pack_number_price(&m->base_len, len - 1) + CHUNK_PRICE * (len / 32 + 2);
    if (from < base_floor(p->e, s->pos)) return;
    struct node *to = better(p, s->pos + len, price);
    if (to == NULL) return;
    to->before = s->pos;
    to->token = (struct pack_token){PACK_BASE, len, from};
    to->state = *s;
    to->state.state = pack_state_after_match(s->state);
    to->state.pos += len;
    to->state.cursor = from + len;
}

/* The same in both passes, so searched once; as long as it is within the frame. */
static const struct pack_match *base_match(struct parser *p, uint32_t pos, uint32_t frame_end)
{
    struct pack_match *match = &p->base[pos - p->frame];
    if (match->len == UNKNOWN)
        match->len = pack_index_longest(&p->e->index, p->e->out->data + pos, frame_end - pos, &match->dist);
    return match;
}

static uint32_t try_base(struct parser *p, const struct node *at, uint32_t base_price, uint32_t limit)
{
    const struct pack_state *s = &at->state;
    const struct pack_file *base = p->e->base, *out = p->e->out;
    const struct pack_match *match = base_match(p, s->pos, p->frame_end);
    uint32_t from = match->dist, longest = match->len < limit ? match->len : limit, len = 0;
    if (from < base_floor(p->e, s->pos)) longest = 0;
    if (longest >= BASE_MIN) try_base_at(p, at, base_price, from, longest);
    while (len < limit && s->cursor + len < base->len &&
           base->data[s->cursor + len] == out->data[s->pos + len])
        len++;
    if (len >= 2) try_base_at(p, at, base_price, s->cursor, len);
    return longest > len ? longest : len;
}

/* Fills the nodes of a window and returns nothing: the way is read from its end. */
static void search(struct parser *p)
{
    uint32_t skip = p->begin;
    for (uint32_t pos = p->begin; pos < p->end; pos++) {
        const struct node *at = &p->node[pos - p->begin];
        if (at->price == INFINITE || pos < skip) continue;
        uint32_t limit = p->end - pos < PACK_MATCH_MAX ? p->end - pos : PACK_MATCH_MAX, longest, len;
        const struct pack_models *m = p->models;
        try_literal(p, at, at->price);
        uint32_t price = at->price + pack_price(m->is_match[at->state.state], 1);
        longest = 0;
        if (p->e->base != NULL) {
            longest = try_base(p, at, price + pack_price(m->is_base[at->state.state], 1), p->end - pos);
            price += pack_price(m->is_base[at->state.state], 0);
        }
        len = try_reps(p, at, price, limit);
        if (len > longest) longest = len;
        len = try_matches(p, at, price, limit);
        if (len > longest) longest = len;
        if (longest > NICE_LEN) skip = pos + longest;
    }
}

/* The tokens on the cheapest way, written and done. */
static bool follow(struct parser *p)
{
    uint32_t count = 0;
    for (uint32_t pos = p->end; pos > p->begin; pos = p->node[pos - p->begin].before)
        count++;
    struct pack_token *tokens = malloc((size_t)count * sizeof *tokens);
    if (tokens == NULL) return false;
    uint32_t at = count;
    for (uint32_t pos = p->end; pos > p->begin; pos = p->node[pos - p->begin].before)
        tokens[--at] = p->node[pos - p->begin].token;
    for (at = 0; at < count; at++)
        pack_put_token(p->e, &tokens[at]);
    free(tokens);
    return true;
}

/* out[begin, end), which is no copy from the base. later: models at the window's end in the first pass, or NULL. */
static bool gap(struct parser *p, uint32_t end, const struct pack_all_models *later)
{
    while (p->e->now.pos < end) {
        p->begin = p->e->now.pos;
        p->end = end - p->begin < WINDOW ? end : p->begin + WINDOW;
        p->all = later != NULL ? &later[(p->begin - p->frame) / WINDOW] : &p->e->models;
        p->models = &p->all->first;
        fill_prices(&p->prices, p->all, p->e->base != NULL);
        for (uint32_t i = 0; i <= p->end - p->begin; i++)
            p->node[i].price = INFINITE;
        p->node[0].price = 0;
        p->node[0].state = p->e->now;
        search(p);
        if (!follow(p)) return false;
    }
    return true;
}

/* The next copy that ends behind pos, without what a frame must not refer to; false: none begins before `to`. */
static bool next_copy(const struct pack_encoder *e, size_t *k, uint32_t pos, uint32_t to,
                      struct pack_copy *next)
{
    const struct pack_copy *copy = e->copies.data;
    for (; *k < e->copies.count; ++*k) {
        *next = copy[*k];
        uint32_t floor = base_floor(e, pos), skip = pos > next->to ? pos - next->to : 0;
        if (next->from < floor && floor - next->from > skip) skip = floor - next->from;
        if (skip >= next->len) continue;
        next->from += skip;
        next->to += skip;
        next->len -= skip;
        return next->to < to;
    }
    return false;
}

/* One pass over the frame. keep: where the models at each window's end go, or NULL. */
static bool pass(struct parser *p, uint32_t to, const struct pack_all_models *later,
                 struct pack_all_models *keep)
{
    struct pack_encoder *e = p->e;
    pack_frame_begin(e, p->frame);
    for (size_t k = 0; e->now.pos < to;) {
        struct pack_copy copy;
        bool has_copy = next_copy(e, &k, e->now.pos, to, &copy);
        uint32_t next = has_copy ? copy.to : to;
        if (next > e->now.pos) {
            uint32_t window = (e->now.pos - p->frame) / WINDOW;
            if (!gap(p, next, later)) return false;
            if (keep != NULL) {
                for (; window <= (next - 1 - p->frame) / WINDOW; window++)
                    keep[window] = e->models;
            }
        }
        if (!has_copy) break;
        if (copy.len > to - e->now.pos) copy.len = to - e->now.pos;
        struct pack_token token = {PACK_BASE, copy.len, copy.from};
        pack_put_token(e, &token);
    }
    return true;
}

/* All earlier occurrences for the frame's positions. */
static bool find_matches(struct pack_encoder *e, uint32_t from, uint32_t to, struct pack_list *found,
                         uint32_t *first)
{
    struct pack_match here[PACK_MATCHES_MAX];
    for (uint32_t pos = from; pos < to; pos++) {
        uint32_t limit = to - pos < PACK_MATCH_MAX ? to - pos : PACK_MATCH_MAX;
        uint32_t count = pack_matches_at(e->matches, pos, limit, here);
        first[pos - from] = (uint32_t)found->count;
        for (uint32_t i = 0; i < count; i++) {
            struct pack_match *add = pack_list_add(found, sizeof *add);
            if (add == NULL) return false;
            *add = here[i];
        }
    }
    first[to - from] = (uint32_t)found->count;
    return true;
}

static bool two_passes(struct pack_encoder *e, struct parser *p, uint32_t to, struct pack_all_models *keep)
{
    size_t before = e->coder.bytes.count;
    struct pack_tally tally = e->tally;
    pack_coder_begin(&e->coder);
    if (!pass(p, to, NULL, keep)) return false;
    e->coder.bytes.count = before;
    e->tally = tally;
    pack_coder_begin(&e->coder);
    if (!pass(p, to, keep, NULL)) return false;
    pack_coder_end(&e->coder);
    return !e->coder.failed;
}

bool pack_frame(struct pack_encoder *e, uint32_t from, uint32_t to)
{
    struct pack_list found = {0};
    struct parser *p = calloc(1, sizeof *p);
    struct pack_all_models *keep = calloc((to - from) / WINDOW + 1, sizeof *keep);
    uint32_t *first = malloc(((size_t)(to - from) + 1) * sizeof *first);
    bool good = p != NULL && keep != NULL && first != NULL;
    if (good) {
        p->node = malloc((WINDOW + 1) * sizeof *p->node);
        p->e = e;
        p->found = &found;
        p->first = first;
        p->frame = from;
        p->frame_end = to;
        p->base = malloc((size_t)(to - from) * sizeof *p->base);
        for (uint32_t i = 0; p->base != NULL && i < to - from; i++)
            p->base[i].len = UNKNOWN;
        good = p->node != NULL && p->base != NULL && find_matches(e, from, to, &found, first) &&
               two_passes(e, p, to, keep);
        free(p->node);
        free(p->base);
    }
    free(found.data);
    free(first);
    free(keep);
    free(p);
    return good;
}
