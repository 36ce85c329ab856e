/* tokens.c - the tokens of the API. A token is shown once, when it is made, and kept hashed. Tests: test/unit/api_test.c. */
#include "call.h"
#include "shapes.h"

#include <stdio.h>
#include <string.h>

#include "molt_reason.h"
#include "server/skins/device_id.h"

static const char *const kind_names[] = {[STORE_TOKEN_ADMIN] = "admin",
                                         [STORE_TOKEN_DEVICE] = "device",
                                         [STORE_TOKEN_GATEWAY] = "gateway",
                                         [STORE_TOKEN_ENROL] = "enrol"};
#define KINDS (sizeof kind_names / sizeof kind_names[0])

/* What a body asks for. */
struct order {
    enum store_token_kind kind;
    const char *label, *device, *product;
    char id[MODEL_ID_LEN];
    int64_t product_id, expires_ms;
    uint32_t roles;
};

static bool refuse(struct api_call *call, const char *sentence)
{
    api_refuse(call, MOLT_REQUEST_INVALID, "%s", sentence);
    return false;
}

/* False after replying. */
static bool read_kind(struct api_call *call, const char *name, struct order *order)
{
    for (size_t kind = STORE_TOKEN_ADMIN; kind < KINDS; kind++) {
        if (strcmp(kind_names[kind], name) != 0) continue;
        order->kind = (enum store_token_kind)kind;
        return true;
    }
    return refuse(call, "'kind' must be admin, device, gateway or enrol");
}

/* The roles of a token of the API, and when it expires. False after replying. */
static bool read_limits(struct api_call *call, const json_t *body, struct order *order)
{
    /* so that ROLE@PRODUCT is refused: a token has one product or all */
    static const struct store_rules none;
    struct store_grant grants[STORE_GRANTS_MAX];
    const json_t *roles = json_object_get(body, "roles"), *expires = json_object_get(body, "expires_ms");
    uint32_t count;
    char why[200];
    if ((roles != NULL && !json_is_null(roles)) && order->kind != STORE_TOKEN_ADMIN)
        return refuse(call, "'roles' go with the kind admin only");
    order->roles = order->kind == STORE_TOKEN_ADMIN ? STORE_ROLE_ADMIN : 0;
    if (roles != NULL && !json_is_null(roles)) {
        if (roles_read(roles, &none, grants, &count, why, sizeof why) < 0) return refuse(call, why);
        order->roles = grants[0].roles;
    }
    const bool ends = expires != NULL && !json_is_null(expires);
    if (ends && (!json_is_integer(expires) || json_integer_value(expires) <= api_now_ms()))
        return refuse(call, "'expires_ms' is a moment in the future, in milliseconds since 1970, or null");
    order->expires_ms = ends ? json_integer_value(expires) : 0;
    const int64_t until_ms = order->kind == STORE_TOKEN_ADMIN ? call->who.until_ms : 0;
    if (until_ms != 0 && (!ends || order->expires_ms > until_ms))
        return refuse(call, "a token makes none that lasts longer than itself: 'expires_ms'");
    return true;
}

/* False after replying. */
static bool read_order(struct api_call *call, const json_t *body, struct order *order)
{
    const char *kind = "admin";
    *order = (struct order){.label = "", .device = "", .product = ""};
    if (api_body_text(call, body, "label", MODEL_NAME_LEN - 1, &order->label) < 0 ||
        api_body_text(call, body, "kind", 16, &kind) < 0 ||
        api_body_text(call, body, "device", MODEL_ID_LEN - 1, &order->device) < 0 ||
        api_body_text(call, body, "product", MODEL_NAME_LEN - 1, &order->product) < 0 ||
        !read_kind(call, kind, order) || !read_limits(call, body, order))
        return false;
    const bool shared = order->kind == STORE_TOKEN_GATEWAY || order->kind == STORE_TOKEN_ENROL;
    if ((order->kind == STORE_TOKEN_DEVICE) != (order->device[0] != '\0'))
        return refuse(call, "'device' goes with the kind device, and only with it");
    if (shared && order->product[0] == '\0')
        return refuse(call, "the kinds gateway and enrol are for a 'product'");
    if (order->kind == STORE_TOKEN_DEVICE && order->product[0] != '\0')
        return refuse(call, "'product' does not go with the kind device");
    if (order->device[0] != '\0' && !device_id_parse(order->device, strlen(order->device), order->id, NULL))
        return refuse(call, "'device' is no device id");
    if (order->product[0] == '\0') return true;
    struct model_product product;
    int rc = store_product_find(call->api->store, order->product, &product);
    order->product_id = product.id;
    if (rc < 0) api_refuse_store(call, rc, "no product has this name");
    return rc == 0;
}

