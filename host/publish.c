/* publish.c - from a file to a release.
 * Must never store anything of a file that is refused. Tests: test/unit/publish_test.c. */
#include "publish.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sign/stock.h"

#define ARDUINO_PROJECT "arduino-lib-builder" /* the core's libraries: their version is not the sketch's */

/* One publishing under way. */
struct job {
    struct store *store;
    const struct publish_options *options;
    struct publish_result *result;
    const uint8_t *content; /* the image: the file, or what was in it */
    size_t len;
};

static const char *given(const char *text)
{
    return text != NULL && *text != '\0' ? text : NULL;
}

static int refuse(struct job *job, int reason, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int refuse(struct job *job, int reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(job->result->detail, sizeof job->result->detail, format, args);
    va_end(args);
    job->result->reason = reason;
    return -reason;
}

static void warn(struct job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void warn(struct job *job, const char *format, ...)
{
    struct publish_result *result = job->result;
    if (result->warning_count == PUBLISH_WARNINGS) return;
    va_list args;
    va_start(args, format);
    vsnprintf(result->warnings[result->warning_count++], sizeof result->warnings[0], format, args);
    va_end(args);
}

/* ---- names and version ---- */

bool publish_name_ok(const char *text)
{
    size_t len = strnlen(text, MODEL_NAME_LEN);
    if (len == 0 || len == MODEL_NAME_LEN || !isalnum((unsigned char)text[0])) return false;
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr(".-_", text[i]) == NULL) return false;
    }
    return true;
}

static bool version_ok(const char *text)
{
    size_t len = strnlen(text, MODEL_NAME_LEN);
    if (len == 0 || len == MODEL_NAME_LEN || text[0] == ' ' || text[len - 1] == ' ') return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] > 0x7E) return false;
    }
    return true;
}

/* Copies a text that was checked to fit. */
static void keep(char to[MODEL_NAME_LEN], const char *text)
{
    memcpy(to, text, strlen(text) + 1);
}

static int take_names(struct job *job)
{
    const char *product = given(job->options->product), *channel = given(job->options->channel);
    if (product == NULL) return refuse(job, MOLT_NAME_INVALID, "the product's name is missing");
    if (!publish_name_ok(product)) return refuse(job, MOLT_NAME_INVALID, "product \"%.64s\"", product);
    if (channel == NULL) channel = MODEL_CHANNEL_DEFAULT;
    if (!publish_name_ok(channel)) return refuse(job, MOLT_NAME_INVALID, "channel \"%.64s\"", channel);
    keep(job->result->product, product);
    keep(job->result->channel, channel);
    return 0;
}

const char *publish_version_of(const struct facts *facts)
{
    if (facts->tag_version[0] != '\0') return facts->tag_version;
    if (strcmp(facts->texts.project, ARDUINO_PROJECT) == 0) return NULL;
    return given(facts->texts.version);
}

static int take_version(struct job *job)
{
    const struct facts *facts = &job->result->facts;
    const char *version = given(job->options->version);
    uint32_t code = job->options->code;
    if (version == NULL) {
        version = publish_version_of(facts);
        if (code == 0) code = facts->tag_code;
    }
    if (version == NULL) return refuse(job, MOLT_VERSION_NEEDED, "%s", "");
    if (!version_ok(version)) {
        return refuse(job, MOLT_NAME_INVALID, "a version is 1 to 64 printable characters, not \"%.64s\"",
                      version);
    }
    keep(job->result->version, version);

    uint32_t said = 0;
    int rc = facts_version_code(version, &said);
    const bool number = version[strspn(version, "0123456789")] == '\0';
    if (number && rc == 0 && code != 0 && code != said)
        return refuse(job, MOLT_CODE_RANGE, "version %s is a number, so its code is %s, not %u", version,
                      version, code);
    if (rc == -MOLT_CODE_NEEDED && code == 0) code = facts->tag_code;
    if (code != 0 && !number) rc = 0;
    if (code == 0) code = said;
    if (rc < 0) return refuse(job, -rc, "version \"%s\"", version);
    if (code > 2147483647u) return refuse(job, MOLT_CODE_RANGE, "code %u", code);
    job->result->code = code;
    return 0;
}

/* ---- chip, component, variant ---- */

static int take_filesystem(struct job *job)
{
    struct model_image *image = &job->result->image;
    image->component = MODEL_FS;
    image->chip = job->options->chip;
    if (image->chip == MOLT_CHIP_UNKNOWN) return refuse(job, MOLT_CHIP_NEEDED, "%s", "");
    return 0;
}

