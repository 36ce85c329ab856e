/* tokens.c - the tokens of the API. A token is shown once, when it is made, and kept hashed. Tests: test/unit/api_test.c. */
#include "call.h"
#include "shapes.h"

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
    int64_t product_id;
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

/* False after replying. */
static bool read_order(struct api_call *call, const json_t *body, struct order *order)
{
    const char *kind = "admin";
    *order = (struct order){.label = "", .device = "", .product = ""};
    if (api_body_text(call, body, "label", MODEL_NAME_LEN - 1, &order->label) < 0 ||
        api_body_text(call, body, "kind", 16, &kind) < 0 ||
        api_body_text(call, body, "device", MODEL_ID_LEN - 1, &order->device) < 0 ||
        api_body_text(call, body, "product", MODEL_NAME_LEN - 1, &order->product) < 0 ||
        !read_kind(call, kind, order))
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

void api_tokens_create(struct api_call *call)
{
    struct order order;
    char token[STORE_TOKEN_LEN];
    json_t *body = api_body(call, "label kind device product");
    if (body == NULL) return;
    if (read_order(call, body, &order)) {
        int rc = store_token_create_for(call->api->store, order.kind, order.label,
                                        order.kind == STORE_TOKEN_DEVICE ? order.id : NULL, order.product_id,
                                        token);
        if (rc < 0)
            api_refuse_store(call, rc, "");
        else
            api_reply(call, 201,
                      json_pack("{s:s, s:s, s:o, s:o, s:o}", "token", token, "kind", kind_names[order.kind],
                                "label", shape_text(order.label), "device", shape_text(order.id), "product",
                                shape_text(order.product)));
    }
    json_decref(body);
}

struct listing {
    const struct store_rules *rules;
    json_t *tokens;
};

static int token_row(void *ctx, const struct store_token *token)
{
    const struct listing *listing = ctx;
    const char *kind =
        (size_t)token->kind < KINDS && kind_names[token->kind] != NULL ? kind_names[token->kind] : "";
    const char *product = token->product_id != 0 ? shape_product_name(listing->rules, token->product_id) : "";
    json_array_append_new(listing->tokens,
                          json_pack("{s:s, s:s, s:o, s:o, s:o, s:I}", "id", token->id, "kind", kind, "label",
                                    shape_text(token->label), "device", shape_text(token->device_id),
                                    "product", shape_text(product), "created_ms",
                                    (json_int_t)token->created_ms));
    return 0;
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
        api_reply(call, 200, json_pack("{s:o}", "tokens", listing.tokens));
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
        api_refuse_store(call, rc, "no token has this id; `molt token list` shows them");
}
