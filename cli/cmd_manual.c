/* cmd_manual.c - `molt manual`: man pages made from the command table, so that they say what --help says.
 * It knows no command by name. Tests: test/e2e/manual_test.sh. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "output.h"
#include "text.h"

#define PAGE_NAME_LEN 72

static const struct args_option options[] = {
    {"out", "DIR", "write the page of molt and of each command into this folder, made when it is absent", 0},
    {0},
};

/* A text as roff: backslashes and dashes are escaped, a line that begins like a request is not one. */
static void put_text(FILE *page, const char *text)
{
    bool line_start = true;
    for (const char *c = text; *c != '\0'; c++) {
        if (line_start && (*c == '.' || *c == '\'')) fputs("\\&", page);
        line_start = *c == '\n';
        if (*c == '\\')
            fputs("\\e", page);
        else if (*c == '-')
            fputs("\\-", page);
        else
            fputc(*c, page);
    }
}

/* "device list" -> "molt-device-list" */
static void page_name(char name[PAGE_NAME_LEN], const char *command)
{
    snprintf(name, PAGE_NAME_LEN, "molt-%s", command);
    for (char *c = name; *c != '\0'; c++) {
        if (*c == ' ') *c = '-';
    }
}

static void put_title(FILE *page, const char *name, const char *summary)
{
    fprintf(page, ".TH \"%s\" 1 \"\" \"molt " MOLT_VERSION "\" \"User Commands\"\n.SH NAME\n", name);
    put_text(page, name);
    fputs(" \\- ", page);
    put_text(page, summary);
    fputs("\n", page);
}

static void put_lines(FILE *page, const char *section, const char *lines)
{
    fprintf(page, ".SH %s\n.nf\n", section);
    put_text(page, lines);
    fputs("\n.fi\n", page);
}

static void put_option(FILE *page, const struct args_option *option)
{
    fputs(".TP\n.B \\-\\-", page);
    put_text(page, option->name);
    if (option->value != NULL) {
        fputc(' ', page);
        put_text(page, option->value);
    }
    fputc('\n', page);
    put_text(page, option->help);
    fputs((option->flags & ARGS_REPEAT) != 0 ? " (repeatable)\n" : "\n", page);
}

static void put_command(FILE *page, const struct command *command)
{
    char name[PAGE_NAME_LEN];
    page_name(name, command->name);
    put_title(page, name, command->summary);
    fprintf(page, ".SH SYNOPSIS\n.B molt ");
    put_text(page, command->name);
    fputs(command->options[0].name != NULL ? "\n[OPTIONS] " : "\n", page);
    put_text(page, command->operands);
    fputs("\n", page);
    if (command->more[0] != '\0') {
        fputs(".SH DESCRIPTION\n", page);
        put_text(page, command->more);
        fputs("\n", page);
    }
    fputs(".SH OPTIONS\n", page);
    for (const struct args_option *o = command->options; o->name != NULL; o++)
        put_option(page, o);
    fputs(".TP\n.B \\-\\-help\nExplain the command.\n", page);
    put_lines(page, "EXAMPLES", command->examples);
    fputs(".SH \"EXIT STATUS\"\n0 good, 1 found a problem, 2 wrong usage.\n.SH \"SEE ALSO\"\n.BR molt (1)\n",
          page);
}

static void put_overview(FILE *page)
{
    put_title(page, "molt", "firmware updates over the air for ESP8266 and ESP32");
    fputs(".SH SYNOPSIS\n.B molt\nCOMMAND [OPTIONS]\n.SH DESCRIPTION\n"
          "One program: the server, what operates it, and what makers need to publish, sign, inspect and "
          "examine "
          "firmware.\n.SH COMMANDS\n",
          page);
    for (const struct command *const *c = command_table; *c != NULL; c++) {
        char name[PAGE_NAME_LEN];
        page_name(name, (*c)->name);
        fputs(".TP\n.BR ", page);
        put_text(page, name);
        fputs(" (1)\n", page);
        put_text(page, (*c)->summary);
        fputs("\n", page);
    }
    fputs(".SH ENVIRONMENT\n.TP\n.B MOLT_DATA\nThe data folder.\n.TP\n.B MOLT_SERVER, MOLT_TOKEN\n"
          "The server to talk to, and a token for it.\n"
          ".SH \"EXIT STATUS\"\n0 good, 1 found a problem, 2 wrong usage.\n",
          page);
}

static int fail_write(const char *path)
{
    output_error("cannot write %s: %s", path, strerror(errno));
    return EXIT_PROBLEM;
}

/* command: NULL for the overview. */
static int write_page(const char *folder, const struct command *command)
{
    char name[PAGE_NAME_LEN] = "molt", path[ARGS_VALUE_LEN + PAGE_NAME_LEN + 8];
    if (command != NULL) page_name(name, command->name);
    snprintf(path, sizeof path, "%s/%s.1", folder, name);
    FILE *page = fopen(path, "w");
    if (page == NULL) return fail_write(path);
    if (command != NULL)
        put_command(page, command);
    else
        put_overview(page);
    bool bad = ferror(page) != 0;
    if (fclose(page) != 0 || bad) return fail_write(path);
    return EXIT_GOOD;
}

static int write_all(const char *folder)
{
    if (mkdir(folder, 0755) != 0 && errno != EEXIST) return fail_write(folder);
    int status = write_page(folder, NULL);
    for (const struct command *const *c = command_table; *c != NULL && status == EXIT_GOOD; c++)
        status = write_page(folder, *c);
    return status;
}

static int run(struct args *args)
{
    if (args_has(args, "out")) {
        if (args->operand_count > 0)
            return command_usage_error(&command_manual, "--out writes every page: name no command beside it");
        return write_all(args_value(args, "out"));
    }
    if (args->operand_count == 0) {
        put_overview(stdout);
        return EXIT_GOOD;
    }
    char name[128], shown[128];
    snprintf(name, sizeof name, "%s%s%s", args->operands[0], args->operand_count > 1 ? " " : "",
             args->operand_count > 1 ? args->operands[1] : "");
    for (const struct command *const *c = command_table; *c != NULL; c++) {
        if (strcmp((*c)->name, name) != 0) continue;
        put_command(stdout, *c);
        return EXIT_GOOD;
    }
    return command_usage_error(&command_manual, "there is no command '%s'; `molt help` lists them",
                               text_printable(shown, sizeof shown, name));
}

const struct command command_manual = {
    .name = "manual",
    .operands = "[COMMAND]",
    .summary = "print a man page, or write all of them",
    .more = "Packages install these pages; `man molt` then shows the first.",
    .examples = "  molt manual publish | man -l -\n"
                "  molt manual device list | man -l -\n"
                "  molt manual --out /usr/local/share/man/man1",
    .options = options,
    .operands_min = 0,
    .operands_max = 2,
    .run = run,
};
