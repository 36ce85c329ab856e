/* http_send_test.c - every byte of a response, once, in order, and an honest report when it was cut short.
 * Must never compare lengths only: a sendfile offset that is off by one keeps the length. */
#include "cmocka_all.h"
#include "e2e/http_fixture.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct fixture f;

static int start(void **state)
{
    (void)state;
    struct http_options o = {0};
    fixture_start(&f, &o, "http://127.0.0.1:0", 4000000);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fixture_stop(&f, 1000);
    return 0;
}

static void check_file_bytes(const struct answer *a, uint64_t from)
{
    for (uint64_t i = 0; i < a->body_len; i++) {
        if ((unsigned char)a->body[i] == file_byte(from + i)) continue;
        print_error("byte %llu differs\n", (unsigned long long)(from + i));
        assert_true(false);
    }
}

static void fetch(int fd, uint64_t from)
{
    char text[128];
    struct answer a;
    snprintf(text, sizeof text, "GET /file?%llu HTTP/1.1\r\nHost: h\r\n\r\n", (unsigned long long)from);
    raw_say(fd, text);
    raw_answer(fd, false, &a);
    assert_int_equal(a.status, from ? 206 : 200);
    assert_int_equal(a.announced, FILE_LEN - from);
    assert_int_equal(a.body_len, FILE_LEN - from);
    check_file_bytes(&a, from);
    answer_free(&a);
}

static void test_files_arrive_byte_for_byte_from_any_offset(void **state)
{
    (void)state;
    static const uint64_t from[] = {0,
                                    1,
                                    4095,
                                    4096,
                                    4097,
                                    FILE_LEN - 16385,
                                    FILE_LEN - 16384,
                                    FILE_LEN - 4097,
                                    FILE_LEN - 4096,
                                    FILE_LEN - 1};
    unsigned before = f.done_complete;
    int fd = raw_connect(f.port);
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++)
        fetch(fd, from[i]);
    close(fd);
    fixture_wait(&f.done_complete, before + 10);
    assert_int_equal(f.done_cut, 0);
}

static void test_a_slow_reader_gets_every_byte(void **state)
{
    (void)state;
    static char got[FILE_LEN + 1000];
    int small = 16384, fd = raw_connect(f.port), reads = 0;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    raw_say(fd, "GET /file HTTP/1.0\r\n\r\n");
    size_t len = 0;
    for (ssize_t n; (n = recv(fd, got + len, len % 3 ? 1500 : 7000, 0)) > 0; len += (size_t)n)
        if (reads++ % 8 == 0) pause_us(500);
    const char *body = strstr(got, "\r\n\r\n");
    assert_non_null(body);
    size_t head = (size_t)(body + 4 - got);
    assert_int_equal(len - head, FILE_LEN);
    for (size_t i = 0; i < FILE_LEN; i++)
        if ((unsigned char)got[head + i] != file_byte(i)) fail_msg("byte %zu differs", i);
    close(fd);
}

static void test_many_downloads_at_once_do_not_mix(void **state)
{
    (void)state;
    enum { COUNT = 12 };
    int fds[COUNT];
    for (int i = 0; i < COUNT; i++) {
        char text[64];
        fds[i] = raw_connect(f.port);
        snprintf(text, sizeof text, "GET /file?%d HTTP/1.0\r\n\r\n", i * 1000);
        raw_say(fds[i], text);
    }
    for (int i = COUNT - 1; i >= 0; i--) {
        struct answer a;
        raw_answer(fds[i], false, &a);
        assert_int_equal(a.body_len, FILE_LEN - i * 1000);
        check_file_bytes(&a, (uint64_t)i * 1000);
        assert_true(raw_closed(fds[i], true));
        answer_free(&a);
        close(fds[i]);
    }
}

static void test_large_bodies_from_memory_arrive_byte_for_byte(void **state)
{
    (void)state;
    static const size_t sizes[] = {16384, 16385, 70000, 3999999};
    for (size_t s = 0; s < 4; s++) {
        char *body = malloc(sizes[s]), head[128];
        struct answer a;
        assert_non_null(body);
        for (size_t i = 0; i < sizes[s]; i++)
            body[i] = (char)file_byte(i);
        int fd = raw_connect(f.port);
        snprintf(head, sizeof head, "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", sizes[s]);
        raw_say(fd, head);
        raw_send(fd, body, sizes[s]);
        raw_answer(fd, false, &a);
        assert_int_equal(a.body_len, sizes[s]);
        assert_memory_equal(a.body, body, sizes[s]);
        answer_free(&a);
        free(body);
        close(fd);
    }
}

