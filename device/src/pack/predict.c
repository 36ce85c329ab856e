/* predict.c - addresses in moved code (predict.h): Xtensa call and l32r, RISC-V jal, lui and auipc pairs, pointers.
 * Must never read outside the base nor fail on any input. Tests: test/unit/pack_test.c, test/property/pack_property_test.c. */
#include "predict.h"

#include <string.h>

#include "../util/bytes.h"

#define CODE_FIRST  0x40000000u /* instructions lie from here on, on every chip */
#define NEIGHBOUR   8u          /* bytes around a corrected target that moved with it */
#define TEXT_LEN    8u          /* bytes that must be text */
#define RISCV_STEPS 10u         /* instructions behind a lui or auipc that are searched */
#define ROM_END     0x40060000u /* RISC-V chips: the ROM, which never moves, lies between CODE_FIRST and this */

const uint8_t *pack_cached(struct pack_cache *cache, uint32_t off, uint32_t len, uint32_t end)
{
    if (off - cache->off > cache->len || off - cache->off + len > cache->len) {
        cache->off = off;
        cache->len = molt_min32(PACK_CACHE_LEN, end - off);
        int rc = cache->read(cache->ctx, off, cache->bytes, cache->len);
        if (rc < 0) cache->failed = rc;
    }
    return cache->bytes + (off - cache->off);
}

/* The base from off on, off < base_len: len bytes can be read, and those that it has are right. */
static const uint8_t *base_at(struct pack_predictor *p, uint32_t off, uint32_t len)
{
    return pack_cached(&p->cache, off, len, p->base_len);
}

const struct pack_row *pack_row_of(const struct pack_map *map, uint32_t part, uint32_t value)
{
    const struct pack_row *row = map->row + map->end[part];
    for (uint32_t left = map->end[part + 1] - map->end[part]; left > 0;) {
        uint32_t half = (left + 1) >> 1;
        if (row[half].from <= value) {
            row += half;
            left -= half;
        } else {
            left = half - 1;
        }
    }
    return row;
}

static uint32_t look_up(const struct pack_map *map, uint32_t part, uint32_t value)
{
    return pack_row_of(map, part, value)->is;
}

uint32_t pack_address(const struct pack_map *map, uint32_t part, uint32_t off)
{
    uint32_t is = look_up(map, part, off);
    return is != 0 ? is + off + PACK_ADDRESS_BASE : 0;
}

static bool in_ranges(const struct pack_map *map, uint32_t address)
{
    return look_up(map, PACK_MAP_RANGES, address) != 0;
}

uint32_t pack_shift(const struct pack_predictor *p, uint32_t target)
{
    for (uint32_t i = 0; i < PACK_RECENT; i++) {
        const struct pack_recent *recent = &p->recent[i];
        if (recent->target != 0 && target - recent->target + NEIGHBOUR < 2 * NEIGHBOUR) return recent->shift;
    }
#if PACK_WITH_RISCV
    if (p->map->arch == PACK_ARCH_RISCV && target >= CODE_FIRST && target < ROM_END) return 0;
#endif
    return look_up(p->map, PACK_MAP_SHIFTS, target);
}

void pack_correct(struct pack_predictor *p, uint32_t target, uint32_t shift)
{
    uint32_t at = 0;
    while (at < PACK_RECENT - 1 && p->recent[at].shift != shift)
        at++;
    for (; at > 0; at--)
        p->recent[at] = p->recent[at - 1];
    p->recent[0] = (struct pack_recent){shift, target};
}

static void hold(struct pack_unit *unit, uint32_t kind, uint32_t target)
{
    unit->kind = (uint8_t)kind;
    unit->target = target;
}

#if PACK_WITH_XTENSA
static void xtensa_unit(const struct pack_map *map, uint32_t left, struct pack_unit *unit)
{
    uint32_t word = unit->word, op = word & 15u, kind, target;
    uint32_t len = op >= 8 && (op < 14 || map->arch == PACK_ARCH_LX106) ? 2 : 3;
    if (len > left) return;
    unit->len = (uint8_t)len;
    if (op == 5) {
        kind = PACK_CALL;
        target = (unit->pc & ~3u) + 4u + ((word >> 6 & 0x3FFFFu) << 2);
        if ((word & 0x800000u) != 0) target -= 0x100000u;
    } else if (op == 1) {
        kind = PACK_L32R;
        target = ((unit->pc + 3u) & ~3u) + ((word >> 8 & 0xFFFFu) << 2) - 0x40000u;
    } else {
        return;
    }
    if (in_ranges(map, target)) hold(unit, kind, target);
}

