/* esp32_otadata.h - OTA partitions of the ESP32 family, chosen by the otadata partition.
 * Sources: ESP-IDF esp_flash_partitions.h, bootloader_common.c, esp_ota_ops.c, gen_esp32part.py. */
#ifndef MOLT_ESP32_OTADATA_H
#define MOLT_ESP32_OTADATA_H

#include "slots.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_PARTITION_TABLE_OFFSET 0x8000u
#define MOLT_PARTITION_TABLE_LEN    0xC00u
#define MOLT_OTA_SLOTS_MAX          16
#define MOLT_OTA_NO_SLOT            0xFFu /* running_slot of a factory image */

/* States of an otadata entry (esp_ota_img_states_t). */
enum molt_otadata_state {
    MOLT_OTADATA_NEW = 0,
    MOLT_OTADATA_PENDING_VERIFY = 1,
    MOLT_OTADATA_VALID = 2,
    MOLT_OTADATA_INVALID = 3,
    MOLT_OTADATA_ABORTED = 4,
};
#define MOLT_OTADATA_UNDEFINED 0xFFFFFFFFu

/* One otadata entry, decoded. 32 bytes in flash: seq u32le, label[20], state u32le, crc u32le over seq. */
struct molt_otadata_entry {
    uint32_t seq;   /* 0xFFFFFFFF: empty */
    uint32_t state; /* enum molt_otadata_state or MOLT_OTADATA_UNDEFINED */
    bool crc_ok;
};
#define MOLT_OTADATA_ENTRY_LEN 32u

/* Never fails: what an entry is worth, crc_ok and seq say. */
void molt_otadata_decode(const uint8_t raw[MOLT_OTADATA_ENTRY_LEN], struct molt_otadata_entry *entry);
void molt_otadata_encode(uint8_t raw[MOLT_OTADATA_ENTRY_LEN], uint32_t seq, uint32_t state);

/* What the partition table says, as far as updates care. Lengths and offsets in bytes of flash. */
struct molt_partitions {
    uint32_t otadata_off, otadata_len; /* 0, 0: no otadata partition */
    uint32_t factory_off, factory_len; /* 0, 0: no factory partition */
    uint32_t fs_off, fs_len; /* first data partition of subtype spiffs, littlefs or fat; 0, 0: none */
    uint8_t slot_count;      /* ota_0 ... */
    uint32_t slot_off[MOLT_OTA_SLOTS_MAX], slot_len[MOLT_OTA_SLOTS_MAX];
};

/* Parses a partition table of MOLT_PARTITION_TABLE_LEN bytes. The MD5 row is skipped (the bootloader's own
 * check); everything else is checked: magic, 64 KB-aligned application offsets, sizes within flash_size,
 * no overlap of application slots, otadata exactly 0x2000, at most 95 rows.
 * Returns 0 or -MOLT_BAD_PARTITIONS (out is then undefined). */
int molt_partitions_parse(const uint8_t *table, uint32_t flash_size, struct molt_partitions *out);

/* The same from flash, at MOLT_PARTITION_TABLE_OFFSET, row by row. Also -MOLT_FLASH_READ. */
int molt_partitions_read(const struct molt_flash *flash, struct molt_partitions *out);

/* Caller-allocated. `partitions` may be read; the rest is private. */
struct molt_esp32_otadata {
    struct molt_slots slots; /* pass &x.slots to the library */
    struct molt_partitions partitions;
    /* ---- private ---- */
    uint8_t running_slot;
    uint8_t phase;
    uint8_t write_entry;
    int reason; /* why a commit is being undone */
    uint8_t raw[MOLT_OTADATA_ENTRY_LEN];
    struct molt_hash hash;
    uint32_t hash_pos, hash_end;
    uint8_t digest[MOLT_SHA256_LEN];
};

/* Reads the partition table. running_slot: the OTA slot that this firmware runs from (the port knows:
 * esp_ota_get_running_partition), MOLT_OTA_NO_SLOT for the factory image. flash, hash: must outlive
 * backend. Returns 0, -MOLT_BAD_PARTITIONS, -MOLT_NO_SLOT (fewer than two OTA slots or no otadata),
 * -MOLT_FLASH_READ. */
int molt_esp32_otadata_begin(struct molt_esp32_otadata *backend, const struct molt_flash *flash,
                             const struct molt_hash_ops *hash, uint8_t running_slot);

#ifdef __cplusplus
}
#endif
#endif
