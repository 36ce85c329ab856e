/* fleet.h - the parts of bench-fleet. */
#ifndef MOLT_BENCH_FLEET_H
#define MOLT_BENCH_FLEET_H

#include <stdint.h>

/* The id of a device of the fleet: 12 hex digits, spread as hashes are. */
void fleet_id(uint32_t number, char id[13]);

/* Open loop: `rate` GETs a second of /fota/<id>.version for `seconds`, over 64 keep-alive connections, devices of
 * `fleet` in no order. Prints rate and latencies, counted from when each request was due. Exit status. */
int fleet_load(uint16_t port, double rate, double seconds, uint32_t fleet);

#endif
