/* config.c - settings by the table: three layers, one check (config.h). Must never take a value unchecked, nor a name that is no
 * row; what a file says must never be shown raw on a terminal. Tests: test/unit/config_test.c, test/e2e/config_test.sh. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/nearest.h"
#include "net/net_list.h"

#define SHOWN_LEN 80
#define LINES_MAX 512

static const struct config_row rows[] = {
#define CONFIG(field, name_, kind_, value_, min_, max_, flags_, fallback_, help_, more_)                     \
    {.name = name_,                                                                                          \
     .value = value_,                                                                                        \
     .fallback = fallback_,                                                                                  \
     .help = help_,                                                                                          \
     .more = more_,                                                                                          \
     .kind = kind_,                                                                                          \
     .flags = flags_,                                                                                        \
     .min = min_,                                                                                            \
     .max = max_,                                                                                            \
     .offset = offsetof(struct serve_options, field)},
#define CONFIG_LIST(field, name_, kind_, value_, flags_, fallback_, help_, more_)                            \
    {.name = name_,                                                                                          \
     .value = value_,                                                                                        \
     .fallback = fallback_,                                                                                  \
     .help = help_,                                                                                          \
     .more = more_,                                                                                          \
     .kind = kind_,                                                                                          \
     .flags = flags_,                                                                                        \
     .offset = offsetof(struct serve_options, field),                                                        \
     .count_offset = offsetof(struct serve_options, field##_count),                                          \
     .cap = sizeof((struct serve_options *)0)->field / sizeof(const char *)},
#include "config.def"
#undef CONFIG
#undef CONFIG_LIST
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])
_Static_assert(ROW_COUNT <= CONFIG_ROWS_MAX, "struct config has room for each row");

const struct config_row *config_rows(size_t *count)
{
    *count = ROW_COUNT;
    return rows;
}

struct config_text {
    struct config_text *next;
    char text[];
};

/* One "name = value" of the file. */
struct line {
    size_t row;
    unsigned number;
    const char *value;
};

struct loading {
    struct config *config;
    config_flag flag;
    void *flag_ctx;
    const char *path;
    struct line *lines;
    size_t line_count;
    char *err;
    size_t err_cap;
};

static const char *keep(struct loading *l, const char *value)
{
    size_t len = strlen(value);
    struct config_text *text = malloc(sizeof *text + len + 1);
    if (text == NULL) {
        (void)snprintf(l->err, l->err_cap, "out of memory");
        return NULL;
    }
    memcpy(text->text, value, len + 1);
    text->next = l->config->texts;
    l->config->texts = text;
    return text->text;
}

void config_free(struct config *config)
{
    while (config->texts != NULL) {
        struct config_text *text = config->texts;
        config->texts = text->next;
        free(text);
    }
}

/* A stranger's text on a terminal: short, and no control characters. */
static const char *shown(const char *text, char out[SHOWN_LEN])
{
    size_t i;
    for (i = 0; text[i] != '\0' && i < SHOWN_LEN - 1; i++)
        out[i] = (unsigned char)text[i] < 0x20 || (unsigned char)text[i] >= 0x7F ? '?' : text[i];
    out[i] = '\0';
    return out;
}

/* ---- one value ---- */

static int choice_of(const struct config_row *row, const char *value)
{
    size_t len = strlen(value);
    int number = 0;
    for (const char *word = row->value; len > 0; number++) {
        size_t n = strcspn(word, "|");
        if (n == len && memcmp(word, value, n) == 0) return number;
        if (word[n] == '\0') break;
        word += n + 1;
    }
    return -1;
}

static bool is_number(const struct config_row *row, const char *value, uint64_t *number)
{
    size_t len = strlen(value);
    *number = 0;
    if (len == 0 || len > 12 || strspn(value, "0123456789") != len) return false;
    for (size_t i = 0; i < len; i++)
        *number = *number * 10 + (uint64_t)(value[i] - '0');
    return *number >= row->min && *number <= row->max;
}

