/* skin.c - from a request to a decision and back, for every skin. Must never hold a device while it does anything
 * but decide, and never give a pointer into the rules away. Tests: test/e2e/skins_test.c. */
#include "server/watch/counters.h"
#include "skin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/facts.h"
#include "server/log.h"
#include "util/text.h"

#define NOT_RECORDED_MS 10000 /* between two lines about devices that are not recorded */

struct visit {
    struct ask *ask;
    const struct rules *rules, *file_rules; /* file_rules: of the static file, NULL when there is none */
    struct attempt_contact contact;
    enum skin_question question;
    const struct skin_range *range;
    bool begin;
    struct devices_memo memo; /* SKIN_VERSION */
    bool common;              /* attempt_is_common() */
    bool newly_unassigned;    /* to be logged, once the device is let go */
    struct skin_result *out;
};

static void fill_contact(const struct ask *ask, enum model_component component,
                         struct attempt_contact *contact)
{
    const struct client *client = &ask->client;
    memset(contact, 0, sizeof *contact);
    contact->client = client->kind;
    contact->esp32_family = client->esp32_family;
    contact->chip = client->chip;
    contact->component = component;
    contact->has_chip_id = client->has_chip_id;
    contact->verified = ask->verified;
    contact->free_space = client->free_space;
    contact->sketch_size = client->sketch_size;
    contact->flash_size = client->flash_size;
    contact->core = client->core[0] != '\0' ? client->core : NULL;
    contact->version = client->version[0] != '\0' ? client->version : NULL;
    if (contact->version != NULL && facts_version_code(contact->version, &contact->version_code) != 0)
        contact->version_code = 0;
    contact->has_md5 = client->has_md5;
    contact->has_digest = client->has_sha256;
    contact->has_file = client->has_file;
    memcpy(contact->md5, client->md5, sizeof contact->md5);
    memcpy(contact->digest, client->sha256, sizeof contact->digest);
    memcpy(contact->file, client->file, sizeof contact->file);
}

/* Nothing of a rehearsal is kept, so what a device asks before this question is asked now. */
static void catch_up(struct visit *v, const struct rules *rules, struct model_device *device)
{
    const int64_t now_ms = v->ask->now_ms;
    struct decision decision;
    uint32_t code;
    if (v->question == SKIN_BIN) {
        (void)attempt_poll_version(rules, device, &v->contact, now_ms, &decision, &code);
    } else if (v->question == SKIN_RANGE && v->range->first > 0) {
        (void)attempt_ask_update(rules, device, &v->contact, now_ms, &decision);
        if (decision.verdict == MOLT_VERDICT_OFFER)
            (void)attempt_download_begun(device, &decision, 0, now_ms);
    }
}

static enum devices_change question(struct visit *v, const struct rules *rules, struct model_device *device,
                                    struct decision *decision)
{
    int64_t now_ms = v->ask->now_ms;
    if (v->ask->rehearsed) catch_up(v, rules, device);
    switch (v->question) {
    case SKIN_VERSION:
        return attempt_poll_version(rules, device, &v->contact, now_ms, decision, &v->out->code);
    case SKIN_BIN:
        return attempt_ask_bin(rules, device, &v->contact, now_ms, decision);
    case SKIN_UPDATE:
        return attempt_ask_update(rules, device, &v->contact, now_ms, decision);
    case SKIN_RANGE:
        return attempt_ask_range(rules, device, &v->contact, v->range->first, now_ms, decision);
    }
    return DEVICES_UNCHANGED;
}

