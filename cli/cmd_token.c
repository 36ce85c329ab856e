/* cmd_token.c - `molt token create|list|show|revoke`, and `molt status`. A token goes to stdout once and nowhere else.
 * Tests: test/e2e/cli_test.sh. */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "operate.h"
#include "output.h"

static const struct args_option create_options[] = {
    {"label", "TEXT", "what it is for, shown in the list", 0},
    {"device", "ID", "a credential for this device instead of an administrator's", 0},
    {"product", "PRODUCT", "for the API, and for this product alone", 0},
    {"role", "ROLE", "viewer, operator, uploader, approver or admin (default: admin)", ARGS_REPEAT},
    {"expires", "TIME", "when it ends, from now on: 90d, 12h (default: never)", 0},
    {"gateway", "PRODUCT", "... for whoever speaks for all devices of the product", 0},
    {"enrol", "PRODUCT", "... that lets new devices into the product, and proves nothing", 0},
    COMMAND_WHERE,
    {0},
};
static const struct args_option where_options[] = {COMMAND_WHERE, {0}};

/* "90d" from now on, in milliseconds since 1970; 0: it is no such time. */
static int64_t read_expiry(const char *text)
{
    const size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits;
    if (digits == 0 || digits > 5 || unit[0] == '\0' || unit[1] != '\0') return 0;
    int64_t number = 0;
    for (size_t i = 0; i < digits; i++)
        number = number * 10 + (text[i] - '0');
    const int64_t hour_ms = INT64_C(3600000);
    const int64_t span = *unit == 'd' ? 24 * hour_ms : *unit == 'h' ? hour_ms : 0;
    return span != 0 && number > 0 ? output_now_ms() + number * span : 0;
}

/* Roles and end into the body. False after printing. */
static bool add_limits(const struct args *args, json_t *body)
{
    const char *expires = args_value(args, "expires"), *role;
    const int64_t expires_ms = expires != NULL ? read_expiry(expires) : 1;
    if (expires_ms == 0) {
        (void)command_usage_error(&command_token_create, "'%s' is no time: a number and d or h", expires);
        return false;
    }
    if (expires != NULL) json_object_set_new(body, "expires_ms", json_integer(expires_ms));
    for (int i = 0; (role = args_nth(args, "role", i)) != NULL; i++) {
        if (i == 0) json_object_set_new(body, "roles", json_array());
        json_array_append_new(json_object_get(body, "roles"), json_string(role));
    }
    return true;
}

static int run_create(struct args *args)
{
    if (args_has(args, "device") + args_has(args, "gateway") + args_has(args, "enrol") +
            args_has(args, "product") >
        1)
        return command_usage_error(&command_token_create,
                                   "--device, --product, --gateway and --enrol exclude each other");
    json_t *body = json_object();
    if (!add_limits(args, body)) {
        json_decref(body);
        return EXIT_USAGE;
    }
    struct client *client = client_open(args, true);
    if (client == NULL) {
        json_decref(body);
        return EXIT_PROBLEM;
    }
    const char *label = args_value(args, "label"), *device = args_value(args, "device");
    const char *gateway = args_value(args, "gateway"), *enrol = args_value(args, "enrol");
    if (label != NULL) json_object_set_new(body, "label", json_string(label));
    if (device != NULL) {
        json_object_set_new(body, "kind", json_string("device"));
        json_object_set_new(body, "device", json_string(device));
    }
    if (args_value(args, "product") != NULL)
        json_object_set_new(body, "product", json_string(args_value(args, "product")));
    if (gateway != NULL || enrol != NULL) {
        json_object_set_new(body, "kind", json_string(gateway != NULL ? "gateway" : "enrol"));
        json_object_set_new(body, "product", json_string(gateway != NULL ? gateway : enrol));
    }
    json_t *answer = client_json(client, "POST", body, "/api/v1/tokens");
    if (answer != NULL && args_has(args, "json")) {
        output_json(answer);
    } else if (answer != NULL) {
        puts(client_text(answer, "token")); /* alone on stdout: TOKEN=$(molt token create) */
        output_hint("this is shown once; keep it where only you can read it");
        if (device != NULL || gateway != NULL || enrol != NULL)
            output_hint(
                "the device proves itself with the path /k/TOKEN/..., or with it as its Basic password");
        else
            output_hint("use it as MOLT_TOKEN, or in 'Authorization: Bearer TOKEN'");
    }
    client_close(client);
    json_decref(answer);
    return answer != NULL ? EXIT_GOOD : EXIT_PROBLEM;
}

/* "in 89 d", "never", "expired". */
static void print_expiry(char *out, size_t cap, const json_t *token)
{
    const int64_t left = client_integer(token, "expires_ms") - output_now_ms();
    if (!json_is_integer(json_object_get(token, "expires_ms")))
        snprintf(out, cap, "never");
    else if (left <= 0)
        snprintf(out, cap, "expired");
    else
        snprintf(out, cap, "in %lld %s", (long long)(left / (left < 172800000 ? 3600000 : 86400000)),
                 left < 172800000 ? "h" : "d");
}

