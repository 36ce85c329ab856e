/* api.c - the API's route table and dispatcher: finds the handler, asks for the token, bounds the body, and leaves
 * the rest to the handlers. No request may reach a handler without a token unless its route says so.
 * Tests: test/unit/api_test.c, test/unit/openapi_test.c. */
#include "audit.h"
#include "call.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/store/clock.h"
#include "host/facts.h"
#include "molt_reason.h"

static const struct api_route routes[] = {
    {"GET", "/metrics", api_metrics, "", 0, ROLES_VIEW},
    {"GET", "/healthz", api_healthz, "", API_OPEN, ROLES_ANYBODY},
    {"GET", "/readyz", api_readyz, "", API_OPEN, ROLES_ANYBODY},
    {"GET", "/api/v1/openapi.json", api_openapi, "", API_OPEN, ROLES_ANYBODY},
    {"GET", "/api/v1/status", api_status, "", 0, ROLES_VIEW},
    {"GET", "/api/v1/overview", api_overview, "", API_SCOPED, ROLES_VIEW},
    {"GET", "/api/v1/device-counts", api_device_counts, "by filter", API_SCOPED, ROLES_VIEW},
    {"GET", "/api/v1/server", api_server, "", 0, ROLES_VIEW},
    {"GET", "/api/v1/trends", api_trends, "", API_SCOPED, ROLES_VIEW},
    {"GET", "/api/v1/rollouts/{id}/progress", api_rollout_progress, "", API_SCOPED, ROLES_VIEW},
    {"POST", "/api/v1/rollout-preview", api_rollout_preview, "", API_SCOPED | API_NOT_NOTED, ROLES_OPERATE},
    {"GET", "/api/v1/session", api_session_get, "", API_OPEN, ROLES_ANYBODY},
    {"POST", "/api/v1/session", api_session_begin, "", API_OPEN, ROLES_ANYBODY},
    {"POST", "/api/v1/session/oidc", api_session_oidc, "", API_OPEN | API_NOT_NOTED, ROLES_ANYBODY},
    {"DELETE", "/api/v1/session", api_session_end, "", 0, ROLES_ANYBODY},
    {"GET", "/api/v1/account", api_account_get, "", 0, ROLES_ANYBODY},
    {"PUT", "/api/v1/account/password", api_account_password, "", 0, ROLES_ANYBODY},
    {"POST", "/api/v1/account/totp", api_account_totp_begin, "", 0, ROLES_ANYBODY},
    {"PUT", "/api/v1/account/totp", api_account_totp_confirm, "", 0, ROLES_ANYBODY},
    {"POST", "/api/v1/account/totp/off", api_account_totp_off, "", 0, ROLES_ANYBODY},
    {"DELETE", "/api/v1/account/sessions", api_account_sessions_end, "", 0, ROLES_ANYBODY},
    {"GET", "/api/v1/users", api_users_list, "limit after", 0, ROLES_ADMIN},
    {"POST", "/api/v1/users", api_users_create, "", 0, ROLES_ADMIN},
    {"GET", "/api/v1/users/{id}", api_user_get, "", 0, ROLES_ADMIN},
    {"PATCH", "/api/v1/users/{id}", api_user_patch, "", 0, ROLES_ADMIN},
    {"DELETE", "/api/v1/users/{id}", api_user_delete, "", 0, ROLES_ADMIN},
    {"GET", "/api/v1/events", api_events, "", API_SCOPED, ROLES_VIEW},
    {"GET", "/api/v1/products", api_products_list, "", API_SCOPED, ROLES_VIEW},
    {"PATCH", "/api/v1/products/{id}", api_product_patch, "", API_SCOPED, ROLES_OPERATE},
    {"GET", "/api/v1/products/{id}", api_product_get, "", API_SCOPED, ROLES_VIEW},
    {"GET", "/api/v1/products/{id}/keys", api_keys_list, "", API_SCOPED, ROLES_VIEW},
    {"POST", "/api/v1/products/{id}/keys", api_keys_add, "", API_SCOPED, ROLES_ADMIN},
    {"DELETE", "/api/v1/products/{id}/keys", api_keys_remove, "key", API_SCOPED, ROLES_ADMIN},
    {"GET", "/api/v1/releases", api_releases_list, "limit after product channel", API_SCOPED, ROLES_VIEW},
    {"POST", "/api/v1/releases", api_releases_publish,
     "product version code channel variant chip component adopt manifest signer encrypted identity base "
     "window molt_boot"
     " flash_size min_revision max_revision",
     API_FILE_BODY | API_SCOPED, ROLES_UPLOAD},
    {"GET", "/api/v1/releases/{id}", api_release_get, "", API_SCOPED, ROLES_VIEW},
    {"PATCH", "/api/v1/releases/{id}", api_release_patch, "", API_SCOPED, ROLES_OPERATE | ROLES_UPLOAD},
    {"POST", "/api/v1/releases/{id}/yank", api_release_yank, "", API_SCOPED, ROLES_OPERATE | ROLES_UPLOAD},
    {"POST", "/api/v1/releases/{id}/unyank", api_release_unyank, "", API_SCOPED,
     ROLES_OPERATE | ROLES_UPLOAD},
    {"GET", "/api/v1/devices", api_devices_list, "limit after product reason q filter", API_SCOPED,
     ROLES_VIEW},
    {"GET", "/api/v1/devices.csv", api_devices_csv, "filter limit after", API_SCOPED, ROLES_VIEW},
    {"GET", "/api/v1/devices/{id}", api_device_get, "", API_SCOPED, ROLES_VIEW},
    {"PATCH", "/api/v1/devices/{id}", api_device_patch, "", API_SCOPED, ROLES_OPERATE},
    {"DELETE", "/api/v1/devices/{id}", api_device_delete, "", API_SCOPED, ROLES_OPERATE},
    {"PATCH", "/api/v1/devices", api_devices_patch, "filter", API_SCOPED, ROLES_OPERATE},
    {"POST", "/api/v1/devices", api_devices_post, "", API_SCOPED, ROLES_OPERATE},
    {"DELETE", "/api/v1/devices", api_devices_delete, "filter", API_SCOPED, ROLES_OPERATE},
    {"POST", "/api/v1/device-retry", api_devices_retry, "filter", API_SCOPED, ROLES_OPERATE},
    {"PUT", "/api/v1/devices/{id}", api_device_put, "", API_SCOPED, ROLES_OPERATE},
    {"POST", "/api/v1/devices/{id}/retry", api_device_retry, "", API_SCOPED, ROLES_OPERATE},
    {"GET", "/api/v1/devices/{id}/attempts", api_device_attempts, "", API_SCOPED, ROLES_VIEW},
    {"GET", "/api/v1/devices/{id}/log", api_device_log, "", API_SCOPED, ROLES_VIEW},
    {"GET", "/api/v1/devices/{id}/why", api_device_why, "", API_SCOPED, ROLES_VIEW},
    {"GET", "/api/v1/rollouts", api_rollouts_list, "limit after product", API_SCOPED, ROLES_VIEW},
    {"POST", "/api/v1/rollouts", api_rollouts_create, "", API_SCOPED, ROLES_OPERATE},
    {"GET", "/api/v1/rollouts/{id}", api_rollout_get, "", API_SCOPED, ROLES_VIEW},
    {"POST", "/api/v1/rollouts/{id}/approve", api_rollout_approve, "", API_SCOPED, ROLES_APPROVE},
    {"POST", "/api/v1/rollouts/{id}/pause", api_rollout_pause, "", API_SCOPED, ROLES_OPERATE},
    {"POST", "/api/v1/rollouts/{id}/resume", api_rollout_resume, "", API_SCOPED, ROLES_OPERATE},
    {"POST", "/api/v1/rollouts/{id}/next", api_rollout_next, "", API_SCOPED, ROLES_OPERATE},
    {"POST", "/api/v1/rollouts/{id}/abort", api_rollout_abort, "", API_SCOPED, ROLES_OPERATE | ROLES_APPROVE},
    {"GET", "/api/v1/tokens", api_tokens_list, "limit after", 0, ROLES_ADMIN},
    {"POST", "/api/v1/tokens", api_tokens_create, "", 0, ROLES_ADMIN},
    {"GET", "/api/v1/tokens/{id}", api_token_get, "", 0, ROLES_ADMIN},
    {"DELETE", "/api/v1/tokens/{id}", api_token_delete, "", 0, ROLES_ADMIN},
    {"GET", "/api/v1/groups", api_groups_list, "limit after", API_SCOPED, ROLES_VIEW},
    {"GET", "/api/v1/groups/{id}", api_group_get, "", API_SCOPED, ROLES_VIEW},
    {"PATCH", "/api/v1/groups/{id}", api_group_patch, "", 0, ROLES_OPERATE},
    {"DELETE", "/api/v1/groups/{id}", api_group_delete, "", 0, ROLES_OPERATE},
    {"GET", "/api/v1/filters", api_filters_list, "limit after", 0, ROLES_VIEW},
    {"GET", "/api/v1/filters/{id}", api_filter_get, "", 0, ROLES_VIEW},
    {"PUT", "/api/v1/filters/{id}", api_filter_put, "", API_MUST_MATCH, ROLES_OPERATE},
    {"DELETE", "/api/v1/filters/{id}", api_filter_delete, "", 0, ROLES_OPERATE},
    {"GET", "/api/v1/webhooks", api_webhooks_list, "", 0, ROLES_ADMIN},
    {"POST", "/api/v1/webhooks", api_webhooks_create, "", 0, ROLES_ADMIN},
    {"GET", "/api/v1/webhooks/{id}", api_webhook_get, "", 0, ROLES_ADMIN},
    {"PATCH", "/api/v1/webhooks/{id}", api_webhook_patch, "", 0, ROLES_ADMIN},
    {"DELETE", "/api/v1/webhooks/{id}", api_webhook_delete, "", 0, ROLES_ADMIN},
    {"GET", "/api/v1/webhooks/{id}/deliveries", api_webhook_deliveries, "limit before", 0, ROLES_ADMIN},
    {"POST", "/api/v1/webhooks/{id}/test", api_webhook_test, "", 0, ROLES_ADMIN},
    {"GET", "/api/v1/nodes", api_nodes_list, "", 0, ROLES_ADMIN},
    {"DELETE", "/api/v1/nodes/{id}", api_node_delete, "", 0, ROLES_ADMIN},
    {"GET", "/api/v1/settings", api_settings, "", 0, ROLES_ADMIN},
    {"POST", "/api/v1/inspect", api_inspect, "", API_FILE_BODY | API_SCOPED | API_NOT_NOTED, ROLES_UPLOAD},
    {"GET", "/api/v1/audit", api_audit_list, "limit before after who product q", API_SCOPED, ROLES_ADMIN},
    {"GET", "/api/v1/audit/verify", api_audit_verify, "expect", 0, ROLES_ADMIN},
};

