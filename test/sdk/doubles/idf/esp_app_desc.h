/* esp_app_desc.h - see sdk_idf.h. */
#include "sdk_idf.h"
