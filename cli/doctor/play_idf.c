/* play_idf.c - esp_https_ota (whole and in pieces), esp32FOTA and ESPHome, as their sources read. Plain http is played as
 * with CONFIG_ESP_HTTPS_OTA_ALLOW_HTTP. Must never check less or more than they do. Tests: test/e2e/doctor/lab_test.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "molt_reason.h"
#include "visit.h"

#define IDF_AGENT "ESP32 HTTP Client/1.0"
#define PIECE     65536u /* max_http_request_size */
#define HEADERS   1024u  /* esp_https_ota reads this much before it looks at anything */

enum {
    IDF_FAIL = -1,
    IDF_INVALID_SIZE = 0x104,
    IDF_INVALID_VERSION = 0x10A,
    IDF_VALIDATE = 0x1503,
    IDF_MAX_REDIRECT = 0x7001,
    IDF_CONNECT = 0x7002,
    IDF_NOT_MODIFIED = 0x7009,
    IDF_DOWNGRADE = 0x700D
};

/* Whose order of headers. */
enum style { STYLE_IDF, STYLE_ESP32, STYLE_ESP8266 };

/* How a client asks. */
struct asker {
    const char *method, *agent;
    enum style style; /* esp_http_client's, or HTTPClient's of either core */
    const char *range;
    unsigned redirects; /* how many it follows */
};

/* authorized: esp_http_client sends the credentials once a 401 asked for them; HTTPClient always. Sources:
 * esp_http_client.c of ESP-IDF (10212290 of 2026-07), HTTPClient.cpp of both cores. */
