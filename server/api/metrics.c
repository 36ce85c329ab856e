/* metrics.c - GET /metrics, /healthz and /readyz: for machines that watch the server. Must never ask for a token where a load balancer
 * has none, nor tell it more than yes or no and why. Tests: test/unit/api_test.c, test/e2e/metrics_test.py. */
#include "call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "molt_reason.h"

static void answer(struct api_call *call, int status, char *text, size_t len, const char *type)
{
    if (text == NULL) {
        api_refuse(call, MOLT_NO_MEMORY, "%s", "");
        return;
    }
    call->response->status = status;
    call->response->body = text;
    call->response->body_len = len;
    call->response->content_type = type;
}

static void answer_line(struct api_call *call, int status, const char *line)
{
    answer(call, status, strdup(line), strlen(line), "text/plain; charset=utf-8");
}

void api_metrics(struct api_call *call)
{
    const struct api_hooks *hooks = &call->api->hooks;
    size_t len = 0;
    if (hooks->metrics == NULL) {
        api_refuse(call, MOLT_NOT_FOUND, "%s", "only a running server knows this");
        return;
    }
    char *text = hooks->metrics(hooks->ctx, &len);
    answer(call, 200, text, len, "text/plain; version=0.0.4; charset=utf-8");
}

/* It answers: that is all. */
void api_healthz(struct api_call *call)
{
    answer_line(call, 200, "ok\n");
}

void api_readyz(struct api_call *call)
{
    const struct api_hooks *hooks = &call->api->hooks;
    const char *why = hooks->not_ready != NULL ? hooks->not_ready(hooks->ctx) : NULL;
    char line[120];
    if (why == NULL) {
        answer_line(call, 200, "ready\n");
        return;
    }
    (void)snprintf(line, sizeof line, "not ready: %s\n", why);
    answer_line(call, 503, line);
}
