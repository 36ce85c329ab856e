/* api_login_test.c - what lets in, and until when: passwords, the second factor, sessions, a provider, and tokens. */
#include "unit/api_people.h"

#include "server/access/oidc.h"
#include "server/access/totp.h"

#define PASSWORD "correct horse battery"

/* ---- logging in ---- */

static struct caller log_in(const char *name, const char *password, const char *code)
{
    char body[256];
    struct caller caller = {.local = false};
    struct api_response response;
    snprintf(body, sizeof body, "{\"name\":\"%s\",\"password\":\"%s\"%s%s%s}", name, password,
             code != NULL ? ",\"code\":\"" : "", code != NULL ? code : "", code != NULL ? "\"" : "");
    const struct api_request request = {
        .method = "POST", .path = "/api/v1/session", .query = "", .body = body, .body_len = strlen(body)};
    api_handle(&f.api, &request, &response);
    if (response.status != 201) fail_msg("%s: %d %s", body, response.status, response.body);
    assert_int_equal(sscanf(response.set_cookie, "molt_session=%64[0-9a-f]", caller.cookie), 1);
    assert_int_equal(sscanf(response.body, "{\"csrf\":\"%64[0-9a-f]", caller.csrf), 1);
    free(response.body);
    return caller;
}

static void try_to_log_in(const char *name, const char *password, const char *code, int status,
                          const char *reason)
{
    char body[256];
    snprintf(body, sizeof body, "{\"name\":\"%s\",\"password\":\"%s\"%s%s%s}", name, password,
             code != NULL ? ",\"code\":\"" : "", code != NULL ? code : "", code != NULL ? "\"" : "");
    refused(&nobody, "POST", "/api/v1/session", body, status, reason);
}

static void make_anna(void)
{
    done(&local, "POST", "/api/v1/users",
         "{\"name\":\"anna\",\"password\":\"" PASSWORD "\",\"roles\":[\"operator@lamp\"]}");
}

static void a_password_lets_in_and_says_what_for(void **state)
{
    (void)state;
    make_anna();
    struct caller anna = log_in("Anna", PASSWORD, NULL);
    json_t *json = ok(&anna, "GET", "/api/v1/session", "");
    assert_string_equal(json_string_value(json_object_get(json, "user")), "anna");
    assert_string_equal(json_string_value(json_object_get(json, "who")), "user anna");
    assert_string_equal(json_string_value(json_array_get(json_object_get(json, "roles"), 0)),
                        "operator@lamp");
    json_decref(json);
    struct caller forged = anna;
    forged.csrf[0] = '\0';
    refused(&forged, "PATCH", "/api/v1/devices/5ccf7f0000aa", "{\"held\":true}", 401, "unauthorized");
    done(&anna, "PATCH", "/api/v1/devices/5ccf7f0000aa", "{\"held\":true}");
    json = ok(&nobody, "GET", "/api/v1/session", "");
    assert_true(json_is_null(json_object_get(json, "user")) && json_is_true(json_object_get(json, "users")));
    json_decref(json);
    json = ok(&local, "GET", "/api/v1/users", "");
    char *text = json_dumps(json, 0);
    assert_null(strstr(text, "argon2"));
    free(text);
    json_decref(json);
}

static void what_is_wrong_is_not_said(void **state)
{
    (void)state;
    make_anna();
    (void)user("bert", "\"viewer\""); /* without a password */
    int status;
    json_t *wrong =
        call(&nobody, "POST", "/api/v1/session", "{\"name\":\"anna\",\"password\":\"x\"}", &status);
    json_t *unknown =
        call(&nobody, "POST", "/api/v1/session", "{\"name\":\"carl\",\"password\":\"x\"}", &status);
    json_t *none = call(&nobody, "POST", "/api/v1/session", "{\"name\":\"bert\",\"password\":\"\"}", &status);
    assert_int_equal(status, 401);
    assert_true(json_equal(wrong, unknown) && json_equal(wrong, none));
    json_decref(wrong);
    json_decref(unknown);
    json_decref(none);
    done(&local, "PATCH", "/api/v1/users/anna", "{\"disabled\":true}");
    try_to_log_in("anna", PASSWORD, NULL, 401, "wrong-password");
    try_to_log_in("../anna", PASSWORD, NULL, 401, "wrong-password");
}

