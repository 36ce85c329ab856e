// Gsm - over a modem, by the library TinyGSM. The modem's serial port must both send and receive: an ESP32 has one to spare.
#define TINY_GSM_MODEM_SIM800 // yours
#include <TinyGsmClient.h>
#include <Molt.h>

MOLT_FIRMWARE("lamp", "1.0.0", 2017102501)

TinyGsm modem(Serial1);
TinyGsmClient client(modem);

void setup()
{
  Serial.begin(115200);
  Serial1.begin(115200);
  modem.init();
  if (!modem.waitForNetwork() || !modem.gprsConnect("your-apn")) Serial.println("no network");
  Molt.setClient(client);
  Molt.config.interval_s = 24 * 3600; // data costs
  Molt.onResult([](int reason) { Serial.println(Molt.idOf(reason)); });
  Molt.begin("http://updates.example.com:8266");
}

void loop()
{
  modem.maintain(); // takes what has come
  Molt.loop();
}
