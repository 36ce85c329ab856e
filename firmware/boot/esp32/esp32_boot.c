/* esp32_boot.c - slot selection, rollback and image verification of ESP-IDF's second-stage bootloader.
 * Must never share code with what it judges: it parses tables, otadata and images on its own.
 * Tests: test/unit/esp32_boot_test.c (every observed row), test/unit/update_test.c. */
#include "esp32_boot.h"

#include <bearssl_hash.h>
#include <string.h>

#include "util/bytes.h"
#include "util/crc.h"

#define FACTORY ESP32_BOOT_FACTORY

struct part {
    uint32_t off, len;
};

/* What the bootloader keeps of the partition table. */
struct table {
    struct part otadata, factory, test, ota[MOLT_OTA_SLOTS_MAX];
    uint32_t ota_count;
};

struct entry {
    uint8_t raw[MOLT_OTADATA_ENTRY_LEN];
    uint32_t seq, state;
    bool crc_ok;
};

static bool md5_is(const uint8_t *rows, size_t len, const uint8_t *want)
{
    br_md5_context hash;
    uint8_t digest[16];
    br_md5_init(&hash);
    br_md5_update(&hash, rows, len);
    br_md5_out(&hash, digest);
    return memcmp(digest, want, sizeof digest) == 0;
}

static void take_row(struct table *table, const uint8_t *row)
{
    const struct part part = {molt_load32le(row + 4), molt_load32le(row + 8)};
    uint8_t type = row[2], subtype = row[3];
    if (type == 0 && subtype == 0x00) table->factory = part;
    if (type == 0 && subtype == 0x20) table->test = part;
    if (type == 0 && (subtype & 0xF0) == 0x10) {
        table->ota[subtype & 0x0F] = part;
        table->ota_count++;
    }
    if (type == 1 && subtype == 0x00) table->otadata = part;
}

static bool load_table(const struct molt_flash *flash, struct table *table)
{
    uint8_t rows[MOLT_PARTITION_TABLE_LEN];
    bool md5_seen = false;
    memset(table, 0, sizeof *table);
    if (flash->read(flash->ctx, MOLT_PARTITION_TABLE_OFFSET, rows, sizeof rows) != 0) return false;
    for (uint32_t at = 0; at < sizeof rows; at += 32) {
        const uint8_t *row = rows + at;
        if (row[0] == 0xFF && row[1] == 0xFF) return at > 0;
        if (row[0] == 0xEB && row[1] == 0xEB) {
            if (md5_seen || !md5_is(rows, at, row + 16)) return false;
            md5_seen = true;
            continue;
        }
        if (row[0] != 0xAA || row[1] != 0x50) return false;
        uint32_t off = molt_load32le(row + 4), len = molt_load32le(row + 8);
        if (off > flash->size || len > flash->size - off) return false;
        take_row(table, row);
    }
    return false; /* no end row */
}

static bool read_entry(const struct molt_flash *flash, uint32_t off, struct entry *entry)
{
    if (flash->read(flash->ctx, off, entry->raw, sizeof entry->raw) != 0) return false;
    entry->seq = molt_load32le(entry->raw);
    entry->state = molt_load32le(entry->raw + 24);
    entry->crc_ok = molt_load32le(entry->raw + 28) == molt_crc32_lsb(0xFFFFFFFFu, entry->raw, 4);
    return true;
}

/* Erase, then write: a power cut between the two leaves the entry blank, as on the chip. */
static void write_entry(const struct molt_flash *flash, uint32_t off, const struct entry *entry,
                        struct esp32_boot_result *result)
{
    result->wrote_otadata = true;
    if (flash->erase(flash->ctx, off, MOLT_SECTOR) != 0) return;
    (void)flash->write(flash->ctx, off, entry->raw, sizeof entry->raw);
}

static void set_state(struct entry *entry, uint32_t state)
{
    entry->state = state;
    molt_store32le(entry->raw + 24, state);
}

static bool is_invalid(const struct entry *entry)
{
    return entry->seq == 0xFFFFFFFFu || entry->state == MOLT_OTADATA_INVALID ||
           entry->state == MOLT_OTADATA_ABORTED;
}

static bool is_initial(const struct entry *entry)
{
    return entry->seq == 0xFFFFFFFFu || !entry->crc_ok;
}