static void nobody_tries_for_ever(void **state)
{
    (void)state;
    make_anna();
    throttle_free(f.api.logins);
    f.api.logins = throttle_new(1); /* a minute until the next, however slow the machine */
    try_to_log_in("anna", "wrong", NULL, 401, "wrong-password");
    try_to_log_in("anna", PASSWORD, NULL, 429, "too-many-tries"); /* also who is right */
    try_to_log_in("bert", "wrong", NULL, 401, "wrong-password");  /* others are not in the way */
}

static void passwords_must_not_be_easy(void **state)
{
    (void)state;
    refused(&local, "POST", "/api/v1/users", "{\"name\":\"anna\",\"password\":\"short\"}", 422,
            "weak-password");
    refused(&local, "POST", "/api/v1/users", "{\"name\":\"Anna\",\"password\":\"" PASSWORD "\"}", 400,
            "bad-argument");
    refused(&local, "POST", "/api/v1/users", "{\"name\":\"anna\",\"roles\":[\"king\"]}", 400,
            "invalid-request");
    refused(&local, "POST", "/api/v1/users", "{\"name\":\"anna\",\"roles\":[]}", 400, "invalid-request");
    refused(&local, "POST", "/api/v1/users", "{\"name\":\"anna\",\"roles\":[\"viewer@nothing\"]}", 400,
            "invalid-request");
    make_anna();
    refused(&local, "POST", "/api/v1/users", "{\"name\":\"anna\"}", 409, "wrong-state");
}

static void a_new_password_ends_the_other_sessions(void **state)
{
    (void)state;
    make_anna();
    struct caller here = log_in("anna", PASSWORD, NULL), there = log_in("anna", PASSWORD, NULL);
    refused(&here, "PUT", "/api/v1/account/password",
            "{\"password\":\"guess\",\"new_password\":\"a better one\"}", 403, "wrong-password");
    refused(&here, "PUT", "/api/v1/account/password",
            "{\"password\":\"" PASSWORD "\",\"new_password\":\"weak\"}", 422, "weak-password");
    done(&here, "PUT", "/api/v1/account/password",
         "{\"password\":\"" PASSWORD "\",\"new_password\":\"a better one\"}");
    done(&here, "GET", "/api/v1/account", "");
    refused(&there, "GET", "/api/v1/account", "", 401, "unauthorized");
    try_to_log_in("anna", PASSWORD, NULL, 401, "wrong-password");
    there = log_in("anna", "a better one", NULL);
    json_t *json = ok(&there, "DELETE", "/api/v1/account/sessions", "");
    assert_true(json_integer_value(json_object_get(json, "ended")) >= 2);
    json_decref(json);
    refused(&here, "GET", "/api/v1/account", "", 401, "unauthorized");
    refused(&there, "GET", "/api/v1/account", "", 401, "unauthorized");
}

static void an_admin_s_word_counts_at_once(void **state)
{
    (void)state;
    struct caller anna = user("anna", "\"operator@lamp\"");
    done(&anna, "PATCH", "/api/v1/devices/5ccf7f0000aa", "{\"held\":true}");
    done(&local, "PATCH", "/api/v1/users/anna", "{\"roles\":[\"viewer@lamp\"]}");
    refused(&anna, "PATCH", "/api/v1/devices/5ccf7f0000aa", "{\"held\":false}", 403, "forbidden");
    done(&anna, "GET", "/api/v1/devices/5ccf7f0000aa", "");
    done(&local, "PATCH", "/api/v1/users/anna", "{\"disabled\":true}");
    refused(&anna, "GET", "/api/v1/devices/5ccf7f0000aa", "", 401, "unauthorized");
    struct caller bert = user("bert", "\"admin\"");
    done(&local, "DELETE", "/api/v1/users/bert", "");
    refused(&bert, "GET", "/api/v1/users", "", 401, "unauthorized");
    refused(&local, "DELETE", "/api/v1/users/bert", "", 404, "not-found");
}

