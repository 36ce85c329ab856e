/* netif.c - lwIP on the board's network card. Must never keep a frame of the card longer than it takes to
 * copy it. Tests: test/qemu. */
#include "netif.h"

#include <lwip/apps/sntp.h>
#include <lwip/dhcp.h>
#include <lwip/etharp.h>
#include <lwip/init.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>
#include <netif/ethernet.h>
#include <string.h>

#include "boards/board.h"

static struct netif nic;
static uint32_t told_s, told_at_ms;
uint16_t net_sntp_port = LWIP_IANA_PORT_SNTP; /* lwipopts.h */

u32_t sys_now(void)
{
    return (u32_t)board_ms();
}

static err_t send_frame(struct netif *netif, struct pbuf *p)
{
    (void)netif;
    if (p->tot_len > BOARD_FRAME_MAX) return ERR_BUF;
    pbuf_copy_partial(p, board_nic_frame(), p->tot_len, 0);
    board_nic_send(p->tot_len);
    return ERR_OK;
}

static err_t set_up(struct netif *netif)
{
    netif->name[0] = 'e';
    netif->name[1] = 'n';
    netif->mtu = 1500;
    netif->output = etharp_output;
    netif->linkoutput = send_frame;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_LINK_UP;
    return ERR_OK;
}

bool net_begin(const uint8_t mac[6])
{
    lwip_init();
    if (!board_nic_begin(mac)) return false;
    memcpy(nic.hwaddr, mac, 6);
    nic.hwaddr_len = 6;
    if (netif_add(&nic, NULL, NULL, NULL, NULL, set_up, ethernet_input) == NULL) return false;
    netif_set_default(&nic);
    netif_set_up(&nic);
    return dhcp_start(&nic) == ERR_OK;
}

bool net_poll(void)
{
    void *frame;
    bool any = false;
    for (size_t len = board_nic_receive(&frame); len > 0; len = board_nic_receive(&frame)) {
        struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_POOL);
        if (p != NULL) (void)pbuf_take(p, frame, (u16_t)len);
        board_nic_received();
        if (p != NULL && nic.input(p, &nic) != ERR_OK) pbuf_free(p);
        any = true;
    }
    sys_check_timeouts();
    return any;
}

const char *net_address(void)
{
    return dhcp_supplied_address(&nic) ? ip4addr_ntoa(netif_ip4_addr(&nic)) : NULL;
}

void net_ask_time(const char *server, uint16_t port)
{
    ip_addr_t address;
    if (ipaddr_aton(server, &address) == 0) return;
    if (port != 0) net_sntp_port = port;
    sntp_setoperatingmode(SNTP_OPMODE_POLL);
    sntp_setserver(0, &address);
    sntp_init();
}

/* lwIP's time client has an answer (lwipopts.h). */
void net_time_is(uint32_t since_1970)
{
    told_s = since_1970;
    told_at_ms = sys_now();
}

uint32_t net_time_s(void)
{
    return told_s == 0 ? 0 : told_s + (sys_now() - told_at_ms) / 1000u; /* it is told again every hour */
}
