/* fleet.c - devices in numbers: registered before they call (PUT), many set at once by a filter, and let out of quarantine.
 * A thousand are set in a transaction (bulk.c); one that is refused stops the rest.
 * Tests: test/e2e/enrol_test.sh, test/e2e/rollout_test.sh. */
#include "bulk.h"
#include "shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/filter/filter.h"
#include "molt_reason.h"
#include "server/rollout.h"
#include "server/skins/device_id.h"

#define FIELDS "product channel chip held group tags attributes pin"

bool api_new_product(struct api_call *call, const json_t *body, int64_t *id)
{
    struct model_product product;
    const char *name = json_string_value(json_object_get(body, "product"));
    *id = who_sole_product(&call->who, call->roles);
    if (name != NULL && store_product_find(call->api->store, name, &product) == 0) *id = product.id;
    call->audit_id = *id;
    return api_reaches(call, *id, "say in which of your products: 'product'");
}

/* Is the device there, or made now? False after replying. */
static bool ensure(struct api_call *call, const json_t *body, const char *id)
{
    struct model_device device;
    struct model_device fresh = {.first_seen_ms = api_now_ms()};
    if (store_device_get(call->api->store, id, &device) != -MOLT_NOT_FOUND) return true;
    snprintf(fresh.id, sizeof fresh.id, "%s", id);
    return api_new_product(call, body, &fresh.product_id) && api_save_device(call, &fresh);
}

void api_device_put(struct api_call *call)
{
    struct model_device device;
    char id[MODEL_ID_LEN];
    json_t *body = api_body(call, FIELDS);
    if (body == NULL) return;
    if (!device_id_parse(call->id, strlen(call->id), id, NULL))
        api_refuse(call, MOLT_REQUEST_INVALID, "'%s' is no device id", call->id);
    else if (ensure(call, body, id) && api_set_device(call, body, &device))
        api_reply_device(call, &device);
    json_decref(body);
}

/* ---- many ---- */

struct found {
    const struct api_call *call;
    struct filter filter;
    const struct store_rules *rules;
    int64_t now_ms;
    char (*ids)[MODEL_ID_LEN];
    size_t count, cap;
    bool short_of_memory;
};

static int find_row(void *ctx, const struct model_device *device)
{
    struct found *found = ctx;
    const struct filter_subject subject = {device, shape_product_name(found->rules, device->product_id),
                                           found->now_ms};
    if (!api_in_scope(found->call, device->product_id) || !filter_match(&found->filter, &subject)) return 0;
    if (found->count == found->cap) {
        const size_t cap = found->cap == 0 ? 256 : found->cap * 2;
        char(*more)[MODEL_ID_LEN] = realloc(found->ids, cap * sizeof *more);
        found->short_of_memory = more == NULL;
        if (more == NULL) return 1;
        found->ids = more;
        found->cap = cap;
    }
    memcpy(found->ids[found->count++], device->id, MODEL_ID_LEN);
    return 0;
}

static void set_found(struct api_call *call, const json_t *body, const struct found *found)
{
    struct bulk_setting *settings = calloc(found->count + 1, sizeof *settings);
    for (size_t i = 0; settings != NULL && i < found->count; i++) {
        memcpy(settings[i].id, found->ids[i], MODEL_ID_LEN);
        settings[i].body = body;
    }
    bool ok = settings != NULL && bulk_set(call, settings, found->count);
    if (settings == NULL) api_refuse(call, MOLT_NO_MEMORY, "ask for fewer at a time");
    free(settings);
    if (!ok) return;
    api_reply(call, 200, json_pack("{s:I}", "changed", (json_int_t)found->count));
}

void api_set_devices(struct api_call *call, const char *filter, const json_t *body, const char *none)
{
    struct found found = {.call = call, .now_ms = api_now_ms()};
    struct store_rules rules = {0};
    char why[200];
    if (filter_parse(&found.filter, filter, why, sizeof why) < 0) {
        api_refuse(call, MOLT_REQUEST_INVALID, "%s", why);
        return;
    }
    int rc = store_load_rules(call->api->store, &rules);
    found.rules = &rules;
    if (rc == 0) rc = api_each_device(call, "", find_row, &found);
    if (rc == 0 && found.short_of_memory) rc = -MOLT_NO_MEMORY;
    if (rc < 0)
        api_refuse_store(call, rc, "");
    else if (found.count == 0 && none != NULL)
        api_refuse(call, MOLT_NOT_FOUND, "%s", none);
    else
        set_found(call, body, &found);
    store_free_rules(&rules);
    free(found.ids);
}

void api_devices_patch(struct api_call *call)
{
    const char *text = api_param(call, "filter");
    if (text == NULL || text[0] == '\0') {
        api_refuse(call, MOLT_REQUEST_INVALID, "give the devices by 'filter'; all of them are: id ~ \"*\"");
        return;
    }
    json_t *body = api_body(call, FIELDS);
    if (body == NULL) return;
    api_set_devices(call, text, body, NULL);
    json_decref(body);
}

/* ---- quarantine ---- */

void api_device_retry(struct api_call *call)
{
    struct model_device device;
    const struct api_hooks *hooks = &call->api->hooks;
    if (!api_load_device(call, &device)) return;
    if (hooks->retry_device != NULL) {
        int rc = hooks->retry_device(hooks->ctx, device.id);
        if (rc < 0)
            api_refuse_store(call, rc, "");
        else if (api_load_device(call, &device))
            api_reply_device(call, &device);
        return;
    }
    rollout_lift(&device);
    if (api_save_device(call, &device)) api_reply_device(call, &device);
}
