/* boot_test.c - molt-boot's install, trial and way back under power cuts at every flash operation, any number of
 * them: every flash state that cuts can lead to on small geometries is visited (closure.h). Wherever the power goes,
 * the next boot runs a whole image, the old or the new one, and gets on.
 *
 *     powercut-boot larger            explores one geometry
 *     powercut-boot larger 0c12u 1    replays one case: the line that a failure prints
 *
 * Built with 256-byte sectors and a log of 8 states, so that the log fills up and moves. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "closure.h"
#include "firmware/boot/esp8266/boot.h"
#include "util/crc.h"

#define SECTOR MOLT_BOOT_SECTOR

/* Who runs. */
enum {
    POWER, /* boot after a power cut */
    RESET, /* boot after a crash or restart */
    SLEEP, /* boot after deep sleep */
    COMMIT,
    CONFIRM,
    REJECT,
};

struct geometry {
    const char *name;
    uint32_t fs_start;         /* sectors */
    uint32_t old_len, new_len; /* bytes */
    bool earlier;              /* the keep sectors hold the record of an earlier install */
    bool second;               /* libmolt brings a second stage, in a sector below the keep sectors */
};

static const struct geometry geometries[] = {
    {"equal", 8, 3 * SECTOR - 20, 3 * SECTOR - 100, false, false},
    {"larger", 11, 2 * SECTOR, 4 * SECTOR - 4, false, true},
    {"smaller", 11, 5 * SECTOR - 16, 3 * SECTOR - 40, true, true},
    {"over-half", 9, 2 * SECTOR - 16, 5 * SECTOR - 16, false, false},
    {"long", 12, 4 * SECTOR - 8, 6 * SECTOR, true, false},
};

static struct {
    const struct geometry *geometry;
    uint8_t old_image[16 * SECTOR], new_image[16 * SECTOR];
    uint8_t second[SECTOR], in_ram[SECTOR]; /* the second stage, and what was loaded */
    struct molt_boot_record record;
    struct molt_boot boot;
    uint32_t potential; /* of the run's start; what is left to do */
    uint32_t progress_at, worst_progress, worst_boot;
    uint32_t boots, trials, confirmed, rolled_back;
} test;

static uint32_t keep_off(void)
{
    return (test.geometry->fs_start - 2) * SECTOR;
}

static uint32_t second_off(void)
{
    return keep_off() - SECTOR;
}

static void second_put(uint32_t at, const void *data, uint32_t len)
{
    memcpy(test.in_ram + at, data, len);
}

/* It agrees to what the CRC agreed to: digests are not what is tested here, but that it is the right code that runs. */
static int second_start(const struct molt_second_call *call)
{
    (void)call;
    return memcmp(test.in_ram, test.second, sizeof test.second) == 0 ? 0 : -MOLT_INTERNAL;
}

/* ---- what there is at the beginning ---- */

static void fill(uint8_t *image, uint32_t len, uint8_t seed)
{
    for (uint32_t i = 0; i < len; i++)
        image[i] = (uint8_t)(seed + i / SECTOR * 16 + i % 13);
    image[0] = 0xE9;
}

static uint32_t body_crc(const uint8_t *image, uint32_t len)
{
    return molt_crc32_msb(MOLT_CRC_MSB_INIT, image + SECTOR, len - SECTOR);
}

static void put(struct closure_state *s, uint32_t off, const void *data, uint32_t len)
{
    memcpy(s->bytes + off, data, len);
    memset(s->programmed + off / CLOSURE_UNIT, 1, (len + CLOSURE_UNIT - 1) / CLOSURE_UNIT);
}

