/* esp_idf.c - an agent's network and task under ESP-IDF. Must never hold the task watchdog longer than one sector
 * erase, nor keep a connection that the agent gave up. Tests: test/sdk. */
#if defined(ESP_PLATFORM) && !defined(ARDUINO)

#include "esp_idf.h"

#include <errno.h>
#include <esp_err.h>
#include <esp_system.h>
#include <esp_task_wdt.h>
#include <esp_timer.h>
#include <esp_tls.h>
#include <fcntl.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509.h>
#include <sdkconfig.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>

#include "clock.h"

#define WAIT_MS  1000u /* longest sleep, so that molt_idf_check_now() is heard */
#define SLICE_MS 200u  /* longest wait for bytes between two steps */

static uint64_t now_ms(void)
{
    return (uint64_t)esp_timer_get_time() / 1000u;
}

static void hang_up(struct molt_idf *idf)
{
    if (idf->tls != NULL) (void)esp_tls_conn_destroy(idf->tls);
    idf->tls = NULL;
}

/* ---- the task watchdog: left while a connection is made, which may take longer than it allows ---- */

static void watchdog_join(void)
{
#if defined(CONFIG_MOLT_WDT_FEED)
    (void)esp_task_wdt_add(NULL);
#endif
}

static void watchdog_leave(void)
{
#if defined(CONFIG_MOLT_WDT_FEED)
    (void)esp_task_wdt_delete(NULL);
#endif
}

static void watchdog_feed(void)
{
#if defined(CONFIG_MOLT_WDT_FEED)
    (void)esp_task_wdt_reset();
#endif
}

/* ---- what the agent wants ---- */

/* What is wrong with the certificate. Since ESP-IDF 5.5 esp_tls tells no more than that something is: mbedTLS knows. */
static int why_no_certificate(esp_tls_t *tls, int code, int flags)
{
    if (code == -MBEDTLS_ERR_X509_FATAL_ERROR) return MOLT_TLS_TRUST; /* the bundle knows no such authority */
    if (flags == 0 && code == -MBEDTLS_ERR_X509_CERT_VERIFY_FAILED)
        flags = (int)mbedtls_ssl_get_verify_result(esp_tls_get_ssl_context(tls));
    if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0) return MOLT_TLS_TRUST;
    if ((flags & (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE)) != 0) return MOLT_TLS_TIME;
    if ((flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0) return MOLT_TLS_NAME;
    return flags != 0 ? MOLT_TLS_TRUST : 0;
}

static int why_not(esp_tls_t *tls)
{
    esp_tls_error_handle_t handle = NULL;
    int code = 0, flags = 0;
    if (esp_tls_get_error_handle(tls, &handle) != ESP_OK || handle == NULL) return MOLT_CONNECT;
    esp_err_t err = esp_tls_get_and_clear_last_error(handle, &code, &flags);
    if (err == ESP_ERR_ESP_TLS_CANNOT_RESOLVE_HOSTNAME) return MOLT_DNS;
    if (err == ESP_ERR_ESP_TLS_CONNECTION_TIMEOUT) return MOLT_TIMEOUT;
    if (err == ESP_ERR_ESP_TLS_FAILED_CONNECT_TO_HOST) return MOLT_CONNECT;
    int reason = why_no_certificate(tls, code, flags);
    if (reason != 0) return reason;
    return code != 0 ? MOLT_TLS : MOLT_CONNECT;
}

/* 0, or why no https server can be believed now. */
static int tls_refusal(const struct molt_idf *idf)
{
    if (idf->crt_bundle_attach == NULL && idf->ca_pem == NULL) return MOLT_TLS_TRUST;
#if defined(CONFIG_MBEDTLS_HAVE_TIME_DATE)
    if (time(NULL) < (time_t)molt_clock_floor()) return MOLT_TLS_TIME;
#endif
    return 0;
}

