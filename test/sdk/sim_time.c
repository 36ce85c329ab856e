/* sim_time.c - see sim_time.h. Must never let time run ahead while somebody else is waited for.
 * Tests: all sketches of sketches_test.sh run by it. */
#include "sim_time.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t ahead_us; /* of the PC's clock */
static int open_count;

uint64_t sdk_now_us(void)
{
    static uint64_t start_us; /* power-on */
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    const uint64_t now_us = (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
    if (start_us == 0) start_us = now_us;
    return now_us - start_us + ahead_us;
}

static void give_up(const char *what)
{
    fprintf(stderr, "sim_time: %s\n", what);
    exit(3);
}

void sdk_skip_us(uint64_t us)
{
    ahead_us += us;
    if (ahead_us > 3600u * (uint64_t)1000000u) give_up("an hour has gone by");
}

void sdk_hash_us(size_t len)
{
    sdk_skip_us(len);
}

void sdk_wait_us(uint64_t us)
{
    if (open_count > 0) {
        const struct timespec ts = {(time_t)(us / 1000000u), (long)(us % 1000000u) * 1000};
        nanosleep(&ts, NULL);
        return;
    }
    sdk_skip_us(us);
}

void sdk_pass_us(uint64_t us)
{
    if (open_count == 0) sdk_wait_us(us);
}

void sdk_count_open(int change)
{
    open_count += change;
}

void sdk_count_start(void)
{
    const char *text = getenv("SDK_STARTS");
    const long starts = (text != NULL ? strtol(text, NULL, 10) : 0) + 1;
    char next[24];
    if (starts > 120) give_up("it starts again and again");
    snprintf(next, sizeof next, "%ld", starts);
    setenv("SDK_STARTS", next, 1);
}
