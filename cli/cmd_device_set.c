/* cmd_device_set.c - `molt device set|retry|forget`: what operators say of one device, or of all that a filter names.
 * Tests: test/e2e/cli_test.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "operate.h"
#include "text.h"

static const struct args_option many_options[] = {
    {"filter", "FILTER", "instead of an id: all that match", 0}, COMMAND_WHERE, {0}};

static const struct args_option set_options[] = {
    {"filter", "FILTER", "instead of an id: all that match, for example 'group = roof'", 0},
    {"new", NULL, "register it when it is not known yet", 0},
    {"product", "NAME", "the product it gets releases of; \"\" takes it away", 0},
    {"channel", "NAME", "the channel; \"\" is the default one (stable)", 0},
    {"chip", "CHIP", "the chip, for an ESP32 that cannot say it; \"\" forgets it", 0},
    {"group", "NAME", "the group it is in; \"\" takes it out", 0},
    {"tag", "TAG", "the tags it has from now on; \"\" takes all away", ARGS_REPEAT},
    {"attribute", "NAME=VALUE", "the attributes it has from now on; \"\" takes all away", ARGS_REPEAT},
    {"pin", "CODE", "offer it the release of this code and no other; \"\" ends that", 0},
    {"hold", NULL, "offer it nothing until --release", 0},
    {"release", NULL, "end --hold", 0},
    COMMAND_WHERE,
    {0},
};

/* Tags, attributes and pin; what is no number or has no '=' is left for the API to refuse. */
static void set_labels(const struct args *args, json_t *body)
{
    const char *pin = args_value(args, "pin"), *text;
    uint64_t code = 0;
    if (args_has(args, "tag")) json_object_set_new(body, "tags", json_array());
    for (int i = 0; (text = args_nth(args, "tag", i)) != NULL; i++)
        if (text[0] != '\0') json_array_append_new(json_object_get(body, "tags"), json_string(text));
    if (args_has(args, "attribute")) json_object_set_new(body, "attributes", json_object());
    for (int i = 0; (text = args_nth(args, "attribute", i)) != NULL; i++) {
        char name[ARGS_VALUE_LEN + 1];
        size_t len = strcspn(text, "=");
        snprintf(name, sizeof name, "%.*s", (int)len, text);
        json_t *value = text[len] == '=' ? json_string(text + len + 1) : json_null();
        if (text[0] != '\0') json_object_set(json_object_get(body, "attributes"), name, value);
        json_decref(value);
    }
    if (pin == NULL) return;
    bool number = text_number(pin, &code) == 0 && code <= INT32_MAX;
    json_object_set_new(body, "pin",
                        pin[0] == '\0' ? json_null() : json_integer(number ? (json_int_t)code : 0));
}

static json_t *changes(const struct args *args)
{
    static const char *const names[] = {"product", "channel", "chip", "group"};
    json_t *body = json_object();
    set_labels(args, body);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = args_value(args, names[i]);
        if (value != NULL)
            json_object_set_new(body, names[i], value[0] != '\0' ? json_string(value) : json_null());
    }
    if (args_has(args, "hold")) json_object_set_new(body, "held", json_true());
    if (args_has(args, "release")) json_object_set_new(body, "held", json_false());
    return body;
}

static void print_changed(const json_t *answer)
{
    printf("devices changed: %lld\n", (long long)client_integer(answer, "changed"));
}

static void print_retried(const json_t *answer)
{
    printf("devices let out of quarantine: %lld\n", (long long)client_integer(answer, "changed"));
}

static void print_forgotten(const json_t *answer)
{
    printf("devices forgotten: %lld\n", (long long)client_integer(answer, "deleted"));
}

/* What is asked for those that match --filter. body: stolen; NULL: none. */
static int ask_many(const struct args *args, const char *method, const char *path, json_t *body,
                    void (*print)(const json_t *answer))
{
    struct client_query query = {0};
    struct client *client = client_open(args, false);
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    client_query_add(&query, "filter", args_value(args, "filter"));
    const struct client_request request = {.method = method,
                                           .path = path,
                                           .query = &query,
                                           .body = text,
                                           .body_len = text != NULL ? strlen(text) : 0};
    json_t *answer = client != NULL && (body == NULL || text != NULL) ? client_call(client, &request) : NULL;
    free(text);
    json_decref(body);
    return operate_show(args, client, answer, print);
}

