/* source_url.c - one URL asked in the words of ESPhttpUpdate (ESP8266) and HTTPUpdate (ESP32), so that
 * servers written for them work unchanged. Must never claim more of the device than the product said.
 * Sources: esp8266/Arduino ESP8266httpUpdate.cpp, espressif/arduino-esp32 HTTPUpdate.cpp. Tests:
 * test/unit/agent_test.c. */
#include "agent_parts.h"

#include <string.h>

#include "../molt_version.h"
#include "../util/text.h"

#define EXTRA_LEN 640u

struct lines {
    char *at;
    size_t left;
    bool esp32, failed;
};

static void put(struct lines *lines, const char *text, size_t len)
{
    if (lines->failed || len >= lines->left) { /* one is kept for the NUL */
        lines->failed = true;
        return;
    }
    memcpy(lines->at, text, len);
    lines->at += len;
    lines->left -= len;
}

static void put_line(struct lines *lines, const char *name, const char *value, size_t len)
{
    put(lines, lines->esp32 ? "x-ESP32-" : "x-ESP8266-", lines->esp32 ? 8 : 10);
    put(lines, name, strlen(name));
    put(lines, ": ", 2);
    put(lines, value, len);
    put(lines, "\r\n", 2);
}

static void put_number(struct lines *lines, const char *name, uint32_t value)
{
    char digits[MOLT_DECIMAL_MAX];
    put_line(lines, name, digits, molt_u32_to_text(value, digits));
}

static void put_mac(struct lines *lines, const char *name, const uint8_t mac[6])
{
    static const char digits[] = "0123456789ABCDEF";
    char text[17];
    for (int i = 0; i < 6; i++) {
        text[3 * i] = digits[mac[i] >> 4];
        text[3 * i + 1] = digits[mac[i] & 15];
        if (i < 5) text[3 * i + 2] = ':';
    }
    put_line(lines, name, text, sizeof text);
}

static void put_digest(struct lines *lines, const struct molt_agent *agent)
{
    char text[2 * MOLT_SHA256_LEN + 1];
    molt_hex_encode(agent->digest, MOLT_SHA256_LEN, text);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        if (text[i] >= 'a') text[i] = (char)(text[i] - 'a' + 'A');
    }
    put_line(lines, "sketch-sha256", text, sizeof text - 1);
}

static void put_version(struct lines *lines, const struct molt_agent_config *config)
{
    if (config->version != NULL) {
        put_line(lines, "version", config->version, strlen(config->version));
    } else {
        put_number(lines, "version", config->version_code);
    }
}

static int write_lines(const struct molt_agent *agent, char *out, size_t cap)
{
    const struct molt_agent_config *config = agent->config;
    struct lines lines = {out, cap, molt_chip_is_esp32_family(config->expect.chip), false};
    const uint8_t *mac = config->mac;
    uint8_t ap_mac[6];
    memcpy(ap_mac, mac, 6); /* how the chips derive the access point's address */
    if (lines.esp32) {
        ap_mac[5]++;
        put(&lines, "Cache-Control: no-cache\r\n", 25);
    } else {
        ap_mac[0] |= 2;
        put_number(&lines, "Chip-ID", (uint32_t)mac[3] << 16 | (uint32_t)mac[4] << 8 | mac[5]);
    }
    put_mac(&lines, "STA-MAC", mac);
    put_mac(&lines, "AP-MAC", ap_mac);
    put_number(&lines, "free-space", config->slots->ops->room(config->slots));
    if (config->image_len > 0) put_number(&lines, "sketch-size", config->image_len);
    if (config->sketch_md5 != NULL)
        put_line(&lines, "sketch-md5", config->sketch_md5, strlen(config->sketch_md5));
    if (lines.esp32 && agent->has_digest) put_digest(&lines, agent);
    put_number(&lines, "chip-size", config->slots->flash->size);
    put_line(&lines, "sdk-version", "molt-" MOLT_VERSION, sizeof "molt-" MOLT_VERSION - 1);
    put_line(&lines, "mode", agent->is_fs ? "spiffs" : "sketch", 6);
    if (!agent->is_fs) put_version(&lines, config);
    *lines.at = '\0';
    return lines.failed ? -MOLT_ARG : 0;
}

int agent_url_begin(struct molt_agent *agent)
{
    size_t len = strlen(agent->config->url);
    if (len >= sizeof agent->url) return -MOLT_BAD_URL;
    memcpy(agent->url, agent->config->url, len + 1);
    agent->offered_code = 0;
    agent->has_offer_digest = false;
    agent->offer_len = 0;
    agent->image_len = 0;
    agent->etag[0] = '\0';
    agent->resumes = 0;
    agent->received = 0;
    agent->resumed_at = 0;
    return 0;
}

/* ".bin" at the end of the path becomes ".suit", which is else added to it. */
int agent_url_manifest(struct molt_agent *agent)
{
    static const char suffix[] = ".suit";
    const char *url = agent->config->url;
    size_t path = strcspn(url, "?#"), rest = strlen(url) - path, keep = path;
    if (path > 4 && memcmp(url + path - 4, ".bin", 4) == 0) keep -= 4;
    if (keep + sizeof suffix + rest > sizeof agent->url) return -MOLT_BAD_URL;
    memcpy(agent->url, url, keep);
    memcpy(agent->url + keep, suffix, sizeof suffix - 1);
    memcpy(agent->url + keep + sizeof suffix - 1, url + path, rest + 1);
    return 0;
}

/* The header lines are made at the end of work, and the request at its beginning. */
int agent_url_write(struct molt_agent *agent, const struct molt_url *url)
{
    char *extra = agent->work + sizeof agent->work - EXTRA_LEN;
    int rc = write_lines(agent, extra, EXTRA_LEN);
    if (rc < 0) return rc;
    const struct molt_request request = {
        .http10 = true,
        .url = url,
        .user_agent = molt_chip_is_esp32_family(agent->config->expect.chip) ? "ESP32-http-Update"
                                                                            : "ESP8266-http-Update",
    };
    size_t len;
    rc = molt_request_write_more(&request, &(struct molt_request_more){.extra = extra}, agent->work,
                                 sizeof agent->work - EXTRA_LEN, &len);
    return rc < 0 ? -MOLT_BAD_URL : (int)len;
}
