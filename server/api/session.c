/* session.c - logging in and out of the dashboard, and what changes as events. POST /session turns a name and password, or the
 * token of its Authorization header, into a cookie that scripts cannot read. Must never put a token into an answer.
 * Tests: test/unit/sessions_test.c, test/unit/api_login_test.c, test/dash. */
#include "login.h"

#include <stdio.h>
#include <string.h>

#include "molt_reason.h"
#include "server/access/oidc.h"
#include "server/access/throttle.h"

/* server/admin.c reads it. No Path: the folder of this route, whatever a proxy puts before it. */
#define COOKIE "molt_session"

static void set_cookie(struct api_call *call, const char *value, int64_t age_ms)
{
    snprintf(call->response->set_cookie, sizeof call->response->set_cookie,
             COOKIE "=%s; Max-Age=%d; HttpOnly; SameSite=Strict%s", value, (int)(age_ms / 1000),
             call->request->secure ? "; Secure" : "");
}

/* What the page needs to know of who looks at it; nulls: nobody is logged in. */
static void reply_session(struct api_call *call, int status, const struct session *session)
{
    struct store_rules rules;
    uint32_t users = 0;
    const bool is = session->csrf[0] != '\0';
    int rc = store_load_rules(call->api->store, &rules);
    if (rc < 0) {
        api_refuse_store(call, rc, "");
        return;
    }
    (void)store_account_count(call->api->store, &users);
    const char *name = call->who.name;
    json_t *user =
        is && call->who.account_id != 0 ? json_string(name + sizeof "user" /* and a space */) : json_null();
    json_t *json = json_pack("{s:o, s:o, s:o, s:o, s:o, s:b, s:b}", "csrf",
                             is ? json_string(session->csrf) : json_null(), "since_ms",
                             is ? json_integer(session->since_ms) : json_null(), "who",
                             is ? json_string(name) : json_null(), "user", user, "roles",
                             is ? roles_json(call->who.grants, call->who.grant_count, &rules) : json_array(),
                             "users", users > 0, "oidc", call->api->oidc != NULL);
    store_free_rules(&rules);
    api_reply(call, status, json);
}

/* Open, so that a page can ask whether to log in without an error. */
void api_session_get(struct api_call *call)
{
    static const struct session none;
    bool found = api_session_find(call) == 0;
    reply_session(call, 200, found ? &call->session : &none);
}

static void begin(struct api_call *call, const struct session *whose)
{
    char cookie[SESSIONS_KEY_LEN];
    int rc = sessions_begin(call->api->store, whose, api_now_ms(), cookie, &call->session);
    if (rc < 0) {
        api_refuse_store(call, rc, rc == -MOLT_INTERNAL ? "the system gave no random numbers" : "");
        return;
    }
    reply_session(call, 201, &call->session);
    set_cookie(call, cookie, SESSIONS_IDLE_MS);
}

static void begin_of_account(struct api_call *call, const struct store_account *account)
{
    struct session whose = {.account_id = account->id, .epoch = account->epoch};
    if (who_by_account(call->api->store, account->id, account->epoch, &call->who) < 0)
        api_refuse(call, MOLT_WRONG_PASSWORD, "%s", "");
    else
        begin(call, &whose);
}

static void lower(const char *name, char out[STORE_ACCOUNT_LEN])
{
    size_t i;
    for (i = 0; i + 1 < STORE_ACCOUNT_LEN && name[i] != '\0'; i++)
        out[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]);
    out[i] = '\0';
}

#define NO_PROVIDER "this server has no OpenID provider: molt serve --oidc-issuer"

/* Where the browser goes to log in. Open: whoever asks gets an address of the provider, and no more; and not so often that it pushes
 * out the logins of others, or lets us ask the provider all the time. */
void api_session_oidc(struct api_call *call)
{
    char url[OIDC_URL_LEN], state[OIDC_STATE_LEN], why[OIDC_WHY_LEN];
    const char *redirect = "";
    if (call->api->oidc == NULL) {
        api_refuse(call, MOLT_NOT_FOUND, "%s", NO_PROVIDER);
        return;
    }
    const char *from = call->request->from != NULL ? call->request->from : "";
    if (call->api->logins != NULL && !throttle_take(call->api->logins, from, api_now_ms())) {
        api_refuse(call, MOLT_TOO_MANY_TRIES, "%s", "from this address");
        return;
    }
    json_t *body = api_body(call, "redirect");
    if (body == NULL) return;
    if (api_body_text(call, body, "redirect", 400, &redirect) == 0) {
        int rc = oidc_begin(call->api->oidc, redirect, api_now_ms(), url, state, why);
        if (rc == 0)
            api_reply(call, 200, json_pack("{s:s, s:s}", "url", url, "state", state));
        else
            api_refuse_status(call, rc == -MOLT_ARG ? 400 : 502, -rc, why);
    }
    json_decref(body);
}

