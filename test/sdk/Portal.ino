// Portal - a network that WiFiManager is told while the sketch runs, and https over a modem that does TLS itself. A test's, not
// an example.
#include <ESP8266WiFi.h>
#include <WiFiManager.h>
#include <Molt.h>

MOLT_FIRMWARE("lamp", "1.0.0", 2017102501)

class SslModem : public WiFiClient
{
  public:
    using WiFiClient::connect;
    int connect(const char *host, uint16_t port) override
    {
      Serial.printf("ssl %s %u\n", host, port);
      return WiFiClient::connect(host, port);
    }
};
SslModem modem;
WiFiManager portal;

void setup()
{
  portal.setConfigPortalBlocking(false);
  if (!portal.autoConnect("lamp")) Serial.println("portal");
  Molt.setSecureClient(modem);
  Molt.onResult([](int reason) { Serial.println(Molt.idOf(reason)); });
  Molt.onBusy([](MoltBusy what, uint32_t) {
    if (what == MOLT_BUSY_HANDSHAKE) Serial.println("handshake");
    return true;
  });
  Molt.begin("updates.example"); // as somebody might type it into a portal
  Molt.begin("https://updates.example");
}

void loop()
{
  static bool hasJoined;
  if (!hasJoined && portal.process()) {
    Serial.println("joined");
    hasJoined = true;
  }
  if (hasJoined) Molt.loop();
}