static uint32_t xtensa_relocate(const struct pack_unit *unit, uint32_t pc, uint32_t target)
{
    if (unit->kind == PACK_CALL) {
        uint32_t words = (target - ((pc & ~3u) + 4u)) >> 2;
        return (unit->word & 0x3Fu) | words << 6;
    }
    uint32_t words = (target - ((pc + 3u) & ~3u)) >> 2;
    return (unit->word & 0xFFu) | words << 8;
}
#endif

#if PACK_WITH_RISCV
static bool is_target(const struct pack_map *map, uint32_t address)
{
    return in_ranges(map, address) || (address >= CODE_FIRST && address < ROM_END);
}

/* Is it an instruction that adds a 12-bit number to rs1: addi, jalr, loads, stores? */
static bool has_low_part(uint32_t word)
{
    uint32_t op = word & 0x7Fu;
    if (op == 0x13 || op == 0x67) return (word >> 12 & 7u) == 0;
    return op == 0x03 || op == 0x07 || op == 0x23 || op == 0x27;
}

static bool is_store(uint32_t word)
{
    return (word & 0x7Fu) == 0x23 || (word & 0x7Fu) == 0x27;
}

/* That number, sign-extended. */
static uint32_t low_part(uint32_t word)
{
    uint32_t low = is_store(word) ? (word >> 25 << 5 | (word >> 7 & 31u)) : word >> 20;
    return (low ^ 0x800u) - 0x800u;
}

static bool writes_rd(uint32_t word)
{
    return (word & 0x7Fu) != 0x63 && !is_store(word);
}

/* A lui or auipc: its whole address is known with the first use of its register. */
static void riscv_high(struct pack_predictor *p, uint32_t off, uint32_t left, struct pack_unit *unit)
{
    uint32_t word = unit->word, rd = word >> 7 & 31u, at = 4;
    bool relative = (word & 0x7Fu) == 0x17;
    uint32_t value = (word & 0xFFFFF000u) + (relative ? unit->pc : 0);
    p->high_known &= ~(1u << rd);
    const uint8_t *ahead = base_at(p, off, PACK_LOOK_AHEAD);
    for (uint32_t i = 0; i < RISCV_STEPS && at + 4 <= left && off + at + 4 <= p->base_len; i++) {
        uint32_t next = molt_load32le(ahead + at);
        if ((next & 3u) != 3) {
            at += 2;
            continue;
        }
        if ((next >> 15 & 31u) == rd && has_low_part(next)) {
            uint32_t target = value + low_part(next);
            if (!is_target(p->map, target)) return;
            hold(unit, PACK_HIGH, target);
            unit->relative = relative;
            unit->high_pc = unit->pc;
            p->high_known |= 1u << rd;
            p->high[rd] = value | relative; /* the low bits of value are 0, or those of pc, which is even */
            return;
        }
        if ((next >> 7 & 31u) == rd && writes_rd(next)) return;
        at += 4;
    }
}

static void riscv_unit(struct pack_predictor *p, uint32_t off, uint32_t left, struct pack_unit *unit)
{
    uint32_t word = unit->word, op = word & 0x7Fu, rd = word >> 7 & 31u, rs = word >> 15 & 31u;
    if ((unit->pc & 1u) != 0) return; /* instructions begin at even addresses */
    if ((word & 3u) != 3 || left < 4) {
        unit->len = left >= 2 ? 2 : 1;
        return;
    }
    unit->len = 4;
    if (op == 0x6F) {
        uint32_t far = (word >> 31 << 20) | (word & 0xFF000u) | (word >> 9 & 0x800u) | (word >> 20 & 0x7FEu);
        uint32_t target = unit->pc + ((far ^ 0x100000u) - 0x100000u);
        if (is_target(p->map, target)) hold(unit, PACK_CALL, target);
        return;
    }
    if (op == 0x17 || op == 0x37) {
        riscv_high(p, off, left, unit);
        return;
    }
    if ((p->high_known >> rs & 1u) != 0 && has_low_part(word)) {
        uint32_t high = p->high[rs] & ~1u, target = high + low_part(word);
        if (is_target(p->map, target)) {
            hold(unit, PACK_LOW, target);
            unit->relative = (p->high[rs] & 1u) != 0;
            unit->high_pc = unit->pc - ((unit->pc - high) & 0xFFFu); /* within 4 KB, or it is no partner */
        }
    }
    if (writes_rd(word)) p->high_known &= ~(1u << rd);
}

