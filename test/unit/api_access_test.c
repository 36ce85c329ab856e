/* api_access_test.c - every route for every role, as doc/access.md says it; nothing of one product for who has roles in another;
 * logging in, second factor, sessions; and two people where two are needed. */
#include "cmocka_all.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/access/oidc.h"
#include "server/access/password.h"
#include "server/access/throttle.h"
#include "server/access/totp.h"
#include "server/api/call.h"
#include "unit/store_fixture.h"

#define PASSWORD "correct horse battery"

static const char *const role_names[] = {"viewer", "operator", "uploader", "approver", "admin"};
#define ROLE_COUNT 5

static struct {
    struct fixture *store;
    struct api api;
    int64_t lamp, other, lamp_release, other_release, lamp_rollout;
} f;

static void add_device(const char *id, int64_t product_id)
{
    struct model_device device = {
        .product_id = product_id, .chip = MOLT_CHIP_ESP8266, .chip_source = MODEL_CHIP_SAID};
    SET_TEXT(device.id, id);
    assert_int_equal(store_save_devices(f.store->store, &device, 1), 0);
}

static int open_api(void **state)
{
    struct model_product product;
    memset(&f, 0, sizeof f);
    set_up(state);
    f.store = *state;
    f.api = (struct api){
        .store = f.store->store, .sessions = true, .logins = throttle_new(10), .hooks.live = true};
    struct model_image image = image_of(f.store->store, "x");
    f.lamp_release = publish(f.store->store, "lamp", 3, &image);
    f.other_release = publish(f.store->store, "other", 3, &image);
    assert_int_equal(store_product_find(f.store->store, "lamp", &product), 0);
    f.lamp = product.id;
    assert_int_equal(store_product_find(f.store->store, "other", &product), 0);
    f.other = product.id;
    add_device("5ccf7f0000aa", f.lamp);
    add_device("5ccf7f0000bb", f.other);
    struct model_rollout rollout = {
        .release_id = f.lamp_release, .status = MODEL_ROLLOUT_RUNNING, .phase_count = 1};
    assert_int_equal(store_rollout_create(f.store->store, &rollout), 0);
    f.lamp_rollout = rollout.id;
    return 0;
}

static int close_api(void **state)
{
    throttle_free(f.api.logins);
    return tear_down(state);
}

/* ---- people ---- */

/* A way to call: a session, or a token. */
struct caller {
    char cookie[SESSIONS_KEY_LEN], csrf[SESSIONS_KEY_LEN], token[STORE_TOKEN_LEN];
    bool local;
};
static const struct caller local = {.local = true}, nobody = {.local = false};

static json_t *call(const struct caller *who, const char *method, const char *path, const char *body,
                    int *status)
{
    struct api_response response;
    const char *query = strchr(path, '?');
    char bare[256];
    snprintf(bare, sizeof bare, "%.*s", (int)(query != NULL ? query - path : (ptrdiff_t)strlen(path)), path);
    const struct api_request request = {.method = method,
                                        .path = bare,
                                        .query = query != NULL ? query + 1 : "",
                                        .token = who->token[0] != '\0' ? who->token : NULL,
                                        .cookie = who->cookie[0] != '\0' ? who->cookie : NULL,
                                        .csrf = who->csrf[0] != '\0' ? who->csrf : NULL,
                                        .trusted = who->local,
                                        .body = body,
                                        .body_len = strlen(body)};
    api_handle(&f.api, &request, &response);
    json_t *json = response.body != NULL ? json_loadb(response.body, response.body_len, 0, NULL) : NULL;
    free(response.body);
    *status = response.status;
    return json;
}

static const char *reason_of(const json_t *json)
{
    const char *reason = json_string_value(json_object_get(json, "reason"));
    return reason != NULL ? reason : "";
}

static json_t *ok(const struct caller *who, const char *method, const char *path, const char *body)
{
    int status;
    json_t *json = call(who, method, path, body, &status);
    if (status >= 300) fail_msg("%s %s %s: %d %s", method, path, body, status, json_dumps(json, 0));
    return json;
}

