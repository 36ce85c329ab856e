/* life_molt.c - a firmware with libmolt in it: the agent through the POSIX port, over real sockets. When the agent waits,
 * the device's clock jumps. Must never decide anything that the agent decides. Tests: test/e2e/sim_device_test.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bearssl_hash.h>

#include "life.h"
#include "ports/bearssl.h"
#include "ports/bearssl_seal.h"
#include "ports/posix.h"
#include "update/update_parts.h"

#define PROGRESS_STEP  4096u /* bytes between two progress events */
#define FAILURES_MAX   4     /* checks that may end badly before the device is left alone */
#define STEPS_MAX      20000000u
#define GZIP_WINDOW    4096u /* what libmolt inflates with on a small chip */
#define TRIAL_SECONDS  30u
#define CHECK_INTERVAL 60u

/* What one run of the firmware holds; the callbacks' ctx. */
struct life {
    struct sim_device *device;
    struct molt_agent agent;
    struct molt_posix net;
    uint8_t window[GZIP_WINDOW];
    struct molt_pack pack;
    struct molt_unpacker unpacker; /* as the options say */
    char md5[33];
    uint32_t quiet, bad; /* checks that ended without news; that ended badly */
};

static enum molt_health health(void *ctx)
{
    const struct life *life = ctx;
    return life->device->firmware.behaviour == SIM_UNHEALTHY ? MOLT_HEALTH_BAD : MOLT_HEALTH_GOOD;
}

/* Which event a report of the agent is. */
static enum sim_event_kind event_of(int reason)
{
    switch (reason) {
    case MOLT_OFFERED:
        return SIM_EVENT_STORED;
    case MOLT_FS_INSTALLED:
        return SIM_EVENT_FS;
    case MOLT_CONFIRMED:
        return SIM_EVENT_CONFIRMED;
    case MOLT_UNHEALTHY:
    case MOLT_CONFIRM_TIMEOUT:
        return SIM_EVENT_REJECTED;
    default:
        break;
    }
    enum molt_who who = molt_reason_who(reason);
    return who == MOLT_WHO_NOBODY || who == MOLT_WHO_RETRY ? SIM_EVENT_CHECKED : SIM_EVENT_FAILED;
}

static void report(void *ctx, int reason)
{
    struct life *life = ctx;
    struct sim_device *device = life->device;
    struct sim_event event = {.kind = event_of(reason), .slot = device->running_slot, .reason = reason};
    switch (event.kind) {
    case SIM_EVENT_STORED:
        device->summary->updates++;
        event.number = life->agent.file_len;
        break;
    case SIM_EVENT_FS:
        event.number = device->keep.data.fs_state == MOLT_FS_WHOLE ? device->keep.data.fs.code : 0;
        break;
    case SIM_EVENT_CONFIRMED:
        event.number = device->firmware.code;
        life->quiet = 0; /* the next check tells the server */
        break;
    case SIM_EVENT_CHECKED:
        event.number = life->agent.offered_code;
        life->quiet++;
        break;
    case SIM_EVENT_FAILED:
        if (reason == MOLT_STALE) break;                              /* an alarm, and it goes on asking */
        life->bad += reason == MOLT_FAILED_BEFORE ? FAILURES_MAX : 1; /* it will never be taken again */
        if (life->agent.http_status != 0) event.error = life->agent.http_status;
        break;
    default:
        break;
    }
    if (event.kind != SIM_EVENT_CONFIRMED && event.kind != SIM_EVENT_STORED) {
        snprintf(event.text, sizeof event.text, "%s", molt_reason_sentence(reason));
    }
    life_event(device, &event);
}

