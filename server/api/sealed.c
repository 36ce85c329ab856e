/* sealed.c - what the query of POST /releases says of an encrypted file: which packing is inside, and what the image is; the
 * manifest says the rest. Must never let a value out of its range through. Tests: test/e2e/sealed_test.sh. */
#include "call.h"

#include <string.h>

#include "host/publish.h"
#include "molt_reason.h"
#include "util/text.h"

/* 32 bytes in hex digits, zeros when the parameter is absent. False after replying. */
static bool read_digest(struct api_call *call, const char *name, uint8_t out[32])
{
    const char *hex = api_param(call, name);
    memset(out, 0, 32);
    if (hex == NULL) return true;
    if (strlen(hex) == 64 && molt_hex_decode(hex, 64, out, 32)) return true;
    api_refuse(call, MOLT_REQUEST_INVALID, "'%s' must be 64 hex digits", name);
    return false;
}

static bool read_number(struct api_call *call, const char *name, uint64_t max, uint64_t *number)
{
    *number = 0;
    return api_param_number(call, name, 0, max, number) == 0;
}

static bool read_encoding(struct api_call *call, const char *text, enum molt_encoding *encoding)
{
    static const char *const names[] = {[MOLT_RAW] = "raw", [MOLT_GZIP] = "gzip", [MOLT_PACK] = "pack"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        *encoding = (enum molt_encoding)i;
        if (strcmp(names[i], text) == 0) return true;
    }
    api_refuse(call, MOLT_REQUEST_INVALID, "'encrypted' must be raw, gzip or pack: what decrypting gives");
    return false;
}

bool api_read_sealed(struct api_call *call, struct publish_sealed *out, struct publish_options *options)
{
    const char *encrypted = api_param(call, "encrypted"), *boot = api_param(call, "molt_boot");
    uint64_t window, flash_size, min_revision, max_revision;
    memset(out, 0, sizeof *out);
    if (encrypted == NULL) return true;
    if (!read_encoding(call, encrypted, &out->encoding) || !read_digest(call, "identity", out->digest) ||
        !read_digest(call, "base", out->base) || !read_number(call, "window", 32768, &window) ||
        !read_number(call, "flash_size", 1u << 30, &flash_size) ||
        !read_number(call, "min_revision", UINT16_MAX, &min_revision) ||
        !read_number(call, "max_revision", UINT16_MAX, &max_revision))
        return false;
    if (!options->fs && api_param(call, "identity") == NULL) {
        api_refuse(call, MOLT_REQUEST_INVALID, "'identity' is missing: of the image that is encrypted");
        return false;
    }
    out->body_only = boot != NULL && strcmp(boot, "true") == 0;
    out->window = (uint32_t)window;
    out->header_flash_size = (uint32_t)flash_size;
    out->min_revision = (uint16_t)min_revision;
    out->max_revision = (uint16_t)max_revision;
    options->sealed = out;
    return true;
}
