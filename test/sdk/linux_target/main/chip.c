/* chip.c - what ESP-IDF's linux target has no body for and the port asks: the running slot, the flash's size and partition
 * table, why it was reset, the clock. The rest is the SDK's own: partitions, NVS, FreeRTOS, esp_tls, mbedTLS. Must never choose a slot:
 * that is the boot stage's (tools/sdk_linux).
 *
 *     SDK_FLASH=FILE SDK_BOOTED=OFFSET SDK_RESET=N, and what idf_try.c takes */
#include <esp_efuse.h>
#include <esp_flash.h>
#include <esp_flash_encrypt.h>
#include <esp_idf_version.h>
#include <esp_ota_ops.h>
#include <esp_partition.h>
#include <esp_private/partition_linux.h>
#include <esp_system.h>
#include <esp_timer.h>
#include <molt_chip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(6, 0, 0)
#include <psa/crypto.h>
#endif

#include "sdk_idf.h"

void sdk_abort(const char *what)
{
    fprintf(stderr, "chip: %s\n", what);
    exit(3);
}

/* The flash is a file, from before the first look at it. */
__attribute__((constructor)) static void use_file(void)
{
    esp_partition_file_mmap_ctrl_t *input = esp_partition_get_file_mmap_ctrl_input();
    const char *path = getenv("SDK_FLASH");
    if (path == NULL || strlen(path) >= sizeof input->flash_file_name) sdk_abort("SDK_FLASH is no file");
    memset(input, 0, sizeof *input);
    strcpy(input->flash_file_name, path);
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(6, 0, 0)
    if (psa_crypto_init() != PSA_SUCCESS)
        sdk_abort("no PSA"); /* a chip's start does it, which a PC has not */
#endif
}

const esp_partition_t *esp_ota_get_running_partition(void)
{
    const uint32_t off = (uint32_t)strtoul(getenv("SDK_BOOTED"), NULL, 0);
    esp_partition_iterator_t it = esp_partition_find(ESP_PARTITION_TYPE_APP, ESP_PARTITION_SUBTYPE_ANY, NULL);
    const esp_partition_t *found = NULL;
    while (it != NULL && found == NULL) {
        const esp_partition_t *p = esp_partition_get(it);
        if (p->address == off) found = p;
        it = esp_partition_next(it);
    }
    esp_partition_iterator_release(it);
    return found;
}

esp_err_t esp_flash_read(esp_flash_t *chip, void *dst, uint32_t off, uint32_t len)
{
    FILE *file = fopen(getenv("SDK_FLASH"), "rb");
    (void)chip;
    const bool good =
        file != NULL && fseek(file, (long)off, SEEK_SET) == 0 && fread(dst, 1, len, file) == len;
    if (file != NULL) fclose(file);
    return good ? ESP_OK : ESP_FAIL;
}

esp_err_t esp_flash_read_encrypted(esp_flash_t *chip, uint32_t off, void *dst, uint32_t len)
{
    return esp_flash_read(chip, dst, off, len);
}

esp_err_t __wrap_esp_flash_get_size(esp_flash_t *chip, uint32_t *size)
{
    (void)chip;
    *size = 0x400000;
    return ESP_OK;
}

bool esp_flash_encryption_enabled(void)
{
    return false;
}

/* The linux target has no chip id; images here are an ESP32's. */
enum molt_chip __wrap_molt_chip_from_image_id(uint16_t id)
{
    (void)id;
    return MOLT_CHIP_ESP32;
}

esp_reset_reason_t __wrap_esp_reset_reason(void)
{
    const char *reset = getenv("SDK_RESET");
    return reset != NULL ? (esp_reset_reason_t)strtoul(reset, NULL, 10) : ESP_RST_POWERON;
}

int64_t esp_timer_get_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
