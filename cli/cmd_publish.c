/* cmd_publish.c - `molt publish FILE` and `--watch DIR`: reads the file, hands it to the API, says what was stored and what comes next.
 * The checks are the API's: nothing is decided here. Tests: test/e2e/cli_test.sh. */
#include <stdio.h>
#include <stdlib.h>

#include "client.h"
#include "command.h"
#include "host/sign/stock.h"
#include "load.h"
#include "output.h"
#include "publish_watch.h"
#include "sealed_publish.h"
#include "signing.h"
#include "static_publish.h"
#include "util/text.h"

static const struct args_option options[] = {
    {"product", "NAME", "product that the file is for (required)", 0},
    {"version", "TEXT", "version for people; read from the image when it is there", 0},
    {"code", "N", "version code, 1 to 2147483647; made from the version when it is N or x.y.z", 0},
    {"channel", "NAME", "channel (default: stable)", 0},
    {"variant", "TEXT", "only for this flash layout (4M2M), flash size (4M) or chip revision (rev3)", 0},
    {"chip", "CHIP", "the chip: needed for file systems, else a check", 0},
    {"component", "app|fs", "firmware, or a file-system image (default: app)", 0},
    {"adopt", NULL, "devices that nobody assigned get this product, when they are of this chip", 0},
    {"manifest", "FILE", "the manifest that `molt sign` wrote: needed when the product trusts a key", 0},
    {"encrypted", "FILE",
     "send this in place of FILE: what `molt sign --encrypt-for` made of it; FILE stays here", 0},
    {"packed", "FILE", "with --encrypted: the gzip file or pack (molt pack) of FILE that was encrypted", 0},
    {"trust", "FILE",
     "the file is signed as other tools do it: verify it by this public key, publish what was signed", 0},
    {"watch", "DIR", "in place of FILE: publish each .bin that a build leaves in this folder, until Ctrl-C",
     0},
    {"static", "DIR", "write NAME.version, .bin, .bin.gz and .suit into a folder of any web server instead",
     0},
    {"name", "NAME", "with --static: the devices' id (default: the product)", 0},
    {"key", "FILE", "with --static and --manifest: the public key that it is signed by", 0},
    {"approver", "FILE", "with --static and --manifest: the second person's public key", 0},
    COMMAND_WHERE,
    {0},
};

static void print_published(const json_t *answer)
{
    const json_t *image = json_object_get(answer, "image"), *raw = json_object_get(image, "raw");
    char size[64], title[300], release[32];
    printf("published\n");
    snprintf(title, sizeof title, "%s %s (code %lld), channel %s", client_text(answer, "product"),
             client_text(answer, "version"), (long long)client_integer(answer, "code"),
             client_text(answer, "channel"));
    snprintf(release, sizeof release, "%lld", (long long)client_integer(answer, "release"));
    output_field("  release", title);
    output_field("  release id", release);
    output_field("  chip", client_text(image, "chip"));
    output_field("  variant", client_text(image, "variant"));
    output_field("  component", client_text(image, "component"));
    output_field("  size", output_size(size, sizeof size, (uint64_t)client_integer(raw, "size")));
    output_field("  sha256", client_text(raw, "sha256"));
    if (json_is_integer(json_object_get(image, "sequence"))) {
        snprintf(title, sizeof title, "yes, sequence %lld", (long long)client_integer(image, "sequence"));
        output_field("  signed", title);
    }
    if (json_is_true(json_object_get(image, "approved"))) output_field("  approved", "yes");
    if (json_is_array(json_object_get(image, "encrypted")))
        output_field("  encrypted", "yes: only devices that have the key are offered it");
    output_field("  was signed as", client_text(answer, "signed_as"));
    size_t i;
    const json_t *warning;
    json_array_foreach(json_object_get(answer, "warnings"), i, warning)
        output_hint("warning: %s", json_string_value(warning));
    output_field("next", client_text(answer, "next"));
}

/* What goes to the server. */
struct upload {
    uint8_t manifest[MOLT_STATEMENT_MAX];
    size_t manifest_len;
    struct client_query query;
    struct sealed_upload sealed;
    uint8_t *data;
    size_t len;
};

/* The manifest and, of a file that another tool signed, the key: into the query. EXIT_GOOD or the status after saying why not. */
static int read_signatures(struct args *args, struct upload *upload)
{
    char hex[2 * MOLT_STATEMENT_MAX + 1], text[STOCK_KEY_TEXT], err[SIGN_ERROR_LEN] = "";
    uint8_t signer[STOCK_KEY_MAX];
    size_t signer_len;
    const char *path = args_value(args, "manifest"), *trust = args_value(args, "trust");
    if (path != NULL) {
        if (!signing_envelope(args, path, upload->manifest, &upload->manifest_len)) return EXIT_PROBLEM;
        molt_hex_encode(upload->manifest, upload->manifest_len, hex);
        client_query_add(&upload->query, "manifest", hex);
    }
    if (trust != NULL) {
        int rc = stock_public_load(trust, signer, &signer_len, err);
        if (rc < 0) return signing_refuse(args, -rc, err);
        stock_key_encode(signer, signer_len, text);
        client_query_add(&upload->query, "signer", text);
    }
    return EXIT_GOOD;
}

