/* settings.c - prints the settings of `molt serve` for doc/operations.md from the table server/config.def. Must never know one of its
 * own. The test e2e-config compares what stands in the page; to renew it: settings doc/operations.md > page && mv page doc/operations.md */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "server/config.h"

#define BEGIN "<!-- settings: made by tools/settings.c -->\n"
#define END   "<!-- end of settings -->\n"

/* A cell: a bar would end it, and "<" would begin a tag. */
static void cell(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|' || *text == '<') putchar('\\');
        putchar(*text);
    }
}

static void print_row(const struct config_row *row)
{
    printf("| `%s` | ", row->name);
    cell(row->value != NULL ? row->value : "yes, no");
    fputs(row->cap > 0 ? ", repeatable | " : " | ", stdout);
    cell(row->fallback);
    printf(" | %s | ", (row->flags & CONFIG_LIVE) != 0 ? "SIGHUP" : "restart");
    for (const char *c = row->help; *c != '\0'; c++) {
        char one[2] = {c == row->help ? (char)toupper((unsigned char)*c) : *c, '\0'};
        cell(one);
    }
    fputs(". ", stdout);
    cell(row->more);
    fputs(" |\n", stdout);
}

static void print_table(void)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    fputs(BEGIN "| setting | value | default | a change needs | what it does |\n|---|---|---|---|---|\n",
          stdout);
    for (size_t i = 0; i < count; i++)
        print_row(&rows[i]);
    fputs(END, stdout);
}

/* The page with the table as it is now. */
int main(int argc, char **argv)
{
    char line[8192];
    int inside = 0, found = 0;
    FILE *page = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (page == NULL) {
        fprintf(stderr, "usage: settings PAGE\n");
        return 2;
    }
    while (fgets(line, sizeof line, page) != NULL) {
        if (strcmp(line, BEGIN) == 0) {
            print_table();
            inside = found = 1;
        }
        if (!inside) fputs(line, stdout);
        if (strcmp(line, END) == 0) inside = 0;
    }
    (void)fclose(page);
    if (found && !inside) return 0;
    fprintf(stderr, "settings: %s has no place for the settings\n", argv[1]);
    return 1;
}
