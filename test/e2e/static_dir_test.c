/* static_dir_test.c - `molt serve --static DIR` over a folder as people have it: only verified pairs count, changes
 * are seen, and nothing outside the folder or half written is ever sent. */
#include "cmocka_all.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "serve_case.h"
#include "server/static/static_file.h"

#define ID "5ccf7f0a0b0c"

static int setup(void **state)
{
    struct serve_case *c = calloc(1, sizeof *c);
    assert_non_null(c);
    serve_case_make(c);
    c->options.static_dir = c->static_dir;
    serve_case_start(c);
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    serve_case_remove(*state);
    free(*state);
    return 0;
}

static void path_of(const struct serve_case *c, const char *name, char out[256])
{
    snprintf(out, 256, "%s/%s", c->static_dir, name);
}

/* Writes a file as FTP does: in place, truncated first. */
static void put(const struct serve_case *c, const char *name, const void *data, size_t len)
{
    char path[256];
    path_of(c, name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void put_text(const struct serve_case *c, const char *name, const char *text)
{
    put(c, name, text, strlen(text));
}

static uint8_t *put_image(const struct serve_case *c, const char *name, uint32_t seed, size_t *len)
{
    /* no tag with a code: these builds carry no label */
    uint8_t *image = build_plain_image(MOLT_CHIP_ESP8266, seed, 60000, len);
    put(c, name, image, *len);
    return image;
}

static void ask_bin(const struct serve_case *c, const char *path, struct reply *r)
{
    ask_esp8266(c->port, path, &(struct esp8266){0}, r);
}

/* Polls until the number is there: a file that changed a moment ago is looked at again. */
static void expect_number(const struct serve_case *c, const char *path, const char *number)
{
    char want[24], got[24] = "";
    snprintf(want, sizeof want, "%s\n", number);
    for (int i = 0; i < 12000; i++) {
        struct reply r;
        ask_version(c->port, path, &r);
        assert_int_equal(r.status, 200);
        snprintf(got, sizeof got, "%.20s", (const char *)r.body);
        reply_free(&r);
        if (strcmp(got, want) == 0) return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fail_msg("%s says %s, not %s", path, got, want);
}

static void expect_reason(const struct serve_case *c, const char *path, const char *reason)
{
    for (int i = 0; i < 12000; i++) {
        struct reply r;
        ask_version(c->port, path, &r);
        reply_free(&r);
        if (strcmp(device_text(c, ID, "reason.id"), reason) == 0) return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fail_msg("reason %s, not %s", device_text(c, ID, "reason.id"), reason);
}

static void the_folder_is_served_as_it_stands(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    struct reply r;
    uint8_t *image = put_image(c, "5CCF7F0A0B0C.bin", 1, &len);
    put_text(c, "5CCF7F0A0B0C.version", "2017102502\r\n");
    expect_number(c, "/fota/5CCF7F0A0B0C.version", "2017102502");
    expect_number(c, "/5CCF7F0A0B0C.version", "2017102502");
    ask_bin(c, "/fota/5CCF7F0A0B0C.bin", &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, len);
    assert_memory_equal(r.body, image, len);
    assert_int_equal(strlen(reply_header(&r, "x-MD5")), 32);
    reply_free(&r);
    assert_string_equal(device_text(c, ID, "chip"), "esp8266"); /* and it is recorded */
    free(image);
}

static void a_folder_below_and_any_name_work(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    char path[256];
    path_of(c, "fw", path);
    assert_int_equal(mkdir(path, 0700), 0);
    free(put_image(c, "fw/SEMv5.bin", 2, &len));
    put_text(c, "fw/SEMv5.version", "\xEF\xBB\xBFv12\n"); /* a BOM and a v are forgiven */
    expect_number(c, "/fw/SEMv5.version", "12");
}

/* Files named by hand, asked for by sketches that spell the MAC as they like. */
static void every_spelling_finds_the_files(void **state)
{
    static const char *const spellings[] = {"5CCF7F0A0B0C",      "5ccf7f0a0b0c",      "5C:CF:7F:0A:0B:0C",
                                            "5c:cf:7f:0a:0b:0c", "5C-CF-7F-0A-0B-0C", "5c-cf-7f-0a-0b-0c",
                                            "0C0B0A7FCF5C",      "c0b0a7fcf5c",       "0x999995ccf7f0a0b0c"};
    struct serve_case *c = *state;
    for (size_t file = 0; file < 6; file++) {
        char names[2][64], paths[2][256], asked[64], number[16];
        size_t len = 0;
        snprintf(names[0], sizeof names[0], "%s.bin", spellings[file]);
        snprintf(names[1], sizeof names[1], "%s.version", spellings[file]);
        snprintf(number, sizeof number, "%zu", 7 + file);
        uint8_t *image = put_image(c, names[0], 30 + (uint32_t)file, &len);
        put_text(c, names[1], number);
        for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
            snprintf(asked, sizeof asked, "/fota/%s.version", spellings[i]);
            expect_number(c, asked, number);
        }
        for (size_t i = 0; i < 3;
             i++) { /* one device in all of them: it is sent a file three times at most */
            struct reply r;
            snprintf(asked, sizeof asked, "/fota/%s.bin", spellings[3 * i + file % 3]);
            ask_bin(c, asked, &r);
            assert_int_equal(r.status, 200);
            assert_int_equal(r.body_len, len);
            assert_memory_equal(r.body, image, len);
            reply_free(&r);
        }
        free(image);
        for (size_t i = 0; i < 2; i++) {
            path_of(c, names[i], paths[i]);
            assert_int_equal(unlink(paths[i]), 0);
        }
    }
    /* a name is one in either case */
    size_t len = 0;
    free(put_image(c, "porch.bin", 40, &len));
    put_text(c, "porch.version", "3");
    expect_number(c, "/Porch.version", "3");
}

static void curl_gets_the_file_too(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    struct reply r;
    uint8_t *image = put_image(c, "lamp.bin", 3, &len);
    put_text(c, "lamp.version", "5");
    raw_ask(c->port, "GET /lamp.version HTTP/1.1\r\nHost: x\r\nUser-Agent: curl/8\r\n\r\n", &r);
    assert_string_equal((const char *)r.body, "5\n");
    reply_free(&r);
    raw_ask(c->port, "GET /lamp.bin HTTP/1.1\r\nHost: x\r\nUser-Agent: curl/8\r\n\r\n", &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, len);
    reply_free(&r);
    assert_string_equal(device_text(c, "lamp", "chip"), ""); /* it did not say */
    free(image);
}

static void a_raised_number_without_a_new_bin_does_not_count(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    free(put_image(c, "5CCF7F0A0B0C.bin", 1, &len));
    put_text(c, "5CCF7F0A0B0C.version", "100");
    expect_number(c, "/5CCF7F0A0B0C.version", "100");
    struct reply r;
    char md5[33];
    ask_bin(c, "/5CCF7F0A0B0C.bin", &r);
    assert_int_equal(r.status, 200);
    snprintf(md5, sizeof md5, "%s", reply_header(&r, "x-MD5"));
    reply_free(&r);
    ask_esp8266(c->port, "/5CCF7F0A0B0C.bin", &(struct esp8266){.md5 = md5}, &r); /* it runs 100 now */
    assert_int_equal(r.status, 304);
    reply_free(&r);
    put_text(c, "5CCF7F0A0B0C.version", "101");
    expect_reason(c, "/5CCF7F0A0B0C.version", "version-without-new-image");
    expect_number(c, "/5CCF7F0A0B0C.version", "100");
    serve_case_stop(c); /* a restart does not believe it either */
    serve_case_start(c);
    expect_number(c, "/5CCF7F0A0B0C.version", "100");
    free(put_image(c, "5CCF7F0A0B0C.bin", 2, &len));
    expect_number(c, "/5CCF7F0A0B0C.version", "101");
}

static void a_bin_before_its_number_counts_when_the_number_comes(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    free(put_image(c, "5CCF7F0A0B0C.bin", 1, &len));
    put_text(c, "5CCF7F0A0B0C.version", "100");
    expect_number(c, "/5CCF7F0A0B0C.version", "100");
    free(put_image(c, "5CCF7F0A0B0C.bin", 2, &len));
    expect_number(c, "/5CCF7F0A0B0C.version", "100");
    put_text(c, "5CCF7F0A0B0C.version", "101");
    expect_number(c, "/5CCF7F0A0B0C.version", "101");
}

static void a_number_above_the_one_compiled_in_does_not_count(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    uint8_t *image = build_image_of(MOLT_CHIP_ESP8266, 41, 60000, &len); /* its tag says 41 */
    put(c, "5CCF7F0A0B0C.bin", image, len);
    put_text(c, "5CCF7F0A0B0C.version", "42");
    expect_number(c, "/5CCF7F0A0B0C.version", "41");
    free(image);
}

static void what_is_no_firmware_is_never_sent(void **state)
{
    struct serve_case *c = *state;
    static const char html[] = "<html><body>404 Not Found</body></html>";
    size_t len = 0;
    struct reply r;
    put_text(c, "5CCF7F0A0B0C.bin", html);
    put_text(c, "5CCF7F0A0B0C.version", "7");
    expect_reason(c, "/5CCF7F0A0B0C.version", "bin-refused");
    expect_number(c, "/5CCF7F0A0B0C.version", "0");
    ask_bin(c, "/5CCF7F0A0B0C.bin", &r);
    assert_int_equal(r.status, 404);
    assert_null(strstr((const char *)r.body, "<html>"));
    reply_free(&r);
    /* cut short, one bit wrong: the same */
    uint8_t *image = build_plain_image(MOLT_CHIP_ESP8266, 4, 60000, &len);
    put(c, "5CCF7F0A0B0C.bin", image, len - 100);
    expect_number(c, "/5CCF7F0A0B0C.version", "0");
    image[40000] ^= 1;
    put(c, "5CCF7F0A0B0C.bin", image, len);
    expect_number(c, "/5CCF7F0A0B0C.version", "0");
    image[40000] ^= 1;
    put(c, "5CCF7F0A0B0C.bin", image, len);
    expect_number(c, "/5CCF7F0A0B0C.version", "7");
    free(image);
}

static void while_a_bin_is_uploaded_the_old_pair_goes_on(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0, newer = 0;
    struct reply r;
    uint8_t *image = put_image(c, "5CCF7F0A0B0C.bin", 1, &len);
    put_text(c, "5CCF7F0A0B0C.version", "100");
    expect_number(c, "/5CCF7F0A0B0C.version", "100");
    uint8_t *next = build_plain_image(MOLT_CHIP_ESP8266, 2, 64000, &newer);
    put(c, "5CCF7F0A0B0C.bin", next, newer / 2);
    put_text(c, "5CCF7F0A0B0C.version", "101");
    expect_number(c, "/5CCF7F0A0B0C.version", "100");
    ask_bin(c, "/5CCF7F0A0B0C.bin", &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, len);
    assert_memory_equal(r.body, image, len);
    reply_free(&r);
    put(c, "5CCF7F0A0B0C.bin", next, newer);
    expect_number(c, "/5CCF7F0A0B0C.version", "101");
    free(image);
    free(next);
}

static void a_file_that_is_cut_while_it_is_sent_changes_nothing(void **state)
{
    struct serve_case *c = *state;
    static const char request[] =
        "GET /240AC4000001.bin HTTP/1.0\r\nUser-Agent: ESP32-http-Update\r\n"
        "x-ESP32-STA-MAC: 24:0A:C4:00:00:01\r\nx-ESP32-free-space: 16777216\r\n\r\n";
    size_t len = 0;
    struct reply r;
    uint8_t *image =
        build_plain_image(MOLT_CHIP_ESP32, 5, 8u << 20, &len); /* more than the kernel takes at once */
    put(c, "240AC4000001.bin", image, len);
    put_text(c, "240AC4000001.version", "3");
    ask_version_esp32(c->port, "/240AC4000001.version", &r);
    assert_string_equal((const char *)r.body, "3\n");
    reply_free(&r);
    int fd = raw_connect(c->port);
    raw_send(fd, request, sizeof request - 1);
    char first[1];
    assert_int_equal(recv(fd, first, 1, MSG_PEEK), 1); /* it is under way */
    put_text(c, "240AC4000001.bin", "<html>");
    char path[256];
    path_of(c, "240AC4000001.bin", path);
    assert_int_equal(truncate(path, 0), 0);
    raw_read(fd, false, &r);
    close(fd);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, len);
    assert_memory_equal(r.body, image, len);
    reply_free(&r);
    free(image);
}

static void an_image_for_another_chip_is_not_sent(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    struct reply r;
    uint8_t *image = build_plain_image(MOLT_CHIP_ESP32, 5, 300000, &len);
    put(c, "5CCF7F0A0B0C.bin", image, len);
    put_text(c, "5CCF7F0A0B0C.version", "3");
    expect_number(c, "/5CCF7F0A0B0C.version", "0");
    ask_bin(c, "/5CCF7F0A0B0C.bin", &r);
    assert_int_equal(r.status, 304);
    reply_free(&r);
    free(image);
}

static void a_number_without_a_bin_is_0(void **state)
{
    struct serve_case *c = *state;
    put_text(c, "5CCF7F0A0B0C.version", "3");
    expect_number(c, "/5CCF7F0A0B0C.version", "0");
    expect_reason(c, "/5CCF7F0A0B0C.version", "version-without-new-image");
}

static void an_assigned_device_follows_its_product(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    free(put_image(c, "5CCF7F0A0B0C.bin", 1, &len));
    put_text(c, "5CCF7F0A0B0C.version", "100");
    expect_number(c, "/5CCF7F0A0B0C.version", "100");
    free(publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, 200, 60000, &len));
    assign(c, ID, "lamp");
    expect_number(c, "/5CCF7F0A0B0C.version", "200");
}

static void expect_not_found(const struct serve_case *c, const char *path)
{
    char request[512];
    struct reply r;
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nUser-Agent: curl/8\r\n\r\n", path);
    raw_ask(c->port, request, &r);
    if (r.status != 404) fail_msg("%s: %d", path, r.status);
    reply_free(&r);
}

static void there_is_no_way_out_of_the_folder(void **state)
{
    struct serve_case *c = *state;
    size_t len = 0;
    char path[256], target[256];
    uint8_t *image = build_plain_image(MOLT_CHIP_ESP8266, 1, 60000, &len);
    put(c, "../outside.bin", image, len);
    put_text(c, "../outside.version", "5");
    put(c, "fw.bin", image, len);
    put_text(c, "fw.version", "5");
    put(c, ".hidden.bin", image, len);
    put_text(c, "config.json", "{}");
    snprintf(target, sizeof target, "%s/outside.bin", c->dir.path);
    path_of(c, "escape.bin", path);
    assert_int_equal(symlink(target, path), 0);
    path_of(c, "up", path);
    assert_int_equal(symlink("..", path), 0);
    path_of(c, "pipe.bin", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    path_of(c, "huge.bin", path);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)17 << 20), 0);
    close(fd);
    static const char *const bad[] = {
        "/../outside.bin",
        "/%2e%2e/outside.bin",
        "/..%2foutside.bin",
        "/fw/..%5coutside.bin",
        "/escape.bin",
        "/up/outside.bin",
        "/pipe.bin",
        "/.hidden.bin",
        "/x/.hidden.bin",
        "/huge.bin",
        "/config.json",
        "/fw.bin/",
        "/",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_not_found(c, bad[i]);
    /* a link that stays inside is fine: many boards, one file */
    path_of(c, "5CCF7F0A0B0C.bin", path);
    assert_int_equal(symlink("fw.bin", path), 0);
    put_text(c, "5CCF7F0A0B0C.version", "5");
    expect_number(c, "/5CCF7F0A0B0C.version", "5");
    free(image);
}