static void write_head(const struct asker *asker, const struct stock_place *url, bool authorized,
                       char head[WIRE_REQUEST_MAX])
{
    static const char accept[] = "Accept-Encoding: identity;q=1,chunked;q=0.1,*;q=0\r\n";
    const bool ranged = asker->range != NULL;
    if (asker->style == STYLE_ESP32)
        snprintf(head, WIRE_REQUEST_MAX,
                 "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nConnection: keep-alive\r\n%s%s\r\n",
                 asker->method, url->path, url->header, asker->agent, accept, url->authorization);
    else if (asker->style == STYLE_ESP8266)
        snprintf(head, WIRE_REQUEST_MAX,
                 "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n%s%sConnection: "
                 "keep-alive\r\nContent-Length: 0\r\n\r\n",
                 asker->method, url->path, url->header, asker->agent, accept, url->authorization);
    else
        snprintf(head, WIRE_REQUEST_MAX, "%s %s HTTP/1.1\r\nUser-Agent: %s\r\nHost: %s\r\n%s%s%s%s\r\n",
                 asker->method, url->path, asker->agent, url->header, authorized ? url->authorization : "",
                 ranged ? "Range: bytes=" : "", ranged ? asker->range : "", ranged ? "\r\n" : "");
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Where a redirect of this status leads; false when the client takes it for the answer (*refused: for an error). Arduino's
 * rules: no 308, no other scheme, no relative address. */
static bool may_follow(const struct asker *asker, const struct wire_tap *tap, const char *url,
                       char next[VISIT_URL_MAX], bool *refused)
{
    char location[ANSWER_VALUE_MAX];
    const bool arduino = asker->style != STYLE_IDF;
    *refused = !arduino;
    if (arduino && answer_status(tap) == 308) return false;
    if (answer_header(tap, "Location", location) == 0 || !answer_resolve(url, location, next, VISIT_URL_MAX))
        return false;
    const bool tls = strncmp(url, "https", 5) == 0, next_tls = strncmp(next, "https", 5) == 0;
    const bool absolute = strncmp(location, "http", 4) == 0;
    if (!absolute && location[0] != '/') return false;
    if (arduino) return tls == next_tls;
    return !tls || (next_tls && absolute); /* from https to an https:// address only */
}

/* Asks, follows. The status of the last answer, or a negative number: -2 no connection, -1 no answer, -3 too many
 * redirects, -4 a redirect that the client refuses (the status is then the redirect's with Arduino's rules). */
static int ask(struct visit *visit, const struct asker *asker)
{
    char url[VISIT_URL_MAX], next[VISIT_URL_MAX], head[WIRE_REQUEST_MAX];
    snprintf(url, sizeof url, "%s", visit->bin_url);
    for (unsigned hop = 0;; hop++) {
        struct stock_place parts;
        bool refused;
        if (!answer_split(url, &parts)) return -2;
        write_head(asker, &parts, false, head);
        const bool no_body = strcmp(asker->method, "HEAD") == 0;
        int rc = answer_get(&visit->wire, url, head, no_body);
        if (rc == 0 && answer_status(&visit->wire.tap) == 401 && asker->style == STYLE_IDF &&
            parts.authorization[0] != '\0') {
            write_head(asker, &parts, true, head);
            rc = answer_get(&visit->wire, url, head, no_body);
        }
        if (rc < 0) return -2;
        const int status = answer_status(&visit->wire.tap);
        if (!is_redirect(status)) return status;
        if (hop == asker->redirects) return -3;
        if (!may_follow(asker, &visit->wire.tap, url, next, &refused)) return refused ? -4 : status;
        snprintf(url, sizeof url, "%s", next);
    }
}

static bool body_complete(const struct wire_tap *tap)
{
    size_t len;
    const uint8_t *body = answer_body(tap, &len);
    if (answer_chunked(tap)) return len >= 5 && memcmp(body + len - 5, "0\r\n\r\n", 5) == 0;
    return answer_length(tap) >= 0 && (uint64_t)len >= (uint64_t)answer_length(tap);
}

static void fail(struct client_play *play, int code, const char *text)
{
    play->code = code;
    snprintf(play->text, sizeof play->text, "%s", text);
}

/* esp_ota_write() and esp_ota_end() on the bytes. */
static void install(const struct visit *visit, const uint8_t *image, size_t len, struct client_play *play)
{
    struct facts facts;
    char text[128];
    if (len < HEADERS) {
        fail(play, IDF_FAIL, "ESP_FAIL (Complete headers were not received)");
        return;
    }
    if (image[0] != 0xE9) {
        snprintf(text, sizeof text,
                 "ESP_ERR_OTA_VALIDATE_FAILED (OTA image has invalid magic byte, expected 0xE9, saw 0x%02x)",
                 image[0]);
        fail(play, IDF_VALIDATE, text);
        return;
    }
    facts_read(image, len, &facts, NULL, NULL);
    const enum molt_chip chip = visit->patient.esp32.chip;
    const uint16_t id = len >= 14 ? (uint16_t)(image[12] | image[13] << 8) : 0xFFFF;
    if (id != molt_chip_image_id(chip)) {
        snprintf(text, sizeof text, "ESP_ERR_INVALID_VERSION (Mismatch chip id, expected %u, found %u)",
                 molt_chip_image_id(chip), id);
        fail(play, IDF_INVALID_VERSION, text);
        return;
    }
    if (len > visit->patient.esp32.next_len) {
        fail(play, IDF_INVALID_SIZE, "ESP_ERR_INVALID_SIZE");
        return;
    }
    if (facts.refusal != 0 && facts.refusal != MOLT_IMAGE_TRAILING) {
        fail(play, IDF_VALIDATE, "ESP_ERR_OTA_VALIDATE_FAILED");
        return;
    }
    play->works = true;
}

/* What esp_https_ota makes of a status that is no success; true when it ends here. */
static bool idf_status(int status, struct client_play *play)
{
    if (status == 200 || status == 206) return false;
    if (status == -2)
        fail(play, IDF_CONNECT, "ESP_ERR_HTTP_CONNECT");
    else if (status == -3)
        fail(play, IDF_MAX_REDIRECT, "ESP_ERR_HTTP_MAX_REDIRECT");
    else if (status == -4)
        fail(play, IDF_DOWNGRADE, "ESP_ERR_HTTP_REDIRECT_DOWNGRADE");
    else if (status == 304)
        play->works = true, fail(play, IDF_NOT_MODIFIED, "ESP_ERR_HTTP_NOT_MODIFIED");
    else
        fail(play, IDF_FAIL, "ESP_FAIL");
    return true;
}

static void idf_whole(struct visit *visit, struct client_play *play)
{
    const struct asker asker = {.method = "GET", .agent = IDF_AGENT, .redirects = 10};
    size_t len;
    const int status = ask(visit, &asker);
    if (status == -3) { /* _http_connect() counts no redirects */
        fail(play, 0, "follows the redirects without end");
        return;
    }
    if (idf_status(status, play)) return;
    const struct wire_tap *tap = &visit->wire.tap;
    const uint8_t *body = answer_body(tap, &len);
    if (len > 0 && !answer_chunked(tap) && body[0] != 0xE9) { /* refused at the first write */
        install(visit, body, len, play);
        return;
    }
    if (!body_complete(tap)) {
        fail(play, IDF_FAIL, "ESP_FAIL");
        return;
    }
    uint8_t *image = malloc(len + 1);
    if (image == NULL) return;
    if (answer_chunked(tap))
        len = answer_unchunk(body, len, image);
    else
        memcpy(image, body, len);
    install(visit, image, len, play);
    free(image);
}

/* The size from HEAD, else from Content-Range of one byte; -1 when neither says it. */
static int64_t partial_size(struct visit *visit, struct client_play *play)
{
    struct asker asker = {.method = "HEAD", .agent = IDF_AGENT, .redirects = 10};
    char range[ANSWER_VALUE_MAX];
    int status = ask(visit, &asker);
    if (status == 200) return answer_length(&visit->wire.tap);
    if (status < 0 || status == 304) {
        (void)idf_status(status, play);
        return -1;
    }
    asker.method = "GET";
    asker.range = "0-0";
    if (ask(visit, &asker) != 206 || answer_header(&visit->wire.tap, "Content-Range", range) == 0) return -1;
    const char *slash = strchr(range, '/');
    return slash != NULL ? (int64_t)strtoll(slash + 1, NULL, 10) : -1;
}

/* The Range of the piece that begins at have: open-ended for the last, none for a file that is one piece. */
static const char *piece(char range[48], size_t have, size_t size)
{
    if (size <= PIECE) return NULL;
    if (size - have <= PIECE)
        snprintf(range, 48, "%zu-", have);
    else
        snprintf(range, 48, "%zu-%zu", have, have + PIECE - 1);
    return range;
}

/* For --dry-run: what follows the HEAD. */
static void ask_pieces(struct visit *visit)
{
    static const char *const ranges[] = {"0-0", "0-65535", "65536-"};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        const struct asker asker = {.method = "GET", .agent = IDF_AGENT, .range = ranges[i]};
        (void)ask(visit, &asker);
    }
}

