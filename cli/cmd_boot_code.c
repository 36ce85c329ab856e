/* cmd_boot_code.c - `molt image boot-code --layout L`: molt-boot as C arrays, for a sketch that brings it to devices in
 * the field by itself. Must never write what does not start. Tests: test/sdk/sketches_test.sh. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "host/molt_boot_image.h"
#include "molt_port.h"
#include "output.h"
#include "sim/layout.h"
#include "util/bytes.h"

#define FLASH_MODE 0x02 /* the device keeps its own; these must only be ones that exist: DIO ... */
#define FLASH_SIZE 0x40 /* ... 4 MB at 40 MHz */

static const struct args_option options[] = {
    {"layout", "NAME", "flash layout of the device: 1M64, 4M2M ... (Arduino: Tools > Flash Size)", 0},
    {"out", "FILE", "where to write it, also -o (default: standard output)", 0},
    {0},
};

static void print_words(FILE *out, const char *name, const uint32_t *words, uint32_t count)
{
    fprintf(out, "static const uint32_t %s[%u] PROGMEM = {", name, count);
    for (uint32_t i = 0; i < count; i++)
        fprintf(out, "%s0x%08X,", i % 8 == 0 ? "\n    " : " ", words[i]);
    fprintf(out, "\n};\n");
}

static bool print_header(FILE *out, const struct sim_layout *layout)
{
    uint8_t sector[MOLT_SECTOR];
    uint32_t words[MOLT_SECTOR / 4], second_len;
    const uint32_t *second = molt_boot_second(&second_len);
    molt_boot_image_sector(sector, FLASH_MODE, FLASH_SIZE, layout->fs_start);
    for (uint32_t i = 0; i < MOLT_SECTOR / 4; i++)
        words[i] = molt_load32le(sector + 4 * i);
    fprintf(out,
            "/* molt-boot %u for layout %s, made by `molt image boot-code`; for Molt.installBoot() and "
            "Molt.setBootSecond(). */\n",
            MOLT_BOOT_IMAGE_VERSION, layout->name);
    print_words(out, "moltBootSector", words, MOLT_SECTOR / 4);
    print_words(out, "moltBootSecond", second, second_len / 4);
    return ferror(out) == 0;
}

static int run(struct args *args)
{
    const char *name = args_value(args, "layout"), *path = args_value(args, "out");
    const struct sim_layout *layout = name != NULL ? sim_layout_find(name) : NULL;
    if (layout == NULL || layout->is_esp32)
        return command_usage_error(&command_image_boot_code,
                                   "--layout: the flash layout of an ESP8266, as 4M2M");
    FILE *out = path != NULL ? fopen(path, "we") : stdout;
    bool ok = out != NULL && print_header(out, layout);
    if (out != NULL && path != NULL) ok = fclose(out) == 0 && ok;
    if (!ok) output_error("%s could not be written: %s", path != NULL ? path : "the header", strerror(errno));
    return ok ? EXIT_GOOD : EXIT_PROBLEM;
}

const struct command command_image_boot_code = {
    .name = "image boot-code",
    .operands = "",
    .summary = "write molt's boot stage as a C header, for a sketch that installs it",
    .more = "Include it in the sketch and call Molt.installBoot(moltBootSector): the sketch then brings "
            "molt-boot to a\n"
            "device that Arduino's boot stage started. Another layout needs another header.",
    .examples = "  molt image boot-code --layout 4M2M -o boot_stage.h",
    .options = options,
    .operands_min = 0,
    .operands_max = 0,
    .run = run,
};
