/* cmd_webhook.c - `molt webhook`: who is told of what happens, what came of it, and a test. Must never print a secret but the new one.
 * Tests: test/e2e/cli_routes_test.py. */
#include <stdio.h>
#include <string.h>

#include "operate.h"
#include "output.h"

#define API "/api/v1/webhooks"

static const struct args_option where[] = {COMMAND_WHERE, {0}};
static const struct args_option set_options[] = {
    {"url", "URL", "where events are sent", 0},
    {"event", "NAME", "tell it of this; molt webhook list --json lists them (default of create: all)",
     ARGS_REPEAT},
    {"note", "TEXT", "for people", 0},
    {"on", NULL, "tell it of events", 0},
    {"off", NULL, "tell it of nothing", 0},
    {"new-secret", NULL, "make a new secret; the old one counts no longer", 0},
    COMMAND_WHERE,
    {0},
};
static const struct args_option create_options[] = {
    {"event", "NAME", "tell it of this; molt webhook list --json lists them (default: all)", ARGS_REPEAT},
    {"note", "TEXT", "for people", 0},
    COMMAND_WHERE,
    {0},
};
static const struct args_option log_options[] = {{"limit", "N", "at most so many (default: 50)", 0},
                                                 {"before", "ID", "those older than it", 0},
                                                 COMMAND_WHERE,
                                                 {0}};

static int webhook_list(struct args *args)
{
    static const struct operate_column columns[] = {{"ID", "id"},         {"URL", "url"},   {"ON", "enabled"},
                                                    {"EVENTS", "events"}, {"NOTE", "note"}, {0}};
    return operate_list(args, API, NULL, "webhooks", columns);
}

static int webhook_show(struct args *args)
{
    return operate_send(args, "GET", NULL, NULL, API "/%s", args->operands[0]);
}

static json_t *body_of(const struct args *args, const char *url)
{
    json_t *body = json_object(), *events = json_array();
    const char *event;
    for (int i = 0; (event = args_nth(args, "event", i)) != NULL; i++)
        json_array_append_new(events, json_string(event));
    if (json_array_size(events) > 0) json_object_set(body, "events", events);
    json_decref(events);
    if (url != NULL) json_object_set_new(body, "url", json_string(url));
    if (args_value(args, "note") != NULL)
        json_object_set_new(body, "note", json_string(args_value(args, "note")));
    return body;
}

static int webhook_create(struct args *args)
{
    int status = operate_send(args, "POST", body_of(args, args->operands[0]), NULL, API);
    if (status == EXIT_GOOD)
        output_hint("the secret is shown only now; the receiver checks signatures with it");
    return status;
}

static int webhook_set(struct args *args)
{
    json_t *body = body_of(args, args_value(args, "url"));
    if (args_has(args, "on")) json_object_set_new(body, "enabled", json_true());
    if (args_has(args, "off")) json_object_set_new(body, "enabled", json_false());
    if (args_has(args, "new-secret")) json_object_set_new(body, "new_secret", json_true());
    if ((args_has(args, "on") && args_has(args, "off")) || json_object_size(body) == 0) {
        json_decref(body);
        return command_usage_error(&command_webhook_set,
                                   "say what to change: --url, --event, --note, --on or --off, --new-secret");
    }
    return operate_send(args, "PATCH", body, NULL, API "/%s", args->operands[0]);
}

static int webhook_delete(struct args *args)
{
    return operate_send(args, "DELETE", NULL, "deleted", API "/%s", args->operands[0]);
}

static int webhook_test(struct args *args)
{
    int status = operate_send(args, "POST", json_object(), "an event of the type test is on its way",
                              API "/%s/test", args->operands[0]);
    if (status == EXIT_GOOD) output_hint("what came of it: molt webhook log %s", args->operands[0]);
    return status;
}

static int webhook_log(struct args *args)
{
    static const struct operate_column columns[] = {
        {"ID", "id"},       {"EVENT", "event"},   {"STATE", "state"}, {"AT", "created_ms"},
        {"TRIES", "tries"}, {"STATUS", "status"}, {"ERROR", "error"}, {0}};
    char path[ARGS_VALUE_LEN + 64];
    struct client_query query = {0};
    client_query_add(&query, "limit", args_value(args, "limit"));
    client_query_add(&query, "before", args_value(args, "before"));
    (void)snprintf(path, sizeof path, API "/%s/deliveries", args->operands[0]);
    return operate_list(args, path, &query, "deliveries", columns);
}

const struct command command_webhook_list = {.name = "webhook list",
                                             .operands = "",
                                             .summary = "list webhooks",
                                             .more = "",
                                             .examples = "  molt webhook list",
                                             .options = where,
                                             .run = webhook_list};
const struct command command_webhook_show = {.name = "webhook show",
                                             .operands = "ID",
                                             .summary = "show one webhook",
                                             .more = "",
                                             .examples = "  molt webhook show 1",
                                             .options = where,
                                             .operands_min = 1,
                                             .operands_max = 1,
                                             .run = webhook_show};
const struct command command_webhook_create = {
    .name = "webhook create",
    .operands = "URL",
    .summary = "tell an address what happens",
    .more = "Events are sent by HTTP POST, signed as of Standard Webhooks; doc/operations.md has an example "
            "of a receiver.\n"
            "Addresses that are not public need molt serve --webhook-allow.",
    .examples =
        "  molt webhook create https://hooks.example.org/molt --event device.failed --event rollout.paused",
    .options = create_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = webhook_create};
const struct command command_webhook_set = {
    .name = "webhook set",
    .operands = "ID",
    .summary = "change a webhook",
    .more = "",
    .examples = "  molt webhook set 1 --off\n  molt webhook set 1 --new-secret",
    .options = set_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = webhook_set};
const struct command command_webhook_delete = {.name = "webhook delete",
                                               .operands = "ID",
                                               .summary = "forget a webhook and what waits for it",
                                               .more = "",
                                               .examples = "  molt webhook delete 1",
                                               .options = where,
                                               .operands_min = 1,
                                               .operands_max = 1,
                                               .run = webhook_delete};
const struct command command_webhook_test = {.name = "webhook test",
                                             .operands = "ID",
                                             .summary = "send a test event",
                                             .more = "",
                                             .examples = "  molt webhook test 1",
                                             .options = where,
                                             .operands_min = 1,
                                             .operands_max = 1,
                                             .run = webhook_test};
const struct command command_webhook_log = {.name = "webhook log",
                                            .operands = "ID",
                                            .summary = "list what was sent to a webhook, and what waits",
                                            .more = "",
                                            .examples = "  molt webhook log 1",
                                            .options = log_options,
                                            .operands_min = 1,
                                            .operands_max = 1,
                                            .run = webhook_log};
