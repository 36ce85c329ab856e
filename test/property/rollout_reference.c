/* rollout_reference.c - see rollout_reference.h. Must share nothing with the engine but the bucket of a device. */
#include "rollout_reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/filter/filter.h"
#include "molt_reason.h"

static void log_event(struct reference *ref, enum ref_kind kind, int device, int64_t rollout_id,
                      bool believed, int64_t now_ms)
{
    if (ref->count == REF_EVENTS) abort();
    ref->events[ref->count++] = (struct ref_event){kind, device, rollout_id, now_ms, believed};
}

/* How a device stands: the rollout that last offered it something, read from the log. */
struct standing {
    int64_t rollout_id, since_ms;
    bool open, counts;
    enum ref_kind outcome; /* 0: none */
    uint32_t failures;
};

/* As it was when the log had only so many events. */
static struct standing stand_at(const struct reference *ref, int device, uint32_t count)
{
    struct standing s = {.rollout_id = 0};
    for (uint32_t i = 0; i < count; i++) {
        const struct ref_event *e = &ref->events[i];
        if (e->device != device || e->rollout_id == 0) continue;
        switch (e->kind) {
        case REF_OFFERED:
            if (e->rollout_id != s.rollout_id) s = (struct standing){.rollout_id = e->rollout_id};
            if (!s.open) s.since_ms = e->ms;
            if (!s.open && s.outcome == REF_SUCCEEDED) s.outcome = 0;
            s.open = true;
            break;
        case REF_CLOCK:
            s.since_ms = e->ms;
            break;
        case REF_LEFT:
            s.rollout_id = 0;
            s.open = false;
            break;
        case REF_SUCCEEDED:
        case REF_FAILED:
        case REF_TIMED_OUT:
            s.failures += e->kind != REF_SUCCEEDED;
            s.open = false;
            s.outcome = e->kind;
            s.counts = e->believed;
            s.since_ms = e->ms;
            break;
        }
    }
    return s;
}

static struct standing stand(const struct reference *ref, int device)
{
    return stand_at(ref, device, ref->count);
}

static struct model_rollout *by_id(const struct reference *ref, int64_t id)
{
    for (uint32_t i = 0; i < ref->world->rollout_count; i++)
        if (ref->world->rollouts[i].id == id) return &ref->world->rollouts[i];
    return NULL;
}

/* The last rollout of a release is the one that counts. */
static struct model_rollout *of_release(const struct reference *ref, int64_t release_id)
{
    struct model_rollout *found = NULL;
    for (uint32_t i = 0; i < ref->world->rollout_count; i++)
        if (ref->world->rollouts[i].release_id == release_id) found = &ref->world->rollouts[i];
    return found;
}

void ref_report(struct reference *ref, int device, bool success, bool believed, int64_t now_ms)
{
    struct standing s = stand(ref, device);
    const struct model_rollout *rollout = by_id(ref, s.rollout_id);
    bool ours = rollout != NULL && rollout->release_id == ref->offered_release[device];
    ref->failed_release[device] = success ? 0 : ref->offered_release[device];
    if (!ours) return;
    if (success && s.outcome != REF_SUCCEEDED)
        log_event(ref, REF_SUCCEEDED, device, s.rollout_id, believed, now_ms);
    else if (!success && s.open)
        log_event(ref, REF_FAILED, device, s.rollout_id, believed, now_ms);
}

void ref_look(struct reference *ref, int device, bool believed, int64_t now_ms)
{
    struct standing s = stand(ref, device);
    const struct model_rollout *rollout = by_id(ref, s.rollout_id);
    if (s.rollout_id != 0 && s.since_ms > now_ms) { /* the clock was set back */
        log_event(ref, REF_CLOCK, device, s.rollout_id, false, now_ms);
        s = stand(ref, device);
    }
    if (!s.open) return;
    if (rollout->release_id != ref->offered_release[device])
        log_event(ref, REF_LEFT, device, s.rollout_id, false, now_ms);
    else if (rollout->timeout_s > 0 && now_ms - s.since_ms >= (int64_t)rollout->timeout_s * 1000)
        log_event(ref, REF_TIMED_OUT, device, s.rollout_id, believed, now_ms);
}

