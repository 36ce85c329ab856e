/* idf_boot.c - one reset of an ESP32: what its bootloader does to the flash in FILE, and which image it starts. Must decide by
 * firmware/boot/esp32 alone. Used by tools/sdk_linux, whose applications have no boot stage of their own.
 *
 *     sdk-idf_boot FILE: prints the image's offset and the code of its version */
#include <stdio.h>

#include "firmware/boot/esp32/esp32_boot.h"
#include "host/facts.h"
#include "sim/flash.h"
#include "sim/layout.h"

int main(int argc, char **argv)
{
    const struct sim_layout *layout = sim_layout_find("esp32-4M");
    const struct esp32_boot how = {.chip = MOLT_CHIP_ESP32, .revision = 100, .rollback = true};
    struct esp32_boot_result result;
    struct sim_flash flash;
    char code[16];
    if (argc != 2 ||
        sim_flash_open(&flash, &(struct sim_flash_config){.size = layout->flash_size, .path = argv[1]}) < 0) {
        fputs("idf_boot: no flash\n", stderr);
        return 2;
    }
    esp32_boot_run(&flash.port, &how, &result);
    const bool good =
        result.booted && facts_tag(flash.bytes + result.off, result.len, "code", code, sizeof code);
    if (good) printf("%u %s\n", (unsigned)result.off, code);
    sim_flash_close(&flash);
    if (!good) fputs("idf_boot: nothing boots, or an image without a tag\n", stderr);
    return good ? 0 : 1;
}
