/* attempt_state.c - the states of one device's attempt: offered, downloading, downloaded, then what the device, or its
 * silence, says of it. Success is what the new image says, never what the old one claimed.
 * Must never end an attempt at one release by a report about another. Tests: test/unit/attempt_test.c. */
#include "attempt_parts.h"

#include <string.h>

void attempt_result(struct model_device *device, enum model_attempt result, int reason)
{
    device->result = result;
    device->result_reason = reason;
    device->result_release_id = device->attempt_release_id;
    device->ended = true;
}

void attempt_add_bytes(struct model_device *device, uint64_t sent)
{
    device->attempt_bytes =
        sent < UINT32_MAX - device->attempt_bytes ? device->attempt_bytes + (uint32_t)sent : UINT32_MAX;
}

void attempt_go(struct model_device *device, enum model_attempt state, int reason)
{
    /* what ended is said once, however often it is concluded again */
    const bool again = device->attempt == state && device->attempt_reason == reason &&
                       device->result_release_id == device->attempt_release_id;
    device->attempt = state;
    device->attempt_reason = reason;
    if (again) return;
    if (state == MODEL_ATTEMPT_UPDATED || state == MODEL_ATTEMPT_PRESUMED || state == MODEL_ATTEMPT_FAILED ||
        state == MODEL_ATTEMPT_ROLLED_BACK)
        attempt_result(device, state, reason);
    else if (state == MODEL_ATTEMPT_OFFERED && reason != 0)
        attempt_result(device, MODEL_ATTEMPT_FAILED, reason);
}

static bool is_open(enum model_attempt state)
{
    return state == MODEL_ATTEMPT_OFFERED || state == MODEL_ATTEMPT_DOWNLOADING ||
           state == MODEL_ATTEMPT_DOWNLOADED || state == MODEL_ATTEMPT_TRIAL ||
           state == MODEL_ATTEMPT_PRESUMED;
}

const struct model_artifact *attempt_find_artifact(const struct model_release *release,
                                                   const uint8_t sha256[32], const struct model_image **image,
                                                   enum molt_encoding *encoding)
{
    for (uint32_t i = 0; i < release->image_count; i++) {
        const struct model_image *candidate = &release->images[i];
        for (uint32_t k = 0; k < candidate->sealed_count; k++) {
            const struct model_sealed *form = &candidate->sealed[k];
            if (memcmp(form->file.sha256, sha256, 32) != 0) continue;
            *image = candidate;
            *encoding = form->encoding;
            return &form->file;
        }
        if (candidate->sealed_count > 0) continue; /* there is no other file of it */
        const struct model_artifact *artifacts[] = {&candidate->raw, &candidate->gzip, &candidate->gzip_4k};
        for (int kind = 0; kind < 3; kind++) {
            if (artifacts[kind]->len == 0 || memcmp(artifacts[kind]->sha256, sha256, 32) != 0) continue;
            *image = candidate;
            *encoding = kind == 0 ? MOLT_RAW : MOLT_GZIP;
            return artifacts[kind];
        }
    }
    return NULL;
}

/* The image last sent, when it is of that release. */
static const struct model_image *sent_image(const struct model_device *device,
                                            const struct model_release *release, enum molt_encoding *encoding)
{
    const struct model_image *image = NULL;
    return attempt_find_artifact(release, device->attempt_sha256, &image, encoding) ? image : NULL;
}

static bool sent_gzip(const struct model_device *device, const struct model_release *release)
{
    enum molt_encoding encoding = MOLT_RAW;
    return sent_image(device, release, &encoding) && encoding == MOLT_GZIP;
}

void attempt_announce(struct model_device *device, const struct model_release *release, int64_t now_ms)
{
    bool same = device->attempt_release_id == release->id;
    bool goes_on =
        same && (device->attempt == MODEL_ATTEMPT_OFFERED || device->attempt == MODEL_ATTEMPT_DOWNLOADING ||
                 device->attempt == MODEL_ATTEMPT_DOWNLOADED);
    if (!goes_on) {
        attempt_go(device, MODEL_ATTEMPT_OFFERED, 0);
        device->attempt_bytes = 0;
        device->attempt_from = device->running_code;
    }
    device->attempt_release_id = release->id;
    device->announced_code = release->code;
    device->announced_ms = now_ms;
}

