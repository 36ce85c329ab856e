/* decide.c - the one decision: the order of the rules. Variants: decide_variant.c; space and encodings:
 * decide_space.c; packs: decide_pack.c. Must never read a clock, keep state or change what it is given.
 * Tests: test/unit/decide_test.c (a row for each rule), test/property/decide_property_test.c. */
#include "decide_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WALK_MAX 64u /* older releases looked at when the newest does not fit */

int decide_say(struct decision *out, int reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(out->detail, sizeof out->detail, format, args);
    va_end(args);
    if (len < 0) out->detail[0] = '\0';
    return reason;
}

static const char *channel_of(const struct model_device *device)
{
    return device->channel[0] != '\0' ? device->channel : MODEL_CHANNEL_DEFAULT;
}

/* One of the ESP32 family, whichever: the request, the client or an earlier assumption says so. */
static bool is_esp32_family(const struct model_device *device, bool said)
{
    bool assumed = device->chip_source == MODEL_CHIP_ASSUMED && molt_chip_is_esp32_family(device->chip);
    return said || assumed || device->client == MODEL_CLIENT_ESP32 || device->client == MODEL_CLIENT_IDF;
}

/* A device that says nothing at all may be believed to be an ESP8266 and not the other way round: an ESP32 refuses a
 * file for the ESP8266 by itself, an ESP8266 would boot nothing any more. */
enum molt_chip decide_chip(const struct rules *rules, const struct model_device *device, bool esp32_family,
                           enum model_chip_source *source)
{
    enum molt_chip chip = MOLT_CHIP_UNKNOWN;
    if (device->chip != MOLT_CHIP_UNKNOWN && device->chip_source != MODEL_CHIP_ASSUMED) {
        *source = device->chip_source;
        return device->chip;
    }
    if (is_esp32_family(device, esp32_family))
        chip = rules_single_esp32_chip(rules, device->product_id);
    else if (rules_only(rules, device->product_id, MOLT_CHIP_ESP8266))
        chip = MOLT_CHIP_ESP8266;
    else if (rules_only(rules, device->product_id, MOLT_CHIP_LINUX))
        chip = MOLT_CHIP_LINUX; /* whoever it is not for does not take it: the file is no image */
    *source = chip != MOLT_CHIP_UNKNOWN ? MODEL_CHIP_ASSUMED : MODEL_CHIP_NOT_KNOWN;
    return chip;
}

/* A request that says another chip than the one registered: one of the two is wrong, and a wrong image bricks. */
static bool chips_conflict(const struct decide_case *c)
{
    if (c->chip == MOLT_CHIP_UNKNOWN) return false;
    if (c->ask->chip_said != MOLT_CHIP_UNKNOWN) return c->ask->chip_said != c->chip;
    return c->ask->esp32_family && !molt_chip_is_esp32_family(c->chip);
}

/* What the device is, before any release is looked at. 0: go on. */
static int judge_device(struct decide_case *c, struct decision *out)
{
    const struct model_device *device = c->device;
    const struct model_product *product =
        device->product_id != 0 ? rules_product(c->rules, device->product_id) : NULL;
    if (!product) return MOLT_NOT_ASSIGNED;
    c->product = product;
    if (product->stopped) return MOLT_STOPPED;
    if (device->held) return MOLT_HELD;

    enum model_chip_source source;
    c->chip = decide_chip(c->rules, device, c->ask->esp32_family, &source);
    if (chips_conflict(c)) {
        return decide_say(out, MOLT_CHIP_CONFLICT, "registered as %s, says that it is %s",
                          molt_chip_name(c->chip),
                          c->ask->chip_said != MOLT_CHIP_UNKNOWN ? molt_chip_name(c->ask->chip_said)
                                                                 : "one of the ESP32 family");
    }
    if (c->ask->on_trial) return MOLT_ON_TRIAL;
    bool may_say_later = c->ask->bare && !is_esp32_family(device, c->ask->esp32_family);
    if (c->chip == MOLT_CHIP_UNKNOWN && !may_say_later) {
        return decide_say(out, MOLT_UNKNOWN_CHIP, "set it: molt device set %s --chip CHIP", device->id);
    }
    return 0;
}

static bool runs_image(const struct decide_case *c, const struct model_image *image)
{
    if (c->ask->component == MODEL_FS)
        return c->ask->fs_digest != NULL && memcmp(c->ask->fs_digest, image->digest, 32) == 0;
    if (c->ask->has_md5 && rules_md5_kind(image, c->ask->md5) != RULES_MD5_OTHER) return true;
    return c->device->has_digest && memcmp(c->device->digest, image->digest, sizeof image->digest) == 0;
}

