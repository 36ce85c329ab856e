/* static_name_test.c - where the files of a name may lie: every spelling once, the asked one first, never outside. */
#include "cmocka_all.h"

#include <stdio.h>

#include "server/static/static_name.h"

/* All candidates of a path, one a line. */
static void list(const char *path, char *out, size_t cap)
{
    size_t at = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < 2 * STATIC_SPELLINGS; i++) {
        char name[STATIC_STEM_LEN];
        if (!static_name(path, i, name)) continue;
        int n = snprintf(out + at, cap - at, "%s\n", name);
        assert_true(n > 0 && (size_t)n < cap - at);
        at += (size_t)n;
    }
}

static void a_mac_is_looked_for_in_every_spelling(void **state)
{
    char out[1024];
    (void)state;
    list("/5CCF7FC602E2", out, sizeof out);
    assert_string_equal(out, "5CCF7FC602E2\n5ccf7fc602e2\n5c:cf:7f:c6:02:e2\n5C:CF:7F:C6:02:E2\n"
                             "5c-cf-7f-c6-02-e2\n5C-CF-7F-C6-02-E2\ne202c67fcf5c\nE202C67FCF5C\n");
    list("/0xAB5ccf7fc602e2", out, sizeof out);
    assert_non_null(strstr(out, "0xAB5ccf7fc602e2\n5ccf7fc602e2\n5CCF7FC602E2\n"));
    list("/E202C67FCF5C", out, sizeof out); /* the efuse number of the same chip */
    assert_non_null(strstr(out, "E202C67FCF5C\n5ccf7fc602e2\n5CCF7FC602E2\n"));
}

static void the_folder_below_comes_before_the_folder(void **state)
{
    char out[1024];
    (void)state;
    list("/fota/Porch", out, sizeof out);
    assert_string_equal(out, "fota/Porch\nPorch\nfota/porch\nporch\nfota/PORCH\nPORCH\n");
    list("/a/b/x", out, sizeof out);
    assert_string_equal(out, "a/b/x\nx\na/b/X\nX\n");
}

static void nothing_leads_out(void **state)
{
    static const char *const paths[] = {"/",      "/..",        "/../x/",   "/.5CCF7FC602E2", "//",
                                        "/fota/", "/fota/.hid", "/fota/..", "/a\\b"};
    char out[1024];
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        list(paths[i], out, sizeof out);
        assert_true(out[0] == '\0' || (strstr(out, "..") == NULL && out[0] != '.' && out[0] != '/'));
    }
    list("/../5CCF7FC602E2", out, sizeof out); /* only in the folder itself */
    assert_null(strstr(out, ".."));
    char longest[600];
    memset(longest, 'a', sizeof longest);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    list(longest, out, sizeof out);
    assert_string_equal(out, "");
    memset(longest, '/', sizeof longest - 1);
    list(longest, out, sizeof out);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mac_is_looked_for_in_every_spelling),
        cmocka_unit_test(the_folder_below_comes_before_the_folder),
        cmocka_unit_test(nothing_leads_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