void ref_counts(const struct reference *ref, int64_t rollout_id, struct rollout_counts *out)
{
    memset(out, 0, sizeof *out);
    for (int d = 0; d < REF_DEVICES; d++) {
        struct standing s = stand(ref, d);
        if (s.rollout_id != rollout_id) continue;
        out->offered++;
        out->open += s.open;
        if (!s.counts) continue;
        out->succeeded += s.outcome == REF_SUCCEEDED;
        out->failed += s.outcome == REF_FAILED || s.outcome == REF_TIMED_OUT;
    }
    for (uint32_t i = 0; i < ref->count; i++) {
        const struct ref_event *e = &ref->events[i], *then = i + 1 < ref->count ? e + 1 : e;
        bool moved_on =
            then->kind == REF_OFFERED && then->device == e->device && then->ms == e->ms &&
            then->rollout_id != 0; /* in the same poll to another rollout: it counts there alone */
        if (e->kind == REF_SUCCEEDED && e->rollout_id == rollout_id && e->believed && !moved_on &&
            e->ms > out->last_success_ms)
            out->last_success_ms = e->ms;
    }
}

static bool has_tag(const char *tags, const char *tag)
{
    const size_t len = strlen(tag);
    for (const char *at = strstr(tags, tag); at != NULL; at = strstr(at + 1, tag)) {
        if ((at == tags || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' ')) return true;
    }
    return false;
}

/* The test knows only filters of the form "", "tag = x". */
static bool matches(const char *filter, const struct model_device *device)
{
    return filter[0] == '\0' || has_tag(device->tags, filter + strlen("tag = "));
}

static bool is_member(const struct model_rollout *rollout, const struct model_device *device)
{
    bool member = false;
    uint64_t bucket = rollout_bucket(rollout, device->id);
    for (uint32_t p = 0; p <= rollout->phase; p++) {
        const struct model_phase *phase = &rollout->phases[p];
        if ((bucket + 1) * 10000 <= (uint64_t)phase->percent * 65536 && matches(phase->filter, device))
            member = true;
    }
    return member;
}

static int withheld(const struct reference *ref, const struct model_rollout *rollout, int device,
                    int64_t now_ms)
{
    struct standing s = stand(ref, device);
    uint32_t open = 0;
    if (rollout->status == MODEL_ROLLOUT_ABORTED) return MOLT_ROLLOUT_ABORTED;
    if (rollout->status == MODEL_ROLLOUT_WAITING) return MOLT_NOT_APPROVED;
    if (rollout->status == MODEL_ROLLOUT_PAUSED) return MOLT_ROLLOUT_PAUSED;
    if (now_ms < rollout->start_ms) return MOLT_ROLLOUT_LATER;
    if (!matches(rollout->target, &ref->devices[device])) return MOLT_NOT_TARGETED;
    if (!is_member(rollout, &ref->devices[device])) return MOLT_NOT_IN_PHASE;
    bool ours = s.rollout_id == rollout->id;
    if (ours && s.open) return 0;
    if (rollout->window[0] != '\0') { /* HH:MM-HH:MM in UTC, in one day or over midnight */
        int from_h, from_m, to_h, to_m;
        time_t at = (time_t)(now_ms / 1000);
        struct tm tm;
        gmtime_r(&at, &tm);
        if (sscanf(rollout->window, "%d:%d-%d:%d", &from_h, &from_m, &to_h, &to_m) != 4) abort();
        int now_m = tm.tm_hour * 60 + tm.tm_min, from = from_h * 60 + from_m, to = to_h * 60 + to_m;
        bool inside = from < to ? from <= now_m && now_m < to : from <= now_m || now_m < to;
        if (!inside) return MOLT_OUTSIDE_WINDOW;
    }
    if (ours && s.failures > rollout->retries) return MOLT_QUARANTINED;
    if (ours && s.failures > 0) {
        int64_t pause = (int64_t)rollout->retry_s * 1000;
        for (uint32_t i = 1; i < s.failures; i++)
            pause *= 2;
        if (now_ms < s.since_ms + pause) return MOLT_RETRY_LATER;
    }
    for (int other = 0; other < REF_DEVICES; other++) {
        struct standing before = stand_at(ref, other, ref->before_poll);
        open += before.rollout_id == rollout->id && before.open;
    }
    return rollout->max_open > 0 && open >= rollout->max_open ? MOLT_ROLLOUT_FULL : 0;
}

