/* rollout.h - the rules of rollouts, pure: who is in, who may be offered the release now, what an offer came to, when a
 * phase ends and when to pause. Time and counts are arguments; nothing here keeps state, locks or allocates.
 *
 * A device is in phase p when it is in any of the phases 0 to p: its bucket is below the phase's percentage and the
 * phase's filter matches. The bucket is a hash of salt and id, so a percentage that grows only adds devices, and no rows
 * are made in advance: the fields rollout_* of model_device are the row, made by the first offer. What rollouts mean to
 * their users: doc/rollouts.md. Tests: test/unit/rollout_test.c, test/property/rollout_property_test.c (against a slow
 * reference). */
#ifndef MOLT_SERVER_ROLLOUT_H
#define MOLT_SERVER_ROLLOUT_H

#include "host/filter/filter.h"
#include "host/filter/window.h"
#include "host/model.h"

/* A rollout with its filters compiled. NULL filters match every device; the text of a filter that does not compile
 * matches none. */
struct rollout_plan {
    /* what every poll looks at lies together: rollouts are large, and a decision passes many */
    const struct model_rollout *rollout;
    int64_t start_ms;
    uint64_t seed; /* of the buckets */
    enum model_rollout_status status;
    uint32_t max_open;
    uint32_t reached;                  /* phases that have begun */
    uint32_t bounds[MODEL_PHASES_MAX]; /* buckets below are in the phase */
    bool has_window;                   /* a window that cannot be read is never open */
    struct window window;
    struct filter *target;                   /* owned */
    struct filter *phases[MODEL_PHASES_MAX]; /* owned */
};

/* How the devices of a rollout are doing now. A device counts in the rollout that last offered it something. */
struct rollout_counts {
    uint32_t offered;                     /* devices, whatever became of it */
    uint32_t open;                        /* offers without a result yet */
    uint32_t succeeded, presumed, failed; /* results that count (believed), timeouts among the failed */
    /* 1: one of several servers: it has `mine` open and may have `slots`; max_open is no matter */
    uint32_t leased;
    int64_t last_success_ms; /* 0: none since the server started */
    uint32_t mine, slots;
};

/* Compiles the filters. False when memory is short. */
bool rollout_compile(struct rollout_plan *plan, const struct model_rollout *rollout);
void rollout_plan_free(struct rollout_plan *plan);

/* Of 0 to MODEL_BUCKETS - 1; the same for the same salt and id, on every machine. */
uint32_t rollout_bucket(const struct model_rollout *rollout, const char *device_id);
/* The same, of a compiled one. */
uint32_t rollout_plan_bucket(const struct rollout_plan *plan, const char *device_id);

/* Why the device may not be offered the rollout's release now, or 0. */
struct rollout_answer {
    int reason; /* MOLT_ROLLOUT_*, MOLT_NOT_TARGETED, MOLT_NOT_IN_PHASE, MOLT_RETRY_LATER, MOLT_QUARANTINED */
    uint32_t again_s; /* for those that pass by themselves: come back in */
    bool terse;       /* set by the caller: detail is not wanted, and stays "" */
    /* set by the caller: detail says what holds for this device and this moment only, too. What is
     * recorded at each poll does not: it would be another text for each device, and another one at each
     * poll. */
    bool exact;
    char detail[MODEL_DETAIL_LEN];
};
/* whole: the rules of retries and of devices at a time too (an application, which is installed and reports). */
void rollout_gate(const struct rollout_plan *plan, const struct filter_subject *subject,
                  const struct rollout_counts *counts, bool whole, struct rollout_answer *out);

/* The rollout's release was just announced to the device. */
void rollout_offer(const struct model_rollout *rollout, struct model_device *device, int64_t now_ms);
/* Takes over what became of the offer from device->attempt, or that it timed out. rollout: the one with
 * device->rollout_id, NULL when there is none. believed: the result is verified, or the product trusts it. True when
 * something changed. Idempotent. */
bool rollout_settle(const struct model_rollout *rollout, struct model_device *device, bool believed,
                    int64_t now_ms);

/* May a failed device have the release again? (the pause between is rollout_gate()'s) */
bool rollout_may_retry(const struct model_rollout *rollout, const struct model_device *device);

/* A person lets the device out of quarantine: what failed there is offered again, as if it had not been tried. False: nothing
 * failed there, or something is on its way; the device is as it was. */
bool rollout_lift(struct model_device *device);

/* ---- the course of a rollout; *next is a changed copy ---- */

/* Pauses, goes to the next phase, or ends. True when there is something to do. */
bool rollout_judge(const struct model_rollout *rollout, const struct rollout_counts *counts, int64_t now_ms,
                   struct model_rollout *next);

enum rollout_act { ROLLOUT_PAUSE, ROLLOUT_RESUME, ROLLOUT_NEXT, ROLLOUT_ABORT };
/* who approves of a rollout that waits. 0; -MOLT_STATE: it does not wait; -MOLT_SECOND_PERSON: who made it himself, or is
 * not known. */
int rollout_approve(const struct model_rollout *rollout, const char *who, int64_t now_ms,
                    struct model_rollout *next);
/* A person's order. Resuming acknowledges: the failures so far pause it no more. 0, or -MOLT_STATE: not in this
 * status. */
int rollout_act(const struct model_rollout *rollout, const struct rollout_counts *counts,
                enum rollout_act act, int64_t now_ms, struct model_rollout *next);

#endif
