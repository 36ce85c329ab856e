/* arduino_sim.cpp - Arduino's own part for sketches on a PC, the same above every chip: time, pins, text, Wi-Fi as sockets,
 * LittleFS. The bodies of test/sdk/doubles/arduino. Must never wait for the network where the cores do not.
 *
 *     SDK_CHIP_PORT=N SDK_CHIP_TLS_PORT=N SDK_MAC=HH SDK_END=TEXT SDK_PINS_LOW=1 SDK_SNTP_PORT=N SDK_JOIN_S=N SDK_SERVER_S=N
 *
 * Wi-Fi connects to 127.0.0.1:N whatever host is asked, for ports 443 and 8443 to the second one. The clock
 * stands at 1970 at power-on; configTime() asks the SNTP server there. Wi-Fi is joined SDK_JOIN_S seconds after each start, and the
 * servers can be reached SDK_SERVER_S seconds after it. The run ends well when the sketch has printed TEXT, SDK_END_COUNT times. */
#include "arduino_sim.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <LittleFS.h>
#include <WiFiClient.h>

#include "sim_time.h"

static char line[512];

void sdk_fail(const char *what)
{
    fprintf(stderr, "arduino_sim: %s\n", what);
    exit(3);
}

/* A line of output, which may be the last one that is waited for. */
static void say(const char *text)
{
    const char *end = getenv("SDK_END");
    puts(text);
    fflush(stdout);
    if (end == nullptr || strcmp(text, end) != 0) return;
    const char *left = getenv("SDK_END_COUNT");
    const long count = left != nullptr ? strtol(left, nullptr, 10) : 1;
    char next[24];
    if (count <= 1) exit(0);
    snprintf(next, sizeof next, "%ld", count - 1);
    setenv("SDK_END_COUNT", next, 1); /* also of the starts to come */
}

void sdk_note(const char *format, ...)
{
    va_list list;
    char text[200];
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    say(text);
}

/* ---- what a sketch would have compiled in: Signed.ino's arrays, from SDK_MAKER=<192 hex digits> ---- */

uint8_t molt_key[64], molt_vendor[16], molt_class[16];

__attribute__((constructor)) static void read_maker(void)
{
    const char *hex = getenv("SDK_MAKER");
    uint8_t *const arrays[] = {molt_key, molt_vendor, molt_class};
    const size_t lens[] = {sizeof molt_key, sizeof molt_vendor, sizeof molt_class};
    if (hex == nullptr) return;
    for (size_t a = 0; a < 3; a++) {
        for (size_t i = 0; i < lens[a] && hex[0] != '\0'; i++, hex += 2) {
            char pair[3] = {hex[0], hex[1], '\0'};
            arrays[a][i] = static_cast<uint8_t>(strtoul(pair, nullptr, 16));
        }
    }
}

/* ---- time, pins ---- */

unsigned long millis(void)
{
    return static_cast<unsigned long>(static_cast<uint32_t>(sdk_now_us() / 1000));
}

/* ---- one loop(): at most one change of flash and one connection, and nothing that waits ---- */

#define SEND_ROOM 1072u  /* bytes that lwIP takes at once: TCP_SND_BUF is two segments of 536 */
#define READ_MOST 32768u /* bytes of flash, read and hashed: 20 ms and one step more */

static struct {
    uint64_t waited_ms;
    size_t sent;
    unsigned connections, handshakes; /* what onBusy() announces */
} turn;

void sdk_loop(sdk_flash_count (*count)())
{
    const sdk_flash_count before = count();
    turn = {};
    loop();
    const sdk_flash_count after = count();
    const uint64_t erases = after.erases - before.erases, writes = after.writes - before.writes;
    if (getenv("SDK_LAZY") != nullptr) return;
    if (erases > 1 || (erases == 1 && writes > 0)) sdk_fail("more than one change of flash in one loop()");
    if (after.read_bytes - before.read_bytes > READ_MOST)
        sdk_fail("too much of the flash is read in one loop()");
    if (turn.connections > 1) sdk_fail("more than one connection in one loop()");
    if (turn.handshakes > 2)
        sdk_fail("more in one loop() than a handshake, and one that asks for small records");
    if (turn.connections + turn.handshakes > 0) return;
    if (turn.waited_ms > 0) sdk_fail("loop() waits");
    if (turn.sent > SEND_ROOM) sdk_fail("more is sent in one loop() than lwIP takes at once");
}

void delay(unsigned long ms)
{
    turn.waited_ms += ms;
    sdk_wait_us(static_cast<uint64_t>(ms) * 1000);
}

static uint8_t pin_modes[64], pin_levels[64];

void pinMode(uint8_t pin, uint8_t mode)
{
    pin_modes[pin % sizeof pin_modes] = mode;
}

void digitalWrite(uint8_t pin, uint8_t value)
{
    pin_levels[pin % sizeof pin_levels] = value;
}

int digitalRead(uint8_t pin)
{
    if (pin_modes[pin % sizeof pin_modes] == OUTPUT) return pin_levels[pin % sizeof pin_levels];
    return getenv("SDK_PINS_LOW") != nullptr ? LOW : HIGH;
}

/* ---- the clock: time() and settimeofday() of what is linked come here (-Wl,--wrap) ---- */

static int64_t clock_ahead; /* of the seconds since power-on */

uint32_t sdk_time(void)
{
    return static_cast<uint32_t>(millis() / 1000 + static_cast<uint64_t>(clock_ahead));
}