/* What one read can see once the kernel has something: the head must not travel alone. */
static void test_head_and_first_kilobyte_arrive_together(void **state)
{
    (void)state;
    static const char *const texts[] = {"GET /file HTTP/1.0\r\n\r\n", "GET /filled?100 HTTP/1.0\r\n\r\n"};
    for (int i = 0; i < 40; i++) {
        static char got[70000];
        int fd = raw_connect(f.port);
        struct pollfd p = {.fd = fd, .events = POLLIN};
        raw_say(fd, texts[i % 2]);
        assert_int_equal(poll(&p, 1, 120000), 1);
        ssize_t n = recv(fd, got, sizeof got - 1, 0);
        assert_true(n > 0);
        got[n] = 0;
        const char *body = strstr(got, "\r\n\r\n");
        assert_non_null(body);
        assert_true(got + n - (body + 4) >= 1024);
        close(fd);
    }
}

static void test_head_of_a_file_is_followed_by_the_next_answer(void **state)
{
    (void)state;
    struct answer a;
    int fd = raw_connect(f.port);
    raw_say(fd, "HEAD /file HTTP/1.1\r\nHost: h\r\n\r\n");
    raw_answer(fd, true, &a);
    assert_int_equal(a.announced, FILE_LEN);
    fetch(fd, FILE_LEN - 100);
    close(fd);
}

static void test_a_peer_that_leaves_mid_way_is_reported_with_what_was_sent(void **state)
{
    (void)state;
    static char part[50000];
    unsigned before = f.done_cut;
    int small = 8192, fd = raw_connect(f.port);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int i = 0; i < 12; i++) /* more than the kernel buffers, so the server is in the middle of one */
        raw_say(fd, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(recv(fd, part, sizeof part, MSG_WAITALL) > 0);
    raw_reset(fd);
    fixture_wait(&f.done_cut, before + 1);
    assert_true(f.sent < FILE_LEN);
    fixture_wait_open(&f, 0);
}

static void test_a_file_that_shrinks_never_looks_complete(void **state)
{
    (void)state;
    struct fixture g;
    struct http_options o = {0};
    struct answer a;
    fixture_start(&g, &o, "http://127.0.0.1:0", 1000);
    assert_int_equal(ftruncate(g.file_fd, 100000), 0);
    int fd = raw_connect(g.port);
    raw_say(fd, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
    raw_answer(fd, false, &a);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body_len, 100000);
    assert_int_equal(a.announced, FILE_LEN);
    assert_true(raw_closed(fd, true));
    answer_free(&a);
    fixture_wait(&g.done_cut, 1);
    assert_int_equal(g.sent, 100000);
    close(fd);

    assert_int_equal(ftruncate(g.file_fd, 1000),
                     0); /* seen before the head left: an error can still be said */
    fd = raw_connect(g.port);
    raw_say(fd, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
    raw_answer(fd, false, &a);
    assert_int_equal(a.status, 500);
    answer_free(&a);
    fixture_wait(&g.done_cut, 2);
    assert_int_equal(g.sent, 0);
    close(fd);
    fixture_stop(&g, 1000);
}

static void test_curl_agrees(void **state)
{
    (void)state;
    char command[1024];
    snprintf(
        command, sizeof command,
        "curl -sf --max-time 300 -r 0- http://127.0.0.1:%u/file | cmp - %s/file.bin && "
        "curl -sf --max-time 300 --http1.0 http://127.0.0.1:%u/file | cmp - %s/file.bin && "
        "curl -sf --max-time 300 -T %s/file.bin -H 'Expect: 100-continue' http://127.0.0.1:%u/echo | cmp "
        "- %s/file.bin",
        (unsigned)f.port, f.dir, (unsigned)f.port, f.dir, f.dir, (unsigned)f.port, f.dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_arrive_byte_for_byte_from_any_offset),
        cmocka_unit_test(test_a_slow_reader_gets_every_byte),
        cmocka_unit_test(test_many_downloads_at_once_do_not_mix),
        cmocka_unit_test(test_large_bodies_from_memory_arrive_byte_for_byte),
        cmocka_unit_test(test_head_and_first_kilobyte_arrive_together),
        cmocka_unit_test(test_head_of_a_file_is_followed_by_the_next_answer),
        cmocka_unit_test(test_a_peer_that_leaves_mid_way_is_reported_with_what_was_sent),
        cmocka_unit_test(test_a_file_that_shrinks_never_looks_complete),
        cmocka_unit_test(test_curl_agrees),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
