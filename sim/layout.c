/* layout.c - the table of flash layouts, and partition tables as bytes.
 * Must never invent numbers: each row is one of Arduino's linker scripts or partition tables.
 * Tests: test/unit/layout_test.c. */
#include "layout.h"

#include <assert.h>
#include <bearssl_hash.h>
#include <string.h>

#include "util/bytes.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct sim_partition arduino_4m[] = {
    {"nvs", 1, 0x02, 0x9000, 0x5000},        {"otadata", 1, 0x00, 0xE000, 0x2000},
    {"app0", 0, 0x10, 0x10000, 0x140000},    {"app1", 0, 0x11, 0x150000, 0x140000},
    {"spiffs", 1, 0x82, 0x290000, 0x160000}, {"coredump", 1, 0x03, 0x3F0000, 0x10000},
};

#define ESP8266(name, size, start, end)                                                                      \
    {                                                                                                        \
        name, false, size, start, end, NULL, 0                                                               \
    }

static const struct sim_layout layouts[] = {
    ESP8266("512K", 0x80000, 0x7B000, 0x7B000),
    ESP8266("1M", 0x100000, 0xFB000, 0xFB000),
    ESP8266("1M64", 0x100000, 0xEB000, 0xFB000),
    ESP8266("1M512", 0x100000, 0x7B000, 0xFB000),
    ESP8266("2M1M", 0x200000, 0x100000, 0x1FA000),
    ESP8266("4M", 0x400000, 0x3FB000, 0x3FB000),
    ESP8266("4M1M", 0x400000, 0x300000, 0x3FA000),
    ESP8266("4M2M", 0x400000, 0x200000, 0x3FA000),
    ESP8266("4M3M", 0x400000, 0x100000, 0x3FA000),
    {"esp32-4M", true, 0x400000, 0x290000, 0x3F0000, arduino_4m, COUNT(arduino_4m)},
};

const struct sim_layout *sim_layout_at(size_t i)
{
    return i < COUNT(layouts) ? &layouts[i] : NULL;
}

const struct sim_layout *sim_layout_find(const char *name)
{
    for (size_t i = 0; i < COUNT(layouts); i++) {
        if (strcmp(layouts[i].name, name) == 0) return &layouts[i];
    }
    return NULL;
}

void sim_partition_table(const struct sim_partition *rows, size_t count,
                         uint8_t table[MOLT_PARTITION_TABLE_LEN])
{
    assert(count <= 94);
    memset(table, 0xFF, MOLT_PARTITION_TABLE_LEN);
    for (size_t i = 0; i < count; i++) {
        uint8_t *row = table + i * 32;
        memset(row, 0, 32);
        row[0] = 0xAA;
        row[1] = 0x50;
        row[2] = rows[i].type;
        row[3] = rows[i].subtype;
        molt_store32le(row + 4, rows[i].off);
        molt_store32le(row + 8, rows[i].len);
        size_t label_len = strlen(rows[i].label);
        memcpy(row + 12, rows[i].label, label_len < 16 ? label_len : 16);
    }
    uint8_t *md5 = table + count * 32;
    md5[0] = 0xEB;
    md5[1] = 0xEB;
    br_md5_context hash;
    br_md5_init(&hash);
    br_md5_update(&hash, table, count * 32);
    br_md5_out(&hash, md5 + 16);
}
