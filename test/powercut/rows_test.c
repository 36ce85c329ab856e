/* rows_test.c - each row of the table in doc/engine.md: the device is cut right behind that row's event, and what boots,
 * what is remembered and what is fetched again is as the row says. Every row of the page must have its test here. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent_rig.h"

#define KEEP    0xC000u
#define RECORD  0xF000u
#define SLOT    0x150000u
#define LOG     (SLOT + 0x140000u - MOLT_LOG_LEN)
#define NOTHING 0xFFFFFFFFu /* everything is in flash: no byte is asked for */
#define NO_TRY  0xFFFFFFFEu /* nothing is fetched after this */

#define FS     0x290000u
#define FS_LEN 0x160000u

static struct rig_blob old_image, new_image, small_fs, large_fs;
static struct agent_rig rig;

enum where { IN_SLOT, IN_LOG, IN_RECORD, IN_KEEP, IN_FS };
enum fs { NO_FS, STAGED, IN_PLACE };

struct row {
    unsigned number;
    enum where where; /* the cut comes into the nth operation of this kind there */
    enum sim_flash_op op;
    unsigned nth;
    enum sim_flash_tear tear;
    bool bad;      /* the new image's health check says no */
    bool crash;    /* not a cut: the chip is reset after the operation */
    bool log_full; /* the log's first sector has room for four records, the second is full */
    bool runs_new; /* what boots */
    unsigned interrupted;
    bool failed;
    int result; /* to be reported after re-entry */
    uint32_t from;
    enum fs fs;   /* the row is about a file system */
    int fs_state; /* after re-entry, before a server is asked */
};

static const struct row rows[] = {
    {1, IN_SLOT, SIM_FLASH_ERASE, 1, SIM_TEAR_BEFORE, .from = 0},
    {2, IN_SLOT, SIM_FLASH_ERASE, 1, SIM_TEAR_AFTER, .from = 0},
    {3, IN_SLOT, SIM_FLASH_WRITE, 3, SIM_TEAR_AFTER, .from = 0},
    {4, IN_LOG, SIM_FLASH_WRITE, 2, SIM_TEAR_NOISY, .from = 4096},
    {5, IN_LOG, SIM_FLASH_WRITE, 2, SIM_TEAR_AFTER, .from = 8192},
    {6, IN_LOG, SIM_FLASH_WRITE, 8, SIM_TEAR_AFTER, .from = NOTHING},
    {7, IN_KEEP, SIM_FLASH_WRITE, 1, SIM_TEAR_AFTER, .from = NOTHING},
    {8, IN_RECORD, SIM_FLASH_ERASE, 1, SIM_TEAR_AFTER, .from = NOTHING},
    {
        9,
        IN_RECORD,
        SIM_FLASH_WRITE,
        1,
        SIM_TEAR_AFTER,
        .runs_new = true,
        .from = NO_TRY,
    },
    {10, IN_RECORD, SIM_FLASH_ERASE, 2, SIM_TEAR_AFTER, .from = NOTHING},
    {11, IN_RECORD, SIM_FLASH_WRITE, 2, SIM_TEAR_AFTER, .interrupted = 1, .from = NOTHING},
    {12, IN_KEEP, SIM_FLASH_WRITE, 2, SIM_TEAR_BEFORE, .crash = true, .failed = true,
     .result = MOLT_ROLLED_BACK, .from = NO_TRY},
    {13, IN_KEEP, SIM_FLASH_WRITE, 2, SIM_TEAR_AFTER, .interrupted = 1, .from = NOTHING},
    {14, IN_RECORD, SIM_FLASH_ERASE, 3, SIM_TEAR_AFTER, .from = NOTHING},
    {15, IN_RECORD, SIM_FLASH_WRITE, 3, SIM_TEAR_AFTER, .runs_new = true, .result = MOLT_CONFIRMED,
     .from = NO_TRY},
    {16, IN_KEEP, SIM_FLASH_WRITE, 3, SIM_TEAR_AFTER, .runs_new = true, .result = MOLT_CONFIRMED,
     .from = NO_TRY},
    {17, IN_KEEP, SIM_FLASH_WRITE, 4, SIM_TEAR_BEFORE, .runs_new = true, .result = MOLT_CONFIRMED,
     .from = NO_TRY},
    {18, IN_KEEP, SIM_FLASH_WRITE, 3, SIM_TEAR_AFTER, .bad = true, .failed = true, .result = MOLT_UNHEALTHY,
     .from = NO_TRY},
    {19, IN_RECORD, SIM_FLASH_ERASE, 3, SIM_TEAR_AFTER, .bad = true, .failed = true, .result = MOLT_UNHEALTHY,
     .from = NO_TRY},
    {20, IN_RECORD, SIM_FLASH_WRITE, 3, SIM_TEAR_AFTER, .bad = true, .failed = true, .result = MOLT_UNHEALTHY,
     .from = NO_TRY},
    {21, IN_LOG, SIM_FLASH_ERASE, 1, SIM_TEAR_AFTER, .log_full = true, .from = 16384},
    {22, IN_LOG, SIM_FLASH_WRITE, 3, SIM_TEAR_AFTER,
     .from = 8192}, /* 2 of a first run that was cut, see below */
    {23, IN_LOG, SIM_FLASH_WRITE, 10, SIM_TEAR_AFTER, .from = NOTHING, .fs = STAGED},
    {24, IN_KEEP, SIM_FLASH_WRITE, 1, SIM_TEAR_AFTER, .from = NO_TRY, .fs = STAGED,
     .fs_state = MOLT_FS_WHOLE},
    {25, IN_FS, SIM_FLASH_ERASE, 3, SIM_TEAR_AFTER, .from = NO_TRY, .fs = STAGED, .fs_state = MOLT_FS_WHOLE},
    {26, IN_LOG, SIM_FLASH_WRITE, 13, SIM_TEAR_AFTER, .from = NO_TRY, .fs = STAGED,
     .fs_state = MOLT_FS_WHOLE},
    {27, IN_LOG, SIM_FLASH_WRITE, 20, SIM_TEAR_AFTER, .from = NO_TRY, .fs = STAGED,
     .fs_state = MOLT_FS_WHOLE},
    {28, IN_KEEP, SIM_FLASH_WRITE, 2, SIM_TEAR_AFTER, .from = NO_TRY, .fs = STAGED,
     .fs_state = MOLT_FS_WHOLE},
    {29, IN_KEEP, SIM_FLASH_WRITE, 1, SIM_TEAR_AFTER, .from = 0, .fs = IN_PLACE, .fs_state = MOLT_FS_BROKEN},
    {30, IN_LOG, SIM_FLASH_WRITE, 2, SIM_TEAR_AFTER, .from = 8192, .fs = IN_PLACE,
     .fs_state = MOLT_FS_BROKEN},
    {31, IN_KEEP, SIM_FLASH_WRITE, 2, SIM_TEAR_AFTER, .from = NO_TRY, .fs = IN_PLACE,
     .fs_state = MOLT_FS_WHOLE},
};
#define ROWS (sizeof rows / sizeof rows[0])

