/* sealed_publish.c - an encrypted file is published by whoever has the plain one: classified and measured here, and sent with
 * what was seen. The plain file must never leave this machine. Tests: test/e2e/sealed_test.sh. */
#include "sealed_publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gzip/inflate.h"
#include "host/pack/pack.h"
#include "load.h"
#include "molt_reason.h"
#include "output.h"
#include "util/text.h"

#define WINDOW_4K  4096u
#define WINDOW_32K 32768u

/* Does libmolt inflate it with that window? */
static bool inflates(const uint8_t *data, size_t len, uint32_t window_len)
{
    static uint8_t window[WINDOW_32K];
    struct molt_inflate inflate;
    uint8_t out[4096];
    size_t out_len;
    int rc = molt_inflate_begin(&inflate, window, window_len);
    if (rc < 0) return false;
    do
        rc = molt_inflate_step(&inflate, &data, &len, out, sizeof out, &out_len);
    while (rc == MOLT_INFLATE_MORE && (len > 0 || out_len > 0));
    return rc == MOLT_INFLATE_END;
}

/* A molt pack of the image. False when it is one of another image, or an in-place one. */
static bool describe_pack(const uint8_t *data, size_t len, const struct facts *facts,
                          struct publish_sealed *out)
{
    struct molt_pack *head = calloc(1, sizeof *head);
    bool good = head != NULL && pack_head(data, len, head) == 0 && (head->flags & MOLT_PACK_IN_PLACE) == 0 &&
                head->out_len == facts->inner_len &&
                memcmp(head->digest, facts->inner_sha256, MOLT_SHA256_LEN) == 0;
    if (good) {
        out->encoding = MOLT_PACK;
        out->body_only = (head->flags & MOLT_PACK_BODY_ONLY) != 0;
        if (head->base_len > 0) {
            memcpy(out->base, head->base_digest, sizeof out->base);
            out->window = PACK_MAP_BYTES(head->map.end[PACK_MAP_PARTS]);
        }
    }
    free(head);
    return good;
}

/* What the file that was encrypted is: the image itself, gzip or a pack of it. False: something else. */
static bool describe(const uint8_t *data, size_t len, const struct facts *facts, struct publish_sealed *out)
{
    struct facts packed;
    if (len > 4 && memcmp(data, MOLT_PACK_MAGIC, 4) == 0) return describe_pack(data, len, facts, out);
    facts_read(data, len, &packed, NULL, NULL);
    if (packed.inner_len != facts->inner_len ||
        memcmp(packed.inner_sha256, facts->inner_sha256, MOLT_SHA256_LEN) != 0)
        return false;
    out->encoding = packed.gzip ? MOLT_GZIP : MOLT_RAW;
    if (packed.gzip) out->window = inflates(data, len, WINDOW_4K) ? WINDOW_4K : WINDOW_32K;
    if (out->window == WINDOW_32K)
        output_hint(
            "warning: inflating it takes a window of 32 KB, which few devices have; molt pack needs none");
    return true;
}

/* Is the manifest of this image, and of an encrypted file? */
static bool check_manifest(const struct args *args, const uint8_t *data, size_t len, bool fs,
                           const struct facts *facts)
{
    struct molt_manifest manifest;
    const size_t end = molt_manifest_end(data, len);
    const unsigned index = fs ? 1 : 0;
    if (end == 0 || molt_manifest_read(data, end, &manifest) < 0) {
        signing_refuse(args, MOLT_MANIFEST_MALFORMED, args_value(args, "manifest"));
        return false;
    }
    const struct molt_manifest_component *component = &manifest.component[index];
    const bool is_it = index < manifest.component_count && component->size == facts->inner_len &&
                       memcmp(component->digest, facts->inner_sha256, MOLT_SHA256_LEN) == 0;
    if (is_it && component->encryption != NULL) return true;
    signing_refuse(args, MOLT_MANIFEST_MISMATCH,
                   is_it ? "the manifest is not of an encrypted file: molt sign ... --encrypt-for KEY.pub"
                         : "the manifest is of another file");
    return false;
}