/* What is wrong with the value, as the end of a sentence; NULL: nothing. */
static const char *wrong(const struct config_row *row, const char *value, char out[160])
{
    uint64_t number;
    if (strlen(value) > CONFIG_VALUE_MAX) return "takes a shorter value";
    for (const char *c = value; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F) return "takes a value without control characters";
    }
    switch (row->kind) {
    case CONFIG_NUMBER:
        if (is_number(row, value, &number)) return NULL;
        (void)snprintf(out, 160, "takes a whole number from %llu to %llu", (unsigned long long)row->min,
                       (unsigned long long)row->max);
        return out;
    case CONFIG_SWITCH:
        return strcmp(value, "yes") == 0 || strcmp(value, "no") == 0 ? NULL : "takes yes or no";
    case CONFIG_CHOICE:
        if (choice_of(row, value) >= 0) return NULL;
        (void)snprintf(out, 160, "takes one of %s", row->value);
        return out;
    case CONFIG_URL:
        if (strncmp(value, "http://", 7) == 0 || strncmp(value, "https://", 8) == 0) return NULL;
        return "takes http://HOST:PORT or https://HOST:PORT";
    case CONFIG_NETS:
        return net_list_ok(value) ? NULL : "takes an address or a network, as 10.1.2.3 or 10.0.0.0/8";
    case CONFIG_TEXT:
    case CONFIG_FILE:
    case CONFIG_DIR:
        break;
    }
    return value[0] != '\0' ? NULL : "takes a value";
}

static int put(struct loading *l, const struct config_row *row, const char *where, const char *value)
{
    char *at = (char *)&l->config->options + row->offset, reason[160], text[SHOWN_LEN];
    const char *why = wrong(row, value, reason);
    uint64_t number = 0;
    if (why != NULL) {
        (void)snprintf(l->err, l->err_cap, "%s %s, not '%s'", where, why, shown(value, text));
        return -1;
    }
    if (row->kind == CONFIG_SWITCH) {
        *(bool *)at = strcmp(value, "yes") == 0;
    } else if (row->kind == CONFIG_NUMBER || row->kind == CONFIG_CHOICE) {
        uint32_t word = row->kind == CONFIG_CHOICE ? (uint32_t)choice_of(row, value)
                                                   : (uint32_t)is_number(row, value, &number);
        if (row->kind == CONFIG_NUMBER) word = (uint32_t)number;
        memcpy(at, &word, sizeof word);
    } else {
        const char *kept = keep(l, value);
        if (kept == NULL) return -1;
        if (row->cap > 0) {
            char *counter = (char *)&l->config->options + row->count_offset;
            size_t count;
            memcpy(&count, counter, sizeof count);
            if (count == row->cap) {
                (void)snprintf(l->err, l->err_cap, "%s is given more than %zu times", where, row->cap);
                return -1;
            }
            at += count++ * sizeof kept;
            memcpy(counter, &count, sizeof count);
        }
        memcpy(at, &kept, sizeof kept);
    }
    return 0;
}

/* ---- the file ---- */

static int file_error(struct loading *l, unsigned number, const char *what, const char *name)
{
    char text[SHOWN_LEN];
    const char *names[ROW_COUNT], *nearest = NULL;
    int n = snprintf(l->err, l->err_cap, "%s:%u: %s '%s'", l->path, number, what, shown(name, text));
    for (size_t i = 0; i < ROW_COUNT; i++)
        names[i] = rows[i].name;
    nearest = nearest_name(name, names, ROW_COUNT);
    if (n > 0 && (size_t)n < l->err_cap && strcmp(what, "unknown setting") == 0) {
        if (nearest != NULL)
            (void)snprintf(l->err + n, l->err_cap - (size_t)n, "; did you mean '%s'?", nearest);
        else
            (void)snprintf(l->err + n, l->err_cap - (size_t)n,
                           "; `molt serve --help` lists them, without '--'");
    }
    return -1;
}

static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t' || text[len - 1] == '\r'))
        text[--len] = '\0';
    return text;
}

