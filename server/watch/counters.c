/* counters.c - the process's counters (counters.h). Must never cost a request more than an addition.
 * Tests: test/unit/metrics_test.c. */
#include "counters.h"

#include <stdatomic.h>

static const struct counters_row rows[] = {
#define COUNTER(symbol, metric, labels, help) {metric, labels, help},
#include "counters.def"
#undef COUNTER
};
static atomic_ullong counts[COUNTER_COUNT], reasons[COUNTERS_REASON_MAX];

void counters_add(enum counter counter)
{
    atomic_fetch_add_explicit(&counts[counter], 1, memory_order_relaxed);
}

void counters_decided(int reason)
{
    if (reason < 0 || reason >= COUNTERS_REASON_MAX) reason = 0;
    atomic_fetch_add_explicit(&reasons[reason], 1, memory_order_relaxed);
}

const struct counters_row *counters_row(enum counter counter)
{
    return &rows[counter];
}

uint64_t counters_read(enum counter counter)
{
    return atomic_load_explicit(&counts[counter], memory_order_relaxed);
}

uint64_t counters_read_reason(int reason)
{
    return reason >= 0 && reason < COUNTERS_REASON_MAX
               ? atomic_load_explicit(&reasons[reason], memory_order_relaxed)
               : 0;
}