/* The entry that decides, or -1. */
static int active_entry(const struct entry entry[2])
{
    bool valid0 = !is_invalid(&entry[0]) && entry[0].crc_ok;
    bool valid1 = !is_invalid(&entry[1]) && entry[1].crc_ok;
    if (valid0 && valid1) return entry[0].seq >= entry[1].seq ? 0 : 1;
    return valid0 ? 0 : valid1 ? 1 : -1;
}

/* The index to start from; *initial: otadata says nothing yet and is to be written after a slot booted. */
static int select_index(const struct molt_flash *flash, const struct esp32_boot *boot,
                        const struct table *table, bool *initial, struct esp32_boot_result *result)
{
    struct entry entry[2];
    *initial = false;
    if (table->otadata.off == 0) return FACTORY;
    for (unsigned i = 0; i < 2; i++) {
        if (!read_entry(flash, table->otadata.off + i * MOLT_SECTOR, &entry[i])) return FACTORY;
    }
    for (unsigned i = 0; boot->rollback && i < 2; i++) {
        if (entry[i].state != MOLT_OTADATA_PENDING_VERIFY) continue;
        set_state(&entry[i], MOLT_OTADATA_ABORTED); /* a reset came before the confirmation */
        write_entry(flash, table->otadata.off + i * MOLT_SECTOR, &entry[i], result);
    }
    if ((is_invalid(&entry[0]) && is_invalid(&entry[1])) || table->ota_count == 0) {
        if (table->factory.off != 0) return FACTORY;
        *initial = is_initial(&entry[0]) && is_initial(&entry[1]);
        return 0;
    }
    int active = active_entry(entry);
    if (active < 0) return FACTORY;
    if (boot->rollback && entry[active].state == MOLT_OTADATA_NEW) {
        set_state(&entry[active], MOLT_OTADATA_PENDING_VERIFY);
        write_entry(flash, table->otadata.off + (uint32_t)active * MOLT_SECTOR, &entry[active], result);
    }
    return (int)((entry[active].seq - 1) % table->ota_count);
}

static bool try_index(const struct molt_flash *flash, const struct esp32_boot *boot,
                      const struct table *table, int index, struct esp32_boot_result *result)
{
    struct part part = index == FACTORY           ? table->factory
                       : index == ESP32_BOOT_TEST ? table->test
                                                  : table->ota[index];
    if (part.len == 0) return false;
    enum esp32_boot_verdict verdict = esp32_boot_verify(flash, boot, part.off, part.len, &result->len);
    if (index >= 0) result->slot[index] = verdict;
    if (verdict != ESP32_BOOT_BOOTABLE) return false;
    result->booted = true;
    result->index = index;
    result->off = part.off;
    return true;
}

/* From the start down to the factory image, then up through the other slots, then the test image. */
static bool try_all(const struct molt_flash *flash, const struct esp32_boot *boot, const struct table *table,
                    int start, struct esp32_boot_result *result)
{
    for (int i = start; i >= FACTORY; i--) {
        if (try_index(flash, boot, table, i, result)) return true;
    }
    for (int i = start + 1; i < (int)table->ota_count; i++) {
        if (try_index(flash, boot, table, i, result)) return true;
    }
    return try_index(flash, boot, table, ESP32_BOOT_TEST, result);
}

void esp32_boot_run(const struct molt_flash *flash, const struct esp32_boot *boot,
                    struct esp32_boot_result *result)
{
    struct table table;
    bool initial;
    memset(result, 0, sizeof *result);
    for (size_t i = 0; i < MOLT_OTA_SLOTS_MAX; i++)
        result->slot[i] = ESP32_BOOT_NOT_TRIED;
    if (!load_table(flash, &table) || table.ota_count > MOLT_OTA_SLOTS_MAX) return;

    int start = select_index(flash, boot, &table, &initial, result);
    if (!try_all(flash, boot, &table, start, result)) return;
    if (initial && result->index >= 0) {
        struct entry entry;
        memset(entry.raw, 0xFF, sizeof entry.raw);
        molt_store32le(entry.raw, (uint32_t)result->index + 1);
        set_state(&entry, MOLT_OTADATA_VALID);
        molt_store32le(entry.raw + 28, molt_crc32_lsb(0xFFFFFFFFu, entry.raw, 4));
        write_entry(flash, table.otadata.off, &entry, result);
    }
}

/* ---- image verification ---- */

