/* decide_rollout.c - what operators laid down for releases and devices: rollouts, must-pass-through, pins; and the trace.
 * Must never let a device have what one of its rules forbids. Tests: test/unit/rollout_test.c,
 * test/property/rollout_property_test.c. */
#include "decide_parts.h"

#include <stdio.h>
#include <string.h>

static const char *channel_of(const struct model_device *device)
{
    return device->channel[0] != '\0' ? device->channel : MODEL_CHANNEL_DEFAULT;
}

int decide_rollout(const struct decide_case *c, const struct model_release *release, struct decision *out)
{
    const struct rollout_plan *plan = rules_rollout_for(c->rules, release);
    const struct model_product *product = c->product;
    if (product == NULL || product->id != release->product_id)
        product = rules_product(c->rules, release->product_id);
    if (plan == NULL)
        return product != NULL && (product->rollouts_only || product->approval) ? MOLT_NO_ROLLOUT : 0;
    out->individual = true;
    const struct filter_subject subject = {
        .device = c->device, .product = product != NULL ? product->name : "", .now_ms = c->now_ms};
    struct rollout_counts counts = {.open = 0}; /* the gate looks at nothing else, and only under a limit */
    struct rollout_answer answer;
    answer.terse = c->terse;
    answer.exact = c->ask->trace != NULL; /* the rest is set by the gate */
    if (plan->max_open > 0) rollout_table_read(rules_counts(c->rules), plan->rollout->id, &counts);
    rollout_gate(plan, &subject, &counts, c->ask->component == MODEL_APP, &answer);
    out->rollout = plan->rollout;
    if (answer.reason == 0) return 0;
    out->again_s = answer.again_s;
    if (!c->terse) memcpy(out->detail, answer.detail, sizeof out->detail);
    return answer.reason;
}

int decide_approval(const struct decide_case *c, const struct model_release *release)
{
    if (!c->product->approval) return 0;
    const struct rollout_plan *plan = rules_rollout_for(c->rules, release);
    if (plan == NULL) return MOLT_NO_ROLLOUT;
    return plan->status == MODEL_ROLLOUT_WAITING ? MOLT_NOT_APPROVED : 0;
}

/* Is what the device runs still offered in its channel? */
static bool running_is_there(const struct decide_case *c, uint32_t running)
{
    const struct model_release *release =
        rules_release_by_code(c->rules, c->device->product_id, channel_of(c->device), running);
    return release != NULL && !release->yanked && strcmp(release->channel, channel_of(c->device)) == 0 &&
           decide_has_image(release, c->chip, c->ask->component);
}

bool decide_may_go_back(const struct decide_case *c, const struct model_release *release, uint32_t running)
{
    enum model_downgrade rule = c->product->downgrade;
    /* a device with a key refuses it: the sequence of its manifests never falls */
    if (release->code >= running || (c->device->can & MOLT_CAN_SIGNED) != 0) return false;
    if (c->device->pinned_code != 0) return rule == MODEL_DOWNGRADE_PINNED || rule == MODEL_DOWNGRADE_ALLOWED;
    const struct rollout_plan *plan = rules_rollout_for(c->rules, release);
    if (plan != NULL && plan->rollout->downgrade != MODEL_DOWNGRADE_DEFAULT) rule = plan->rollout->downgrade;
    return rule == MODEL_DOWNGRADE_ALLOWED && !running_is_there(c, running);
}

const struct model_release *decide_barrier(const struct decide_case *c)
{
    uint32_t count, running = c->device->running_code;
    const struct model_release *barrier = NULL;
    if (c->ask->component != MODEL_APP) return NULL;
    const struct model_release *releases =
        rules_channel(c->rules, c->device->product_id, channel_of(c->device), &count);
    for (uint32_t i = 0; i < count && releases[i].code > running;
         i++) /* codes fall: the last one found is the oldest */
        if (releases[i].required && !releases[i].yanked &&
            decide_has_image(&releases[i], c->chip, c->ask->component))
            barrier = &releases[i];
    return barrier;
}

const struct model_release *decide_pinned(const struct decide_case *c)
{
    const struct model_release *release =
        rules_release_by_code(c->rules, c->device->product_id, channel_of(c->device), c->device->pinned_code);
    return release != NULL && !release->yanked ? release : NULL;
}

void decide_trace(const struct decide_case *c, const struct model_release *release, int reason,
                  const char *detail)
{
    struct decide_trace *trace = c->ask->trace;
    if (trace == NULL || trace->count == DECIDE_STEPS_MAX) return;
    struct decide_step *step = &trace->steps[trace->count++];
    step->release = release;
    step->reason = reason;
    snprintf(step->detail, sizeof step->detail, "%s", detail);
}
