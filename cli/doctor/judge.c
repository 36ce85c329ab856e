/* judge.c - what an answer's head, or its absence, means: network, TLS, redirects, statuses. Must never follow a redirect
 * with a body, nor more than eleven. Tests: test/e2e/doctor/lab_test.py. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "molt_reason.h"
#include "visit.h"

#define HOPS_MAX 11
#define HEAD_MAX 65536u /* bytes that wire.c looks through for the end of a head */

static bool contains(const uint8_t *body, size_t len, const char *word)
{
    size_t word_len = strlen(word);
    for (size_t i = 0; i + word_len <= len && i < 8192; i++) {
        if (strncasecmp((const char *)body + i, word, word_len) == 0) return true;
    }
    return false;
}

static bool smells_of_portal(const char *location)
{
    static const char *const words[] = {"captive", "hotspot", "portal", "login", "guest", "generate_204"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (contains((const uint8_t *)location, strlen(location), words[i])) return true;
    }
    return false;
}

/* ---- no HTTP answer --------------------------------------------------------------------------------------- */

/* The handshake failed: with this certificate, this version, or no TLS at all. tls.c has found out which. */
static void judge_no_tls(struct visit *visit, const struct wire_tap *tap, const char *where)
{
    for (unsigned i = 0; i < visit->finding_count; i++) {
        if (visit->findings[i].fatal && strcmp(visit->findings[i].where, "tls") == 0) return;
    }
    if (tap->record_too_large)
        visit_find(visit, MOLT_TLS_RECORD, true, where,
                   "the server sent a record of %u bytes, the device's buffer holds %u", tap->record_max,
                   visit->wire.tls_buffer);
    else if (tap->certificate != 0)
        visit_find(visit, tap->certificate, true, where, "the certificate is refused in the handshake");
    else if (tap->end == WIRE_SILENT)
        visit_find(visit, MOLT_TIMEOUT, true, where, "the TLS handshake was not answered within %d ms",
                   visit->wire.timeout_ms);
    else
        visit_find(visit, MOLT_TLS, true, where, "the TLS 1.2 handshake failed, alert %d", tap->alert);
}

/* The same port, tried with TLS. The wire's record is kept for the caller. */
static bool speaks_tls(struct visit *visit, const char *url)
{
    struct stock_place parts;
    struct wire_tap kept = visit->wire.tap;
    if (!answer_split(url, &parts)) return false;
    memset(&visit->wire.tap, 0, sizeof visit->wire.tap);
    (void)wire_open(&visit->wire, parts.host, parts.port, true);
    const bool secured = visit->wire.tap.secured;
    wire_close(&visit->wire);
    visit->wire.tap = kept;
    return secured;
}

#define UNASKED_MS 2000 /* a server that closes at once does so sooner, though it be far away, or busy */

/* A connection over which nothing is asked: true when the server ends it by itself. */
static bool closes_unasked(struct visit *visit, const char *url)
{
    struct stock_place parts;
    struct wire_tap kept = visit->wire.tap;
    uint8_t byte;
    if (!answer_split(url, &parts)) return false;
    memset(&visit->wire.tap, 0, sizeof visit->wire.tap);
    const bool closed = wire_open(&visit->wire, parts.host, parts.port, parts.tls) == 0 &&
                        wire_receive(&visit->wire, &byte, 1, UNASKED_MS) == 0;
    wire_close(&visit->wire);
    free(visit->wire.tap.bytes);
    visit->wire.tap = kept;
    return closed;
}

static void judge_lost(struct visit *visit, const struct wire_tap *tap, const char *url, const char *where)
{
    if (tap->len == 0) visit->closes_unasked = closes_unasked(visit, url);
    if (visit->closes_unasked)
        visit_find(visit, MOLT_CONNECTION_LOST, true, where,
                   "the server ends the connection before it is asked anything: -2, -4 or -5, whichever call "
                   "notices it");
    else
        visit_find(visit, MOLT_CONNECTION_LOST, true, where,
                   "the connection was %s after %zu bytes, before the head was complete",
                   tap->end == WIRE_RESET ? "reset" : "closed", tap->len);
}

