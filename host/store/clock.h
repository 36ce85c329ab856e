/* clock.h - the wall clock, as the store stamps its rows with it. */
#ifndef MOLT_HOST_STORE_CLOCK_H
#define MOLT_HOST_STORE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Unix time in milliseconds. */
static inline int64_t clock_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
