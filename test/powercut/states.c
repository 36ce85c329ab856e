/* states.c - see states.h. Must never take two states for one that could have different futures: only the log is
 * reduced to what it means, and how full it is to "near its end" or not. */
#include "states.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/crc.h"

#define UNITS_MAX  (MOLT_SECTOR / 4)
#define ENTRY      (MOLT_SECTOR + UNITS_MAX) /* bytes, and a byte of flags a write unit */
#define UNSTABLE   2u
#define NEAR_SLOTS 12u /* more records than one power-up writes */
#define NONE       UINT32_MAX
#define VIEW_MAX   4096u

static const char tear_letters[] = "bhnau";

static void *grow(void *old, size_t count, size_t size)
{
    void *p = realloc(old, count * size);
    if (p == NULL) abort();
    return p;
}

static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
    }
    for (; len > 0; len--, p++)
        hash = (hash ^ *p) * 0x100000001B3u;
    return hash ^ hash >> 32;
}

void states_open(struct states *s, struct sim_flash *flash, uint32_t log_off,
                 const uint32_t tag[MOLT_LOG_TAG_LEN / 4], const uint64_t *fetched)
{
    memset(s, 0, sizeof *s);
    s->flash = flash;
    s->sectors = flash->port.size / MOLT_SECTOR;
    s->log_sector = log_off / MOLT_SECTOR;
    s->fetched = fetched;
    s->max = 1000000;
    molt_store_words(s->tag, tag, MOLT_LOG_TAG_LEN / 4);
    const struct sim_flash_config config = {.size = flash->port.size, .write_unit = flash->port.write_unit};
    if (s->sectors > STATES_SECTORS_MAX || sim_flash_open(&s->work, &config) < 0) abort();
    s->table_cap = s->seen_cap = 1u << 20;
    s->table = calloc(s->table_cap, sizeof *s->table);
    s->seen = calloc(s->seen_cap, sizeof *s->seen);
    s->seen_state = calloc(s->seen_cap, sizeof *s->seen_state);
    if (s->table == NULL || s->seen == NULL || s->seen_state == NULL) abort();
}

void states_close(struct states *s)
{
    sim_flash_close(&s->work);
    free(s->table);
    free(s->seen);
    free(s->seen_state);
    free(s->pool);
    free(s->pool_hash);
    free(s->vectors);
    free(s->way);
    free(s->edges);
    free(s->cost);
    memset(s, 0, sizeof *s);
}

/* ---- sectors ---- */

static void sector_out(const struct sim_flash *flash, uint32_t sector, uint8_t entry[ENTRY])
{
    uint32_t units = MOLT_SECTOR / flash->port.write_unit, first = sector * units;
    memcpy(entry, flash->bytes + sector * MOLT_SECTOR, MOLT_SECTOR);
    memset(entry + MOLT_SECTOR, 0, UNITS_MAX);
    for (uint32_t i = 0; i < units; i++)
        entry[MOLT_SECTOR + i] =
            (uint8_t)(flash->programmed[first + i] | flash->unstable[first + i] * UNSTABLE);
}

static void sector_in(struct sim_flash *flash, uint32_t sector, const uint8_t entry[ENTRY])
{
    uint32_t units = MOLT_SECTOR / flash->port.write_unit, first = sector * units;
    memcpy(flash->bytes + sector * MOLT_SECTOR, entry, MOLT_SECTOR);
    for (uint32_t i = 0; i < units; i++) {
        uint8_t flags = entry[MOLT_SECTOR + i];
        flash->programmed[first + i] = flags & 1u;
        flash->unstable[first + i] = (flags & UNSTABLE) != 0;
        if ((flags & UNSTABLE) != 0) flash->any_unstable = true;
    }
}

