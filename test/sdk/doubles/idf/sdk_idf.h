/* sdk_idf.h - what the ports and the example use of ESP-IDF: declarations only, written from its documented interface.
 * test/sdk/idf_sim.c gives the host's build its bodies; cross compilers only compile. The other headers here lead to it. */
#ifndef SDK_IDF_H
#define SDK_IDF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ESP_IDF_VERSION_VAL(major, minor, patch) ((major) << 16 | (minor) << 8 | (patch))
#if !defined(ESP_IDF_VERSION)
#define ESP_IDF_VERSION ESP_IDF_VERSION_VAL(6, 0, 2)
#endif
#define CONFIG_IDF_FIRMWARE_CHIP_ID   0x0000
#define CONFIG_PARTITION_TABLE_OFFSET 0x8000
#define CONFIG_MOLT_TASK_STACK        8192
#define CONFIG_MOLT_WDT_FEED          1
#define CONFIG_MBEDTLS_HAVE_TIME_DATE 1

typedef int esp_err_t;
#define ESP_OK   0
#define ESP_FAIL (-1)
#define ESP_ERROR_CHECK(x)                                                                                   \
    do {                                                                                                     \
        if ((x) != ESP_OK) sdk_abort(#x);                                                                    \
    } while (0)
void sdk_abort(const char *what);

/* esp_partition.h */
typedef enum { ESP_PARTITION_TYPE_APP = 0, ESP_PARTITION_TYPE_DATA = 1 } esp_partition_type_t;
typedef enum {
    ESP_PARTITION_SUBTYPE_DATA_OTA = 0x00,
    ESP_PARTITION_SUBTYPE_APP_OTA_MIN = 0x10,
    ESP_PARTITION_SUBTYPE_APP_OTA_MAX = 0x20,
    ESP_PARTITION_SUBTYPE_DATA_FAT = 0x81,
    ESP_PARTITION_SUBTYPE_DATA_SPIFFS = 0x82,
    ESP_PARTITION_SUBTYPE_ANY = 0xFF,
} esp_partition_subtype_t;
typedef struct {
    esp_partition_type_t type;
    esp_partition_subtype_t subtype;
    uint32_t address, size;
} esp_partition_t;
typedef struct sdk_iterator *esp_partition_iterator_t;
esp_partition_iterator_t esp_partition_find(esp_partition_type_t type, esp_partition_subtype_t subtype,
                                            const char *label);
const esp_partition_t *esp_partition_get(esp_partition_iterator_t it);
esp_partition_iterator_t esp_partition_next(esp_partition_iterator_t it);
void esp_partition_iterator_release(esp_partition_iterator_t it);
esp_err_t esp_partition_read(const esp_partition_t *p, size_t off, void *dst, size_t len);
esp_err_t esp_partition_read_raw(const esp_partition_t *p, size_t off, void *dst, size_t len);
esp_err_t esp_partition_write(const esp_partition_t *p, size_t off, const void *src, size_t len);
esp_err_t esp_partition_erase_range(const esp_partition_t *p, size_t off, size_t len);

/* esp_flash.h, esp_efuse.h */
typedef struct esp_flash_t esp_flash_t;
esp_err_t esp_flash_get_size(esp_flash_t *chip, uint32_t *size);
esp_err_t esp_flash_read(esp_flash_t *chip, void *dst, uint32_t off, uint32_t len);
esp_err_t esp_flash_read_encrypted(esp_flash_t *chip, uint32_t off, void *dst, uint32_t len);
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(6, 0, 1)
bool esp_efuse_is_flash_encryption_enabled(void);
#else
bool esp_flash_encryption_enabled(void);
#endif

/* esp_ota_ops.h */
const esp_partition_t *esp_ota_get_running_partition(void);
esp_err_t esp_ota_mark_app_valid_cancel_rollback(void);

/* esp_app_desc.h, esp_chip_info.h, esp_mac.h, esp_system.h, esp_timer.h, esp_task_wdt.h */
typedef struct {
    char version[32], project_name[32];
} esp_app_desc_t;
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 0, 0)
const esp_app_desc_t *esp_app_get_description(void);
#else
const esp_app_desc_t *esp_ota_get_app_description(void);
#endif
typedef struct {
    uint16_t revision;
} esp_chip_info_t;
void esp_chip_info(esp_chip_info_t *info);
typedef enum { ESP_MAC_WIFI_STA } esp_mac_type_t;
esp_err_t esp_read_mac(uint8_t *mac, esp_mac_type_t type);
typedef enum {
    ESP_RST_UNKNOWN,
    ESP_RST_POWERON,
    ESP_RST_EXT,
    ESP_RST_SW,
    ESP_RST_PANIC,
    ESP_RST_INT_WDT,
    ESP_RST_TASK_WDT,
    ESP_RST_WDT,
    ESP_RST_DEEPSLEEP,
    ESP_RST_BROWNOUT,
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 3, 0)
    ESP_RST_SDIO,
    ESP_RST_USB,
    ESP_RST_JTAG,
    ESP_RST_EFUSE,
    ESP_RST_PWR_GLITCH,
    ESP_RST_CPU_LOCKUP,
