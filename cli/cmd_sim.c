/* cmd_sim.c - `molt sim` runs one virtual device, `molt sim build` makes a firmware for one. Events go to stdout, a line
 * each, or as JSON objects, one a line, the summary last. Tests: test/e2e/sim_device_test.sh. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "host/facts.h"
#include "output.h"
#include "sim/device.h"
#include "sim/firmware.h"
#include "text.h"
#include "util/text.h"

static const char *const event_names[] = {
    [SIM_EVENT_FLASHED] = "flashed",   [SIM_EVENT_BOOTED] = "booted",       [SIM_EVENT_CHECKED] = "checked",
    [SIM_EVENT_DOWNLOAD] = "download", [SIM_EVENT_STORED] = "stored",       [SIM_EVENT_FS] = "file-system",
    [SIM_EVENT_FAILED] = "failed",     [SIM_EVENT_CONFIRMED] = "confirmed", [SIM_EVENT_REJECTED] = "rejected",
    [SIM_EVENT_CRASHED] = "crashed",   [SIM_EVENT_DEAD] = "dead",
};

/* Where the events go. */
struct view {
    const char *id;
    bool json, downloading;
    struct output_progress progress;
};

static void show_json(const struct sim_event *event)
{
    json_t *line = json_pack("{ss}", "event", event_names[event->kind]);
    if (event->kind != SIM_EVENT_FAILED) json_object_set_new(line, "number", json_integer(event->number));
    if (event->total > 0) json_object_set_new(line, "total", json_integer(event->total));
    if (event->slot >= 0) json_object_set_new(line, "slot", json_integer(event->slot));
    if (event->trial) json_object_set_new(line, "trial", json_true());
    if (event->reason != 0) json_object_set_new(line, "reason", json_string(molt_reason_id(event->reason)));
    if (event->error != 0) json_object_set_new(line, "error", json_integer(event->error));
    if (event->text[0] != '\0') json_object_set_new(line, "text", json_string(event->text));
    output_json(line);
    json_decref(line);
}

static void show_progress(struct view *view, const struct sim_event *event)
{
    if (!view->downloading) {
        output_progress_begin(&view->progress, view->id, event->total, false);
        view->downloading = true;
    }
    output_progress_step(&view->progress, event->number);
}

/* The sentence of an event; "" when it needs none. */
static void describe(const struct sim_event *event, char *out, size_t cap)
{
    char slot[24] = "";
    if (event->slot >= 0) snprintf(slot, sizeof slot, " from slot %d", event->slot);
    switch (event->kind) {
    case SIM_EVENT_FLASHED:
        snprintf(out, cap, "flashed over the wire, %u bytes", event->number);
        break;
    case SIM_EVENT_BOOTED:
        snprintf(out, cap, "runs version %u%s%s", event->number, slot, event->trial ? ", on trial" : "");
        break;
    case SIM_EVENT_CHECKED:
        if (event->text[0] != '\0') {
            snprintf(out, cap, "asked: %s", event->text);
        } else {
            snprintf(out, cap, "asked, the answer is version %u", event->number);
        }
        break;
    case SIM_EVENT_STORED:
        snprintf(out, cap, "stored %u bytes, restarts into them", event->number);
        break;
    case SIM_EVENT_FS:
        snprintf(out, cap, "has a new file system, of version %u", event->number);
        break;
    case SIM_EVENT_CONFIRMED:
        snprintf(out, cap, "is healthy and confirmed version %u", event->number);
        break;
    case SIM_EVENT_REJECTED:
    case SIM_EVENT_FAILED:
        snprintf(out, cap, "%s", event->text);
        break;
    case SIM_EVENT_CRASHED:
    case SIM_EVENT_DEAD:
        snprintf(out, cap, "%s%s", event->kind == SIM_EVENT_DEAD ? "is dead: " : "",
                 molt_reason_sentence(event->reason));
        break;
    case SIM_EVENT_DOWNLOAD:
        break;
    }
}

static void show(void *ctx, const struct sim_event *event)
{
    struct view *view = ctx;
    char text[240] = "";
    if (view->json) {
        if (event->kind != SIM_EVENT_DOWNLOAD) show_json(event);
        return;
    }
    if (event->kind == SIM_EVENT_DOWNLOAD) {
        show_progress(view, event);
        return;
    }
    if (view->downloading) output_progress_end(&view->progress);
    view->downloading = false;
    describe(event, text, sizeof text);
    printf("%s  %s\n", view->id, text);
    fflush(stdout);
}

