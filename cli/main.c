/* main.c - `molt`: finds the subcommand in a table, parses its options, runs it. Exit status 0 good, 1 found a problem,
 * 2 usage. Nothing but finding and explaining happens here. Tests: test/e2e/cli_test.sh. */
#include <curl/curl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "host/nearest.h"
#include "output.h"
#include "text.h"

/* The commands of one group stand together. */
const struct command *const command_table[] = {
    &command_serve,
    &command_publish,
    &command_inspect,
    &command_doctor,
    &command_status,
    &command_overview,
    &command_device_list,
    &command_device_show,
    &command_device_set,
    &command_device_forget,
    &command_device_why,
    &command_device_history,
    &command_device_log,
    &command_device_retry,
    &command_device_count,
    &command_device_table,
    &command_device_export,
    &command_device_import,
    &command_release_list,
    &command_release_show,
    &command_release_yank,
    &command_release_unyank,
    &command_release_require,
    &command_rollout_create,
    &command_rollout_list,
    &command_rollout_show,
    &command_rollout_approve,
    &command_rollout_pause,
    &command_rollout_resume,
    &command_rollout_next,
    &command_rollout_abort,
    &command_rollout_progress,
    &command_group_list,
    &command_group_show,
    &command_group_rename,
    &command_group_dissolve,
    &command_filter_list,
    &command_filter_show,
    &command_filter_save,
    &command_filter_delete,
    &command_product_trust,
    &command_product_set,
    &command_product_list,
    &command_product_show,
    &command_node_list,
    &command_node_forget,
    &command_token_create,
    &command_token_list,
    &command_token_show,
    &command_token_revoke,
    &command_user_add,
    &command_user_list,
    &command_user_show,
    &command_user_set,
    &command_user_passwd,
    &command_user_remove,
    &command_audit_list,
    &command_audit_verify,
    &command_audit_export,
    &command_webhook_list,
    &command_webhook_show,
    &command_webhook_create,
    &command_webhook_set,
    &command_webhook_delete,
    &command_webhook_test,
    &command_webhook_log,
    &command_server_show,
    &command_server_settings,
    &command_server_metrics,
    &command_server_ready,
    &command_server_trends,
    &command_api,
    &command_store_copy,
    &command_store_backup,
    &command_store_restore,
    &command_store_check,
    &command_store_upload,
    &command_keygen,
    &command_key_rotate,
    &command_key_show,
    &command_sign,
    &command_verify,
    &command_pack,
    &command_unpack,
    &command_image_set_boot,
    &command_image_boot_code,
    &command_sim,
    &command_sim_build,
    &command_completion,
    &command_manual,
    NULL,
};
#define COMMAND_COUNT ((int)(sizeof command_table / sizeof command_table[0]) - 1)

static void print_overview(FILE *stream)
{
    fputs("molt - firmware updates for ESP8266 and ESP32\n\nusage: molt COMMAND [OPTIONS]\n\n", stream);
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(stream, "  %-16s %s\n", command_table[i]->name, command_table[i]->summary);
    fputs("\n`molt COMMAND --help` explains one of them with examples; `molt --version` says which molt this "
          "is.\n"
          "Exit status: 0 good, 1 found a problem, 2 wrong usage.\n",
          stream);
}

static void print_help(const struct command *command)
{
    printf("molt %s - %s\n\nusage: molt %s%s%s%s\n", command->name, command->summary, command->name,
           command->operands[0] != '\0' ? " " : "", command->operands,
           command->options[0].name != NULL ? " [OPTIONS]" : "");
    if (command->more[0] != '\0') printf("\n%s\n", command->more);
    puts("\nOptions:");
    for (const struct args_option *o = command->options; o->name != NULL; o++) {
        char left[40];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->value != NULL ? " " : "",
                 o->value != NULL ? o->value : "");
        printf("  %-20s %s%s\n", left, o->help, (o->flags & ARGS_REPEAT) != 0 ? " (repeatable)" : "");
    }
    printf("  %-20s %s\n\nExamples:\n%s\n", "--help", "this text", command->examples);
}

int command_usage_error(const struct command *command, const char *format, ...)
{
    char text[400];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    output_error("%s", text);
    output_hint("`molt %s --help` explains it", command->name);
    return EXIT_USAGE;
}

