/* esp8266_sim.cpp - an ESP8266 for sketches on a PC: the bodies of test/sdk/doubles over the simulator's flash, RTC
 * memory and boot stages, with sockets for Wi-Fi. One process is one run from reset to restart; then it starts itself, or
 * the sketch of the version that the boot stage left in flash. Must never let through what the SDK would refuse.
 *
 *     SDK_FLASH=FILE SDK_CHIP_PORT=N SDK_END=TEXT sketch-CODE
 *
 * SDK_FLASH: 4 MB, with an image at 0. Wi-Fi connects to 127.0.0.1:N whatever host is asked;
 * SDK_MAC is the last byte of its MAC. The run ends well when the
 * sketch prints TEXT. SDK_LAZY: loop() may block (runOnce). Built for each version code as NAME-CODE in one folder. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bearssl_hash.h>

#include <Arduino.h>
#include <ESP8266WiFi.h>
#include <LittleFS.h>
#include <StackThunk.h>
#include <WiFiClientSecure.h>
#include <flash_hal.h>
#include <user_interface.h>

extern "C" {
#include "host/facts.h"
#include "sim/eboot.h"
#include "sim/flash.h"
#include "sim/layout.h"
#include "sim/molt_boot.h"
}
#include "molt_firmware.h"

static struct sim_flash flash;
static const struct sim_layout *layout;
static struct sim_rtc rtc;
static struct rst_info reset_info;
static char **arguments;
static char line[512];

[[noreturn]] static void fail(const char *what)
{
    fprintf(stderr, "esp8266_sim: %s\n", what);
    exit(3);
}

/* ---- time, pins ---- */

unsigned long millis(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return static_cast<unsigned long>(static_cast<uint32_t>(ts.tv_sec * 1000 + ts.tv_nsec / 1000000));
}

void delay(unsigned long ms)
{
    struct timespec ts = {static_cast<time_t>(ms / 1000), static_cast<long>(ms % 1000) * 1000000};
    nanosleep(&ts, nullptr);
}

void pinMode(uint8_t, uint8_t)
{
}

int digitalRead(uint8_t)
{
    return getenv("SDK_PINS_LOW") != nullptr ? LOW : HIGH;
}

void configTime(int, int, const char *, const char *)
{
}

size_t strlcpy(char *dst, const char *src, size_t cap)
{
    return static_cast<size_t>(snprintf(dst, cap, "%s", src));
}

uint32_t sdk_gpi(void)
{
    return getenv("SDK_STRAP_UART") != nullptr ? 1u << 16 : 3u << 16;
}

/* ---- String, Serial ---- */

String::String(const char *text) : text_(strdup(text))
{
}

String::String(const __FlashStringHelper *text) : text_(strdup(reinterpret_cast<const char *>(text)))
{
}

String::String(const String &other) : text_(strdup(other.text_))
{
}

String &String::operator=(const String &other)
{
    if (this != &other) {
        free(text_);
        text_ = strdup(other.text_);
    }
    return *this;
}

String::~String()
{
    free(text_);
}

const char *String::c_str() const
{
    return text_;
}

Print::~Print()
{
}

size_t Print::write(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        write(data[i]);
    return len;
}

size_t Print::print(const char *text)
{
    return write(reinterpret_cast<const uint8_t *>(text), strlen(text));
}

size_t Print::print(const __FlashStringHelper *text)
{
    return print(reinterpret_cast<const char *>(text));
}

size_t Print::print(const String &text)
{
    return print(text.c_str());
}

size_t Print::println()
{
    return print("\r\n");
}

size_t Print::println(const char *text)
{
    return print(text) + println();
}

size_t Print::println(const __FlashStringHelper *text)
{
    return print(text) + println();
}

int Print::printf(const char *format, ...)
{
    char text[256];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    print(text);
    return n;
}

void Stream::setTimeout(unsigned long ms)
{
    _timeout = ms;
}

void HardwareSerial::begin(unsigned long)
{
}

