/* attempt_learn.c - what a device says of itself, taken over into its row.
 * Must never let a request change what an operator set: product, channel, hold, and a chip set by a person.
 * Tests: test/unit/attempt_test.c, attempt_clients_test.c. */
#include "attempt_parts.h"

#include <string.h>

const char *attempt_channel(const struct model_device *device)
{
    return device->channel[0] != '\0' ? device->channel : MODEL_CHANNEL_DEFAULT;
}

static void set_text(char *field, size_t size, const char *text)
{
    if (!text) return;
    size_t len = strnlen(text, size - 1);
    memmove(field, text, len);
    memset(field + len, 0, size - len);
}

static void set_number(uint32_t *field, uint32_t said)
{
    if (said != 0) *field = said;
}

static void learn_chip(struct model_device *device, enum molt_chip said, bool esp32_family)
{
    if (device->chip_source == MODEL_CHIP_SET) return; /* decide() tells of the conflict */
    if (said == MOLT_CHIP_UNKNOWN) {
        if (!esp32_family || device->chip != MOLT_CHIP_ESP8266) return;
        device->chip = MOLT_CHIP_UNKNOWN; /* another board under the same name */
        device->chip_source = MODEL_CHIP_NOT_KNOWN;
        return;
    }
    device->chip = said;
    device->chip_source = MODEL_CHIP_SAID;
}

/* What all images of the product are for; taken back when the product gets images for another chip. */
static void assume_chip(const struct rules *rules, struct model_device *device, bool esp32_family)
{
    enum model_chip_source source;
    enum molt_chip chip = decide_chip(rules, device, esp32_family, &source);
    device->chip = chip;
    device->chip_source = source;
}

/* A device that has no product gets the one that its path names, else the one that adopts its chip. */
static void find_product(const struct rules *rules, struct model_device *device,
                         const struct model_product *named, bool esp32_family)
{
    if (device->product_id != 0) return;
    const struct model_product *product = named;
    if (!product) product = rules_adopter(rules, device->chip);
    if (!product && esp32_family && device->chip == MOLT_CHIP_UNKNOWN) product = rules_esp32_adopter(rules);
    if (product) device->product_id = product->id;
}

static void runs_release(struct model_device *device, const struct model_release *release)
{
    device->running_code = release->code;
    set_text(device->running_version, sizeof device->running_version, release->version);
}

/* A published image was recognised. Its release counts, not what the firmware calls itself: a label that differs from
 * the one compiled in would otherwise be offered for ever. */
static void runs_image(const struct rules *rules, struct model_device *device,
                       const struct model_image *image)
{
    const struct model_release *release = rules_release(rules, image->release_id);
    if (release) runs_release(device, release);
    device->has_digest = true;
    memcpy(device->digest, image->digest, sizeof device->digest);
    if (device->chip == MOLT_CHIP_UNKNOWN || device->chip_source == MODEL_CHIP_ASSUMED) {
        device->chip = image->chip;
        device->chip_source = MODEL_CHIP_DIGEST;
    }
}

/* The code that a version text means: of the product's release of that name, else what the text itself says. */
static uint32_t code_of(const struct rules *rules, const struct model_device *device, const char *version,
                        uint32_t code)
{
    uint32_t count;
    const struct model_release *release =
        version ? rules_channel(rules, device->product_id, attempt_channel(device), &count) : NULL;
    for (uint32_t i = 0; release && i < count; i++)
        if (strcmp(release[i].version, version) == 0) return release[i].code;
    return code;
}

/* A stock sketch that runs above molt-boot, whoever brought that, can take raw files only; above eboot again it may
 * be asked anew. */
static void learn_boot_stage(struct model_device *device, const struct model_image *image,
                             const struct attempt_contact *contact)
{
    const bool has_it = rules_md5_kind(image, contact->md5) == RULES_MD5_BOOT;
    if (image->chip != MOLT_CHIP_ESP8266 || has_it == device->molt_boot) return;
    device->molt_boot = has_it;
    device->gz_refused = has_it;
    device->gz_proven = false;
}

