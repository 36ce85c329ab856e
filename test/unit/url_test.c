/* url_test.c - URLs are taken apart strictly, and redirects go only where they may. */
#include "cmocka_all.h"

#include <stdio.h>

#include "http/http.h"

struct good {
    const char *text;
    bool tls, is_ipv6;
    unsigned port;
    const char *userinfo, *host, *path;
};

static const struct good good_urls[] = {
    {"http://10.0.0.2", false, false, 80, "", "10.0.0.2", "/"},
    {"http://10.0.0.2/", false, false, 80, "", "10.0.0.2", "/"},
    {"HTTPS://Ota.Example.test/a/b.bin?x=1&y=%20", true, false, 443, "", "Ota.Example.test",
     "/a/b.bin?x=1&y=%20"},
    {"http://h:8266/fota/5C:CF:7F:C6:02:E2.version", false, false, 8266, "", "h",
     "/fota/5C:CF:7F:C6:02:E2.version"},
    {"http://u:p%40ss@h:1/x", false, false, 1, "u:p%40ss", "h", "/x"},
    {"http://a@b@h/", false, false, 80, "a@b", "h", "/"},
    {"https://[fe80::1]:8443/x", true, true, 8443, "", "fe80::1", "/x"},
    {"http://[::ffff:10.0.0.2]", false, true, 80, "", "::ffff:10.0.0.2", "/"},
    {"http://h/a@b:c", false, false, 80, "", "h", "/a@b:c"},
    {"http://h/p#frag", false, false, 80, "", "h", "/p"},
    {"http://h#frag", false, false, 80, "", "h", "/"},
    {"http://h:65535/", false, false, 65535, "", "h", "/"},
    {"http://under_score-1.local/", false, false, 80, "", "under_score-1.local", "/"},
};

static void assert_span(struct molt_span span, const char *want)
{
    assert_int_equal(span.len, strlen(want));
    assert_memory_equal(span.at, want, span.len);
}

static void urls_are_taken_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_urls / sizeof good_urls[0]; i++) {
        const struct good *g = &good_urls[i];
        struct molt_url url;
        if (molt_url_parse(&url, g->text) != 0) fail_msg("refused: %s", g->text);
        assert_int_equal(url.tls, g->tls);
        assert_int_equal(url.is_ipv6, g->is_ipv6);
        assert_int_equal(url.port, g->port);
        assert_span(url.userinfo, g->userinfo);
        assert_span(url.host, g->host);
        assert_span(url.path, g->path);
    }
}

static void unusable_urls_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "http",
        "HTTPS",
        "http:",
        "http:/",
        "http://",
        "https://",
        "ftp://h/",
        "h/x",
        "/x",
        "//h/x",
        "httpx://h/",
        "http:///x",
        "http://:80/",
        "http://h:/",
        "http://h:0/",
        "http://h:65536/",
        "http://h:99999999999/",
        "http://h:8a/",
        "http://h:-1/",
        "http://h :80/",
        "http://h/a b",
        "http://h/a\tb",
        "http://h/\r\nX: y",
        "http://h/\x7f",
        "http://h/\xC3\xA4",
        "http://h\\x/",
        "http://h/\\",
        "http://h/\"",
        "http://h/<",
        "http://[::1/",
        "http://[]/",
        "http://[::1]x/",
        "http://[12ab]/",
        "http://[fe80::1%25eth0]/",
        "http://h?x=1",
        "http://@/",
        "http://u@/",
        "http://a:b:c/",
        "http://h%41/",
        "http://::1/",
        " http://h/",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct molt_url url;
        if (molt_url_parse(&url, bad[i]) != -MOLT_BAD_URL) fail_msg("accepted: %s", bad[i]);
    }
}

static void lengths_at_the_limits_decide_exactly(void **state)
{
    (void)state;
    char text[MOLT_HTTP_URL_MAX + 3] = "http://h/";
    struct molt_url url;
    memset(text + 9, 'p', sizeof text - 9);
    text[MOLT_HTTP_URL_MAX] = '\0';
    assert_int_equal(molt_url_parse(&url, text), 0);
    text[MOLT_HTTP_URL_MAX] = 'p';
    text[MOLT_HTTP_URL_MAX + 1] = '\0';
    assert_int_equal(molt_url_parse(&url, text), -MOLT_BAD_URL);
    char host[8 + MOLT_HOST_MAX + 2];
    snprintf(host, sizeof host, "http://%0*d", (int)MOLT_HOST_MAX, 0);
    assert_int_equal(molt_url_parse(&url, host), 0);
    snprintf(host, sizeof host, "http://%0*d", (int)MOLT_HOST_MAX + 1, 0);
    assert_int_equal(molt_url_parse(&url, host), -MOLT_BAD_URL);
}

static void redirects_replace_what_they_name(void **state)
{
    (void)state;
    static const struct {
        const char *from, *location, *to; /* to NULL: refused */
    } rows[] = {
        {"http://h:81/a/b", "/c", "http://h:81/c"},
        {"http://u:p@h/a", "/c?d", "http://u:p@h/c?d"},
        {"http://u:p@h/a", "http://other/c", "http://other/c"},
        {"http://h", "/c", "http://h/c"},
        {"http://h?no", "/c", "http://h/c"},
        {"http://h/a", "https://h/a", "https://h/a"},
        {"http://h/a", "//g:82/b", "http://g:82/b"},
        {"https://h/a", "//g/b", "https://g/b"},
        {"https://h/a", "https://g/b", "https://g/b"},
        {"https://h/a", "http://h/a", NULL},
        {"https://h/a", "HTTP://h/a", NULL},
        {"http://h/a", "../c", NULL},
        {"http://h/a", "c.bin", NULL},
        {"http://h/a", "?c", NULL},
        {"http://h/a", "", NULL},
        {"http://h/a", "ftp://h/", NULL},
        {"http://h/a", "//", NULL},
        {"http://h/a", "/c d", NULL},
        {"http://h/a", "/a/path/that/is/much/too/long/for/the/room/given", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[48];
        snprintf(text, sizeof text, "%s", rows[i].from);
        int rc = molt_url_redirect(text, sizeof text, rows[i].location);
        if (rc != (rows[i].to != NULL ? 0 : -MOLT_REDIRECT_REFUSED))
            fail_msg("%s -> %s", rows[i].from, rows[i].location);
        if (rc == 0) assert_string_equal(text, rows[i].to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(unusable_urls_are_refused),
        cmocka_unit_test(lengths_at_the_limits_decide_exactly),
        cmocka_unit_test(redirects_replace_what_they_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