static void done(const struct caller *who, const char *method, const char *path, const char *body)
{
    json_decref(ok(who, method, path, body));
}

static void refused(const struct caller *who, const char *method, const char *path, const char *body,
                    int wanted, const char *reason)
{
    int status;
    json_t *json = call(who, method, path, body, &status);
    if (status != wanted || strcmp(reason_of(json), reason) != 0)
        fail_msg("%s %s %s: %d, not %d %s: %s", method, path, body, status, wanted, reason,
                 json_dumps(json, 0));
    json_decref(json);
}

/* A user without a password, who is logged in all the same. roles: as in the body. */
static struct caller user(const char *name, const char *roles)
{
    char body[256];
    struct caller caller = {.local = false};
    struct store_account account;
    struct session session;
    snprintf(body, sizeof body, "{\"name\":\"%s\",\"roles\":[%s]}", name, roles);
    done(&local, "POST", "/api/v1/users", body);
    assert_int_equal(store_account_find(f.api.store, name, &account), 0);
    const struct session whose = {.account_id = account.id, .epoch = account.epoch};
    assert_int_equal(sessions_begin(f.api.store, &whose, api_now_ms(), caller.cookie, &session), 0);
    memcpy(caller.csrf, session.csrf, sizeof caller.csrf);
    return caller;
}

static struct caller again(const char *name)
{
    struct caller caller = {.local = false};
    struct store_account account;
    struct session session;
    assert_int_equal(store_account_find(f.api.store, name, &account), 0);
    const struct session whose = {.account_id = account.id, .epoch = account.epoch};
    assert_int_equal(sessions_begin(f.api.store, &whose, api_now_ms(), caller.cookie, &session), 0);
    memcpy(caller.csrf, session.csrf, sizeof caller.csrf);
    return caller;
}

/* ---- every route, every role ---- */

/* Whether the page gives the route to each role: "| `GET /api/v1/x` | yes | | ... |". False: it has no such row. */
static bool read_row(const char *page, const struct api_route *route, bool may[ROLE_COUNT])
{
    char head[160];
    const size_t prefix =
        strncmp(route->path, API_PREFIX "/", sizeof API_PREFIX) == 0 ? sizeof API_PREFIX - 1 : 0;
    snprintf(head, sizeof head, "| `%s %s` |", route->method, route->path + prefix);
    const char *at = strstr(page, head);
    if (at == NULL) return false;
    at += strlen(head);
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        const char *bar = strchr(at, '|');
        assert_non_null(bar);
        const char *yes = strstr(at, "yes");
        may[i] = yes != NULL && yes < bar;
        at = bar + 1;
    }
    return true;
}

static char *read_page(void)
{
    static char page[65536];
    FILE *file = fopen(MOLT_ACCESS_PAGE, "r");
    assert_non_null(file);
    size_t len = fread(page, 1, sizeof page - 1, file);
    assert_true(len < sizeof page - 1);
    page[len] = '\0';
    fclose(file);
    return page;
}

/* The path with something in the place of {id}. */
static void fill_path(const char *pattern, const char *id, char *out, size_t cap)
{
    const char *brace = strstr(pattern, "{id}");
    if (brace == NULL)
        snprintf(out, cap, "%s", pattern);
    else
        snprintf(out, cap, "%.*s%s%s", (int)(brace - pattern), pattern, id, brace + 4);
}

