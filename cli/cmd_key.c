/* cmd_key.c - `molt keygen` and `molt key show`: the key that signs, and what a firmware needs to trust it.
 * Must never print a private key, nor overwrite a file. Tests: test/e2e/sign_test.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "host/publish.h"
#include "output.h"
#include "signing.h"
#include "util/text.h"

static const struct args_option keygen_options[] = {
    {"passphrase-file", "FILE", "take the passphrase from the first line of this file", 0},
    {"no-passphrase", NULL, "leave the private key unencrypted", 0},
    {"json", NULL, "print JSON", 0},
    {0},
};

static const struct args_option show_options[] = {
    {"product", "NAME", "with --chip: print what this product's firmware compiles in", 0},
    {"chip", "CHIP", "the chip: esp8266, esp32, esp32c3 ...", 0},
    {"vendor", "DOMAIN", "the maker's domain, as given to `molt sign` (default: " SIGN_VENDOR_DEFAULT ")", 0},
    {"role", "root|approver", "print it as the key that says who signs, or that approves", 0},
    {"json", NULL, "print JSON", 0},
    {0},
};

static int run_keygen(struct args *args)
{
    char passphrase[SIGNING_PASSPHRASE_MAX] = "", err[SIGN_ERROR_LEN] = "", name[17];
    const char *path = args->operands[0];
    bool plain = args_has(args, "no-passphrase");
    if (plain && args_has(args, "passphrase-file"))
        return command_usage_error(&command_keygen,
                                   "--no-passphrase and --passphrase-file exclude each other");
    if (!plain && !signing_passphrase(args, true, passphrase)) return EXIT_PROBLEM;
    int rc = sign_key_generate(path, plain ? NULL : passphrase, err);
    memset(passphrase, 0, sizeof passphrase);
    if (rc < 0) return signing_refuse(args, -rc, err);
    char public_path[ARGS_VALUE_LEN + 8];
    uint8_t key[MOLT_KEY_LEN];
    snprintf(public_path, sizeof public_path, "%s.pub", path);
    rc = sign_public_load(public_path, key, err);
    if (rc < 0) return signing_refuse(args, -rc, err);
    sign_key_name(key, name);
    if (args_has(args, "json")) {
        json_t *json = json_pack("{s:s, s:s, s:s, s:b}", "key", name, "private", path, "public", public_path,
                                 "encrypted", !plain);
        output_json(json);
        json_decref(json);
        return EXIT_GOOD;
    }
    printf("key %s\n", name);
    output_field("  private", path);
    output_field("  public", public_path);
    output_hint("keep a copy of %s where no server can reach it: without it no device can be updated", path);
    output_hint("next: molt key show %s --product NAME --chip CHIP", public_path);
    return EXIT_GOOD;
}

static void print_array(const char *name, const char *note, const uint8_t *bytes, size_t len)
{
    printf("static const uint8_t %s[%zu] = { /* %s */", name, len, note);
    for (size_t i = 0; i < len; i++)
        printf("%s0x%02X,", i % 16 == 0 ? "\n    " : " ", bytes[i]);
    printf("\n};\n");
}

static json_t *hex_json(const uint8_t *bytes, size_t len)
{
    char text[2 * MOLT_KEY_LEN + 1];
    molt_hex_encode(bytes, len, text);
    return json_string(text);
}

/* A key statement (molt key rotate): its epoch, whose class it is for, and the keys. */
static int show_statement(struct args *args, const uint8_t *data, size_t len)
{
    uint8_t class_id[MOLT_UUID_LEN];
    struct molt_keys keys;
    char name[17], text[24];
    int rc = molt_keys_read(data, len, class_id, &keys);
    if (rc < 0) return signing_refuse(args, -rc, args->operands[0]);
    json_t *list = json_array();
    for (unsigned i = 0; i < keys.key_count; i++) {
        sign_key_name(keys.keys[i], name);
        json_array_append_new(
            list, json_pack("{s:s, s:o}", "key", name, "public", hex_json(keys.keys[i], MOLT_KEY_LEN)));
    }
    json_t *json = json_pack("{s:i, s:o, s:o}", "epoch", (int)keys.epoch, "class",
                             hex_json(class_id, MOLT_UUID_LEN), "keys", list);
    if (args_has(args, "json")) {
        output_json(json);
    } else {
        printf("key statement: from now on only these sign\n");
        snprintf(text, sizeof text, "%u", keys.epoch);
        output_field("  epoch", text);
        output_field("  class", json_string_value(json_object_get(json, "class")));
        for (unsigned i = 0; i < keys.key_count; i++) {
            sign_key_name(keys.keys[i], name);
            output_field("  key", name);
        }
        output_hint("it is not verified here: `molt verify` does, by the root's public key");
    }
    json_decref(json);
    return EXIT_GOOD;
}