/* The number of a sector's content. */
static uint32_t intern(struct states *s, const uint8_t entry[ENTRY])
{
    uint64_t hash = mix(1, entry, ENTRY);
    uint32_t at = (uint32_t)hash & (s->table_cap - 1);
    for (; s->table[at] != 0; at = (at + 1) & (s->table_cap - 1)) {
        uint32_t id = s->table[at] - 1;
        if (s->pool_hash[id] == hash && memcmp(s->pool + (size_t)id * ENTRY, entry, ENTRY) == 0) return id;
    }
    if (s->pool_count == s->pool_cap) {
        s->pool_cap = s->pool_cap == 0 ? 1024 : s->pool_cap * 2;
        s->pool = grow(s->pool, s->pool_cap, ENTRY);
        s->pool_hash = grow(s->pool_hash, s->pool_cap, sizeof *s->pool_hash);
    }
    if (s->pool_count * 2 > s->table_cap) abort(); /* far more than any scenario makes */
    memcpy(s->pool + (size_t)s->pool_count * ENTRY, entry, ENTRY);
    s->pool_hash[s->pool_count] = hash;
    s->table[at] = s->pool_count + 1;
    return s->pool_count++;
}

/* What the sector of the flash is after the next power-up, and after tear when there is one. */
static uint32_t future(struct states *s, uint32_t sector)
{
    uint8_t entry[ENTRY];
    sector_out(s->flash, sector, entry);
    sector_in(&s->work, sector, entry);
    if (s->work.any_unstable) {
        sim_flash_power_up(&s->work);
        sector_out(&s->work, sector, entry);
    }
    return intern(s, entry);
}

/* ---- telling states apart ---- */

#define RECORDS_MAX 256

/* The log by what it means, which is what a search can find: of each durable place the first record, and the next
 * ones as long as those before may vanish; the sector that is written next, and how full both are. */
struct log_view {
    uint8_t raw[RECORDS_MAX][MOLT_LOG_RECORD_LEN];
    bool unstable[RECORDS_MAX];
    uint32_t count, newest;
    uint8_t near[MOLT_LOG_SECTORS], current;
    bool odd; /* a record that is none may become one, or look blank */
};

static void view_record(struct log_view *view, const uint8_t *raw, bool unstable, uint8_t sector)
{
    uint32_t stored = molt_load32le(raw + 12), at = view->count;
    if (stored >= view->newest) {
        view->newest = stored;
        view->current = sector;
    }
    for (uint32_t i = 0; i < view->count; i++) {
        uint32_t other = molt_load32le(view->raw[i] + 12);
        if (other == stored && !view->unstable[i]) return;
        if (other == stored && memcmp(view->raw[i], raw, MOLT_LOG_RECORD_LEN) == 0) {
            view->unstable[i] = view->unstable[i] && unstable;
            return;
        }
        if (other > stored && at == view->count) at = i;
    }
    if (view->count == RECORDS_MAX) abort();
    for (uint32_t i = view->count++; i > at; i--) {
        memcpy(view->raw[i], view->raw[i - 1], MOLT_LOG_RECORD_LEN);
        view->unstable[i] = view->unstable[i - 1];
    }
    memcpy(view->raw[at], raw, MOLT_LOG_RECORD_LEN);
    view->unstable[at] = unstable;
}

static void view_sector(const struct states *s, const uint8_t *tag, struct log_view *view,
                        const uint8_t *entry, uint8_t sector)
{
    uint32_t per_slot = MOLT_LOG_RECORD_LEN / s->flash->port.write_unit, used = 0;
    uint32_t slots = MOLT_SECTOR / MOLT_LOG_RECORD_LEN;
    for (uint32_t i = 0; i < slots; i++) {
        const uint8_t *raw = entry + i * MOLT_LOG_RECORD_LEN, *flags = entry + MOLT_SECTOR + i * per_slot;
        bool unstable = false;
        for (uint32_t k = 0; k < per_slot; k++) {
            if ((flags[k] & 1u) != 0) used = i + 1;
            unstable = unstable || (flags[k] & UNSTABLE) != 0;
        }
        bool is_record = memcmp(raw + 4, tag, MOLT_LOG_TAG_LEN) == 0 &&
                         molt_load32le(raw + 28) == molt_crc32_lsb(0xFFFFFFFFu, raw, 28);
        if (is_record) view_record(view, raw, unstable, sector);
        view->odd = view->odd || (!is_record && unstable);
    }
    uint32_t free_slots = (slots - used) / 4 * 4; /* places are taken in fours after a restart */
    view->near[sector] = (uint8_t)(free_slots < NEAR_SLOTS ? free_slots : NEAR_SLOTS + (used == 0));
}

