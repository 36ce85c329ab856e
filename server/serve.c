/* serve.c - the wiring of `molt serve`: who is made in which order, and taken down in the other. No rule about devices
 * lives here. Tests: test/e2e/serve_test.c, test/e2e/serve_kill_test.c. */
#include "serve.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "access/oidc.h"
#include "admin.h"
#include "config.h"
#include "hooks/hooks.h"
#include "host/socket_path.h"
#include "host/store/operate.h"
#include "log.h"
#include "molt_reason.h"
#include "nodes.h"
#include "nudge.h"
#include "packs/packs.h"
#include "rollouts/rollout_runner.h"
#include "sandbox.h"
#include "skins/skins.h"
#include "watch/metrics.h"
#include "watch/sampler.h"

#define DRAIN_MS         10000u
#define GUESSES_A_MINUTE 60     /* wrong tokens at the admin plane from one address */
#define LOGINS_A_MINUTE  10     /* wrong passwords of one user, from wherever */
#define DEVICE_BODY_MAX  32768u /* a check-in has at most 512 bytes; DDI feedback may carry a log */
#define PATH_LEN         4096
#define RELOAD_TRIES     10 /* a second each, where other servers are waited for anyway */

struct serve {
    struct store *store;
    struct devices *devices;
    struct nodes *nodes; /* NULL: the only server */
    struct rules_guard guard;
    struct rules_holder *rules;
    struct static_dir *static_dir;
    struct packs *packs;
    struct skins *skins;
    struct rollout_runner *runner;
    struct trends *trends;
    struct sampler *sampler;
    char data_dir[PATH_LEN];
    struct serve_options options; /* as they are now; guarded by settings */
    pthread_mutex_t settings;
    int64_t started_ms;
    struct events *events;
    struct api api;
    struct admin_plane plane, socket_plane;
    struct nudge *nudge;
    struct hooks *hooks;
    struct throttle *requests; /* of a token at the admin plane */
    struct net proxies[SERVE_NETS_MAX];
    struct throttle *guesses; /* wrong tokens at the admin plane */
    struct oidc *oidc;        /* NULL: none */
    struct throttle *logins;  /* wrong passwords of a user */
    struct http_server *http;
    _Atomic(struct http_server *) known; /* the same, once requests may look at it */
    pthread_mutex_t reloading;
    struct http_listener listeners[SERVE_LISTEN_MAX + 2];
    size_t device_count, count;
    char socket_path[SOCKET_PATH_LEN], socket_url[SOCKET_PATH_LEN + 8], public_url[256];
    int socket_folder; /* what socket_path is made with, -1: nothing */
};

/* ---- what the API tells us ---- */

static int load_rules(struct serve *serve)
{
    struct store_rules data;
    int rc = store_load_rules(serve->store, &data);
    struct rules *rules = rc == 0 ? rules_build(&data) : NULL;
    if (rc != 0) return rc;
    if (rules == NULL) return -MOLT_NO_MEMORY;
    rules_count_by(rules, devices_rollouts(serve->devices));
    if (serve->options.node != NULL) rules_share(rules);
    nudge_rules(serve->nudge,
                &rules->data); /* a device that asks at once may be a moment early, and asks again */
    if (serve->rules == NULL) {
        serve->rules = rules_holder_new(rules);
        if (serve->rules != NULL) nudge_rules(serve->nudge, &rules->data);
        return serve->rules != NULL ? 0 : -MOLT_NO_MEMORY;
    }
    const struct rules *was = rules_acquire(serve->rules);
    if (nodes_lead(serve->nodes, NULL)) hooks_rules(serve->hooks, &was->data, &rules->data);
    rules_release_ref(serve->rules, was);
    rules_swap(serve->rules, rules);
    nudge_rules(serve->nudge, &rules->data); /* who asks at once is answered by these */
    return 0;
}