/* The command that argv begins with; *words is how many words its name has. Two words win over one. */
static const struct command *find_command(int argc, char *const *argv, int *words)
{
    for (*words = 2; *words >= 1; --*words) {
        char name[64];
        if (argc < *words) continue;
        int len = *words == 2 ? snprintf(name, sizeof name, "%s %s", argv[0], argv[1])
                              : snprintf(name, sizeof name, "%s", argv[0]);
        for (int i = 0; i < COMMAND_COUNT && len > 0 && (size_t)len < sizeof name; i++) {
            if (strcmp(command_table[i]->name, name) == 0) return command_table[i];
        }
    }
    return NULL;
}

/* Lists "device list", "device show" ... when the word is a group. True when there was one. */
static bool print_group(const char *word, FILE *stream)
{
    size_t len = strlen(word);
    bool any = false;
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (strncmp(command_table[i]->name, word, len) != 0 || command_table[i]->name[len] != ' ') continue;
        if (!any) fprintf(stream, "usage: molt %s COMMAND [OPTIONS]\n\n", word);
        fprintf(stream, "  molt %-16s %s\n", command_table[i]->name, command_table[i]->summary);
        any = true;
    }
    return any;
}

static int unknown_command(int argc, char *const *argv, FILE *stream)
{
    if (print_group(argv[0], stream)) return stream == stdout ? EXIT_GOOD : EXIT_USAGE;
    const char *names[COMMAND_COUNT + 2] = {"--version", "--help"};
    for (int i = 0; i < COMMAND_COUNT; i++)
        names[i + 2] = command_table[i]->name;
    char word[64], shown[64];
    snprintf(word, sizeof word, "%s%s%s", argv[0], argc > 1 && argv[1][0] != '-' ? " " : "",
             argc > 1 && argv[1][0] != '-' ? argv[1] : "");
    const char *nearest = nearest_name(word, names, COMMAND_COUNT + 2);
    if (nearest == NULL) nearest = nearest_name(argv[0], names, COMMAND_COUNT + 2);
    output_error("there is no command '%s'", text_printable(shown, sizeof shown, argv[0]));
    if (nearest != NULL)
        output_hint("did you mean `molt %s`?", nearest);
    else
        output_hint("`molt help` lists the commands");
    return EXIT_USAGE;
}

static int run(const struct command *command, int argc, char *const *argv)
{
    static struct args args;
    if (args_parse(&args, command->options, argc, argv) < 0)
        return command_usage_error(command, "%s", args.error);
    if (args.wants_help) {
        print_help(command);
        return EXIT_GOOD;
    }
    if (args.operand_count < command->operands_min)
        return command_usage_error(command, "something is missing: molt %s %s", command->name,
                                   command->operands);
    if (args.operand_count > command->operands_max) {
        char shown[80];
        text_printable(shown, sizeof shown, args.operands[command->operands_max]);
        return command_usage_error(command, "'%s' is one argument too many", shown);
    }
    return command->run(&args);
}

static bool is_help(const char *word)
{
    return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int dispatch(int argc, char *const *argv)
{
    if (argc == 0) {
        print_overview(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[0], "--version") == 0) {
        puts("molt " MOLT_VERSION);
        return EXIT_GOOD;
    }
    bool help = is_help(argv[0]);
    if (help) argc--, argv++;
    if (argc == 0) {
        print_overview(stdout);
        return EXIT_GOOD;
    }
    int words;
    const struct command *command = find_command(argc, argv, &words);
    if (command != NULL && help) {
        print_help(command);
        return EXIT_GOOD;
    }
    if (command == NULL)
        return unknown_command(argc, argv, help || (argc > 1 && is_help(argv[1])) ? stdout : stderr);
    return run(command, argc - words, argv + words);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* a reader that went away is an error of the write, found below */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        output_error("libcurl cannot be started");
        return EXIT_PROBLEM;
    }
    int status = dispatch(argc - 1, argv + 1);
    curl_global_cleanup();
    if (fflush(stdout) != 0 || ferror(stdout)) { /* a full disk must not look like success */
        output_error("the output could not be written");
        return status == EXIT_GOOD ? EXIT_PROBLEM : status;
    }
    return status;
}
