/* attempt.c - the calls of the skins: learn what the request says, conclude, decide, announce.
 * Must never serve from a .bin what its .version did not say. State changes: attempt_state.c; what a request says:
 * attempt_learn.c. Tests: test/unit/attempt_test.c. */
#include "attempt_parts.h"

#include <stddef.h>
#include <string.h>

/* What may differ without being worth a write of its own: the lazy write takes it along. */
enum devices_change attempt_changed(const struct model_device *before, const struct model_device *after)
{
    const size_t at = offsetof(struct model_device, announced_ms), behind = at + sizeof after->announced_ms;
    bool same =
        memcmp(before, after, at) == 0 &&
        memcmp((const char *)before + behind, (const char *)after + behind, sizeof *after - behind) == 0;
    return same ? DEVICES_UNCHANGED : DEVICES_CHANGED;
}

enum devices_change attempt_note(struct model_device *device, int reason, const char *detail, int64_t now_ms)
{
    size_t len = detail ? strnlen(detail, sizeof device->last_detail - 1) : 0;
    bool same = device->last_reason == reason && device->last_detail[len] == '\0' &&
                (len == 0 || memcmp(device->last_detail, detail, len) == 0);
    if (same) return DEVICES_UNCHANGED;
    device->last_reason = reason;
    memset(device->last_detail, 0, sizeof device->last_detail);
    if (len > 0) memcpy(device->last_detail, detail, len);
    device->last_reason_ms = now_ms;
    return DEVICES_CHANGED;
}

static void refuse(struct decision *out, int reason)
{
    memset(out, 0, sizeof *out);
    out->reason = reason;
}

/* Writes the decision into the device's row. What a device was presumed to have done stands until it asks again. */
void attempt_record(struct model_device *device, const struct decision *decision,
                    enum model_component component, int64_t now_ms)
{
    if (decision->reason == MOLT_SAME_IMAGE_AGAIN && component == MODEL_APP &&
        device->attempt_release_id == decision->release->id)
        attempt_go(device, MODEL_ATTEMPT_FAILED, MOLT_SAME_IMAGE_AGAIN);
    bool presumed = device->attempt == MODEL_ATTEMPT_PRESUMED && decision->reason == MOLT_UP_TO_DATE;
    attempt_note(device, presumed ? MOLT_PRESUMED : decision->reason, decision->detail, now_ms);
}

/* What became of the last offer of a rollout, told by this request, or by the time that passed. */
void attempt_settle_rollout(const struct rules *rules, struct model_device *device, bool verified,
                            int64_t now_ms)
{
    const struct model_product *product = rules_product(rules, device->product_id);
    bool believed = verified || (product != NULL && product->trust_unverified);
    rollout_settle(rules_rollout(rules, device->rollout_id), device, believed, now_ms);
}

void attempt_announce_offer(struct model_device *device, const struct decision *decision, int64_t now_ms)
{
    attempt_announce(device, decision->release, now_ms);
    if (decision->rollout != NULL && decision->image->component == MODEL_APP)
        rollout_offer(decision->rollout, device, now_ms);
}

static struct decide_ask ask_of(const struct attempt_contact *contact)
{
    struct decide_ask ask = {
        .component = contact->component,
        .chip_said = contact->chip,
        .esp32_family = contact->esp32_family,
        .stock_gzip = contact->has_chip_id,
        .fs_code = contact->component == MODEL_FS ? contact->version_code : 0,
        .has_md5 = contact->has_md5,
    };
    memcpy(ask.md5, contact->md5, sizeof ask.md5);
    return ask;
}

/* A sketch may ask for its file system between its own download and its restart: that is no coming back unchanged. */
static enum attempt_evidence take_contact(const struct rules *rules, struct model_device *device,
                                          const struct attempt_contact *contact, int64_t now_ms)
{
    enum attempt_evidence evidence = attempt_learn(rules, device, contact);
    if (evidence == ATTEMPT_SAYS_RUNNING && contact->component == MODEL_APP)
        attempt_settle(rules, device, now_ms);
    return evidence;
}

