/* api_case.h - a call of the API as whoever may use the data folder, for the tests of the API. */
#ifndef MOLT_TEST_API_CASE_H
#define MOLT_TEST_API_CASE_H

#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "server/api/call.h"

/* The answer, which the caller json_decref()s; fails when the status is another. */
static inline json_t *api_case_call(const struct api *api, const char *method, const char *path,
                                    const char *query, const char *body, int want)
{
    struct api_response response;
    const struct api_request request = {.method = method,
                                        .path = path,
                                        .query = query,
                                        .trusted = true,
                                        .body = body,
                                        .body_len = strlen(body)};
    api_handle(api, &request, &response);
    if (response.status != want)
        fail_msg("%s %s?%s %s: %d, not %d: %s", method, path, query, body, response.status, want,
                 response.body);
    json_t *json = json_loadb(response.body, response.body_len, 0, NULL);
    assert_non_null(json);
    free(response.body);
    return json;
}

#endif
