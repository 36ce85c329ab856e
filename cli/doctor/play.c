/* play.c - every client of the devices against the server, one after the other, with the bytes that it really sends.
 * Must never be kinder than the client: what is predicted is what a sketch prints. Tests: test/e2e/doctor/lab_test.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "certificate.h"
#include "molt_reason.h"
#include "visit.h"

#define TASMOTA_VERSION "14.6.0(tasmota)"

/* What stock clients print for the sketch of the thread, when the version file already ends it. */
static bool stopped_by_version(const struct visit *visit, struct client_play *play)
{
    if (visit->version_url[0] == '\0') return false;
    int status = answer_status(&visit->version);
    if (status == 200) {
        if (visit->version_read > 0 && visit->version_read > visit->patient.facts.version) return false;
        snprintf(play->text, sizeof play->text, "- Already on latest version");
        play->works = visit->version_plain; /* that is what the server says; else it could not be read */
        return true;
    }
    if (status > 0) {
        play->code = status;
        snprintf(play->text, sizeof play->text, "Firmware version check failed, got HTTP response code %d",
                 status);
        return true;
    }
    return false;
}

/* The file that the chip would start: an ESP8266 checks nothing of it before it is too late. */
bool visit_would_start(const struct visit *visit, bool esp32)
{
    struct facts facts;
    size_t len;
    const uint8_t *body = answer_body(&visit->wire.tap, &len);
    facts_read(body, len, &facts, NULL, NULL);
    if (facts.refusal == MOLT_IMAGE_TRAILING) return true;
    if (facts.refusal == MOLT_IMAGE_SIGNED)
        return true; /* the signature lies behind the image, or -106 came first */
    if (!facts.is_image || facts.refusal != 0) return false;
    return esp32 ? molt_chip_is_esp32_family(facts.image.chip) : facts.image.chip == MOLT_CHIP_ESP8266;
}

static void play_stock(struct visit *visit, bool esp32, const char *version, struct client_play *play)
{
    const struct stock_device *device = esp32 ? &visit->patient.esp32 : &visit->patient.esp8266;
    struct stock_result result;
    visit->wire.tls = esp32 ? WIRE_MBEDTLS : WIRE_BEARSSL;
    stock_update(device, visit->bin_url, version, false, &result);
    /* Nothing is wrong with the answer, yet its first byte was late: once may be chance. */
    for (int i = 0;
         i < 3 && esp32 && result.error == -106 && visit->finding_count == 0 && visit->facts.is_image; i++)
        stock_update(device, visit->bin_url, version, false, &result);
    play->code = result.error;
    snprintf(play->text, sizeof play->text, "%s%s", version != NULL && result.error != 0 ? "Failed " : "",
             result.text);
    play->works =
        result.ret == STOCK_NO_UPDATES || (result.ret == STOCK_OK && visit_would_start(visit, esp32));
}

/* Tasmota gives a plain WiFiClient to ESPhttpUpdate on an ESP8266, whatever the scheme; on an ESP32 it follows redirects. */
static void play_tasmota(struct visit *visit, bool esp32, struct client_play *play)
{
    char kept[VISIT_URL_MAX], plain[VISIT_URL_MAX];
    struct stock_place at;
    memcpy(kept, visit->bin_url, sizeof kept);
    if (!esp32 && answer_split(kept, &at) && at.tls) {
        const char *authority = kept + strlen("https://");
        const size_t len = strcspn(authority, "/");
        const bool has_port = strcmp(at.port, "443") != 0 || strstr(kept, ":443") != NULL;
        snprintf(plain, sizeof plain, "http://%.*s%s%.900s", (int)len, authority, has_port ? "" : ":443",
                 authority + len);
        memcpy(visit->bin_url, plain, sizeof plain);
    }
    visit->patient.esp32.follow_redirects = true;
    play_stock(visit, esp32, TASMOTA_VERSION, play);
    visit->patient.esp32.follow_redirects = false;
    memcpy(visit->bin_url, kept, sizeof kept);
}

static void play_one(struct visit *visit, enum client_id id, struct client_play *play)
{
    const bool esp32_family = visit->family == PATIENT_ESP32;
    switch (id) {
    case CLIENT_ESP8266:
    case CLIENT_ESP32:
        if (!stopped_by_version(visit, play)) play_stock(visit, id == CLIENT_ESP32, NULL, play);
        break;
    case CLIENT_IDF:
    case CLIENT_IDF_PARTIAL:
        play_idf(visit, id == CLIENT_IDF_PARTIAL, play);
        break;
    case CLIENT_FOTA:
        play_fota(visit, play);
        break;
    case CLIENT_ESPHOME:
        play_esphome(visit, esp32_family, play);
        break;
    case CLIENT_TASMOTA:
        play_tasmota(visit, esp32_family, play);
        break;
    case CLIENT_COUNT:
        break;
    }
    play->played = true;
}

