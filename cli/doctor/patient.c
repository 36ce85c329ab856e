/* patient.c - virtual chips for the clients that the doctor plays. Must never claim more than the user said: what is not
 * said is Arduino's usual board. Tests: test/e2e/doctor/lab_test.py. */
#include "patient.h"

#include <stdlib.h>
#include <string.h>

#include "host/image_build.h"
#include "molt_reason.h"
#include "sim/layout.h"
#include "slots/esp32_otadata.h"
#include "util/bytes.h"

#define SKETCH_USUAL 400000u
#define ESP32_APP    0x10000u

/* Writes a synthetic firmware of the size into flash. */
static int flash_firmware(struct sim_flash *flash, enum molt_chip chip, uint32_t off, uint32_t size,
                          uint32_t flash_size)
{
    uint8_t *image;
    size_t len;
    int rc = image_build(
        &(struct image_build){
            .chip = chip, .size = size, .seed = 1, .flash_size = flash_size, .flash_mode = 2},
        &image, &len);
    if (rc < 0) return rc;
    if (off + len > flash->port.size) rc = -MOLT_ARG;
    if (rc == 0) sim_flash_program(flash, off, image, (uint32_t)len);
    free(image);
    return rc;
}

static int plan_esp8266(struct patient *p, uint32_t sketch)
{
    const struct sim_layout *layout = sim_layout_find(p->facts.layout != NULL ? p->facts.layout : "4M2M");
    if (layout == NULL || layout->is_esp32) return -MOLT_ARG;
    uint32_t fs_start = layout->fs_start;
    if (p->facts.free_space > 0)
        fs_start = p->facts.free_space / MOLT_SECTOR * MOLT_SECTOR + molt_round_up(sketch, MOLT_SECTOR);
    if (fs_start > layout->flash_size || molt_round_up(sketch, MOLT_SECTOR) >= fs_start) return -MOLT_ARG;
    p->esp8266_flash_size = layout->flash_size;
    p->esp8266_sketch = sketch;
    p->esp8266 = (struct stock_device){.chip = MOLT_CHIP_ESP8266,
                                       .core = p->facts.core,
                                       .flash = &p->esp8266_flash,
                                       .fs_start = fs_start,
                                       .fs_end = layout->fs_end > fs_start ? layout->fs_end : fs_start,
                                       .rtc = p->rtc};
    memcpy(p->esp8266.mac, p->facts.mac, 6);
    return 0;
}

static int plan_esp32(struct patient *p, uint32_t sketch)
{
    const struct sim_layout *layout = sim_layout_find("esp32-4M");
    const enum molt_chip chip = molt_chip_is_esp32_family(p->facts.chip) ? p->facts.chip : MOLT_CHIP_ESP32;
    const uint32_t slot = 0x140000u;
    const uint32_t room = p->facts.free_space > 0 ? p->facts.free_space / MOLT_SECTOR * MOLT_SECTOR : slot;
    const uint32_t need = ESP32_APP + slot + room;
    const uint32_t size = need > layout->flash_size ? 16u << 20 : layout->flash_size;
    if (need > size || sketch > slot) return -MOLT_ARG;
    p->esp32_flash_size = size;
    p->esp32_sketch = sketch;
    p->esp32 = (struct stock_device){.chip = chip,
                                     .core = p->facts.core,
                                     .flash = &p->esp32_flash,
                                     .running_off = ESP32_APP,
                                     .next_off = ESP32_APP + slot,
                                     .next_len = room,
                                     .next_slot = 1,
                                     .otadata_off = 0xE000,
                                     .slot_count = 2};
    memcpy(p->esp32.mac, p->facts.mac, 6);
    return 0;
}

int patient_power_on(struct patient *p)
{
    if (sim_flash_open(&p->esp8266_flash, &(struct sim_flash_config){.size = p->esp8266_flash_size}) < 0 ||
        sim_flash_open(&p->esp32_flash, &(struct sim_flash_config){.size = p->esp32_flash_size}) < 0)
        return -MOLT_NO_MEMORY;
    int rc =
        flash_firmware(&p->esp8266_flash, MOLT_CHIP_ESP8266, 0, p->esp8266_sketch, p->esp8266_flash_size);
    if (rc < 0) return rc;
    return flash_firmware(&p->esp32_flash, p->esp32.chip, ESP32_APP, p->esp32_sketch, 4u << 20);
}

int patient_begin(struct patient *patient, const struct patient_facts *facts)
{
    static const uint8_t usual_mac[6] = {0x5C, 0xCF, 0x7F, 0x0A, 0x0B, 0x0C};
    memset(patient, 0, sizeof *patient);
    patient->facts = *facts;
    if (!facts->has_mac) memcpy(patient->facts.mac, usual_mac, 6);
    const bool esp8266_only = facts->chip == MOLT_CHIP_ESP8266;
    const uint32_t sketch = facts->sketch_size > 0 ? facts->sketch_size : SKETCH_USUAL;
    int rc = plan_esp8266(patient, molt_chip_is_esp32_family(facts->chip) ? SKETCH_USUAL : sketch);
    if (rc < 0 && !molt_chip_is_esp32_family(facts->chip)) return rc;
    if (rc < 0) { /* the numbers are an ESP32's: the other chip is the usual one */
        patient->facts.free_space = 0;
        rc = plan_esp8266(patient, SKETCH_USUAL);
        patient->facts.free_space = facts->free_space;
    }
    if (rc < 0) return rc;
    if (esp8266_only) patient->facts.free_space = 0;
    rc = plan_esp32(patient, esp8266_only ? SKETCH_USUAL : sketch < 0x140000u ? sketch : SKETCH_USUAL);
    patient->facts.free_space = facts->free_space;
    return rc;
}

void patient_end(struct patient *patient)
{
    if (patient->esp8266_flash.bytes != NULL) sim_flash_close(&patient->esp8266_flash);
    if (patient->esp32_flash.bytes != NULL) sim_flash_close(&patient->esp32_flash);
}

void patient_use(struct patient *patient, const struct stock_wire *wire, int timeout_ms)
{
    patient->esp8266.wire = patient->esp32.wire = wire;
    patient->esp8266.read_timeout_ms = patient->esp32.read_timeout_ms = timeout_ms;
    patient->esp8266.body_timeout_ms = patient->esp32.body_timeout_ms = timeout_ms;
}

uint32_t patient_room(const struct patient *patient, bool esp32)
{
    if (esp32) return patient->esp32.next_len;
    const uint32_t sketch = patient->facts.sketch_size > 0 && !molt_chip_is_esp32_family(patient->facts.chip)
                                ? patient->facts.sketch_size
                                : SKETCH_USUAL;
    return patient->esp8266.fs_start - molt_round_up(sketch, MOLT_SECTOR);
}
