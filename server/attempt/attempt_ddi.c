/* attempt_ddi.c - an attempt as a hawkBit client (DDI) drives it: it fetches a description of the job, then the artifact,
 * and tells by feedback how it goes. Must never take "closed, success" for more than a claim: the device is updated when it
 * says the new version after that. Tests: test/unit/attempt_ddi_test.c. */
#include "attempt_ddi.h"

#include "attempt_parts.h"

#include <string.h>

static bool is_active(const struct model_device *device)
{
    return device->attempt_release_id != 0 &&
           (device->attempt == MODEL_ATTEMPT_OFFERED || device->attempt == MODEL_ATTEMPT_DOWNLOADING ||
            device->attempt == MODEL_ATTEMPT_DOWNLOADED || device->attempt == MODEL_ATTEMPT_TRIAL);
}

/* The device took the description: from then on the server must cancel what it wants undone. */
static bool is_taken(const struct model_device *device)
{
    return is_active(device) && device->attempt != MODEL_ATTEMPT_OFFERED;
}

/* Another server gave the device this job, of which this one has not heard yet. */
static void take_unknown(const struct rules *rules, struct model_device *device, int64_t action,
                         int64_t now_ms)
{
    const struct model_release *release = rules_release(rules, action);
    const struct model_release *known = rules_release(rules, device->attempt_release_id);
    if (!rules_shared(rules) || release == NULL || action == device->attempt_release_id || is_active(device))
        return;
    if (release->product_id != device->product_id || (known != NULL && known->code >= release->code)) return;
    attempt_announce(device, release, now_ms);
}

/* What it said it had installed it does not run: the update did not last. */
static void conclude_version(const struct rules *rules, struct model_device *device,
                             enum model_attempt before, int64_t now_ms)
{
    const struct model_release *release = rules_release(rules, device->attempt_release_id);
    if (release == NULL || before != MODEL_ATTEMPT_PRESUMED || device->attempt == MODEL_ATTEMPT_UPDATED)
        return;
    attempt_go(device, MODEL_ATTEMPT_ROLLED_BACK, MOLT_ROLLED_BACK);
    attempt_note(device, MOLT_ROLLED_BACK, release->version, now_ms);
}

enum devices_change attempt_ddi_says(const struct rules *rules, struct model_device *device,
                                     const struct attempt_contact *contact, int64_t now_ms)
{
    struct model_device before;
    memcpy(&before, device, sizeof before);
    enum attempt_evidence evidence = attempt_learn(rules, device, contact);
    if (evidence == ATTEMPT_SAYS_RUNNING) {
        attempt_settle(rules, device, now_ms);
        conclude_version(rules, device, before.attempt, now_ms);
    }
    attempt_settle_rollout(rules, device, contact->verified, now_ms);
    return attempt_changed(&before, device);
}

enum devices_change attempt_ddi_poll(const struct rules *rules, struct model_device *device,
                                     const struct attempt_contact *contact, int64_t now_ms,
                                     struct attempt_ddi_job *job)
{
    struct model_device before;
    struct decision decision;
    memcpy(&before, device, sizeof before);
    memset(job, 0, sizeof *job);
    (void)attempt_learn(rules, device, contact);
    attempt_settle_rollout(rules, device, contact->verified, now_ms);
    const struct decide_ask ask = {.component = MODEL_APP, .chip_said = contact->chip};
    decide(rules, device, &ask, now_ms, &decision);
    job->again_s = decision.again_s;
    const bool offered = decision.verdict == MOLT_VERDICT_OFFER;
    const bool same = offered && decision.release->id == device->attempt_release_id;
    if (is_taken(device) && !same) {
        const struct model_release *release = rules_release(rules, device->attempt_release_id);
        const bool goes_on = device->attempt == MODEL_ATTEMPT_TRIAL ||
                             (!offered && release != NULL && !release->yanked && !device->held &&
                              !attempt_is_stopped(rules, device, release));
        job->action = device->attempt_release_id;
        job->cancel = !goes_on;
    } else if (offered) {
        if (!is_taken(device)) attempt_announce_offer(device, &decision, now_ms);
        memcpy(device->attempt_sha256, decision.artifact->sha256, sizeof device->attempt_sha256);
        device->announced_ms = now_ms;
        job->action = decision.release->id;
    }
    if (job->action > ATTEMPT_DDI_ACTION_MAX) job->action = 0; /* clients read it as an int */
    job->wants_version = device->product_id == 0 || device->running_version[0] == '\0' ||
                         device->attempt == MODEL_ATTEMPT_PRESUMED;
    const bool underway = is_taken(device) && !job->cancel;
    if (!underway) attempt_record(device, &decision, MODEL_APP, now_ms);
    return attempt_changed(&before, device);
}

