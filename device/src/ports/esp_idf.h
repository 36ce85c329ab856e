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
 * no-bootloader-rollback at the first trial. Tests: test/sdk/idf_test.c. */
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
    /* Whom https servers must be certified by. With neither, no https server is believed. The clock must be right
     * (SNTP) before the first handshake. */
    int (*crt_bundle_attach)(void *conf); /* esp_crt_bundle_attach */
    const char *ca_pem;                   /* NUL-terminated PEM */
    /* Asked before what may take long, a connection (is_tls: with its handshake); no: asked again in a second. */
    bool (*may_connect)(void *ctx, bool is_tls);
    struct molt_agent agent; /* its public fields may be read in callbacks */
    /* ---- private ---- */
    struct molt_idf_chip chip;
    void *tls; /* esp_tls_t */
    volatile bool check_now;
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
