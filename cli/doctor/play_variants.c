/* play_variants.c - the stock clients as sketches set them otherwise: redirects on, a second try, getAvailableVersion(), a
 * signing key. Must never count for the verdict: which setting a sketch has cannot be seen from outside.
 * Tests: test/e2e/doctor/lab_test.py. */
#include <stdio.h>
#include <string.h>

#include "molt_reason.h"
#include "visit.h"

/* The next free variant of a client; NULL when there is no room. */
static struct client_variant *add_variant(struct client_play *play, const char *when)
{
    if (play->variant_count == CLIENT_VARIANTS_MAX) return NULL;
    struct client_variant *variant = &play->variants[play->variant_count++];
    *variant = (struct client_variant){.when = when};
    return variant;
}

static void told(struct client_play *play, const char *when, int code, const char *text, bool minor)
{
    struct client_variant *variant = add_variant(play, when);
    if (variant == NULL) return;
    variant->code = code;
    variant->minor = minor;
    snprintf(variant->text, sizeof variant->text, "%s", text);
}

/* The .bin is answered by a redirect: what a sketch prints that follows it. */
static void follow(struct visit *visit, bool esp32, struct client_play *play)
{
    struct stock_device device = esp32 ? visit->patient.esp32 : visit->patient.esp8266;
    struct stock_result result;
    struct client_variant *variant = add_variant(play, "setFollowRedirects(HTTPC_STRICT_FOLLOW_REDIRECTS)");
    if (variant == NULL) return;
    device.follow_redirects = true;
    visit->wire.tls = esp32 ? WIRE_MBEDTLS : WIRE_BEARSSL;
    stock_update(&device, visit->bin_url, NULL, false, &result);
    variant->code = result.error;
    variant->works =
        result.ret == STOCK_NO_UPDATES || (result.ret == STOCK_OK && visit_would_start(visit, esp32));
    snprintf(variant->text, sizeof variant->text, "%s", result.text);
}

/* Update.begin() was called before x-MD5 was looked at, and nobody ends it: the next try finds it running. Cores before
 * 3.1, and the ESP32's, say so without a number. */
static void try_twice(const struct visit *visit, bool esp32, struct client_play *play)
{
    if (play->code != -105) return;
    if (esp32 || visit->patient.facts.core == STOCK_CORE_2_7)
        told(play, "a second update() without a restart", 0, "", false);
    else
        told(play, "a second update() without a restart", 15, stock_error_text(STOCK_ESP8266, 15), false);
}

/* The server closes before it is asked: which call notices it is a matter of milliseconds. */
static void notice_later(const struct visit *visit, bool esp32, struct client_play *play)
{
    const enum stock_platform platform = esp32 ? STOCK_ESP32 : STOCK_ESP8266;
    if (!visit->closes_unasked) return;
    told(play, "the close comes while the request is sent", STOCK_HTTP_NOT_CONNECTED,
         stock_error_text(platform, STOCK_HTTP_NOT_CONNECTED), false);
    told(play, "the close comes behind the request", STOCK_HTTP_CONNECTION_LOST,
         stock_error_text(platform, STOCK_HTTP_CONNECTION_LOST), false);
}

/* A key in the sketch (Updater_Signing, UPDATE_SIGN) takes only files that carry a signature of it. */
static void check_signature(const struct visit *visit, bool esp32, struct client_play *play)
{
    if (!play->works || play->code != 0 || !visit->facts.is_image) return;
    if (!esp32)
        told(play, "the sketch has a signing key", 12, stock_error_text(STOCK_ESP8266, 12), true);
    else if (visit->patient.facts.core == STOCK_CORE_3_X)
        told(play, "the sketch has a signing key", 14, stock_error_text(STOCK_ESP32, 14), true);
}

void visit_play_variants(struct visit *visit)
{
    const int status = answer_status(&visit->bin);
    const bool redirected = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    for (int i = CLIENT_ESP8266; i <= CLIENT_ESP32; i++) {
        struct client_play *play = &visit->plays[i];
        const bool esp32 = i == CLIENT_ESP32;
        if (!play->played || !play->relevant) continue;
        if (redirected && play->code == -104) follow(visit, esp32, play);
        try_twice(visit, esp32, play);
        notice_later(visit, esp32, play);
        check_signature(visit, esp32, play);
    }
    struct client_play *stock = &visit->plays[CLIENT_ESP8266];
    if (stock->played && stock->relevant && visit->available_version != 0)
        told(stock, "getAvailableVersion()", visit->available_version, "", true);
}
