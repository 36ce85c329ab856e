/* rehearsal.c - a molt server can answer without recording anything: its device plane takes the folder molt-doctor/ in a
 * path for no folder. Must never ask a molt server in a device's name otherwise. Tests: test/e2e/doctor/rehearsal_test.sh. */
#include <stdio.h>
#include <string.h>

#include "server/skins/skins.h"
#include "visit.h"

/* Puts the folder before the last part of the path; false when the address has none, or grows too long. */
static bool move_below(char url[VISIT_URL_MAX])
{
    char moved[VISIT_URL_MAX];
    const char *path = strstr(url, "://");
    path = path != NULL ? strchr(path + 3, '/') : NULL;
    if (path == NULL) return false;
    const char *last = strrchr(path, '/');
    int len = snprintf(moved, sizeof moved, "%.*s%s%s", (int)(last - url), url, SKIN_REHEARSAL, last + 1);
    if (len < 0 || (size_t)len >= sizeof moved) return false;
    memcpy(url, moved, (size_t)len + 1);
    return true;
}

/* What visit_rehearse() asks for; false when there is no such address. */
static bool rehearsal_url(const char *url, char out[VISIT_URL_MAX])
{
    snprintf(out, VISIT_URL_MAX, "%s", url);
    if (!move_below(out)) return false;
    char *last = strrchr(out, '/');
    if ((size_t)(last - out) + sizeof "/health" > VISIT_URL_MAX) return false;
    memcpy(last, "/health", sizeof "/health");
    return true;
}

void visit_rehearse(struct visit *visit)
{
    char url[VISIT_URL_MAX], head[WIRE_REQUEST_MAX];
    struct stock_place parts;
    size_t len;
    const char *from = visit->version_url[0] != '\0' ? visit->version_url : visit->bin_url;
    if (!rehearsal_url(from, url) || !answer_split(url, &parts)) return;
    visit_own_request(&parts, "GET", head);
    visit->wire.tls = WIRE_BEARSSL;
    if (answer_get(&visit->wire, url, head, false) < 0 || visit->wire.dry) return;
    const uint8_t *body = answer_body(&visit->wire.tap, &len);
    if (answer_status(&visit->wire.tap) != 200 || len != strlen(SKIN_REHEARSAL_REPLY) ||
        memcmp(body, SKIN_REHEARSAL_REPLY, len) != 0)
        return;
    visit->rehearsed =
        (visit->version_url[0] == '\0' || move_below(visit->version_url)) && move_below(visit->bin_url);
    visit_note(visit, "a molt server: it was asked below molt-doctor/, where it records nothing");
}
