/* esp_https_ota.c - the skin of ESP-IDF's esp_https_ota, and of whoever sends HEAD or a range: the length first, then
 * the image or pieces of it. It sends no If-Range, so a range must never continue another artifact than the one that
 * this device began. Tests: test/e2e/skins_range_test.c. */
#include "skin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void not_satisfiable(struct ask *ask, const struct skin_result *result)
{
    char headers[64] = "";
    if (result->beyond)
        (void)snprintf(headers, sizeof headers, "Content-Range: bytes */%" PRIu32 "\r\n",
                       result->artifact.len);
    struct http_response response = {.status = 416, .headers = headers};
    http_respond(ask->x, &response);
}

static bool header_is(const struct ask *ask, const char *name, const char *value)
{
    struct http_slice have = http_header(ask->x, name, 0);
    return have.len == strlen(value) && memcmp(have.p, value, have.len) == 0;
}

/* What would be sent is looked at without beginning anything when a condition hangs on it. Returns false when the
 * answer was given; range->present is cleared when If-Range names another artifact than the one that would go on. */
static bool meets_conditions(struct ask *ask, enum model_component component, struct skin_range *range)
{
    bool none_match = http_header(ask->x, "if-none-match", 0).len > 0;
    bool if_range = range->present && http_header(ask->x, "if-range", 0).len > 0;
    if (!none_match && !if_range) return true;
    struct skin_result result;
    char etag[SKIN_ETAG_LEN];
    skin_visit(ask, range->present ? SKIN_RANGE : SKIN_UPDATE, component, range, false, &result);
    bool offered = result.verdict == MOLT_VERDICT_OFFER;
    if (offered) skin_etag(result.artifact.sha256, etag);
    if (offered && none_match && header_is(ask, "if-none-match", etag)) {
        skin_nothing_new(ask);
        return false;
    }
    if (if_range && (!offered || !header_is(ask, "if-range", etag))) range->present = false;
    return true;
}

void skin_esp_https_ota(struct ask *ask)
{
    bool head = http_method(ask->x) == HTTP_M_HEAD;
    struct skin_range range = {.present = false, .last = UINT64_MAX};
    enum model_component component = ask->client.mode == CLIENT_MODE_FILESYSTEM ? MODEL_FS : MODEL_APP;
    if (skin_busy(ask->skins)) {
        skin_nothing_new(ask);
        return;
    }
    if (!head) range = skin_range_of(ask->x);
    if (!meets_conditions(ask, component, &range)) return;
    struct skin_result result;
    skin_visit(ask, range.present ? SKIN_RANGE : SKIN_UPDATE, component, &range, !head, &result);
    bool offered = result.verdict == MOLT_VERDICT_OFFER;
    if (range.present && (result.reason == MOLT_RANGE_UNKNOWN || (offered && result.beyond))) {
        not_satisfiable(ask, &result);
    } else if (!offered) {
        skin_refuse(ask, result.reason);
    } else {
        skin_send(ask, &result.artifact, &range, result.begun, false);
    }
}
