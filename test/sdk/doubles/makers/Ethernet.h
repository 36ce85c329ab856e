/* Ethernet.h - Arduino's library Ethernet as sketches use it, declarations only. */
#ifndef SDK_ETHERNET_H
#define SDK_ETHERNET_H

#include <WiFiClient.h>

class EthernetClient : public WiFiClient
{
};

class EthernetClass
{
  public:
    void init(uint8_t select_pin);
    int begin(uint8_t *mac);
    int maintain();
};
extern EthernetClass Ethernet;

#endif
