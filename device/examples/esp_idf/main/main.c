/* main.c - a lamp that updates itself from molt's server and proves after each update that it is healthy. */
#include <molt_firmware.h>
#include <ports/esp_idf.h>

#include <esp_crt_bundle.h>
#include <esp_err.h>
#include <esp_event.h>
#include <esp_netif.h>
#include <nvs_flash.h>
#include <protocol_examples_common.h>
#include <stdio.h>

MOLT_FIRMWARE("lamp", "1.0.0", 2017102501)

static struct molt_idf molt;
static uint8_t window[4096]; /* for gzip: a quarter less to send */

/* Asked each second while a new firmware is on trial. Look at what the product is for: a sensor that answers, a
 * relay that moves. Here it is enough that the server was reached. */
static enum molt_health is_healthy(void *ctx)
{
    (void)ctx;
    return molt.agent.http_status != 0 ? MOLT_HEALTH_GOOD : MOLT_HEALTH_UNKNOWN;
}

static bool may_restart(void *ctx)
{
    (void)ctx;
    return true; /* false while the lamp must not go dark */
}

static void report(void *ctx, int reason)
{
    (void)ctx;
    printf("%s: %s\n", molt_reason_id(reason), molt_reason_sentence(reason));
}

void app_main(void)
{
    ESP_ERROR_CHECK(nvs_flash_init());
    ESP_ERROR_CHECK(esp_netif_init());
    ESP_ERROR_CHECK(esp_event_loop_create_default());
    ESP_ERROR_CHECK(example_connect());

    molt.config.url = "http://192.168.1.10:8266"; /* https: by the bundle below; set the clock first (SNTP) */
    molt.config.product = molt_firmware.product;
    molt.config.version = molt_firmware.version;
    molt.config.version_code = molt_firmware.code;
    molt.config.window = window;
    molt.config.window_len = sizeof window;
    molt.config.health = is_healthy;
    molt.config.may_restart = may_restart;
    molt.config.report = report;
    molt.crt_bundle_attach = esp_crt_bundle_attach;
    ESP_ERROR_CHECK(molt_idf_start(&molt));
}
