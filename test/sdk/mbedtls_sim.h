/* mbedtls_sim.h - a TLS client by the real mbedTLS over a real socket, for the simulated SDKs of the ESP32. */
#ifndef SDK_MBEDTLS_SIM_H
#define SDK_MBEDTLS_SIM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sdk_mbedtls;

/* How a server is believed: a PEM (pem_len with its NUL), or what attach does to the configuration; one of them. */
struct sdk_mbedtls_trust {
    const unsigned char *pem;
    size_t pem_len;
    int (*attach)(void *conf);
    unsigned limit_ms; /* of the handshake */
};

/* The handshake, on a connected socket. *error is 0 or, when it failed, mbedTLS's number; then nothing can be done
 * with what comes back but to look at its context, and to close it. NULL: no memory. The socket is the caller's. */
struct sdk_mbedtls *sdk_mbedtls_open(int fd, const char *host, const struct sdk_mbedtls_trust *trust,
                                     int *error);
/* Its mbedtls_ssl_context. */
void *sdk_mbedtls_context(struct sdk_mbedtls *tls);
/* As mbedtls_ssl_read() and _write() on that socket. */
ssize_t sdk_mbedtls_read(struct sdk_mbedtls *tls, void *data, size_t len);
ssize_t sdk_mbedtls_write(struct sdk_mbedtls *tls, const void *data, size_t len);
size_t sdk_mbedtls_available(struct sdk_mbedtls *tls);
/* Takes in what has come. Negative: the connection is over. */
int sdk_mbedtls_poll(struct sdk_mbedtls *tls);
void sdk_mbedtls_close(struct sdk_mbedtls *tls);

#ifdef __cplusplus
}
#endif
#endif
