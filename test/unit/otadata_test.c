/* otadata_test.c - partition tables are checked, and the otadata records of trial, confirmation and
 * rejection are the ones that ESP-IDF would have written. */
#include "cmocka_all.h"

#include <stdlib.h>

#include "host/image_build.h"
#include "ports/bearssl.h"
#include "firmware/boot/esp32/esp32_boot.h"
#include "sim/flash.h"
#include "sim/layout.h"
#include "log/log.h"
#include "slots/esp32_otadata.h"
#include "util/bytes.h"

#define OTADATA  0xE000u
#define SLOT_LEN 0x20000u

static const struct sim_partition two_slots[] = {
    {"nvs", 1, 2, 0x9000, 0x5000},         {"otadata", 1, 0, OTADATA, 0x2000},
    {"app0", 0, 0x10, 0x10000, SLOT_LEN},  {"app1", 0, 0x11, 0x30000, SLOT_LEN},
    {"spiffs", 1, 0x82, 0x90000, 0x10000},
};
static const struct sim_partition three_slots[] = {
    {"otadata", 1, 0, OTADATA, 0x2000},
    {"app0", 0, 0x10, 0x10000, SLOT_LEN},
    {"app1", 0, 0x11, 0x30000, SLOT_LEN / 2},
    {"app2", 0, 0x12, 0x50000, SLOT_LEN},
};
static const struct sim_partition with_factory[] = {
    {"otadata", 1, 0, OTADATA, 0x2000},
    {"factory", 0, 0x00, 0x70000, SLOT_LEN},
    {"app0", 0, 0x10, 0x10000, SLOT_LEN},
    {"app1", 0, 0x11, 0x30000, SLOT_LEN},
};

static uint8_t *image, *plain; /* with and without an appended hash */
static size_t image_len, plain_len;
static struct sim_flash flash;
static struct molt_esp32_otadata ota;

static int build_images(void **state)
{
    (void)state;
    const struct image_build a = {.chip = MOLT_CHIP_ESP32, .size = 0x6000, .seed = 5};
    const struct image_build b = {.chip = MOLT_CHIP_ESP32, .size = 0x6000, .seed = 5, .no_hash = true};
    return image_build(&a, &image, &image_len) != 0 || image_build(&b, &plain, &plain_len) != 0;
}

static int free_images(void **state)
{
    (void)state;
    free(image);
    free(plain);
    return 0;
}

static int power_on(void **state)
{
    (void)state;
    return sim_flash_open(&flash, &(struct sim_flash_config){.size = 0x100000});
}

static int power_off(void **state)
{
    (void)state;
    sim_flash_close(&flash);
    return 0;
}

static int begin(const struct sim_partition *rows, size_t count, uint8_t running)
{
    uint8_t table[MOLT_PARTITION_TABLE_LEN];
    sim_partition_table(rows, count, table);
    sim_flash_program(&flash, MOLT_PARTITION_TABLE_OFFSET, table, sizeof table);
    return molt_esp32_otadata_begin(&ota, &flash.port, &molt_bearssl_sha256, running);
}

static void put(unsigned which, uint32_t seq, uint32_t entry_state)
{
    uint8_t raw[MOLT_OTADATA_ENTRY_LEN];
    molt_otadata_encode(raw, seq, entry_state);
    sim_flash_program(&flash, OTADATA + which * 0x1000, raw, sizeof raw);
}

static void expect_record(unsigned which, uint32_t seq, uint32_t entry_state)
{
    uint8_t want[MOLT_OTADATA_ENTRY_LEN];
    molt_otadata_encode(want, seq, entry_state);
    assert_memory_equal(flash.bytes + OTADATA + which * 0x1000, want, sizeof want);
}

/* Runs steps to their end; each may do one flash operation, reads of 4096 bytes at most counting as one. */
static int run(int (*step)(struct molt_slots *))
{
    for (int i = 0; i < 1000; i++) {
        struct sim_flash_count before = flash.count;
        int rc = step(&ota.slots);
        uint64_t writes = flash.count.writes - before.writes, erases = flash.count.erases - before.erases;
        uint64_t read = flash.count.read_bytes - before.read_bytes;
        assert_true(writes + erases + (read > 0 ? 1 : 0) <= 1);
        assert_true(read <= 4096);
        if (rc != MOLT_MORE) return rc;
    }
    fail_msg("no end in 1000 steps");
    return -1;
}

