// MoltBoot - an ESP8266 that goes back by itself when a new firmware is not good. Nothing here but a health check is
// new: put molt-boot into the binary, and flash it once over the wire (doc/boot.md):
//   molt image set-boot lamp.bin --layout 4M2M
#if defined(ESP8266)
#include <ESP8266WiFi.h>
#else
#include <WiFi.h>
#endif
#include <Molt.h>

MOLT_FIRMWARE("lamp", "1.0.0", 2017102501)

const int SENSOR = 4;

// A trial ends well when this says so; a reset before, or MOLT_HEALTH_BAD, brings the old firmware back.
static enum molt_health health()
{
  if (Molt.agent().http_status == 0) return MOLT_HEALTH_UNKNOWN; // the server has not been reached yet
  return digitalRead(SENSOR) == HIGH ? MOLT_HEALTH_GOOD : MOLT_HEALTH_BAD;
}

void setup()
{
  Serial.begin(115200);
  pinMode(SENSOR, INPUT_PULLUP);
  WiFi.mode(WIFI_STA);
  WiFi.begin("your-network", "your-password");
  Molt.onHealth(health);
  Molt.onResult([](int reason) { Serial.println(Molt.idOf(reason)); });
  Molt.begin("http://192.168.1.10:8266");
}

void loop()
{
  Molt.loop();
}
