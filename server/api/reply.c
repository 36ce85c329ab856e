/* reply.c - answers of the API: JSON, and refusals with reason, sentence and detail. Every call ends here once.
 * Tests: test/unit/api_test.c. */
#include "call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "molt_reason.h"

#define PAGE_MAX 1000

void api_reply(struct api_call *call, int status, json_t *json)
{
    char *body = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (body == NULL) { /* so that there is always an answer; a NULL body is left for the very worst case */
        call->response->status = 500;
        call->response->body = api_problem(500, MOLT_NO_MEMORY, "");
        call->response->body_len = call->response->body != NULL ? strlen(call->response->body) : 0;
        call->response->content_type = API_PROBLEM_TYPE;
        return;
    }
    call->response->status = status;
    call->response->body = body;
    call->response->body_len = strlen(body);
    call->response->content_type = "application/json";
}

/* The HTTP status of a refusal. */
static int status_of(int reason)
{
    switch (reason) {
    case MOLT_REQUEST_INVALID:
    case MOLT_NAME_INVALID:
    case MOLT_CODE_RANGE:
    case MOLT_VARIANT_INVALID:
    case MOLT_ARG:
        return 400;
    case MOLT_UNAUTHORIZED:
    case MOLT_SECOND_FACTOR:
    case MOLT_WRONG_PASSWORD:
        return 401;
    case MOLT_TOO_MANY_TRIES:
        return 429;
    case MOLT_FORBIDDEN:
        return 403;
    case MOLT_NOT_FOUND:
        return 404;
    case MOLT_OLDER_CODE:
    case MOLT_ALREADY_PUBLISHED:
    case MOLT_ADOPT_TAKEN:
    case MOLT_MANIFEST_OLDER:
    case MOLT_STATE:
        return 409;
    case MOLT_FILE_TOO_LARGE:
        return 413;
    case MOLT_STORE_FAILED:
    case MOLT_NO_MEMORY:
    case MOLT_INTERNAL:
        return 500;
    default: /* well-formed, and refused for what it is: an image's refusals, code-needed, version-needed ... */
        return 422;
    }
}

void api_refuse_status(struct api_call *call, int status, int reason, const char *detail)
{
    char text[600];
    (void)snprintf(text, sizeof text, "%s%s", call->about, detail);
    call->reason = reason;
    call->response->status = status;
    call->response->body = api_problem(status, reason, text);
    call->response->body_len = call->response->body != NULL ? strlen(call->response->body) : 0;
    call->response->content_type = API_PROBLEM_TYPE;
}

void api_refuse(struct api_call *call, int reason, const char *format, ...)
{
    char detail[512];
    va_list values;
    va_start(values, format);
    vsnprintf(detail, sizeof detail, format, values);
    va_end(values);
    api_refuse_status(call, status_of(reason), reason, detail);
}

void api_refuse_store(struct api_call *call, int rc, const char *what)
{
    if (rc == -MOLT_NOT_FOUND)
        api_refuse(call, MOLT_NOT_FOUND, "%s", what);
    else
        api_refuse(call, -rc, "%s", store_error(call->api->store));
}

/* ---- pages ---- */

static bool is_named(const json_t *item, const char *key, const char *after)
{
    const json_t *value = json_object_get(item, key);
    char number[24];
    if (json_is_string(value)) return strcmp(json_string_value(value), after) == 0;
    (void)snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return strcmp(number, after) == 0;
}

void api_reply_page(struct api_call *call, const char *name, json_t *items, const char *key)
{
    const char *after = api_param(call, "after");
    const size_t count = json_array_size(items);
    uint64_t limit = SIZE_MAX;
    size_t first = 0;
    if (api_param_number(call, "limit", 1, PAGE_MAX, &limit) < 0) {
        json_decref(items);
        return;
    }
    while (after != NULL && first < count && !is_named(json_array_get(items, first), key, after))
        first++;
    if (after != NULL && first++ == count) {
        json_decref(items);
        api_refuse(call, MOLT_REQUEST_INVALID, "'after': nothing here is called %s (any more)", after);
        return;
    }
    const size_t left = count - first, taken = limit < left ? (size_t)limit : left;
    json_t *page = json_array();
    for (size_t i = first; i < first + taken; i++)
        json_array_append(page, json_array_get(items, i));
    json_t *next = taken > 0 && taken < left
                       ? json_incref(json_object_get(json_array_get(items, first + taken - 1), key))
                       : json_null();
    json_decref(items);
    api_reply(call, 200, json_pack("{s:o, s:o}", name, page, "next", next));
}