static int take_application(struct job *job)
{
    struct model_image *image = &job->result->image;
    const struct facts *facts = &job->result->facts;
    if (facts->refusal == MOLT_IMAGE_SIGNED)
        return refuse(job, MOLT_IMAGE_SIGNED, "%s; %s", facts->detail,
                      job->options->signer != NULL ? "it is not the given key's (--trust)"
                                                   : "name the public key that it verifies by: --trust FILE");
    if (!facts->is_image) return refuse(job, facts->refusal, "%s", facts->detail);
    image->component = MODEL_APP;
    image->chip = facts->image.chip;
    if (job->options->chip != MOLT_CHIP_UNKNOWN && job->options->chip != image->chip) {
        return refuse(job, MOLT_WRONG_CHIP, "the image is for %s, not for %s", molt_chip_name(image->chip),
                      molt_chip_name(job->options->chip));
    }
    return 0;
}

static int take_component(struct job *job)
{
    const struct facts *facts = &job->result->facts;
    if (job->options->sealed != NULL) return 0; /* publish_sealed() did */
    bool looks_fs = facts->is_image && facts->image.chip == MOLT_CHIP_UNKNOWN;
    if (job->options->fs && facts->is_image && !looks_fs) {
        return refuse(job, MOLT_REQUEST_INVALID, "the file is an application, not a file system");
    }
    /* A file system that molt does not know looks like nothing at all; an ELF or a web page is none. */
    if (job->options->fs && facts->inner_kind == MOLT_FILE_UNKNOWN && facts->inner_len > 0) looks_fs = true;
    return looks_fs ? take_filesystem(job) : take_application(job);
}

static int take_variant(struct job *job)
{
    struct model_image *image = &job->result->image;
    const char *variant = job->options->variant != NULL ? job->options->variant : "";
    uint32_t header = job->result->facts.image.flash_size;
    int rc = publish_variant(variant, image);
    if (rc < 0)
        return refuse(job, -rc, "variant \"%.64s\": an %s takes %s", variant, molt_chip_name(image->chip),
                      image->chip == MOLT_CHIP_ESP8266 ? "a flash layout (4M2M) or a flash size (4M)"
                                                       : "a flash size (4M) or a revision (rev3)");
    if (image->component == MODEL_APP && image->variant_flash_size != 0 &&
        header > image->variant_flash_size) {
        return refuse(job, MOLT_FLASH_SIZE, "the image's header says %u KB of flash, variant %s has %u KB",
                      header / 1024, variant, image->variant_flash_size / 1024);
    }
    return 0;
}

/* ---- warnings ---- */

static bool has_text(const uint8_t *data, size_t len, const char *text)
{
    size_t text_len = strlen(text);
    for (size_t at = 0; len - at >= text_len;) {
        const uint8_t *hit = memchr(data + at, text[0], len - at - text_len + 1);
        if (hit == NULL) return false;
        if (memcmp(hit, text, text_len) == 0) return true;
        at = (size_t)(hit - data) + 1;
    }
    return false;
}

/* A label that is not what was compiled in makes devices update for ever: say so while somebody is looking. */
static void look_for_trouble(struct job *job)
{
    const struct publish_result *result = job->result;
    const struct facts *facts = &result->facts;
    if (result->image.component != MODEL_APP || result->image.chip == MOLT_CHIP_LINUX) return;
    if (job->options->sealed != NULL) return; /* nothing can be seen */
    bool there = facts_has_code(job->content, job->len, result->code);
    if (!there && job->options->code == 0) there = has_text(job->content, job->len, result->version);
    if (!there) {
        warn(job, "code %u stands nowhere in the image: is version %s the one compiled in?", result->code,
             result->version);
    }
    if (facts->tag_code != 0 && facts->tag_code != result->code) {
        warn(job, "the image's tag says code %u, it is published as code %u", facts->tag_code, result->code);
    }
    if (facts->tag_product[0] != '\0' && strcmp(facts->tag_product, result->product) != 0) {
        warn(job, "the image's tag says product %s, it is published as product %s", facts->tag_product,
             result->product);
    }
}

/* A second product for the chip ends the adoption: who counts on it must hear that. */
static void look_for_adopter(struct job *job)
{
    const struct publish_result *result = job->result;
    char adopter[MODEL_NAME_LEN];
    if (store_adopter(job->store, result->image.chip, adopter) < 0 || strcmp(adopter, result->product) == 0)
        return;
    warn(job, "from now on no product adopts unknown devices of %s: %s did, and is not alone any more",
         molt_chip_name(result->image.chip), adopter);
}

/* ---- all of it ---- */

static int prepare(struct job *job)
{
    int rc = take_names(job);
    if (rc == 0) rc = take_component(job);
    if (rc == 0) rc = take_version(job);
    if (rc == 0) rc = take_variant(job);
    return rc;
}

