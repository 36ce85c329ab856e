/* clock.h - the wall clock that rows are stamped with and decisions are made by. One server: the machine's. One of several: the
 * database's, as it was last heard of, carried on by a clock of the machine that nobody can set. */
#ifndef MOLT_HOST_STORE_CLOCK_H
#define MOLT_HOST_STORE_CLOCK_H

#include <stdint.h>

/* Unix time in milliseconds. */
int64_t clock_now_ms(void);
/* Milliseconds since the machine started, with those that it slept. */
int64_t clock_up_ms(void);
/* The database said db_ms between the two moments (clock_up_ms()). What is known better already stays. */
void clock_follow(int64_t db_ms, int64_t before_ms, int64_t after_ms);

#endif
