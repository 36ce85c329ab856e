// MoltBootInstall - brings molt-boot to an ESP8266 in the field that Arduino's boot stage started: publish this sketch as any
// update. From then on a firmware that is not good goes back by itself (see the example MoltBoot).
// Make the header for your board's flash layout and put it beside this file:
//   molt image boot-code --layout 4M2M -o boot_stage.h
#include <ESP8266WiFi.h>
#include <Molt.h>
#include "boot_stage.h"

MOLT_FIRMWARE("lamp", "1.0.0", 2017102501)

// While the boot stage is replaced (half a second at most) a power cut leaves a chip that needs a cable. Here a good moment
// is any; a device on batteries looks at its battery first.
static bool isPowerGood()
{
  return true;
}

void setup()
{
  Serial.begin(115200);
  WiFi.mode(WIFI_STA);
  WiFi.begin("your-network", "your-password");
  Molt.onResult([](int reason) { Serial.println(Molt.idOf(reason)); });
  Molt.setBootSecond(moltBootSecond, sizeof moltBootSecond); // installs and trials are checked by SHA-256
  Molt.begin("http://192.168.1.10:8266");
  if (!Molt.hasBoot() && isPowerGood()) {
    int rc = Molt.installBoot(moltBootSector);
    Serial.print("molt-boot: ");
    Serial.println(Molt.idOf(-rc));
    if (rc == 0) ESP.restart();
  }
}

void loop()
{
  Molt.loop();
}
