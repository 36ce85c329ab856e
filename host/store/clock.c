/* clock.c - which wall clock it is (clock.h). Must never follow the machine's once it follows the database's.
 * Tests: test/unit/store_clock_test.c. */
#include "clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
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

/* Each answer says between which two numbers the offset lies; together they say more than the last one alone, whose way may have been
 * long. The machine's clock may be off by a ten-thousandth, so what was known gets less sure. */
void clock_follow(int64_t db_ms, int64_t before_ms, int64_t after_ms)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int64_t least, most;
    pthread_mutex_lock(&lock);
    const int64_t new_least = db_ms - after_ms, new_most = db_ms - before_ms + 1;
    const bool known = atomic_load(&ahead) != 0;
    least = known && least - 1 > new_least ? least - 1 : new_least;
    most = known && most + 1 < new_most ? most + 1 : new_most;
    if (least > most) { /* the database's clock was set, or it is another machine's */
        least = new_least;
        most = new_most;
    }
    atomic_store(&ahead, least + (most - least) / 2);
    pthread_mutex_unlock(&lock);
}
