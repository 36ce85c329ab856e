/* WiFiClientSecure.h - the ESP32 core's TLS client, declarations only. */
#ifndef SDK_WIFI_CLIENT_SECURE_H
#define SDK_WIFI_CLIENT_SECURE_H

#include <WiFiClient.h>

class WiFiClientSecure : public WiFiClient
{
  public:
    void setCACert(const char *pem);
};

#endif
