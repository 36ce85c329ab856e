/* cmd_sign.c - `molt sign` writes the manifest of a firmware, `molt verify` says whether one is right.
 * Must never sign a file that no device would run. Tests: test/e2e/sign_test.sh, test/e2e/manifest_interop.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advice.h"
#include "command.h"
#include "host/publish.h"
#include "load.h"
#include "output.h"
#include "sign_stock.h"
#include "signing.h"
#include "util/text.h"

static const struct args_option sign_options[] = {
    {"key", "FILE", "the private key; with --signer the public one (required)", 0},
    {"product", "NAME", "product that the firmware is for (required)", 0},
    {"chip", "CHIP", "a check: the firmware must be for this chip", 0},
    {"version", "TEXT", "version, when the image does not carry one", 0},
    {"sequence", "N", "order of releases; devices never go back (default: the version code)", 0},
    {"fs", "FILE", "a file-system image that belongs to the firmware", 0},
    {"vendor", "DOMAIN", "the maker's domain (default: " SIGN_VENDOR_DEFAULT ")", 0},
    {"out", "FILE", "where to write the manifest (default: FILE with .suit for .bin)", 0},
    {"signer", "COMMAND", "a program that signs its standard input, in place of a private key", 0},
    {"passphrase-file", "FILE", "take the key's passphrase from the first line of this file", 0},
    {"encrypt-for", "FILE",
     "encrypt FILE (and --fs) for the devices that hold this public key's private one; writes FILE.enc", 0},
    {"packed", "FILE",
     "with --encrypt-for: encrypt this in place of FILE: a gzip file or pack (molt pack) of it", 0},
    {"keys", "FILE", "the root's key statement (molt key rotate), to go with the manifest", 0},
    {"approve", NULL, "FILE is a manifest: add the approver's signature to it", 0},
    {"format", "FORMAT", "sign for another updater instead: " SIGN_STOCK_FORMATS, 0},
    {"json", NULL, "print JSON", 0},
    {0},
};

static const struct args_option verify_options[] = {
    {"manifest", "FILE", "the manifest (default: FILE with .suit for .bin)", 0},
    {"key", "FILE", "the public key (required)", 0},
    {"approver", "FILE", "the second person's public key: it must have signed, too", 0},
    {"product", "NAME", "the product that the manifest must be for (required)", 0},
    {"fs", "FILE", "the file-system image that the manifest must hold too", 0},
    {"format", "FORMAT", "verify another updater's signed file instead: " SIGN_STOCK_FORMATS, 0},
    {"json", NULL, "print JSON", 0},
    {0},
};

/* FILE.bin, FILE.bin.gz -> FILE.suit */
static void default_name(const char *path, char out[ARGS_VALUE_LEN + 8])
{
    size_t len = strlen(path);
    if (len > 3 && strcmp(path + len - 3, ".gz") == 0) len -= 3;
    if (len > 4 && memcmp(path + len - 4, ".bin", 4) == 0) len -= 4;
    snprintf(out, ARGS_VALUE_LEN + 8, "%.*s.suit", (int)len, path);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* ---- sign ---- */

/* Encrypts the file as it is, packed or not, and writes it beside itself. False after saying why not. */
static bool encrypt(struct args *args, const char *path, struct sign_component *component)
{
    uint8_t recipient[MOLT_KEY_LEN], *data;
    char err[SIGN_ERROR_LEN] = "", out[ARGS_VALUE_LEN + 8];
    size_t len;
    int rc = sign_public_load(args_value(args, "encrypt-for"), recipient, err);
    if (rc < 0) {
        signing_refuse(args, -rc, err);
        return false;
    }
    if (!load_file(path, &data, &len)) return false;
    snprintf(out, sizeof out, "%s.enc", path);
    rc = sign_seal(recipient, data, len, component->seal, err);
    if (rc < 0) signing_refuse(args, -rc, err);
    bool ok = rc == 0 && signing_write(args, out, data, len);
    free(data);
    component->is_sealed = ok;
    return ok;
}

static bool add_component(struct args *args, const char *path, bool fs, struct facts *facts,
                          struct sign_release *release)
{
    struct sign_component *component = &release->component[release->component_count++];
    uint8_t *data;
    size_t len;
    if (!signing_image(args, path, fs, facts, &data, &len)) return false;
    free(data);
    memcpy(component->digest, facts->inner_sha256, MOLT_SHA256_LEN);
    component->size = (uint32_t)len;
    snprintf(component->uri, sizeof component->uri, "%.*s", (int)MOLT_MANIFEST_URI / 2, base_name(path));
    for (char *c = component->uri; *c != '\0'; c++) {
        if (*c < 0x20 || *c > 0x7E) *c = '_';
    }
    return true;
}

/* x.y.z as numbers, when the version is written so. */
static void set_version(struct sign_release *release, const char *version)
{
    unsigned parts[SIGN_VERSION_PARTS];
    int used = 0;
    if (sscanf(version, "%9u.%9u.%9u%n", &parts[0], &parts[1], &parts[2], &used) != 3 ||
        version[used] != '\0')
        return;
    release->version_parts = SIGN_VERSION_PARTS;
    for (int i = 0; i < SIGN_VERSION_PARTS; i++)
        release->version[i] = parts[i];
}

/* Sequence: given, else the version code that the image or --version says. */
static int set_sequence(struct args *args, const struct facts *facts, struct sign_release *release)
{
    const char *version = args_value(args, "version");
    uint32_t code = 0;
    if (version == NULL && facts->tag_version[0] != '\0') version = facts->tag_version;
    if (version != NULL) set_version(release, version);
    if (args_number(args, "sequence", 1, INT64_MAX, &release->sequence) < 0)
        return command_usage_error(&command_sign, "%s", args->error);
    if (args_has(args, "sequence")) return EXIT_GOOD;
    if (!args_has(args, "version") && facts->tag_code != 0) {
        release->sequence = facts->tag_code;
        return EXIT_GOOD;
    }
    if (version == NULL)
        return signing_refuse(args, MOLT_VERSION_NEEDED, "or give --sequence N, the version code");
    int rc = facts_version_code(version, &code);
    if (rc < 0) return signing_refuse(args, -rc, "or give --sequence N, the version code");
    release->sequence = code;
    return EXIT_GOOD;
}

static void print_signed(struct args *args, const struct sign_release *release, enum molt_chip chip,
                         const struct sign_key *key, const char *out)
{
    char name[17], digest[2 * MOLT_SHA256_LEN + 1], number[24];
    uint8_t public_key[MOLT_KEY_LEN];
    sign_key_public(key, public_key);
    sign_key_name(public_key, name);
    molt_hex_encode(release->component[0].digest, MOLT_SHA256_LEN, digest);
    snprintf(number, sizeof number, "%llu", (unsigned long long)release->sequence);
    if (args_has(args, "json")) {
        json_t *json = json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:i, s:s}", "manifest", out, "product",
                                 args_value(args, "product"), "chip", molt_chip_name(chip), "sequence",
                                 (json_int_t)release->sequence, "sha256", digest, "size",
                                 (json_int_t)release->component[0].size, "components",
                                 (int)release->component_count, "key", name);
        output_json(json);
        json_decref(json);
        return;
    }
    printf("signed %s\n", out);
    output_field("  product", args_value(args, "product"));
    output_field("  chip", molt_chip_name(chip));
    output_field("  sequence", number);
    output_field("  sha256", digest);
    output_field("  key", name);
}

