// DropIn - a sketch with ESPhttpUpdate, in which one line was changed: the include. FromESPhttpUpdate shows the next step,
// without waiting.
#if defined(ESP8266)
#include <ESP8266WiFi.h>
#else
#include <WiFi.h>
#endif
#include <MoltHttpUpdate.h> // was: #include <ESP8266httpUpdate.h>; on an ESP32 <HTTPUpdate.h>, and httpUpdate in place of ESPhttpUpdate, which it may stay

#define VERSION "2017102501"
const int LED = 2; // where your board has one

void updateStarted() { Serial.println("update started"); }
void updateEnded() { Serial.println("update ended"); }
void updateFailed(int error) { Serial.printf("update failed with %d\n", error); }

void setup()
{
  Serial.begin(115200);
  Serial.println("version " VERSION);
  WiFi.mode(WIFI_STA);
  WiFi.begin("your-network", "your-password");
  while (WiFi.status() != WL_CONNECTED) delay(100);

  ESPhttpUpdate.setLedPin(LED, LOW);
  ESPhttpUpdate.onStart(updateStarted);
  ESPhttpUpdate.onEnd(updateEnded);
  ESPhttpUpdate.onError(updateFailed);
}

void loop()
{
  WiFiClient client;
  t_httpUpdate_return ret = ESPhttpUpdate.update(client, "192.168.1.10", 8266, "/update", VERSION);

  switch (ret) {
  case HTTP_UPDATE_FAILED:
    Serial.printf("failed: %s\n", ESPhttpUpdate.getLastErrorString().c_str());
    break;
  case HTTP_UPDATE_NO_UPDATES:
    Serial.println("no updates");
    break;
  case HTTP_UPDATE_OK: // not reached: it restarts
    Serial.println("ok");
    break;
  }
  delay(60 * 1000);
}
