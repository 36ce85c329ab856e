/* keys.c - /products/{id}/keys: the public keys whose signatures count for a product.
 * Must never take a private key. Tests: test/unit/api_test.c, test/e2e/openapi_answers.py. */
#include "call.h"
#include "shapes.h"

#include <string.h>

#include "host/publish.h"
#include "host/sign/sign.h"
#include "molt_reason.h"

#define PEM_MAX 4096

static bool product_ok(struct api_call *call)
{
    if (publish_name_ok(call->id)) return true;
    api_refuse(call, MOLT_NAME_INVALID, "product \"%.64s\"", call->id);
    return false;
}

static const char *const roles[] = {[STORE_TRUST_SIGNER] = "signer", [STORE_TRUST_APPROVER] = "approver"};
#define ROLES (sizeof roles / sizeof roles[0])

static json_t *key_json(const uint8_t key[STORE_KEY_LEN], size_t role)
{
    char name[17];
    sign_key_name(key, name);
    return json_pack("{s:s, s:s, s:o}", "id", name, "role", roles[role], "public",
                     shape_hex(key, STORE_KEY_LEN));
}

static void reply_keys(struct api_call *call, int status)
{
    json_t *list = json_array();
    for (size_t role = 0; role < ROLES; role++) {
        uint8_t keys[STORE_TRUST_MAX][STORE_KEY_LEN];
        uint32_t count;
        int rc = store_trust_list(call->api->store, call->id, (enum store_trust_role)role, keys, &count);
        if (rc < 0) {
            json_decref(list);
            api_refuse_store(call, rc, "");
            return;
        }
        for (uint32_t i = 0; i < count; i++)
            json_array_append_new(list, key_json(keys[i], role));
    }
    api_reply(call, status, json_pack("{s:s, s:o}", "product", call->id, "keys", list));
}

/* Decisions are made over whether there is an approver. */
static void reply_changed(struct api_call *call, int rc)
{
    const struct api_hooks *hooks = &call->api->hooks;
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    if (hooks->rules_changed != NULL) hooks->rules_changed(hooks->ctx);
    reply_keys(call, 200);
}

/* "role" of the body. False after replying. */
static bool read_role(struct api_call *call, const json_t *body, enum store_trust_role *role)
{
    const json_t *text = json_object_get(body, "role");
    *role = STORE_TRUST_SIGNER;
    if (text == NULL) return true;
    for (size_t i = 0; i < ROLES; i++) {
        *role = (enum store_trust_role)i;
        if (json_is_string(text) && strcmp(json_string_value(text), roles[i]) == 0) return true;
    }
    api_refuse(call, MOLT_REQUEST_INVALID, "'role' must be signer or approver");
    return false;
}

void api_keys_list(struct api_call *call)
{
    if (product_ok(call)) reply_keys(call, 200);
}

void api_keys_add(struct api_call *call)
{
    const char *pem = "";
    uint8_t key[STORE_KEY_LEN];
    enum store_trust_role role;
    if (!product_ok(call)) return;
    json_t *body = api_body(call, "pem role");
    if (body == NULL) return;
    if (!read_role(call, body, &role)) {
        json_decref(body);
        return;
    }
    const json_t *text = json_object_get(body, "pem"); /* of several lines, so no api_body_text() */
    if (!json_is_string(text) || json_string_length(text) > PEM_MAX) {
        api_refuse(call, MOLT_REQUEST_INVALID, "'pem' must be a text of at most %d bytes", PEM_MAX);
    } else {
        pem = json_string_value(text);
        if (strstr(pem, "PRIVATE KEY") != NULL) {
            api_refuse(call, MOLT_KEY_INVALID,
                       "this is a private key: it must not leave the maker's machine");
        } else if (sign_public_parse(pem, strlen(pem), key) < 0) {
            api_refuse(call, MOLT_KEY_INVALID, "'pem' is no P-256 public key");
        } else {
            reply_changed(call, store_trust_add(call->api->store, call->id, role, key));
        }
    }
    json_decref(body);
}

void api_keys_remove(struct api_call *call)
{
    const char *wanted = api_param(call, "key");
    int rc = 0;
    if (!product_ok(call)) return;
    if (wanted == NULL) {
        api_refuse(call, MOLT_REQUEST_INVALID, "the query parameter 'key' is missing");
        return;
    }
    for (size_t role = 0; rc == 0 && role < ROLES; role++) {
        uint8_t keys[STORE_TRUST_MAX][STORE_KEY_LEN];
        uint32_t count;
        rc = store_trust_list(call->api->store, call->id, (enum store_trust_role)role, keys, &count);
        for (uint32_t i = 0; rc == 0 && i < count; i++) {
            char name[17];
            sign_key_name(keys[i], name);
            if (strcmp(name, wanted) != 0) continue;
            reply_changed(call, store_trust_remove(call->api->store, call->id, keys[i]));
            return;
        }
    }
    if (rc == 0) rc = -MOLT_NOT_FOUND;
    api_refuse_store(call, rc, "the product does not trust a key of this name");
}
