/* send.c - the one function that sends an artifact. Must never send another length than it announced, nor a header
 * twice: stock clients refuse both. Tests: test/e2e/skins_test.c. */
#include "fetch.h"
#include "host/store/clock.h"
#include "server/watch/counters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/log.h"
#include "util/text.h"

/* What is needed when the last byte is gone. */
struct sending {
    struct skins *skins;
    int fd;
    bool tracked, to_end;
    int64_t now_ms;
    bool complete;
    uint64_t sent;
    uint8_t sha256[32];
    char id[MODEL_ID_LEN];
};

static int64_t unix_ms(void)
{
    return clock_now_ms();
}

static enum devices_change ended(void *ctx, struct model_device *device, bool is_new)
{
    const struct sending *s = ctx;
    (void)is_new;
    if (memcmp(device->attempt_sha256, s->sha256, sizeof s->sha256) == 0) attempt_add_bytes(device, s->sent);
    /* a piece that arrived but is not the last says nothing about the whole */
    if (s->complete && !s->to_end) return DEVICES_CHANGED;
    const struct rules *rules = rules_acquire(s->skins->options.rules);
    enum devices_change change = attempt_download_ended(rules, device, s->sha256, s->complete, s->now_ms);
    rules_release_ref(s->skins->options.rules, rules);
    return s->sent > 0 ? DEVICES_CHANGED : change;
}

static void report_end(struct sending *s, bool complete, uint64_t sent)
{
    char hex[65];
    s->complete = complete;
    s->sent = sent;
    s->now_ms = unix_ms();
    (void)devices_peek(s->skins->options.devices, s->id, ended, s);
    if (complete && !s->to_end) return;
    counters_add(complete ? COUNTER_DOWNLOAD_WHOLE : COUNTER_DOWNLOAD_CUT);
    molt_hex_encode(s->sha256, sizeof s->sha256, hex);
    log_event("event=download id=%s sha256=%s bytes=%" PRIu64 " reason=%s", s->id, hex, sent,
              molt_reason_id(complete ? MOLT_DOWNLOADED : MOLT_DOWNLOAD_CUT));
}

static void sent_all(void *ctx, struct http_exchange *x, bool complete, uint64_t sent)
{
    struct sending *s = ctx;
    (void)x;
    open_files_put(s->skins->files, s->fd);
    atomic_fetch_sub(&s->skins->in_flight, 1);
    if (s->tracked) report_end(s, complete, sent);
    free(s);
}

/* im NULL: the artifact itself. Caches that know no instance manipulation must not keep a 226 (RFC 3229, 10.8.3). */
static void write_headers(const struct model_artifact *artifact, const struct skin_im *im,
                          const struct skin_range *range, uint64_t last, bool immutable,
                          char out[SKIN_HEADERS_LEN])
{
    char etag[SKIN_ETAG_LEN], md5[33], variable[96];
    if (im != NULL) {
        skin_etag(artifact->sha256, etag);
        (void)snprintf(out, SKIN_HEADERS_LEN, "%sETag: %s\r\nCache-Control: no-store, im%s\r\n", im->headers,
                       etag, immutable ? ", max-age=31536000" : "");
        return;
    }
    skin_etag(artifact->sha256, etag);
    molt_hex_encode(artifact->md5, sizeof artifact->md5, md5);
    if (range->present)
        (void)snprintf(variable, sizeof variable, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu32,
                       range->first, last, artifact->len);
    else
        (void)snprintf(variable, sizeof variable, "x-MD5: %s", md5);
    (void)snprintf(out, SKIN_HEADERS_LEN, "%s\r\nETag: %s\r\nAccept-Ranges: bytes\r\nCache-Control: %s\r\n",
                   variable, etag,
                   immutable ? "public, max-age=31536000, immutable\r\nAccess-Control-Allow-Origin: *"
                             : "no-store");
}

/* ---- a bucket ---- */

#define LINK_S 3600u /* a link is good for an hour: it only has to begin in that time */

/* Who is known to follow a redirect, wherever it leads: hawkBit's clients and RAUC, which are programs with libcurl, and whoever
 * asks for an artifact by its digest alone. Not browsers: a bucket need not allow them (CORS). Not boards: stock clients do not
 * follow, and one that trusts the server's certificate need not trust the bucket's. */
static bool is_sent_away(const struct ask *ask)
{
    if (!ask->skins->options.redirect || http_method(ask->x) != HTTP_M_GET) return false;
    const bool follows = ask->kind == ASK_DDI || (ask->kind == ASK_ARTIFACT && ask->id[0] == '\0');
    return follows && http_header(ask->x, "origin", 0).len == 0;
}

