/* list.c - JSON lists of builds ("manifests" to those who read them): NAME.json for esp32FOTA and ESPHome's http_request, and
 * /p/PRODUCT/install.json for esp-web-tools. Must never list what the decision does not offer, but for what the device is
 * believed to run, which changes nothing. Sources: esp32FOTA.cpp (checkJSONManifest), ESPHome http_request_update.cpp,
 * esp-web-tools flash.ts. Tests: test/e2e/lists_test.c. */
#include "skin.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "util/text.h"

/* What is listed, copied out of the rules. */
struct listed {
    struct ask *ask;
    const struct rules *rules;
    bool found;
    enum molt_chip chip;
    struct model_artifact artifact;
    char version[MODEL_NAME_LEN], product[MODEL_NAME_LEN];
    bool newly_unassigned;
};

/* As esptool-js, ESPHome and esp-web-tools spell it. */
static void chip_family(enum molt_chip chip, char out[16])
{
    const char *name = molt_chip_name(chip);
    const size_t stem = strncmp(name, "esp32", 5) == 0 ? 5 : strlen(name);
    size_t len = 0;
    for (size_t i = 0; name[i] != '\0' && len < 14; i++) {
        if (i == stem) out[len++] = '-';
        out[len++] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A') : name[i];
    }
    out[len] = '\0';
}

static void list(struct listed *l, const struct model_release *release, const struct model_image *image,
                 const struct model_artifact *artifact)
{
    const struct model_product *product = rules_product(l->rules, release->product_id);
    l->found = product != NULL;
    l->chip = image->chip;
    l->artifact = *artifact;
    memcpy(l->version, release->version, sizeof l->version);
    if (product != NULL) memcpy(l->product, product->name, sizeof l->product);
}

/* The release that it runs, so that it finds nothing newer. */
static void list_running(struct listed *l, const struct model_device *device, uint32_t code)
{
    const char *channel = device->channel[0] != '\0' ? device->channel : MODEL_CHANNEL_DEFAULT;
    const struct model_release *release =
        code != 0 ? rules_release_by_code(l->rules, device->product_id, channel, code) : NULL;
    for (uint32_t i = 0; release != NULL && i < release->image_count; i++) {
        const struct model_image *image = &release->images[i];
        if (image->component != MODEL_APP || image->chip != device->chip || image->sealed_count > 0) continue;
        list(l, release, image, &image->raw);
        return;
    }
}

static enum devices_change visitor(void *ctx, struct model_device *device, bool is_new)
{
    struct listed *l = ctx;
    struct decision decision;
    uint32_t code;
    const int before = is_new ? 0 : device->last_reason;
    struct attempt_contact contact = {.client = l->ask->client.kind,
                                      .esp32_family = l->ask->client.esp32_family,
                                      .chip = l->ask->client.chip,
                                      .verified = l->ask->verified};
    contact.product = skin_product(l->ask, l->rules, l->ask->where.product);
    enum devices_change change =
        attempt_poll_version(l->rules, device, &contact, l->ask->now_ms, &decision, &code);
    if (decision.verdict == MOLT_VERDICT_OFFER)
        list(l, decision.release, decision.image, decision.artifact);
    else
        list_running(l, device, code);
    l->newly_unassigned = device->last_reason == MOLT_NOT_ASSIGNED && before != MOLT_NOT_ASSIGNED;
    return change;
}

static void respond(struct ask *ask, json_t *body)
{
    char text[4096];
    const size_t len = body != NULL ? json_dumpb(body, text, sizeof text, JSON_COMPACT) : 0;
    json_decref(body);
    struct http_response response = {.status = len > 0 && len <= sizeof text ? 200 : 500,
                                     .content_type = "application/json",
                                     .headers =
                                         "Cache-Control: no-store\r\nAccess-Control-Allow-Origin: *\r\n",
                                     .body = text,
                                     .body_len = len <= sizeof text ? len : 0};
    http_respond(ask->x, &response);
}

