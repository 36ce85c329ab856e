/* crc.c - CRC-32, most and least significant bit first, four bits at a time.
 * Must never grow a 1 KB table: .rodata lies in scarce RAM on the ESP8266. Tests: test/unit/reason_test.c. */
#include "crc.h"

static const uint32_t msb_nibble[16] = {
    0x00000000, 0x04C11DB7, 0x09823B6E, 0x0D4326D9, 0x130476DC, 0x17C56B6B, 0x1A864DB2, 0x1E475005,
    0x2608EDB8, 0x22C9F00F, 0x2F8AD6D6, 0x2B4BCB61, 0x350C9B64, 0x31CD86D3, 0x3C8EA00A, 0x384FBDBD,
};

static const uint32_t lsb_nibble[16] = {
    0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
    0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
};

uint32_t molt_crc32_msb(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++) {
        crc = (crc << 4) ^ msb_nibble[(crc >> 28) ^ (p[i] >> 4)];
        crc = (crc << 4) ^ msb_nibble[(crc >> 28) ^ (p[i] & 15u)];
    }
    return crc;
}

uint32_t molt_crc32_lsb(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc = (crc >> 4) ^ lsb_nibble[(crc ^ p[i]) & 15u];
        crc = (crc >> 4) ^ lsb_nibble[(crc ^ (uint32_t)(p[i] >> 4)) & 15u];
    }
    return ~crc;
}