/* Flash-mapped address ranges, for the chips whose MMU page is 64 KB. */
static bool is_mapped(enum molt_chip chip, uint32_t address)
{
    if (chip == MOLT_CHIP_ESP32) {
        return (address >= 0x3F400000u && address < 0x3F800000u) ||
               (address >= 0x400D0000u && address < 0x40400000u);
    }
    if (chip == MOLT_CHIP_ESP32C3 || chip == MOLT_CHIP_ESP32S3) {
        return (address >= 0x3C000000u && address < 0x3E000000u) ||
               (address >= 0x42000000u && address < 0x44000000u);
    }
    return false;
}

/* The image being read: position, what has been hashed and summed so far. */
struct reader {
    const struct molt_flash *flash;
    uint32_t off, pos, part_len;
    br_sha256_context hash;
    uint8_t checksum;
};

static bool take(struct reader *r, uint8_t *dst, uint32_t len)
{
    if (len > r->part_len - r->pos) return false;
    if (r->flash->read(r->flash->ctx, r->off + r->pos, dst, len) != 0) return false;
    br_sha256_update(&r->hash, dst, len);
    r->pos += len;
    return true;
}

static enum esp32_boot_verdict take_segment(struct reader *r, enum molt_chip chip)
{
    uint8_t buf[1024];
    if (!take(r, buf, 8)) return ESP32_BOOT_SEGMENT_LENGTH;
    uint32_t address = molt_load32le(buf), left = molt_load32le(buf + 4);
    if (left % 4 != 0 || left >= (16u << 20) || left > r->part_len - r->pos) return ESP32_BOOT_SEGMENT_LENGTH;
    if (is_mapped(chip, address) && (address & 0xFFFF) != ((r->off + r->pos) & 0xFFFF)) {
        return ESP32_BOOT_SEGMENT_PAGE;
    }
    while (left > 0) {
        uint32_t n = molt_min32(left, sizeof buf);
        if (!take(r, buf, n)) return ESP32_BOOT_UNREADABLE;
        for (uint32_t i = 0; i < n; i++)
            r->checksum ^= buf[i];
        left -= n;
    }
    return ESP32_BOOT_BOOTABLE;
}

static enum esp32_boot_verdict check_tail(struct reader *r, bool hash_appended)
{
    uint8_t pad[16], digest[br_sha256_SIZE], want[br_sha256_SIZE];
    uint32_t n = 16 - r->pos % 16;
    if (!take(r, pad, n)) return ESP32_BOOT_SEGMENT_LENGTH;
    if (pad[n - 1] != r->checksum) return ESP32_BOOT_CHECKSUM;
    if (!hash_appended) return ESP32_BOOT_BOOTABLE;
    br_sha256_out(&r->hash, digest);
    if (!take(r, want, sizeof want)) return ESP32_BOOT_SEGMENT_LENGTH;
    return memcmp(digest, want, sizeof want) == 0 ? ESP32_BOOT_BOOTABLE : ESP32_BOOT_HASH;
}

enum esp32_boot_verdict esp32_boot_verify(const struct molt_flash *flash, const struct esp32_boot *boot,
                                          uint32_t off, uint32_t part_len, uint32_t *len)
{
    struct reader r = {.flash = flash, .off = off, .part_len = part_len, .checksum = 0xEF};
    uint8_t header[24];
    br_sha256_init(&r.hash);
    if (!take(&r, header, sizeof header)) return ESP32_BOOT_UNREADABLE;
    if (header[0] != 0xE9) return ESP32_BOOT_MAGIC;
    if (molt_load16le(header + 12) != molt_chip_image_id(boot->chip)) return ESP32_BOOT_CHIP;
    uint16_t min = molt_load16le(header + 15), max = molt_load16le(header + 17);
    bool no_limit = max == 0 || max == 0xFFFF;
    if (boot->revision < min || (!no_limit && boot->revision > max)) return ESP32_BOOT_REVISION;
    if (header[1] > 16) return ESP32_BOOT_SEGMENT_COUNT;
    for (unsigned i = 0; i < header[1]; i++) {
        enum esp32_boot_verdict rc = take_segment(&r, boot->chip);
        if (rc != ESP32_BOOT_BOOTABLE) return rc;
    }
    enum esp32_boot_verdict rc = check_tail(&r, header[23] == 1);
    *len = r.pos;
    return rc;
}