static struct molt_target target;

static int commit_target(struct molt_slots *slots)
{
    return slots->ops->commit_step(slots, &target, (uint32_t)image_len);
}

static int get_target(uint32_t len)
{
    return ota.slots.ops->target(&ota.slots, len, 0, MOLT_RAW, &target);
}

static struct molt_boot_state get_state(void)
{
    struct molt_boot_state s;
    assert_int_equal(ota.slots.ops->state(&ota.slots, &s), 0);
    return s;
}

/* ---- partition tables ---- */

static void the_arduino_table_is_understood(void **state)
{
    (void)state;
    const struct sim_layout *layout = sim_layout_find("esp32-4M");
    uint8_t table[MOLT_PARTITION_TABLE_LEN];
    struct molt_partitions p;
    sim_partition_table(layout->partitions, layout->partition_count, table);
    assert_int_equal(molt_partitions_parse(table, layout->flash_size, &p), 0);
    assert_int_equal(p.slot_count, 2);
    assert_int_equal(p.slot_off[0], 0x10000);
    assert_int_equal(p.slot_off[1], 0x150000);
    assert_int_equal(p.slot_len[1], 1310720);
    assert_int_equal(p.otadata_off, 0xE000);
    assert_int_equal(p.fs_off, 0x290000);
    assert_int_equal(p.fs_len, 0x160000);
    assert_int_equal(p.factory_len, 0);
    assert_int_equal(molt_partitions_parse(table, 0x200000, &p), -MOLT_BAD_PARTITIONS); /* a smaller flash */
}

static void expect_bad(size_t row, size_t byte, uint8_t value)
{
    uint8_t table[MOLT_PARTITION_TABLE_LEN];
    struct molt_partitions p;
    sim_partition_table(two_slots, 5, table);
    assert_int_equal(molt_partitions_parse(table, 0x100000, &p), 0);
    table[row * 32 + byte] = value;
    assert_int_equal(molt_partitions_parse(table, 0x100000, &p), -MOLT_BAD_PARTITIONS);
}

static void tables_that_break_the_format_are_refused(void **state)
{
    (void)state;
    expect_bad(0, 0, 0xAB);  /* magic */
    expect_bad(0, 1, 0xFF);  /* half a magic */
    expect_bad(2, 5, 0x10);  /* app0 at 0x11000: not 64 KB-aligned */
    expect_bad(2, 6, 0x02);  /* app0 at 0x20000: overlaps app1 */
    expect_bad(2, 6, 0x00);  /* app0 at 0: over bootloader and table */
    expect_bad(2, 3, 0x11);  /* two ota_1 */
    expect_bad(2, 3, 0x12);  /* ota_1 and ota_2, no ota_0 */
    expect_bad(3, 11, 0xFF); /* longer than the flash, off + len wraps */
    expect_bad(3, 7, 0xFF);  /* off beyond the flash */
    expect_bad(3, 8, 0x01);  /* not whole sectors */
    expect_bad(1, 9, 0x10);  /* otadata of 0x1000 */
    expect_bad(1, 4, 0x10);  /* otadata not at a sector */
    expect_bad(4, 3, 0x00);  /* a second otadata, and of another length */
    uint8_t table[MOLT_PARTITION_TABLE_LEN];
    struct molt_partitions p;
    memset(table, 0xFF, sizeof table);
    assert_int_equal(molt_partitions_parse(table, 0x100000, &p), -MOLT_BAD_PARTITIONS); /* empty */
    for (size_t i = 0; i < sizeof table; i += 32) {
        memcpy(table + i, "\xAA\x50\x01\x02\x00\x90\x00\x00\x00\x10\x00\x00", 12);
    }
    assert_int_equal(molt_partitions_parse(table, 0x100000, &p), -MOLT_BAD_PARTITIONS); /* no end */
}

static void a_table_without_two_slots_or_without_otadata_has_no_slot(void **state)
{
    (void)state;
    assert_int_equal(begin(two_slots, 3, 0), -MOLT_NO_SLOT);
    assert_int_equal(begin(two_slots + 2, 2, 0), -MOLT_NO_SLOT);
    assert_int_equal(begin(two_slots, 5, 0), 0);
    sim_flash_program(&flash, MOLT_PARTITION_TABLE_OFFSET, "junk", 4);
    assert_int_equal(molt_esp32_otadata_begin(&ota, &flash.port, &molt_bearssl_sha256, 0),
                     -MOLT_BAD_PARTITIONS);
}

