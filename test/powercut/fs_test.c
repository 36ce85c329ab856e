/* fs_test.c - the file system as a second component, with the whole agent, under power cuts at every flash operation, any
 * number of them (states.h). The keep store is a blob, as in an ESP32's NVS.
 *   safe     the application always runs; what the keep store calls whole is whole, byte by byte
 *   live     from every state a run without a cut installs the new one, and once it lies staged it needs no server; a
 *            known number of operations between two cuts always gets on
 *   thrifty  one cut makes at most one sector come again
 *
 *     powercut-fs staged                 all states of one scenario
 *     powercut-fs faults                 each operation fails once, reads too, staged and in place
 *     powercut-fs staged 12u 7b          replays one case: the line that a failure prints */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent_rig.h"
#include "states.h"

#define KEEP        0x4000u /* ESP32: the sector that stands for NVS; the ESP8266's is the flash's last */
#define AT_FS_STATE 244u    /* in a record of the keep store, keep.c */
#define PIECE       256u    /* bytes a packet */

static const struct sim_partition table[] = {
    {"nvs", 1, 2, 0x9000, 0x5000},        {"otadata", 1, 0, 0xE000, 0x2000},
    {"app0", 0, 0x10, 0x10000, 0x10000},  {"app1", 0, 0x11, 0x20000, 0x10000},
    {"spiffs", 1, 0x82, 0x30000, 0x5000},
};
static const struct sim_layout staged32 = {"staged", true, 0x36000, 0x36000, 0x36000, table, 5};
static const struct sim_layout staged8266 = {"staged8266", false, 0x80000, 0x10000, 0x15000, NULL, 0};
static const struct sim_layout tight8266 = {"tight", false, 0x80000, 0x8000, 0xD000, NULL, 0};

static const struct scenario {
    const char *name;
    const struct sim_layout *layout; /* NULL: the real one of this name; then every single cut, and no more */
    uint32_t app_len;
    uint32_t len;
    bool in_place, packed;
    uint32_t log_used, live, refetch;
} scenarios[] = {
    {"staged", &staged32, 0x3010, 0x2100, false, false, 0, 12, MOLT_SECTOR + 3 * PIECE},
    {"staged-rotate", &staged32, 0x3010, 0x1100, false, false, 122, 12, MOLT_SECTOR + 3 * PIECE},
    {"staged-8266", &staged8266, 0x3010, 0x2100, false, false, 0, 12, MOLT_SECTOR + 3 * PIECE},
    {"in-place", &tight8266, 0x3010, 0x4400, true, false, 0, 12, MOLT_SECTOR + 3 * PIECE},
    {"in-place-gzip", &tight8266, 0x3010, 0x4400, true, true, 0, 12, MOLT_SECTOR + 3 * PIECE + 2048},
    {"esp32-4M", NULL, 0x3010, 0x9000, false, false, 0, 0, MOLT_SECTOR + 3 * PIECE},
    {"1M64", NULL, 0xDC000, 0x10000, true, false, 0, 0, MOLT_SECTOR + 3 * PIECE},
};

static struct {
    const struct scenario *scenario;
    struct agent_rig rig;
    struct states states;
    struct rig_blob app, old, new, gz;
    struct molt_keep_blob blob;
    uint32_t keep_off;
    bool faults; /* flash that fails may cost what was staged */
    uint8_t old_digest[MOLT_SHA256_LEN], new_digest[MOLT_SHA256_LEN];
} t;

static void fail_here(const char *what)
{
    fprintf(stderr, "%s: %s\nreplay: powercut-fs %s", t.scenario->name, what, t.scenario->name);
    states_print_way(&t.states, t.states.current);
    fprintf(stderr, "\n");
    exit(1);
}

static void expect(bool condition, const char *what)
{
    if (!condition) fail_here(what);
}

/* ---- the keep store: whole or not at all ---- */

static int load(void *ctx, uint8_t raw[MOLT_KEEP_RECORD_LEN])
{
    (void)ctx;
    memcpy(raw, t.rig.chip.flash.bytes + t.keep_off, MOLT_KEEP_RECORD_LEN);
    return 0;
}