/* ---- molt sim ------------------------------------------------------------------------------------------ */

static const struct args_option run_options[] = {
    {"chip", "CHIP", "esp8266, esp32, esp32c3 ... (default: esp8266)", 0},
    {"layout", "NAME", "flash layout: 512K, 1M64, 4M1M, 4M2M, 4M3M, esp32-4M (default: 4M2M, esp32-4M)", 0},
    {"mac", "MAC", "MAC of the station; its 12 hex digits are the id", 0},
    {"firmware", "FILE", "image that is flashed over the wire when the flash is blank", 0},
    {"fs", "FILE", "file system that is flashed over the wire with --firmware", 0},
    {"fs-in-place", NULL, "the firmware lets its file system be written in place, where it cannot be staged",
     0},
    {"client", "CLIENT", "molt: libmolt; stock: the Arduino core's updater (default: molt)", 0},
    {"source", "SOURCE", "of a molt client: check-in, version-file or url (default: check-in)", 0},
    {"server", "URL", "base address that the device asks", 0},
    {"ca", "FILE", "PEM with the certificates that an https server must be certified by", 0},
    {"trust", "FILE", "obey only manifests signed by this public key; twice for two keys", ARGS_REPEAT},
    {"approver", "FILE", "and only what this public key's owner approved", 0},
    {"root", "FILE", "the root's public key, which says whose signatures count (molt key rotate)", 0},
    {"device-key", "FILE", "the private key that opens encrypted images", 0},
    {"stale-hours", "N", "alarm after so many hours without a newer signed release", 0},
    {"flash", "FILE", "keep the flash in this file; without it the device is new each time", 0},
    {"checks", "N", "quiet checks before the device is left alone (default: 1)", 0},
    {"boot", "STAGE", "ESP8266: eboot, or molt to put molt-boot into --firmware (default: eboot)", 0},
    {"packs", NULL, "a molt client that takes packs and deltas", 0},
    {"small-packs", NULL, "... with a decoder of less than 4 KB: only deltas that are made for it", 0},
    {"in-place", NULL, "... and writes over itself what has no room beside it (--boot molt, --trust)", 0},
    {"no-boot-rollback", NULL, "ESP32: a bootloader that was built without rollback", 0},
    {"json", NULL, "one JSON object a line, the summary last", 0},
    {0},
};

static bool parse_mac(const char *text, uint8_t mac[6])
{
    int digits = 0;
    for (const char *p = text; *p != '\0'; p++) {
        static const char hex[] = "0123456789abcdef";
        const char *found = strchr(hex, *p >= 'A' && *p <= 'F' ? *p - 'A' + 'a' : *p);
        if ((*p == ':' || *p == '-') && digits % 2 == 0 && digits > 0) continue;
        if (found == NULL || digits >= 12) return false;
        unsigned value = (unsigned)(found - hex);
        mac[digits / 2] = (uint8_t)(digits % 2 == 0 ? value << 4 : mac[digits / 2] | value);
        digits++;
    }
    return digits == 12;
}

/* The index of value among names, fallback when it is NULL, -1 when it is none of them. */
static int choice(const char *value, const char *const *names, int count, int fallback)
{
    if (value == NULL) return fallback;
    for (int i = 0; i < count; i++) {
        if (strcmp(value, names[i]) == 0) return i;
    }
    return -1;
}