size_t HardwareSerial::write(uint8_t c)
{
    size_t len = strlen(line);
    if (c == '\r') return 1;
    if (c != '\n' && len + 1 < sizeof line) {
        line[len] = static_cast<char>(c);
        line[len + 1] = '\0';
        return 1;
    }
    puts(line);
    fflush(stdout);
    const char *end = getenv("SDK_END");
    if (end != nullptr && strcmp(line, end) == 0) exit(0);
    line[0] = '\0';
    return 1;
}

int HardwareSerial::available()
{
    return 0;
}

int HardwareSerial::read()
{
    return -1;
}

int HardwareSerial::peek()
{
    return -1;
}

HardwareSerial Serial;

/* ---- the chip ---- */

EspClass ESP;

/* RTC memory outlives the process, as it outlives a reset. */
static void keep_rtc(void)
{
    char hex[2 * sizeof rtc.bytes + 1];
    for (size_t i = 0; i < sizeof rtc.bytes; i++)
        snprintf(hex + 2 * i, 3, "%02x", rtc.bytes[i]);
    setenv("SDK_RTC", hex, 1);
}

void EspClass::restart()
{
    keep_rtc();
    setenv("SDK_RESET", "4", 1); /* REASON_SOFT_RESTART */
    sim_flash_close(&flash);
    execv(arguments[0], arguments);
    fail("cannot start again");
}

uint32_t EspClass::getFreeHeap()
{
    return 40000;
}

uint32_t EspClass::getMaxFreeBlockSize()
{
    return 30000;
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
    if (molt_esp8266_sketch_len(&flash.port, &len) != 0) fail("no sketch");
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
    if (!is_word(address, data, size)) fail("a write that is not of words");
    return flash.port.write(flash.port.ctx, address, data, static_cast<uint32_t>(size)) == 0;
}

bool EspClass::flashRead(uint32_t address, uint32_t *data, size_t size)
{
    if (!is_word(address, data, size)) fail("a read that is not of words");
    return flash.port.read(flash.port.ctx, address, data, static_cast<uint32_t>(size)) == 0;
}

bool EspClass::rtcUserMemoryWrite(uint32_t offset, uint32_t *data, size_t size)
{
    if (offset * 4 + size > sizeof rtc.bytes) return false;
    memcpy(rtc.bytes + offset * 4, data, size);
    return true;
}

bool EspClass::rtcUserMemoryRead(uint32_t offset, uint32_t *data, size_t size)
{
    if (offset * 4 + size > sizeof rtc.bytes) return false;
    memcpy(data, rtc.bytes + offset * 4, size);
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

void stack_thunk_add_ref(void)
{
}

void stack_thunk_del_ref(void)
{
}

/* ---- Wi-Fi ---- */

WiFiClass WiFi;

bool WiFiClass::mode(int)
{
    return true;
}

int WiFiClass::begin(const char *, const char *)
{
    return WL_CONNECTED;
}

int WiFiClass::status()
{
    return WL_CONNECTED;
}

uint8_t *WiFiClass::macAddress(uint8_t *mac)
{
    uint8_t own[6] = {0x5C, 0xCF, 0x7F, 0xC6, 0x02, 0xE2};
    const char *last = getenv("SDK_MAC");
    if (last != nullptr) own[5] = static_cast<uint8_t>(strtoul(last, nullptr, 16));
    memcpy(mac, own, sizeof own);
    return mac;
}

IPAddress::IPAddress()
{
}

WiFiClient::WiFiClient() : fd_(-1)
{
}

WiFiClient::~WiFiClient()
{
    stop();
}

int WiFiClient::connect(IPAddress, uint16_t)
{
    return 0;
}

int WiFiClient::connect(const char *, uint16_t)
{
    const char *port = getenv("SDK_CHIP_PORT");
    struct sockaddr_in to = {};
    stop();
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<uint16_t>(strtoul(port != nullptr ? port : "0", nullptr, 10)));
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    if (fd_ < 0 || ::connect(fd_, reinterpret_cast<struct sockaddr *>(&to), sizeof to) != 0) {
        stop();
        return 0;
    }
    return fcntl(fd_, F_SETFL, O_NONBLOCK) == 0 ? 1 : 0;
}

size_t WiFiClient::write(uint8_t c)
{
    return write(&c, 1);
}

