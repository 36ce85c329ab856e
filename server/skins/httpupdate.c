/* httpupdate.c - the skin of ESPhttpUpdate (ESP8266) and HTTPUpdate (ESP32): one GET, answered with the whole image,
 * 304 or 404. Must never send what the decision did not offer. Tests: test/e2e/skins_test.c. */
#include "skin.h"

#include <stdio.h>

/* Mode "version": the client wants x-version only, to compare it itself. */
static void answer_version(struct ask *ask)
{
    struct skin_result result;
    char headers[SKIN_HEADERS_LEN];
    skin_visit(ask, SKIN_UPDATE, MODEL_APP, NULL, false, &result);
    if (result.reason == MOLT_NOT_ASSIGNED || result.reason == MOLT_BIN_REFUSED) {
        skin_refuse(ask, result.reason);
        return;
    }
    /* not offered: its own version, so that it does not go on to ask for the image */
    const char *version = result.verdict == MOLT_VERDICT_OFFER || ask->client.version[0] == '\0'
                              ? result.version
                              : ask->client.version;
    if (version[0] == '\0') {
        skin_nothing_new(ask);
        return;
    }
    (void)snprintf(headers, sizeof headers, "x-version: %s\r\nCache-Control: no-store\r\n", version);
    struct http_response response = {
        .status = 200, .content_type = "application/octet-stream", .headers = headers};
    http_respond(ask->x, &response);
}

void skin_httpupdate(struct ask *ask)
{
    static const struct skin_range whole = {.present = false, .last = UINT64_MAX};
    struct skin_result result;
    if (skin_busy(ask->skins) || ask->client.mode == CLIENT_MODE_UNKNOWN) {
        skin_nothing_new(ask);
        return;
    }
    if (ask->client.mode == CLIENT_MODE_VERSION) {
        answer_version(ask);
        return;
    }
    enum model_component component = ask->client.mode == CLIENT_MODE_FILESYSTEM ? MODEL_FS : MODEL_APP;
    bool named = ask->where.kind == DEVICE_PATH_BIN && !ask->by_header;
    skin_visit(ask, named ? SKIN_BIN : SKIN_UPDATE, component, NULL, true, &result);
    if (result.verdict != MOLT_VERDICT_OFFER)
        skin_refuse(ask, result.reason);
    else
        skin_send(ask, &result.artifact, &whole, result.begun, false);
}
