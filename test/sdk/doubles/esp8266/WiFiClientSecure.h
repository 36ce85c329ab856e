/* WiFiClientSecure.h - the ESP8266 core's BearSSL client, declarations only. */
#ifndef SDK_WIFI_CLIENT_SECURE_H
#define SDK_WIFI_CLIENT_SECURE_H

#include <WiFiClient.h>

namespace BearSSL
{
class X509List
{
  public:
    X509List(const char *pem);
};

class PublicKey
{
  public:
    PublicKey(const char *pem);
};

class Session
{
  public:
    Session();

    uint8_t parameters_[88];
};

class WiFiClientSecure : public WiFiClient
{
  public:
    WiFiClientSecure();
    ~WiFiClientSecure() override;
    void setTrustAnchors(const X509List *anchors);
    void setKnownKey(const PublicKey *key, unsigned usages = 0x30);
    void setSession(Session *session);
    void setBufferSizes(int receive, int transmit);
    static bool probeMaxFragmentLength(const char *host, uint16_t port, uint16_t len);
};
} // namespace BearSSL

#endif
