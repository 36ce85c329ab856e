/* main.c - a small freestanding program that is compiled for real chips and packed by esptool, so that the
 * verifier sees images that molt did not make itself. It never runs. Used by test/e2e/esptool_test.sh. */
#include <stdint.h>

#ifdef APP_DESC
/* ESP-IDF esp_app_desc.h: 256 bytes at the start of the first flash segment. */
struct app_desc {
    uint32_t magic, secure_version, reserved[2];
    char version[32], project[32], time[16], date[16], idf[32];
    uint8_t elf_sha256[32];
    uint16_t min_efuse, max_efuse;
    uint8_t page_bits, rest[75];
};
__attribute__((section(".appdesc"), used)) const struct app_desc app_desc = {.magic = 0xABCD5432,
                                                                             .version = "9.8.7",
                                                                             .project = "oracle",
                                                                             .time = "10:00:00",
                                                                             .date = "Nov 25 2026",
                                                                             .idf = "none",
                                                                             .max_efuse = 0xFFFF};
_Static_assert(sizeof(struct app_desc) == 256, "the descriptor has 256 bytes");
#endif

extern uint32_t start(uint32_t n);

static const char words[] = "shed an old skin for a new one";
static uint32_t counters[16] = {1, 2, 3};

__attribute__((noinline, section(".iram"))) static uint32_t mix(uint32_t a, uint32_t b)
{
    return (a << 7 | a >> 25) ^ b;
}

__attribute__((used)) uint32_t start(uint32_t n)
{
    uint32_t sum = n;
    for (uint32_t i = 0; words[i] != '\0'; i++) {
        sum = mix(sum, (uint32_t)words[i]);
        counters[i & 15] += sum;
    }
    return sum ^ counters[n & 15];
}