/* Copies what the skin needs, and begins the download in the same visit, so that two requests cannot both be last. */
static void conclude(struct visit *v, struct model_device *device, const struct decision *decision)
{
    struct skin_result *out = v->out;
    out->verdict = decision->verdict;
    out->reason = decision->reason;
    if (decision->release != NULL) memcpy(out->version, decision->release->version, sizeof out->version);
    if (out->verdict != MOLT_VERDICT_OFFER) return;
    out->artifact = *decision->artifact;
    out->manifest = decision->image->manifest;
    uint64_t first = v->range != NULL && v->range->present ? v->range->first : 0;
    out->beyond = first >= out->artifact.len;
    bool probe = v->range != NULL && v->range->present && v->range->last == 0; /* asks for the length */
    if (!v->begin || out->beyond || probe) return;
    if (attempt_download_begun(device, decision, first, v->ask->now_ms) != 0) {
        out->verdict = MOLT_VERDICT_NOTHING;
        out->reason = MOLT_SAME_IMAGE_AGAIN;
        return;
    }
    out->begun = !v->ask->rehearsed;
}

/* A device without a product that asks for a file of the folder: the folder stands for its product in this visit.
 * What stands in for product, channel and release, and a chip that only the file tells, do not stay in the row. */
static enum devices_change ask_about_file(struct visit *v, struct model_device *device)
{
    struct model_device before;
    struct decision decision;
    memcpy(&before, device, sizeof before);
    const struct model_image *image = &v->file_rules->data.releases[0].images[0];
    bool believed = v->contact.chip == MOLT_CHIP_UNKNOWN && !v->contact.esp32_family && !v->ask->file.sealed;
    if (believed) v->contact.chip = image->chip;
    v->contact.product = NULL;
    device->product_id = STATIC_PRODUCT_ID;
    device->channel[0] = '\0';
    device->attempt_release_id = device->announced_code != 0 ? STATIC_RELEASE_ID(device->announced_code) : 0;
    (void)question(v, v->file_rules, device, &decision);
    conclude(v, device, &decision);
    if (v->question == SKIN_VERSION && v->ask->file.reason != 0 && v->out->verdict != MOLT_VERDICT_OFFER)
        (void)attempt_note(device, v->ask->file.reason, "", v->ask->now_ms);
    device->product_id = before.product_id;
    device->attempt_release_id = 0; /* the store knows no such release; the announced code stands for it */
    memcpy(device->channel, before.channel, sizeof device->channel);
    if (believed && before.chip == MOLT_CHIP_UNKNOWN) {
        device->chip = before.chip;
        device->chip_source = before.chip_source;
    }
    if (device->last_reason == before.last_reason) device->last_reason_ms = before.last_reason_ms;
    return memcmp(device, &before, sizeof before) != 0 ? DEVICES_CHANGED : DEVICES_UNCHANGED;
}

/* An encrypted file is for libmolt, which verifies what it decrypts to; a stock client would take it for an image. */
static bool may_have_file(const struct ask *ask)
{
    return !ask->file.sealed || ask->client.libmolt;
}

/* The folder knows the name but has nothing that was verified, or nothing for this client. */
static enum devices_change note_file(struct visit *v, struct model_device *device)
{
    const struct static_answer *file = &v->ask->file;
    v->out->verdict = MOLT_VERDICT_NOTHING;
    v->out->reason = file->reason != 0 ? file->reason : file->sealed ? MOLT_SEALED : MOLT_BIN_REFUSED;
    v->out->code = 0;
    if (device->last_reason == v->out->reason) return DEVICES_UNCHANGED;
    return attempt_note(device, v->out->reason,
                        file->bin_refusal != 0 ? molt_reason_id(file->bin_refusal) : "", v->ask->now_ms);
}

static enum devices_change visitor(void *ctx, struct model_device *device, bool is_new)
{
    struct visit *v = ctx;
    int reason_before = is_new ? 0 : device->last_reason;
    enum devices_change change;
    if (v->ask->is_static && device->product_id == 0) {
        change =
            v->file_rules != NULL && may_have_file(v->ask) ? ask_about_file(v, device) : note_file(v, device);
    } else {
        struct decision decision;
        change = question(v, v->rules, device, &decision);
        conclude(v, device, &decision);
        v->common = attempt_is_common(device, &decision);
    }
    if (v->out->begun) change = DEVICES_CHANGED;
    if (v->memo.key != 0) {
        v->memo.keep = v->common && v->out->code <= DEVICES_CODE_MAX;
        v->memo.code = v->out->code;
        v->memo.reason = v->out->reason;
        v->memo.announces = v->out->code != 0;
    }
    v->newly_unassigned = v->out->reason == MOLT_NOT_ASSIGNED && reason_before != MOLT_NOT_ASSIGNED;
    return change;
}

