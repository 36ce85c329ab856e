// DropInHttps - the calls of ESPhttpUpdate over an https client that the sketch gives, which restarts the device itself when it likes:
// rebootOnUpdate(false). Another url in between is refused. A test's, not an example.
#include <ESP8266WiFi.h>
#include <WiFiClientSecure.h>
#include <MoltHttpUpdate.h>

#define VERSION "2017102501"

static const char certificate[] = R"(-----BEGIN CERTIFICATE-----
the test's
-----END CERTIFICATE-----
)";
static BearSSL::X509List anchors(certificate);

void setup()
{
  Serial.println("version " VERSION);
  configTime(0, 0, "pool.ntp.org");
  ESPhttpUpdate.rebootOnUpdate(false);
  ESPhttpUpdate.closeConnectionsOnUpdate(true);
  ESPhttpUpdate.setClientTimeout(8000);
  ESPhttpUpdate.onStart([]() { Serial.println("update started"); });
  ESPhttpUpdate.onEnd([]() { Serial.println("update ended"); });
  ESPhttpUpdate.onProgress([](int done, int total) {
    if (done == total) Serial.printf("all of %d\n", total);
  });
  ESPhttpUpdate.onError([](int error) { Serial.printf("error %d\n", error); });
}

void loop()
{
  static int ready;
  BearSSL::WiFiClientSecure client;
  client.setTrustAnchors(&anchors);
  switch (ESPhttpUpdate.update(client, "https://192.168.1.10:8443/update", VERSION)) {
  case HTTP_UPDATE_OK:
    Serial.println("ready");
    if (ESPhttpUpdate.update(client, "https://192.168.1.10:8443/another", VERSION) == HTTP_UPDATE_FAILED)
      Serial.println(Molt.idOf(ESPhttpUpdate.getLastError()));
    if (++ready == 2) ESPhttpUpdate.rebootOnUpdate(true); // whatever had to be done before is done
    break;
  case HTTP_UPDATE_NO_UPDATES: Serial.println("no updates"); break;
  case HTTP_UPDATE_FAILED: Serial.printf("failed: %s\n", ESPhttpUpdate.getLastErrorString().c_str()); break;
  }
  delay(60 * 1000);
}