static void each_route_is_for_the_roles_that_the_page_says(void **state)
{
    (void)state;
    size_t count, rows = 0;
    const struct api_route *routes = api_routes(&count);
    char *page = read_page();
    for (size_t r = 0; r < ROLE_COUNT; r++) {
        char roles[32];
        snprintf(roles, sizeof roles, "\"%s\"", role_names[r]);
        (void)user(role_names[r], roles);
    }
    for (size_t i = 0; i < count; i++) {
        bool may[ROLE_COUNT];
        char path[200];
        fill_path(routes[i].path, "999999", path,
                  sizeof path); /* nothing that is there, so nothing happens */
        if (!read_row(page, &routes[i], may))
            fail_msg("doc/access.md has no row for %s %s", routes[i].method, routes[i].path);
        rows++;
        for (size_t r = 0; r < ROLE_COUNT; r++) {
            int status;
            struct caller caller = again(role_names[r]);
            json_t *json = call(&caller, routes[i].method, path, "", &status);
            const bool forbidden = status == 403 && strcmp(reason_of(json), "forbidden") == 0;
            json_decref(json);
            if (forbidden == may[r])
                fail_msg("%s %s for a %s: %d, and the page says %s", routes[i].method, path, role_names[r],
                         status, may[r] ? "yes" : "no");
        }
    }
    for (const char *at = page; (at = strstr(at, "\n| `")) != NULL; at++)
        rows--;
    assert_int_equal(rows, 0); /* and it has no row of a route that is gone */
}

static void nobody_gets_in_without_a_credential(void **state)
{
    (void)state;
    size_t count;
    const struct api_route *routes = api_routes(&count);
    for (size_t i = 0; i < count; i++) {
        char path[200];
        fill_path(routes[i].path, "1", path, sizeof path);
        const bool open = (routes[i].flags & API_OPEN) != 0 && strcmp(routes[i].method, "GET") == 0;
        if (strcmp(routes[i].path, "/api/v1/session/oidc") == 0)
            refused(&nobody, routes[i].method, path, "", 404,
                    "not-found"); /* open, and there is no provider */
        else if (open)
            done(&nobody, routes[i].method, path, "");
        else
            refused(&nobody, routes[i].method, path, "", 401, "unauthorized");
    }
}

/* ---- of another product ---- */

static const char *lamp_thing(const char *pattern, char id[32])
{
    snprintf(id, 32, "lamp");
    if (strstr(pattern, "/devices/") != NULL) snprintf(id, 32, "5ccf7f0000aa");
    if (strstr(pattern, "/releases/") != NULL) snprintf(id, 32, "%lld", (long long)f.lamp_release);
    if (strstr(pattern, "/rollouts/") != NULL) snprintf(id, 32, "%lld", (long long)f.lamp_rollout);
    return id;
}

static void try_all_on_lamp(const struct caller *caller, const char *role)
{
    static const char *const bodies[] = {"", "{}", "{\"stopped\":true}", "{\"held\":true}",
                                         "{\"required\":true}"};
    size_t count;
    const struct api_route *routes = api_routes(&count);
    for (size_t i = 0; i < count; i++) {
        char path[200], id[32];
        if ((routes[i].flags & API_OPEN) != 0 || strstr(routes[i].path, "/account") != NULL ||
            strcmp(routes[i].path, "/api/v1/session") == 0)
            continue; /* of nobody, and of himself */
        fill_path(routes[i].path, lamp_thing(routes[i].path, id), path, sizeof path);
        for (size_t b = 0; b < sizeof bodies / sizeof bodies[0]; b++) {
            int status;
            json_t *json = call(caller, routes[i].method, path, bodies[b], &status);
            char *text = json != NULL ? json_dumps(json, 0) : strdup("");
            if (strstr(routes[i].path, "{id}") != NULL && status != 403 && status != 404 && status != 400)
                fail_msg("%s@other: %s %s: %d %s", role, routes[i].method, path, status, text);
            if (status < 300 && (strstr(text, "lamp") != NULL || strstr(text, "5ccf7f0000aa") != NULL))
                fail_msg("%s@other: %s %s shows %s", role, routes[i].method, path, text);
            free(text);
            json_decref(json);
        }
    }
}