static void first_state(struct closure *c, struct closure_state *s)
{
    const struct geometry *g = test.geometry;
    memset(s, 0, sizeof *s);
    memset(s->bytes, 0xFF, sizeof s->bytes);
    memset(s->bytes + SECTOR, 0x5A, keep_off() - SECTOR); /* what earlier updates left there */
    memset(s->programmed, 1, keep_off() / CLOSURE_UNIT);
    fill(test.old_image, g->old_len, 1);
    fill(test.new_image, g->new_len, 7);
    fill(test.second, sizeof test.second, 99);
    const uint32_t top = g->second ? second_off() : keep_off();
    const uint32_t stage = top - (g->new_len + SECTOR - 1) / SECTOR * SECTOR;
    test.record = (struct molt_boot_record){.stage = stage,
                                            .new_len = g->new_len,
                                            .new_crc = body_crc(test.new_image, g->new_len),
                                            .old_len = g->old_len,
                                            .old_crc = body_crc(test.old_image, g->old_len),
                                            .tries = 2,
                                            .digest = {42}};
    if (g->second) {
        test.record.second_off = second_off();
        test.record.second_len = SECTOR;
        test.record.second_crc = molt_crc32_msb(MOLT_CRC_MSB_INIT, test.second, SECTOR);
    }
    put(s, 0, test.old_image, g->old_len);
    put(s, stage, test.new_image, g->new_len);
    struct molt_boot_trailer trailer = {MOLT_BOOT_TRAILER_MAGIC, 1, keep_off(), 0};
    trailer.crc = molt_crc32_msb(MOLT_CRC_MSB_INIT, &trailer, 12);
    put(s, MOLT_BOOT_TRAILER_OFF, &trailer, sizeof trailer);
    s->actor = COMMIT;
    if (g->earlier) { /* confirmed long ago; its record may have any sound numbers */
        struct molt_boot_record r = test.record;
        struct molt_boot_keep keep;
        c->now = s;
        molt_boot_keep_open(&keep, &c->flash, keep_off());
        r.digest[0] = 1;
        molt_boot_keep_erase_other(&keep);
        molt_boot_keep_write_record(&keep, &r);
        molt_boot_keep_seal(&keep, MOLT_BOOT_STATE(MOLT_PHASE_INSTALL, 0, 0, 0, 0));
        molt_boot_keep_finish(&keep, MOLT_BOOT_STATE(MOLT_PHASE_CONFIRMED, 0, 0, 0, 0));
        s->actor = COMMIT;
    }
}

/* ---- what must hold ---- */

static bool runs(const struct closure *c, const uint8_t *image, uint32_t len)
{
    return memcmp(c->now->bytes + SECTOR, image + SECTOR, len - SECTOR) == 0;
}

/* The new record counts. */
static bool is_ours(const struct molt_boot_keep *keep)
{
    return keep->found && keep->record.digest[0] == 42;
}

/* How much is left to do; falls with everything durable. */
static uint32_t left_to_do(struct closure *c)
{
    struct molt_boot_keep keep;
    molt_boot_keep_open(&keep, &c->flash, keep_off());
    if (!is_ours(&keep)) return 10000;
    const uint32_t moves = molt_boot_moves(keep.state);
    switch (molt_boot_phase(keep.state)) {
    case MOLT_PHASE_INSTALL:
        return 9000;
    case MOLT_PHASE_SWAP:
        return 8000 - moves;
    case MOLT_PHASE_TRIAL:
        return 5000 - molt_boot_tries(keep.state) - molt_boot_interruptions(keep.state);
    case MOLT_PHASE_REVERT:
        return 1000 + moves;
    default:
        return keep.settled ? 0 : 1;
    }
}

static void look_for_progress(struct closure *c)
{
    if (test.progress_at == 0 && left_to_do(c) < test.potential) test.progress_at = c->operations;
}

