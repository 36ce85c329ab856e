/* account.c - what somebody who is logged in does with his own account: password, second factor, ending all sessions.
 * Each change asks for the password again, so that an open page is not enough. Tests: test/unit/api_login_test.c. */
#include "login.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "molt_reason.h"
#include "server/access/totp.h"

/* The caller's account. False after replying. */
static bool load(struct api_call *call, struct store_account *account)
{
    if (call->who.account_id == 0) {
        api_refuse(call, MOLT_NOT_FOUND, "%s",
                   "a token has no account of its own: log in with a name and password");
        return false;
    }
    int rc = store_account_get(call->api->store, call->who.account_id, account);
    if (rc < 0) api_refuse_store(call, rc, "the account is gone");
    return rc == 0;
}

static void reply_account(struct api_call *call, const struct store_account *account)
{
    struct store_rules rules;
    int rc = store_load_rules(call->api->store, &rules);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    uint32_t sessions;
    (void)sessions_count_account(call->api->store, account->id, api_now_ms(), &sessions);
    api_reply(call, 200,
              json_pack("{s:s, s:o, s:b, s:I, s:I, s:I}", "name", account->name, "roles",
                        roles_json(account->grants, account->grant_count, &rules), "totp",
                        totp_is_on(account->totp), "recovery_left",
                        (json_int_t)recovery_left(account->recovery), "sessions", (json_int_t)sessions,
                        "created_ms", (json_int_t)account->created_ms));
    store_free_rules(&rules);
}

void api_account_get(struct api_call *call)
{
    struct store_account account;
    if (load(call, &account)) reply_account(call, &account);
}

/* Saves, and answers when that fails. */
static bool save(struct api_call *call, struct store_account *account)
{
    int rc = store_account_save(call->api->store, account);
    if (rc < 0) api_refuse_store(call, rc, "");
    return rc == 0;
}

/* A body whose 'password' is right; NULL after replying. */
static json_t *proved_body(struct api_call *call, const char *fields, struct store_account *account)
{
    const char *password = "";
    if (!load(call, account)) return NULL;
    json_t *body = api_body(call, fields);
    if (body != NULL && api_body_text(call, body, "password", 4 * 128, &password) == 0 &&
        login_password_again(call, account, password))
        return body;
    json_decref(body);
    return NULL;
}

/* All other sessions end. */
void api_account_password(struct api_call *call)
{
    struct store_account account;
    const char *wanted = "";
    json_t *body = proved_body(call, "password new_password", &account);
    if (body == NULL) return;
    bool ok = api_body_text(call, body, "new_password", 4 * 128, &wanted) == 0 &&
              login_set_password(call, &account, wanted);
    json_decref(body);
    account.epoch++;
    if (!ok || !save(call, &account)) return;
    if (call->has_session) (void)sessions_renew(call->api->store, call->request->cookie, account.epoch);
    reply_account(call, &account);
}

/* The secret is shown now and never again; it counts when a code of it was given. */
void api_account_totp_begin(struct api_call *call)
{
    struct store_account account;
    char secret[TOTP_SECRET_LEN], url[TOTP_URL_LEN];
    json_t *body = proved_body(call, "password", &account);
    if (body == NULL) return;
    json_decref(body);
    if (totp_is_on(account.totp)) {
        api_refuse(call, MOLT_STATE, "%s", "there is a second factor already; take it away first");
        return;
    }
    if (!totp_new(account.totp_new)) {
        api_refuse(call, MOLT_INTERNAL, "%s", "the system gave no random numbers");
        return;
    }
    if (!save(call, &account)) return;
    totp_secret(account.totp_new, secret);
    totp_url(account.totp_new, account.name, url);
    api_reply(call, 200, json_pack("{s:s, s:s}", "secret", secret, "url", url));
    OPENSSL_cleanse(secret, sizeof secret);
    OPENSSL_cleanse(url, sizeof url);
}

static void reply_recovery(struct api_call *call, char codes[STORE_RECOVERY_MAX][RECOVERY_CODE_LEN])
{
    json_t *list = json_array();
    for (size_t i = 0; i < STORE_RECOVERY_MAX; i++)
        json_array_append_new(list, json_string(codes[i]));
    api_reply(call, 200, json_pack("{s:o}", "recovery", list));
}

void api_account_totp_confirm(struct api_call *call)
{
    struct store_account account;
    char codes[STORE_RECOVERY_MAX][RECOVERY_CODE_LEN];
    const char *code = "";
    if (!load(call, &account) || login_is_throttled(call, account.name)) return;
    json_t *body = api_body(call, "code");
    if (body == NULL) return;
    bool ok = api_body_text(call, body, "code", 40, &code) == 0;
    if (ok && !totp_check(account.totp_new, code, api_now_ms(), 0, &account.totp_step)) {
        login_note_wrong(call, account.name);
        api_refuse(call, MOLT_REQUEST_INVALID, "%s",
                   "the code is not of the secret that was shown; is the phone's clock right?");
        ok = false;
    }
    json_decref(body);
    if (!ok) return;
    if (!recovery_new(codes, account.recovery)) {
        api_refuse(call, MOLT_INTERNAL, "%s", "the system gave no random numbers");
        return;
    }
    memcpy(account.totp, account.totp_new, sizeof account.totp);
    memset(account.totp_new, 0, sizeof account.totp_new);
    if (save(call, &account)) reply_recovery(call, codes);
    OPENSSL_cleanse(codes, sizeof codes);
}

void api_account_totp_off(struct api_call *call)
{
    struct store_account account;
    json_t *body = proved_body(call, "password", &account);
    if (body == NULL) return;
    json_decref(body);
    memset(account.totp, 0, sizeof account.totp);
    memset(account.totp_new, 0, sizeof account.totp_new);
    memset(account.recovery, 0, sizeof account.recovery);
    if (save(call, &account)) reply_account(call, &account);
}

/* Logs out everywhere, here too. */
void api_account_sessions_end(struct api_call *call)
{
    struct store_account account;
    if (!load(call, &account)) return;
    account.epoch++;
    if (!save(call, &account)) return;
    uint32_t ended; /* with their epoch, whether or not their rows go now */
    (void)sessions_end_account(call->api->store, account.id, &ended);
    api_reply(call, 200, json_pack("{s:I}", "ended", (json_int_t)ended));
}
