/* static_publish.c - publishes into a folder that any web server serves. The manifest is written last: until then devices
 * see the old one, which the new image does not match, and keep what they run.
 * Must never write anything of a file that is refused. Tests: test/e2e/static_publish_test.sh. */
#include "static_publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "host/publish.h"
#include "host/sign/stock.h"
#include "load.h"
#include "output.h"
#include "sealed_publish.h"
#include "signing.h"
#include "util/text.h"

#define GZIP_WINDOW_BITS 12 /* 4 KB: what libmolt inflates with */
#define PATH_LEN         (ARGS_VALUE_LEN + MODEL_NAME_LEN + 16)

/* One publishing under way. */
struct job {
    struct args *args;
    const char *dir, *name, *product;
    struct facts facts;  /* of the image, as devices will run it */
    uint8_t *image, *gz; /* the file that is served, and its gzip form; gz NULL: there is none */
    size_t image_len, gz_len;
    bool is_sealed, is_stock_signed; /* the file is encrypted; signed as another tool does it */
    uint32_t code;
    uint8_t manifest[MOLT_STATEMENT_MAX];
    size_t manifest_len; /* 0: not signed */
};

static void path_of(const struct job *job, const char *suffix, char out[PATH_LEN])
{
    snprintf(out, PATH_LEN, "%s/%s%s", job->dir, job->name, suffix);
}

static int take_code(struct job *job)
{
    uint64_t code = 0;
    const char *version = args_value(job->args, "version");
    uint32_t from_version = 0;
    if (args_number(job->args, "code", 1, 2147483647, &code) < 0)
        return command_usage_error(&command_publish, "%s", job->args->error);
    job->code = (uint32_t)code;
    if (job->code == 0 && version == NULL) job->code = job->facts.tag_code;
    if (job->code == 0 && version == NULL && job->facts.tag_version[0] != '\0')
        version = job->facts.tag_version;
    if (job->code != 0) return EXIT_GOOD;
    if (version == NULL) return signing_refuse(job->args, MOLT_VERSION_NEEDED, "");
    int rc = facts_version_code(version, &from_version);
    if (rc < 0) return signing_refuse(job->args, -rc, version);
    job->code = from_version;
    return EXIT_GOOD;
}

static int load_manifest(struct job *job)
{
    const char *path = args_value(job->args, "manifest");
    if (path == NULL) return EXIT_GOOD;
    if (args_value(job->args, "key") == NULL)
        return command_usage_error(&command_publish,
                                   "--key is missing: the public key that --manifest is signed by");
    if (args_has(job->args, "trust"))
        return command_usage_error(&command_publish,
                                   "--trust and --manifest are for different clients: use two names");
    return signing_envelope(job->args, path, job->manifest, &job->manifest_len) ? EXIT_GOOD : EXIT_PROBLEM;
}

static int check_manifest(struct job *job)
{
    const char *path = args_value(job->args, "manifest"), *approver_path = args_value(job->args, "approver");
    uint8_t keys[1][MOLT_KEY_LEN], approver[1][MOLT_KEY_LEN];
    char err[SIGN_ERROR_LEN] = "";
    struct molt_manifest manifest;
    if (path == NULL) return EXIT_GOOD;
    int rc = sign_public_load(args_value(job->args, "key"), keys[0], err);
    if (rc == 0 && approver_path != NULL) rc = sign_public_load(approver_path, approver[0], err);
    if (rc < 0) return signing_refuse(job->args, -rc, err);
    rc = sign_check(job->manifest, job->manifest_len, (const uint8_t(*)[MOLT_KEY_LEN])keys, 1, job->product,
                    job->facts.image.chip, &manifest);
    if (rc == 0 && approver_path != NULL)
        rc = sign_check_approval(job->manifest, job->manifest_len, (const uint8_t(*)[MOLT_KEY_LEN])approver,
                                 1, NULL);
    if (rc < 0) return signing_refuse(job->args, -rc, path);
    if (manifest.component[0].size != job->facts.inner_len ||
        memcmp(manifest.component[0].digest, job->facts.inner_sha256, MOLT_SHA256_LEN) != 0)
        return signing_refuse(job->args, MOLT_MANIFEST_MISMATCH, path);
    if ((manifest.component[0].encryption != NULL) != job->is_sealed)
        return signing_refuse(job->args, MOLT_MANIFEST_MISMATCH,
                              job->is_sealed ? "the manifest is not of an encrypted file"
                                             : "the manifest is of an encrypted file: --encrypted FILE.enc");
    return EXIT_GOOD;
}

