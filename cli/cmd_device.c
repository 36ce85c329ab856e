/* cmd_device.c - `molt device list|show|why`: which devices there are, how they are doing and why. Everything a device said about
 * itself is printed through output.h, which lets no control character pass. Tests: test/e2e/cli_test.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "operate.h"
#include "output.h"

#define PAGE 1000

/* "1.2.3 (1002003)", whichever of the two is known. */
static void version_text(char *buf, size_t cap, const json_t *running)
{
    const char *version = client_text(running, "version");
    json_int_t code = client_integer(running, "code");
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)code);
    if (code == 0 || strcmp(version, number) == 0)
        snprintf(buf, cap, "%s", version);
    else if (version[0] == '\0')
        snprintf(buf, cap, "%s", number);
    else
        snprintf(buf, cap, "%s (%s)", version, number);
}

/* ---- list ---- */

static const struct args_option list_options[] = {
    {"product", "NAME", "only devices of this product", 0},
    {"reason", "ID", "only devices with this reason, for example not-assigned", 0},
    {"find", "TEXT", "only devices with this text in id, product, version or address", 0},
    {"filter", "FILTER", "only devices that match, for example 'tag = canary and seen < 7d'", 0},
    {"limit", "N", "at most this many (default 1000)", 0},
    {"after", "ID", "only devices behind this id", 0},
    COMMAND_WHERE,
    {0},
};

/* Fetches pages until limit devices or the end. A new object {"devices": [...], "next": ...}, or NULL. */
static json_t *fetch(struct client *client, const struct args *args, uint64_t limit)
{
    json_t *all = json_array(), *next = json_null();
    char after[64] = "";
    if (args_value(args, "after") != NULL) snprintf(after, sizeof after, "%s", args_value(args, "after"));
    while (json_array_size(all) < limit) {
        uint64_t want = limit - json_array_size(all);
        char number[24];
        snprintf(number, sizeof number, "%llu", (unsigned long long)(want < PAGE ? want : PAGE));
        struct client_query query = {0};
        client_query_add(&query, "product", args_value(args, "product"));
        client_query_add(&query, "reason", args_value(args, "reason"));
        client_query_add(&query, "q", args_value(args, "find"));
        client_query_add(&query, "filter", args_value(args, "filter"));
        client_query_add(&query, "limit", number);
        client_query_add(&query, "after", after[0] != '\0' ? after : NULL);
        json_t *page = client_call(
            client, &(struct client_request){.method = "GET", .path = "/api/v1/devices", .query = &query});
        if (page == NULL) {
            json_decref(all);
            json_decref(next);
            return NULL;
        }
        size_t before = json_array_size(all);
        json_array_extend(all, json_object_get(page, "devices"));
        json_decref(next);
        next = json_incref(json_object_get(page, "next"));
        snprintf(after, sizeof after, "%s", client_text(page, "next"));
        json_decref(page);
        if (after[0] == '\0' || json_array_size(all) == before) break;
    }
    return json_pack("{s:o, s:o}", "devices", all, "next", next);
}

static bool is_bad(const char *state)
{
    return strcmp(state, "failed") == 0 || strcmp(state, "rolled-back") == 0;
}

static enum output_style row_style(const json_t *device, const char *state)
{
    const char *who = client_text(json_object_get(device, "reason"), "who");
    if (is_bad(state)) return OUTPUT_BAD;
    if (strcmp(state, "updated") == 0 || strcmp(state, "presumed") == 0) return OUTPUT_GOOD;
    return strcmp(who, "operator") == 0 || strcmp(who, "maker") == 0 ? OUTPUT_WARN : OUTPUT_PLAIN;
}

/* Why the device is as it is: how its last attempt ended, when it ended badly, also while the next one is at it; else, or
 * when somebody should act on that, what it was last answered. */
