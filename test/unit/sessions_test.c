/* sessions_test.c - sessions end when they are idle, when they are ended, and when there are too many; and the API lets their
 * cookies in, but changes nothing for a page that does not know the key. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/api/api.h"
#include "temp_dir.h"

#define NOW_MS ((int64_t)1700000000000)

static int begin(struct sessions *sessions, const char *token, int64_t now_ms, char *cookie,
                 struct session *session)
{
    struct session whose = {.token = ""};
    snprintf(whose.token, sizeof whose.token, "%s", token);
    return sessions_begin(sessions, &whose, now_ms, cookie, session);
}

static void a_session_stands_for_its_token(void **state)
{
    (void)state;
    struct sessions *sessions = sessions_new();
    struct session session, found;
    char cookie[SESSIONS_KEY_LEN], other[SESSIONS_KEY_LEN];
    assert_int_equal(begin(sessions, "molt_a", NOW_MS, cookie, &session), 0);
    assert_int_equal(begin(sessions, "molt_b", NOW_MS, other, &found), 0);
    assert_int_equal(strlen(cookie), SESSIONS_KEY_LEN - 1);
    assert_string_not_equal(cookie, other);
    assert_string_not_equal(cookie, session.csrf);
    assert_true(sessions_find(sessions, cookie, NOW_MS + 1, &found));
    assert_string_equal(found.token, "molt_a");
    assert_string_equal(found.csrf, session.csrf);
    cookie[0] = cookie[0] == '0' ? '1' : '0';
    assert_false(sessions_find(sessions, cookie, NOW_MS + 1, &found));
    assert_false(sessions_find(sessions, "", NOW_MS + 1, &found));
    sessions_end(sessions, other);
    assert_false(sessions_find(sessions, other, NOW_MS + 1, &found));
    assert_true(begin(sessions, "", NOW_MS, cookie, &session) < 0);
    sessions_free(sessions);
}

static void it_ends_when_it_is_idle(void **state)
{
    (void)state;
    struct sessions *sessions = sessions_new();
    struct session session;
    char cookie[SESSIONS_KEY_LEN];
    assert_int_equal(begin(sessions, "molt_a", NOW_MS, cookie, &session), 0);
    assert_true(sessions_find(sessions, cookie, NOW_MS + SESSIONS_IDLE_MS, &session)); /* which is a use */
    assert_true(sessions_find(sessions, cookie, NOW_MS + 2 * SESSIONS_IDLE_MS, &session));
    assert_false(sessions_find(sessions, cookie, NOW_MS + 3 * SESSIONS_IDLE_MS + 1, &session));
    assert_false(sessions_find(sessions, cookie, NOW_MS, &session));
    sessions_free(sessions);
}

static void it_ends_when_it_is_old_however_it_is_used(void **state)
{
    (void)state;
    struct sessions *sessions = sessions_new();
    struct session session;
    char cookie[SESSIONS_KEY_LEN];
    int64_t now = NOW_MS;
    assert_int_equal(begin(sessions, "molt_a", now, cookie, &session), 0);
    for (; now + SESSIONS_IDLE_MS <= NOW_MS + SESSIONS_MAX_MS; now += SESSIONS_IDLE_MS)
        assert_true(sessions_find(sessions, cookie, now, &session));
    assert_true(sessions_find(sessions, cookie, NOW_MS + SESSIONS_MAX_MS, &session));
    assert_false(sessions_find(sessions, cookie, NOW_MS + SESSIONS_MAX_MS + 1, &session));
    sessions_free(sessions);
}

static void all_of_an_account_end_and_no_other(void **state)
{
    (void)state;
    struct sessions *sessions = sessions_new();
    struct session session, anna = {.account_id = 7, .epoch = 1}, bert = {.account_id = 8, .epoch = 1},
                            both = {.account_id = 7, .token = "molt_a"};
    char one[SESSIONS_KEY_LEN], two[SESSIONS_KEY_LEN], other[SESSIONS_KEY_LEN], token[SESSIONS_KEY_LEN];
    assert_int_equal(sessions_begin(sessions, &anna, NOW_MS, one, &session), 0);
    assert_int_equal(sessions_begin(sessions, &anna, NOW_MS, two, &session), 0);
    assert_int_equal(sessions_begin(sessions, &bert, NOW_MS, other, &session), 0);
    assert_int_equal(begin(sessions, "molt_a", NOW_MS, token, &session), 0);
    assert_true(sessions_begin(sessions, &both, NOW_MS, two, &session) < 0); /* it is one or the other */
    assert_int_equal(sessions_count_account(sessions, 7, NOW_MS), 2);
    assert_int_equal(sessions_count_account(sessions, 7, NOW_MS + SESSIONS_IDLE_MS + 1), 0);
    sessions_renew(sessions, one, 2);
    assert_true(sessions_find(sessions, one, NOW_MS, &session));
    assert_int_equal(session.epoch, 2);
    assert_int_equal(sessions_end_account(sessions, 7), 2);
    assert_false(sessions_find(sessions, one, NOW_MS, &session));
    assert_true(sessions_find(sessions, other, NOW_MS, &session));
    assert_true(sessions_find(sessions, token, NOW_MS, &session));
    sessions_free(sessions);
}