/* A file that another tool signed, verified by --trust: it is served as it is, the stock client verifies it, too. */
static int read_stock_signed(struct job *job)
{
    uint8_t key[STOCK_KEY_MAX];
    const uint8_t *content;
    size_t key_len, len;
    char err[SIGN_ERROR_LEN] = "";
    int rc = stock_public_load(args_value(job->args, "trust"), key, &key_len, err);
    if (rc < 0) return signing_refuse(job->args, -rc, err);
    if (!load_file(job->args->operands[0], &job->image, &job->image_len)) return EXIT_PROBLEM;
    if (stock_unsign(key, key_len, job->image, job->image_len, &content, &len) == STOCK_NONE)
        return signing_refuse(job->args, MOLT_IMAGE_SIGNED, "it does not verify by the key of --trust");
    facts_read(content, len, &job->facts, NULL, NULL);
    if (!job->facts.is_image) return signing_refuse(job->args, job->facts.refusal, job->facts.detail);
    job->is_stock_signed = true;
    return EXIT_GOOD;
}

static int read_files(struct job *job)
{
    struct sealed_upload sealed;
    if (args_has(job->args, "trust")) return read_stock_signed(job);
    if (!args_has(job->args, "encrypted"))
        return signing_image(job->args, job->args->operands[0], false, &job->facts, &job->image,
                             &job->image_len)
                   ? EXIT_GOOD
                   : EXIT_PROBLEM;
    if (!sealed_read(job->args, job->manifest, job->manifest_len, &sealed)) return EXIT_PROBLEM;
    job->is_sealed = true;
    job->facts = sealed.facts;
    job->image = sealed.file;
    job->image_len = sealed.len;
    return EXIT_GOOD;
}

/* Whole small or large file, NULL when it is not there. */
static uint8_t *read_old(const struct job *job, const char *suffix, size_t *len)
{
    char path[PATH_LEN];
    uint8_t *data = NULL;
    path_of(job, suffix, path);
    return facts_load_file(path, &data, len) == 0 ? data : NULL;
}

/* What is there must be older, or the same image again (a publishing that was cut short). */
static int check_order(struct job *job)
{
    size_t len = 0, bin_len = 0;
    uint32_t old = 0;
    char detail[96];
    uint8_t *version = read_old(job, ".version", &len);
    if (version == NULL) return EXIT_GOOD;
    while (len > 0 && (version[len - 1] == '\n' || version[len - 1] == '\r'))
        len--;
    bool known = molt_text_to_u32((const char *)version, len, 2147483647, &old);
    free(version);
    if (!known || job->code > old) return EXIT_GOOD;
    uint8_t *bin = read_old(job, ".bin", &bin_len);
    bool same = bin != NULL && bin_len == job->image_len && memcmp(bin, job->image, bin_len) == 0;
    free(bin);
    if (same && job->code == old) return EXIT_GOOD;
    snprintf(detail, sizeof detail, "code %u is not above %u, which is there", job->code, old);
    return signing_refuse(job->args, MOLT_OLDER_CODE, detail);
}

static bool write_one(const struct job *job, const char *suffix, const void *data, size_t len)
{
    char path[PATH_LEN];
    path_of(job, suffix, path);
    return signing_write(job->args, path, data, len);
}

/* An old manifest or gzip file beside a new image would only lie. */
static bool drop(const struct job *job, const char *suffix)
{
    char path[PATH_LEN];
    path_of(job, suffix, path);
    return remove(path) == 0 || errno == ENOENT;
}