/* ---- choice of the slot ---- */

static void the_target_is_the_next_slot_and_never_the_running_one(void **state)
{
    (void)state;
    assert_int_equal(begin(two_slots, 5, 0), 0);
    assert_int_equal(get_target(1000), 0);
    assert_int_equal(target.slot, 1);
    assert_int_equal(target.off, 0x30000);
    assert_int_equal(target.cap, SLOT_LEN - MOLT_LOG_LEN); /* the log lies in the slot's tail ... */
    assert_int_equal(target.scratch_off, 0x30000 + SLOT_LEN - MOLT_LOG_LEN);
    assert_false(target.patch_header || target.keep_encoded);
    assert_int_equal(get_target(SLOT_LEN - MOLT_LOG_LEN + 1), 0); /* ... unless the image needs it */
    assert_int_equal(target.cap, SLOT_LEN);
    assert_int_equal(target.scratch_off, 0);
    assert_int_equal(get_target(SLOT_LEN), 0);
    assert_int_equal(get_target(SLOT_LEN + 1), -MOLT_NO_SPACE);
    assert_int_equal(begin(two_slots, 5, 1), 0);
    assert_int_equal(get_target(1000), 0);
    assert_int_equal(target.slot, 0);
    assert_int_equal(ota.slots.ops->room(&ota.slots), SLOT_LEN);
    assert_int_equal(flash.count.writes + flash.count.erases, 0);
}

static void with_three_slots_the_next_that_is_large_enough_is_taken(void **state)
{
    (void)state;
    assert_int_equal(begin(three_slots, 4, 0), 0);
    assert_int_equal(get_target(1000), 0);
    assert_int_equal(target.slot, 1);
    assert_int_equal(get_target(SLOT_LEN), 0);
    assert_int_equal(target.slot, 2);
    assert_int_equal(begin(three_slots, 4, 2), 0);
    assert_int_equal(get_target(1000), 0);
    assert_int_equal(target.slot, 0);
    assert_int_equal(ota.slots.ops->room(&ota.slots), SLOT_LEN);
    assert_int_equal(begin(with_factory, 4, MOLT_OTA_NO_SLOT), 0);
    assert_int_equal(get_target(1000), 0);
    assert_int_equal(target.slot, 0);
}

/* ---- records ---- */

static void commits_write_the_other_record_with_the_smallest_greater_number(void **state)
{
    (void)state;
    static const struct {
        uint32_t seq[2];
        uint8_t running, want_entry;
        uint32_t want_seq;
    } rows[] = {
        {{1, 0xFFFFFFFF}, 0, 1, 2}, {{1, 2}, 1, 0, 3},          {{3, 2}, 0, 1, 4},
        {{0xFFFFFFFF, 2}, 1, 0, 3}, {{2, 0xFFFFFFFF}, 1, 1, 3}, {{0xFFFFFFFF, 0xFFFFFFFF}, 0, 0, 2},
        {{7, 6}, 0, 1, 8},          {{1, 2}, 0, 1, 2}, /* slot 1 was selected, but did not boot: in place */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(begin(two_slots, 5, rows[i].running), 0);
        put(0, rows[i].seq[0], MOLT_OTADATA_VALID);
        put(1, rows[i].seq[1], MOLT_OTADATA_VALID);
        assert_int_equal(get_target((uint32_t)image_len), 0);
        assert_int_equal(run(commit_target), MOLT_DONE);
        expect_record(rows[i].want_entry, rows[i].want_seq, MOLT_OTADATA_NEW);
        unsigned other = 1u - rows[i].want_entry;
        expect_record(other, rows[i].seq[other], MOLT_OTADATA_VALID);
    }
}

static void commits_with_three_slots_reach_the_chosen_one(void **state)
{
    (void)state;
    for (uint32_t seq = 0; seq < 12; seq++) {
        uint8_t running = (uint8_t)((seq - 1) % 3);
        assert_int_equal(begin(three_slots, 4, running), 0);
        put(0, seq, MOLT_OTADATA_VALID);
        put(1, seq <= 1 ? 0xFFFFFFFF : seq - 1, MOLT_OTADATA_VALID);
        assert_int_equal(get_target(SLOT_LEN), 0);
        assert_int_equal(run(commit_target), MOLT_DONE);
        struct molt_otadata_entry e;
        molt_otadata_decode(flash.bytes + OTADATA + 0x1000, &e);
        assert_true(e.crc_ok && e.seq > seq && e.seq <= seq + 3);
        assert_int_equal((e.seq - 1) % 3, target.slot);
    }
}

