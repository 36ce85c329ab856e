/* manifest_property_test.c - random releases through encoder and decoder, and every byte of their envelopes changed. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/sign/sign.h"
#include "ports/bearssl.h"
#include "temp_dir.h"

static struct temp_dir dir;
static struct sign_key *key;
static uint8_t keys[1][MOLT_KEY_LEN];
static uint64_t seed = 20261125;

static uint32_t draw(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static void draw_bytes(uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)draw(256);
}

static struct sign_release draw_release(void)
{
    static const uint32_t edges[] = {1, 23, 24, 255, 256, 65535, 65536, 16777216, UINT32_MAX};
    struct sign_release release = {.component_count = 1 + draw(2), .version_parts = draw(4)};
    draw_bytes(release.vendor, MOLT_UUID_LEN);
    draw_bytes(release.class_id, MOLT_UUID_LEN);
    release.sequence = edges[draw(9)] + (draw(4) == 0 ? (uint64_t)draw(99) << 40 : 0);
    for (unsigned i = 0; i < release.version_parts; i++)
        release.version[i] = edges[draw(9)];
    for (unsigned i = 0; i < release.component_count; i++) {
        draw_bytes(release.component[i].digest, MOLT_SHA256_LEN);
        release.component[i].size = edges[draw(9)];
        uint32_t len = 1 + draw(60);
        for (uint32_t at = 0; at < len; at++)
            release.component[i].uri[at] = (char)(0x20 + draw(0x5F));
    }
    return release;
}

static struct molt_trust trust_for(const struct sign_release *release)
{
    struct molt_trust trust = {.hash = &molt_bearssl_sha256,
                               .signature = &molt_bearssl_es256_i31,
                               .keys = (const uint8_t(*)[MOLT_KEY_LEN])keys,
                               .key_count = 1};
    memcpy(trust.vendor, release->vendor, MOLT_UUID_LEN);
    memcpy(trust.class_id, release->class_id, MOLT_UUID_LEN);
    return trust;
}

static void what_was_signed_is_what_is_read(void **state)
{
    (void)state;
    char err[SIGN_ERROR_LEN];
    for (int round = 0; round < 300; round++) {
        uint8_t envelope[MOLT_MANIFEST_MAX];
        size_t len = 0;
        struct sign_release release = draw_release();
        struct molt_trust trust = trust_for(&release);
        struct molt_manifest manifest;
        assert_int_equal(sign_envelope(&release, key, envelope, &len, err), 0);
        assert_int_equal(molt_manifest_accept(&trust, release.sequence, envelope, len, &manifest),
                         MOLT_MANIFEST_ACCEPTED);
        assert_true(manifest.sequence == release.sequence);
        assert_int_equal(manifest.component_count, release.component_count);
        for (unsigned i = 0; i < release.component_count; i++) {
            assert_memory_equal(manifest.component[i].digest, release.component[i].digest, MOLT_SHA256_LEN);
            assert_int_equal(manifest.component[i].size, release.component[i].size);
        }
    }
}

static void every_changed_byte_of_every_envelope_is_refused(void **state)
{
    (void)state;
    char err[SIGN_ERROR_LEN];
    for (int round = 0; round < 12; round++) {
        uint8_t envelope[MOLT_MANIFEST_MAX];
        size_t len = 0;
        struct sign_release release = draw_release();
        struct molt_trust trust = trust_for(&release);
        struct molt_manifest manifest;
        assert_int_equal(sign_envelope(&release, key, envelope, &len, err), 0);
        for (size_t i = 0; i < len; i++) {
            uint8_t was = envelope[i];
            envelope[i] = (uint8_t)(was + 1 + draw(255));
            int rc = molt_manifest_accept(&trust, 0, envelope, len, &manifest);
            assert_true(rc == -MOLT_MANIFEST_MALFORMED || rc == -MOLT_MANIFEST_SIGNATURE);
            envelope[i] = was;
        }
        for (size_t cut = 0; cut < len; cut++)
            assert_true(molt_manifest_accept(&trust, 0, envelope, cut, &manifest) < 0);
        for (size_t cut = 1; cut < len; cut++) /* a byte missing in the middle */
        {
            uint8_t shorter[MOLT_MANIFEST_MAX];
            memcpy(shorter, envelope, cut);
            memcpy(shorter + cut, envelope + cut + 1, len - cut - 1);
            assert_true(molt_manifest_accept(&trust, 0, shorter, len - 1, &manifest) < 0);
        }
    }
}

/* The parser alone over damaged manifests: what it accepts has one meaning, so it is what the encoder would write. */
static void damaged_manifests_are_refused_or_mean_something_else(void **state)
{
    (void)state;
    char err[SIGN_ERROR_LEN];
    uint32_t accepted = 0;
    for (int round = 0; round < 200; round++) {
        uint8_t envelope[MOLT_MANIFEST_MAX];
        size_t len = 0;
        struct sign_release release = draw_release();
        struct molt_manifest manifest;
        assert_int_equal(sign_envelope(&release, key, envelope, &len, err), 0);
        for (int i = 0; i < 500; i++) {
            uint8_t damaged[MOLT_MANIFEST_MAX];
            memcpy(damaged, envelope, len);
            for (uint32_t n = 1 + draw(3); n > 0; n--)
                damaged[122 + draw((uint32_t)len - 122)] = (uint8_t)draw(256);
            if (molt_manifest_read(damaged, len, &manifest) != 0) continue;
            accepted++;
            assert_in_range(manifest.component_count, 1, 2);
            assert_true(manifest.component[0].size > 0);
            assert_int_equal(manifest.component_count == 2, manifest.component[1].size > 0);
        }
    }
    assert_true(accepted > 1000); /* digests and names may be anything: the parser was reached */
}

static int make_key(void **state)
{
    (void)state;
    char path[300], err[SIGN_ERROR_LEN];
    temp_dir_make(&dir);
    snprintf(path, sizeof path, "%s/k", dir.path);
    if (sign_key_generate(path, NULL, err) != 0 || sign_key_open(&key, path, NULL, err) != 0) return -1;
    sign_key_public(key, keys[0]);
    return 0;
}

static int drop_key(void **state)
{
    (void)state;
    sign_key_free(key);
    temp_dir_remove(&dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_signed_is_what_is_read),
        cmocka_unit_test(every_changed_byte_of_every_envelope_is_refused),
        cmocka_unit_test(damaged_manifests_are_refused_or_mean_something_else),
    };
    return cmocka_run_group_tests(tests, make_key, drop_key);
}
