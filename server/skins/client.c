/* client.c - who is calling, from the headers. Pure; must never trust a length, number or text
 * before it is bounded. Tests: test/unit/client_test.c. */
#include "client.h"

#include <string.h>
#include <strings.h>

#include "device_id.h"

static bool slice_is(struct http_slice s, const char *text)
{
    return s.len == strlen(text) && strncasecmp(s.p, text, s.len) == 0;
}

static bool slice_begins(struct http_slice s, const char *text)
{
    size_t n = strlen(text);
    return s.len >= n && strncasecmp(s.p, text, n) == 0;
}

bool client_number(struct http_slice text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > 19) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') return false;
        value = value * 10 + (uint64_t)(text.p[i] - '0');
    }
    if (value > max) return false;
    *out = value;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool client_hex(struct http_slice text, uint8_t *out, size_t count)
{
    if (text.len != 2 * count) return false;
    for (size_t i = 0; i < count; i++) {
        int hi = hex_digit(text.p[2 * i]), lo = hex_digit(text.p[2 * i + 1]);
        if (hi < 0 || lo < 0) return false;
        out[i] = (uint8_t)(hi * 16 + lo);
    }
    return true;
}

/* Copies printable ASCII, cut at what fits; anything else becomes '?': it ends in logs and on screens. */
static void copy_text(struct http_slice text, char *out, size_t cap)
{
    size_t n = text.len < cap - 1 ? text.len : cap - 1;
    for (size_t i = 0; i < n; i++) {
        out[i] = (text.p[i] >= 0x20 && text.p[i] < 0x7f) ? text.p[i] : '?';
    }
    out[n] = '\0';
}

static uint32_t read_size(struct http_slice text)
{
    uint64_t value = 0;
    return client_number(text, CLIENT_SIZE_MAX, &value) ? (uint32_t)value : 0;
}

static enum client_mode read_mode(struct http_slice text)
{
    if (text.len == 0) return CLIENT_MODE_NONE;
    if (slice_is(text, "sketch")) return CLIENT_MODE_SKETCH;
    if (slice_is(text, "spiffs")) return CLIENT_MODE_FILESYSTEM;
    if (slice_is(text, "version")) return CLIENT_MODE_VERSION;
    return CLIENT_MODE_UNKNOWN;
}

/* Header names of both families, in the order of the struct. */
struct names {
    const char *mac, *mode, *free_space, *sketch_size, *flash_size, *md5, *core, *version;
};

static const struct names esp8266_names = {
    "x-esp8266-sta-mac",   "x-esp8266-mode",       "x-esp8266-free-space",  "x-esp8266-sketch-size",
    "x-esp8266-chip-size", "x-esp8266-sketch-md5", "x-esp8266-sdk-version", "x-esp8266-version",
};
static const struct names esp32_names = {
    "x-esp32-sta-mac",   "x-esp32-mode",       "x-esp32-free-space",  "x-esp32-sketch-size",
    "x-esp32-chip-size", "x-esp32-sketch-md5", "x-esp32-sdk-version", "x-esp32-version",
};

static void read_update_headers(client_lookup lookup, const void *request, const struct names *names,
                                struct client *out)
{
    struct http_slice mac = lookup(request, names->mac);
    (void)device_id_from_mac(mac.p, mac.len, out->mac_id);
    out->mode = read_mode(lookup(request, names->mode));
    out->free_space = read_size(lookup(request, names->free_space));
    out->sketch_size = read_size(lookup(request, names->sketch_size));
    out->flash_size = read_size(lookup(request, names->flash_size));
    out->has_md5 = client_hex(lookup(request, names->md5), out->md5, sizeof out->md5);
    copy_text(lookup(request, names->core), out->core, sizeof out->core);
    copy_text(lookup(request, names->version), out->version, sizeof out->version);
}

static void read_esp8266(client_lookup lookup, const void *request, struct client *out)
{
    out->kind = MODEL_CLIENT_ESP8266;
    out->chip = MOLT_CHIP_ESP8266;
    read_update_headers(lookup, request, &esp8266_names, out);
    out->has_chip_id = lookup(request, "x-esp8266-chip-id").len > 0;
}

static void read_esp32(client_lookup lookup, const void *request, struct client *out)
{
    out->kind = MODEL_CLIENT_ESP32;
    out->esp32_family = true;
    read_update_headers(lookup, request, &esp32_names, out);
    if (out->mac_id[0] == '\0') {
        struct http_slice base = lookup(request, "x-esp32-base-mac");
        (void)device_id_from_mac(base.p, base.len, out->mac_id);
    }
    out->has_sha256 = client_hex(lookup(request, "x-esp32-sketch-sha256"), out->sha256, sizeof out->sha256);
}

/* "molt/0.1.0 esp32c3": libmolt when it asks for files; the chip may be missing. */
static enum molt_chip libmolt_chip(struct http_slice agent)
{
    char name[16];
    const char *space = memchr(agent.p, ' ', agent.len);
    size_t len = space != NULL ? (size_t)(agent.p + agent.len - space - 1) : 0;
    if (len == 0 || len >= sizeof name) return MOLT_CHIP_UNKNOWN;
    memcpy(name, space + 1, len);
    name[len] = '\0';
    return molt_chip_from_name(name);
}

void client_read(client_lookup lookup, const void *request, struct client *out)
{
    memset(out, 0, sizeof *out);
    struct http_slice etag = lookup(request, "if-none-match");
    if (etag.len == 66 && etag.p[0] == '"' && etag.p[65] == '"')
        out->has_file = client_hex((struct http_slice){etag.p + 1, 64}, out->file, sizeof out->file);
    struct http_slice agent = lookup(request, "user-agent");
    if (slice_is(agent, "ESP8266HTTPClient")) { /* the .version poll: nothing else is sent */
        out->kind = MODEL_CLIENT_VERSION_FILE;
        out->chip = MOLT_CHIP_ESP8266;
    } else if (slice_is(agent, "ESP32HTTPClient")) {
        out->kind = MODEL_CLIENT_VERSION_FILE;
        out->esp32_family = true;
    } else if (slice_begins(agent, "ESP32 HTTP Client/")) {
        out->kind = MODEL_CLIENT_IDF;
        out->esp32_family = true;
    } else if (slice_begins(agent, "molt/") && lookup(request, "x-esp8266-sta-mac").len == 0 &&
               lookup(request, "x-esp32-sta-mac").len == 0) {
        out->kind = MODEL_CLIENT_VERSION_FILE;
        out->libmolt = true;
        out->chip = libmolt_chip(agent);
        out->esp32_family = molt_chip_is_esp32_family(out->chip);
    } else if (slice_is(agent, "ESP8266-http-Update") || lookup(request, "x-esp8266-sta-mac").len > 0) {
        read_esp8266(lookup, request, out);
    } else if (slice_is(agent, "ESP32-http-Update") || lookup(request, "x-esp32-sta-mac").len > 0) {
        read_esp32(lookup, request, out);
    }
}