static bool send_away(struct ask *ask, const struct model_artifact *artifact)
{
    static const char before[] = "Location: ", after[] = "\r\nCache-Control: no-store\r\n";
    char headers[sizeof before + STORE_LINK_LEN + sizeof after], url[STORE_LINK_LEN];
    if (!is_sent_away(ask) || store_artifact_link(ask->skins->options.store, artifact->sha256,
                                                  ask->now_ms / 1000, LINK_S, url) != 0)
        return false;
    (void)snprintf(headers, sizeof headers, "%s%s%s", before, url, after);
    struct http_response response = {.status = 302, .headers = headers};
    http_respond(ask->x, &response);
    return true;
}

/* A request whose artifact is on its way from the bucket. */
struct resend {
    struct ask ask;
    struct model_artifact artifact;
    struct skin_range range;
    bool tracked, immutable;
};

static void send_again(void *ctx, struct http_exchange *x)
{
    struct resend *again = ctx;
    (void)x;
    skin_send(&again->ask, &again->artifact, &again->range, again->tracked, again->immutable);
    free(again);
}

static bool wait_for_bucket(struct ask *ask, const struct model_artifact *artifact,
                            const struct skin_range *range, bool tracked, bool immutable)
{
    struct resend *again = ask->fetched || ask->skins->fetch == NULL ? NULL : malloc(sizeof *again);
    if (again == NULL) return false;
    *again = (struct resend){
        .ask = *ask, .artifact = *artifact, .range = *range, .tracked = tracked, .immutable = immutable};
    again->ask.where.rest = again->ask.path + (ask->where.rest - ask->path);
    again->ask.fetched = true;
    if (fetch_wait(ask->skins->fetch, ask->x, artifact->sha256, send_again, again)) return true;
    free(again);
    return false;
}

/* Whom a status tells something is told to come back; a stock client takes anything but 304 for a failure of its own. */
static void not_here(struct ask *ask)
{
    struct http_response later = {.status = 503, .headers = "Retry-After: 30\r\nCache-Control: no-store\r\n"};
    if (ask->kind == ASK_ARTIFACT || ask->kind == ASK_DDI || ask->kind == ASK_PACK)
        http_respond(ask->x, &later);
    else
        skin_nothing_new(ask);
}

void skin_send(struct ask *ask, const struct model_artifact *artifact, const struct skin_range *range,
               bool tracked, bool immutable)
{
    struct sending *s = calloc(1, sizeof *s);
    struct skin_im im;
    bool manipulated = !range->present && skin_manipulate(ask, artifact, &im);
    if (!manipulated && send_away(ask, artifact)) {
        free(s);
        return;
    }
    int fd = s == NULL ? -MOLT_NO_MEMORY : manipulated ? open_files_get(ask->skins->files, &im.file) : -1;
    if (s != NULL && fd < 0) { /* no pack, or it was dropped a moment ago */
        manipulated = false;
        fd = open_files_get(ask->skins->files, artifact);
    }
    if (s != NULL) {
        *s = (struct sending){.skins = ask->skins, .fd = fd, .tracked = tracked};
        memcpy(s->sha256, artifact->sha256, sizeof s->sha256);
        memcpy(s->id, ask->id, sizeof s->id);
    }
    if (fd == -MOLT_NOT_FOUND && wait_for_bucket(ask, artifact, range, tracked, immutable)) {
        free(s);
        return;
    }
    if (fd < 0) {
        log_event("event=artifact-unreadable id=%s reason=%s", ask->id, molt_reason_id(-fd));
        if (s != NULL && tracked) report_end(s, false, 0);
        free(s);
        not_here(ask);
        return;
    }
    char headers[SKIN_HEADERS_LEN];
    uint32_t len = manipulated ? im.file.len : artifact->len;
    uint64_t last = range->present && range->last < len ? range->last : len - 1;
    uint64_t first = range->present ? range->first : 0;
    s->to_end = last == len - 1;
    write_headers(artifact, manipulated ? &im : NULL, range, last, immutable, headers);
    atomic_fetch_add(&ask->skins->in_flight, 1);
    struct http_response response = {.status = manipulated      ? 226
                                               : range->present ? 206
                                                                : 200,
                                     .content_type = "application/octet-stream",
                                     .headers = headers,
                                     .file_fd = fd,
                                     .file_off = first,
                                     .file_len = last - first + 1,
                                     .confirm = tracked,
                                     .done = sent_all,
                                     .done_ctx = s};
    http_respond(ask->x, &response);
}
