/* cause.h - the doctor's one table: what can be wrong, how it shows, how it is found and what to do (causes.def). A
 * cause is a reason of molt_reason.def, which has its id and its sentence. And the numbers that sketches print (codes.def). */
#ifndef MOLT_CLI_DOCTOR_CAUSE_H
#define MOLT_CLI_DOCTOR_CAUSE_H

#include <stddef.h>

#include "sim/stock_http.h"

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

/* What can make a number that a sketch prints. */
enum code_reach { CODE_SERVER, CODE_FILE, CODE_LOG, CODE_NEVER };

/* A number that a sketch can print for an update (codes.def). */
struct doctor_code {
    int number;
    enum stock_platform platform;
    enum code_reach reach;
    int reason; /* the cause, when nothing but the number is known */
    const char *when;
};

/* The i-th row, NULL behind the last. Static. */
const struct doctor_code *doctor_code_at(size_t i);

#endif
