/* clock.c - which wall clock it is (clock.h). Must never follow the machine's once it follows the database's.
 * Tests: test/unit/clock_test.c. */
#include "clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t ahead; /* of clock_up_ms(); 0: the machine's own */

static int64_t read_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_up_ms(void)
{
    return read_ms(CLOCK_BOOTTIME);
}

int64_t clock_now_ms(void)
{
    const int64_t offset = atomic_load_explicit(&ahead, memory_order_relaxed);
    return offset != 0 ? clock_up_ms() + offset : read_ms(CLOCK_REALTIME);
}

void clock_follow(int64_t db_ms, int64_t before_ms, int64_t after_ms)
{
    const int64_t least = db_ms - after_ms,
                  most = db_ms - before_ms + 1; /* it lies between, whatever the way took */
    const int64_t is = atomic_load(&ahead);
    if (is == 0)
        atomic_store(&ahead, least + (most - least) / 2);
    else if (is < least)
        atomic_store(&ahead, least);
    else if (is > most)
        atomic_store(&ahead, most);
}
