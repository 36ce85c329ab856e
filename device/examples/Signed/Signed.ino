// Signed - takes nothing that the maker has not signed, whatever the server says.
//   molt keygen maker.key
//   molt product trust lamp --key maker.key.pub
//   molt sign lamp.bin --key maker.key --product lamp
//   molt publish lamp.bin --product lamp --manifest lamp.suit
#if defined(ESP8266)
#include <ESP8266WiFi.h>
#else
#include <WiFi.h>
#endif
#include <Molt.h>

MOLT_FIRMWARE("lamp", "1.0.0", 2017102501)

// In place of these lines put what `molt key show maker.key.pub --product lamp --chip esp8266` prints (or your chip). With
// zeros, which are no key, nothing is ever taken.
static const uint8_t molt_key[64] = {0};
static const uint8_t molt_vendor[16] = {0};
static const uint8_t molt_class[16] = {0};

void setup()
{
  Serial.begin(115200);
  WiFi.mode(WIFI_STA);
  WiFi.begin("your-network", "your-password");
  Molt.setMaker(molt_key, nullptr, molt_vendor, molt_class);
  Molt.onResult([](int reason) { Serial.println(Molt.idOf(reason)); });
  Molt.begin("http://192.168.1.10:8266");
}

void loop()
{
  Molt.loop();
}