static void print_device(const json_t *device)
{
    const char *product = client_text(device, "product");
    printf("device %s: product %s, channel %s%s\n", client_text(device, "id"),
           product[0] != '\0' ? product : "none", client_text(device, "channel"),
           json_is_true(json_object_get(device, "held")) ? ", held" : "");
}

static int run_set(struct args *args)
{
    char id[MODEL_ID_LEN] = "";
    int status = EXIT_PROBLEM;
    const char *filter = args_value(args, "filter");
    if ((filter != NULL) == (args->operand_count == 1))
        return command_usage_error(&command_device_set, "give the device's id, or --filter");
    if (filter == NULL && !operate_device_id(&command_device_set, args, id, &status)) return status;
    if (args_has(args, "hold") && args_has(args, "release"))
        return command_usage_error(&command_device_set, "--hold and --release exclude each other");
    json_t *body = changes(args);
    if (json_object_size(body) == 0 && !args_has(args, "new")) {
        json_decref(body);
        return command_usage_error(&command_device_set,
                                   "nothing to set: give --product, --channel, --chip, --group, --tag, "
                                   "--attribute, --pin or --hold");
    }
    if (filter != NULL) return ask_many(args, "PATCH", "/api/v1/devices", body, print_changed);
    struct client *client = client_open(args, args_has(args, "new"));
    json_t *device = NULL;
    if (client == NULL)
        json_decref(body);
    else
        device = client_json(client, args_has(args, "new") ? "PUT" : "PATCH", body, "/api/v1/devices/%s", id);
    return operate_show(args, client, device, print_device);
}

static int run_retry(struct args *args)
{
    char id[MODEL_ID_LEN], done[MODEL_ID_LEN + 64];
    int status = EXIT_PROBLEM;
    if (args_has(args, "filter") == (args->operand_count == 1))
        return command_usage_error(&command_device_retry, "give the device's id, or --filter");
    if (args_has(args, "filter")) return ask_many(args, "POST", "/api/v1/device-retry", NULL, print_retried);
    if (!operate_device_id(&command_device_retry, args, id, &status)) return status;
    (void)snprintf(done, sizeof done, "device %s: what failed on it is offered again", id);
    return operate_send(args, "POST", NULL, done, "/api/v1/devices/%s/retry", id);
}

static int run_forget(struct args *args)
{
    char id[MODEL_ID_LEN], done[MODEL_ID_LEN + 64];
    int status = EXIT_PROBLEM;
    if (args_has(args, "filter") == (args->operand_count == 1))
        return command_usage_error(&command_device_forget, "give the device's id, or --filter");
    if (args_has(args, "filter")) return ask_many(args, "DELETE", "/api/v1/devices", NULL, print_forgotten);
    if (!operate_device_id(&command_device_forget, args, id, &status)) return status;
    (void)snprintf(done, sizeof done, "device %s is forgotten; it comes back when it asks again", id);
    return operate_send(args, "DELETE", NULL, done, "/api/v1/devices/%s", id);
}

const struct command command_device_set = {
    .name = "device set",
    .operands = "ID | --filter FILTER",
    .summary = "assign a device to a product or channel, set its chip, hold it",
    .more = "",
    .examples = "  molt device set 5ccf7fc602e2 --product door\n  molt device set 5ccf7fc602e2 --channel "
                "beta --chip esp32c3\n"
                "  molt device set 5ccf7fc602e2 --hold\n"
                "  molt device set 5ccf7fc602e2 --group roof --tag canary --tag lab --attribute floor=12",
    .options = set_options,
    .operands_min = 0,
    .operands_max = 1,
    .run = run_set,
};

const struct command command_device_retry = {
    .name = "device retry",
    .operands = "ID | --filter FILTER",
    .summary = "let a device out of quarantine: offer again what failed on it",
    .more = "With --filter, devices on which nothing failed stay as they are.",
    .examples =
        "  molt device retry 5ccf7fc602e2\n  molt device retry --filter 'group = roof and result = failed'",
    .options = many_options,
    .operands_min = 0,
    .operands_max = 1,
    .run = run_retry,
};

const struct command command_device_forget = {
    .name = "device forget",
    .operands = "ID | --filter FILTER",
    .summary = "delete what is known of a device, and its tokens",
    .more = "One that asks again is recorded again.",
    .examples = "  molt device forget 5ccf7fc602e2\n  molt device forget --filter 'seen > 365d'",
    .options = many_options,
    .operands_min = 0,
    .operands_max = 1,
    .run = run_forget,
};