/* The device runs the release that it was offered. */
static void succeed(struct model_device *device, const struct model_release *release, int reason,
                    int64_t now_ms)
{
    enum molt_encoding encoding = MOLT_RAW;
    const struct model_image *image = sent_image(device, release, &encoding);
    const bool stock = device->gzip_window == 0; /* libmolt inflates by itself */
    if (stock && image != NULL && rules_brings_molt_boot(image)) device->molt_boot = true;
    const bool raw_only = stock && device->molt_boot; /* also when an ordinary image came after it */
    device->gz_proven = !raw_only && (device->gz_proven || (image != NULL && encoding == MOLT_GZIP));
    device->gz_refused = raw_only; /* else another core: it may be tried again */
    memset(device->attempt_sha256, 0, sizeof device->attempt_sha256);
    device->attempt_sends = 0;
    attempt_go(device, MODEL_ATTEMPT_UPDATED, reason);
    attempt_note(device, MOLT_UPDATED, "", now_ms);
}

/* The device took the whole file and still runs the old firmware. An old core that cannot inflate does just that; one
 * that could before had another reason. */
static void came_back(struct model_device *device, const struct model_release *release)
{
    if (!device->gz_proven && sent_gzip(device, release)) device->gz_refused = true;
    attempt_go(device, MODEL_ATTEMPT_OFFERED, device->gz_refused ? MOLT_GZ_REFUSED : 0);
    if (!device->gz_refused) attempt_result(device, MODEL_ATTEMPT_FAILED, 0);
}

void attempt_settle(const struct rules *rules, struct model_device *device, int64_t now_ms)
{
    const struct model_release *release = rules_release(rules, device->attempt_release_id);
    if (!release || release->product_id != device->product_id) return;
    if (device->running_code == release->code) {
        if (device->attempt != MODEL_ATTEMPT_UPDATED && device->attempt != MODEL_ATTEMPT_NONE)
            succeed(device, release, MOLT_UPDATED, now_ms);
    } else if (device->attempt == MODEL_ATTEMPT_DOWNLOADED || device->attempt == MODEL_ATTEMPT_PRESUMED) {
        came_back(device, release);
    }
}

void attempt_presume_runs(struct model_device *device, const struct model_release *release,
                          const struct model_image *image, int64_t now_ms)
{
    if (image) device->sketch_size = image->raw.len;
    device->attempt_release_id = release->id;
    device->running_code = release->code;
    memcpy(device->running_version, release->version, sizeof device->running_version);
    device->has_digest = false;
    memset(device->digest, 0, sizeof device->digest);
    attempt_go(device, MODEL_ATTEMPT_PRESUMED, MOLT_PRESUMED);
    attempt_note(device, MOLT_PRESUMED, "", now_ms);
}

void attempt_presume(const struct rules *rules, struct model_device *device, int64_t now_ms)
{
    const struct model_release *release = rules_release(rules, device->attempt_release_id);
    enum molt_encoding encoding;
    if (!release || device->attempt != MODEL_ATTEMPT_DOWNLOADED) return;
    attempt_presume_runs(device, release, sent_image(device, release, &encoding), now_ms);
}

void attempt_unpresume(const struct rules *rules, struct model_device *device)
{
    const struct model_release *release = rules_release(rules, device->attempt_release_id);
    if (device->attempt == MODEL_ATTEMPT_DOWNLOADED || device->attempt == MODEL_ATTEMPT_PRESUMED) {
        if (release)
            came_back(device, release);
        else
            attempt_go(device, MODEL_ATTEMPT_OFFERED, 0);
    }
    if (device->running_code < device->announced_code) return;
    device->running_code = 0;
    device->running_version[0] = '\0';
    device->has_digest = false;
}

/* ---- molt devices, which report ---- */

static bool ended_a_trial(int result)
{
    return result == MOLT_ROLLED_BACK || result == MOLT_CRASHED || result == MOLT_HUNG ||
           result == MOLT_UNHEALTHY || result == MOLT_CONFIRM_TIMEOUT;
}

/* Is it the image, or the device with it, so that trying the same release again would end the same way? */
static bool is_final(int result)
{
    if (result == MOLT_DIGEST_MISMATCH || result == MOLT_IMAGE_TRUNCATED) return false; /* on the way */
    if (result == MOLT_TRIAL_PENDING || result == MOLT_BOOT_STRAP || result == MOLT_NO_BOOT_ROLLBACK)
        return false;
    return (result >= MOLT_IMAGE_EMPTY && result < MOLT_BAD_URL) ||  /* what the file is */
           (result >= MOLT_FLASH_READ && result < MOLT_CONFIRMED) || /* flash and slots */
           result == MOLT_FAILED_BEFORE;
}

/* The release that a reported result is about; NULL when the report names none that is known. */
static const struct model_release *reported_release(const struct rules *rules,
                                                    const struct model_device *device,
                                                    const struct molt_checkin *said)
{
    if (said->has_result_digest) {
        const struct model_image *image =
            rules_image_by_digest(rules, device->product_id, said->result_digest);
        if (image && image->component == MODEL_FS)
            return NULL; /* the log tells; attempts are the application's */
        if (image) return rules_release(rules, image->release_id);
    }
    if (said->result_code != 0)
        return rules_release_by_code(rules, device->product_id, attempt_channel(device), said->result_code);
    return said->has_result_digest ? NULL : rules_release(rules, device->attempt_release_id);
}

