/* manifest_fuzz.c - any bytes as an envelope: no crash, no read past the end, and what the walk accepts keeps the
 * limits of the profile. The signature is left out, so that the parser is reached. */
#include "fuzz.h"

#include <string.h>

#include "manifest/keys.h"
#include "manifest/manifest.h"
#include "manifest/seal.h"

/* Where the envelope ends, a key statement there, and a COSE_Encrypt: all three stay within the bytes. */
static void look_behind(const uint8_t *data, size_t size)
{
    uint8_t class_id[MOLT_UUID_LEN];
    struct molt_keys keys;
    struct molt_seal_parts parts;
    size_t end = molt_manifest_end(data, size);
    FUZZ_CHECK(end <= size);
    if (molt_keys_read(data + end, size - end, class_id, &keys) == 0) {
        FUZZ_CHECK(keys.key_count == 1 || keys.key_count == 2);
        FUZZ_CHECK(keys.keys[keys.key_count] <= data + size);
    }
    if (molt_seal_parse(data, size, &parts)) FUZZ_CHECK(parts.wrapped + 40 == data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct molt_manifest manifest, again;
    uint8_t *copy = malloc(size + 1); /* exactly sized: the sanitizer sees one byte too far */
    if (copy == NULL) return 0;
    memcpy(copy, data, size);
    look_behind(copy, size);
    int rc = molt_manifest_read(copy, size, &manifest);
    FUZZ_CHECK(rc == 0 || rc == -MOLT_MANIFEST_MALFORMED);
    if (rc == 0) {
        FUZZ_CHECK(size <= MOLT_MANIFEST_MAX);
        FUZZ_CHECK(manifest.component_count == 1 || manifest.component_count == 2);
        for (unsigned i = 0; i < manifest.component_count; i++) {
            const struct molt_manifest_component *c = &manifest.component[i];
            FUZZ_CHECK(c->size > 0);
            FUZZ_CHECK(c->encryption == NULL || c->encryption + c->encryption_len <= copy + size);
        }
        FUZZ_CHECK(molt_manifest_read(copy, size, &again) == 0);
        FUZZ_CHECK(memcmp(&manifest, &again, sizeof manifest) == 0);
        FUZZ_CHECK(molt_manifest_read(copy, size - 1, &again) < 0);
    }
    free(copy);
    return 0;
}