/* Of the two sectors of the log. */
static uint64_t hash_log(const struct states *s, const uint8_t *tag, const uint32_t *vector)
{
    static struct log_view view;
    uint64_t hash = 3;
    view.count = view.newest = 0;
    view.current = 0;
    view.odd = false;
    for (uint8_t i = 0; i < MOLT_LOG_SECTORS; i++)
        view_sector(s, tag, &view, s->pool + (size_t)vector[s->log_sector + i] * ENTRY, i);
    hash = mix(hash, view.raw, view.count * sizeof view.raw[0]);
    hash = mix(hash, view.unstable, view.count * sizeof view.unstable[0]);
    hash = mix(hash, view.near, sizeof view.near);
    const uint8_t rest[2] = {view.current, view.odd};
    return mix(hash, rest, sizeof rest);
}

static uint64_t hash_keep(const struct states *s, const uint32_t *vector)
{
    uint8_t view[VIEW_MAX];
    const uint8_t *first = s->pool + (size_t)vector[s->keep_sector] * ENTRY;
    const uint8_t *second = s->pool + (size_t)vector[s->keep_sector + 1] * ENTRY;
    return mix(4, view, s->keep_view(first, second, view));
}

/* Where the hash of two sectors that was worked out before is kept; the same sectors come again and again. */
static struct states_pair *remembered(struct states_pair *pairs, const uint32_t *two, uint32_t kind)
{
    const uint64_t key = (uint64_t)two[0] << 33 | (uint64_t)two[1] << 1 | kind;
    struct states_pair *pair = &pairs[mix(5, &key, sizeof key) % STATES_PAIRS];
    if (pair->key != key + 1) *pair = (struct states_pair){.key = key + 1}; /* 0: nothing is there */
    return pair;
}

static uint64_t mix_pairs(struct states *s, const uint8_t *tag, bool is_second, const uint32_t *vector,
                          uint64_t hash)
{
    if (s->log_sector != 0) {
        struct states_pair *log = remembered(s->log_pairs, vector + s->log_sector, is_second);
        if (log->hash == 0) log->hash = hash_log(s, tag, vector);
        hash = mix(hash, &log->hash, sizeof log->hash);
    }
    if (s->keep_sector != 0) {
        struct states_pair *keep = remembered(s->keep_pairs, vector + s->keep_sector, 0);
        if (keep->hash == 0) keep->hash = hash_keep(s, vector);
        hash = mix(hash, &keep->hash, sizeof keep->hash);
    }
    return hash;
}

static uint64_t hash_vector(struct states *s, const uint32_t *vector)
{
    uint64_t hash = 2;
    for (uint32_t i = 0; i < s->sectors; i++) {
        bool is_log = s->log_sector != 0 && i >= s->log_sector && i < s->log_sector + MOLT_LOG_SECTORS;
        bool is_keep = s->keep_sector != 0 && i >= s->keep_sector && i < s->keep_sector + 2;
        if (!is_log && !is_keep) hash = mix(hash, &vector[i], sizeof vector[i]);
    }
    const uint8_t *mark =
        s->pool + (size_t)vector[s->second_at / MOLT_SECTOR] * ENTRY + s->second_at % MOLT_SECTOR;
    bool is_second = s->second_at != 0 && *mark == s->second_mark;
    hash = mix_pairs(s, is_second ? s->second_tag : s->tag, is_second, vector, hash);
    return hash == 0 ? 1 : hash;
}

