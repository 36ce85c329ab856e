/* version.c - the version file as the sketch reads it, byte by byte. Must never accept what toInt() does not.
 * Tests: test/e2e/doctor/lab_test.py. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "molt_reason.h"
#include "visit.h"

/* "ef bb bf 32 30" */
static void hex_dump(char out[64], const uint8_t *bytes, size_t len)
{
    out[0] = '\0';
    for (size_t i = 0; i < len && i < 16; i++)
        snprintf(out + (i > 0 ? 3 * i - 1 : 0), 64 - 3 * i, "%s%02x", i > 0 ? " " : "", bytes[i]);
}

static void read_number(struct visit *visit, const uint8_t *text, size_t len, const char *dump)
{
    char shown[120];
    size_t at = 0;
    uint64_t value = 0;
    visit_bytes(shown, sizeof shown, text, len, 24);
    while (at < len && isspace(text[at]))
        at++;
    const size_t first = at;
    for (; at < len && isdigit(text[at]) && value < UINT64_C(1) << 40; at++)
        value = value * 10 + (uint64_t)(text[at] - '0');
    visit->version_read = value > INT32_MAX ? INT32_MAX : (int32_t)value;
    if (at == first) {
        visit_find(visit, MOLT_VERSION_PREFIX, true, "version", "the file is \"%s\" (%s), the sketch reads 0",
                   shown, dump);
        return;
    }
    if (value > INT32_MAX)
        visit_find(visit, MOLT_VERSION_OVERFLOW, true, "version",
                   "the file is \"%s\" (%s), the sketch reads %d", shown, dump, visit->version_read);
    visit->version_plain = value <= INT32_MAX;
    while (at < len && isspace(text[at]))
        at++;
    if (at < len) visit_note(visit, "version: the sketch ignores what follows the digits of \"%s\"", shown);
}

static void lint(struct visit *visit)
{
    static const uint8_t bom[] = {0xEF, 0xBB, 0xBF};
    uint8_t text[4096];
    size_t len;
    char dump[64], shown[120];
    const uint8_t *body = answer_body(&visit->version, &len);
    if (len > sizeof text) len = sizeof text;
    if (answer_chunked(&visit->version))
        len = answer_unchunk(body, len, text);
    else
        memcpy(text, body, len);
    hex_dump(dump, text, len);
    visit_bytes(shown, sizeof shown, text, len, 24);
    visit_note(visit, "version: %zu bytes: %s", len, dump);
    if (len >= 3 && memcmp(text, bom, 3) == 0)
        visit_find(visit, MOLT_VERSION_BOM, true, "version", "the file begins with %s, the sketch reads 0",
                   dump);
    else if (len >= 2 && ((text[0] == 0xFF && text[1] == 0xFE) || (text[0] == 0xFE && text[1] == 0xFF)))
        visit_find(visit, MOLT_VERSION_BOM, true, "version", "the file is UTF-16: %s, the sketch reads 0",
                   dump);
    else if (len > 0 && (text[0] == '<' || text[0] == '{'))
        visit_find(visit, MOLT_VERSION_PAGE, true, "version",
                   "the file begins with \"%s\" (%s), the sketch reads 0", shown, dump);
    else
        read_number(visit, text, len, dump);
}

void visit_version(struct visit *visit)
{
    char head[WIRE_REQUEST_MAX];
    struct stock_place parts;
    if (!answer_split(visit->version_url, &parts)) return;
    const bool esp32 = visit->family == PATIENT_ESP32;
    stock_version_request(esp32 ? &visit->patient.esp32 : &visit->patient.esp8266, &parts, head);
    visit->wire.tls = esp32 ? WIRE_MBEDTLS : WIRE_BEARSSL;
    (void)answer_get(&visit->wire, visit->version_url, head, false);
    if (visit->wire.dry) return;
    visit->version = visit->wire.tap;
    memset(&visit->wire.tap, 0, sizeof visit->wire.tap);
    if (visit_judge_head(visit, &visit->version, visit->version_url, "version", head) &&
        answer_status(&visit->version) == 200)
        lint(visit);
}
