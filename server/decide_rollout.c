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
    if (plan == NULL) return product != NULL && product->rollouts_only ? MOLT_NO_ROLLOUT : 0;
    const struct filter_subject subject = {
        .device = c->device, .product = product != NULL ? product->name : "", .now_ms = c->now_ms};
    struct rollout_counts counts = {.open = 0}; /* the gate looks at nothing else, and only under a limit */
    struct rollout_answer answer;
    answer.terse = c->terse; /* the rest is set by the gate */
    if (plan->max_open > 0) rollout_table_read(rules_counts(c->rules), plan->rollout->id, &counts);
    rollout_gate(plan, &subject, &counts, c->ask->component == MODEL_APP, &answer);
    out->rollout = plan->rollout;
    if (answer.reason == 0) return 0;
    out->again_s = answer.again_s;
    if (!c->terse) memcpy(out->detail, answer.detail, sizeof out->detail);
    return answer.reason;
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
