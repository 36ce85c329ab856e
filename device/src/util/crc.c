/* crc.c - CRC-32, most and least significant bit first, bit by bit: SHA-256 runs beside it and costs far more.
 * Must never grow a table: .rodata lies in scarce RAM on the ESP8266. Tests: test/unit/reason_test.c. */
#include "crc.h"

#define POLYNOMIAL           0x04C11DB7u
#define POLYNOMIAL_REFLECTED 0xEDB88320u

uint32_t molt_crc32_msb(uint32_t crc, const void *data, size_t len)
{
    for (const uint8_t *p = data, *end = p + len; p < end; p++) {
        crc ^= (uint32_t)*p << 24;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc << 1) ^ (POLYNOMIAL & (0u - (crc >> 31)));
    }
    return crc;
}

uint32_t molt_crc32_lsb(uint32_t crc, const void *data, size_t len)
{
    crc = ~crc;
    for (const uint8_t *p = data, *end = p + len; p < end; p++) {
        crc ^= *p;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (POLYNOMIAL_REFLECTED & (0u - (crc & 1)));
    }
    return ~crc;
}
