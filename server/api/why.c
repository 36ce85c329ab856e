/* why.c - GET /devices/{id}/why: runs the one decision for a stored device as it would be run for its next poll.
 * Pure look-up: nothing is changed and nothing is announced. Tests: test/unit/api_devices_test.c. */
#include "call.h"
#include "shapes.h"

#include <stdio.h>
#include <string.h>

#include "molt_reason.h"
#include "rollouts.h"
#include "server/decide/decide.h"
#include "server/skins/device_id.h"

/* The question as this device's client would ask it. */
static struct decide_ask ask_of(const struct model_device *device)
{
    return (struct decide_ask){
        .component = MODEL_APP,
        .bare = device->client == MODEL_CLIENT_VERSION_FILE,
        .molt = device->client == MODEL_CLIENT_MOLT,
        .stock_gzip = (device->can & MOLT_CAN_GZIP) != 0,
    };
}

/* What a person can do about the reason, "" when nothing. */
static void say_next(const struct model_device *device, const struct decision *decision, char *next,
                     size_t cap)
{
    char rollout[24] = "ID";
    if (decision->rollout != NULL)
        (void)snprintf(rollout, sizeof rollout, "%lld", (long long)decision->rollout->id);
    next[0] = '\0';
    switch (decision->reason) {
    case MOLT_NOT_ASSIGNED:
        snprintf(next, cap, "molt device set %s --product NAME", device->id);
        break;
    case MOLT_UNKNOWN_CHIP:
    case MOLT_CHIP_CONFLICT:
        snprintf(next, cap, "molt device set %s --chip CHIP", device->id);
        break;
    case MOLT_HELD:
        snprintf(next, cap, "molt device set %s --release", device->id);
        break;
    case MOLT_STOPPED:
        snprintf(next, cap, "molt product set NAME --start");
        break;
    case MOLT_PINNED:
        snprintf(next, cap, "molt device set %s --pin \"\"", device->id);
        break;
    case MOLT_NOT_APPROVED:
        snprintf(next, cap, "somebody else than its maker: molt rollout approve %s", rollout);
        break;
    case MOLT_ROLLOUT_PAUSED:
        snprintf(next, cap, "molt rollout show %s; molt rollout resume %s", rollout, rollout);
        break;
    case MOLT_NOT_IN_PHASE:
    case MOLT_NOT_TARGETED:
    case MOLT_ROLLOUT_LATER:
    case MOLT_ROLLOUT_FULL:
        snprintf(next, cap, "molt rollout show %s", rollout);
        break;
    case MOLT_FLASH_TOO_SMALL: /* what to build or flash otherwise takes more than a line */
    case MOLT_TOO_LARGE:
    case MOLT_OLD_CORE:
    case MOLT_GZ_REFUSED:
    case MOLT_SAME_IMAGE_AGAIN:
    case MOLT_WRONG_MODE:
        snprintf(next, cap, "molt doctor --device %s", device->id);
        break;
    case MOLT_QUARANTINED:
    case MOLT_FAILED_BEFORE:
        snprintf(next, cap, "publish a corrected version, or: molt device retry %s", device->id);
        break;
    case MOLT_NO_ROLLOUT:
        snprintf(next, cap, "molt rollout create RELEASE");
        break;
    case MOLT_NO_RELEASE:
    case MOLT_NO_IMAGE:
        snprintf(next, cap, "molt publish FILE --product NAME; molt release list shows what there is");
        break;
    default:
        break;
    }
}

static const char *verdict_name(enum molt_verdict verdict)
{
    switch (verdict) {
    case MOLT_VERDICT_OFFER:
        return "offer";
    case MOLT_VERDICT_WAIT:
        return "wait";
    case MOLT_VERDICT_NOTHING:
        break;
    }
    return "nothing";
}

static json_t *release_json(const struct model_release *release)
{
    if (release == NULL) return json_null();
    return json_pack("{s:I, s:s, s:I, s:s}", "id", (json_int_t)release->id, "version", release->version,
                     "code", (json_int_t)release->code, "channel", release->channel);
}

/* What was looked at on the way. */
static json_t *steps_json(const struct decide_trace *trace)
{
    json_t *steps = json_array();
    for (uint32_t i = 0; i < trace->count; i++) {
        const struct decide_step *step = &trace->steps[i];
        json_array_append_new(steps,
                              json_pack("{s:o, s:o, s:o}", "release", release_json(step->release), "reason",
                                        shape_reason(step->reason), "detail", shape_text(step->detail)));
    }
    return steps;
}

static json_t *why_json(const struct model_device *device, const struct decision *decision,
                        const struct decide_trace *trace)
{
    char next[160];
    bool offer = decision->verdict == MOLT_VERDICT_OFFER;
    say_next(device, decision, next, sizeof next);
    return json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "device", device->id, "verdict",
        verdict_name(decision->verdict), "reason", shape_reason(decision->reason), "detail",
        shape_text(decision->detail), "release", release_json(decision->release), "encoding",
        offer ? json_string(decision->encoding == MOLT_GZIP ? "gzip" : "raw") : json_null(), "size",
        offer ? json_integer(decision->artifact->len) : json_null(), "next", shape_text(next), "rollout",
        decision->rollout != NULL ? json_integer(decision->rollout->id) : json_null(), "again_s",
        decision->again_s > 0 ? json_integer(decision->again_s) : json_null(), "steps", steps_json(trace),
        "attempt", shape_attempt(device));
}

void api_device_why(struct api_call *call)
{
    struct model_device device;
    struct store_rules data;
    if (!api_load_device(call, &device)) return;
    int rc = store_load_rules(call->api->store, &data);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    struct rules *rules = rules_build(&data);
    if (rules == NULL) {
        api_refuse(call, MOLT_NO_MEMORY, "%s", "");
        return;
    }
    struct api_counts counts;
    if (api_counts_begin(call, &counts)) {
        struct decide_ask ask = ask_of(&device);
        struct decide_trace trace;
        struct decision decision = {0};
        ask.trace = &trace;
        rules_count_by(rules, counts.table);
        decide(rules, &device, &ask, api_now_ms(), &decision);
        api_reply(call, 200, why_json(&device, &decision, &trace));
        api_counts_end(&counts);
    }
    rules_destroy(rules);
}
