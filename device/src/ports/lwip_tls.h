/* lwip_tls.h - TLS 1.2 by BearSSL for the lwIP port, in as little RAM as it can be had: records of 512 bytes
 * where the server agrees, ECDHE with ECDSA or RSA certificates, AES-GCM or ChaCha20, one session kept for
 * the next connection. Compiled when MOLT_WITH_LWIP and MOLT_WITH_BEARSSL are defined.
 *
 *     static struct molt_lwip_tls tls = {.anchors = anchors, .anchor_count = 1, .now_s = unix_time};
 *     molt_lwip_begin(&net, &tls);
 *
 * Tests: test/qemu. */
#ifndef MOLT_PORT_LWIP_TLS_H
#define MOLT_PORT_LWIP_TLS_H

#include <bearssl.h>

#include "lwip.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_TLS_IN_LEN  (512 + 325) /* one record of a server that knows max_fragment_length */
#define MOLT_TLS_OUT_LEN (512 + 85)

/* Above the line: set by the product before the first connection, zeros are usable but for anchors and
 * now_s. */
struct molt_lwip_tls {
    const br_x509_trust_anchor *anchors; /* whom servers must be certified by; must outlive this */
    size_t anchor_count;
    /* Not NULL: the only key that a server may have. Its certificate is then not looked at further:
     * neither names nor dates count, no clock is needed, and anchors are not used. Must outlive this */
    const br_x509_pkey *pinned;
    uint64_t (*now_s)(void); /* seconds since 1970; 0: not known, then no certificate is believed */
    uint32_t (*random)(void);
    /* For servers that do not know max_fragment_length and send larger records: a buffer of
     * BR_SSL_BUFSIZE_INPUT bytes, used from the second connection on. NULL: such servers fail with
     * BR_ERR_TOO_LARGE */
    unsigned char *big;
    size_t big_len;
    bool resumed; /* the last handshake took up the session before it */
    /* ---- private ---- */
    br_ssl_client_context client;
    union {
        br_x509_minimal_context minimal;
        br_x509_knownkey_context known;
    } x509;
    unsigned char in[MOLT_TLS_IN_LEN], out[MOLT_TLS_OUT_LEN];
    char host[MOLT_HOST_MAX + 1]; /* whom the session is with */
    uint16_t port;
    bool use_big;
    unsigned char session[32]; /* the id that was offered */
    uint8_t session_len;
    size_t lent; /* bytes of the record that the agent still looks at */
};

enum molt_tls_state { MOLT_TLS_BUSY, MOLT_TLS_IDLE, MOLT_TLS_CLOSED };

/* Starts a handshake. Returns 0 or -MOLT_TLS. */
int molt_lwip_tls_begin(struct molt_lwip_tls *tls, const char *host, uint16_t port);
/* Moves records between engine and wire. BUSY: something moved; IDLE: nothing to do; CLOSED: over. */
enum molt_tls_state molt_lwip_tls_run(struct molt_lwip_tls *tls, struct molt_lwip *net);
bool molt_lwip_tls_is_open(struct molt_lwip_tls *tls);     /* the handshake is done */
int molt_lwip_tls_reason(const struct molt_lwip_tls *tls); /* MOLT_TLS or, closer, why the handshake failed */
bool molt_lwip_tls_ended_well(struct molt_lwip_tls *tls);  /* the peer said that it has sent all */
size_t molt_lwip_tls_send(struct molt_lwip_tls *tls, const void *data, size_t len);
const uint8_t *molt_lwip_tls_lend(struct molt_lwip_tls *tls, size_t *len);
void molt_lwip_tls_return(struct molt_lwip_tls *tls); /* what was lent */

#ifdef __cplusplus
}
#endif
#endif
