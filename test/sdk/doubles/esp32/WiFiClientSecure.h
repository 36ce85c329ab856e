/* WiFiClientSecure.h - the ESP32 core's TLS client, declarations only. */
#ifndef SDK_WIFI_CLIENT_SECURE_H
#define SDK_WIFI_CLIENT_SECURE_H

#include <WiFiClient.h>

class WiFiClientSecure : public WiFiClient
{
  public:
    WiFiClientSecure();
    ~WiFiClientSecure() override;
    void setCACert(const char *pem);
    void setHandshakeTimeout(unsigned long seconds);
    using WiFiClient::connect;
    using WiFiClient::read;
    using WiFiClient::write;
    int lastError(char *text, size_t len);
    int connect(const char *host, uint16_t port) override;
    int connect(const char *host, uint16_t port, int32_t ms);
    size_t write(const uint8_t *buf, size_t size) override;
    int available() override;
    int read(uint8_t *buf, size_t size) override;
    void stop() override;
    uint8_t connected() override;

  private:
    const char *pem_;
    struct sdk_mbedtls *tls_; /* the simulated SDK's */
    int error_;
    unsigned long limit_s_;
    bool ended_;
};

#endif
