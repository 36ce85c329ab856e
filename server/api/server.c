/* server.c - GET /server, how the server itself is doing, and what the plots show: GET /trends, GET /rollouts/{id}/progress.
 * Without a running server there is none of it. Tests: test/unit/api_counts_test.c, test/dash. */
#include "call.h"
#include "shapes.h"

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

void api_trends(struct api_call *call)
{
    if (is_running(call)) api_reply(call, 200, trends_json(call->api->trends));
}

void api_rollout_progress(struct api_call *call)
{
    if (is_running(call)) api_reply(call, 200, trends_progress_json(call->api->trends, api_row_id(call)));
}
