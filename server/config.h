/* config.h - the settings of `molt serve`, from the command line, the environment and a file, by one table (config.def).
 *
 * Of the three the first that says anything of a setting wins, in that order; a list is taken from one of them as a whole. The file
 * has lines `name = value`; the value goes on to the end of the line, blanks around it do not count; a line that begins with '#' is a
 * comment. Tests: test/unit/config_test.c, test/e2e/config_test.sh. */
#ifndef MOLT_SERVER_CONFIG_H
#define MOLT_SERVER_CONFIG_H

#include "serve.h"

#define CONFIG_FILE_MAX  65536u /* bytes of the file */
#define CONFIG_VALUE_MAX 4096u  /* bytes of a value */
#define CONFIG_ROWS_MAX  64

enum config_kind {
    CONFIG_TEXT,
    CONFIG_URL,
    CONFIG_FILE,
    CONFIG_DIR,
    CONFIG_NUMBER,
    CONFIG_SWITCH,
    CONFIG_CHOICE,
    CONFIG_NETS,
};
enum { CONFIG_LIVE = 1u << 0, CONFIG_SECRET = 1u << 1 };

struct config_row {
    const char *name, *value, *fallback, *help, *more; /* config.def; value NULL: a switch */
    enum config_kind kind;
    unsigned flags;
    uint64_t min, max;
    size_t offset, count_offset, cap; /* in struct serve_options; cap 0: no list */
};
const struct config_row *config_rows(size_t *count);

/* Where a value came from. */
enum config_origin { CONFIG_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_ENVIRONMENT, CONFIG_FROM_FLAG };

struct config {
    struct serve_options options; /* texts belong to the config */
    enum config_origin origin[CONFIG_ROWS_MAX];
    bool is_usage; /* after a failure: the command line is what is wrong */
    struct config_text *texts;
};

/* What the command line says: the value number index of a setting, "yes" for a switch; NULL past the last. */
typedef const char *(*config_flag)(void *ctx, const char *name, int index);

/* Reads all three; path NULL: no file. 0 and *out, which config_free() frees whatever happened; else -1 with a sentence in err that
 * names the setting and where it stands. */
int config_load(struct config *out, config_flag flag, void *ctx, const char *path, char *err, size_t err_cap);
void config_free(struct config *config);

/* The values of a setting in an option set, as text: number index (0 for what is no list). False: none is set. out: at least
 * CONFIG_VALUE_MAX + 1 bytes. */
bool config_value(const struct serve_options *options, size_t row, size_t index, char *out);
/* Sets the setting as it is in the other; texts are borrowed from it. */
void config_copy(struct serve_options *to, const struct serve_options *from, size_t row);
/* True when the setting is the same in both. */
bool config_same(const struct serve_options *a, const struct serve_options *b, size_t row);

#endif
