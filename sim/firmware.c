/* firmware.c - reads and builds virtual firmware. Tests: test/e2e/sim_device_test.sh. */
#include "firmware.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/facts.h"
#include "host/image_build.h"

static const char *const behaviour_names[] = {"healthy", "crash", "hang", "unhealthy"};

static const char *behaviour_name(enum sim_behaviour behaviour)
{
    return behaviour_names[behaviour];
}

int sim_behaviour_from_name(const char *name, enum sim_behaviour *behaviour)
{
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, behaviour_names[i]) == 0) {
            *behaviour = (enum sim_behaviour)i;
            return 0;
        }
    }
    return -MOLT_ARG;
}

void sim_firmware_read(const uint8_t *image, size_t len, struct sim_firmware *firmware)
{
    char value[65];
    *firmware = (struct sim_firmware){.behaviour = SIM_HEALTHY};
    if (!facts_tag(image, len, "code", value, sizeof value)) return;
    (void)facts_version_code(value, &firmware->code);
    (void)facts_tag(image, len, "version", firmware->version, sizeof firmware->version);
    (void)facts_tag(image, len, "product", firmware->product, sizeof firmware->product);
    if (facts_tag(image, len, "behaviour", value, sizeof value)) {
        (void)sim_behaviour_from_name(value, &firmware->behaviour);
    }
}

int sim_firmware_build(const struct sim_firmware_spec *spec, uint8_t **image, size_t *len)
{
    char code[16];
    snprintf(code, sizeof code, "%u", spec->code);
    struct image_build_tag tags[6] = {
        {"version", spec->version != NULL ? spec->version : code},
        {"code", code},
        {"confirm", "1"},
        {"behaviour", behaviour_name(spec->behaviour)},
    };
    size_t count = 4;
    if (spec->product != NULL) tags[count++] = (struct image_build_tag){"product", spec->product};
    const struct image_build build = {
        .chip = spec->chip,
        .size = spec->size > 0 ? spec->size : 300000,
        .seed = spec->seed > 0 ? spec->seed : 1,
        .version = spec->version != NULL ? spec->version : code,
        .project = spec->product,
        .flash_size = spec->flash_size,
        .flash_mode = 2,
        .tags = tags,
        .tag_count = count,
    };
    return image_build(&build, image, len);
}
