/* sign_stock.c - signs and verifies in the formats of other updaters. Must never sign what is no firmware of the format's
 * chips, nor what is signed already. Tests: test/e2e/stock_sign_test.sh. */
#include "sign_stock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/sign/stock.h"
#include "load.h"
#include "output.h"
#include "signing.h"

/* STOCK_NONE after saying what is wrong; *status is then the exit status. */
static enum stock_format read_format(struct args *args, const struct command *command, int *status)
{
    static const char *const meaningless[] = {"product", "version",  "sequence",    "fs",   "vendor",
                                              "signer",  "manifest", "encrypt-for", "keys", "approve"};
    enum stock_format format = stock_format_from_name(args_value(args, "format"));
    *status = EXIT_GOOD;
    for (size_t i = 0; i < sizeof meaningless / sizeof meaningless[0]; i++) {
        bool known = false; /* sign and verify have different options */
        for (const struct args_option *o = command->options; o->name != NULL; o++)
            known = known || strcmp(o->name, meaningless[i]) == 0;
        if (known && args_has(args, meaningless[i]))
            *status = command_usage_error(command, "--%s has no meaning with --format", meaningless[i]);
    }
    if (format == STOCK_NONE)
        *status = command_usage_error(command, "--format is one of " SIGN_STOCK_FORMATS);
    else if (args_value(args, "key") == NULL)
        *status = command_usage_error(command, "--key is missing: the PEM file of the key");
    return *status == EXIT_GOOD ? format : STOCK_NONE;
}

/* door.bin -> door.signed.bin, door.bin.gz -> door.signed.bin.gz */
static void default_name(const char *path, char out[ARGS_VALUE_LEN + 16])
{
    const char *suffixes[] = {".bin.gz", ".bin"};
    size_t len = strlen(path);
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(suffixes[i]);
        if (len <= n || strcmp(path + len - n, suffixes[i]) != 0) continue;
        snprintf(out, ARGS_VALUE_LEN + 16, "%.*s.signed%s", (int)(len - n), path, suffixes[i]);
        return;
    }
    snprintf(out, ARGS_VALUE_LEN + 16, "%s.signed", path);
}

static int check_image(struct args *args, enum stock_format format, const uint8_t *data, size_t len)
{
    struct facts facts;
    facts_read(data, len, &facts, NULL, NULL);
    if (!facts.is_image) return signing_refuse(args, facts.refusal, facts.detail);
    if (!stock_format_is_for(format, facts.image.chip))
        return signing_refuse(args, MOLT_WRONG_CHIP, "devices of this chip do not know the format");
    if (facts.gzip && format != STOCK_ARDUINO_ESP8266)
        return signing_refuse(args, MOLT_IMAGE_UNKNOWN, "the format is for images that are not packed");
    return EXIT_GOOD;
}

static int write_signed(struct args *args, enum stock_format format, const uint8_t *data, size_t len)
{
    const char *key = args_value(args, "key"), *given = args_value(args, "out");
    char err[SIGN_ERROR_LEN] = "", passphrase[SIGNING_PASSPHRASE_MAX] = "", path[ARGS_VALUE_LEN + 16];
    uint8_t *out = NULL;
    size_t out_len = 0;
    bool locked = sign_key_is_encrypted(key);
    if (locked && !signing_passphrase(args, false, passphrase)) return EXIT_PROBLEM;
    int rc = stock_sign(format, key, locked ? passphrase : NULL, data, len, &out, &out_len, err);
    memset(passphrase, 0, sizeof passphrase);
    if (rc < 0) return signing_refuse(args, -rc, err);
    if (given != NULL)
        snprintf(path, sizeof path, "%s", given);
    else
        default_name(args->operands[0], path);
    bool ok = signing_write(args, path, out, out_len);
    free(out);
    if (!ok) return EXIT_PROBLEM;
    if (args_has(args, "json")) {
        json_t *json = json_pack("{s:s, s:s, s:I}", "signed", path, "format", args_value(args, "format"),
                                 "size", (json_int_t)out_len);
        output_json(json);
        json_decref(json);
    } else {
        printf("signed %s, %zu bytes, %s\n", path, out_len, args_value(args, "format"));
        output_hint("publish the unsigned file to molt: it serves images as they were built");
    }
    return EXIT_GOOD;
}

int sign_stock(struct args *args)
{
    int status;
    uint8_t *data;
    size_t len;
    enum stock_format format = read_format(args, &command_sign, &status);
    if (format == STOCK_NONE) return status;
    if (!load_file(args->operands[0], &data, &len)) return EXIT_PROBLEM;
    status = check_image(args, format, data, len);
    if (status == EXIT_GOOD) status = write_signed(args, format, data, len);
    free(data);
    return status;
}

int verify_stock(struct args *args)
{
    int status;
    uint8_t *data;
    const uint8_t *content;
    size_t len, content_len;
    char err[SIGN_ERROR_LEN] = "";
    enum stock_format format = read_format(args, &command_verify, &status);
    if (format == STOCK_NONE) return status;
    if (!load_file(args->operands[0], &data, &len)) return EXIT_PROBLEM;
    int rc = stock_verify(format, args_value(args, "key"), data, len, &content, &content_len, err);
    status = rc < 0 ? signing_refuse(args, -rc, err) : EXIT_GOOD;
    if (status == EXIT_GOOD && args_has(args, "json")) {
        json_t *json = json_pack("{s:b, s:s, s:I}", "good", 1, "format", args_value(args, "format"),
                                 "content", (json_int_t)content_len);
        output_json(json);
        json_decref(json);
    } else if (status == EXIT_GOOD) {
        printf("good: %zu bytes, signed as %s\n", content_len, args_value(args, "format"));
    }
    free(data);
    return status;
}
