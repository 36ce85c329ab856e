// FromESPhttpUpdate - a sketch that called ESPhttpUpdate.update(client, url, version) and waited for the answer, moved
// to molt line by line. The server stays as it is: molt asks with the same headers and understands 304.
#if defined(ESP8266)
#include <ESP8266WiFi.h>
#else
#include <WiFi.h>
#endif
#include <Molt.h>

MOLT_FIRMWARE("lamp", "1.0.0", 2017102501)

void setup()
{
  Serial.begin(115200);
  WiFi.mode(WIFI_STA);
  WiFi.begin("your-network", "your-password");
  while (WiFi.status() != WL_CONNECTED) delay(100);

  Molt.config.source = MOLT_SOURCE_URL;
  Molt.config.spread_s = 0;
  Molt.begin("http://192.168.1.10:8266/update"); // was: the url of ESPhttpUpdate.update()
}

void loop()
{
  // was: t_httpUpdate_return ret = ESPhttpUpdate.update(client, url, "1.0.0");
  int ret = Molt.runOnce(5 * 60 * 1000); // an update restarts the device from in here
  switch (ret) {
  case MOLT_UP_TO_DATE: // was: HTTP_UPDATE_NO_UPDATES
    Serial.println("no updates");
    break;
  default: // was: HTTP_UPDATE_FAILED and ESPhttpUpdate.getLastErrorString()
    Serial.print("update failed: ");
    Serial.println(Molt.sentenceOf(ret));
    break;
  }
  delay(60 * 1000);
}