/* Each of the two alone: a session's row may be left over, and the account's number of it may be. */
static void an_account_that_ended_its_sessions_or_is_disabled_lets_nobody_in(void **state)
{
    (void)state;
    struct store_account account;
    struct who who;
    const struct caller anna = user("anna", "\"viewer\""), ben = user("ben", "\"viewer\"");
    assert_int_equal(store_account_find(f.api.store, "anna", &account), 0);
    const int64_t id = account.id, epoch = account.epoch;
    assert_int_equal(who_by_account(f.api.store, id, epoch, &who), 0);
    done(&anna, "DELETE", "/api/v1/account/sessions", "");
    assert_int_equal(who_by_account(f.api.store, id, epoch, &who), -MOLT_UNAUTHORIZED);
    assert_int_equal(store_account_get(f.api.store, id, &account), 0);
    account.disabled = true;
    assert_int_equal(store_account_save(f.api.store, &account), 0);
    assert_int_equal(who_by_account(f.api.store, id, account.epoch, &who), -MOLT_UNAUTHORIZED);
    done(&ben, "GET", "/api/v1/account", ""); /* another's are another's */
}

/* What one does with his account is done to no other's, whatever he names. */
static void nobody_changes_another_s_account(void **state)
{
    (void)state;
    struct store_account before, after;
    const struct caller anna = user("anna", "\"admin\""), ben = user("ben", "\"admin@lamp\"");
    memset(&before, 0, sizeof before);
    memset(&after, 0, sizeof after);
    assert_int_equal(store_account_find(f.api.store, "anna", &before), 0);
    json_t *json = ok(&ben, "GET", "/api/v1/account", "");
    assert_string_equal(json_string_value(json_object_get(json, "name")), "ben");
    json_decref(json);
    refused(&ben, "GET", "/api/v1/users/anna", "", 403, "forbidden");
    refused(&ben, "PATCH", "/api/v1/users/anna", "{\"password\":null}", 403, "forbidden");
    refused(&ben, "PATCH", "/api/v1/users/anna", "{\"totp\":false}", 403, "forbidden");
    refused(&ben, "PATCH", "/api/v1/users/ben", "{\"roles\":[\"admin\"]}", 403, "forbidden");
    refused(&ben, "DELETE", "/api/v1/users/anna", "", 403, "forbidden");
    refused(&ben, "PUT", "/api/v1/account/password",
            "{\"name\":\"anna\",\"password\":\"correct horse battery\",\"new_password\":\"another horse "
            "battery\"}",
            400, "invalid-request");
    done(&ben, "DELETE", "/api/v1/account/sessions", "");
    assert_int_equal(store_account_find(f.api.store, "anna", &after), 0);
    assert_memory_equal(&before, &after, sizeof before);
    done(&anna, "GET", "/api/v1/account", "");
}

/* ---- the second factor ---- */

/* The code of the secret that base32 is, some steps from now. */
static void code_of(const char *secret, int64_t off, char code[16])
{
    uint8_t key[STORE_TOTP_LEN] = {0};
    uint32_t bits = 0, held = 0;
    size_t used = 0;
    for (; *secret != '\0'; secret++) {
        bits = bits << 5 | (uint32_t)(*secret >= 'A' ? *secret - 'A' : *secret - '2' + 26);
        held += 5;
        if (held < 8) continue;
        held -= 8;
        key[used++] = (uint8_t)(bits >> held);
    }
    assert_int_equal(used, STORE_TOTP_LEN);
    snprintf(code, 16, "%06u", totp_code(key, api_now_ms() / TOTP_STEP_MS + off, 6));
}

