/* session.c - logging in and out of the dashboard, and what changes as events. POST /session turns the token of its
 * Authorization header into a cookie that scripts cannot read. Must never put a token into an answer.
 * Tests: test/unit/sessions_test.c, test/dash. */
#include "call.h"

#include <stdio.h>
#include <string.h>

#include "molt_reason.h"

/* server/admin.c reads it. No Path: the folder of this route, whatever a proxy puts before it. */
#define COOKIE "molt_session"

static void reply_session(struct api_call *call, int status, const struct session *session)
{
    bool has = session->csrf[0] != '\0';
    api_reply(call, status,
              json_pack("{s:o, s:o}", "csrf", has ? json_string(session->csrf) : json_null(), "since_ms",
                        has ? json_integer(session->since_ms) : json_null()));
}

/* Open, so that a page can ask whether to log in without an error. */
void api_session_get(struct api_call *call)
{
    static const struct session none;
    bool found = api_session_find(call);
    reply_session(call, 200, found ? &call->session : &none);
}

void api_session_begin(struct api_call *call)
{
    char cookie[SESSIONS_KEY_LEN];
    struct session session;
    if (call->api->sessions == NULL || call->request->token == NULL) {
        api_refuse(call, MOLT_REQUEST_INVALID,
                   "a session begins with a token: send 'Authorization: Bearer TOKEN'");
        return;
    }
    if (sessions_begin(call->api->sessions, call->request->token, api_now_ms(), cookie, &session) < 0) {
        api_refuse(call, MOLT_INTERNAL, "%s", "the system gave no random numbers");
        return;
    }
    reply_session(call, 201, &session);
    snprintf(call->response->set_cookie, sizeof call->response->set_cookie,
             COOKIE "=%s; Max-Age=%d; HttpOnly; SameSite=Strict%s", cookie, (int)(SESSIONS_IDLE_MS / 1000),
             call->request->secure ? "; Secure" : "");
}

void api_session_end(struct api_call *call)
{
    if (call->has_session) sessions_end(call->api->sessions, call->request->cookie);
    snprintf(call->response->set_cookie, sizeof call->response->set_cookie,
             COOKIE "=; Max-Age=0; HttpOnly; SameSite=Strict%s", call->request->secure ? "; Secure" : "");
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
}
