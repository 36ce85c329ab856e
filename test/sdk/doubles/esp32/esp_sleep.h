/* esp_sleep.h - deep sleep, declarations only. */
#ifndef SDK_ESP_SLEEP_H
#define SDK_ESP_SLEEP_H

#include <stdint.h>

extern "C" void esp_deep_sleep(uint64_t us);

#endif