static bool announced_lately(const struct model_device *device, int64_t now_ms, int64_t limit_ms)
{
    return device->announced_ms != 0 && now_ms - device->announced_ms <= limit_ms;
}

enum devices_change attempt_poll_version(const struct rules *rules, struct model_device *device,
                                         const struct attempt_contact *contact, int64_t now_ms,
                                         struct decision *out, uint32_t *code)
{
    struct model_device before;
    memcpy(&before, device, sizeof before);
    if (take_contact(rules, device, contact, now_ms) == ATTEMPT_SAYS_NOTHING) {
        device->polled = device->attempt == MODEL_ATTEMPT_DOWNLOADING;
        attempt_presume(rules, device, now_ms);
    }

    struct decide_ask ask = ask_of(contact);
    ask.bare = contact->free_space == 0 && contact->flash_size == 0;
    ask.stock_gzip = ask.bare ? (device->can & MOLT_CAN_GZIP) != 0 : contact->has_chip_id;
    attempt_settle_rollout(rules, device, contact->verified, now_ms);
    decide(rules, device, &ask, now_ms, out);
    *code = decide_version_code(device, out);
    if (out->verdict == MOLT_VERDICT_OFFER) {
        attempt_announce_offer(device, out, now_ms);
    } else if (*code != 0 && device->product_id != 0) {
        device->announced_code = *code; /* a device that does not run it after all will ask for it */
        device->announced_ms = now_ms;
    }
    attempt_record(device, out, contact->component, now_ms);
    return attempt_changed(&before, device);
}

bool attempt_is_common(const struct model_device *device, const struct decision *decision)
{
    return decision->reason != MOLT_NOT_ASSIGNED && !decision->individual && !device->rollout_open;
}

enum devices_change attempt_ask_bin(const struct rules *rules, struct model_device *device,
                                    const struct attempt_contact *contact, int64_t now_ms,
                                    struct decision *out)
{
    struct model_device before;
    memcpy(&before, device, sizeof before);
    bool silent = take_contact(rules, device, contact, now_ms) == ATTEMPT_SAYS_NOTHING;
    if (silent && contact->component == MODEL_APP && announced_lately(device, now_ms, ATTEMPT_ANNOUNCED_MS))
        attempt_unpresume(rules, device);

    struct decide_ask ask = ask_of(contact);
    const bool shared =
        rules_shared(rules); /* then another server may have announced something newer just now */
    if (!shared && device->announced_code != 0 && announced_lately(device, now_ms, ATTEMPT_ANNOUNCED_MS))
        ask.only =
            rules_release_by_code(rules, device->product_id, attempt_channel(device), device->announced_code);
    attempt_settle_rollout(rules, device, contact->verified, now_ms);
    decide(rules, device, &ask, now_ms, out);
    /* what is wrong with the device itself goes before what is wrong with its request */
    if (!shared && !ask.only && out->reason != MOLT_NOT_ASSIGNED && out->reason != MOLT_HELD)
        refuse(out, MOLT_NOT_ANNOUNCED);
    if (out->verdict == MOLT_VERDICT_OFFER && contact->component == MODEL_APP)
        attempt_announce_offer(device, out, now_ms);
    attempt_record(device, out, contact->component, now_ms);
    return attempt_changed(&before, device);
}

/* An emergency stop, a pause and an abort hold up what is on its way too. */
bool attempt_is_stopped(const struct rules *rules, const struct model_device *device,
                        const struct model_release *release)
{
    const struct model_product *product = rules_product(rules, device->product_id);
    const struct rollout_plan *plan = rules_rollout_of(rules, release->id);
    if (product == NULL || product->stopped) return true;
    if (plan == NULL || device->pinned_code == release->code) return false;
    const enum model_rollout_status status = plan->rollout->status;
    return status == MODEL_ROLLOUT_PAUSED || status == MODEL_ROLLOUT_ABORTED ||
           status == MODEL_ROLLOUT_WAITING;
}

