/* fleet.c - devices in numbers: registered before they call (PUT); those that a filter matches set, forgotten, or let out of
 * quarantine. A thousand are set or forgotten in a transaction; one that is refused stops the rest. Must never take a filter
 * that was left out for all devices. Tests: test/unit/api_operate_test.c, test/e2e/enrol_test.sh, test/e2e/rollout_test.sh. */
#include "bulk.h"
#include "shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/filter/filter.h"
#include "molt_reason.h"
#include "server/rollouts/rollout.h"
#include "server/skins/device_id.h"

#define CHUNK  1000u
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

static enum census_verdict look(void *ctx, const struct model_device *common, const char **product)
{
    const struct found *found = ctx;
    *product = shape_product_name(found->rules, common->product_id);
    return api_in_scope(found->call, common->product_id) ? CENSUS_ALL : CENSUS_NONE;
}

static void take(void *ctx, const struct census_device *device)
{
    struct found *found = ctx;
    if (found->short_of_memory) return;
    if (found->count == found->cap) {
        const size_t cap = found->cap == 0 ? 256 : found->cap * 2;
        char(*more)[MODEL_ID_LEN] = realloc(found->ids, cap * sizeof *more);
        found->short_of_memory = more == NULL;
        if (more == NULL) return;
        found->ids = more;
        found->cap = cap;
    }
    snprintf(found->ids[found->count++], MODEL_ID_LEN, "%s", device->id);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(a, b);
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

/* The ids of the devices that the filter matches and the caller may set; found->ids is for free(). False after replying. */
static bool find(struct api_call *call, const char *filter, struct found *found)
{
    struct store_rules rules = {0};
    char why[200];
    *found = (struct found){.call = call, .now_ms = api_now_ms(), .rules = &rules};
    if (filter_parse(&found->filter, filter, why, sizeof why) < 0) {
        api_refuse(call, MOLT_REQUEST_INVALID, "%s", why);
        return false;
    }
    const struct api_hooks *hooks = &call->api->hooks;
    const struct census_wish wish = {
        .filter = &found->filter, .now_ms = found->now_ms, .look = look, .ctx = found};
    if (hooks->flush_members != NULL) hooks->flush_members(hooks->ctx); /* each has a row then */
    int rc = store_load_rules(call->api->store, &rules);
    if (rc == 0) rc = api_each_meant(call, &wish, NULL, take, found);
    if (rc == 0 && found->short_of_memory) rc = -MOLT_NO_MEMORY;
    if (rc == 0 && found->count > 0) qsort(found->ids, found->count, sizeof *found->ids, by_id);
    store_free_rules(&rules);
    found->rules = NULL;
    if (rc == 0) return true;
    api_refuse_store(call, rc, "");
    free(found->ids);
    return false;
}

void api_set_devices(struct api_call *call, const char *filter, const json_t *body, const char *none)
{
    struct found found;
    if (!find(call, filter, &found)) return;
    if (found.count == 0 && none != NULL)
        api_refuse(call, MOLT_NOT_FOUND, "%s", none);
    else
        set_found(call, body, &found);
    free(found.ids);
}

/* The filter of a call that concerns all that match: all devices are never meant by leaving it out. NULL after replying. */
static const char *needed_filter(struct api_call *call)
{
    const char *text = api_param(call, "filter");
    if (text != NULL && text[strspn(text, " ")] != '\0') return text;
    api_refuse(call, MOLT_REQUEST_INVALID, "give the devices by 'filter'; all of them are: id ~ \"*\"");
    return NULL;
}

void api_devices_patch(struct api_call *call)
{
    const char *text = needed_filter(call);
    json_t *body = text != NULL ? api_body(call, FIELDS) : NULL;
    if (body == NULL) return;
    api_set_devices(call, text, body, NULL);
    json_decref(body);
}

/* ---- forget ---- */

bool api_forget(struct api_call *call, const char (*ids)[MODEL_ID_LEN], size_t count)
{
    const struct api_hooks *hooks = &call->api->hooks;
    int rc = hooks->delete_devices != NULL ? hooks->delete_devices(hooks->ctx, ids, count)
                                           : store_delete_devices(call->api->store, ids, count);
    if (rc < 0) api_refuse_store(call, rc, "");
    if (hooks->delete_devices != NULL || hooks->device_changed == NULL) return rc == 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        hooks->device_changed(hooks->ctx, ids[i]);
    return rc == 0;
}

/* A thousand in a transaction, so that writers get between; after a refusal none of that thousand and of none behind it. */
void api_devices_delete(struct api_call *call)
{
    struct found found;
    const char *filter = needed_filter(call);
    if (filter == NULL || !find(call, filter, &found)) return;
    bool ok = true;
    for (size_t i = 0; ok && i < found.count; i += CHUNK)
        ok = api_forget(call, (const char(*)[MODEL_ID_LEN])found.ids + i,
                        found.count - i < CHUNK ? found.count - i : CHUNK);
    if (ok) api_reply(call, 200, json_pack("{s:I}", "deleted", (json_int_t)found.count));
    free(found.ids);
}

/* ---- quarantine ---- */

/* 0, or the negative of a reason; *lifted: something had failed there. */
static int lift(struct api_call *call, const char *id, bool *lifted)
{
    struct model_device device;
    const struct api_hooks *hooks = &call->api->hooks;
    *lifted = false;
    if (hooks->retry_device != NULL) return hooks->retry_device(hooks->ctx, id, lifted);
    int rc = store_device_get(call->api->store, id, &device);
    if (rc == 0) *lifted = rollout_lift(&device);
    return rc == 0 && *lifted ? store_save_devices(call->api->store, &device, 1) : rc;
}

void api_device_retry(struct api_call *call)
{
    struct model_device device;
    bool lifted;
    if (!api_load_device(call, &device)) return;
    int rc = lift(call, device.id, &lifted);
    if (rc < 0)
        api_refuse_store(call, rc, "");
    else if (api_load_device(call, &device))
        api_reply_device(call, &device);
}

void api_devices_retry(struct api_call *call)
{
    struct found found;
    json_int_t count = 0;
    const char *filter = needed_filter(call);
    if (filter == NULL || !find(call, filter, &found)) return;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < found.count; i++) {
        bool lifted;
        rc = lift(call, found.ids[i], &lifted);
        if (rc == -MOLT_NOT_FOUND) rc = 0; /* it was forgotten meanwhile */
        count += lifted;
    }
    if (rc < 0)
        api_refuse_store(call, rc, "");
    else
        api_reply(call, 200, json_pack("{s:I}", "changed", count));
    free(found.ids);
}
