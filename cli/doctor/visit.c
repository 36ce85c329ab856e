/* visit.c - the notebook of an examination: findings, notes, clients. Must never touch the network.
 * Tests: test/e2e/doctor/lab_test.py. */
#include "visit.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *client_name(enum client_id id)
{
    static const char *const names[CLIENT_COUNT] = {
        [CLIENT_ESP8266] = "esp8266",         [CLIENT_ESP32] = "esp32",    [CLIENT_IDF] = "idf",
        [CLIENT_IDF_PARTIAL] = "idf-partial", [CLIENT_FOTA] = "esp32fota", [CLIENT_ESPHOME] = "esphome",
        [CLIENT_TASMOTA] = "tasmota",
    };
    return names[id];
}

void visit_begin(struct visit *visit)
{
    memset(visit, 0, sizeof *visit);
}

void visit_end(struct visit *visit)
{
    free(visit->version.bytes);
    free(visit->bin.bytes);
    free(visit->body);
    free(visit->dry_text);
    for (unsigned i = 0; i < visit->note_count; i++)
        free(visit->notes[i]);
    for (unsigned i = 0; i < visit->anchor_count; i++)
        free(visit->anchors[i].pem);
    wire_end(&visit->wire);
    patient_end(&visit->patient);
}

void visit_find(struct visit *visit, int reason, bool fatal, const char *where, const char *evidence, ...)
{
    for (unsigned i = 0; i < visit->finding_count; i++) {
        if (visit->findings[i].reason == reason) return;
    }
    if (visit->finding_count == VISIT_FINDINGS_MAX) return;
    unsigned at = visit->finding_count++;
    for (; fatal && at > 0 && !visit->findings[at - 1].fatal; at--)
        visit->findings[at] = visit->findings[at - 1];
    struct finding *finding = &visit->findings[at];
    *finding = (struct finding){.reason = reason, .fatal = fatal, .where = where};
    va_list values;
    va_start(values, evidence);
    vsnprintf(finding->evidence, sizeof finding->evidence, evidence, values);
    va_end(values);
}

void visit_note(struct visit *visit, const char *format, ...)
{
    va_list values;
    if (visit->note_count == VISIT_NOTES_MAX) return;
    va_start(values, format);
    int len = vsnprintf(NULL, 0, format, values);
    va_end(values);
    char *line = len >= 0 ? malloc((size_t)len + 1) : NULL;
    if (line == NULL) return;
    va_start(values, format);
    vsnprintf(line, (size_t)len + 1, format, values);
    va_end(values);
    visit->notes[visit->note_count++] = line;
}

bool visit_counts(const struct visit *visit, enum patient_family family)
{
    return visit->family == PATIENT_ANY || visit->family == family;
}

bool visit_works(const struct visit *visit)
{
    for (unsigned i = 0; i < visit->finding_count; i++) {
        if (visit->findings[i].fatal) return false;
    }
    for (int i = 0; i < CLIENT_COUNT; i++) {
        if (visit->plays[i].played && visit->plays[i].counts && !visit->plays[i].works) return false;
    }
    return true;
}

char *visit_bytes(char *out, size_t cap, const uint8_t *bytes, size_t len, size_t count)
{
    size_t have = 0;
    out[0] = '\0';
    for (size_t i = 0; i < len && i < count && have + 5 < cap; i++) {
        if (bytes[i] >= 0x20 && bytes[i] < 0x7F)
            out[have++] = (char)bytes[i];
        else
            have += (size_t)snprintf(out + have, cap - have, "\\x%02x", bytes[i]);
    }
    out[have] = '\0';
    return out;
}

void visit_own_request(const struct stock_place *at, const char *method, char head[WIRE_REQUEST_MAX])
{
    snprintf(head, WIRE_REQUEST_MAX,
             "%s %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: molt-doctor\r\n%sConnection: close\r\n\r\n", method,
             at->path, at->header, at->authorization);
}

void visit_foretell(struct visit *visit, enum client_id id, int code, const char *text)
{
    struct client_play *play = &visit->plays[id];
    *play =
        (struct client_play){.played = true, .relevant = true, .counts = true, .code = code, .tls_text = ""};
    snprintf(play->text, sizeof play->text, "%s", text);
}
