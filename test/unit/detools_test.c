/* detools_test.c - patches for esp_delta_ota: what is made gives the image back, and damage is refused within bounds. That
 * detools itself takes them: test/e2e/detools_test.sh. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "host/image_build.h"
#include "host/pack/pack.h"

static uint8_t *build(uint32_t size, const char *code, size_t *len)
{
    uint8_t *data;
    struct image_build_tag tag = {"code", code};
    struct image_build how = {.chip = MOLT_CHIP_ESP32,
                              .size = size,
                              .seed = 1,
                              .version = code,
                              .flash_size = 4u << 20,
                              .tags = &tag,
                              .tag_count = 1};
    assert_int_equal(image_build(&how, &data, len), 0);
    return data;
}

static void a_patch_gives_the_image_back(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {60000, 61000, 150000};
    size_t base_len, len, patch_len, out_len;
    uint8_t *base = build(60000, "1", &base_len), *patch, *out;
    for (size_t i = 0; i < 3; i++) {
        uint8_t *data = build(sizes[i], "2", &len);
        for (size_t at = len / 2; at + 500 < len; at++) /* some of it moved */
            data[at] = data[at + 500];
        struct pack_job job = {.data = data, .len = len, .base = base, .base_len = base_len};
        assert_int_equal(pack_detools(&job, &patch, &patch_len), 0);
        assert_true(patch_len < len);
        assert_memory_equal(patch, "\x10\xDE\xCD\xFC", 4);
        assert_memory_equal(patch + 4, base + base_len - 32, 32); /* the appended SHA-256 */
        assert_int_equal(pack_detools_apply(patch, patch_len, base, base_len, &out, &out_len), 0);
        assert_int_equal(out_len, len);
        assert_memory_equal(out, data, len);
        free(out);
        for (size_t at = 0; at < patch_len;
             at += 1 + patch_len / 97) { /* gives anything, or nothing; in bounds */
            patch[at] ^= 0x24;
            if (pack_detools_apply(patch, patch_len, base, base_len, &out, &out_len) == 0) {
                assert_true(out_len <= MOLT_PACK_OUT_MAX);
                free(out);
            }
            assert_true(pack_detools_apply(patch, at, base, base_len, &out, &out_len) < 0);
            patch[at] ^= 0x24;
        }
        base[5] ^= 1;
        assert_int_equal(pack_detools_apply(patch, patch_len, base, base_len, &out, &out_len),
                         -MOLT_PACK_BASE);
        base[5] ^= 1;
        free(patch);
        free(data);
    }
    free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_patch_gives_the_image_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
