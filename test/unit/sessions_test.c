/* sessions_test.c - sessions end when they are idle, when they are ended, and when there are too many; and the API lets their
 * cookies in, but changes nothing for a page that does not know the key. */
#define _GNU_SOURCE /* memmem() */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "molt_reason.h"
#include "server/api/api.h"
#include "temp_dir.h"

#define NOW_MS ((int64_t)1700000000000)

static struct store *open_store(struct temp_dir *dir)
{
    char err[128];
    struct store *store;
    temp_dir_make(dir);
    assert_int_equal(store_open(dir->path, true, &store, err, sizeof err), 0);
    return store;
}

static void close_store(struct store *store, struct temp_dir *dir)
{
    store_close(store);
    temp_dir_remove(dir);
}

/* Of a token whose hash begins with that byte. */
static void begin(struct store *store, uint8_t token, int64_t now_ms, char *cookie, struct session *session)
{
    const struct session whose = {.token = {token}};
    assert_int_equal(sessions_begin(store, &whose, now_ms, cookie, session), 0);
}

static bool is_in(struct store *store, const char *cookie, int64_t now_ms)
{
    struct session found;
    int rc = sessions_find(store, cookie, now_ms, &found);
    assert_true(rc == 0 || rc == -MOLT_UNAUTHORIZED);
    return rc == 0;
}

static void a_session_stands_for_its_token(void **state)
{
    (void)state;
    struct temp_dir dir;
    struct store *store = open_store(&dir);
    struct session session, found;
    const struct session nobodys = {.epoch = 1};
    char cookie[SESSIONS_KEY_LEN], other[SESSIONS_KEY_LEN];
    begin(store, 7, NOW_MS, cookie, &session);
    begin(store, 8, NOW_MS, other, &found);
    assert_int_equal(strlen(cookie), SESSIONS_KEY_LEN - 1);
    assert_string_not_equal(cookie, other);
    assert_string_not_equal(cookie, session.csrf);
    assert_int_equal(sessions_find(store, cookie, NOW_MS + 1, &found), 0);
    assert_int_equal(found.token[0], 7);
    assert_string_equal(found.csrf, session.csrf);
    cookie[0] = cookie[0] == '0' ? '1' : '0';
    assert_false(is_in(store, cookie, NOW_MS + 1));
    assert_false(is_in(store, "", NOW_MS + 1));
    assert_false(is_in(store, session.csrf, NOW_MS + 1)); /* the page knows it; it is no way in */
    assert_int_equal(sessions_end(store, other), 0);
    assert_false(is_in(store, other, NOW_MS + 1));
    assert_int_equal(sessions_begin(store, &nobodys, NOW_MS, cookie, &session), -MOLT_ARG);
    close_store(store, &dir);
}

static void it_ends_when_it_is_idle(void **state)
{
    (void)state;
    struct temp_dir dir;
    struct store *store = open_store(&dir);
    struct session session;
    char cookie[SESSIONS_KEY_LEN];
    begin(store, 7, NOW_MS, cookie, &session);
    assert_true(is_in(store, cookie, NOW_MS + SESSIONS_IDLE_MS)); /* which is a use */
    assert_true(is_in(store, cookie, NOW_MS + 2 * SESSIONS_IDLE_MS));
    assert_false(is_in(store, cookie, NOW_MS + 3 * SESSIONS_IDLE_MS + 1));
    close_store(store, &dir);
}

static void it_ends_when_it_is_old_however_it_is_used(void **state)
{
    (void)state;
    struct temp_dir dir;
    struct store *store = open_store(&dir);
    struct session session;
    char cookie[SESSIONS_KEY_LEN];
    int64_t now = NOW_MS;
    begin(store, 7, now, cookie, &session);
    for (; now + SESSIONS_IDLE_MS <= NOW_MS + SESSIONS_MAX_MS; now += SESSIONS_IDLE_MS)
        assert_true(is_in(store, cookie, now));
    assert_true(is_in(store, cookie, NOW_MS + SESSIONS_MAX_MS));
    assert_false(is_in(store, cookie, NOW_MS + SESSIONS_MAX_MS + 1));
    close_store(store, &dir);
}

static uint32_t count(struct store *store, int64_t now_ms)
{
    uint32_t number;
    assert_int_equal(sessions_count_account(store, 7, now_ms, &number), 0);
    return number;
}

