/* cmd_inspect.c - `molt inspect FILE...`: says in words what a file is, whether a device could run it, what is wrong and
 * what to do. Nothing is stored and no server is asked. Tests: test/e2e/cli_test.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "host/sign/stock.h"
#include "load.h"
#include "output.h"
#include "server/api/shapes.h"
#include "signing.h"
#include "text.h"

static const struct args_option options[] = {
    {"json", NULL, "print JSON: one object a file, one a line", 0},
    {"trust", "FILE", "verify files that another tool signed by this public key, and look inside", 0},
    {0},
};

static const char *kind_words(enum molt_file_kind kind)
{
    switch (kind) {
    case MOLT_FILE_EMPTY:
        return "an empty file";
    case MOLT_FILE_TEXT:
        return "a text or web page";
    case MOLT_FILE_GZIP:
        return "a gzip file";
    case MOLT_FILE_ELF:
        return "an ELF file, as the linker made it";
    case MOLT_FILE_HEX:
        return "an Intel HEX file";
    case MOLT_FILE_UF2:
        return "a UF2 file for USB flashing";
    case MOLT_FILE_PARTITIONS:
        return "an ESP32 partition table";
    case MOLT_FILE_MCUBOOT:
        return "an MCUboot image";
    case MOLT_FILE_ESP32_APP:
        return "an application of the ESP32 family";
    case MOLT_FILE_ESP32_BOOTLOADER:
        return "an ESP32 bootloader";
    case MOLT_FILE_MERGED:
        return "a merged image of a whole flash";
    case MOLT_FILE_ESP8266_ARDUINO:
        return "an ESP8266 sketch (Arduino: eboot and application)";
    case MOLT_FILE_ESP8266_BARE:
        return "an ESP8266 image without a second image at 0x1000";
    case MOLT_FILE_ESP8266_SDK_V2:
        return "an ESP8266 SDK image (0xEA)";
    case MOLT_FILE_ESP8266_RTOS_SDK:
        return "an ESP8266_RTOS_SDK image";
    case MOLT_FILE_LITTLEFS:
        return "a LittleFS file system";
    case MOLT_FILE_SPIFFS:
        return "a SPIFFS file system";
    case MOLT_FILE_FAT:
        return "a FAT file system";
    case MOLT_FILE_UNKNOWN:
        break;
    }
    return "a file that molt does not know";
}

static bool is_filesystem(enum molt_file_kind kind)
{
    return kind == MOLT_FILE_LITTLEFS || kind == MOLT_FILE_SPIFFS || kind == MOLT_FILE_FAT;
}

static const char *advice(int reason)
{
    switch (reason) {
    case MOLT_IMAGE_EMPTY:
        return "build it again, or copy it again: the copy was probably cut";
    case MOLT_IMAGE_TEXT:
        return "open it in an editor: it is probably an error page that was saved under this name; download "
               "again";
    case MOLT_IMAGE_ELF:
        return "use the .bin beside it (Arduino: Sketch > Export Compiled Binary; ESP-IDF: "
               "build/PROJECT.bin)";
    case MOLT_IMAGE_HEX:
    case MOLT_IMAGE_UF2:
        return "use the .bin that the same build makes";
    case MOLT_IMAGE_MERGED:
        return "use the application alone (Arduino: SKETCH.ino.bin, not .merged.bin; ESP-IDF: "
               "build/PROJECT.bin)";
    case MOLT_IMAGE_BOOTLOADER:
    case MOLT_IMAGE_PARTITIONS:
        return "updates over the air carry the application only: use its .bin";
    case MOLT_IMAGE_FILESYSTEM:
        return "publish it with --component fs --chip CHIP";
    case MOLT_IMAGE_NO_EBOOT:
        return "use the .bin that the Arduino core makes; images for esptool's 0x00000 and 0x10000 do not "
               "fit";
    case MOLT_BAD_CRC:
    case MOLT_BAD_CHECKSUM:
    case MOLT_BAD_HASH:
    case MOLT_BAD_SEGMENT:
    case MOLT_BAD_GZIP:
        return "compare it with the file that the build made; copy in binary mode, and let no tool change "
               "its header";
    case MOLT_IMAGE_TRUNCATED:
        return "compare its size with that of the build's file and copy it again";
    case MOLT_IMAGE_TRAILING:
        return "something was appended (a signature, padding): use the .bin as the build made it";
    case MOLT_IMAGE_SIGNED:
        return "name the public key that it verifies by: --trust FILE, here and with molt publish; or use "
               "the "
               "unsigned .bin";
    default:
        return "use the .bin of the application as Arduino or ESP-IDF builds it";
    }
}

static void print_tag(const struct facts *facts)
{
    char text[200];
    if (!facts->has_tag) return;
    output_field("  tag version", facts->tag_version);
    if (facts->tag_code != 0) {
        snprintf(text, sizeof text, "%u", facts->tag_code);
        output_field("  tag code", text);
    }
    output_field("  tag product", facts->tag_product);
    output_field("  tag board", facts->tag_board);
    if (facts->tag_confirms) output_field("  confirms", "yes: this firmware confirms its trial by itself");
}

static char *revision(char *buf, size_t cap, uint16_t number)
{
    if (number == 0xFFFF)
        snprintf(buf, cap, "any");
    else
        snprintf(buf, cap, "v%u.%u", number / 100u, number % 100u);
    return buf;
}

static void print_image(const struct facts *facts)
{
    const struct molt_image_info *image = &facts->image;
    char text[200], low[16], high[16];
    output_field("  chip", molt_chip_name(image->chip));
    output_field("  version", facts->texts.version);
    output_field("  project", facts->texts.project);
    if (facts->texts.idf_version[0] != '\0') {
        snprintf(text, sizeof text, "%s, built %s %s", facts->texts.idf_version, facts->texts.build_date,
                 facts->texts.build_time);
        output_field("  ESP-IDF", text);
    }
    if (image->flash_size != 0) {
        snprintf(text, sizeof text, "%u KiB or more (header)", image->flash_size / 1024u);
        output_field("  flash", text);
    }
    if (molt_chip_is_esp32_family(image->chip)) {
        snprintf(text, sizeof text, "%s to %s", revision(low, sizeof low, image->min_revision),
                 revision(high, sizeof high, image->max_revision));
        output_field("  revisions", text);
        output_field("  checks", image->has_hash ? "segments, checksum and SHA-256 are right"
                                                 : "segments and checksum are right; it carries no SHA-256");
    } else {
        output_field("  checks", image->has_crc
                                     ? "both checksums and the CRC are right"
                                     : "both checksums are right; it carries no CRC (core before 2.7)");
    }
}

static char *hex(char *buf, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        snprintf(buf + 2 * i, 3, "%02x", bytes[i]);
    return buf;
}

static void print_words(const char *path, const struct facts *facts)
{
    char text[300], size[64], digits[65];
    printf("%s\n", text_printable(text, sizeof text, path));
    snprintf(text, sizeof text, "%s%s", kind_words(facts->kind), facts->gzip ? ", and in it " : "");
    if (facts->gzip)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s", kind_words(facts->inner_kind));
    output_field("  is", text);
    output_field("  size", output_size(size, sizeof size, facts->len));
    if (facts->gzip) output_field("  unpacked", output_size(size, sizeof size, facts->inner_len));
    bool filesystem = is_filesystem(facts->inner_kind);
    if (facts->is_image && !filesystem) print_image(facts);
    print_tag(facts);
    output_field("  sha256", hex(digits, facts->sha256, 32));
    output_field("  md5", hex(digits, facts->md5, 16));
    if (facts->is_image && facts->refusal == 0) {
        output_field("  verdict", filesystem ? "good: it can be published with --component fs --chip CHIP"
                                             : "good: it can be published");
        return;
    }
    snprintf(text, sizeof text, "%s: %s", molt_reason_id(facts->refusal),
             molt_reason_sentence(facts->refusal));
    output_field("  problem", text);
    output_field("  what to do", advice(facts->refusal));
}

/* The key that signed files are verified by. */
struct signer {
    uint8_t key[STOCK_KEY_MAX];
    size_t len; /* 0: none was given */
};

