/* cmd_image.c - `molt image set-boot FILE --layout L`: puts molt-boot into an ESP8266 image, so that any client of any
 * server can bring it to a device. Must never write a file that `molt inspect` would refuse.
 * Tests: test/e2e/molt_boot_sim_test.sh. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "host/molt_boot_image.h"
#include "load.h"
#include "output.h"
#include "sim/layout.h"

static const struct args_option options[] = {
    {"layout", "NAME", "flash layout of the device: 1M64, 4M2M ... (Arduino: Tools > Flash Size)", 0},
    {"out", "FILE", "where to write it, also -o (default: FILE itself)", 0},
    {0},
};

static int unknown_layout(const char *name)
{
    char known[200] = "";
    const struct sim_layout *layout;
    for (size_t i = 0; (layout = sim_layout_at(i)) != NULL; i++) {
        size_t used = strlen(known);
        if (!layout->is_esp32)
            snprintf(known + used, sizeof known - used, "%s%s", used > 0 ? ", " : "", layout->name);
    }
    return command_usage_error(&command_image_set_boot, "--layout %s is not one of %s", name, known);
}

/* 0, or an exit status after saying what is wrong. */
static int set_boot(uint8_t *data, size_t len, const struct sim_layout *layout, const char *path)
{
    struct facts facts;
    facts_read(data, len, &facts, NULL, NULL);
    int reason = facts.is_image ? 0 : facts.refusal;
    if (reason == 0 && facts.gzip) reason = MOLT_IMAGE_UNKNOWN;
    if (reason == 0 && facts.image.chip != MOLT_CHIP_ESP8266) reason = MOLT_WRONG_CHIP;
    if (reason == 0) reason = -molt_boot_image_set(data, len, layout->fs_start);
    if (reason == 0) {
        facts_read(data, len, &facts, NULL, NULL);
        if (!facts.is_image) reason = MOLT_INTERNAL;
    }
    if (reason == 0) return EXIT_GOOD;
    output_error("%s: %s", path, molt_reason_sentence(reason));
    if (reason == MOLT_IMAGE_UNKNOWN || reason == MOLT_WRONG_CHIP)
        output_hint("molt-boot goes into the uncompressed .bin of an ESP8266 sketch");
    return EXIT_PROBLEM;
}

static int run_set_boot(struct args *args)
{
    const char *path = args->operands[0], *name = args_value(args, "layout"), *out = args_value(args, "out");
    if (name == NULL) return command_usage_error(&command_image_set_boot, "--layout is missing");
    const struct sim_layout *layout = sim_layout_find(name);
    if (layout == NULL || layout->is_esp32) return unknown_layout(name);
    if (out == NULL) out = path;
    uint8_t *data;
    size_t len;
    if (!load_file(path, &data, &len)) return EXIT_PROBLEM;
    int status = set_boot(data, len, layout, path);
    if (status == EXIT_GOOD && !save_file(out, data, len)) {
        output_error("%s could not be written: %s", out, strerror(errno));
        status = EXIT_PROBLEM;
    }
    free(data);
    if (status == EXIT_GOOD)
        printf("%s: molt-boot %u (%u bytes) for layout %s, records at 0x%x\n", out, MOLT_BOOT_IMAGE_VERSION,
               molt_boot_image_len(), layout->name, layout->fs_start - MOLT_BOOT_KEEP_LEN);
    return status;
}

const struct command command_image_set_boot = {
    .name = "image set-boot",
    .operands = "FILE",
    .summary = "put molt's boot stage into an ESP8266 image",
    .more = "The image then brings molt-boot to a device by any update, also by Arduino's own Updater. From "
            "then on an "
            "update\nthat is cut by a power failure goes on, and one that does not prove itself goes back.\n"
            "While such an update replaces sector 0 (one erase and one write), a power cut leaves the chip "
            "without a boot "
            "stage.\n"
            "molt-boot takes raw images only: from Arduino's Updater no .gz.",
    .examples = "  molt image set-boot sketch.bin --layout 4M2M -o sketch-molt.bin",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_set_boot,
};
