/* filter_property_test.c - random filters: printing and parsing are inverse, the printed one matches the same devices,
 * and so does one that looks at each word of them alone. MOLT_SEED repeats a run; the seed is printed. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/filter/filter.h"

#define ROUNDS 30000
#define NOW    1000000000000LL

static uint64_t random_state;

static uint32_t any(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

struct text {
    char bytes[2048];
    size_t len;
};

static void add(struct text *text, const char *part)
{
    size_t len = strlen(part);
    if (len >= sizeof text->bytes - text->len) return;
    memcpy(text->bytes + text->len, part, len + 1);
    text->len += len;
}

static void add_test(struct text *text)
{
    static const char *const tests[] = {
        "id = a1",
        "id ~ a*",
        "tag = red",
        "tag != red",
        "tag in (red, blue)",
        "code > 3",
        "code = 2K",
        "seen < 5m",
        "seen = never",
        "held = yes",
        "attr.floor >= 3",
        "attr.x = \"\"",
        "attr.x != \"q \\\" r\"",
        "flash = 4M",
        "verified != no",
        "group = north",
        "state in (updated, none)",
    };
    add(text, tests[any(sizeof tests / sizeof tests[0])]);
}

static void add_filter(struct text *text, int depth)
{
    uint32_t kind = any(5);
    if (depth == 0 || kind == 0) {
        add_test(text);
    } else if (kind == 1) {
        add(text, "not ");
        add_filter(text, depth - 1);
    } else if (kind == 2) {
        add(text, "(");
        add_filter(text, depth - 1);
        add(text, ")");
    } else {
        add_filter(text, depth - 1);
        add(text, kind == 3 ? " and " : " or ");
        add_filter(text, depth - 1);
    }
}

static struct model_device some_device(void)
{
    static const char *const tags[] = {"", "red", "blue", "blue red"};
    static const char *const attributes[] = {"", "floor=2", "floor=12 x=y", "x= floor=1 x=y"};
    struct model_device device = {.id = "a1", .running_code = any(3000), .held = any(2), .verified = any(2)};
    device.id[1] = (char)('0' + any(3));
    device.flash_size = any(2) << 22;
    device.attempt = any(2) ? MODEL_ATTEMPT_UPDATED : MODEL_ATTEMPT_FAILED;
    device.last_seen_ms = any(2) * (NOW - any(600000));
    snprintf(device.tags, sizeof device.tags, "%s", tags[any(4)]);
    snprintf(device.attributes, sizeof device.attributes, "%s", attributes[any(4)]);
    snprintf(device.group_name, sizeof device.group_name, "%s", any(2) ? "north" : "");
    return device;
}

/* The same verdict, from a device without labels and its words one by one. */
static bool matches_by_words(const struct filter *filter, const struct filter_subject *subject)
{
    struct model_device bare = *subject->device;
    struct filter_asks asks;
    char words[MODEL_TAGS_LEN + MODEL_ATTRIBUTES_LEN + 1];
    const size_t tags = strlen(bare.tags);
    snprintf(words, sizeof words, "%s %s", bare.tags, bare.attributes);
    bare.tags[0] = bare.attributes[0] = '\0';
    filter_asks(filter, &asks);
    uint64_t answers =
        filter_test(filter, &(struct filter_subject){&bare, subject->product, subject->now_ms}, asks.all);
    uint64_t turned = 0, named = 0, holds = 0;
    for (char *rest = words, *word; (word = strtok_r(rest, " ", &rest)) != NULL;) {
        struct filter_word says;
        filter_word(filter, word, &says);
        if (word < words + tags) {
            turned |= says.tag;
        } else {
            holds |= says.holds & ~named;
            named |= says.named;
        }
    }
    return filter_decide(filter, ((answers ^ turned) & ~named) | holds);
}

static void printing_and_parsing_are_inverse(void **state)
{
    (void)state;
    uint32_t taken = 0, matched = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct text text = {.len = 0};
        struct filter first, second;
        char once[FILTER_TEXT_MAX], twice[FILTER_TEXT_MAX];
        add_filter(&text, 1 + (int)any(6));
        if (filter_parse(&first, text.bytes, NULL, 0) != 0) continue; /* too long */
        taken++;
        assert_true(filter_print(&first, once, sizeof once) > 0);
        if (filter_parse(&second, once, NULL, 0) != 0) fail_msg("%s\n%s", text.bytes, once);
        assert_true(filter_print(&second, twice, sizeof twice) > 0);
        assert_string_equal(once, twice);
        assert_int_equal(first.count, second.count);
        for (int i = 0; i < 8; i++) {
            struct model_device device = some_device();
            const struct filter_subject subject = {&device, "door", NOW};
            bool is = filter_match(&first, &subject);
            matched += is;
            if (is != filter_match(&second, &subject)) fail_msg("%s\n%s", text.bytes, once);
            if (is != matches_by_words(&first, &subject)) fail_msg("by words: %s", once);
        }
    }
    assert_true(taken > ROUNDS / 2 && matched > taken && matched < taken * 7); /* it tests something */
}

int main(void)
{
    const char *given = getenv("MOLT_SEED");
    random_state = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("MOLT_SEED=%llu\n", (unsigned long long)random_state);
    const struct CMUnitTest tests[] = {cmocka_unit_test(printing_and_parsing_are_inverse)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
