/* facts_fuzz.c - any bytes as a file given to molt: no crash, bounded work, and facts that agree with each other. */
#include "fuzz.h"

#include <string.h>

#include "host/facts.h"

static void check_texts(const struct facts *facts)
{
    FUZZ_CHECK(memchr(facts->detail, 0, sizeof facts->detail) != NULL);
    FUZZ_CHECK(memchr(facts->tag_version, 0, sizeof facts->tag_version) != NULL);
    FUZZ_CHECK(memchr(facts->tag_product, 0, sizeof facts->tag_product) != NULL);
    FUZZ_CHECK(facts->tag_code <= 2147483647u);
    FUZZ_CHECK(facts->has_tag || (facts->tag_version[0] == '\0' && facts->tag_code == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct facts facts;
    uint8_t *inflated;
    size_t inflated_len;
    facts_read(data, size, &facts, &inflated, &inflated_len);
    check_texts(&facts);
    FUZZ_CHECK(facts.is_image == (facts.refusal == 0));
    FUZZ_CHECK(facts.len == size);
    FUZZ_CHECK(inflated == NULL || (facts.gzip && inflated_len == facts.inner_len));
    FUZZ_CHECK(facts.inner_len <= FACTS_FILE_MAX);
    if (facts.is_image && facts.image.chip != MOLT_CHIP_UNKNOWN)
        FUZZ_CHECK(facts.image.len == facts.inner_len);
    free(inflated);
    return 0;
}