const struct api_route *api_routes(size_t *count)
{
    *count = sizeof routes / sizeof routes[0];
    return routes;
}

/* Does the path have the pattern's shape? What stands for {id} is copied to id (cut never: too long is no match). */
static bool matches(const char *pattern, const char *path, char id[API_PARAM_LEN])
{
    id[0] = '\0';
    const char *brace = strstr(pattern, "{id}");
    if (brace == NULL) return strcmp(pattern, path) == 0;
    size_t before = (size_t)(brace - pattern);
    if (strncmp(pattern, path, before) != 0) return false;
    size_t len = strcspn(path + before, "/");
    if (len == 0 || len >= API_PARAM_LEN || strcmp(path + before + len, brace + 4) != 0) return false;
    memcpy(id, path + before, len);
    id[len] = '\0';
    return true;
}

static const struct api_route *route_for(struct api_call *call, bool *path_known)
{
    *path_known = false;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!matches(routes[i].path, call->request->path, call->id)) continue;
        *path_known = true;
        if (strcmp(routes[i].method, call->request->method) == 0) return &routes[i];
    }
    return NULL;
}

/* A browser sends the cookie whoever made it ask; only our own page knows what else to send. */
int api_session_find(struct api_call *call)
{
    const struct api_request *request = call->request;
    const struct session *session = &call->session;
    if (!call->api->sessions || request->cookie == NULL) return -MOLT_UNAUTHORIZED;
    int rc = sessions_find(call->api->store, request->cookie, api_now_ms(), &call->session);
    if (rc < 0) return rc;
    if (strcmp(request->method, "GET") != 0 &&
        (request->csrf == NULL || !sessions_key_is(session->csrf, request->csrf)))
        return -MOLT_UNAUTHORIZED;
    rc = session->account_id != 0
             ? who_by_account(call->api->store, session->account_id, session->epoch, &call->who)
             : who_by_token_hash(call->api->store, session->token, &call->who);
    call->has_session = rc == 0;
    return rc;
}

