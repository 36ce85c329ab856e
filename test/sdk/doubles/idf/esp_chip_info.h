/* esp_chip_info.h - see sdk_idf.h. */
#include "sdk_idf.h"
