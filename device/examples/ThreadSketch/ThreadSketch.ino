// ThreadSketch - the well-known sketch that asks http://server/fota/<MAC>.version and fetches <MAC>.bin, with molt in
// place of ESPhttpUpdate: what comes is checked before it is started, and goes on after a power cut.
// Any web server will do; so will molt serve.
#if defined(ESP8266)
#include <ESP8266WiFi.h>
#else
#include <WiFi.h>
#endif
#include <Molt.h>

#define FW_VERSION 2017102501 // raise it for each build
const char *fwUrlBase = "http://192.168.1.10:8266/fota/";
MOLT_FIRMWARE("lamp", MOLT_TEXT(FW_VERSION), FW_VERSION)

void setup()
{
  Serial.begin(115200);
  WiFi.mode(WIFI_STA);
  WiFi.begin("your-network", "your-password");

  Molt.config.source = MOLT_SOURCE_VERSION_FILE;
  Molt.config.interval_s = 15 * 60;
  Molt.onProgress([](uint32_t done, uint32_t total) { Serial.printf("%u of %u bytes\n", (unsigned)done, (unsigned)total); });
  Molt.onResult([](int reason) {
    Serial.print(Molt.idOf(reason));
    Serial.print(": ");
    Serial.println(Molt.sentenceOf(reason));
  });
  Molt.begin(fwUrlBase, FW_VERSION);
}

void loop()
{
  Molt.loop();
}
