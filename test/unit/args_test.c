/* args_test.c - the option parser of `molt`, and the texts it shows: good calls, bad calls, hostile calls. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/args.h"
#include "host/nearest.h"
#include "cli/output.h"
#include "cli/text.h"

static const struct args_option options[] = {
    {"product", "NAME", "a product", 0},
    {"listen", "URL", "an address", ARGS_REPEAT},
    {"code", "N", "a number", 0},
    {"json", NULL, "a flag", 0},
    {0},
};

/* The last element of words is NULL. */
static int parse(struct args *args, const char *const *words)
{
    char *argv[ARGS_OPERANDS_MAX + 8];
    int argc = 0;
    for (; words[argc] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    return args_parse(args, options, argc, argv);
}

static struct args args;

static void options_and_operands_come_in_any_order(void **state)
{
    (void)state;
    const char *words[] = {"a.bin", "--product", "door", "--json", "-", "--code=7", "--", "--b.bin", NULL};
    assert_int_equal(parse(&args, words), 0);
    assert_string_equal(args_value(&args, "product"), "door");
    assert_string_equal(args_value(&args, "code"), "7");
    assert_true(args_has(&args, "json"));
    assert_false(args_has(&args, "listen"));
    assert_int_equal(args.operand_count, 3);
    assert_string_equal(args.operands[0], "a.bin");
    assert_string_equal(args.operands[1], "-");
    assert_string_equal(args.operands[2], "--b.bin");
}

static void a_repeatable_option_keeps_every_value_in_order(void **state)
{
    (void)state;
    const char *words[] = {"--listen", "one", "--listen=two", NULL};
    assert_int_equal(parse(&args, words), 0);
    assert_string_equal(args_nth(&args, "listen", 0), "one");
    assert_string_equal(args_nth(&args, "listen", 1), "two");
    assert_null(args_nth(&args, "listen", 2));
}

static void help_wins_over_what_comes_later(void **state)
{
    (void)state;
    const char *words[] = {"--help", "--nonsense", NULL}, *short_words[] = {"x", "-h", "--code", NULL};
    assert_int_equal(parse(&args, words), 0);
    assert_true(args.wants_help);
    assert_int_equal(parse(&args, short_words), 0);
    assert_true(args.wants_help);
}

static void bad_calls_say_what_is_wrong_and_what_to_do(void **state)
{
    (void)state;
    static const struct {
        const char *words[4], *error;
    } table[] = {
        {{"--produkt", "x", NULL}, "unknown option --produkt; did you mean --product?"},
        {{"--frobnicate", NULL}, "unknown option --frobnicate; --help lists the options"},
        {{"--", NULL}, NULL},
        {{"-p", "x", NULL}, "unknown option -p; options are spelled out: --help lists them"},
        {{"--product", NULL}, "--product needs a value: --product NAME"},
        {{"--product", "--json", NULL}, "--product needs a value: --product NAME"},
        {{"--json=yes", NULL}, "--json takes no value"},
        {{"--product=a", "--product=b", NULL}, "--product is given twice"},
        {{"--json", "--json", NULL}, "--json is given twice"},
        {{"--product", "\xff\xfe", NULL}, "the value of --product is not UTF-8 text"},
        {{"--=x", NULL}, "unknown option --; --help lists the options"},
        {{"--\033[2J", NULL}, "unknown option --?[2J; --help lists the options"},
        {{"-\033c", NULL}, "unknown option -?c; options are spelled out: --help lists them"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        int rc = parse(&args, table[i].words);
        assert_int_equal(rc, table[i].error != NULL ? -1 : 0);
        if (table[i].error != NULL) assert_string_equal(args.error, table[i].error);
    }
}

static void values_and_counts_beyond_the_bounds_are_refused(void **state)
{
    (void)state;
    char *huge = malloc(ARGS_VALUE_LEN + 2);
    memset(huge, 'x', ARGS_VALUE_LEN + 1);
    huge[ARGS_VALUE_LEN + 1] = '\0';
    const char *value[] = {"--product", huge, NULL}, *operand[] = {huge, NULL}, *name[] = {"--", huge, NULL};
    assert_int_equal(parse(&args, value), -1);
    assert_string_equal(args.error, "the value of --product is longer than 4096 bytes");
    assert_int_equal(parse(&args, operand), -1);
    assert_string_equal(args.error, "an argument is longer than 4096 bytes");
    assert_int_equal(parse(&args, name), -1);

    static const char *many[ARGS_OPERANDS_MAX + 2];
    for (int i = 0; i <= ARGS_OPERANDS_MAX; i++)
        many[i] = "f";
    assert_int_equal(parse(&args, many), -1);
    for (int i = 0; i <= ARGS_VALUES_MAX; i++)
        many[i] = "--listen=u";
    many[ARGS_VALUES_MAX + 1] = NULL;
    assert_int_equal(parse(&args, many), -1);
    assert_string_equal(args.error, "more than 64 options");
    free(huge);
}

static void numbers_are_whole_plain_and_in_range(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        int rc;
        uint64_t number;
    } table[] = {
        {"--code=1", 0, 1},
        {"--code=2147483647", 0, 2147483647},
        {"--code=2147483648", -1, 0},
        {"--code=0", -1, 0},
        {"--code=", -1, 0},
        {"--code=-1", -1, 0},
        {"--code=+1", -1, 0},
        {"--code=1e3", -1, 0},
        {"--code= 1", -1, 0},
        {"--code=0x1", -1, 0},
        {"--code=99999999999999999999999", -1, 0},
        {"--json", 0, 77},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *words[] = {table[i].word, NULL};
        uint64_t number = 77;
        assert_int_equal(parse(&args, words), 0);
        assert_int_equal(args_number(&args, "code", 1, 2147483647, &number), table[i].rc);
        if (table[i].rc == 0) assert_int_equal(number, table[i].number);
    }
    assert_string_equal(args.error, "");
}

static void a_near_word_is_suggested_and_a_far_one_is_not(void **state)
{
    (void)state;
    static const char *const names[] = {"publish", "inspect", "device list"};
    assert_string_equal(nearest_name("publsh", names, 3), "publish");
    assert_string_equal(nearest_name("device lsit", names, 3), "device list");
    assert_null(nearest_name("explode", names, 3));
    assert_null(nearest_name("", names, 3));
}

static void only_what_a_terminal_may_see_is_printable(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } table[] = {
        {"door 1.2", "door 1.2"},
        {"a\033[31mb", "a?[31mb"},
        {"a\nb\tc\x7f", "a?b?c?"},
        {"\xc2\x9b"
         "31m",
         "?31m"}, /* C1 CSI as UTF-8 */
        {"\xe2\x82\xac"
         "5",
         "\xe2\x82\xac"
         "5"},
        {"\xff\xc0\x80", "???"},      /* overlong NUL */
        {"\xed\xa0\x80", "???"},      /* surrogate */
        {"\xf4\x90\x80\x80", "????"}, /* beyond U+10FFFF */
        {"\xe2\x82", "??"},           /* cut */
    };
    char out[32];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_string_equal(text_printable(out, sizeof out, table[i].in), table[i].out);
    assert_string_equal(text_printable(out, 3, "\xe2\x82\xac"), ""); /* never half a character */
    assert_int_equal(text_width("\xe2\x82\xac"
                                "5"),
                     2);
    assert_true(text_is_utf8("a\0b", 3));
    assert_false(text_is_utf8("\x80", 1));
}

