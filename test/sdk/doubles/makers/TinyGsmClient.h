/* TinyGsmClient.h - the library TinyGSM as sketches use it, declarations only. */
#ifndef SDK_TINY_GSM_H
#define SDK_TINY_GSM_H

#include <WiFiClient.h>

class TinyGsm
{
  public:
    TinyGsm(Stream &port);
    bool init();
    bool waitForNetwork();
    bool gprsConnect(const char *apn);
    void maintain();
};

class TinyGsmClient : public WiFiClient
{
  public:
    TinyGsmClient(TinyGsm &modem);
};

#endif
