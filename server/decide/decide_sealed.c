/* decide_sealed.c - an encrypted image: who can open it, and which of its forms fits. The forms were made and measured by the
 * maker's molt; the server sees ciphertext. Must never offer one to a device that did not say that it has a key.
 * Tests: test/unit/decide_sealed_test.c. */
#include "decide_parts.h"

#include <string.h>

#include "host/pack/pack.h"

#define OPENS (MOLT_CAN_SEALED | MOLT_CAN_SIGNED)

/* A form packed in a way that the device takes, from an image that it runs? */
static bool can_unpack(const struct decide_case *c, const struct model_sealed *form)
{
    static const uint8_t none[32];
    const struct model_device *device = c->device;
    if (form->encoding == MOLT_RAW) return true;
    if ((device->can & 1u << form->encoding) == 0 || device->gz_refused) return false;
    if (form->encoding == MOLT_GZIP) return device->gzip_window >= form->window;
    if ((device->can & MOLT_CAN_SMALL) != 0 &&
        (form->window == 0 || form->window > PACK_MAP_BYTES(MOLT_PACK_ROWS_SMALL)))
        return false; /* a whole image, or a delta with a larger map */
    if (memcmp(form->base, none, sizeof none) == 0) return true;
    const bool body = c->chip == MOLT_CHIP_ESP8266 && (device->can & MOLT_CAN_EXCHANGE) != 0;
    return device->has_digest && memcmp(device->digest, form->base, sizeof form->base) == 0 &&
           form->body_only == body;
}

/* As decide_artifact() and decide_pack() have it for what the server can read. */
static bool can_hold(const struct decide_case *c, const struct model_image *image,
                     const struct model_sealed *form)
{
    if (image->component == MODEL_FS) return c->ask->fs_size == 0 || image->raw.len <= c->ask->fs_size;
    if (c->chip != MOLT_CHIP_ESP8266) return c->slot_size == 0 || image->raw.len <= c->slot_size;
    const bool known = c->fs_start != 0 && c->sketch_size != 0;
    if (!known) return form->encoding == MOLT_RAW;
    return decide_esp8266_can_stage(c, image, form->encoding == MOLT_GZIP ? form->file.len : image->raw.len);
}

static int too_large(const struct decide_case *c, const struct model_image *image, struct decision *out)
{
    if (image->component == MODEL_FS)
        return decide_say(out, MOLT_TOO_LARGE, "needs %u of %u bytes of the file system",
                          (unsigned)image->raw.len, (unsigned)c->ask->fs_size);
    if (c->chip != MOLT_CHIP_ESP8266)
        return decide_say(out, MOLT_TOO_LARGE, "needs %u of %u bytes in the slot", (unsigned)image->raw.len,
                          (unsigned)c->slot_size);
    return decide_say(out, MOLT_TOO_LARGE, "encrypted, of %u bytes: beside a sketch of %u there are %u",
                      (unsigned)image->raw.len, (unsigned)c->sketch_size,
                      (unsigned)decide_esp8266_room(c->sketch_size, c->stage_end));
}

int decide_sealed(const struct decide_case *c, const struct model_image *image, struct decision *out)
{
    const struct model_sealed *best = NULL;
    bool unpacks = false;
    if (!c->ask->molt || (c->device->can & OPENS) != OPENS)
        return decide_say(out, MOLT_SEALED, "only a device that checks in and has the key gets version %.64s",
                          out->release->version);
    if (c->flash_size != 0 && image->header_flash_size > c->flash_size)
        return decide_say(out, MOLT_FLASH_TOO_SMALL, "built for %u bytes of flash, the device has %u",
                          (unsigned)image->header_flash_size, (unsigned)c->flash_size);
    for (uint32_t i = 0; i < image->sealed_count; i++) {
        const struct model_sealed *form = &image->sealed[i];
        if (!can_unpack(c, form)) continue;
        unpacks = true;
        if (can_hold(c, image, form) && (best == NULL || form->file.len < best->file.len)) best = form;
    }
    if (best == NULL && unpacks) return too_large(c, image, out);
    if (best == NULL)
        return decide_say(out, MOLT_NO_IMAGE,
                          "version %.64s is encrypted in forms that the device cannot unpack",
                          out->release->version);
    out->artifact = &best->file;
    out->encoding = best->encoding;
    out->manifest = &best->manifest;
    return 0;
}
