/* cause.h - the doctor's one table: what can be wrong, how it shows, how it is found and what to do (causes.def). A
 * cause is a reason of molt_reason.def, which has its id and its sentence. */
#ifndef MOLT_CLI_DOCTOR_CAUSE_H
#define MOLT_CLI_DOCTOR_CAUSE_H

#include <stddef.h>

/* Where a cause lies; the sections of doc/troubleshooting.md. */
enum doctor_group {
    DOCTOR_NETWORK,
    DOCTOR_TLS,
    DOCTOR_HTTP,
    DOCTOR_VERSION,
    DOCTOR_BIN,
    DOCTOR_BOOT,
    DOCTOR_FLEET,
};

struct doctor_cause {
    int reason; /* enum molt_reason */
    enum doctor_group group;
    const char *platform, *symptom, *probe, *remedy;
};

/* The i-th row, NULL behind the last. Static. */
const struct doctor_cause *doctor_cause_at(size_t i);

/* The row of a reason, NULL when the doctor has none. */
const struct doctor_cause *doctor_cause_of(int reason);

#endif
