// Signed - takes nothing that the maker has not signed, whatever the server says.
//   molt keygen maker.key; molt sign lamp.bin --key maker.key ...; molt publish lamp.bin ...
#if defined(ESP8266)
#include <ESP8266WiFi.h>
#else
#include <WiFi.h>
#endif
#include <Molt.h>

MOLT_FIRMWARE("lamp", "1.0.0", 2017102501)

// Put in what `molt key show maker.key.pub` prints. With zeros, which are no key, nothing is ever taken.
static const uint8_t makerKey[64] = {0};
static const uint8_t vendor[16] = {0};
static const uint8_t classId[16] = {0};

void setup()
{
  Serial.begin(115200);
  WiFi.mode(WIFI_STA);
  WiFi.begin("your-network", "your-password");
  Molt.setMaker(makerKey, nullptr, vendor, classId);
  Molt.onResult([](int reason) { Serial.println(Molt.idOf(reason)); });
  Molt.begin("http://192.168.1.10:8266");
}

void loop()
{
  Molt.loop();
}