enum devices_change attempt_ddi_fetch(const struct rules *rules, struct model_device *device, int64_t action,
                                      bool description, int64_t now_ms, struct decision *out)
{
    struct model_device before;
    memcpy(&before, device, sizeof before);
    memset(out, 0, sizeof *out);
    out->reason = MOLT_NOT_FOUND;
    take_unknown(rules, device, action, now_ms);
    if (action != device->attempt_release_id || !is_active(device)) return DEVICES_UNCHANGED;
    if (device->attempt == MODEL_ATTEMPT_TRIAL) { /* it installs, and may look at the description again */
        device->attempt = MODEL_ATTEMPT_DOWNLOADED;
        attempt_carry_on(rules, NULL, device, device->attempt_sha256, now_ms, out);
        device->attempt = MODEL_ATTEMPT_TRIAL;
    } else {
        attempt_carry_on(rules, NULL, device, device->attempt_sha256, now_ms, out);
    }
    if (out->verdict != MOLT_VERDICT_OFFER) return DEVICES_UNCHANGED;
    device->announced_ms = now_ms;
    if (description && device->attempt == MODEL_ATTEMPT_OFFERED) {
        device->attempt = MODEL_ATTEMPT_DOWNLOADING;
        attempt_note(device, MOLT_DOWNLOADING, out->release->version, now_ms);
    }
    return attempt_changed(&before, device);
}

static void end(struct model_device *device, enum model_attempt state, int reason, const char *detail,
                int64_t now_ms)
{
    attempt_go(device, state, reason);
    attempt_note(device, reason, detail, now_ms);
}

/* Feedback to a job that is over: what repeats is taken again; a failure after a claimed success is a rollback. */
static int late_feedback(struct model_device *device, const struct model_release *release,
                         enum attempt_ddi_report report, const char *detail, int64_t now_ms)
{
    const bool ok = device->attempt == MODEL_ATTEMPT_PRESUMED || device->attempt == MODEL_ATTEMPT_UPDATED;
    const bool failed =
        device->attempt == MODEL_ATTEMPT_FAILED || device->attempt == MODEL_ATTEMPT_ROLLED_BACK;
    if (ok && report == ATTEMPT_DDI_FAILURE) {
        if (device->running_code == release->code) {
            device->running_code = 0;
            device->running_version[0] = '\0';
        }
        end(device, MODEL_ATTEMPT_ROLLED_BACK, MOLT_ROLLED_BACK, detail, now_ms);
        return 0;
    }
    if ((ok && report == ATTEMPT_DDI_SUCCESS) || (failed && report == ATTEMPT_DDI_FAILURE)) return 0;
    return -MOLT_STATE;
}

static void feedback(struct model_device *device, const struct model_release *release,
                     enum attempt_ddi_report report, const char *detail, int64_t now_ms)
{
    const struct model_image *image = NULL;
    enum molt_encoding encoding;
    switch (report) {
    case ATTEMPT_DDI_RUNNING:
    case ATTEMPT_DDI_REJECTED: /* a warning to hawkBit: the job stays */
        if (device->attempt == MODEL_ATTEMPT_OFFERED) device->attempt = MODEL_ATTEMPT_DOWNLOADING;
        attempt_note(device, MOLT_DOWNLOADING, detail, now_ms);
        break;
    case ATTEMPT_DDI_DOWNLOAD:
        if (device->attempt != MODEL_ATTEMPT_TRIAL) device->attempt = MODEL_ATTEMPT_DOWNLOADING;
        attempt_note(device, MOLT_DOWNLOADING, detail, now_ms);
        break;
    case ATTEMPT_DDI_DOWNLOADED:
        if (device->attempt != MODEL_ATTEMPT_TRIAL) device->attempt = MODEL_ATTEMPT_DOWNLOADED;
        attempt_note(device, MOLT_DOWNLOADED, detail, now_ms);
        break;
    case ATTEMPT_DDI_SUCCESS:
        (void)attempt_find_artifact(release, device->attempt_sha256, &image, &encoding);
        attempt_presume_runs(device, release, image, now_ms);
        break;
    case ATTEMPT_DDI_FAILURE:
        end(device, MODEL_ATTEMPT_FAILED, MOLT_INSTALL_FAILED, detail, now_ms);
        break;
    case ATTEMPT_DDI_CANCELED:
        end(device, MODEL_ATTEMPT_FAILED, MOLT_GIVEN_UP, detail, now_ms);
        break;
    }
}

int attempt_ddi_feedback(const struct rules *rules, struct model_device *device, int64_t action,
                         enum attempt_ddi_report report, const char *detail, bool verified, int64_t now_ms)
{
    const struct model_release *release = rules_release(rules, action);
    take_unknown(rules, device, action, now_ms);
    if (release == NULL || action != device->attempt_release_id || release->product_id != device->product_id)
        return -MOLT_STATE;
    int rc = 0;
    if (is_active(device))
        feedback(device, release, report, detail, now_ms);
    else
        rc = late_feedback(device, release, report, detail, now_ms);
    device->verified = verified;
    if (rc == 0) attempt_settle_rollout(rules, device, verified, now_ms);
    return rc;
}

int attempt_ddi_canceled(struct model_device *device, int64_t action, enum attempt_ddi_report report,
                         int64_t now_ms)
{
    if (action != device->attempt_release_id || !is_active(device)) return -MOLT_STATE;
    if (report == ATTEMPT_DDI_FAILURE || report == ATTEMPT_DDI_REJECTED) {
        device->attempt = MODEL_ATTEMPT_TRIAL; /* it installs already: nothing stops it now */
    } else if (report == ATTEMPT_DDI_SUCCESS) {
        device->attempt = MODEL_ATTEMPT_NONE;
        device->attempt_reason = 0;
        device->rollout_open = false; /* neither good nor bad: it may be offered again */
        attempt_note(device, MOLT_RECALLED, "", now_ms);
    }
    return 0;
}
