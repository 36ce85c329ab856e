/* checkin.c - the skin of libmolt's check-in: a small CBOR map in, one out. A check-in that reports a result is
 * answered only when the result is durable: the device forgets it then. Tests: test/e2e/skins_checkin_test.c. */
#include "host/store/nodes.h"
#include "server/watch/counters.h"
#include "skin.h"

#include <stdio.h>
#include <string.h>

#include "server/log.h"
#include "util/text.h"

#define BUSY_AGAIN_S 300
#define CHECKIN_TYPE "application/cbor"

struct checkin_visit {
    struct ask *ask;
    const struct rules *rules;
    const struct pack_table *packs;
    struct pack_key wanted; /* kind 0: none */
    const struct model_product *product;
    struct molt_answer *answer;
    int previous_reason;
    /* another server may know what the result is about; this one has never heard of the device */
    bool unknown;
};

bool skin_checkin_read(struct ask *ask)
{
    struct http_slice body = http_body(ask->x);
    bool ok = body.len <= MOLT_CHECKIN_MAX &&
              molt_checkin_decode(&ask->said, (const uint8_t *)body.p, body.len) == 0 &&
              device_id_said(ask->said.id, strlen(ask->said.id), ask->id);
    if (!ok) http_respond_text(ask->x, 400, "bad-check-in: the message does not follow the format\n");
    return ok;
}

/* The path that the device shall ask: below the path that it used, when that leaves room. id: "" for an artifact that
 * is served to everybody. */
static void write_url(const struct ask *ask, const uint8_t sha256[32], const char *id, char *out, size_t cap)
{
    char hex[65];
    molt_hex_encode(sha256, 32, hex);
    const char *public_url = ask->skins->options.public_url != NULL ? ask->skins->options.public_url : "";
    const char *query = id[0] != '\0' ? "?id=" : "";
    int base = (int)(strlen(ask->path) - strlen(MOLT_CHECKIN_PATH));
    int n = snprintf(out, cap, "%s%.*s" SKIN_ARTIFACT "%s%s%s", public_url, base, ask->path, hex, query, id);
    if (n >= (int)cap) n = snprintf(out, cap, "%s" SKIN_ARTIFACT "%s%s%s", public_url, hex, query, id);
    if (n >= (int)cap) out[0] = '\0';
}

/* One of several servers may have offered to the device what its result is about, a moment ago. */
static bool is_unheard_of(const struct ask *ask, const struct model_device *device)
{
    return ask->skins->options.guard != NULL && device->attempt == MODEL_ATTEMPT_NONE &&
           ask->now_ms - device->first_seen_ms < STORE_NODE_BEHIND_MS;
}

static enum devices_change visitor(void *ctx, struct model_device *device, bool is_new)
{
    struct checkin_visit *v = ctx;
    struct molt_answer *answer = v->answer;
    struct decision decision;
    v->previous_reason = is_new ? 0 : device->last_reason;
    v->unknown = v->ask->said.result != 0 && is_unheard_of(v->ask, device);
    if (v->unknown) return is_new ? DEVICES_CHANGED : DEVICES_UNCHANGED;
    enum devices_change change = attempt_check_in(v->rules, v->packs, device, &v->ask->said, v->product,
                                                  v->ask->verified, v->ask->now_ms, &decision);
    v->wanted = decision.wanted_pack;
    answer->verdict = decision.verdict;
    answer->reason = decision.reason;
    answer->again_s = decision.again_s;
    const bool on_trial = v->ask->said.boot == MOLT_BOOT_TRIAL; /* it comes back by itself, to be confirmed */
    if (decision.verdict == MOLT_VERDICT_NOTHING && decision.again_s == 0 && !on_trial)
        answer->again_s = atomic_load_explicit(&v->ask->skins->checkin_interval_s, memory_order_relaxed);
    if (decision.verdict != MOLT_VERDICT_OFFER) return change;
    answer->version_code = decision.release->code;
    (void)snprintf(answer->version, sizeof answer->version, "%s", decision.release->version);
    answer->encoding = decision.encoding;
    answer->file_len = decision.artifact->len;
    answer->image_len = decision.image->raw.len;
    memcpy(answer->file_digest, decision.artifact->sha256, sizeof answer->file_digest);
    memcpy(answer->image_digest, decision.image->digest, sizeof answer->image_digest);
    const bool is_fs = decision.image->component == MODEL_FS; /* no attempt of the device's: for everybody */
    answer->component = is_fs ? 1 : 0;
    write_url(v->ask, decision.artifact->sha256, is_fs ? "" : v->ask->id, answer->url, sizeof answer->url);
    if (decision.manifest != NULL)
        write_url(v->ask, decision.manifest->sha256, "", answer->manifest_url, sizeof answer->manifest_url);
    return change;
}

/* False: the device shall report again. */
static bool decide_answer(struct ask *ask, struct molt_answer *answer)
{
    struct checkin_visit v = {.ask = ask, .answer = answer};
    v.rules = rules_acquire(ask->skins->options.rules);
    const char *named = ask->where.product[0] != '\0' ? ask->where.product : ask->said.product;
    v.product = skin_product(ask, v.rules, named);
    v.packs = packs_read(ask->skins->options.packs);
    int rc = devices_visit(ask->skins->options.devices, ask->id, http_peer(ask->x), ask->now_ms, visitor, &v);
    packs_read_end(ask->skins->options.packs);
    if (v.wanted.kind != 0) packs_want(ask->skins->options.packs, &v.wanted);
    if (rc != 0) skin_log_not_recorded(ask, rc);
    counters_decided(answer->reason);
    rules_release_ref(ask->skins->options.rules, v.rules);
    if (rc == 0 && answer->reason == MOLT_NOT_ASSIGNED && v.previous_reason != MOLT_NOT_ASSIGNED)
        skin_log_unassigned(ask);
    if (ask->said.result != 0)
        log_event("event=result id=%s reason=%s code=%u verified=%d%s", ask->id,
                  molt_reason_id(ask->said.result), ask->said.result_code, ask->verified,
                  v.unknown ? " taken=later" : "");
    return !v.unknown;
}

static void respond(struct http_exchange *x, const uint8_t *body, size_t len)
{
    struct http_response response = {.status = 200,
                                     .content_type = CHECKIN_TYPE,
                                     .headers = "Cache-Control: no-store\r\n",
                                     .body = body,
                                     .body_len = len};
    http_respond(x, &response);
}

#define BEHIND_AGAIN_S 10 /* another server may know more */

void skin_checkin(struct ask *ask)
{
    struct molt_answer answer = {
        .verdict = MOLT_VERDICT_WAIT, .reason = MOLT_OVERLOADED, .again_s = BUSY_AGAIN_S};
    uint8_t body[MOLT_CHECKIN_MAX];
    if (skin_behind(ask->skins)) {
        answer.reason = MOLT_NODE_BEHIND;
        answer.again_s = BEHIND_AGAIN_S;
    }
    /* a result is taken whatever the load: it is small, and the device repeats it until it is */
    if ((!skin_busy(ask->skins) || ask->said.result != 0) && !decide_answer(ask, &answer)) {
        skin_ask_again(ask);
        return;
    }
    int len = molt_answer_encode(&answer, body, sizeof body);
    if (len < 0) {
        log_event("event=answer-not-encoded id=%s", ask->id);
        http_respond_text(ask->x, 500, "internal-error\n");
        return;
    }
    if (ask->said.result != 0)
        skin_respond_when_durable(ask, CHECKIN_TYPE, body, (size_t)len);
    else
        respond(ask->x, body, (size_t)len);
}
