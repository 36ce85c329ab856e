/* esp_app_desc.h - see sdk_idf.h. */
#include "sdk_idf.h"
#if ESP_IDF_VERSION < ESP_IDF_VERSION_VAL(5, 0, 0)
#error "ESP-IDF 4.4 has no such header"
#endif