static void a_record_in_flash_has_the_published_bytes(void **state)
{
    (void)state;
    static const uint8_t want[32] = {2,    0,    0,    0,    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                     0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                     0xFF, 0xFF, 0,    0,    0,    0,    0x74, 0x37, 0xF6, 0x55};
    assert_int_equal(begin(two_slots, 5, 0), 0);
    put(0, 1, MOLT_OTADATA_UNDEFINED);
    assert_int_equal(get_target(1000), 0);
    assert_int_equal(run(commit_target), MOLT_DONE);
    assert_memory_equal(flash.bytes + OTADATA + 0x1000, want, sizeof want);
}

static void commits_to_the_running_slot_or_elsewhere_are_refused(void **state)
{
    (void)state;
    assert_int_equal(begin(two_slots, 5, 0), 0);
    put(0, 1, MOLT_OTADATA_VALID);
    const struct molt_target bad[] = {
        {.off = 0x10000, .cap = SLOT_LEN, .slot = 0},
        {.off = 0x10000, .cap = SLOT_LEN, .slot = 1},
        {.off = 0x30000, .cap = SLOT_LEN, .slot = 2},
    };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ota.slots.ops->commit_step(&ota.slots, &bad[i], 100), -MOLT_ARG);
    }
    assert_int_equal(get_target(1000), 0);
    assert_int_equal(ota.slots.ops->commit_step(&ota.slots, &target, SLOT_LEN + 1), -MOLT_ARG);
    assert_int_equal(flash.count.erases + flash.count.writes, 0);
    put(0, 0xFFFFFFFE, MOLT_OTADATA_VALID); /* slot 1 is selected, slot 0 runs; the numbers are used up */
    assert_int_equal(begin(two_slots, 5, 1), 0);
    assert_int_equal(get_target(1000), 0);
    assert_int_equal(run(commit_target), -MOLT_BAD_PARTITIONS);
    assert_int_equal(flash.count.erases + flash.count.writes, 0);
}

static void a_trial_blocks_updates_until_it_is_confirmed(void **state)
{
    (void)state;
    assert_int_equal(begin(two_slots, 5, 1), 0);
    sim_flash_program(&flash, 0x10000, image, (uint32_t)image_len);
    put(0, 1, MOLT_OTADATA_VALID);
    put(1, 2, MOLT_OTADATA_PENDING_VERIFY);
    assert_int_equal(get_target(1000), -MOLT_TRIAL_PENDING);
    assert_int_equal(ota.slots.ops->room(&ota.slots), 0);
    struct molt_boot_state s = get_state();
    assert_true(s.on_trial && s.can_roll_back && !s.trial_unprotected && !s.has_failed);
    assert_int_equal(s.running_slot, 1);
    assert_int_equal(run(ota.slots.ops->confirm_step), MOLT_DONE);
    expect_record(1, 2, MOLT_OTADATA_VALID);
    expect_record(0, 1, MOLT_OTADATA_VALID);
    assert_false(get_state().on_trial);
    assert_int_equal(get_target(1000), 0);
    uint64_t erases = flash.count.erases;
    assert_int_equal(ota.slots.ops->confirm_step(&ota.slots), MOLT_DONE); /* again: at once */
    assert_int_equal(flash.count.erases, erases);
}

static void a_new_image_under_a_bootloader_without_rollback_is_reported(void **state)
{
    (void)state;
    assert_int_equal(begin(two_slots, 5, 1), 0);
    put(0, 1, MOLT_OTADATA_VALID);
    put(1, 2, MOLT_OTADATA_NEW);
    struct molt_boot_state s = get_state();
    assert_true(s.trial_unprotected && !s.on_trial);
    assert_int_equal(run(ota.slots.ops->confirm_step), MOLT_DONE);
    expect_record(1, 2, MOLT_OTADATA_VALID);
}