static int build_all(void **state)
{
    (void)state;
    old_image = rig_image(MOLT_CHIP_ESP32, 0x6040, 1, 4u << 20);
    new_image = rig_image(MOLT_CHIP_ESP32, 0x7130, 2, 4u << 20);
    small_fs = rig_fs(0x9100, 3);
    large_fs = rig_fs(0x150000, 4); /* larger than a slot */
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    free(old_image.data);
    free(new_image.data);
    free(small_fs.data);
    free(large_fs.data);
    return 0;
}

/* ---- the cut ---- */

static struct {
    const struct row *row; /* NULL: no cut */
    unsigned seen;
    jmp_buf out;
} cut;

static bool is_there(enum where where, uint32_t off)
{
    switch (where) {
    case IN_SLOT:
        return off >= SLOT && off < LOG;
    case IN_LOG:
        return off >= LOG && off < LOG + MOLT_LOG_LEN;
    case IN_RECORD:
        return off >= RECORD && off < RECORD + MOLT_SECTOR;
    case IN_FS:
        return off >= FS && off < FS + FS_LEN;
    default:
        return off >= KEEP && off < KEEP + MOLT_KEEP_LEN;
    }
}

static int hook(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    const struct row *row = cut.row;
    if (row == NULL || op != row->op || !is_there(row->where, off) || ++cut.seen != row->nth) return 0;
    sim_flash_cut(&rig.chip.flash, row->tear, op, off, len, 1);
    cut.row = NULL;
    longjmp(cut.out, 1);
}

/* ---- the device's life ---- */

static bool runs_new(void)
{
    return rig_runs(&rig.chip, new_image.data, new_image.len);
}

