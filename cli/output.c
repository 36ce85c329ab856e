/* output.c - tables, colours, progress and errors of the `molt` program (output.h). It must never send a control
 * character of a device or a file to a terminal.
 * Tests: test/unit/args_test.c (texts), test/e2e/cli_test.sh (whole output). */
#include "output.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

#define CELL_LEN 256 /* bytes of a cell as shown */

static const char *const styles[] = {"", "\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[33m"};

static bool may_colour(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    if (no_color != NULL && no_color[0] != '\0') return false; /* https://no-color.org */
    if (term == NULL || strcmp(term, "dumb") == 0) return false;
    return isatty(fileno(stream)) == 1;
}

/* ---- tables ---- */

struct row {
    enum output_style style;
    char *cells[OUTPUT_COLUMNS_MAX];
};

struct output_table {
    const char *const *titles;
    int columns;
    size_t width[OUTPUT_COLUMNS_MAX];
    struct row *rows;
    size_t count, room;
};

struct output_table *output_table_new(const char *const *titles, int count)
{
    struct output_table *table = calloc(1, sizeof *table);
    if (table == NULL) return NULL;
    table->titles = titles;
    table->columns = count;
    for (int i = 0; i < count; i++)
        table->width[i] = text_width(titles[i]);
    return table;
}

void output_table_row(struct output_table *table, enum output_style style, const char *const *cells)
{
    if (table == NULL) return;
    if (table->count == table->room) {
        size_t room = table->room == 0 ? 32 : table->room * 2;
        struct row *rows = realloc(table->rows, room * sizeof *rows);
        if (rows == NULL) return;
        table->rows = rows;
        table->room = room;
    }
    struct row *row = &table->rows[table->count];
    *row = (struct row){.style = style};
    for (int i = 0; i < table->columns; i++) {
        char shown[CELL_LEN];
        const char *cell = cells[i] != NULL && cells[i][0] != '\0' ? cells[i] : "-";
        row->cells[i] = strdup(text_printable(shown, sizeof shown, cell));
        size_t width = text_width(shown);
        if (width > table->width[i]) table->width[i] = width;
    }
    table->count++;
}

static void print_cell(const struct output_table *table, int column, const char *text, FILE *stream)
{
    fputs(text, stream);
    if (column + 1 == table->columns) return;
    for (size_t pad = text_width(text); pad < table->width[column] + 2; pad++)
        fputc(' ', stream);
}

void output_table_print(struct output_table *table, FILE *stream)
{
    if (table == NULL) return;
    bool colour = may_colour(stream);
    if (colour) fputs(styles[OUTPUT_BOLD], stream);
    for (int i = 0; i < table->columns; i++)
        print_cell(table, i, table->titles[i], stream);
    fputs(colour ? "\033[0m\n" : "\n", stream);
    for (size_t r = 0; r < table->count; r++) {
        const struct row *row = &table->rows[r];
        if (colour) fputs(styles[row->style], stream);
        for (int i = 0; i < table->columns; i++)
            print_cell(table, i, row->cells[i] != NULL ? row->cells[i] : "-", stream);
        fputs(colour && row->style != OUTPUT_PLAIN ? "\033[0m\n" : "\n", stream);
    }
    output_table_free(table);
}

void output_table_free(struct output_table *table)
{
    if (table == NULL) return;
    for (size_t r = 0; r < table->count; r++) {
        for (int i = 0; i < table->columns; i++)
            free(table->rows[r].cells[i]);
    }
    free(table->rows);
    free(table);
}

void output_field(const char *label, const char *value)
{
    if (value == NULL || value[0] == '\0') return;
    char shown[1024];
    printf("%-14s %s\n", label, text_printable(shown, sizeof shown, value));
}

char *output_list(char *buf, size_t cap, const json_t *texts)
{
    size_t i, len = 0;
    const json_t *text;
    buf[0] = '\0';
    json_array_foreach(texts, i, text)
    {
        const char *value = json_string_value(text);
        if (len < cap && value != NULL)
            len += (size_t)snprintf(buf + len, cap - len, "%s%s", i > 0 ? ", " : "", value);
    }
    return buf;
}

