/* cmd_operate.c - the server and the fleet in numbers, groups, filters with a name: commands that are one request each.
 * Tests: test/e2e/cli_routes_test.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operate.h"
#include "output.h"

#define API "/api/v1"

static const struct args_option where[] = {COMMAND_WHERE, {0}};
static const struct args_option paged[] = {
    {"limit", "N", "at most so many", 0}, {"after", "NAME", "those behind it", 0}, COMMAND_WHERE, {0}};

/* Options that are parameters of the query by the same name. */
static void add_options(const struct args *args, struct client_query *query, const char *const *names)
{
    for (; *names != NULL; names++)
        client_query_add(query, *names, args_value(args, *names));
}

static const char *const page[] = {"limit", "after", NULL};

/* ---- products ---- */

static int product_list(struct args *args)
{
    static const struct operate_column columns[] = {{"PRODUCT", "name"},          {"RELEASES", "releases"},
                                                    {"NEWEST", "newest_version"}, {"STOPPED", "stopped"},
                                                    {"ADOPTS", "adopts"},         {0}};
    return operate_list(args, API "/products", NULL, "products", columns);
}

static int product_show(struct args *args)
{
    return operate_send(args, "GET", NULL, NULL, API "/products/%s", args->operands[0]);
}

const struct command command_product_list = {.name = "product list",
                                             .operands = "",
                                             .summary = "list products",
                                             .more = "",
                                             .examples = "  molt product list",
                                             .options = where,
                                             .run = product_list};
const struct command command_product_show = {.name = "product show",
                                             .operands = "PRODUCT",
                                             .summary = "show one product",
                                             .more = "",
                                             .examples = "  molt product show door --json",
                                             .options = where,
                                             .operands_min = 1,
                                             .operands_max = 1,
                                             .run = product_show};

/* ---- groups ---- */

static int group_list(struct args *args)
{
    static const struct operate_column columns[] = {{"GROUP", "name"}, {"DEVICES", "devices"}, {0}};
    struct client_query query = {0};
    add_options(args, &query, page);
    return operate_list(args, API "/groups", &query, "groups", columns);
}

static int group_show(struct args *args)
{
    return operate_send(args, "GET", NULL, NULL, API "/groups/%s", args->operands[0]);
}

static int group_rename(struct args *args)
{
    return operate_send(args, "PATCH", json_pack("{s:s}", "name", args->operands[1]), NULL, API "/groups/%s",
                        args->operands[0]);
}

static int group_dissolve(struct args *args)
{
    return operate_send(args, "DELETE", NULL, NULL, API "/groups/%s", args->operands[0]);
}

const struct command command_group_list = {
    .name = "group list",
    .operands = "",
    .summary = "list the groups that devices are in",
    .more = "A device is put into a group by molt device set ID --group NAME; many at once by --filter.",
    .examples = "  molt group list",
    .options = paged,
    .run = group_list};
const struct command command_group_show = {
    .name = "group show",
    .operands = "GROUP",
    .summary = "show how many devices are in a group",
    .more = "",
    .examples = "  molt group show roof",
    .options = where,
    .operands_min = 1,
    .operands_max = 1,
    .run = group_show,
};
const struct command command_group_rename = {.name = "group rename",
                                             .operands = "GROUP NAME",
                                             .summary = "give a group another name",
                                             .more = "",
                                             .examples = "  molt group rename roof roof-2026",
                                             .options = where,
                                             .operands_min = 2,
                                             .operands_max = 2,
                                             .run = group_rename};
const struct command command_group_dissolve = {.name = "group dissolve",
                                               .operands = "GROUP",
                                               .summary = "take all devices out of a group",
                                               .more = "",
                                               .examples = "  molt group dissolve roof",
                                               .options = where,
                                               .operands_min = 1,
                                               .operands_max = 1,
                                               .run = group_dissolve};

/* ---- filters ---- */

