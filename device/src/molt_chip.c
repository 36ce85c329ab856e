/* molt_chip.c - look-ups over the list of chips.
 * Must never hold a second list. Tests: test/unit/reason_test.c. */
#include "molt_chip.h"

#include <stddef.h>
#include <string.h>

struct chip_row {
    uint8_t number;
    uint16_t image_chip_id;
    const char *name;
};

static const struct chip_row chip_rows[] = {
#define MOLT_CHIP(symbol, number, name, image_chip_id) {(number), (image_chip_id), name},
#include "molt_chip.def"
#undef MOLT_CHIP
};

#define CHIP_COUNT (sizeof chip_rows / sizeof chip_rows[0])

static const struct chip_row *find(enum molt_chip chip)
{
    for (size_t i = 0; i < CHIP_COUNT; i++) {
        if (chip_rows[i].number == (uint8_t)chip) return &chip_rows[i];
    }
    return NULL;
}

const char *molt_chip_name(enum molt_chip chip)
{
    const struct chip_row *row = find(chip);
    return row != NULL ? row->name : "unknown";
}

enum molt_chip molt_chip_from_name(const char *name)
{
    for (size_t i = 0; i < CHIP_COUNT; i++) {
        if (strcmp(chip_rows[i].name, name) == 0) return (enum molt_chip)chip_rows[i].number;
    }
    return MOLT_CHIP_UNKNOWN;
}

enum molt_chip molt_chip_from_image_id(uint16_t image_chip_id)
{
    if (image_chip_id == 0xFFFF) return MOLT_CHIP_UNKNOWN;
    for (size_t i = 0; i < CHIP_COUNT; i++) {
        if (chip_rows[i].image_chip_id == image_chip_id) return (enum molt_chip)chip_rows[i].number;
    }
    return MOLT_CHIP_UNKNOWN;
}

uint16_t molt_chip_image_id(enum molt_chip chip)
{
    const struct chip_row *row = find(chip);
    return row != NULL ? row->image_chip_id : 0xFFFF;
}

bool molt_chip_is_esp32_family(enum molt_chip chip)
{
    return chip != MOLT_CHIP_UNKNOWN && chip != MOLT_CHIP_ESP8266 && chip != MOLT_CHIP_LINUX;
}