void output_json(const json_t *json)
{
    size_t flags = isatty(STDOUT_FILENO) == 1 ? JSON_INDENT(2) : JSON_COMPACT;
    json_dumpf(json, stdout, flags);
    fputc('\n', stdout);
}

/* ---- errors and hints ---- */

__attribute__((format(printf, 3, 0))) static void line(const char *before, enum output_style style,
                                                       const char *format, va_list values)
{
    char text[1024], shown[1024];
    vsnprintf(text, sizeof text, format, values);
    text_printable(shown, sizeof shown, text);
    bool colour = may_colour(stderr);
    fflush(stdout);
    fprintf(stderr, "%s%s%s%s\n", colour ? styles[style] : "", before, shown,
            colour && style != OUTPUT_PLAIN ? "\033[0m" : "");
}

void output_error(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    line("molt: ", OUTPUT_BAD, format, values);
    va_end(values);
}

void output_hint(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    line("  ", OUTPUT_PLAIN, format, values);
    va_end(values);
}

/* ---- progress ---- */

void output_progress_begin(struct output_progress *progress, const char *label, uint64_t total, bool quiet)
{
    *progress = (struct output_progress){.label = label, .total = total, .quiet = quiet, .shown = -1};
    progress->terminal = isatty(STDERR_FILENO) == 1;
}

void output_progress_step(struct output_progress *progress, uint64_t done)
{
    if (progress->quiet || progress->total == 0) return;
    if (done > progress->total) done = progress->total;
    int percent = (int)(done * 100 / progress->total);
    if (percent == progress->shown) return;
    if (progress->terminal) {
        enum { BAR = 32 };
        char bar[BAR + 1];
        for (int i = 0; i < BAR; i++)
            bar[i] = i < percent * BAR / 100 ? '#' : '.';
        bar[BAR] = '\0';
        fprintf(stderr, "\r%s [%s] %3d%%", progress->label, bar, percent);
        fflush(stderr);
        progress->shown = percent;
    } else if (percent / 25 > progress->shown / 25 && percent > 0) {
        fprintf(stderr, "%s: %d%%\n", progress->label, percent / 25 * 25);
        progress->shown = percent;
    }
}

void output_progress_end(struct output_progress *progress)
{
    if (progress->terminal && progress->shown >= 0) fputc('\n', stderr);
    progress->quiet = true;
}

/* ---- texts for people ---- */

char *output_size(char *buf, size_t cap, uint64_t bytes)
{
    if (bytes < 1024)
        snprintf(buf, cap, "%llu bytes", (unsigned long long)bytes);
    else if (bytes < 1024 * 1024)
        snprintf(buf, cap, "%.1f KiB (%llu bytes)", (double)bytes / 1024, (unsigned long long)bytes);
    else
        snprintf(buf, cap, "%.2f MiB (%llu bytes)", (double)bytes / 1048576, (unsigned long long)bytes);
    return buf;
}

char *output_ago(char *buf, size_t cap, int64_t then_ms, int64_t now_ms)
{
    int64_t s = (now_ms - then_ms) / 1000;
    if (then_ms <= 0)
        snprintf(buf, cap, "never");
    else if (s < 5)
        snprintf(buf, cap, "now"); /* also a clock that is ahead of ours */
    else if (s < 120)
        snprintf(buf, cap, "%d s ago", (int)s);
    else if (s < 2 * 3600)
        snprintf(buf, cap, "%d min ago", (int)(s / 60));
    else if (s < 2 * 86400)
        snprintf(buf, cap, "%d h ago", (int)(s / 3600));
    else
        snprintf(buf, cap, "%lld d ago", (long long)(s / 86400));
    return buf;
}

char *output_time(char *buf, size_t cap, int64_t when_ms)
{
    time_t seconds = (time_t)(when_ms / 1000);
    struct tm parts;
    buf[0] = '\0';
    if (when_ms > 0 && gmtime_r(&seconds, &parts) != NULL) strftime(buf, cap, "%Y-%m-%d %H:%M:%SZ", &parts);
    return buf;
}

int64_t output_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
