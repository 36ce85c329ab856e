/* relate.c - how addresses moved from base to output: learns the shift table from aligned references, and writes
 * files in which every address stands for its target. Tests: test/property/pack_property_test.c. */
#include <stdlib.h>
#include <string.h>

#include "host/pack/pack_parts.h"
#include "util/bytes.h"

#define ENTRY_COST 26.0 /* bits that a table entry costs, and ... */
#define VOTE_GAIN  13.0 /* ... that a reference costs when its shift is wrong */
#define SHIFT_MAX  (1 << 29)
#define GAP        16u /* bytes between segments, or less, that count as of the one before */
#define LONG_COPY  32u /* bytes of a copy whose own shift is believed */

static int read_file(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    const struct pack_file *file = ctx;
    memcpy(dst, file->data + off, len);
    return 0;
}

void pack_predictor_on(struct pack_predictor *p, const struct pack_map *map, const struct pack_file *file)
{
    memset(p, 0, sizeof *p);
    p->map = map;
    p->cache.read = read_file;
    p->cache.ctx = (void *)(uintptr_t)file; /* only read */
    p->base_len = file->len;
}

/* ---- the map ---- */

uint32_t pack_map_count(const struct pack_map *map, uint32_t part)
{
    return map->end[part + 1] - map->end[part];
}

/* Appends a row to the last part that has any, or to a later one. */
static void add_row(struct pack_map *map, uint32_t part, uint32_t from, uint32_t is)
{
    const uint32_t at = map->end[part + 1] + 1;
    map->row[at] = (struct pack_row){from, is};
    for (uint32_t i = part + 1; i <= PACK_MAP_PARTS; i++)
        map->end[i] = at;
}

static void add_segments(struct pack_map *map, uint32_t part, const struct pack_file *file)
{
    uint32_t end = 0;
    if (file->segments == 0 || file->segment[0].off > 0) add_row(map, part, 0, 0);
    for (uint32_t i = 0; i < file->segments; i++) {
        const struct pack_segment *segment = &file->segment[i];
        if (segment->off < end) continue; /* they do not overlap */
        if (segment->off > end + GAP && end > 0) add_row(map, part, end, 0);
        add_row(map, part, segment->off, segment->addr - segment->off - PACK_ADDRESS_BASE);
        end = segment->off + segment->len;
    }
    add_row(map, part, end, 0);
}

void pack_map_files(struct pack_map *map, const struct pack_file *base, const struct pack_file *out)
{
    memset(map, 0, sizeof *map);
    map->arch = base->arch;
    add_segments(map, PACK_MAP_BASE, base);
    add_segments(map, PACK_MAP_OUT, out);
    if (out->ranges > 0 && out->range[0].first >= PACK_ADDRESS_BASE)
        add_row(map, PACK_MAP_RANGES, PACK_ADDRESS_BASE / 2, 0); /* a step of a row is less than 2^30 */
    for (uint32_t i = 0; i < out->ranges; i++) {
        add_row(map, PACK_MAP_RANGES, out->range[i].first, 1);
        add_row(map, PACK_MAP_RANGES, out->range[i].end, 0);
    }
}

/* ---- the table ---- */

struct vote {
    uint32_t target;
    int32_t shift;
};

static int by_target(const void *a, const void *b)
{
    const struct vote *x = a, *y = b;
    if (x->target != y->target) return x->target < y->target ? -1 : 1;
    return (x->shift > y->shift) - (x->shift < y->shift);
}

static bool collect(const struct pack_map *map, const struct pack_file *base, const struct pack_file *out,
                    const struct pack_list *copies, struct pack_list *votes)
{
    struct pack_map *turned = malloc(sizeof *turned);
    if (turned == NULL) return false;
    struct pack_predictor was, is;
    pack_map_files(turned, out, out);
    pack_predictor_on(&was, map, base);
    pack_predictor_on(&is, turned, out);
    const struct pack_copy *copy = copies->data;
    bool good = true;
    for (size_t k = 0; good && k < copies->count; k++) {
        pack_predict_copy(&was);
        for (uint32_t i = 0; i < copy[k].len;) {
            struct pack_unit a, b;
            pack_unit_at(&was, copy[k].from + i, copy[k].len - i, &a);
            if (a.kind >= PACK_POINTER && a.kind != PACK_LOW) {
                pack_predict_copy(&is);
                pack_unit_at(&is, copy[k].to + i, copy[k].len - i, &b);
                int64_t shift = (int64_t)b.target - a.target;
                if (b.kind == a.kind && b.len == a.len && shift < SHIFT_MAX && shift > -SHIFT_MAX) {
                    struct vote *vote = pack_list_add(votes, sizeof *vote);
                    if (vote == NULL) {
                        good = false;
                        break;
                    }
                    *vote = (struct vote){a.target, (int32_t)shift};
                }
            }
            i += a.len;
        }
    }
    free(turned);
    return good;
}

