/* BlynkSimpleEsp32.h - Blynk over Wi-Fi. */
#include "blynk_sketch.h"
