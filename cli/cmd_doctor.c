/* cmd_doctor.c - `molt doctor`: looks at an address, a file, a boot log or a device of a server, and says what is wrong,
 * how it knows, and what to do. Must never write anywhere. Tests: test/e2e/doctor/. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "doctor/cause.h"
#include "doctor/examine.h"
#include "doctor/report.h"
#include "load.h"
#include "molt_reason.h"
#include "output.h"
#include "server/skins/device_id.h"
#include "sim/layout.h"
#include "text.h"

#define TIMEOUT_USUAL 8000

static const struct args_option options[] = {
    {"mac", "MAC", "the device's MAC address; names the files below a base address", 0},
    {"version", "N", "FW_VERSION of the sketch that runs", 0},
    {"chip", "CHIP", "the device's chip (default: the image's)", 0},
    {"layout", "NAME", "flash layout of an ESP8266 (default: 4M2M)", 0},
    {"sketch-size", "BYTES", "size of the firmware that runs (default: 400000)", 0},
    {"free-space", "BYTES", "ESP.getFreeSketchSpace() of the device", 0},
    {"core", "CORE", "2.7.4, 3.1.2, esp32-2.0, esp32-3.x or idf", 0},
    {"tls-buffer", "BYTES", "input buffer of setBufferSizes() (default: 16384)", 0},
    {"timeout", "MS", "longest wait (default: 8000, as the clients)", 0},
    {"serial", "LOG", "read a boot log instead; - for standard input", 0},
    {"device", "ID", "ask --server or --data why this device has not updated", 0},
    {"dry-run", NULL, "say what would be sent, and send nothing", 0},
    {"verbose", NULL, "all findings, and everything that was seen", 0},
    COMMAND_WHERE,
    {0},
};

/* ---- options ---------------------------------------------------------------------------------------------- */

static bool read_mac(const char *text, uint8_t mac[6])
{
    unsigned digits = 0;
    for (; *text != '\0'; text++) {
        const char *hex = "0123456789abcdef";
        if ((*text == ':' || *text == '-') && digits % 2 == 0) continue;
        const char *at = strchr(hex, *text >= 'A' && *text <= 'F' ? *text + 32 : *text);
        if (at == NULL || digits == 12) return false;
        mac[digits / 2] = (uint8_t)(mac[digits / 2] << 4 | (at - hex));
        digits++;
    }
    return digits == 12;
}

/* The core's habits, and the chip that it implies. */
static bool read_core(const char *core, struct patient_facts *facts)
{
    enum molt_chip implied = MOLT_CHIP_ESP32;
    if (strcmp(core, "2.7.4") == 0)
        facts->core = STOCK_CORE_2_7, implied = MOLT_CHIP_ESP8266;
    else if (strcmp(core, "3.1.2") == 0)
        implied = MOLT_CHIP_ESP8266;
    else if (strcmp(core, "esp32-3.x") == 0)
        facts->core = STOCK_CORE_3_X;
    else if (strcmp(core, "idf") == 0)
        facts->idf_only = true;
    else if (strcmp(core, "esp32-2.0") != 0)
        return false;
    if (facts->chip == MOLT_CHIP_UNKNOWN) facts->chip = implied;
    return (facts->chip == MOLT_CHIP_ESP8266) == (implied == MOLT_CHIP_ESP8266);
}

static int read_words(struct args *args, struct examine_options *out)
{
    struct patient_facts *facts = &out->patient;
    const char *mac = args_value(args, "mac"), *chip = args_value(args, "chip"),
               *core = args_value(args, "core");
    facts->layout = args_value(args, "layout");
    facts->has_mac = mac != NULL;
    if (mac != NULL && !read_mac(mac, facts->mac))
        return command_usage_error(&command_doctor,
                                   "--mac takes 12 hexadecimal digits, with or without colons");
    facts->chip = chip != NULL ? molt_chip_from_name(chip) : MOLT_CHIP_UNKNOWN;
    if (chip != NULL && facts->chip == MOLT_CHIP_UNKNOWN)
        return command_usage_error(&command_doctor, "there is no chip '%s'; esp8266, esp32, esp32c3 ...",
                                   chip);
    const struct sim_layout *layout = facts->layout != NULL ? sim_layout_find(facts->layout) : NULL;
    if (facts->layout != NULL && (layout == NULL || layout->is_esp32))
        return command_usage_error(
            &command_doctor, "there is no layout '%s'; 1M64, 1M, 2M1M, 4M1M, 4M2M, 4M3M ...", facts->layout);
    if (layout != NULL && facts->chip == MOLT_CHIP_UNKNOWN) facts->chip = MOLT_CHIP_ESP8266;
    if (core != NULL && !read_core(core, facts))
        return command_usage_error(
            &command_doctor, "--core takes 2.7.4 or 3.1.2 (ESP8266), esp32-2.0, esp32-3.x or idf (ESP32)");
    return EXIT_GOOD;
}

