/* esp8266_sim.cpp - an ESP8266 for sketches on a PC: the bodies of test/sdk/doubles over the simulator's flash, RTC
 * memory and boot stages, with sockets for Wi-Fi. One process is one run from reset to restart; then it starts itself, or
 * the sketch of the version that the boot stage left in flash. Must never let through what the SDK would refuse.
 *
 *     SDK_FLASH=FILE SDK_LAZY=1 SDK_STRAP_UART=1 SDK_LAYOUT=NAME SDK_HEAP=N SDK_BLOCK=N sketch-CODE
 *
 * SDK_FLASH: 4 MB, with an image at 0. SDK_LAZY: loop() may block (runOnce). SDK_HEAP, SDK_BLOCK: free heap, and its largest
 * piece. arduino_sim.cpp says the rest. Built for each version code as NAME-CODE in one folder. */
#include "arduino_sim.h"
#include "sim_time.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <bearssl_hash.h>

#include <flash_hal.h>
#include <user_interface.h>

extern "C" {
#include "host/facts.h"
#include "sim/eboot.h"
#include "sim/flash.h"
#include "sim/layout.h"
#include "sim/molt_boot.h"
}

static struct sim_flash flash;
static const struct sim_layout *layout;
static struct sim_rtc rtc; /* the boot stage's part of the user's RTC memory */
static uint8_t rtc_rest[512 - sizeof rtc.bytes];
static struct rst_info reset_info;
static char **arguments;

uint32_t sdk_gpi(void)
{
    return getenv("SDK_STRAP_UART") != nullptr ? 1u << 16 : 3u << 16;
}

/* ---- the chip ---- */

EspClass ESP;

static uint8_t *rtc_byte(size_t i)
{
    return i < sizeof rtc.bytes ? rtc.bytes + i : rtc_rest + (i - sizeof rtc.bytes);
}

/* RTC memory outlives the process, as it outlives a reset. */
static void keep_rtc(void)
{
    char hex[2 * 512 + 1];
    for (size_t i = 0; i < 512; i++)
        snprintf(hex + 2 * i, 3, "%02x", *rtc_byte(i));
    setenv("SDK_RTC", hex, 1);
}

void EspClass::restart()
{
    keep_rtc();
    setenv("SDK_RESET", "4", 1); /* REASON_SOFT_RESTART */
    sim_flash_close(&flash);
    execv(arguments[0], arguments);
    sdk_fail("cannot start again");
}

/* RTC memory stays; the rest starts anew. */
void EspClass::deepSleep(uint64_t us)
{
    sdk_note("sleeps %u s", static_cast<unsigned>(us / 1000000));
    keep_rtc();
    setenv("SDK_RESET", "5", 1); /* REASON_DEEP_SLEEP_AWAKE */
    sim_flash_close(&flash);
    execv(arguments[0], arguments);
    sdk_fail("does not wake");
}

static uint32_t number_of(const char *name, uint32_t otherwise)
{
    const char *text = getenv(name);
    return text != nullptr ? static_cast<uint32_t>(strtoul(text, nullptr, 10)) : otherwise;
}

uint32_t EspClass::getFreeHeap()
{
    return number_of("SDK_HEAP", 40000);
}

uint32_t EspClass::getMaxFreeBlockSize()
{
    return number_of("SDK_BLOCK", 30000);
}

uint32_t EspClass::getFlashChipRealSize()
{
    return flash.port.size;
}

