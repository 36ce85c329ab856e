/* args.c - the table-driven option parser of the `molt` program (args.h). It allocates nothing and prints nothing;
 * it must never put bytes of argv into an error that a terminal could obey.
 * Tests: test/unit/args_test.c. */
#include "args.h"

#include <stdio.h>
#include <string.h>

#include "host/nearest.h"
#include "text.h"

static int unknown_option(struct args *args, const char *name)
{
    const char *names[ARGS_VALUES_MAX];
    int count = 0;
    for (const struct args_option *o = args->options; o->name != NULL && count < ARGS_VALUES_MAX; o++)
        names[count++] = o->name;
    const char *nearest = nearest_name(name, names, count);
    char shown[64];
    text_printable(shown, sizeof shown, name);
    if (nearest != NULL)
        snprintf(args->error, sizeof args->error, "unknown option --%s; did you mean --%s?", shown, nearest);
    else
        snprintf(args->error, sizeof args->error, "unknown option --%s; --help lists the options", shown);
    return -1;
}

static const struct args_option *find(const struct args *args, const char *name, size_t len)
{
    for (const struct args_option *o = args->options; o->name != NULL; o++) {
        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0) return o;
    }
    return NULL;
}

static bool acceptable(struct args *args, const char *what, const char *value)
{
    if (strlen(value) > ARGS_VALUE_LEN)
        snprintf(args->error, sizeof args->error, "%s is longer than %d bytes", what, ARGS_VALUE_LEN);
    else if (!text_is_utf8(value, strlen(value)))
        snprintf(args->error, sizeof args->error, "%s is not UTF-8 text", what);
    else
        return true;
    return false;
}

/* Takes one "--..." word; *used is set to the number of argv entries it took. */
static int take_option(struct args *args, const char *word, const char *next, int *used)
{
    const char *name = word + 2, *equals = strchr(name, '=');
    size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
    *used = 1;
    if (len == 4 && memcmp(name, "help", 4) == 0) {
        args->wants_help = true;
        return 0;
    }
    const struct args_option *option = find(args, name, len);
    if (option == NULL) {
        char unknown[64];
        snprintf(unknown, sizeof unknown, "%.*s", (int)(len < 63 ? len : 63), name);
        return unknown_option(args, unknown);
    }
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (option->value == NULL && value != NULL) {
        snprintf(args->error, sizeof args->error, "--%s takes no value", option->name);
        return -1;
    }
    if (option->value != NULL && value == NULL) {
        if (next == NULL || (next[0] == '-' && next[1] == '-')) {
            snprintf(args->error, sizeof args->error, "--%s needs a value: --%s %s", option->name,
                     option->name, option->value);
            return -1;
        }
        value = next;
        *used = 2;
    }
    char what[48];
    snprintf(what, sizeof what, "the value of --%s", option->name);
    if (value != NULL && !acceptable(args, what, value)) return -1;
    if ((option->flags & ARGS_REPEAT) == 0 && args_has(args, option->name)) {
        snprintf(args->error, sizeof args->error, "--%s is given twice", option->name);
        return -1;
    }
    if (args->value_count == ARGS_VALUES_MAX) {
        snprintf(args->error, sizeof args->error, "more than %d options", ARGS_VALUES_MAX);
        return -1;
    }
    args->values[args->value_count].option = option;
    args->values[args->value_count++].value = value;
    return 0;
}

static int take_operand(struct args *args, const char *word)
{
    if (args->operand_count == ARGS_OPERANDS_MAX) {
        snprintf(args->error, sizeof args->error, "more than %d arguments", ARGS_OPERANDS_MAX);
        return -1;
    }
    /* A file's name may be any bytes; what must be text is checked where it is used. */
    if (strlen(word) > ARGS_VALUE_LEN) {
        snprintf(args->error, sizeof args->error, "an argument is longer than %d bytes", ARGS_VALUE_LEN);
        return -1;
    }
    args->operands[args->operand_count++] = word;
    return 0;
}

/* What -o means to this command: --out, or NULL, nothing. */
static const char *output_option(const struct args *args)
{
    return find(args, "out", 3) != NULL ? "--out" : NULL;
}

int args_parse(struct args *args, const struct args_option *options, int argc, char *const *argv)
{
    memset(args, 0, sizeof *args);
    args->options = options;
    bool only_operands = false;
    for (int i = 0; i < argc;) {
        const char *word = argv[i];
        int used = 1, rc = 0;
        if (only_operands || word[0] != '-' || word[1] == '\0') {
            rc = take_operand(args, word);
        } else if (strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (strcmp(word, "-h") == 0) {
            args->wants_help = true;
        } else if (word[1] == '-' || (strcmp(word, "-o") == 0 && output_option(args) != NULL)) {
            rc = take_option(args, word[1] == '-' ? word : output_option(args),
                             i + 1 < argc ? argv[i + 1] : NULL, &used);
        } else {
            char shown[64];
            text_printable(shown, sizeof shown, word);
            snprintf(args->error, sizeof args->error,
                     "unknown option %s; options are spelled out: --help lists them", shown);
            rc = -1;
        }
        if (args->wants_help) return 0;
        if (rc < 0) return rc;
        i += used;
    }
    return 0;
}

const char *args_nth(const struct args *args, const char *name, int index)
{
    for (int i = 0; i < args->value_count; i++) {
        if (strcmp(args->values[i].option->name, name) == 0 && index-- == 0) return args->values[i].value;
    }
    return NULL;
}

const char *args_value(const struct args *args, const char *name)
{
    return args_nth(args, name, 0);
}

bool args_has(const struct args *args, const char *name)
{
    for (int i = 0; i < args->value_count; i++) {
        if (strcmp(args->values[i].option->name, name) == 0) return true;
    }
    return false;
}

int args_number(struct args *args, const char *name, uint64_t min, uint64_t max, uint64_t *number)
{
    const char *value = args_value(args, name);
    if (value == NULL) return 0;
    uint64_t n;
    if (text_number(value, &n) == 0 && n >= min && n <= max) {
        *number = n;
        return 0;
    }
    snprintf(args->error, sizeof args->error, "--%s takes a whole number from %llu to %llu", name,
             (unsigned long long)min, (unsigned long long)max);
    return -1;
}