static void expect_sound_boot(struct closure *c, const struct molt_boot_keep *keep)
{
    const struct geometry *g = test.geometry;
    const bool is_old = runs(c, test.old_image, g->old_len), is_new = runs(c, test.new_image, g->new_len);
    const uint32_t phase = is_ours(keep) ? molt_boot_phase(keep->state) : 0;
    if (memcmp(c->now->bytes, test.old_image, MOLT_BOOT_TRAILER_OFF) != 0)
        closure_fail(c, "sector 0 was changed");
    switch (phase) {
    case 0:
        if (!is_old) closure_fail(c, "without a record the old image does not run");
        break;
    case MOLT_PHASE_TRIAL:
    case MOLT_PHASE_CONFIRMED:
        if (!is_new) closure_fail(c, "phase %u, but the new image does not run", phase);
        break;
    case MOLT_PHASE_ROLLED_BACK:
        if (!is_old) closure_fail(c, "rolled back, but the old image does not run");
        if (molt_boot_verdict(keep->state) == MOLT_BOOT_BY_DAMAGE)
            closure_fail(c, "a power cut was taken for damage");
        break;
    default:
        closure_fail(c, "a boot ended in phase %u", phase);
    }
    if (phase == MOLT_PHASE_CONFIRMED) test.confirmed++;
    if (phase == MOLT_PHASE_ROLLED_BACK) test.rolled_back++;
}

/* ---- the actors ---- */

static void run_boot(struct closure *c, uint8_t actor, uint8_t next[CLOSURE_NEXT_MAX], size_t *count)
{
    static const enum molt_boot_cause causes[] = {MOLT_BOOT_POWER_ON, MOLT_BOOT_RESET, MOLT_BOOT_DEEP_SLEEP};
    uint32_t rtc[MOLT_BOOT_RTC_WORDS] = {0}, app = 1;
    struct molt_boot *boot = &test.boot;
    test.potential = left_to_do(c);
    test.progress_at = 0;
    boot->flash = &c->flash;
    boot->second_put = second_put;
    boot->second_start = second_start;
    int rc = molt_boot_run(boot, causes[actor], rtc, &app);
    if (rc != 0 || app != 0) closure_fail(c, "the boot stage gave up with %d", rc);
    const uint32_t needed = test.progress_at != 0 ? test.progress_at : c->operations;
    if (needed > test.worst_progress) test.worst_progress = needed;
    if (c->operations > test.worst_boot) test.worst_boot = c->operations;
    test.boots++;
    struct molt_boot_keep keep;
    molt_boot_keep_open(&keep, &c->flash, keep_off());
    expect_sound_boot(c, &keep);
    if (!is_ours(&keep)) {
        next[(*count)++] = COMMIT;
    } else if (molt_boot_phase(keep.state) == MOLT_PHASE_TRIAL) {
        test.trials++;
        const uint8_t all[] = {CONFIRM, REJECT, RESET, POWER, SLEEP};
        memcpy(next, all, sizeof all);
        *count = sizeof all;
    } else {
        if (test.potential == 0 && c->operations > 0) closure_fail(c, "a final state was written again");
        next[(*count)++] = RESET;
        next[(*count)++] = POWER;
    }
}

/* As put_second() of libmolt's slots does it. */
static int commit_second(struct closure *c)
{
    const struct molt_flash *flash = &c->flash;
    if (!test.geometry->second) return 0;
    int rc = flash->erase(flash->ctx, second_off(), SECTOR);
    return rc == 0 ? flash->write(flash->ctx, second_off(), test.second, SECTOR) : rc;
}

static void run_application(struct closure *c, uint8_t actor)
{
    struct molt_boot_keep keep;
    molt_boot_keep_open(&keep, &c->flash, keep_off());
    int rc = 0;
    switch (actor) {
    case COMMIT:
        rc = molt_boot_keep_erase_other(&keep);
        if (rc == 0) rc = commit_second(c);
        if (rc == 0) rc = molt_boot_keep_write_record(&keep, &test.record);
        if (rc == 0) rc = molt_boot_keep_seal(&keep, MOLT_BOOT_STATE(MOLT_PHASE_INSTALL, 0, 0, 0, 0));
        break;
    case CONFIRM:
        rc = molt_boot_keep_finish(&keep, (keep.state & 0xFFF00000u) | (uint32_t)MOLT_PHASE_CONFIRMED << 16);
        break;
    case REJECT:
        rc = molt_boot_keep_append(&keep, (keep.state & 0xFF00FFFFu) | (uint32_t)MOLT_PHASE_REVERT << 16 |
                                              (uint32_t)MOLT_BOOT_BY_FAILURE << 20);
        break;
    default:
        closure_fail(c, "no such actor");
    }
    if (rc != 0) closure_fail(c, "the application could not write its record: %d", rc);
}

