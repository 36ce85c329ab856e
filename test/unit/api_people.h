/* api_people.h - the API with two products, a device of each and a rollout, and people who call it: for the tests of access. */
#ifndef MOLT_TEST_API_PEOPLE_H
#define MOLT_TEST_API_PEOPLE_H

#include "cmocka_all.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/access/throttle.h"
#include "server/api/call.h"
#include "unit/store_fixture.h"

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, open_api, close_api)

static struct {
    struct fixture *store;
    struct api api;
    int64_t lamp, other, lamp_release, other_release, lamp_rollout;
} f;

static inline void add_device(const char *id, int64_t product_id)
{
    struct model_device device = {
        .product_id = product_id, .chip = MOLT_CHIP_ESP8266, .chip_source = MODEL_CHIP_SAID};
    SET_TEXT(device.id, id);
    assert_int_equal(store_save_devices(f.store->store, &device, 1), 0);
}

static inline int open_api(void **state)
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

static inline int close_api(void **state)
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

static inline json_t *call(const struct caller *who, const char *method, const char *path, const char *body,
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

static inline const char *reason_of(const json_t *json)
{
    const char *reason = json_string_value(json_object_get(json, "reason"));
    return reason != NULL ? reason : "";
}

static inline json_t *ok(const struct caller *who, const char *method, const char *path, const char *body)
{
    int status;
    json_t *json = call(who, method, path, body, &status);
    if (status >= 300) fail_msg("%s %s %s: %d %s", method, path, body, status, json_dumps(json, 0));
    return json;
}

static inline void done(const struct caller *who, const char *method, const char *path, const char *body)
{
    json_decref(ok(who, method, path, body));
}

static inline void refused(const struct caller *who, const char *method, const char *path, const char *body,
                           int wanted, const char *reason)
{
    int status;
    json_t *json = call(who, method, path, body, &status);
    if (status != wanted || strcmp(reason_of(json), reason) != 0)
        fail_msg("%s %s %s: %d, not %d %s: %s", method, path, body, status, wanted, reason,
                 json_dumps(json, 0));
    json_decref(json);
}

/* The user in another session. */
static inline struct caller again(const char *name)
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

/* A user without a password, who is logged in all the same. roles: as in the body. */
static inline struct caller user(const char *name, const char *roles)
{
    char body[256];
    snprintf(body, sizeof body, "{\"name\":\"%s\",\"roles\":[%s]}", name, roles);
    done(&local, "POST", "/api/v1/users", body);
    return again(name);
}

#endif
