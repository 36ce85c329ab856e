/* esp32_boot_test.c - the virtual bootloader does what Espressif's own did, row by row: forty cases seen
 * on two unmodified bootloaders (without and with rollback), otadata at 0xE000, app0 0x10000, app1
 * 0x200000, no factory. */
#include "cmocka_all.h"

#include <stdlib.h>

#include "host/image_build.h"
#include "firmware/boot/esp32/esp32_boot.h"
#include "sim/flash.h"
#include "sim/layout.h"
#include "util/bytes.h"
#include "util/crc.h"

#define OTADATA 0xE000u
#define APP0    0x10000u
#define APP1    0x200000u
#define APP_LEN 0x1F0000u

#define NEW     0u
#define PENDING 1u
#define VALID   2u
#define INVALID 3u
#define ABORTED 4u
#define UNDEF   0xFFFFFFFFu
#define BLANK   0xFFFFFFFFu /* as a sequence number */

static const struct sim_partition partitions[] = {
    {"nvs", 1, 2, 0x9000, 0x5000},
    {"otadata", 1, 0, OTADATA, 0x2000},
    {"app0", 0, 0x10, APP0, APP_LEN},
    {"app1", 0, 0x11, APP1, APP_LEN},
};

static uint8_t *image;
static size_t image_len;
static struct sim_flash flash;

static int build_image(void **state)
{
    (void)state;
    const struct image_build spec = {.chip = MOLT_CHIP_ESP32, .size = 0x9000, .seed = 3};
    return image_build(&spec, &image, &image_len);
}

static int free_image(void **state)
{
    (void)state;
    free(image);
    return 0;
}

static int fresh_flash(void **state)
{
    (void)state;
    uint8_t table[MOLT_PARTITION_TABLE_LEN];
    if (sim_flash_open(&flash, &(struct sim_flash_config){.size = 4u << 20}) != 0) return -1;
    sim_partition_table(partitions, 4, table);
    sim_flash_program(&flash, MOLT_PARTITION_TABLE_OFFSET, table, sizeof table);
    sim_flash_program(&flash, APP0, image, (uint32_t)image_len);
    sim_flash_program(&flash, APP1, image, (uint32_t)image_len);
    return 0;
}

static int close_flash(void **state)
{
    (void)state;
    sim_flash_close(&flash);
    return 0;
}

static void put(unsigned which, uint32_t seq, uint32_t entry_state)
{
    uint8_t raw[MOLT_OTADATA_ENTRY_LEN];
    memset(raw, 0xFF, sizeof raw);
    if (seq != BLANK) {
        molt_store32le(raw, seq);
        molt_store32le(raw + 24, entry_state);
        molt_store32le(raw + 28, molt_crc32_lsb(0xFFFFFFFFu, raw, 4));
    }
    sim_flash_program(&flash, OTADATA + which * 0x1000, raw, sizeof raw);
}

static void put_crc(unsigned which, uint32_t crc)
{
    uint8_t raw[MOLT_OTADATA_ENTRY_LEN];
    memcpy(raw, flash.bytes + OTADATA + which * 0x1000, sizeof raw);
    molt_store32le(raw + 28, crc);
    sim_flash_program(&flash, OTADATA + which * 0x1000, raw, sizeof raw);
}

static uint32_t seq_of(unsigned which)
{
    return molt_load32le(flash.bytes + OTADATA + which * 0x1000);
}

static uint32_t state_of(unsigned which)
{
    return molt_load32le(flash.bytes + OTADATA + which * 0x1000 + 24);
}

static struct esp32_boot_result boot(bool rollback)
{
    const struct esp32_boot config = {.chip = MOLT_CHIP_ESP32, .revision = 0, .rollback = rollback};
    struct esp32_boot_result result;
    esp32_boot_run(&flash.port, &config, &result);
    return result;
}

