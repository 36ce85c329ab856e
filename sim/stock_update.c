/* stock_update.c - the updaters of the Arduino cores on a virtual chip.
 * Must never check more than the real ones do: their gaps are what the server has to close.
 * Tests: test/e2e/stock_client_test.c. */
#include "stock_update.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <bearssl_hash.h>

#include "ports/bearssl.h"
#include "slots/esp32_otadata.h"
#include "util/bytes.h"

#define REQUEST_MAX STOCK_REQUEST_MAX

/* ---- the request --------------------------------------------------------------------------------------- */

static void mac_text(const uint8_t mac[6], uint8_t first_or, uint8_t last_add, char text[18])
{
    snprintf(text, 18, "%02X:%02X:%02X:%02X:%02X:%02X", (unsigned)(mac[0] | first_or), mac[1], mac[2], mac[3],
             mac[4], (unsigned)(uint8_t)(mac[5] + last_add));
}

static enum stock_platform platform_of(const struct stock_device *device)
{
    return device->chip == MOLT_CHIP_ESP8266 ? STOCK_ESP8266 : STOCK_ESP32;
}

/* Length of the image at off by its segments, checksum and appended digest; 0 when there is none. */
static uint32_t image_len(const struct sim_flash *flash, uint32_t off, uint32_t header_len)
{
    const uint8_t *b = flash->bytes;
    if (b[off] != 0xE9) return 0;
    uint64_t pos = header_len;
    for (unsigned i = 0; i < b[off + 1]; i++) {
        if (off + pos + 8 > flash->port.size) return 0;
        pos += 8 + (uint64_t)molt_load32le(b + off + pos + 4);
    }
    pos = (pos + 16) & ~(uint64_t)15;
    if (header_len == 24 && b[off + 23] == 1) pos += MOLT_SHA256_LEN;
    return off + pos <= flash->port.size ? (uint32_t)pos : 0;
}

static uint32_t sketch_len(const struct stock_device *device)
{
    if (device->chip == MOLT_CHIP_ESP8266) {
        uint32_t len = image_len(device->flash, MOLT_ESP8266_APP_OFFSET, 8);
        return len > 0 ? len + MOLT_ESP8266_APP_OFFSET : 0;
    }
    return image_len(device->flash, device->running_off, 24);
}

static uint32_t free_space(const struct stock_device *device)
{
    if (device->chip != MOLT_CHIP_ESP8266) return device->next_len;
    return device->fs_start - molt_round_up(sketch_len(device), MOLT_SECTOR);
}