/* Fills options from args; an exit status, EXIT_GOOD when all is well. */
static int read_options(struct args *args, struct sim_device_options *options, char server[256])
{
    static const char *const clients[] = {"molt", "stock"};
    static const char *const sources[] = {"check-in", "version-file", "url"};
    const char *chip = args_value(args, "chip"), *mac = args_value(args, "mac");
    const char *url = args_value(args, "server");
    static const char *const stages[] = {"eboot", "molt"};
    int stage = choice(args_value(args, "boot"), stages, 2, 0);
    int client = choice(args_value(args, "client"), clients, 2, 0);
    int source = choice(args_value(args, "source"), sources, 3, 0);
    uint64_t checks = 1, stale_h = 0;
    if (args_number(args, "checks", 1, 1000, &checks) < 0 ||
        args_number(args, "stale-hours", 1, UINT16_MAX, &stale_h) < 0)
        return command_usage_error(&command_sim, "%s", args->error);
    *options = (struct sim_device_options){
        .chip = molt_chip_from_name(chip != NULL ? chip : "esp8266"),
        .layout = args_value(args, "layout"),
        .firmware_path = args_value(args, "firmware"),
        .fs_path = args_value(args, "fs"),
        .fs_in_place = args_has(args, "fs-in-place"),
        .flash_path = args_value(args, "flash"),
        .client = (enum sim_client)client,
        .source = (enum sim_source)source,
        .server = server,
        .ca_path = args_value(args, "ca"),
        .approver_path = args_value(args, "approver"),
        .root_path = args_value(args, "root"),
        .seal_path = args_value(args, "device-key"),
        .molt_boot = stage == 1,
        .packs = args_has(args, "packs") || args_has(args, "small-packs"),
        .small_packs = args_has(args, "small-packs"),
        .in_place = args_has(args, "in-place"),
        .no_boot_rollback = args_has(args, "no-boot-rollback"),
        .checks = (uint32_t)checks,
        .stale_h = (uint32_t)stale_h,
    };
    while (args_nth(args, "trust", (int)options->trust_count) != NULL) {
        if (options->trust_count == 2)
            return command_usage_error(&command_sim, "a device has room for two --trust");
        options->trust_paths[options->trust_count] = args_nth(args, "trust", (int)options->trust_count);
        options->trust_count++;
    }
    if (options->chip == MOLT_CHIP_UNKNOWN)
        return command_usage_error(&command_sim, "'%s' is no chip that molt knows", chip);
    if (stage < 0 || (stage == 1 && options->chip != MOLT_CHIP_ESP8266))
        return command_usage_error(&command_sim, "--boot is eboot, or molt on an ESP8266");
    if (client < 0) return command_usage_error(&command_sim, "--client is molt or stock");
    if (source < 0) return command_usage_error(&command_sim, "--source is check-in, version-file or url");
    if (mac == NULL || !parse_mac(mac, options->mac))
        return command_usage_error(&command_sim, "--mac wants 12 hex digits, as in 5C:CF:7F:C6:02:E2");
    if (url == NULL || strlen(url) >= 256)
        return command_usage_error(&command_sim, "--server wants the base address");
    snprintf(server, 256, "%s", url);
    for (size_t n = strlen(server); n > 0 && server[n - 1] == '/';)
        server[--n] = '\0';
    return EXIT_GOOD;
}

static void show_summary(const struct view *view, const struct sim_summary *summary)
{
    if (view->json) {
        json_t *line = json_pack("{ss ss sb sb si si si si}", "event", "summary", "id", summary->id, "alive",
                                 summary->alive, "failed", summary->failed, "version_code",
                                 (int)summary->version_code, "boots", (int)summary->boots, "updates",
                                 (int)summary->updates, "rollbacks", (int)summary->rollbacks);
        json_object_set_new(line, "sequence", json_integer((json_int_t)summary->sequence));
        if (summary->fs_whole) {
            char hex[65];
            molt_hex_encode(summary->fs_digest, sizeof summary->fs_digest, hex);
            json_object_set_new(line, "fs_sha256", json_string(hex));
        }
        if (summary->reason != 0)
            json_object_set_new(line, "reason", json_string(molt_reason_id(summary->reason)));
        output_json(line);
        json_decref(line);
    }
}

static int run_device(struct args *args)
{
    struct sim_device_options options;
    struct sim_summary summary;
    char server[256], err[160] = "";
    int status = read_options(args, &options, server);
    if (status != EXIT_GOOD) return status;
    char id[13];
    for (int i = 0; i < 6; i++)
        snprintf(id + 2 * i, 3, "%02x", options.mac[i]);
    struct view view = {.id = id, .json = args_has(args, "json")};
    int rc = sim_device_run(&options, show, &view, &summary, err);
    if (view.downloading) output_progress_end(&view.progress);
    if (rc < 0) {
        output_error("%s", err);
        return rc == -MOLT_ARG ? EXIT_USAGE : EXIT_PROBLEM;
    }
    show_summary(&view, &summary);
    return summary.alive && !summary.failed ? EXIT_GOOD : EXIT_PROBLEM;
}

/* ---- molt sim build ------------------------------------------------------------------------------------ */

