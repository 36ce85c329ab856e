/* blynk_sketch.h - Blynk's library as sketches use it, declarations only. */
#ifndef SDK_BLYNK_H
#define SDK_BLYNK_H

#include <Arduino.h>

#define V1 1
#define V2 2

class BlynkParam
{
  public:
    int asInt() const;
};

class BlynkClass
{
  public:
    void begin(const char *token, const char *network, const char *password);
    void run();
    void virtualWrite(int pin, int value);
    void
    virtualWrite(int pin,
                 const String &text); /* from flash through String: Blynk knows texts in flash on AVR only */
};
extern BlynkClass Blynk;

#define BLYNK_WRITE(pin) BLYNK_WRITE_(pin)
#define BLYNK_WRITE_(pin)                                                                                    \
    void blynk_write_##pin(const BlynkParam &param);                                                         \
    void blynk_write_##pin(const BlynkParam &param)

#endif