/* *generation: what the store had. */
static bool reload_rules(struct serve *serve, uint64_t *generation)
{
    pthread_mutex_lock(&serve->reloading); /* so that a later picture is never replaced by an earlier one */
    int rc = load_rules(serve);
    const struct rules *rules = rules_acquire(serve->rules);
    *generation = rules->data.generation;
    rules_release_ref(serve->rules, rules);
    pthread_mutex_unlock(&serve->reloading);
    if (rc != 0) log_event("event=rules-not-loaded reason=%s", molt_reason_id(-rc));
    events_rules(serve->events);
    return rc == 0;
}

static void rollout_moved(void *ctx)
{
    uint64_t generation;
    (void)reload_rules(ctx, &generation);
}

static _Thread_local bool not_acknowledged; /* of the change that this thread made last */

static bool unacknowledged(void *ctx)
{
    const bool was = not_acknowledged;
    (void)ctx;
    not_acknowledged = false;
    return was;
}

/* The database may have gone away behind the commit. */
static bool reload_for_sure(struct serve *serve, uint64_t *generation)
{
    bool loaded = reload_rules(serve, generation);
    for (int tries = 0; !loaded && serve->nodes != NULL && tries < RELOAD_TRIES; tries++) {
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        loaded = reload_rules(serve, generation);
    }
    return loaded;
}

/* Over the API: whoever asked may count on it that no server goes by the old rules when this is over. */
static void rules_changed(void *ctx)
{
    struct serve *serve = ctx;
    uint64_t generation;
    not_acknowledged = !reload_for_sure(serve, &generation) && serve->nodes != NULL;
    if (!not_acknowledged) not_acknowledged = !nodes_wait(serve->nodes, generation);
    if (!not_acknowledged) return;
    log_event("event=node-wait result=failed generation=%llu next-step=\"see molt node list\"",
              (unsigned long long)generation);
}

static bool others_changed_rules(void *ctx, uint64_t *generation)
{
    return reload_rules(ctx, generation);
}

static bool lead(void *ctx, int64_t *epoch)
{
    return nodes_lead(((struct serve *)ctx)->nodes, epoch);
}

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

static void devices_written(void *ctx, const struct model_device *devices, size_t count)
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

struct row_call {
    int (*row)(void *ctx, const struct model_device *device);
    void *ctx;
};

static enum devices_change call_row(void *ctx, struct model_device *device, bool is_new)
{
    struct row_call *call = ctx;
    (void)is_new;
    (void)call->row(call->ctx, device);
    return DEVICES_UNCHANGED;
}

