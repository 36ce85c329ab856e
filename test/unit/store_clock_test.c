/* store_clock_test.c - the database's clock, as a server carries it on. */
#include "cmocka_all.h"

#include <stdlib.h>

#include "host/store/clock.h"

static int64_t off(int64_t db_ahead)
{
    return llabs(clock_now_ms() - clock_up_ms() - db_ahead);
}

static void the_database_s_clock_is_followed_by_its_best_answers(void **state)
{
    (void)state;
    const int64_t ahead = INT64_C(1700000000000);
    int64_t up = clock_up_ms();
    assert_true(clock_now_ms() > 0);
    clock_follow(up + ahead + 900, up, up + 1000); /* the answer came at once, the question took its time */
    assert_true(off(ahead) <= 500);
    clock_follow(up + 5000 + ahead, up + 5000, up + 5002);
    assert_true(off(ahead) <= 3);
    clock_follow(up + 6000 + ahead + 10, up + 6000, up + 6400); /* a long way says little */
    assert_true(off(ahead) <= 4);
    clock_follow(up + 7000 + ahead + 60000, up + 7000, up + 7002); /* it was set */
    assert_true(off(ahead + 60000) <= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_database_s_clock_is_followed_by_its_best_answers)};
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
