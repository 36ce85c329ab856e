/* WiFiClientSecure.h - the ESP8266 core's BearSSL client, declarations only. */
#ifndef SDK_WIFI_CLIENT_SECURE_H
#define SDK_WIFI_CLIENT_SECURE_H

#include <WiFiClient.h>
#include <bearssl/bearssl_ssl.h>

namespace BearSSL
{
class X509List
{
  public:
    X509List(const char *pem);

    struct sdk_anchor *anchor_; /* the simulated SDK's */
};

class PublicKey
{
  public:
    PublicKey(const char *pem);
    ~PublicKey();
    bool isRSA() const;
    bool isEC() const;
    const br_ec_public_key *getEC() const;

    br_ec_public_key *key_; /* the simulated SDK's */
};

class Session
{
  public:
    Session();

    br_ssl_session_parameters parameters_;
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
    using WiFiClient::connect;
    using WiFiClient::read;
    using WiFiClient::write;
    int getLastSSLError(char *text = nullptr, size_t len = 0);
    static bool probeMaxFragmentLength(const char *host, uint16_t port, uint16_t len);
    int connect(const char *host, uint16_t port) override;
    size_t write(const uint8_t *buf, size_t size) override;
    int available() override;
    int read(uint8_t *buf, size_t size) override;
    void stop() override;
    uint8_t connected() override;

  private:
    struct sdk_tls *tls_; /* the simulated SDK's */
};
} // namespace BearSSL

#endif
