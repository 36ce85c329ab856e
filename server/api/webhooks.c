/* webhooks.c - webhooks of the API: who is told of what, what came of it, and a test. Must never show a secret but once, when it is made.
 * Tests: test/unit/api_operate_test.c, test/e2e/webhook_test.py. */
#include "call.h"
#include "shapes.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "host/store/operate.h"
#include "molt_reason.h"
#include "server/hooks/hooks.h"

#define KEY_BYTES 24

static json_t *events_json(uint32_t events)
{
    json_t *list = json_array();
    for (int i = 0; i < HOOK_EVENTS; i++)
        if ((events >> i & 1) != 0)
            json_array_append_new(list, json_string(hook_event_name((enum hook_event)i)));
    return list;
}

static json_t *hook_json(const struct store_hook *hook)
{
    return json_pack("{s:I, s:s, s:o, s:b, s:o, s:o, s:I}", "id", (json_int_t)hook->id, "url", hook->url,
                     "events", events_json(hook->events), "enabled", hook->enabled, "note",
                     shape_text(hook->note), "created_by", shape_text(hook->created_by), "created_ms",
                     (json_int_t)hook->created_ms);
}

static int list_row(void *ctx, const struct store_hook *hook)
{
    json_array_append_new(ctx, hook_json(hook));
    return 0;
}

void api_webhooks_list(struct api_call *call)
{
    json_t *list = json_array(), *events = json_array();
    int rc = store_each_hook(call->api->store, list_row, list);
    if (rc < 0) {
        json_decref(list);
        json_decref(events);
        api_refuse_store(call, rc, "");
        return;
    }
    for (int i = 0; i < HOOK_EVENTS; i++)
        json_array_append_new(events, json_pack("{s:s, s:s}", "name", hook_event_name((enum hook_event)i),
                                                "when", hook_event_when((enum hook_event)i)));
    api_reply(call, 200, json_pack("{s:o, s:o}", "webhooks", list, "events", events));
}

/* The one of the path. False after replying. */
static bool load(struct api_call *call, struct store_hook *hook)
{
    int rc = store_hook_get(call->api->store, api_row_id(call), hook);
    if (rc < 0) api_refuse_store(call, rc, "no webhook has this id");
    return rc == 0;
}

static bool new_secret(struct store_hook *hook)
{
    unsigned char key[KEY_BYTES];
    char text[4 * KEY_BYTES / 3 + 1];
    if (RAND_bytes(key, sizeof key) != 1) return false;
    (void)EVP_EncodeBlock((unsigned char *)text, key, sizeof key);
    (void)snprintf(hook->secret, sizeof hook->secret, "whsec_%s", text);
    return true;
}

static bool read_events(struct api_call *call, const json_t *list, uint32_t *events)
{
    size_t i;
    const json_t *item;
    *events = 0;
    bool ok = json_is_array(list) && json_array_size(list) > 0;
    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(item);
        const enum hook_event event = name != NULL ? hook_event_of(name) : HOOK_EVENTS;
        ok = ok && event != HOOK_EVENTS;
        if (ok) *events |= 1u << event;
    }
    if (!ok)
        api_refuse(call, MOLT_REQUEST_INVALID, "'events' is a list of names that GET /api/v1/webhooks lists");
    return ok;
}

/* A URL that libcurl will not take for something else: http or https, a host, no credentials. */
static bool url_ok(const char *url)
{
    const char *host = strncmp(url, "https://", 8) == 0  ? url + 8
                       : strncmp(url, "http://", 7) == 0 ? url + 7
                                                         : "";
    const size_t len = strcspn(host, "/?#");
    if (len == 0 || memchr(host, '@', len) != NULL) return false;
    for (const char *c = url; *c != '\0'; c++)
        if (*c <= ' ' || *c == 0x7F || *c == '\\' || *c == '"' || *c == '<' || *c == '>') return false;
    return true;
}

/* Puts the fields of the body into the webhook. False after replying. */
static bool apply(struct api_call *call, const json_t *body, struct store_hook *hook)
{
    const char *url = NULL, *note = NULL;
    const json_t *events = json_object_get(body, "events"), *enabled = json_object_get(body, "enabled");
    if (api_body_text(call, body, "url", STORE_HOOK_URL_LEN - 1, &url) < 0 ||
        api_body_text(call, body, "note", MODEL_DETAIL_LEN - 1, &note) < 0)
        return false;
    if (url != NULL && !url_ok(url)) {
        api_refuse(call, MOLT_REQUEST_INVALID,
                   "'url' is http:// or https:// with a host, and without a password");
        return false;
    }
    if (enabled != NULL && !json_is_boolean(enabled)) {
        api_refuse(call, MOLT_REQUEST_INVALID, "'enabled' must be true or false");
        return false;
    }
    if (events != NULL && !read_events(call, events, &hook->events)) return false;
    if (url != NULL) (void)snprintf(hook->url, sizeof hook->url, "%s", url);
    if (note != NULL) (void)snprintf(hook->note, sizeof hook->note, "%s", note);
    if (enabled != NULL) hook->enabled = json_is_true(enabled);
    return true;
}

static void tell_server(struct api_call *call)
{
    const struct api_hooks *hooks = &call->api->hooks;
    if (hooks->webhooks_changed != NULL) hooks->webhooks_changed(hooks->ctx);
}

