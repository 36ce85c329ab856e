/* lwip.c - an agent's network over lwIP's raw API. Must never wait, and never use a pcb after lwIP has
 * freed it. Tests: test/qemu. */
#if defined(MOLT_WITH_LWIP)

#include "lwip.h"

#include <lwip/dns.h>
#include <string.h>

#if defined(MOLT_WITH_BEARSSL)
#include "lwip_tls.h"
#endif

enum { NAME_NONE, NAME_ASKED, NAME_KNOWN, NAME_FAILED };

void molt_lwip_begin(struct molt_lwip *net, struct molt_lwip_tls *tls)
{
    memset(net, 0, sizeof *net);
    net->tls = tls;
}

/* ---- what lwIP calls ---- */

static void on_error(void *arg, err_t err)
{
    struct molt_lwip *net = arg;
    net->pcb = NULL; /* lwIP has freed it */
    net->tcp_err = err;
}

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct molt_lwip *net = arg;
    (void)pcb;
    (void)err;
    if (p == NULL) {
        net->peer_closed = true;
    } else if (net->received == NULL) {
        net->received = p;
        net->taken = 0;
    } else {
        pbuf_cat(net->received, p); /* at most a TCP window of them */
    }
    return ERR_OK;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct molt_lwip *net = arg;
    (void)pcb;
    net->connected = err == ERR_OK;
    return ERR_OK;
}

static void on_name(const char *name, const ip_addr_t *address, void *arg)
{
    struct molt_lwip *net = arg;
    (void)name;
    if (net->naming != NAME_ASKED) return;
    net->naming = address != NULL ? NAME_KNOWN : NAME_FAILED;
    if (address != NULL) net->address = *address;
}

/* ---- the wire ---- */

static void disconnect(struct molt_lwip *net)
{
    if (net->pcb != NULL) {
        tcp_arg(net->pcb, NULL);
        tcp_recv(net->pcb, NULL);
        tcp_err(net->pcb, NULL);
        if (net->received != NULL || tcp_close(net->pcb) != ERR_OK) tcp_abort(net->pcb);
    }
    if (net->received != NULL) pbuf_free(net->received);
    net->pcb = NULL;
    net->received = NULL;
    net->lent = 0;
    net->naming = NAME_NONE;
    net->connected = net->peer_closed = net->use_tls = false;
}

const uint8_t *molt_lwip_peek(struct molt_lwip *net, size_t *len)
{
    if (net->received == NULL) return NULL;
    *len = (size_t)(net->received->len - net->taken);
    return (const uint8_t *)net->received->payload + net->taken;
}

void molt_lwip_take(struct molt_lwip *net, size_t len)
{
    struct pbuf *first = net->received;
    net->taken = (u16_t)(net->taken + len);
    if (net->pcb != NULL) tcp_recved(net->pcb, (u16_t)len);
    if (net->taken < first->len) return;
    net->received = first->next;
    net->taken = 0;
    if (net->received != NULL) pbuf_ref(net->received);
    pbuf_free(first);
}

size_t molt_lwip_put(struct molt_lwip *net, const void *data, size_t len)
{
    if (net->pcb == NULL) return 0;
    size_t room = tcp_sndbuf(net->pcb);
    if (len > room) len = room;
    if (len == 0 || tcp_write(net->pcb, data, (u16_t)len, TCP_WRITE_FLAG_COPY) != ERR_OK) return 0;
    (void)tcp_output(net->pcb);
    return len;
}

/* ---- connecting ---- */

static bool fail(struct molt_lwip *net, struct molt_agent *agent, int reason)
{
    net->pending = false;
    molt_agent_failed(agent, reason);
    return true;
}

static bool done(struct molt_lwip *net)
{
    net->pending = false;
    return true;
}

static int open_tcp(struct molt_lwip *net)
{
    net->naming = NAME_NONE;
    net->pcb = tcp_new();
    if (net->pcb == NULL) return MOLT_CONNECT;
    tcp_arg(net->pcb, net);
    tcp_err(net->pcb, on_error);
    tcp_recv(net->pcb, on_received);
    net->tcp_err = tcp_connect(net->pcb, &net->address, net->port, on_connected);
    if (net->tcp_err == ERR_OK) return 0;
    disconnect(net);
    return MOLT_CONNECT;
}

static bool connect_begin(struct molt_lwip *net, struct molt_agent *agent, const struct molt_want *want)
{
    disconnect(net);
    net->tcp_err = ERR_OK;
    net->tls_err = 0;
    net->port = want->port;
    net->use_tls = want->tls;
    if (want->tls && net->tls == NULL) return fail(net, agent, MOLT_TLS);
#if defined(MOLT_WITH_BEARSSL)
    if (want->tls && molt_lwip_tls_begin(net->tls, want->host, want->port) < 0)
        return fail(net, agent, MOLT_TLS);
#else
    if (want->tls) return fail(net, agent, MOLT_TLS);
#endif
    net->naming = NAME_ASKED;
    err_t err = dns_gethostbyname(want->host, &net->address, on_name, net);
    if (err == ERR_OK) net->naming = NAME_KNOWN;
    if (err != ERR_OK && err != ERR_INPROGRESS) net->naming = NAME_FAILED;
    return true;
}