static int save(void *ctx, const uint8_t raw[MOLT_KEEP_RECORD_LEN])
{
    (void)ctx;
    sim_flash_program(&t.rig.chip.flash, t.keep_off, raw, MOLT_KEEP_RECORD_LEN);
    states_touched(&t.states, t.keep_off);
    return 0;
}

/* ---- a life ---- */

static const uint8_t *place(void)
{
    return t.rig.chip.flash.bytes + agent_rig_fs_off(&t.rig);
}

static bool lies_there(const struct rig_blob *image)
{
    return memcmp(place(), image->data, image->len) == 0;
}

static bool has(const uint8_t digest[MOLT_SHA256_LEN])
{
    const struct molt_keep_data *d = &t.rig.keep.data;
    return d->fs_state == MOLT_FS_WHOLE && memcmp(d->fs.digest, digest, MOLT_SHA256_LEN) == 0;
}

/* Until the agent is about to ask: a copy that was cut is complete by then. */
static void settle(void)
{
    struct molt_want want;
    do {
        molt_agent_step(&t.rig.agent, t.rig.now_ms, &want);
    } while (t.rig.agent.phase == MOLT_AGENT_STARTING || t.rig.agent.unsaved);
}

static void start(void)
{
    expect(t.rig.chip.booted && rig_runs(&t.rig.chip, t.app.data, t.app.len), "the application does not run");
    t.rig.now_ms = 0;
    t.rig.config.reset = MOLT_RESET_POWER;
    agent_rig_start(&t.rig, MOLT_SOURCE_CHECK_IN, "http://h", 1);
    molt_keep_load_step(&t.rig.keep);
    t.rig.keep.is_loaded = false;
    const uint8_t state = t.rig.keep.data.fs_state;
    expect(!has(t.old_digest) || lies_there(&t.old), "the old file system is called whole and is not");
    expect(!has(t.new_digest) || lies_there(&t.new), "the new file system is called whole and is not");
    expect(has(t.old_digest) || has(t.new_digest) || state == MOLT_FS_COPYING || state == MOLT_FS_BROKEN,
           "the file system is in no state that may be");
    expect(t.faults || t.scenario->in_place || state != MOLT_FS_BROKEN,
           "a file system that is staged was lost");
    settle();
    expect(t.faults || state != MOLT_FS_COPYING || has(t.new_digest), "what is staged needs the server");
}

static void script(void)
{
    const struct rig_blob *file = t.scenario->packed ? &t.gz : &t.new;
    struct molt_answer a = {.verdict = MOLT_VERDICT_OFFER,
                            .reason = MOLT_OFFERED,
                            .version_code = 2,
                            .url = "/f",
                            .component = 1,
                            .encoding = t.scenario->packed ? MOLT_GZIP : MOLT_RAW,
                            .file_len = (uint32_t)file->len,
                            .image_len = (uint32_t)t.new.len};
    rig_sha256(file, a.file_digest);
    memcpy(a.image_digest, t.new_digest, sizeof a.image_digest);
    agent_rig_answer(&t.rig, &a);
    for (int i = 0; i < 3; i++)
        agent_rig_ranges(&t.rig, "GET /f ", file->data, file->len)->piece = PIECE;
}

static void live(void)
{
    sim_rtc_power_on(&t.rig.chip.rtc);
    rig_reset(&t.rig.chip);
    start();
    for (int n = 0; n < 4 && !has(t.new_digest); n++) {
        script();
        expect(agent_rig_run(&t.rig, t.rig.now_ms + 600000), "the file system was not installed");
        rig_reset(&t.rig.chip);
        start();
    }
    expect(has(t.new_digest), "it never comes to an end");
    t.states.watching = false;
    rig_power_cycle(&t.rig.chip);
    expect(lies_there(&t.new), "the new file system rots away");
}

/* ---- the first state ---- */

static struct {
    jmp_buf out;
    unsigned at, seen;
    enum sim_flash_tear tear;
} cut;

