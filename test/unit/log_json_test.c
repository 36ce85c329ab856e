/* log_json_test.c - log lines as JSON: whatever a peer wrote, they are one object of texts. */
#include "cmocka_all.h"

#include <jansson.h>
#include <string.h>

#include "server/log.h"

static json_t *parsed(const char *pairs)
{
    char out[LOG_JSON_MAX];
    size_t len = log_json(pairs, strlen(pairs), out);
    assert_true(len <= sizeof out);
    json_t *json = json_loadb(out, len, JSON_REJECT_DUPLICATES, NULL);
    if (json == NULL) fail_msg("no JSON: %.*s", (int)len, out);
    return json;
}

static void expect(const char *pairs, const char *name, const char *value)
{
    json_t *json = parsed(pairs);
    const char *text = json_string_value(json_object_get(json, name));
    assert_non_null(text);
    assert_string_equal(text, value);
    json_decref(json);
}

static void pairs_are_texts_by_their_names(void **state)
{
    (void)state;
    expect("event=device id=5ccf7f000001", "id", "5ccf7f000001");
    expect("event=x error=\"no route to host\" a=1", "error", "no route to host");
    expect("event=x error=\"no route to host\" a=1", "a", "1");
    expect("event=x a= b=2", "a", "");
    expect("event=x a=\"", "a", "");
    expect("event=x a=b=c", "a", "b=c");
}

static void what_is_no_pair_and_what_is_no_text_breaks_nothing(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "", " ", "=", "word", "=x", "a", "a =b", "a=\\ b=\"\\\"", "a=\xC3\x28\xFF", "a=\x01\x7F"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        json_decref(parsed(lines[i]));
    char long_line[1024];
    memset(long_line, '\xFF', sizeof long_line - 1);
    memcpy(long_line, "a=", 2);
    long_line[sizeof long_line - 1] = '\0';
    json_decref(parsed(long_line));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_texts_by_their_names),
        cmocka_unit_test(what_is_no_pair_and_what_is_no_text_breaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