static const struct args_option build_options[] = {
    {"chip", "CHIP", "esp8266, esp32, esp32c3 ... (default: esp8266)", 0},
    {"code", "N", "version code, 1 to 2147483647; made from the version when it is N or x.y.z", 0},
    {"version", "TEXT", "version for people (default: the code)", 0},
    {"product", "NAME", "product in the image's tag", 0},
    {"behaviour", "WHAT", "healthy, crash, hang or unhealthy (default: healthy)", 0},
    {"size", "BYTES", "length of the image (default: 300000)", 0},
    {"flash-size", "BYTES", "flash size in the header (default: 4194304)", 0},
    {"seed", "N", "content; versions with one seed differ as builds of one program do (default: 1)", 0},
    {0},
};

static bool write_file(const char *path, const uint8_t *data, size_t len)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL) return false;
    bool ok = fwrite(data, 1, len, file) == len;
    return fclose(file) == 0 && ok;
}

static int run_build(struct args *args)
{
    const char *chip = args_value(args, "chip"), *behaviour = args_value(args, "behaviour");
    const char *path = args->operands[0];
    uint64_t code = 0, size = 300000, seed = 1, flash_size = 4u << 20;
    struct sim_firmware_spec spec = {.chip = molt_chip_from_name(chip != NULL ? chip : "esp8266"),
                                     .version = args_value(args, "version"),
                                     .product = args_value(args, "product")};
    if (args_number(args, "code", 1, INT32_MAX, &code) < 0 ||
        args_number(args, "size", 8192, 8u << 20, &size) < 0 ||
        args_number(args, "seed", 1, UINT32_MAX, &seed) < 0 ||
        args_number(args, "flash-size", 1u << 18, 1u << 27, &flash_size) < 0)
        return command_usage_error(&command_sim_build, "%s", args->error);
    if (spec.chip == MOLT_CHIP_UNKNOWN)
        return command_usage_error(&command_sim_build, "'%s' is no chip that molt knows", chip);
    if (code == 0 && (spec.version == NULL || facts_version_code(spec.version, &spec.code) < 0))
        return command_usage_error(&command_sim_build, "--code is missing");
    if (behaviour != NULL && sim_behaviour_from_name(behaviour, &spec.behaviour) < 0)
        return command_usage_error(&command_sim_build, "--behaviour is healthy, crash, hang or unhealthy");
    if (code != 0) spec.code = (uint32_t)code;
    spec.size = (uint32_t)size;
    spec.seed = (uint32_t)seed;
    spec.flash_size = (uint32_t)flash_size;
    uint8_t *image;
    size_t len;
    int rc = sim_firmware_build(&spec, &image, &len);
    if (rc < 0) {
        output_error("no such image can be built: %s", molt_reason_sentence(-rc));
        output_hint("an ESP8266 image has at most 1044464 bytes, and its flash is 256 KiB to 16 MiB");
        return EXIT_PROBLEM;
    }
    bool written = write_file(path, image, len);
    free(image);
    if (!written) {
        output_error("%s could not be written: %s", path, strerror(errno));
        return EXIT_PROBLEM;
    }
    printf("%s: %s, version %u, %zu bytes\n", path, molt_chip_name(spec.chip), spec.code, len);
    return EXIT_GOOD;
}

const struct command command_sim = {
    .name = "sim",
    .operands = "",
    .summary = "run a virtual device against a server",
    .more =
        "The device is flashed, boots, asks the server, updates itself, restarts, and is left alone when "
        "nothing is new.\n"
        "What its firmware does after boot is read from the tag that `molt sim build` puts into an image.\n"
        "Exit status 1: it does not run, or something failed on the way.",
    .examples = "  molt sim build v1.bin --code 1\n"
                "  molt sim --mac 5C:CF:7F:C6:02:E2 --firmware v1.bin --server http://127.0.0.1:8266\n"
                "  molt sim --chip esp32 --client stock --mac 24:0A:C4:00:00:01 --firmware esp32.bin \\\n"
                "           --server http://127.0.0.1:8266/fota --flash device.flash",
    .options = run_options,
    .run = run_device,
};

const struct command command_sim_build = {
    .name = "sim build",
    .operands = "FILE",
    .summary = "make a synthetic firmware for virtual devices",
    .more = "Every header, checksum and digest is right, and there is no code in it: never flash it to a "
            "real chip.",
    .examples = "  molt sim build v2.bin --chip esp32 --code 2 --product lamp\n"
                "  molt sim build bad.bin --chip esp32 --code 3 --product lamp --behaviour crash",
    .options = build_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_build,
};
