/* rollout.c - the rules of rollouts (rollout.h). Must never read a clock, keep state or offer on doubt: what cannot be
 * read matches no device. Tests: test/unit/rollout_test.c, test/property/rollout_property_test.c. */
#include "rollout.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../decide/decide.h"
#include "molt_reason.h"

#define FULL_AGAIN_S  60
#define RETRY_DOUBLES 10 /* pauses between retries grow up to this often */

static bool compile(struct filter **out, const char *text)
{
    *out = NULL;
    if (text[0] == '\0') return true;
    *out = malloc(sizeof **out);
    if (*out == NULL) return false;
    (void)filter_parse(*out, text, NULL, 0); /* on failure it matches nothing */
    return true;
}

/* FNV-1a over the salt's eight bytes, the lowest first. */
static uint64_t seed_of(const struct model_rollout *rollout)
{
    uint64_t salt = (uint64_t)(rollout->salt != 0 ? rollout->salt : rollout->id);
    uint64_t hash = 0xCBF29CE484222325u;
    for (int i = 0; i < 8; i++)
        hash = (hash ^ (salt >> (8 * i) & 0xFF)) * 0x100000001B3u;
    return hash;
}

bool rollout_compile(struct rollout_plan *plan, const struct model_rollout *rollout)
{
    *plan = (struct rollout_plan){.rollout = rollout,
                                  .start_ms = rollout->start_ms,
                                  .seed = seed_of(rollout),
                                  .status = rollout->status,
                                  .max_open = rollout->max_open};
    while (plan->reached <= rollout->phase && plan->reached < rollout->phase_count) {
        /* 10000 hundredths are all buckets; below, what is left of a bucket does not count */
        uint64_t bound = (uint64_t)rollout->phases[plan->reached].percent * MODEL_BUCKETS / 10000;
        plan->bounds[plan->reached++] = bound > MODEL_BUCKETS ? MODEL_BUCKETS : (uint32_t)bound;
    }
    plan->has_window = rollout->window[0] != '\0';
    if (plan->has_window) (void)window_parse(&plan->window, rollout->window);
    bool ok = compile(&plan->target, rollout->target);
    for (uint32_t i = 0; ok && i < rollout->phase_count; i++)
        ok = compile(&plan->phases[i], rollout->phases[i].filter);
    return ok;
}

void rollout_plan_free(struct rollout_plan *plan)
{
    free(plan->target);
    for (int i = 0; i < MODEL_PHASES_MAX; i++)
        free(plan->phases[i]);
}

/* FNV-1a goes on over the id; then mixed, so that ids which differ in their last digit do not lie side by side. */
static uint32_t bucket_of(uint64_t hash, const char *device_id)
{
    for (const char *p = device_id; *p != '\0'; p++)
        hash = (hash ^ (uint8_t)*p) * 0x100000001B3u;
    hash = (hash ^ hash >> 33) * 0xFF51AFD7ED558CCDu;
    hash = (hash ^ hash >> 33) * 0xC4CEB9FE1A85EC53u;
    return (uint32_t)(hash >> 48);
}

uint32_t rollout_bucket(const struct model_rollout *rollout, const char *device_id)
{
    return bucket_of(seed_of(rollout), device_id);
}

uint32_t rollout_plan_bucket(const struct rollout_plan *plan, const char *device_id)
{
    return bucket_of(plan->seed, device_id);
}

/* ---- who may be offered it now ---- */

