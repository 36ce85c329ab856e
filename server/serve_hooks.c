/* serve_hooks.c - what the API may ask of a running server, and tells it (struct api_hooks of api/api.h). Any thread, at any time
 * between serve_start() and serve_stop(). Tests: test/e2e/serve_test.c, test/unit/api_*_test.c. */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "config.h"
#include "hooks/hooks.h"
#include "log.h"
#include "nodes.h"
#include "serve_parts.h"
#include "watch/metrics.h"

/* So that there is a copy of each hash where the log goes. */
static void audited(void *ctx, const struct store_audit *entry)
{
    char hash[65];
    (void)ctx;
    for (size_t i = 0; i < sizeof entry->hash; i++)
        (void)snprintf(hash + 2 * i, 3, "%02x", entry->hash[i]);
    log_event("event=audit seq=%lld hash=%s who=\"%s\" status=%d", (long long)entry->seq, hash, entry->who,
              (int)entry->status);
}

static void device_changed(void *ctx, const char *id)
{
    devices_reload(((struct serve *)ctx)->devices, id);
}

static enum devices_change lift(void *ctx, struct model_device *device, bool is_new)
{
    bool *lifted = ctx;
    (void)is_new;
    *lifted = rollout_lift(device);
    return *lifted ? DEVICES_CHANGED : DEVICES_UNCHANGED;
}

static int retry_device(void *ctx, const char *id, bool *lifted)
{
    return devices_peek(((struct serve *)ctx)->devices, id, lift, lifted);
}

static int delete_devices(void *ctx, const char (*ids)[MODEL_ID_LEN], size_t count)
{
    return devices_delete(((struct serve *)ctx)->devices, ids, count);
}

void serve_devices_written(void *ctx, const struct model_device *devices, size_t count)
{
    struct serve *serve = ctx;
    events_devices(serve->events, devices, count);
    hooks_devices(serve->hooks, devices, count);
}

static void count_devices(void *ctx, struct api_device_counts *out)
{
    struct devices_stats stats;
    devices_stats(((struct serve *)ctx)->devices, &stats);
    *out = (struct api_device_counts){.devices = stats.count,
                                      .unassigned = stats.unassigned,
                                      .held = stats.held,
                                      .updated = stats.updated,
                                      .failed = stats.failed};
}

static int census(void *ctx, const struct census_wish *wish, const struct census_ages *ages, census_row row,
                  void *row_ctx)
{
    return devices_census_of(((struct serve *)ctx)->devices, wish, ages, row, row_ctx);
}

static int find_ids(void *ctx, const struct census_wish *wish, const char *after, char (*ids)[MODEL_ID_LEN],
                    uint32_t cap)
{
    return devices_find_ids(((struct serve *)ctx)->devices, wish, after, ids, cap);
}

static int each_meant(void *ctx, const struct census_wish *wish, const struct census_also *also,
                      census_meant each, void *each_ctx)
{
    return devices_each_meant(((struct serve *)ctx)->devices, wish, also, each, each_ctx);
}

static void disk_info(const char *data_dir, struct api_server_info *out)
{
    char path[SERVE_PATH_LEN];
    struct statvfs disk;
    struct stat file;
    if (statvfs(data_dir, &disk) == 0) {
        out->disk_free = (uint64_t)disk.f_bavail * disk.f_frsize;
        out->disk_total = (uint64_t)disk.f_blocks * disk.f_frsize;
    }
    if (snprintf(path, sizeof path, "%s/molt.db", data_dir) < (int)sizeof path && stat(path, &file) == 0)
        out->database_bytes = (uint64_t)file.st_size;
}

const char *serve_plane_name(const struct serve *serve, size_t idx)
{
    if (idx < serve->device_count) return "device";
    return idx == serve->device_count ? "admin" : "socket";
}