/* The product of a named device, for those that share its name in their path. */
enum devices_change skin_take_product(void *ctx, struct model_device *device, bool is_new)
{
    (void)is_new;
    *(int64_t *)ctx = device->product_id;
    return DEVICES_UNCHANGED;
}

const struct model_product *skin_product(const struct ask *ask, const struct rules *rules, const char *named)
{
    if (ask->token_product != 0) return rules_product(rules, ask->token_product);
    return named[0] != '\0' ? rules_product_named(rules, named) : NULL;
}

static const struct model_product *product_by_path(struct ask *ask, const struct rules *rules)
{
    const struct model_product *product = skin_product(ask, rules, ask->where.product);
    int64_t id = 0;
    if (product == NULL && ask->group[0] != '\0' &&
        devices_peek(ask->skins->options.devices, ask->group, skin_take_product, &id) == 0 && id != 0)
        product = rules_product(rules, id);
    return product;
}

/* For a poll that says nothing but who asks, under which key of the rules and of what is left its answer is known. */
static uint32_t memo_key(const struct visit *v)
{
    const struct ask *ask = v->ask;
    const struct attempt_contact *c = &v->contact;
    const uint32_t generation = rules_generation(v->rules);
    const bool bare = c->client == MODEL_CLIENT_VERSION_FILE || c->client == MODEL_CLIENT_UNKNOWN;
    const bool says_more = c->has_md5 || c->has_digest || c->has_file || c->has_chip_id ||
                           c->free_space != 0 || c->sketch_size != 0 || c->flash_size != 0 ||
                           c->core != NULL || c->version != NULL;
    if (v->question != SKIN_VERSION || c->component != MODEL_APP || !bare || says_more) return 0;
    if (c->chip != MOLT_CHIP_UNKNOWN && c->chip != MOLT_CHIP_ESP8266) return 0;
    if (ask->rehearsed || ask->is_static || generation >= UINT32_MAX >> 5) return 0;
    return generation << 5 | (uint32_t)(c->client == MODEL_CLIENT_VERSION_FILE) << 4 |
           (uint32_t)(c->chip == MOLT_CHIP_ESP8266) << 3 | (uint32_t)c->esp32_family << 2 |
           (uint32_t)c->verified << 1;
}

/* devices_rehearse(), or devices_visit() unless the answer is known. */
static int visit_device(struct visit *v)
{
    const struct ask *ask = v->ask;
    struct devices *devices = ask->skins->options.devices;
    const char *peer = http_peer(ask->x);
    if (ask->rehearsed) return devices_rehearse(devices, ask->id, peer, ask->now_ms, visitor, v);
    v->memo.recent_ms = DECIDE_REMEMBERED_MS;
    v->memo.key = memo_key(v);
    int rc = devices_visit_unless_known(devices, ask->id, peer, ask->now_ms, &v->memo, visitor, v);
    if (!v->memo.known) return rc;
    v->newly_unassigned = false;
    memset(v->out, 0, sizeof *v->out);
    v->out->code = v->memo.code;
    v->out->reason = v->memo.reason;
    return rc;
}

