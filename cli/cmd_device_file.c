/* cmd_device_file.c - `molt device export|import`: what operators say of devices, as CSV (RFC 4180) or JSON, out and back in.
 * Must never stop in the middle without saying where. Tests: test/e2e/enrol_test.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "load.h"
#include "output.h"
#include "server/skins/device_id.h"

#define PAGE        "1000"
#define COLUMNS_MAX 16
#define ROW_MAX     4096
#define BATCH       1000u  /* devices of an import that are set in one transaction */
#define BATCH_LEN   60000u /* and bytes of JSON: the API takes 64 KiB */

static const char *const columns[] = {"id",   "product",    "channel", "chip", "group",
                                      "tags", "attributes", "pin",     "held", NULL};

/* ---- export ---- */

static const struct args_option export_options[] = {
    {"filter", "FILTER", "only devices that match, for example 'group = roof'", 0}, COMMAND_WHERE, {0}};

/* The device as import takes it: only what operators say. A new object. */
static json_t *settings_of(const json_t *device)
{
    static const char *const texts[] = {"id", "product", "channel", "group"};
    json_t *row = json_object();
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (client_text(device, texts[i])[0] != '\0')
            json_object_set(row, texts[i], json_object_get(device, texts[i]));
    if (strcmp(client_text(device, "chip_source"), "set") == 0)
        json_object_set(row, "chip", json_object_get(device, "chip"));
    if (json_array_size(json_object_get(device, "tags")) > 0)
        json_object_set(row, "tags", json_object_get(device, "tags"));
    if (json_object_size(json_object_get(device, "attributes")) > 0)
        json_object_set(row, "attributes", json_object_get(device, "attributes"));
    if (client_integer(device, "pin") > 0) json_object_set(row, "pin", json_object_get(device, "pin"));
    json_object_set_new(row, "held", json_boolean(json_is_true(json_object_get(device, "held"))));
    return row;
}

