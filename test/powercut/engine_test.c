/* engine_test.c - the engine's three promises under power cuts at every flash operation, any number of them: every
 * flash state that they can lead to is visited (states.h), on geometries so small that this ends.
 *   safe     whatever boots is the whole old or the whole new image
 *   live     from every state one run without a cut gets to the end, and a known number of operations between two cuts
 *            always gets on
 *   thrifty  one cut makes at most one sector come again
 *
 *     powercut-engine raw                all states of one scenario
 *     powercut-engine raw 12u 7b         replays one case: the line that a failure prints */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "boot_view.h"
#include "chip_rig.h"
#include "host/molt_boot_image.h"
#include "states.h"

static const struct sim_partition small_table[] = {
    {"nvs", 1, 2, 0x9000, 0x5000},
    {"otadata", 1, 0, 0xE000, 0x2000},
    {"app0", 0, 0x10, 0x10000, 0x10000},
    {"app1", 0, 0x11, 0x20000, 0x10000},
};
static const struct sim_layout small32 = {"small", true, 0x30000, 0x30000, 0x30000, small_table, 4};
static const struct sim_layout small8266 = {"small", false, 0x80000, 0x20000, 0x80000, NULL, 0};

/* What came before. */
enum before {
    FACTORY,       /* a serial upload */
    NO_RECORD,     /* ESP32: one that left otadata blank, so that the bootloader writes the first record */
    FAILURE,       /* ESP32: another image failed its trial and was rejected */
    MOLT_BOOT,     /* ESP8266: images with molt-boot in sector 0; its record and the exchange are not cut */
    MOLT_BOOT_TOO, /* the same, and they are: of a molt-boot whose log has 8 states (powercut-engine-boot) */
};

struct scenario {
    const char *name;
    const struct sim_layout *layout; /* NULL: the real one of this name; then every single cut, and no more */
    uint32_t old_len, new_len;
    bool packed;
    uint32_t write_unit;
    bool second;       /* ESP32: the old image runs from slot 1, an older one lies in slot 0 */
    bool bad;          /* the new image's health check says no */
    uint32_t log_used; /* records of other jobs that lie in the log's first sector; the second is full */
    uint32_t live;     /* operations between two cuts that always get on: computed, and must stay */
    uint32_t refetch;  /* bytes that one cut makes come again at most */
    enum before before;
};

/* refetch: a sector; where gzip is stored decoded, what comes since the last block header before it. */
#define BLOCK 2048u
#define ANY   0u
#define LIVE  (4u + MOLT_SECTOR / MOLT_PAGE_LEN) /* 12 with the usual page */
static const struct scenario scenarios[] = {
    {"raw", &small32, 0x3010, 0x3420, false, 32, false, false, 0, LIVE, MOLT_SECTOR, FACTORY},
    {"raw-rotate", &small32, 0x3010, 0x3420, false, 32, false, false, 120, LIVE, MOLT_SECTOR, FACTORY},
    {"raw-back", &small32, 0x4010, 0x2420, false, 16, true, false, 0, LIVE, MOLT_SECTOR, FACTORY},
    {"gzip", &small32, 0x3010, 0x3420, true, 32, false, false, 0, LIVE, MOLT_SECTOR + BLOCK, FACTORY},
    {"rollback", &small32, 0x3010, 0x2420, false, 32, false, true, 0, LIVE, MOLT_SECTOR, FACTORY},
    {"rollback-back", &small32, 0x3010, 0x2420, false, 32, true, true, 0, LIVE, MOLT_SECTOR, FACTORY},
    {"eboot-raw", &small8266, 0x3010, 0x3420, false, 16, false, false, 0, LIVE, MOLT_SECTOR, FACTORY},
    {"eboot-gzip", &small8266, 0x3010, 0x4420, true, 16, false, false, 0, LIVE, MOLT_SECTOR, FACTORY},
    {"first", &small32, 0x3010, 0x3420, false, 32, false, false, 0, LIVE, MOLT_SECTOR, NO_RECORD},
    {"again", &small32, 0x3010, 0x2420, false, 32, false, false, 0, LIVE, MOLT_SECTOR, FAILURE},
    {"molt-boot", &small8266, 0x3010, 0x3420, false, 4, false, false, 0, LIVE, MOLT_SECTOR, MOLT_BOOT},
    {"molt-boot-gzip", &small8266, 0x3010, 0x2420, true, 4, false, false, 0, LIVE, MOLT_SECTOR + BLOCK,
     MOLT_BOOT},
    {"boot", &small8266, 0x2000, 0x2420, false, 4, false, false, 0, LIVE, MOLT_SECTOR, MOLT_BOOT_TOO},
    {"boot-smaller", &small8266, 0x2420, 0x2000, false, 4, false, false, 0, LIVE, MOLT_SECTOR, MOLT_BOOT_TOO},
    {"boot-bad", &small8266, 0x2000, 0x2000, false, 4, false, true, 0, LIVE, MOLT_SECTOR, MOLT_BOOT_TOO},
    {"512K", NULL, 0x28010, 0x28420, false, 4, false, false, 0, ANY, MOLT_SECTOR, FACTORY},
    {"4M2M", NULL, 0x30010, 0x38420, true, 4, false, false, 0, ANY, MOLT_SECTOR, FACTORY},
    {"esp32-4M", NULL, 0x30010, 0x38420, false, 32, false, false, 0, ANY, MOLT_SECTOR, FACTORY},
};