static int count_or_cut(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    if (op == SIM_FLASH_READ || (cut.at > 0 && !t.states.watching) || ++cut.seen != cut.at) return 0;
    sim_flash_cut(&t.rig.chip.flash, cut.tear, op, off, len, 1);
    longjmp(cut.out, 1);
}

/* What the agent's job is called in the log is known when it begins: a run that ends before its first operation. */
static void learn_job(void)
{
    cut.at = 1;
    cut.seen = 0;
    cut.tear = SIM_TEAR_BEFORE;
    t.rig.chip.flash.hook = count_or_cut;
    t.states.watching = true;
    if (setjmp(cut.out) == 0) {
        rig_reset(&t.rig.chip);
        start();
        script();
        (void)agent_rig_run(&t.rig, t.rig.now_ms + 600000);
        fail_here("nothing was written");
    }
    t.rig.chip.flash.hook = NULL;
    cut.at = 0;
    assert_true(t.rig.agent.can_resume);
    assert_int_equal(t.rig.agent.u.update.target.in_place, t.scenario->in_place);
}

static void fill_log(uint32_t off, uint32_t used)
{
    uint8_t dirt[MOLT_SECTOR];
    memset(dirt, 0x33, sizeof dirt);
    if (used == 0) return;
    sim_flash_program(&t.rig.chip.flash, off + MOLT_SECTOR, dirt, MOLT_SECTOR);
    sim_flash_program(&t.rig.chip.flash, off, dirt, used * MOLT_LOG_RECORD_LEN);
}

static void note_old(void)
{
    molt_keep_begin_blob(&t.rig.keep, &t.blob);
    t.rig.keep.data.fs_state = MOLT_FS_WHOLE;
    memcpy(t.rig.keep.data.fs.digest, t.old_digest, MOLT_SHA256_LEN);
    assert_int_equal(molt_keep_save_step(&t.rig.keep), 0);
}

static void prepare(const struct scenario *s)
{
    const struct sim_layout *layout = s->layout != NULL ? s->layout : sim_layout_find(s->name);
    const enum molt_chip chip = layout->is_esp32 ? MOLT_CHIP_ESP32 : MOLT_CHIP_ESP8266;
    static uint8_t dirt[0x400000];
    uint8_t tag[MOLT_LOG_TAG_LEN] = {'f', 's', ' ', 1};
    t.scenario = s;
    t.app = rig_image(chip, s->app_len, 1, layout->is_esp32 ? 4u << 20 : 512u << 10);
    t.old = rig_fs(s->len - 0x40, 7);
    t.new = rig_fs(s->len, 8);
    t.gz = rig_gzip_blocks(&t.new, 12, 2048);
    rig_sha256(&t.old, t.old_digest);
    rig_sha256(&t.new, t.new_digest);
    t.blob = (struct molt_keep_blob){NULL, load, save};
    t.keep_off = layout->is_esp32 ? KEEP : layout->flash_size - MOLT_SECTOR;

    agent_rig_open_layout(&t.rig, layout, chip, t.app.data, t.app.len);
    memset(dirt, 0x5A, sizeof dirt);
    sim_flash_program(&t.rig.chip.flash, 0, dirt, layout->flash_size);
    rig_factory(&t.rig.chip, t.app.data, t.app.len);
    sim_flash_program(&t.rig.chip.flash, agent_rig_fs_off(&t.rig), t.old.data, (uint32_t)t.old.len);
    t.rig.keep_blob = &t.blob;
    t.rig.has_fs = true;
    t.rig.config.fs_in_place = s->in_place;
    t.rig.config.window_len = 4096;
    note_old();
    learn_job();
    const struct molt_update *u = &t.rig.agent.u.update;
    fill_log(u->target.scratch_off, s->log_used);
    states_open(&t.states, &t.rig.chip.flash, u->target.scratch_off, u->log.tag, &t.rig.chip.fetched);
    tag[4] = (uint8_t)s->len;
    tag[5] = (uint8_t)(s->len >> 8);
    tag[6] = (uint8_t)(s->len >> 16);
    if (!s->in_place) { /* from "copying" on; what was staged is never fetched again (expected in start()) */
        t.states.second_at = t.keep_off + AT_FS_STATE;
        t.states.second_mark = MOLT_FS_COPYING;
        memcpy(t.states.second_tag, tag, sizeof tag);
    }
    t.states.max = 60000;
    note_old();
    states_add_current(&t.states);
}