static int authorize(struct api_call *call)
{
    if (call->request->trusted) {
        who_local(&call->who);
        return 0;
    }
    if (call->request->token == NULL) return api_session_find(call);
    return who_by_token(call->api->store, call->request->token, &call->who);
}

int64_t api_now_ms(void)
{
    return clock_now_ms();
}

static void refuse_method(struct api_call *call)
{
    size_t len = 0;
    char id[API_PARAM_LEN];
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!matches(routes[i].path, call->request->path, id) || len >= API_ALLOW_LEN) continue;
        len += (size_t)snprintf(call->response->allow + len, API_ALLOW_LEN - len, "%s%s", len > 0 ? ", " : "",
                                routes[i].method);
    }
    char detail[API_ALLOW_LEN + 60];
    snprintf(detail, sizeof detail, "this path does not know the method; it knows %s", call->response->allow);
    api_refuse_status(call, 405, MOLT_REQUEST_INVALID, detail);
}

/* Before anything is looked at. False after replying. */
static bool may_enter(struct api_call *call, bool open)
{
    if (call->request->cross_site && strcmp(call->request->method, "GET") != 0) {
        api_refuse(call, MOLT_FORBIDDEN, "%s", "the page of another site made this request");
        return false;
    }
    int rc = open ? 0 : authorize(call);
    if (rc == 0) return true;
    if (rc != -MOLT_UNAUTHORIZED ||
        store_is_away(call->api->store)) /* nobody can say what the token is worth */
        api_refuse_status(call, 503, MOLT_STORE_FAILED,
                          "the database does not answer; try again in a minute");
    else /* before 404, so that nobody can map the API without a token */
        api_refuse(call, MOLT_UNAUTHORIZED,
                   "log in, or send 'Authorization: Bearer TOKEN'; `molt token create` makes one");
    return false;
}

