/* esp32_sim.cpp - Arduino's core above the simulated ESP-IDF (idf_sim.c): its start, its hasty confirm, its TLS client over
 * mbedTLS. Must confirm a firmware before setup() unless the library holds it back, as the core does. */
#include "arduino_sim.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <WiFiClientSecure.h>

#include "mbedtls_sim.h"
#include "sim_time.h"

extern "C" {
#include "sdk_idf.h"

bool verifyRollbackLater(void);
}

EspClass ESP;

void EspClass::restart()
{
    esp_restart();
    sdk_fail("not restarted");
}

uint32_t EspClass::getFreeHeap()
{
    return 200000;
}

WiFiClientSecure::WiFiClientSecure() : pem_(nullptr), tls_(nullptr), error_(0), limit_s_(120), ended_(false)
{
}

WiFiClientSecure::~WiFiClientSecure()
{
    stop();
}

void WiFiClientSecure::setCACert(const char *pem)
{
    pem_ = pem;
}

void WiFiClientSecure::setHandshakeTimeout(unsigned long seconds)
{
    limit_s_ = seconds;
}

int WiFiClientSecure::lastError(char *, size_t)
{
    return error_;
}

int WiFiClientSecure::connect(const char *, uint16_t)
{
    sdk_fail("a TLS connection that may take half a minute");
}

int WiFiClientSecure::connect(const char *host, uint16_t port, int32_t ms)
{
    struct sdk_mbedtls_trust trust = {};
    stop();
    error_ = -1;
    if (limit_s_ > 20) sdk_fail("a handshake of two minutes");
    if (pem_ == nullptr || WiFiClient::connect(host, port, ms) != 1) return 0;
    trust.pem = reinterpret_cast<const unsigned char *>(pem_);
    trust.pem_len = strlen(pem_) + 1;
    trust.limit_ms = static_cast<unsigned>(limit_s_) * 1000;
    tls_ = sdk_mbedtls_open(fd_, host, &trust, &error_);
    sdk_note("tls: %s", error_ == 0 ? "full" : "failed");
    if (error_ != 0) stop();
    return error_ == 0 ? 1 : 0;
}

size_t WiFiClientSecure::write(const uint8_t *buf, size_t size)
{
    size_t sent = 0;
    while (tls_ != nullptr && sent < size) {
        ssize_t n = sdk_mbedtls_write(tls_, buf + sent, size - sent);
        if (n <= 0) return 0;
        sent += static_cast<size_t>(n);
    }
    return sent;
}

int WiFiClientSecure::available()
{
    if (tls_ == nullptr) return 0;
    ended_ = sdk_mbedtls_poll(tls_) < 0;
    return static_cast<int>(sdk_mbedtls_available(tls_));
}

int WiFiClientSecure::read(uint8_t *buf, size_t size)
{
    if (available() == 0) return -1;
    ssize_t n = sdk_mbedtls_read(tls_, buf, size);
    return n > 0 ? static_cast<int>(n) : -1;
}

void WiFiClientSecure::stop()
{
    if (tls_ != nullptr) sdk_mbedtls_close(tls_);
    tls_ = nullptr;
    ended_ = false;
    WiFiClient::stop();
}

uint8_t WiFiClientSecure::connected()
{
    return tls_ != nullptr && (available() > 0 || !ended_);
}

static sdk_flash_count count()
{
    return {sdk_erases(), sdk_writes(), sdk_read_bytes()};
}

void app_main(void)
{
    if (!verifyRollbackLater()) sdk_fail("the core confirms every firmware that gets to setup()");
    setup();
    for (;;) {
        sdk_loop(count);
        sdk_pass_us(10000);
    }
}