static uint32_t riscv_relocate(const struct pack_unit *unit, uint32_t pc, uint32_t target)
{
    uint32_t word = unit->word, value = target;
    if (unit->kind == PACK_CALL) {
        value = target - pc;
        return (word & 0xFFFu) | (value >> 20 & 1u) << 31 | (value >> 1 & 0x3FFu) << 21 |
               (value >> 11 & 1u) << 20 | (value & 0xFF000u);
    }
    if (unit->relative) value -= unit->high_pc + (pc - unit->pc);
    if (unit->kind == PACK_HIGH) return (word & 0xFFFu) | ((value + 0x800u) & 0xFFFFF000u);
    if (is_store(word)) return (word & ~0xFE000F80u) | (value >> 5 & 0x7Fu) << 25 | (value & 31u) << 7;
    return (word & 0xFFFFFu) | value << 20;
}
#endif

/* A pointer inside what looks like an instruction: data lies between the code there, so the unit ends before it. */
static void end_before_pointer(struct pack_predictor *p, uint32_t off, uint32_t left, struct pack_unit *unit)
{
    uint32_t ahead = (0u - unit->pc) & 3u;
    if (ahead == 0 || ahead >= unit->len || left < ahead + 4) return;
    if (in_ranges(p->map, molt_load32le(base_at(p, off, ahead + 4) + ahead))) unit->len = (uint8_t)ahead;
}

/* A word at a word's place whose value is an address. A lui looks like one. */
static bool is_pointer(struct pack_predictor *p, uint32_t off, uint32_t left, struct pack_unit *unit)
{
    uint32_t word = unit->word;
    if ((unit->pc & 3u) != 0 || left < 4 || !in_ranges(p->map, word)) return false;
    unit->len = 4;
#if PACK_WITH_RISCV
    if (p->map->arch == PACK_ARCH_RISCV && (word & 0x7Fu) == 0x37 && unit->pc >= CODE_FIRST) {
        riscv_high(p, off, left, unit);
        if (unit->kind == PACK_HIGH) return true;
    }
#else
    (void)off;
#endif
    hold(unit, PACK_POINTER, word);
    return true;
}

/* Text lies between code, too; some letters look like calls. */
static bool is_text(struct pack_predictor *p, uint32_t off)
{
    if (p->base_len - off < TEXT_LEN) return false;
    const uint8_t *text = base_at(p, off, TEXT_LEN);
    for (uint32_t i = 0; i < TEXT_LEN; i++) {
        uint32_t c = text[i];
        if (c - 0x20u >= 0x5Fu && c != 0 && c != 10) return false;
    }
    return true;
}

void pack_unit_at(struct pack_predictor *p, uint32_t off, uint32_t left, struct pack_unit *unit)
{
    const struct pack_map *map = p->map;
    memset(unit, 0, sizeof *unit);
    unit->len = 1;
    if (off >= p->base_len) return;
    left = molt_min32(left, p->base_len - off);
    unit->pc = pack_address(map, PACK_MAP_BASE, off);
    if (unit->pc != 0) left = molt_min32(left, pack_row_of(map, PACK_MAP_BASE, off)[1].from - off);
    unit->word = molt_load32le(base_at(p, off, 4));
    if (left < 4) unit->word &= (1u << 8 * left) - 1u;
    if (unit->pc == 0 || is_pointer(p, off, left, unit) || unit->pc < CODE_FIRST || is_text(p, off)) return;
    unit->kind = PACK_CODE;
#if PACK_WITH_XTENSA
    if (map->arch == PACK_ARCH_LX106 || map->arch == PACK_ARCH_XTENSA) xtensa_unit(map, left, unit);
#endif
#if PACK_WITH_RISCV
    if (map->arch == PACK_ARCH_RISCV) riscv_unit(p, off, left, unit);
#endif
    if (unit->kind == PACK_CODE) end_before_pointer(p, off, left, unit);
}

uint32_t pack_relocate(const struct pack_unit *unit, uint32_t out_pc, uint32_t shift)
{
    uint32_t target = unit->target + shift;
    if (unit->kind < PACK_POINTER || out_pc == 0) return unit->word;
    if (unit->kind == PACK_POINTER) return target;
#if PACK_WITH_XTENSA && PACK_WITH_RISCV
    if (unit->kind == PACK_L32R || (unit->kind == PACK_CALL && unit->len == 3))
        return xtensa_relocate(unit, out_pc, target);
    return riscv_relocate(unit, out_pc, target);
#elif PACK_WITH_XTENSA
    return xtensa_relocate(unit, out_pc, target);
#else
    return riscv_relocate(unit, out_pc, target);
#endif
}