size_t WiFiClient::write(const uint8_t *buf, size_t size)
{
    ssize_t n = send(fd_, buf, size, MSG_NOSIGNAL);
    return n > 0 ? static_cast<size_t>(n) : 0;
}

/* As lwIP keeps it: what came can be read before the end is seen. */
int WiFiClient::available()
{
    uint8_t byte[1460];
    ssize_t n = fd_ >= 0 ? recv(fd_, byte, sizeof byte, MSG_PEEK) : -1;
    return n > 0 ? static_cast<int>(n) : 0;
}

int WiFiClient::read()
{
    uint8_t byte;
    return read(&byte, 1) == 1 ? byte : -1;
}

int WiFiClient::read(uint8_t *buf, size_t size)
{
    ssize_t n = recv(fd_, buf, size, 0);
    return n > 0 ? static_cast<int>(n) : -1;
}

int WiFiClient::peek()
{
    return -1;
}

void WiFiClient::flush()
{
}

void WiFiClient::stop()
{
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
}

uint8_t WiFiClient::connected()
{
    uint8_t byte;
    if (fd_ < 0) return 0;
    ssize_t n = recv(fd_, &byte, 1, MSG_PEEK);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

WiFiClient::operator bool()
{
    return fd_ >= 0;
}

/* ---- BearSSL's client: TLS is for the chip; here nothing can be reached by it ---- */

namespace BearSSL
{
PublicKey::PublicKey(const char *)
{
}

Session::Session() : parameters_()
{
}

WiFiClientSecure::WiFiClientSecure()
{
}

WiFiClientSecure::~WiFiClientSecure()
{
}

void WiFiClientSecure::setTrustAnchors(const X509List *)
{
}

void WiFiClientSecure::setKnownKey(const PublicKey *, unsigned)
{
}

void WiFiClientSecure::setSession(Session *)
{
}

void WiFiClientSecure::setBufferSizes(int, int)
{
}

bool WiFiClientSecure::probeMaxFragmentLength(const char *, uint16_t, uint16_t)
{
    return true;
}
} // namespace BearSSL

LittleFsClass LittleFS;

bool LittleFsClass::begin()
{
    return true;
}

void LittleFsClass::end()
{
}

/* ---- from reset to restart ---- */

static void read_rtc(void)
{
    const char *hex = getenv("SDK_RTC");
    sim_rtc_power_on(&rtc);
    if (hex == nullptr || strlen(hex) != 2 * sizeof rtc.bytes) return;
    for (size_t i = 0; i < sizeof rtc.bytes; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        rtc.bytes[i] = static_cast<uint8_t>(strtoul(pair, nullptr, 16));
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
    if (!started) fail("nothing boots");
}

/* What lies at 0 is what runs: the sketch that was compiled as that version. */
static void become(char **argv)
{
    char text[16] = "", path[600];
    if (!facts_tag(flash.bytes, layout->fs_start / 2, "code", text, sizeof text)) fail("no tag in the image");
    const char *dash = strrchr(argv[0], '-');
    if (dash == nullptr) fail("the program must be called NAME-CODE");
    if (strcmp(dash + 1, text) == 0) return;
    snprintf(path, sizeof path, "%.*s-%s", static_cast<int>(dash - argv[0]), argv[0], text);
    argv[0] = path;
    setenv("SDK_BOOTED", "1", 1); /* the boot stage has done its work; the rest is the same reset */
    sim_flash_close(&flash);
    execv(path, argv);
    fail("no sketch of that version");
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
    if (path == nullptr || sim_flash_open(&flash, &config) < 0) fail("SDK_FLASH is not a flash");
    reset_info.reason = reset != nullptr ? static_cast<uint32_t>(strtoul(reset, nullptr, 10)) : 0;
    read_rtc();
    if (getenv("SDK_BOOTED") == nullptr) {
        boot();
        keep_rtc();
        become(argv);
    }
    unsetenv("SDK_BOOTED");
    printf("boot %u\n", static_cast<unsigned>(molt_firmware.code));
    fflush(stdout);
    setup();
    for (;;) {
        uint64_t erases = flash.count.erases;
        loop();
        if (flash.count.erases > erases + 1 && getenv("SDK_LAZY") == nullptr)
            fail("two erases in one loop()");
    }
}
