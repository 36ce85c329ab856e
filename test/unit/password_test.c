/* password_test.c - passwords are argon2id with a salt of their own, and only a few are computed at once. */
#include "cmocka_all.h"

#include <pthread.h>
#include <string.h>

#include "molt_reason.h"
#include "server/access/password.h"

static void a_hash_is_argon2id_and_salted(void **state)
{
    (void)state;
    char one[STORE_PASSWORD_LEN], two[STORE_PASSWORD_LEN];
    bool outdated = true;
    assert_int_equal(password_hash("correct horse", one), 0);
    assert_int_equal(password_hash("correct horse", two), 0);
    assert_memory_equal(one, "$argon2id$v=19$m=65536,t=2,p=1$", 31);
    assert_string_not_equal(one, two);
    assert_null(strstr(one, "horse"));
    assert_int_equal(password_check(one, "correct horse", &outdated), 0);
    assert_false(outdated);
    assert_int_equal(password_check(one, "correct horsf", NULL), -MOLT_UNAUTHORIZED);
    assert_int_equal(password_check(one, "", NULL), -MOLT_UNAUTHORIZED);
    assert_int_equal(password_check("", "", NULL), -MOLT_UNAUTHORIZED); /* of nobody */
    assert_int_equal(password_check("no hash", "x", NULL), -MOLT_UNAUTHORIZED);
    /* a vector of the reference implementation (phc-winner-argon2, src/test.c) */
    assert_int_equal(password_check("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$"
                                    "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
                                    "password", NULL),
                     0);
}

static void a_cheaper_hash_is_good_and_to_be_made_anew(void **state)
{
    (void)state;
    /* m=8192 KiB, t=1 */
    static const char cheap[] =
        "$argon2id$v=19$m=8192,t=1,p=1$Mj6DW95RgOhjTWfO7IfJzw$JGIVR/Lrc8Ohc/AsEzG1tMj7noHSvkIoA5PsXPK9N34";
    bool outdated = false;
    assert_int_equal(password_check(cheap, "correct horse", &outdated), 0);
    assert_true(outdated);
}

static void what_is_easy_is_refused(void **state)
{
    (void)state;
    char max[PASSWORD_MAX + 2] = {0};
    memset(max, 'x', PASSWORD_MAX);
    assert_false(password_ok("anna", ""));
    assert_false(password_ok("anna", "123456789"));
    assert_true(password_ok("anna", "1234567890"));
    assert_false(password_ok("anna@example.org", "anna@example.org"));
    assert_true(password_ok("anna", max));
    max[PASSWORD_MAX] = 'x';
    assert_false(password_ok("anna", max));
}

static void *check_one(void *ctx)
{
    *(int *)ctx = password_check("", "guess", NULL);
    return NULL;
}

static void a_crowd_is_turned_away_and_not_queued(void **state)
{
    (void)state;
    enum { CROWD = 24 };
    pthread_t threads[CROWD];
    int answers[CROWD], busy = 0;
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, check_one, &answers[i]), 0);
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(answers[i] == -MOLT_UNAUTHORIZED || answers[i] == -MOLT_SERVER_BUSY);
        busy += answers[i] == -MOLT_SERVER_BUSY;
    }
    assert_true(busy < CROWD); /* whoever was let in was answered; how many were not is the machine's */
    assert_int_equal(password_check("", "guess", NULL), -MOLT_UNAUTHORIZED); /* and it is free again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hash_is_argon2id_and_salted),
        cmocka_unit_test(a_cheaper_hash_is_good_and_to_be_made_anew),
        cmocka_unit_test(what_is_easy_is_refused),
        cmocka_unit_test(a_crowd_is_turned_away_and_not_queued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
