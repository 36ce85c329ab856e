/* filter_fuzz.c - any text as a filter: it is refused, or prints as a filter that prints the same and matches the same. */
#include <string.h>

#include "fuzz.h"
#include "host/filter/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct model_device device = {
        .id = "5ccf7fc602e2", .tags = "a b", .attributes = "x=1 y=z", .running_code = 7, .last_seen_ms = 1};
    char text[600], once[FILTER_TEXT_MAX], twice[FILTER_TEXT_MAX], error[160];
    struct filter filter, again;
    if (len >= sizeof text) return 0;
    memcpy(text, data, len);
    text[len] = '\0';
    const struct filter_subject subject = {&device, "door", 1000};
    if (filter_parse(&filter, text, error, sizeof error) != 0) {
        FUZZ_CHECK(error[0] != '\0' && !filter_match(&filter, &subject));
        return 0;
    }
    FUZZ_CHECK(filter_print(&filter, once, sizeof once) >= 0);
    FUZZ_CHECK(filter_parse(&again, once, error, sizeof error) == 0);
    FUZZ_CHECK(filter_print(&again, twice, sizeof twice) >= 0 && strcmp(once, twice) == 0);
    FUZZ_CHECK(filter_match(&filter, &subject) == filter_match(&again, &subject));
    return 0;
}
