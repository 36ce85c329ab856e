/* idf_sim.c - an ESP32 under ESP-IDF for programs on a PC: the bodies of doubles/idf over the simulator's flash and the
 * bootloader's own decisions, idf_tls.c has esp_tls. One process is one run from reset to restart; then it starts
 * itself, or the program of the version that the bootloader chose. Must never let through what the SDK would refuse.
 *
 *     SDK_FLASH=FILE SDK_END=TEXT [SDK_NO_ROLLBACK=1] [SDK_SICK=CODE [SDK_SICK_RESET=N]] program-CODE
 *
 * SDK_FLASH: 4 MB with a partition table and an image; NVS is FILE.nvs. The run ends well when the program prints a line
 * that begins with TEXT. SDK_SICK: the firmware of that code crashes before it can confirm, or is reset for another reason N. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "firmware/boot/esp32/esp32_boot.h"
#include "host/facts.h"
#include "sdk_idf.h"
#include "sim/flash.h"
#include "sim/layout.h"
#include "sim_time.h"

static struct sim_flash flash;
static const struct sim_layout *layout;
static esp_partition_t partitions[16];
static const esp_partition_t *running;
static char **arguments;
static unsigned watched;

void sdk_abort(const char *what)
{
    fprintf(stderr, "idf_sim: %s\n", what);
    exit(3);
}

/* ---- partitions ---- */

struct sdk_iterator {
    size_t at;
    esp_partition_type_t type;
};

static esp_partition_iterator_t seek(struct sdk_iterator *it)
{
    while (it->at < layout->partition_count && partitions[it->at].type != it->type)
        it->at++;
    if (it->at < layout->partition_count) return it;
    free(it);
    return NULL;
}

esp_partition_iterator_t esp_partition_find(esp_partition_type_t type, esp_partition_subtype_t subtype,
                                            const char *label)
{
    struct sdk_iterator *it = calloc(1, sizeof *it);
    if (it == NULL || subtype != ESP_PARTITION_SUBTYPE_ANY || label != NULL) sdk_abort("not simulated");
    it->type = type;
    return seek(it);
}

const esp_partition_t *esp_partition_get(esp_partition_iterator_t it)
{
    return &partitions[it->at];
}

esp_partition_iterator_t esp_partition_next(esp_partition_iterator_t it)
{
    it->at++;
    return seek(it);
}

void esp_partition_iterator_release(esp_partition_iterator_t it)
{
    free(it);
}

static uint32_t place(const esp_partition_t *p, size_t off, size_t len)
{
    if (off > p->size || len > p->size - off) sdk_abort("beyond a partition");
    return p->address + (uint32_t)off;
}

esp_err_t esp_partition_read(const esp_partition_t *p, size_t off, void *dst, size_t len)
{
    sdk_hash_us(len);
    return flash.port.read(flash.port.ctx, place(p, off, len), dst, (uint32_t)len) == 0 ? ESP_OK : ESP_FAIL;
}

esp_err_t esp_partition_read_raw(const esp_partition_t *p, size_t off, void *dst, size_t len)
{
    return esp_partition_read(p, off, dst, len);
}

esp_err_t esp_partition_write(const esp_partition_t *p, size_t off, const void *src, size_t len)
{
    if (p == running) sdk_abort("a write to what runs");
    return flash.port.write(flash.port.ctx, place(p, off, len), src, (uint32_t)len) == 0 ? ESP_OK : ESP_FAIL;
}

esp_err_t esp_partition_erase_range(const esp_partition_t *p, size_t off, size_t len)
{
    if (p == running) sdk_abort("an erase of what runs");
    if (len != MOLT_SECTOR) sdk_abort("an erase that the watchdogs may not stand");
    return flash.port.erase(flash.port.ctx, place(p, off, len), (uint32_t)len) == 0 ? ESP_OK : ESP_FAIL;
}

esp_err_t esp_flash_get_size(esp_flash_t *chip, uint32_t *size)
{
    (void)chip;
    *size = flash.port.size;
    return ESP_OK;
}

esp_err_t esp_flash_read(esp_flash_t *chip, void *dst, uint32_t off, uint32_t len)
{
    (void)chip;
    return flash.port.read(flash.port.ctx, off, dst, len) == 0 ? ESP_OK : ESP_FAIL;
}

