/* esp32_arduino.cpp - an ESP32 under Arduino's core: what ESP-IDF's port is not, Wi-Fi, TLS and the core's hasty
 * confirm. Must never let the core confirm a firmware before the agent does. Tests: test/sdk. */
#if defined(ARDUINO_ARCH_ESP32)

#include <Arduino.h>
#include <WiFi.h>
#include <WiFiClientSecure.h>
#include <mbedtls/x509.h>
#include <time.h>

#include "arduino.h"
#include "arduino_chip.h"
#include "clock.h"
#include "esp_idf_flash.h"
#include "mbedtls.h"

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

static WiFiClient &plain_client(void)
{
    static WiFiClient client;
    return client;
}

static WiFiClientSecure &secure_client(void)
{
    static WiFiClientSecure client;
    return client;
}

Client *molt_arduino_chip_client(void)
{
    return &plain_client();
}

bool molt_arduino_chip_has_joined(void)
{
    return WiFi.status() == WL_CONNECTED;
}

/* Only a sketch that calls setCACert() links TLS. */
static struct {
    const char *ca_pem;
    int (*connect)(Client *client, const char *host, uint16_t port,
                   int32_t ms); /* NULL: not a client of the chip's */
} tls;

bool molt_arduino_chip_connect(Client *client, const char *host, uint16_t port, uint32_t ms)
{
    const int32_t limit = static_cast<int32_t>(ms);
    if (client == &plain_client()) return plain_client().connect(host, port, limit) == 1;
    if (tls.connect != nullptr) {
        int rc = tls.connect(client, host, port, limit);
        if (rc >= 0) return rc == 1;
    }
    return client->connect(host, port) == 1; /* the sketch's own */
}

static int connect_secure(Client *client, const char *host, uint16_t port, int32_t ms)
{
    if (client != &secure_client()) return -1;
    secure_client().setHandshakeTimeout(MOLT_ARDUINO_TLS_MS /
                                        1000u); /* the core's own bound is two minutes */
    return secure_client().connect(host, port, ms);
}

static Client *prepare(const char *host, uint16_t port, int *reason)
{
    (void)host;
    (void)port;
    if (time(nullptr) < static_cast<time_t>(molt_clock_floor())) {
        *reason = MOLT_TLS_TIME;
        return nullptr;
    }
    secure_client().setCACert(tls.ca_pem);
    return &secure_client();
}

/* What the core keeps: -1 before it comes to TLS, else mbedTLS's number. */
static int why_not(void)
{
    char text[2];
    int code = secure_client().lastError(text, sizeof text);
    if (code == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED) return MOLT_TLS_TRUST;
    return code >= -1 ? MOLT_CONNECT : MOLT_TLS;
}

void MoltClass::setCACert(const char *pem)
{
    tls.ca_pem = pem;
    tls.connect = connect_secure;
    prepare_ = prepare;
    why_ = why_not;
}

uint32_t molt_arduino_chip_verify(const uint8_t *digest, const uint8_t *key, const uint8_t *signature)
{
    return molt_mbedtls_es256.verify(digest, key, signature);
}

#endif
