/* patient.h - the device that the doctor plays: what the user said of it, and the virtual chips that the clients run on. */
#ifndef MOLT_CLI_DOCTOR_PATIENT_H
#define MOLT_CLI_DOCTOR_PATIENT_H

#include "sim/stock_update.h"

/* Whose clients are asked about. */
enum patient_family { PATIENT_ANY, PATIENT_ESP8266, PATIENT_ESP32 };

/* What the user said. Zero: not said. */
struct patient_facts {
    uint8_t mac[6];
    bool has_mac, idf_only;
    int64_t version; /* FW_VERSION of the sketch, -1: not said */
    enum molt_chip chip;
    const char *layout; /* of an ESP8266 */
    uint32_t sketch_size, free_space;
    enum stock_core core;
    uint32_t tls_buffer;
};

/* Both chips, with a firmware of the right size in their flash. */
struct patient {
    struct patient_facts facts;
    uint32_t esp8266_flash_size, esp32_flash_size, esp8266_sketch, esp32_sketch; /* bytes */
    struct sim_flash esp8266_flash, esp32_flash;
    uint8_t rtc[MOLT_EBOOT_COMMAND_LEN];
    struct stock_device esp8266, esp32;
};

/* Works out both from the facts; no flash yet. 0, or -MOLT_ARG when layout, sketch size and free space do not go
 * together. */
int patient_begin(struct patient *patient, const struct patient_facts *facts);
/* Gives them their flash, which the clients need. 0, -MOLT_ARG, -MOLT_NO_MEMORY. */
int patient_power_on(struct patient *patient);
void patient_end(struct patient *patient);

/* Makes both chips' clients travel over wire; timeout_ms: for each of their waits. */
void patient_use(struct patient *patient, const struct stock_wire *wire, int timeout_ms);

/* The largest file that the device takes beside what it runs, bytes. */
uint32_t patient_room(const struct patient *patient, bool esp32);

#endif
