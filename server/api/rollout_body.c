/* rollout_body.c - the JSON of a new rollout as a rollout, every number in its range and every filter one that compiles.
 * Must never let a rollout through that reads as something else later. Tests: test/unit/api_rollout_test.c. */
#include <stdio.h>
#include <string.h>

#include "host/filter/window.h"
#include "molt_reason.h"
#include "rollouts.h"

#define DAYS_400_S (400 * 86400)

/* A whole number from min to max. */
static bool number(struct api_call *call, const json_t *body, const char *field, int64_t min, int64_t max,
                   int64_t *out)
{
    const json_t *value = json_object_get(body, field);
    if (value == NULL) return true;
    if (json_is_integer(value) && json_integer_value(value) >= min && json_integer_value(value) <= max) {
        *out = json_integer_value(value);
        return true;
    }
    api_refuse(call, MOLT_REQUEST_INVALID, "'%s' must be a whole number from %lld to %lld", field,
               (long long)min, (long long)max);
    return false;
}

static bool number32(struct api_call *call, const json_t *body, const char *field, int64_t max, uint32_t *out)
{
    int64_t value = *out;
    if (!number(call, body, field, 0, max, &value)) return false;
    *out = (uint32_t)value;
    return true;
}

bool api_body_filter(struct api_call *call, const json_t *body, const char *field, char out[MODEL_FILTER_LEN])
{
    struct filter filter;
    const char *text = "";
    char why[200];
    if (api_body_text(call, body, field, MODEL_FILTER_LEN - 1, &text) < 0) return false;
    if (filter_parse(&filter, text, why, sizeof why) < 0) {
        api_refuse(call, MOLT_REQUEST_INVALID, "%s", why);
        return false;
    }
    return filter_print(&filter, out, MODEL_FILTER_LEN) >= 0;
}

static bool phase(struct api_call *call, const json_t *json, struct model_phase *out)
{
    const json_t *percent = json_object_get(json, "percent");
    const char *field;
    json_t *value;
    bool ok = json_is_object(json);
    json_object_foreach((json_t *)(uintptr_t)json, field, value)
    {
        if (!api_listed("percent filter", field)) ok = false;
    }
    double share = percent != NULL ? json_number_value(percent) : 100;
    if (!ok || (percent != NULL && !json_is_number(percent)) || !(share >= 0 && share <= 100)) {
        api_refuse(call, MOLT_REQUEST_INVALID, "a phase is {\"percent\": 0 to 100, \"filter\": \"...\"}");
        return false;
    }
    out->percent = (uint32_t)(share * 100 + 0.5);
    return api_body_filter(call, json, "filter", out->filter);
}

static bool phases(struct api_call *call, const json_t *body, struct model_rollout *rollout)
{
    const json_t *list = json_object_get(body, "phases"), *item;
    size_t i;
    if (list == NULL) {
        rollout->phase_count = 1;
        rollout->phases[0].percent = 10000;
        return true;
    }
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > MODEL_PHASES_MAX) {
        api_refuse(call, MOLT_REQUEST_INVALID, "'phases' must be a list of 1 to %d", MODEL_PHASES_MAX);
        return false;
    }
    rollout->phase_count = (uint32_t)json_array_size(list);
    json_array_foreach(list, i, item)
    {
        if (!phase(call, item, &rollout->phases[i])) return false;
    }
    return true;
}

static bool maintenance(struct api_call *call, const json_t *body, struct model_rollout *rollout)
{
    const char *text = "";
    char why[200];
    if (api_body_text(call, body, "window", MODEL_WINDOW_LEN - 1, &text) < 0) return false;
    if (text[0] == '\0' || window_resolve(text, rollout->window, why, sizeof why) == 0) return true;
    api_refuse(call, MOLT_REQUEST_INVALID, "%s", why);
    return false;
}

static const char *const downgrade_names[] = {"", "never", "pinned", "allowed"};

const char *api_downgrade_name(enum model_downgrade rule)
{
    return downgrade_names[rule == MODEL_DOWNGRADE_DEFAULT ? MODEL_DOWNGRADE_NEVER : rule];
}

bool api_body_downgrade(struct api_call *call, const json_t *body, enum model_downgrade *out)
{
    const char *name = NULL;
    if (api_body_text(call, body, "downgrade", 16, &name) < 0) return false;
    if (name == NULL) return true;
    for (int rule = MODEL_DOWNGRADE_NEVER; rule <= MODEL_DOWNGRADE_ALLOWED; rule++) {
        if (strcmp(downgrade_names[rule], name) != 0) continue;
        *out = (enum model_downgrade)rule;
        return true;
    }
    api_refuse(call, MOLT_REQUEST_INVALID, "'downgrade' is never, pinned or allowed");
    return false;
}

static bool fields(struct api_call *call, const json_t *body, struct model_rollout *r)
{
    const json_t *presumed = json_object_get(body, "presumed_counts");
    int64_t far = api_now_ms() + DAYS_400_S * 1000LL;
    if (presumed != NULL && !json_is_boolean(presumed)) {
        api_refuse(call, MOLT_REQUEST_INVALID, "'presumed_counts' must be true or false");
        return false;
    }
    r->presumed_counts = json_is_true(presumed);
    if (json_object_get(body, "release") == NULL) {
        api_refuse(call, MOLT_REQUEST_INVALID, "'release' is missing: the id of a release");
        return false;
    }
    return number(call, body, "release", 1, INT64_MAX, &r->release_id) &&
           number(call, body, "start_ms", 0, far, &r->start_ms) &&
           number(call, body, "salt", 0, INT64_MAX, &r->salt) &&
           number32(call, body, "success_count", 1000000000, &r->success_count) &&
           number32(call, body, "success_percent", 100, &r->success_percent) &&
           number32(call, body, "soak_s", DAYS_400_S, &r->soak_s) &&
           number32(call, body, "error_count", 1000000000, &r->error_count) &&
           number32(call, body, "error_percent", 100, &r->error_percent) &&
           number32(call, body, "timeout_s", DAYS_400_S, &r->timeout_s) &&
           number32(call, body, "retries", 100, &r->retries) &&
           number32(call, body, "retry_s", DAYS_400_S, &r->retry_s) &&
           number32(call, body, "max_open", 1000000000, &r->max_open) &&
           api_body_downgrade(call, body, &r->downgrade) &&
           api_body_filter(call, body, "target", r->target) && maintenance(call, body, r) &&
           phases(call, body, r);
}

bool api_rollout_body(struct api_call *call, struct model_rollout *rollout)
{
    *rollout = (struct model_rollout){.status = MODEL_ROLLOUT_RUNNING,
                                      .created_ms = api_now_ms(),
                                      .phase_since_ms = api_now_ms(),
                                      .error_count = 3,
                                      .error_percent = 20,
                                      .timeout_s = 3600,
                                      .retry_s = 3600};
    json_t *body = api_body(
        call, "release phases target window start_ms salt success_count success_percent soak_s error_count "
              "error_percent timeout_s retries retry_s max_open presumed_counts downgrade");
    if (body == NULL) return false;
    bool ok = fields(call, body, rollout);
    json_decref(body);
    return ok;
}