static struct {
    const struct scenario *scenario;
    struct rig rig;
    struct states states;
    struct rig_blob older, old, new, gz;
    struct rig_file file;
    uint8_t file_digest[MOLT_SHA256_LEN], image_digest[MOLT_SHA256_LEN];
} t;

static void fail_here(const char *what)
{
    fprintf(stderr, "%s: %s\nreplay: powercut-engine %s", t.scenario->name, what, t.scenario->name);
    states_print_way(&t.states, t.states.current);
    fprintf(stderr, "\n");
    exit(1);
}

static void expect(bool condition, const char *what)
{
    if (!condition) fail_here(what);
}

static bool runs(const struct rig_blob *image)
{
    return rig_runs(&t.rig, image->data, image->len);
}

/* A reset. The stock eboot's copy is not watched: that it is not safe is shown by property-power-cut. */
static void restart(void)
{
    t.states.watching = t.rig.layout.is_esp32 || t.scenario->before == MOLT_BOOT_TOO;
    rig_reset(&t.rig);
    t.states.watching = true;
}

/* The power went too often in the trial: the old image runs again, and all begins anew as at first. That is an end, or the
 * states would be those of two updates, one times the other. */
static bool was_given_up(void)
{
    const struct molt_boot_keep *keep = &t.rig.molt_boot.keep;
    return t.scenario->before == MOLT_BOOT_TOO && keep->found &&
           molt_boot_phase(keep->state) == MOLT_PHASE_ROLLED_BACK &&
           molt_boot_verdict(keep->state) == MOLT_BOOT_BY_POWER;
}

/* From power-up to the end: new runs for good, or has been refused for good. */
static void run_to_the_end(void)
{
    const struct molt_slots_ops *ops;
    sim_rtc_power_on(&t.rig.rtc);
    t.rig.powered = true;
    restart();
    for (int boots = 0; boots < 8; boots++) {
        struct molt_boot_state boot;
        expect(t.rig.booted && (runs(&t.old) || runs(&t.new)), "neither image runs");
        ops = t.rig.slots->ops;
        expect(ops->state(t.rig.slots, &boot) == 0, "the slots cannot be read");
        if (runs(&t.new) && !boot.on_trial) {
            expect(!t.scenario->bad, "a bad image stays");
            return;
        }
        if (runs(&t.new)) {
            int rc = rig_run(&t.rig, t.scenario->bad ? ops->reject_step : ops->confirm_step);
            expect(rc == MOLT_DONE, "confirming or rejecting failed");
            if (t.scenario->bad) restart();
            continue;
        }
        if (t.scenario->bad && boot.has_failed) return;
        if (was_given_up()) return;
        int rc = rig_update(&t.rig, &t.file, 0);
        if (rc != MOLT_READY) fprintf(stderr, "reason %d\n", rc);
        expect(rc == MOLT_READY, "the update failed");
        restart();
    }
    fail_here("it never comes to an end");
}

/* ... and the new image still lies there after one more power-up: it was not built on what was about to rot. (The last
 * record of otadata may: then the old image runs and the update is repeated.) */
static void live(void)
{
    run_to_the_end();
    const uint32_t off = t.rig.off;
    const bool is_new = !t.scenario->bad && !was_given_up();
    t.states.watching = false;
    rig_power_cycle(&t.rig);
    expect(t.rig.booted && (runs(&t.old) || runs(&t.new)), "neither image runs after one more power-up");
    bool is_there = memcmp(t.rig.flash.bytes + off + 4, t.new.data + 4, t.new.len - 4) == 0;
    expect(!is_new || is_there, "the new image rots away");
}