static void judge_silence(struct visit *visit, const struct wire_tap *tap, const char *url, const char *where)
{
    char shown[120];
    visit_bytes(shown, sizeof shown, tap->bytes, tap->len, 24);
    if (tap->len >= 3 && tap->bytes[0] == 0x15 && tap->bytes[1] == 3 && !tap->tls)
        visit_find(visit, MOLT_PLAIN_ON_TLS, true, where, "the plain request was answered by a TLS alert: %s",
                   shown);
    else if (tap->len >= 7 && memcmp(tap->bytes, "HTTP/1.", 7) != 0)
        visit_find(visit, MOLT_HTTP_MALFORMED, true, where, "the answer begins with \"%s\"", shown);
    else if (tap->len > HEAD_MAX)
        visit_find(visit, MOLT_HTTP_HEAD_LONG, true, where,
                   "%zu bytes came, and no empty line that ends a head", tap->len);
    else if (tap->end == WIRE_SILENT || tap->end == WIRE_OVER_TIME)
        visit_find(visit, MOLT_TIMEOUT, true, where, "no whole head within %d ms; %zu bytes came",
                   visit->wire.timeout_ms, tap->len);
    else if (tap->len > 0 && tap->len < 7)
        visit_find(visit, MOLT_HTTP_MALFORMED, true, where, "the answer is \"%s\"", shown);
    else if (!tap->tls && tap->len == 0 && speaks_tls(visit, url))
        visit_find(visit, MOLT_PLAIN_ON_TLS, true, where,
                   "the plain request was not answered, a TLS handshake is");
    else
        judge_lost(visit, tap, url, where);
}

/* ---- redirects -------------------------------------------------------------------------------------------- */

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

int visit_ask_redirected(struct visit *visit, const char *url)
{
    char head[WIRE_REQUEST_MAX];
    struct stock_place parts;
    if (!answer_split(url, &parts)) return -1;
    snprintf(head, sizeof head,
             "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: ESP8266-http-Update\r\nConnection: close\r\n\r\n",
             parts.path, parts.header);
    if (answer_get(&visit->wire, url, head, true) < 0) return -1;
    return answer_status(&visit->wire.tap);
}

/* Follows from url with plain GETs. True when an address comes twice, or too many come. */
static bool loops(struct visit *visit, const char *url, const char *location)
{
    char seen[HOPS_MAX + 1][VISIT_URL_MAX], next[ANSWER_VALUE_MAX];
    struct wire_tap kept = visit->wire.tap;
    bool loop = false;
    memset(&visit->wire.tap, 0, sizeof visit->wire.tap);
    snprintf(seen[0], sizeof seen[0], "%s", url);
    snprintf(next, sizeof next, "%s", location);
    for (int hop = 1; hop <= HOPS_MAX && !loop; hop++) {
        if (!answer_resolve(seen[hop - 1], next, seen[hop], sizeof seen[hop])) break;
        for (int i = 0; i < hop; i++)
            loop = loop || strcmp(seen[i], seen[hop]) == 0;
        if (loop || hop == HOPS_MAX) {
            loop = true;
            break;
        }
        if (strncmp(seen[hop], "https", 5) == 0) break;
        if (!is_redirect(visit_ask_redirected(visit, seen[hop]))) break;
        if (answer_header(&visit->wire.tap, "Location", next) == 0) break;
    }
    free(visit->wire.tap.bytes);
    visit->wire.tap = kept;
    return loop;
}

static void judge_redirect(struct visit *visit, const struct wire_tap *tap, const char *url,
                           const char *where, int status)
{
    char location[ANSWER_VALUE_MAX], shown[300];
    if (answer_header(tap, "Location", location) == 0 || location[0] == '\0') {
        visit_find(visit, MOLT_REDIRECT_REFUSED, true, where, "%d without a Location", status);
        return;
    }
    const bool absolute = strncmp(location, "http://", 7) == 0 || strncmp(location, "https://", 8) == 0;
    visit_bytes(shown, sizeof shown, (const uint8_t *)location, strlen(location), 200);
    int reason = MOLT_REDIRECT;
    struct stock_place from, to;
    if (loops(visit, url, location))
        reason = MOLT_REDIRECT_LOOP;
    else if (absolute && answer_split(url, &from) && answer_split(location, &to) &&
             strcmp(from.host, to.host) != 0 && smells_of_portal(location))
        reason = MOLT_CAPTIVE_PORTAL;
    else if (strncmp(location, "https://", 8) == 0 && strncmp(url, "http://", 7) == 0)
        reason = MOLT_REDIRECT_TLS;
    else if (status == 308)
        reason = MOLT_REDIRECT_308;
    else if (!absolute && location[0] != '/')
        reason = MOLT_REDIRECT_RELATIVE;
    visit_find(visit, reason, true, where, "%d, Location: %s", status, shown);
}