/* Appends the root's statement to the envelope. False after saying why not. */
static bool add_keys(struct args *args, uint8_t envelope[MOLT_STATEMENT_MAX], size_t *len)
{
    const char *path = args_value(args, "keys");
    uint8_t keys[MOLT_STATEMENT_MAX], class_id[MOLT_UUID_LEN];
    size_t keys_len;
    struct molt_keys read;
    if (path == NULL) return true;
    if (!signing_envelope(args, path, keys, &keys_len)) return false;
    if (molt_keys_read(keys, keys_len, class_id, &read) < 0 || *len + keys_len > MOLT_STATEMENT_MAX) {
        signing_refuse(args, MOLT_KEYS_INVALID, path);
        return false;
    }
    memcpy(envelope + *len, keys, keys_len);
    *len += keys_len;
    return true;
}

/* The second signature into a manifest's file. */
static int approve(struct args *args, struct sign_key *key)
{
    const char *path = args->operands[0], *out = args_value(args, "out");
    uint8_t envelope[MOLT_STATEMENT_MAX];
    char err[SIGN_ERROR_LEN] = "";
    size_t len;
    if (!signing_envelope(args, path, envelope, &len)) return EXIT_PROBLEM;
    int rc = sign_approve(envelope, &len, key, err);
    if (rc < 0) return signing_refuse(args, -rc, err);
    if (!signing_write(args, out != NULL ? out : path, envelope, len)) return EXIT_PROBLEM;
    if (!args_has(args, "json")) {
        printf("approved %s\n", out != NULL ? out : path);
        return EXIT_GOOD;
    }
    json_t *json = json_pack("{s:s}", "approved", out != NULL ? out : path);
    output_json(json);
    json_decref(json);
    return EXIT_GOOD;
}