static void the_longest_unused_gives_way(void **state)
{
    (void)state;
    struct sessions *sessions = sessions_new();
    struct session session;
    char first[SESSIONS_KEY_LEN], second[SESSIONS_KEY_LEN], cookie[SESSIONS_KEY_LEN];
    assert_int_equal(begin(sessions, "molt_a", NOW_MS, first, &session), 0);
    assert_int_equal(begin(sessions, "molt_a", NOW_MS + 1, second, &session), 0);
    assert_true(sessions_find(sessions, first, NOW_MS + 2, &session));
    for (int i = 2; i < SESSIONS_MAX + 1; i++)
        assert_int_equal(begin(sessions, "molt_a", NOW_MS + 3, cookie, &session), 0);
    assert_true(sessions_find(sessions, first, NOW_MS + 4, &session));
    assert_false(sessions_find(sessions, second, NOW_MS + 4, &session));
    sessions_free(sessions);
}

/* ---- through the API ---- */

struct rig {
    struct api api;
    char token[STORE_TOKEN_LEN], cookie[SESSIONS_KEY_LEN], csrf[SESSIONS_KEY_LEN];
};

static int ask(struct rig *rig, const char *method, const char *path, struct api_request request,
               struct api_response *response)
{
    request.method = method;
    request.path = path;
    request.query = "";
    api_handle(&rig->api, &request, response);
    return response->status;
}

static int status_of(struct rig *rig, const char *method, const char *path, struct api_request request)
{
    struct api_response response;
    int status = ask(rig, method, path, request, &response);
    free(response.body);
    return status;
}

static void the_cookie_lets_in_and_the_key_lets_change(void **state)
{
    (void)state;
    char err[128];
    struct temp_dir dir;
    struct rig rig = {.api.sessions = sessions_new()};
    struct api_response response;
    temp_dir_make(&dir);
    assert_int_equal(store_open(dir.path, true, &rig.api.store, err, sizeof err), 0);
    assert_int_equal(store_token_create(rig.api.store, STORE_TOKEN_ADMIN, "", NULL, rig.token), 0);
    const struct api_request none = {0}, token = {.token = rig.token}, wrong = {.token = "molt_x"};
    assert_int_equal(status_of(&rig, "POST", "/api/v1/session", none), 401);
    assert_int_equal(status_of(&rig, "POST", "/api/v1/session", wrong), 401);
    assert_int_equal(ask(&rig, "POST", "/api/v1/session", token, &response), 201);
    assert_int_equal(sscanf(response.set_cookie, "molt_session=%64[0-9a-f]", rig.cookie), 1);
    assert_non_null(strstr(response.set_cookie, "; HttpOnly; SameSite=Strict"));
    assert_null(strstr(response.set_cookie, "Secure"));
    assert_null(strstr(response.body, rig.token));
    assert_null(strstr(response.body, rig.cookie));
    assert_int_equal(sscanf(response.body, "{\"csrf\":\"%64[0-9a-f]", rig.csrf), 1);
    free(response.body);
    const struct api_request cookie = {.cookie = rig.cookie}, key = {.cookie = rig.cookie, .csrf = rig.csrf},
                             guess = {.cookie = rig.cookie, .csrf = rig.cookie};
    assert_int_equal(status_of(&rig, "GET", "/api/v1/tokens", cookie), 200);
    assert_int_equal(status_of(&rig, "POST", "/api/v1/tokens", cookie), 401);
    assert_int_equal(status_of(&rig, "POST", "/api/v1/tokens", guess), 401);
    assert_int_equal(status_of(&rig, "DELETE", "/api/v1/tokens/000000000000", key), 404);
    const struct api_request tls = {.token = rig.token, .secure = true};
    assert_int_equal(ask(&rig, "POST", "/api/v1/session", tls, &response), 201);
    assert_non_null(strstr(response.set_cookie, "; Secure"));
    free(response.body);
    assert_int_equal(status_of(&rig, "DELETE", "/api/v1/session", key), 200);
    assert_int_equal(status_of(&rig, "GET", "/api/v1/tokens", cookie), 401);
    store_close(rig.api.store);
    sessions_free(rig.api.sessions);
    temp_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_session_stands_for_its_token),
                                       cmocka_unit_test(it_ends_when_it_is_idle),
                                       cmocka_unit_test(it_ends_when_it_is_old_however_it_is_used),
                                       cmocka_unit_test(all_of_an_account_end_and_no_other),
                                       cmocka_unit_test(the_longest_unused_gives_way),
                                       cmocka_unit_test(the_cookie_lets_in_and_the_key_lets_change)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
