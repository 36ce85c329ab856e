/* molt_boot.h - a virtual ESP8266 whose sector 0 holds molt-boot: the core that runs on the chip, above virtual flash.
 *
 *     if (sim_molt_boot_is_there(&flash.port)) sim_molt_boot_run(&flash.port, &rtc, MOLT_BOOT_RESET, &result); */
#ifndef MOLT_SIM_MOLT_BOOT_H
#define MOLT_SIM_MOLT_BOOT_H

#include "../firmware/boot/esp8266/boot.h"
#include "eboot.h"

/* True when sector 0 carries molt-boot's trailer. */
bool sim_molt_boot_is_there(const struct molt_flash *flash);

struct sim_molt_boot_result {
    int rc;         /* negative: it could not finish; the chip resets and tries again */
    bool found;     /* there is a record; state is its last one */
    uint32_t state; /* boot_record.h */
    bool started;   /* the loader jumped into the sketch at 0x1000 */
};

/* One reset. */
void sim_molt_boot_run(const struct molt_flash *flash, struct sim_rtc *rtc, enum molt_boot_cause cause,
                       struct sim_molt_boot_result *result);

#endif
