/* eboot.h - a virtual ESP8266's boot stage: Arduino's eboot, with the RTC memory that its command lies in.
 *
 *     sim_rtc_power_on(&rtc);                      // after a power cut: the command is lost
 *     sim_eboot_run(&flash.port, &rtc, &result);   // after every reset
 *     if (result.started) ...                      // whatever lies at 0x1000 is running now, good or not
 *
 * As on the chip, nothing is verified, and a cut inside the copy leaves a half-written sketch.
 * Sources: esp8266/Arduino bootloaders/eboot/eboot.c, eboot_command.c (3.1.2). */
#ifndef MOLT_SIM_EBOOT_H
#define MOLT_SIM_EBOOT_H

#include "slots/esp8266_eboot.h"

/* RTC user memory as far as eboot uses it. Keeps its content over resets, loses it without power. */
struct sim_rtc {
    uint8_t bytes[MOLT_EBOOT_COMMAND_LEN];
};

/* Fills it with what is no command. */
void sim_rtc_power_on(struct sim_rtc *rtc);

/* What libmolt gets; rtc must outlive it. */
struct molt_rtc sim_rtc_port(struct sim_rtc *rtc);

/* What eboot prints behind "cp:". */
enum sim_eboot_copy {
    SIM_EBOOT_COPIED = 0,
    SIM_EBOOT_ALIGNMENT = 1,
    SIM_EBOOT_ERASE = 2,
    SIM_EBOOT_READ = 3,
    SIM_EBOOT_WRITE = 4,
    SIM_EBOOT_GZIP_HEADER = 5,
    SIM_EBOOT_INFLATE = 6,
    SIM_EBOOT_NO_COPY = -1,
};

struct sim_eboot_result {
    bool had_command;         /* a valid RTC command was found ("@"); it is cleared in every case */
    enum sim_eboot_copy copy; /* result of the copy; not 0: the chip resets itself and runs what is there */
    bool sector0_same;        /* the copy skipped eboot's own sector ("B") */
    bool started;             /* the loader jumped into the sketch at 0x1000. It checks nothing but that the
                                 segments can be read: a half-copied sketch is started too, and crashes */
    int load_error;           /* when not started: the digit behind "e:", 1 to 3 */
    uint32_t entry;           /* when started */
};

/* One reset, and the further ones that eboot causes itself when a copy fails. */
void sim_eboot_run(const struct molt_flash *flash, struct sim_rtc *rtc, struct sim_eboot_result *result);

#endif
