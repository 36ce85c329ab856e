/* cmd_release.c - `molt release list|show|yank|unyank|require`. Tests: test/e2e/cli_test.sh. */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "operate.h"
#include "output.h"
#include "text.h"

static const struct args_option list_options[] = {
    {"product", "NAME", "only of this product", 0},
    {"channel", "NAME", "only of this channel", 0},
    COMMAND_WHERE,
    {0},
};
static const struct args_option where_options[] = {COMMAND_WHERE, {0}};

/* "esp8266, esp32/4M, esp8266 fs" */
static void images_text(char *buf, size_t cap, const json_t *release)
{
    size_t i, len = 0;
    const json_t *image;
    buf[0] = '\0';
    json_array_foreach(json_object_get(release, "images"), i, image)
    {
        const char *variant = client_text(image, "variant");
        int n = snprintf(buf + len, cap - len, "%s%s%s%s%s", i > 0 ? ", " : "", client_text(image, "chip"),
                         variant[0] != '\0' ? "/" : "", variant,
                         strcmp(client_text(image, "component"), "fs") == 0 ? " fs" : "");
        if (n < 0 || (size_t)n >= cap - len) return; /* cut: show has them all */
        len += (size_t)n;
    }
}

static void print_list(const json_t *answer)
{
    static const char *const titles[] = {"ID",      "PRODUCT",   "VERSION", "CODE",
                                         "CHANNEL", "PUBLISHED", "STATE",   "IMAGES"};
    const json_t *release, *releases = json_object_get(answer, "releases");
    struct output_table *table = output_table_new(titles, 8);
    size_t i;
    json_array_foreach(releases, i, release)
    {
        char id[24], code[24], ago[32], images[200];
        bool yanked = json_is_true(json_object_get(release, "yanked"));
        snprintf(id, sizeof id, "%lld", (long long)client_integer(release, "id"));
        snprintf(code, sizeof code, "%lld", (long long)client_integer(release, "code"));
        output_ago(ago, sizeof ago, client_integer(release, "created_ms"), output_now_ms());
        images_text(images, sizeof images, release);
        const char *cells[] = {id,
                               client_text(release, "product"),
                               client_text(release, "version"),
                               code,
                               client_text(release, "channel"),
                               ago,
                               yanked ? "yanked" : "offered",
                               images};
        output_table_row(table, yanked ? OUTPUT_DIM : OUTPUT_PLAIN, cells);
    }
    if (json_array_size(releases) == 0) {
        output_table_free(table);
        output_hint("no releases; publish one: molt publish FILE --product NAME");
    } else {
        output_table_print(table, stdout);
    }
}

static int run_list(struct args *args)
{
    struct client_query query = {0};
    client_query_add(&query, "product", args_value(args, "product"));
    client_query_add(&query, "channel", args_value(args, "channel"));
    return operate_get(args, "/api/v1/releases", &query, print_list);
}

static void print_release(const json_t *release)
{
    char text[200], when[40];
    size_t i;
    const json_t *image;
    snprintf(text, sizeof text, "%lld", (long long)client_integer(release, "id"));
    output_field("release", text);
    output_field("product", client_text(release, "product"));
    snprintf(text, sizeof text, "%s (code %lld)", client_text(release, "version"),
             (long long)client_integer(release, "code"));
    output_field("version", text);
    output_field("channel", client_text(release, "channel"));
    output_field("state",
                 json_is_true(json_object_get(release, "yanked")) ? "yanked: offered to nobody" : "offered");
    output_field("published", output_time(when, sizeof when, client_integer(release, "created_ms")));
    json_array_foreach(json_object_get(release, "images"), i, image)
    {
        const json_t *raw = json_object_get(image, "raw"), *gzip = json_object_get(image, "gzip");
        char size[64];
        const char *variant = client_text(image, "variant");
        snprintf(text, sizeof text, "%s %s%s%s", client_text(image, "chip"), client_text(image, "component"),
                 variant[0] != '\0' ? " " : "", variant);
        output_field("image", text);
        output_field("  size", output_size(size, sizeof size, (uint64_t)client_integer(raw, "size")));
        if (json_is_object(gzip))
            output_field("  as gzip", output_size(size, sizeof size, (uint64_t)client_integer(gzip, "size")));
        output_field("  sha256", client_text(raw, "sha256"));
        output_field("  md5", client_text(raw, "md5"));
    }
}