static void rejecting_marks_the_running_record_invalid_when_the_other_image_is_whole(void **state)
{
    (void)state;
    assert_int_equal(begin(two_slots, 5, 1), 0);
    sim_flash_program(&flash, 0x10000, image, (uint32_t)image_len);
    sim_flash_program(&flash, 0x30000, image, (uint32_t)image_len);
    put(0, 1, MOLT_OTADATA_VALID);
    put(1, 2, MOLT_OTADATA_PENDING_VERIFY);
    assert_int_equal(run(ota.slots.ops->reject_step), MOLT_DONE);
    expect_record(1, 2, MOLT_OTADATA_INVALID);
    struct esp32_boot_result r;
    esp32_boot_run(&flash.port, &(struct esp32_boot){.chip = MOLT_CHIP_ESP32, .rollback = true}, &r);
    assert_true(r.booted);
    assert_int_equal(r.index, 0);
    assert_int_equal(begin(two_slots, 5, 0), 0);
    struct molt_boot_state s = get_state();
    assert_true(s.has_failed && !s.on_trial);
    assert_memory_equal(s.failed_digest, image + image_len - 32, 32);
}

static void rejecting_without_another_whole_image_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(begin(two_slots, 5, 1), 0);
    put(0, 1, MOLT_OTADATA_VALID);
    put(1, 2, MOLT_OTADATA_PENDING_VERIFY);
    assert_false(get_state().can_roll_back);
    assert_int_equal(run(ota.slots.ops->reject_step), -MOLT_NO_ROLLBACK); /* slot 0 is blank */
    uint8_t *bad = malloc(image_len);
    assert_non_null(bad);
    memcpy(bad, image, image_len);
    bad[0x3000] ^= 1;
    sim_flash_program(&flash, 0x10000, bad, (uint32_t)image_len);
    assert_int_equal(run(ota.slots.ops->reject_step), -MOLT_NO_ROLLBACK); /* slot 0 is damaged */
    free(bad);
    assert_int_equal(begin(two_slots, 5, 0), 0); /* the fallback runs, not what the records select */
    assert_int_equal(run(ota.slots.ops->reject_step), -MOLT_NO_ROLLBACK);
    assert_int_equal(flash.count.erases + flash.count.writes, 0);
    expect_record(1, 2, MOLT_OTADATA_PENDING_VERIFY);
}

static void the_factory_image_is_a_place_to_go_back_to(void **state)
{
    (void)state;
    assert_int_equal(begin(with_factory, 4, 0), 0);
    put(0, 1, MOLT_OTADATA_PENDING_VERIFY);
    assert_false(get_state().can_roll_back);
    sim_flash_program(&flash, 0x70000, plain, (uint32_t)plain_len);
    assert_true(get_state().can_roll_back);
    assert_int_equal(run(ota.slots.ops->reject_step), MOLT_DONE);
    expect_record(0, 1, MOLT_OTADATA_INVALID);
}

static int failing_op;
static int fail_op(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    (void)off;
    (void)len;
    return (int)op == failing_op ? -77 : 0;
}

static void failing_flash_is_reported_with_the_ports_number(void **state)
{
    (void)state;
    static const int reasons[] = {
        [SIM_FLASH_READ] = -MOLT_FLASH_READ,
        [SIM_FLASH_WRITE] = -MOLT_FLASH_WRITE,
        [SIM_FLASH_ERASE] = -MOLT_FLASH_ERASE,
    };
    assert_int_equal(begin(two_slots, 5, 1), 0);
    put(0, 1, MOLT_OTADATA_VALID);
    flash.hook = fail_op;
    for (failing_op = SIM_FLASH_READ; failing_op <= SIM_FLASH_ERASE; failing_op++) {
        put(1, 2, MOLT_OTADATA_PENDING_VERIFY);
        ota.slots.port_err = 0;
        assert_int_equal(run(ota.slots.ops->confirm_step), reasons[failing_op]);
        assert_int_equal(ota.slots.port_err, -77);
    }
    failing_op = SIM_FLASH_READ;
    struct molt_boot_state s;
    uint8_t digest[32];
    assert_int_equal(ota.slots.ops->state(&ota.slots, &s), -MOLT_FLASH_READ);
    struct molt_hash hash;
    assert_int_equal(ota.slots.ops->identity_step(&ota.slots, &hash, digest), -MOLT_FLASH_READ);
    assert_int_equal(get_target(100), -MOLT_FLASH_READ);
    assert_int_equal(molt_esp32_otadata_begin(&ota, &flash.port, &molt_bearssl_sha256, 0), -MOLT_FLASH_READ);
}