static int read_options(struct args *args, struct examine_options *out)
{
    uint64_t version = 0, sketch = 0, space = 0, buffer = 16384, timeout = TIMEOUT_USUAL;
    memset(out, 0, sizeof *out);
    if (args_number(args, "version", 1, INT32_MAX, &version) < 0 ||
        args_number(args, "sketch-size", 8192, 16u << 20, &sketch) < 0 ||
        args_number(args, "free-space", 4096, 14u << 20, &space) < 0 ||
        args_number(args, "tls-buffer", 512, 16384, &buffer) < 0 ||
        args_number(args, "timeout", 50, 120000, &timeout) < 0)
        return command_usage_error(&command_doctor, "%s", args->error);
    out->patient.version = args_has(args, "version") ? (int64_t)version : -1;
    out->patient.sketch_size = (uint32_t)sketch;
    out->patient.free_space = (uint32_t)space;
    out->patient.tls_buffer = (uint32_t)buffer;
    out->timeout_ms = (int)timeout;
    out->dry_run = args_has(args, "dry-run");
    return read_words(args, out);
}

/* ---- what is looked at ------------------------------------------------------------------------------------ */

/* notes: what was seen is part of the answer, not only of --verbose. */
static int tell(const struct visit *visit, const struct args *args, const char *what, bool notes)
{
    if (args_has(args, "json"))
        report_json(visit);
    else
        report_words(visit, what, notes || args_has(args, "verbose"));
    return visit_works(visit) ? EXIT_GOOD : EXIT_PROBLEM;
}

static bool is_address(const char *word)
{
    return strstr(word, "://") != NULL;
}

static int look_at_address(struct args *args, const struct examine_options *how, const char *url)
{
    static struct visit visit;
    char err[200] = "";
    int status;
    if (examine_url(&visit, how, url, err) < 0)
        status = command_usage_error(&command_doctor, "%s", err);
    else if (how->dry_run)
        status = EXIT_GOOD, report_requests(&visit);
    else
        status = tell(&visit, args, url, false);
    visit_end(&visit);
    return status;
}

static int look_at_file(struct args *args, const struct examine_options *how, const char *path)
{
    static struct visit visit;
    char err[200] = "";
    uint8_t *data;
    size_t len;
    if (!load_file(path, &data, &len)) return EXIT_PROBLEM;
    int status = examine_file(&visit, how, data, len, err) < 0
                     ? command_usage_error(&command_doctor, "%s", err)
                     : tell(&visit, args, path, true);
    free(data);
    visit_end(&visit);
    return status;
}

static int look_at_log(struct args *args, const char *path)
{
    static struct visit visit;
    const bool standard = strcmp(path, "-") == 0;
    FILE *log = standard ? stdin : fopen(path, "rb");
    if (log == NULL) {
        char shown[200];
        output_error("%s: %s", text_printable(shown, sizeof shown, path), strerror(errno));
        return EXIT_PROBLEM;
    }
    examine_serial(&visit, log);
    if (!standard) fclose(log);
    int status = tell(&visit, args, standard ? "the log" : path, false);
    visit_end(&visit);
    return status;
}

/* ---- a device of a server --------------------------------------------------------------------------------- */

/* Reasons that are no trouble: the device has what it should have, or gets it now. */
static bool is_well(int reason)
{
    return reason <= 0 || molt_reason_who(reason) == MOLT_WHO_NOBODY || reason == MOLT_OFFERED;
}

#define SILENT_MS (INT64_C(24) * 60 * 60 * 1000)

/* Why the server would offer nothing; when it would, what became of the last attempt, and whether the device still asks. */
static void explain_device(struct visit *visit, const json_t *why, const json_t *device)
{
    const json_t *reason = json_object_get(why, "reason"), *attempt = json_object_get(device, "attempt");
    const json_t *result = json_object_get(attempt, "result"), *failed = json_object_get(result, "reason");
    const int number = (int)client_integer(reason, "number"), last = (int)client_integer(failed, "number");
    const char *detail = client_text(why, "detail"), *next = client_text(why, "next");
    const json_int_t seen = client_integer(device, "last_seen_ms");
    char ago[64];
    visit_note(visit, "%s: %s", client_text(reason, "id"), client_text(reason, "sentence"));
    visit_note(visit, "last attempt: %s; last seen %s", client_text(attempt, "state"),
               output_ago(ago, sizeof ago, seen, output_now_ms()));
    if (!is_well(number))
        visit_find(visit, number, true, "device", "%s%s%s",
                   detail[0] != '\0' ? detail : client_text(reason, "sentence"),
                   next[0] != '\0' ? "; do: " : "", next);
    if (!is_well(last))
        visit_find(visit, last, number == MOLT_OFFERED, "device", "the last attempt that ended: %s",
                   client_text(result, "state"));
    if (seen > 0 && output_now_ms() - seen > SILENT_MS)
        visit_find(visit, MOLT_DEVICE_SILENT, number == MOLT_OFFERED, "device", "last seen %s", ago);
}

