/* mbedtls_sim.c - mbedTLS as esp_tls and the ESP32's Arduino core set it up. Must never go on after a certificate that
 * does not check. */
#include "mbedtls_sim.h"

#include <errno.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct sdk_mbedtls {
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config conf;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_x509_crt ca;
    int fd;
};

static int bio_send(void *ctx, const unsigned char *data, size_t len)
{
    const ssize_t n = send(((struct sdk_mbedtls *)ctx)->fd, data, len, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return MBEDTLS_ERR_SSL_WANT_WRITE;
    return n < 0 ? MBEDTLS_ERR_NET_SEND_FAILED : (int)n;
}

static int bio_receive(void *ctx, unsigned char *data, size_t len)
{
    const ssize_t n = recv(((struct sdk_mbedtls *)ctx)->fd, data, len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return MBEDTLS_ERR_SSL_WANT_READ;
    return n < 0 ? MBEDTLS_ERR_NET_RECV_FAILED : (int)n;
}

static int set_up(struct sdk_mbedtls *tls, const char *host, const struct sdk_mbedtls_trust *trust)
{
    int rc = mbedtls_ctr_drbg_seed(&tls->random, mbedtls_entropy_func, &tls->entropy, NULL, 0);
    if (rc == 0)
        rc = mbedtls_ssl_config_defaults(&tls->conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                         MBEDTLS_SSL_PRESET_DEFAULT);
    if (rc != 0) return rc;
    mbedtls_ssl_conf_authmode(&tls->conf, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_rng(&tls->conf, mbedtls_ctr_drbg_random, &tls->random);
    if (trust->attach != NULL) {
        rc = trust->attach(&tls->conf);
    } else {
        rc = mbedtls_x509_crt_parse(&tls->ca, trust->pem, trust->pem_len);
        mbedtls_ssl_conf_ca_chain(&tls->conf, &tls->ca, NULL);
    }
    if (rc == 0) rc = mbedtls_ssl_set_hostname(&tls->ssl, host);
    if (rc == 0) rc = mbedtls_ssl_setup(&tls->ssl, &tls->conf);
    mbedtls_ssl_set_bio(&tls->ssl, tls, bio_send, bio_receive, NULL);
    return rc;
}

/* The socket may be one that waits or not. */
static int handshake(struct sdk_mbedtls *tls, unsigned limit_ms)
{
    for (unsigned waited = 0;;) {
        const int rc = mbedtls_ssl_handshake(&tls->ssl);
        if (rc != MBEDTLS_ERR_SSL_WANT_READ && rc != MBEDTLS_ERR_SSL_WANT_WRITE) return rc;
        struct pollfd wait = {.fd = tls->fd, .events = rc == MBEDTLS_ERR_SSL_WANT_READ ? POLLIN : POLLOUT};
        if (poll(&wait, 1, 100) == 0) waited += 100;
        if (waited >= limit_ms) return MBEDTLS_ERR_SSL_TIMEOUT;
    }
}

struct sdk_mbedtls *sdk_mbedtls_open(int fd, const char *host, const struct sdk_mbedtls_trust *trust,
                                     int *error)
{
    struct sdk_mbedtls *tls = calloc(1, sizeof *tls);
    *error = MBEDTLS_ERR_SSL_ALLOC_FAILED;
    if (tls == NULL) return NULL;
    tls->fd = fd;
    mbedtls_ssl_init(&tls->ssl);
    mbedtls_ssl_config_init(&tls->conf);
    mbedtls_entropy_init(&tls->entropy);
    mbedtls_ctr_drbg_init(&tls->random);
    mbedtls_x509_crt_init(&tls->ca);
    *error = set_up(tls, host, trust);
    if (*error == 0) *error = handshake(tls, trust->limit_ms);
    return tls;
}

void *sdk_mbedtls_context(struct sdk_mbedtls *tls)
{
    return &tls->ssl;
}

ssize_t sdk_mbedtls_read(struct sdk_mbedtls *tls, void *data, size_t len)
{
    const int n = mbedtls_ssl_read(&tls->ssl, data, len);
    return n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY ? 0 : n;
}

ssize_t sdk_mbedtls_write(struct sdk_mbedtls *tls, const void *data, size_t len)
{
    return mbedtls_ssl_write(&tls->ssl, data, len);
}

size_t sdk_mbedtls_available(struct sdk_mbedtls *tls)
{
    return mbedtls_ssl_get_bytes_avail(&tls->ssl);
}

int sdk_mbedtls_poll(struct sdk_mbedtls *tls)
{
    const int rc = mbedtls_ssl_read(&tls->ssl, NULL, 0);
    return rc < 0 && rc != MBEDTLS_ERR_SSL_WANT_READ && rc != MBEDTLS_ERR_SSL_WANT_WRITE ? -1 : 0;
}

void sdk_mbedtls_close(struct sdk_mbedtls *tls)
{
    mbedtls_ssl_free(&tls->ssl);
    mbedtls_ssl_config_free(&tls->conf);
    mbedtls_ctr_drbg_free(&tls->random);
    mbedtls_entropy_free(&tls->entropy);
    mbedtls_x509_crt_free(&tls->ca);
    free(tls);
}
