/* rollout_reference.h - rollouts again, slow and obvious: it keeps a log of what happened and works everything out of it
 * anew for every question. Written from doc/rollouts.md, not from server/rollouts/rollout.c. */
#ifndef MOLT_TEST_ROLLOUT_REFERENCE_H
#define MOLT_TEST_ROLLOUT_REFERENCE_H

#include "unit/world.h"

#define REF_DEVICES 6
#define REF_EVENTS  4096

enum ref_kind { REF_OFFERED = 1, REF_SUCCEEDED, REF_FAILED, REF_TIMED_OUT, REF_LEFT, REF_CLOCK };

struct ref_event {
    enum ref_kind kind;
    int device;
    int64_t rollout_id, ms; /* REF_OFFERED: 0 for a release without a rollout */
    bool believed;
};

struct reference {
    struct world *world; /* the definitions; its rollouts' status and phase are kept by the reference */
    struct ref_event events[REF_EVENTS];
    uint32_t count;
    /* events when the poll began: a device that just ended is still counted as being at it */
    uint32_t before_poll;
    /* id, tags, pin, held, running_code, verified: as the test sets them */
    struct model_device devices[REF_DEVICES];
    int64_t failed_release[REF_DEVICES];  /* the release whose last try failed on the device, 0: none */
    int64_t offered_release[REF_DEVICES]; /* the release last offered */
};

/* A device says that the release last offered to it runs, or failed. */
void ref_report(struct reference *ref, int device, bool success, bool believed, int64_t now_ms);
/* What follows from the time that passed, for one device; at each poll, and for all at a sweep. */
void ref_look(struct reference *ref, int device, bool believed, int64_t now_ms);
/* The reason that a poll is answered with; *release: the one offered, with MOLT_OFFERED. */
int ref_decide(const struct reference *ref, int device, int64_t now_ms, const struct model_release **release);
/* The release is offered. */
void ref_offer(struct reference *ref, int device, const struct model_release *release, int64_t now_ms);
void ref_counts(const struct reference *ref, int64_t rollout_id, struct rollout_counts *out);
/* Judges one rollout, as once a second. */
void ref_judge(struct reference *ref, struct model_rollout *rollout, int64_t now_ms);
/* Somebody approves of it; false: refused. */
bool ref_approve(struct model_rollout *rollout, const char *who, int64_t now_ms);
/* A person's order; false: refused. */
bool ref_act(struct reference *ref, struct model_rollout *rollout, enum rollout_act act, int64_t now_ms);

#endif
