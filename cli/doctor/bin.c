/* bin.c - the .bin: the answer's headers against the clients' habits, every byte of the content, and whether it fits.
 * Must never believe a file before facts.h has read all of it. Tests: test/e2e/doctor/lab_test.py. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "molt_reason.h"
#include "visit.h"

static bool counts8266(const struct visit *visit)
{
    return visit_counts(visit, PATIENT_ESP8266);
}

static bool counts32(const struct visit *visit)
{
    return visit_counts(visit, PATIENT_ESP32);
}

/* ---- headers ---------------------------------------------------------------------------------------------- */

/* True when the clients can know how long the file is. */
static bool judge_length(struct visit *visit)
{
    const struct wire_tap *tap = &visit->bin;
    char encoding[ANSWER_VALUE_MAX], length[ANSWER_VALUE_MAX];
    const int encodings = answer_header(tap, "Transfer-Encoding", encoding);
    const int lengths = answer_header(tap, "Content-Length", length);
    if (answer_chunked(tap) && lengths > 0)
        visit_find(visit, MOLT_LENGTH_AND_CHUNKS, true, "bin",
                   "Transfer-Encoding: chunked and Content-Length: %.20s", length);
    else if (answer_chunked(tap))
        visit_find(visit, MOLT_CHUNKED, true, "bin", "Transfer-Encoding: chunked, in answer to HTTP/1.0");
    else if (encodings > 0 && (counts8266(visit) || strcasecmp(encoding, "identity") != 0))
        visit_find(visit, MOLT_HTTP_ENCODING, true, "bin", "Transfer-Encoding: %.60s", encoding);
    else if (lengths == 0)
        visit_find(visit, MOLT_HTTP_NO_LENGTH, true, "bin", "the answer has no Content-Length");
    else if (answer_length(tap) == 0)
        visit_find(visit, MOLT_ZERO_LENGTH, true, "bin", "Content-Length: 0");
    else
        return true;
    return false;
}

static void md5_hex(const struct facts *facts, char hex[33])
{
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", facts->md5[i]);
}

static void judge_md5(struct visit *visit)
{
    char sent[ANSWER_VALUE_MAX], hex[33];
    bool digits = true, capitals = false;
    const int count = answer_header(&visit->bin, "x-MD5", sent);
    if (count == 0) return;
    if (count > 1 && counts8266(visit)) {
        visit_find(visit, MOLT_MD5_TWICE, true, "bin", "x-MD5 is there %d times", count);
        return;
    }
    for (const char *c = sent; *c != '\0'; c++) {
        digits = digits && isxdigit((unsigned char)*c);
        capitals = capitals || isupper((unsigned char)*c);
    }
    if (strlen(sent) != 32 || !digits) {
        char shown[80];
        visit_bytes(shown, sizeof shown, (const uint8_t *)sent, strlen(sent), 40);
        visit_find(visit, MOLT_MD5_HEADER, true, "bin", "x-MD5: %s (%zu characters)", shown, strlen(sent));
        return;
    }
    if (!visit->bin_whole) return;
    md5_hex(&visit->facts, hex);
    if (strcasecmp(sent, hex) != 0)
        visit_find(visit, MOLT_MD5_WRONG, true, "bin", "x-MD5: %s, the bytes sent have %s", sent, hex);
    else if (capitals && counts32(visit))
        visit_find(visit, MOLT_MD5_CAPITALS, true, "bin", "x-MD5: %s", sent);
}

/* ---- how it came ------------------------------------------------------------------------------------------ */