/* The server knows no such device, or did not answer. The client has told people; programs get the usual form. */
static int tell_refusal(struct visit *visit, struct args *args, const char *id,
                        const struct client_refusal *refusal)
{
    if (!args_has(args, "json")) return EXIT_PROBLEM;
    const int reason = refusal->reason > 0 ? refusal->reason : MOLT_CONNECT;
    visit_find(visit, reason, true, "device", "%s",
               refusal->detail[0] != '\0' ? refusal->detail : molt_reason_sentence(reason));
    return tell(visit, args, id, false);
}

static int look_at_device(struct args *args, const char *name)
{
    static struct visit visit;
    struct client_refusal refusal;
    char id[MODEL_ID_LEN];
    if (!device_id_parse(name, strlen(name), id, NULL))
        return command_usage_error(&command_doctor, "--device takes a MAC or a device's name");
    struct client *client = client_open(args, false);
    if (client == NULL) return EXIT_PROBLEM;
    client_take_refusals(client, &refusal);
    json_t *why = client_json(client, "GET", NULL, "/api/v1/devices/%s/why", id);
    json_t *device = why != NULL ? client_json(client, "GET", NULL, "/api/v1/devices/%s", id) : NULL;
    int status;
    client_close(client);
    visit_begin(&visit);
    wire_begin(&visit.wire, TIMEOUT_USUAL, 16384);
    if (why == NULL || device == NULL) {
        status = tell_refusal(&visit, args, id, &refusal);
    } else {
        explain_device(&visit, why, device);
        status = tell(&visit, args, id, false);
        if (visit.finding_count == 0 && !args_has(args, "json") && !args_has(args, "verbose"))
            printf("%s\n", client_text(json_object_get(why, "reason"), "sentence"));
    }
    visit_end(&visit);
    json_decref(why);
    json_decref(device);
    return status;
}

static int run(struct args *args)
{
    struct examine_options how;
    int status = read_options(args, &how);
    const char *log = args_value(args, "serial"), *device = args_value(args, "device");
    if (status != EXIT_GOOD) return status;
    if ((args->operand_count > 0) + (log != NULL) + (device != NULL) != 1)
        return command_usage_error(&command_doctor,
                                   "give one of: an address, files, --serial LOG, --device ID");
    if (log != NULL) return look_at_log(args, log);
    if (device != NULL) return look_at_device(args, device);
    for (int i = 0; i < args->operand_count; i++) {
        const char *word = args->operands[i];
        if (i > 0 && !args_has(args, "json")) putchar('\n');
        int one = is_address(word) ? look_at_address(args, &how, word) : look_at_file(args, &how, word);
        if (one > status) status = one;
        if (status == EXIT_USAGE) break;
    }
    return status;
}

const struct command command_doctor = {
    .name = "doctor",
    .operands = "URL | FILE... | --serial LOG | --device ID",
    .summary = "say why an update does not work, and what to do",
    .more = "An address is asked with the bytes that ESPhttpUpdate, HTTPUpdate, esp_https_ota, esp32FOTA, "
            "ESPHome and "
            "Tasmota send,\n"
            "and each client's error number and text are foretold. It is a .version, a .bin, a list of "
            "builds (.json), "
            "or with\n"
            "--mac the base address that a sketch glues the MAC to. Nothing is written anywhere.\n"
            "Exit status: 0 works, 1 does not work, 2 wrong usage.",
    .examples =
        "  molt doctor http://192.168.0.10/fota/ --mac 5C:CF:7F:C6:02:E2 --version 2017102501\n"
        "  molt doctor https://ota.example.org/lamp.bin --chip esp8266 --layout 1M64 --tls-buffer 512\n"
        "  molt doctor firmware.bin --chip esp8266 --layout 4M2M --sketch-size 412000\n"
        "  molt doctor --serial - </dev/ttyUSB0\n"
        "  molt doctor --device 5ccf7fc602e2 --data /srv/molt",
    .options = options,
    .operands_max = ARGS_OPERANDS_MAX,
    .run = run,
};
