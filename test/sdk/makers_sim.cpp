/* makers_sim.cpp - Blynk, PubSubClient, Ethernet and TinyGSM for sketches on a PC: a button that is pressed and a broker that has a message at the
 * start and each minute then; what the sketch writes there is in the output. */
#include "arduino_sim.h"

#include <stdlib.h>

#include <Ethernet.h>
#include <PubSubClient.h>
#include <TinyGsmClient.h>
#include <blynk_sketch.h>

/* Once in each minute since the start. */
static bool is_time(unsigned long *minutes)
{
    if (millis() / 60000 < *minutes) return false;
    *minutes = millis() / 60000 + 1;
    return true;
}

/* ---- Blynk ---- */

BlynkClass Blynk;

__attribute__((weak)) BLYNK_WRITE(V1) /* the sketch's, where it has one */
{
    (void)param;
}

void BlynkClass::begin(const char *, const char *, const char *)
{
}

int BlynkParam::asInt() const
{
    return 1;
}

void BlynkClass::run()
{
    static unsigned long minutes;
    if (!is_time(&minutes)) return;
    sdk_note("button");
    blynk_write_1(BlynkParam());
}

void BlynkClass::virtualWrite(int pin, int value)
{
    sdk_note("V%d: %d", pin, value);
}

void BlynkClass::virtualWrite(int pin, const String &text)
{
    sdk_note("V%d: %s", pin, text.c_str());
}

/* ---- MQTT ---- */

static void (*on_message)(char *topic, uint8_t *payload, unsigned int len);
static bool is_connected, is_subscribed;

PubSubClient::PubSubClient(Client &)
{
}

PubSubClient &PubSubClient::setServer(const char *, uint16_t)
{
    return *this;
}

PubSubClient &PubSubClient::setCallback(void (*callback)(char *topic, uint8_t *payload, unsigned int len))
{
    on_message = callback;
    return *this;
}

bool PubSubClient::connect(const char *id)
{
    if (strlen(id) < 12) sdk_fail("a name that another device has too");
    return is_connected = true;
}

bool PubSubClient::connected()
{
    return is_connected;
}

bool PubSubClient::subscribe(const char *)
{
    return is_subscribed = true;
}

bool PubSubClient::publish(const char *topic, const char *text)
{
    if (is_connected) sdk_note("%s %s", topic, text);
    return is_connected;
}

bool PubSubClient::loop()
{
    char topic[] = "lamp/update";
    static unsigned long minutes;
    if (!is_subscribed || !is_time(&minutes)) return is_connected;
    sdk_note("message");
    on_message(topic, nullptr, 0);
    return true;
}

/* ---- Ethernet, GSM: the same sockets as Wi-Fi's ---- */

EthernetClass Ethernet;

void EthernetClass::init(uint8_t)
{
}

int EthernetClass::begin(uint8_t *)
{
    return 1;
}

int EthernetClass::maintain()
{
    return 0;
}

TinyGsm::TinyGsm(Stream &)
{
}

bool TinyGsm::init()
{
    return true;
}

bool TinyGsm::waitForNetwork()
{
    return true;
}

bool TinyGsm::gprsConnect(const char *)
{
    return true;
}

void TinyGsm::maintain()
{
}

TinyGsmClient::TinyGsmClient(TinyGsm &)
{
}