String EspClass::getSketchMD5()
{
    uint32_t len = 0;
    uint8_t digest[16];
    char hex[33] = "";
    br_md5_context md5;
    if (molt_esp8266_sketch_len(&flash.port, &len) != 0) sdk_fail("no sketch");
    br_md5_init(&md5);
    br_md5_update(&md5, flash.bytes, len);
    br_md5_out(&md5, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return String(hex);
}

bool EspClass::flashEraseSector(uint32_t sector)
{
    return flash.port.erase(flash.port.ctx, sector * 4096u, 4096u) == 0;
}

/* The SDK takes words, from words, at words. */
static bool is_word(uint32_t address, const void *data, size_t size)
{
    return (address & 3u) == 0 && (size & 3u) == 0 && (reinterpret_cast<uintptr_t>(data) & 3u) == 0;
}

bool EspClass::flashWrite(uint32_t address, const uint32_t *data, size_t size)
{
    if (!is_word(address, data, size)) sdk_fail("a write that is not of words");
    return flash.port.write(flash.port.ctx, address, data, static_cast<uint32_t>(size)) == 0;
}

bool EspClass::flashRead(uint32_t address, uint32_t *data, size_t size)
{
    if (!is_word(address, data, size)) sdk_fail("a read that is not of words");
    sdk_hash_us(size);
    return flash.port.read(flash.port.ctx, address, data, static_cast<uint32_t>(size)) == 0;
}

bool EspClass::rtcUserMemoryWrite(uint32_t offset, uint32_t *data, size_t size)
{
    if (offset * 4 + size > 512) return false;
    for (size_t i = 0; i < size; i++)
        *rtc_byte(offset * 4 + i) = reinterpret_cast<uint8_t *>(data)[i];
    return true;
}

bool EspClass::rtcUserMemoryRead(uint32_t offset, uint32_t *data, size_t size)
{
    if (offset * 4 + size > 512) return false;
    for (size_t i = 0; i < size; i++)
        reinterpret_cast<uint8_t *>(data)[i] = *rtc_byte(offset * 4 + i);
    return true;
}

struct rst_info *EspClass::getResetInfoPtr()
{
    return &reset_info;
}

uint32_t sdk_fs_start(void)
{
    return layout->fs_start;
}

uint32_t sdk_fs_size(void)
{
    return layout->fs_end - layout->fs_start;
}

/* ---- from reset to restart ---- */

static void read_rtc(void)
{
    const char *hex = getenv("SDK_RTC");
    sim_rtc_power_on(&rtc);
    memset(rtc_rest, 0xA5, sizeof rtc_rest);
    if (hex == nullptr || strlen(hex) != 2 * 512) return;
    for (size_t i = 0; i < 512; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        *rtc_byte(i) = static_cast<uint8_t>(strtoul(pair, nullptr, 16));
    }
}

static void boot(void)
{
    bool started;
    if (sim_molt_boot_is_there(&flash.port)) {
        struct sim_molt_boot_result result;
        sim_molt_boot_run(&flash.port, &rtc,
                          reset_info.reason == REASON_DEFAULT_RST ? MOLT_BOOT_POWER_ON : MOLT_BOOT_RESET,
                          &result);
        started = result.started;
    } else {
        struct sim_eboot_result result;
        sim_eboot_run(&flash.port, &rtc, &result);
        started = result.started;
    }
    if (!started) sdk_fail("nothing boots");
}

/* What lies at 0 is what runs: the sketch that was compiled as that version. */
static void become(char **argv)
{
    char text[16] = "", path[600];
    if (!facts_tag(flash.bytes, layout->fs_start / 2, "code", text, sizeof text))
        sdk_fail("no tag in the image");
    const char *dash = strrchr(argv[0], '-');
    if (dash == nullptr) sdk_fail("the program must be called NAME-CODE");
    if (strcmp(dash + 1, text) == 0) return;
    snprintf(path, sizeof path, "%.*s-%s", static_cast<int>(dash - argv[0]), argv[0], text);
    argv[0] = path;
    setenv("SDK_BOOTED", "1", 1); /* the boot stage has done its work; the rest is the same reset */
    sim_flash_close(&flash);
    execv(path, argv);
    sdk_fail("no sketch of that version");
}

static sdk_flash_count count()
{
    return {flash.count.erases, flash.count.writes, flash.count.read_bytes};
}

int main(int argc, char **argv)
{
    const char *path = getenv("SDK_FLASH"), *reset = getenv("SDK_RESET");
    const char *name = getenv("SDK_LAYOUT");
    (void)argc;
    arguments = argv;
    layout = sim_layout_find(name != nullptr ? name : "4M2M");
    struct sim_flash_config config = {};
    config.size = layout->flash_size;
    config.path = path;
    if (path == nullptr || sim_flash_open(&flash, &config) < 0) sdk_fail("SDK_FLASH is not a flash");
    reset_info.reason = reset != nullptr ? static_cast<uint32_t>(strtoul(reset, nullptr, 10)) : 0;
    read_rtc();
    if (getenv("SDK_BOOTED") == nullptr) {
        boot();
        keep_rtc();
        become(argv);
    }
    unsetenv("SDK_BOOTED");
    sdk_count_start();
    printf("boot %s\n", strrchr(argv[0], '-') + 1);
    fflush(stdout);
    setup();
    for (;;) {
        sdk_loop(count);
        sdk_pass_us(10000);
    }
}
