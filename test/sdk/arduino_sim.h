/* arduino_sim.h - what the parts of the simulated Arduino cores share. */
#ifndef SDK_ARDUINO_SIM_H
#define SDK_ARDUINO_SIM_H

#include <Arduino.h>

/* Ends the run: the sketch or the library did what the SDK would not take. */
[[noreturn]] void sdk_fail(const char *what);

/* A line of the SDK's own in the output, between the sketch's. */
void sdk_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What was done to the flash since the start. */
struct sdk_flash_count {
    uint64_t erases, writes, read_bytes;
};

/* One loop() of the sketch; count tells. Ends the run when it takes longer than arduino.h promises, unless the sketch is one that
 * waits (SDK_LAZY=1). */
void sdk_loop(sdk_flash_count (*count)());

/* A connected socket to the server that stands for every host's port; -1: it could not be reached. */
int sdk_connect(uint16_t port);

/* The chip's clock: 1970 at power-on until configTime() or settimeofday() set it. */
uint32_t sdk_time(void);

#endif
