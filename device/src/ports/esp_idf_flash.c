/* esp_idf_flash.c - an ESP32 through ESP-IDF: flash, slots, keep store, reset reason. Must never write to what runs,
 * nor outside the partitions that are molt's to change. Tests: test/sdk. */
#if defined(ESP_PLATFORM)

#include "esp_idf_flash.h"

#include <esp_chip_info.h>
#include <esp_flash.h>
#include <esp_idf_version.h>
#include <esp_mac.h>
#include <esp_ota_ops.h>
#include <esp_partition.h>
#include <esp_system.h>
#include <nvs.h>
#include <sdkconfig.h>
#include <string.h>

#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 0, 0)
#include <esp_app_desc.h>
#define REVISION(info) ((info).revision)
#else /* 4.4, of Arduino's core 2; its number of a revision is the major or the minor one, by chip: the bootloader shall look */
#define esp_app_get_description esp_ota_get_app_description
#define REVISION(info)          ((void)(info), MOLT_REVISION_UNKNOWN)
#endif
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(6, 0, 1)
#include <esp_efuse.h>
#define is_encrypted() esp_efuse_is_flash_encryption_enabled()
#else
#include <esp_flash_encrypt.h>
#define is_encrypted() esp_flash_encryption_enabled()
#endif

#include "mbedtls.h"

#define HAS_NEW_REASONS                                                                                      \
    (ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 3, 0)) /* of a reset; some of 5.1 and 5.2 as well */

#define NVS_NAME "molt"
#define NVS_KEY  "keep"

/* ---- flash ---- */

/* The partition that holds [off, off + len), NULL: none does. */
static const esp_partition_t *partition_of(uint32_t off, uint32_t len)
{
    static const esp_partition_type_t types[] = {ESP_PARTITION_TYPE_APP, ESP_PARTITION_TYPE_DATA};
    const esp_partition_t *found = NULL;
    for (size_t t = 0; t < sizeof types / sizeof types[0] && found == NULL; t++) {
        esp_partition_iterator_t it = esp_partition_find(types[t], ESP_PARTITION_SUBTYPE_ANY, NULL);
        while (it != NULL && found == NULL) {
            const esp_partition_t *p = esp_partition_get(it);
            if (off >= p->address && off - p->address < p->size && len <= p->size - (off - p->address))
                found = p;
            it = esp_partition_next(it);
        }
        esp_partition_iterator_release(it);
    }
    return found;
}

static bool is_ours(const esp_partition_t *p)
{
    if (p->type == ESP_PARTITION_TYPE_APP) {
        return p->subtype >= ESP_PARTITION_SUBTYPE_APP_OTA_MIN &&
               p->subtype < ESP_PARTITION_SUBTYPE_APP_OTA_MAX && p != esp_ota_get_running_partition();
    }
    return p->type == ESP_PARTITION_TYPE_DATA &&
           (p->subtype == ESP_PARTITION_SUBTYPE_DATA_OTA || p->subtype == ESP_PARTITION_SUBTYPE_DATA_FAT ||
            p->subtype == ESP_PARTITION_SUBTYPE_DATA_SPIFFS || (int)p->subtype == 0x83 /* littlefs */);
}

static int flash_read(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    (void)ctx;
    const esp_partition_t *p = partition_of(off, len);
    if (p != NULL) return esp_partition_read(p, off - p->address, dst, len) == ESP_OK ? 0 : -1;
    /* The partition table, which lies in none; a project may have put it elsewhere than where libmolt reads it. */
    if (off < MOLT_PARTITION_TABLE_OFFSET || off >= MOLT_PARTITION_TABLE_OFFSET + MOLT_SECTOR)
        return MOLT_IDF_REFUSED;
    off += CONFIG_PARTITION_TABLE_OFFSET - MOLT_PARTITION_TABLE_OFFSET;
    esp_err_t err =
        is_encrypted() ? esp_flash_read_encrypted(NULL, off, dst, len) : esp_flash_read(NULL, dst, off, len);
    return err == ESP_OK ? 0 : -1;
}

static int flash_write(void *ctx, uint32_t off, const void *src, uint32_t len)
{
    struct molt_idf_chip *chip = ctx;
    const esp_partition_t *p = partition_of(off, len);
    if (p == NULL || !is_ours(p)) return MOLT_IDF_REFUSED;
    chip->changes++;
    return esp_partition_write(p, off - p->address, src, len) == ESP_OK ? 0 : -1;
}

static int flash_erase(void *ctx, uint32_t off, uint32_t len)
{
    struct molt_idf_chip *chip = ctx;
    const esp_partition_t *p = partition_of(off, len);
    if (p == NULL || !is_ours(p)) return MOLT_IDF_REFUSED;
    chip->changes++;
    return esp_partition_erase_range(p, off - p->address, len) == ESP_OK ? 0 : -1;
}

/* Raw, past the decryption: erased flash reads as noise through it. */
static bool flash_is_blank(void *ctx, uint32_t off, uint32_t len)
{
    uint8_t piece[64];
    const esp_partition_t *p = partition_of(off, len);
    (void)ctx;
    if (p == NULL) return false;
    for (uint32_t at = off - p->address, end = at + len; at < end; at += sizeof piece) {
        uint32_t n = end - at < sizeof piece ? end - at : (uint32_t)sizeof piece;
        if (esp_partition_read_raw(p, at, piece, n) != ESP_OK) return false;
        for (uint32_t i = 0; i < n; i++) {
            if (piece[i] != 0xFF) return false;
        }
    }
    return true;
}

