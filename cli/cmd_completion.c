/* cmd_completion.c - `molt completion`: completion scripts for bash, zsh and fish, made from the command table.
 * It knows no command by name; what a value may be is read from how --help calls it ("FILE", "app|fs").
 * Tests: test/e2e/manual_test.sh. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "output.h"
#include "text.h"

#define GROUP_LEN 64

static const struct args_option options[] = {{0}};

static bool is_file(const char *value)
{
    return strncmp(value, "FILE", 4) == 0 || strcmp(value, "OLD") == 0;
}
static bool is_choice(const char *value)
{
    return strchr(value, '|') != NULL && strchr(value, ' ') == NULL;
}

/* How many words the command's name has, 1 or 2. */
static int word_count(const struct command *command)
{
    return strchr(command->name, ' ') != NULL ? 2 : 1;
}

/* A shell word in single quotes: a quote ends, is escaped, begins again. */
static void put_quoted(const char *text)
{
    putchar('\'');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*c);
    }
    putchar('\'');
}

/* "app|fs" -> "app fs" */
static void put_choices(const char *value)
{
    for (const char *c = value; *c != '\0'; c++)
        putchar(*c == '|' ? ' ' : *c);
}

/* The words that may stand first, or second after `group`, each once, one space between. */
static void put_words(const char *group)
{
    size_t skip = group != NULL ? strlen(group) + 1 : 0;
    char last[64] = "", word[64];
    for (const struct command *const *c = command_table; *c != NULL; c++) {
        const char *name = (*c)->name;
        if (group != NULL && (strncmp(name, group, skip - 1) != 0 || name[skip - 1] != ' ')) continue;
        snprintf(word, sizeof word, "%.*s", (int)strcspn(name + skip, " "), name + skip);
        if (strcmp(word, last) != 0) printf("%s ", word);
        memcpy(last, word, sizeof last);
    }
}

/* Is it the first row of a group ("device list")? Then its word is copied to group. */
static bool begins_group(const struct command *const *row, char group[GROUP_LEN])
{
    snprintf(group, GROUP_LEN, "%.*s", (int)strcspn((*row)->name, " "), (*row)->name);
    if (word_count(*row) == 1) return false;
    return row == command_table || strncmp(row[-1]->name, (*row)->name, strlen(group) + 1) != 0;
}

/* ---- bash: one function; a case for each command's options and one for each value ---- */

static void bash_values(const struct command *command)
{
    for (const struct args_option *o = command->options; o->name != NULL; o++) {
        if (o->value == NULL) continue;
        printf("    \"%s --%s\") ", command->name, o->name);
        if (is_file(o->value))
            fputs("files=-f", stdout);
        else if (strcmp(o->value, "DIR") == 0)
            fputs("files=-d", stdout);
        else {
            fputs("words=\"", stdout);
            if (is_choice(o->value)) put_choices(o->value);
            putchar('"');
        }
        fputs(" value=yes ;;\n", stdout);
    }
}

static void print_bash(void)
{
    fputs("# bash completion of molt; made by `molt completion bash`\n"
          "_molt() {\n"
          "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} first=${COMP_WORDS[1]}\n"
          "  local command=$first words= files= value=\n"
          "  COMPREPLY=()\n"
          "  if [ \"$COMP_CWORD\" = 1 ]; then\n    words=\"",
          stdout);
    put_words(NULL);
    fputs("help\"\n    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n    return\n  fi\n"
          "  case $first in\n",
          stdout);
    for (const struct command *const *c = command_table; *c != NULL; c++) {
        char group[GROUP_LEN];
        if (!begins_group(c, group)) continue;
        printf("    %s) words=\"", group);
        put_words(group);
        fputs("\" ;;\n", stdout);
    }
    fputs("  esac\n"
          "  if [ -n \"$words\" ]; then\n"
          "    command=\"$first ${COMP_WORDS[2]}\"\n"
          "    case \"$COMP_CWORD $cur\" in \"2 -\"*) command=$first words= ;; 2*)\n"
          "      COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")); return ;; esac\n"
          "    words=\n"
          "  fi\n"
          "  case \"$command $prev\" in\n",
          stdout);
    for (const struct command *const *c = command_table; *c != NULL; c++)
        bash_values(*c);
    fputs("  esac\n  [ -n \"$value\" ] || case $command in\n", stdout);
    for (const struct command *const *c = command_table; *c != NULL; c++) {
        printf("    \"%s\") words=\"", (*c)->name);
        for (const struct args_option *o = (*c)->options; o->name != NULL; o++)
            printf("--%s ", o->name);
        fputs("--help ", stdout);
        if (is_choice((*c)->operands)) put_choices((*c)->operands);
        printf("\" files=%s ;;\n", is_file((*c)->operands) ? "-f" : "");
    }
    fputs("  esac\n"
          "  case $cur in -*) files= ;; esac\n"
          "  [ -z \"$words\" ] || COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
          "  [ -z \"$files\" ] || { compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen $files -- "
          "\"$cur\")); }\n"
          "}\n"
          "complete -F _molt molt\n",
          stdout);
}