static void judge_delivery(struct visit *visit, int64_t length)
{
    const struct wire_tap *tap = &visit->bin;
    size_t len;
    (void)answer_body(tap, &len);
    const int64_t took = tap->last_ms - tap->head_ms;
    if ((int64_t)len >= length || tap->end == WIRE_OVER_BYTES)
        return; /* the doctor hung up: no device takes more */
    if (tap->record_too_large)
        visit_find(visit, MOLT_TLS_RECORD, true, "bin",
                   "the server sent a record of %u bytes, the device's buffer holds %u", tap->record_max,
                   visit->wire.tls_buffer);
    else if (tap->end == WIRE_OVER_TIME)
        visit_find(visit, MOLT_SLOW_BODY, true, "bin", "%zu of %lld bytes in %lld ms", len, (long long)length,
                   (long long)took);
    else if (tap->end == WIRE_SILENT)
        visit_find(visit, MOLT_STALLED_BODY, true, "bin", "%zu of %lld bytes, then nothing for %d ms", len,
                   (long long)length, visit->wire.timeout_ms);
    else if (len == 0)
        visit_find(visit, MOLT_EMPTY_BODY, true, "bin", "%lld bytes were announced and none came",
                   (long long)length);
    else
        visit_find(visit, MOLT_BODY_CUT, true, "bin", "the connection was %s after %zu of %lld bytes",
                   tap->end == WIRE_RESET ? "reset" : "closed", len, (long long)length);
}

/* The same request again, to the first byte of the file: how long behind the head, ms; -1 when none comes. */
static int64_t wait_again(struct visit *visit, const char *head)
{
    struct stock_place parts;
    char bytes[2048];
    int64_t wait = -1;
    if (!answer_split(visit->bin_url, &parts)) return -1;
    if (wire_open(&visit->wire, parts.host, parts.port, parts.tls) == 0 &&
        wire_send(&visit->wire, head, strlen(head))) {
        while (visit->wire.tap.body_ms < 0 &&
               wire_receive(&visit->wire, bytes, sizeof bytes, visit->wire.timeout_ms) > 0) {
        }
        if (visit->wire.tap.body_ms >= 0) wait = visit->wire.tap.body_ms - visit->wire.tap.head_ms;
    }
    wire_close(&visit->wire);
    return wait;
}

static void judge_first_byte(struct visit *visit, const char *head)
{
    const struct wire_tap *tap = &visit->bin;
    if (tap->body_ms < 0) return;
    if (tap->tls)
        visit_note(visit,
                   "tls: the answer came in %u records of up to %u bytes; the one that ends the head holds "
                   "%zu bytes of "
                   "the file",
                   tap->record_count, tap->record_max, tap->head_record);
    int64_t wait = tap->body_ms - tap->head_ms;
    for (int i = 0; i < 3 && wait > 100 && counts32(visit); i++) { /* once may be chance: the least counts */
        const int64_t again = wait_again(visit, head);
        if (again >= 0 && again < wait) wait = again;
    }
    visit_note(visit, "bin: head after %lld ms, first byte of the file %lld ms later%s",
               (long long)tap->head_ms, (long long)wait,
               tap->head_record == 0 ? " (the head came alone)" : "");
    if (wait > 100 && counts32(visit))
        visit_find(visit, MOLT_LATE_BODY, true, "bin", "the file's first byte came %lld ms after the head",
                   (long long)wait);
    if (tap->tls && tap->head_record > 0 && tap->head_record < 4 && counts8266(visit))
        visit_find(visit, MOLT_SPLIT_RECORD, true, "bin",
                   "the record that ends the head (%zu bytes) holds %zu bytes of the file", tap->head_len,
                   tap->head_record);
}

/* ---- what it is ------------------------------------------------------------------------------------------- */

/* An image that begins a little later: what a script or an editor put before it. */
static size_t image_behind_text(const uint8_t *body, size_t len)
{
    struct facts facts;
    for (size_t i = 1; i < len && i < 4096; i++) {
        if (body[i] != 0xE9 || len - i < 256) continue;
        facts_read(body + i, len - i, &facts, NULL, NULL);
        if (facts.is_image) return i;
    }
    return 0;
}

/* 200 for a name that nobody can have made. */
bool visit_answers_everything(struct visit *visit)
{
    char url[VISIT_URL_MAX], head[WIRE_REQUEST_MAX];
    struct stock_place parts;
    const char *slash = strrchr(visit->bin_url, '/');
    int len = snprintf(url, sizeof url, "%.*s/molt-doctor-7f3a91c2.bin", (int)(slash - visit->bin_url),
                       visit->bin_url);
    if (len < 0 || (size_t)len >= sizeof url || !answer_split(url, &parts)) return false;
    snprintf(head, sizeof head,
             "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: ESP8266-http-Update\r\n%sConnection: close\r\n\r\n",
             parts.path, parts.header, parts.authorization);
    return answer_get(&visit->wire, url, head, true) == 0 && answer_status(&visit->wire.tap) == 200;
}

