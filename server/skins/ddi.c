/* ddi.c - the skin of hawkBit's Direct Device Integration (DDI API v1): SWUpdate's suricatta, rauc-hawkbit-updater, Zephyr.
 * Paths, who is asking, and the poll. Must never answer a status but 200 where those clients take 200 only, nor offer
 * "skip", which SWUpdate takes for done. Tests: test/e2e/ddi_test.c, test/e2e/swupdate_test.sh. */
#include "ddi.h"
#include "server/watch/counters.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ROOT        "/controller/v1/"
#define SLEEP_S     300u
#define SLEEP_MIN_S 30u
#define SLEEP_MAX_S 86399u /* a day is written in another way, which clients do not read */
#define BUSY_S      900u

/* A path that goes back into URLs: nothing in it needs to be escaped. */
static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const char c = text[i];
        const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && strchr("/.-_:", c) == NULL) return false;
    }
    return true;
}

/* A tenant that is not hawkBit's only one names the product, as /p/PRODUCT does. */
static void take_tenant(struct ask *ask, const char *root)
{
    const char *tenant = root;
    while (tenant > ask->where.rest && tenant[-1] != '/')
        tenant--;
    const size_t len = (size_t)(root - tenant);
    const bool is_default = len == 7 && memcmp(tenant, "DEFAULT", len) == 0;
    if (ask->where.product[0] != '\0' || is_default || len == 0 || len >= sizeof ask->where.product) return;
    memcpy(ask->where.product, tenant, len);
    ask->where.product[len] = '\0';
}

bool skin_ddi_is_meant(struct ask *ask)
{
    const char *root = strstr(ask->where.rest, ROOT);
    if (root == NULL || root == ask->where.rest || ask->rehearsed) return false;
    const char *id = root + strlen(ROOT);
    const size_t len = strcspn(id, "/");
    if (!is_plain(ask->path, (size_t)(id + len - ask->path)) || !device_id_parse(id, len, ask->id, NULL))
        return false;
    ask->ddi_base = (size_t)(id + len - ask->path);
    take_tenant(ask, root);
    return true;
}

const char *ddi_below(const struct ask *ask)
{
    return ask->path + ask->ddi_base;
}

int64_t ddi_number(const char *text, const char **rest)
{
    uint64_t number = 0;
    if (text[0] != '/') return 0;
    const size_t len = strcspn(text + 1, "/");
    *rest = text + 1 + len;
    if (!client_number((struct http_slice){text + 1, len}, ATTEMPT_DDI_ACTION_MAX, &number)) return 0;
    return (int64_t)number;
}

void ddi_url(const struct ask *ask, const char *below, char out[DDI_URL_LEN])
{
    char origin[200] = "";
    const char *public_url = ask->skins->options.public_url;
    struct http_slice host = http_header(ask->x, "host", 0);
    const bool plain =
        host.len > 0 && host.len < 128 && is_plain(host.p, host.len) && memchr(host.p, '/', host.len) == NULL;
    const bool literal = host.len > 2 && host.len < 64 && host.p[0] == '['; /* [v6]:port */
    if (public_url != NULL)
        (void)snprintf(origin, sizeof origin, "%s", public_url);
    else if (plain || (literal && is_plain(host.p + 1, strcspn(host.p + 1, "]\r"))))
        (void)snprintf(origin, sizeof origin, "%s://%.*s", http_is_tls(ask->x) ? "https" : "http",
                       (int)host.len, host.p);
    (void)snprintf(out, DDI_URL_LEN, "%s%.*s%s", origin, (int)ask->ddi_base, ask->path, below);
}

void ddi_respond(struct ask *ask, json_t *body)
{
    char text[8192];
    const size_t len = body != NULL ? json_dumpb(body, text, sizeof text, JSON_COMPACT) : 0;
    json_decref(body);
    if (len == 0 || len > sizeof text) {
        ddi_status(ask, 500);
        return;
    }
    struct http_response response = {.status = 200,
                                     .content_type = "application/hal+json;charset=UTF-8",
                                     .headers = "Cache-Control: no-store\r\n",
                                     .body = text,
                                     .body_len = len};
    http_respond(ask->x, &response);
}

void ddi_status(struct ask *ask, int status)
{
    struct http_response response = {.status = status,
                                     .headers = status == 405 ? "Allow: GET, HEAD, POST, PUT\r\n" : NULL};
    http_respond(ask->x, &response);
}

void ddi_visit(struct ddi_visit *v, devices_visitor visit)
{
    struct ask *ask = v->ask;
    v->rules = rules_acquire(ask->skins->options.rules);
    v->contact.client = MODEL_CLIENT_DDI;
    v->contact.verified = ask->verified;
    v->contact.product = skin_product(ask, v->rules, ask->where.product);
    int rc = devices_visit(ask->skins->options.devices, ask->id, http_peer(ask->x), ask->now_ms, visit, v);
    rules_release_ref(ask->skins->options.rules, v->rules);
    if (rc != 0)
        skin_log_not_recorded(ask, rc);
    else if (v->newly_unassigned)
        skin_log_unassigned(ask);
}

/* ---- the poll ---- */

struct poll {
    struct ddi_visit v; /* first: a pointer to it is one to this */
    struct attempt_ddi_job job;
};

static enum devices_change poll_visitor(void *ctx, struct model_device *device, bool is_new)
{
    struct poll *poll = ctx;
    const int before = is_new ? 0 : device->last_reason;
    enum devices_change change =
        attempt_ddi_poll(poll->v.rules, device, &poll->v.contact, poll->v.ask->now_ms, &poll->job);
    counters_decided(device->last_reason);
    poll->v.newly_unassigned = device->last_reason == MOLT_NOT_ASSIGNED && before != MOLT_NOT_ASSIGNED;
    return change;
}

