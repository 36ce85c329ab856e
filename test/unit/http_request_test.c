/* http_request_test.c - request heads have exactly the bytes they should, and nothing can be smuggled in. */
#include "cmocka_all.h"

#include <stdlib.h>

#include "http/http.h"
#include "molt_version.h"

static char out[1024];

static const char *written(const struct molt_request *request)
{
    size_t len = 0;
    if (molt_request_write(request, out, sizeof out - 1, &len) != 0) return NULL;
    out[len] = '\0';
    return out;
}

static const char *written_more(const struct molt_url *url, const struct molt_request_more *more)
{
    size_t len = 0;
    if (molt_request_write_more(&(struct molt_request){.url = url}, more, out, sizeof out - 1, &len) != 0)
        return NULL;
    out[len] = '\0';
    return out;
}

static struct molt_url parsed(const char *text)
{
    struct molt_url url;
    assert_int_equal(molt_url_parse(&url, text), 0);
    return url;
}

static void a_get_has_exactly_these_lines(void **state)
{
    (void)state;
    struct molt_url url = parsed("http://10.0.0.2:8266/fota/5CCF7FC602E2.version");
    assert_string_equal(
        written(&(struct molt_request){.url = &url}),
        "GET /fota/5CCF7FC602E2.version HTTP/1.1\r\nHost: 10.0.0.2:8266\r\nUser-Agent: molt/" MOLT_VERSION
        "\r\nConnection: close\r\n\r\n");
}

static void a_post_says_type_and_length(void **state)
{
    (void)state;
    struct molt_url url = parsed("https://h/molt/v1/check-in");
    struct molt_request_more post = {
        .method = MOLT_POST, .content_type = "application/cbor", .content_len = 71};
    assert_string_equal(
        written_more(&url, &post),
        "POST /molt/v1/check-in HTTP/1.1\r\nHost: h\r\nUser-Agent: molt/" MOLT_VERSION
        "\r\nConnection: close\r\nContent-Type: application/cbor\r\nContent-Length: 71\r\n\r\n");
}

static void a_range_request_carries_its_condition(void **state)
{
    (void)state;
    struct molt_url url = parsed("http://[::1]/x");
    struct molt_request get = {
        .url = &url, .range_from = 4096, .if_range = "\"abc\"", .user_agent = "u", .http10 = true};
    assert_string_equal(written(&get),
                        "GET /x HTTP/1.0\r\nHost: [::1]\r\nUser-Agent: u\r\nConnection: close\r\n"
                        "Range: bytes=4096-\r\nIf-Range: \"abc\"\r\n\r\n");
    get.range_from = 0; /* no range: no condition either */
    assert_null(strstr(written(&get), "Range"));
}

/* RFC 7617, section 2: Aladdin:open sesame; and RFC 4648's paddings. */
static void credentials_become_basic_authorization(void **state)
{
    (void)state;
    static const struct {
        const char *url, *want;
    } rows[] = {
        {"http://Aladdin:open%20sesame@h/", "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"},
        {"http://u:p@h/", "Authorization: Basic dTpw\r\n"},
        {"http://us:p@h/", "Authorization: Basic dXM6cA==\r\n"},
        {"http://usr:p@h/", "Authorization: Basic dXNyOnA=\r\n"},
        {"http://test:123%C2%A3@h/", "Authorization: Basic dGVzdDoxMjPCow==\r\n"},
    };
    const struct molt_request_more get = {.method = MOLT_GET};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct molt_url url = parsed(rows[i].url);
        assert_non_null(strstr(written_more(&url, &get), rows[i].want));
        assert_null(written(&(struct molt_request){.url = &url})); /* not left out in silence */
    }
    struct molt_url bad = parsed("http://u%4:p%g@h/");
    assert_null(written_more(&bad, &get));
    bad = parsed("http://u:p%4@h/");
    assert_null(written_more(&bad, &get));
}

static void nothing_can_be_smuggled_into_the_head(void **state)
{
    (void)state;
    struct molt_url url = parsed("http://h/");
    assert_null(written(&(struct molt_request){.url = &url, .user_agent = "a\r\nX: y"}));
    assert_null(written(&(struct molt_request){.url = &url, .range_from = 1, .if_range = "\"\n\""}));
    assert_null(written_more(&url, &(struct molt_request_more){.method = MOLT_POST, .content_type = "\x80"}));
    static const char *const bad[] = {"X: y",      "X: y\n",         "X: y\r\n\r\n", "\r\n",
                                      " X: y\r\n", "X: y\r\n z\r\n", "X:\ty\r\n",    "\r"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_null(written_more(&url, &(struct molt_request_more){.extra = bad[i]}));
    assert_non_null(strstr(written_more(&url, &(struct molt_request_more){.extra = "A: b\r\nC: d\r\n"}),
                           "close\r\nA: b\r\nC: d\r\n\r\n"));
}

static void every_buffer_that_is_too_small_is_refused(void **state)
{
    (void)state;
    struct molt_url url = parsed("http://u:p@h:81/x");
    const struct molt_request request = {.url = &url};
    const struct molt_request_more post = {
        .method = MOLT_POST, .content_type = "t", .content_len = 9, .extra = "A: b\r\n"};
    size_t need = strlen(written_more(&url, &post)), len;
    for (size_t cap = 0; cap < need; cap++) {
        char *tight = malloc(cap > 0 ? cap : 1);
        assert_non_null(tight);
        assert_int_equal(molt_request_write_more(&request, &post, tight, cap, &len), -MOLT_ARG);
        free(tight);
    }
    char *fits = malloc(need);
    assert_non_null(fits);
    assert_int_equal(molt_request_write_more(&request, &post, fits, need, &len), 0);
    assert_int_equal(len, need);
    free(fits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_has_exactly_these_lines),
        cmocka_unit_test(a_post_says_type_and_length),
        cmocka_unit_test(a_range_request_carries_its_condition),
        cmocka_unit_test(credentials_become_basic_authorization),
        cmocka_unit_test(nothing_can_be_smuggled_into_the_head),
        cmocka_unit_test(every_buffer_that_is_too_small_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