void skin_visit(struct ask *ask, enum skin_question asked, enum model_component component,
                const struct skin_range *range, bool begin, struct skin_result *out)
{
    struct rules_holder *file = ask->is_static && ask->file.code != 0 ? ask->file.rules : NULL;
    struct visit v = {.ask = ask, .question = asked, .range = range, .begin = begin, .out = out};
    memset(out, 0, sizeof *out);
    v.rules = rules_acquire(ask->skins->options.rules);
    if (file != NULL) v.file_rules = rules_acquire(file);
    fill_contact(ask, component, &v.contact);
    v.contact.product = product_by_path(ask, v.rules);
    int rc = visit_device(&v);
    if (rc != 0) skin_log_not_recorded(ask, rc);
    if (!ask->rehearsed) counters_decided(out->reason);
    if (v.newly_unassigned && rc == 0 && !ask->rehearsed) skin_log_unassigned(ask);
    if (file != NULL) rules_release_ref(file, v.file_rules);
    rules_release_ref(ask->skins->options.rules, v.rules);
}

void skin_log_not_recorded(const struct ask *ask, int rc)
{
    long long last = atomic_load(&ask->skins->not_recorded_ms);
    if (ask->now_ms >= last && ask->now_ms - last < NOT_RECORDED_MS) return; /* the clock may be set back */
    if (!atomic_compare_exchange_strong(&ask->skins->not_recorded_ms, &last, ask->now_ms)) return;
    log_event("event=device-not-recorded id=%s address=%s reason=%s", ask->id, http_peer(ask->x),
              molt_reason_id(-rc));
}

void skin_log_unassigned(const struct ask *ask)
{
    log_event("event=device id=%s address=%s reason=not-assigned do=\"molt device set %s --product P\"",
              ask->id, http_peer(ask->x), ask->id);
}

bool skin_behind(const struct skins *skins)
{
    const struct rules_guard *guard = skins->options.guard;
    return guard != NULL && guard->behind(guard->ctx);
}

bool skin_busy(const struct skins *skins)
{
    return skin_behind(skins) || atomic_load_explicit(&skins->in_flight, memory_order_relaxed) >=
                                     atomic_load_explicit(&skins->busy_at, memory_order_relaxed);
}

static enum devices_change take_code(void *ctx, struct model_device *device, bool is_new)
{
    (void)is_new;
    *(uint32_t *)ctx = device->running_code;
    return DEVICES_UNCHANGED;
}

uint32_t skin_running_code(struct ask *ask)
{
    uint32_t code = 0;
    (void)devices_peek(ask->skins->options.devices, ask->id, take_code, &code);
    return code;
}

void skin_nothing_new(struct ask *ask)
{
    struct http_response response = {.status = 304, .no_length = true};
    http_respond(ask->x, &response);
}

void skin_not_found(struct ask *ask, const char *sentence)
{
    http_respond_text(ask->x, 404, sentence);
}

void skin_refuse(struct ask *ask, int reason)
{
    if (reason == MOLT_NOT_ASSIGNED)
        skin_not_found(ask, "this device is not assigned to a product\n");
    else if (reason == MOLT_BIN_REFUSED || reason == MOLT_VERSION_WITHOUT_IMAGE)
        skin_not_found(ask, "there is no verified firmware image\n");
    else
        skin_nothing_new(ask);
}

void skin_etag(const uint8_t sha256[32], char out[SKIN_ETAG_LEN])
{
    out[0] = '"';
    molt_hex_encode(sha256, 32, out + 1);
    out[65] = '"';
    out[66] = '\0';
}

struct skin_range skin_range_of(const struct http_exchange *x)
{
    struct skin_range none = {.present = false, .first = 0, .last = UINT64_MAX}, range = {.present = true};
    struct http_slice text = http_header(x, "range", 0);
    if (text.len < 7 || memcmp(text.p, "bytes=", 6) != 0) return none;
    const char *from = text.p + 6, *end = text.p + text.len;
    const char *dash = memchr(from, '-', (size_t)(end - from));
    if (dash == NULL) return none;
    struct http_slice first = {from, (size_t)(dash - from)}, last = {dash + 1, (size_t)(end - dash - 1)};
    range.last = UINT64_MAX;
    if (!client_number(first, INT64_MAX, &range.first)) return none;
    if (last.len > 0 && (!client_number(last, INT64_MAX, &range.last) || range.last < range.first))
        return none;
    return range;
}
