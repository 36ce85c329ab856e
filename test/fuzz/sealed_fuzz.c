/* sealed_fuzz.c - what a stranger says of an encrypted file: a query in the first line (POST /releases), the file's length in
 * four bytes, then its manifest. Whatever is let through is within its range and what the manifest says. */
#include <jansson.h>
#include <string.h>

#include "fuzz.h"
#include "host/publish.h"
#include "manifest/manifest.h"
#include "manifest/seal.h"
#include "server/api/call.h"

#define PARAMS "encrypted identity base window flash_size min_revision max_revision molt_boot"

/* The query into sealed and options; false: refused, with an answer. */
static bool read_query(const char *text, struct publish_sealed *sealed, struct publish_options *options)
{
    static struct api api;
    static struct api_request request = {.method = "POST", .path = "/api/v1/releases"};
    static struct api_call call;
    struct api_response response = {0};
    char why[256] = "";
    memset(&call, 0, sizeof call);
    call.api = &api;
    call.request = &request;
    call.response = &response;
    if (api_query_parse(&call.query, text, PARAMS, why, sizeof why) < 0) return false;
    bool good = api_read_sealed(&call, sealed, options);
    FUZZ_CHECK(good == (response.body == NULL)); /* refused with an answer, or not */
    FUZZ_CHECK(good || response.status == 400);
    free(response.body);
    FUZZ_CHECK(!good || (options->sealed != NULL) == (api_param(&call, "encrypted") != NULL));
    return good && options->sealed != NULL;
}

static void check_form(const struct molt_manifest_component *component, const struct model_image *image,
                       const struct model_sealed *form, size_t len)
{
    static const uint8_t none[32];
    const bool is_delta = memcmp(form->base, none, sizeof none) != 0;
    FUZZ_CHECK(form->encoding <= MOLT_PACK && form->window <= 32768);
    FUZZ_CHECK(form->encoding == MOLT_GZIP ? form->window > 0 : form->window == 0 || is_delta);
    FUZZ_CHECK(!is_delta || form->encoding == MOLT_PACK);
    FUZZ_CHECK(len > 0 && len <= component->size && (form->encoding != MOLT_RAW || len == component->size));
    FUZZ_CHECK(image->raw.len == component->size);
    FUZZ_CHECK(memcmp(image->raw.sha256, component->digest, sizeof component->digest) == 0);
}

/* The one form of the COSE_Encrypt: what is read of it, written, is the same. */
static void check_info(const uint8_t *info, size_t len)
{
    struct molt_seal_parts parts;
    uint8_t again[MOLT_SEAL_LEN];
    if (!molt_seal_parse(info, len, &parts)) return;
    FUZZ_CHECK(len == MOLT_SEAL_LEN);
    molt_seal_write(parts.iv, parts.point, parts.wrapped, again);
    FUZZ_CHECK(memcmp(again, info, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[API_QUERY_MAX + 2];
    struct publish_sealed sealed;
    struct facts facts = {0};
    struct model_image image = {0};
    struct model_sealed form;
    struct molt_manifest manifest;
    char detail[256];
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    if (end == NULL || (size_t)(end - data) >= sizeof text || size - (size_t)(end - data) < 5) return 0;
    size_t line = (size_t)(end - data);
    memcpy(text, data, line);
    text[line] = '\0';
    const uint8_t *rest = end + 5;
    const size_t rest_len = size - line - 5;
    const size_t len = (size_t)end[1] << 24 | (size_t)end[2] << 16 | (size_t)end[3] << 8 | end[4];
    check_info(rest, rest_len);
    for (int fs = 0; fs < 2; fs++) {
        struct publish_options options = {
            .product = "door", .fs = fs != 0, .manifest = rest, .manifest_len = rest_len};
        if (!read_query(text, &sealed, &options)) continue;
        if (publish_sealed(&options, len, &facts, &image, &form, detail, sizeof detail) != 0) continue;
        FUZZ_CHECK(molt_manifest_read(rest, molt_manifest_end(rest, rest_len), &manifest) == 0);
        const struct molt_manifest_component *component = &manifest.component[fs];
        check_form(component, &image, &form, len);
        check_info(component->encryption, component->encryption_len);
    }
    return 0;
}