static const json_t *why_of(const json_t *device)
{
    const json_t *attempt = json_object_get(device, "attempt"), *answer = json_object_get(device, "reason");
    const json_t *result = json_object_get(attempt, "result"), *reason = json_object_get(result, "reason");
    const bool ended = is_bad(client_text(attempt, "state")),
               is_well = strcmp(client_text(answer, "who"), "nobody") == 0;
    const bool badly = is_bad(client_text(result, "state")) && client_text(reason, "id")[0] != '\0';
    return badly && (ended || is_well) ? reason : answer;
}

/* Below the table: what the ids in its last column mean, each once, when somebody should act. */
static void print_reasons(const json_t *devices)
{
    json_t *said = json_object();
    size_t i;
    const json_t *device;
    json_array_foreach(devices, i, device)
    {
        const json_t *reason = why_of(device);
        const char *id = client_text(reason, "id"), *who = client_text(reason, "who");
        if (id[0] == '\0' || strcmp(who, "nobody") == 0 || json_object_get(said, id) != NULL) continue;
        output_hint("%s: %s", id, client_text(reason, "sentence"));
        json_object_set_new(said, id, json_true());
    }
    json_decref(said);
}

static void print_list(const json_t *answer)
{
    static const char *const titles[] = {"ID", "PRODUCT", "CHIP", "VERSION", "STATE", "LAST SEEN", "WHY"};
    struct output_table *table = output_table_new(titles, 7);
    int64_t now = output_now_ms();
    size_t i, unassigned = 0;
    const json_t *device, *devices = json_object_get(answer, "devices");
    json_array_foreach(devices, i, device)
    {
        char version[160], ago[32], chip[40];
        const json_t *reason = why_of(device);
        const char *state = client_text(json_object_get(device, "attempt"), "state");
        bool held = json_is_true(json_object_get(device, "held"));
        version_text(version, sizeof version, json_object_get(device, "running"));
        snprintf(chip, sizeof chip, "%s%s", client_text(device, "chip"),
                 strcmp(client_text(device, "chip_source"), "assumed") == 0 ? " (assumed)" : "");
        output_ago(ago, sizeof ago, client_integer(device, "last_seen_ms"), now);
        const char *cells[] = {client_text(device, "id"),
                               client_text(device, "product"),
                               chip,
                               version,
                               held                         ? "held"
                               : strcmp(state, "none") == 0 ? ""
                                                            : state,
                               ago,
                               client_text(reason, "id")};
        output_table_row(table, row_style(device, state), cells);
        unassigned += client_text(device, "product")[0] == '\0';
    }
    if (json_array_size(devices) == 0) {
        output_table_free(table);
        output_hint("no devices; each is recorded when it first asks the server for an update");
        return;
    }
    output_table_print(table, stdout);
    print_reasons(devices);
    if (unassigned > 0) output_hint("%zu without a product: molt device set ID --product NAME", unassigned);
    if (client_text(answer, "next")[0] != '\0')
        output_hint("there are more: molt device list --after %s", client_text(answer, "next"));
}

static int run_list(struct args *args)
{
    uint64_t limit = PAGE;
    if (args_number(args, "limit", 1, 1000000, &limit) < 0)
        return command_usage_error(&command_device_list, "%s", args->error);
    struct client *client = client_open(args, false);
    if (client == NULL) return EXIT_PROBLEM;
    json_t *answer = fetch(client, args, limit);
    if (answer != NULL && args_has(args, "json"))
        output_json(answer);
    else if (answer != NULL)
        print_list(answer);
    client_close(client);
    json_decref(answer);
    return answer != NULL ? EXIT_GOOD : EXIT_PROBLEM;
}

/* ---- show ---- */

static const struct args_option where_options[] = {COMMAND_WHERE, {0}};

static void field_size(const char *label, const json_t *json, const char *field)
{
    char size[64];
    json_int_t bytes = client_integer(json, field);
    if (bytes > 0) output_field(label, output_size(size, sizeof size, (uint64_t)bytes));
}

