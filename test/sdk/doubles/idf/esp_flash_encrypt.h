/* esp_flash_encrypt.h - see sdk_idf.h. */
#include "sdk_idf.h"
