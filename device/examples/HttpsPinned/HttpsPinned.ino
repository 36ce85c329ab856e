// HttpsPinned - https to a server whose key is known. On an ESP8266 a pinned key needs no clock and the least memory;
// on an ESP32 the server's own certificate is the authority, which needs the time.
#if defined(ESP8266)
#include <ESP8266WiFi.h>
#else
#include <WiFi.h>
#endif
#include <Molt.h>
#if defined(ESP8266)
#include <WiFiClientSecure.h>
#endif

MOLT_FIRMWARE("lamp", "1.0.0", 2017102501)

const int LAMP = 2; // a light of yours, which must not flicker

#if defined(ESP8266)
// Yours: openssl x509 -in server.pem -noout -pubkey
static const char key[] PROGMEM = R"(-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZV7avCatDesgdPYahdAZfaO2mqK7
siEbTZKC6gXmvRbj3/g/eZB0FcMj89kea37UNQ/nimaLywuxED3rzEHVbg==
-----END PUBLIC KEY-----
)";
BearSSL::PublicKey serverKey(key);
#else
static const char certificate[] = R"(-----BEGIN CERTIFICATE-----
put the server's certificate here
-----END CERTIFICATE-----
)";
#endif

void setup()
{
  Serial.begin(115200);
  pinMode(LAMP, OUTPUT);
  digitalWrite(LAMP, LOW);
  WiFi.mode(WIFI_STA);
  WiFi.begin("your-network", "your-password");
#if defined(ESP8266)
  Molt.setKnownKey(&serverKey);
#else
  configTime(0, 0, "pool.ntp.org");
  Molt.setCACert(certificate);
#endif
  // A handshake takes seconds: put it off while the lamp is on.
  Molt.onBusy([](MoltBusy what, uint32_t) { return what != MOLT_BUSY_HANDSHAKE || digitalRead(LAMP) == LOW; });
  Molt.onResult([](int reason) { Serial.println(Molt.idOf(reason)); });
  Molt.begin("https://192.168.1.10:8443");
}

void loop()
{
  Molt.loop();
}
