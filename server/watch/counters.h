/* counters.h - what happened since the process began, by kind: for GET /metrics. One set a process, as there is one log. Any thread
 * may count at any time; it is one relaxed addition. Tests: test/unit/metrics_test.c. */
#ifndef MOLT_SERVER_COUNTERS_H
#define MOLT_SERVER_COUNTERS_H

#include <stdint.h>

enum counter {
#define COUNTER(symbol, metric, labels, help) COUNTER_##symbol,
#include "counters.def"
#undef COUNTER
    COUNTER_COUNT
};
#define COUNTERS_REASON_MAX 512 /* numbers of molt_reason.def are smaller */

struct counters_row {
    const char *metric, *labels, *help;
};

void counters_add(enum counter counter);
/* A decision: its reason (0 to COUNTERS_REASON_MAX - 1) says its verdict, too. */
void counters_decided(int reason);

const struct counters_row *counters_row(enum counter counter);
uint64_t counters_read(enum counter counter);
uint64_t counters_read_reason(int reason);

#endif