static void md5_of_flash(const struct stock_device *device, uint32_t off, uint32_t len, char hex[33])
{
    br_md5_context md5;
    uint8_t digest[16];
    br_md5_init(&md5);
    br_md5_update(&md5, device->flash->bytes + off, len);
    br_md5_out(&md5, digest);
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void request_esp8266(const struct stock_device *device, const struct stock_place *place,
                            const char *version, bool fs, char out[REQUEST_MAX])
{
    char sta[18], ap[18], md5[33], version_line[96] = "";
    mac_text(device->mac, 0, 0, sta);
    mac_text(device->mac, 2, 0, ap);
    uint32_t len = sketch_len(device);
    md5_of_flash(device, 0, len, md5);
    if (version != NULL) snprintf(version_line, sizeof version_line, "x-ESP8266-version: %s\r\n", version);
    snprintf(out, REQUEST_MAX,
             "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: ESP8266-http-Update\r\n%sConnection: close\r\n"
             "x-ESP8266-Chip-ID: %u\r\nx-ESP8266-STA-MAC: %s\r\nx-ESP8266-AP-MAC: %s\r\n"
             "x-ESP8266-free-space: %u\r\nx-ESP8266-sketch-size: %u\r\nx-ESP8266-sketch-md5: %s\r\n"
             "x-ESP8266-chip-size: %u\r\nx-ESP8266-sdk-version: 2.2.2-dev(38a443e)\r\n"
             "x-ESP8266-mode: %s\r\n%sContent-Length: 0\r\n\r\n",
             place->path, place->header, place->authorization,
             (unsigned)(device->mac[3] << 16 | device->mac[4] << 8 | device->mac[5]), sta, ap,
             free_space(device), len, md5, device->flash->port.size, fs ? "spiffs" : "sketch", version_line);
}

static void request_esp32(const struct stock_device *device, const struct stock_place *place,
                          const char *version, bool fs, char out[REQUEST_MAX])
{
    char sta[18], ap[18], base[40] = "", md5[33], sha256[65], version_line[96] = "";
    mac_text(device->mac, 0, 0, sta);
    mac_text(device->mac, 0, 1, ap);
    uint32_t len = sketch_len(device);
    md5_of_flash(device, device->running_off, len, md5);
    const uint8_t *tail = device->flash->bytes + device->running_off + (len >= 32 ? len - 32 : 0);
    for (int i = 0; i < 32; i++)
        snprintf(sha256 + 2 * i, 3, "%02X", tail[i]);
    if (device->core == STOCK_CORE_3_X) snprintf(base, sizeof base, "x-ESP32-BASE-MAC: %s\r\n", sta);
    if (version != NULL) snprintf(version_line, sizeof version_line, "x-ESP32-version: %s\r\n", version);
    snprintf(out, REQUEST_MAX,
             "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: ESP32-http-Update\r\nConnection: close\r\n"
             "%sCache-Control: no-cache\r\n%sx-ESP32-STA-MAC: %s\r\nx-ESP32-AP-MAC: %s\r\n"
             "x-ESP32-free-space: %u\r\nx-ESP32-sketch-size: %u\r\nx-ESP32-sketch-md5: %s\r\n"
             "x-ESP32-sketch-sha256: %s\r\nx-ESP32-chip-size: %u\r\n"
             "x-ESP32-sdk-version: v4.4.1-472-gc9140caf8c\r\nx-ESP32-mode: %s\r\n%s\r\n",
             place->path, place->header, place->authorization, base, sta, ap, free_space(device), len, md5,
             sha256, device->flash->port.size, fs ? "spiffs" : "sketch", version_line);
}

void stock_update_request(const struct stock_device *device, const struct stock_place *place,
                          const char *version, bool fs, char out[STOCK_REQUEST_MAX])
{
    if (platform_of(device) == STOCK_ESP8266)
        request_esp8266(device, place, version, fs, out);
    else
        request_esp32(device, place, version, fs, out);
}

void stock_version_request(const struct stock_device *device, const struct stock_place *place,
                           char out[STOCK_REQUEST_MAX])
{
    static const char accept[] = "Accept-Encoding: identity;q=1,chunked;q=0.1,*;q=0\r\n";
    if (device->chip == MOLT_CHIP_ESP8266)
        snprintf(
            out, STOCK_REQUEST_MAX,
            "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: ESP8266HTTPClient\r\n%s%sConnection: keep-alive\r\n"
            "Content-Length: 0\r\n\r\n",
            place->path, place->header, accept, place->authorization);
    else
        snprintf(out, STOCK_REQUEST_MAX,
                 "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: ESP32HTTPClient\r\nConnection: "
                 "keep-alive\r\n%s%s\r\n",
                 place->path, place->header, accept, place->authorization);
}

int32_t stock_version_get(const struct stock_device *device, const char *url, int *status)
{
    char request[REQUEST_MAX], text[256];
    struct stock_place place;
    if (!stock_place_of(url, &place)) {
        *status = STOCK_HTTP_CONNECTION_FAILED;
        return 0;
    }
    stock_version_request(device, &place, request);
    struct stock_http http = {.platform = platform_of(device), .wire = device->wire};
    int timeout_ms = device->read_timeout_ms > 0 ? device->read_timeout_ms : 5000;
    *status = stock_http_request(&http, &place, request, timeout_ms);
    if (*status < 0) return 0;
    stock_http_text(&http, text, sizeof text, timeout_ms);
    stock_http_close(&http);
    if (*status != 200) return 0;
    /* String::toInt(): white space, a sign, digits; anything behind them is ignored; saturates. */
    const char *p = text + strspn(text, " \t\r\n\v\f");
    bool negative = *p == '-';
    if (*p == '-' || *p == '+') p++;
    int64_t value = 0;
    for (; isdigit((unsigned char)*p) && value <= INT32_MAX; p++)
        value = value * 10 + (*p - '0');
    if (value > INT32_MAX) value = INT32_MAX;
    return (int32_t)(negative ? -value : value);
}

/* ---- storing ------------------------------------------------------------------------------------------- */

enum {
    ERROR_SPACE = -100,
    ERROR_NO_LENGTH = -101,
    ERROR_NOT_FOUND = -102,
    ERROR_FORBIDDEN = -103,
    ERROR_STATUS = -104,
    ERROR_BAD_MD5_HEADER = -105,
    ERROR_BIN_HEADER = -106,
    ERROR_FLASH_SIZE = -107,
    ERROR_UNAUTHORIZED = -108, /* ESP8266; "partition not found" on the ESP32 */
    UPDATE_WRITE = 1,
    UPDATE_SPACE = 4,
    UPDATE_TIMEOUT = 6,
    UPDATE_MD5 = 7,
    UPDATE_NEW_FLASH_CONFIG = 9, /* ESP8266; "could not activate" on the ESP32 */
    UPDATE_MAGIC = 10,
};

/* What is being stored. */
struct sink {
    const struct stock_device *device;
    uint32_t off, len, done;
    br_md5_context md5;
    uint8_t first[16]; /* ESP32: withheld until the end */
    uint8_t sector[MOLT_SECTOR];
    uint32_t fill;
};

/* One sector: erase, then write; the tail is padded with 0xFF. */
static void sink_sector(struct sink *sink)
{
    struct molt_flash *port = &sink->device->flash->port;
    uint32_t at = sink->off + sink->done;
    memset(sink->sector + sink->fill, 0xFF, MOLT_SECTOR - sink->fill);
    (void)port->erase(port->ctx, at, MOLT_SECTOR);
    if (sink->done == 0 && sink->device->chip != MOLT_CHIP_ESP8266) {
        memcpy(sink->first, sink->sector, sizeof sink->first);
        (void)port->write(port->ctx, at + 16, sink->sector + 16, MOLT_SECTOR - 16);
    } else {
        if (sink->done == 0 && sink->sector[0] == 0xE9) sink->sector[2] = sink->device->flash->bytes[2];
        (void)port->write(port->ctx, at, sink->sector, MOLT_SECTOR);
    }
    sink->done += sink->fill;
    sink->fill = 0;
    if (sink->device->progress != NULL) {
        sink->device->progress(sink->device->progress_ctx, sink->done, sink->len);
    }
}

static void sink_bytes(struct sink *sink, const uint8_t *bytes, size_t len)
{
    br_md5_update(&sink->md5, bytes, len);
    while (len > 0) {
        size_t n = MOLT_SECTOR - sink->fill;
        if (n > len) n = len;
        memcpy(sink->sector + sink->fill, bytes, n);
        sink->fill += (uint32_t)n;
        bytes += n;
        len -= n;
        if (sink->fill == MOLT_SECTOR) sink_sector(sink);
    }
}

static bool md5_matches(struct sink *sink, const char *expected, char hex[33])
{
    uint8_t digest[16];
    br_md5_out(&sink->md5, digest);
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return sink->device->chip == MOLT_CHIP_ESP8266 ? strcasecmp(hex, expected) == 0
                                                   : strcmp(hex, expected) == 0;
}

/* Update.end() on the ESP8266: first byte, flash size, then the RTC command. */
static int commit_esp8266(struct sink *sink, bool fs)
{
    const uint8_t *b = sink->device->flash->bytes + sink->off;
    if (fs) return 0;
    if (b[0] != 0xE9 && !(b[0] == 0x1F && b[1] == 0x8B)) return UPDATE_MAGIC;
    struct molt_eboot_command command = {
        .action = MOLT_EBOOT_COPY_RAW, .source = sink->off, .len = sink->len};
    molt_eboot_command_encode(sink->device->rtc, &command);
    return 0;
}

/* esp_ota_set_boot_partition(): image check, then the smallest sequence number that selects the slot. */
static int commit_esp32(struct sink *sink, bool fs)
{
    const struct stock_device *device = sink->device;
    struct molt_flash *port = &device->flash->port;
    (void)port->write(port->ctx, sink->off, sink->first, sizeof sink->first);
    if (fs) return 0;
    struct molt_image image;
    const struct molt_image_expect expect = {.chip = device->chip, .chip_revision = MOLT_REVISION_UNKNOWN};
    molt_image_begin(&image, &expect, &molt_bearssl_sha256);
    const uint32_t len = image_len(device->flash, sink->off, 24);
    if (len == 0 || len > sink->len || molt_image_feed(&image, device->flash->bytes + sink->off, len) < 0 ||
        molt_image_finish(&image) < 0) {
        return UPDATE_NEW_FLASH_CONFIG;
    }
    struct molt_otadata_entry entry[2];
    uint32_t best = 0;
    unsigned newest = 1; /* nothing valid: sector 0 is written */
    for (unsigned i = 0; i < 2; i++) {
        molt_otadata_decode(device->flash->bytes + device->otadata_off + i * MOLT_SECTOR, &entry[i]);
        bool valid = entry[i].crc_ok && entry[i].seq != UINT32_MAX &&
                     entry[i].state != MOLT_OTADATA_INVALID && entry[i].state != MOLT_OTADATA_ABORTED;
        if (valid && entry[i].seq > best) {
            best = entry[i].seq;
            newest = i;
        }
    }
    uint32_t seq = best + 1;
    while ((seq - 1) % device->slot_count != device->next_slot)
        seq++;
    uint8_t raw[MOLT_OTADATA_ENTRY_LEN];
    molt_otadata_encode(raw, seq, MOLT_OTADATA_NEW);
    uint32_t at = device->otadata_off + (1 - newest) * MOLT_SECTOR;
    (void)port->erase(port->ctx, at, MOLT_SECTOR);
    (void)port->write(port->ctx, at, raw, sizeof raw);
    return 0;
}

/* ---- the update ---------------------------------------------------------------------------------------- */

static const uint32_t esp8266_flash_sizes[16] = {
    512u << 10, 256u << 10, 1u << 20, 2u << 20, 4u << 20, 2u << 20, 4u << 20, 0, 8u << 20, 16u << 20,
};

/* The checks between head and Update.begin(); 0 when the body may be stored. */
static int check_answer(const struct stock_device *device, struct stock_http *http, bool fs)
{
    const bool esp8266 = device->chip == MOLT_CHIP_ESP8266;
    const uint32_t room = fs && esp8266 ? device->fs_end - device->fs_start : free_space(device);
    if ((uint64_t)http->length > room) return ERROR_SPACE;
    const int timeout_ms = device->read_timeout_ms > 0 ? device->read_timeout_ms : 8000;
    uint8_t head[4] = {0};
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL); /* delay(100) */
    if (fs) return 0;
    if (!esp8266) { /* one look, no wait */
        return stock_http_peek(http, head, 1, 0) == 1 && head[0] == 0xE9 ? 0 : ERROR_BIN_HEADER;
    }
    if (stock_http_peek(http, head, 4, timeout_ms) != 4) return ERROR_BIN_HEADER;
    if (head[0] != 0xE9 && head[0] != 0x1F) return ERROR_BIN_HEADER;
    if (head[0] == 0xE9 && esp8266_flash_sizes[head[3] >> 4] > device->flash->port.size)
        return ERROR_FLASH_SIZE;
    return 0;
}