/* ---- zsh: _arguments with one specification an option ---- */

/* Help inside "[...]" of a specification: brackets, colons and backslashes are escaped for _arguments. */
static void zsh_text(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (strchr("[]:\\", *c) != NULL) putchar('\\');
        if (*c == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*c);
    }
}

static void zsh_option(const struct args_option *o)
{
    printf("        '%s--%s%s[", (o->flags & ARGS_REPEAT) != 0 ? "*" : "", o->name,
           o->value != NULL ? "=" : "");
    zsh_text(o->help);
    putchar(']');
    if (o->value != NULL) {
        putchar(':');
        zsh_text(o->value);
        putchar(':');
        if (is_file(o->value))
            fputs("_files", stdout);
        else if (strcmp(o->value, "DIR") == 0)
            fputs("_files -/", stdout);
        else if (is_choice(o->value)) {
            putchar('(');
            put_choices(o->value);
            putchar(')');
        } else
            putchar(' ');
    }
    fputs("' \\\n", stdout);
}

static void zsh_operands(const char *operands)
{
    if (is_file(operands)) fputs(" '*:file:_files'", stdout);
    if (!is_choice(operands)) return;
    fputs(" '*:word:(", stdout);
    put_choices(operands);
    fputs(")'", stdout);
}

static void zsh_summaries(const char *group)
{
    size_t skip = group != NULL ? strlen(group) + 1 : 0;
    for (const struct command *const *c = command_table; *c != NULL; c++) {
        const char *name = (*c)->name;
        if (group != NULL && (strncmp(name, group, skip - 1) != 0 || name[skip - 1] != ' ')) continue;
        size_t len = strcspn(name + skip, " ");
        if (group == NULL && name[len] == ' ') {
            if (c != command_table && strncmp(c[-1]->name, name, len + 1) == 0) continue;
            printf("      '%.*s:%.*s commands'\n", (int)len, name, (int)len, name);
            continue;
        }
        printf("      '%s:", name + skip);
        zsh_text((*c)->summary);
        fputs("'\n", stdout);
    }
}

static void print_zsh(void)
{
    fputs("#compdef molt\n# zsh completion of molt; made by `molt completion zsh`\n"
          "_molt() {\n  local -a commands\n"
          "  if (( CURRENT == 2 )); then\n    commands=(\n",
          stdout);
    zsh_summaries(NULL);
    fputs("      'help:explain a command'\n    )\n    _describe command commands\n    return\n  fi\n"
          "  if (( CURRENT == 3 )); then\n    case $words[2] in\n",
          stdout);
    for (const struct command *const *c = command_table; *c != NULL; c++) {
        char group[GROUP_LEN];
        if (!begins_group(c, group)) continue;
        printf("    %s) commands=(\n", group);
        zsh_summaries(group);
        fputs("      )\n      _describe command commands; return ;;\n", stdout);
    }
    fputs("    esac\n  fi\n  case \"$words[2] $words[3]\" in\n", stdout);
    for (int count = 2; count >= 1; count--) {
        for (const struct command *const *c = command_table; *c != NULL; c++) {
            if (word_count(*c) != count) continue;
            printf("    '%s'%s)\n      shift %d words; (( CURRENT -= %d ))\n      _arguments \\\n",
                   (*c)->name, count == 1 ? "' '*" : "", count, count);
            for (const struct args_option *o = (*c)->options; o->name != NULL; o++)
                zsh_option(o);
            fputs("        '--help[this text]'", stdout);
            zsh_operands((*c)->operands);
            fputs(" ;;\n", stdout);
        }
    }
    fputs("  esac\n}\n[ \"$funcstack[1]\" != _molt ] || _molt \"$@\"\n"
          "[ \"$funcstack[1]\" = _molt ] || compdef _molt molt\n",
          stdout);
}

