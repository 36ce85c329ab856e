/* manifest_fuzz.c - any bytes as an envelope: no crash, no read past the end, and what the walk accepts keeps the
 * limits of the profile. The signature is left out, so that the parser is reached. */
#include "fuzz.h"

#include <string.h>

#include "manifest/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct molt_manifest manifest, again;
    uint8_t *copy = malloc(size + 1); /* exactly sized: the sanitizer sees one byte too far */
    if (copy == NULL) return 0;
    memcpy(copy, data, size);
    int rc = molt_manifest_read(copy, size, &manifest);
    FUZZ_CHECK(rc == 0 || rc == -MOLT_MANIFEST_MALFORMED);
    if (rc == 0) {
        FUZZ_CHECK(size <= MOLT_MANIFEST_MAX);
        FUZZ_CHECK(manifest.component_count == 1 || manifest.component_count == 2);
        for (unsigned i = 0; i < manifest.component_count; i++)
            FUZZ_CHECK(manifest.component[i].size > 0);
        FUZZ_CHECK(molt_manifest_read(copy, size, &again) == 0);
        FUZZ_CHECK(memcmp(&manifest, &again, sizeof manifest) == 0);
        FUZZ_CHECK(molt_manifest_read(copy, size - 1, &again) < 0);
    }
    free(copy);
    return 0;
}