/* ---- statuses --------------------------------------------------------------------------------------------- */

int visit_status_with(struct visit *visit, const char *url, const char *head, const char *from,
                      const char *to)
{
    char changed[WIRE_REQUEST_MAX];
    const char *at = strstr(head, from);
    if (at == NULL) return -1;
    int len = snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - head), head, to, at + strlen(from));
    if (len < 0 || (size_t)len >= sizeof changed) return -1;
    if (answer_get(&visit->wire, url, changed, true) < 0) return -1;
    return answer_status(&visit->wire.tap);
}

static int reason_of_status(int status)
{
    switch (status) {
    case 401:
        return MOLT_UNAUTHORIZED;
    case 403:
        return MOLT_HTTP_FORBIDDEN;
    case 404:
    case 410:
        return MOLT_HTTP_NOT_FOUND;
    case 429:
    case 503:
        return MOLT_SERVER_BUSY;
    case 502:
    case 504:
        return MOLT_PROXY_ERROR;
    case 500:
        return MOLT_SERVER_ERROR;
    default:
        return MOLT_HTTP_STATUS;
    }
}

static void judge_status(struct visit *visit, const struct wire_tap *tap, const char *url, const char *where,
                         const char *head, int status)
{
    size_t len;
    const uint8_t *body = answer_body(tap, &len);
    char shown[160], server[ANSWER_VALUE_MAX];
    int reason = reason_of_status(status);
    visit_bytes(shown, sizeof shown, body, len, 60);
    answer_header(tap, "Server", server);
    if (status == 400 && (contains(body, len, "plain HTTP request was sent to HTTPS") ||
                          contains(body, len, "HTTPS scheme"))) {
        visit_find(visit, MOLT_PLAIN_ON_TLS, true, where, "400: %s", shown);
        return;
    }
    if (status == 403 && (contains(body, len, "only for ESP") || contains(body, len, "x-ESP"))) {
        visit_find(visit, MOLT_HEADERS_STRIPPED, true, where, "403 \"%s\", although the headers were sent",
                   shown);
        return;
    }
    if (status == 401 || status == 404 || status == 410 || status == 429 ||
        (status >= 502 && status <= 504)) {
        visit_find(visit, reason, true, where, "%d from %s", status,
                   server[0] != '\0' ? server : "the server");
        return;
    }
    int other = visit_status_with(visit, url, head, "HTTP/1.0", "HTTP/1.1");
    if (other == 200) {
        visit_find(visit, MOLT_HTTP10_REFUSED, true, where,
                   "HTTP/1.0 is answered %d, HTTP/1.1 is answered 200", status);
        return;
    }
    other = visit_status_with(visit, url, head, "User-Agent: ESP", "User-Agent: Mozilla/5.0 ESP");
    if (other == 200)
        visit_find(visit, MOLT_USER_AGENT, true, where, "%d, but 200 for a browser's User-Agent", status);
    else
        visit_find(visit, reason, true, where, "%d%s%s", status, len > 0 ? ": " : "", shown);
}

bool visit_judge_head(struct visit *visit, struct wire_tap *tap, const char *url, const char *where,
                      const char *head)
{
    struct stock_place parts;
    if (!answer_split(url, &parts)) {
        visit_find(visit, MOLT_BAD_URL, true, where, "the address cannot be used");
        return false;
    }
    int status = answer_status(tap);
    if (!tap->resolved)
        visit_find(visit, MOLT_DNS, true, where, "%s has no address", parts.host);
    else if (!tap->connected)
        visit_find(visit, MOLT_CONNECT, true, where, "%s port %s: %s", parts.host, parts.port,
                   strerror(tap->connect_errno));
    else if (tap->tls && (!tap->secured || tap->certificate != 0 || (tap->record_too_large && tap->len == 0)))
        judge_no_tls(visit, tap, where);
    else if (status < 0)
        judge_silence(visit, tap, url, where);
    else if (is_redirect(status))
        judge_redirect(visit, tap, url, where, status);
    else if (status != 200 && status != 304)
        judge_status(visit, tap, url, where, head, status);
    else
        return true;
    return false;
}