/* The pack with that SHA-256, when it yields an image of the release. */
static const struct model_artifact *find_pack(const struct pack_table *packs,
                                              const struct model_release *release, const uint8_t sha256[32],
                                              const struct model_image **image, enum molt_encoding *encoding)
{
    const struct pack_entry *entry = packs != NULL ? pack_table_by_content(packs, sha256) : NULL;
    for (uint32_t i = 0; entry != NULL && i < release->image_count; i++) {
        if (memcmp(release->images[i].raw.sha256, entry->key.image, sizeof entry->key.image) != 0) continue;
        *image = &release->images[i];
        *encoding = entry->key.kind == PACKS_IN_PLACE ? MOLT_IN_PLACE : MOLT_PACK;
        return &entry->file;
    }
    return NULL;
}

/* The artifact that this device last began, for as long as nothing speaks against it. */
void attempt_carry_on(const struct rules *rules, const struct pack_table *packs,
                      const struct model_device *device, const uint8_t sha256[32], int64_t now_ms,
                      struct decision *out)
{
    refuse(out, MOLT_RANGE_UNKNOWN);
    const struct model_release *release = rules_release(rules, device->attempt_release_id);
    if (!release || release->yanked || release->product_id != device->product_id || device->held) return;
    if (device->attempt != MODEL_ATTEMPT_OFFERED && device->attempt != MODEL_ATTEMPT_DOWNLOADING &&
        device->attempt != MODEL_ATTEMPT_DOWNLOADED)
        return;
    if (!announced_lately(device, now_ms, ATTEMPT_RANGE_MS)) return;
    if (attempt_is_stopped(rules, device, release)) return;
    const struct model_image *image;
    enum molt_encoding encoding;
    const struct model_artifact *artifact = attempt_find_artifact(release, sha256, &image, &encoding);
    if (!artifact) artifact = find_pack(packs, release, sha256, &image, &encoding);
    if (!artifact) return;
    *out = (struct decision){.verdict = MOLT_VERDICT_OFFER,
                             .reason = MOLT_OFFERED,
                             .release = release,
                             .image = image,
                             .artifact = artifact,
                             .encoding = encoding};
}

/* Another server offered it, of which this one has not heard yet: a release of the product, whose rules hold up nobody. */
static void find_offered(const struct rules *rules, const struct pack_table *packs,
                         const struct model_device *device, const uint8_t sha256[32], struct decision *out)
{
    const struct model_image *image;
    enum molt_encoding encoding;
    for (uint32_t i = 0; i < rules->data.release_count && !device->held; i++) {
        const struct model_release *release = &rules->data.releases[i];
        if (release->yanked || release->product_id != device->product_id || device->product_id == 0) continue;
        const struct model_artifact *artifact = attempt_find_artifact(release, sha256, &image, &encoding);
        if (!artifact) artifact = find_pack(packs, release, sha256, &image, &encoding);
        if (!artifact || attempt_is_stopped(rules, device, release)) continue;
        *out = (struct decision){.verdict = MOLT_VERDICT_OFFER,
                                 .reason = MOLT_OFFERED,
                                 .release = release,
                                 .image = image,
                                 .artifact = artifact,
                                 .encoding = encoding};
        return;
    }
}

/* A download in pieces goes on with the release that the HEAD before it announced. */
static bool decide_announced(const struct rules *rules, const struct model_device *device,
                             const struct decide_ask *ask, int64_t now_ms, struct decision *out)
{
    struct decide_ask again = *ask;
    if (!announced_lately(device, now_ms, ATTEMPT_ANNOUNCED_MS) || device->announced_code == 0) return false;
    again.only = rules_release(rules, device->attempt_release_id);
    if (!again.only || again.only->product_id != device->product_id) return false;
    decide(rules, device, &again, now_ms, out);
    return out->verdict == MOLT_VERDICT_OFFER;
}

static bool has_that_file(const struct attempt_contact *contact, const struct decision *decision)
{
    return contact->has_file && contact->component == MODEL_APP && decision->verdict == MOLT_VERDICT_OFFER &&
           memcmp(contact->file, decision->artifact->sha256, sizeof contact->file) == 0;
}