/* One request about the release of the operand; says what became of it. */
static int run_one(const struct command *command, struct args *args, const char *method, const char *action,
                   const char *said)
{
    uint64_t id;
    if (text_number(args->operands[0], &id) < 0 || id == 0 || id > INT64_MAX)
        return command_usage_error(command, "'%s' is no release id; `molt release list` shows them",
                                   args->operands[0]);
    struct client *client = client_open(args, false);
    if (client == NULL) return EXIT_PROBLEM;
    json_t *release =
        client_json(client, method, NULL, "/api/v1/releases/%llu%s", (unsigned long long)id, action);
    if (release != NULL && args_has(args, "json"))
        output_json(release);
    else if (release != NULL && said == NULL)
        print_release(release);
    else if (release != NULL)
        printf("%s %s %s\n", client_text(release, "product"), client_text(release, "version"), said);
    client_close(client);
    json_decref(release);
    return release != NULL ? EXIT_GOOD : EXIT_PROBLEM;
}

static int run_show(struct args *args)
{
    return run_one(&command_release_show, args, "GET", "", NULL);
}

static int run_yank(struct args *args)
{
    return run_one(&command_release_yank, args, "POST", "/yank",
                   "is yanked: no device is offered it; devices that run it keep it");
}

static int run_unyank(struct args *args)
{
    return run_one(&command_release_unyank, args, "POST", "/unyank", "is offered again");
}

static int run_require(struct args *args)
{
    uint64_t id;
    bool off = args_has(args, "off");
    if (text_number(args->operands[0], &id) < 0 || id == 0 || id > INT64_MAX)
        return command_usage_error(&command_release_require,
                                   "'%s' is no release id; `molt release list` shows them",
                                   args->operands[0]);
    struct client *client = client_open(args, false);
    if (client == NULL) return EXIT_PROBLEM;
    json_t *release = client_json(client, "PATCH", json_pack("{s:b}", "required", !off),
                                  "/api/v1/releases/%llu", (unsigned long long)id);
    if (release != NULL && args_has(args, "json"))
        output_json(release);
    else if (release != NULL)
        printf("%s %s %s\n", client_text(release, "product"), client_text(release, "version"),
               off ? "may be skipped" : "is must-pass-through: older devices run it before anything newer");
    client_close(client);
    json_decref(release);
    return release != NULL ? EXIT_GOOD : EXIT_PROBLEM;
}

static const struct args_option require_options[] = {
    {"off", NULL, "it may be skipped again", 0},
    COMMAND_WHERE,
    {0},
};

const struct command command_release_require = {
    .name = "release require",
    .operands = "ID",
    .summary = "let no device skip a release",
    .more = "A device with a smaller version code gets nothing newer before it runs this release.",
    .examples = "  molt release require 3\n  molt release require 3 --off",
    .options = require_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_require,
};

const struct command command_release_list = {
    .name = "release list",
    .operands = "",
    .summary = "show what is published",
    .more = "",
    .examples = "  molt release list\n  molt release list --product door --json",
    .options = list_options,
    .run = run_list,
};

const struct command command_release_show = {
    .name = "release show",
    .operands = "ID",
    .summary = "show one release and its files",
    .more = "",
    .examples = "  molt release show 3",
    .options = where_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_show,
};

const struct command command_release_yank = {
    .name = "release yank",
    .operands = "ID",
    .summary = "offer a release to no device any more",
    .more = "Devices that run it keep it; the others are offered the newest one that is left.",
    .examples = "  molt release yank 3",
    .options = where_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_yank,
};

const struct command command_release_unyank = {
    .name = "release unyank",
    .operands = "ID",
    .summary = "offer a yanked release again",
    .more = "",
    .examples = "  molt release unyank 3",
    .options = where_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_unyank,
};