static void print_tokens(const json_t *answer)
{
    static const char *const titles[] = {"ID",      "KIND", "DEVICE OR PRODUCT", "ROLES", "EXPIRES",
                                         "MADE BY", "LABEL"};
    struct output_table *table = output_table_new(titles, 7);
    size_t i;
    const json_t *token;
    json_array_foreach(json_object_get(answer, "tokens"), i, token)
    {
        char expires[32], roles[128];
        const char *device = client_text(token, "device");
        print_expiry(expires, sizeof expires, token);
        output_list(roles, sizeof roles, json_object_get(token, "roles"));
        const char *cells[] = {client_text(token, "id"),
                               client_text(token, "kind"),
                               device[0] != '\0' ? device : client_text(token, "product"),
                               roles,
                               expires,
                               client_text(token, "made_by"),
                               client_text(token, "label")};
        output_table_row(table, OUTPUT_PLAIN, cells);
    }
    output_table_print(table, stdout);
}

static void print_token(const json_t *token)
{
    json_t *one = json_pack("{s:[O]}", "tokens", token);
    print_tokens(one);
    json_decref(one);
}

static void print_replica(const json_t *replica)
{
    const json_t *back = json_object_get(replica, "sent_back");
    if (replica == NULL) return;
    if (!json_is_true(json_object_get(replica, "in_use")))
        printf("the read replica is not in use: %s\n", client_text(replica, "why"));
    printf("the read replica answered %lld reads; sent back to the database: %lld while it was away, %lld in "
           "conflict with its replay, %lld failed, %lld doubted\n",
           (long long)client_integer(replica, "reads"), (long long)client_integer(back, "away"),
           (long long)client_integer(back, "conflict"), (long long)client_integer(back, "failed"),
           (long long)client_integer(back, "doubted"));
}

static void print_status(const json_t *status)
{
    const json_t *devices = json_object_get(status, "devices");
    printf("molt %s, %s\n", client_text(status, "version"),
           json_is_true(json_object_get(status, "serving")) ? "serving" : "no server on this data folder");
    printf("%lld products, %lld releases\n", (long long)client_integer(status, "products"),
           (long long)client_integer(status, "releases"));
    printf("%lld devices: %lld without a product, %lld held, %lld updated, %lld failed\n",
           (long long)client_integer(devices, "count"), (long long)client_integer(devices, "unassigned"),
           (long long)client_integer(devices, "held"), (long long)client_integer(devices, "updated"),
           (long long)client_integer(devices, "failed"));
    const json_t *store = json_object_get(status, "store");
    if (json_is_false(json_object_get(store, "ok")))
        printf("the store is ill (%s): %s\n", client_text(store, "backend"), client_text(store, "why"));
    print_replica(json_object_get(store, "replica"));
}

static int run_list(struct args *args)
{
    return operate_get(args, "/api/v1/tokens", NULL, print_tokens);
}

static void print_revoked(const json_t *answer)
{
    printf("token %s is revoked\n", client_text(answer, "deleted"));
}

/* One token. A secret in place of its id is not repeated. */
static int ask_one(struct args *args, const struct command *command, const char *method,
                   void (*print)(const json_t *answer))
{
    const char *id = args->operands[0];
    if (strlen(id) != 12 || strspn(id, "0123456789abcdef") != 12)
        return command_usage_error(command, "'%s' is no token id: 12 hex digits, from `molt token list`",
                                   strncmp(id, "molt_", 5) == 0 ? "molt_..." : id);
    struct client *client = client_open(args, false);
    if (client == NULL) return EXIT_PROBLEM;
    return operate_show(args, client, client_json(client, method, NULL, "/api/v1/tokens/%s", id), print);
}

static int run_show(struct args *args)
{
    return ask_one(args, &command_token_show, "GET", print_token);
}

static int run_revoke(struct args *args)
{
    return ask_one(args, &command_token_revoke, "DELETE", print_revoked);
}

static int run_status(struct args *args)
{
    return operate_get(args, "/api/v1/status", NULL, print_status);
}

const struct command command_token_create = {
    .name = "token create",
    .operands = "",
    .summary = "make a token for the API, or for one device; it is shown once",
    .more = "",
    .examples = "  molt token create --label ci --role uploader --product lamp --expires 90d\n  molt token "
                "create --device 5ccf7fc602e2",
    .options = create_options,
    .run = run_create,
};

const struct command command_token_list = {
    .name = "token list",
    .operands = "",
    .summary = "show the tokens that are valid, without their secrets",
    .more = "",
    .examples = "  molt token list",
    .options = where_options,
    .run = run_list,
};

const struct command command_token_show = {
    .name = "token show",
    .operands = "ID",
    .summary = "show what a token is for, without its secret",
    .more = "",
    .examples = "  molt token show 0f3a5b77c1d2",
    .options = where_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_show,
};

const struct command command_token_revoke = {
    .name = "token revoke",
    .operands = "ID",
    .summary = "make a token invalid at once",
    .more = "Tokens of the API that were made with it end, too.",
    .examples = "  molt token revoke 0f3a5b77c1d2",
    .options = where_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_revoke,
};

const struct command command_status = {
    .name = "status",
    .operands = "",
    .summary = "count products, releases and devices",
    .more = "",
    .examples = "  molt status\n  molt status --json",
    .options = where_options,
    .run = run_status,
};