/* Is it a statement? Then it is shown, and *status says how that went. */
static bool is_statement(struct args *args, int *status)
{
    uint8_t *data;
    size_t len;
    if (facts_load_file(args->operands[0], &data, &len) < 0) return false;
    const bool is_it = len > 0 && data[0] == 0xD2; /* COSE_Sign1; a PEM file is text */
    if (is_it) *status = show_statement(args, data, len);
    free(data);
    return is_it;
}

static int run_show(struct args *args)
{
    const char *product = args_value(args, "product"), *chip_name = args_value(args, "chip");
    const char *domain = args_value(args, "vendor"), *role = args_value(args, "role");
    char err[SIGN_ERROR_LEN] = "", name[17], note[200], array[24];
    uint8_t key[MOLT_KEY_LEN], vendor[MOLT_UUID_LEN], class_id[MOLT_UUID_LEN];
    enum molt_chip chip = chip_name != NULL ? molt_chip_from_name(chip_name) : MOLT_CHIP_UNKNOWN;
    if ((product == NULL) != (chip_name == NULL))
        return command_usage_error(&command_key_show, "--product and --chip go together");
    if (chip_name != NULL && chip == MOLT_CHIP_UNKNOWN)
        return command_usage_error(&command_key_show, "'%s' is no chip: esp8266, esp32, esp32c3 ...",
                                   chip_name);
    if (product != NULL && !publish_name_ok(product)) return signing_refuse(args, MOLT_NAME_INVALID, product);
    if (role != NULL && strcmp(role, "root") != 0 && strcmp(role, "approver") != 0)
        return command_usage_error(&command_key_show, "--role is root or approver");
    int rc = 0;
    if (is_statement(args, &rc)) return rc;
    rc = sign_public_load(args->operands[0], key, err);
    if (rc < 0) return signing_refuse(args, -rc, err);
    sign_key_name(key, name);
    sign_vendor_id(domain != NULL ? domain : SIGN_VENDOR_DEFAULT, vendor);
    if (product != NULL) sign_class_id(vendor, product, chip, class_id);
    if (args_has(args, "json")) {
        json_t *json = json_pack("{s:s, s:o}", "key", name, "public", hex_json(key, sizeof key));
        if (product != NULL) {
            json_object_set_new(json, "vendor", hex_json(vendor, sizeof vendor));
            json_object_set_new(json, "class", hex_json(class_id, sizeof class_id));
        }
        output_json(json);
        json_decref(json);
        return EXIT_GOOD;
    }
    if (product == NULL && role == NULL) {
        printf("key %s\n", name);
        return EXIT_GOOD;
    }
    snprintf(note, sizeof note, "key %s", name);
    snprintf(array, sizeof array, "molt_%s", role != NULL ? role : "key");
    print_array(array, note, key, sizeof key);
    if (role != NULL) return EXIT_GOOD; /* vendor and class stand beside the release key */
    snprintf(note, sizeof note, "maker %.80s", domain != NULL ? domain : SIGN_VENDOR_DEFAULT);
    print_array("molt_vendor", note, vendor, sizeof vendor);
    snprintf(note, sizeof note, "%s on %s", product, chip_name);
    print_array("molt_class", note, class_id, sizeof class_id);
    return EXIT_GOOD;
}

const struct command command_keygen = {
    .name = "keygen",
    .operands = "FILE",
    .summary = "make a key that signs firmware: FILE and FILE.pub",
    .more = "The private key is encrypted by a passphrase: from --passphrase-file, $MOLT_PASSPHRASE or the "
            "terminal.\n"
            "It never goes to a server. Files that exist are never overwritten.",
    .examples = "  molt keygen door.key\n  molt keygen ci.key --no-passphrase",
    .options = keygen_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_keygen,
};

const struct command command_key_show = {
    .name = "key show",
    .operands = "FILE",
    .summary = "name a public key, and print what a firmware compiles in to trust it",
    .more = "FILE may also be a key statement (molt key rotate): its epoch and keys are shown.",
    .examples = "  molt key show door.key.pub\n"
                "  molt key show door.key.pub --product door --chip esp8266 > trust.h\n"
                "  molt key show root.key.pub --role root >> trust.h\n"
                "  molt key show door.keys",
    .options = show_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_show,
};

/* ---- key rotate ---- */

