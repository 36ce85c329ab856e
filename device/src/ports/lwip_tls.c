/* lwip_tls.c - BearSSL's client over the lwIP port. Must never take a certificate that was not checked,
 * nor an end of stream for the end of the data when the peer did not say so. Tests: test/qemu. */
#if defined(MOLT_WITH_LWIP) && defined(MOLT_WITH_BEARSSL)

#include "lwip_tls.h"

#include <string.h>

#include "bearssl_reason.h"

#define DAYS_BEFORE_1970 719528u /* BearSSL counts days from January 1st, 0 AD */
#define DAY_S            86400u

/* Multiplications of 15 bits are the fast ones on the ESP8266, of 31 bits on RISC-V. */
#if defined(__xtensa__)
#define EC        br_ec_p256_m15
#define ECDSA     br_ecdsa_i15_vrfy_asn1
#define RSA_CHECK br_rsa_i15_pkcs1_vrfy
#else
#define EC        br_ec_p256_m31
#define ECDSA     br_ecdsa_i31_vrfy_asn1
#define RSA_CHECK br_rsa_i31_pkcs1_vrfy
#endif

/* Which certificates are believed. */
static void set_up_trust(struct molt_lwip_tls *tls)
{
    br_ssl_engine_context *eng = &tls->client.eng;
    if (tls->pinned == NULL) {
        br_x509_minimal_context *x509 = &tls->x509.minimal;
        br_x509_minimal_init(x509, &br_sha256_vtable, tls->anchors, tls->anchor_count);
        br_x509_minimal_set_hash(x509, br_sha256_ID, &br_sha256_vtable);
        br_x509_minimal_set_ecdsa(x509, &EC, &ECDSA);
        br_x509_minimal_set_rsa(x509, &RSA_CHECK);
        br_ssl_engine_set_x509(eng, &x509->vtable);
        return;
    }
    br_x509_knownkey_context *known = &tls->x509.known;
    if (tls->pinned->key_type == BR_KEYTYPE_RSA) {
        br_x509_knownkey_init_rsa(known, &tls->pinned->key.rsa, BR_KEYTYPE_SIGN);
    } else {
        br_x509_knownkey_init_ec(known, &tls->pinned->key.ec, BR_KEYTYPE_SIGN);
    }
    br_ssl_engine_set_x509(eng, &known->vtable);
}

static void set_up(struct molt_lwip_tls *tls)
{
    static const uint16_t suites[] = {
        BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    };
    br_ssl_engine_context *eng = &tls->client.eng;
    br_ssl_client_zero(&tls->client);
    br_ssl_engine_set_versions(eng, BR_TLS12, BR_TLS12);
    br_ssl_engine_set_suites(eng, suites, sizeof suites / sizeof suites[0]);
    br_ssl_engine_set_ec(eng, &EC);
    br_ssl_engine_set_ecdsa(eng, &ECDSA);
    br_ssl_engine_set_rsavrfy(eng, &RSA_CHECK);
    br_ssl_engine_set_hash(eng, br_sha256_ID, &br_sha256_vtable);
    br_ssl_engine_set_prf_sha256(eng, &br_tls12_sha256_prf);
    br_ssl_engine_set_gcm(eng, &br_sslrec_in_gcm_vtable, &br_sslrec_out_gcm_vtable);
    br_ssl_engine_set_aes_ctr(eng, &br_aes_small_ctr_vtable);
    br_ssl_engine_set_ghash(eng, &br_ghash_ctmul32);
    br_ssl_engine_set_chapol(eng, &br_sslrec_in_chapol_vtable, &br_sslrec_out_chapol_vtable);
    br_ssl_engine_set_chacha20(eng, &br_chacha20_ct_run);
    br_ssl_engine_set_poly1305(eng, &br_poly1305_ctmul32_run);
    set_up_trust(tls);
}

