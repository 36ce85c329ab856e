/* closure.c - see closure.h. Must never forget a state that could have another future. */
#include "closure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How a state was reached: from its parent, reading variant v, cut at operation op with a tear, or run to its
 * end and then another actor. */
struct closure_node {
    uint32_t parent;
    uint16_t op; /* 0: not cut */
    uint8_t variant, tear, actor;
};

static const char tear_letters[] = "bhnau";

/* ---- failing, and the line that leads there ---- */

static void print_way(const struct closure *c, uint32_t node)
{
    if (node == 0) return;
    const struct closure_node *n = &c->nodes[node];
    print_way(c, n->parent);
    if (n->op != 0)
        fprintf(stderr, " %uc%u%c", n->variant, n->op, tear_letters[n->tear]);
    else
        fprintf(stderr, " %ur%u", n->variant, n->actor);
}

void closure_fail(struct closure *c, const char *format, ...)
{
    va_list values;
    fprintf(stderr, "%s: ", c->name);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fprintf(stderr, "\nreplay: %s", c->name);
    if (c->recording) {
        print_way(c, c->current_node);
        fprintf(stderr, " %u\n", c->current_variant);
    } else {
        fprintf(stderr, " (the line given)\n");
    }
    exit(1);
}

/* ---- the set of states ---- */

static uint64_t mix(uint64_t hash, const uint8_t *data, size_t len)
{
    for (; len >= sizeof hash; len -= sizeof hash, data += sizeof hash) {
        uint64_t word;
        memcpy(&word, data, sizeof word);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 32;
    }
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ data[i]) * 0x100000001B3u;
    return hash ^ hash >> 29;
}

/* One of the ways in which the unstable regions may read. */
static void apply_variant(struct closure_state *s, unsigned variant)
{
    for (unsigned i = 0; i < s->unstable_count; i++, variant /= 3) {
        const struct closure_unstable *u = &s->unstable[i];
        memcpy(s->bytes + u->off, u->variant[variant % 3], u->len);
    }
}

static unsigned variants(const struct closure_state *s)
{
    unsigned n = 1;
    for (unsigned i = 0; i < s->unstable_count; i++)
        n *= 3;
    return n;
}

static uint64_t hash_text(struct closure *c, struct closure_state *s, uint64_t hash)
{
    static uint8_t text[CLOSURE_SIZE_MAX];
    struct closure_state *const running = c->now;
    c->now = s;
    hash = mix(hash, text, c->canonical(c, text));
    c->now = running;
    return hash == 0 ? 1 : hash; /* 0 marks a free place */
}

/* A state is what it reads as, now (if it goes on with that) and in every other way. An unstable region that makes
 * no difference is none. */
static uint64_t hash_state(struct closure *c, struct closure_state *s)
{
    static struct closure_state copy;
    const uint64_t start = mix(0xCBF29CE484222325u, &s->actor, 1);
    if (s->unstable_count == 0) return hash_text(c, s, start);
    copy = *s;
    uint64_t first = 0, all = start;
    bool same = true;
    if ((c->powers_up >> s->actor & 1) == 0) all = first = hash_text(c, s, start);
    for (unsigned v = 0; v < variants(s); v++) {
        apply_variant(&copy, v);
        uint64_t one = hash_text(c, &copy, start);
        if (first == 0) first = one;
        same = same && one == first;
        all = (all ^ one) * 0x9E3779B97F4A7C15u;
        all ^= all >> 31;
    }
    return same || all == 0 ? first : all;
}

static bool is_new(struct closure *c, uint64_t hash)
{
    if (c->states * 2 >= c->seen_cap) {
        uint32_t cap = c->seen_cap == 0 ? 1u << 16 : c->seen_cap * 2;
        uint64_t *bigger = calloc(cap, sizeof *bigger);
        if (bigger == NULL) abort();
        for (uint32_t i = 0; i < c->seen_cap; i++) {
            uint32_t at = (uint32_t)c->seen[i] & (cap - 1);
            while (c->seen[i] != 0 && bigger[at] != 0)
                at = (at + 1) & (cap - 1);
            if (c->seen[i] != 0) bigger[at] = c->seen[i];
        }
        free(c->seen);
        c->seen = bigger;
        c->seen_cap = cap;
    }
    uint32_t at = (uint32_t)hash & (c->seen_cap - 1);
    while (c->seen[at] != 0) {
        if (c->seen[at] == hash) return false;
        at = (at + 1) & (c->seen_cap - 1);
    }
    c->seen[at] = hash;
    c->states++;
    return true;
}

static void add(struct closure *c, struct closure_state *state, uint16_t op, enum closure_tear tear)
{
    if (!is_new(c, hash_state(c, state))) return;
    if (c->states > c->states_max) closure_fail(c, "more than %u states: they do not close", c->states_max);
    if (c->queue_len == c->queue_cap) {
        c->queue_cap = c->queue_cap == 0 ? 1024 : c->queue_cap * 2;
        c->nodes = realloc(c->nodes, c->queue_cap * sizeof *c->nodes);
        c->queue = realloc(c->queue, c->queue_cap * sizeof(*c->queue));
    }
    struct closure_state *copy = malloc(sizeof *copy);
    if (c->nodes == NULL || c->queue == NULL || copy == NULL) abort();
    *copy = *state;
    c->nodes[c->queue_len] =
        (struct closure_node){c->current_node, op, c->current_variant, (uint8_t)tear, state->actor};
    c->queue[c->queue_len++] = copy;
}