esp_err_t esp_flash_read_encrypted(esp_flash_t *chip, uint32_t off, void *dst, uint32_t len)
{
    return esp_flash_read(chip, dst, off, len);
}

bool esp_efuse_is_flash_encryption_enabled(void)
{
    return false;
}

const esp_partition_t *esp_ota_get_running_partition(void)
{
    return running;
}

esp_err_t esp_ota_mark_app_valid_cancel_rollback(void)
{
    return ESP_FAIL; /* only of projects with CONFIG_BOOTLOADER_APP_ANTI_ROLLBACK, which this is not */
}

/* ---- chip ---- */

const esp_app_desc_t *esp_app_get_description(void)
{
    static const esp_app_desc_t desc = {"1", "lamp"};
    return &desc;
}

void esp_chip_info(esp_chip_info_t *info)
{
    info->revision = 100;
}

esp_err_t esp_read_mac(uint8_t *mac, esp_mac_type_t type)
{
    const char *last = getenv("SDK_MAC");
    const uint8_t own[6] = {0x24, 0x0A, 0xC4, 0, 0, (uint8_t)strtoul(last != NULL ? last : "1", NULL, 16)};
    (void)type;
    memcpy(mac, own, sizeof own);
    return ESP_OK;
}

esp_reset_reason_t esp_reset_reason(void)
{
    const char *reset = getenv("SDK_RESET");
    return reset != NULL ? (esp_reset_reason_t)strtoul(reset, NULL, 10) : ESP_RST_POWERON;
}

uint64_t sdk_erases(void)
{
    return flash.count.erases;
}

uint64_t sdk_writes(void)
{
    return flash.count.writes;
}

uint64_t sdk_read_bytes(void)
{
    return flash.count.read_bytes;
}

bool sdk_is_watched(void)
{
    return watched != 0;
}

static void reset(const char *why)
{
    setenv("SDK_RESET", why, 1);
    sim_flash_close(&flash);
    fflush(stdout);
    execv(arguments[0], arguments);
    sdk_abort("cannot start again");
}

void esp_restart(void)
{
    reset("3"); /* ESP_RST_SW */
}

int64_t esp_timer_get_time(void)
{
    return (int64_t)sdk_now_us();
}

esp_err_t esp_task_wdt_add(TaskHandle_t task)
{
    (void)task;
    if (watched++ != 0) sdk_abort("watched twice");
    return ESP_OK;
}

esp_err_t esp_task_wdt_delete(TaskHandle_t task)
{
    (void)task;
    if (watched-- == 0) sdk_abort("not watched");
    return ESP_OK;
}

esp_err_t esp_task_wdt_reset(void)
{
    if (watched != 1) sdk_abort("fed while not watched");
    return ESP_OK;
}

/* ---- NVS: one blob, in a file ---- */

static char nvs_path[512];

esp_err_t nvs_flash_init(void)
{
    return ESP_OK;
}

esp_err_t nvs_open(const char *name, nvs_open_mode_t mode, nvs_handle_t *handle)
{
    (void)name;
    *handle = 1;
    return mode == NVS_READONLY && access(nvs_path, F_OK) != 0 ? ESP_FAIL : ESP_OK;
}

esp_err_t nvs_get_blob(nvs_handle_t handle, const char *key, void *dst, size_t *len)
{
    (void)handle;
    (void)key;
    FILE *file = fopen(nvs_path, "rb");
    if (file == NULL) return ESP_FAIL;
    *len = fread(dst, 1, *len, file);
    fclose(file);
    return ESP_OK;
}

esp_err_t nvs_set_blob(nvs_handle_t handle, const char *key, const void *src, size_t len)
{
    (void)handle;
    (void)key;
    FILE *file = fopen(nvs_path, "wb");
    if (file == NULL) return ESP_FAIL;
    bool ok = fwrite(src, 1, len, file) == len;
    return fclose(file) == 0 && ok ? ESP_OK : ESP_FAIL;
}

esp_err_t nvs_commit(nvs_handle_t handle)
{
    (void)handle;
    return ESP_OK;
}

void nvs_close(nvs_handle_t handle)
{
    (void)handle;
}

/* ---- network ---- */

esp_err_t esp_netif_init(void)
{
    return ESP_OK;
}

esp_err_t esp_event_loop_create_default(void)
{
    return ESP_OK;
}

esp_err_t example_connect(void)
{
    return ESP_OK;
}

/* ---- FreeRTOS: one task, after app_main ---- */