static int sign_files(struct args *args, struct sign_key *key)
{
    struct sign_release release = {.component_count = 0};
    struct facts facts, fs_facts;
    const char *chip_name = args_value(args, "chip"), *vendor = args_value(args, "vendor");
    const char *fs = args_value(args, "fs"), *packed = args_value(args, "packed");
    char err[SIGN_ERROR_LEN] = "", out[ARGS_VALUE_LEN + 8];
    uint8_t envelope[MOLT_STATEMENT_MAX];
    size_t len;
    if (!add_component(args, args->operands[0], false, &facts, &release)) return EXIT_PROBLEM;
    if (fs != NULL && !add_component(args, fs, true, &fs_facts, &release)) return EXIT_PROBLEM;
    if (chip_name != NULL && strcmp(chip_name, molt_chip_name(facts.image.chip)) != 0) {
        snprintf(err, sizeof err, "the image is for %s, not for %.32s", molt_chip_name(facts.image.chip),
                 chip_name);
        return signing_refuse(args, MOLT_WRONG_CHIP, err);
    }
    if (facts.tag_product[0] != '\0' && strcmp(facts.tag_product, args_value(args, "product")) != 0) {
        snprintf(err, sizeof err, "the image says that it is for product %s", facts.tag_product);
        return signing_refuse(args, MOLT_MANIFEST_CLASS, err);
    }
    int status = set_sequence(args, &facts, &release);
    if (status != EXIT_GOOD) return status;
    sign_vendor_id(vendor != NULL ? vendor : SIGN_VENDOR_DEFAULT, release.vendor);
    sign_class_id(release.vendor, args_value(args, "product"), facts.image.chip, release.class_id);
    if (args_has(args, "encrypt-for") &&
        (!encrypt(args, packed != NULL ? packed : args->operands[0], &release.component[0]) ||
         (fs != NULL && !encrypt(args, fs, &release.component[1]))))
        return EXIT_PROBLEM;
    int rc = sign_envelope(&release, key, envelope, &len, err);
    if (rc < 0) return signing_refuse(args, -rc, err);
    if (!add_keys(args, envelope, &len)) return EXIT_PROBLEM;
    if (args_value(args, "out") != NULL)
        snprintf(out, sizeof out, "%s", args_value(args, "out"));
    else
        default_name(args->operands[0], out);
    if (!signing_write(args, out, envelope, len)) return EXIT_PROBLEM;
    print_signed(args, &release, facts.image.chip, key, out);
    return EXIT_GOOD;
}

static int run_sign(struct args *args)
{
    const char *product = args_value(args, "product");
    if (args_has(args, "format")) return sign_stock(args);
    if (args_value(args, "key") == NULL)
        return command_usage_error(&command_sign, "--key is missing; `molt keygen FILE` makes one");
    if (args_has(args, "packed") && !args_has(args, "encrypt-for"))
        return command_usage_error(&command_sign, "--packed goes with --encrypt-for");
    if (product == NULL && !args_has(args, "approve"))
        return command_usage_error(&command_sign, "--product is missing: which product is the file for?");
    if (product != NULL && !publish_name_ok(product)) return signing_refuse(args, MOLT_NAME_INVALID, product);
    struct sign_key *key = signing_key(args);
    if (key == NULL) return EXIT_PROBLEM;
    int status = args_has(args, "approve") ? approve(args, key) : sign_files(args, key);
    sign_key_free(key);
    return status;
}

