/* nvs_flash.h - see sdk_idf.h. */
#include "sdk_idf.h"