static void field_time(const char *label, const json_t *json, const char *field)
{
    char when[40], ago[32], both[80];
    json_int_t ms = client_integer(json, field);
    if (ms <= 0) return;
    snprintf(both, sizeof both, "%s (%s)", output_time(when, sizeof when, ms),
             output_ago(ago, sizeof ago, ms, output_now_ms()));
    output_field(label, both);
}

static void field_reason(const char *label, const json_t *reason, const char *detail)
{
    char text[600];
    if (client_text(reason, "id")[0] == '\0') return;
    snprintf(text, sizeof text, "%s: %s", client_text(reason, "id"), client_text(reason, "sentence"));
    output_field(label, text);
    output_field("", detail);
}

/* The attempt that is going on, and how the last one ended. */
static void print_attempt(const json_t *attempt)
{
    const json_t *result = json_object_get(attempt, "result"), *reason = json_object_get(result, "reason");
    const bool older = client_integer(result, "release") != client_integer(attempt, "release");
    char text[600], when[32];
    const json_int_t code = client_integer(attempt, "code"), ms = client_integer(attempt, "announced_ms");
    snprintf(text, sizeof text, "%s", client_text(attempt, "state"));
    if (ms > 0)
        snprintf(text, sizeof text, "%s, code %lld, %s", client_text(attempt, "state"), (long long)code,
                 output_ago(when, sizeof when, ms, output_now_ms()));
    output_field("attempt", text);
    if (!json_is_object(result)) return;
    snprintf(text, sizeof text, "%s%s%s%s%s%s", client_text(result, "state"),
             older ? " (another release)" : "", client_text(reason, "id")[0] != '\0' ? ", " : "",
             client_text(reason, "id"), client_text(reason, "id")[0] != '\0' ? ": " : "",
             client_text(reason, "sentence"));
    output_field("last result", text);
}

static void print_why(const json_t *why)
{
    const json_t *release = json_object_get(why, "release");
    char text[300];
    snprintf(text, sizeof text, "%s", client_text(why, "verdict"));
    if (strcmp(text, "offer") == 0)
        snprintf(text, sizeof text, "is offered %s (code %lld), %s, %lld bytes",
                 client_text(release, "version"), (long long)client_integer(release, "code"),
                 client_text(why, "encoding"), (long long)client_integer(why, "size"));
    output_field("if it asks now", text);
    field_reason("because", json_object_get(why, "reason"), client_text(why, "detail"));
    output_field("next", client_text(why, "next"));
}

/* "a, b" of a list of texts. */
static void print_labels(const json_t *device)
{
    char text[600] = "";
    size_t i, len = 0;
    const char *name;
    json_t *value;
    json_array_foreach(json_object_get(device, "tags"), i, value)
    {
        if (len < sizeof text)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i > 0 ? ", " : "",
                                    json_string_value(value));
    }
    output_field("group", client_text(device, "group"));
    output_field("tags", text);
    json_object_foreach(json_object_get(device, "attributes"), name, value)
    {
        snprintf(text, sizeof text, "%s = %s", name, json_string_value(value));
        output_field("attribute", text);
    }
    if (client_integer(device, "pin") == 0) return;
    snprintf(text, sizeof text, "code %lld", (long long)client_integer(device, "pin"));
    output_field("pinned to", text);
}

