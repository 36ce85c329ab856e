/* attempt_ddi.h - an attempt as a client of hawkBit's Direct Device Integration drives it (Eclipse hawkBit, DDI API v1):
 * poll, description of the job, artifact, feedback. Pure, as attempt.h, whose rules hold here too.
 *
 *   GET  root                  attempt_ddi_poll()      -> a link to the job, or to its cancellation
 *   GET  deploymentBase/ID     attempt_ddi_fetch(true) -> the description, of decision.artifact; else 404
 *   GET  artifact              attempt_ddi_fetch(false)-> 200 or 206; else 404
 *   POST deploymentBase/ID/feedback   attempt_ddi_feedback() -> 200, or 410; final ones only once they are durable
 *   POST cancelAction/ID/feedback     attempt_ddi_canceled() -> 200, or 410
 *   PUT  configData, installedBase    attempt_ddi_says()     -> 200
 *
 * The id of a job is the release's. */
#ifndef MOLT_SERVER_ATTEMPT_DDI_H
#define MOLT_SERVER_ATTEMPT_DDI_H

#include "attempt.h"

#define ATTEMPT_DDI_ACTION_MAX INT32_MAX /* clients read the id as an int */

/* What is known after a poll. */
struct attempt_ddi_job {
    int64_t action;     /* 0: there is none */
    bool cancel;        /* to be canceled, else to be done */
    bool wants_version; /* nobody knows what the device runs, or whether the update lasted */
    uint32_t again_s;   /* 0: as usual */
};

/* Decides, and announces what is offered. A job that the device took is canceled when it may not have it any more, or
 * may have another; not while it installs. */
enum devices_change attempt_ddi_poll(const struct rules *rules, struct model_device *device,
                                     const struct attempt_contact *contact, int64_t now_ms,
                                     struct attempt_ddi_job *job);

/* The job's artifact, for as long as nothing speaks against it. description: it is taken by this. */
enum devices_change attempt_ddi_fetch(const struct rules *rules, struct model_device *device, int64_t action,
                                      bool description, int64_t now_ms, struct decision *out);

/* What feedback says of a job, from its "execution" and "finished". */
enum attempt_ddi_report {
    ATTEMPT_DDI_RUNNING,    /* proceeding, scheduled, resumed */
    ATTEMPT_DDI_DOWNLOAD,   /* download */
    ATTEMPT_DDI_DOWNLOADED, /* downloaded */
    ATTEMPT_DDI_REJECTED,   /* rejected: a warning, the job stays */
    ATTEMPT_DDI_CANCELED,   /* canceled: the device gave up */
    ATTEMPT_DDI_SUCCESS,    /* closed with success or none: presumed, until the device says what it runs */
    ATTEMPT_DDI_FAILURE,    /* closed with failure */
};
/* 0; -MOLT_STATE when the job is not this device's last, or is over. detail: for people. */
int attempt_ddi_feedback(const struct rules *rules, struct model_device *device, int64_t action,
                         enum attempt_ddi_report report, const char *detail, bool verified, int64_t now_ms);

/* Feedback to a cancellation. Success: the job is undone, and may be offered again. Failure or rejected: it goes on, and is
 * not canceled again. Else nothing. 0 or -MOLT_STATE. */
int attempt_ddi_canceled(struct model_device *device, int64_t action, enum attempt_ddi_report report,
                         int64_t now_ms);

/* The device says what it runs (contact->version). After a claimed success another version is a rollback. */
enum devices_change attempt_ddi_says(const struct rules *rules, struct model_device *device,
                                     const struct attempt_contact *contact, int64_t now_ms);

#endif
