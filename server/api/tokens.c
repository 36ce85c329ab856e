/* tokens.c - the tokens of the API. A token is shown once, when it is made, and kept hashed. Tests: test/unit/api_test.c. */
#include "call.h"
#include "shapes.h"

#include <string.h>

#include "molt_reason.h"
#include "server/skins/device_id.h"

void api_tokens_create(struct api_call *call)
{
    json_t *body = api_body(call, "label kind device");
    if (body == NULL) return;
    const char *label = "", *kind = "admin", *device = "";
    char id[MODEL_ID_LEN] = "", token[STORE_TOKEN_LEN];
    if (api_body_text(call, body, "label", MODEL_NAME_LEN - 1, &label) < 0 ||
        api_body_text(call, body, "kind", 16, &kind) < 0 ||
        api_body_text(call, body, "device", MODEL_ID_LEN - 1, &device) < 0) {
        json_decref(body);
        return;
    }
    bool for_device = strcmp(kind, "device") == 0;
    if (!for_device && strcmp(kind, "admin") != 0) {
        api_refuse(call, MOLT_REQUEST_INVALID, "'kind' must be admin or device");
    } else if (for_device != (device[0] != '\0')) {
        api_refuse(call, MOLT_REQUEST_INVALID, "'device' goes with the kind device, and only with it");
    } else if (for_device && !device_id_parse(device, strlen(device), id, NULL)) {
        api_refuse(call, MOLT_REQUEST_INVALID, "'%s' is no device id", device);
    } else {
        int rc = store_token_create(call->api->store, for_device ? STORE_TOKEN_DEVICE : STORE_TOKEN_ADMIN,
                                    label, for_device ? id : NULL, token);
        if (rc < 0)
            api_refuse_store(call, rc, "");
        else
            api_reply(call, 201,
                      json_pack("{s:s, s:s, s:o, s:o}", "token", token, "kind", kind, "label",
                                shape_text(label), "device", shape_text(id)));
    }
    json_decref(body);
}

static int token_row(void *ctx, const struct store_token *token)
{
    json_array_append_new(ctx, json_pack("{s:s, s:s, s:o, s:o, s:I}", "id", token->id, "kind",
                                         token->kind == STORE_TOKEN_DEVICE ? "device" : "admin", "label",
                                         shape_text(token->label), "device", shape_text(token->device_id),
                                         "created_ms", (json_int_t)token->created_ms));
    return 0;
}

void api_tokens_list(struct api_call *call)
{
    json_t *tokens = json_array();
    int rc = store_each_token(call->api->store, token_row, tokens);
    if (rc == 0) {
        api_reply(call, 200, json_pack("{s:o}", "tokens", tokens));
    } else {
        json_decref(tokens);
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