static void who_has_roles_in_one_product_reaches_nothing_of_another(void **state)
{
    (void)state;
    struct store_rules before, after;
    struct model_device device, now;
    assert_int_equal(store_load_rules(f.api.store, &before), 0);
    assert_int_equal(store_device_get(f.api.store, "5ccf7f0000aa", &device), 0);
    for (size_t r = 0; r < ROLE_COUNT; r++) {
        char roles[32];
        snprintf(roles, sizeof roles, "\"%s@other\"", role_names[r]);
        struct caller caller = user(role_names[r], roles);
        try_all_on_lamp(&caller, role_names[r]);
    }
    assert_int_equal(store_load_rules(f.api.store, &after), 0);
    assert_true(before.generation == after.generation);
    assert_int_equal(store_device_get(f.api.store, "5ccf7f0000aa", &now), 0);
    assert_memory_equal(&device, &now, sizeof now);
    store_free_rules(&before);
    store_free_rules(&after);
}

static void what_one_may_see_and_not_do_is_forbidden_and_not_hidden(void **state)
{
    (void)state;
    char path[96], body[64];
    struct caller anna = user("anna", "\"viewer@lamp\",\"operator@other\"");
    json_t *json = ok(&anna, "GET", "/api/v1/releases", "");
    assert_int_equal(json_array_size(json_object_get(json, "releases")), 2);
    json_decref(json);
    json = ok(&anna, "GET", "/api/v1/devices", "");
    assert_int_equal(json_array_size(json_object_get(json, "devices")), 2);
    json_decref(json);
    refused(&anna, "PATCH", "/api/v1/devices/5ccf7f0000aa", "{\"held\":true}", 403, "forbidden");
    refused(&anna, "PATCH", "/api/v1/devices/5ccf7f0000bb", "{\"product\":\"lamp\"}", 403, "forbidden");
    refused(&anna, "PATCH", "/api/v1/products/lamp", "{\"stopped\":true}", 403, "forbidden");
    refused(&anna, "PATCH", "/api/v1/products/other", "{\"approval\":true}", 403, "forbidden");
    done(&anna, "PATCH", "/api/v1/products/other", "{\"stopped\":true}");
    snprintf(path, sizeof path, "/api/v1/rollouts/%lld/pause", (long long)f.lamp_rollout);
    refused(&anna, "POST", path, "", 403, "forbidden");
    snprintf(body, sizeof body, "{\"release\":%lld}", (long long)f.lamp_release);
    refused(&anna, "POST", "/api/v1/rollout-preview", body, 403, "forbidden");
    refused(&anna, "GET", "/api/v1/releases?product=nothing", "", 404, "not-found");
    done(&anna, "PATCH", "/api/v1/devices/5ccf7f0000bb", "{\"held\":true}");
    json = ok(&anna, "PATCH", "/api/v1/devices?filter=id%20~%20%22*%22", "{\"held\":false}");
    assert_int_equal(json_integer_value(json_object_get(json, "changed")), 1);
    json_decref(json);
    done(&anna, "PUT", "/api/v1/devices/5ccf7f0000dd", "{}"); /* in the one where he may */
    json = ok(&anna, "GET", "/api/v1/devices/5ccf7f0000dd", "");
    assert_string_equal(json_string_value(json_object_get(json, "product")), "other");
    json_decref(json);
    json = ok(&anna, "GET", "/api/v1/overview", "");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "devices"), "total")), 3);
    json_decref(json);
    refused(&anna, "GET", "/api/v1/server", "", 403, "forbidden");
}

/* ---- two people ---- */

static int64_t new_rollout(const struct caller *who)
{
    char body[64];
    snprintf(body, sizeof body, "{\"release\":%lld}", (long long)f.other_release);
    json_t *json = ok(who, "POST", "/api/v1/rollouts", body);
    assert_string_equal(json_string_value(json_object_get(json, "status")), "waiting");
    int64_t id = json_integer_value(json_object_get(json, "id"));
    json_decref(json);
    return id;
}

