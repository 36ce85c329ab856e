/* history.c - what became of a device's attempts, and what it wrote of itself. Tests: test/e2e/history_test.sh. */
#include "call.h"
#include "shapes.h"

#include <string.h>

#include "molt_reason.h"

struct listing {
    const struct store_rules *rules;
    json_t *list;
};

static int attempt_row(void *ctx, const struct model_attempt_end *end)
{
    const struct listing *listing = ctx;
    const struct model_release *release = NULL;
    for (uint32_t i = 0; i < listing->rules->release_count && release == NULL; i++)
        if (listing->rules->releases[i].id == end->release_id) release = &listing->rules->releases[i];
    const uint32_t code = release != NULL ? release->code : end->code;
    json_array_append_new(listing->list,
                          json_pack("{s:I, s:s, s:o, s:o, s:s, s:I, s:I, s:o, s:I, s:b}", "ended_ms",
                                    (json_int_t)end->ended_ms, "result", model_attempt_name(end->result),
                                    "reason", shape_reason(end->reason), "release",
                                    end->release_id != 0 ? json_integer(end->release_id) : json_null(),
                                    "version", release != NULL ? release->version : "", "code",
                                    (json_int_t)code, "from_code", (json_int_t)end->from_code, "rollout",
                                    end->rollout_id != 0 ? json_integer(end->rollout_id) : json_null(),
                                    "bytes", (json_int_t)end->bytes, "verified", end->verified));
    return 0;
}

void api_device_attempts(struct api_call *call)
{
    struct model_device device;
    struct store_rules rules;
    if (!api_load_device(call, &device)) return;
    int rc = store_load_rules(call->api->store, &rules);
    struct listing listing = {.rules = &rules, .list = json_array()};
    if (rc == 0) {
        rc = store_each_attempt(call->api->store, device.id, attempt_row, &listing);
        store_free_rules(&rules);
    }
    if (rc == 0) {
        api_reply(call, 200, json_pack("{s:o}", "attempts", listing.list));
        return;
    }
    json_decref(listing.list);
    api_refuse_store(call, rc, "");
}

void api_device_log(struct api_call *call)
{
    struct model_device device;
    char text[STORE_LOG_LEN];
    int64_t updated_ms;
    if (!api_load_device(call, &device)) return;
    int rc = store_log_read(call->api->store, device.id, text, &updated_ms);
    if (rc < 0)
        api_refuse_store(call, rc, "");
    else
        api_reply(call, 200,
                  json_pack("{s:s, s:o}", "text", text, "updated_ms",
                            updated_ms != 0 ? json_integer(updated_ms) : json_null()));
}