static void start(enum molt_reset reset)
{
    rig.config.reset = reset;
    agent_rig_start(&rig, MOLT_SOURCE_CHECK_IN, "http://h", runs_new() ? 2 : 1);
}

/* Steps until the agent is about to ask, without asking. */
static void settle(void)
{
    struct molt_want want;
    bool is_busy;
    do {
        molt_agent_step(&rig.agent, rig.now_ms, &want);
        is_busy = rig.agent.phase == MOLT_AGENT_STARTING || rig.agent.unsaved || rig.agent.on_trial;
    } while (is_busy && (want.kind == MOLT_WANT_STEP || want.kind == MOLT_WANT_CLOSE));
}

static struct molt_answer offer(void)
{
    struct molt_answer a = {.verdict = MOLT_VERDICT_OFFER,
                            .reason = MOLT_OFFERED,
                            .version_code = 2,
                            .url = "/f",
                            .file_len = (uint32_t)new_image.len,
                            .image_len = (uint32_t)new_image.len};
    rig_sha256(&new_image, a.file_digest);
    memcpy(a.image_digest, new_image.data + new_image.len - 32, 32);
    return a;
}

/* Asks, is offered, fetches what is missing, and restarts into it. Returns what it asked from. */
static uint32_t update(void)
{
    const struct molt_answer a = offer();
    bool is_over = false;
    char head[200];
    agent_rig_answer(&rig, &a);
    agent_rig_file(&rig, "GET /f ", new_image.data, new_image.len);
    while (!is_over && rig.connects < 3 && rig.now_ms < 600000) {
        is_over = agent_rig_run(&rig, rig.now_ms + 1);
        uint32_t from = rig.agent.received;
        bool goes_on =
            !is_over && rig.added == 2 && rig.agent.is_installing && rig.agent.u.update.resumed_at > 0;
        if (!goes_on || from == new_image.len) continue;
        snprintf(head, sizeof head,
                 "HTTP/1.1 206 Partial\r\nContent-Range: bytes %u-%zu/%zu\r\nContent-Length: %zu\r\n\r\n",
                 from, new_image.len - 1, new_image.len, new_image.len - from);
        agent_rig_expect(&rig, "GET /f ", head, new_image.data + from, new_image.len - from);
    }
    if (!is_over) is_over = agent_rig_run(&rig, rig.now_ms + 60000);
    assert_true(is_over);
    uint32_t from = rig.agent.u.update.resumed_at;
    return from == new_image.len ? NOTHING : from;
}

/* From the old image to the new one confirmed and reported, or refused. */
static void live(bool bad)
{
    start(MOLT_RESET_OTHER);
    settle();
    update();
    rig_reset(&rig.chip);
    rig.health = bad ? MOLT_HEALTH_BAD : MOLT_HEALTH_GOOD;
    start(MOLT_RESET_OTHER);
    settle();
    if (bad) {
        (void)agent_rig_run(&rig, rig.now_ms + 1000);
        rig_reset(&rig.chip);
        return;
    }
    static const struct molt_answer nothing = {.reason = MOLT_UP_TO_DATE};
    agent_rig_answer(&rig, &nothing);
    agent_rig_until_reports(&rig, 1);
    settle();
}

/* ---- a file system ---- */

static uint32_t update_fs(const struct rig_blob *image)
{
    struct molt_answer a = {.verdict = MOLT_VERDICT_OFFER,
                            .reason = MOLT_OFFERED,
                            .version_code = 2,
                            .url = "/f",
                            .component = 1,
                            .file_len = (uint32_t)image->len,
                            .image_len = (uint32_t)image->len};
    rig_sha256(image, a.file_digest);
    rig_sha256(image, a.image_digest);
    agent_rig_answer(&rig, &a);
    agent_rig_ranges(&rig, "GET /f ", image->data, image->len);
    agent_rig_ranges(&rig, "GET /f ", image->data, image->len);
    assert_true(agent_rig_run(&rig, rig.now_ms + 3000000));
    uint32_t from = rig.agent.u.update.resumed_at;
    return from == image->len ? NOTHING : from;
}