/* One shift that some path believes at the moment, with the cost of the cheapest such path. */
struct belief {
    int32_t shift;
    int32_t node; /* its last table entry, -1 none */
    double cost;
    bool used;
};

struct step {
    struct vote entry;
    int32_t before;
};

#define BELIEFS (1u << 17)

static struct belief *belief_of(struct belief *beliefs, int32_t shift)
{
    uint32_t at = (uint32_t)shift * 2654435761u >> 15;
    while (beliefs[at].used && beliefs[at].shift != shift)
        at = (at + 1) & (BELIEFS - 1);
    return &beliefs[at];
}

/* The cheapest table for the votes when an entry costs `entry_cost`: Viterbi over rising targets. The number of
 * entries, written to map when they fit, or -1 when memory is short. */
static int64_t cheapest(const struct vote *vote, size_t count, double entry_cost, struct belief *beliefs,
                        struct pack_map *map, int64_t room)
{
    struct pack_list steps = {0};
    memset(beliefs, 0, BELIEFS * sizeof *beliefs);
    uint32_t distinct = 1;
    *belief_of(beliefs, 0) = (struct belief){0, -1, 0, true};
    double best = 0;
    int32_t best_node = -1;
    for (size_t i = 0, next; i < count; i = next) {
        double before = best;
        int32_t before_node = best_node;
        size_t same;
        for (next = i; next < count && vote[next].target == vote[i].target; next = same) {
            for (same = next; same < count && by_target(&vote[same], &vote[next]) == 0;)
                same++;
            struct belief *b = belief_of(beliefs, vote[next].shift);
            if (!b->used && ++distinct > BELIEFS / 2) continue;
            if (!b->used || b->cost > before + entry_cost) {
                struct step *step = pack_list_add(&steps, sizeof *step);
                if (step == NULL) return -1;
                *step = (struct step){vote[next], before_node};
                *b = (struct belief){vote[next].shift, (int32_t)steps.count - 1, before + entry_cost, true};
            }
            b->cost -= (double)(same - next) * VOTE_GAIN;
            if (b->cost < best) {
                best = b->cost;
                best_node = b->node;
            }
        }
    }
    const struct step *step = steps.data;
    int64_t entries = 0;
    for (int32_t n = best_node; n >= 0; n = step[n].before)
        entries++;
    const uint32_t before = map->end[PACK_MAP_SHIFTS];
    if (entries <= room) {
        map->end[PACK_MAP_PARTS] = before + (uint32_t)entries;
        struct pack_row *row = &map->row[map->end[PACK_MAP_PARTS]];
        for (int32_t n = best_node; n >= 0; n = step[n].before, row--)
            *row = (struct pack_row){step[n].entry.target, (uint32_t)step[n].entry.shift};
    }
    free(steps.data);
    return entries;
}

bool pack_table_learn(struct pack_map *map, const struct pack_file *base, const struct pack_file *out,
                      const struct pack_list *copies, uint32_t rows)
{
    struct pack_list votes = {0};
    struct belief *beliefs = malloc(BELIEFS * sizeof *beliefs);
    map->end[PACK_MAP_PARTS] = map->end[PACK_MAP_SHIFTS];
    bool good = beliefs != NULL && collect(map, base, out, copies, &votes);
    if (good && votes.count > 0) {
        qsort(votes.data, votes.count, sizeof(struct vote), by_target);
        const int64_t room = (int64_t)rows - map->end[PACK_MAP_SHIFTS];
        int64_t entries = room + 1;
        for (double cost = ENTRY_COST; entries > room; cost *= 1.3)
            entries = cheapest(votes.data, votes.count, cost, beliefs, map, room);
        good = entries >= 0;
    }
    free(beliefs);
    free(votes.data);
    return good;
}

/* ---- normal forms ---- */

