/* store_access_test.c - accounts and their roles, and tokens with roles and an end, on both databases. */
#include "store_fixture.h"

static struct store_account account_of(const char *name)
{
    struct store_account account = {.epoch = 1, .grant_count = 2};
    SET_TEXT(account.name, name);
    SET_TEXT(account.password, "$argon2id$none");
    account.grants[0] = (struct store_grant){0, STORE_ROLE_VIEWER};
    account.grants[1] = (struct store_grant){1, STORE_ROLE_OPERATOR | STORE_ROLE_APPROVER};
    return account;
}

static void an_account_is_kept_as_it_was_made(void **state)
{
    struct fixture *f = *state;
    struct store_account anna = account_of("anna@example.org"), found;
    anna.totp[0] = 7;
    anna.recovery[STORE_RECOVERY_MAX * STORE_RECOVERY_LEN - 1] = 9;
    assert_int_equal(store_account_create(f->store, &anna), 0);
    assert_true(anna.id > 0 && anna.created_ms > 0 && anna.revision == 1);
    reopen(f);
    assert_int_equal(store_account_find(f->store, "anna@example.org", &found), 0);
    assert_memory_equal(&found, &anna, sizeof found);
    assert_int_equal(store_account_get(f->store, anna.id, &found), 0);
    assert_memory_equal(&found, &anna, sizeof found);
    assert_int_equal(store_account_create(f->store, &anna), -MOLT_STATE);
    assert_int_equal(store_account_find(f->store, "ANNA@example.org", &found), -MOLT_NOT_FOUND);
    assert_int_equal(store_account_get(f->store, anna.id + 1, &found), -MOLT_NOT_FOUND);
}

static void names_and_roles_that_cannot_be_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"",
                                        "Anna",
                                        ".anna",
                                        "an na",
                                        "anna\n",
                                        "ann\xC3\xA4",
                                        "anna567890anna567890anna567890anna567890anna56789" /* 49 */};
    uint32_t count;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct store_account account = account_of("x");
        memset(account.name, 0, sizeof account.name);
        memcpy(account.name, names[i],
               strlen(names[i]) < sizeof account.name ? strlen(names[i]) : sizeof account.name);
        assert_int_equal(store_account_create(f->store, &account), -MOLT_ARG);
    }
    struct store_account account = account_of("x");
    account.grants[1].roles = STORE_ROLES_ALL + 1;
    assert_int_equal(store_account_create(f->store, &account), -MOLT_ARG);
    account.grants[1].roles = 0;
    assert_int_equal(store_account_create(f->store, &account), -MOLT_ARG);
    account.grants[1] = (struct store_grant){0, STORE_ROLE_ADMIN}; /* twice the same product */
    assert_int_equal(store_account_create(f->store, &account), -MOLT_ARG);
    assert_int_equal(store_account_count(f->store, &count), 0);
    assert_int_equal(count, 0);
}

static void nobody_saves_over_what_another_saved(void **state)
{
    struct fixture *f = *state;
    struct store_account first = account_of("anna"), second;
    assert_int_equal(store_account_create(f->store, &first), 0);
    second = first;
    first.totp_step = 41;
    first.grant_count = 1;
    assert_int_equal(store_account_save(f->store, &first), 0);
    assert_int_equal(first.revision, 2);
    second.totp_step = 41; /* the same code, used at the same moment */
    assert_int_equal(store_account_save(f->store, &second), -MOLT_STATE);
    assert_int_equal(store_account_find(f->store, "anna", &second), 0);
    assert_int_equal(second.totp_step, 41);
    assert_int_equal(second.grant_count, 1);
    assert_int_equal(store_account_save(f->store, &second), 0);
}

static int note_name(void *ctx, const struct store_account *account)
{
    char *names = ctx;
    const size_t len = strlen(names);
    snprintf(names + len, 64 - len, "%s%s", account->name, account->grant_count == 2 ? "," : "!");
    return 0;
}

static void all_are_listed_by_name_and_deleted_with_their_roles(void **state)
{
    struct fixture *f = *state;
    char names[64] = "";
    static const char *const made[] = {"carl", "anna", "bert"};
    for (size_t i = 0; i < 3; i++) {
        struct store_account account = account_of(made[i]);
        assert_int_equal(store_account_create(f->store, &account), 0);
    }
    assert_int_equal(store_each_account(f->store, note_name, names), 0);
    assert_string_equal(names, "anna,bert,carl,");
    assert_int_equal(store_account_delete(f->store, "bert"), 0);
    assert_int_equal(store_account_delete(f->store, "bert"), -MOLT_NOT_FOUND);
    names[0] = '\0';
    assert_int_equal(store_each_account(f->store, note_name, names), 0);
    assert_string_equal(names, "anna,carl,");
}

static int find_token(void *ctx, const struct store_token *token)
{
    *(struct store_token *)ctx = *token;
    return 0;
}

static void a_token_has_roles_and_an_end(void **state)
{
    struct fixture *f = *state;
    char token[STORE_TOKEN_LEN], late[STORE_TOKEN_LEN];
    struct store_token order = {.kind = STORE_TOKEN_ADMIN,
                                .roles = STORE_ROLE_UPLOADER,
                                .expires_ms = INT64_C(253402300799000)},
                       found;
    SET_TEXT(order.made_by, "user anna");
    assert_int_equal(store_token_make(f->store, &order, token), 0);
    assert_int_equal(store_token_find(f->store, token, &found), 0);
    assert_int_equal(found.roles, STORE_ROLE_UPLOADER);
    assert_string_equal(found.made_by, "user anna");
    assert_int_equal(store_each_token(f->store, find_token, &found), 0);
    assert_int_equal(found.expires_ms, order.expires_ms);
    order.expires_ms = 1; /* in 1970 */
    assert_int_equal(store_token_make(f->store, &order, late), 0);
    assert_int_equal(store_token_find(f->store, late, &found), -MOLT_UNAUTHORIZED);
    assert_int_equal(token_check(f->store, STORE_TOKEN_ADMIN, late, NULL), -MOLT_UNAUTHORIZED);
    order = (struct store_token){.kind = STORE_TOKEN_ADMIN};
    assert_int_equal(store_token_make(f->store, &order, late), -MOLT_ARG); /* may nothing */
    order = (struct store_token){.kind = STORE_TOKEN_DEVICE, .roles = STORE_ROLE_ADMIN};
    SET_TEXT(order.device_id, "5ccf7f000001");
    assert_int_equal(store_token_make(f->store, &order, late), -MOLT_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_account_is_kept_as_it_was_made),    TEST(names_and_roles_that_cannot_be_are_refused),
        TEST(nobody_saves_over_what_another_saved), TEST(all_are_listed_by_name_and_deleted_with_their_roles),
        TEST(a_token_has_roles_and_an_end),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
