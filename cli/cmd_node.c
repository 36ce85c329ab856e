/* cmd_node.c - `molt node`: the servers that share a store. Must never forget one that lives.
 * Tests: test/e2e/nodes/promises_test.py. */
#include "operate.h"

#define API "/api/v1/nodes"

static const struct args_option where[] = {COMMAND_WHERE, {0}};

static int node_list(struct args *args)
{
    static const struct operate_column columns[] = {
        {"NODE", "name"},        {"LIVE", "live"},       {"LEADS", "leads"},   {"BEHIND MS", "behind_ms"},
        {"RULES", "generation"}, {"VERSION", "version"}, {"SCHEMA", "schema"}, {0}};
    return operate_list(args, API, NULL, "nodes", columns);
}

static int node_forget(struct args *args)
{
    return operate_send(args, "DELETE", NULL, NULL, API "/%s", args->operands[0]);
}

const struct command command_node_list = {
    .name = "node list",
    .operands = "",
    .summary = "list the servers that share the store, and how far behind each is",
    .more =
        "Of a server that has the store alone the list is empty. One that is not live was stopped or lost; "
        "doc/store.md says what becomes of what it left.",
    .examples = "  molt node list",
    .options = where,
    .run = node_list};
const struct command command_node_forget = {
    .name = "node forget",
    .operands = "NAME",
    .summary = "forget a server that never comes back, so that others may use its slots at once",
    .more = "",
    .examples = "  molt node forget north",
    .options = where,
    .operands_min = 1,
    .operands_max = 1,
    .run = node_forget};
