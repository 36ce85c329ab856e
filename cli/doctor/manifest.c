/* manifest.c - lists of builds (JSON) as esp32FOTA and ESPHome read them. Must never believe a field unchecked.
 * Tests: test/e2e/doctor/lab_test.py. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "molt_reason.h"
#include "visit.h"

static bool take_url(struct visit *visit, const char *address)
{
    return answer_resolve(visit->manifest_url, address, visit->bin_url, sizeof visit->bin_url);
}

/* {"type", "version", "url"} or host, port, bin; an array takes its first. */
static bool take_fota(struct visit *visit, const json_t *json)
{
    const json_t *entry = json_is_array(json) ? json_array_get(json, 0) : json;
    const char *url = json_string_value(json_object_get(entry, "url"));
    const char *host = json_string_value(json_object_get(entry, "host")),
               *bin = json_string_value(json_object_get(entry, "bin"));
    const json_int_t port = json_integer_value(json_object_get(entry, "port"));
    if (url != NULL) return take_url(visit, url);
    if (host == NULL || bin == NULL || bin[0] != '/') return false;
    int len = snprintf(visit->bin_url, sizeof visit->bin_url, "%s://%s:%d%s",
                       port == 443 || port == 4433 ? "https" : "http", host,
                       port > 0 && port < 65536 ? (int)port : 80, bin);
    return len > 0 && (size_t)len < sizeof visit->bin_url;
}

/* {"name", "version", "builds": [{"chipFamily", "ota": {"path", "md5"}}]} */
static bool take_esphome(struct visit *visit, const json_t *json)
{
    const json_t *ota = json_object_get(json_array_get(json_object_get(json, "builds"), 0), "ota");
    const char *path = json_string_value(json_object_get(ota, "path")),
               *md5 = json_string_value(json_object_get(ota, "md5"));
    if (path == NULL || md5 == NULL) return false;
    snprintf(visit->manifest_md5, sizeof visit->manifest_md5, "%s", md5);
    return take_url(visit, path);
}

bool visit_manifest(struct visit *visit)
{
    char head[WIRE_REQUEST_MAX], shown[120];
    struct stock_place parts;
    size_t len;
    if (!answer_split(visit->manifest_url, &parts)) return false;
    snprintf(head, sizeof head,
             "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: ESP32HTTPClient\r\nConnection: keep-alive\r\n"
             "Accept-Encoding: identity;q=1,chunked;q=0.1,*;q=0\r\n%s\r\n",
             parts.path, parts.header, parts.authorization);
    visit->wire.tls = WIRE_MBEDTLS;
    (void)answer_get(&visit->wire, visit->manifest_url, head, false);
    struct wire_tap tap = visit->wire.tap;
    if (!visit_judge_head(visit, &tap, visit->manifest_url, "manifest", head)) return false;
    const uint8_t *body = answer_body(&visit->wire.tap, &len);
    visit_bytes(shown, sizeof shown, body, len, 32);
    if (answer_chunked(&visit->wire.tap)) {
        visit_find(visit, MOLT_MANIFEST_BAD, true, "manifest",
                   "sent in chunks, which esp32FOTA takes for JSON");
        return false;
    }
    json_t *json = json_loadb((const char *)body, len, JSON_REJECT_DUPLICATES, NULL);
    bool ok = json != NULL && (take_esphome(visit, json) || take_fota(visit, json));
    if (!ok)
        visit_find(visit, MOLT_MANIFEST_BAD, true, "manifest", "no address of a .bin can be read from \"%s\"",
                   shown);
    json_decref(json);
    return ok;
}