/* A report may repeat for ever: it is the last attempt's end. It counts for the attempt that the server knows, or, when
 * none is going on, for a newer release that the server does not know to have offered; never for another attempt. */
static bool is_news(const struct model_device *device, const struct model_release *release, int result)
{
    if (device->running_code == release->code) return false; /* it runs: an older try failed */
    if (device->attempt_release_id == release->id) return device->attempt_reason != result;
    const bool failed =
        device->attempt == MODEL_ATTEMPT_FAILED || device->attempt == MODEL_ATTEMPT_ROLLED_BACK;
    return device->attempt == MODEL_ATTEMPT_NONE ||
           (device->attempt == MODEL_ATTEMPT_UPDATED && release->code > device->running_code) ||
           (failed && release->code > device->running_code && release->code > device->announced_code);
}

static void take_result(const struct rules *rules, struct model_device *device,
                        const struct molt_checkin *said, int64_t now_ms)
{
    const struct model_release *release = reported_release(rules, device, said);
    if (said->result == 0 || said->result == MOLT_CONFIRMED || !release) return;
    if (said->result == MOLT_STALE) return; /* an alarm, and no attempt's end */
    if (!is_news(device, release, said->result)) return;

    if (rules_shared(rules)) device->announced_code = release->code; /* another server may have done that */
    device->attempt_release_id = release->id;
    bool compressed = said->result == MOLT_BAD_GZIP || said->result == MOLT_GZIP_WINDOW ||
                      said->result == MOLT_FLASH_MODE || said->result == MOLT_BAD_PACK ||
                      said->result == MOLT_PACK_BASE;
    if (compressed) device->gz_refused = true; /* it gets the raw image next */
    if (ended_a_trial(said->result))
        attempt_go(device, MODEL_ATTEMPT_ROLLED_BACK, said->result);
    else if (is_final(said->result) && !compressed)
        attempt_go(device, MODEL_ATTEMPT_FAILED, said->result);
    else
        attempt_go(device, MODEL_ATTEMPT_OFFERED, said->result);
    attempt_note(device, said->result, release->version, now_ms);
}

/* The device tells that it runs what another server offered it, of which this one has not heard yet. */
static void take_unknown(const struct rules *rules, struct model_device *device,
                         const struct molt_checkin *said)
{
    const struct model_release *known = rules_release(rules, device->attempt_release_id);
    const struct model_release *runs =
        rules_release_by_code(rules, device->product_id, attempt_channel(device), device->running_code);
    if (!rules_shared(rules) || said->result != MOLT_CONFIRMED || said->boot == MOLT_BOOT_TRIAL || !runs)
        return;
    if (known != NULL && (known->product_id != runs->product_id || known->code >= runs->code)) return;
    device->attempt_release_id = runs->id;
    device->announced_code = runs->code;
    device->attempt = MODEL_ATTEMPT_OFFERED;
    device->attempt_reason = 0;
}

void attempt_settle_check_in(const struct rules *rules, struct model_device *device,
                             const struct molt_checkin *said, int64_t now_ms)
{
    take_unknown(rules, device, said);
    take_result(rules, device, said, now_ms);
    const struct model_release *release = rules_release(rules, device->attempt_release_id);
    if (!release || release->product_id != device->product_id) return;
    bool runs = device->running_code == release->code;
    if (!runs) {
        if (device->attempt == MODEL_ATTEMPT_TRIAL) /* it was on trial and is gone, without a word */
            attempt_go(device, MODEL_ATTEMPT_ROLLED_BACK, MOLT_ROLLED_BACK);
        else if (device->attempt == MODEL_ATTEMPT_DOWNLOADED && said->boot == MOLT_BOOT_CONFIRMED)
            attempt_go(device, MODEL_ATTEMPT_OFFERED, device->attempt_reason);
        return;
    }
    if (said->boot == MOLT_BOOT_TRIAL) {
        if (is_open(device->attempt)) attempt_go(device, MODEL_ATTEMPT_TRIAL, 0);
    } else if (device->attempt != MODEL_ATTEMPT_UPDATED && device->attempt != MODEL_ATTEMPT_NONE) {
        bool unprotected = said->boot == MOLT_BOOT_UNPROTECTED;
        succeed(device, release, unprotected ? MOLT_NO_BOOT_ROLLBACK : MOLT_CONFIRMED, now_ms);
    }
}