static bool page_of_portal(const uint8_t *body, size_t len)
{
    static const char *const words[] = {"captive portal", "captiveportal", "hotspot login",
                                        "wispaccessgatewayparam"};
    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
        for (size_t i = 0; i + strlen(words[w]) <= len && i < 16384; i++) {
            if (strncasecmp((const char *)body + i, words[w], strlen(words[w])) == 0) return true;
        }
    }
    return false;
}

static void judge_text(struct visit *visit)
{
    char shown[160];
    visit_bytes(shown, sizeof shown, visit->body, visit->body_len, 48);
    size_t behind = image_behind_text(visit->body, visit->body_len);
    if (behind > 0) {
        visit_bytes(shown, sizeof shown, visit->body, behind, 48);
        visit_find(visit, MOLT_TEXT_BEFORE_IMAGE, true, "bin", "%zu bytes before the image: \"%s\"", behind,
                   shown);
    } else if (page_of_portal(visit->body, visit->body_len)) {
        visit_find(visit, MOLT_CAPTIVE_PORTAL, true, "bin", "the file begins with \"%s\"", shown);
    } else if (visit_answers_everything(visit)) {
        visit_find(visit, MOLT_SOFT_404, true, "bin",
                   "a made-up name is answered 200 too; this one begins with \"%s\"", shown);
    } else {
        visit_find(visit, MOLT_IMAGE_TEXT, true, "bin", "the file begins with \"%s\"", shown);
    }
}

void visit_gzip(const uint8_t *data, size_t len, uint32_t room, char out[96])
{
    uLong bound = compressBound((uLong)len);
    uint8_t *packed = malloc(bound);
    out[0] = '\0';
    if (packed == NULL) return;
    if (compress2(packed, &bound, data, (uLong)len, 9) ==
        Z_OK) /* gzip is twelve bytes longer than zlib's format */
        snprintf(out, 96, "; as gzip it has about %lu and %s", (unsigned long)bound + 12,
                 bound + 12 <= room ? "fits (core 2.7 or later)" : "does not fit either");
    free(packed);
}

/* As `molt serve` judges it (server/decide/decide_space.c): the boot stage copies from right below the file system to 0, and
 * begins again after a reset. What it has written over by then is gone. */
void visit_overlap(struct visit *visit, const struct facts *facts, const char *where)
{
    const uint64_t sketch = (facts->inner_len + MOLT_SECTOR - 1) / MOLT_SECTOR * MOLT_SECTOR;
    const uint64_t staged = (facts->len + MOLT_SECTOR - 1) / MOLT_SECTOR * MOLT_SECTOR;
    const uint32_t fs_start = visit->patient.esp8266.fs_start;
    if (facts->inner_kind != MOLT_FILE_ESP8266_ARDUINO || sketch + staged <= fs_start) return;
    visit_find(visit, MOLT_TOO_LARGE, true, where,
               "the boot stage's copy would write over its own source, and a reset in it would break the "
               "sketch: %llu + %llu bytes of %u",
               (unsigned long long)sketch, (unsigned long long)staged, fs_start);
}

static void judge_fit(struct visit *visit, uint64_t len)
{
    const bool esp32 = visit->family == PATIENT_ESP32;
    const uint32_t room = patient_room(&visit->patient, esp32);
    visit_note(visit, "bin: %llu bytes, the device has room for %u", (unsigned long long)len, room);
    if (len <= room) {
        if (!esp32 && visit->bin_whole) visit_overlap(visit, &visit->facts, "bin");
        return;
    }
    char gzip[96] = "";
    if (!esp32 && !visit->facts.gzip && visit->bin_whole)
        visit_gzip(visit->body, visit->body_len, room, gzip);
    visit_find(visit, MOLT_TOO_LARGE, true, "bin", "the file has %llu bytes, the device has room for %u%s",
               (unsigned long long)len, room, gzip);
}

