/* rauc.c - the skin of RAUC's own polling (RAUC 1.16, src/polling.c, src/nbd.c): one GET with RAUC-* headers, which is
 * redirected to the bundle or told that there is none (204). Must never redirect anybody else: stock clients do not follow.
 * Tests: test/e2e/lists_test.c. */
#include "skin.h"

#include <stdio.h>
#include <string.h>

#include "util/text.h"

bool skin_rauc_is_meant(struct ask *ask)
{
    struct http_slice serial = http_header(ask->x, "rauc-serial", 0);
    if (serial.len == 0) serial = http_header(ask->x, "rauc-machine-id", 0);
    return serial.len > 0 && strstr(ask->where.rest, SKIN_ARTIFACT) == NULL &&
           device_id_parse(serial.p, serial.len, ask->id, NULL);
}

void skin_rauc(struct ask *ask)
{
    struct skin_result result;
    struct http_slice version = http_header(ask->x, "rauc-system-version", 0);
    if (skin_busy(ask->skins)) {
        struct http_response busy = {.status = 503, .headers = "Retry-After: 300\r\n"};
        http_respond(ask->x, &busy);
        return;
    }
    memset(&ask->client, 0, sizeof ask->client);
    ask->client.kind = MODEL_CLIENT_RAUC;
    for (size_t i = 0; i < version.len && i < sizeof ask->client.version - 1; i++)
        ask->client.version[i] = version.p[i] >= 0x20 && version.p[i] < 0x7f ? version.p[i] : '?';
    skin_visit(ask, SKIN_UPDATE, MODEL_APP, NULL, false, &result);
    if (result.verdict != MOLT_VERDICT_OFFER) {
        struct http_response none = {
            .status = 204, .headers = "Cache-Control: no-store\r\n", .no_length = true};
        http_respond(ask->x, &none);
        return;
    }
    char sha256[65], headers[SKIN_HEADERS_LEN];
    const char *public_url = ask->skins->options.public_url != NULL ? ask->skins->options.public_url : "";
    molt_hex_encode(result.artifact.sha256, 32, sha256);
    /* the ranges that follow carry none of the headers: the address says it all */
    const int len =
        snprintf(headers, sizeof headers, "Location: %s" SKIN_ARTIFACT "%s\r\nCache-Control: no-store\r\n",
                 public_url, sha256);
    struct http_response response = {.status = len < (int)sizeof headers ? 302 : 500,
                                     .headers = len < (int)sizeof headers ? headers : NULL};
    http_respond(ask->x, &response);
}