/* The encrypted file and the one that it was: as long as each other. */
static bool check_files(const struct args *args, const char *plain_path, struct sealed_upload *out)
{
    const char *path = args_value(args, "encrypted");
    char detail[2 * ARGS_VALUE_LEN + 80];
    uint8_t *plain;
    size_t plain_len;
    if (!load_file(plain_path, &plain, &plain_len)) return false;
    bool good = describe(plain, plain_len, &out->facts, &out->sealed);
    if (!good) {
        snprintf(detail, sizeof detail, "%s is no image, gzip or pack of %s", plain_path, args->operands[0]);
        signing_refuse(args, MOLT_MANIFEST_MISMATCH, detail);
    }
    free(plain);
    if (!good || !load_file(path, &out->file, &out->len)) return false;
    if (out->len == plain_len) return true;
    snprintf(detail, sizeof detail,
             "%s is not the encrypted form of %s: it has another length (--packed FILE?)", path, plain_path);
    signing_refuse(args, MOLT_MANIFEST_MISMATCH, detail);
    free(out->file);
    return false;
}

bool sealed_read(const struct args *args, const uint8_t *manifest, size_t manifest_len,
                 struct sealed_upload *out)
{
    const char *component = args_value(args, "component"), *packed = args_value(args, "packed");
    const bool fs = component != NULL && strcmp(component, "fs") == 0;
    uint8_t *image;
    size_t len;
    memset(out, 0, sizeof *out);
    if (manifest_len == 0) {
        signing_refuse(args, MOLT_MANIFEST_MISSING, "--encrypted goes with --manifest FILE.suit");
        return false;
    }
    if (!signing_image(args, args->operands[0], fs, &out->facts, &image, &len)) return false;
    free(image);
    if (!check_manifest(args, manifest, manifest_len, fs, &out->facts)) return false;
    out->sealed.header_flash_size = out->facts.image.flash_size;
    out->sealed.min_revision = out->facts.image.min_revision;
    out->sealed.max_revision = out->facts.image.max_revision;
    memcpy(out->sealed.digest, fs ? out->facts.inner_sha256 : out->facts.image.digest, MOLT_SHA256_LEN);
    return check_files(args, packed != NULL ? packed : args->operands[0], out);
}

static void add_number(struct client_query *query, const char *name, uint32_t number)
{
    char text[16];
    snprintf(text, sizeof text, "%u", number);
    if (number != 0) client_query_add(query, name, text);
}

void sealed_query(const struct args *args, const struct sealed_upload *upload, struct client_query *query)
{
    static const char *const encodings[] = {[MOLT_RAW] = "raw", [MOLT_GZIP] = "gzip", [MOLT_PACK] = "pack"};
    static const uint8_t none[MOLT_SHA256_LEN];
    const struct publish_sealed *sealed = &upload->sealed;
    char hex[2 * MOLT_SHA256_LEN + 1];
    client_query_add(query, "encrypted", encodings[sealed->encoding]);
    molt_hex_encode(sealed->digest, MOLT_SHA256_LEN, hex);
    client_query_add(query, "identity", hex);
    molt_hex_encode(sealed->base, MOLT_SHA256_LEN, hex);
    if (memcmp(sealed->base, none, sizeof none) != 0) client_query_add(query, "base", hex);
    if (sealed->body_only) client_query_add(query, "molt_boot", "true");
    add_number(query, "window", sealed->window);
    add_number(query, "flash_size", sealed->header_flash_size);
    add_number(query, "min_revision", sealed->min_revision);
    add_number(query, "max_revision", sealed->max_revision);
    if (args_value(args, "version") != NULL) return;
    client_query_add(query, "version", publish_version_of(&upload->facts));
    if (args_value(args, "code") == NULL) add_number(query, "code", upload->facts.tag_code);
}