#endif
} esp_reset_reason_t;
esp_reset_reason_t esp_reset_reason(void);
void esp_restart(void);
int64_t esp_timer_get_time(void);
typedef void *TaskHandle_t;
esp_err_t esp_task_wdt_add(TaskHandle_t task);
esp_err_t esp_task_wdt_delete(TaskHandle_t task);
esp_err_t esp_task_wdt_reset(void);

/* nvs.h, nvs_flash.h */
typedef uint32_t nvs_handle_t;
typedef enum { NVS_READONLY, NVS_READWRITE } nvs_open_mode_t;
esp_err_t nvs_flash_init(void);
esp_err_t nvs_open(const char *name, nvs_open_mode_t mode, nvs_handle_t *handle);
esp_err_t nvs_get_blob(nvs_handle_t handle, const char *key, void *dst, size_t *len);
esp_err_t nvs_set_blob(nvs_handle_t handle, const char *key, const void *src, size_t len);
esp_err_t nvs_commit(nvs_handle_t handle);
void nvs_close(nvs_handle_t handle);

/* esp_tls.h, esp_crt_bundle.h */
#define ESP_ERR_ESP_TLS_CANNOT_RESOLVE_HOSTNAME 0x8001
#define ESP_ERR_ESP_TLS_FAILED_CONNECT_TO_HOST  0x8004
#define ESP_ERR_ESP_TLS_CONNECTION_TIMEOUT      0x8006
#define ESP_ERR_MBEDTLS_SSL_HANDSHAKE_FAILED    0x801A
#define ESP_TLS_ERR_SSL_WANT_READ               (-0x6900)
#define ESP_TLS_ERR_SSL_WANT_WRITE              (-0x6880)
typedef struct esp_tls esp_tls_t;
typedef struct esp_tls_last_error *esp_tls_error_handle_t;
typedef struct {
    const unsigned char *cacert_pem_buf;
    unsigned int cacert_pem_bytes;
    int timeout_ms;
    esp_err_t (*crt_bundle_attach)(void *conf);
    bool is_plain_tcp;
} esp_tls_cfg_t;
esp_tls_t *esp_tls_init(void);
void *esp_tls_get_ssl_context(esp_tls_t *tls);
int esp_tls_conn_new_sync(const char *host, int host_len, int port, const esp_tls_cfg_t *cfg, esp_tls_t *tls);
ssize_t esp_tls_conn_write(esp_tls_t *tls, const void *data, size_t len);
ssize_t esp_tls_conn_read(esp_tls_t *tls, void *data, size_t len);
int esp_tls_conn_destroy(esp_tls_t *tls);
ssize_t esp_tls_get_bytes_avail(esp_tls_t *tls);
esp_err_t esp_tls_get_conn_sockfd(esp_tls_t *tls, int *fd);
esp_err_t esp_tls_get_error_handle(esp_tls_t *tls, esp_tls_error_handle_t *handle);
esp_err_t esp_tls_get_and_clear_last_error(esp_tls_error_handle_t handle, int *code, int *flags);
esp_err_t esp_crt_bundle_attach(void *conf);

/* freertos */
typedef int BaseType_t;
typedef uint32_t TickType_t;
#define pdPASS            1
#define tskIDLE_PRIORITY  0
#define pdMS_TO_TICKS(ms) ((TickType_t)((ms) / 10u))
BaseType_t xTaskCreate(void (*task)(void *), const char *name, uint32_t stack, void *arg, unsigned priority,
                       TaskHandle_t *handle);
void vTaskDelay(TickType_t ticks);

/* protocol_examples_common.h, esp_netif.h, esp_event.h */
esp_err_t esp_netif_init(void);
esp_err_t esp_event_loop_create_default(void);
esp_err_t example_connect(void);

void app_main(void);

/* The simulated SDK's own. */
uint64_t sdk_erases(void);
uint64_t sdk_writes(void);
uint64_t sdk_read_bytes(void);
bool sdk_is_watched(void);

#ifdef __cplusplus
}
#endif
#endif
