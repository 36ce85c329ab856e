// BlynkButton - a button on virtual pin V1 asks for an update, a terminal on V2 says what comes of it.
#define BLYNK_TEMPLATE_ID "your-template"
#define BLYNK_TEMPLATE_NAME "lamp"
#if defined(ESP8266)
#include <ESP8266WiFi.h>
#include <BlynkSimpleEsp8266.h>
#else
#include <WiFi.h>
#include <BlynkSimpleEsp32.h>
#endif
#include <Molt.h>

MOLT_FIRMWARE("lamp", "1.0.0", 2017102501)

BLYNK_WRITE(V1)
{
  if (param.asInt() == 1) Molt.checkNow();
}

void setup()
{
  Serial.begin(115200);
  Blynk.begin("your-token", "your-network", "your-password");
  Molt.onResult([](int reason) { Blynk.virtualWrite(V2, Molt.idOf(reason)); });
  Molt.onProgress([](uint32_t done, uint32_t total) {
    static uint32_t told;
    uint32_t percent = done / (total / 100 + 1);
    if (percent / 10 != told) Blynk.virtualWrite(V2, (int)percent); // not at each packet
    told = percent / 10;
  });
  Molt.begin("http://192.168.1.10:8266");
}

void loop()
{
  Blynk.run();
  Molt.loop(); // short enough that Blynk's heartbeat never waits for it
}
