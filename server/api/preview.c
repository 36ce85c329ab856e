/* preview.c - POST /rollout-preview: whom a rollout would reach, phase by phase, before it is made. The same filters and the
 * same buckets as the rollout's own, when it is made with the salt that was asked with. Changes nothing.
 * Tests: test/unit/api_counts_test.c, test/dash. */
#include "rollouts.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/filter/filter.h"
#include "molt_reason.h"
#include "shapes.h"

#define SAMPLE_MAX 12

struct phase_view {
    uint64_t devices, added; /* in it; and not in an earlier one */
    uint32_t sample_count;
    char sample[SAMPLE_MAX][MODEL_ID_LEN];
};

struct preview {
    struct model_rollout rollout;
    struct rollout_plan plan;
    const struct store_rules *rules;
    int64_t now_ms;
    uint64_t product_devices, targeted;
    struct phase_view phases[MODEL_PHASES_MAX];
};

static void count_in(struct phase_view *view, const char *id)
{
    view->added++;
    if (view->sample_count < SAMPLE_MAX)
        snprintf(view->sample[view->sample_count++], sizeof view->sample[0], "%s", id);
}

/* What all of the product have in common decides of none. */
static enum census_verdict look(void *ctx, const struct model_device *common, const char **product)
{
    const struct preview *preview = ctx;
    *product = shape_product_name(preview->rules, common->product_id);
    return common->product_id == preview->rollout.product_id ? CENSUS_ALL : CENSUS_NONE;
}

/* The further filters: the target, then the phases'. */
static void count_device(void *ctx, const struct census_device *device)
{
    struct preview *preview = ctx;
    const struct rollout_plan *plan = &preview->plan;
    preview->product_devices++;
    if (!device->passes(device, 0)) return;
    preview->targeted++;
    const uint32_t bucket = rollout_plan_bucket(plan, device->id);
    bool in = false;
    for (uint32_t i = 0; i < preview->rollout.phase_count; i++) {
        if (!in && bucket < plan->bounds[i] && device->passes(device, 1 + i)) {
            count_in(&preview->phases[i], device->id);
            in = true;
        }
        preview->phases[i].devices += in;
    }
}

static int count_all(struct api_call *call, struct preview *preview)
{
    static const struct filter every_device;
    const struct filter *filters[1 + MODEL_PHASES_MAX] = {preview->plan.target};
    const struct census_wish wish = {
        .filter = &every_device, .now_ms = preview->now_ms, .look = look, .ctx = preview};
    const struct census_also also = {filters, 1 + preview->rollout.phase_count};
    _Static_assert(1 + MODEL_PHASES_MAX <= CENSUS_ALSO, "a filter for the target and one a phase");
    for (uint32_t i = 0; i < preview->rollout.phase_count; i++)
        filters[1 + i] = preview->plan.phases[i];
    return api_each_meant(call, &wish, &also, count_device, preview);
}

static json_t *preview_json(const struct preview *preview)
{
    json_t *phases = json_array();
    for (uint32_t i = 0; i < preview->rollout.phase_count; i++) {
        const struct phase_view *view = &preview->phases[i];
        json_t *sample = json_array();
        for (uint32_t s = 0; s < view->sample_count; s++)
            json_array_append_new(sample, json_string(view->sample[s]));
        json_array_append_new(phases, json_pack("{s:I, s:I, s:o}", "devices", (json_int_t)view->devices,
                                                "added", (json_int_t)view->added, "sample", sample));
    }
    return json_pack("{s:I, s:I, s:o}", "product_devices", (json_int_t)preview->product_devices, "targeted",
                     (json_int_t)preview->targeted, "phases", phases);
}

/* The product of the release that is to roll out. False after replying. */
static bool find_product(struct api_call *call, struct preview *preview)
{
    for (uint32_t i = 0; i < preview->rules->release_count; i++)
        if (preview->rules->releases[i].id == preview->rollout.release_id)
            preview->rollout.product_id = preview->rules->releases[i].product_id;
    const int64_t id = preview->rollout.product_id;
    return api_reaches(call, id != 0 ? id : -1, "no release has this id; `molt release list` shows them");
}

static void preview_and_reply(struct api_call *call, struct preview *preview)
{
    preview->rollout.phase = preview->rollout.phase_count - 1; /* all of them have filters and bounds then */
    int rc = rollout_compile(&preview->plan, &preview->rollout) ? 0 : -MOLT_NO_MEMORY;
    if (rc == 0) rc = count_all(call, preview);
    if (rc < 0)
        api_refuse_store(call, rc, "");
    else
        api_reply(call, 200, preview_json(preview));
    rollout_plan_free(&preview->plan);
}

void api_rollout_preview(struct api_call *call)
{
    struct store_rules rules;
    struct preview *preview = calloc(1, sizeof *preview);
    int rc = preview != NULL ? store_load_rules(call->api->store, &rules) : -MOLT_NO_MEMORY;
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        free(preview);
        return;
    }
    preview->rules = &rules;
    preview->now_ms = api_now_ms();
    if (api_rollout_body(call, &preview->rollout) && find_product(call, preview))
        preview_and_reply(call, preview);
    store_free_rules(&rules);
    free(preview);
}
