// MqttNudge - a message on lamp/update makes the device check at once; each result goes to lamp/result. The message
// carries no firmware and no address: whoever can write it can only make the device ask its own server.
#if defined(ESP8266)
#include <ESP8266WiFi.h>
#else
#include <WiFi.h>
#endif
#include <PubSubClient.h>
#include <Molt.h>

MOLT_FIRMWARE("lamp", "1.0.0", 2017102501)

WiFiClient wire;
PubSubClient mqtt(wire);

void onMessage(char *, uint8_t *, unsigned int)
{
  Molt.checkNow();
}

void setup()
{
  Serial.begin(115200);
  WiFi.mode(WIFI_STA);
  WiFi.begin("your-network", "your-password");
  mqtt.setServer("192.168.1.10", 1883);
  mqtt.setCallback(onMessage);
  Molt.onResult([](int reason) { mqtt.publish("lamp/result", String(Molt.idOf(reason)).c_str()); });
  Molt.begin("http://192.168.1.10:8266");
}

void loop()
{
  static unsigned long nextTry;
  if (!mqtt.connected() && WiFi.status() == WL_CONNECTED && (long)(millis() - nextTry) >= 0) {
    nextTry = millis() + 10000;
    String name = WiFi.macAddress(); // a broker sends the first of two with one name away
    if (mqtt.connect(name.c_str())) mqtt.subscribe("lamp/update");
  }
  mqtt.loop();
  Molt.loop();
}
