// Ethernet - over a cable: a W5500 on SPI, by Arduino's library Ethernet. Whatever is a Client will do in its place.
#include <SPI.h>
#include <Ethernet.h>
#include <Molt.h>

MOLT_FIRMWARE("lamp", "1.0.0", 2017102501)

uint8_t mac[6] = {0x02, 0xCA, 0xFE, 0x00, 0x00, 0x01}; // another one for each device
EthernetClient client;

void setup()
{
  Serial.begin(115200);
  Ethernet.init(15); // the pin that selects the W5500
  if (Ethernet.begin(mac) == 0) Serial.println("no address: is the cable in?");
  Molt.setClient(client);
  Molt.onResult([](int reason) { Serial.println(Molt.idOf(reason)); });
  Molt.begin("http://192.168.1.10:8266");
}

void loop()
{
  Ethernet.maintain(); // renews the address
  Molt.loop();
}