/* ---- verify ---- */

/* Is the file the component that was signed? */
static int compare(struct args *args, const char *path, bool fs, const struct molt_manifest *manifest,
                   struct facts *facts)
{
    const struct molt_manifest_component *component = &manifest->component[fs ? 1 : 0];
    uint8_t *data;
    size_t len;
    char detail[ARGS_VALUE_LEN + 64];
    if (!signing_image(args, path, fs, facts, &data, &len)) return EXIT_PROBLEM;
    free(data);
    if (fs && manifest->component_count < 2)
        return signing_refuse(args, MOLT_MANIFEST_MISMATCH, "the manifest has no file system");
    if (len == component->size && memcmp(facts->inner_sha256, component->digest, MOLT_SHA256_LEN) == 0)
        return EXIT_GOOD;
    snprintf(detail, sizeof detail, "%s is not what was signed (%zu bytes, signed %u)", path, len,
             component->size);
    signing_refuse(args, MOLT_MANIFEST_MISMATCH, detail);
    advice_print(MOLT_MANIFEST_MISMATCH);
    return EXIT_PROBLEM;
}

/* Who signed, in the order of the signatures. */
struct signers {
    char name[2][17];
    unsigned count, there; /* known, and standing in the manifest */
};

/* The keys that may have made the first signature: the given one, or those that the root's statement names. */
static void name_maker(const uint8_t *envelope, size_t len, const uint8_t key[1][MOLT_KEY_LEN],
                       struct signers *signers)
{
    const size_t end = molt_manifest_end(envelope, len);
    struct molt_keys stated = {.keys = (const uint8_t(*)[MOLT_KEY_LEN])key, .key_count = 1};
    uint8_t class_id[MOLT_UUID_LEN];
    size_t who = 0;
    if (end < len && molt_keys_read(envelope + end, len - end, class_id, &stated) < 0) return;
    if (sign_find_signer(envelope, len, stated.keys, stated.key_count, &who) == 0)
        sign_key_name(stated.keys[who], signers->name[signers->count++]);
}

/* The signatures, by the keys that were given. EXIT_GOOD or the status after saying what is wrong. */
static int check_signatures(struct args *args, const char *path, const uint8_t *envelope, size_t len,
                            enum molt_chip chip, struct molt_manifest *manifest, struct signers *signers)
{
    uint8_t keys[1][MOLT_KEY_LEN], approver[1][MOLT_KEY_LEN];
    char err[SIGN_ERROR_LEN] = "";
    const char *approver_path = args_value(args, "approver");
    memset(signers, 0, sizeof *signers);
    int rc = sign_public_load(args_value(args, "key"), keys[0], err);
    if (rc == 0 && approver_path != NULL) rc = sign_public_load(approver_path, approver[0], err);
    if (rc < 0) return signing_refuse(args, -rc, err);
    rc = sign_check(envelope, len, (const uint8_t(*)[MOLT_KEY_LEN])keys, 1, args_value(args, "product"), chip,
                    manifest);
    if (rc == 0 && approver_path != NULL)
        rc = sign_check_approval(envelope, len, (const uint8_t(*)[MOLT_KEY_LEN])approver, 1, NULL);
    if (rc < 0) signing_refuse(args, -rc, path);
    if (rc == -MOLT_MANIFEST_CLASS) advice_print(-rc);
    if (rc < 0) return EXIT_PROBLEM;
    name_maker(envelope, len, (const uint8_t(*)[MOLT_KEY_LEN])keys, signers);
    if (approver_path != NULL && signers->count == 1)
        sign_key_name(approver[0], signers->name[signers->count++]);
    signers->there = sign_signatures(envelope, len);
    return EXIT_GOOD;
}