static int judge(const struct reference *ref, int device, const struct model_release *release, int64_t now_ms)
{
    const struct model_rollout *rollout = of_release(ref, release->id);
    struct standing s = stand(ref, device);
    bool pinned = ref->devices[device].pinned_code != 0;
    for (uint32_t i = 0; !pinned && i < ref->world->release_count; i++) {
        const struct model_release *other = &ref->world->releases[i];
        if (other->required && !other->yanked && other->code > ref->devices[device].running_code &&
            other->code < release->code)
            return MOLT_MUST_PASS;
    }
    const struct model_product *product = &ref->world->products[0];
    if (rollout == NULL && (product->approval || (product->rollouts_only && !pinned))) return MOLT_NO_ROLLOUT;
    if (pinned && product->approval && rollout->status == MODEL_ROLLOUT_WAITING) return MOLT_NOT_APPROVED;
    int reason = rollout != NULL && !pinned ? withheld(ref, rollout, device, now_ms) : 0;
    if (reason != 0) return reason;
    bool again = rollout != NULL && !pinned && s.rollout_id == rollout->id && s.failures > 0 &&
                 s.failures <= rollout->retries;
    return ref->failed_release[device] == release->id && !again ? MOLT_FAILED_BEFORE : MOLT_OFFERED;
}

static bool goes_on(int reason)
{
    return reason == MOLT_MUST_PASS || reason == MOLT_NO_ROLLOUT || reason == MOLT_NOT_APPROVED ||
           reason == MOLT_ROLLOUT_ABORTED || reason == MOLT_ROLLOUT_PAUSED || reason == MOLT_ROLLOUT_LATER ||
           reason == MOLT_NOT_TARGETED || reason == MOLT_NOT_IN_PHASE;
}

/* May a device that runs a greater code have this one? A pin needs the product's leave; else the running one must be gone,
 * and the rollout, or the product where it says nothing, must allow it. */
static bool may_go_back(const struct reference *ref, const struct model_device *d,
                        const struct model_release *release)
{
    const struct model_rollout *rollout = of_release(ref, release->id);
    enum model_downgrade rule = ref->world->products[0].downgrade;
    if (release->code == d->running_code) return false;
    if (d->pinned_code != 0) return rule == MODEL_DOWNGRADE_PINNED || rule == MODEL_DOWNGRADE_ALLOWED;
    for (uint32_t i = 0; i < ref->world->release_count; i++)
        if (ref->world->releases[i].code == d->running_code && !ref->world->releases[i].yanked) return false;
    if (rollout != NULL && rollout->downgrade != MODEL_DOWNGRADE_DEFAULT)
        return rollout->downgrade == MODEL_DOWNGRADE_ALLOWED;
    return rule == MODEL_DOWNGRADE_ALLOWED;
}

int ref_decide(const struct reference *ref, int device, int64_t now_ms, const struct model_release **release)
{
    const struct model_device *d = &ref->devices[device];
    *release = NULL;
    if (ref->world->products[0].stopped) return MOLT_STOPPED;
    if (d->held) return MOLT_HELD;
    int first = 0;
    uint32_t newest = 0;
    bool pin_there = false, end = false;
    for (uint32_t code = 20; code > 0 && !end; code--) {
        for (uint32_t i = 0; i < ref->world->release_count; i++) {
            const struct model_release *r = &ref->world->releases[i];
            if (r->code != code || r->yanked) continue;
            if (d->pinned_code != 0 && code != d->pinned_code) continue;
            pin_there = true;
            if (newest == 0) newest = code;
            end = code <= d->running_code &&
                  !may_go_back(ref, d, r); /* below the newest nothing is looked at */
            if (end) break;
            int reason = judge(ref, device, r, now_ms);
            if (reason == MOLT_OFFERED) {
                *release = r;
                return reason;
            }
            if (first == 0) first = reason;
            if (!goes_on(reason)) return first;
        }
    }
    if (first != 0) return first;
    if (d->pinned_code != 0 && (!pin_there || d->running_code > d->pinned_code)) return MOLT_PINNED;
    if (newest == 0) return MOLT_NO_RELEASE;
    return newest == d->running_code ? MOLT_UP_TO_DATE : MOLT_DEVICE_NEWER;
}