/* Boots slot `want` and leaves otadata as it is. */
static void expect_slot(bool rollback, int want)
{
    uint8_t before[0x2000];
    memcpy(before, flash.bytes + OTADATA, sizeof before);
    struct esp32_boot_result r = boot(rollback);
    assert_true(r.booted);
    assert_int_equal(r.index, want);
    assert_int_equal(r.off, want == 0 ? APP0 : APP1);
    assert_int_equal(r.len, image_len);
    assert_false(r.wrote_otadata);
    assert_memory_equal(before, flash.bytes + OTADATA, sizeof before);
}

static void expect_slot_both(int want)
{
    expect_slot(false, want);
    expect_slot(true, want);
}

static void blank_otadata_boots_slot_0_and_becomes_seq_1_valid(void **state)
{
    (void)state;
    for (int rollback = 0; rollback < 2; rollback++) {
        put(0, BLANK, 0);
        put(1, BLANK, 0);
        struct esp32_boot_result r = boot(rollback != 0);
        assert_true(r.booted && r.wrote_otadata);
        assert_int_equal(r.index, 0);
        assert_int_equal(seq_of(0), 1);
        assert_int_equal(state_of(0), VALID);
        assert_int_equal(molt_load32le(flash.bytes + OTADATA + 28), 0x4743989A);
        assert_int_equal(seq_of(1), BLANK);
    }
}

