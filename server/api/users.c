/* users.c - the people who may log in: list, make, change, delete. Must never answer with a password or a hash of one.
 * Tests: test/unit/api_login_test.c. */
#include "login.h"

#include <stdio.h>
#include <string.h>

#include "molt_reason.h"
#include "server/access/totp.h"
#include "shapes.h"

static json_t *time_or_null(int64_t ms)
{
    return ms != 0 ? json_integer(ms) : json_null();
}

static json_t *user_json(const struct store_account *account, const struct store_rules *rules)
{
    return json_pack("{s:s, s:o, s:b, s:b, s:b, s:o, s:o}", "name", account->name, "roles",
                     roles_json(account->grants, account->grant_count, rules), "disabled", account->disabled,
                     "password", account->password[0] != '\0', "totp", totp_is_on(account->totp),
                     "created_ms", time_or_null(account->created_ms), "login_ms",
                     time_or_null(account->login_ms));
}

/* False after replying. */
static bool load_rules(struct api_call *call, struct store_rules *rules)
{
    int rc = store_load_rules(call->api->store, rules);
    if (rc < 0) api_refuse_store(call, rc, "");
    return rc == 0;
}

static void reply_user(struct api_call *call, int status, const struct store_account *account)
{
    struct store_rules rules;
    if (!load_rules(call, &rules)) return;
    api_reply(call, status, user_json(account, &rules));
    store_free_rules(&rules);
}

struct listing {
    const struct store_rules *rules;
    json_t *users;
};

static int user_row(void *ctx, const struct store_account *account)
{
    const struct listing *listing = ctx;
    json_array_append_new(listing->users, user_json(account, listing->rules));
    return 0;
}

void api_users_list(struct api_call *call)
{
    struct store_rules rules;
    if (!load_rules(call, &rules)) return;
    struct listing listing = {&rules, json_array()};
    int rc = store_each_account(call->api->store, user_row, &listing);
    store_free_rules(&rules);
    if (rc == 0) {
        api_reply_page(call, "users", listing.users, "name");
        return;
    }
    json_decref(listing.users);
    api_refuse_store(call, rc, "");
}

/* False after replying. */
static bool read_roles(struct api_call *call, const json_t *body, struct store_account *account)
{
    struct store_rules rules;
    char why[200];
    const json_t *list = json_object_get(body, "roles");
    if (list == NULL) return true;
    if (!load_rules(call, &rules)) return false;
    int rc = roles_read(list, &rules, account->grants, &account->grant_count, why, sizeof why);
    store_free_rules(&rules);
    if (rc < 0) api_refuse(call, MOLT_REQUEST_INVALID, "%s", why);
    return rc == 0;
}

/* A password in the body, if there is one. False after replying. */
static bool read_password(struct api_call *call, const json_t *body, struct store_account *account)
{
    const char *password = NULL;
    if (api_body_text(call, body, "password", 4 * 128, &password) < 0) return false;
    if (password == NULL) return true;
    if (password[0] != '\0') return login_set_password(call, account, password);
    memset(account->password, 0, sizeof account->password); /* null: none */
    return true;
}

void api_users_create(struct api_call *call)
{
    struct store_account account = {.epoch = 1, .grant_count = 1, .grants = {{0, STORE_ROLE_VIEWER}}};
    const char *name = "";
    json_t *body = api_body(call, "name password roles");
    if (body == NULL) return;
    bool ok = api_body_text(call, body, "name", STORE_ACCOUNT_LEN - 1, &name) == 0;
    snprintf(account.name, sizeof account.name, "%s", name);
    ok = ok && read_roles(call, body, &account) && read_password(call, body, &account);
    json_decref(body);
    if (!ok) return;
    int rc = store_account_create(call->api->store, &account);
    if (rc < 0)
        api_refuse_store(call, rc, "");
    else
        reply_user(call, 201, &account);
}

static void refuse_user(struct api_call *call, int rc)
{
    api_refuse_store(call, rc, "no user has this name; `molt user list` shows them");
}

void api_user_get(struct api_call *call)
{
    struct store_account account;
    int rc = store_account_find(call->api->store, call->id, &account);
    if (rc == 0)
        reply_user(call, 200, &account);
    else
        refuse_user(call, rc);
}

/* What the body wants otherwise. *ends: his sessions are over. False after replying. */
static bool apply(struct api_call *call, const json_t *body, struct store_account *account, bool *ends)
{
    const json_t *disabled = json_object_get(body, "disabled"), *totp = json_object_get(body, "totp");
    if ((disabled != NULL && !json_is_boolean(disabled)) || (totp != NULL && !json_is_false(totp))) {
        api_refuse(call, MOLT_REQUEST_INVALID, "%s",
                   "'disabled' is true or false; 'totp' can only be taken away: false");
        return false;
    }
    *ends = json_is_true(disabled) || json_object_get(body, "password") != NULL || totp != NULL;
    if (disabled != NULL) account->disabled = json_is_true(disabled);
    if (totp != NULL) {
        memset(account->totp, 0, sizeof account->totp);
        memset(account->totp_new, 0, sizeof account->totp_new);
        memset(account->recovery, 0, sizeof account->recovery);
    }
    if (*ends) account->epoch++;
    return read_roles(call, body, account) && read_password(call, body, account);
}

void api_user_patch(struct api_call *call)
{
    struct store_account account;
    bool ends = false;
    json_t *body = api_body(call, "password roles disabled totp");
    if (body == NULL) return;
    int rc = store_account_find(call->api->store, call->id, &account);
    const bool ok = rc == 0 && apply(call, body, &account, &ends);
    json_decref(body);
    if (rc == 0 && !ok) return;
    if (rc == 0) rc = store_account_save(call->api->store, &account);
    if (rc < 0) {
        refuse_user(call, rc);
        return;
    }
    uint32_t ended;
    if (ends) (void)sessions_end_account(call->api->store, account.id, &ended);
    reply_user(call, 200, &account);
}

void api_user_delete(struct api_call *call)
{
    struct store_account account;
    int rc = store_account_find(call->api->store, call->id, &account);
    if (rc == 0) rc = store_account_delete(call->api->store, call->id);
    if (rc < 0) {
        refuse_user(call, rc);
        return;
    }
    uint32_t ended;
    (void)sessions_end_account(call->api->store, account.id, &ended);
    api_reply(call, 200, json_pack("{s:s}", "deleted", account.name));
}