static void say(struct rollout_answer *out, int reason, int64_t again_ms, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void say(struct rollout_answer *out, int reason, int64_t again_ms, const char *format, ...)
{
    if (!out->terse) {
        va_list values;
        va_start(values, format);
        vsnprintf(out->detail, sizeof out->detail, format, values);
        va_end(values);
    }
    out->reason = reason;
    int64_t again_s = again_ms / 1000 + 1;
    out->again_s = again_ms <= 0 ? 0 : again_s > 86400 ? 86400 : (uint32_t)again_s;
}

static bool in_phase(const struct rollout_plan *plan, const struct filter_subject *subject, uint32_t bucket)
{
    for (uint32_t i = 0; i < plan->reached; i++) {
        if (bucket >= plan->bounds[i]) continue;
        if (plan->phases[i] == NULL || filter_match(plan->phases[i], subject)) return true;
    }
    return false;
}

static int64_t retry_at(const struct model_rollout *rollout, const struct model_device *device)
{
    uint32_t doubles = device->rollout_failures > 0 ? device->rollout_failures - 1 : 0;
    if (doubles > RETRY_DOUBLES) doubles = RETRY_DOUBLES;
    return device->rollout_ms + ((int64_t)rollout->retry_s * 1000 << doubles);
}

bool rollout_may_retry(const struct model_rollout *rollout, const struct model_device *device)
{
    return device->rollout_id == rollout->id && device->rollout_failures > 0 &&
           device->rollout_failures <= rollout->retries;
}

/* How the device itself stands with the rollout. */
static void gate_device(const struct model_rollout *rollout, const struct filter_subject *subject,
                        const struct rollout_counts *counts, struct rollout_answer *out)
{
    const struct model_device *device = subject->device;
    bool ours = device->rollout_id == rollout->id;
    if (ours && device->rollout_open) return; /* it is at it already */
    if (ours && device->rollout_failures > rollout->retries) {
        say(out, MOLT_QUARANTINED, 0, "failed %u %s, the last time: %s", device->rollout_failures,
            device->rollout_failures == 1 ? "time" : "times",
            device->rollout_outcome == MODEL_OUTCOME_TIMED_OUT ? "no result in time"
            : device->attempt_reason != 0                      ? molt_reason_id(device->attempt_reason)
                                                               : "failed");
        return;
    }
    if (ours && device->rollout_failures > 0 && subject->now_ms < retry_at(rollout, device)) {
        say(out, MOLT_RETRY_LATER, retry_at(rollout, device) - subject->now_ms, "try %u of %u",
            device->rollout_failures + 1, rollout->retries + 1);
        return;
    }
    const bool room = counts->leased ? counts->mine < counts->slots : counts->open < rollout->max_open;
    if (rollout->max_open == 0 || room) return;
    if (out->exact)
        say(out, MOLT_ROLLOUT_FULL, FULL_AGAIN_S * 1000, "%u of %u devices are updating", counts->open,
            rollout->max_open);
    else
        say(out, MOLT_ROLLOUT_FULL, FULL_AGAIN_S * 1000, "%u devices are updating, the most at a time",
            rollout->max_open);
}

/* Outside its window; what began inside may end outside. *closed_ms: until it opens, or a day when it never does. */
static bool is_closed(const struct rollout_plan *plan, const struct filter_subject *subject,
                      int64_t *closed_ms)
{
    const struct model_device *device = subject->device;
    if (!plan->has_window || (device->rollout_id == plan->rollout->id && device->rollout_open)) return false;
    *closed_ms = window_opens_in(&plan->window, subject->now_ms);
    if (*closed_ms < 0) *closed_ms = 86400000;
    return *closed_ms != 0;
}

static void say_not_begun(const struct model_rollout *rollout, int64_t now_ms, struct rollout_answer *out)
{
    int64_t in_ms = rollout->start_ms - now_ms;
    if (out->exact)
        say(out, MOLT_ROLLOUT_LATER, in_ms, "rollout %lld begins in %lld s", (long long)rollout->id,
            (long long)(in_ms / 1000 + 1));
    else
        say(out, MOLT_ROLLOUT_LATER, in_ms, "rollout %lld has not begun", (long long)rollout->id);
}

static void say_not_in_phase(const struct model_rollout *rollout, uint32_t bucket, struct rollout_answer *out)
{
    if (out->exact)
        say(out, MOLT_NOT_IN_PHASE, 0, "rollout %lld is in phase %u of %u; the device is at %u.%02u %%",
            (long long)rollout->id, rollout->phase + 1, rollout->phase_count, bucket * 100 / MODEL_BUCKETS,
            bucket * 10000 / MODEL_BUCKETS % 100);
    else
        say(out, MOLT_NOT_IN_PHASE, 0, "rollout %lld is in phase %u of %u", (long long)rollout->id,
            rollout->phase + 1, rollout->phase_count);
}

void rollout_gate(const struct rollout_plan *plan, const struct filter_subject *subject,
                  const struct rollout_counts *counts, bool whole, struct rollout_answer *out)
{
    const struct model_rollout *rollout = plan->rollout;
    uint32_t bucket = rollout_plan_bucket(plan, subject->device->id);
    int64_t closed_ms;
    out->reason = 0;
    out->again_s = 0;
    out->detail[0] = '\0';
    if (plan->status == MODEL_ROLLOUT_ABORTED)
        say(out, MOLT_ROLLOUT_ABORTED, 0, "rollout %lld: %s", (long long)rollout->id, rollout->note);
    else if (plan->status == MODEL_ROLLOUT_WAITING)
        say(out, MOLT_NOT_APPROVED, 0, "rollout %lld was made by %.64s", (long long)rollout->id,
            rollout->created_by[0] != '\0' ? rollout->created_by : "nobody knows whom");
    else if (plan->status == MODEL_ROLLOUT_PAUSED)
        say(out, MOLT_ROLLOUT_PAUSED, 0, "rollout %lld: %s", (long long)rollout->id, rollout->note);
    else if (subject->now_ms < plan->start_ms)
        say_not_begun(rollout, subject->now_ms, out);
    else if (plan->target != NULL && !filter_match(plan->target, subject))
        say(out, MOLT_NOT_TARGETED, 0, "rollout %lld is for %.100s", (long long)rollout->id, rollout->target);
    else if (!in_phase(plan, subject, bucket))
        say_not_in_phase(rollout, bucket, out);
    else if (is_closed(plan, subject, &closed_ms))
        say(out, MOLT_OUTSIDE_WINDOW, closed_ms, "rollout %lld begins at %.100s", (long long)rollout->id,
            rollout->window);
    else if (whole)
        gate_device(rollout, subject, counts, out);
}

/* ---- what became of an offer ---- */

void rollout_offer(const struct model_rollout *rollout, struct model_device *device, int64_t now_ms)
{
    if (device->rollout_id != rollout->id) {
        device->rollout_id = rollout->id;
        device->rollout_failures = 0;
        device->rollout_outcome = MODEL_OUTCOME_NONE;
        device->rollout_counts = false;
        device->rollout_open = false;
    }
    if (device->rollout_open) return; /* the time for its result runs since the first offer */
    device->rollout_open = true;
    device->rollout_ms = now_ms;
    /* a failure stands until there is another result; a success that asks again was none */
    if (device->rollout_outcome == MODEL_OUTCOME_SUCCEEDED ||
        device->rollout_outcome == MODEL_OUTCOME_PRESUMED)
        device->rollout_outcome = MODEL_OUTCOME_NONE;
}

static bool end(struct model_device *device, enum model_outcome outcome, bool believed, int64_t now_ms)
{
    if (outcome == MODEL_OUTCOME_FAILED || outcome == MODEL_OUTCOME_TIMED_OUT) device->rollout_failures++;
    device->rollout_open = false;
    device->rollout_outcome = outcome;
    device->rollout_counts = believed;
    device->rollout_ms = now_ms;
    return true;
}

static bool settle(const struct model_rollout *rollout, struct model_device *device, bool believed,
                   int64_t now_ms)
{
    if (rollout == NULL || device->attempt_release_id != rollout->release_id) {
        if (!device->rollout_open) return false;
        device->rollout_id = 0; /* something else was offered meanwhile: it is in this rollout no more */
        device->rollout_open = false;
        return true;
    }
    switch (device->attempt) {
    case MODEL_ATTEMPT_UPDATED: /* also late: after a timeout, or after it was presumed */
        return device->rollout_outcome != MODEL_OUTCOME_SUCCEEDED &&
               end(device, MODEL_OUTCOME_SUCCEEDED, believed, now_ms);
    case MODEL_ATTEMPT_PRESUMED:
        return device->rollout_open && end(device, MODEL_OUTCOME_PRESUMED, believed, now_ms);
    case MODEL_ATTEMPT_FAILED:
    case MODEL_ATTEMPT_ROLLED_BACK:
        return device->rollout_open && end(device, MODEL_OUTCOME_FAILED, believed, now_ms);
    default:
        break;
    }
    bool late = rollout->timeout_s > 0 && now_ms - device->rollout_ms >= (int64_t)rollout->timeout_s * 1000;
    return device->rollout_open && late && end(device, MODEL_OUTCOME_TIMED_OUT, believed, now_ms);
}

bool rollout_settle(const struct model_rollout *rollout, struct model_device *device, bool believed,
                    int64_t now_ms)
{
    if (device->rollout_id == 0) return false;
    /* the clock was set back: what would be waited for until it has caught up begins now */
    const bool ahead = device->rollout_ms > now_ms;
    if (ahead) device->rollout_ms = now_ms;
    return settle(rollout, device, believed, now_ms) || ahead;
}

/* ---- its course ---- */

static uint32_t successes(const struct model_rollout *rollout, const struct rollout_counts *counts)
{
    return counts->succeeded + (rollout->presumed_counts ? counts->presumed : 0);
}

static uint32_t since(uint32_t now, uint32_t seen)
{
    return now > seen ? now - seen : 0;
}

static bool too_many_failed(const struct model_rollout *rollout, const struct rollout_counts *counts,
                            struct model_rollout *next)
{
    uint32_t good = since(successes(rollout, counts), rollout->seen_succeeded);
    uint32_t bad = since(counts->failed, rollout->seen_failed), results = good + bad;
    if (rollout->error_count == 0 || results < rollout->error_count) return false;
    if ((uint64_t)bad * 100 <= (uint64_t)rollout->error_percent * results) return false;
    next->status = MODEL_ROLLOUT_PAUSED;
    snprintf(next->note, sizeof next->note,
             "paused by itself: %u of %u results are failures, more than %u %%", bad, results,
             rollout->error_percent);
    return true;
}

static bool phase_is_over(const struct model_rollout *rollout, const struct rollout_counts *counts,
                          int64_t now_ms)
{
    uint32_t good = successes(rollout, counts);
    int64_t soak_ms = (int64_t)rollout->soak_s * 1000;
    if (rollout->success_count == 0 || since(good, rollout->phase_succeeded) < rollout->success_count)
        return false;
    if ((uint64_t)good * 100 < (uint64_t)rollout->success_percent * counts->offered) return false;
    /* a success that is still to come was counted before the clock was set back: the phase's own beginning stands for it */
    const int64_t last =
        counts->last_success_ms <= now_ms ? counts->last_success_ms : rollout->phase_since_ms;
    return now_ms - last >= soak_ms && now_ms - rollout->phase_since_ms >= soak_ms;
}

static void go_on(const struct model_rollout *rollout, const struct rollout_counts *counts, int64_t now_ms,
                  struct model_rollout *next)
{
    if (rollout->phase + 1 < rollout->phase_count)
        next->phase++;
    else
        next->status = MODEL_ROLLOUT_DONE;
    next->phase_since_ms = now_ms;
    next->phase_succeeded = successes(rollout, counts);
    next->note[0] = '\0';
}

bool rollout_judge(const struct model_rollout *rollout, const struct rollout_counts *counts, int64_t now_ms,
                   struct model_rollout *next)
{
    *next = *rollout;
    /* what is done goes on as its last phase, and can still turn bad */
    bool runs = rollout->status == MODEL_ROLLOUT_RUNNING, done = rollout->status == MODEL_ROLLOUT_DONE;
    if ((runs || done) && too_many_failed(rollout, counts, next)) return true;
    if (runs && rollout->phase_since_ms > now_ms) { /* the clock was set back: it soaks from now on */
        next->phase_since_ms = now_ms;
        return true;
    }
    if (!runs || now_ms < rollout->start_ms || !phase_is_over(rollout, counts, now_ms)) return false;
    go_on(rollout, counts, now_ms, next);
    return true;
}

int rollout_act(const struct model_rollout *rollout, const struct rollout_counts *counts,
                enum rollout_act act, int64_t now_ms, struct model_rollout *next)
{
    enum model_rollout_status status = rollout->status;
    *next = *rollout;
    if (status == MODEL_ROLLOUT_ABORTED) return -MOLT_STATE;
    switch (act) {
    case ROLLOUT_PAUSE:
        if (status == MODEL_ROLLOUT_PAUSED || status == MODEL_ROLLOUT_WAITING) return -MOLT_STATE;
        next->status = MODEL_ROLLOUT_PAUSED;
        snprintf(next->note, sizeof next->note, "paused by an operator");
        return 0;
    case ROLLOUT_RESUME:
        if (status != MODEL_ROLLOUT_PAUSED) return -MOLT_STATE;
        next->status = MODEL_ROLLOUT_RUNNING;
        next->seen_succeeded = successes(rollout, counts);
        next->seen_failed = counts->failed;
        next->note[0] = '\0';
        return 0;
    case ROLLOUT_NEXT:
        if (status != MODEL_ROLLOUT_RUNNING) return -MOLT_STATE;
        go_on(rollout, counts, now_ms, next);
        return 0;
    case ROLLOUT_ABORT:
        next->status = MODEL_ROLLOUT_ABORTED;
        snprintf(next->note, sizeof next->note, "aborted by an operator");
        return 0;
    }
    return -MOLT_STATE;
}

int rollout_approve(const struct model_rollout *rollout, const char *who, int64_t now_ms,
                    struct model_rollout *next)
{
    *next = *rollout;
    if (rollout->status != MODEL_ROLLOUT_WAITING) return -MOLT_STATE;
    if (who[0] == '\0' || strcmp(who, rollout->created_by) == 0) return -MOLT_SECOND_PERSON;
    next->status = MODEL_ROLLOUT_RUNNING;
    next->phase_since_ms = now_ms;
    memset(next->approved_by, 0, sizeof next->approved_by);
    snprintf(next->approved_by, sizeof next->approved_by, "%s", who);
    next->approved_ms = now_ms;
    return 0;
}

static bool has_failed(const struct model_device *device)
{
    const bool outcome =
        device->rollout_outcome == MODEL_OUTCOME_FAILED || device->rollout_outcome == MODEL_OUTCOME_TIMED_OUT;
    return device->attempt == MODEL_ATTEMPT_FAILED || device->attempt == MODEL_ATTEMPT_ROLLED_BACK ||
           (outcome && !device->rollout_open) || device->attempt_sends >= DECIDE_SENDS_MAX ||
           device->fs_sends >= DECIDE_SENDS_MAX;
}

bool rollout_lift(struct model_device *device)
{
    if (!has_failed(device)) return false;
    device->attempt = MODEL_ATTEMPT_NONE;
    device->attempt_reason = 0;
    device->attempt_sends = 0;
    device->fs_sends = 0;
    device->rollout_failures = 0;
    device->rollout_open = false;
    device->rollout_outcome = MODEL_OUTCOME_NONE;
    return true;
}