static void the_highest_valid_sequence_number_wins_in_any_position(void **state)
{
    (void)state;
    static const struct {
        uint32_t seq0, seq1;
        int slot;
    } rows[] = {
        {1, BLANK, 0}, {1, 2, 1}, {3, 2, 0}, {BLANK, 2, 1},      {2, BLANK, 1},
        {1, 4, 1},     {1, 1, 0}, {2, 2, 1}, {0xFFFFFFFE, 1, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put(0, rows[i].seq0, UNDEF);
        put(1, rows[i].seq1, UNDEF);
        expect_slot_both(rows[i].slot);
    }
}

static void the_entries_in_flash_have_the_observed_bytes(void **state)
{
    (void)state;
    static const struct {
        uint32_t seq, crc;
    } rows[] = {{1, 0x4743989A}, {2, 0x55F63774}, {3, 0xED4A5011}, {4, 0x709D68A8}, {0xFFFFFFFE, 0x99F8B879}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put(0, rows[i].seq, UNDEF);
        assert_int_equal(molt_load32le(flash.bytes + OTADATA + 28), rows[i].crc);
    }
}

static void an_entry_with_a_wrong_crc_is_ignored(void **state)
{
    (void)state;
    put(0, 1, UNDEF);
    put(1, 2, UNDEF);
    put_crc(1, 0x12345678);
    expect_slot_both(0);
    put_crc(1, molt_crc32_lsb(0xFFFFFFFFu, flash.bytes + OTADATA + 0x1000, 28)); /* over 28 bytes */
    expect_slot_both(0);
    put_crc(1, molt_crc32_lsb(0, flash.bytes + OTADATA + 0x1000, 4)); /* from 0 */
    expect_slot_both(0);
}

static void two_wrong_crcs_boot_slot_0_and_are_not_repaired(void **state)
{
    (void)state;
    put(0, 1, UNDEF);
    put(1, 2, UNDEF);
    put_crc(0, 0);
    put_crc(1, 0);
    expect_slot_both(0);
}

static void the_label_bytes_are_not_covered(void **state)
{
    (void)state;
    uint8_t raw[MOLT_OTADATA_ENTRY_LEN];
    put(0, 1, UNDEF);
    put(1, 2, UNDEF);
    memcpy(raw, flash.bytes + OTADATA + 0x1000, sizeof raw);
    memset(raw + 4, 0, 20);
    sim_flash_program(&flash, OTADATA + 0x1000, raw, sizeof raw);
    expect_slot_both(1);
}

static void sequence_number_0_means_slot_1_and_all_ones_means_empty(void **state)
{
    (void)state;
    put(0, 0, UNDEF);
    assert_int_equal(molt_load32le(flash.bytes + OTADATA + 28), 0xFFFFFFFF);
    put(1, BLANK, 0);
    expect_slot_both(1);
    put(0, 1, UNDEF);
    put_crc(1, molt_crc32_lsb(0xFFFFFFFFu, flash.bytes + OTADATA + 0x1000, 4)); /* 0xFFFFFFFF, right crc */
    expect_slot_both(0);
}

static void a_new_image_becomes_pending_only_under_a_rollback_bootloader(void **state)
{
    (void)state;
    put(0, 1, VALID);
    put(1, 2, NEW);
    expect_slot(false, 1);
    struct esp32_boot_result r = boot(true);
    assert_true(r.booted && r.wrote_otadata);
    assert_int_equal(r.index, 1);
    assert_int_equal(state_of(1), PENDING);
    assert_int_equal(seq_of(1), 2);
    assert_int_equal(state_of(0), VALID);
}

static void a_pending_image_is_aborted_by_the_next_reset_under_a_rollback_bootloader(void **state)
{
    (void)state;
    put(0, 1, VALID);
    put(1, 2, PENDING);
    expect_slot(false, 1);
    struct esp32_boot_result r = boot(true);
    assert_true(r.booted && r.wrote_otadata);
    assert_int_equal(r.index, 0);
    assert_int_equal(state_of(1), ABORTED);
    expect_slot_both(0);
}

static void valid_and_unknown_states_boot_and_refused_ones_do_not(void **state)
{
    (void)state;
    static const struct {
        uint32_t entry_state;
        int slot;
    } rows[] = {{VALID, 1}, {7, 1}, {UNDEF, 1}, {INVALID, 0}, {ABORTED, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put(0, 1, VALID);
        put(1, 2, rows[i].entry_state);
        expect_slot_both(rows[i].slot);
    }
}

static void two_refused_entries_boot_slot_0_and_nothing_is_rewritten(void **state)
{
    (void)state;
    put(0, 1, INVALID);
    put(1, 2, ABORTED);
    expect_slot_both(0);
}

/* Slot 1 is selected and holds `bytes`; the bootloader must say `why` and boot slot 0, at every boot. */
static void expect_fallback(const uint8_t *bytes, size_t len, enum esp32_boot_verdict why)
{
    sim_flash_program(&flash, APP1, bytes, (uint32_t)len);
    put(0, 1, VALID);
    put(1, 2, VALID);
    for (int boots = 0; boots < 2; boots++) {
        struct esp32_boot_result r = boot(boots != 0);
        assert_true(r.booted);
        assert_int_equal(r.slot[1], why);
        assert_int_equal(r.slot[0], ESP32_BOOT_BOOTABLE);
        assert_int_equal(r.index, 0);
        assert_false(r.wrote_otadata);
    }
}

static void damaged_images_fall_back_to_slot_0_and_otadata_stays(void **state)
{
    (void)state;
    uint8_t *bad = malloc(image_len + 0x1000);
    assert_non_null(bad);
    const size_t mid = 0x2000;
#define RESET() (memset(bad, 0xFF, image_len + 0x1000), memcpy(bad, image, image_len))
    RESET();
    bad[mid] ^= 1;
    expect_fallback(bad, image_len, ESP32_BOOT_CHECKSUM);
    RESET();
    bad[mid] ^= 1;
    bad[mid + 1] ^= 1; /* the xor is right again */
    expect_fallback(bad, image_len, ESP32_BOOT_HASH);
    RESET();
    bad[image_len - 1] ^= 1;
    expect_fallback(bad, image_len, ESP32_BOOT_HASH);
    RESET();
    bad[0] = 0xE8;
    expect_fallback(bad, image_len, ESP32_BOOT_MAGIC);
    memset(bad, 0xFF, image_len);
    expect_fallback(bad, image_len, ESP32_BOOT_MAGIC);
    RESET();
    bad[12] = 9;
    expect_fallback(bad, image_len, ESP32_BOOT_CHIP);
    RESET();
    bad[15] = 900 & 0xFF;
    bad[16] = 900 >> 8;
    expect_fallback(bad, image_len, ESP32_BOOT_REVISION);
    RESET();
    bad[1] = 17;
    expect_fallback(bad, image_len, ESP32_BOOT_SEGMENT_COUNT);
#undef RESET
    free(bad);
}

static void an_image_cut_at_half_is_not_booted(void **state)
{
    (void)state;
    sim_flash_program(&flash, APP1, image, (uint32_t)image_len / 2);
    put(0, 1, VALID);
    put(1, 2, VALID);
    struct esp32_boot_result r = boot(true);
    assert_true(r.booted);
    assert_int_equal(r.index, 0);
    assert_int_not_equal(r.slot[1], ESP32_BOOT_BOOTABLE);
    assert_false(r.wrote_otadata);
}

static void without_an_appended_hash_the_checksum_alone_decides(void **state)
{
    (void)state;
    uint8_t *plain = NULL;
    size_t len = 0;
    const struct image_build spec = {.chip = MOLT_CHIP_ESP32, .size = 0x9000, .seed = 3, .no_hash = true};
    assert_int_equal(image_build(&spec, &plain, &len), 0);
    assert_int_equal(plain[23], 0);
    sim_flash_program(&flash, APP1, plain, (uint32_t)len);
    put(0, 1, VALID);
    put(1, 2, VALID);
    struct esp32_boot_result r = boot(false);
    assert_int_equal(r.index, 1);
    assert_int_equal(r.len, len);
    plain[0x2000] ^= 4;
    expect_fallback(plain, len, ESP32_BOOT_CHECKSUM);
    free(plain);
}

static void bytes_behind_the_digest_are_ignored(void **state)
{
    (void)state;
    uint8_t *longer = calloc(1, image_len + 64);
    assert_non_null(longer);
    memcpy(longer, image, image_len);
    sim_flash_program(&flash, APP1, longer, (uint32_t)image_len + 64);
    free(longer);
    put(0, 1, VALID);
    put(1, 2, VALID);
    expect_slot_both(1);
}

static void a_bad_slot_0_gives_way_to_slot_1_and_blank_otadata_learns_it(void **state)
{
    (void)state;
    sim_flash_program(&flash, APP0, "", 0);
    sim_flash_program(&flash, APP0, "nothing", 7);
    put(0, 1, VALID);
    put(1, BLANK, 0);
    expect_slot_both(1);
    put(0, BLANK, 0);
    struct esp32_boot_result r = boot(true);
    assert_int_equal(r.index, 1);
    assert_true(r.wrote_otadata);
    assert_int_equal(seq_of(0), 2);
    assert_int_equal(state_of(0), VALID);
}

static void two_bad_slots_boot_nothing(void **state)
{
    (void)state;
    sim_flash_program(&flash, APP0, "nothing", 7);
    sim_flash_program(&flash, APP1, "nothing", 7);
    put(0, 1, VALID);
    put(1, 2, VALID);
    assert_false(boot(false).booted);
    assert_false(boot(true).booted);
}

static void a_factory_image_is_booted_first_and_last(void **state)
{
    (void)state;
    static const struct sim_partition rows[] = {
        {"otadata", 1, 0, OTADATA, 0x2000},
        {"factory", 0, 0x00, 0x10000, 0x100000},
        {"app0", 0, 0x10, 0x110000, 0x100000},
        {"app1", 0, 0x11, APP1 + 0x10000, 0x100000},
    };
    uint8_t table[MOLT_PARTITION_TABLE_LEN];
    sim_partition_table(rows, 4, table);
    sim_flash_program(&flash, MOLT_PARTITION_TABLE_OFFSET, table, sizeof table);
    put(0, BLANK, 0);
    put(1, BLANK, 0);
    struct esp32_boot_result r = boot(true);
    assert_true(r.booted);
    assert_int_equal(r.index, ESP32_BOOT_FACTORY);
    assert_false(r.wrote_otadata);
    put(0, 2, VALID); /* slots 0 and 1 are blank here: down to the factory image */
    r = boot(true);
    assert_true(r.booted);
    assert_int_equal(r.index, ESP32_BOOT_FACTORY);
}

static void a_damaged_partition_table_boots_nothing(void **state)
{
    (void)state;
    uint8_t table[MOLT_PARTITION_TABLE_LEN];
    sim_partition_table(partitions, 4, table);
    table[40] ^= 1; /* the MD5 row tells */
    sim_flash_program(&flash, MOLT_PARTITION_TABLE_OFFSET, table, sizeof table);
    assert_false(boot(false).booted);
}

/* The walk-through of a device's life under a rollback bootloader. */
static void trial_confirmation_and_rollback_follow_the_walk_through(void **state)
{
    (void)state;
    put(0, BLANK, 0);
    put(1, BLANK, 0);
    assert_int_equal(boot(true).index, 0); /* erased flash: 1 VALID */
    assert_int_equal(state_of(0), VALID);
    put(0, 1, UNDEF); /* boot_app0.bin of a serial upload */
    assert_int_equal(boot(true).index, 0);
    put(1, 2, NEW);
    assert_int_equal(boot(true).index, 1);
    assert_int_equal(state_of(1), PENDING);
    put(1, 2, VALID); /* confirmed */
    expect_slot(true, 1);
    put(1, 2, PENDING); /* or: reset before that */
    assert_int_equal(boot(true).index, 0);
    assert_int_equal(state_of(1), ABORTED);
    put(1, 2, INVALID); /* or: rejected by itself */
    expect_slot(true, 0);
    put(1, 2, VALID); /* next update, into app0 */
    put(0, 3, NEW);
    assert_int_equal(boot(true).index, 0);
    assert_int_equal(state_of(0), PENDING);
    assert_int_equal(molt_load32le(flash.bytes + OTADATA + 28), 0xED4A5011);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fresh_flash, close_flash)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(blank_otadata_boots_slot_0_and_becomes_seq_1_valid),
        ROW(the_highest_valid_sequence_number_wins_in_any_position),
        ROW(the_entries_in_flash_have_the_observed_bytes),
        ROW(an_entry_with_a_wrong_crc_is_ignored),
        ROW(two_wrong_crcs_boot_slot_0_and_are_not_repaired),
        ROW(the_label_bytes_are_not_covered),
        ROW(sequence_number_0_means_slot_1_and_all_ones_means_empty),
        ROW(a_new_image_becomes_pending_only_under_a_rollback_bootloader),
        ROW(a_pending_image_is_aborted_by_the_next_reset_under_a_rollback_bootloader),
        ROW(valid_and_unknown_states_boot_and_refused_ones_do_not),
        ROW(two_refused_entries_boot_slot_0_and_nothing_is_rewritten),
        ROW(damaged_images_fall_back_to_slot_0_and_otadata_stays),
        ROW(an_image_cut_at_half_is_not_booted),
        ROW(without_an_appended_hash_the_checksum_alone_decides),
        ROW(bytes_behind_the_digest_are_ignored),
        ROW(a_bad_slot_0_gives_way_to_slot_1_and_blank_otadata_learns_it),
        ROW(two_bad_slots_boot_nothing),
        ROW(a_factory_image_is_booted_first_and_last),
        ROW(a_damaged_partition_table_boots_nothing),
        ROW(trial_confirmation_and_rollback_follow_the_walk_through),
    };
    return cmocka_run_group_tests(tests, build_image, free_image);
}
