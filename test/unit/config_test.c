/* config_test.c - the settings of `molt serve`: each row by each way in, which way wins, and what is refused with which words. */
#include "cmocka_all.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/config.h"
#include "temp_dir.h"

static struct temp_dir dir;
static char path[80], err[512];

static const char *flags[8][2]; /* name, value */

static const char *flag(void *ctx, const char *name, int index)
{
    (void)ctx;
    for (int i = 0; i < 8 && flags[i][0] != NULL; i++) {
        if (strcmp(flags[i][0], name) == 0 && index-- == 0) return flags[i][1];
    }
    return NULL;
}

static int set_up(void **state)
{
    (void)state;
    memset(flags, 0, sizeof flags);
    temp_dir_make(&dir);
    snprintf(path, sizeof path, "%s/molt.conf", dir.path);
    return 0;
}

static int take_down(void **state)
{
    (void)state;
    temp_dir_remove(&dir);
    return 0;
}

static void write_file(const void *text, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void env_of(const char *name, char out[64])
{
    int n = snprintf(out, 64, "MOLT_%s", name);
    for (int i = 0; i < n; i++)
        out[i] = out[i] == '-' ? '_' : (char)toupper((unsigned char)out[i]);
}

/* Two values that the row takes. */
static const char *example(const struct config_row *row, int which)
{
    static char text[64];
    switch (row->kind) {
    case CONFIG_NUMBER:
        snprintf(text, sizeof text, "%llu", (unsigned long long)(which == 0 ? row->min : row->max));
        return text;
    case CONFIG_SWITCH:
        return "yes";
    case CONFIG_CHOICE: {
        const char *last = strrchr(row->value, '|');
        const size_t first = strcspn(row->value, "|") + 1, len = strcspn(row->value + first, "|");
        snprintf(text, sizeof text, "%.*s", (int)len, row->value + first);
        return which == 0 ? text : last + 1;
    }
    case CONFIG_URL:
        return which == 0 ? "http://127.0.0.1:1" : "https://[::1]:2";
    case CONFIG_NETS:
        return which == 0 ? "10.0.0.0/8" : "fd00::1";
    case CONFIG_TEXT:
    case CONFIG_FILE:
    case CONFIG_DIR:
        break;
    }
    return which == 0 ? "one" : "two # and more";
}

/* Every row, by the file, the environment and the command line: each wins over the one before. */
static void every_setting_can_be_given_in_three_ways_and_the_nearest_wins(void **state)
{
    (void)state;
    size_t count;
    const struct config_row *rows = config_rows(&count);
    assert_true(count >= 17);
    for (size_t i = 0; i < count; i++) {
        char line[200], name[64], value[CONFIG_VALUE_MAX + 1];
        struct config config;
        int n =
            snprintf(line, sizeof line, "# a comment\n\n  %s =  %s \r\n", rows[i].name, example(&rows[i], 0));
        write_file(line, (size_t)n);
        memset(flags, 0, sizeof flags);
        env_of(rows[i].name, name);
        if (config_load(&config, flag, NULL, path, err, sizeof err) != 0)
            fail_msg("%s: %s", rows[i].name, err);
        assert_int_equal(config.origin[i], CONFIG_FROM_FILE);
        assert_true(config_value(&config.options, i, 0, value));
        assert_string_equal(value, example(&rows[i], 0));
        config_free(&config);

        if (rows[i].kind == CONFIG_TEXT && rows[i].cap == 0)
            assert_int_equal(setenv(name, "two # and more", 1), 0);
        else
            assert_int_equal(setenv(name,
                                    rows[i].kind == CONFIG_FILE || rows[i].kind == CONFIG_DIR
                                        ? "two"
                                        : example(&rows[i], 1),
                                    1),
                             0);
        assert_int_equal(config_load(&config, flag, NULL, path, err, sizeof err), 0);
        assert_int_equal(config.origin[i], CONFIG_FROM_ENVIRONMENT);
        assert_false(rows[i].cap > 0 &&
                     config_value(&config.options, i, 1, value)); /* one way only, not both */
        config_free(&config);

        flags[0][0] = rows[i].name;
        flags[0][1] = example(&rows[i], 0);
        assert_int_equal(config_load(&config, flag, NULL, path, err, sizeof err), 0);
        assert_int_equal(config.origin[i], CONFIG_FROM_FLAG);
        assert_true(config_value(&config.options, i, 0, value));
        assert_string_equal(value, example(&rows[i], 0));
        struct config none;
        assert_int_equal(unsetenv(name), 0);
        memset(flags, 0, sizeof flags);
        assert_int_equal(config_load(&none, flag, NULL, NULL, err, sizeof err), 0);
        assert_int_equal(none.origin[i], CONFIG_DEFAULT);
        assert_false(config_value(&none.options, i, 0, value));
        assert_false(config_same(&none.options, &config.options, i));
        config_copy(&none.options, &config.options, i);
        assert_true(config_same(&none.options, &config.options, i));
        config_free(&config);
        config_free(&none);
    }
}

static void expect_refusal(const char *text, const char *part)
{
    struct config config;
    write_file(text, strlen(text));
    err[0] = '\0';
    assert_int_equal(config_load(&config, flag, NULL, path, err, sizeof err), -1);
    config_free(&config);
    assert_false(config.is_usage);
    if (strstr(err, part) == NULL) fail_msg("'%s' does not say '%s'", err, part);
}

static void a_file_that_is_wrong_is_refused_with_its_line_and_the_remedy(void **state)
{
    (void)state;
    expect_refusal("\nlsten = http://0.0.0.0:1\n",
                   "molt.conf:2: unknown setting 'lsten'; did you mean 'listen'?");
    expect_refusal("colour = red\n", "unknown setting 'colour'; `molt serve --help` lists them");
    expect_refusal("threads 4\n", "molt.conf:1: there is no '=' behind 'threads 4'");
    expect_refusal("threads = 4\nthreads = 5\n", "molt.conf:2: given twice: 'threads'");
    expect_refusal("threads = 4x\n", "molt.conf:1: threads takes a whole number from 1 to 256, not '4x'");
    expect_refusal("threads = 0\n", "takes a whole number from 1 to 256");
    expect_refusal("threads =\n", "takes a whole number");
    expect_refusal("admin-insecure = maybe\n", "admin-insecure takes yes or no, not 'maybe'");
    expect_refusal("enrol = ope\n", "takes one of open|token|list|approval, not 'ope'");
    expect_refusal("listen = ftp://x\n", "takes http://HOST:PORT or https://HOST:PORT, not 'ftp://x'");
    expect_refusal("data =\n", "data takes a value, not ''");
    expect_refusal("data = a\033[2Jb\n", "not 'a?[2Jb'");
    expect_refusal("\033]0;x\007 = 1\n", "unknown setting '?]0;x?'");
    char many[20 * 32] = "";
    for (int i = 0; i < 17; i++)
        strcat(many, "listen = http://h:1\n");
    expect_refusal(many, "molt.conf:17: listen is given more than 16 times");
}

static void a_file_that_is_none_is_refused(void **state)
{
    (void)state;
    struct config config;
    assert_int_equal(config_load(&config, flag, NULL, dir.path, err, sizeof err), -1);
    assert_non_null(strstr(err, "is no file"));
    assert_int_equal(config_load(&config, flag, NULL, path, err, sizeof err), -1);
    assert_non_null(strstr(err, "No such file"));
    write_file("threads\0= 4\n", 12);
    assert_int_equal(config_load(&config, flag, NULL, path, err, sizeof err), -1);
    assert_non_null(strstr(err, "is no text"));
    char *large = malloc(CONFIG_FILE_MAX + 1);
    assert_non_null(large);
    memset(large, '\n', CONFIG_FILE_MAX + 1);
    write_file(large, CONFIG_FILE_MAX + 1);
    assert_int_equal(config_load(&config, flag, NULL, path, err, sizeof err), -1);
    assert_non_null(strstr(err, "is longer than 65536 bytes"));
    write_file(large, CONFIG_FILE_MAX);
    assert_int_equal(config_load(&config, flag, NULL, path, err, sizeof err), 0);
    config_free(&config);
    free(large);
}

static void a_wrong_command_line_is_wrong_usage_and_a_wrong_environment_names_its_variable(void **state)
{
    (void)state;
    struct config config;
    flags[0][0] = "threads";
    flags[0][1] = "many";
    assert_int_equal(config_load(&config, flag, NULL, NULL, err, sizeof err), -1);
    assert_true(config.is_usage);
    assert_string_equal(err, "--threads takes a whole number from 1 to 256, not 'many'");
    config_free(&config);
    flags[0][0] = NULL;
    assert_int_equal(setenv("MOLT_THREADS", "999", 1), 0);
    assert_int_equal(config_load(&config, flag, NULL, NULL, err, sizeof err), -1);
    assert_int_equal(unsetenv("MOLT_THREADS"), 0);
    assert_false(config.is_usage);
    assert_string_equal(err, "MOLT_THREADS takes a whole number from 1 to 256, not '999'");
    config_free(&config);
}

static void a_list_in_the_environment_has_blanks_between(void **state)
{
    (void)state;
    struct config config;
    assert_int_equal(setenv("MOLT_LISTEN", "http://a:1  https://b:2", 1), 0);
    assert_int_equal(config_load(&config, flag, NULL, NULL, err, sizeof err), 0);
    assert_int_equal(unsetenv("MOLT_LISTEN"), 0);
    assert_int_equal(config.options.listen_count, 2);
    assert_string_equal(config.options.listen[1], "https://b:2");
    config_free(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_setting_can_be_given_in_three_ways_and_the_nearest_wins, set_up,
                                        take_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_wrong_is_refused_with_its_line_and_the_remedy, set_up,
                                        take_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_none_is_refused, set_up, take_down),
        cmocka_unit_test_setup_teardown(
            a_wrong_command_line_is_wrong_usage_and_a_wrong_environment_names_its_variable, set_up,
            take_down),
        cmocka_unit_test_setup_teardown(a_list_in_the_environment_has_blanks_between, set_up, take_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