enum devices_change attempt_ask_update(const struct rules *rules, struct model_device *device,
                                       const struct attempt_contact *contact, int64_t now_ms,
                                       struct decision *out)
{
    struct model_device before;
    memcpy(&before, device, sizeof before);
    take_contact(rules, device, contact, now_ms);
    struct decide_ask ask = ask_of(contact);
    attempt_settle_rollout(rules, device, contact->verified, now_ms);
    decide(rules, device, &ask, now_ms, out);
    if (has_that_file(contact, out)) {
        attempt_presume_runs(device, out->release, out->image, now_ms);
        decide(rules, device, &ask, now_ms, out);
    }
    if (out->verdict == MOLT_VERDICT_OFFER && contact->component == MODEL_APP)
        attempt_announce_offer(device, out, now_ms);
    attempt_record(device, out, contact->component, now_ms);
    return attempt_changed(&before, device);
}

enum devices_change attempt_ask_range(const struct rules *rules, struct model_device *device,
                                      const struct attempt_contact *contact, uint64_t first_byte,
                                      int64_t now_ms, struct decision *out)
{
    struct model_device before;
    memcpy(&before, device, sizeof before);
    take_contact(rules, device, contact, now_ms);
    struct decide_ask ask = ask_of(contact);
    attempt_settle_rollout(rules, device, contact->verified, now_ms);
    if (first_byte > 0) {
        attempt_carry_on(rules, NULL, device, device->attempt_sha256, now_ms, out);
        if (rules_shared(rules) &&
            out->verdict != MOLT_VERDICT_OFFER) { /* it may have begun at another server */
            decide(rules, device, &ask, now_ms, out);
            if (out->verdict == MOLT_VERDICT_OFFER) attempt_announce_offer(device, out, now_ms);
        }
    } else {
        if (!decide_announced(rules, device, &ask, now_ms, out)) decide(rules, device, &ask, now_ms, out);
        if (out->verdict == MOLT_VERDICT_OFFER) attempt_announce_offer(device, out, now_ms);
    }
    attempt_record(device, out, MODEL_APP, now_ms);
    return attempt_changed(&before, device);
}

enum devices_change attempt_ask_artifact(const struct rules *rules, const struct pack_table *packs,
                                         struct model_device *device, const uint8_t sha256[32],
                                         int64_t now_ms, struct decision *out)
{
    struct model_device before;
    memcpy(&before, device, sizeof before);
    attempt_carry_on(rules, packs, device, sha256, now_ms, out);
    if (rules_shared(rules) && out->verdict != MOLT_VERDICT_OFFER)
        find_offered(rules, packs, device, sha256, out);
    attempt_record(device, out, MODEL_APP, now_ms);
    return attempt_changed(&before, device);
}

/* The application is what it should be: is the file system? A release's own comes after its application, which knows it;
 * a newer one's waits for that. True: it is offered, else *out stays as it is. */
static bool offer_fs(const struct rules *rules, const struct model_device *device,
                     const struct molt_checkin *said, const struct decide_ask *asked, int64_t now_ms,
                     struct decision *out)
{
    struct decision fs;
    struct decide_ask ask = *asked;
    if ((said->can & MOLT_CAN_FS) == 0 || ask.on_trial) return false;
    ask.component = MODEL_FS;
    ask.packs = NULL;
    ask.fs_size = said->fs_size;
    ask.fs_digest = said->has_fs_digest ? said->fs_digest : NULL;
    decide(rules, device, &ask, now_ms, &fs);
    if (fs.verdict != MOLT_VERDICT_OFFER) return false;
    *out = fs;
    return true;
}

enum devices_change attempt_check_in(const struct rules *rules, const struct pack_table *packs,
                                     struct model_device *device, const struct molt_checkin *said,
                                     const struct model_product *product, bool verified, int64_t now_ms,
                                     struct decision *out)
{
    struct model_device before;
    memcpy(&before, device, sizeof before);
    device->verified = verified;
    attempt_learn_check_in(rules, device, said, product);
    attempt_settle_check_in(rules, device, said, now_ms);