/* Reads the announced length into the sink; 0 or an Update error. */
static int store_body(struct sink *sink, struct stock_http *http)
{
    int timeout_ms = sink->device->body_timeout_ms;
    if (timeout_ms == 0) timeout_ms = sink->device->chip == MOLT_CHIP_ESP8266 ? 60000 : 30000;
    uint32_t left = sink->len;
    while (left > 0) {
        uint8_t piece[2048];
        long n = stock_http_read(http, piece, left < sizeof piece ? left : sizeof piece, timeout_ms);
        if (n <= 0) return UPDATE_TIMEOUT;
        sink_bytes(sink, piece, (size_t)n);
        left -= (uint32_t)n;
    }
    if (sink->fill > 0) sink_sector(sink);
    return 0;
}

static int receive(const struct stock_device *device, struct stock_http *http, bool fs,
                   struct stock_result *result)
{
    if (http->length <= 0) return ERROR_NO_LENGTH;
    int error = check_answer(device, http, fs);
    if (error != 0) return error;
    const bool esp8266 = device->chip == MOLT_CHIP_ESP8266;
    const uint32_t len = (uint32_t)http->length, rounded = molt_round_up(len, MOLT_SECTOR);
    struct sink sink = {.device = device, .len = len};
    if (esp8266) {
        sink.off = fs ? device->fs_start : device->fs_start > rounded ? device->fs_start - rounded : 0;
        if (!fs && sink.off < molt_round_up(sketch_len(device), MOLT_SECTOR)) return UPDATE_SPACE;
    } else {
        if (device->next_len == 0) return ERROR_UNAUTHORIZED;
        sink.off = device->next_off;
    }
    if (http->md5[0] != '\0' && strlen(http->md5) != 32) return ERROR_BAD_MD5_HEADER;
    result->len = len;
    br_md5_init(&sink.md5);
    error = store_body(&sink, http);
    if (error != 0) return error;
    /* The 16 bytes that are withheld are subtracted from what there is, without a look at which is more. */
    if (!esp8266 && !fs && len < sizeof sink.first) return UPDATE_WRITE;
    char md5[33];
    if (http->md5[0] != '\0' && !md5_matches(&sink, http->md5, md5)) {
        if (esp8266)
            snprintf(result->text, sizeof result->text,
                     "Update error: ERROR[7]: MD5 verification failed: expected: %.32s, calculated: %s",
                     http->md5, md5);
        return UPDATE_MD5;
    }
    return esp8266 ? commit_esp8266(&sink, fs) : commit_esp32(&sink, fs);
}

