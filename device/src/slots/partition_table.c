/* partition_table.c - what an ESP32 partition table says about applications, row by row.
 * Must never hold the whole table: it is 3 KB and task stacks are small. Tests: test/unit/otadata_test.c.
 * */
#include "esp32_otadata.h"

#include <string.h>

#include "../util/bytes.h"

#define ROW_LEN   32u
#define ROWS_MAX  95u
#define APP_ALIGN 0x10000u

enum { TYPE_APP = 0, TYPE_DATA = 1 };
enum { APP_FACTORY = 0x00, APP_OTA_FIRST = 0x10, APP_OTA_LAST = 0x1F };
enum { DATA_OTA = 0x00, DATA_FAT = 0x81, DATA_LITTLEFS = 0x83 };

static int take_app(struct molt_partitions *out, uint8_t subtype, uint32_t off, uint32_t len)
{
    if (off % APP_ALIGN != 0 || len == 0 || len % MOLT_SECTOR != 0) return -MOLT_BAD_PARTITIONS;
    if (subtype == APP_FACTORY) {
        if (out->factory_len != 0) return -MOLT_BAD_PARTITIONS;
        out->factory_off = off;
        out->factory_len = len;
    }
    if (subtype >= APP_OTA_FIRST && subtype <= APP_OTA_LAST) {
        unsigned slot = subtype - APP_OTA_FIRST;
        if (out->slot_len[slot] != 0) return -MOLT_BAD_PARTITIONS;
        out->slot_off[slot] = off;
        out->slot_len[slot] = len;
        out->slot_count++;
    }
    return 0;
}

static int take_data(struct molt_partitions *out, uint8_t subtype, uint32_t off, uint32_t len)
{
    if (subtype == DATA_OTA) {
        if (out->otadata_len != 0 || len != 2 * MOLT_SECTOR) return -MOLT_BAD_PARTITIONS;
        out->otadata_off = off;
        out->otadata_len = len;
    }
    if (subtype >= DATA_FAT && subtype <= DATA_LITTLEFS && out->fs_len == 0) {
        out->fs_off = off;
        out->fs_len = len;
    }
    return 0;
}

/* One row. MOLT_DONE behind the last, MOLT_MORE, or -MOLT_BAD_PARTITIONS. */
static int take_row(struct molt_partitions *out, const uint8_t row[ROW_LEN], uint32_t flash_size)
{
    if (row[0] == 0xEB && row[1] == 0xEB) return MOLT_MORE; /* MD5 of the rows before it */
    if (row[0] == 0xFF && row[1] == 0xFF) return MOLT_DONE;
    uint32_t off = molt_load32le(row + 4), len = molt_load32le(row + 8);
    if (row[0] != 0xAA || row[1] != 0x50) return -MOLT_BAD_PARTITIONS;
    if (off % MOLT_SECTOR != 0 || off > flash_size || len > flash_size - off) return -MOLT_BAD_PARTITIONS;
    int rc = 0;
    if (row[2] == TYPE_APP) rc = take_app(out, row[3], off, len);
    if (row[2] == TYPE_DATA) rc = take_data(out, row[3], off, len);
    return rc < 0 ? rc : MOLT_MORE;
}

static bool overlap(uint32_t off_a, uint32_t len_a, uint32_t off_b, uint32_t len_b)
{
    return len_a != 0 && len_b != 0 && off_a < off_b + len_b && off_b < off_a + len_a;
}

/* Slots are ota_0 to ota_n without a gap, and nothing that a boot depends on lies in one of them. */
static int check_whole(const struct molt_partitions *out)
{
    const uint32_t table_off = MOLT_PARTITION_TABLE_OFFSET;
    for (unsigned i = 0; i < out->slot_count; i++) {
        uint32_t off = out->slot_off[i], len = out->slot_len[i];
        if (len == 0) return -MOLT_BAD_PARTITIONS;
        if (overlap(off, len, 0, table_off + MOLT_SECTOR)) return -MOLT_BAD_PARTITIONS;
        if (overlap(off, len, out->otadata_off, out->otadata_len)) return -MOLT_BAD_PARTITIONS;
        if (overlap(off, len, out->factory_off, out->factory_len)) return -MOLT_BAD_PARTITIONS;
        for (unsigned k = 0; k < i; k++) {
            if (overlap(off, len, out->slot_off[k], out->slot_len[k])) return -MOLT_BAD_PARTITIONS;
        }
    }
    return 0;
}

int molt_partitions_parse(const uint8_t *table, uint32_t flash_size, struct molt_partitions *out)
{
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i <= ROWS_MAX; i++) {
        int rc = take_row(out, table + i * ROW_LEN, flash_size);
        if (rc < 0) return rc;
        if (rc == MOLT_DONE) return i == 0 ? -MOLT_BAD_PARTITIONS : check_whole(out);
    }
    return -MOLT_BAD_PARTITIONS;
}

int molt_partitions_read(const struct molt_flash *flash, struct molt_partitions *out)
{
    uint8_t row[ROW_LEN];
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i <= ROWS_MAX; i++) {
        if (flash->read(flash->ctx, MOLT_PARTITION_TABLE_OFFSET + i * ROW_LEN, row, ROW_LEN) != 0) {
            return -MOLT_FLASH_READ;
        }
        int rc = take_row(out, row, flash->size);
        if (rc < 0) return rc;
        if (rc == MOLT_DONE) return i == 0 ? -MOLT_BAD_PARTITIONS : check_whole(out);
    }
    return -MOLT_BAD_PARTITIONS;
}