    const struct decide_ask ask = {.molt = true,
                                   .chip_said = said->chip,
                                   .on_trial = said->boot == MOLT_BOOT_TRIAL,
                                   .packs = packs,
                                   .stage_end = said->stage_end};
    attempt_settle_rollout(rules, device, verified, now_ms);
    decide(rules, device, &ask, now_ms, out);
    if (out->verdict == MOLT_VERDICT_OFFER) attempt_announce_offer(device, out, now_ms);
    enum model_component component = MODEL_APP;
    if (out->reason == MOLT_UP_TO_DATE && offer_fs(rules, device, said, &ask, now_ms, out))
        component = MODEL_FS;
    attempt_record(device, out, component, now_ms);
    return attempt_changed(&before, device);
}

int attempt_download_begun(struct model_device *device, const struct decision *decision, uint64_t first_byte,
                           int64_t now_ms)
{
    const uint8_t *sha256 = decision->artifact->sha256;
    if (decision->image->component == MODEL_FS) {
        bool same = memcmp(device->fs_sha256, sha256, 32) == 0;
        if (first_byte == 0 && same && device->fs_sends >= ATTEMPT_SENDS_MAX) return -MOLT_SAME_IMAGE_AGAIN;
        if (!same) device->fs_sends = 0;
        memcpy(device->fs_sha256, sha256, 32);
    } else {
        bool same = memcmp(device->attempt_sha256, sha256, 32) == 0;
        if (first_byte == 0 && same && device->attempt_sends >= ATTEMPT_SENDS_MAX &&
            device->client != MODEL_CLIENT_MOLT)
            return -MOLT_SAME_IMAGE_AGAIN;
        if (!same) device->attempt_sends = 0;
        memcpy(device->attempt_sha256, sha256, 32);
        device->attempt = MODEL_ATTEMPT_DOWNLOADING;
        device->polled = false;
        device->attempt_release_id = decision->release->id;
        device->attempt_reason = 0;
        device->announced_ms = now_ms;
    }
    attempt_note(device, MOLT_DOWNLOADING, decision->release->version, now_ms);
    return 0;
}

/* esp_https_ota begins, reads the version, and hangs up when it is the one that runs. */
static bool only_looked(const struct model_device *device, const uint8_t sha256[32], bool complete)
{
    return !complete && device->client == MODEL_CLIENT_IDF && device->attempt == MODEL_ATTEMPT_DOWNLOADING &&
           device->attempt_sends > 0 && memcmp(device->attempt_sha256, sha256, 32) == 0;
}

/* It goes on with what was cut, or says why it does not. */
static bool tells_results(const struct model_device *device)
{
    return device->client == MODEL_CLIENT_MOLT || device->client == MODEL_CLIENT_DDI;
}

enum devices_change attempt_download_ended(const struct rules *rules, struct model_device *device,
                                           const uint8_t sha256[32], bool complete, int64_t now_ms)
{
    struct model_device before;
    memcpy(&before, device, sizeof before);
    if (only_looked(device, sha256, complete)) {
        device->attempt = MODEL_ATTEMPT_DOWNLOADED;
        attempt_presume(rules, device, now_ms);
        return attempt_changed(&before, device);
    }
    if (memcmp(device->attempt_sha256, sha256, 32) == 0) {
        if (complete) device->attempt_sends++;
        if (device->attempt == MODEL_ATTEMPT_DOWNLOADING) {
            device->attempt = complete ? MODEL_ATTEMPT_DOWNLOADED : MODEL_ATTEMPT_OFFERED;
            device->attempt_reason = complete ? 0 : MOLT_DOWNLOAD_CUT;
            if (!complete && !tells_results(device))
                attempt_result(device, MODEL_ATTEMPT_FAILED, MOLT_DOWNLOAD_CUT);
        }
    } else if (memcmp(device->fs_sha256, sha256, 32) == 0) {
        if (complete) device->fs_sends++;
    } else {
        return DEVICES_UNCHANGED; /* another download began in between, or the device was told to forget */
    }
    attempt_note(device, complete ? MOLT_DOWNLOADED : MOLT_DOWNLOAD_CUT, "", now_ms);
    /* A sketch does one thing at a time: it polled after its download, and that was seen before the download's end. */
    if (device->polled) attempt_presume(rules, device, now_ms);
    device->polled = false;
    return attempt_changed(&before, device);
}