/* Absolute, as esp32FOTA takes no other; id "": for everybody. */
static bool write_url(const struct ask *ask, const struct model_artifact *artifact, const char *id, char *out,
                      size_t cap)
{
    char sha256[65], origin[200] = "";
    struct http_slice host = http_header(ask->x, "host", 0);
    molt_hex_encode(artifact->sha256, 32, sha256);
    bool plain = host.len > 0 && host.len < 128;
    for (size_t i = 0; plain && i < host.len; i++)
        plain = host.p[i] > ' ' && host.p[i] < 0x7f && strchr("\"\\<>/?#@", host.p[i]) == NULL;
    if (ask->skins->options.public_url != NULL)
        (void)snprintf(origin, sizeof origin, "%s", ask->skins->options.public_url);
    else if (plain)
        (void)snprintf(origin, sizeof origin, "%s://%.*s", http_is_tls(ask->x) ? "https" : "http",
                       (int)host.len, host.p);
    const int n =
        snprintf(out, cap, "%s" SKIN_ARTIFACT "%s%s%s", origin, sha256, id[0] != '\0' ? "?id=" : "", id);
    return n > 0 && (size_t)n < cap;
}

void skin_list(struct ask *ask)
{
    struct listed l = {.ask = ask};
    char url[400], md5[33], family[16];
    if (skin_busy(ask->skins)) {
        struct http_response busy = {.status = 503, .headers = "Retry-After: 300\r\n"};
        http_respond(ask->x, &busy);
        return;
    }
    l.rules = rules_acquire(ask->skins->options.rules);
    int rc = devices_visit(ask->skins->options.devices, ask->id, http_peer(ask->x), ask->now_ms, visitor, &l);
    rules_release_ref(ask->skins->options.rules, l.rules);
    if (rc != 0)
        skin_log_not_recorded(ask, rc);
    else if (l.newly_unassigned)
        skin_log_unassigned(ask);
    if (!l.found || !write_url(ask, &l.artifact, ask->id, url, sizeof url)) {
        skin_not_found(ask, "nothing is offered to this device, and what it runs is not known\n");
        return;
    }
    molt_hex_encode(l.artifact.md5, 16, md5);
    chip_family(l.chip, family);
    respond(ask, json_pack("{s:s, s:s, s:s, s:s, s:[{s:s, s:{s:s, s:s}}]}", "type", l.product, "name",
                           l.product, "version", l.version, "url", url, "builds", "chipFamily", family, "ota",
                           "md5", md5, "path", url));
}

/* esp32FOTA's "?id=": the efuse MAC as a decimal number, its first octet the lowest byte. */
bool skin_list_id(const struct ask *ask, char out[MODEL_ID_LEN])
{
    struct http_slice query = http_query(ask->x);
    uint64_t number = 0;
    char mac[13];
    for (size_t i = 0; i + 3 < query.len; i++) {
        if (memcmp(query.p + i, "id=", 3) != 0 || (i > 0 && query.p[i - 1] != '&')) continue;
        const char *from = query.p + i + 3, *end = memchr(from, '&', query.len - i - 3);
        const size_t len = end != NULL ? (size_t)(end - from) : query.len - i - 3;
        if (!client_number((struct http_slice){from, len}, (1ull << 48) - 1, &number)) return false;
        for (int byte = 0; byte < 6; byte++)
            (void)snprintf(mac + 2 * byte, 3, "%02x", (unsigned)(number >> (8 * byte)) & 0xffu);
        return device_id_from_mac(mac, 12, out);
    }
    return false;
}

/* ---- the first installation, from a browser ---- */

/* The image at offset 0 is all that an ESP8266 needs. The others need a bootloader and a partition table beside it, which
 * nobody publishes: the page then says that the board is not supported. */
void skin_install(struct ask *ask)
{
    struct listed l = {.ask = ask};
    struct model_device blank = {.id = "new", .chip = MOLT_CHIP_ESP8266, .chip_source = MODEL_CHIP_SAID};
    const struct decide_ask question = {.component = MODEL_APP, .chip_said = MOLT_CHIP_ESP8266};
    struct decision decision;
    char url[400];
    l.rules = rules_acquire(ask->skins->options.rules);
    const struct model_product *product = rules_product_named(l.rules, ask->where.product);
    if (product != NULL) {
        blank.product_id = product->id;
        decide(l.rules, &blank, &question, ask->now_ms, &decision);
        if (decision.verdict == MOLT_VERDICT_OFFER)
            list(&l, decision.release, decision.image, &decision.image->raw);
    }
    rules_release_ref(ask->skins->options.rules, l.rules);
    if (!l.found || !write_url(ask, &l.artifact, "", url, sizeof url)) {
        skin_not_found(ask, "the product has no release that a new ESP8266 may have\n");
        return;
    }
    respond(ask, json_pack("{s:s, s:s, s:[{s:s, s:[{s:s, s:i}]}]}", "name", l.product, "version", l.version,
                           "builds", "chipFamily", "ESP8266", "parts", "path", url, "offset", 0));
}
