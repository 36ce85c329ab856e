/* board.cpp - the chip behind esp8266/Arduino's host emulation, whose own (MockEsp.cpp) has no flash and no RTC memory, and ends
 * at a restart: here they are the simulator's, as in esp8266_sim.cpp, with its boot stages. Compiled and linked against a
 * checkout, by hand (doc/arduino.md); no test of ours runs it. Must define all that MockEsp.cpp does: the linker takes one.
 *
 *     SDK_FLASH=FILE NAME-CODE/NAME-CODE -f
 *
 * SDK_FLASH: 4 MB, with an image at 0. A deep sleep ends the run. */
#include <Arduino.h>
#include <Esp.h>
#include <MD5Builder.h>
#include <StackThunk.h>
#include <eboot_command.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include <user_interface.h>

#include "arduino_sim.h"
#include "boot_stage.h"

extern "C" {
#include "device/src/slots/esp8266_eboot.h"
#include "sim/eboot.h"
#include "sim/flash.h"
#include "sim/layout.h"
#include "sim/molt_boot.h"
}

#define RTC_LEN 512u

static struct sim_flash flash;
static struct sim_rtc rtc;
static uint8_t rtc_rest[RTC_LEN - sizeof rtc.bytes];
static char **arguments;

struct rst_info resetInfo;
uint32_t _SPIFFS_start;
EspClass ESP;

void sdk_fail(const char *what)
{
    fprintf(stderr, "board: %s\n", what);
    _exit(3);
}

void sdk_note(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    puts("");
    fflush(stdout);
}

/* ---- RTC memory and restart ---- */

static uint8_t *rtc_byte(size_t i)
{
    return i < sizeof rtc.bytes ? rtc.bytes + i : rtc_rest + (i - sizeof rtc.bytes);
}

static void keep_rtc()
{
    char hex[2 * RTC_LEN + 1];
    for (size_t i = 0; i < RTC_LEN; i++)
        snprintf(hex + 2 * i, 3, "%02x", *rtc_byte(i));
    setenv("SDK_RTC", hex, 1);
}

static void read_rtc()
{
    const char *hex = getenv("SDK_RTC");
    sim_rtc_power_on(&rtc);
    if (hex == nullptr || strlen(hex) != 2 * RTC_LEN) return;
    for (size_t i = 0; i < RTC_LEN; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        *rtc_byte(i) = static_cast<uint8_t>(strtoul(pair, nullptr, 16));
    }
}

void EspClass::restart()
{
    keep_rtc();
    setenv("SDK_RESET", "4", 1); /* REASON_SOFT_RESTART */
    sim_flash_close(&flash);
    fflush(stdout);
    execv(arguments[0], arguments);
    sdk_fail("cannot start again");
}

void EspClass::reset()
{
    restart();
}

void EspClass::deepSleep(uint64_t us, RFMode)
{
    sdk_note("sleeps %u s", static_cast<unsigned>(us / 1000000));
    _exit(0);
}

bool EspClass::rtcUserMemoryWrite(uint32_t offset, uint32_t *data, size_t size)
{
    if (offset * 4 + size > RTC_LEN) return false;
    for (size_t i = 0; i < size; i++)
        *rtc_byte(offset * 4 + i) = reinterpret_cast<uint8_t *>(data)[i];
    return true;
}

bool EspClass::rtcUserMemoryRead(uint32_t offset, uint32_t *data, size_t size)
{
    if (offset * 4 + size > RTC_LEN) return false;
    for (size_t i = 0; i < size; i++)
        reinterpret_cast<uint8_t *>(data)[i] = *rtc_byte(offset * 4 + i);
    return true;
}

struct rst_info *EspClass::getResetInfoPtr()
{
    return &resetInfo;
}

String EspClass::getResetReason()
{
    return String(resetInfo.reason);
}

/* ---- flash ---- */

static bool is_word(uint32_t address, const void *data, size_t size)
{
    return (address & 3u) == 0 && (size & 3u) == 0 && (reinterpret_cast<uintptr_t>(data) & 3u) == 0;
}

bool EspClass::flashEraseSector(uint32_t sector)
{
    return flash.port.erase(flash.port.ctx, sector * 4096u, 4096u) == 0;
}

bool EspClass::flashWrite(uint32_t address, const uint8_t *data, size_t size)
{
    return flash.port.write(flash.port.ctx, address, data, static_cast<uint32_t>(size)) == 0;
}

bool EspClass::flashWrite(uint32_t address, const uint32_t *data, size_t size)
{
    if (!is_word(address, data, size)) sdk_fail("a write that is not of words");
    return flashWrite(address, reinterpret_cast<const uint8_t *>(data), size);
}

bool EspClass::flashRead(uint32_t address, uint8_t *data, size_t size)
{
    return flash.port.read(flash.port.ctx, address, data, static_cast<uint32_t>(size)) == 0;
}

bool EspClass::flashRead(uint32_t address, uint32_t *data, size_t size)
{
    if (!is_word(address, data, size)) sdk_fail("a read that is not of words");
    return flashRead(address, reinterpret_cast<uint8_t *>(data), size);
}

uint32_t EspClass::getSketchSize()
{
    uint32_t len = 0;
    if (molt_esp8266_sketch_len(&flash.port, &len) != 0) sdk_fail("no sketch");
    return len;
}