/* ---- the flash ---- */

static uint8_t noise_at(uint32_t off)
{
    uint32_t x = (off + 1) * 2654435761u;
    x ^= x >> 15;
    x *= 2246822519u;
    return (uint8_t)(x >> 24);
}

/* What the region reads as after the operation, noise included: programming can only clear the bits it should. */
static void outcome(const uint8_t *before, const uint8_t *data, uint32_t off, uint32_t len,
                    enum closure_tear tear, uint8_t *out)
{
    for (uint32_t i = 0; i < len; i++) {
        uint8_t after = data == NULL ? 0xFF : data[i];
        uint8_t noise = data == NULL ? noise_at(off + i) : (uint8_t)(before[i] & (after | noise_at(off + i)));
        bool done = tear == TEAR_AFTER || (tear == TEAR_HALF && i < len / 2);
        out[i] = tear == TEAR_NOISE ? noise : done ? after : before[i];
    }
}

static void drop_unstable(struct closure_state *s, uint32_t off, uint32_t len)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < s->unstable_count; i++) {
        const struct closure_unstable *u = &s->unstable[i];
        if (u->off >= off && u->off + u->len <= off + len) continue;
        s->unstable[kept++] = *u;
    }
    s->unstable_count = (uint8_t)kept;
}

/* The unstable region that is exactly this one and looks blank, so that no program can know of it. */
static struct closure_unstable *invisible(struct closure_state *s, uint32_t off, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        if (s->bytes[off + i] != 0xFF) return NULL;
    }
    for (unsigned i = 0; i < s->unstable_count; i++) {
        if (s->unstable[i].off == off && s->unstable[i].len == len) return &s->unstable[i];
    }
    return NULL;
}

/* A complete write over one: bits that it clears are cleared for good, those that only the first one cleared
 * half may still read either way later, although they read well now. */
static void write_over(struct closure_state *s, struct closure_unstable *u, const uint8_t *data)
{
    memcpy(s->bytes + u->off, data, u->len);
    for (uint32_t i = 0; i < u->len; i++) {
        for (int v = 0; v < 3; v++)
            u->variant[v][i] &= data[i];
    }
}

static void mark_programmed(struct closure_state *s, uint32_t off, uint32_t len, bool programmed)
{
    memset(s->programmed + off / CLOSURE_UNIT, programmed, len / CLOSURE_UNIT);
}

/* s as the cut leaves it. data: NULL for an erase. */
static void tear_into(struct closure_state *s, unsigned unstable_max, uint32_t off, const uint8_t *data,
                      uint32_t len, enum closure_tear tear)
{
    uint8_t before[CLOSURE_WRITE_MAX];
    memcpy(before, s->bytes + off, len);
    struct closure_unstable *below = data != NULL ? invisible(s, off, len) : NULL;
    if (tear == TEAR_BEFORE || (below != NULL && tear == TEAR_UNSTABLE)) return;
    if (below != NULL && tear == TEAR_AFTER) {
        write_over(s, below, data);
        return;
    }
    if (data == NULL || below != NULL) drop_unstable(s, off, len);
    mark_programmed(s, off, len, data != NULL || tear != TEAR_AFTER);
    if (tear != TEAR_UNSTABLE) {
        outcome(before, data, off, len, tear, s->bytes + off);
        return;
    }
    if (s->unstable_count == unstable_max) { /* the oldest settles as it reads now */
        const struct closure_unstable *old = &s->unstable[0];
        if (invisible(s, old->off, old->len) != NULL) mark_programmed(s, old->off, old->len, false);
        memmove(&s->unstable[0], &s->unstable[1], (unstable_max - 1u) * sizeof s->unstable[0]);
        s->unstable_count--;
    }
    struct closure_unstable *u = &s->unstable[s->unstable_count++];
    u->off = (uint16_t)off;
    u->len = (uint16_t)len;
    outcome(before, data, off, len, TEAR_BEFORE, u->variant[0]);
    outcome(before, data, off, len, TEAR_AFTER, u->variant[1]);
    outcome(before, data, off, len, TEAR_NOISE, u->variant[2]);
}

static void operation(struct closure *c, uint32_t off, const uint8_t *data, uint32_t len)
{
    static struct closure_state torn;
    c->operations++;
    for (int tear = 0; c->recording && tear < TEAR_COUNT; tear++) {
        torn = *c->now;
        torn.actor = c->power_actor;
        tear_into(&torn, c->unstable_max, off, data, len, (enum closure_tear)tear);
        add(c, &torn, (uint16_t)c->operations, (enum closure_tear)tear);
        c->cuts++;
    }
    if (c->cut_at == c->operations) {
        tear_into(c->now, c->unstable_max, off, data, len, c->cut_tear);
        longjmp(c->cut_out, 1);
    }
    tear_into(c->now, c->unstable_max, off, data, len, TEAR_AFTER);
    if (c->after_operation != NULL) c->after_operation(c);
}

