/* publish.c - POST /releases: a file in the body, what it is in the query; checked and stored by host/publish.h, or
 * refused and nothing stored. Tests: test/unit/api_test.c. */
#include "call.h"
#include "shapes.h"

#include <stdio.h>
#include <string.h>

#include "host/publish.h"
#include "host/sign/stock.h"
#include "molt_reason.h"
#include "manifest/manifest.h"
#include "util/text.h"

/* A yes or no in the query. False after replying. */
static bool read_flag(struct api_call *call, const char *name, bool *flag)
{
    const char *value = api_param(call, name);
    *flag = value != NULL && strcmp(value, "true") == 0;
    if (value == NULL || *flag || strcmp(value, "false") == 0) return true;
    api_refuse(call, MOLT_REQUEST_INVALID, "'%s' must be true or false", name);
    return false;
}

static bool read_options(struct api_call *call, struct publish_options *options)
{
    const char *chip = api_param(call, "chip"), *component = api_param(call, "component");
    uint64_t code = 0;
    options->product = api_param(call, "product");
    options->version = api_param(call, "version");
    options->channel = api_param(call, "channel");
    options->variant = api_param(call, "variant");
    if (options->product == NULL) {
        api_refuse(call, MOLT_REQUEST_INVALID, "the query parameter 'product' is missing");
        return false;
    }
    if (api_param_number(call, "code", 1, 2147483647, &code) < 0) return false;
    options->code = (uint32_t)code;
    if (chip != NULL) {
        options->chip = molt_chip_from_name(chip);
        if (options->chip == MOLT_CHIP_UNKNOWN) {
            api_refuse(call, MOLT_REQUEST_INVALID, "'%s' is no chip: esp8266, esp32, esp32s3, esp32c3 ...",
                       chip);
            return false;
        }
    }
    options->fs = component != NULL && strcmp(component, "fs") == 0;
    if (component != NULL && !options->fs && strcmp(component, "app") != 0) {
        api_refuse(call, MOLT_REQUEST_INVALID, "'component' must be app or fs");
        return false;
    }
    return read_flag(call, "adopt", &options->adopt);
}

/* ---- what happens next ---- */

struct audience {
    int64_t product_id;
    enum molt_chip chip;
    uint64_t assigned, unassigned;
};

static int audience_row(void *ctx, const struct model_device *device, const struct census_alike *alike)
{
    struct audience *audience = ctx;
    bool may_run = device->chip == MOLT_CHIP_UNKNOWN || device->chip == audience->chip;
    if (may_run && device->product_id == audience->product_id) audience->assigned += alike->count;
    if (may_run && device->product_id == 0) audience->unassigned += alike->count;
    return 0;
}

static void say_next(struct api_call *call, const struct publish_result *result, bool adopt, char *next,
                     size_t cap)
{
    struct model_product product;
    struct audience audience = {.chip = result->image.chip};
    if (store_product_find(call->api->store, result->product, &product) == 0)
        audience.product_id = product.id;
    const struct census_ages ages = {.now_ms = api_now_ms()};
    (void)api_each_kind(call, NULL, &ages, audience_row,
                        &audience); /* a count that is short is still a good hint */
    const char *chip = molt_chip_name(result->image.chip);
    char adopter[MODEL_NAME_LEN];
    if (adopt || (store_adopter(call->api->store, result->image.chip, adopter) == 0 &&
                  strcmp(adopter, result->product) == 0))
        snprintf(next, cap, "every %s that has no product gets %s at its next poll", chip, result->product);
    else if (audience.assigned > 0)
        snprintf(next, cap, "%llu device%s of product %s will be offered it at the next poll",
                 (unsigned long long)audience.assigned, audience.assigned == 1 ? "" : "s", result->product);
    else if (audience.unassigned > 0)
        snprintf(
            next, cap,
            "no %s has product %s yet, %llu without a product may be meant: molt device set ID --product %s",
            chip, result->product, (unsigned long long)audience.unassigned, result->product);
    else
        snprintf(next, cap, "no %s has product %s yet; once one has asked: molt device set ID --product %s",
                 chip, result->product, result->product);
}

static void reply_published(struct api_call *call, const struct publish_result *result, bool adopt)
{
    char next[320];
    say_next(call, result, adopt, next, sizeof next);
    json_t *warnings = json_array();
    for (uint32_t i = 0; i < result->warning_count && i < PUBLISH_WARNINGS; i++)
        json_array_append_new(warnings, shape_text(result->warnings[i]));
    api_reply(call, 201,
              json_pack("{s:I, s:s, s:s, s:I, s:s, s:s, s:b, s:o, s:o, s:s}", "release",
                        (json_int_t)result->release_id, "product", result->product, "version",
                        result->version, "code", (json_int_t)result->code, "channel", result->channel,
                        "signed_as", result->signed_as, "adopted", adopt, "image",
                        shape_image(&result->image), "warnings", warnings, "next", next));
}

/* The manifest, in hex in the query. False after replying. */
static bool read_manifest(struct api_call *call, uint8_t out[MOLT_STATEMENT_MAX],
                          struct publish_options *options)
{
    const char *hex = api_param(call, "manifest");
    if (hex == NULL) return true;
    size_t digits = strlen(hex);
    if (digits == 0 || digits % 2 != 0 || digits / 2 > MOLT_STATEMENT_MAX ||
        !molt_hex_decode(hex, digits, out, digits / 2)) {
        api_refuse(call, MOLT_REQUEST_INVALID, "'manifest' must be the manifest in hex digits");
        return false;
    }
    options->manifest = out;
    options->manifest_len = digits / 2;
    return true;
}

/* The key of a file that another tool signed, in Base64 in the query. False after replying. */
static bool read_signer(struct api_call *call, uint8_t out[STOCK_KEY_MAX], struct publish_options *options)
{
    const char *text = api_param(call, "signer");
    if (text == NULL) return true;
    size_t len = stock_key_decode(text, out);
    if (len == 0) {
        api_refuse(call, MOLT_REQUEST_INVALID, "'signer' must be a SubjectPublicKeyInfo in Base64");
        return false;
    }
    options->signer = out;
    options->signer_len = len;
    return true;
}

void api_releases_publish(struct api_call *call)
{
    struct publish_options options = {0};
    struct publish_sealed sealed;
    struct publish_result result;
    uint8_t manifest[MOLT_STATEMENT_MAX], signer[STOCK_KEY_MAX];
    if (!read_options(call, &options) || !read_manifest(call, manifest, &options) ||
        !read_signer(call, signer, &options) || !api_read_sealed(call, &sealed, &options))
        return;
    int rc = publish_file(call->api->store, call->request->body, call->request->body_len, &options, &result);
    if (rc < 0) {
        api_refuse(call, result.reason, "%s", result.detail);
        return;
    }
    const struct api_hooks *hooks = &call->api->hooks;
    if (hooks->rules_changed != NULL) hooks->rules_changed(hooks->ctx);
    reply_published(call, &result, options.adopt);
}