static void nobody_approves_of_his_own_rollout_whatever_he_holds(void **state)
{
    (void)state;
    char path[96];
    struct caller anna = user("anna", "\"admin\""), bert = user("bert", "\"approver@other\""),
                  token = {.local = false};
    done(&local, "PATCH", "/api/v1/products/other", "{\"approval\":true}");
    snprintf(path, sizeof path, "/api/v1/rollouts/%lld/approve", (long long)new_rollout(&anna));
    refused(&anna, "POST", path, "", 409, "second-person");
    json_t *json = ok(&anna, "POST", "/api/v1/tokens", "{\"label\":\"a second me\"}");
    SET_TEXT(token.token, json_string_value(json_object_get(json, "token")));
    json_decref(json);
    refused(&token, "POST", path, "", 409, "second-person"); /* a token of hers is she */
    json = ok(&token, "POST", "/api/v1/tokens", "{\"label\":\"a third me\"}");
    SET_TEXT(token.token, json_string_value(json_object_get(json, "token")));
    json_decref(json);
    refused(&token, "POST", path, "", 409, "second-person");
    json = ok(&bert, "POST", path, "");
    assert_string_equal(json_string_value(json_object_get(json, "created_by")), "user anna");
    assert_string_equal(json_string_value(json_object_get(json, "approved_by")), "user bert");
    json_decref(json);
    refused(&bert, "POST", "/api/v1/rollouts/1/approve", "", 404, "not-found"); /* lamp's */
}

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
    code_of(secret, -1, code);
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

static void an_admin_takes_a_lost_second_factor_away(void **state)
{
    (void)state;
    struct store_account account;
    make_anna();
    assert_int_equal(store_account_find(f.api.store, "anna", &account), 0);
    account.totp[3] = 7;
    assert_int_equal(store_account_save(f.api.store, &account), 0);
    try_to_log_in("anna", PASSWORD, NULL, 401, "second-factor");
    refused(&local, "PATCH", "/api/v1/users/anna", "{\"totp\":true}", 400, "invalid-request");
    done(&local, "PATCH", "/api/v1/users/anna", "{\"totp\":false}");
    (void)log_in("anna", PASSWORD, NULL);
}

/* Who knows the password would need years for the code. */
static void a_code_is_guessed_three_times_and_no_more(void **state)
{
    (void)state;
    struct store_account account;
    make_anna();
    assert_int_equal(store_account_find(f.api.store, "anna", &account), 0);
    account.totp[3] = 7;
    assert_int_equal(store_account_save(f.api.store, &account), 0);
    throttle_free(f.api.logins);
    f.api.logins = throttle_new(3); /* one code */
    try_to_log_in("anna", PASSWORD, "000000000", 401, "second-factor");
    try_to_log_in("anna", PASSWORD, "000000000", 429, "too-many-tries");
}

/* ---- tokens, and pages of others ---- */

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