/* Bytes behind an image hurt nobody: padding, or the signature of a tool. One before it does. */
static bool is_harmless(const struct facts *facts)
{
    return facts->refusal == MOLT_IMAGE_TRAILING ||
           (facts->refusal == MOLT_IMAGE_SIGNED &&
            (facts->inner_kind == MOLT_FILE_ESP32_APP || facts->inner_kind == MOLT_FILE_ESP8266_ARDUINO));
}

static void judge_content(struct visit *visit)
{
    const struct facts *facts = &visit->facts;
    const enum molt_chip chip = visit->patient.facts.chip;
    if (facts->kind == MOLT_FILE_TEXT ||
        (facts->kind == MOLT_FILE_UNKNOWN && image_behind_text(visit->body, visit->body_len) > 0)) {
        judge_text(visit);
        return;
    }
    if (facts->inner_kind == MOLT_FILE_LITTLEFS || facts->inner_kind == MOLT_FILE_SPIFFS ||
        facts->inner_kind == MOLT_FILE_FAT) {
        visit_find(visit, MOLT_IMAGE_FILESYSTEM, true, "bin", "%s, where update() wants the application",
                   molt_file_kind_name(facts->inner_kind));
        return;
    }
    char encoding[ANSWER_VALUE_MAX] = "";
    if (answer_header(&visit->bin, "Content-Encoding", encoding) > 0 &&
        strcasecmp(encoding, "identity") != 0 && counts32(visit))
        visit_find(visit, MOLT_CONTENT_ENCODED, true, "bin",
                   "Content-Encoding: %.40s, which nobody asked for", encoding);
    if (facts->refusal != 0) {
        char first[3 * 8 + 1] = "";
        for (size_t i = 0; i < 8 && i < visit->body_len; i++)
            snprintf(first + 3 * i, sizeof first - 3 * i, " %02x", visit->body[i]);
        visit_find(visit, facts->refusal, !is_harmless(facts), "bin", "%zu bytes of %s, first%s%s%s",
                   visit->body_len, molt_file_kind_name(facts->kind), first,
                   facts->detail[0] != '\0' ? ": " : "", facts->detail);
        return;
    }
    if (chip != MOLT_CHIP_UNKNOWN && facts->image.chip != MOLT_CHIP_UNKNOWN && facts->image.chip != chip)
        visit_find(visit, MOLT_WRONG_CHIP, true, "bin", "the image is for %s, the device is %s",
                   molt_chip_name(facts->image.chip), molt_chip_name(chip));
    else if (facts->image.chip == MOLT_CHIP_ESP8266 &&
             facts->image.flash_size > visit->patient.esp8266_flash_size)
        visit_find(visit, MOLT_FLASH_TOO_SMALL, !facts->gzip, "bin",
                   "built for %u KiB of flash, the device has %u KiB%s", facts->image.flash_size / 1024,
                   visit->patient.esp8266_flash_size / 1024,
                   facts->gzip ? "; as gzip it installs, and the next update fails with error 8" : "");
    else if (facts->gzip && molt_chip_is_esp32_family(facts->image.chip) && encoding[0] == '\0')
        visit_find(visit, MOLT_CONTENT_ENCODED, true, "bin",
                   "the file is gzip, which an ESP32 does not unpack");
}

/* ---- all of it -------------------------------------------------------------------------------------------- */

