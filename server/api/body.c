/* body.c - JSON bodies of the API: an object with known fields only, or a 400. Tests: test/unit/api_test.c. */
#include "call.h"

#include "molt_reason.h"

json_t *api_body(struct api_call *call, const char *allowed)
{
    json_error_t error;
    const struct api_request *request = call->request;
    if (request->body_len == 0) {
        api_refuse(call, MOLT_REQUEST_INVALID, "a JSON object is needed; known fields: %s", allowed);
        return NULL;
    }
    json_t *body = json_loadb(request->body, request->body_len, JSON_REJECT_DUPLICATES, &error);
    if (body == NULL) {
        api_refuse(call, MOLT_REQUEST_INVALID, "the body is not JSON: line %d: %s", error.line, error.text);
        return NULL;
    }
    const char *field;
    json_t *value;
    bool ok = json_is_object(body);
    if (!ok) api_refuse(call, MOLT_REQUEST_INVALID, "the body is not a JSON object");
    json_object_foreach(body, field, value)
    {
        if (ok && !api_listed(allowed, field)) {
            api_refuse(call, MOLT_REQUEST_INVALID, "unknown field '%.40s'; known: %s", field, allowed);
            ok = false;
        }
    }
    if (ok) return body;
    json_decref(body);
    return NULL;
}

int api_body_text(struct api_call *call, const json_t *body, const char *field, size_t len_max,
                  const char **text)
{
    const json_t *value = json_object_get(body, field);
    if (value == NULL) return 0;
    if (json_is_null(value)) {
        *text = "";
        return 0;
    }
    if (!json_is_string(value) || json_string_length(value) > len_max ||
        !api_text_ok(json_string_value(value), json_string_length(value))) {
        api_refuse(call, MOLT_REQUEST_INVALID, "'%s' must be a text of at most %zu bytes, or null", field,
                   len_max);
        return -1;
    }
    *text = json_string_value(value);
    return 0;
}
