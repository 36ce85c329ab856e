/* examine_url.c - an address: which of the sketch's files it means, then version file, .bin, TLS and every client.
 * Must never ask for more than the clients would, but a made-up name and HEAD. Tests: test/e2e/doctor/lab_test.py. */
#include <stdio.h>
#include <string.h>

#include "examine.h"
#include "molt_reason.h"
#include "server/skins/skins.h"

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* The sketch glues MAC and suffix to its base address, whatever that ends with. */
static bool glue(char out[VISIT_URL_MAX], const char *base, const char *between, const uint8_t mac[6],
                 const char *suffix)
{
    int len = snprintf(out, VISIT_URL_MAX, "%s%s%02X%02X%02X%02X%02X%02X%s", base, between, mac[0], mac[1],
                       mac[2], mac[3], mac[4], mac[5], suffix);
    return len > 0 && (size_t)len < VISIT_URL_MAX;
}

static int name_files(struct visit *visit, const struct examine_options *options, const char *url,
                      char err[200])
{
    const uint8_t *mac = options->patient.mac;
    bool ok = strlen(url) < VISIT_URL_MAX;
    if (!ok) {
        snprintf(err, 200, "the address is longer than %u characters", VISIT_URL_MAX - 1);
        return -1;
    }
    if (ends_with(url, ".version")) {
        snprintf(visit->version_url, VISIT_URL_MAX, "%s", url);
        ok = snprintf(visit->bin_url, VISIT_URL_MAX, "%.*s.bin", (int)(strlen(url) - 8), url) > 0;
    } else if (ends_with(url, ".json")) {
        snprintf(visit->manifest_url, VISIT_URL_MAX, "%s", url);
    } else if (options->patient.has_mac && !ends_with(url, ".bin") && !ends_with(url, ".gz")) {
        ok = glue(visit->version_url, url, "", mac, ".version") && glue(visit->bin_url, url, "", mac, ".bin");
        if (!ends_with(url, "/")) snprintf(visit->base_url, VISIT_URL_MAX, "%s", url);
    } else if (ends_with(url, "/")) {
        snprintf(err, 200, "a base address needs --mac, so that the names of the files are known");
        return -1;
    } else {
        snprintf(visit->bin_url, VISIT_URL_MAX, "%s", url);
    }
    if (!ok) snprintf(err, 200, "the address is too long");
    return ok ? 0 : -1;
}

/* The base address with a slash and the name of the version file behind it. */
static bool slashed(const struct visit *visit, char url[VISIT_URL_MAX])
{
    return glue(url, visit->base_url, visit->rehearsed ? SKIN_REHEARSAL : "/", visit->patient.facts.mac,
                ".version");
}

int visit_ask_slashed(struct visit *visit)
{
    char url[VISIT_URL_MAX], head[WIRE_REQUEST_MAX];
    struct stock_place parts;
    if (visit->base_url[0] == '\0' || !slashed(visit, url) || !answer_split(url, &parts)) return -1;
    snprintf(head, sizeof head,
             "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: ESP8266HTTPClient\r\n%sConnection: close\r\n\r\n",
             parts.path, parts.header, parts.authorization);
    if (answer_get(&visit->wire, url, head, true) < 0) return -1;
    return answer_status(&visit->wire.tap);
}

/* 404 where a slash was forgotten between base and name: with it the file is there. */
static void try_slash(struct visit *visit)
{
    char url[VISIT_URL_MAX];
    const int status = answer_status(&visit->version);
    if (visit->base_url[0] == '\0' || (status != 404 && status != 301 && status != 400)) return;
    if (visit_ask_slashed(visit) != 200 || !slashed(visit, url)) return;
    visit->finding_count = 0;
    visit_find(visit, MOLT_MISSING_SLASH, true, "version", "%s is %d, %s is 200", visit->version_url, status,
               url);
}

static bool unreachable(const struct wire_tap *tap)
{
    return !tap->resolved || !tap->connected || (tap->tls && !tap->secured);
}

static void look(struct visit *visit, const char *url)
{
    visit_tls(visit, url);
    if (visit->manifest_url[0] != '\0' && !visit_manifest(visit)) return;
    visit_rehearse(visit);
    visit_guess_family(visit);
    if (visit->version_url[0] != '\0') {
        visit_version(visit);
        try_slash(visit);
    }
    if (visit->version_url[0] != '\0' && unreachable(&visit->version)) {
        visit->bin = visit->version; /* the same door is closed for the .bin */
        visit->bin.bytes = NULL;
        visit->bin.len = visit->bin.head_len = 0;
        visit->bin_failed = true;
    } else {
        visit_bin(visit);
    }
    if (visit->bin.end != WIRE_SILENT && visit->bin.end != WIRE_OVER_TIME) visit_methods(visit);
    visit_play(visit);
    visit_conclude(visit);
}

int examine_url(struct visit *visit, const struct examine_options *options, const char *url, char err[200])
{
    visit_begin(visit);
    wire_begin(&visit->wire, options->timeout_ms, options->patient.tls_buffer);
    visit->wire.dry = options->dry_run;
    if (name_files(visit, options, url, err) < 0) return -1;
    if (patient_begin(&visit->patient, &options->patient) < 0 || patient_power_on(&visit->patient) < 0) {
        snprintf(err, 200, "--layout, --sketch-size and --free-space do not go together");
        return -1;
    }
    patient_use(&visit->patient, &visit->wire.stock, options->timeout_ms);
    const enum molt_chip chip = options->patient.chip;
    visit->family = chip == MOLT_CHIP_UNKNOWN   ? PATIENT_ANY
                    : chip == MOLT_CHIP_ESP8266 ? PATIENT_ESP8266
                                                : PATIENT_ESP32;
    if (options->dry_run) {
        visit->wire.dry_log = open_memstream(&visit->dry_text, &visit->dry_len);
        visit_dry_run(visit, url);
        if (visit->wire.dry_log != NULL) fclose(visit->wire.dry_log);
        visit->wire.dry_log = NULL;
    } else {
        look(visit, url);
    }
    return 0;
}