static void reply_with_secret(struct api_call *call, int status, const struct store_hook *hook)
{
    json_t *json = hook_json(hook);
    json_object_set_new(json, "secret", json_string(hook->secret));
    api_reply(call, status, json);
}

void api_webhooks_create(struct api_call *call)
{
    struct store_hook hook = {.enabled = true, .created_ms = api_now_ms(), .events = (1u << HOOK_EVENTS) - 1};
    json_t *body = api_body(call, "url events enabled note");
    if (body == NULL) return;
    bool ok = apply(call, body, &hook);
    json_decref(body);
    if (!ok) return;
    if (hook.url[0] == '\0') {
        api_refuse(call, MOLT_REQUEST_INVALID, "'url' is needed: where events are sent");
        return;
    }
    (void)snprintf(hook.created_by, sizeof hook.created_by, "%s", call->who.name);
    int rc = new_secret(&hook) ? store_hook_create(call->api->store, &hook) : -MOLT_INTERNAL;
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    tell_server(call);
    reply_with_secret(call, 201, &hook);
}

void api_webhook_get(struct api_call *call)
{
    struct store_hook hook;
    if (load(call, &hook)) api_reply(call, 200, hook_json(&hook));
}

void api_webhook_patch(struct api_call *call)
{
    struct store_hook hook;
    if (!load(call, &hook)) return;
    json_t *body = api_body(call, "url events enabled note new_secret");
    if (body == NULL) return;
    const json_t *renew = json_object_get(body, "new_secret");
    bool ok = apply(call, body, &hook);
    if (ok && renew != NULL && !json_is_boolean(renew)) {
        api_refuse(call, MOLT_REQUEST_INVALID, "'new_secret' must be true or false");
        ok = false;
    }
    const bool renewed = ok && json_is_true(renew);
    json_decref(body);
    if (!ok) return;
    int rc = !renewed || new_secret(&hook) ? store_hook_set(call->api->store, &hook) : -MOLT_INTERNAL;
    if (rc < 0) {
        api_refuse_store(call, rc, "it is gone already");
        return;
    }
    tell_server(call);
    if (renewed)
        reply_with_secret(call, 200, &hook);
    else
        api_reply(call, 200, hook_json(&hook));
}

void api_webhook_delete(struct api_call *call)
{
    const int64_t id = api_row_id(call);
    int rc = store_hook_delete(call->api->store, id);
    if (rc < 0) {
        api_refuse_store(call, rc, "no webhook has this id");
        return;
    }
    tell_server(call);
    api_reply(call, 200, json_pack("{s:I}", "deleted", (json_int_t)id));
}

/* ---- deliveries ---- */

static int delivery_row(void *ctx, const struct store_delivery *delivery)
{
    static const char *const states[] = {"waits", "delivered", "given-up"};
    json_t *body = json_loads(delivery->body, 0, NULL);
    json_array_append_new(
        ctx,
        json_pack("{s:I, s:s, s:s, s:I, s:o, s:I, s:o, s:o, s:o}", "id", (json_int_t)delivery->id, "event",
                  delivery->event, "state", (size_t)delivery->state < 3 ? states[delivery->state] : "waits",
                  "created_ms", (json_int_t)delivery->created_ms, "next_ms",
                  delivery->state == STORE_DELIVERY_WAITS ? json_integer((json_int_t)delivery->next_ms)
                                                          : json_null(),
                  "tries", (json_int_t)delivery->tries, "status",
                  delivery->status != 0 ? json_integer((json_int_t)delivery->status) : json_null(), "error",
                  shape_text(delivery->error), "body", body != NULL ? body : json_null()));
    return 0;
}

void api_webhook_deliveries(struct api_call *call)
{
    struct store_hook hook;
    uint64_t limit = 50, before = 0;
    if (api_param_number(call, "limit", 1, 200, &limit) < 0 ||
        api_param_number(call, "before", 1, INT64_MAX / 16, &before) < 0 || !load(call, &hook))
        return;
    json_t *list = json_array();
    int rc =
        store_each_delivery(call->api->store, hook.id, (int64_t)before, (uint32_t)limit, delivery_row, list);
    if (rc < 0) {
        json_decref(list);
        api_refuse_store(call, rc, "");
        return;
    }
    const size_t count = json_array_size(list);
    json_t *next =
        count == limit ? json_incref(json_object_get(json_array_get(list, count - 1), "id")) : json_null();
    api_reply(call, 200, json_pack("{s:o, s:o}", "deliveries", list, "next", next));
}

void api_webhook_test(struct api_call *call)
{
    struct store_hook hook;
    struct store_delivery delivery = {.created_ms = api_now_ms(), .next_ms = api_now_ms(), .event = "test"};
    if (!load(call, &hook)) return;
    if (!hook.enabled) {
        api_refuse(call, MOLT_STATE, "the webhook is switched off: nothing is sent");
        return;
    }
    delivery.hook_id = hook.id;
    (void)snprintf(delivery.body, sizeof delivery.body, "{\"type\":\"test\",\"data\":{\"webhook\":%lld}}",
                   (long long)hook.id);
    int rc = store_delivery_add(call->api->store, &delivery, 1);
    if (rc == 0 && delivery.id == 0) {
        api_refuse(call, MOLT_STATE, "too many deliveries of it wait already");
        return;
    }
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    tell_server(call);
    api_reply(call, 202, json_pack("{s:I}", "delivery", (json_int_t)delivery.id));
}
