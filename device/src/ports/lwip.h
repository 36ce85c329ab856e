/* lwip.h - runs an agent over lwIP's raw API: no threads, nothing blocks. Compiled when MOLT_WITH_LWIP is
 * defined; with MOLT_WITH_BEARSSL too, https works as well (lwip_tls.h).
 *
 *     molt_lwip_begin(&net, NULL);
 *     molt_agent_begin(&agent, &config);
 *     for (;;) {
 *         poll_the_network_card_and_lwip_timeouts();
 *         if (!molt_lwip_step(&net, &agent, now_ms(), &want)) sleep_until_something_happens();
 *         if (want.kind == MOLT_WANT_RESTART) restart();
 *     }
 *
 * All of it must be called in the context that lwIP runs in. Needs LWIP_TCP, LWIP_DNS and
 * LWIP_CALLBACK_API. Tests: test/qemu. */
#ifndef MOLT_PORT_LWIP_H
#define MOLT_PORT_LWIP_H

#include "../agent/agent.h"

#include <lwip/ip_addr.h>
#include <lwip/pbuf.h>
#include <lwip/tcp.h>

#ifdef __cplusplus
extern "C" {
#endif

struct molt_lwip_tls; /* lwip_tls.h */

/* Caller-allocated, must not move: lwIP's callbacks point to it. Above the line: may be read. */
struct molt_lwip {
    err_t tcp_err;      /* lwIP's code behind the last MOLT_CONNECT or MOLT_CONNECTION_LOST */
    int tls_err;        /* BearSSL's code behind the last MOLT_TLS..., or MOLT_CONNECTION_LOST with https */
    uint64_t opened_ms; /* when the open connection was asked for */
    /* ---- private ---- */
    struct molt_lwip_tls *tls; /* NULL: https cannot be had */
    struct tcp_pcb *pcb;       /* NULL: closed, or gone with tcp_err */
    struct pbuf *received;     /* bytes that the agent has not seen; the first `taken` of them it has */
    u16_t taken;               /* of the first pbuf */
    u16_t lent;                /* bytes that the agent still looks at */
    uint8_t naming;            /* DNS: asked, answered, failed */
    ip_addr_t address;
    uint16_t port;
    bool pending, connected, peer_closed, use_tls;
};

/* tls: how https is spoken, NULL: not at all. Must outlive net. */
void molt_lwip_begin(struct molt_lwip *net, struct molt_lwip_tls *tls);

/* One step of the agent, or of what it waits for. Returns true when more can be done at once, false when
 * only the network, the clock or a restart (want->kind) can go on. want: what is wanted now; kept by the
 * caller between calls, zeroed before the first. */
bool molt_lwip_step(struct molt_lwip *net, struct molt_agent *agent, uint64_t now_ms, struct molt_want *want);

/* ---- for lwip_tls.c: the wire below TLS ---- */

/* The bytes that came and were not taken, or NULL: none yet. */
const uint8_t *molt_lwip_peek(struct molt_lwip *net, size_t *len);
void molt_lwip_take(struct molt_lwip *net, size_t len);
/* Queues what fits of len bytes and returns how many, 0: none fits now. */
size_t molt_lwip_put(struct molt_lwip *net, const void *data, size_t len);

#ifdef __cplusplus
}
#endif
#endif
