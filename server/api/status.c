/* status.c - GET /status (counts, for a first look) and GET /openapi.json (the description of all this).
 * Tests: test/unit/api_test.c, test/unit/openapi_test.c. */
#include "call.h"

#include <stdlib.h>
#include <string.h>

#include "molt_reason.h"
#include "openapi_json.h"

struct counts {
    json_int_t devices, unassigned, held, updated, failed;
};

static int count_row(void *ctx, const struct model_device *device)
{
    struct counts *counts = ctx;
    counts->devices++;
    counts->unassigned += device->product_id == 0;
    counts->held += device->held;
    counts->updated += device->attempt == MODEL_ATTEMPT_UPDATED || device->attempt == MODEL_ATTEMPT_PRESUMED;
    counts->failed += device->attempt == MODEL_ATTEMPT_FAILED || device->attempt == MODEL_ATTEMPT_ROLLED_BACK;
    return 0;
}

void api_status(struct api_call *call)
{
    struct store *store = call->api->store;
    const struct api_hooks *hooks = &call->api->hooks;
    struct counts counts = {0};
    struct store_rules rules;
    uint32_t tokens = 0;
    int rc = api_each_device(call, "", count_row, &counts);
    if (rc >= 0) rc = store_token_count(store, STORE_TOKEN_ADMIN, &tokens);
    if (rc >= 0) rc = store_load_rules(store, &rules);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    json_t *devices =
        json_pack("{s:I, s:I, s:I, s:I, s:I}", "count", counts.devices, "unassigned", counts.unassigned,
                  "held", counts.held, "updated", counts.updated, "failed", counts.failed);
    api_reply(call, 200,
              json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:o}", "version", MOLT_VERSION, "serving",
                        hooks->rules_changed != NULL, "generation", (json_int_t)rules.generation, "products",
                        (json_int_t)rules.product_count, "releases", (json_int_t)rules.release_count,
                        "admin_tokens", (json_int_t)tokens, "devices", devices));
    store_free_rules(&rules);
}

void api_openapi(struct api_call *call)
{
    char *body = malloc(openapi_json_len);
    if (body == NULL) {
        api_refuse(call, MOLT_NO_MEMORY, "%s", "");
        return;
    }
    memcpy(body, openapi_json, openapi_json_len);
    call->response->status = 200;
    call->response->body = body;
    call->response->body_len = openapi_json_len;
    call->response->content_type = "application/json";
}