static void idf_partial(struct visit *visit, struct client_play *play)
{
    int64_t size = partial_size(visit, play);
    if (visit->wire.dry) ask_pieces(visit);
    if (play->works || play->code != 0) return;
    if (size <= 0 || size > (int64_t)FACTS_FILE_MAX) {
        fail(play, IDF_FAIL, "ESP_FAIL");
        return;
    }
    uint8_t *image = malloc((size_t)size);
    size_t have = 0;
    bool ok = image != NULL;
    while (ok && have < (size_t)size) {
        char range[48];
        size_t len;
        const struct asker asker = {
            .method = "GET", .agent = IDF_AGENT, .range = piece(range, have, (size_t)size), .redirects = 10};
        if (idf_status(ask(visit, &asker), play)) break;
        const uint8_t *body = answer_body(&visit->wire.tap, &len);
        ok = len > 0 && body_complete(&visit->wire.tap);
        if (len > (size_t)size - have) ok = false; /* more than was announced: never equal */
        if (ok) memcpy(image + have, body, len);
        have += ok ? len : 0;
        if (ok && size == (int64_t)visit->body_len && visit->bin_whole &&
            memcmp(image, visit->body, have) == 0) {
            memcpy(image, visit->body, (size_t)size); /* the pieces are those of the file already seen */
            have = (size_t)size;
        }
        if (have > 0 && image != NULL && image[0] != 0xE9) break;
    }
    if (play->code == 0 && (have == (size_t)size || (have > 0 && image[0] != 0xE9)))
        install(visit, image, have, play);
    else if (play->code == 0)
        fail(play, IDF_FAIL, "ESP_FAIL");
    free(image);
}

void play_idf(struct visit *visit, bool partial, struct client_play *play)
{
    visit->wire.tls = WIRE_MBEDTLS;
    if (partial)
        idf_partial(visit, play);
    else
        idf_whole(visit, play);
}

void play_fota(struct visit *visit, struct client_play *play)
{
    const struct asker asker = {
        .method = "GET", .agent = "ESP32HTTPClient", .style = STYLE_ESP32, .redirects = 10};
    size_t len;
    visit->wire.tls = WIRE_MBEDTLS;
    int status = ask(visit, &asker);
    const struct wire_tap *tap = &visit->wire.tap;
    if (status != 200) {
        char text[80] = "HTTP Error";
        if (status > 0)
            snprintf(text, sizeof text, "Server responded with HTTP Status '%d'. Please check your setup",
                     status);
        fail(play, status > 0 ? status : -1, text);
        return;
    }
    const uint8_t *body = answer_body(tap, &len);
    const int64_t length = answer_chunked(tap) ? -1 : answer_length(tap);
    if (length <= 0) {
        fail(play, 0, "There was no content in the http response");
    } else if (length > (int64_t)visit->patient.esp32.next_len) {
        fail(play, 5, "Not enough space to begin OTA, partition size mismatch?");
    } else if (len == 0 || body[0] != 0xE9) {
        char text[64];
        snprintf(text, sizeof text, "Written only : 0/%lld Premature end of stream?", (long long)length);
        fail(play, 8, text);
    } else if ((int64_t)len < length) {
        fail(play, 6, "Stream Read Timeout");
    } else {
        install(visit, body, (size_t)length, play);
        if (!play->works) fail(play, 9, "Could Not Activate The Firmware");
    }
}

