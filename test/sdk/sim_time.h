/* sim_time.h - the time of simulated chips: the PC's while a connection is open; while none is, waits take no time, so that
 * tests do not sit through the pauses between two checks. A run ends badly that has come to no end in an hour of that time or in
 * 120 starts. */
#ifndef SDK_SIM_TIME_H
#define SDK_SIM_TIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

uint64_t sdk_now_us(void); /* since the start */

/* The chip waits so long. */
void sdk_wait_us(uint64_t us);

/* The same, and nobody outside is waited for, whatever is open. */
void sdk_skip_us(uint64_t us);

/* What was read from flash is hashed: a microsecond for each byte, as an ESP8266 about takes. */
void sdk_hash_us(size_t len);

/* sdk_wait_us() between two turns of a loop, which waits for nothing while a connection is open. */
void sdk_pass_us(uint64_t us);

/* A connection was opened or closed: +1, -1. */
void sdk_count_open(int change);

/* Call it at each start: the environment counts them. */
void sdk_count_start(void);

#ifdef __cplusplus
}
#endif
#endif
