/* WiFiClient.h - TCP over Wi-Fi, declarations only. */
#ifndef SDK_WIFI_CLIENT_H
#define SDK_WIFI_CLIENT_H

#include <Client.h>

class WiFiClient : public Client
{
  public:
    WiFiClient();
    ~WiFiClient() override;
    int connect(IPAddress ip, uint16_t port) override;
    int connect(const char *host, uint16_t port) override;
#if defined(ARDUINO_ARCH_ESP32)
    int connect(const char *host, uint16_t port, int32_t ms);
#endif
    size_t write(uint8_t c) override;
    size_t write(const uint8_t *buf, size_t size) override;
    int available() override;
    int read() override;
    int read(uint8_t *buf, size_t size) override;
    int peek() override;
    void flush() override;
    void stop() override;
    uint8_t connected() override;
    operator bool() override;

  protected:
    int fd_; /* the simulated SDK's */
};

#define WL_CONNECTED    3
#define WL_DISCONNECTED 6
#define WIFI_STA        1
#define WIFI_OFF        0

class WiFiClass
{
  public:
    bool mode(int mode);
    int begin(const char *ssid, const char *password);
    int status();
    uint8_t *macAddress(uint8_t *mac);
    String macAddress();
    IPAddress localIP();
};
extern WiFiClass WiFi;

#endif
