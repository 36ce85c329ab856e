/* molt_chip.h - the chips, by number, name and image chip id. The list is molt_chip.def. */
#ifndef MOLT_CHIP_H
#define MOLT_CHIP_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum molt_chip {
    MOLT_CHIP_UNKNOWN = 0,
#define MOLT_CHIP(symbol, number, name, image_chip_id) MOLT_CHIP_##symbol = (number),
#include "molt_chip.def"
#undef MOLT_CHIP
    MOLT_CHIP_MAX = 31
};

/* "esp32c3"; "unknown" for MOLT_CHIP_UNKNOWN and numbers not in the list. Static. */
const char *molt_chip_name(enum molt_chip chip);

/* The chip of that name (lower case, as molt_chip_name() gives it), MOLT_CHIP_UNKNOWN when there is none. */
enum molt_chip molt_chip_from_name(const char *name);

/* The chip whose ESP32-family images carry this id, MOLT_CHIP_UNKNOWN when molt does not know it. */
enum molt_chip molt_chip_from_image_id(uint16_t image_chip_id);

/* The id that images for the chip carry at offset 12; 0xFFFF when they have none (ESP8266, unknown). */
uint16_t molt_chip_image_id(enum molt_chip chip);

/* True for every known chip but the ESP8266, and not for "linux", which is none. */
bool molt_chip_is_esp32_family(enum molt_chip chip);

#ifdef __cplusplus
}
#endif
#endif