#if defined(MOLT_WITH_BEARSSL)
static bool secure(struct molt_lwip *net, struct molt_agent *agent)
{
    enum molt_tls_state state = molt_lwip_tls_run(net->tls, net);
    if (molt_lwip_tls_is_open(net->tls)) {
        molt_agent_connected(agent);
        return done(net);
    }
    if (state == MOLT_TLS_BUSY) return true;
    if (state == MOLT_TLS_IDLE && net->pcb != NULL && !net->peer_closed) return false;
    net->tls_err = br_ssl_engine_last_error(&net->tls->client.eng);
    disconnect(net);
    return fail(net, agent, molt_lwip_tls_reason(net->tls));
}
#endif

static bool connect_go_on(struct molt_lwip *net, struct molt_agent *agent)
{
    if (net->naming == NAME_ASKED) return false;
    if (net->naming == NAME_FAILED) return fail(net, agent, MOLT_DNS);
    if (net->naming == NAME_KNOWN) {
        int reason = open_tcp(net);
        return reason == 0 ? false : fail(net, agent, reason);
    }
    if (net->pcb == NULL) return fail(net, agent, net->connected ? MOLT_CONNECTION_LOST : MOLT_CONNECT);
    if (!net->connected) return false;
#if defined(MOLT_WITH_BEARSSL)
    if (net->use_tls) return secure(net, agent);
#endif
    molt_agent_connected(agent);
    return done(net);
}

/* ---- sending and receiving ---- */

static bool send_some(struct molt_lwip *net, struct molt_agent *agent, const struct molt_want *want)
{
    size_t sent = 0;
    if (net->pcb == NULL) return fail(net, agent, MOLT_CONNECTION_LOST);
#if defined(MOLT_WITH_BEARSSL)
    if (net->use_tls) {
        if (molt_lwip_tls_run(net->tls, net) == MOLT_TLS_CLOSED)
            return fail(net, agent, MOLT_CONNECTION_LOST);
        sent = molt_lwip_tls_send(net->tls, want->data, want->len);
        (void)molt_lwip_tls_run(net->tls, net);
    } else
#endif
        sent = molt_lwip_put(net, want->data, want->len);
    if (sent == 0) return false;
    molt_agent_sent(agent, sent);
    return done(net);
}

static bool nothing_more(struct molt_lwip *net, struct molt_agent *agent)
{
    if (net->pcb == NULL) return fail(net, agent, MOLT_CONNECTION_LOST);
    if (!net->peer_closed) return false;
    molt_agent_closed(agent);
    return done(net);
}

/* The agent reads where the bytes lie; they are taken when it asks for more. */
static void take_back(struct molt_lwip *net)
{
#if defined(MOLT_WITH_BEARSSL)
    if (net->use_tls && net->tls != NULL) molt_lwip_tls_return(net->tls);
#endif
    if (net->lent > 0) molt_lwip_take(net, net->lent);
    net->lent = 0;
}

#if defined(MOLT_WITH_BEARSSL)
static bool receive_tls(struct molt_lwip *net, struct molt_agent *agent)
{
    enum molt_tls_state state = molt_lwip_tls_run(net->tls, net);
    size_t len = 0;
    const uint8_t *data = molt_lwip_tls_lend(net->tls, &len);
    if (data != NULL) {
        molt_agent_received(agent, data, len);
        return done(net);
    }
    if (state == MOLT_TLS_BUSY) return true;
    if (state == MOLT_TLS_CLOSED && molt_lwip_tls_ended_well(net->tls)) {
        molt_agent_closed(agent);
        return done(net);
    }
    if (state != MOLT_TLS_CLOSED && net->pcb != NULL && !net->peer_closed) return false;
    net->tls_err = br_ssl_engine_last_error(&net->tls->client.eng);
    return fail(net, agent, MOLT_CONNECTION_LOST); /* without the peer's goodbye the end may be anyone's */
}
#endif

static bool receive_some(struct molt_lwip *net, struct molt_agent *agent)
{
    size_t len = 0;
    take_back(net);
#if defined(MOLT_WITH_BEARSSL)
    if (net->use_tls) return receive_tls(net, agent);
#endif
    const uint8_t *data = molt_lwip_peek(net, &len);
    if (data == NULL) return nothing_more(net, agent);
    net->lent = (u16_t)len;
    molt_agent_received(agent, data, len);
    return done(net);
}

/* ---- the loop's body ---- */

static bool begin(struct molt_lwip *net, struct molt_agent *agent, uint64_t now_ms, struct molt_want *want)
{
    molt_agent_step(agent, now_ms, want);
    switch (want->kind) {
    case MOLT_WANT_CONNECT:
        net->pending = true;
        net->opened_ms = now_ms;
        return connect_begin(net, agent, want);
    case MOLT_WANT_SEND:
    case MOLT_WANT_RECEIVE:
        net->pending = true;
        return true;
    case MOLT_WANT_CLOSE:
        disconnect(net);
        return true;
    case MOLT_WANT_STEP:
        return true;
    case MOLT_WANT_WAIT:
    case MOLT_WANT_RESTART:
        break;
    }
    return false;
}

bool molt_lwip_step(struct molt_lwip *net, struct molt_agent *agent, uint64_t now_ms, struct molt_want *want)
{
    if (want->kind == MOLT_WANT_WAIT && !net->pending && now_ms < want->until_ms &&
        now_ms < agent->next_check_ms)
        return false;
    if (!net->pending) return begin(net, agent, now_ms, want);
    if (now_ms >= want->until_ms) return fail(net, agent, MOLT_TIMEOUT);
    if (want->kind == MOLT_WANT_CONNECT) return connect_go_on(net, agent);
    if (want->kind == MOLT_WANT_SEND) return send_some(net, agent, want);
    return receive_some(net, agent);
}

#else
typedef int molt_lwip_not_built_here;
#endif
