/* idf_tls.c - esp_tls for programs on a PC: TCP, or mbedTLS over it, as ESP-IDF's esp_tls.c does it. Must never connect
 * or wait for bytes under the task watchdog, nor without a bound.
 *
 *     SDK_CHIP_PORT=N SDK_CHIP_TLS_PORT=N SDK_BUNDLE=FILE SDK_CLOCK=unset SDK_OLD_TLS=1
 *
 * Every host is 127.0.0.1. SDK_BUNDLE: what stands for the SDK's bundle of authorities, PEM. SDK_OLD_TLS: it tells what
 * is wrong with a certificate, as before ESP-IDF 5.5. Note in the output: "tls: full", "tls: failed". */
#include <arpa/inet.h>
#include <fcntl.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "mbedtls_sim.h"
#include "sdk_idf.h"
#include "sim_time.h"

/* The chip's clock (-Wl,--wrap=time): SDK_CLOCK=unset is 1970, as after power-on without SNTP. */
time_t __real_time(time_t *out);
time_t __wrap_time(time_t *out);

time_t __wrap_time(time_t *out)
{
    const time_t now = getenv("SDK_CLOCK") != NULL ? 5 : __real_time(NULL);
    if (out != NULL) *out = now;
    return now;
}

struct esp_tls_last_error {
    esp_err_t err;
    int code, flags;
};

struct esp_tls {
    int fd;
    struct sdk_mbedtls *tls;
    struct esp_tls_last_error last;
};

esp_tls_t *esp_tls_init(void)
{
    esp_tls_t *tls = calloc(1, sizeof *tls);
    if (tls != NULL) tls->fd = -1;
    return tls;
}

void *esp_tls_get_ssl_context(esp_tls_t *tls)
{
    return sdk_mbedtls_context(tls->tls);
}

static int connect_tcp(bool is_plain)
{
    const char *port = getenv(is_plain ? "SDK_CHIP_PORT" : "SDK_CHIP_TLS_PORT");
    struct sockaddr_in to = {.sin_family = AF_INET};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)strtoul(port != NULL ? port : "0", NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0) {
        sdk_count_open(1);
        return fd;
    }
    if (fd >= 0) close(fd);
    return -1;
}

int esp_tls_conn_new_sync(const char *host, int host_len, int port, const esp_tls_cfg_t *cfg, esp_tls_t *tls)
{
    char name[256];
    (void)port;
    if (sdk_is_watched()) sdk_abort("a connection under the task watchdog");
    if (cfg->timeout_ms <= 0 || cfg->timeout_ms > 30000) sdk_abort("a connection without a bound");
    if (host_len <= 0 || (size_t)host_len >= sizeof name) return -1;
    snprintf(name, sizeof name, "%.*s", host_len, host);
    tls->fd = connect_tcp(cfg->is_plain_tcp);
    if (tls->fd < 0) {
        tls->last.err = ESP_ERR_ESP_TLS_FAILED_CONNECT_TO_HOST;
        return -1;
    }
    if (cfg->is_plain_tcp) return 1;
    if (cfg->crt_bundle_attach == NULL && cfg->cacert_pem_buf == NULL)
        sdk_abort("esp_tls without a trust option");
    const struct sdk_mbedtls_trust trust = {
        .pem = cfg->cacert_pem_buf,
        .pem_len = cfg->cacert_pem_bytes,
        .attach = cfg->crt_bundle_attach,
        .limit_ms = (unsigned)cfg->timeout_ms,
    };
    tls->tls = sdk_mbedtls_open(tls->fd, name, &trust, &tls->last.code);
    printf("tls: %s\n", tls->last.code == 0 ? "full" : "failed");
    fflush(stdout);
    if (tls->last.code == 0) return 1;
    if (getenv("SDK_OLD_TLS") != NULL)
        tls->last.flags = (int)mbedtls_ssl_get_verify_result(esp_tls_get_ssl_context(tls));
    tls->last.err = ESP_ERR_MBEDTLS_SSL_HANDSHAKE_FAILED;
    return -1;
}

/* As esp_tls leaves it, a socket waits until the time-out of its connection: longer than the watchdog stands. */
static void look_at_socket(const esp_tls_t *tls)
{
    if (sdk_is_watched() && (fcntl(tls->fd, F_GETFL, 0) & O_NONBLOCK) == 0)
        sdk_abort("a socket that waits, under the task watchdog");
}

ssize_t esp_tls_conn_write(esp_tls_t *tls, const void *data, size_t len)
{
    look_at_socket(tls);
    if (tls->tls != NULL) return sdk_mbedtls_write(tls->tls, data, len);
    return send(tls->fd, data, len, MSG_NOSIGNAL);
}

ssize_t esp_tls_conn_read(esp_tls_t *tls, void *data, size_t len)
{
    look_at_socket(tls);
    if (tls->tls != NULL) return sdk_mbedtls_read(tls->tls, data, len);
    return recv(tls->fd, data, len, 0);
}

int esp_tls_conn_destroy(esp_tls_t *tls)
{
    if (tls->tls != NULL) sdk_mbedtls_close(tls->tls);
    if (tls->fd >= 0) {
        close(tls->fd);
        sdk_count_open(-1);
    }
    free(tls);
    return 0;
}

ssize_t esp_tls_get_bytes_avail(esp_tls_t *tls)
{
    return tls->tls != NULL ? (ssize_t)sdk_mbedtls_available(tls->tls) : 0;
}

esp_err_t esp_tls_get_conn_sockfd(esp_tls_t *tls, int *fd)
{
    *fd = tls->fd;
    return ESP_OK;
}

esp_err_t esp_tls_get_error_handle(esp_tls_t *tls, esp_tls_error_handle_t *handle)
{
    *handle = &tls->last;
    return ESP_OK;
}

esp_err_t esp_tls_get_and_clear_last_error(esp_tls_error_handle_t handle, int *code, int *flags)
{
    const esp_err_t err = handle->err;
    *code = -handle->code; /* positive there */
    *flags = handle->flags;
    memset(handle, 0, sizeof *handle);
    return err;
}

/* ---- the bundle: mbedTLS is given no authority, and asks for each link of the chain that nobody vouches for ---- */

static mbedtls_x509_crt bundle;

static int ask_bundle(void *ctx, mbedtls_x509_crt *link, int depth, uint32_t *flags)
{
    uint32_t wrong = 0;
    (void)ctx;
    (void)depth;
    if ((*flags & ~(uint32_t)MBEDTLS_X509_BADCERT_BAD_MD) != MBEDTLS_X509_BADCERT_NOT_TRUSTED) return 0;
    if (mbedtls_x509_crt_verify(link, &bundle, NULL, NULL, &wrong, NULL, NULL) != 0)
        return MBEDTLS_ERR_X509_FATAL_ERROR;
    *flags = 0;
    return 0;
}

esp_err_t esp_crt_bundle_attach(void *conf)
{
    static mbedtls_x509_crt nobody;
    const char *path = getenv("SDK_BUNDLE");
    if (path == NULL) return ESP_FAIL;
    mbedtls_x509_crt_free(&bundle);
    mbedtls_x509_crt_init(&bundle);
    if (mbedtls_x509_crt_parse_file(&bundle, path) != 0) return ESP_FAIL;
    mbedtls_ssl_conf_ca_chain(conf, &nobody, NULL);
    mbedtls_ssl_conf_verify(conf, ask_bundle, NULL);
    return ESP_OK;
}