/* The file, and all that is said of it. */
static int read_upload(struct args *args, struct upload *upload)
{
    static const char *const names[] = {"product", "version", "code",     "channel",
                                        "variant", "chip",    "component"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        client_query_add(&upload->query, names[i], args_value(args, names[i]));
    if (args_has(args, "adopt")) client_query_add(&upload->query, "adopt", "true");
    int status = read_signatures(args, upload);
    if (status != EXIT_GOOD) return status;
    if (!args_has(args, "encrypted"))
        return load_file(args->operands[0], &upload->data, &upload->len) ? EXIT_GOOD : EXIT_PROBLEM;
    if (!sealed_read(args, upload->manifest, upload->manifest_len, &upload->sealed)) return EXIT_PROBLEM;
    sealed_query(args, &upload->sealed, &upload->query);
    upload->data = upload->sealed.file;
    upload->len = upload->sealed.len;
    return EXIT_GOOD;
}

/* One line for a file of a watched folder. */
static void print_line(const char *path, const json_t *answer)
{
    printf("%s: published as %s %s (code %lld), channel %s\n", path, client_text(answer, "product"),
           client_text(answer, "version"), (long long)client_integer(answer, "code"),
           client_text(answer, "channel"));
}

static int send(struct args *args, const struct upload *upload, struct client_refusal *refusal)
{
    struct client *client = client_open(args, true);
    const bool is_watching = args_has(args, "watch");
    json_t *answer = NULL;
    if (client != NULL && is_watching) client_take_refusals(client, refusal);
    if (client != NULL)
        answer = client_call(client, &(struct client_request){.method = "POST",
                                                              .path = "/api/v1/releases",
                                                              .query = &upload->query,
                                                              .body = upload->data,
                                                              .body_len = upload->len,
                                                              .progress = is_watching ? NULL : "upload"});
    if (answer != NULL && args_has(args, "json"))
        output_json(answer);
    else if (answer != NULL && is_watching)
        print_line(args->operands[0], answer);
    else if (answer != NULL)
        print_published(answer);
    client_close(client);
    json_decref(answer);
    return answer != NULL ? EXIT_GOOD : EXIT_PROBLEM;
}

/* A file of a watched folder. */
static enum watch_end publish_again(struct args *args)
{
    struct upload upload = {.len = 0};
    struct client_refusal refusal = {0};
    int status = read_upload(args, &upload);
    if (status != EXIT_GOOD) return WATCH_DONE; /* said why: until it is another file */
    status = send(args, &upload, &refusal);
    free(upload.data);
    if (status == EXIT_GOOD) return WATCH_DONE;
    output_hint("%s: not published", args->operands[0]);
    return refusal.reason != 0 ? WATCH_DONE : WATCH_NOT_NOW;
}

/* NULL, or what is wrong with the call. */
static const char *misuse(const struct args *args)
{
    static const char *const of_one_file[] = {"static", "manifest", "encrypted", "version", "code"};
    if (args_value(args, "product") == NULL) return "--product is missing: which product is the file for?";
    if (args_has(args, "packed") && !args_has(args, "encrypted")) return "--packed goes with --encrypted";
    if (!args_has(args, "static") &&
        (args_has(args, "name") || args_has(args, "key") || args_has(args, "approver")))
        return "--name, --key and --approver go with --static";
    if (!args_has(args, "watch"))
        return args->operand_count == 1
                   ? NULL
                   : "something is missing: molt publish FILE, or molt publish --watch DIR";
    if (args->operand_count > 0) return "--watch takes the place of FILE";
    for (size_t i = 0; i < sizeof of_one_file / sizeof of_one_file[0]; i++) {
        if (args_has(args, of_one_file[i]))
            return "--watch publishes one build after the other: what is said of a single file does not go "
                   "with it";
    }
    return NULL;
}

static int run(struct args *args)
{
    struct upload upload = {.len = 0};
    uint64_t code = 0;
    const char *wrong = misuse(args);
    if (wrong != NULL) return command_usage_error(&command_publish, "%s", wrong);
    if (args_has(args, "watch")) return publish_watch(args, publish_again);
    if (args_has(args, "static")) return static_publish(args);
    if (args_number(args, "code", 1, 2147483647, &code) < 0)
        return command_usage_error(&command_publish, "%s", args->error);
    int status = read_upload(args, &upload);
    if (status == EXIT_GOOD) status = send(args, &upload, NULL);
    free(upload.data);
    return status;
}

const struct command command_publish = {
    .name = "publish",
    .operands = "FILE",
    .summary = "check a firmware file and offer it to the devices of a product",
    .more =
        "The file is verified byte by byte; when anything is wrong with it, the reason is printed and "
        "nothing is\n"
        "stored. One release (product, version, channel) has one file for each chip, variant and component:\n"
        "publish them one after the other with the same --version.",
    .examples =
        "  molt publish door.ino.bin --product door --version 1.4.0\n"
        "  molt publish build/lamp.bin --product lamp --channel beta\n"
        "  molt publish --watch build --product lamp --channel dev\n"
        "  molt publish littlefs.bin --product door --version 1.4.0 --component fs --chip esp8266\n"
        "  molt publish door.bin --product door --manifest door.suit\n"
        "  molt publish door.bin --encrypted door.bin.enc --product door --manifest door.suit\n"
        "  molt publish door.signed.bin --product door --trust arduino-public.key\n"
        "  molt publish door.bin --product door --static /var/www/fota --name 5ccf7fc602e2 --manifest "
        "door.suit --key door.key.pub\n"
        "  MOLT_SERVER=https://ota.example.org MOLT_TOKEN=... molt publish door.bin --product door "
        "--version 1.4.0",
    .options = options,
    .operands_min = 0,
    .operands_max = 1,
    .run = run,
};
