// Modem - http over a Client of the sketch's own, as Ethernet and GSM libraries have one; it lets install and restart the second
// time that it is asked. A test's, not an example.
#include <ESP8266WiFi.h>
#include <Molt.h>

MOLT_FIRMWARE("lamp", "1.0.0", 2017102501)

// Gives what came in small pieces, and says what was asked.
class ModemClient : public Client
{
  public:
    int connect(IPAddress ip, uint16_t port) override { return wire_.connect(ip, port); }
    int connect(const char *host, uint16_t port) override
    {
      Serial.printf("modem %s %u\n", host, port);
      return wire_.connect(host, port);
    }
    size_t write(uint8_t c) override { return wire_.write(c); }
    size_t write(const uint8_t *buf, size_t size) override { return wire_.write(buf, size > 100 ? 100 : size); }
    int available() override { return wire_.available(); }
    int read() override { return wire_.read(); }
    int read(uint8_t *buf, size_t size) override
    {
      if (size > (size_t)wire_.available()) { // TinyGSM's waits for all of it, until a time-out
        Serial.println("modem waits");
        return 0;
      }
      return wire_.read(buf, size > 333 ? 333 : size);
    }
    int peek() override { return wire_.peek(); }
    void flush() override { wire_.flush(); }
    void stop() override { wire_.stop(); }
    uint8_t connected() override { return wire_.connected(); }
    operator bool() override { return wire_; }

  private:
    WiFiClient wire_;
};
ModemClient modem;

static bool mayInstall(uint32_t code)
{
  static unsigned asked;
  Serial.printf("install %u %s\n", (unsigned)code, asked == 0 ? "later" : "now");
  return asked++ > 0;
}

static bool mayRestart()
{
  static unsigned asked;
  Serial.println(asked == 0 ? "restart later" : "restart now");
  return asked++ > 0;
}

void setup()
{
  Molt.setClient(modem);
  Molt.mayInstall(mayInstall);
  Molt.mayRestart(mayRestart);
  Molt.onResult([](int reason) {
    Serial.println(Molt.idOf(reason));
    if (reason == MOLT_NOT_NOW) Molt.checkNow(); // else it is asked again at the next check
  });
  Molt.begin("http://updates.example:8266");
}

void loop()
{
  Molt.loop();
}
