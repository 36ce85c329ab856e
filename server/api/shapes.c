/* shapes.c - JSON of releases, devices and files (shapes.h). It never fails on bytes that a device or a file chose:
 * what is no UTF-8 becomes null. Tests: test/unit/api_test.c. */
#include "shapes.h"

#include "call.h"

#include <string.h>

#include "molt_reason.h"

json_t *shape_text(const char *text)
{
    json_t *string = text[0] != '\0' ? json_string(text) : NULL;
    return string != NULL ? string : json_null();
}

json_t *shape_hex(const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char text[129];
    if (len > 64) return NULL;
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    return json_stringn(text, 2 * len);
}

static const char *who_name(enum molt_who who)
{
    switch (who) {
    case MOLT_WHO_NOBODY:
        return "nobody";
    case MOLT_WHO_RETRY:
        return "retry";
    case MOLT_WHO_MAKER:
        return "maker";
    case MOLT_WHO_OPERATOR:
        return "operator";
    case MOLT_WHO_NETWORK:
        return "network";
    case MOLT_WHO_HARDWARE:
        return "hardware";
    case MOLT_WHO_CALLER:
        return "caller";
    }
    return "nobody";
}

json_t *shape_reason(int reason)
{
    if (reason == 0) return json_null();
    return json_pack("{s:s, s:i, s:s, s:s}", "id", molt_reason_id(reason), "number", reason, "who",
                     who_name(molt_reason_who(reason)), "sentence", molt_reason_sentence(reason));
}

static const char *component_name(enum model_component component)
{
    return component == MODEL_FS ? "fs" : "app";
}

static const char *chip_source_name(enum model_chip_source source)
{
    static const char *const names[] = {"not-known", "said", "set", "digest", "assumed"};
    return (size_t)source < sizeof names / sizeof names[0] ? names[source] : "not-known";
}

static json_t *number_or_null(int64_t number)
{
    return number != 0 ? json_integer(number) : json_null();
}

static json_t *chip(enum molt_chip number)
{
    return number != MOLT_CHIP_UNKNOWN ? json_string(molt_chip_name(number)) : json_null();
}

const char *shape_product_name(const struct store_rules *rules, int64_t product_id)
{
    for (uint32_t i = 0; i < rules->product_count; i++) {
        if (rules->products[i].id == product_id) return rules->products[i].name;
    }
    return "";
}

/* ---- releases ---- */

static json_t *artifact(const struct model_artifact *artifact)
{
    if (artifact->len == 0) return json_null();
    return json_pack("{s:I, s:o, s:o}", "size", (json_int_t)artifact->len, "sha256",
                     shape_hex(artifact->sha256, 32), "md5", shape_hex(artifact->md5, 16));
}

/* The encrypted forms of an image; null: it is not encrypted. */
static json_t *sealed_forms(const struct model_image *image)
{
    static const uint8_t none[32];
    static const char *const encodings[] = {[MOLT_RAW] = "raw", [MOLT_GZIP] = "gzip", [MOLT_PACK] = "pack"};
    if (image->sealed_count == 0) return json_null();
    json_t *forms = json_array();
    for (uint32_t i = 0; i < image->sealed_count; i++) {
        const struct model_sealed *form = &image->sealed[i];
        const bool is_delta = memcmp(form->base, none, sizeof none) != 0;
        json_array_append_new(forms, json_pack("{s:s, s:o, s:b, s:o, s:o}", "encoding",
                                               (size_t)form->encoding < 3 ? encodings[form->encoding] : "raw",
                                               "base", is_delta ? shape_hex(form->base, 32) : json_null(),
                                               "molt_boot", form->body_only, "file", artifact(&form->file),
                                               "manifest", artifact(&form->manifest)));
    }
    return forms;
}

json_t *shape_image(const struct model_image *image)
{
    bool is_signed = image->manifest.len > 0;
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "chip",
                     chip(image->chip), "component", component_name(image->component), "variant",
                     shape_text(image->variant), "flash_size", number_or_null(image->header_flash_size),
                     "digest", shape_hex(image->digest, 32), "raw", artifact(&image->raw), "gzip",
                     artifact(&image->gzip), "gzip_4k", artifact(&image->gzip_4k), "manifest",
                     artifact(&image->manifest), "sequence",
                     is_signed ? json_integer(image->sequence) : json_null(), "approved", image->approved,
                     "encrypted", sealed_forms(image));
}

json_t *shape_release(const struct model_release *release, const char *product)
{
    json_t *images = json_array();
    for (uint32_t i = 0; i < release->image_count; i++)
        json_array_append_new(images, shape_image(&release->images[i]));
    return json_pack("{s:I, s:o, s:o, s:I, s:s, s:b, s:b, s:I, s:o}", "id", (json_int_t)release->id,
                     "product", shape_text(product), "version", shape_text(release->version), "code",
                     (json_int_t)release->code, "channel", release->channel, "yanked", release->yanked,
                     "required", release->required, "created_ms", (json_int_t)release->created_ms, "images",
                     images);
}

/* ---- devices ---- */

static json_t *device_result(const struct model_device *device)
{
    if (device->result == MODEL_ATTEMPT_NONE) return json_null();
    return json_pack("{s:s, s:o, s:o}", "state", model_attempt_name(device->result), "release",
                     number_or_null(device->result_release_id), "reason",
                     shape_reason(device->result_reason));
}

