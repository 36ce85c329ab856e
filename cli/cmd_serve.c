/* cmd_serve.c - `molt serve`: options to serve_run(), which does everything else. Tests: test/e2e/cli_test.sh. */
#include <string.h>

#include "client.h"
#include "command.h"
#include "output.h"
#include "server/serve.h"

static const struct args_option options[] = {
    {"data", "DIR", "data folder (default: $MOLT_DATA, /var/lib/molt for root, ~/.local/share/molt)", 0},
    {"store", "URL",
     "keep rows in PostgreSQL: postgres://... (default: $MOLT_STORE; without: molt.db in DIR)", 0},
    {"listen", "URL", "where devices connect (default: " SERVE_LISTEN_DEFAULT ")", ARGS_REPEAT},
    {"admin", "URL", "where the API is served (default: " SERVE_ADMIN_DEFAULT ")", 0},
    {"admin-insecure", NULL, "allow the API over plain HTTP beyond this machine", 0},
    {"tls-cert", "FILE", "certificate chain (PEM) for https:// addresses; read again on SIGHUP", 0},
    {"tls-key", "FILE", "its private key (PEM)", 0},
    {"device-ca", "FILE",
     "an authority's certificate (PEM): one of it, in a device's name, proves that device", 0},
    {"static", "DIR", "also serve a folder of ID.version and ID.bin files", 0},
    {"public-url", "URL", "how devices reach this server, when a proxy stands between", 0},
    {"threads", "N", "event loops (default: one a processor)", 0},
    {"enrol", "open|token|list|approval", "which devices are taken in (default: open)", 0},
    {"check-in-interval", "SECONDS", "how often devices with libmolt shall ask (default: as each likes)", 0},
    {"ddi-interval", "SECONDS", "how often hawkBit clients ask (default: 300)", 0},
    {"max-downloads", "N", "downloads at a time above which others shall come back later (default: 4000)", 0},
    {"mqtt", "URL", "tell devices over MQTT when to ask: mqtt://[USER:PASSWORD@]HOST[:PORT][/PREFIX]", 0},
    {"new-per-minute", "N", "new devices recorded from one address in a minute (default: 20)", 0},
    {0},
};

static bool is_url(const char *url)
{
    return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

static int run(struct args *args)
{
    char data[CLIENT_PATH_MAX];
    uint64_t threads = 0, new_per_minute = 0, ddi_interval = 0, downloads = 0, check_in_interval = 0;
    struct serve_options serve = {
        .data_dir = data,
        .store_url = client_store_url(args),
        .admin = args_value(args, "admin"),
        .admin_insecure = args_has(args, "admin-insecure"),
        .tls_cert = args_value(args, "tls-cert"),
        .tls_key = args_value(args, "tls-key"),
        .device_ca = args_value(args, "device-ca"),
        .static_dir = args_value(args, "static"),
        .public_url = args_value(args, "public-url"),
        .mqtt_url = args_value(args, "mqtt"),
    };
    if (args_number(args, "threads", 1, 256, &threads) < 0 ||
        args_number(args, "new-per-minute", 1, 1000000, &new_per_minute) < 0 ||
        args_number(args, "max-downloads", 1, 1000000, &downloads) < 0 ||
        args_number(args, "check-in-interval", 1, 86400 * 7, &check_in_interval) < 0 ||
        args_number(args, "ddi-interval", 1, 86399, &ddi_interval) < 0)
        return command_usage_error(&command_serve, "%s", args->error);
    serve.threads = (unsigned)threads;
    serve.new_per_minute = (uint32_t)new_per_minute;
    serve.busy_at = (uint32_t)downloads;
    serve.checkin_interval_s = (uint32_t)check_in_interval;
    serve.ddi_interval_s = (uint32_t)ddi_interval;
    static const char *const modes[] = {"open", "token", "list", "approval"};
    const char *enrol = args_value(args, "enrol");
    size_t mode = 0;
    while (enrol != NULL && mode < 4 && strcmp(enrol, modes[mode]) != 0)
        mode++;
    if (mode == 4) return command_usage_error(&command_serve, "--enrol is open, token, list or approval");
    serve.enrol = (enum skins_enrol)mode;
    for (const char *url; (url = args_nth(args, "listen", (int)serve.listen_count)) != NULL;
         serve.listen_count++) {
        if (serve.listen_count == SERVE_LISTEN_MAX)
            return command_usage_error(&command_serve, "more than %d --listen", SERVE_LISTEN_MAX);
        if (!is_url(url))
            return command_usage_error(&command_serve,
                                       "--listen takes http://HOST:PORT or https://HOST:PORT, not '%s'", url);
        serve.listen[serve.listen_count] = url;
    }
    if (serve.admin != NULL && !is_url(serve.admin))
        return command_usage_error(
            &command_serve, "--admin takes http://HOST:PORT or https://HOST:PORT, not '%s'", serve.admin);
    if ((serve.tls_cert == NULL) != (serve.tls_key == NULL))
        return command_usage_error(&command_serve, "--tls-cert and --tls-key go together");
    if (!client_data_dir(args, data)) return EXIT_PROBLEM;
    return serve_run(&serve) == 0 ? EXIT_GOOD : EXIT_PROBLEM;
}

const struct command command_serve = {
    .name = "serve",
    .operands = "",
    .summary = "run the update server",
    .more = "Devices are answered on --listen, people and programs on --admin. The first start makes the "
            "data folder and\n"
            "prints the admin token once. While the server runs, the other commands talk to it through its "
            "socket in\n"
            "the data folder. SIGTERM lets running downloads finish, SIGHUP reads the certificate again.",
    .examples = "  molt serve\n"
                "  molt serve --data /srv/molt --listen http://0.0.0.0:80 --listen https://0.0.0.0:443 \\\n"
                "      --tls-cert chain.pem --tls-key key.pem --public-url https://ota.example.org\n"
                "  molt serve --static /srv/ftp/fota\n"
                "  molt serve --data /srv/molt --store postgres://molt@db.example.org/molt",
    .options = options,
    .run = run,
};