static bool is_relevant(const struct visit *visit, enum client_id id)
{
    /* "Nothing new" is an answer for clients that ask with their version; the others ask when a list told them to. */
    if (answer_status(&visit->bin) == 304 && (id == CLIENT_FOTA || id == CLIENT_ESPHOME)) return false;
    if (visit->patient.facts.idf_only) return id == CLIENT_IDF || id == CLIENT_IDF_PARTIAL;
    if (id == CLIENT_ESPHOME || id == CLIENT_TASMOTA) return true;
    return visit_counts(visit, id == CLIENT_ESP8266 ? PATIENT_ESP8266 : PATIENT_ESP32);
}

/* A server that does not let anybody in, or that takes its time, is not asked seven times: the first answer says what
 * each client would print. */
static bool predict(const struct visit *visit, enum client_id id, struct client_play *play)
{
    const struct wire_tap *tap = &visit->bin;
    int error = 0;
    if (id == CLIENT_TASMOTA && tap->tls && tap->connected && visit->family != PATIENT_ESP32)
        return false; /* it asks in plain HTTP */
    if (!tap->resolved || !tap->connected || (tap->tls && !tap->secured))
        error = STOCK_HTTP_CONNECTION_FAILED;
    else if (visit->closes_unasked)
        error = STOCK_HTTP_SEND_HEADER_FAILED;
    else if (tap->end == WIRE_SILENT || tap->end == WIRE_OVER_TIME)
        error = tap->head_len == 0 ? STOCK_HTTP_READ_TIMEOUT : 6;
    if (error == 0 || (error == 6 && answer_status(tap) != 200)) return false;
    if (error == 6 && answer_length(tap) <= 0) return false;
    bool esp8266 = id == CLIENT_ESP8266 || (visit->family != PATIENT_ESP32 && id >= CLIENT_ESPHOME);
    play->played = true;
    if (id == CLIENT_IDF || id == CLIENT_IDF_PARTIAL) {
        play->code = error == STOCK_HTTP_CONNECTION_FAILED ? 0x7002 : -1;
        snprintf(play->text, sizeof play->text, "%s",
                 error == STOCK_HTTP_CONNECTION_FAILED ? "ESP_ERR_HTTP_CONNECT" : "ESP_FAIL");
    } else if (id == CLIENT_ESPHOME) {
        play->code = 0x12;
        snprintf(play->text, sizeof play->text, "connection error (0x12)");
    } else if (id == CLIENT_FOTA && error < 0) {
        play->code = error;
        snprintf(play->text, sizeof play->text, "HTTP Error");
    } else if (visit->bin.end == WIRE_OVER_TIME && error == 6) {
        snprintf(play->text, sizeof play->text,
                 "still downloading"); /* slow, not silent: no client gives up */
    } else {
        play->code = error;
        snprintf(play->text, sizeof play->text, "%s%s", id == CLIENT_TASMOTA ? "Failed " : "",
                 stock_error_text(esp8266 ? STOCK_ESP8266 : STOCK_ESP32, error));
    }
    return true;
}

/* The other family's clients, when all is well: they would be served the same file, which is not theirs. */
static bool foretell_other_family(const struct visit *visit, enum client_id id, struct client_play *play)
{
    if (play->relevant || visit->finding_count > 0 || !visit->bin_whole || !visit->facts.is_image)
        return false;
    if (visit->patient.facts.idf_only) return false;
    play->played = true;
    if (id == CLIENT_ESP8266) return true; /* takes it without a word, and does not start again */
    if (visit->facts.gzip) {
        play->code = id == CLIENT_ESP32 ? -106 : id == CLIENT_FOTA ? 8 : 0x1503;
        snprintf(play->text, sizeof play->text, "%s",
                 id == CLIENT_ESP32 ? stock_error_text(STOCK_ESP32, -106) : "not an image (gzip)");
    } else if (id == CLIENT_ESP32 || id == CLIENT_FOTA) {
        play->code = 9;
        snprintf(play->text, sizeof play->text, "%s", stock_error_text(STOCK_ESP32, 9));
    } else {
        play->code = 0x10A;
        snprintf(play->text, sizeof play->text, "ESP_ERR_INVALID_VERSION (the image is for another chip)");
    }
    return true;
}

void visit_play(struct visit *visit)
{
    const bool https = strncmp(visit->bin_url, "https", 5) == 0,
               esp32_family = visit->family == PATIENT_ESP32;
    visit->wire.known = visit->bin_whole && !visit->bin_failed ? &visit->bin : NULL;
    for (int i = 0; i < CLIENT_COUNT; i++) {
        const enum client_id id = (enum client_id)i;
        struct client_play *play = &visit->plays[i];
        play->relevant = is_relevant(visit, id);
        /* neither asks for a version file, and over https an ESP8266's copy of them believes anybody */
        const bool beside = (https && !esp32_family) || visit->version_url[0] != '\0';
        play->counts = play->relevant && !(beside && (id == CLIENT_ESPHOME || id == CLIENT_TASMOTA));
        visit->wire.dry_title = client_name(id);
        const bool told =
            !visit->wire.dry && (predict(visit, id, play) || foretell_other_family(visit, id, play));
        if (!told) play_one(visit, id, play);
    }
    if (!visit->wire.dry) visit_play_variants(visit);
    visit_play_tls(visit);
    visit->wire.known = NULL;
}