/* ---- the first state ---- */

static void body_digest(const struct rig_blob *image, bool is_esp32, uint8_t digest[MOLT_SHA256_LEN])
{
    struct rig_blob part = *image;
    if (is_esp32) {
        memcpy(digest, image->data + image->len - MOLT_SHA256_LEN, MOLT_SHA256_LEN);
        return;
    }
    part.data += MOLT_ESP8266_APP_OFFSET;
    part.len -= MOLT_ESP8266_APP_OFFSET;
    rig_sha256(&part, digest);
}

static void fill_log(uint32_t off, uint32_t used)
{
    uint8_t dirt[2 * MOLT_SECTOR];
    memset(dirt, 0x33, sizeof dirt);
    if (used == 0) return;
    sim_flash_program(&t.rig.flash, off + MOLT_SECTOR, dirt, MOLT_SECTOR);
    sim_flash_program(&t.rig.flash, off, dirt, used * MOLT_LOG_RECORD_LEN);
}

/* An image that is bad, rejected and remembered by its record. */
static void fail_once(void)
{
    struct rig_blob bad = rig_image(MOLT_CHIP_ESP32, 0x3220, 9, 4u << 20);
    const struct rig_file file = rig_raw(&bad);
    assert_int_equal(rig_update(&t.rig, &file, 0), MOLT_READY);
    rig_reset(&t.rig);
    assert_int_equal(rig_run(&t.rig, t.rig.slots->ops->reject_step), MOLT_DONE);
    rig_reset(&t.rig);
    free(bad.data);
}

static bool has_molt_boot(const struct scenario *s)
{
    return s->before == MOLT_BOOT || s->before == MOLT_BOOT_TOO;
}

static void put_molt_boot(struct rig_blob *image)
{
    assert_int_equal(molt_boot_image_set(image->data, image->len, t.rig.layout.fs_start), 0);
}

static void begin_before(const struct scenario *s, const struct rig_blob *first)
{
    const uint8_t none[1] = {0xFF};
    if (has_molt_boot(s)) sim_flash_program(&t.rig.flash, t.rig.layout.fs_start - 0x2000, none, 1);
    if (has_molt_boot(s)) sim_flash_program(&t.rig.flash, t.rig.layout.fs_start - 0x1000, none, 1);
    if (t.rig.layout.is_esp32) sim_flash_program(&t.rig.flash, 0xF000, none, 1);
    rig_factory(&t.rig, first->data, first->len);
    if (s->before == NO_RECORD) sim_flash_program(&t.rig.flash, 0xE000, none, 1);
    if (s->before == NO_RECORD) rig_reset(&t.rig);
    if (s->before == NO_RECORD) sim_flash_program(&t.rig.flash, 0xE000, none, 1);
    if (s->before == FAILURE) fail_once();
}