/* How the last attempt at the release ended, when it ended badly. 0: it did not. */
static int judge_history(const struct decide_case *c, const struct model_release *release,
                         struct decision *out)
{
    const struct model_device *device = c->device;
    if (c->ask->component != MODEL_APP || device->attempt_release_id != release->id) return 0;
    if (device->attempt != MODEL_ATTEMPT_FAILED && device->attempt != MODEL_ATTEMPT_ROLLED_BACK) return 0;
    if (out->rollout != NULL && rollout_may_retry(out->rollout, device)) return 0;
    if (device->attempt_reason == MOLT_SAME_IMAGE_AGAIN)
        return decide_say(out, MOLT_SAME_IMAGE_AGAIN, "version %s was sent %u times", release->version,
                          (unsigned)device->attempt_sends);
    return decide_say(out, MOLT_FAILED_BEFORE, "version %s: %s", release->version,
                      molt_reason_id(device->attempt_reason));
}

/* A device that only fetches may fetch for ever what it never installs. One that checks in says what it runs and how
 * it ended, and may have lost power after the last byte: it is not counted. */
static int judge_sends(const struct decide_case *c, const struct model_release *release,
                       const struct model_artifact *artifact, struct decision *out)
{
    const struct model_device *device = c->device;
    if (c->ask->molt) return 0;
    bool app = c->ask->component == MODEL_APP;
    const uint8_t *sha256 = app ? device->attempt_sha256 : device->fs_sha256;
    uint32_t sends = app ? device->attempt_sends : device->fs_sends;
    if (sends < DECIDE_SENDS_MAX || memcmp(sha256, artifact->sha256, 32) != 0) return 0;
    return decide_say(out, MOLT_SAME_IMAGE_AGAIN, "version %s was sent %u times", release->version,
                      (unsigned)sends);
}

/* What would be sent, and the manifest with it. 0, or why nothing can be. */
static int judge_files(const struct decide_case *c, const struct model_image *image, struct decision *out)
{
    if (image->sealed_count > 0) return decide_sealed(c, image, out);
    out->manifest = image->manifest.len > 0 ? &image->manifest : NULL;
    int reason = decide_artifact(c, image, out);
    return reason == 0 ? decide_pack(c, image, out) : reason;
}

/* May the device have this release? MOLT_OFFERED, or why not. */
static int judge_release(const struct decide_case *c, const struct model_release *release,
                         struct decision *out)
{
    out->release = release;
    out->image = decide_choose_image(c, release, out);
    if (!out->image) return c->ask->component == MODEL_FS ? MOLT_WRONG_MODE : MOLT_NO_IMAGE;
    if (runs_image(c, out->image)) return MOLT_SAME_DIGEST;
    if ((c->device->can & MOLT_CAN_SIGNED) != 0 && out->image->manifest.len == 0)
        return decide_say(out, MOLT_MANIFEST_MISSING, "version %s is not signed", release->version);
    if (c->product->two_signatures && !out->image->approved)
        return decide_say(out, MOLT_MANIFEST_UNAPPROVED, "version %s has one signature", release->version);
    int reason = c->device->pinned_code == 0 ? decide_rollout(c, release, out) : decide_approval(c, release);
    if (reason == 0) reason = judge_history(c, release, out);
    if (reason == 0) reason = judge_files(c, out->image, out);
    if (reason == 0) reason = judge_sends(c, release, out->artifact, out);
    return reason == 0 ? MOLT_OFFERED : reason;
}

/* Withheld from the device by its rollout, for good or for now: what was rolled out before is still for it. Not while it
 * is about to get this very release. */
static bool is_withheld(int reason)
{
    return reason == MOLT_NO_ROLLOUT || reason == MOLT_NOT_APPROVED || reason == MOLT_ROLLOUT_PAUSED ||
           reason == MOLT_ROLLOUT_ABORTED || reason == MOLT_ROLLOUT_LATER || reason == MOLT_NOT_TARGETED ||
           reason == MOLT_NOT_IN_PHASE;
}

/* A release that the device cannot hold does not stand in the way of an older one that it can: that one may be the
 * stepping stone. Every other refusal is the last word. */
static bool may_try_older(int reason)
{
    return reason == MOLT_NO_IMAGE || reason == MOLT_WRONG_MODE || reason == MOLT_FLASH_TOO_SMALL ||
           reason == MOLT_TOO_LARGE || reason == MOLT_OLD_CORE || reason == MOLT_GZ_REFUSED ||
           reason == MOLT_MUST_PASS || reason == MOLT_SEALED || reason == MOLT_MANIFEST_UNAPPROVED ||
           is_withheld(reason);
}

static int refuse_newest(const struct model_release *newest, uint32_t running, struct decision *out)
{
    out->release = newest;
    if (newest->code == running) return MOLT_UP_TO_DATE;
    return decide_say(out, MOLT_DEVICE_NEWER, "runs code %u, the newest release is %u", (unsigned)running,
                      (unsigned)newest->code);
}

static int refuse_beyond(const struct model_release *release, const struct model_release *barrier,
                         struct decision *out)
{
    out->release = release;
    return decide_say(out, MOLT_MUST_PASS, "version %s comes before %s", barrier->version, release->version);
}