extern "C" {
time_t __wrap_time(time_t *out);
int __wrap_settimeofday(const struct timeval *tv, const void *zone);

time_t __wrap_time(time_t *out)
{
    const time_t now = static_cast<time_t>(sdk_time());
    if (out != nullptr) *out = now;
    return now;
}

int __wrap_settimeofday(const struct timeval *tv, const void *)
{
    clock_ahead = tv->tv_sec - static_cast<int64_t>(millis() / 1000);
    sdk_note("clock set");
    return 0;
}
}

/* SNTP as the cores do it (RFC 4330): one datagram each way; here it waits for the answer. */
void configTime(int, int, const char *, const char *)
{
    const char *port = getenv("SDK_SNTP_PORT");
    uint8_t packet[48] = {0x23};
    struct sockaddr_in to = {};
    if (port == nullptr) return; /* no such server: the clock stays as it is */
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<uint16_t>(strtoul(port, nullptr, 10)));
    const struct timeval limit = {30, 0};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (fd < 0 || ::connect(fd, reinterpret_cast<struct sockaddr *>(&to), sizeof to) != 0)
        sdk_fail("no SNTP");
    if (send(fd, packet, sizeof packet, 0) != sizeof packet ||
        recv(fd, packet, sizeof packet, 0) != sizeof packet)
        sdk_fail("the SNTP server did not answer");
    close(fd);
    const uint32_t from_1900 = static_cast<uint32_t>(packet[40]) << 24 |
                               static_cast<uint32_t>(packet[41]) << 16 |
                               static_cast<uint32_t>(packet[42]) << 8 | packet[43];
    struct timeval tv = {};
    tv.tv_sec = static_cast<time_t>(from_1900 - 2208988800u); /* modulo 2^32: good until 2106, as lwIP's */
    (void)__wrap_settimeofday(&tv, nullptr);
}

size_t strlcpy(char *dst, const char *src, size_t cap)
{
    return static_cast<size_t>(snprintf(dst, cap, "%s", src));
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
    say(line);
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

HardwareSerial Serial, Serial1;

/* ---- Wi-Fi ---- */

WiFiClass WiFi;

/* Have the seconds since the start gone by that the variable says? */
static bool is_past(const char *name)
{
    const char *text = getenv(name);
    return text == nullptr || millis() >= 1000 * strtoul(text, nullptr, 10);
}

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
    return is_past("SDK_JOIN_S") ? WL_CONNECTED : WL_DISCONNECTED;
}

uint8_t *WiFiClass::macAddress(uint8_t *mac)
{
    uint8_t own[6] = {0x5C, 0xCF, 0x7F, 0xC6, 0x02, 0xE2};
    const char *last = getenv("SDK_MAC");
    if (last != nullptr) own[5] = static_cast<uint8_t>(strtoul(last, nullptr, 16));
    memcpy(mac, own, sizeof own);
    return mac;
}

String WiFiClass::macAddress()
{
    uint8_t mac[6];
    char text[18];
    macAddress(mac);
    snprintf(text, sizeof text, "%02X:%02X:%02X:%02X:%02X:%02X", mac[0], mac[1], mac[2], mac[3], mac[4],
             mac[5]);
    return String(text);
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

int sdk_connect(uint16_t wanted)
{
    const bool is_tls = wanted == 443 || wanted == 8443;
    const char *port = getenv(is_tls ? "SDK_CHIP_TLS_PORT" : "SDK_CHIP_PORT");
    ++*(is_tls ? &turn.handshakes : &turn.connections);
    if (!is_past("SDK_JOIN_S") || !is_past("SDK_SERVER_S")) return -1;
    struct sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<uint16_t>(strtoul(port != nullptr ? port : "0", nullptr, 10)));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && ::connect(fd, reinterpret_cast<struct sockaddr *>(&to), sizeof to) == 0) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

int WiFiClient::connect(const char *, uint16_t port)
{
    stop();
    fd_ = sdk_connect(port);
    if (fd_ >= 0) sdk_count_open(1);
    return fd_ >= 0 && fcntl(fd_, F_SETFL, O_NONBLOCK) == 0 ? 1 : 0;
}

#if defined(ARDUINO_ARCH_ESP32)
int WiFiClient::connect(const char *host, uint16_t port, int32_t ms)
{
    if (ms <= 0 || ms > 10000) sdk_fail("a connection without a bound");
    return WiFiClient::connect(host, port);
}
#endif

size_t WiFiClient::write(uint8_t c)
{
    return write(&c, 1);
}

size_t WiFiClient::write(const uint8_t *buf, size_t size)
{
    ssize_t n = send(fd_, buf, size, MSG_NOSIGNAL);
    turn.sent += size;
    return n > 0 ? static_cast<size_t>(n) : 0;
}

/* As lwIP keeps it: what came can be read before the end is seen. */
int WiFiClient::available()
{
    uint8_t octet[1460];
    ssize_t n = fd_ >= 0 ? recv(fd_, octet, sizeof octet, MSG_PEEK) : -1;
    return n > 0 ? static_cast<int>(n) : 0;
}

int WiFiClient::read()
{
    uint8_t octet;
    return read(&octet, 1) == 1 ? octet : -1;
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
    if (fd_ >= 0) {
        close(fd_);
        sdk_count_open(-1);
    }
    fd_ = -1;
}

uint8_t WiFiClient::connected()
{
    uint8_t octet;
    if (fd_ < 0) return 0;
    ssize_t n = recv(fd_, &octet, 1, MSG_PEEK);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

WiFiClient::operator bool()
{
    return fd_ >= 0;
}

LittleFsClass LittleFS;

bool LittleFsClass::begin()
{
    sdk_note("mounted");
    return true;
}

void LittleFsClass::end()
{
    sdk_note("unmounted");
}