static void a_second_factor_is_asked_for_and_never_good_twice(void **state)
{
    (void)state;
    char secret[64], code[16], body[64], recovery[32];
    make_anna();
    throttle_set(f.api.logins, 100);
    struct caller anna = log_in("anna", PASSWORD, NULL);
    refused(&anna, "POST", "/api/v1/account/totp", "{\"password\":\"guess\"}", 403, "wrong-password");
    json_t *json = ok(&anna, "POST", "/api/v1/account/totp", "{\"password\":\"" PASSWORD "\"}");
    SET_TEXT(secret, json_string_value(json_object_get(json, "secret")));
    assert_non_null(strstr(json_string_value(json_object_get(json, "url")), secret));
    json_decref(json);
    done(&anna, "DELETE", "/api/v1/session", ""); /* not proved yet: nothing is asked for */
    anna = log_in("anna", PASSWORD, NULL);
    refused(&anna, "PUT", "/api/v1/account/totp", "{\"code\":\"12345\"}", 400, "invalid-request");
    code_of(secret, 0, code); /* still good when the step ends in between */
    snprintf(body, sizeof body, "{\"code\":\"%s\"}", code);
    json = ok(&anna, "PUT", "/api/v1/account/totp", body);
    assert_int_equal(json_array_size(json_object_get(json, "recovery")), STORE_RECOVERY_MAX);
    SET_TEXT(recovery, json_string_value(json_array_get(json_object_get(json, "recovery"), 3)));
    json_decref(json);
    try_to_log_in("anna", PASSWORD, NULL, 401, "second-factor");
    try_to_log_in("anna", PASSWORD, "000000000", 401, "second-factor");
    try_to_log_in("anna", PASSWORD, code, 401, "second-factor"); /* it was used to prove the secret */
    code_of(secret, 1, code);
    (void)log_in("anna", PASSWORD, code);
    try_to_log_in("anna", PASSWORD, code, 401, "second-factor");
    (void)log_in("anna", PASSWORD, recovery);
    try_to_log_in("anna", PASSWORD, recovery, 401, "second-factor");
    json = ok(&anna, "GET", "/api/v1/account", "");
    assert_int_equal(json_integer_value(json_object_get(json, "recovery_left")), STORE_RECOVERY_MAX - 1);
    json_decref(json);
    refused(&anna, "POST", "/api/v1/account/totp", "{\"password\":\"" PASSWORD "\"}", 409, "wrong-state");
    done(&anna, "POST", "/api/v1/account/totp/off", "{\"password\":\"" PASSWORD "\"}");
    anna = log_in("anna", PASSWORD, NULL);
}

static void make_anna_with_a_second_factor(void)
{
    struct store_account account;
    make_anna();
    assert_int_equal(store_account_find(f.api.store, "anna", &account), 0);
    account.totp[3] = 7;
    assert_int_equal(store_account_save(f.api.store, &account), 0);
}

static void an_admin_takes_a_lost_second_factor_away(void **state)
{
    (void)state;
    make_anna_with_a_second_factor();
    try_to_log_in("anna", PASSWORD, NULL, 401, "second-factor");
    refused(&local, "PATCH", "/api/v1/users/anna", "{\"totp\":true}", 400, "invalid-request");
    done(&local, "PATCH", "/api/v1/users/anna", "{\"totp\":false}");
    (void)log_in("anna", PASSWORD, NULL);
}

/* Who knows the password would need years for the code. */
static void a_code_is_guessed_three_times_and_no_more(void **state)
{
    (void)state;
    make_anna_with_a_second_factor();
    throttle_free(f.api.logins);
    f.api.logins = throttle_new(3); /* one code */
    try_to_log_in("anna", PASSWORD, "000000000", 401, "second-factor");
    try_to_log_in("anna", PASSWORD, "000000000", 429, "too-many-tries");
}