static json_t *roles_of(uint32_t roles)
{
    const struct store_grant grant = {0, roles};
    return roles_json(&grant, 1, NULL);
}

static json_t *expiry_json(int64_t expires_ms)
{
    return expires_ms != 0 ? json_integer(expires_ms) : json_null();
}

static void make(struct api_call *call, const struct order *order)
{
    char token[STORE_TOKEN_LEN];
    struct store_token made = {.kind = order->kind,
                               .product_id = order->product_id,
                               .roles = order->roles,
                               .expires_ms = order->expires_ms};
    snprintf(made.label, sizeof made.label, "%s", order->label);
    snprintf(made.device_id, sizeof made.device_id, "%s", order->id);
    /* whoever may use the data folder makes them for many people, so each stands for itself */
    if (strcmp(call->who.name, "local") != 0) memcpy(made.made_by, call->who.name, sizeof made.made_by);
    int rc = store_token_make(call->api->store, &made, token);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    struct store_token kept;
    (void)store_token_find(call->api->store, token, &kept);
    json_t *json = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "token", token, "id", kept.id,
                             "kind", kind_names[order->kind], "label", shape_text(order->label), "device",
                             shape_text(order->id), "product", shape_text(order->product), "roles",
                             roles_of(order->roles), "expires_ms", expiry_json(order->expires_ms));
    api_reply(call, 201, json);
}

void api_tokens_create(struct api_call *call)
{
    struct order order;
    json_t *body = api_body(call, "label kind device product roles expires_ms");
    if (body == NULL) return;
    if (read_order(call, body, &order)) make(call, &order);
    json_decref(body);
}

struct listing {
    const struct store_rules *rules;
    const char *id; /* of the one that is looked for; NULL: all */
    json_t *tokens;
};

static json_t *token_json(const struct store_token *token, const struct store_rules *rules)
{
    const char *kind =
        (size_t)token->kind < KINDS && kind_names[token->kind] != NULL ? kind_names[token->kind] : "";
    const char *product = token->product_id != 0 ? shape_product_name(rules, token->product_id) : "";
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:I, s:o, s:o, s:o}", "id", token->id, "kind", kind, "label",
                     shape_text(token->label), "device", shape_text(token->device_id), "product",
                     shape_text(product), "created_ms", (json_int_t)token->created_ms, "roles",
                     roles_of(token->kind == STORE_TOKEN_ADMIN ? token->roles : 0), "expires_ms",
                     expiry_json(token->expires_ms), "made_by", shape_text(token->made_by));
}

static int token_row(void *ctx, const struct store_token *token)
{
    struct listing *listing = ctx;
    if (listing->id != NULL && strcmp(listing->id, token->id) != 0) return 0;
    json_array_append_new(listing->tokens, token_json(token, listing->rules));
    return listing->id != NULL;
}

#define NO_TOKEN "no token has this id; `molt token list` shows them"

void api_token_get(struct api_call *call)
{
    struct store_rules rules;
    int rc = store_load_rules(call->api->store, &rules);
    struct listing listing = {.rules = &rules, .id = call->id, .tokens = json_array()};
    if (rc == 0) {
        rc = store_each_token(call->api->store, token_row, &listing);
        store_free_rules(&rules);
    }
    json_t *token = json_array_get(listing.tokens, 0);
    if (rc < 0)
        api_refuse_store(call, rc, "");
    else if (token == NULL)
        api_refuse(call, MOLT_NOT_FOUND, NO_TOKEN);
    else
        api_reply(call, 200, json_incref(token));
    json_decref(listing.tokens);
}

void api_tokens_list(struct api_call *call)
{
    struct store_rules rules;
    int rc = store_load_rules(call->api->store, &rules);
    struct listing listing = {.rules = &rules, .tokens = json_array()};
    if (rc == 0) {
        rc = store_each_token(call->api->store, token_row, &listing);
        store_free_rules(&rules);
    }
    if (rc == 0) {
        api_reply_page(call, "tokens", listing.tokens, "id");
    } else {
        json_decref(listing.tokens);
        api_refuse_store(call, rc, "");
    }
}

void api_token_delete(struct api_call *call)
{
    int rc = store_token_delete(call->api->store, call->id);
    if (rc == 0)
        api_reply(call, 200, json_pack("{s:s}", "deleted", call->id));
    else
        api_refuse_store(call, rc, NO_TOKEN);
}
