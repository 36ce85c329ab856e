/* methods.c - what esp_https_ota needs besides GET: HEAD, ranges, HTTP/1.1; and what only comparing shows.
 * Must never read a whole file again. Tests: test/e2e/doctor/lab_test.py. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "molt_reason.h"
#include "visit.h"

static int ask(struct visit *visit, const char *method, const char *protocol, const char *extra, bool no_body)
{
    char head[WIRE_REQUEST_MAX];
    struct stock_place parts;
    if (!answer_split(visit->bin_url, &parts)) return -1;
    visit->wire.tls = WIRE_MBEDTLS;
    snprintf(
        head, sizeof head,
        "%s %s HTTP/%s\r\nUser-Agent: ESP32 HTTP Client/1.0\r\nHost: %s\r\n%s%sConnection: close\r\n\r\n",
        method, parts.path, protocol, parts.header, parts.authorization, extra);
    if (answer_get(&visit->wire, visit->bin_url, head, no_body) < 0) return -1;
    return answer_status(&visit->wire.tap);
}

/* getAvailableVersion() of an ESP8266: a GET with the mode "version", whose body nobody reads. */
static void write_available_version(const struct visit *visit, const struct stock_place *at,
                                    char head[WIRE_REQUEST_MAX])
{
    static const char mode[] = "x-ESP8266-mode: ", sketch[] = "sketch";
    char update[STOCK_REQUEST_MAX];
    stock_update_request(&visit->patient.esp8266, at, NULL, false, update);
    char *value = strstr(update, mode);
    if (value == NULL) return;
    value += strlen(mode);
    snprintf(head, WIRE_REQUEST_MAX, "%.*sversion%s", (int)(value - update), update, value + strlen(sketch));
}

static int available_version_code(int status, bool has_version)
{
    switch (status) {
    case 200:
        return has_version ? 0 : -109;
    case 404:
        return -102;
    case 403:
        return -103;
    case 401:
        return -108;
    default:
        return status > 0 ? -104 : -5;
    }
}

/* The usual sketch does not call it, so what it gives is no finding. */
static void note_available_version(struct visit *visit)
{
    char head[WIRE_REQUEST_MAX] = "", value[ANSWER_VALUE_MAX];
    struct stock_place parts;
    if (!visit_counts(visit, PATIENT_ESP8266) || !answer_split(visit->bin_url, &parts)) return;
    if (visit->patient.facts.core == STOCK_CORE_2_7) return; /* it came after 3.1.2 */
    write_available_version(visit, &parts, head);
    visit->wire.tls = WIRE_BEARSSL;
    if (answer_get(&visit->wire, visit->bin_url, head, true) < 0 || visit->wire.dry) return;
    const int status = answer_status(&visit->wire.tap);
    const bool has_version = answer_header(&visit->wire.tap, "x-version", value) > 0;
    visit->available_version = available_version_code(status, has_version);
    if (has_version)
        visit_note(visit, "bin: getAvailableVersion() is answered %d, x-version %.60s", status, value);
    else
        visit_note(visit, "bin: getAvailableVersion() is answered %d without x-version%s", status,
                   status == 200 ? ", which is -109 to a sketch that calls it" : "");
}

void visit_methods(struct visit *visit)
{
    char value[ANSWER_VALUE_MAX];
    if (!visit->wire.dry && (visit->bin_failed || answer_status(&visit->bin) != 200)) return;
    const int64_t length = answer_length(&visit->bin);
    int status = ask(visit, "GET", "1.1", "", true);
    visit_note(visit, "bin: HTTP/1.1 is answered %d%s", status,
               answer_chunked(&visit->wire.tap) ? ", in chunks" : "");
    status = ask(visit, "HEAD", "1.1", "", true);
    const int64_t head_length = answer_length(&visit->wire.tap);
    visit_note(visit, "bin: HEAD is answered %d, Content-Length %lld", status, (long long)head_length);
    if (visit_counts(visit, PATIENT_ESP32) && length > 0 && status == 200 && head_length != length)
        visit_find(visit, MOLT_HEAD_REFUSED, true, "bin", "HEAD says %lld bytes, GET %lld",
                   (long long)head_length, (long long)length);
    status = ask(visit, "GET", "1.1", "Range: bytes=0-1023\r\n", false);
    answer_header(&visit->wire.tap, "Content-Range", value);
    visit_note(visit, "bin: a Range is answered %d%s%.80s", status,
               value[0] != '\0' ? ", Content-Range " : "", value);
    if (visit_counts(visit, PATIENT_ESP32) && status == 206 && strncmp(value, "bytes 0-", 8) != 0)
        visit_find(visit, MOLT_HTTP_RANGE, true, "bin",
                   "206 with Content-Range \"%.80s\" for bytes 0 to 1023", value);
    note_available_version(visit);
}

/* The version that the image itself tells, 0: none. */
static uint32_t image_code(const struct facts *facts)
{
    uint32_t code;
    if (!facts->is_image) return 0;
    if (facts->tag_code != 0) return facts->tag_code;
    if (facts->has_tag && facts_version_code(facts->tag_version, &code) == 0) return code;
    if (strcmp(facts->texts.project, "arduino-lib-builder") == 0) return 0; /* that is the core's version */
    return facts_version_code(facts->texts.version, &code) == 0 ? code : 0;
}

static bool from_cache(const struct wire_tap *tap, char value[ANSWER_VALUE_MAX])
{
    if (answer_header(tap, "Age", value) > 0 && strcmp(value, "0") != 0) return true;
    return answer_header(tap, "X-Cache", value) > 0 && strncasecmp(value, "hit", 3) == 0;
}

static void compare_versions(struct visit *visit)
{
    char value[ANSWER_VALUE_MAX];
    const uint32_t code = image_code(&visit->facts), said = (uint32_t)visit->version_read;
    if (visit->version_read <= 0 || visit->body == NULL || !visit->bin_whole || !visit->facts.is_image)
        return;
    const bool inside = facts_has_code(visit->body, visit->body_len, said);
    if (code == 0) {
        visit_note(visit, "version: %u %s in the image", said, inside ? "stands" : "does not stand as it is");
        return;
    }
    visit_note(visit, "version: the file says %u, the image %u", said, code);
    if (code > said && !inside)
        visit_find(visit, MOLT_VERSION_OLDER, visit->patient.facts.version >= (int64_t)said, "version",
                   "the .version says %u, the .bin is %u", said, code);
    if (code >= said || inside) return;
    if (from_cache(&visit->bin, value))
        visit_find(visit, MOLT_CACHED_FILE, true, "bin",
                   "the .version says %u, the .bin is %u and comes from a cache (%.60s)", said, code, value);
    else
        visit_find(visit, MOLT_BIN_OLDER, true, "bin", "the .version says %u, the .bin is %u", said, code);
}

void visit_conclude(struct visit *visit)
{
    const struct client_play *plays = visit->plays;
    if (!visit->bin_failed) compare_versions(visit);
    if (visit->finding_count > 0 || !visit->facts.is_image) return;
    /* Clients that differ although nothing was seen: the server behaves otherwise each time. */
    if (plays[CLIENT_ESP32].relevant && plays[CLIENT_ESP32].code == -106)
        visit_find(visit, MOLT_LATE_BODY, true, "bin",
                   "an ESP32 found no byte of the file 100 ms after the head");
    else if (plays[CLIENT_IDF].relevant && plays[CLIENT_IDF].works && !plays[CLIENT_IDF_PARTIAL].works)
        visit_find(visit, MOLT_HEAD_REFUSED, true, "bin",
                   "esp_https_ota gets the whole file, and cannot get it in pieces");
}