static void version_texts_are_read_as_a_device_means_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t code; /* 0: malformed */
    } rows[] = {
        {"1001\n", 1001},
        {"  1001  \r\n", 1001},
        {"\r\n1001", 1001},
        {"1001.5", 1001},
        {"12abc", 12},
        {"v7", 7},
        {"\xEF\xBB\xBF"
         "8",
         8},
        {"2147483647", 2147483647},
        {"2147483648", 0},
        {"", 0},
        {"<html>", 0},
        {"-5", 0},
        {"0", 0},
        {"20171025021234567890", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t code = 0;
        int rc = static_parse_version((const uint8_t *)rows[i].text, strlen(rows[i].text), &code);
        assert_int_equal(rc == 0, rows[i].code != 0);
        if (rc == 0) assert_int_equal(code, rows[i].code);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_folder_is_served_as_it_stands),
        TEST(a_folder_below_and_any_name_work),
        TEST(every_spelling_finds_the_files),
        TEST(curl_gets_the_file_too),
        TEST(a_raised_number_without_a_new_bin_does_not_count),
        TEST(a_bin_before_its_number_counts_when_the_number_comes),
        TEST(a_number_above_the_one_compiled_in_does_not_count),
        TEST(what_is_no_firmware_is_never_sent),
        TEST(while_a_bin_is_uploaded_the_old_pair_goes_on),
        TEST(a_file_that_is_cut_while_it_is_sent_changes_nothing),
        TEST(an_image_for_another_chip_is_not_sent),
        TEST(a_number_without_a_bin_is_0),
        TEST(an_assigned_device_follows_its_product),
        TEST(there_is_no_way_out_of_the_folder),
        cmocka_unit_test(version_texts_are_read_as_a_device_means_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