static int filter_list(struct args *args)
{
    static const struct operate_column columns[] = {
        {"NAME", "name"}, {"FILTER", "filter"}, {"NOTE", "note"}, {"BY", "changed_by"}, {0}};
    struct client_query query = {0};
    add_options(args, &query, page);
    return operate_list(args, API "/filters", &query, "filters", columns);
}

static int filter_show(struct args *args)
{
    return operate_send(args, "GET", NULL, NULL, API "/filters/%s", args->operands[0]);
}

static int filter_delete(struct args *args)
{
    return operate_send(args, "DELETE", NULL, "deleted", API "/filters/%s", args->operands[0]);
}

static const struct args_option save_options[] = {
    {"note", "TEXT", "for people", 0},
    {"replace", NULL, "put it in the place of the one of that name", 0},
    COMMAND_WHERE,
    {0},
};

static int filter_save(struct args *args)
{
    char path[ARGS_VALUE_LEN + 64];
    const char *note = args_value(args, "note");
    json_t *body = json_pack("{s:s, s:s}", "filter", args->operands[1], "note", note != NULL ? note : "");
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    (void)snprintf(path, sizeof path, API "/filters/%s", args->operands[0]);
    const struct client_request request = {.method = "PUT",
                                           .path = path,
                                           .if_match = args_has(args, "replace") ? "*" : NULL,
                                           .body = text,
                                           .body_len = text != NULL ? strlen(text) : 0};
    int status = operate_request(args, &request, NULL);
    free(text);
    json_decref(body);
    return status;
}

const struct command command_filter_list = {.name = "filter list",
                                            .operands = "",
                                            .summary = "list filters that have a name",
                                            .more = "",
                                            .examples = "  molt filter list",
                                            .options = paged,
                                            .run = filter_list};
const struct command command_filter_show = {.name = "filter show",
                                            .operands = "NAME",
                                            .summary = "show one of them",
                                            .more = "",
                                            .examples = "  molt filter show roof",
                                            .options = where,
                                            .operands_min = 1,
                                            .operands_max = 1,
                                            .run = filter_show};
const struct command command_filter_save = {
    .name = "filter save",
    .operands = "NAME FILTER",
    .summary = "give a filter a name",
    .more = "doc/filters.md has the language. One that is there stays, unless --replace is given.",
    .examples = "  molt filter save roof 'group = roof and chip = esp8266'\n"
                "  molt filter save roof 'group = roof' --replace",
    .options = save_options,
    .operands_min = 2,
    .operands_max = 2,
    .run = filter_save};
const struct command command_filter_delete = {.name = "filter delete",
                                              .operands = "NAME",
                                              .summary = "forget a filter",
                                              .more = "",
                                              .examples = "  molt filter delete roof",
                                              .options = where,
                                              .operands_min = 1,
                                              .operands_max = 1,
                                              .run = filter_delete};

/* ---- the fleet in numbers ---- */

static const struct args_option count_options[] = {
    {"by", "product|version|state|reason|failure|group|chip|client", "count by this (default: state)", 0},
    {"filter", "FILTER", "only those that it matches", 0},
    COMMAND_WHERE,
    {0},
};

static int device_count(struct args *args)
{
    static const struct operate_column columns[] = {{"VALUE", "value"}, {"DEVICES", "count"}, {0}};
    struct client_query query = {0};
    client_query_add(&query, "by", args_value(args, "by") != NULL ? args_value(args, "by") : "state");
    client_query_add(&query, "filter", args_value(args, "filter"));
    return operate_list(args, API "/device-counts", &query, "groups", columns);
}

static const struct args_option table_options[] = {
    {"filter", "FILTER", "only those that it matches", 0},
    {"limit", "N", "at most so many lines (default: 100000)", 0},
    {"after", "ID", "those behind it", 0},
    COMMAND_WHERE,
    {0}};

