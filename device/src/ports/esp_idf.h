/* esp_idf.h - an agent as a FreeRTOS task of an ESP-IDF project: TCP and TLS by esp_tls. Compiled when ESP_PLATFORM is
 * defined, not under Arduino; ESP-IDF 5.1 and later.
 *
 *     static struct molt_idf molt;                    // zeros are usable defaults
 *     molt.config.url = "https://updates.example.com";
 *     molt.config.version_code = 1004002;
 *     molt.config.health = is_healthy;                // NULL: healthy once the server has answered
 *     molt.crt_bundle_attach = esp_crt_bundle_attach; // or molt.ca_pem
 *     ESP_ERROR_CHECK(molt_idf_start(&molt));         // after nvs_flash_init() and the network
 *
 * Callbacks run in that task. Rollback needs CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE; without it the agent says
 * no-bootloader-rollback at the first trial. Tests: test/sdk. */
#ifndef MOLT_PORT_ESP_IDF_H
#define MOLT_PORT_ESP_IDF_H

#include "esp_idf_flash.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_IDF_BUFFER 1460u

/* Caller-allocated; must not move. */
struct molt_idf {
    struct molt_agent_config config; /* slots, hash, expect, mac, keep, reset come from the chip */
    /* Whom https servers must be certified by. With neither, no https server is believed. Where
     * mbedTLS looks at dates (CONFIG_MBEDTLS_HAVE_TIME_DATE) the clock must have been set (SNTP): while it shows a day
     * before the firmware was built, https ends with MOLT_TLS_TIME before a byte is sent. */
    int (*crt_bundle_attach)(void *conf); /* esp_crt_bundle_attach */
    const char *ca_pem;                   /* NUL-terminated PEM */
    /* Asked before what may take long, a connection (is_tls: with its handshake), 20 s at most; no: asked again each
     * second, without an end. The check of a signature: config.may_verify. */
    bool (*may_connect)(void *ctx, bool is_tls);
    /* Told when an image begins to come and flash is about to be written (is_low), and when that is over, well or not: a
     * place to draw less current, so that a weak supply stands radio and flash at once (esp_wifi_set_max_tx_power(),
     * esp_pm_configure(), motors and lights off). A restart follows an update that went well. */
    void (*power)(void *ctx, bool is_low);
    struct molt_agent agent; /* its public fields may be read in callbacks */
    /* ---- private ---- */
    struct molt_idf_chip chip;
    void *tls; /* esp_tls_t */
    volatile bool check_now;
    bool is_low;
    uint8_t buffer[MOLT_IDF_BUFFER];
};

/* Starts the task; returns at once. 0 (ESP_OK), or ESP_FAIL: the chip's partitions are not fit for updates (idf->agent
 * .last_reason says why), or there was no memory for the task. */
int molt_idf_start(struct molt_idf *idf);

/* Asks for a check as soon as is decent. From any task. */
void molt_idf_check_now(struct molt_idf *idf);

/* ---- what the task does, for tests and for products with a task of their own ---- */

/* Returns 0 or a negative reason. */
int molt_idf_begin(struct molt_idf *idf);
/* One step of the agent and what it wants but waiting and restarting. Blocks until the agent's own time-outs. */
void molt_idf_step(struct molt_idf *idf, struct molt_want *want);

#ifdef __cplusplus
}
#endif
#endif
