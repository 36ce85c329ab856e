/* output.h - how `molt` speaks: results to stdout (tables for people, JSON for programs), everything else (errors,
 * progress, hints) to stderr. Texts of devices and files are made printable before they reach a terminal. */
#ifndef MOLT_CLI_OUTPUT_H
#define MOLT_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Shown on a terminal, with NO_COLOR unset or empty and TERM not "dumb". */
enum output_style { OUTPUT_PLAIN, OUTPUT_BOLD, OUTPUT_DIM, OUTPUT_GOOD, OUTPUT_BAD, OUTPUT_WARN };

/* ---- tables ---- */
#define OUTPUT_COLUMNS_MAX 10
struct output_table; /* rows are kept until printed, so that columns can be as wide as needed */

/* titles: count texts, 1 to OUTPUT_COLUMNS_MAX, kept by pointer. NULL when memory is short. */
struct output_table *output_table_new(const char *const *titles, int count);
/* Adds a row of `count` cells (copied, made printable; NULL is "-"). style colours the whole row. */
void output_table_row(struct output_table *table, enum output_style style, const char *const *cells);
/* Prints and frees. The last column is never padded. */
void output_table_print(struct output_table *table, FILE *stream);
void output_table_free(struct output_table *table);

/* "label   value" for detail views; nothing when value is NULL or "". */
void output_field(const char *label, const char *value);

/* An array of texts as "a, b"; returns buf. */
char *output_list(char *buf, size_t cap, const json_t *texts);

/* Prints the JSON with a newline to stdout: indented for a terminal, one line else. */
void output_json(const json_t *json);

/* ---- errors and hints (stderr) ---- */
/* "molt: " and the text. */
void output_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* An indented line below an error or a result: what to do next. To stderr. */
void output_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- progress (stderr): a bar on a terminal, a line each quarter in a pipe, nothing when quiet ---- */
struct output_progress {
    const char *label;
    uint64_t total;
    bool quiet, terminal;
    int shown; /* last percentage shown, -1 none */
};
/* total: bytes, 0 when nobody knows; done: of them, never less than before. label is kept by pointer. */
void output_progress_begin(struct output_progress *progress, const char *label, uint64_t total, bool quiet);
void output_progress_step(struct output_progress *progress, uint64_t done);
void output_progress_end(struct output_progress *progress);

/* ---- texts for people; each returns buf ---- */
char *output_size(char *buf, size_t cap, uint64_t bytes);                 /* "272 KiB (278396)" */
char *output_ago(char *buf, size_t cap, int64_t then_ms, int64_t now_ms); /* "3 min ago", "never" */
char *output_time(char *buf, size_t cap, int64_t when_ms);                /* "2026-11-25 18:04:27Z" */
int64_t output_now_ms(void);

#endif