static int device_table(struct args *args)
{
    static const char *const names[] = {"filter", "limit", "after", NULL};
    struct client_query query = {0};
    add_options(args, &query, names);
    return operate_text(args, API "/devices.csv", &query);
}

static int overview(struct args *args)
{
    return operate_get(args, API "/overview", NULL, output_json);
}

const struct command command_device_count = {.name = "device count",
                                             .operands = "",
                                             .summary = "count devices by one of their fields",
                                             .more = "",
                                             .examples =
                                                 "  molt device count --by version --filter 'product = lamp'",
                                             .options = count_options,
                                             .run = device_count};
const struct command command_device_table = {
    .name = "device table",
    .operands = "",
    .summary = "print devices as CSV, for spreadsheets",
    .more = "A cell that a spreadsheet would calculate begins with an apostrophe. molt device export writes "
            "what can be imported.",
    .examples = "  molt device table --filter 'group = roof' >roof.csv",
    .options = table_options,
    .run = device_table};
const struct command command_overview = {.name = "overview",
                                         .operands = "",
                                         .summary = "print what needs attention, as JSON",
                                         .more = "",
                                         .examples = "  molt overview | jq .devices",
                                         .options = where,
                                         .run = overview};

/* ---- rollouts ---- */

static int rollout_progress(struct args *args)
{
    struct client *client = client_open(args, false);
    json_t *answer = client != NULL
                         ? client_json(client, "GET", NULL, API "/rollouts/%s/progress", args->operands[0])
                         : NULL;
    return operate_show(args, client, answer, output_json);
}

const struct command command_rollout_progress = {.name = "rollout progress",
                                                 .operands = "ROLLOUT",
                                                 .summary = "print how a rollout went over time, as JSON",
                                                 .more = "",
                                                 .examples = "  molt rollout progress 3",
                                                 .options = where,
                                                 .operands_min = 1,
                                                 .operands_max = 1,
                                                 .run = rollout_progress};

/* ---- the server ---- */

static int server_show(struct args *args)
{
    return operate_get(args, API "/server", NULL, output_json);
}

static int server_settings(struct args *args)
{
    static const struct operate_column columns[] = {
        {"SETTING", "name"}, {"VALUE", "values"}, {"DEFAULT", "default"}, {"SIGHUP", "live"}, {0}};
    return operate_list(args, API "/settings", NULL, "settings", columns);
}

static int server_metrics(struct args *args)
{
    return operate_text(args, "/metrics", NULL);
}

static int server_ready(struct args *args)
{
    return operate_text(args, "/readyz", NULL);
}

static int server_trends(struct args *args)
{
    return operate_text(args, API "/trends", NULL);
}

const struct command command_server_show = {.name = "server show",
                                            .operands = "",
                                            .summary = "print how the server does, as JSON",
                                            .more = "",
                                            .examples = "  molt server show",
                                            .options = where,
                                            .run = server_show};
const struct command command_server_settings = {.name = "server settings",
                                                .operands = "",
                                                .summary = "list the settings of molt serve that hold now",
                                                .more = "",
                                                .examples = "  molt server settings",
                                                .options = where,
                                                .run = server_settings};
const struct command command_server_metrics = {.name = "server metrics",
                                               .operands = "",
                                               .summary = "print metrics as Prometheus reads them",
                                               .more = "",
                                               .examples = "  molt server metrics | grep molt_results_total",
                                               .options = where,
                                               .run = server_metrics};
const struct command command_server_ready = {.name = "server ready",
                                             .operands = "",
                                             .summary = "ask whether the server can keep what devices say",
                                             .more = "Exit status 0: it can; 1: it cannot, and why.",
                                             .examples = "  molt server ready",
                                             .options = where,
                                             .run = server_ready};
const struct command command_server_trends = {.name = "server trends",
                                              .operands = "",
                                              .summary = "print requests and versions over time, as JSON",
                                              .more = "",
                                              .examples = "  molt server trends",
                                              .options = where,
                                              .run = server_trends};