/* The MD5 that ESPHome was given, against the bytes; true when there is none to compare. */
static bool md5_agrees(const struct visit *visit, const struct facts *facts)
{
    char hex[33];
    if (visit->manifest_md5[0] == '\0') return true;
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", facts->md5[i]);
    return strcmp(hex, visit->manifest_md5) == 0;
}

/* The Updater of the ESP8266 looks at the first byte and at the flash size, when all is written. */
static void esphome_end_esp8266(const struct visit *visit, const struct facts *facts, const uint8_t *body,
                                size_t len, struct client_play *play)
{
    const bool gzip = len >= 2 && body[0] == 0x1F && body[1] == 0x8B;
    if (!gzip && (len == 0 || body[0] != 0xE9))
        fail(play, 0x84, "update end (0x84; End error: 10)");
    else if (!gzip && facts->is_image && facts->image.flash_size > visit->patient.esp8266_flash_size)
        fail(play, 0x84, "update end (0x84; End error: 9)");
    else
        play->works = visit_would_start(visit, false);
}

static void esphome_end_esp32(const struct facts *facts, struct client_play *play)
{
    const bool whole = facts->is_image || facts->refusal == MOLT_IMAGE_TRAILING;
    if (!whole || !molt_chip_is_esp32_family(facts->image.chip))
        fail(play, 0x84, "update end (0x84)");
    else
        play->works = true;
}

/* What it makes of a 200; the body's length as the platform's HTTP client tells it. */
static void esphome_install(struct visit *visit, bool esp32, struct client_play *play)
{
    struct facts facts;
    size_t len;
    const struct wire_tap *tap = &visit->wire.tap;
    const int64_t length = answer_chunked(tap) ? -1 : answer_length(tap);
    const uint8_t *body = answer_body(tap, &len);
    facts_read(body, len, &facts, NULL, NULL);
    if (length > (int64_t)patient_room(&visit->patient, esp32) || (length < 0 && !esp32))
        fail(play, esp32 ? 0x89 : 0x88, /* getSize() is -1 when there is no length: more than fits */
             esp32 ? "not enough space on ESP32 (0x89)" : "not enough space on ESP8266 (0x88)");
    else if (length == 0 && !esp32)
        fail(play, 0xFF, "unknown (0xFF; Begin error: 5)");
    else if (length <= 0)
        fail(play, 0x8B, "MD5 mismatch (0x8B)"); /* it reads as many bytes as were announced: none */
    else if (esp32 && (len == 0 || body[0] != 0xE9))
        fail(play, 0x80, "magic byte (0x80)");
    else if ((int64_t)len < length)
        fail(play, 0x12, "connection error (0x12)");
    else if (!md5_agrees(visit, &facts))
        fail(play, 0x8B, "MD5 mismatch (0x8B)");
    else if (esp32)
        esphome_end_esp32(&facts, play);
    else
        esphome_end_esp8266(visit, &facts, body, len, play);
}

void play_esphome(struct visit *visit, bool esp32, struct client_play *play)
{
    const struct asker asker = {.method = "GET",
                                .agent = "ESPHome/2024.11.0 (https://esphome.io)",
                                .style = esp32 ? STYLE_IDF : STYLE_ESP8266,
                                .redirects = 3};
    const uint32_t buffer = visit->wire.tls_buffer;
    visit->wire.tls = esp32 ? WIRE_MBEDTLS : WIRE_BEARSSL;
    if (!esp32) { /* setInsecure(), setBufferSizes(512, 512) */
        visit->wire.check_certificate = false;
        visit->wire.tls_buffer = 512;
    }
    if (ask(visit, &asker) == 200)
        esphome_install(visit, esp32, play);
    else
        fail(play, 0x12, "connection error (0x12)");
    visit->wire.check_certificate = true;
    visit->wire.tls_buffer = buffer;
}
