// DeepSleep - measures, checks for an update once a day, and sleeps. It must not sleep while an update or a trial is
// going on: an ESP32's boot stage takes a wake-up for a failed trial.
// An ESP8266 is woken through its pin GPIO16 (D0): wire it to RST.
#if defined(ESP8266)
#include <ESP8266WiFi.h>
#else
#include <WiFi.h>
#endif
#include <Molt.h>

MOLT_FIRMWARE("sensor", "1.0.0", 2017102501)

const uint64_t SLEEP_US = 15ull * 60 * 1000000;
const uint32_t WAKES_A_DAY = 96;

#if defined(ESP8266)
// The first 128 bytes of RTC memory (32 blocks) are the boot stage's.
static uint32_t wakes()
{
  uint32_t kept[2] = {0, 0};
  ESP.rtcUserMemoryRead(32, kept, sizeof kept);
  uint32_t count = kept[0] == 0x6D6F6C74 ? kept[1] + 1 : 0;
  kept[0] = 0x6D6F6C74;
  kept[1] = count;
  ESP.rtcUserMemoryWrite(32, kept, sizeof kept);
  return count;
}
static void sleepNow() { ESP.deepSleep(SLEEP_US); }
#else
#include <esp_sleep.h>
RTC_DATA_ATTR static uint32_t count;
static uint32_t wakes() { return count++; }
static void sleepNow() { esp_deep_sleep(SLEEP_US); }
#endif

void setup()
{
  Serial.begin(115200);
  bool isTime = wakes() % WAKES_A_DAY == 0;
  WiFi.mode(WIFI_STA);
  WiFi.begin("your-network", "your-password");
  unsigned long start = millis();
  while (WiFi.status() != WL_CONNECTED && millis() - start < 15000) delay(50);

  // measure and send here

  Molt.begin("http://192.168.1.10:8266");
  while (!isTime && millis() - start < 20000 && Molt.agent().phase == MOLT_AGENT_STARTING) Molt.loop();
  if (isTime || Molt.isOnTrial()) Serial.println(Molt.idOf(Molt.runOnce(5 * 60 * 1000)));
  sleepNow();
}

void loop()
{
}