/* An address that comes again and again pushes out no login of others. */
static void a_login_by_a_provider_is_not_begun_for_ever(void **state)
{
    (void)state;
    char why[OIDC_WHY_LEN];
    f.api.oidc = oidc_new("http://127.0.0.1:1", "molt", "", why); /* nobody is there */
    assert_non_null(f.api.oidc);
    throttle_free(f.api.logins);
    f.api.logins = throttle_new(1);
    refused(&nobody, "POST", "/api/v1/session/oidc", "{\"redirect\":\"https://ota.example.org/\"}", 502,
            "connect-failed");
    refused(&nobody, "POST", "/api/v1/session/oidc", "{\"redirect\":\"https://ota.example.org/\"}", 429,
            "too-many-tries");
    oidc_free(f.api.oidc);
    f.api.oidc = NULL;
}

/* ---- tokens ---- */

static struct caller token_of(const struct caller *maker, const char *body)
{
    struct caller token = {.local = false};
    json_t *json = ok(maker, "POST", "/api/v1/tokens", body);
    SET_TEXT(token.token, json_string_value(json_object_get(json, "token")));
    json_decref(json);
    return token;
}

/* Somebody who leaves takes nothing with him. */
static void a_token_does_no_more_than_who_made_it(void **state)
{
    (void)state;
    struct caller anna = user("anna", "\"admin\"");
    struct caller token = token_of(&anna, "{}"), uploads = token_of(&anna, "{\"roles\":[\"uploader\"]}"),
                  lamp = token_of(&anna, "{\"roles\":[\"operator\"],\"product\":\"lamp\"}");
    done(&token, "GET", "/api/v1/users", "");
    done(&lamp, "PATCH", "/api/v1/devices/5ccf7f0000aa", "{\"held\":true}");
    done(&local, "PATCH", "/api/v1/users/anna", "{\"roles\":[\"operator\"]}");
    refused(&token, "GET", "/api/v1/users", "", 403, "forbidden");
    refused(&uploads, "GET", "/api/v1/releases", "", 403, "forbidden"); /* they have no role in common */
    done(&lamp, "PATCH", "/api/v1/devices/5ccf7f0000aa", "{\"held\":false}");
    done(&local, "PATCH", "/api/v1/users/anna", "{\"roles\":[\"operator@other\"]}");
    refused(&lamp, "PATCH", "/api/v1/devices/5ccf7f0000aa", "{\"held\":true}", 403, "forbidden");
    done(&local, "PATCH", "/api/v1/users/anna", "{\"roles\":[\"admin\"],\"disabled\":true}");
    refused(&token, "GET", "/api/v1/users", "", 401, "unauthorized");
    done(&local, "PATCH", "/api/v1/users/anna", "{\"disabled\":false}");
    done(&token, "GET", "/api/v1/users", "");
    done(&local, "DELETE", "/api/v1/users/anna", "");
    refused(&token, "GET", "/api/v1/users", "", 401, "unauthorized");
    const int64_t now_ms = api_now_ms();
    while (api_now_ms() <= now_ms) { /* the next millisecond, so that she comes after the token */
    }
    (void)user("anna", "\"admin\""); /* another person of that name */
    refused(&token, "GET", "/api/v1/users", "", 401, "unauthorized");
}