static int refuse_store(struct job *job, int rc)
{
    return refuse(job, -rc, "%s", rc == -MOLT_NO_MEMORY ? "" : store_error(job->store));
}

/* The encrypted file, as it is. */
static int put_sealed(struct job *job)
{
    struct publish_result *result = job->result;
    result->form.manifest = result->image.manifest;
    return store_artifact_put(job->store, job->content, job->len, &result->form.file);
}

static int commit(struct job *job)
{
    struct publish_result *result = job->result;
    struct model_image *image = &result->image;
    bool adopt = job->options->adopt;
    memcpy(image->raw.sha256, result->facts.inner_sha256, sizeof image->raw.sha256);
    int rc = publish_manifest(job->store, result->product, job->options->manifest, job->options->manifest_len,
                              &result->facts, image, result->detail, sizeof result->detail);
    if (rc < 0) {
        result->reason = -rc;
        return rc;
    }
    if (image->manifest.len > 0)
        EVP_Digest(job->options->manifest, image->manifest.len, image->manifest.sha256, NULL, EVP_sha256(),
                   NULL);
    rc = store_publish_check(job->store, result->product, result->version, result->code, result->channel,
                             adopt, image);
    if (rc < 0) return refuse_store(job, rc);
    if (image->manifest.len > 0)
        rc = store_artifact_put(job->store, job->options->manifest, job->options->manifest_len,
                                &image->manifest);
    if (rc == 0 && image->sealed_count > 0)
        rc = put_sealed(job);
    else if (rc == 0)
        rc = publish_image(job->store, job->content, job->len, &result->facts, image);
    if (rc < 0) return refuse_store(job, rc);
    rc = store_publish(job->store, result->product, result->version, result->code, result->channel, adopt,
                       image, &result->release_id);
    free(image->md5_variants);
    image->md5_variants = NULL;
    image->md5_variant_count = 0;
    if (rc < 0) return refuse_store(job, rc);
    image->release_id = result->release_id;
    return 0;
}

/* Whose signature is around the image? Its place is taken by what was signed, when a key that counts verifies it. */
static enum stock_format unsign(const struct job *job, const uint8_t **content, size_t *content_len)
{
    const struct publish_options *options = job->options;
    uint8_t keys[STORE_TRUST_MAX][STORE_KEY_LEN], key[STOCK_KEY_MAX];
    uint32_t count = 0;
    enum stock_format format = STOCK_NONE;
    if (options->signer != NULL)
        return stock_unsign(options->signer, options->signer_len, job->content, job->len, content,
                            content_len);
    if (given(options->product) == NULL ||
        store_trust_list(job->store, options->product, STORE_TRUST_SIGNER, keys, &count) < 0)
        return STOCK_NONE;
    for (uint32_t i = 0; i < count && format == STOCK_NONE; i++)
        format = stock_unsign(key, stock_public_of_point(keys[i], key), job->content, job->len, content,
                              content_len);
    return format;
}

/* Reads the file; *inflated: of a gzip file. */
static void read_file(struct job *job, uint8_t **inflated)
{
    struct publish_result *result = job->result;
    const uint8_t *content;
    size_t len, inflated_len = 0;
    facts_read(job->content, job->len, &result->facts, inflated, &inflated_len);
    if (result->facts.refusal == MOLT_IMAGE_SIGNED) {
        enum stock_format format = unsign(job, &content, &len);
        if (format != STOCK_NONE) {
            free(*inflated);
            *inflated = NULL;
            job->content = content;
            job->len = len;
            result->signed_as = stock_format_name(format);
            facts_read(content, len, &result->facts, inflated, &inflated_len);
        }
    }
    if (*inflated == NULL) return;
    job->content = *inflated;
    job->len = inflated_len;
}

int publish_file(struct store *store, const uint8_t *data, size_t len, const struct publish_options *options,
                 struct publish_result *result)
{
    uint8_t *inflated = NULL;
    memset(result, 0, sizeof *result);
    result->signed_as = "";
    struct job job = {.store = store, .options = options, .result = result, .content = data, .len = len};
    int rc = 0;
    if (options->sealed == NULL)
        read_file(&job, &inflated);
    else
        rc = publish_sealed(options, len, &result->facts, &result->image, &result->form, result->detail,
                            sizeof result->detail);
    result->reason = -rc;
    if (rc == 0) rc = prepare(&job);
    if (rc == 0) {
        look_for_trouble(&job);
        look_for_adopter(&job);
        rc = commit(&job);
    }
    free(inflated);
    return rc;
}
