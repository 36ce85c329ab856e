/* esp_crt_bundle.h - see sdk_idf.h. */
#include "sdk_idf.h"
