/* chip_images.h - an old and a new image of an ESP8266 and of an ESP32, and the new ones compressed. Included once a program; build_all()
 * makes them and free_all() lets them go, as a group's set-up and end unless the program has more to build. */
#ifndef MOLT_TEST_CHIP_IMAGES_H
#define MOLT_TEST_CHIP_IMAGES_H

#include <stdlib.h>

#include "chip_rig.h"

static struct rig_blob old8266, new8266, new8266_gz, old32, new32, new32_gz;

static int build_all(void **state)
{
    (void)state;
    old8266 = rig_image(MOLT_CHIP_ESP8266, 0x6040, 1, 512u << 10);
    new8266 = rig_image(MOLT_CHIP_ESP8266, 0x7130, 2, 512u << 10);
    old32 = rig_image(MOLT_CHIP_ESP32, 0x6040, 1, 4u << 20);
    new32 = rig_image(MOLT_CHIP_ESP32, 0x7130, 2, 4u << 20);
    new8266_gz = rig_gzip(&new8266, 15);
    new32_gz = rig_gzip(&new32, 15);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    struct rig_blob *all[] = {&old8266, &new8266, &new8266_gz, &old32, &new32, &new32_gz};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]->data);
    return 0;
}

#endif
