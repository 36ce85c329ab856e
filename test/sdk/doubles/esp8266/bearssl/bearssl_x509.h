/* bearssl_x509.h - BearSSL as the ESP8266 core keeps it: in a folder. */
#include <bearssl_x509.h>