static int take_line(struct loading *l, char *text, unsigned number)
{
    text = trim(text);
    if (text[0] == '\0' || text[0] == '#') return 0;
    char *equals = strchr(text, '=');
    if (equals == NULL) return file_error(l, number, "there is no '=' behind", text);
    *equals = '\0';
    const char *name = trim(text), *value = trim(equals + 1);
    size_t row = 0;
    while (row < ROW_COUNT && strcmp(rows[row].name, name) != 0)
        row++;
    if (row == ROW_COUNT) return file_error(l, number, "unknown setting", name);
    for (size_t i = 0; i < l->line_count && rows[row].cap == 0; i++) {
        if (l->lines[i].row == row) return file_error(l, number, "given twice:", name);
    }
    if (l->line_count == LINES_MAX) return file_error(l, number, "too many lines at", name);
    const char *kept = keep(l, value);
    if (kept == NULL) return -1;
    l->lines[l->line_count++] = (struct line){row, number, kept};
    return 0;
}

static int take_lines(struct loading *l, char *text, size_t len)
{
    unsigned number = 1;
    if (memchr(text, '\0', len) != NULL) return file_error(l, 1, "is no text:", "NUL");
    for (char *line = text; line < text + len; number++) {
        char *end = strchr(line, '\n');
        if (end != NULL) *end = '\0';
        char *next = end != NULL ? end + 1 : text + len;
        if (take_line(l, line, number) != 0) return -1;
        line = next;
    }
    return 0;
}