static uint32_t add(struct states *s, const uint32_t *vector, struct states_way way)
{
    uint64_t hash = hash_vector(s, vector);
    uint32_t at = (uint32_t)hash & (s->seen_cap - 1);
    for (; s->seen[at] != 0; at = (at + 1) & (s->seen_cap - 1)) {
        if (s->seen[at] == hash) return s->seen_state[at];
    }
    if (s->count >= s->max || s->count * 2 > s->seen_cap) {
        fprintf(stderr, "more than %u states: they do not close\n", s->count);
        abort();
    }
    if (s->count == s->state_cap) {
        s->state_cap = s->state_cap == 0 ? 1024 : s->state_cap * 2;
        s->vectors = grow(s->vectors, s->state_cap, s->sectors * sizeof *s->vectors);
        s->way = grow(s->way, s->state_cap, sizeof *s->way);
        s->cost = grow(s->cost, s->state_cap, sizeof *s->cost);
    }
    s->seen[at] = hash;
    s->seen_state[at] = s->count;
    memcpy(s->vectors + (size_t)s->count * s->sectors, vector, s->sectors * sizeof *vector);
    s->way[s->count] = way;
    s->cost[s->count] = NONE;
    return s->count++;
}

/* ---- watching a run ---- */

static void sync(struct states *s)
{
    for (uint32_t i = 0; i < s->sectors; i++) {
        if (s->dirty[i]) s->now[i] = future(s, i);
        s->dirty[i] = false;
    }
}

static void add_edge(struct states *s, uint32_t to)
{
    for (uint32_t i = s->run_edge; i < s->edge_count; i++) {
        if (s->edges[i].to != to) continue;
        s->edges[i].whole = (uint16_t)(s->operations - 1); /* the later one needs more */
        s->edges[i].fetched = (uint32_t)(*s->fetched - s->fetched_before);
        return;
    }
    if (s->edge_count == s->edge_cap) {
        s->edge_cap = s->edge_cap == 0 ? 4096 : s->edge_cap * 2;
        s->edges = grow(s->edges, s->edge_cap, sizeof *s->edges);
    }
    s->edges[s->edge_count++] = (struct states_edge){s->current, to, (uint16_t)(s->operations - 1),
                                                     (uint32_t)(*s->fetched - s->fetched_before)};
}

static void cut_here(struct states *s, enum sim_flash_tear tear, enum sim_flash_op op, uint32_t off,
                     uint32_t len)
{
    uint32_t vector[STATES_SECTORS_MAX], first = off / MOLT_SECTOR, last = (off + len - 1) / MOLT_SECTOR;
    uint8_t entry[ENTRY];
    memcpy(vector, s->now, sizeof vector);
    for (uint32_t i = first; i <= last; i++)
        sector_in(&s->work, i, s->pool + (size_t)s->now[i] * ENTRY);
    s->work.writing = s->flash->writing;
    s->work.any_unstable = false;
    sim_flash_cut(&s->work, tear, op, off, len, 1);
    for (uint32_t i = first; i <= last; i++) {
        sector_out(&s->work, i, entry);
        vector[i] = intern(s, entry);
        memset(s->work.unstable + i * (MOLT_SECTOR / s->work.port.write_unit), 0,
               MOLT_SECTOR / s->work.port.write_unit);
    }
    s->work.any_unstable = false;
    s->cuts++;
    add_edge(s, add(s, vector, (struct states_way){s->current, s->operations, (uint8_t)tear}));
}

static int watch(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    struct states *s = ctx;
    if (op == SIM_FLASH_READ) return 0;
    bool is_apart = off >= s->apart_off && off - s->apart_off < s->apart_len;
    if (s->watching && !s->only_run && !is_apart) {
        s->operations++;
        sync(s);
        for (int tear = 0; tear < SIM_TEARS; tear++)
            cut_here(s, (enum sim_flash_tear)tear, op, off, len);
    }
    for (uint32_t i = off / MOLT_SECTOR; i <= (off + len - 1) / MOLT_SECTOR; i++)
        s->dirty[i] = true;
    return 0;
}