static void print_cell(const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"') putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static void print_row(const json_t *row)
{
    for (size_t i = 0; columns[i] != NULL; i++) {
        const json_t *value = json_object_get(row, columns[i]);
        char cell[ROW_MAX] = "";
        size_t at, len = 0;
        const char *name;
        json_t *item;
        json_array_foreach(value, at, item) if (len < sizeof cell) len += (size_t)snprintf(
            cell + len, sizeof cell - len, "%s%s", at > 0 ? " " : "", json_string_value(item));
        if (json_is_object(value)) {
            json_object_foreach((json_t *)(uintptr_t)value, name, item) if (len < sizeof cell) len +=
                (size_t)snprintf(cell + len, sizeof cell - len, "%s%s=%s", len > 0 ? " " : "", name,
                                 json_string_value(item));
        }
        if (json_is_integer(value)) snprintf(cell, sizeof cell, "%lld", (long long)json_integer_value(value));
        if (json_is_boolean(value)) snprintf(cell, sizeof cell, "%s", json_is_true(value) ? "yes" : "no");
        if (json_is_string(value)) snprintf(cell, sizeof cell, "%s", json_string_value(value));
        if (i > 0) putchar(',');
        print_cell(cell);
    }
    fputs("\r\n", stdout);
}

/* A million devices are written as they come: nothing here grows with them. */
struct export
{
    bool is_json, has_begun;
    size_t rows;
};

static void write_begin(struct export *out)
{
    if (out->has_begun) return;
    out->has_begun = true;
    for (size_t i = 0; !out->is_json && columns[i] != NULL; i++)
        printf("%s%s", i > 0 ? "," : "", columns[i]);
    fputs(out->is_json ? "[" : "\r\n", stdout);
}

static void write_device(struct export *out, const json_t *device)
{
    json_t *row = settings_of(device);
    if (out->is_json) {
        if (out->rows > 0) fputs(",\n", stdout);
        json_dumpf(row, stdout, JSON_COMPACT);
    } else {
        print_row(row);
    }
    out->rows++;
    json_decref(row);
}

/* Writes a page; next: behind which device the one after it begins, "" when there is none. False after an error was printed. */
static bool export_page(struct client *client, const char *filter, struct export *out, char *next, size_t cap)
{
    struct client_query query = {0};
    client_query_add(&query, "filter", filter);
    client_query_add(&query, "limit", PAGE);
    client_query_add(&query, "after", next[0] != '\0' ? next : NULL);
    json_t *page = client_call(
        client, &(struct client_request){.method = "GET", .path = "/api/v1/devices", .query = &query});
    size_t i;
    const json_t *device;
    if (page == NULL) return false;
    write_begin(out);
    json_array_foreach(json_object_get(page, "devices"), i, device) write_device(out, device);
    snprintf(next, cap, "%s", client_text(page, "next"));
    json_decref(page);
    return true;
}

static int run_export(struct args *args)
{
    struct export out = {.is_json = args_has(args, "json")};
    char next[64] = "";
    bool ok;
    struct client *client = client_open(args, false);
    if (client == NULL) return EXIT_PROBLEM;
    do {
        ok = export_page(client, args_value(args, "filter"), &out, next, sizeof next);
    } while (ok && next[0] != '\0');
    client_close(client);
    if (ok && out.is_json) fputs("]\n", stdout);
    if (!ok && out.rows > 0) output_error("this is not all: it ends after %zu devices", out.rows);
    return ok ? EXIT_GOOD : EXIT_PROBLEM;
}

/* ---- import ---- */

static const struct args_option import_options[] = {COMMAND_WHERE, {0}};

/* Takes one cell off the front of *at, into out; false when it is malformed or too long. *last: of its row. */
static bool take_cell(const char **at, const char *end, char *out, size_t cap, bool *last)
{
    const char *p = *at;
    size_t len = 0;
    const bool quoted = p < end && *p == '"';
    bool is_open = quoted;
    if (quoted) p++;
    for (; p < end; p++) {
        if (quoted && *p == '"') {
            p++;
            is_open = p < end && *p == '"';
            if (!is_open) break;
        } else if (!quoted && (*p == ',' || *p == '\n' || *p == '\r')) {
            break;
        }
        if (len + 1 >= cap || *p == '\0') return false;
        out[len++] = *p;
    }
    out[len] = '\0';
    if (is_open) return false;
    if (p < end && *p == '\r') p++;
    *last = p >= end || *p == '\n';
    if (p < end && *p != '\n' && *p != ',') return false;
    *at = p < end ? p + 1 : p;
    return true;
}

static void set_words(json_t *row, const char *name, char *text)
{
    const bool pairs = strcmp(name, "attributes") == 0;
    json_t *value = pairs ? json_object() : json_array();
    char *rest = NULL;
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        char *equals = strchr(word, '=');
        if (!pairs) {
            json_array_append_new(value, json_string(word));
        } else {
            if (equals != NULL) *equals = '\0';
            json_object_set_new(value, word, json_string(equals != NULL ? equals + 1 : ""));
        }
    }
    json_object_set_new(row, name, value);
}

static void set_cell(json_t *row, const char *name, char *text)
{
    if (strcmp(name, "tags") == 0 || strcmp(name, "attributes") == 0)
        set_words(row, name, text);
    else if (strcmp(name, "held") == 0)
        json_object_set_new(row, name, json_boolean(strcmp(text, "yes") == 0));
    else if (strcmp(name, "pin") == 0)
        json_object_set_new(row, name, text[0] != '\0' ? json_integer(strtoll(text, NULL, 10)) : json_null());
    else
        json_object_set_new(row, name, text[0] != '\0' ? json_string(text) : json_null());
}

/* A CSV text as a list of objects; NULL, and *line says where it is none. */
static json_t *read_csv(const char *at, const char *end, unsigned *line)
{
    char names[COLUMNS_MAX][24], cell[ROW_MAX];
    size_t count = 0;
    bool last = false;
    json_t *rows = json_array();
    for (*line = 1; !last; count++)
        if (count == COLUMNS_MAX || !take_cell(&at, end, names[count], sizeof names[0], &last)) goto bad;
    while (at < end) {
        json_t *row = json_object();
        size_t i = 0;
        json_array_append_new(rows, row);
        ++*line;
        for (last = false; !last; i++) {
            if (i == count || !take_cell(&at, end, cell, sizeof cell, &last)) goto bad;
            set_cell(row, names[i], cell);
        }
        if (i != count) goto bad;
    }
    return rows;
bad:
    json_decref(rows);
    return NULL;
}

