/* partitions_fuzz.c - anything as a partition table: from memory and from flash the answer is the same, and what is accepted
 * lies in the flash, aligned and apart. The first byte makes rows: 0 takes the bytes as they are, else each row gets the magic. */
#include "ram_flash.h"

#include "molt_reason.h"
#include "slots/esp32_otadata.h"

#define ROW_LEN 32u

static void check(const struct molt_partitions *p)
{
    FUZZ_CHECK(p->slot_count <= MOLT_OTA_SLOTS_MAX);
    for (unsigned i = 0; i < p->slot_count; i++) {
        FUZZ_CHECK(p->slot_len[i] > 0 && p->slot_off[i] % 0x10000 == 0 && p->slot_off[i] <= RAM_FLASH_LEN);
        FUZZ_CHECK(p->slot_len[i] <= RAM_FLASH_LEN - p->slot_off[i]);
        for (unsigned k = 0; k < i; k++)
            FUZZ_CHECK(p->slot_off[i] + p->slot_len[i] <= p->slot_off[k] ||
                       p->slot_off[k] + p->slot_len[k] <= p->slot_off[i]);
    }
    FUZZ_CHECK(p->otadata_len == 0 || (p->otadata_len == 0x2000 && p->otadata_off <= RAM_FLASH_LEN - 0x2000));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct molt_partitions parsed, read;
    uint8_t *table = ram_flash + MOLT_PARTITION_TABLE_OFFSET;
    ram_fill(MOLT_PARTITION_TABLE_OFFSET, MOLT_PARTITION_TABLE_LEN, data + 1, size - 1);
    for (size_t at = 0; data[0] != 0 && at + ROW_LEN < size && at < MOLT_PARTITION_TABLE_LEN; at += ROW_LEN) {
        table[at] = 0xAA;
        table[at + 1] = 0x50;
    }
    memset(&parsed, 0, sizeof parsed);
    memset(&read, 0, sizeof read);
    int rc = molt_partitions_parse(table, RAM_FLASH_LEN, &parsed);
    FUZZ_CHECK(rc == 0 || rc == -MOLT_BAD_PARTITIONS);
    FUZZ_CHECK(molt_partitions_read(&ram_port, &read) == rc);
    if (rc == 0) FUZZ_CHECK(memcmp(&parsed, &read, sizeof read) == 0);
    if (rc == 0) check(&parsed);
    return 0;
}