static void all_of_an_account_end_and_no_other(void **state)
{
    (void)state;
    struct temp_dir dir;
    struct store *store = open_store(&dir);
    struct session session, anna = {.account_id = 7, .epoch = 1}, bert = {.account_id = 8, .epoch = 1},
                            both = {.account_id = 7, .token = {7}};
    char one[SESSIONS_KEY_LEN], two[SESSIONS_KEY_LEN], other[SESSIONS_KEY_LEN], token[SESSIONS_KEY_LEN];
    uint32_t ended;
    assert_int_equal(sessions_begin(store, &anna, NOW_MS, one, &session), 0);
    assert_int_equal(sessions_begin(store, &anna, NOW_MS, two, &session), 0);
    assert_int_equal(sessions_begin(store, &bert, NOW_MS, other, &session), 0);
    begin(store, 7, NOW_MS, token, &session);
    assert_true(sessions_begin(store, &both, NOW_MS, two, &session) < 0); /* it is one or the other */
    assert_int_equal(count(store, NOW_MS), 2);
    assert_int_equal(count(store, NOW_MS + SESSIONS_IDLE_MS + 1), 0);
    assert_int_equal(sessions_renew(store, one, 2), 0);
    assert_int_equal(sessions_find(store, one, NOW_MS, &session), 0);
    assert_int_equal(session.epoch, 2);
    assert_int_equal(sessions_end_account(store, 7, &ended), 0);
    assert_int_equal(ended, 2);
    assert_int_equal(sessions_end_account(store, 0, &ended), 0); /* those of tokens are of no account */
    assert_int_equal(ended, 0);
    assert_false(is_in(store, one, NOW_MS));
    assert_true(is_in(store, other, NOW_MS));
    assert_true(is_in(store, token, NOW_MS));
    close_store(store, &dir);
}

/* Whoever logs in again and again pushes out himself, and nobody else. */
static void the_longest_unused_of_his_own_gives_way(void **state)
{
    (void)state;
    struct temp_dir dir;
    struct store *store = open_store(&dir);
    struct session session;
    char others[SESSIONS_KEY_LEN], first[SESSIONS_KEY_LEN], second[SESSIONS_KEY_LEN],
        cookie[SESSIONS_KEY_LEN];
    const int64_t later = NOW_MS + SESSIONS_NOTE_MS;
    begin(store, 8, NOW_MS, others, &session);
    begin(store, 7, NOW_MS + 1, first, &session);
    begin(store, 7, NOW_MS + 2, second, &session);
    assert_true(is_in(store, first, later + 1));
    for (int i = 1; i < SESSIONS_EACH; i++)
        begin(store, 7, later + 2, cookie, &session);
    assert_true(is_in(store, first, later + 4));
    assert_false(is_in(store, second, later + 4));
    assert_true(is_in(store, others, later + 4));
    close_store(store, &dir);
}

/* Is the text in a file of the folder? */
static bool is_written(const struct temp_dir *dir, const char *name, const char *text)
{
    char path[96];
    static char bytes[1 << 20];
    snprintf(path, sizeof path, "%s/%s", dir->path, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) return false;
    const size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return memmem(bytes, len, text, strlen(text)) != NULL;
}

static void it_outlives_the_server_and_a_thief_of_the_database_gets_none(void **state)
{
    (void)state;
    char err[128], cookie[SESSIONS_KEY_LEN];
    struct temp_dir dir;
    struct store *store = open_store(&dir);
    struct session session, found;
    begin(store, 7, NOW_MS, cookie, &session);
    store_close(store);
    assert_false(is_written(&dir, "molt.db", cookie));
    assert_false(is_written(&dir, "molt.db", session.csrf));
    assert_false(is_written(&dir, "molt.db-wal", cookie));
    assert_int_equal(store_open(dir.path, false, &store, err, sizeof err), 0);
    assert_int_equal(sessions_find(store, cookie, NOW_MS + 1, &found), 0);
    assert_string_equal(found.csrf, session.csrf);
    close_store(store, &dir);
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
    struct rig rig = {.api.sessions = true};
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
    temp_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_stands_for_its_token),
        cmocka_unit_test(it_ends_when_it_is_idle),
        cmocka_unit_test(it_ends_when_it_is_old_however_it_is_used),
        cmocka_unit_test(all_of_an_account_end_and_no_other),
        cmocka_unit_test(the_longest_unused_of_his_own_gives_way),
        cmocka_unit_test(it_outlives_the_server_and_a_thief_of_the_database_gets_none),
        cmocka_unit_test(the_cookie_lets_in_and_the_key_lets_change)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
