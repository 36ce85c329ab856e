/* lwipopts.h - what of lwIP the firmware uses, and with how much RAM. */
#ifndef MOLT_LWIPOPTS_H
#define MOLT_LWIPOPTS_H

#include <stdint.h>

#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_SOCKET          0
#define LWIP_NETCONN         0
#define LWIP_IPV6            0
#define LWIP_DHCP            1
#define LWIP_DNS             1
#define LWIP_RAW             0
#define LWIP_STATS           0
#define IP_REASSEMBLY        0
#define IP_FRAG              0
#define LWIP_NOASSERT        1 /* their texts cost 4 KB of RAM on an ESP8266 */
#define DHCP_DOES_ARP_CHECK  0 /* costs a second at every start */
#define DNS_MAX_NAME_LENGTH  128

/* The time: any port, for a server that need not be root; an answer must repeat what only the asked one
 * has seen. */
extern uint16_t net_sntp_port;
void net_time_is(uint32_t since_1970);
#define SNTP_SERVER_DNS         0
#define SNTP_PORT               net_sntp_port
#define SNTP_STARTUP_DELAY      0
#define SNTP_CHECK_RESPONSE     2
#define SNTP_RETRY_TIMEOUT      2000
#define SNTP_SET_SYSTEM_TIME(s) net_time_is(s)
#define SNTP_GET_SYSTEM_TIME(s, us)                                                                          \
    do {                                                                                                     \
        (s) = board_random();                                                                                \
        (us) = board_random() % 1000000u;                                                                    \
    } while (0)

#define MEM_ALIGNMENT           4
#define MEM_SIZE                4096
#define PBUF_POOL_SIZE          5
#define PBUF_POOL_BUFSIZE       1536
#define MEMP_NUM_TCP_PCB        4
#define MEMP_NUM_TCP_PCB_LISTEN 1
#define MEMP_NUM_UDP_PCB        4
#define MEMP_NUM_SYS_TIMEOUT    (LWIP_NUM_SYS_TIMEOUT_INTERNAL + 2)
#define MEMP_NUM_TCP_SEG        12
#define TCP_MSS                 1460
#define TCP_WND                 (3 * TCP_MSS)
#define TCP_SND_BUF             (2 * TCP_MSS)

#endif
