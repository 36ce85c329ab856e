/* cmd_serve.c - `molt serve`: the command line of the configuration's table (server/config.def); serve_run() does everything else.
 * It knows no setting by name but those that say where it looks. Tests: test/e2e/config_test.sh, test/e2e/cli_test.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "output.h"
#include "server/config.h"
#include "server/serve.h"

static const struct args_option options[] = {
    {"config", "FILE", "read settings from it, too: lines NAME = VALUE, with the names of these options", 0},
    {"check-config", NULL, "say which settings hold, whence and whether they are good, and do not serve", 0},
#define HELP(help, fallback) sizeof(fallback) > 1 ? help " (default: " fallback ")" : help
#define CONFIG(field, name, kind, value, min, max, flags, fallback, help, more)                              \
    {name, value, HELP(help, fallback), 0},
#define CONFIG_LIST(field, name, kind, value, flags, fallback, help, more)                                   \
    {name, value, HELP(help, fallback), ARGS_REPEAT},
#include "server/config.def"
    {0},
};

/* What the settings are read from, at the start and again on SIGHUP. */
struct source {
    const struct args *args;
    struct config *live,
        *next; /* of the last SIGHUP: what the server took, and what it is about to take; NULL: none */
};

static const char *flag(void *ctx, const char *name, int index)
{
    const struct args *args = ctx;
    const char *value = args_nth(args, name, index);
    return value == NULL && index == 0 && args_has(args, name) ? "yes" : value;
}

/* The file is asked for as an option or in the environment, as everything else. */
static const char *config_path(const struct args *args)
{
    const char *path = args_value(args, "config"), *env = getenv("MOLT_CONFIG");
    if (path != NULL) return path;
    return env != NULL && env[0] != '\0' ? env : NULL;
}

static int load(const struct args *args, struct config *config, char *err, size_t cap)
{
    static char data[CLIENT_PATH_MAX];
    if (config_load(config, flag, (void *)args, config_path(args), err, cap) != 0) return -1;
    config->options.config_path = config_path(args);
    if (config->options.data_dir == NULL) {
        if (!client_data_dir(args, data)) return -1;
        config->options.data_dir = data;
    }
    return serve_check(&config->options, err, cap);
}

static void drop(struct config *config)
{
    if (config != NULL) config_free(config);
    free(config);
}

/* SIGHUP: the same sources once more. */
static int reload(void *ctx, struct serve_options *out, char *err, size_t cap)
{
    struct source *source = ctx;
    source->next = calloc(1, sizeof *source->next);
    if (source->next == NULL) return -1;
    int rc = load(source->args, source->next, err, cap);
    *out = source->next->options;
    if (rc != 0) drop(source->next);
    if (rc != 0) source->next = NULL;
    return rc;
}

/* The server has taken them, and looks at none of the SIGHUP before any more. */
static void taken(void *ctx)
{
    struct source *source = ctx;
    drop(source->live);
    source->live = source->next;
    source->next = NULL;
}

static void print_settings(const struct config *config)
{
    static const char *const origins[] = {"default", "file", "environment", "command line"};
    static char value[CONFIG_VALUE_MAX + 1];
    size_t count;
    const struct config_row *rows = config_rows(&count);
    for (size_t i = 0; i < count; i++) {
        for (size_t n = 0; config_value(&config->options, i, n, value); n++)
            printf("%-20s = %s  (%s)\n", rows[i].name,
                   (rows[i].flags & CONFIG_SECRET) != 0 ? "********" : value, origins[config->origin[i]]);
        if (!config_value(&config->options, i, 0, value) && rows[i].fallback[0] != '\0')
            printf("%-20s = %s  (%s)\n", rows[i].name, rows[i].fallback, origins[config->origin[i]]);
    }
    puts("the settings are good");
}

static int run(struct args *args)
{
    static struct config config;
    char err[512] = "";
    struct source source = {.args = args};
    const struct serve_reload again = {reload, taken, &source};
    if (load(args, &config, err, sizeof err) != 0) {
        if (config.is_usage) return command_usage_error(&command_serve, "%s", err);
        if (err[0] != '\0') output_error("%s", err);
        config_free(&config);
        return EXIT_PROBLEM;
    }
    int status = EXIT_GOOD;
    if (args_has(args, "check-config"))
        print_settings(&config);
    else
        status = serve_run(&config.options, &again) == 0 ? EXIT_GOOD : EXIT_PROBLEM;
    drop(source.live);
    config_free(&config);
    return status;
}

const struct command command_serve = {
    .name = "serve",
    .operands = "",
    .summary = "run the update server",
    .more = "Devices are answered on --listen, people and programs on --admin. The first start makes the "
            "data folder and\n"
            "prints the admin token once. While the server runs, the other commands talk to it through its "
            "socket in\n"
            "the data folder. SIGTERM lets running downloads finish. SIGHUP reads the certificate and the "
            "settings again.\n"
            "Each option but --check-config may stand in the file of --config, and in the environment: "
            "--max-downloads as\n"
            "MOLT_MAX_DOWNLOADS. The command line wins over the environment, and that over the file.",
    .examples = "  molt serve\n"
                "  molt serve --config /etc/molt/molt.conf --check-config\n"
                "  molt serve --data /srv/molt --listen http://0.0.0.0:80 --listen https://0.0.0.0:443 \\\n"
                "      --tls-cert chain.pem --tls-key key.pem --public-url https://ota.example.org\n"
                "  molt serve --static /srv/ftp/fota\n"
                "  molt serve --data /srv/molt --store postgres://molt@db.example.org/molt",
    .options = options,
    .run = run,
};