/* A token that was stolen, or is to end, makes none that goes on after it. */
static void a_token_makes_none_that_outlives_it(void **state)
{
    (void)state;
    char body[96], path[64];
    const int64_t soon = api_now_ms() + 3600000;
    snprintf(body, sizeof body, "{\"expires_ms\":%lld}", (long long)soon);
    struct caller first = token_of(&local, "{}"), ends = token_of(&local, body);
    refused(&ends, "POST", "/api/v1/tokens", "{}", 400, "invalid-request");
    (void)token_of(&ends, body);
    (void)token_of(&ends,
                   "{\"kind\":\"device\",\"device\":\"5ccf7f0000aa\"}"); /* a device's is another matter */
    snprintf(body, sizeof body, "{\"expires_ms\":%lld}", (long long)soon + 1);
    refused(&ends, "POST", "/api/v1/tokens", body, 400, "invalid-request");
    struct caller second = token_of(&first, "{}"), third = token_of(&second, "{}");
    struct store_token found;
    assert_int_equal(store_token_find(f.api.store, first.token, &found), 0);
    snprintf(path, sizeof path, "/api/v1/tokens/%s", found.id);
    done(&local, "DELETE", path, "");
    refused(&first, "GET", "/api/v1/users", "", 401, "unauthorized");
    refused(&second, "GET", "/api/v1/users", "", 401, "unauthorized");
    refused(&third, "GET", "/api/v1/users", "", 401, "unauthorized");
    done(&ends, "GET", "/api/v1/users", "");
}

static void a_token_does_what_it_was_made_for(void **state)
{
    (void)state;
    struct caller token = {.local = false}, late = {.local = false};
    char body[128];
    snprintf(body, sizeof body, "{\"roles\":[\"uploader\"],\"product\":\"lamp\",\"expires_ms\":%lld}",
             (long long)api_now_ms() + 3600000);
    json_t *json = ok(&local, "POST", "/api/v1/tokens", body);
    SET_TEXT(token.token, json_string_value(json_object_get(json, "token")));
    json_decref(json);
    refused(&token, "PATCH", "/api/v1/devices/5ccf7f0000aa", "{\"held\":true}", 403, "forbidden");
    refused(&token, "GET", "/api/v1/tokens", "", 403, "forbidden");
    refused(&token, "GET", "/api/v1/account", "", 404, "not-found");
    done(&token, "GET", "/api/v1/devices/5ccf7f0000aa", "");
    refused(&token, "GET", "/api/v1/devices/5ccf7f0000bb", "", 404, "not-found");
    refused(&local, "POST", "/api/v1/tokens", "{\"expires_ms\":5}", 400, "invalid-request");
    refused(&local, "POST", "/api/v1/tokens", "{\"roles\":[\"viewer@lamp\"]}", 400, "invalid-request");
    refused(&local, "POST", "/api/v1/tokens",
            "{\"kind\":\"gateway\",\"product\":\"lamp\",\"roles\":[\"viewer\"]}", 400, "invalid-request");
    const struct store_token order = {
        .kind = STORE_TOKEN_ADMIN, .roles = STORE_ROLE_ADMIN, .expires_ms = 1000};
    assert_int_equal(store_token_make(f.api.store, &order, late.token), 0);
    refused(&late, "GET", "/api/v1/releases", "", 401, "unauthorized");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(a_password_lets_in_and_says_what_for),
        API_TEST(what_is_wrong_is_not_said),
        API_TEST(nobody_tries_for_ever),
        API_TEST(passwords_must_not_be_easy),
        API_TEST(a_new_password_ends_the_other_sessions),
        API_TEST(an_admin_s_word_counts_at_once),
        API_TEST(an_account_that_ended_its_sessions_or_is_disabled_lets_nobody_in),
        API_TEST(nobody_changes_another_s_account),
        API_TEST(a_second_factor_is_asked_for_and_never_good_twice),
        API_TEST(an_admin_takes_a_lost_second_factor_away),
        API_TEST(a_code_is_guessed_three_times_and_no_more),
        API_TEST(a_token_does_no_more_than_who_made_it),
        API_TEST(a_token_makes_none_that_outlives_it),
        API_TEST(a_login_by_a_provider_is_not_begun_for_ever),
        API_TEST(a_token_does_what_it_was_made_for),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