static void test_fs_row(const struct row *row)
{
    const struct rig_blob *image = row->fs == STAGED ? &small_fs : &large_fs;
    rig.has_fs = true;
    rig.config.fs_in_place = row->fs == IN_PLACE;
    cut.seen = 0;
    cut.row = row;
    if (setjmp(cut.out) == 0) {
        start(MOLT_RESET_OTHER);
        settle();
        update_fs(image);
        settle();
        fail_msg("row %u: its event did not come", row->number);
    }
    rig_power_cycle(&rig.chip);
    assert_true(rig_runs(&rig.chip, old_image.data, old_image.len));
    start(MOLT_RESET_POWER);
    settle();
    assert_int_equal(rig.keep.data.fs_state, row->fs_state);
    bool is_there = memcmp(rig.chip.flash.bytes + FS, image->data, image->len) == 0;
    assert_int_equal(is_there, row->fs_state == MOLT_FS_WHOLE);
    if (row->from == NO_TRY) return;
    assert_int_equal(update_fs(image), row->from);
    assert_memory_equal(rig.chip.flash.bytes + FS, image->data, image->len);
}

static void open_device(const struct row *row)
{
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old_image.data, old_image.len);
    rig.has_health = true;
    rig.health = MOLT_HEALTH_UNKNOWN;
    rig.keep_off = KEEP;
    if (row->log_full) {
        uint8_t dirt[MOLT_SECTOR];
        memset(dirt, 0x33, sizeof dirt);
        sim_flash_program(&rig.chip.flash, LOG + MOLT_SECTOR, dirt, sizeof dirt);
        sim_flash_program(&rig.chip.flash, LOG, dirt, sizeof dirt - 4 * MOLT_LOG_RECORD_LEN);
    }
    rig.chip.flash.hook = hook;
}

static void test_row(const struct row *row)
{
    static const struct row first_cut = {5, IN_LOG, SIM_FLASH_WRITE, 2, SIM_TEAR_AFTER, .from = 8192};
    open_device(row);
    if (row->fs != NO_FS) {
        test_fs_row(row);
        return;
    }
    cut.seen = 0;
    cut.row = row->number == 22 ? &first_cut : row;
    if (setjmp(cut.out) == 0) {
        live(row->bad);
        fail_msg("row %u: its event did not come", row->number);
    }
    if (row->number == 22) { /* once more: the record that is written again is the third */
        rig_power_cycle(&rig.chip);
        cut.row = row;
        if (setjmp(cut.out) == 0) {
            live(false);
            fail_msg("row 22: its event did not come");
        }
    }
    if (row->crash) {
        rig_reset(&rig.chip);
    } else {
        rig_power_cycle(&rig.chip);
    }
    assert_true(rig.chip.booted);
    assert_int_equal(runs_new(), row->runs_new);
    assert_true(runs_new() || rig_runs(&rig.chip, old_image.data, old_image.len));
    start(row->crash ? MOLT_RESET_OTHER : MOLT_RESET_POWER);
    settle();
    assert_int_equal(rig.keep.data.interrupted, row->interrupted);
    assert_int_equal(molt_keep_has_failed(&rig.keep, 2, NULL), row->failed);
    assert_int_equal(rig.agent.result, row->result);
    if (row->from == NO_TRY) return;
    assert_int_equal(update(), row->from);
    rig_reset(&rig.chip);
    assert_true(runs_new());
}

static void row(void **state)
{
    test_row(*state);
    agent_rig_close(&rig);
}

static void every_row_of_the_page_has_a_test_and_every_test_a_row(void **state)
{
    (void)state;
    char line[512];
    unsigned count = 0, number;
    FILE *page = fopen(ENGINE_PAGE, "r");
    assert_non_null(page);
    while (fgets(line, sizeof line, page) != NULL) {
        int end = 0; /* set when all of it was there: other tables have other first columns */
        if (sscanf(line, "| %u |%n", &number, &end) != 1 || end == 0) continue;
        assert_in_range(number, 1, ROWS);
        assert_int_equal(rows[number - 1].number, number);
        assert_int_equal(number, ++count);
    }
    fclose(page);
    assert_int_equal(count, ROWS);
}

int main(void)
{
    struct CMUnitTest tests[ROWS + 1];
    static char names[ROWS][40];
    for (size_t i = 0; i < ROWS; i++) {
        snprintf(names[i], sizeof names[i], "row_%u_of_doc_engine", rows[i].number);
        tests[i] = (struct CMUnitTest){names[i], row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    }
    tests[ROWS] = (struct CMUnitTest)cmocka_unit_test(every_row_of_the_page_has_a_test_and_every_test_a_row);
    return cmocka_run_group_tests(tests, build_all, free_all);
}
