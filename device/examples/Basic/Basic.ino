// Basic - a device that updates itself from molt's server: molt serve --listen http://0.0.0.0:8266
// For the next version change the line MOLT_FIRMWARE, export the compiled binary, and run:
//   molt publish FILE.bin --product lamp --adopt
#if defined(ESP8266)
#include <ESP8266WiFi.h>
#else
#include <WiFi.h>
#endif
#include <Molt.h>

MOLT_FIRMWARE("lamp", "1.0.0", 2017102501) // product, version for people, a number that rises

void setup()
{
  Serial.begin(115200);
  WiFi.mode(WIFI_STA);
  WiFi.begin("your-network", "your-password");
  Molt.onResult([](int reason) { Serial.println(Molt.idOf(reason)); });
  Molt.begin("http://192.168.1.10:8266");
}

void loop()
{
  Molt.loop(); // returns soon, always: your own code goes on below
}
