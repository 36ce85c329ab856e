/* skins_case.h - a server for each test, and what a client expects of it: for the tests of the skins. */
#ifndef MOLT_TEST_SKINS_CASE_H
#define MOLT_TEST_SKINS_CASE_H

#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve_case.h"

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#define MAC_PATH "/fota/5CCF7F0A0B0C"
#define ID       "5ccf7f0a0b0c"

static inline int setup(void **state)
{
    struct serve_case *c = calloc(1, sizeof *c);
    assert_non_null(c);
    serve_case_make(c);
    serve_case_start(c);
    *state = c;
    return 0;
}

static inline int teardown(void **state)
{
    serve_case_remove(*state);
    free(*state);
    return 0;
}

#endif