int molt_lwip_tls_begin(struct molt_lwip_tls *tls, const char *host, uint16_t port)
{
    size_t host_len = strlen(host);
    if (host_len > MOLT_HOST_MAX) return -MOLT_TLS;
    bool same = tls->port == port && memcmp(tls->host, host, host_len + 1) == 0;
    if (!same) {
        set_up(tls);
        memcpy(tls->host, host, host_len + 1);
        tls->port = port;
        tls->use_big = false;
    }
    /* A server that sent more than it was asked for gets the big buffer from then on. */
    if (same && tls->big != NULL && br_ssl_engine_last_error(&tls->client.eng) == BR_ERR_TOO_LARGE)
        tls->use_big = true;
    br_ssl_engine_set_buffers_bidi(&tls->client.eng, tls->use_big ? tls->big : tls->in,
                                   tls->use_big ? tls->big_len : sizeof tls->in, tls->out, sizeof tls->out);
    if (tls->pinned == NULL) {
        uint64_t now_s = tls->now_s();
        br_x509_minimal_set_time(&tls->x509.minimal, (uint32_t)(now_s / DAY_S) + DAYS_BEFORE_1970,
                                 (uint32_t)(now_s % DAY_S));
    }
    uint32_t seed[8];
    for (size_t i = 0; i < sizeof seed / sizeof seed[0]; i++)
        seed[i] = tls->random();
    br_ssl_engine_inject_entropy(&tls->client.eng, seed, sizeof seed);
    tls->lent = 0;
    tls->session_len = same ? tls->client.eng.session.session_id_len : 0;
    memcpy(tls->session, tls->client.eng.session.session_id, sizeof tls->session);
    return br_ssl_client_reset(&tls->client, host, same) == 1 ? 0 : -MOLT_TLS;
}

enum molt_tls_state molt_lwip_tls_run(struct molt_lwip_tls *tls, struct molt_lwip *net)
{
    br_ssl_engine_context *eng = &tls->client.eng;
    unsigned state = br_ssl_engine_current_state(eng);
    size_t room, len;
    if ((state & BR_SSL_CLOSED) != 0) return MOLT_TLS_CLOSED;
    if ((state & BR_SSL_SENDREC) != 0) { /* first, so that what we say is not stuck behind what we read */
        const unsigned char *out = br_ssl_engine_sendrec_buf(eng, &len);
        len = molt_lwip_put(net, out, len);
        if (len == 0) return MOLT_TLS_IDLE;
        br_ssl_engine_sendrec_ack(eng, len);
        return MOLT_TLS_BUSY;
    }
    if ((state & BR_SSL_RECVREC) == 0) return MOLT_TLS_IDLE;
    const uint8_t *data = molt_lwip_peek(net, &len);
    if (data == NULL) return MOLT_TLS_IDLE;
    unsigned char *in = br_ssl_engine_recvrec_buf(eng, &room);
    if (len > room) len = room;
    memcpy(in, data, len);
    molt_lwip_take(net, len);
    br_ssl_engine_recvrec_ack(eng, len);
    return MOLT_TLS_BUSY;
}

bool molt_lwip_tls_is_open(struct molt_lwip_tls *tls)
{
    const br_ssl_session_parameters *session = &tls->client.eng.session;
    if ((br_ssl_engine_current_state(&tls->client.eng) & BR_SSL_SENDAPP) == 0) return false;
    tls->resumed = tls->session_len > 0 && tls->session_len == session->session_id_len &&
                   memcmp(tls->session, session->session_id, tls->session_len) == 0;
    return true;
}

int molt_lwip_tls_reason(const struct molt_lwip_tls *tls)
{
    return molt_bearssl_reason(br_ssl_engine_last_error(&tls->client.eng), tls->pinned != NULL);
}

bool molt_lwip_tls_ended_well(struct molt_lwip_tls *tls)
{
    return br_ssl_engine_current_state(&tls->client.eng) == BR_SSL_CLOSED &&
           br_ssl_engine_last_error(&tls->client.eng) == BR_ERR_OK;
}

size_t molt_lwip_tls_send(struct molt_lwip_tls *tls, const void *data, size_t len)
{
    br_ssl_engine_context *eng = &tls->client.eng;
    size_t room;
    if (!molt_lwip_tls_is_open(tls)) return 0;
    unsigned char *out = br_ssl_engine_sendapp_buf(eng, &room);
    if (len > room) len = room;
    memcpy(out, data, len);
    br_ssl_engine_sendapp_ack(eng, len);
    br_ssl_engine_flush(eng, 0);
    return len;
}

const uint8_t *molt_lwip_tls_lend(struct molt_lwip_tls *tls, size_t *len)
{
    if ((br_ssl_engine_current_state(&tls->client.eng) & BR_SSL_RECVAPP) == 0) return NULL;
    const uint8_t *data = br_ssl_engine_recvapp_buf(&tls->client.eng, len);
    tls->lent = *len;
    return data;
}

void molt_lwip_tls_return(struct molt_lwip_tls *tls)
{
    if (tls->lent > 0) br_ssl_engine_recvapp_ack(&tls->client.eng, tls->lent);
    tls->lent = 0;
}

#else
typedef int molt_lwip_tls_not_built_here;
#endif