/* ---- exploring and replaying ---- */

static int explore(const struct scenario *s)
{
    prepare(s);
    while (states_next(&t.states)) {
        t.states.only_run = s->layout == NULL && t.states.current != 0;
        live();
        states_done(&t.states);
    }
    uint32_t edge = 0;
    int64_t again = states_worst_refetch(&t.states, &edge);
    uint16_t needed = s->layout != NULL ? states_live_operations(&t.states) : 0;
    printf("%s: %u states, %llu cuts; one cut makes %lld bytes come again\n", s->name, t.states.count,
           (unsigned long long)t.states.cuts, (long long)again);
    if (s->layout != NULL) printf("%u operations between two cuts always get on\n", needed);
    t.states.current = t.states.edges[edge].to;
    expect(again <= s->refetch, "one cut makes too much come again");
    expect(needed == s->live, "the number of operations that always get on is another one");
    return 0;
}

static int replay(const struct scenario *s, char **cuts, int count)
{
    static const char letters[] = "bhnau";
    prepare(s);
    t.rig.chip.flash.hook = count_or_cut;
    for (volatile int i = 0; i <= count; i++) {
        char *end = NULL;
        cut.at = i < count ? (unsigned)strtoul(cuts[i], &end, 10) : 0;
        const char *letter = i < count ? strchr(letters, *end) : letters;
        if (letter == NULL || *letter == '\0') return 2;
        cut.tear = (enum sim_flash_tear)(letter - letters);
        cut.seen = 0;
        sim_flash_power_up(&t.rig.chip.flash);
        t.states.watching = true;
        if (setjmp(cut.out) == 0) live();
        printf("%s: %u operations\n", i < count ? cuts[i] : "to the end", cut.seen);
    }
    return 0;
}

/* ---- flash that fails ---- */

static int fail_once(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    (void)op;
    (void)off;
    (void)len;
    return ++cut.seen == cut.at ? -77 : 0;
}

/* One life in which the at-th operation fails (0: none), and then one that gets there. Returns how many there were. */
static unsigned fail_at(unsigned at)
{
    states_load(&t.states, 0);
    rig_reset(&t.rig.chip);
    cut.at = at;
    cut.seen = 0;
    t.rig.chip.flash.hook = fail_once;
    start();
    script();
    (void)agent_rig_run(&t.rig, t.rig.now_ms + 20000);
    t.rig.chip.flash.hook = NULL;
    unsigned seen = cut.seen;
    live();
    return seen;
}

static int fault_everywhere(void)
{
    static const char *const names[] = {"staged", "in-place"};
    t.faults = true;
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        bool is_one = strcmp(scenarios[i].name, names[0]) == 0 || strcmp(scenarios[i].name, names[1]) == 0;
        if (!is_one) continue;
        prepare(&scenarios[i]);
        unsigned operations = fail_at(0);
        expect(operations > 60, "too few operations");
        for (unsigned at = 1; at <= operations; at++)
            (void)fail_at(at);
        printf("%s: %u operations, each failed once\n", scenarios[i].name, operations);
        states_close(&t.states);
        agent_rig_close(&t.rig);
        free(t.app.data);
        free(t.old.data);
        free(t.new.data);
        free(t.gz.data);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "faults") == 0) return fault_everywhere();
    for (size_t i = 0; argc > 1 && i < sizeof scenarios / sizeof scenarios[0]; i++) {
        if (strcmp(argv[1], scenarios[i].name) != 0) continue;
        return argc == 2 ? explore(&scenarios[i]) : replay(&scenarios[i], argv + 2, argc - 2);
    }
    fprintf(stderr, "usage: powercut-fs SCENARIO [CUT...]\n");
    return 2;
}
