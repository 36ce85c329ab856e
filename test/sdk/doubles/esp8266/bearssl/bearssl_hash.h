/* bearssl_hash.h - BearSSL as the ESP8266 core keeps it: in a folder. */
#include <bearssl_hash.h>
