/* ESP8266WiFi.h - the ESP8266 core's Wi-Fi, declarations only. */
#include <WiFiClient.h>