static int read_file(struct loading *l)
{
    struct stat st;
    size_t len = 0;
    int fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = -1;
    char *text = malloc(CONFIG_FILE_MAX + 2);
    if (fd < 0 || text == NULL || fstat(fd, &st) != 0) {
        (void)snprintf(l->err, l->err_cap, "%s: %s", l->path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        (void)snprintf(l->err, l->err_cap, "%s: is no file", l->path);
    } else {
        ssize_t n;
        while (len <= CONFIG_FILE_MAX && (n = read(fd, text + len, CONFIG_FILE_MAX + 1 - len)) > 0)
            len += (size_t)n;
        text[len] = '\0';
        if (len > CONFIG_FILE_MAX)
            (void)snprintf(l->err, l->err_cap, "%s: is longer than %u bytes", l->path, CONFIG_FILE_MAX);
        else
            rc = take_lines(l, text, len);
    }
    if (fd >= 0) (void)close(fd);
    free(text);
    return rc;
}

/* ---- the layers ---- */

static void env_name(const char *name, char out[48])
{
    int n = snprintf(out, 48, "MOLT_%s", name);
    for (int i = 0; i < n && i < 47; i++)
        out[i] = out[i] == '-' ? '_' : (char)toupper((unsigned char)out[i]);
}

/* A list in the environment has blanks between. */
static int put_words(struct loading *l, const struct config_row *row, const char *where, const char *text)
{
    char word[CONFIG_VALUE_MAX + 1];
    while (*(text += strspn(text, " \t")) != '\0') {
        size_t n = strcspn(text, " \t");
        (void)snprintf(word, sizeof word, "%.*s", (int)(n < sizeof word ? n : sizeof word - 1), text);
        if (put(l, row, where, word) != 0) return -1;
        text += n;
    }
    return 0;
}

static int load_row(struct loading *l, size_t i)
{
    const struct config_row *row = &rows[i];
    char where[600], name[48];
    const char *value;
    (void)snprintf(where, sizeof where, "--%s", row->name);
    for (int n = 0; l->flag != NULL && (value = l->flag(l->flag_ctx, row->name, n)) != NULL; n++) {
        l->config->origin[i] = CONFIG_FROM_FLAG;
        l->config->is_usage = true;
        if (put(l, row, where, value) != 0) return -1;
    }
    l->config->is_usage = false;
    if (l->config->origin[i] == CONFIG_FROM_FLAG) return 0;
    env_name(row->name, name);
    value = getenv(name);
    if (value != NULL && value[0] != '\0') {
        l->config->origin[i] = CONFIG_FROM_ENVIRONMENT;
        return row->cap > 0 ? put_words(l, row, name, value) : put(l, row, name, value);
    }
    for (size_t n = 0; n < l->line_count; n++) {
        if (l->lines[n].row != i) continue;
        (void)snprintf(where, sizeof where, "%.500s:%u: %s", l->path, l->lines[n].number, row->name);
        l->config->origin[i] = CONFIG_FROM_FILE;
        if (put(l, row, where, l->lines[n].value) != 0) return -1;
    }
    return 0;
}

int config_load(struct config *out, config_flag flag, void *ctx, const char *path, char *err, size_t err_cap)
{
    struct loading l = {
        .config = out, .flag = flag, .flag_ctx = ctx, .path = path, .err = err, .err_cap = err_cap};
    memset(out, 0, sizeof *out);
    l.lines = calloc(LINES_MAX, sizeof *l.lines);
    int rc = l.lines != NULL ? 0 : -1;
    if (rc != 0) (void)snprintf(err, err_cap, "out of memory");
    if (rc == 0 && path != NULL) rc = read_file(&l);
    for (size_t i = 0; rc == 0 && i < ROW_COUNT; i++)
        rc = load_row(&l, i);
    free(l.lines);
    return rc;
}

/* ---- values as text ---- */

bool config_value(const struct serve_options *options, size_t i, size_t index, char *out)
{
    const struct config_row *row = &rows[i];
    const char *at = (const char *)options + row->offset, *text;
    uint32_t word;
    if (row->cap > 0) {
        size_t count;
        memcpy(&count, (const char *)options + row->count_offset, sizeof count);
        if (index >= count) return false;
        at += index * sizeof text;
    } else if (index > 0) {
        return false;
    }
    if (row->kind == CONFIG_SWITCH) {
        (void)snprintf(out, CONFIG_VALUE_MAX + 1, "%s", *(const bool *)at ? "yes" : "no");
        return *(const bool *)at;
    }
    if (row->kind == CONFIG_NUMBER || row->kind == CONFIG_CHOICE) {
        memcpy(&word, at, sizeof word);
        const char *words = row->value;
        for (uint32_t n = 0; row->kind == CONFIG_CHOICE && n < word; n++)
            words += strcspn(words, "|") + 1;
        if (row->kind == CONFIG_CHOICE)
            (void)snprintf(out, CONFIG_VALUE_MAX + 1, "%.*s", (int)strcspn(words, "|"), words);
        else
            (void)snprintf(out, CONFIG_VALUE_MAX + 1, "%lu", (unsigned long)word);
        return word != 0;
    }
    memcpy(&text, at, sizeof text);
    (void)snprintf(out, CONFIG_VALUE_MAX + 1, "%s", text != NULL ? text : "");
    return text != NULL;
}

bool config_same(const struct serve_options *a, const struct serve_options *b, size_t row)
{
    char one[CONFIG_VALUE_MAX + 1], other[CONFIG_VALUE_MAX + 1];
    for (size_t index = 0;; index++) {
        bool has = config_value(a, row, index, one), had = config_value(b, row, index, other);
        if (has != had) return false;
        if (!has) return true;
        if (strcmp(one, other) != 0) return false;
    }
}

void config_copy(struct serve_options *to, const struct serve_options *from, size_t i)
{
    const struct config_row *row = &rows[i];
    size_t size = row->kind == CONFIG_SWITCH                                 ? sizeof(bool)
                  : row->kind == CONFIG_NUMBER || row->kind == CONFIG_CHOICE ? sizeof(uint32_t)
                                                                             : sizeof(const char *);
    if (row->cap > 0) {
        size *= row->cap;
        memcpy((char *)to + row->count_offset, (const char *)from + row->count_offset, sizeof(size_t));
    }
    memcpy((char *)to + row->offset, (const char *)from + row->offset, size);
}
