/* esp_err.h - see sdk_idf.h. */
#include "sdk_idf.h"