/* Who the provider says it is must be a user here; what he may, and whether he may at all, is ours. */
static void begin_by_oidc(struct api_call *call, const char *state, const char *code)
{
    struct store_account account;
    char name[STORE_ACCOUNT_LEN], why[OIDC_WHY_LEN];
    if (call->api->oidc == NULL) {
        api_refuse(call, MOLT_NOT_FOUND, "%s", NO_PROVIDER);
        return;
    }
    int rc = oidc_finish(call->api->oidc, state, code, api_now_ms(), name, why);
    if (rc < 0) {
        api_refuse_status(call, rc == -MOLT_UNAUTHORIZED ? 401 : 502, -rc, why);
        return;
    }
    rc = store_account_find(call->api->store, name, &account);
    if (rc < 0 || account.disabled) {
        api_refuse(call, MOLT_FORBIDDEN, "no user here is called %s; an admin can make one", name);
        return;
    }
    snprintf(call->who.name, sizeof call->who.name, "user %s", account.name);
    account.login_ms = api_now_ms();
    (void)store_account_save(call->api->store, &account); /* only the time: it may lose */
    begin_of_account(call, &account);
}

static void begin_by_body(struct api_call *call)
{
    struct store_account account;
    char lowered[STORE_ACCOUNT_LEN];
    const char *name = "", *password = "", *code = "", *state = "";
    json_t *body = api_body(call, "name password code state");
    if (body == NULL) return;
    if (json_object_get(body, "state") != NULL) {
        if (api_body_text(call, body, "state", OIDC_STATE_LEN, &state) == 0 &&
            api_body_text(call, body, "code", 2000, &code) == 0)
            begin_by_oidc(call, state, code);
        json_decref(body);
        return;
    }
    if (api_body_text(call, body, "name", STORE_ACCOUNT_LEN - 1, &name) == 0 &&
        api_body_text(call, body, "password", 4 * 128, &password) == 0 &&
        api_body_text(call, body, "code", 40, &code) == 0) {
        lower(name, lowered);
        snprintf(call->who.name, sizeof call->who.name, "user %s",
                 store_account_name_ok(lowered) ? lowered : "?");
        if (login_check(call, lowered, password, code, &account)) begin_of_account(call, &account);
    }
    json_decref(body);
}

/* Open, because it is the door: it looks for itself. */
void api_session_begin(struct api_call *call)
{
    struct session whose = {.token = {0}};
    const char *token = call->request->token;
    if (!call->api->sessions) {
        api_refuse(call, MOLT_NOT_FOUND, "%s", "only a running server has sessions");
        return;
    }
    if (token != NULL && call->request->body_len > 0) {
        api_refuse(call, MOLT_REQUEST_INVALID, "%s", "a token and a body: send one of the two");
        return;
    }
    if (token == NULL && call->request->body_len > 0) {
        begin_by_body(call);
        return;
    }
    if (token == NULL || who_by_token(call->api->store, token, &call->who) < 0 ||
        store_token_hash(token, whose.token) < 0) {
        api_refuse(call, MOLT_UNAUTHORIZED, "%s",
                   "send 'name' and 'password', or 'Authorization: Bearer TOKEN'");
        return;
    }
    begin(call, &whose);
}

void api_session_end(struct api_call *call)
{
    int rc = call->has_session ? sessions_end(call->api->store, call->request->cookie) : 0;
    if (rc < 0) {
        api_refuse_store(call, rc, "you are still logged in");
        return;
    }
    set_cookie(call, "", 0);
    api_reply(call, 200, json_pack("{s:b}", "ended", call->has_session));
}

void api_events(struct api_call *call)
{
    if (!call->api->hooks.live) {
        api_refuse(call, MOLT_NOT_FOUND, "%s", "only a running server tells of changes");
        return;
    }
    call->response->status = 200;
    call->response->watches = true;
    call->response->coarse = !api_sees_all(call);
}
