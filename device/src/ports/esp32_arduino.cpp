/* esp32_arduino.cpp - an ESP32 under Arduino's core: what ESP-IDF's port is not, Wi-Fi, TLS and the core's hasty
 * confirm. Must never let the core confirm a firmware before the agent does. Tests: test/sdk. */
#if defined(ARDUINO_ARCH_ESP32)

#include <Arduino.h>
#include <WiFi.h>
#include <WiFiClientSecure.h>
#include <time.h>

#include "arduino.h"
#include "arduino_chip.h"
#include "esp_idf_flash.h"
#include "mbedtls.h"

#define TIME_KNOWN 1672531200 /* 2023: a clock before it was never set */

static struct molt_idf_chip chip;

/* Asked by the core before setup(): false would confirm every firmware that gets so far. */
extern "C" bool verifyRollbackLater()
{
    return true;
}

int molt_arduino_chip_begin(struct molt_agent_config *config)
{
    return molt_idf_chip_begin(&chip, config);
}

int molt_arduino_chip_take_fs(struct molt_agent_config *config)
{
    return config->slots != nullptr ? molt_idf_chip_take_fs(&chip, config) : -MOLT_ARG;
}

uint32_t molt_arduino_chip_changes(void)
{
    return chip.changes;
}

Client *molt_arduino_chip_client(void)
{
    static WiFiClient client;
    return &client;
}

bool molt_arduino_chip_connect(Client *client, const char *host, uint16_t port)
{
    return client->connect(host, port) == 1;
}

static const char *ca_pem;

static Client *prepare(const char *host, uint16_t port, int *reason)
{
    static WiFiClientSecure client;
    (void)host;
    (void)port;
    if (time(nullptr) < TIME_KNOWN) {
        *reason = MOLT_TLS_TIME;
        return nullptr;
    }
    client.setCACert(ca_pem);
    return &client;
}

void MoltClass::setCACert(const char *pem)
{
    ca_pem = pem;
    prepare_ = prepare;
}

uint32_t molt_arduino_chip_verify(const uint8_t *digest, const uint8_t *key, const uint8_t *signature)
{
    return molt_mbedtls_es256.verify(digest, key, signature);
}

#endif
