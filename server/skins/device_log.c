/* device_log.c - what a device writes of itself:
 *
 *     POST .../molt/v1/log?id=ID     text/plain, of which the last 4 KiB count
 *
 * taken only from a known device that proves itself, or of a product that trusts reports without that. Must never keep
 * anything but printable characters, nor more than a device's share. Tests: test/e2e/history_test.sh. */
#include "server/watch/counters.h"
#include "skin.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define TEXT_MAX  4096u
#define STAMP_LEN 21u /* "2026-11-26T00:12:13Z " */
#define LINES_MAX 64u

bool skin_log_read(struct ask *ask)
{
    struct http_slice query = http_query(ask->x);
    const bool named = query.len > 3 && memcmp(query.p, "id=", 3) == 0;
    if (named && device_id_said(query.p + 3, query.len - 3, ask->id)) return true;
    http_respond_text(ask->x, 400, "invalid-request: POST .../molt/v1/log?id=ID\n");
    return false;
}

/* The text in lines, each with the time it came. Returns how many. */
static size_t clean_lines(const char *text, size_t len, int64_t now_ms, char *out, size_t cap)
{
    char stamp[STAMP_LEN + 12];
    struct tm tm;
    time_t seconds = (time_t)(now_ms / 1000);
    size_t used = 0, lines = 0;
    gmtime_r(&seconds, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ ", &tm);
    const size_t stamp_len = strlen(stamp);
    for (size_t at = 0; at < len && lines < LINES_MAX;) {
        size_t end = at;
        while (end < len && text[end] != '\n' && text[end] != '\r')
            end++;
        if (end > at) { /* no empty lines */
            if (used + stamp_len + (end - at) + 2 > cap) break;
            memcpy(out + used, stamp, stamp_len);
            used += stamp_len;
            for (; at < end; at++)
                out[used++] = text[at] >= 0x20 && text[at] < 0x7f ? text[at] : text[at] == '\t' ? ' ' : '?';
            out[used++] = '\n';
            lines++;
        }
        at = end + 1;
    }
    out[used] = '\0';
    return lines;
}

struct trust {
    const struct ask *ask;
    const struct rules *rules;
    bool known, believed;
};

static enum devices_change look(void *ctx, struct model_device *device, bool is_new)
{
    struct trust *trust = ctx;
    (void)is_new;
    const struct model_product *product = rules_product(trust->rules, device->product_id);
    trust->known = true;
    trust->believed = trust->ask->verified || (product != NULL && product->trust_unverified);
    return DEVICES_UNCHANGED;
}

bool skin_log_keep(struct ask *ask, const char *text, size_t len)
{
    char lines[TEXT_MAX + LINES_MAX * (STAMP_LEN + 2)];
    struct trust trust = {.ask = ask};
    trust.rules = rules_acquire(ask->skins->options.rules);
    (void)devices_peek(ask->skins->options.devices, ask->id, look, &trust);
    rules_release_ref(ask->skins->options.rules, trust.rules);
    if (!trust.known || !trust.believed) return false;
    if (len > TEXT_MAX) {
        text += len - TEXT_MAX;
        len = TEXT_MAX;
    }
    if (clean_lines(text, len, ask->now_ms, lines, sizeof lines) > 0)
        (void)devices_add_lines(ask->skins->options.devices, ask->id, lines, ask->now_ms);
    return true;
}

void skin_log(struct ask *ask)
{
    struct http_slice body = http_body(ask->x);
    struct http_response response = {.status = 204, .no_length = true};
    if (!throttle_has(ask->skins->logs, http_peer(ask->x), ask->now_ms)) {
        counters_add(COUNTER_LIMITED_LOG);
        response = (struct http_response){.status = 429, .headers = "Retry-After: 60\r\n"};
    } else if (!skin_log_keep(ask, body.p, body.len)) {
        /* the same whether it is known or not */
        response = (struct http_response){.status = 403};
    } else {
        (void)throttle_take(ask->skins->logs, http_peer(ask->x), ask->now_ms);
    }
    http_respond(ask->x, &response);
}