static void times_and_sizes_read_well(void **state)
{
    (void)state;
    char buf[64];
    assert_string_equal(output_ago(buf, sizeof buf, 0, 1000), "never");
    assert_string_equal(output_ago(buf, sizeof buf, 100000, 99000), "now"); /* their clock is ahead */
    assert_string_equal(output_ago(buf, sizeof buf, 1000, 61000), "60 s ago");
    assert_string_equal(output_ago(buf, sizeof buf, 1000, 1000 + 300 * 1000), "5 min ago");
    assert_string_equal(output_ago(buf, sizeof buf, 1000, 1000 + 5 * 3600 * 1000), "5 h ago");
    assert_string_equal(output_ago(buf, sizeof buf, 1000, 1000 + INT64_C(86400000) * 9), "9 d ago");
    assert_string_equal(output_time(buf, sizeof buf, INT64_C(1510880400000)), "2017-11-17 01:00:00Z");
    assert_string_equal(output_size(buf, sizeof buf, 1023), "1023 bytes");
    assert_string_equal(output_size(buf, sizeof buf, 278396), "271.9 KiB (278396 bytes)");
    assert_string_equal(output_size(buf, sizeof buf, 1048576), "1.00 MiB (1048576 bytes)");
}

static void tables_are_as_wide_as_their_cells_and_pad_no_line_end(void **state)
{
    (void)state;
    static const char *const titles[] = {"ID", "WHY"};
    struct output_table *table = output_table_new(titles, 2);
    const char *first[] = {"5ccf7fc602e2", "ok"}, *second[] = {NULL, "a\033b"};
    output_table_row(table, OUTPUT_GOOD, first);
    output_table_row(table, OUTPUT_BAD, second);
    char *text = NULL;
    size_t len = 0;
    FILE *stream = tmpfile();
    output_table_print(table, stream);
    rewind(stream);
    static const char *const lines[] = {"ID            WHY\n", "5ccf7fc602e2  ok\n", "-             a?b\n"};
    for (size_t i = 0; i < 3; i++) {
        assert_true(getline(&text, &len, stream) > 0);
        assert_string_equal(text, lines[i]);
    }
    free(text);
    fclose(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_operands_come_in_any_order),
        cmocka_unit_test(a_repeatable_option_keeps_every_value_in_order),
        cmocka_unit_test(help_wins_over_what_comes_later),
        cmocka_unit_test(bad_calls_say_what_is_wrong_and_what_to_do),
        cmocka_unit_test(values_and_counts_beyond_the_bounds_are_refused),
        cmocka_unit_test(numbers_are_whole_plain_and_in_range),
        cmocka_unit_test(a_near_word_is_suggested_and_a_far_one_is_not),
        cmocka_unit_test(only_what_a_terminal_may_see_is_printable),
        cmocka_unit_test(times_and_sizes_read_well),
        cmocka_unit_test(tables_are_as_wide_as_their_cells_and_pad_no_line_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