/* esp_tls leaves a socket that waits as long as a connection may take: for the rest of a record, say, of a server that has gone. */
static bool never_wait(esp_tls_t *tls)
{
    int fd = -1;
    if (esp_tls_get_conn_sockfd(tls, &fd) != ESP_OK || fd < 0) return false;
    const int flags = fcntl(fd, F_GETFL, 0);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static void do_connect(struct molt_idf *idf, const struct molt_want *want)
{
    uint64_t now = now_ms();
    esp_tls_cfg_t cfg = {0};
    cfg.timeout_ms = want->until_ms > now ? (int)(want->until_ms - now) : 1;
    cfg.is_plain_tcp = !want->tls;
    if (want->tls) {
        cfg.crt_bundle_attach = idf->crt_bundle_attach;
        cfg.cacert_pem_buf = (const unsigned char *)idf->ca_pem;
        cfg.cacert_pem_bytes = idf->ca_pem != NULL ? (unsigned)strlen(idf->ca_pem) + 1 : 0;
        int refusal = tls_refusal(idf);
        if (refusal != 0) {
            molt_agent_failed(&idf->agent, refusal);
            return;
        }
    }
    hang_up(idf);
    esp_tls_t *tls = esp_tls_init();
    if (tls == NULL) {
        molt_agent_failed(&idf->agent, MOLT_NO_MEMORY);
        return;
    }
    idf->tls = tls;
    watchdog_leave();
    int rc = esp_tls_conn_new_sync(want->host, (int)strlen(want->host), want->port, &cfg, tls);
    watchdog_join();
    if (rc == 1 && never_wait(tls)) {
        molt_agent_connected(&idf->agent);
        return;
    }
    int reason = why_not(tls);
    hang_up(idf);
    molt_agent_failed(&idf->agent, reason);
}

/* Waits a little for the socket. False: nothing yet. */
static bool is_ready(struct molt_idf *idf, bool to_write)
{
    int fd = -1;
    if (!to_write && esp_tls_get_bytes_avail(idf->tls) > 0) return true;
    if (esp_tls_get_conn_sockfd(idf->tls, &fd) != ESP_OK || fd < 0) return true; /* the next call tells */
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    struct timeval slice = {0, SLICE_MS * 1000};
    return select(fd + 1, to_write ? NULL : &set, to_write ? &set : NULL, NULL, &slice) != 0;
}

static bool is_again(ssize_t n)
{
    return n == ESP_TLS_ERR_SSL_WANT_READ || n == ESP_TLS_ERR_SSL_WANT_WRITE ||
           (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void do_send(struct molt_idf *idf, const struct molt_want *want)
{
    if (!is_ready(idf, true)) return;
    errno = 0;
    ssize_t n = esp_tls_conn_write(idf->tls, want->data, want->len);
    if (n > 0) {
        molt_agent_sent(&idf->agent, (size_t)n);
    } else if (!is_again(n)) {
        molt_agent_failed(&idf->agent, MOLT_CONNECTION_LOST);
    }
}

static void do_receive(struct molt_idf *idf)
{
    if (!is_ready(idf, false)) return;
    errno = 0;
    ssize_t n = esp_tls_conn_read(idf->tls, idf->buffer, sizeof idf->buffer);
    if (n > 0) {
        molt_agent_received(&idf->agent, idf->buffer, (size_t)n);
    } else if (n == 0) {
        molt_agent_closed(&idf->agent);
    } else if (!is_again(n)) {
        molt_agent_failed(&idf->agent, MOLT_CONNECTION_LOST);
    }
}

int molt_idf_begin(struct molt_idf *idf)
{
    int rc = molt_idf_chip_begin(&idf->chip, &idf->config);
    if (rc == 0) rc = molt_agent_begin(&idf->agent, &idf->config);
    if (rc < 0) idf->agent.last_reason = -rc;
    return rc;
}

/* Before the step that writes: the head of an answer is read in an earlier one. */
static void tell_power(struct molt_idf *idf)
{
    bool is_low = idf->agent.phase == MOLT_AGENT_FETCHING;
    if (is_low == idf->is_low) return;
    idf->is_low = is_low;
    if (idf->power != NULL) idf->power(idf->config.ctx, is_low);
}

void molt_idf_step(struct molt_idf *idf, struct molt_want *want)
{
    if (idf->check_now) {
        idf->check_now = false;
        molt_agent_check_now(&idf->agent);
    }
    molt_agent_step(&idf->agent, now_ms(), want);
    tell_power(idf);
    switch (want->kind) {
    case MOLT_WANT_CONNECT:
        if (idf->may_connect == NULL || idf->may_connect(idf->config.ctx, want->tls)) {
            do_connect(idf, want);
        } else {
            molt_agent_put_off(&idf->agent);
            vTaskDelay(pdMS_TO_TICKS(WAIT_MS));
        }
        break;
    case MOLT_WANT_SEND:
        do_send(idf, want);
        break;
    case MOLT_WANT_RECEIVE:
        do_receive(idf);
        break;
    case MOLT_WANT_CLOSE:
        hang_up(idf);
        break;
    case MOLT_WANT_STEP:
    case MOLT_WANT_WAIT:
    case MOLT_WANT_RESTART:
        break;
    }
}

static void task(void *arg)
{
    struct molt_idf *idf = arg;
    struct molt_want want;
    uint32_t changes = idf->chip.changes;
    watchdog_join();
    for (;;) {
        molt_idf_step(idf, &want);
        watchdog_feed();
        if (want.kind == MOLT_WANT_RESTART) esp_restart();
        if (idf->chip.changes != changes) { /* tasks of a lower priority have their turn, IDLE too */
            changes = idf->chip.changes;
            vTaskDelay(1);
        }
        if (want.kind != MOLT_WANT_WAIT) continue;
        uint64_t now = now_ms(), left = want.until_ms > now ? want.until_ms - now : 0;
        vTaskDelay(pdMS_TO_TICKS(left < WAIT_MS ? left : WAIT_MS));
    }
}

int molt_idf_start(struct molt_idf *idf)
{
    if (molt_idf_begin(idf) < 0) return ESP_FAIL;
    return xTaskCreate(task, "molt", CONFIG_MOLT_TASK_STACK, idf, tskIDLE_PRIORITY + 1, NULL) == pdPASS
               ? ESP_OK
               : ESP_FAIL;
}

void molt_idf_check_now(struct molt_idf *idf)
{
    idf->check_now = true;
}

#else
typedef int molt_esp_idf_not_built_here;
#endif