/* Page by page comes what comes at once. */
static void a_list_comes_in_pages(void **state)
{
    (void)state;
    static const char *const names[] = {"anna", "bert", "carl"};
    char path[96] = "/api/v1/users?limit=2", seen[64] = "";
    int pages = 0;
    for (size_t i = 0; i < 3; i++)
        (void)user(names[i], "\"viewer\"");
    for (bool more = true; more; pages++) {
        json_t *page = ok(&local, "GET", path, ""), *one;
        const char *next = json_string_value(json_object_get(page, "next"));
        size_t i;
        json_array_foreach(json_object_get(page, "users"), i, one)
            strcat(strcat(seen, json_string_value(json_object_get(one, "name"))), " ");
        more = next != NULL;
        snprintf(path, sizeof path, "/api/v1/users?limit=2&after=%s", more ? next : "");
        json_decref(page);
    }
    assert_string_equal(seen, "anna bert carl ");
    assert_int_equal(pages, 2);
    json_t *all = ok(&local, "GET", "/api/v1/releases", "");
    assert_int_equal(json_array_size(json_object_get(all, "releases")), 2);
    assert_true(json_is_null(json_object_get(all, "next")));
    const json_int_t first =
        json_integer_value(json_object_get(json_array_get(json_object_get(all, "releases"), 0), "id"));
    json_decref(all);
    snprintf(path, sizeof path, "/api/v1/releases?limit=1&after=%lld", (long long)first);
    all = ok(&local, "GET", path, "");
    assert_int_equal(json_array_size(json_object_get(all, "releases")), 1);
    assert_true(json_is_null(json_object_get(all, "next"))); /* these were the last */
    json_decref(all);
    refused(&local, "GET", "/api/v1/users?after=dora", "", 400, "invalid-request");
    refused(&local, "GET", "/api/v1/users?limit=0", "", 400, "invalid-request");
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

/* A condition is no way to ask what is there. */
static void a_condition_tells_nobody_of_what_he_does_not_see(void **state)
{
    (void)state;
    static const char *const paths[] = {"/api/v1/devices/5ccf7f0000bb", "/api/v1/devices/5ccf7f0000cc",
                                        "/api/v1/products/other", "/api/v1/products/nothing"};
    static const char *const conditions[] = {"*", "\"0123456789abcdef01234567\""};
    struct caller anna = user("anna", "\"operator@lamp\"");
    for (size_t c = 0; c < 4; c++) {
        int said[4];
        for (size_t i = 0; i < 4; i++) {
            struct api_response response;
            const struct api_request request = {.method = "PATCH",
                                                .path = paths[i],
                                                .query = "",
                                                .cookie = anna.cookie,
                                                .csrf = anna.csrf,
                                                .if_match = c < 2 ? conditions[c] : NULL,
                                                .if_none_match = c >= 2 ? conditions[c - 2] : NULL,
                                                .body = "{}",
                                                .body_len = 2};
            api_handle(&f.api, &request, &response);
            assert_null(strstr(response.body, "ETag is another")); /* so it is there */
            free(response.body);
            said[i] = response.status;
        }
        assert_in_range(said[0], 400, 499);
        assert_int_equal(said[0], said[1]); /* there, and not there */
        assert_in_range(said[2], 400, 499);
        assert_int_equal(said[2], said[3]);
    }
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

static void the_page_of_another_site_changes_nothing(void **state)
{
    (void)state;
    struct caller anna = user("anna", "\"admin\"");
    struct api_response response;
    struct api_request request = {.method = "PATCH",
                                  .path = "/api/v1/devices/5ccf7f0000aa",
                                  .query = "",
                                  .cookie = anna.cookie,
                                  .csrf = anna.csrf,
                                  .cross_site = true,
                                  .body = "{\"held\":true}",
                                  .body_len = 13};
    api_handle(&f.api, &request, &response);
    assert_int_equal(response.status, 403);
    free(response.body);
    request.cross_site = false;
    api_handle(&f.api, &request, &response);
    assert_int_equal(response.status, 200);
    free(response.body);
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, open_api, close_api)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(each_route_is_for_the_roles_that_the_page_says),
        API_TEST(nobody_gets_in_without_a_credential),
        API_TEST(who_has_roles_in_one_product_reaches_nothing_of_another),
        API_TEST(what_one_may_see_and_not_do_is_forbidden_and_not_hidden),
        API_TEST(nobody_approves_of_his_own_rollout_whatever_he_holds),
        API_TEST(a_password_lets_in_and_says_what_for),
        API_TEST(what_is_wrong_is_not_said),
        API_TEST(nobody_tries_for_ever),
        API_TEST(passwords_must_not_be_easy),
        API_TEST(a_new_password_ends_the_other_sessions),
        API_TEST(an_admin_s_word_counts_at_once),
        API_TEST(a_second_factor_is_asked_for_and_never_good_twice),
        API_TEST(an_admin_takes_a_lost_second_factor_away),
        API_TEST(a_code_is_guessed_three_times_and_no_more),
        API_TEST(a_token_does_no_more_than_who_made_it),
        API_TEST(a_token_makes_none_that_outlives_it),
        API_TEST(a_list_comes_in_pages),
        API_TEST(a_condition_tells_nobody_of_what_he_does_not_see),
        API_TEST(a_login_by_a_provider_is_not_begun_for_ever),
        API_TEST(a_token_does_what_it_was_made_for),
        API_TEST(the_page_of_another_site_changes_nothing),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