static void all_devices(void *ctx, int (*row)(void *row_ctx, const struct model_device *device),
                        void *row_ctx)
{
    struct row_call call = {row, row_ctx};
    devices_sweep(((struct serve *)ctx)->devices, call_row, &call);
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

static void disk_info(const char *data_dir, struct api_server_info *out)
{
    char path[PATH_LEN];
    struct statvfs disk;
    struct stat file;
    if (statvfs(data_dir, &disk) == 0) {
        out->disk_free = (uint64_t)disk.f_bavail * disk.f_frsize;
        out->disk_total = (uint64_t)disk.f_blocks * disk.f_frsize;
    }
    if (snprintf(path, sizeof path, "%s/molt.db", data_dir) < (int)sizeof path && stat(path, &file) == 0)
        out->database_bytes = (uint64_t)file.st_size;
}

static const char *plane_name(const struct serve *serve, size_t idx)
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
        out->listeners[i].plane = plane_name(serve, i);
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

static void flush_devices(void *ctx)
{
    devices_flush_changes(((struct serve *)ctx)->devices);
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

static void apply_live(struct serve *serve, const struct serve_options *now);
static size_t read_nets(const char *const *texts, size_t count, struct net *out);

/* ---- start ---- */

static int fail(char *err, size_t cap, const char *what, const char *why)
{
    (void)snprintf(err, cap, "%s: %s", what, why);
    return -1;
}

/* The admin token is shown when it is made; afterwards only its hash exists. */
static int first_start(struct serve *serve, char *err, size_t cap)
{
    uint32_t count = 0;
    char token[STORE_TOKEN_LEN];
    int rc = store_token_count(serve->store, STORE_TOKEN_ADMIN, &count);
    if (rc == 0 && count == 0)
        rc = store_token_create(serve->store, STORE_TOKEN_ADMIN, "first start", NULL, token);
    if (rc != 0) return fail(err, cap, "admin token", store_error(serve->store));
    if (count == 0) {
        printf("admin token (shown only now): %s\n", token);
        (void)fflush(stdout);
    }
    return 0;
}

static int open_oidc(struct serve *serve, const struct serve_options *options, char *err, size_t cap)
{
    char secret[256] = "", why[OIDC_WHY_LEN];
    if (options->oidc_secret != NULL) {
        FILE *file = fopen(options->oidc_secret, "re");
        const bool read = file != NULL && fgets(secret, sizeof secret, file) != NULL;
        if (file != NULL) (void)fclose(file);
        if (!read) return fail(err, cap, options->oidc_secret, "holds no secret on its first line");
        secret[strcspn(secret, "\r\n")] = '\0';
    }
    serve->oidc = oidc_new(options->oidc_issuer, options->oidc_client, secret, why);
    return serve->oidc != NULL ? 0 : fail(err, cap, "--oidc-issuer", why);
}

static int open_state(struct serve *serve, const struct serve_options *options, char *err, size_t cap)
{
    char state_path[PATH_LEN], why[256] = "";
    const struct store_place place = {.data_dir = options->data_dir,
                                      .url = options->store_url,
                                      .create = true,
                                      .artifacts = options->artifacts_url,
                                      .node = options->node};
    int rc = store_open_place(&place, &serve->store, why, sizeof why);
    if (rc == -MOLT_STATE && options->store_url == NULL)
        return fail(err, cap, options->data_dir, "another molt holds this data folder");
    if (rc != 0) return fail(err, cap, options->data_dir, why);
    if (first_start(serve, err, cap) != 0) return -1;
    if (options->oidc_issuer != NULL && open_oidc(serve, options, err, cap) != 0) return -1;
    if (options->mqtt_url != NULL && nudge_open(&serve->nudge, options->mqtt_url, err, cap) != 0) return -1;
    if (options->node != NULL && nodes_prepare(&serve->nodes, serve->store) < 0)
        return fail(err, cap, "--node", store_error(serve->store));
    const struct devices_limits limits = {.new_per_minute = options->new_per_minute};
    rc = devices_open(&serve->devices, serve->store, &limits);
    if (rc == 0) rc = load_rules(serve);
    if (rc != 0) return fail(err, cap, "database", store_error(serve->store));
    rc = packs_open(&serve->packs, options->data_dir, serve->store, 0);
    if (rc != 0) return fail(err, cap, options->data_dir, "the folder of packs cannot be made");
    if (options->static_dir == NULL) return 0;
    (void)snprintf(state_path, sizeof state_path, "%s/static.state", options->data_dir);
    rc = static_dir_open(&serve->static_dir, options->static_dir, state_path, serve->store);
    if (rc == -MOLT_NOT_FOUND)
        return fail(err, cap, options->static_dir, "--static takes a folder that is there");
    return rc == 0 ? 0 : fail(err, cap, options->static_dir, molt_reason_sentence(-rc));
}

static int make_skins(struct serve *serve, const struct serve_options *options, char *err, size_t cap)
{
    struct skins_options skins = {.store = serve->store,
                                  .devices = serve->devices,
                                  .rules = serve->rules,
                                  .static_dir = serve->static_dir,
                                  .packs = serve->packs,
                                  .guard = options->node != NULL ? &serve->guard : NULL,
                                  .busy_at = options->busy_at,
                                  .checkin_interval_s = options->checkin_interval_s,
                                  .ddi_interval_s = options->ddi_interval_s,
                                  .redirect = options->redirect,
                                  .certificates = options->device_ca != NULL,
                                  .enrol = options->enrol};
    if (options->public_url != NULL) {
        size_t len = strlen(options->public_url);
        while (len > 0 && options->public_url[len - 1] == '/')
            len--;
        if (len >= sizeof serve->public_url) return fail(err, cap, "--public-url", "too long");
        memcpy(serve->public_url, options->public_url, len);
        skins.public_url = serve->public_url;
    }
    serve->skins = skins_new(&skins);
    return serve->skins != NULL ? 0 : fail(err, cap, "start", "out of memory");
}

static void add_listener(struct serve *serve, const struct serve_options *options, const char *url,
                         http_handler handler, void *ctx, uint64_t body_max)
{
    serve->listeners[serve->count++] =
        (struct http_listener){.url = url,
                               .handler = handler,
                               .handler_ctx = ctx,
                               .body_max = body_max,
                               .cert_path = options->tls_cert,
                               .key_path = options->tls_key,
                               .client_ca_path = handler == skins_handle ? options->device_ca : NULL,
                               .client_crl_path = options->device_crl};
}

/* The address as people and programs use it: a URL that ends in port 0 gets the port that the system chose. */
static void log_listening(const struct serve *serve, size_t idx)
{
    const char *plane = plane_name(serve, idx);
    const char *url = serve->listeners[idx].url, *colon = strrchr(url, ':');
    unsigned port = http_server_port(serve->http, idx);
    if (port == 0)
        log_event("event=listening plane=%s url=%s", plane, url);
    else
        log_event("event=listening plane=%s url=%.*s:%u port=%u", plane, (int)(colon - url), url, port, port);
}

static int listen_all(struct serve *serve, const struct serve_options *options, char *err, size_t cap)
{
    struct http_options http = {
        .threads = options->threads, .spool_dir = options->data_dir, .proxies = serve->proxies};
    http.proxy_count = read_nets(options->proxies, options->proxies_count, serve->proxies);
    if (options->listen_count == 0)
        add_listener(serve, options, SERVE_LISTEN_DEFAULT, skins_handle, serve->skins, DEVICE_BODY_MAX);
    for (size_t i = 0; i < options->listen_count; i++)
        add_listener(serve, options, options->listen[i], skins_handle, serve->skins, DEVICE_BODY_MAX);
    serve->device_count = serve->count;
    add_listener(serve, options, options->admin != NULL ? options->admin : SERVE_ADMIN_DEFAULT, admin_handle,
                 &serve->plane, ADMIN_BODY_MAX);
    if (socket_path(options->data_dir, serve->socket_path, &serve->socket_folder) < 0)
        return fail(err, cap, options->data_dir, strerror(errno));
    (void)unlink(serve->socket_path); /* left by a killed server: we hold the data folder */
    (void)snprintf(serve->socket_url, sizeof serve->socket_url, "unix:%s", serve->socket_path);
    add_listener(serve, options, serve->socket_url, admin_handle, &serve->socket_plane, ADMIN_BODY_MAX);
    if (http_server_start(&serve->http, &http, serve->listeners, serve->count, err, cap) != 0) return -1;
    atomic_store(&serve->known, serve->http);
    for (size_t i = 0; i < serve->count; i++)
        log_listening(serve, i);
    return 0;
}

/* Each hour: what is older than --retain-days goes. */
static void prune(void *ctx)
{
    struct serve *serve = ctx;
    struct serve_options now;
    int64_t count = 0;
    serve_options_now(serve, &now);
    if (now.retain_days == 0 || !nodes_lead(serve->nodes, NULL)) return;
    const int64_t before_ms = ((int64_t)time(NULL) - (int64_t)now.retain_days * 86400) * 1000;
    int rc = store_prune_attempts(serve->store, before_ms, &count);
    if (rc < 0 || count > 0)
        log_event("event=pruned attempts=%lld reason=%s", (long long)count,
                  rc < 0 ? molt_reason_id(-rc) : "retain-days");
}

static int start_sampler(struct serve *serve, char *err, size_t cap)
{
    const struct sampler_parts parts = {.trends = serve->trends,
                                        .devices = serve->devices,
                                        .rules = serve->rules,
                                        .http = serve->http,
                                        .data_dir = serve->data_dir,
                                        .hourly = prune,
                                        .hourly_ctx = serve};
    return sampler_start(&serve->sampler, &parts) == 0 ? 0 : fail(err, cap, "start", "out of memory");
}

static bool leads(void *ctx)
{
    return nodes_lead(((struct serve *)ctx)->nodes, NULL);
}

static int start_node(struct serve *serve, char *err, size_t cap)
{
    const struct nodes_parts parts = {.store = serve->store,
                                      .devices = serve->devices,
                                      .rules = serve->rules,
                                      .load_rules = others_changed_rules,
                                      .ctx = serve};
    int rc = nodes_start(serve->nodes, &parts);
    if (rc != 0) return fail(err, cap, "--node", store_error(serve->store));
    serve->guard.ctx = serve->nodes;
    hooks_follow(serve->hooks, leads, serve);
    return 0;
}

/* Who answers at the admin plane and at the socket, and what it may ask of the rest. */
static void make_planes(struct serve *serve)
{
    serve->api = (struct api){.store = serve->store,
                              .sessions = true,
                              .logins = serve->logins,
                              .oidc = serve->oidc,
                              .trends = serve->trends,
                              .hooks = {.ctx = serve,
                                        .rules_changed = rules_changed,
                                        .unacknowledged = unacknowledged,
                                        .device_changed = device_changed,
                                        .flush_devices = flush_devices,
                                        .flush_members = flush_members,
                                        .device_now = device_now,
                                        .delete_devices = delete_devices,
                                        .retry_device = retry_device,
                                        .count_devices = count_devices,
                                        .all_devices = all_devices,
                                        .census = census,
                                        .find_ids = find_ids,
                                        .server_info = server_info,
                                        .audited = audited,
                                        .live = true,
                                        .webhooks_changed = webhooks_changed,
                                        .settings = settings,
                                        .metrics = metrics,
                                        .not_ready = not_ready,
                                        .rollouts = devices_rollouts(serve->devices)}};
    serve->plane = (struct admin_plane){
        .api = &serve->api, .events = serve->events, .guesses = serve->guesses, .requests = serve->requests};
    serve->socket_plane = (struct admin_plane){.api = &serve->api, .events = serve->events, .trusted = true};
}

int serve_start(struct serve **out, const struct serve_options *options, char *err, size_t err_cap)
{
    *out = NULL;
    if (serve_check(options, err, err_cap) != 0) return -1;
    struct serve *serve = calloc(1, sizeof *serve);
    if (serve == NULL) return fail(err, err_cap, "start", "out of memory");
    serve->options = *options;
    serve->socket_folder = -1;
    serve->guesses = throttle_new(GUESSES_A_MINUTE);
    serve->requests = throttle_new(0);
    serve->logins = throttle_new(LOGINS_A_MINUTE);
    serve->started_ms = (int64_t)time(NULL) * 1000;
    (void)snprintf(serve->data_dir, sizeof serve->data_dir, "%s", options->data_dir);
    pthread_mutex_init(&serve->reloading, NULL);
    pthread_mutex_init(&serve->settings, NULL);
    serve->guard = (struct rules_guard){.behind = nodes_behind};
    if (open_state(serve, options, err, err_cap) != 0 || make_skins(serve, options, err, err_cap) != 0) {
        serve_stop(serve, 0);
        return -1;
    }
    serve->events = events_new();
    serve->trends = trends_new();
    serve->hooks = hooks_start(serve->store);
    if (serve->events == NULL || serve->trends == NULL || serve->guesses == NULL || serve->logins == NULL ||
        serve->hooks == NULL || serve->requests == NULL) {
        serve_stop(serve, 0);
        return fail(err, err_cap, "start", "out of memory");
    }
    devices_watch(serve->devices, devices_written, serve);
    apply_live(serve, options);
    if (options->node != NULL && start_node(serve, err, err_cap) != 0) {
        serve_stop(serve, 0);
        return -1;
    }
    devices_watch_ends(serve->devices, hooks_ends, serve->hooks);
    make_planes(serve);
    const struct rollout_runner_parts runner = {.store = serve->store,
                                                .devices = serve->devices,
                                                .rules = serve->rules,
                                                .ctx = serve,
                                                .changed = rollout_moved,
                                                .lead = serve->nodes != NULL ? lead : NULL};
    if (rollout_runner_start(&serve->runner, &runner) != 0 || listen_all(serve, options, err, err_cap) != 0 ||
        start_sampler(serve, err, err_cap) != 0) {
        serve_stop(serve, 0);
        return -1;
    }
    *out = serve;
    return 0;
}

uint16_t serve_port(const struct serve *serve, size_t idx)
{
    return http_server_port(serve->http, idx == SERVE_ADMIN_IDX ? serve->device_count : idx);
}

int serve_reload_tls(struct serve *serve, char *err, size_t err_cap)
{
    return http_server_reload_tls(serve->http, err, err_cap);
}

void serve_options_now(struct serve *serve, struct serve_options *out)
{
    pthread_mutex_lock(&serve->settings);
    *out = serve->options;
    pthread_mutex_unlock(&serve->settings);
}

static size_t read_nets(const char *const *texts, size_t count, struct net *out)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += net_read(texts[i], &out[n]); /* config.c checked them */
    return n;
}

static void apply_live(struct serve *serve, const struct serve_options *now)
{
    struct net nets[SERVE_NETS_MAX];
    hooks_allow(serve->hooks, nets, read_nets(now->webhook_allow, now->webhook_allow_count, nets));
    const size_t count = read_nets(now->no_limit, now->no_limit_count, nets);
    const struct skins_live live = {.enrol = now->enrol,
                                    .checkin_interval_s = now->checkin_interval_s,
                                    .ddi_interval_s = now->ddi_interval_s,
                                    .busy_at = now->busy_at,
                                    .device_per_minute = now->device_per_minute,
                                    .exempt = nets,
                                    .exempt_count = count};
    skins_set(serve->skins, &live);
    devices_limit(serve->devices, nets, count, now->new_per_minute);
    throttle_exempt(serve->guesses, nets, count);
    throttle_exempt(serve->requests, nets, count);
    throttle_set(serve->requests, now->api_per_minute);
    log_set_json(now->log_json);
}

void serve_apply(struct serve *serve, const struct serve_options *options, char *restart, size_t cap)
{
    size_t count, len = 0;
    const struct config_row *rows = config_rows(&count);
    struct serve_options now;
    restart[0] = '\0';
    pthread_mutex_lock(&serve->settings);
    for (size_t i = 0; i < count; i++) {
        if ((rows[i].flags & CONFIG_LIVE) != 0)
            config_copy(&serve->options, options, i);
        else if (!config_same(&serve->options, options, i) && len < cap) /* what does not fit is cut */
            len += (size_t)snprintf(restart + len, cap - len, "%s%s", len > 0 ? " " : "", rows[i].name);
    }
    now = serve->options;
    pthread_mutex_unlock(&serve->settings);
    apply_live(serve, &now);
}

void serve_stop(struct serve *serve, uint32_t drain_ms)
{
    sampler_stop(serve->sampler);
    rollout_runner_stop(serve->runner); /* first: it changes the rules that the others read */
    if (serve->skins != NULL) skins_stop(serve->skins);
    if (serve->events != NULL) events_stop(serve->events); /* those who watch are answered, not waited for */
    if (serve->http != NULL) http_server_stop(serve->http, drain_ms);
    if (serve->http != NULL) (void)unlink(serve->socket_path);
    if (serve->socket_folder >= 0) (void)close(serve->socket_folder);
    skins_free(serve->skins);
    packs_close(serve->packs);
    static_dir_close(serve->static_dir);
    nodes_stop(serve->nodes);
    if (serve->devices != NULL) devices_close(serve->devices);
    hooks_stop(serve->hooks); /* behind the devices: their last results are told, too */
    nodes_leave(serve->nodes);
    events_free(serve->events);
    trends_free(serve->trends);
    if (serve->rules != NULL) rules_holder_free(serve->rules);
    throttle_free(serve->guesses);
    throttle_free(serve->requests);
    throttle_free(serve->logins);
    oidc_free(serve->oidc);
    nudge_close(serve->nudge);
    if (serve->store != NULL) store_close(serve->store);
    pthread_mutex_destroy(&serve->reloading);
    pthread_mutex_destroy(&serve->settings);
    free(serve);
}

/* ---- run ---- */

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void look_at_crl(const char *path)
{
    if (path == NULL || !http_crl_stale(path, (int64_t)time(NULL))) return;
    log_event(
        "event=crl-stale file=%s next-step=\"renew it: what is on it stays revoked, and nothing new is\"",
        path);
}

/* SIGHUP. What cannot be read leaves everything as it was. */
static void reload_all(struct serve *serve, const struct serve_reload *reload)
{
    char err[512] = "", restart[512] = "";
    struct serve_options options;
    int rc = serve_reload_tls(serve, err, sizeof err);
    log_event("event=tls-reload result=%s%s%s", rc == 0 ? "ok" : "failed",
              rc == 0 ? "" : " error=", rc == 0 ? "" : err);
    look_at_crl(serve->options.device_crl);
    if (reload == NULL) return;
    err[0] = '\0';
    rc = reload->load(reload->ctx, &options, err, sizeof err);
    if (rc != 0) {
        log_event("event=config-reload result=failed error=\"%s\"", err);
        return;
    }
    serve_apply(serve, &options, restart, sizeof restart);
    reload->taken(reload->ctx);
    log_event("event=config-reload result=ok%s%s%s", restart[0] != '\0' ? " needs-restart=\"" : "", restart,
              restart[0] != '\0' ? "\"" : "");
}

/* Another user, and what he may see: before the first thread is made. */
static int confine(const struct serve_options *options, char *err, size_t cap)
{
    struct sandbox_path paths[24 + CONFIG_ROWS_MAX] = {
        {"/etc", false},         {"/usr", false},     {"/lib", false}, {"/lib64", false},  {"/proc", false},
        {"/dev/urandom", false}, {"/dev/null", true}, {"/run", false}, {"/var/run", false}};
    size_t rows_count, count = 9;
    const struct config_row *rows = config_rows(&rows_count);
    bool landlock = false, seccomp = false;
    if (options->user != NULL && sandbox_user(options->user, options->data_dir, err, cap) != 0) return -1;
    if (!options->sandbox) return 0;
    if (mkdir(options->data_dir, 0700) != 0 && errno != EEXIST)
        return fail(err, cap, options->data_dir, strerror(errno));
    paths[count++] = (struct sandbox_path){options->data_dir, true};
    paths[count++] = (struct sandbox_path){options->config_path, false};
    if (options->artifacts_url != NULL && strncmp(options->artifacts_url, "s3://", 5) != 0)
        paths[count++] = (struct sandbox_path){options->artifacts_url, true};
    for (size_t i = 0; i < rows_count; i++) {
        if (rows[i].kind != CONFIG_FILE && rows[i].kind != CONFIG_DIR) continue;
        memcpy(&paths[count].path, (const char *)options + rows[i].offset, sizeof paths[count].path);
        count++;
    }
    if (sandbox_enter(paths, count, &landlock, &seccomp, err, cap) != 0) return -1;
    log_event("event=sandbox landlock=%s seccomp=%s", landlock ? "yes" : "no", seccomp ? "yes" : "no");
    return 0;
}

int serve_run(const struct serve_options *options, const struct serve_reload *reload)
{
    char err[512] = "";
    struct serve *serve;
    sigset_t signals;
    int got = 0;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a full disk is an error, not the end */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread is made: all of them inherit it */
    raise_file_limit();
    log_set_json(options->log_json);
    if (confine(options, err, sizeof err) != 0) {
        log_event("event=not-started error=\"%s\"", err);
        return 1;
    }
    if (serve_start(&serve, options, err, sizeof err) != 0) {
        log_event("event=not-started error=\"%s\"", err);
        return 1;
    }
    look_at_crl(options->device_crl);
    while (sigwait(&signals, &got) == 0 && got == SIGHUP)
        reload_all(serve, reload);
    log_event("event=stopping signal=%d", got);
    serve_stop(serve, DRAIN_MS);
    log_event("event=stopped");
    return 0;
}
