/* identity.c - who this image is: application descriptor, tag, behaviour. The only file that differs
 * between versions. Tests: test/qemu. Formats: ESP-IDF esp_app_desc.h; host/facts.h (tag). */
#include "app.h"

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)

const struct app_identity app_identity = {"molt-reference", APP_VERSION, APP_CODE, APP_BEHAVIOUR};

const char app_tag[] __attribute__((section(".molt_tag"), used)) = "moltinf\0"
                                                                   "product\0molt-reference\0"
                                                                   "version\0" APP_VERSION "\0"
                                                                   "code\0" TEXT(APP_CODE) "\0"
                                                                                           "confirm\0"
                                                                                           "1\0";

#if defined(APP_DESCRIPTOR)
const struct descriptor {
    uint32_t magic, secure_version, reserved[2];
    char version[32], project[32], time[16], date[16], idf[32];
    uint8_t elf_sha256[32];
    uint16_t min_efuse, max_efuse;
    uint8_t page_bits, padding[3];
    uint32_t more[18];
} app_descriptor __attribute__((section(".app_desc"), used)) = {
    .magic = 0xABCD5432u,
    .version = APP_VERSION,
    .project = "molt-reference",
    .max_efuse = 0xFFFFu,
    .page_bits = 16,
};
_Static_assert(sizeof(struct descriptor) == 256, "esp_app_desc_t");
#endif
