/* serve.c - the wiring of `molt serve`: who is made in which order, and taken down in the other. No rule about devices
 * lives here. Tests: test/e2e/serve_test.c, test/e2e/serve_kill_test.c. */
#include "serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "access/oidc.h"
#include "config.h"
#include "hooks/hooks.h"
#include "host/store/operate.h"
#include "log.h"
#include "molt_reason.h"
#include "nodes.h"
#include "nudge.h"
#include "packs/packs.h"
#include "replica.h"
#include "rollouts/rollout_runner.h"
#include "serve_parts.h"
#include "skins/skins.h"
#include "watch/sampler.h"

#define GUESSES_A_MINUTE 60     /* wrong tokens at the admin plane from one address */
#define LOGINS_A_MINUTE  10     /* wrong passwords of one user, from wherever */
#define DEVICE_BODY_MAX  32768u /* a check-in has at most 512 bytes; DDI feedback may carry a log */

static int fail(char *err, size_t cap, const char *what, const char *why)
{
    (void)snprintf(err, cap, "%s: %s", what, why);
    return -1;
}

static size_t read_nets(const char *const *texts, size_t count, struct net *out)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += net_read(texts[i], &out[n]); /* config.c checked them */
    return n;
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
    char state_path[SERVE_PATH_LEN], why[256] = "";
    const struct store_place place = {.data_dir = options->data_dir,
                                      .url = options->store_url,
                                      .create = true,
                                      .artifacts = options->artifacts_url,
                                      .node = options->node};
    int rc = store_open_place(&place, &serve->store, why, sizeof why);
    if (rc == -MOLT_STATE && options->store_url == NULL)
        return fail(err, cap, options->data_dir,
                    "another molt holds this data folder; stop that one, or give --data DIR");
    if (rc != 0 && (rc != -MOLT_STORE_FAILED || options->store_url != NULL))
        return fail(err, cap, options->data_dir, why);
    if (rc != 0) {
        (void)snprintf(err, cap,
                       "%s: %s; is the disk full, or the data folder another user's? Or give --data DIR",
                       options->data_dir, why);
        return -1;
    }
    if (options->replica_url != NULL) serve->replica = replica_start(serve->store, options->replica_url);
    if (options->replica_url != NULL && serve->replica == NULL)
        return fail(err, cap, "--read-replica", store_error(serve->store));
    if (options->oidc_issuer != NULL && open_oidc(serve, options, err, cap) != 0) return -1;
    if (options->mqtt_url != NULL && nudge_open(&serve->nudge, options->mqtt_url, err, cap) != 0) return -1;
    if (options->node != NULL && nodes_prepare(&serve->nodes, serve->store) < 0)
        return fail(err, cap, "--node", store_error(serve->store));
    const struct devices_limits limits = {.new_per_minute = options->new_per_minute};
    rc = devices_open(&serve->devices, serve->store, &limits);
    if (rc == 0) rc = serve_load_rules(serve);
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
    const char *plane = serve_plane_name(serve, idx);
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
    /* not before it listens: a server that could not start would have shown the token to nobody who looks again */
    if (first_start(serve, err, cap) != 0) return -1;
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

static bool lead(void *ctx, int64_t *epoch)
{
    return nodes_lead(((struct serve *)ctx)->nodes, epoch);
}

static bool leads(void *ctx)
{
    return nodes_lead(((struct serve *)ctx)->nodes, NULL);
}

static int start_node(struct serve *serve, char *err, size_t cap)
{
    const struct nodes_parts parts = {.devices = serve->devices,
                                      .rules = serve->rules,
                                      .load_rules = serve_others_changed_rules,
                                      .ctx = serve};
    int rc = nodes_start(serve->nodes, &parts);
    if (rc != 0) return fail(err, cap, "--node", store_error(serve->store));
    serve->guard.ctx = serve->nodes;
    hooks_follow(serve->hooks, leads, serve);
    return 0;
}

/* What may change while it runs. */
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

/* Who answers at the admin plane and at the socket, and what it may ask of the rest. */
static void make_planes(struct serve *serve)
{
    serve->api = (struct api){.store = serve->store,
                              .sessions = true,
                              .logins = serve->logins,
                              .oidc = serve->oidc,
                              .trends = serve->trends};
    serve_api_hooks(serve, &serve->api.hooks);
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
    devices_watch(serve->devices, serve_devices_written, serve);
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
                                                .changed = serve_rollout_moved,
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
    replica_stop(serve->replica);
    if (serve->store != NULL) store_close(serve->store);
    pthread_mutex_destroy(&serve->reloading);
    pthread_mutex_destroy(&serve->settings);
    free(serve);
}
