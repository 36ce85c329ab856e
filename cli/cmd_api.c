/* cmd_api.c - `molt api`: any request of the API, its answer as it comes: for what has no word of its own, and for scripts.
 * Tests: test/e2e/cli_routes_test.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operate.h"
#include "output.h"

static const struct args_option options[] = {{"body", "JSON", "send this", 0},
                                             {"param", "NAME=VALUE", "a parameter of the query", ARGS_REPEAT},
                                             COMMAND_WHERE,
                                             {0}};

static int run(struct args *args)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    const char *body = args_value(args, "body"), *param;
    struct client_query query = {0};
    size_t method = 0, len = 0;
    while (method < 5 && strcmp(methods[method], args->operands[0]) != 0)
        method++;
    if (method == 5)
        return command_usage_error(&command_api, "the method is GET, POST, PUT, PATCH or DELETE");
    if (args->operands[1][0] != '/')
        return command_usage_error(&command_api, "the path begins with /, as /api/v1/status");
    for (int i = 0; (param = args_nth(args, "param", i)) != NULL; i++) {
        char name[64];
        const size_t n = strcspn(param, "=");
        if (param[n] == '\0' || n >= sizeof name)
            return command_usage_error(&command_api, "--param takes NAME=VALUE");
        memcpy(name, param, n);
        name[n] = '\0';
        client_query_add(&query, name, param + n + 1);
    }
    struct client *client = client_open(args, false);
    char *text = NULL;
    if (client != NULL)
        text = client_fetch(client,
                            &(struct client_request){.method = methods[method],
                                                     .path = args->operands[1],
                                                     .query = &query,
                                                     .body = body,
                                                     .body_len = body != NULL ? strlen(body) : 0},
                            &len);
    if (text != NULL) fwrite(text, 1, len, stdout);
    if (text != NULL && (len == 0 || text[len - 1] != '\n')) putchar('\n');
    client_close(client);
    free(text);
    return text != NULL ? EXIT_GOOD : EXIT_PROBLEM;
}

const struct command command_api = {
    .name = "api",
    .operands = "METHOD PATH",
    .summary = "send any request of the API",
    .more = "GET /api/v1/openapi.json describes them all.",
    .examples =
        "  molt api GET /api/v1/status\n"
        "  molt api GET /api/v1/devices --param limit=3 --param 'filter=group = roof'\n"
        "  molt api POST /api/v1/rollout-preview --body '{\"release\":3,\"phases\":[{\"percent\":10}]}'",
    .options = options,
    .operands_min = 2,
    .operands_max = 2,
    .run = run,
};