static int by_from(const void *a, const void *b)
{
    const struct pack_copy *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

/* Where a target of the base lies in the output: with the copy that holds it, or by the table. */
static uint32_t moved(const struct pack_predictor *p, const struct pack_copy *copy, size_t count,
                      uint32_t target)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (copy[middle].from <= target)
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0 && target - copy[low - 1].from < copy[low - 1].len)
        return target - copy[low - 1].from + copy[low - 1].to;
    return target + pack_shift(p, target);
}

/* The unit with its target's low bits in place of a distance. */
static void mark(const struct pack_unit *unit, uint32_t target, uint8_t *to)
{
    if (unit->kind == PACK_POINTER) {
        molt_store32le(to, target);
    } else if (unit->kind == PACK_L32R) {
        to[1] = (uint8_t)(target >> 2);
        to[2] = (uint8_t)(target >> 10);
    } else if (unit->kind == PACK_CALL && unit->len == 3) {
        to[0] = (uint8_t)((to[0] & 0x3Fu) | (target >> 18 & 3u) << 6);
        to[1] = (uint8_t)(target >> 2);
        to[2] = (uint8_t)(target >> 10);
    } else if (unit->kind == PACK_CALL) {
        molt_store32le(to, (molt_load32le(to) & 0xFFFu) | target << 12);
    } else if (unit->kind == PACK_HIGH) {
        molt_store32le(to, (molt_load32le(to) & 0xFFFu) | ((target + 0x800u) & 0xFFFFF000u));
    } else if ((unit->word & 0x7Fu) == 0x23 || (unit->word & 0x7Fu) == 0x27) {
        molt_store32le(to, (molt_load32le(to) & ~0xFE000F80u) | (target >> 5 & 0x7Fu) << 25 |
                               (target & 31u) << 7);
    } else {
        molt_store32le(to, (molt_load32le(to) & 0xFFFFFu) | target << 20);
    }
}

static void normal_form(const struct pack_map *map, const struct pack_file *file,
                        const struct pack_list *by_address, bool is_base, uint8_t *to)
{
    struct pack_predictor p;
    pack_predictor_on(&p, map, file);
    memcpy(to, file->data, file->len);
    for (uint32_t s = 0; s < file->segments; s++) {
        const struct pack_segment *segment = &file->segment[s];
        uint32_t off = segment->off, end = off + segment->len;
        pack_predict_copy(&p);
        while (off < end && off < file->len) {
            struct pack_unit unit;
            pack_unit_at(&p, off, end - off, &unit);
            if (unit.kind >= PACK_POINTER) {
                uint32_t target =
                    is_base ? moved(&p, by_address->data, by_address->count, unit.target) : unit.target;
                mark(&unit, target, to + off);
            }
            off += unit.len;
        }
    }
}

/* The long copies as addresses of base and output. */
static bool addresses(const struct pack_map *map, const struct pack_list *copies,
                      struct pack_list *by_address)
{
    const struct pack_copy *copy = copies->data;
    for (size_t k = 0; k < copies->count; k++) {
        uint32_t from = pack_address(map, PACK_MAP_BASE, copy[k].from);
        uint32_t to = pack_address(map, PACK_MAP_OUT, copy[k].to);
        uint32_t left = pack_row_of(map, PACK_MAP_BASE, copy[k].from)[1].from - copy[k].from;
        if (from == 0 || to == 0 || copy[k].len < LONG_COPY) continue;
        struct pack_copy *add = pack_list_add(by_address, sizeof *add);
        if (add == NULL) return false;
        *add = (struct pack_copy){from, to, molt_min32(left, copy[k].len)};
    }
    if (by_address->count > 0) qsort(by_address->data, by_address->count, sizeof(struct pack_copy), by_from);
    return true;
}

bool pack_normalise(const struct pack_map *map, const struct pack_file *base, const struct pack_file *out,
                    const struct pack_list *copies, uint8_t *base_to, uint8_t *out_to)
{
    struct pack_list by_address = {0};
    struct pack_map *turned = malloc(sizeof *turned);
    bool good = turned != NULL && addresses(map, copies, &by_address);
    if (good) {
        pack_map_files(turned, out, out);
        normal_form(map, base, &by_address, true, base_to);
        normal_form(turned, out, &by_address, false, out_to);
    }
    free(turned);
    free(by_address.data);
    return good;
}