static void (*the_task)(void *);
static void *the_arg;

BaseType_t xTaskCreate(void (*task)(void *), const char *name, uint32_t stack, void *arg, unsigned priority,
                       TaskHandle_t *handle)
{
    (void)name;
    (void)priority;
    (void)handle;
    if (stack < 6144) sdk_abort("too small a stack");
    the_task = task;
    the_arg = arg;
    return pdPASS;
}

void vTaskDelay(TickType_t ticks)
{
    sdk_skip_us((uint64_t)ticks * 10000u); /* the network is waited for in select() */
}

/* ---- from reset to restart ---- */

static void boot(void)
{
    const struct esp32_boot how = {
        .chip = MOLT_CHIP_ESP32, .revision = 100, .rollback = getenv("SDK_NO_ROLLBACK") == NULL};
    struct esp32_boot_result result;
    esp32_boot_run(&flash.port, &how, &result);
    if (!result.booted) sdk_abort("nothing boots");
    char off[16];
    snprintf(off, sizeof off, "%u", (unsigned)result.off);
    setenv("SDK_BOOTED", off, 1);
}

/* What the bootloader chose is what runs: the program that was compiled as that version. */
static void become(char **argv)
{
    char text[16] = "", path[600];
    uint32_t off = (uint32_t)strtoul(getenv("SDK_BOOTED"), NULL, 10);
    for (size_t i = 0; i < layout->partition_count; i++) {
        if (partitions[i].address == off) running = &partitions[i];
    }
    if (running == NULL || !facts_tag(flash.bytes + off, running->size, "code", text, sizeof text))
        sdk_abort("no tag in the image");
    const char *dash = strrchr(argv[0], '-');
    if (dash == NULL) sdk_abort("the program must be called NAME-CODE");
    if (strcmp(dash + 1, text) == 0) return;
    snprintf(path, sizeof path, "%.*s-%s", (int)(dash - argv[0]), argv[0], text);
    argv[0] = path;
    sim_flash_close(&flash);
    execv(path, argv);
    sdk_abort("no program of that version");
}

/* The program's own output, watched for SDK_END. */
static int watch_output(void)
{
    int ends[2];
    if (pipe(ends) != 0) sdk_abort("no pipe");
    pid_t pid = fork();
    if (pid < 0) sdk_abort("no process");
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        return -1;
    }
    close(ends[1]);
    FILE *from = fdopen(ends[0], "r");
    const char *end = getenv("SDK_END");
    char line[512];
    while (from != NULL && fgets(line, sizeof line, from) != NULL) {
        fputs(line, stdout);
        fflush(stdout);
        if (end != NULL && strncmp(line, end, strlen(end)) == 0) {
            kill(pid, SIGKILL);
            _exit(0);
        }
    }
    return 3;
}

int main(int argc, char **argv)
{
    const char *path = getenv("SDK_FLASH"), *sick = getenv("SDK_SICK"), *ill = getenv("SDK_SICK_RESET");
    (void)argc;
    if (getenv("SDK_WATCHED") == NULL) {
        setenv("SDK_WATCHED", "1", 1);
        int rc = watch_output();
        if (rc >= 0) return rc;
    }
    arguments = argv;
    layout = sim_layout_find("esp32-4M");
    for (size_t i = 0; i < layout->partition_count; i++) {
        const struct sim_partition *p = &layout->partitions[i];
        partitions[i] = (esp_partition_t){(esp_partition_type_t)p->type, (esp_partition_subtype_t)p->subtype,
                                          p->off, p->len};
    }
    if (path == NULL ||
        sim_flash_open(&flash, &(struct sim_flash_config){.size = layout->flash_size, .path = path}) < 0)
        sdk_abort("SDK_FLASH is not a flash");
    snprintf(nvs_path, sizeof nvs_path, "%s.nvs", path);
    if (getenv("SDK_BOOTED") == NULL) boot();
    become(argv);
    unsetenv("SDK_BOOTED");
    sdk_count_start();
    const char *code = strrchr(argv[0], '-') + 1; /* become() has looked at it */
    printf("boot %s\n", code);
    fflush(stdout);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (sick != NULL && strcmp(sick, code) == 0) reset(ill != NULL ? ill : "4"); /* ESP_RST_PANIC */
    app_main();
    if (the_task == NULL) sdk_abort("no task");
    the_task(the_arg);
    return 3;
}
