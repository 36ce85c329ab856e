// FileSystem - updates the sketch and its LittleFS image, which is published with the version of the sketch that it is for:
//   molt publish data.bin --product lamp --component fs --chip esp8266 --version 1.0.0
#if defined(ESP8266)
#include <ESP8266WiFi.h>
#else
#include <WiFi.h>
#endif
#include <Molt.h>
#include <LittleFS.h>

MOLT_FIRMWARE("lamp", "1.0.0", 2017102501)

static bool isMounted, isTried;

static bool unmount()
{
  if (isMounted) LittleFS.end();
  isMounted = isTried = false;
  return true; // false: not now, files are open
}

void setup()
{
  Serial.begin(115200);
  WiFi.mode(WIFI_STA);
  WiFi.begin("your-network", "your-password");
  Molt.onResult([](int reason) { Serial.println(Molt.idOf(reason)); });
  Molt.begin("http://192.168.1.10:8266");
  if (Molt.enableFileSystem(unmount) != 0) Serial.println("this flash layout has no file system");
}

void loop()
{
  Molt.loop();
  // After a power cut in the middle of a copy it is not whole until the agent has completed it, and restarted.
  if (!isTried && Molt.agent().phase == MOLT_AGENT_IDLE && Molt.fileSystemIsWhole()) {
    isTried = true;
    isMounted = LittleFS.begin();
    if (!isMounted) Serial.println("no file system in flash yet");
  }
}