static void run(struct closure *c, uint8_t actor, uint8_t next[CLOSURE_NEXT_MAX], size_t *count)
{
    if (actor <= SLEEP) {
        run_boot(c, actor, next, count);
    } else {
        run_application(c, actor);
        next[(*count)++] = RESET;
    }
}

/* ---- telling states apart ---- */

/* The keep sectors as the next boot sees them, without what never repeats (sequence number, CRC). Of the sector
 * that is not chosen only its kind counts: it is erased before it is ever used again. */
static size_t canonical_keep(struct closure *c, uint8_t *out)
{
    struct molt_boot_keep keep;
    const uint32_t chosen_off = keep_off();
    molt_boot_keep_open(&keep, &c->flash, chosen_off);
    const uint8_t *other = c->now->bytes + chosen_off + !keep.chosen * SECTOR;
    const uint8_t *programmed =
        c->now->programmed + (chosen_off + keep.chosen * SECTOR + MOLT_BOOT_LOG) / CLOSURE_UNIT;
    static const uint8_t blank_slots[2 * MOLT_BOOT_SLOT] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                                            0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    size_t n = 0;
    uint8_t blank = 0xFF;
    for (uint32_t i = 0; i < SECTOR; i++)
        blank &= other[i];
    out[n++] = keep.found;
    /* its kind: a sound record, with or without anything in its log; blank; junk */
    struct molt_boot_record record;
    memcpy(&record, other, sizeof record);
    out[n++] = record.magic == MOLT_BOOT_RECORD_MAGIC &&
               record.crc == molt_crc32_msb(MOLT_CRC_MSB_INIT, &record, sizeof record - 4);
    out[n++] = memcmp(other + MOLT_BOOT_LOG, blank_slots, sizeof blank_slots) == 0;
    out[n++] = blank == 0xFF;
    if (!keep.found) {
        blank = 0xFF;
        for (uint32_t i = 0; i < SECTOR; i++)
            blank &= c->now->bytes[chosen_off + keep.chosen * SECTOR + i];
        out[n++] = blank == 0xFF;
        return n;
    }
    out[n++] = keep.settled;
    out[n++] = (uint8_t)keep.next;
    out[n++] = is_ours(&keep);
    uint32_t state = keep.state; /* why and how often: counts only while the trial goes on */
    if (molt_boot_phase(state) != MOLT_PHASE_TRIAL) state &= 0x000FFFFFu;
    memcpy(out + n, &state, 4);
    n += 4;
    for (uint32_t i = keep.next - 1; i < MOLT_BOOT_SLOTS; i++) /* behind the last one that is seen */
        out[n++] = programmed[i * MOLT_BOOT_SLOT / CLOSURE_UNIT];
    return n;
}

/* Which sector of which image (or the second stage) this is; 0: neither, and then it does not matter what it is. */
static uint8_t which(const uint8_t *sector)
{
    const struct geometry *g = test.geometry;
    if (memcmp(sector, test.second, SECTOR) == 0) return 255;
    for (uint32_t i = 1; i * SECTOR < g->old_len; i++) {
        uint32_t left = g->old_len - i * SECTOR;
        if (memcmp(sector, test.old_image + i * SECTOR, left < SECTOR ? left : SECTOR) == 0)
            return (uint8_t)i;
    }
    for (uint32_t i = 1; i * SECTOR < g->new_len; i++) {
        uint32_t left = g->new_len - i * SECTOR;
        if (memcmp(sector, test.new_image + i * SECTOR, left < SECTOR ? left : SECTOR) == 0)
            return (uint8_t)(100 + i);
    }
    return 0;
}

