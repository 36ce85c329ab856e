/* esp_ota_ops.h - see sdk_idf.h. */
#include "sdk_idf.h"