String EspClass::getSketchMD5()
{
    MD5Builder md5;
    const uint32_t len = getSketchSize();
    md5.begin();
    for (uint32_t at = 0; at < len; at += 1024)
        md5.add(flash.bytes + at, static_cast<uint16_t>(len - at < 1024 ? len - at : 1024));
    md5.calculate();
    return md5.toString();
}

void eboot_command_write(struct eboot_command *)
{
    sdk_fail("the core's own updater is not simulated");
}

/* The second stage that a sketch may bring: `molt image boot-code` made the header. */
extern "C" const uint32_t *molt_boot_second(uint32_t *len)
{
    *len = sizeof moltBootSecond;
    return moltBootSecond;
}

extern "C" const uint32_t *molt_boot_second_in_place(uint32_t *len)
{
    *len = 0; /* no sketch here brings that one */
    return moltBootSecond;
}

/* ---- what else MockEsp.cpp says of the chip ---- */

// clang-format off
uint32_t EspClass::getChipId() { return 0xee1337; }
uint32_t EspClass::getFreeHeap() { return 40000; }
uint32_t EspClass::getMaxFreeBlockSize() { return 30000; }
uint32_t EspClass::getFreeContStack() { return 4000; }
uint32_t EspClass::getFreeSketchSpace() { return 0x100000; }
uint32_t EspClass::getFlashChipRealSize() { return flash.port.size; }
uint32_t EspClass::getFlashChipSize() { return flash.port.size; }
uint32_t EspClass::getFlashChipSpeed() { return 40; }
uint32_t EspClass::magicFlashChipSize(uint8_t) { return flash.port.size; }
FlashMode_t EspClass::getFlashChipMode() { return FM_DOUT; }
FlashMode_t EspClass::magicFlashChipMode(uint8_t) { return FM_DOUT; }
bool EspClass::checkFlashConfig(bool) { return true; }
const char *EspClass::getSdkVersion() { return "2.5.0"; }
String EspClass::getFullVersion() { return "emulation"; }
void EspClass::getHeapStats(uint32_t *, uint16_t *, uint8_t *) {}
void EspClass::getHeapStats(uint32_t *, uint32_t *, uint8_t *) {}
void EspClass::resetFreeContStack() {}
void EspClass::setDramHeap() {}
void EspClass::setIramHeap() {}
void EspClass::setExternalHeap() {}
void EspClass::resetHeap() {}
uint32_t EspClass::getCycleCount() { return esp_get_cycle_count(); }
// clang-format on

uint32_t esp_get_cycle_count()
{
    struct timeval now;
    gettimeofday(&now, nullptr);
    return static_cast<uint32_t>((static_cast<uint64_t>(now.tv_sec) * 1000000 + now.tv_usec) * 80);
}

/* ---- from reset to the sketch, before main() of the emulation ---- */

static bool boot()
{
    if (sim_molt_boot_is_there(&flash.port)) {
        struct sim_molt_boot_result result;
        const enum molt_boot_cause cause =
            resetInfo.reason == REASON_DEFAULT_RST ? MOLT_BOOT_POWER_ON : MOLT_BOOT_RESET;
        sim_molt_boot_run(&flash.port, &rtc, cause, &result);
        return result.started;
    }
    struct sim_eboot_result result;
    sim_eboot_run(&flash.port, &rtc, &result);
    return result.started;
}

/* The tag of MOLT_FIRMWARE in what lies at 0. */
static const char *code_in_flash()
{
    static const char key[] = "\0code";
    const void *at = memmem(flash.bytes, 0x100000, key, sizeof key);
    if (at == nullptr) sdk_fail("no tag in the image");
    return static_cast<const char *>(at) + sizeof key;
}

/* What lies at 0 is what runs: the sketch that was compiled as that version. */
static void become()
{
    static char path[600];
    const char *dash = strrchr(arguments[0], '-');
    if (dash == nullptr) sdk_fail("the program must be called NAME-CODE");
    if (strcmp(dash + 1, code_in_flash()) == 0) return;
    snprintf(path, sizeof path, "%.*s-%s", static_cast<int>(dash - arguments[0]), arguments[0],
             code_in_flash());
    arguments[0] = path;
    setenv("SDK_BOOTED", "1", 1);
    sim_flash_close(&flash);
    execv(path, arguments);
    sdk_fail("no sketch of that version");
}

__attribute__((constructor)) static void power_on(int, char **argv, char **)
{
    const char *path = getenv("SDK_FLASH"), *reset = getenv("SDK_RESET");
    const struct sim_layout *layout = sim_layout_find("4M2M");
    struct sim_flash_config config = {};
    arguments = argv;
    config.size = layout->flash_size;
    config.path = path;
    if (path == nullptr || sim_flash_open(&flash, &config) < 0) sdk_fail("SDK_FLASH is not a flash");
    resetInfo.reason = reset != nullptr ? static_cast<uint32_t>(strtoul(reset, nullptr, 10)) : 0;
    read_rtc();
    if (getenv("SDK_BOOTED") == nullptr) {
        if (!boot()) sdk_fail("nothing boots");
        keep_rtc();
        become();
    }
    unsetenv("SDK_BOOTED");
    printf("boot %s\n", strrchr(argv[0], '-') + 1);
    fflush(stdout);
}