static void print_verified(struct args *args, const struct molt_manifest *manifest, enum molt_chip chip,
                           const struct signers *signers)
{
    const char *product = args_value(args, "product");
    if (args_has(args, "json")) {
        json_t *names = json_array();
        for (unsigned i = 0; i < signers->count; i++)
            json_array_append_new(names, json_string(signers->name[i]));
        json_t *json =
            json_pack("{s:b, s:s, s:s, s:I, s:i, s:i, s:o}", "good", 1, "product", product, "chip",
                      molt_chip_name(chip), "sequence", (json_int_t)manifest->sequence, "components",
                      (int)manifest->component_count, "signatures", (int)signers->there, "signers", names);
        output_json(json);
        json_decref(json);
        return;
    }
    printf("good: signed for %s on %s, sequence %llu\n", product, molt_chip_name(chip),
           (unsigned long long)manifest->sequence);
    if (signers->count == 2) {
        output_field("  signed by", signers->name[0]);
        output_field("  approved by", signers->name[1]);
    } else if (signers->there == 2) {
        output_hint("a second signature is there; say whose it must be: --approver FILE.pub");
    }
    if (manifest->component_count > 1 && !args_has(args, "fs"))
        output_hint("the manifest holds a file system too; compare it with --fs FILE");
}

static int run_verify(struct args *args)
{
    const char *given = args_value(args, "manifest"), *fs = args_value(args, "fs");
    char path[ARGS_VALUE_LEN + 8];
    uint8_t envelope[MOLT_STATEMENT_MAX];
    size_t len;
    struct molt_manifest manifest;
    struct signers signers;
    struct facts facts, fs_facts;
    if (args_has(args, "format")) return verify_stock(args);
    if (args_value(args, "key") == NULL)
        return command_usage_error(&command_verify, "--key is missing: the public key's file");
    if (args_value(args, "product") == NULL)
        return command_usage_error(&command_verify, "--product is missing");
    if (given != NULL)
        snprintf(path, sizeof path, "%s", given);
    else
        default_name(args->operands[0], path);
    if (!signing_envelope(args, path, envelope, &len)) return EXIT_PROBLEM;
    if (molt_manifest_read(envelope, molt_manifest_end(envelope, len), &manifest) < 0)
        return signing_refuse(args, MOLT_MANIFEST_MALFORMED, path);
    int status = compare(args, args->operands[0], false, &manifest, &facts);
    if (status == EXIT_GOOD && fs != NULL) status = compare(args, fs, true, &manifest, &fs_facts);
    if (status == EXIT_GOOD)
        status = check_signatures(args, path, envelope, len, facts.image.chip, &manifest, &signers);
    if (status == EXIT_GOOD) print_verified(args, &manifest, facts.image.chip, &signers);
    return status;
}

const struct command command_sign = {
    .name = "sign",
    .operands = "FILE",
    .summary = "sign a firmware: write the manifest that devices believe",
    .more = "The manifest (a SUIT envelope) says which bytes, for which product and chip, in which order. "
            "Publish it "
            "with\n"
            "`molt publish FILE --manifest FILE.suit`, or put it beside the .bin on any web server.\n"
            "With --signer a program holds the key (smart card, HSM): it gets the bytes to sign on standard "
            "input "
            "and\n"
            "writes an ECDSA-SHA-256 signature, as `openssl dgst -sha256 -sign` does.",
    .examples =
        "  molt sign door.bin --key door.key --product door\n"
        "  molt sign door.bin --key door.key --product door --version 1.4.0 --fs littlefs.bin\n"
        "  molt sign door.bin --key door.key.pub --product door --signer 'openssl dgst -sha256 -sign x.pem'\n"
        "  molt sign door.suit --approve --key second.key\n"
        "  molt sign door.bin --key new.key --product door --keys door.keys\n"
        "  molt sign door.bin --key door.key --product door --encrypt-for fleet.key.pub\n"
        "  molt sign door.bin --key rsa.pem --format arduino-esp8266",
    .options = sign_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_sign,
};

const struct command command_verify = {
    .name = "verify",
    .operands = "FILE",
    .summary = "check a firmware against its manifest, as a device does",
    .more = "Exit status 1 when a device of that product which trusts the key would refuse it.",
    .examples = "  molt verify door.bin --key door.key.pub --product door\n"
                "  molt verify door.bin --manifest door-1.4.suit --key door.key.pub --product door",
    .options = verify_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_verify,
};