/* Walks from the newest candidate down to what the device runs. The first refusal is the one reported. */
static int judge_releases(struct decide_case *c, const struct model_release *releases, uint32_t count,
                          struct decision *out)
{
    uint32_t running = c->ask->component == MODEL_APP ? c->device->running_code : c->ask->fs_code;
    struct decision first = *out;
    int reason = 0;
    uint32_t looked = 0, live = 0;
    bool individual = false;
    const struct model_release *barrier = c->device->pinned_code == 0 ? decide_barrier(c) : NULL;
    for (uint32_t i = 0; i < count && looked < WALK_MAX; i++) {
        const struct model_release *release = &releases[i];
        if (release->yanked) continue;
        live++;
        if (!decide_has_image(release, c->chip, c->ask->component)) continue;
        if (running != 0 && release->code <= running && !decide_may_go_back(c, release, running)) {
            if (looked == 0) return refuse_newest(release, running, out);
            break;
        }
        struct decision tried = *out;
        c->terse = looked > 0 && c->ask->trace == NULL;
        int verdict = barrier != NULL && release->code > barrier->code
                          ? refuse_beyond(release, barrier, &tried)
                          : judge_release(c, release, &tried);
        decide_trace(c, release, verdict, tried.detail);
        individual = individual || tried.individual;
        if (looked++ == 0 || verdict == MOLT_OFFERED) {
            first = tried;
            reason = verdict;
        }
        if (!may_try_older(verdict)) break;
        if (verdict == MOLT_MUST_PASS)
            looked = 1; /* however many lie beyond, the barrier itself is reached */
    }
    *out = first;
    out->individual =
        individual; /* whichever release comes of it, another device may have stopped at an earlier one */
    if (looked > 0) return reason;
    if (live == 0) return MOLT_NO_RELEASE;
    if (c->ask->component == MODEL_FS) return MOLT_WRONG_MODE;
    return decide_say(out, MOLT_NO_IMAGE, "no release has an image for %s", molt_chip_name(c->chip));
}

static void know_sizes(struct decide_case *c, int64_t now_ms)
{
    const struct model_device *device = c->device;
    int64_t age = now_ms - device->announced_ms;
    /* what a device said long ago may be about another firmware; its next .bin request says it anew */
    if (c->ask->bare && (age > DECIDE_REMEMBERED_MS || device->announced_ms == 0)) return;
    c->flash_size = device->flash_size;
    c->fs_start = device->fs_start;
    bool is_said = c->ask->stage_end != 0 && c->ask->stage_end < device->fs_start;
    c->stage_end = is_said ? c->ask->stage_end : device->fs_start;
    c->slot_size = device->slot_size;
    c->sketch_size = device->sketch_size;
}

/* A pinned device has one candidate; so has a request for what was announced. */
static int judge_candidates(struct decide_case *c, struct decision *out)
{
    const struct model_device *device = c->device;
    const struct model_release *releases = c->ask->only;
    uint32_t count = 1;
    if (device->pinned_code != 0) {
        const struct model_release *pinned = decide_pinned(c);
        uint32_t running = c->ask->component == MODEL_APP ? device->running_code : 0;
        bool back = pinned != NULL && running > device->pinned_code;
        if (pinned == NULL || (releases != NULL && releases != pinned) ||
            (back && !decide_may_go_back(c, pinned, running)))
            return decide_say(out, MOLT_PINNED, "pinned to code %u, runs %u; there is %s",
                              device->pinned_code, running,
                              pinned == NULL ? "none"
                              : back         ? "one, and the product's rule lets nobody go back"
                                             : "one");
        releases = pinned;
    } else if (releases == NULL) {
        releases = rules_channel(c->rules, device->product_id, channel_of(device), &count);
    }
    return judge_releases(c, releases, count, out);
}

void decide(const struct rules *rules, const struct model_device *device, const struct decide_ask *ask,
            int64_t now_ms, struct decision *out)
{
    struct decide_case c = {.rules = rules, .device = device, .ask = ask, .now_ms = now_ms};
    memset(out, 0, sizeof *out);
    if (ask->trace != NULL) ask->trace->count = 0;
    know_sizes(&c, now_ms);
    out->reason = judge_device(&c, out);
    if (out->reason == 0) out->reason = judge_candidates(&c, out);
    if (out->reason == MOLT_OFFERED) {
        out->verdict = MOLT_VERDICT_OFFER;
        out->detail[0] = '\0'; /* an older release was refused on the way, or nothing was */
        return;
    }
    if (out->again_s > 0) out->verdict = MOLT_VERDICT_WAIT;
    out->image = NULL;
    out->artifact = NULL;
    out->manifest = NULL;
}

uint32_t decide_version_code(const struct model_device *device, const struct decision *decision)
{
    if (decision->verdict == MOLT_VERDICT_OFFER) return decision->release->code;
    return device->running_code;
}