static bool written;
static int fail_read_after_write(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    (void)off;
    (void)len;
    if (op == SIM_FLASH_WRITE) written = true;
    return op == SIM_FLASH_READ && written ? -78 : 0;
}

static void a_confirmation_that_cannot_be_checked_stays_and_can_be_repeated(void **state)
{
    (void)state;
    assert_int_equal(begin(two_slots, 5, 1), 0);
    put(0, 1, MOLT_OTADATA_VALID);
    put(1, 2, MOLT_OTADATA_PENDING_VERIFY);
    written = false;
    flash.hook = fail_read_after_write;
    assert_int_equal(run(ota.slots.ops->confirm_step), -MOLT_FLASH_READ);
    assert_int_equal(ota.slots.port_err, -78);
    flash.hook = NULL;
    expect_record(1, 2, MOLT_OTADATA_VALID);
    assert_int_equal(run(ota.slots.ops->confirm_step), MOLT_DONE);
    expect_record(1, 2, MOLT_OTADATA_VALID);
}

/* ---- identity ---- */

static uint8_t identity[32];
static int step_identity(struct molt_slots *slots)
{
    static struct molt_hash hash;
    return slots->ops->identity_step(slots, &hash, identity);
}

static void the_identity_is_the_sha256_of_the_image_before_its_digest(void **state)
{
    (void)state;
    struct molt_hash hash = {.ops = &molt_bearssl_sha256};
    uint8_t want[32];
    assert_int_equal(begin(two_slots, 5, 0), 0);
    assert_int_equal(run(step_identity), -MOLT_BAD_SEGMENT); /* blank */
    sim_flash_program(&flash, 0x10000, image, (uint32_t)image_len);
    assert_int_equal(run(step_identity), MOLT_DONE);
    assert_memory_equal(identity, image + image_len - 32, 32);

    sim_flash_program(&flash, 0x10000, plain, (uint32_t)plain_len);
    hash.ops->init(&hash.state);
    hash.ops->update(&hash.state, plain, plain_len);
    hash.ops->finish(&hash.state, want);
    assert_int_equal(run(step_identity), MOLT_DONE);
    assert_memory_equal(identity, want, 32);
}

static void an_image_that_claims_to_leave_its_slot_has_no_identity(void **state)
{
    (void)state;
    uint8_t *bad = malloc(image_len);
    assert_non_null(bad);
    memcpy(bad, image, image_len);
    molt_store32le(bad + 28, 0xFFFFFFF8u); /* length of the first segment */
    assert_int_equal(begin(two_slots, 5, 0), 0);
    sim_flash_program(&flash, 0x10000, bad, (uint32_t)image_len);
    assert_int_equal(run(step_identity), -MOLT_BAD_SEGMENT);
    molt_store32le(bad + 28, SLOT_LEN - 32);
    sim_flash_program(&flash, 0x10000, bad, (uint32_t)image_len);
    assert_int_equal(run(step_identity), -MOLT_BAD_SEGMENT);
    free(bad);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, power_on, power_off)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_arduino_table_is_understood),
        CASE(tables_that_break_the_format_are_refused),
        CASE(a_table_without_two_slots_or_without_otadata_has_no_slot),
        CASE(the_target_is_the_next_slot_and_never_the_running_one),
        CASE(with_three_slots_the_next_that_is_large_enough_is_taken),
        CASE(commits_write_the_other_record_with_the_smallest_greater_number),
        CASE(commits_with_three_slots_reach_the_chosen_one),
        CASE(a_record_in_flash_has_the_published_bytes),
        CASE(commits_to_the_running_slot_or_elsewhere_are_refused),
        CASE(a_trial_blocks_updates_until_it_is_confirmed),
        CASE(a_new_image_under_a_bootloader_without_rollback_is_reported),
        CASE(rejecting_marks_the_running_record_invalid_when_the_other_image_is_whole),
        CASE(rejecting_without_another_whole_image_changes_nothing),
        CASE(the_factory_image_is_a_place_to_go_back_to),
        CASE(failing_flash_is_reported_with_the_ports_number),
        CASE(a_confirmation_that_cannot_be_checked_stays_and_can_be_repeated),
        CASE(the_identity_is_the_sha256_of_the_image_before_its_digest),
        CASE(an_image_that_claims_to_leave_its_slot_has_no_identity),
    };
    return cmocka_run_group_tests(tests, build_images, free_images);
}