/* Takes the body out of the answer and learns the family from it. */
static void read_body(struct visit *visit, int64_t length)
{
    size_t len;
    const uint8_t *body = answer_body(&visit->bin, &len);
    visit->body = malloc(len + 1);
    if (visit->body == NULL) return;
    if (answer_chunked(&visit->bin)) {
        visit->body_len = answer_unchunk(body, len, visit->body);
    } else {
        visit->body_len = length > 0 && (uint64_t)length < len ? (size_t)length : len;
        memcpy(visit->body, body, visit->body_len);
    }
    visit->bin_whole = length < 0 || (uint64_t)visit->body_len >= (uint64_t)length;
    facts_read(visit->body, visit->body_len, &visit->facts, NULL, NULL);
    const struct facts *facts = &visit->facts;
    const enum molt_chip chip = facts->is_image ? facts->image.chip : MOLT_CHIP_UNKNOWN;
    if (visit->patient.facts.chip == MOLT_CHIP_UNKNOWN && molt_chip_is_esp32_family(chip))
        visit->patient.esp32.chip = chip;
    if (visit->family == PATIENT_ANY && chip != MOLT_CHIP_UNKNOWN)
        visit->family = chip == MOLT_CHIP_ESP8266 ? PATIENT_ESP8266 : PATIENT_ESP32;
    visit_note(visit, "bin: %zu bytes, %s%s%s%s", visit->body_len, molt_file_kind_name(facts->kind),
               facts->is_image ? ", every check passed, for " : "",
               facts->is_image ? molt_chip_name(chip) : "", facts->tag_version[0] != '\0' ? ", tagged" : "");
}

/* Asks in the doctor's own name for the beginning of a file; false when there is no answer of 200. */
static bool peek_at(struct visit *visit, const char *url, size_t want)
{
    char head[WIRE_REQUEST_MAX], bytes[2048];
    struct stock_place parts;
    const struct wire_tap *tap = &visit->wire.tap;
    if (!answer_split(url, &parts)) return false;
    visit_own_request(&parts, "GET", head);
    if (wire_open(&visit->wire, parts.host, parts.port, parts.tls) < 0 ||
        !wire_send(&visit->wire, head, strlen(head)))
        return false;
    while ((tap->head_len == 0 || tap->len < tap->head_len + want) && tap->len < 16384 &&
           wire_receive(&visit->wire, bytes, sizeof bytes, visit->wire.timeout_ms / 2) > 0) {
    }
    return answer_status(tap) == 200;
}

void visit_guess_family(struct visit *visit)
{
    size_t len;
    if (visit->family != PATIENT_ANY) return;
    visit->wire.tls = WIRE_BEARSSL;
    visit->wire.known = &visit->bin; /* nothing is known yet: this keeps the receive buffer small */
    const bool announced = visit->version_url[0] == '\0' || peek_at(visit, visit->version_url, 64);
    if ((announced || visit->wire.dry) && peek_at(visit, visit->bin_url, 64)) {
        const uint8_t *body = answer_body(&visit->wire.tap, &len);
        const enum molt_file_kind kind = molt_image_classify(body, len, 1u << 20);
        if (kind == MOLT_FILE_ESP32_APP) visit->family = PATIENT_ESP32;
        if (kind == MOLT_FILE_ESP8266_ARDUINO) visit->family = PATIENT_ESP8266;
    }
    visit->wire.known = NULL;
    wire_close(&visit->wire);
}

void visit_bin(struct visit *visit)
{
    const bool esp32 = visit->family == PATIENT_ESP32;
    char head[WIRE_REQUEST_MAX] = "";
    struct stock_place parts;
    if (answer_split(visit->bin_url, &parts)) {
        stock_update_request(esp32 ? &visit->patient.esp32 : &visit->patient.esp8266, &parts, NULL, false,
                             head);
        visit->wire.tls = esp32 ? WIRE_MBEDTLS : WIRE_BEARSSL;
        (void)answer_get(&visit->wire, visit->bin_url, head, false);
        if (visit->wire.dry) return;
        visit->bin = visit->wire.tap;
        memset(&visit->wire.tap, 0, sizeof visit->wire.tap);
    }
    visit->bin_failed = !visit_judge_head(visit, &visit->bin, visit->bin_url, "bin", head);
    if (visit->bin_failed || answer_status(&visit->bin) == 304) return;
    const int64_t length = answer_length(&visit->bin);
    read_body(visit, answer_chunked(&visit->bin) ? -1 : length);
    if (!judge_length(visit)) return;
    judge_md5(visit);
    if (visit->facts.kind != MOLT_FILE_TEXT) judge_fit(visit, (uint64_t)length);
    judge_delivery(visit, length);
    if (!visit->bin_whole) return;
    judge_content(visit);
    judge_first_byte(visit, head);
}
