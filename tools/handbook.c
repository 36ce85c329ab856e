/* handbook.c - prints doc/operations.md with its tables as they are now: settings (server/config.def), metrics (server/watch/metrics.def and
 * counters.def). Must never know a row of its own. The test e2e-config compares; to renew: handbook doc/operations.md > page && mv page doc/operations.md */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "server/config.h"
#include "server/watch/counters.h"

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

static void print_settings(void)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    fputs("| setting | value | default | a change needs | what it does |\n|---|---|---|---|---|\n", stdout);
    for (size_t i = 0; i < count; i++)
        print_row(&rows[i]);
}

static void print_metric(const char *name, const char *type, const char *help)
{
    printf("| `%s` | %s | ", name, type);
    cell(help);
    fputs(" |\n", stdout);
}

static void print_metrics(void)
{
    fputs("| metric | type | what it is |\n|---|---|---|\n", stdout);
#define METRIC(symbol, name, type, help) print_metric(name, type, help);
#include "server/watch/metrics.def"
#undef METRIC
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const struct counters_row *row = counters_row((enum counter)i);
        if (i == 0 || strcmp(row->metric, counters_row((enum counter)(i - 1))->metric) != 0)
            print_metric(row->metric, "counter", row->help);
    }
}

static const struct {
    const char *begin, *end;
    void (*print)(void);
} tables[] = {
    {"<!-- settings: made by tools/handbook.c -->\n", "<!-- end of settings -->\n", print_settings},
    {"<!-- metrics: made by tools/handbook.c -->\n", "<!-- end of metrics -->\n", print_metrics},
};
#define TABLES (sizeof tables / sizeof tables[0])

int main(int argc, char **argv)
{
    char line[8192];
    size_t inside = TABLES, found = 0;
    FILE *page = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (page == NULL) {
        fprintf(stderr, "usage: handbook PAGE\n");
        return 2;
    }
    while (fgets(line, sizeof line, page) != NULL) {
        if (inside < TABLES && strcmp(line, tables[inside].end) == 0) inside = TABLES;
        if (inside == TABLES) fputs(line, stdout);
        for (size_t i = 0; i < TABLES; i++) {
            if (strcmp(line, tables[i].begin) != 0) continue;
            tables[i].print();
            inside = i;
            found++;
        }
    }
    (void)fclose(page);
    if (found == TABLES && inside == TABLES) return 0;
    fprintf(stderr, "handbook: %s has no place for a table\n", argv[1]);
    return 1;
}
