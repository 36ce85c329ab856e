/* doctor_fuzz.c - any bytes as an answer, a file and a boot log given to the doctor: no crash, bounded work, and every
 * finding is a cause with a remedy and printable evidence. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor/cause.h"
#include "cli/doctor/examine.h"

static struct visit visit;

static void check_findings(void)
{
    FUZZ_CHECK(visit.finding_count <= VISIT_FINDINGS_MAX);
    for (unsigned i = 0; i < visit.finding_count; i++) {
        const struct finding *finding = &visit.findings[i];
        FUZZ_CHECK(doctor_cause_of(finding->reason) != NULL);
        FUZZ_CHECK(memchr(finding->evidence, 0, sizeof finding->evidence) != NULL);
        FUZZ_CHECK(i == 0 || visit.findings[i - 1].fatal || !finding->fatal);
    }
}

static void as_answer(const uint8_t *data, size_t size)
{
    struct wire_tap tap = {.len = size};
    char value[ANSWER_VALUE_MAX], url[256];
    size_t len;
    tap.bytes = malloc(size + 1);
    uint8_t *out = malloc(size + 1);
    if (tap.bytes == NULL || out == NULL) abort();
    if (size > 0) memcpy(tap.bytes, data, size);
    tap.bytes[size] = '\0';
    for (size_t i = 3; i < size && tap.head_len == 0; i++) {
        if (memcmp(data + i - 3, "\r\n\r\n", 4) == 0) tap.head_len = i + 1;
    }
    int status = answer_status(&tap);
    FUZZ_CHECK(status == -1 || (status >= 0 && status <= 999));
    FUZZ_CHECK(answer_length(&tap) >= -1);
    (void)answer_chunked(&tap);
    const uint8_t *body = answer_body(&tap, &len);
    FUZZ_CHECK(len <= size && answer_unchunk(body, len, out) <= len);
    if (answer_header(&tap, "Location", value) > 0 &&
        answer_resolve("http://10.0.0.2/fota/x.bin", value, url, sizeof url))
        FUZZ_CHECK(strncmp(url, "http", 4) == 0);
    struct stock_place place;
    if (answer_split((const char *)tap.bytes, &place))
        FUZZ_CHECK(place.host[0] != '\0' && place.path[0] == '/');
    free(out);
    free(tap.bytes);
}

static void as_file(const uint8_t *data, size_t size)
{
    const struct examine_options options = {.patient = {.version = -1, .tls_buffer = 16384}, .timeout_ms = 1};
    char err[200];
    FUZZ_CHECK(examine_file(&visit, &options, data, size, err) == 0);
    check_findings();
    visit_end(&visit);
}

static void as_log(const uint8_t *data, size_t size)
{
    FILE *log = tmpfile();
    if (log == NULL) abort();
    FUZZ_CHECK(fwrite(data, 1, size, log) == size);
    rewind(log);
    examine_serial(&visit, log);
    check_findings();
    visit_end(&visit);
    fclose(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    switch (data[0]) {
    case 'f':
        as_file(data + 1, size - 1);
        break;
    case 'l':
        as_log(data + 1, size - 1);
        break;
    default:
        as_answer(data + 1, size - 1);
    }
    return 0;
}
