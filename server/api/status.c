/* status.c - GET /status (counts, for a first look) and GET /openapi.json (the description of all this).
 * Tests: test/unit/api_test.c, test/unit/openapi_test.c. */
#include "call.h"

#include <stdlib.h>
#include <string.h>

#include "molt_reason.h"
#include "openapi_json.h"

static int count_row(void *ctx, const struct model_device *device)
{
    struct api_device_counts *counts = ctx;
    counts->devices++;
    counts->unassigned += device->product_id == 0;
    counts->held += device->held;
    counts->updated += device->attempt == MODEL_ATTEMPT_UPDATED || device->attempt == MODEL_ATTEMPT_PRESUMED;
    counts->failed += device->attempt == MODEL_ATTEMPT_FAILED || device->attempt == MODEL_ATTEMPT_ROLLED_BACK;
    return 0;
}

/* A server knows; without one the rows are counted. */
static int count_devices(struct api_call *call, struct api_device_counts *counts)
{
    const struct api_hooks *hooks = &call->api->hooks;
    memset(counts, 0, sizeof *counts);
    if (hooks->count_devices == NULL) return api_each_device(call, "", count_row, counts);
    hooks->count_devices(hooks->ctx, counts);
    return 0;
}

static json_t *shape_health(const struct store_health *health)
{
    json_t *json = json_pack("{s:s, s:b}", "backend", health->backend, "ok", health->ill_since_ms == 0);
    if (health->ill_since_ms == 0) return json;
    json_object_set_new(json, "since_ms", json_integer((json_int_t)health->ill_since_ms));
    json_object_set_new(json, "why", json_string(health->why));
    return json;
}

/* NULL: there is none. */
static json_t *shape_replica(struct store *store)
{
    struct store_replica replica;
    store_replica_state(store, &replica);
    if (!replica.named) return NULL;
    json_t *json = json_pack("{s:b, s:I, s:{s:I, s:I, s:I, s:I}}", "in_use", replica.in_use, "reads",
                             (json_int_t)replica.reads[STORE_READ_REPLICA], "sent_back", "away",
                             (json_int_t)replica.reads[STORE_READ_AWAY], "conflict",
                             (json_int_t)replica.reads[STORE_READ_CONFLICT], "failed",
                             (json_int_t)replica.reads[STORE_READ_FAILED], "doubted",
                             (json_int_t)replica.reads[STORE_READ_DOUBTED]);
    if (!replica.in_use) json_object_set_new(json, "why", json_string(replica.why));
    return json;
}

/* What only the store knows, and does not tell while it is ill. */
static int add_store_counts(struct store *store, json_t *json)
{
    struct store_rules rules;
    uint32_t tokens = 0;
    int rc = store_token_count(store, STORE_TOKEN_ADMIN, &tokens);
    if (rc == 0) rc = store_load_rules(store, &rules);
    if (rc < 0) return rc;
    json_object_set_new(json, "generation", json_integer((json_int_t)rules.generation));
    json_object_set_new(json, "products", json_integer((json_int_t)rules.product_count));
    json_object_set_new(json, "releases", json_integer((json_int_t)rules.release_count));
    json_object_set_new(json, "admin_tokens", json_integer((json_int_t)tokens));
    store_free_rules(&rules);
    return 0;
}

void api_status(struct api_call *call)
{
    const struct api_hooks *hooks = &call->api->hooks;
    struct api_device_counts counts;
    struct store_health health;
    int rc = count_devices(call, &counts);
    json_t *json = json_pack("{s:s, s:b, s:{s:I, s:I, s:I, s:I, s:I}}", "version", MOLT_VERSION, "serving",
                             hooks->rules_changed != NULL, "devices", "count", (json_int_t)counts.devices,
                             "unassigned", (json_int_t)counts.unassigned, "held", (json_int_t)counts.held,
                             "updated", (json_int_t)counts.updated, "failed", (json_int_t)counts.failed);
    if (rc >= 0) rc = add_store_counts(call->api->store, json);
    store_health(call->api->store, &health);
    if (rc < 0 && health.ill_since_ms == 0) {
        json_decref(json);
        api_refuse_store(call, rc, "");
        return;
    }
    json_object_set_new(json, "store", shape_health(&health));
    json_t *replica = shape_replica(call->api->store);
    if (replica != NULL) json_object_set_new(json_object_get(json, "store"), "replica", replica);
    api_reply(call, 200, json);
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
