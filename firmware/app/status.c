/* status.c - a page on port 80 that says how the device stands. Must never hold a connection: it answers
 * whatever is asked and closes. Tests: test/qemu. */
#include <lwip/tcp.h>
#include <stdio.h>

#include "app.h"

static const struct molt_agent *shown;

static err_t answer(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    char page[384];
    (void)arg;
    (void)err;
    if (p != NULL) {
        tcp_recved(pcb, p->tot_len);
        pbuf_free(p);
        int len =
            snprintf(page, sizeof page,
                     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
                     "product %s\nversion %s\ncode %lu\non-trial %d\nlast %s\nbytes %lu of %lu\n",
                     app_identity.product, app_identity.version, (unsigned long)app_identity.code,
                     shown->on_trial, shown->last_reason != 0 ? molt_reason_id(shown->last_reason) : "none",
                     (unsigned long)shown->received, (unsigned long)shown->file_len);
        if (len > 0 && (size_t)len < sizeof page) (void)tcp_write(pcb, page, (u16_t)len, TCP_WRITE_FLAG_COPY);
    }
    tcp_recv(pcb, NULL);
    if (tcp_close(pcb) == ERR_OK) return ERR_OK;
    tcp_abort(pcb);
    return ERR_ABRT;
}

static err_t accepted(void *arg, struct tcp_pcb *pcb, err_t err)
{
    (void)arg;
    if (err != ERR_OK || pcb == NULL) return ERR_VAL;
    tcp_recv(pcb, answer);
    return ERR_OK;
}

void app_status_begin(const struct molt_agent *agent)
{
    shown = agent;
    struct tcp_pcb *pcb = tcp_new();
    if (pcb == NULL || tcp_bind(pcb, IP_ADDR_ANY, 80) != ERR_OK) return;
    struct tcp_pcb *listening = tcp_listen(pcb);
    if (listening != NULL) tcp_accept(listening, accepted);
}
