/* Arduino.h - what the ports and examples use of Arduino's cores: declarations only, written from the documented
 * interfaces. test/sdk/arduino_sim.cpp gives the host's build its bodies; cross compilers only compile. */
#ifndef SDK_ARDUINO_H
#define SDK_ARDUINO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(ARDUINO_ARCH_ESP8266) && defined(__XTENSA__)
#define SDK_TEXT(x) #x
#define SDK_IN_FLASH(n)                                                                                      \
    __attribute__((section(".irom.text.sdk." SDK_TEXT(n)))) /* one each, as the core has it */
#define SDK_COUNTED(n) SDK_IN_FLASH(n)
#define PROGMEM        SDK_COUNTED(__COUNTER__)
#define PSTR(text)                                                                                           \
    (__extension__({                                                                                         \
        static const char in_flash[] PROGMEM = (text);                                                       \
        &in_flash[0];                                                                                        \
    }))
#else
#define PROGMEM
#define PSTR(text) (text)
#endif

extern "C" {
size_t strlcpy(char *dst, const char *src, size_t cap);
unsigned long millis(void);
void delay(unsigned long ms);
void pinMode(uint8_t pin, uint8_t mode);
int digitalRead(uint8_t pin);
void digitalWrite(uint8_t pin, uint8_t value);
void configTime(int timezone, int daylight, const char *server1, const char *server2 = nullptr);
}

/* Names that both cores take away from everybody. */
typedef bool boolean;
typedef uint8_t byte;
typedef unsigned int word;
#define bit(b)                ((b) < 32 ? 1ul << (b) : 0)
#define sq(x)                 ((x) * (x))
#define lowByte(w)            ((uint8_t)((w)&0xff))
#define highByte(w)           ((uint8_t)((w) >> 8))
#define bitRead(value, bit)   (((value) >> (bit)) & 1)
#define constrain(x, low, up) ((x) < (low) ? (low) : ((x) > (up) ? (up) : (x)))
#define interrupts()
#define noInterrupts()

#define INPUT_PULLUP 2
#define OUTPUT       1
#define LOW          0
#define HIGH         1
#if defined(ARDUINO_ARCH_ESP8266) /* many boards with an ESP32 have none */
#define LED_BUILTIN 2
#define D3          0
#endif

class __FlashStringHelper;
#define F(text) (reinterpret_cast<const __FlashStringHelper *>(PSTR(text)))

class String
{
  public:
    String(const char *text = "");
    String(const __FlashStringHelper *text);
    String(const String &other);
    String &operator=(const String &other);
    ~String();
    const char *c_str() const;

  private:
    char *text_;
};

class Print
{
  public:
    virtual ~Print();
    virtual size_t write(uint8_t c) = 0;
    virtual size_t write(const uint8_t *data, size_t len);
    size_t print(const char *text);
    size_t print(const __FlashStringHelper *text);
    size_t print(const String &text);
    size_t print(int number);
    size_t print(unsigned int number);
    size_t print(unsigned long number);
    size_t println();
    size_t println(const char *text);
    size_t println(const __FlashStringHelper *text);
    size_t println(const String &text);
    size_t println(int number);
    size_t println(unsigned int number);
    size_t println(unsigned long number);
    int printf(const char *format, ...) __attribute__((format(printf, 2, 3)));
};

class Stream : public Print
{
  public:
    virtual int available() = 0;
    virtual int read() = 0;
    virtual int peek() = 0;
    void setTimeout(unsigned long ms);

  protected:
    unsigned long _timeout;
};

class HardwareSerial : public Stream
{
  public:
    void begin(unsigned long baud);
    size_t write(uint8_t c) override;
    int available() override;
    int read() override;
    int peek() override;
    using Print::write;
};
extern HardwareSerial Serial, Serial1;

class IPAddress
{
  public:
    IPAddress();
    String toString() const;
};

struct rst_info;

class EspClass
{
  public:
    void restart();
    uint32_t getFreeHeap();
#if defined(ARDUINO_ARCH_ESP8266)
    uint32_t getMaxFreeBlockSize();
    uint32_t getFlashChipRealSize();
    String getSketchMD5();
    bool flashEraseSector(uint32_t sector);
    bool flashWrite(uint32_t address, const uint32_t *data, size_t size);
    bool flashRead(uint32_t address, uint32_t *data, size_t size);
    bool rtcUserMemoryRead(uint32_t offset, uint32_t *data, size_t size);
    bool rtcUserMemoryWrite(uint32_t offset, uint32_t *data, size_t size);
    struct rst_info *getResetInfoPtr();
    void deepSleep(uint64_t us);
#else
    uint64_t getEfuseMac();
#endif
};
extern EspClass ESP;

#if defined(ARDUINO_ARCH_ESP8266)
extern "C" uint32_t sdk_gpi(void);
#define GPI sdk_gpi()
#endif

#if defined(ARDUINO_ARCH_ESP32)
#define RTC_DATA_ATTR
#endif

void setup();
void loop();

#endif
