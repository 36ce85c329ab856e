/* cause.c - look-ups in the doctor's table. Must never hold a second list.
 * Tests: test/unit/doctor_causes_test.c. */
#include "cause.h"

#include "molt_reason.h"

static const struct doctor_cause causes[] = {
#define DOCTOR_CAUSE(symbol, group, platform, symptom, probe, remedy)                                        \
    {MOLT_##symbol, group, platform, symptom, probe, remedy},
#include "causes.def"
#undef DOCTOR_CAUSE
};

const struct doctor_cause *doctor_cause_at(size_t i)
{
    return i < sizeof causes / sizeof causes[0] ? &causes[i] : NULL;
}

const struct doctor_cause *doctor_cause_of(int reason)
{
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        if (causes[i].reason == reason) return &causes[i];
    }
    return NULL;
}

static const struct doctor_code codes[] = {
#define DOCTOR_CODE(number, platform, reach, symbol, when) {number, platform, reach, MOLT_##symbol, when},
#include "codes.def"
#undef DOCTOR_CODE
};

const struct doctor_code *doctor_code_at(size_t i)
{
    return i < sizeof codes / sizeof codes[0] ? &codes[i] : NULL;
}