void ref_offer(struct reference *ref, int device, const struct model_release *release, int64_t now_ms)
{
    const struct model_rollout *rollout = of_release(ref, release->id);
    bool pinned = ref->devices[device].pinned_code != 0;
    ref->offered_release[device] = release->id;
    ref->failed_release[device] = 0;
    log_event(ref, REF_OFFERED, device, rollout != NULL && !pinned ? rollout->id : 0, false, now_ms);
}

static void advance(struct model_rollout *rollout, const struct rollout_counts *counts, int64_t now_ms)
{
    if (rollout->phase == rollout->phase_count - 1)
        rollout->status = MODEL_ROLLOUT_DONE;
    else
        rollout->phase++;
    rollout->phase_since_ms = now_ms;
    rollout->phase_succeeded = counts->succeeded;
}

void ref_judge(struct reference *ref, struct model_rollout *rollout, int64_t now_ms)
{
    struct rollout_counts counts;
    ref_counts(ref, rollout->id, &counts);
    if (rollout->status == MODEL_ROLLOUT_PAUSED || rollout->status == MODEL_ROLLOUT_ABORTED) return;
    int good = (int)counts.succeeded - (int)rollout->seen_succeeded,
        bad = (int)counts.failed - (int)rollout->seen_failed;
    if (good < 0) good = 0;
    if (bad < 0) bad = 0;
    if (rollout->error_count > 0 && good + bad >= (int)rollout->error_count &&
        100.0 * bad > (double)rollout->error_percent * (good + bad)) {
        rollout->status = MODEL_ROLLOUT_PAUSED;
        return;
    }
    if (rollout->status != MODEL_ROLLOUT_RUNNING) return;
    if (rollout->phase_since_ms > now_ms) {
        rollout->phase_since_ms = now_ms;
        return;
    }
    if (now_ms < rollout->start_ms || rollout->success_count == 0) return;
    if (counts.last_success_ms > now_ms) counts.last_success_ms = rollout->phase_since_ms;
    int more = (int)counts.succeeded - (int)rollout->phase_succeeded;
    bool enough = more >= (int)rollout->success_count &&
                  100.0 * counts.succeeded >= (double)rollout->success_percent * counts.offered;
    bool soaked = now_ms >= counts.last_success_ms + (int64_t)rollout->soak_s * 1000 &&
                  now_ms >= rollout->phase_since_ms + (int64_t)rollout->soak_s * 1000;
    if (enough && soaked) advance(rollout, &counts, now_ms);
}

bool ref_approve(struct model_rollout *rollout, const char *who, int64_t now_ms)
{
    if (rollout->status != MODEL_ROLLOUT_WAITING || strcmp(rollout->created_by, who) == 0) return false;
    rollout->status = MODEL_ROLLOUT_RUNNING;
    rollout->phase_since_ms = now_ms;
    return true;
}

bool ref_act(struct reference *ref, struct model_rollout *rollout, enum rollout_act act, int64_t now_ms)
{
    struct rollout_counts counts;
    ref_counts(ref, rollout->id, &counts);
    if (rollout->status == MODEL_ROLLOUT_ABORTED) return false;
    if (act == ROLLOUT_ABORT) {
        rollout->status = MODEL_ROLLOUT_ABORTED;
        return true;
    }
    if (rollout->status == MODEL_ROLLOUT_WAITING) return false;
    if (act == ROLLOUT_PAUSE) {
        if (rollout->status == MODEL_ROLLOUT_PAUSED) return false;
        rollout->status = MODEL_ROLLOUT_PAUSED;
        return true;
    }
    if (act == ROLLOUT_RESUME) {
        if (rollout->status != MODEL_ROLLOUT_PAUSED) return false;
        rollout->status = MODEL_ROLLOUT_RUNNING;
        rollout->seen_succeeded = counts.succeeded;
        rollout->seen_failed = counts.failed;
        return true;
    }
    if (rollout->status != MODEL_ROLLOUT_RUNNING) return false;
    advance(rollout, &counts, now_ms);
    return true;
}
