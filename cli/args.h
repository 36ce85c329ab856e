/* args.h - the one option parser of the `molt` program: a table of options in, values out, good errors.
 *
 *     static const struct args_option options[] = {{"product", "NAME", "product of the device", 0}, {0}};
 *     if (args_parse(&args, options, argc, argv) < 0) usage(args.error);
 *     const char *product = args_value(&args, "product");
 *
 * Accepted: `--name VALUE`, `--name=VALUE`, `--flag`, `-o VALUE` for --out, `--` (the rest are operands), `-` (an
 * operand), options and operands in any order. An option may be given twice only when its table row says so. */
#ifndef MOLT_CLI_ARGS_H
#define MOLT_CLI_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#define ARGS_VALUES_MAX   64   /* options given in one call */
#define ARGS_OPERANDS_MAX 1024 /* files of one `molt inspect` */
#define ARGS_VALUE_LEN    4096 /* bytes of a value or operand */

enum { ARGS_REPEAT = 1u << 0 }; /* args_option.flags: may be given more than once */

struct args_option {
    const char *name;  /* without dashes; a table ends with NULL */
    const char *value; /* what --help calls the value ("FILE"); NULL: a flag without one */
    const char *help;  /* one line */
    unsigned flags;
};

struct args {
    char error[320]; /* after a failure: what is wrong and what to do, one line, printable */
    bool wants_help; /* --help or -h was given; everything else is then unchecked */
    int operand_count;
    const char *operands[ARGS_OPERANDS_MAX]; /* borrowed from argv */
    /* ---- private ---- */
    const struct args_option *options;
    int value_count;
    struct {
        const struct args_option *option;
        const char *value;
    } values[ARGS_VALUES_MAX];
};

/* Reads argv[0..argc) (without program and command names) by the table. argv must outlive args. 0, or -1 with
 * args->error set: unknown option (with the nearest known one), missing value, a value for a flag, given twice,
 * too long, not UTF-8, or too many. */
int args_parse(struct args *args, const struct args_option *options, int argc, char *const *argv);

/* The (last) value of the option, NULL when it was not given. name: one of the table. */
const char *args_value(const struct args *args, const char *name);

/* The value number index (0, 1, ...) of a repeatable option, NULL past the last. */
const char *args_nth(const struct args *args, const char *name, int index);

/* True when the flag (or option) was given. */
bool args_has(const struct args *args, const char *name);

/* A whole decimal number. 0 and *number (left alone when the option was not given), or -1 with args->error set
 * when it is no plain number or outside min..max. */
int args_number(struct args *args, const char *name, uint64_t min, uint64_t max, uint64_t *number);

#endif
