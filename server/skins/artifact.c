/* artifact.c - libmolt's download: an artifact by its SHA-256, for the device that it was offered to ("?id=" in the
 * URL). Without an id it is served to whoever knows the digest, so that a CDN can stand in front.
 * Must never take another artifact for the one named. Tests: test/e2e/skins_checkin_test.c. */
#include "skin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct artifact_visit {
    struct ask *ask;
    const struct rules *rules;
    const struct pack_table *packs;
    uint8_t sha256[32];
    const struct skin_range *range;
    bool begin;
    struct skin_result result;
};

static bool digest_of(const struct ask *ask, uint8_t sha256[32])
{
    const char *hex = strstr(ask->where.rest, SKIN_ARTIFACT) + strlen(SKIN_ARTIFACT);
    return client_hex((struct http_slice){hex, strlen(hex)}, sha256, 32);
}

bool skin_artifact_read(struct ask *ask)
{
    struct http_slice query = http_query(ask->x);
    uint8_t sha256[32];
    bool ok = digest_of(ask, sha256);
    if (ok && query.len > 0)
        ok = query.len > 3 && memcmp(query.p, "id=", 3) == 0 &&
             device_id_said(query.p + 3, query.len - 3, ask->id);
    if (!ok) skin_not_found(ask, "no such artifact\n");
    return ok;
}

static enum devices_change visitor(void *ctx, struct model_device *device, bool is_new)
{
    struct artifact_visit *v = ctx;
    struct decision decision;
    (void)is_new;
    enum devices_change change =
        attempt_ask_artifact(v->rules, v->packs, device, v->sha256, v->ask->now_ms, &decision);
    if (decision.verdict != MOLT_VERDICT_OFFER && device->client != MODEL_CLIENT_MOLT) {
        /* a list of builds is read by a person, who installs hours later: it goes while the same is offered */
        const struct attempt_contact contact = {.client = MODEL_CLIENT_UNKNOWN, .verified = v->ask->verified};
        change = attempt_ask_update(v->rules, device, &contact, v->ask->now_ms, &decision);
        if (decision.verdict == MOLT_VERDICT_OFFER && memcmp(decision.artifact->sha256, v->sha256, 32) != 0)
            decision.verdict = MOLT_VERDICT_NOTHING;
    }
    v->result.verdict = decision.verdict;
    v->result.reason = decision.reason;
    if (decision.verdict != MOLT_VERDICT_OFFER) return change;
    v->result.artifact = *decision.artifact;
    uint64_t first = v->range->present ? v->range->first : 0;
    v->result.beyond = first >= decision.artifact->len;
    if (!v->begin || v->result.beyond) return change;
    int rc = attempt_download_begun(device, &decision, first, v->ask->now_ms);
    v->result.begun = rc == 0;
    if (rc == 0) return DEVICES_CHANGED;
    v->result.verdict = MOLT_VERDICT_NOTHING;
    v->result.reason = -rc;
    return change;
}

static bool is_it(const struct model_artifact *artifact, struct artifact_visit *v)
{
    if (artifact->len == 0 || memcmp(artifact->sha256, v->sha256, sizeof v->sha256) != 0) return false;
    v->result.verdict = MOLT_VERDICT_OFFER;
    v->result.artifact = *artifact;
    v->result.beyond = v->range->present && v->range->first >= artifact->len;
    return true;
}

static bool image_has(const struct model_image *image, struct artifact_visit *v)
{
    bool found = is_it(&image->raw, v) || is_it(&image->gzip, v) || is_it(&image->gzip_4k, v) ||
                 is_it(&image->manifest, v);
    for (uint32_t i = 0; i < image->sealed_count && !found; i++)
        found = is_it(&image->sealed[i].file, v) || is_it(&image->sealed[i].manifest, v);
    return found;
}

/* What is in the bucket is what releases have: nobody makes the server ask there for what he invented. */
static void look_into_bucket(struct ask *ask, struct artifact_visit *v)
{
    const struct rules *rules = rules_acquire(ask->skins->options.rules);
    bool found = false;
    for (uint32_t i = 0; i < rules->data.release_count && !found; i++)
        for (uint32_t k = 0; k < rules->data.releases[i].image_count && !found; k++)
            found = image_has(&rules->data.releases[i].images[k], v);
    rules_release_ref(ask->skins->options.rules, rules);
}

/* Finds the artifact for nobody in particular. */
static void look_up(struct ask *ask, struct artifact_visit *v)
{
    struct stat st;
    int fd = store_artifact_here(ask->skins->options.store, v->sha256);
    v->result.verdict = MOLT_VERDICT_NOTHING;
    v->result.reason = MOLT_NOT_FOUND;
    if (fd == -MOLT_NOT_FOUND && store_has_bucket(ask->skins->options.store)) look_into_bucket(ask, v);
    if (fd < 0) return;
    if (fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size <= (off_t)UINT32_MAX) {
        v->result.verdict = MOLT_VERDICT_OFFER;
        v->result.artifact.len = (uint32_t)st.st_size;
        memcpy(v->result.artifact.sha256, v->sha256, sizeof v->sha256);
        v->result.beyond = v->range->present && v->range->first >= v->result.artifact.len;
    }
    (void)close(fd);
}

struct skin_range skin_range_if(const struct ask *ask, const char *etag)
{
    struct skin_range none = {.present = false, .first = 0, .last = UINT64_MAX};
    struct http_slice condition = http_header(ask->x, "if-range", 0);
    if (http_method(ask->x) == HTTP_M_HEAD) return none;
    if (condition.len > 0 && (condition.len != strlen(etag) || memcmp(condition.p, etag, condition.len) != 0))
        return none;
    return skin_range_of(ask->x);
}

void skin_artifact(struct ask *ask)
{
    struct artifact_visit v = {.ask = ask, .begin = http_method(ask->x) == HTTP_M_GET};
    char etag[SKIN_ETAG_LEN];
    (void)digest_of(ask, v.sha256);
    skin_etag(v.sha256, etag);
    struct skin_range range = skin_range_if(ask, etag);
    v.range = &range;
    if (skin_busy(ask->skins)) {
        struct http_response busy = {.status = 503, .headers = "Retry-After: 300\r\n"};
        http_respond(ask->x, &busy);
        return;
    }
    if (ask->id[0] == '\0') {
        look_up(ask, &v);
    } else {
        v.result.reason = MOLT_NOT_FOUND;
        v.rules = rules_acquire(ask->skins->options.rules);
        v.packs = packs_read(ask->skins->options.packs);
        (void)devices_peek(ask->skins->options.devices, ask->id, visitor, &v);
        packs_read_end(ask->skins->options.packs);
        rules_release_ref(ask->skins->options.rules, v.rules);
    }
    if (v.result.verdict != MOLT_VERDICT_OFFER) {
        skin_not_found(ask, "this artifact is not offered\n");
    } else if (range.present && v.result.beyond) {
        char headers[64];
        (void)snprintf(headers, sizeof headers, "Content-Range: bytes */%" PRIu32 "\r\n",
                       v.result.artifact.len);
        struct http_response response = {.status = 416, .headers = headers};
        http_respond(ask->x, &response);
    } else {
        skin_send(ask, &v.result.artifact, &range, v.result.begun, true);
    }
}