static size_t canonical(struct closure *c, uint8_t *out)
{
    size_t n = 0;
    for (uint32_t off = SECTOR; off < keep_off(); off += SECTOR)
        out[n++] = which(c->now->bytes + off);
    return n + canonical_keep(c, out + n);
}

/* ---- how much power it needs ---- */

#define ROUNDS_MAX 2000u

/* Is the trial reached, and from there the way back gone, with a cut at every n-th operation? */
static bool gets_there(struct closure *c, const struct closure_state *first, uint32_t n,
                       enum closure_tear tear)
{
    closure_rewind(c, first);
    for (uint32_t round = 0; round < ROUNDS_MAX; round++) {
        const bool cut = closure_cut(c, round % 3, n, tear);
        struct molt_boot_keep keep;
        molt_boot_keep_open(&keep, &c->flash, keep_off());
        if (is_ours(&keep) && molt_boot_phase(keep.state) == MOLT_PHASE_ROLLED_BACK && !cut) return true;
        if (cut) continue;
        c->now->actor = !is_ours(&keep) ? COMMIT : RESET; /* nobody confirms */
        if (is_ours(&keep) && molt_boot_phase(keep.state) == MOLT_PHASE_INSTALL) c->now->actor = RESET;
    }
    return false;
}

static uint32_t smallest_interval(struct closure *c, const struct closure_state *first)
{
    uint32_t n = 100;
    while (n > 1) {
        for (int tear = 0; tear < TEAR_COUNT; tear++) {
            if (!gets_there(c, first, n - 1, (enum closure_tear)tear)) return n;
        }
        n--;
    }
    return n;
}

/* ---- main ---- */

static const struct geometry *find(const char *name)
{
    for (size_t i = 0; i < sizeof geometries / sizeof geometries[0]; i++) {
        if (strcmp(geometries[i].name, name) == 0) return &geometries[i];
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static struct closure c;
    static struct closure_state first;
    static char line[4096];
    test.geometry = argc > 1 ? find(argv[1]) : NULL;
    if (test.geometry == NULL) return 2;
    c = (struct closure){.name = test.geometry->name,
                         .size = test.geometry->fs_start * SECTOR,
                         .sector = SECTOR,
                         .run = run,
                         .canonical = canonical,
                         .power_actor = POWER,
                         .powers_up = 1u << POWER | 1u << RESET,
                         .states_max = 3000000,
                         .unstable_max = 1,
                         .after_operation = look_for_progress};
    closure_open(&c);
    first_state(&c, &first);
    if (argc > 2) {
        for (int i = 2; i < argc; i++) {
            strncat(line, argv[i], sizeof line - strlen(line) - 2);
            strcat(line, " ");
        }
        closure_replay(&c, &first, line);
        puts("it went well");
        return 0;
    }
    closure_start(&c, &first);
    closure_explore(&c);
    printf("%s: %u moves; %u states, %" PRIu64 " cuts, %u boots (%u into a trial, %u confirmed, %u back)\n",
           c.name, molt_boot_moves_total(&test.record), c.states, c.cuts, test.boots, test.trials,
           test.confirmed, test.rolled_back);
    printf("%s: %u uninterrupted flash operations always bring it on; the longest boot takes %u\n", c.name,
           test.worst_progress, test.worst_boot);
    printf("%s: with the power cut at every n-th operation it gets there from n = %u on\n", c.name,
           smallest_interval(&c, &first));
    closure_end(&c);
    const bool seen_all = test.confirmed > 0 && test.rolled_back > 0 && c.states > 1000;
    return seen_all ? 0 : 1;
}
