/* layout.h - flash layouts by the names that people know: Arduino's ESP8266 linker scripts (4M2M ...) and the
 * ESP32 partition table that Arduino uses by default.
 * Sources: esp8266/Arduino tools/sdk/ld/eagle.flash.*.ld; ESP-IDF gen_esp32part.py;
 * arduino-esp32 tools/partitions/default.csv. */
#ifndef MOLT_SIM_LAYOUT_H
#define MOLT_SIM_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slots/esp32_otadata.h"

/* One row of an ESP32 partition table. */
struct sim_partition {
    const char *label; /* at most 16 characters */
    uint8_t type, subtype;
    uint32_t off, len; /* bytes */
};

struct sim_layout {
    const char *name; /* "4M2M", "esp32-4M" */
    bool is_esp32;    /* partitions are used; else fs_start and fs_end */
    uint32_t flash_size;
    uint32_t fs_start, fs_end; /* flash offsets; equal when there is no file system */
    const struct sim_partition *partitions;
    size_t partition_count;
};

/* The layout of that name, NULL when there is none. Static. */
const struct sim_layout *sim_layout_find(const char *name);

/* The i-th layout, NULL behind the last: for help texts and for tests of all of them. */
const struct sim_layout *sim_layout_at(size_t i);

/* Writes the partition table of count rows as gen_esp32part.py does: rows, MD5 row, 0xFF.
 * count: at most 94, so that the MD5 row fits. */
void sim_partition_table(const struct sim_partition *rows, size_t count,
                         uint8_t table[MOLT_PARTITION_TABLE_LEN]);

#endif
