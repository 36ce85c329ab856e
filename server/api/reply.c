/* reply.c - answers of the API: JSON, and refusals with reason, sentence and detail. Every call ends here once.
 * Tests: test/unit/api_test.c. */
#include "call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "molt_reason.h"

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

int api_reason_status(int reason)
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
    api_refuse_status(call, api_reason_status(reason), reason, detail);
}

void api_refuse_store(struct api_call *call, int rc, const char *what)
{
    if (rc == -MOLT_NOT_FOUND)
        api_refuse(call, MOLT_NOT_FOUND, "%s", what);
    else
        api_refuse(call, -rc, "%s", store_error(call->api->store));
}