static void prepare(const struct scenario *s)
{
    const struct sim_layout *layout = s->layout != NULL ? s->layout : sim_layout_find(s->name);
    const enum molt_chip chip = layout->is_esp32 ? MOLT_CHIP_ESP32 : MOLT_CHIP_ESP8266;
    const uint32_t flash = layout->is_esp32 ? 4u << 20 : 512u << 10;
    static uint8_t dirt[0x400000];
    t.scenario = s;
    t.older = rig_image(chip, 0x2000, 3, flash);
    t.old = rig_image(chip, s->old_len, 1, flash);
    t.new = rig_image(chip, s->new_len, 2, flash);
    t.rig.layout = *layout;
    if (has_molt_boot(s)) put_molt_boot(&t.old);
    if (has_molt_boot(s)) put_molt_boot(&t.new);
    t.gz = rig_gzip_blocks(&t.new, 12, BLOCK);
    t.file = s->packed ? rig_gz(&t.gz, &t.new) : rig_raw(&t.new);
    t.file.window_len = 4096;
    rig_sha256(s->packed ? &t.gz : &t.new, t.file_digest);
    body_digest(&t.new, layout->is_esp32, t.image_digest);
    t.file.digest = t.file_digest;
    t.file.image_digest = t.image_digest;

    rig_open(&t.rig, layout, chip, s->write_unit);
    if (s->layout != NULL) {
        t.rig.flash.port.erase_sizes[1] = 2 * MOLT_SECTOR;
        t.rig.flash.port.erase_sizes[2] = 0;
    }
    memset(dirt, 0x5A, sizeof dirt);
    sim_flash_program(&t.rig.flash, 0, dirt, t.rig.flash.port.size);
    const struct rig_blob *first = s->second ? &t.older : &t.old;
    begin_before(s, first);
    if (s->second) {
        const struct rig_file old = rig_raw(&t.old);
        assert_int_equal(rig_update(&t.rig, &old, 0), MOLT_READY);
        rig_reset(&t.rig);
        assert_int_equal(rig_run(&t.rig, t.rig.slots->ops->confirm_step), MOLT_DONE);
    }
    assert_true(runs(&t.old));
    const struct molt_job job = rig_job(&t.rig, &t.file);
    assert_int_equal(molt_begin(&t.rig.update, &job), 0);
    assert_true(t.rig.update.can_resume);
    fill_log(t.rig.update.target.scratch_off, s->log_used);
    states_open(&t.states, &t.rig.flash, t.rig.update.target.scratch_off, t.rig.update.log.tag,
                &t.rig.fetched);
    t.states.max = s->before == MOLT_BOOT_TOO ? 200000 : 20000;
    if (s->before == MOLT_BOOT) { /* its records and the exchange: powercut-boot-*, powercut-boot-sketch */
        t.states.apart_off = layout->fs_start - MOLT_BOOT_KEEP_LEN;
        t.states.apart_len = MOLT_BOOT_KEEP_LEN;
    }
    if (s->before == MOLT_BOOT_TOO) {
        t.states.keep_sector = (layout->fs_start - MOLT_BOOT_KEEP_LEN) / MOLT_SECTOR;
        t.states.keep_view = boot_view;
    }
    states_add_current(&t.states);
}

/* ---- exploring and replaying ---- */

static int explore(const struct scenario *s)
{
    prepare(s);
    while (states_next(&t.states)) {
        const bool is_first = t.states.current == 0;
        t.states.only_run = s->layout == NULL && !is_first;
        live();
        states_done(&t.states);
    }
    uint32_t edge = 0;
    int64_t again = states_worst_refetch(&t.states, &edge);
    uint16_t needed = s->layout != NULL ? states_live_operations(&t.states) : ANY;
    printf("%s: %u states, %llu cuts; one cut makes %lld bytes come again\n", s->name, t.states.count,
           (unsigned long long)t.states.cuts, (long long)again);
    if (s->layout != NULL) printf("%u operations between two cuts always get on\n", needed);
    if (again > s->refetch) {
        t.states.current = t.states.edges[edge].to;
        fprintf(stderr, "after %u operations of state %u\n", t.states.edges[edge].whole,
                t.states.edges[edge].from);
        fail_here("one cut makes too much come again");
    }
    expect(needed == s->live, "the number of operations that always get on is another one");
    return 0;
}

/* ---- one case ---- */

static struct {
    jmp_buf out;
    unsigned at, seen;
    enum sim_flash_tear tear;
} cut;

static int count_or_cut(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    bool is_apart = off >= t.states.apart_off && off - t.states.apart_off < t.states.apart_len;
    if (op == SIM_FLASH_READ || !t.states.watching || is_apart || ++cut.seen != cut.at) return 0;
    sim_flash_cut(&t.rig.flash, cut.tear, op, off, len, 1);
    longjmp(cut.out, 1);
}

/* The cuts of one line, "12u 7b", then a run without one. */
static int replay(const struct scenario *s, char **cuts, int count)
{
    static const char letters[] = "bhnau";
    prepare(s);
    t.rig.flash.hook = count_or_cut;
    for (volatile int i = 0; i <= count; i++) {
        char *end = NULL;
        cut.at = i < count ? (unsigned)strtoul(cuts[i], &end, 10) : 0;
        const char *letter = i < count ? strchr(letters, *end) : letters;
        if (letter == NULL || *letter == '\0') return 2;
        cut.tear = (enum sim_flash_tear)(letter - letters);
        cut.seen = 0;
        sim_flash_power_up(&t.rig.flash);
        if (setjmp(cut.out) == 0) live();
        printf("%s: %u operations\n", i < count ? cuts[i] : "to the end", cut.seen);
    }
    return 0;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof scenarios / sizeof scenarios[0]; i++) {
        if (strcmp(argv[1], scenarios[i].name) != 0) continue;
        return argc == 2 ? explore(&scenarios[i]) : replay(&scenarios[i], argv + 2, argc - 2);
    }
    fprintf(stderr, "usage: powercut-engine SCENARIO [CUT...]\n");
    return 2;
}
