/* firmware.h - what a virtual firmware is and does, read from the tag in its image, and how to build one. */
#ifndef MOLT_SIM_FIRMWARE_H
#define MOLT_SIM_FIRMWARE_H

#include <stddef.h>
#include <stdint.h>

#include "molt_chip.h"

enum sim_behaviour {
    SIM_HEALTHY,   /* runs, its health check says yes */
    SIM_CRASHES,   /* crashes as soon as it runs */
    SIM_HANGS,     /* hangs until the watchdog fires */
    SIM_UNHEALTHY, /* runs, its health check says no */
};

/* "healthy", "crash", "hang" or "unhealthy": 0 and *behaviour, or -MOLT_ARG. */
int sim_behaviour_from_name(const char *name, enum sim_behaviour *behaviour);

struct sim_firmware {
    uint32_t code; /* 0: the image has no tag */
    char version[65], product[65];
    enum sim_behaviour behaviour;
};

/* Reads the tag of an image; an image without one is healthy and has code 0. */
void sim_firmware_read(const uint8_t *image, size_t len, struct sim_firmware *firmware);

struct sim_firmware_spec {
    enum molt_chip chip;
    uint32_t code;
    const char *version; /* NULL: the code in digits */
    const char *product; /* NULL: none */
    enum sim_behaviour behaviour;
    uint32_t size; /* bytes; 0: 300000 */
    uint32_t seed; /* of the content; 0: 1. Two versions with one seed differ as two builds of one program */
    uint32_t flash_size; /* bytes, for the header; 0: 4 MB */
};

/* Builds an image (host/image_build.h) that carries the tag. *image is malloc'ed, the caller frees it.
 * 0, -MOLT_ARG or -MOLT_NO_MEMORY. */
int sim_firmware_build(const struct sim_firmware_spec *spec, uint8_t **image, size_t *len);

#endif