static enum attempt_evidence learn_running(const struct rules *rules, struct model_device *device,
                                           const struct attempt_contact *contact)
{
    /* with mode "spiffs" the version is the file system's */
    const char *version = contact->component == MODEL_APP ? contact->version : NULL;
    uint32_t code = contact->component == MODEL_APP ? contact->version_code : 0;
    bool said = contact->has_digest || contact->has_md5;
    const struct model_image *image = NULL;
    if (contact->has_digest) image = rules_image_by_digest(rules, device->product_id, contact->digest);
    if (!image && contact->has_md5) image = rules_image_by_md5(rules, device->product_id, contact->md5);
    if (image) {
        if (contact->has_md5) learn_boot_stage(device, image, contact);
        runs_image(rules, device, image);
        return ATTEMPT_SAYS_RUNNING;
    }
    if (!said && !version) return ATTEMPT_SAYS_NOTHING;
    device->running_code = code_of(rules, device, version, code);
    set_text(device->running_version, sizeof device->running_version, version ? version : "");
    device->has_digest = contact->has_digest;
    memset(device->digest, 0, sizeof device->digest);
    if (contact->has_digest) memcpy(device->digest, contact->digest, sizeof device->digest);
    return ATTEMPT_SAYS_RUNNING;
}

static void learn_sizes(struct model_device *device, const struct attempt_contact *contact)
{
    set_number(&device->flash_size, contact->flash_size);
    set_number(&device->sketch_size, contact->sketch_size);
    set_number(&device->free_space, contact->free_space);
    if (contact->chip == MOLT_CHIP_ESP8266)
        set_number(&device->fs_start, decide_infer_fs_start(contact->free_space, contact->sketch_size));
    else if (contact->esp32_family)
        set_number(&device->slot_size, contact->free_space);
    if (contact->client == MODEL_CLIENT_ESP8266)
        device->can = contact->has_chip_id ? MOLT_CAN_RAW | MOLT_CAN_GZIP : MOLT_CAN_RAW;
}

enum attempt_evidence attempt_learn(const struct rules *rules, struct model_device *device,
                                    const struct attempt_contact *contact)
{
    bool bare = contact->client == MODEL_CLIENT_VERSION_FILE || contact->client == MODEL_CLIENT_UNKNOWN;
    if (!bare) {
        device->client = contact->client;
        device->verified = contact->verified;
    } else if (device->client == MODEL_CLIENT_UNKNOWN) {
        device->client = contact->client;
    }
    if (contact->verified) device->verified = true;
    learn_chip(device, contact->chip, contact->esp32_family);
    learn_sizes(device, contact);
    set_text(device->core, sizeof device->core, contact->core);
    find_product(rules, device, contact->product, contact->esp32_family);
    enum attempt_evidence evidence = learn_running(rules, device, contact);
    assume_chip(rules, device, contact->esp32_family);
    return evidence;
}

void attempt_learn_check_in(const struct rules *rules, struct model_device *device,
                            const struct molt_checkin *said, const struct model_product *product)
{
    device->client = MODEL_CLIENT_MOLT;
    learn_chip(device, said->chip, false);
    set_number(&device->flash_size, said->flash_size);
    set_number(&device->fs_start, said->fs_start);
    set_number(&device->slot_size, said->slot_size);
    set_number(&device->sketch_size, said->image_len);
    device->can = said->can;
    device->gzip_window = said->gzip_window;
    find_product(rules, device, product, false);

    const struct model_image *image =
        said->has_digest ? rules_image_by_digest(rules, device->product_id, said->digest) : NULL;
    if (image) {
        runs_image(rules, device, image);
        return;
    }
    device->running_code = said->version_code;
    set_text(device->running_version, sizeof device->running_version, said->version);
    device->has_digest = said->has_digest;
    memset(device->digest, 0, sizeof device->digest);
    if (said->has_digest) memcpy(device->digest, said->digest, sizeof device->digest);
}
