/* cmd_product.c - `molt product trust`: whose signatures count for a product on this server; `molt product set`: its
 * switches, the emergency stop among them.
 * Must never send a private key. Tests: test/e2e/publish_signed_test.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "host/sign/sign.h"
#include "load.h"
#include "operate.h"
#include "output.h"
#include "signing.h"

static const struct args_option options[] = {
    {"key", "FILE", "trust this public key (FILE.pub of molt keygen)", 0},
    {"approver", NULL, "with --key: it signs a second time; the product takes only what both signed", 0},
    {"remove", "KEY", "trust the key of this name no more", 0},
    COMMAND_WHERE,
    {0},
};

static void print_keys(const json_t *answer)
{
    size_t i;
    const json_t *key, *keys = json_object_get(answer, "keys");
    if (json_array_size(keys) == 0)
        printf("product %s trusts no key: it takes unsigned images\n", client_text(answer, "product"));
    else
        printf("product %s takes images signed by:\n", client_text(answer, "product"));
    json_array_foreach(keys, i, key)
    {
        const bool approves = strcmp(client_text(key, "role"), "approver") == 0;
        printf("  key %s%s\n", client_text(key, "id"), approves ? ", which must approve" : "");
    }
}

/* {"pem": ...} of a public key's file, NULL after saying why not. */
static json_t *read_key(const struct args *args, const char *path)
{
    char err[SIGN_ERROR_LEN] = "";
    uint8_t key[MOLT_KEY_LEN], *data;
    size_t len;
    int rc = sign_public_load(path, key, err); /* a private key ends here */
    if (rc < 0) {
        signing_refuse(args, -rc, err);
        return NULL;
    }
    if (!load_file(path, &data, &len)) return NULL;
    json_t *body = json_pack("{s:s%}", "pem", data, len);
    free(data);
    return body;
}

static int run_trust(struct args *args)
{
    const char *product = args->operands[0], *path = args_value(args, "key"),
               *name = args_value(args, "remove");
    json_t *body = NULL, *answer = NULL;
    if (path != NULL && name != NULL)
        return command_usage_error(&command_product_trust, "--key and --remove exclude each other");
    if (name != NULL && (strlen(name) != 16 || strspn(name, "0123456789abcdef") != 16))
        return command_usage_error(&command_product_trust, "'%s' is no key's name: 16 hex digits", name);
    if (path == NULL && args_has(args, "approver"))
        return command_usage_error(&command_product_trust, "--approver goes with --key");
    if (path != NULL && (body = read_key(args, path)) == NULL) return EXIT_PROBLEM;
    if (args_has(args, "approver")) json_object_set_new(body, "role", json_string("approver"));
    struct client *client = client_open(args, path != NULL);
    if (client != NULL && name != NULL) {
        struct client_query query = {0};
        char where[ARGS_VALUE_LEN + 64];
        client_query_add(&query, "key", name);
        snprintf(where, sizeof where, "/api/v1/products/%s/keys", product);
        answer =
            client_call(client, &(struct client_request){.method = "DELETE", .path = where, .query = &query});
    } else if (client != NULL) {
        answer =
            client_json(client, path != NULL ? "POST" : "GET", body, "/api/v1/products/%s/keys", product);
        body = NULL;
    }
    json_decref(body);
    return operate_show(args, client, answer, print_keys);
}

const struct command command_product_trust = {
    .name = "product trust",
    .operands = "PRODUCT",
    .summary = "say whose signatures count for a product, or show it",
    .more = "A product with a trusted key takes signed images only (molt sign, molt publish --manifest). The "
            "server "
            "needs\n"
            "public keys alone. Devices have their own list, compiled in: a key is removed here when no "
            "device needs "
            "it.",
    .examples = "  molt product trust door --key door.key.pub\n"
                "  molt product trust door --key second.key.pub --approver\n"
                "  molt product trust door\n"
                "  molt product trust door --remove 0f3a5b77c1d20011",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_trust,
};

static const struct args_option set_options[] = {
    {"stop", NULL, "emergency stop: offer and send nothing to any of its devices", 0},
    {"start", NULL, "end --stop", 0},
    {"rollouts-only", "yes|no", "offer releases by rollouts only: publish first, then molt rollout create",
     0},
    {"trust-unverified", "yes|no", "count reports of devices without a token in rollouts", 0},
    {"approval", "yes|no",
     "a rollout waits for a second person: molt rollout approve; nothing goes without one", 0},
    {"downgrade", "never|pinned|allowed", "may a device be offered a lower code than it runs", 0},
    COMMAND_WHERE,
    {0},
};

/* A yes or no of an option into the body. False when it is neither. */
static bool set_switch(const struct args *args, const char *option, const char *field, json_t *body)
{
    const char *value = args_value(args, option);
    if (value == NULL) return true;
    bool yes = strcmp(value, "yes") == 0;
    if (!yes && strcmp(value, "no") != 0) return false;
    json_object_set_new(body, field, json_boolean(yes));
    return true;
}

static int run_set(struct args *args)
{
    json_t *body = json_object();
    bool good = !(args_has(args, "stop") && args_has(args, "start")) &&
                set_switch(args, "rollouts-only", "rollouts_only", body) &&
                set_switch(args, "trust-unverified", "trust_unverified", body) &&
                set_switch(args, "approval", "approval", body);
    if (args_value(args, "downgrade") != NULL)
        json_object_set_new(body, "downgrade", json_string(args_value(args, "downgrade")));
    if (args_has(args, "stop")) json_object_set_new(body, "stopped", json_true());
    if (args_has(args, "start")) json_object_set_new(body, "stopped", json_false());
    if (!good || json_object_size(body) == 0) {
        json_decref(body);
        return command_usage_error(&command_product_set,
                                   "give --stop or --start, --downgrade RULE, and yes or no to "
                                   "--rollouts-only, --trust-unverified, --approval");
    }
    struct client *client = client_open(args, false);
    json_t *answer = NULL;
    if (client != NULL)
        answer = client_json(client, "PATCH", body, "/api/v1/products/%s", args->operands[0]);
    else
        json_decref(body);
    if (answer != NULL && args_has(args, "json"))
        output_json(answer);
    else if (answer != NULL)
        printf("product %s%s%s%s%s, downgrade %s\n", client_text(answer, "name"),
               json_is_true(json_object_get(answer, "stopped")) ? ": STOPPED, nothing is offered"
                                                                : ": offers releases",
               json_is_true(json_object_get(answer, "rollouts_only")) ? ", by rollouts only" : "",
               json_is_true(json_object_get(answer, "trust_unverified")) ? ", unverified reports count" : "",
               json_is_true(json_object_get(answer, "approval")) ? ", approval by a second person" : "",
               client_text(answer, "downgrade"));
    client_close(client);
    json_decref(answer);
    return answer != NULL ? EXIT_GOOD : EXIT_PROBLEM;
}

const struct command command_product_set = {
    .name = "product set",
    .operands = "PRODUCT",
    .summary = "stop all updates of a product at once; say how its rollouts work",
    .more = "",
    .examples = "  molt product set door --stop\n  molt product set door --start\n  molt product set door "
                "--rollouts-only yes",
    .options = set_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_set,
};