/* Body and query. False after replying. */
static bool is_bounded(struct api_call *call, const struct api_route *route)
{
    const struct api_request *request = call->request;
    size_t body_max = (route->flags & API_FILE_BODY) != 0 ? FACTS_FILE_MAX : API_BODY_MAX;
    char why[400];
    if (request->body_len > body_max) {
        snprintf(why, sizeof why, "the body has %zu bytes, at most %zu are taken", request->body_len,
                 body_max);
        api_refuse_status(call, 413, body_max == FACTS_FILE_MAX ? MOLT_FILE_TOO_LARGE : MOLT_REQUEST_INVALID,
                          why);
        return false;
    }
    if (api_query_parse(&call->query, request->query, route->params, why, sizeof why) == 0) return true;
    api_refuse(call, MOLT_REQUEST_INVALID, "%s", why);
    return false;
}

/* A change that other servers may not go by yet is done, but not said to be. */
static void change(struct api_call *call, const struct api_route *route)
{
    const struct api_hooks *hooks = &call->api->hooks;
    api_change(call, route);
    if (hooks->unacknowledged == NULL || !hooks->unacknowledged(hooks->ctx) || call->response->status >= 300)
        return;
    free(call->response->body);
    call->response->body = NULL;
    api_refuse_status(call, 503, MOLT_UNACKNOWLEDGED, "the change is kept; see GET /api/v1/nodes");
}

void api_handle(const struct api *api, const struct api_request *request, struct api_response *response)
{
    struct api_call call = {.api = api, .request = request, .response = response};
    *response = (struct api_response){.status = 500, .content_type = "application/json"};
    bool path_known;
    const struct api_route *route = route_for(&call, &path_known);
    call.roles = route != NULL ? route->roles : 0;
    if (!may_enter(&call, route != NULL && (route->flags & API_OPEN) != 0)) return;
    if (route == NULL && path_known) {
        refuse_method(&call);
    } else if (route == NULL) {
        api_refuse(&call, MOLT_NOT_FOUND, "no such path; " API_PREFIX "/openapi.json lists them all");
    } else if (is_bounded(&call, route) && api_scope_allows(&call, route)) {
        if (strcmp(route->method, "GET") == 0)
            route->handle(&call);
        else if (audit_begin(&call, route))
            change(&call, route);
        audit_call(&call, route);
        api_tag(&call, route);
    } else { /* refused already */
        audit_call(&call, route);
    }
}
