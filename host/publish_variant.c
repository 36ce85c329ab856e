/* publish_variant.c - what `--variant` means: flash size, ESP8266 flash layout, ESP32 chip revision.
 * Must never guess: a text that is not in the tables is refused. Tests: test/unit/publish_test.c. */
#include <stdlib.h>
#include <string.h>

#include "publish.h"

#define KB        1024u
#define MB        (1024u * 1024)
#define FLASH_MIN (256 * KB)
#define FLASH_MAX (128 * MB)
#define REVISION  "rev"

/* Arduino core for ESP8266, tools/boards.txt.py and tools/sdk/ld/eagle.flash.*.ld: _FS_start less 0x40200000. */
static const struct layout {
    const char *name;
    uint32_t flash_size, fs_start;
} layouts[] = {
    {"512K32", 512 * KB, 0x73000}, {"512K64", 512 * KB, 0x6B000}, {"512K128", 512 * KB, 0x5B000},
    {"1M64", 1 * MB, 0xEB000},     {"1M128", 1 * MB, 0xDB000},    {"1M144", 1 * MB, 0xD7000},
    {"1M160", 1 * MB, 0xD3000},    {"1M192", 1 * MB, 0xCB000},    {"1M256", 1 * MB, 0xBB000},
    {"1M512", 1 * MB, 0x7B000},    {"2M64", 2 * MB, 0x1F0000},    {"2M128", 2 * MB, 0x1E0000},
    {"2M256", 2 * MB, 0x1C0000},   {"2M512", 2 * MB, 0x180000},   {"2M1M", 2 * MB, 0x100000},
    {"4M1M", 4 * MB, 0x300000},    {"4M2M", 4 * MB, 0x200000},    {"4M3M", 4 * MB, 0x100000},
    {"8M6M", 8 * MB, 0x200000},    {"8M7M", 8 * MB, 0x100000},    {"16M14M", 16 * MB, 0x200000},
    {"16M15M", 16 * MB, 0x100000},
};

const char *publish_layout_name(uint32_t flash_size, uint32_t fs_start)
{
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        if (layouts[i].flash_size == flash_size && layouts[i].fs_start == fs_start) return layouts[i].name;
    return "";
}

/* "4M", "512K": a power of two between the smallest and the largest flash. */
static uint32_t parse_flash_size(const char *text)
{
    if (*text < '1' || *text > '9') return 0;
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    uint32_t unit = *end == 'K' ? KB : *end == 'M' ? MB : 0;
    if (unit == 0 || end[1] != '\0' || end - text > 3) return 0;
    uint32_t size = (uint32_t)number * unit;
    return size >= FLASH_MIN && size <= FLASH_MAX && (size & (size - 1)) == 0 ? size : 0;
}

/* Up to two digits; -1 when there are none. */
static int take_small(const char **text)
{
    int number = -1;
    for (int i = 0; i < 2 && **text >= '0' && **text <= '9'; i++) {
        number = (number < 0 ? 0 : number * 10) + (*(*text)++ - '0');
    }
    return number;
}

static bool parse_revision(const char *text, uint16_t *revision)
{
    size_t prefix = strlen(REVISION);
    if (strncmp(text, REVISION, prefix) != 0) return false;
    text += prefix;
    int major = take_small(&text), minor = 0;
    if (*text == '.') {
        text++;
        minor = take_small(&text);
    }
    if (major < 0 || minor < 0 || *text != '\0') return false;
    *revision = (uint16_t)(major * 100 + minor);
    return true;
}

int publish_variant(const char *text, struct model_image *image)
{
    image->variant_flash_size = image->variant_fs_start = 0;
    image->variant_min_revision = 0;
    memset(image->variant, 0, sizeof image->variant);
    size_t len = strnlen(text, sizeof image->variant);
    if (len == sizeof image->variant) return -MOLT_VARIANT_INVALID;
    memcpy(image->variant, text, len);
    if (len == 0) return 0;

    image->variant_flash_size = parse_flash_size(text);
    if (image->variant_flash_size != 0) return 0;
    if (molt_chip_is_esp32_family(image->chip)) {
        return parse_revision(text, &image->variant_min_revision) ? 0 : -MOLT_VARIANT_INVALID;
    }
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        if (strcmp(text, layouts[i].name) != 0) continue;
        image->variant_flash_size = layouts[i].flash_size;
        image->variant_fs_start = layouts[i].fs_start;
        return 0;
    }
    return -MOLT_VARIANT_INVALID;
}