/* ---- fish: one `complete` line each ---- */

static void fish_condition(const struct command *command)
{
    printf("complete -c molt -n '__molt_is %s' ", command->name);
}

static void fish_command(const struct command *command)
{
    const char *second = strchr(command->name, ' ');
    if (second != NULL)
        printf("complete -c molt -f -n '__molt_is %.*s; and __molt_count 2' -a %s -d ",
               (int)(second - command->name), command->name, second + 1);
    else
        printf("complete -c molt -f -n '__molt_count 1' -a %s -d ", command->name);
    put_quoted(command->summary);
    putchar('\n');
    for (const struct args_option *o = command->options; o->name != NULL; o++) {
        fish_condition(command);
        printf("-l %s ", o->name);
        if (o->value != NULL && is_file(o->value))
            fputs("-r -F ", stdout);
        else if (o->value != NULL && strcmp(o->value, "DIR") == 0)
            fputs("-x -a '(__fish_complete_directories)' ", stdout);
        else if (o->value != NULL && is_choice(o->value)) {
            fputs("-x -a '", stdout);
            put_choices(o->value);
            fputs("' ", stdout);
        } else if (o->value != NULL)
            fputs("-x ", stdout);
        fputs("-d ", stdout);
        put_quoted(o->help);
        putchar('\n');
    }
    if (is_file(command->operands)) {
        fish_condition(command);
        fputs("-F\n", stdout);
    } else if (is_choice(command->operands)) {
        fish_condition(command);
        fputs("-f -a '", stdout);
        put_choices(command->operands);
        fputs("'\n", stdout);
    }
}

static void print_fish(void)
{
    fputs("# fish completion of molt; made by `molt completion fish`\n"
          "function __molt_is\n"
          "    set -l line (commandline -opc)\n"
          "    set -l last (math 1 + (count $argv))\n"
          "    test (count $line) -ge $last; and test \"$line[2..$last]\" = \"$argv\"\n"
          "end\n"
          "function __molt_count\n    test (count (commandline -opc)) -eq $argv[1]\nend\n"
          "complete -c molt -f\n"
          "complete -c molt -f -n '__molt_count 1' -a help -d 'explain a command'\n",
          stdout);
    for (const struct command *const *c = command_table; *c != NULL; c++) {
        char group[GROUP_LEN];
        if (begins_group(c, group))
            printf("complete -c molt -f -n '__molt_count 1' -a %s -d '%s commands'\n", group, group);
        fish_command(*c);
    }
}

static int run(struct args *args)
{
    const char *shell = args->operands[0];
    char shown[40];
    if (strcmp(shell, "bash") == 0)
        print_bash();
    else if (strcmp(shell, "zsh") == 0)
        print_zsh();
    else if (strcmp(shell, "fish") == 0)
        print_fish();
    else
        return command_usage_error(&command_completion, "'%s' is none of bash, zsh and fish",
                                   text_printable(shown, sizeof shown, shell));
    return EXIT_GOOD;
}

const struct command command_completion = {
    .name = "completion",
    .operands = "bash|zsh|fish",
    .summary = "print the completion script of a shell",
    .more = "Packages install these scripts; by hand:",
    .examples = "  molt completion bash > ~/.local/share/bash-completion/completions/molt\n"
                "  molt completion zsh > ~/.zfunc/_molt\n"
                "  molt completion fish > ~/.config/fish/completions/molt.fish",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