json_t *shape_attempt(const struct model_device *device)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:I, s:o, s:o}", "state", model_attempt_name(device->attempt),
                     "release", number_or_null(device->attempt_release_id), "code",
                     number_or_null(device->announced_code), "announced_ms",
                     number_or_null(device->announced_ms), "sends", (json_int_t)device->attempt_sends,
                     "reason", shape_reason(device->attempt_reason), "result", device_result(device));
}

json_t *shape_device(const struct model_device *device, const char *product)
{
    const char *channel = device->channel[0] != '\0' ? device->channel : MODEL_CHANNEL_DEFAULT;
    json_t *json =
        json_pack("{s:s, s:o, s:o, s:b, s:b, s:o, s:s, s:s}", "id", device->id, "product",
                  shape_text(product), "channel", shape_text(channel), "held", device->held, "verified",
                  device->verified, "chip", chip(device->chip), "chip_source",
                  chip_source_name(device->chip_source), "client", model_client_name(device->client));
    if (json == NULL) return NULL;
    json_t *running = json_pack("{s:o, s:o, s:o, s:o, s:o}", "version", shape_text(device->running_version),
                                "code", number_or_null(device->running_code), "digest",
                                device->has_digest ? shape_hex(device->digest, 32) : json_null(), "size",
                                number_or_null(device->sketch_size), "core", shape_text(device->core));
    json_t *space =
        json_pack("{s:o, s:o, s:o, s:o, s:b, s:b}", "flash_size", number_or_null(device->flash_size),
                  "fs_start", number_or_null(device->fs_start), "slot_size",
                  number_or_null(device->slot_size), "free", number_or_null(device->free_space),
                  "gzip_refused", device->gz_refused, "gzip_proven", device->gz_proven);
    json_object_set_new(json, "running", running);
    json_object_set_new(json, "space", space);
    json_object_set_new(json, "attempt", shape_attempt(device));
    json_object_set_new(json, "reason", shape_reason(device->last_reason));
    json_object_set_new(json, "detail", shape_text(device->last_detail));
    json_object_set_new(json, "reason_ms", number_or_null(device->last_reason_ms));
    shape_labels(json, device);
    json_object_set_new(json, "address", shape_text(device->address));
    json_object_set_new(json, "first_seen_ms", number_or_null(device->first_seen_ms));
    json_object_set_new(json, "last_seen_ms", number_or_null(device->last_seen_ms));
    return json;
}

/* ---- files ---- */

static json_t *image_facts(const struct facts *facts)
{
    const struct molt_image_info *image = &facts->image;
    bool app = facts->inner_kind == MOLT_FILE_ESP32_APP || facts->inner_kind == MOLT_FILE_ESP8266_ARDUINO;
    if (!app || !facts->is_image) return json_null();
    bool esp32 = molt_chip_is_esp32_family(image->chip);
    json_t *json =
        json_pack("{s:o, s:I, s:o, s:b, s:b, s:o}", "chip", chip(image->chip), "size", (json_int_t)image->len,
                  "flash_size", number_or_null(image->flash_size), "has_crc", image->has_crc, "has_hash",
                  image->has_hash, "digest", shape_hex(image->digest, 32));
    if (json == NULL) return NULL;
    json_object_set_new(json, "min_revision", esp32 ? json_integer(image->min_revision) : json_null());
    json_object_set_new(json, "max_revision",
                        esp32 && image->max_revision != 0xFFFF ? json_integer(image->max_revision)
                                                               : json_null());
    json_object_set_new(json, "secure_version", esp32 ? json_integer(image->secure_version) : json_null());
    json_object_set_new(json, "version", shape_text(facts->texts.version));
    json_object_set_new(json, "project", shape_text(facts->texts.project));
    json_object_set_new(json, "idf_version", shape_text(facts->texts.idf_version));
    json_object_set_new(json, "build_date", shape_text(facts->texts.build_date));
    json_object_set_new(json, "build_time", shape_text(facts->texts.build_time));
    return json;
}

static json_t *tag_facts(const struct facts *facts)
{
    if (!facts->has_tag) return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:b}", "version", shape_text(facts->tag_version), "code",
                     number_or_null(facts->tag_code), "product", shape_text(facts->tag_product), "board",
                     shape_text(facts->tag_board), "confirms", facts->tag_confirms);
}

json_t *shape_facts(const struct facts *facts)
{
    json_t *content = json_null();
    if (facts->gzip)
        content = json_pack("{s:s, s:I, s:o, s:o}", "kind", molt_file_kind_name(facts->inner_kind), "size",
                            (json_int_t)facts->inner_len, "sha256", shape_hex(facts->inner_sha256, 32), "md5",
                            shape_hex(facts->inner_md5, 16));
    return json_pack("{s:s, s:I, s:o, s:o, s:o, s:b, s:o, s:o, s:o}", "kind",
                     molt_file_kind_name(facts->kind), "size", (json_int_t)facts->len, "sha256",
                     shape_hex(facts->sha256, 32), "md5", shape_hex(facts->md5, 16), "content", content,
                     "publishable", facts->is_image, "reason", shape_reason(facts->refusal), "image",
                     image_facts(facts), "tag", tag_facts(facts));
}
