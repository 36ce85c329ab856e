/* server.c - GET /server, how the server itself is doing, and what the plots show: GET /trends, GET /rollouts/{id}/progress.
 * Without a running server there is none of it. Tests: test/unit/api_counts_test.c, test/dash. */
#include "call.h"
#include "shapes.h"

#include <string.h>

#include "molt_reason.h"

static bool is_running(struct api_call *call)
{
    if (call->api->hooks.server_info != NULL && call->api->trends != NULL) return true;
    api_refuse(call, MOLT_NOT_FOUND, "%s", "only a running server knows this");
    return false;
}

static json_t *listeners_json(const struct api_server_info *info)
{
    json_t *list = json_array();
    for (size_t i = 0; i < info->listener_count; i++)
        json_array_append_new(list, json_pack("{s:s, s:o, s:I}", "plane", info->listeners[i].plane, "url",
                                              shape_text(info->listeners[i].url), "port",
                                              (json_int_t)info->listeners[i].port));
    return list;
}

void api_server(struct api_call *call)
{
    struct api_server_info info = {.started_ms = 0};
    if (!is_running(call)) return;
    call->api->hooks.server_info(call->api->hooks.ctx, &info);
    json_t *http = json_pack("{s:I, s:I, s:I, s:I, s:I}", "accepted", (json_int_t)info.accepted, "open",
                             (json_int_t)info.open, "requests", (json_int_t)info.requests, "refused",
                             (json_int_t)info.refused, "bytes_sent", (json_int_t)info.bytes_sent);
    json_t *devices = json_pack("{s:I, s:I, s:I, s:I}", "count", (json_int_t)info.devices, "bytes",
                                (json_int_t)info.device_bytes, "unsaved", (json_int_t)info.unsaved, "written",
                                (json_int_t)info.written);
    json_t *disk = json_pack(
        "{s:I, s:I, s:o}", "free", (json_int_t)info.disk_free, "total", (json_int_t)info.disk_total,
        "database", info.database_bytes != 0 ? json_integer((json_int_t)info.database_bytes) : json_null());
    json_t *json = json_pack("{s:s, s:I, s:I, s:o, s:s, s:o, s:o}", "version", MOLT_VERSION, "now_ms",
                             (json_int_t)api_now_ms(), "started_ms", (json_int_t)info.started_ms, "data_dir",
                             shape_text(info.data_dir), "enrol", info.enrol, "public_url",
                             shape_text(info.public_url), "listeners", listeners_json(&info));
    json_object_set_new(json, "http", http);
    json_object_set_new(json, "devices", devices);
    json_object_set_new(json, "disk", disk);
    api_reply(call, 200, json);
}

/* Leaves the versions of the products that he may see; how busy the server is, is about all of them. */
static void keep_visible(const struct api_call *call, json_t *trends, const struct store_rules *rules)
{
    json_t *series = json_object_get(json_object_get(trends, "shares"), "series"), *value;
    const char *field;
    void *next;
    for (size_t i = json_array_size(series); i-- > 0;) {
        const char *name = json_string_value(json_object_get(json_array_get(series, i), "product"));
        bool seen = false;
        for (uint32_t p = 0; name != NULL && p < rules->product_count; p++)
            seen = seen ||
                   (strcmp(rules->products[p].name, name) == 0 && api_in_scope(call, rules->products[p].id));
        if (!seen) json_array_remove(series, i);
    }
    json_object_foreach_safe(json_object_get(trends, "rates"), next, field, value) json_array_clear(value);
}

void api_settings(struct api_call *call)
{
    const struct api_hooks *hooks = &call->api->hooks;
    if (hooks->settings == NULL)
        api_refuse(call, MOLT_NOT_FOUND, "%s", "only a running server knows this");
    else
        api_reply(call, 200, json_pack("{s:o}", "settings", hooks->settings(hooks->ctx)));
}

void api_trends(struct api_call *call)
{
    struct store_rules rules;
    if (!is_running(call)) return;
    json_t *trends = trends_json(call->api->trends);
    int rc = api_sees_all(call) ? 0 : store_load_rules(call->api->store, &rules);
    if (rc == 0 && !api_sees_all(call)) {
        keep_visible(call, trends, &rules);
        store_free_rules(&rules);
    }
    if (rc == 0) {
        api_reply(call, 200, trends);
        return;
    }
    json_decref(trends);
    api_refuse_store(call, rc, "");
}

void api_rollout_progress(struct api_call *call)
{
    if (is_running(call)) api_reply(call, 200, trends_progress_json(call->api->trends, api_row_id(call)));
}
