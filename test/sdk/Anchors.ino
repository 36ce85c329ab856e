// Anchors - https on an ESP8266 with a trust anchor and signed releases, putting off all that takes long; the environment
// says where the time comes from. A test's, not an example: a sketch has no environment.
#include <ESP8266WiFi.h>
#include <WiFiClientSecure.h>
#include <stdlib.h>
#include <Molt.h>

MOLT_FIRMWARE("lamp", "1.0.0", 2017102501)

static const char certificate[] PROGMEM = R"(-----BEGIN CERTIFICATE-----
here
-----END CERTIFICATE-----
)";
BearSSL::X509List anchors(certificate);

static const uint8_t molt_key[64] = {0};
static const uint8_t molt_vendor[16] = {0};
static const uint8_t molt_class[16] = {0};

// Each is put off three times before it may be.
static bool busy(MoltBusy what, uint32_t ms)
{
  static const char *const names[] = {"connect", "handshake", "verify"};
  static unsigned asked[3];
  if (ms == 0 || ms > 60000) abort();
  Serial.printf("%s %s\n", names[what], asked[what] % 4 < 3 ? "later" : "now");
  return asked[what]++ % 4 == 3;
}

void setup()
{
  WiFi.begin("your-network", "your-password");
  Molt.setTrustAnchors(&anchors);
  configTime(0, 0, "pool.ntp.org");
  if (getenv("SDK_TIME_FROM") != nullptr) Molt.setTimeFrom("http://192.168.1.10/");
  if (getenv("SDK_MAKER") != nullptr) Molt.setMaker(molt_key, nullptr, molt_vendor, molt_class);
  Molt.onBusy(busy);
  Molt.onResult([](int reason) { Serial.println(Molt.idOf(reason)); });
  Molt.begin("https://molt.test:8443");
}

void loop()
{
  Molt.loop();
}