/* ---- the keep store ---- */

static int keep_load(void *ctx, uint8_t raw[MOLT_KEEP_RECORD_LEN])
{
    nvs_handle_t nvs;
    size_t len = MOLT_KEEP_RECORD_LEN;
    (void)ctx;
    if (nvs_open(NVS_NAME, NVS_READONLY, &nvs) != ESP_OK) return -1;
    esp_err_t err = nvs_get_blob(nvs, NVS_KEY, raw, &len);
    nvs_close(nvs);
    return err == ESP_OK && len == MOLT_KEEP_RECORD_LEN ? 0 : -1;
}

static int keep_save(void *ctx, const uint8_t raw[MOLT_KEEP_RECORD_LEN])
{
    struct molt_idf_chip *chip = ctx;
    nvs_handle_t nvs;
    if (nvs_open(NVS_NAME, NVS_READWRITE, &nvs) != ESP_OK) return -1;
    chip->changes++;
    esp_err_t err = nvs_set_blob(nvs, NVS_KEY, raw, MOLT_KEEP_RECORD_LEN);
    if (err == ESP_OK) err = nvs_commit(nvs);
    nvs_close(nvs);
    return err == ESP_OK ? 0 : -1;
}

/* ---- the chip ---- */

static enum molt_reset why_reset(void)
{
    switch (esp_reset_reason()) {
    case ESP_RST_POWERON:
    case ESP_RST_BROWNOUT:
#if HAS_NEW_REASONS
    case ESP_RST_PWR_GLITCH:
#endif
        return MOLT_RESET_POWER;
    case ESP_RST_PANIC:
#if HAS_NEW_REASONS
    case ESP_RST_CPU_LOCKUP:
#endif
        return MOLT_RESET_CRASH;
    case ESP_RST_INT_WDT:
    case ESP_RST_TASK_WDT:
    case ESP_RST_WDT:
        return MOLT_RESET_WATCHDOG;
    default:
        return MOLT_RESET_OTHER;
    }
}

static int (*backend_confirm)(struct molt_slots *slots);

/* A project with the bootloader's own anti-rollback raises the version in eFuse when it confirms: the SDK does that. */
static int confirm_step(struct molt_slots *slots)
{
#if defined(CONFIG_BOOTLOADER_APP_ANTI_ROLLBACK)
    if (esp_ota_mark_app_valid_cancel_rollback() != ESP_OK) return -MOLT_FLASH_WRITE;
#endif
    return backend_confirm(slots);
}

static uint8_t running_slot(void)
{
    const esp_partition_t *p = esp_ota_get_running_partition();
    if (p == NULL || p->subtype < ESP_PARTITION_SUBTYPE_APP_OTA_MIN ||
        p->subtype >= ESP_PARTITION_SUBTYPE_APP_OTA_MAX)
        return MOLT_OTA_NO_SLOT;
    return (uint8_t)(p->subtype - ESP_PARTITION_SUBTYPE_APP_OTA_MIN);
}

static int flash_begin(struct molt_idf_chip *chip)
{
    uint32_t size = 0;
    if (esp_flash_get_size(NULL, &size) != ESP_OK) return -MOLT_FLASH_READ;
    chip->flash = (struct molt_flash){
        .ctx = chip,
        .size = size,
        .write_unit = is_encrypted() ? 32u : 4u,
        .erase_sizes = {MOLT_SECTOR},
        .read = flash_read,
        .write = flash_write,
        .erase = flash_erase,
        .is_blank = flash_is_blank,
    };
    return 0;
}

static void say_who(struct molt_agent_config *config)
{
    esp_chip_info_t info;
    esp_chip_info(&info);
    config->expect.chip = molt_chip_from_image_id(CONFIG_IDF_FIRMWARE_CHIP_ID);
    config->expect.chip_revision = REVISION(info);
    const esp_app_desc_t *app = esp_app_get_description();
    if (config->product == NULL) config->product = app->project_name;
    if (config->version == NULL) config->version = app->version;
    (void)esp_read_mac(config->mac, ESP_MAC_WIFI_STA);
}

int molt_idf_chip_begin(struct molt_idf_chip *chip, struct molt_agent_config *config)
{
    memset(chip, 0, sizeof *chip);
    int rc = flash_begin(chip);
    if (rc < 0) return rc;
    rc = molt_esp32_otadata_begin(&chip->slots, &chip->flash, &molt_mbedtls_sha256, running_slot());
    if (rc < 0) return rc;
    chip->ops = *chip->slots.slots.ops;
    backend_confirm = chip->ops.confirm_step;
    chip->ops.confirm_step = confirm_step;
    chip->slots.slots.ops = &chip->ops;
    chip->blob = (struct molt_keep_blob){chip, keep_load, keep_save};
    molt_keep_begin_blob(&chip->keep, &chip->blob);
    config->slots = &chip->slots.slots;
    config->hash = &molt_mbedtls_sha256;
    config->keep = &chip->keep;
    config->reset = why_reset();
    config->expect.flash_size = chip->flash.size;
    say_who(config);
    return 0;
}

int molt_idf_chip_take_fs(struct molt_idf_chip *chip, struct molt_agent_config *config)
{
    const struct molt_partitions *p = &chip->slots.partitions;
    if (p->fs_len == 0) return -MOLT_ARG;
    int rc = molt_fs_slots_begin(&chip->fs, &chip->slots.slots, p->fs_off, p->fs_len);
    if (rc == 0) config->fs = &chip->fs;
    return rc;
}

#else
typedef int molt_esp_idf_flash_not_built_here;
#endif