/* ESP.getSketchMD5(): of the image as it lies in flash. */
static void sketch_md5(const struct sim_device *device, char hex[33])
{
    br_md5_context md5;
    uint8_t digest[16];
    br_md5_init(&md5);
    br_md5_update(&md5, device->flash.bytes + device->running_off, device->running_len);
    br_md5_out(&md5, digest);
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void configure(struct life *life, struct molt_agent_config *config, char url[300])
{
    static const enum molt_source sources[] = {
        [SIM_SOURCE_CHECK_IN] = MOLT_SOURCE_CHECK_IN,
        [SIM_SOURCE_VERSION_FILE] = MOLT_SOURCE_VERSION_FILE,
        [SIM_SOURCE_URL] = MOLT_SOURCE_URL,
    };
    struct sim_device *device = life->device;
    const bool files = device->options->source == SIM_SOURCE_VERSION_FILE;
    snprintf(url, 300, "%s%s", device->options->server, files ? "/" : "");
    sketch_md5(device, life->md5);
    life->unpacker = molt_unpacker;
    life->unpacker.small = device->options->small_packs;
    *config = (struct molt_agent_config){
        .slots = device->slots,
        .hash = &molt_bearssl_sha256,
        .source = sources[device->options->source],
        .url = url,
        .spelling = MOLT_ID_LOWER,
        .expect = {.chip = device->options->chip,
                   .chip_revision = MOLT_REVISION_UNKNOWN,
                   .flash_size = device->flash.port.size},
        .product = device->firmware.product,
        .version = device->firmware.version,
        .version_code = device->firmware.code,
        .fs_start = device->layout->fs_start,
        .image_len = device->running_len,
        .sketch_md5 = life->md5,
        .interval_s = CHECK_INTERVAL,
        .confirm_s = TRIAL_SECONDS,
        .window = life->window,
        .window_len = sizeof life->window,
        .pack = device->options->packs ? &life->pack : NULL,
        .unpacker = &life->unpacker,
        .in_place = device->options->in_place && device->slots->exchanges ? &device->in_place : NULL,
        .trust = sim_trust(device),
        .seal = device->options->seal_path != NULL ? &molt_bearssl_seal : NULL,
        .seal_key = device->seal_key,
        .stale_h = device->options->stale_h,
        .ctx = life,
        .health = health,
        .report = report,
    };
    memcpy(config->mac, device->options->mac, sizeof config->mac);
    molt_keep_begin(&device->keep, &device->flash.port, device->keep_off);
    config->keep = &device->keep;
    config->reset = device->reset;
    config->fs_in_place = device->options->fs_in_place;
    int rc = molt_fs_slots_begin(&device->fs, device->slots, device->fs_off, device->fs_len);
    config->fs = rc == 0 ? &device->fs : NULL;
}

static void tell_progress(struct life *life, uint32_t *told)
{
    const struct molt_agent *agent = &life->agent;
    if (agent->phase != MOLT_AGENT_FETCHING || agent->received == *told) return;
    if (agent->received < *told + PROGRESS_STEP && agent->received < agent->file_len) return;
    *told = agent->received;
    life_event(life->device, &(struct sim_event){.kind = SIM_EVENT_DOWNLOAD,
                                                 .slot = life->device->running_slot,
                                                 .number = agent->received,
                                                 .total = agent->file_len});
}

/* Steps until the agent wants a restart, or nothing is new. */
static enum life_end run(struct life *life)
{
    const uint32_t checks = life->device->options->checks > 0 ? life->device->options->checks : 1;
    uint32_t told = 0;
    for (uint32_t step = 0; step < STEPS_MAX; step++) {
        struct molt_want want;
        molt_posix_step(&life->net, &life->agent, &want);
        tell_progress(life, &told);
        if (want.kind == MOLT_WANT_RESTART) return LIFE_RESET;
        if (want.kind != MOLT_WANT_WAIT) continue;
        if (!life->agent.on_trial && (life->quiet >= checks || life->bad >= FAILURES_MAX)) return LIFE_QUIET;
        uint64_t now_ms = molt_posix_now_ms(&life->net);
        if (want.until_ms > now_ms) life->net.skipped_ms += want.until_ms - now_ms;
    }
    life_failed(life->device, MOLT_INTERNAL, 0, "the agent never came to rest");
    return LIFE_QUIET;
}

enum life_end life_molt(struct sim_device *device)
{
    char url[300], text[160];
    struct molt_agent_config config;
    enum life_end end = LIFE_QUIET;
    struct molt_posix_anchors *anchors = NULL;
    struct life *life = calloc(1, sizeof *life);
    int rc = life != NULL ? 0 : -MOLT_NO_MEMORY;
    if (rc == 0 && device->options->ca_path != NULL) {
        anchors = malloc(sizeof *anchors);
        rc = anchors != NULL ? molt_posix_anchors_load(anchors, device->options->ca_path) : -MOLT_NO_MEMORY;
    }
    if (rc == 0) {
        life->device = device;
        configure(life, &config, url);
        rc = molt_agent_begin(&life->agent, &config);
    }
    if (rc == 0) {
        molt_posix_begin(&life->net, anchors);
        end = run(life);
        molt_posix_end(&life->net);
    } else {
        snprintf(text, sizeof text, "the agent could not start: %s", molt_reason_sentence(-rc));
        life_failed(device, -rc, 0, text);
    }
    free(anchors);
    free(life);
    return end;
}
