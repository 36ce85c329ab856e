/* enrol.c - who may become known to the server, decided before anything is looked at or made. Must answer a device that is
 * not taken in the same way whether its id is known or not. Tests: test/e2e/enrol_test.sh. */
#include "skin.h"

static enum devices_change look(void *ctx, struct model_device *device, bool is_new)
{
    (void)ctx;
    (void)device;
    (void)is_new;
    return DEVICES_UNCHANGED;
}

/* A newcomer waits for an operator. */
static enum devices_change hold(void *ctx, struct model_device *device, bool is_new)
{
    (void)ctx;
    if (!is_new) return DEVICES_UNCHANGED;
    device->held = true;
    return attempt_note(device, MOLT_HELD, "new: release it to approve of it", device->first_seen_ms);
}

static bool admits(struct ask *ask)
{
    struct devices *devices = ask->skins->options.devices;
    switch ((enum skins_enrol)atomic_load_explicit(&ask->skins->enrol, memory_order_relaxed)) {
    case SKINS_ENROL_OPEN:
        return true;
    case SKINS_ENROL_TOKEN:
        return ask->verified || ask->admitted;
    case SKINS_ENROL_LIST:
        return devices_peek(devices, ask->id, look, NULL) == 0;
    case SKINS_ENROL_APPROVAL:
        if (devices_peek(devices, ask->id, look, NULL) == 0 || ask->rehearsed || ask->admitted) return true;
        return devices_visit(devices, ask->id, http_peer(ask->x), ask->now_ms, hold, NULL) == 0;
    }
    return false;
}

bool skin_enrols(struct ask *ask)
{
    /* what names content and no device is for whoever knows the digest */
    if (ask->id[0] == '\0' || admits(ask)) return true;
    const int status = ask->kind == ASK_DDI ? 401 : 403; /* each what its clients tell their people */
    struct http_response response = {.status = status, .headers = "Cache-Control: no-store\r\n"};
    http_respond(ask->x, &response);
    return false;
}