static int error_of_status(const struct stock_device *device, int status)
{
    switch (status) {
    case 404:
        return ERROR_NOT_FOUND;
    case 403:
        return ERROR_FORBIDDEN;
    case 401:
        return device->chip == MOLT_CHIP_ESP8266 && device->core != STOCK_CORE_2_7 ? ERROR_UNAUTHORIZED
                                                                                   : ERROR_STATUS;
    default:
        return status < 0 ? status : ERROR_STATUS;
    }
}

void stock_update(const struct stock_device *device, const char *url, const char *version, bool fs,
                  struct stock_result *result)
{
    char request[REQUEST_MAX];
    struct stock_place place;
    const enum stock_platform platform = platform_of(device);
    *result = (struct stock_result){.ret = STOCK_FAILED, .error = STOCK_HTTP_CONNECTION_FAILED};
    if (stock_place_of(url, &place)) {
        stock_update_request(device, &place, version, fs, request);
        struct stock_http http = {.platform = platform, .wire = device->wire};
        const int timeout_ms = device->read_timeout_ms > 0 ? device->read_timeout_ms : 8000;
        int status = stock_http_request(&http, &place, request, timeout_ms);
        if (device->follow_redirects) status = stock_follow(device, &http, &place, status, timeout_ms);
        if (status == 304) {
            *result = (struct stock_result){.ret = STOCK_NO_UPDATES};
        } else {
            result->error =
                status == 200 ? receive(device, &http, fs, result) : error_of_status(device, status);
            if (result->error == 0) result->ret = STOCK_OK;
        }
        if (status > 0) stock_http_close(&http);
    }
    if (result->text[0] == '\0')
        snprintf(result->text, sizeof result->text, "%s", stock_error_text(platform, result->error));
}

const char *stock_error_text(enum stock_platform platform, int error)
{
    static const struct {
        int number;
        const char *esp8266, *esp32;
    } texts[] = {
#define STOCK_HTTP(n, a, b)    {n, "HTTP error: " a, "HTTP error: " b},
#define STOCK_UPDATER(n, a, b) {n, a, b},
#define STOCK_UPDATE(n, a, b)  {n, "Update error: ERROR[" #n "]: " a, "Update error: " b},
#include "stock_codes.def"
#undef STOCK_HTTP
#undef STOCK_UPDATER
#undef STOCK_UPDATE
    };
    if (error == 0) return "";
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].number == error) return platform == STOCK_ESP8266 ? texts[i].esp8266 : texts[i].esp32;
    }
    return "unknown error";
}
