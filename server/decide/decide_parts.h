/* decide_parts.h - the decision taken apart: one case, passed through the rules. For decide*.c only. */
#ifndef MOLT_SERVER_DECIDE_PARTS_H
#define MOLT_SERVER_DECIDE_PARTS_H

#include "decide.h"

/* One question, with what is known of the device; 0 and MOLT_CHIP_UNKNOWN: not known. */
struct decide_case {
    const struct rules *rules;
    const struct model_device *device;
    const struct model_product *product; /* the device's; NULL: none */
    const struct decide_ask *ask;
    int64_t now_ms;
    enum molt_chip chip;
    uint32_t flash_size, fs_start, slot_size, sketch_size;
    bool terse; /* nobody will read the details: another release was refused before, and no trace is wanted */
    uint32_t stage_end; /* fs_start, less what the device keeps below it */
};

/* Writes the detail and hands back the reason, so that a rule can end in `return decide_say(...)`. */
int decide_say(struct decision *out, int reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The image of the release that is meant for the device: the most specific variant that matches. NULL: none, and
 * out->detail says why. */
const struct model_image *decide_choose_image(const struct decide_case *c,
                                              const struct model_release *release, struct decision *out);
/* Has the release an image for the chip (MOLT_CHIP_UNKNOWN: any) and component, whatever the variant? */
bool decide_has_image(const struct model_release *release, enum molt_chip chip,
                      enum model_component component);

/* May the rollout of the release, or the lack of one, let the device have it now? 0, or why not. Sets out->rollout. */
int decide_rollout(const struct decide_case *c, const struct model_release *release, struct decision *out);
/* A pin goes before rollouts, but not before the approval of one: 0, MOLT_NO_ROLLOUT or MOLT_NOT_APPROVED. */
int decide_approval(const struct decide_case *c, const struct model_release *release);
/* May the device go back to this release, whose code is not above the running one? */
bool decide_may_go_back(const struct decide_case *c, const struct model_release *release, uint32_t running);
/* The oldest release that the device must run before it may have a newer one than it; NULL when there is none. */
const struct model_release *decide_barrier(const struct decide_case *c);
/* The release that the device is pinned to. NULL: not published or yanked. */
const struct model_release *decide_pinned(const struct decide_case *c);
/* Adds a step to the trace, when one is wanted. */
void decide_trace(const struct decide_case *c, const struct model_release *release, int reason,
                  const char *detail);

/* Chooses the artifact and its encoding, or says why none can be sent: MOLT_FLASH_TOO_SMALL, MOLT_TOO_LARGE,
 * MOLT_OLD_CORE, MOLT_GZ_REFUSED. 0: out->artifact and out->encoding are set. */
int decide_artifact(const struct decide_case *c, const struct model_image *image, struct decision *out);
/* Puts a smaller pack in the place of the artifact chosen, or says which pack should be made. 0, or MOLT_PACK_COMING when
 * waiting for one is worth it; again_s is then set. */
int decide_pack(const struct decide_case *c, const struct model_image *image, struct decision *out);
/* What has no room beside the running image, over it, when the device can do that (device/src/slots/in_place.h), the image is
 * signed and another device has shown that it is good. 0: artifact and encoding are set; MOLT_PACK_COMING as above;
 * MOLT_NO_WAY_BACK; MOLT_TOO_LARGE: there is no room either, or this device does not do it. */
int decide_in_place(const struct decide_case *c, const struct model_image *image, struct decision *out);
/* The same for an image that the server cannot look into: the smallest of its encrypted forms that the device can open, unpack
 * and hold; out->manifest is set too. 0, MOLT_SEALED, MOLT_NO_IMAGE, or as decide_artifact(). */
int decide_sealed(const struct decide_case *c, const struct model_image *image, struct decision *out);
/* What libmolt asks beyond the stock rule: the new sketch ends where its staged file begins, or before, so that eboot
 * finds its source whole when it starts over after a reset (device/src/slots/esp8266_eboot.c, target). */
bool decide_esp8266_can_stage(const struct decide_case *c, const struct model_image *image,
                              uint32_t file_len);

#endif