static int write_all(struct job *job)
{
    char version[16];
    int version_len = snprintf(version, sizeof version, "%u\n", job->code);
    bool ok = (job->gz != NULL ? write_one(job, ".bin.gz", job->gz, job->gz_len) : drop(job, ".bin.gz")) &&
              write_one(job, ".bin", job->image, job->image_len) &&
              write_one(job, ".version", version, (size_t)version_len);
    if (ok && job->manifest_len > 0)
        ok = write_one(job, ".suit", job->manifest, job->manifest_len);
    else if (ok && !drop(job, ".suit"))
        return signing_refuse(job->args, MOLT_STORE_FAILED, "the old manifest cannot be removed");
    return ok ? EXIT_GOOD : EXIT_PROBLEM;
}

static void say(const struct job *job)
{
    char path[PATH_LEN];
    path_of(job, "", path);
    if (args_has(job->args, "json")) {
        json_t *json = json_pack("{s:s, s:s, s:I, s:b, s:b}", "path", path, "chip",
                                 molt_chip_name(job->facts.image.chip), "code", (json_int_t)job->code,
                                 "signed", job->manifest_len > 0, "encrypted", job->is_sealed);
        output_json(json);
        json_decref(json);
        return;
    }
    printf("published %s.version, .bin%s%s: code %u for %s%s\n", path, job->gz != NULL ? ", .bin.gz" : "",
           job->manifest_len > 0 ? ", .suit" : "", job->code, molt_chip_name(job->facts.image.chip),
           job->is_sealed ? ", encrypted" : "");
    if (job->is_stock_signed)
        output_hint("signed for stock clients: devices with molt and a trusted key want a manifest, under "
                    "another name");
    else if (job->manifest_len == 0)
        output_hint("it is not signed: devices with a trusted key will refuse it");
}

static int check_names(struct job *job)
{
    static const char *const meaningless[] = {"channel", "variant", "component", "adopt",
                                              "server",  "data",    "token"};
    for (size_t i = 0; i < sizeof meaningless / sizeof meaningless[0]; i++) {
        if (args_has(job->args, meaningless[i]))
            return command_usage_error(&command_publish, "--%s has no meaning with --static", meaningless[i]);
    }
    if (!publish_name_ok(job->product)) return signing_refuse(job->args, MOLT_NAME_INVALID, job->product);
    if (job->name == NULL) job->name = job->product;
    if (!publish_name_ok(job->name)) return signing_refuse(job->args, MOLT_NAME_INVALID, job->name);
    return EXIT_GOOD;
}

int static_publish(struct args *args)
{
    struct job job = {.args = args,
                      .dir = args_value(args, "static"),
                      .name = args_value(args, "name"),
                      .product = args_value(args, "product")};
    const char *chip = args_value(args, "chip");
    int status = check_names(&job);
    if (status != EXIT_GOOD) return status;
    status = load_manifest(&job);
    if (status == EXIT_GOOD) status = read_files(&job);
    if (status == EXIT_GOOD && chip != NULL && strcmp(chip, molt_chip_name(job.facts.image.chip)) != 0)
        status = signing_refuse(args, MOLT_WRONG_CHIP, molt_chip_name(job.facts.image.chip));
    if (status == EXIT_GOOD) status = take_code(&job);
    if (status == EXIT_GOOD) status = check_manifest(&job);
    if (status == EXIT_GOOD) status = check_order(&job);
    if (status == EXIT_GOOD && !job.is_sealed && !job.is_stock_signed &&
        facts_gzip(job.image, job.image_len, GZIP_WINDOW_BITS, &job.gz, &job.gz_len) < 0)
        status = signing_refuse(args, MOLT_NO_MEMORY, "");
    if (status == EXIT_GOOD) status = write_all(&job);
    if (status == EXIT_GOOD) say(&job);
    free(job.image);
    free(job.gz);
    return status;
}