void states_add_current(struct states *s)
{
    uint32_t vector[STATES_SECTORS_MAX];
    for (uint32_t i = 0; i < s->sectors; i++)
        vector[i] = future(s, i);
    add(s, vector, (struct states_way){NONE, 0, 0});
}

void states_touched(struct states *s, uint32_t off)
{
    s->dirty[off / MOLT_SECTOR] = true;
}

/* The state as it reads after this power-up; what is unstable still looks well. */
void states_load(struct states *s, uint32_t i)
{
    s->flash->any_unstable = false;
    for (uint32_t k = 0; k < s->sectors; k++) {
        sector_in(s->flash, k, s->pool + (size_t)s->vectors[(size_t)i * s->sectors + k] * ENTRY);
        s->dirty[k] = true; /* what it is after the next power-up is another thing */
    }
}

bool states_next(struct states *s)
{
    if (s->done == s->count) return false;
    s->current = s->done;
    s->run_edge = s->edge_count;
    states_load(s, s->current);
    s->operations = 0;
    s->fetched_before = *s->fetched;
    s->flash->hook = watch;
    s->flash->hook_ctx = s;
    s->watching = true;
    return true;
}

void states_done(struct states *s)
{
    s->flash->hook = NULL;
    s->watching = false;
    s->cost[s->current] = (uint32_t)(*s->fetched - s->fetched_before);
    s->done++;
}

void states_print_way(const struct states *s, uint32_t i)
{
    if (s->way[i].from != NONE) {
        states_print_way(s, s->way[i].from);
        fprintf(stderr, " %u%c", s->way[i].operation, tear_letters[s->way[i].tear]);
    }
}

/* ---- what all of it shows ---- */

int64_t states_worst_refetch(const struct states *s, uint32_t *edge)
{
    int64_t worst = INT64_MIN;
    for (uint32_t i = 0; i < s->edge_count; i++) {
        const struct states_edge *e = &s->edges[i];
        int64_t again = (int64_t)s->cost[e->to] + e->fetched - s->cost[e->from];
        if (again <= worst) continue;
        worst = again;
        *edge = i;
    }
    return worst;
}

/* Is every way finite along edges with at least n whole operations? (Kahn: take away states that nothing leads to.) */
static bool ends(const struct states *s, uint16_t n, uint32_t *degree, uint32_t *queue, const uint32_t *first)
{
    uint32_t head = 0, tail = 0;
    memset(degree, 0, s->count * sizeof *degree);
    for (uint32_t i = 0; i < s->edge_count; i++) {
        if (s->edges[i].whole >= n) degree[s->edges[i].to]++;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        if (degree[i] == 0) queue[tail++] = i;
    }
    while (head < tail) {
        uint32_t at = queue[head++];
        for (uint32_t i = first[at]; i < first[at + 1]; i++) {
            if (s->edges[i].whole >= n && --degree[s->edges[i].to] == 0) queue[tail++] = s->edges[i].to;
        }
    }
    return tail == s->count;
}

uint16_t states_live_operations(const struct states *s)
{
    uint32_t *degree = malloc(s->count * sizeof *degree), *queue = malloc(s->count * sizeof *queue);
    uint32_t *first = calloc(s->count + 2u, sizeof *first);
    if (degree == NULL || queue == NULL || first == NULL) abort();
    for (uint32_t i = 0; i < s->edge_count; i++) /* they lie in the order of their origins */
        first[s->edges[i].from + 1]++;
    for (uint32_t i = 0; i < s->count; i++)
        first[i + 1] += first[i];
    uint16_t n = 0;
    while (!ends(s, n, degree, queue, first))
        n++;
    free(degree);
    free(queue);
    free(first);
    return n;
}