static void print_device(const json_t *device, const json_t *why)
{
    const json_t *running = json_object_get(device, "running"), *space = json_object_get(device, "space");
    char text[200];
    output_field("device", client_text(device, "id"));
    output_field("product",
                 client_text(device, "product")[0] != '\0' ? client_text(device, "product") : "none");
    output_field("channel", client_text(device, "channel"));
    if (json_is_true(json_object_get(device, "held"))) output_field("held", "yes: it is offered nothing");
    print_labels(device);
    snprintf(text, sizeof text, "%s (%s)", client_text(device, "chip"), client_text(device, "chip_source"));
    output_field("chip", client_text(device, "chip")[0] != '\0' ? text : "not known");
    output_field("client", client_text(device, "client"));
    version_text(text, sizeof text, running);
    output_field("runs", text);
    field_size("image", running, "size");
    output_field("core", client_text(running, "core"));
    output_field("digest", client_text(running, "digest"));
    field_size("flash", space, "flash_size");
    if (client_integer(space, "fs_start") > 0) {
        snprintf(text, sizeof text, "0x%llx", (unsigned long long)client_integer(space, "fs_start"));
        output_field("file system at", text);
    }
    field_size("slot", space, "slot_size");
    field_size("free", space, "free");
    if (json_is_true(json_object_get(space, "gzip_refused"))) output_field("gzip", "refused by this device");
    output_field("address", client_text(device, "address"));
    field_time("first seen", device, "first_seen_ms");
    field_time("last seen", device, "last_seen_ms");
    print_attempt(json_object_get(device, "attempt"));
    field_reason("last answer", json_object_get(device, "reason"), client_text(device, "detail"));
    print_why(why);
}

static int run_show(struct args *args)
{
    char id[MODEL_ID_LEN];
    int status = EXIT_PROBLEM;
    if (!operate_device_id(&command_device_show, args, id, &status)) return status;
    struct client *client = client_open(args, false);
    if (client == NULL) return EXIT_PROBLEM;
    json_t *device = client_json(client, "GET", NULL, "/api/v1/devices/%s", id), *why = NULL;
    if (device != NULL) why = client_json(client, "GET", NULL, "/api/v1/devices/%s/why", id);
    if (why != NULL && args_has(args, "json")) {
        json_object_set(device, "why", why);
        output_json(device);
    } else if (why != NULL) {
        print_device(device, why);
    }
    if (why != NULL) status = EXIT_GOOD;
    client_close(client);
    json_decref(device);
    json_decref(why);
    return status;
}

/* ---- why ---- */

static void print_steps(const json_t *why)
{
    size_t i;
    const json_t *step;
    json_array_foreach(json_object_get(why, "steps"), i, step)
    {
        const json_t *release = json_object_get(step, "release"), *reason = json_object_get(step, "reason");
        char label[64], text[400];
        const char *detail = client_text(step, "detail");
        snprintf(label, sizeof label, "version %.40s", client_text(release, "version"));
        snprintf(text, sizeof text, "%s%s%s", client_text(reason, "id"), detail[0] != '\0' ? ": " : "",
                 detail);
        output_field(label, text);
    }
}

static int run_why(struct args *args)
{
    char id[MODEL_ID_LEN];
    int status = EXIT_PROBLEM;
    if (!operate_device_id(&command_device_why, args, id, &status)) return status;
    struct client *client = client_open(args, false);
    if (client == NULL) return EXIT_PROBLEM;
    json_t *why = client_json(client, "GET", NULL, "/api/v1/devices/%s/why", id);
    if (why != NULL && args_has(args, "json")) {
        output_json(why);
    } else if (why != NULL) {
        print_why(why);
        print_steps(why);
        print_attempt(json_object_get(why, "attempt"));
    }
    client_close(client);
    json_decref(why);
    return why != NULL ? EXIT_GOOD : EXIT_PROBLEM;
}

const struct command command_device_list = {
    .name = "device list",
    .operands = "",
    .summary = "show the devices, what they run and how they are doing",
    .more = "",
    .examples = "  molt device list\n  molt device list --reason not-assigned\n  molt device list --product "
                "door --json",
    .options = list_options,
    .run = run_list,
};

const struct command command_device_show = {
    .name = "device show",
    .operands = "ID",
    .summary = "show all that is known of one device, and why it is or is not updated",
    .more = "The id is the MAC in any spelling (5ccf7fc602e2, 5C:CF:7F:C6:02:E2), or the device's name.",
    .examples = "  molt device show 5ccf7fc602e2",
    .options = where_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_show,
};

const struct command command_device_why = {
    .name = "device why",
    .operands = "ID",
    .summary = "say what a device would be answered now, and why, release by release",
    .more = "",
    .examples = "  molt device why 5ccf7fc602e2",
    .options = where_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_why,
};