static const struct args_option rotate_options[] = {
    {"key", "FILE", "the root's private key; with --signer its public one (required)", 0},
    {"to", "FILE", "a public key that may sign from now on; twice for two (required)", ARGS_REPEAT},
    {"epoch", "N", "how many statements there have been with this one, 1 to 65535 (required)", 0},
    {"product", "NAME", "the product (required)", 0},
    {"chip", "CHIP", "the chip: esp8266, esp32, esp32c3 ... (required)", 0},
    {"vendor", "DOMAIN", "the maker's domain, as given to `molt sign` (default: " SIGN_VENDOR_DEFAULT ")", 0},
    {"signer", "COMMAND", "a program that signs its standard input, in place of a private key", 0},
    {"passphrase-file", "FILE", "take the key's passphrase from the first line of this file", 0},
    {"json", NULL, "print JSON", 0},
    {0},
};

/* Reads --to, --epoch and the class. EXIT_GOOD or the status after saying what is wrong. */
static int rotate_to(struct args *args, uint8_t keys[MOLT_TRUST_KEYS_MAX][MOLT_KEY_LEN], unsigned *count,
                     uint64_t *epoch, uint8_t class_id[MOLT_UUID_LEN])
{
    const char *product = args_value(args, "product"), *chip_name = args_value(args, "chip");
    const char *domain = args_value(args, "vendor");
    enum molt_chip chip = molt_chip_from_name(chip_name != NULL ? chip_name : "");
    char err[SIGN_ERROR_LEN] = "";
    uint8_t vendor[MOLT_UUID_LEN];
    if (args_value(args, "key") == NULL || args_nth(args, "to", 0) == NULL || !args_has(args, "epoch"))
        return command_usage_error(&command_key_rotate, "--key, --to and --epoch are needed");
    if (args_number(args, "epoch", 1, UINT16_MAX, epoch) < 0)
        return command_usage_error(&command_key_rotate, "%s", args->error);
    if (product == NULL || chip == MOLT_CHIP_UNKNOWN)
        return command_usage_error(&command_key_rotate, "--product and --chip are needed");
    if (!publish_name_ok(product)) return signing_refuse(args, MOLT_NAME_INVALID, product);
    for (*count = 0; args_nth(args, "to", (int)*count) != NULL; (*count)++) {
        if (*count == MOLT_TRUST_KEYS_MAX)
            return command_usage_error(&command_key_rotate, "a statement has room for two keys");
        int rc = sign_public_load(args_nth(args, "to", (int)*count), keys[*count], err);
        if (rc < 0) return signing_refuse(args, -rc, err);
    }
    sign_vendor_id(domain != NULL ? domain : SIGN_VENDOR_DEFAULT, vendor);
    sign_class_id(vendor, product, chip, class_id);
    return EXIT_GOOD;
}

static int run_rotate(struct args *args)
{
    uint8_t keys[MOLT_TRUST_KEYS_MAX][MOLT_KEY_LEN], class_id[MOLT_UUID_LEN], statement[MOLT_KEYS_MAX];
    char err[SIGN_ERROR_LEN] = "", name[17];
    unsigned count = 0;
    uint64_t epoch;
    size_t len;
    int status = rotate_to(args, keys, &count, &epoch, class_id);
    if (status != EXIT_GOOD) return status;
    struct sign_key *root = signing_key(args);
    if (root == NULL) return EXIT_PROBLEM;
    int rc = sign_keys(root, (uint16_t)epoch, class_id, (const uint8_t(*)[MOLT_KEY_LEN])keys, count,
                       statement, &len, err);
    sign_key_free(root);
    if (rc < 0) return signing_refuse(args, -rc, err);
    if (!signing_write(args, args->operands[0], statement, len)) return EXIT_PROBLEM;
    if (args_has(args, "json")) {
        json_t *json = json_pack("{s:s, s:I, s:i}", "statement", args->operands[0], "epoch",
                                 (json_int_t)epoch, "keys", (int)count);
        output_json(json);
        json_decref(json);
        return EXIT_GOOD;
    }
    printf("wrote %s, epoch %u: from now on only\n", args->operands[0], (unsigned)epoch);
    for (unsigned i = 0; i < count; i++) {
        sign_key_name(keys[i], name);
        output_field("  key", name);
    }
    output_hint("give it to every release from now on: molt sign ... --keys %s", args->operands[0]);
    return EXIT_GOOD;
}

const struct command command_key_rotate = {
    .name = "key rotate",
    .operands = "FILE",
    .summary = "write the root key's statement of who may sign from now on",
    .more = "Devices that have the root key compiled in obey the newest statement that they have seen: a key "
            "that it\n"
            "does not name signs nothing for them any more. The statement goes with each manifest.",
    .examples =
        "  molt key rotate door.keys --key root.key --to new.key.pub --epoch 1 --product door --chip esp8266",
    .options = rotate_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_rotate,
};