static json_t *read_rows(const char *path)
{
    uint8_t *data = NULL;
    size_t len = 0, begin = 0;
    unsigned line = 0;
    json_t *rows = NULL;
    if (!load_file(path, &data, &len)) return NULL;
    if (len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) begin = 3; /* as spreadsheets write it */
    if (len > begin && data[begin] == '[') {
        json_error_t error;
        rows = json_loadb((const char *)data + begin, len - begin, 0, &error);
        line = rows == NULL ? (unsigned)error.line : 0;
    } else {
        rows = read_csv((const char *)data + begin, (const char *)data + len, &line);
    }
    free(data);
    if (rows == NULL) output_error("'%s', line %u: neither CSV nor a JSON list", path, line);
    return rows;
}

/* Adds the row to what is sent, its id as the server writes it. False after saying what is wrong. */
static bool add_row(json_t *batch, const json_t *row, size_t number)
{
    char id[MODEL_ID_LEN], text[64];
    snprintf(text, sizeof text, "%.60s", client_text(row, "id"));
    if (!device_id_parse(text, strlen(text), id, NULL)) {
        output_error("device %zu: '%s' is no device id", number, text);
        return false;
    }
    json_t *copy = json_copy((json_t *)(uintptr_t)row);
    json_object_set_new(copy, "id", json_string(id));
    json_array_append_new(batch, copy);
    return true;
}

/* Sends up to BATCH rows, or BATCH_LEN bytes, from number `from` on; the count, 0 after saying what is wrong. */
static size_t import_batch(struct client *client, const json_t *rows, size_t from)
{
    json_t *batch = json_array();
    size_t count = 0, len = 0;
    bool ok = true;
    for (; ok && count < BATCH && from + count < json_array_size(rows); count += ok) {
        const json_t *row = json_array_get(rows, from + count);
        len += json_dumpb(row, NULL, 0, JSON_COMPACT) + MODEL_ID_LEN;
        if (count > 0 && len > BATCH_LEN) break;
        ok = add_row(batch, row, from + count + 1);
    }
    json_t *answer = NULL;
    if (ok) answer = client_json(client, "POST", json_pack("{s:O}", "devices", batch), "/api/v1/devices");
    if (answer == NULL && from + count > 0)
        output_hint("counted from device %zu of the file on; the %zu before it are in", from + 1, from);
    ok = answer != NULL;
    json_decref(answer);
    json_decref(batch);
    return ok ? count : 0;
}

static int run_import(struct args *args)
{
    json_t *rows = read_rows(args->operands[0]);
    if (rows == NULL) return EXIT_PROBLEM;
    struct client *client = client_open(args, true);
    size_t done = 0;
    bool ok = client != NULL;
    while (ok && done < json_array_size(rows)) {
        size_t count = import_batch(client, rows, done);
        ok = count > 0;
        done += count;
    }
    if (ok && args_has(args, "json")) {
        json_t *answer = json_pack("{s:I}", "imported", (json_int_t)done);
        output_json(answer);
        json_decref(answer);
    } else if (ok) {
        printf("devices imported: %zu\n", done);
    }
    client_close(client);
    json_decref(rows);
    return ok ? EXIT_GOOD : EXIT_PROBLEM;
}

const struct command command_device_export = {
    .name = "device export",
    .operands = "",
    .summary = "write what operators say of devices as CSV, or as JSON (--json)",
    .more = "Rows are written as they come: a file is whole when the command says nothing and its exit "
            "status is 0.",
    .examples = "  molt device export >devices.csv\n  molt device export --filter 'group = roof' --json",
    .options = export_options,
    .run = run_export,
};

const struct command command_device_import = {
    .name = "device import",
    .operands = "FILE",
    .summary = "register or set devices from a CSV or JSON file, as export writes it",
    .more = "The first line of a CSV names its columns: id, and any of product, channel, chip, group, tags, "
            "attributes, pin, "
            "held. A column that is not there stays as it is. Some hundreds are set at a time, all of them "
            "or none.",
    .examples = "  molt device import devices.csv",
    .options = import_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_import,
};