static int flash_read(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    struct closure *c = ctx;
    if (off > c->size || len > c->size - off) closure_fail(c, "read outside the flash at 0x%x", off);
    memcpy(dst, c->now->bytes + off, len);
    return 0;
}

static int flash_write(void *ctx, uint32_t off, const void *src, uint32_t len)
{
    struct closure *c = ctx;
    if (off > c->size || len > c->size - off || len > CLOSURE_WRITE_MAX || off % CLOSURE_UNIT != 0 ||
        len % CLOSURE_UNIT != 0)
        closure_fail(c, "write of %u bytes at 0x%x breaks the flash's rules", len, off);
    for (uint32_t u = off / CLOSURE_UNIT; u < (off + len) / CLOSURE_UNIT; u++) {
        if (c->now->programmed[u] && invisible(c->now, off, len) == NULL)
            closure_fail(c, "0x%x is programmed twice without an erase", u * CLOSURE_UNIT);
    }
    operation(c, off, src, len);
    return 0;
}

static int flash_erase(void *ctx, uint32_t off, uint32_t len)
{
    struct closure *c = ctx;
    if (off >= c->size || len != c->sector || off % len != 0)
        closure_fail(c, "erase of %u bytes at 0x%x breaks the flash's rules", len, off);
    operation(c, off, NULL, len);
    return 0;
}

void closure_open(struct closure *c)
{
    c->flash = (struct molt_flash){.ctx = c,
                                   .size = c->size,
                                   .write_unit = CLOSURE_UNIT,
                                   .erase_sizes = {c->sector},
                                   .read = flash_read,
                                   .write = flash_write,
                                   .erase = flash_erase};
}

/* ---- exploring ---- */

void closure_start(struct closure *c, struct closure_state *state)
{
    closure_open(c);
    c->recording = true;
    add(c, state, 0, TEAR_BEFORE);
}

static void visit(struct closure *c, const struct closure_state *state)
{
    const bool anew = (c->powers_up >> state->actor & 1) != 0;
    const unsigned count = anew ? variants(state) : 1;
    for (unsigned v = 0; v < count; v++) {
        uint8_t next[CLOSURE_NEXT_MAX];
        size_t nexts = 0;
        c->live = *state;
        c->now = &c->live;
        c->current_variant = (uint8_t)v;
        if (anew) apply_variant(c->now, v);
        c->operations = 0;
        c->run(c, state->actor, next, &nexts);
        for (size_t i = 0; i < nexts; i++) {
            c->now->actor = next[i];
            add(c, c->now, 0, TEAR_BEFORE);
        }
    }
}

/* Breadth first, so that the way to a failure is as short as can be. */
void closure_explore(struct closure *c)
{
    for (; c->queue_head < c->queue_len; c->queue_head++) {
        struct closure_state *state = c->queue[c->queue_head];
        c->current_node = c->queue_head;
        visit(c, state);
        free(state);
        c->queue[c->queue_head] = NULL;
    }
}

bool closure_cut(struct closure *c, unsigned variant, uint32_t operation, enum closure_tear tear)
{
    uint8_t next[CLOSURE_NEXT_MAX];
    size_t nexts = 0;
    c->recording = false;
    if ((c->powers_up >> c->now->actor & 1) != 0) apply_variant(c->now, variant);
    c->operations = 0;
    c->cut_at = operation;
    c->cut_tear = tear;
    if (setjmp(c->cut_out) != 0) {
        c->now->actor = c->power_actor;
        return true;
    }
    c->run(c, c->now->actor, next, &nexts);
    return false;
}

void closure_rewind(struct closure *c, const struct closure_state *first)
{
    closure_open(c);
    c->live = *first;
    c->now = &c->live;
}

void closure_replay(struct closure *c, const struct closure_state *first, const char *line)
{
    closure_rewind(c, first);
    for (;;) {
        char *end;
        const unsigned variant = (unsigned)strtoul(line, &end, 10);
        if (end == line) return;
        line = end;
        const char kind = *line;
        const unsigned number = kind == 'c' || kind == 'r' ? (unsigned)strtoul(line + 1, &end, 10) : 0;
        const char *letter = kind == 'c' && *end != '\0' ? strchr(tear_letters, *end) : NULL;
        const bool cut = letter != NULL;
        closure_cut(c, variant, cut ? number : 0,
                    cut ? (enum closure_tear)(letter - tear_letters) : TEAR_BEFORE);
        if (!cut) c->now->actor = (uint8_t)number;
        line = cut ? end + 1 : end;
    }
}

void closure_end(struct closure *c)
{
    free(c->nodes);
    free(c->seen);
    for (; c->queue_head < c->queue_len; c->queue_head++)
        free(c->queue[c->queue_head]);
    free(c->queue);
    c->nodes = NULL;
    c->seen = NULL;
    c->queue = NULL;
}