static void server_info(void *ctx, struct api_server_info *out)
{
    static const char *const modes[] = {"open", "token", "list", "approval"};
    struct serve *serve = ctx;
    struct http_stats http = {0};
    struct devices_stats devices;
    struct serve_options now;
    serve_options_now(serve, &now);
    struct http_server *server = atomic_load(&serve->known);
    if (server != NULL) http_server_stats(server, &http);
    devices_stats(serve->devices, &devices);
    *out = (struct api_server_info){.started_ms = serve->started_ms,
                                    .data_dir = serve->data_dir,
                                    .enrol = (size_t)now.enrol < 4 ? modes[now.enrol] : "",
                                    .public_url = serve->public_url,
                                    .accepted = http.accepted,
                                    .open = http.open,
                                    .requests = http.requests,
                                    .refused = http.refused,
                                    .bytes_sent = http.bytes_sent,
                                    .devices = devices.count,
                                    .device_bytes = devices.bytes,
                                    .unsaved = devices.dirty,
                                    .written = devices.written};
    for (size_t i = 0; i < serve->count && i < API_LISTENERS_MAX; i++) {
        out->listeners[i].plane = serve_plane_name(serve, i);
        out->listeners[i].url = serve->listeners[i].url;
        out->listeners[i].port = server != NULL ? http_server_port(server, i) : 0;
        out->listener_count++;
    }
    disk_info(serve->data_dir, out);
}

static void fill_metrics(struct serve *serve, struct metrics_parts *out)
{
    struct serve_options now;
    serve_options_now(serve, &now);
    *out = (struct metrics_parts){.store = serve->store,
                                  .devices = serve->devices,
                                  .rules = serve->rules,
                                  .http = atomic_load(&serve->known),
                                  .data_dir = serve->data_dir,
                                  .tls_cert = now.tls_cert,
                                  .started_ms = serve->started_ms,
                                  .downloads = skins_in_flight(serve->skins),
                                  .hooks_queued = hooks_waiting(serve->hooks),
                                  .watchers = events_watchers(serve->events)};
}

static char *metrics(void *ctx, size_t *len)
{
    struct metrics_parts parts;
    fill_metrics(ctx, &parts);
    return metrics_text(&parts, len);
}

static void webhooks_changed(void *ctx)
{
    hooks_changed(((struct serve *)ctx)->hooks);
}

/* One setting: its values, or null where the default holds; what is secret is not shown. */
static json_t *setting(const struct config_row *row, const struct serve_options *now, size_t i)
{
    char value[CONFIG_VALUE_MAX + 1];
    json_t *values = json_array();
    for (size_t n = 0; config_value(now, i, n, value); n++)
        json_array_append_new(values, json_string((row->flags & CONFIG_SECRET) != 0 ? "********" : value));
    return json_pack("{s:s, s:o, s:s, s:b, s:b, s:s}", "name", row->name, "values", values, "default",
                     row->fallback, "list", row->cap > 0, "live", (row->flags & CONFIG_LIVE) != 0, "help",
                     row->help);
}

static json_t *settings(void *ctx)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    struct serve *serve = ctx;
    json_t *list = json_array();
    pthread_mutex_lock(&serve->settings); /* SIGHUP may take the texts away */
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, setting(&rows[i], &serve->options, i));
    pthread_mutex_unlock(&serve->settings);
    return list;
}

static const char *not_ready(void *ctx)
{
    struct metrics_parts parts;
    struct serve *serve = ctx;
    if (nodes_behind(serve->nodes)) return "this server has not heard of the others for seconds";
    fill_metrics(ctx, &parts);
    return metrics_not_ready(&parts);
}

static int flush_devices(void *ctx)
{
    return devices_flush_changes(((struct serve *)ctx)->devices);
}

static void flush_members(void *ctx)
{
    devices_flush_members(((struct serve *)ctx)->devices);
}

static enum devices_change copy_device(void *ctx, struct model_device *device, bool is_new)
{
    (void)is_new;
    *(struct model_device *)ctx = *device;
    return DEVICES_UNCHANGED;
}

static void device_now(void *ctx, struct model_device *device)
{
    struct model_device now = *device;
    if (devices_peek(((struct serve *)ctx)->devices, device->id, copy_device, &now) == 0) *device = now;
}

void serve_api_hooks(struct serve *serve, struct api_hooks *out)
{
    *out = (struct api_hooks){.ctx = serve,
                              .rules_changed = serve_rules_changed,
                              .unacknowledged = serve_unacknowledged,
                              .device_changed = device_changed,
                              .flush_devices = flush_devices,
                              .flush_members = flush_members,
                              .device_now = device_now,
                              .delete_devices = delete_devices,
                              .retry_device = retry_device,
                              .count_devices = count_devices,
                              .census = census,
                              .find_ids = find_ids,
                              .each_meant = each_meant,
                              .server_info = server_info,
                              .audited = audited,
                              .live = true,
                              .webhooks_changed = webhooks_changed,
                              .settings = settings,
                              .metrics = metrics,
                              .not_ready = not_ready,
                              .rollouts = devices_rollouts(serve->devices)};
}