static void print_json(const char *path, const struct facts *facts, const char *signed_as)
{
    json_t *json = shape_facts(facts), *name = json_string(path);
    if (name != NULL) json_object_set_new(json, "file", name); /* a name need not be UTF-8 */
    if (signed_as[0] != '\0') json_object_set_new(json, "signed_as", json_string(signed_as));
    output_json(json);
    json_decref(json);
}

/* One file; an exit status. */
static int inspect(const char *path, const struct signer *signer, bool as_json)
{
    uint8_t *data;
    const uint8_t *content;
    const char *signed_as = "";
    size_t len, content_len;
    if (!load_file(path, &data, &len)) return EXIT_PROBLEM;
    struct facts facts;
    facts_read(data, len, &facts, NULL, NULL);
    if (facts.refusal == MOLT_IMAGE_SIGNED && signer->len > 0) {
        signed_as =
            stock_format_name(stock_unsign(signer->key, signer->len, data, len, &content, &content_len));
        if (signed_as[0] != '\0') facts_read(content, content_len, &facts, NULL, NULL);
    }
    free(data);
    if (as_json) {
        print_json(path, &facts, signed_as);
    } else {
        print_words(path, &facts);
        if (signed_as[0] != '\0') {
            output_field("  signature", "good: by the given key, and what is above is the image in it");
            output_field("  format", signed_as);
        } else if (facts.refusal == MOLT_IMAGE_SIGNED && signer->len > 0) {
            output_field("  signature", "bad: not by the given key, or the file was changed");
        }
    }
    return facts.is_image && facts.refusal == 0 ? EXIT_GOOD : EXIT_PROBLEM;
}

static int run(struct args *args)
{
    struct signer signer = {.len = 0};
    char err[SIGN_ERROR_LEN] = "";
    int status = EXIT_GOOD, rc = 0;
    if (args_has(args, "trust"))
        rc = stock_public_load(args_value(args, "trust"), signer.key, &signer.len, err);
    if (rc < 0) return signing_refuse(args, -rc, err);
    for (int i = 0; i < args->operand_count; i++) {
        if (i > 0 && !args_has(args, "json")) putchar('\n');
        if (inspect(args->operands[i], &signer, args_has(args, "json")) != EXIT_GOOD) status = EXIT_PROBLEM;
    }
    return status;
}

const struct command command_inspect = {
    .name = "inspect",
    .operands = "FILE...",
    .summary = "say what a file is, whether a device can run it, and what to do if not",
    .more = "Exit status 1 when one of the files is no image that can be published.",
    .examples = "  molt inspect firmware.bin\n  molt inspect --json *.bin\n  molt inspect door.signed.bin "
                "--trust arduino-public.key",
    .options = options,
    .operands_min = 1,
    .operands_max = ARGS_OPERANDS_MAX,
    .run = run,
};
