/* fleet.h - the parts of bench-fleet. */
#ifndef MOLT_BENCH_FLEET_H
#define MOLT_BENCH_FLEET_H

#include <stdbool.h>
#include <stdint.h>

struct store;

/* The id of a device of the fleet: 12 hex digits, spread as hashes are. */
void fleet_id(uint32_t number, char id[13]);

/* Ends the program, saying what it cannot do. */
void need(bool truth, const char *what);
/* Seconds: on the wall, of CPU of this thread, and of the whole process. */
double wall(void);
double thread_cpu(void);
double process_cpu(void);
struct store *fleet_store(const char *dir, const char *url, bool create);

/* Results: how many a second are durable in the log, in batches as the writer makes them; how many a second end as rows, all told. */
void fleet_results(const char *dir, const char *url);

/* Questions of people: ms of CPU each. */
void fleet_queries(const char *dir, const char *url);

/* Open loop: `rate` GETs a second of /fota/<id>.version for `seconds`, over 64 keep-alive connections, devices of
 * `fleet` in no order. Prints rate and latencies, counted from when each request was due. Exit status. */
int fleet_load(uint16_t port, double rate, double seconds, uint32_t fleet);

#endif