/* As usual, up to a tenth earlier or later by device and hour, so that a fleet does not come at once. */
static uint32_t sleep_of(const struct ask *ask, uint32_t again_s)
{
    uint32_t spread = (uint32_t)(ask->now_ms / 3600000);
    uint32_t usual = atomic_load_explicit(&ask->skins->ddi_interval_s, memory_order_relaxed);
    if (usual == 0) usual = SLEEP_S;
    if (again_s > SLEEP_MAX_S) return SLEEP_MAX_S;
    if (again_s > 0) return again_s < SLEEP_MIN_S ? SLEEP_MIN_S : again_s;
    for (const char *p = ask->id; *p != '\0'; p++)
        spread = (spread ^ (uint8_t)*p) * 16777619u;
    usual = usual - usual / 10 + spread % (usual / 5 + 1);
    return usual < SLEEP_MAX_S ? usual : SLEEP_MAX_S;
}

static json_t *link_to(const struct ask *ask, const char *below)
{
    char url[DDI_URL_LEN];
    ddi_url(ask, below, url);
    return json_pack("{s:s}", "href", url);
}

static void answer_poll(struct ask *ask, const struct attempt_ddi_job *job, uint32_t sleep_s)
{
    char sleep[16], below[64];
    json_t *links = json_object();
    (void)snprintf(sleep, sizeof sleep, "%02u:%02u:%02u", sleep_s / 3600 % 24, sleep_s / 60 % 60,
                   sleep_s % 60);
    if (job->wants_version) (void)json_object_set_new(links, "configData", link_to(ask, "/configData"));
    if (job->action != 0 && job->cancel) {
        (void)snprintf(below, sizeof below, "/cancelAction/%" PRId64, job->action);
        (void)json_object_set_new(links, "cancelAction", link_to(ask, below));
    } else if (job->action != 0) { /* c: a hash of the job's text; a job of molt's never changes */
        (void)snprintf(below, sizeof below, "/deploymentBase/%" PRId64 "?c=%" PRId64, job->action,
                       job->action);
        (void)json_object_set_new(links, "deploymentBase", link_to(ask, below));
    }
    ddi_respond(ask, json_pack("{s:{s:{s:s}}, s:o}", "config", "polling", "sleep", sleep, "_links", links));
}

static void poll(struct ask *ask)
{
    struct poll poll = {.v.ask = ask};
    if (skin_busy(ask->skins)) {
        answer_poll(ask, &poll.job, BUSY_S);
        return;
    }
    ddi_visit(&poll.v, poll_visitor);
    answer_poll(ask, &poll.job, sleep_of(ask, poll.job.again_s));
}

/* ---- routes ---- */

static void cancel(struct ask *ask, int64_t action)
{
    char id[24];
    (void)snprintf(id, sizeof id, "%" PRId64, action);
    ddi_respond(ask, json_pack("{s:s, s:{s:s}}", "id", id, "cancelAction", "stopId", id));
}

static const char *take(const char *path, const char *prefix)
{
    const size_t len = strlen(prefix);
    return strncmp(path, prefix, len) == 0 && (path[len] == '/' || path[len] == '\0') ? path + len : NULL;
}

static void route_get(struct ask *ask)
{
    const char *below = ddi_below(ask), *at, *rest = "";
    int64_t action;
    if (below[0] == '\0' || strcmp(below, "/") == 0)
        poll(ask);
    else if ((at = take(below, "/deploymentBase")) != NULL && (action = ddi_number(at, &rest)) != 0 &&
             *rest == '\0')
        ddi_description(ask, action);
    else if ((at = take(below, "/cancelAction")) != NULL && (action = ddi_number(at, &rest)) != 0 &&
             *rest == '\0')
        cancel(ask, action);
    else if ((at = take(below, "/softwaremodules")) != NULL && (action = ddi_number(at, &rest)) != 0)
        ddi_artifacts(ask, action, rest);
    else if (strcmp(below, "/confirmationBase") ==
             0) /* nobody is asked: operators approve, devices may refuse */
        ddi_respond(ask, json_pack("{s:{s:b}}", "autoConfirm", "active", false));
    else
        ddi_status(ask, 404);
}

static void route_post(struct ask *ask)
{
    const char *below = ddi_below(ask), *rest = "";
    const char *job = take(below, "/deploymentBase"), *stop = take(below, "/cancelAction");
    const char *at = job != NULL ? job : stop;
    const int64_t action = at != NULL ? ddi_number(at, &rest) : 0;
    if (action == 0 || strcmp(rest, "/feedback") != 0)
        ddi_status(ask, 404);
    else
        ddi_feedback(ask, action, stop != NULL);
}

static void route_put(struct ask *ask)
{
    const char *below = ddi_below(ask);
    if (strcmp(below, "/configData") == 0 || strcmp(below, "/installedBase") == 0)
        ddi_config(ask);
    else
        ddi_status(ask, 404);
}

void skin_ddi(struct ask *ask)
{
    if (ask->token[0] != '\0' && !ask->verified &&
        !ask->admitted) { /* before anything is looked at, or made */
        ddi_status(ask, 401);
        return;
    }
    switch (http_method(ask->x)) {
    case HTTP_M_GET:
    case HTTP_M_HEAD:
        route_get(ask);
        break;
    case HTTP_M_POST:
        route_post(ask);
        break;
    case HTTP_M_PUT:
        route_put(ask);
        break;
    default:
        ddi_status(ask, 405);
        break;
    }
}
