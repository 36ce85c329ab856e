/* WiFi.h - the ESP32 core's Wi-Fi, declarations only. */
#include <WiFiClient.h>
