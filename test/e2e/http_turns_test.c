/* http_turns_test.c - one loop, many connections that are ready in the same turn: nobody keeps the others waiting, and every
 * answer leaves. Must never depend on what a socket's buffer takes: sendfile() is this file's own, and takes everything. */
#include "cmocka_all.h"
#include "e2e/http_fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

static struct fixture f;
static _Atomic uint64_t taken; /* by sendfile(), before /turn was asked */

/* The kernel's, but for a socket that takes whatever it is given and tells nobody. */
ssize_t sendfile(int out, int in, off_t *off, size_t len);
ssize_t sendfile(int out, int in, off_t *off, size_t len)
{
    (void)out;
    (void)in;
    (void)off;
    if (f.turn_at == 0) taken += len;
    return (ssize_t)len;
}

static void begin(void)
{
    struct http_options o = {.threads = 1};
    taken = 0;
    fixture_start(&f, &o, "http://127.0.0.1:0", 1000);
}

/* The loop is busy with this until f.let_go: what is asked meanwhile is told of in one turn. */
static int hold(void)
{
    int fd = raw_connect(f.port);
    raw_say(fd, GET("/hold"));
    fixture_wait(&f.holding, 1);
    return fd;
}

static void end(int fd)
{
    close(fd);
    fixture_stop(&f, 1000);
}

static void check_answer(int fd, const char *path)
{
    struct answer a;
    char start[32];
    raw_answer(fd, false, &a);
    assert_int_equal(a.status, 200);
    snprintf(start, sizeof start, "0|%s|", path);
    assert_memory_equal(a.body, start, strlen(start));
    answer_free(&a);
}

/* A connection of which the loop has been told all there is: that it is writable comes with, or before, the second request. */
static int settled(void)
{
    int fd = raw_connect(f.port);
    for (int i = 0; i < 2; i++) {
        raw_say(fd, GET("/settle"));
        check_answer(fd, "/settle");
    }
    return fd;
}

static void test_a_download_lets_others_in_after_a_megabyte(void **state)
{
    (void)state;
    begin();
    int greedy = settled(), other = settled();
    int held = hold();
    raw_say(greedy, GET("/file"));
    raw_arrived(greedy);
    raw_say(other, GET("/turn"));
    raw_arrived(other);
    f.let_go = 1;
    check_answer(other, "/turn");
    assert_int_equal(taken, 1 << 20);
    raw_say(other, GET("/next"));
    check_answer(other, "/next");
    assert_int_equal(f.done_complete, 1); /* and it went on, though no event told of it */
    close(greedy);
    close(other);
    end(held);
}

enum { PEERS = 100, KINDS = 5 };

/* What comes behind "GET /number". The last kind is gone before the answer. */
static const char *const rests[KINDS] = {
    " HTTP/1.1\r\nHost: h\r\n\r\n",
    " HTTP/1.1\r\nHost: h\r\n\r\n" GET("/again"),
    " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    " HTTP/1.0\r\n\r\n",
    " HTTP/1.1\r\nHost: h\r\n\r\n",
};

static void ask(int fd, int kind, int i)
{
    char text[128];
    snprintf(text, sizeof text, "GET /%d%s", i, rests[kind]);
    raw_say(fd, text);
}

static void check(int fd, int kind, int i)
{
    char path[16];
    snprintf(path, sizeof path, "/%d", i);
    check_answer(fd, path);
    if (kind == 1) check_answer(fd, "/again");
    if (kind == 2 || kind == 3) assert_true(raw_closed(fd, true));
}

static void test_every_answer_of_a_turn_leaves(void **state)
{
    (void)state;
    int fds[PEERS];
    begin();
    int held = hold();
    for (int i = 0; i < PEERS; i++) {
        fds[i] = raw_connect(f.port);
        ask(fds[i], i % KINDS, i);
        if (i % KINDS == 4)
            raw_reset(fds[i]);
        else
            raw_arrived(fds[i]);
    }
    f.let_go = 1;
    for (int i = 0; i < PEERS; i++)
        if (i % KINDS != 4) check(fds[i], i % KINDS, i);
    for (int i = 0; i < PEERS; i++) { /* those that stay are served again */
        if (i % KINDS < 2) {
            ask(fds[i], 0, i);
            check(fds[i], 0, i);
        }
        if (i % KINDS != 4) close(fds[i]);
    }
    fixture_wait_open(&f, 1);
    end(held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_download_lets_others_in_after_a_megabyte),
        cmocka_unit_test(test_every_answer_of_a_turn_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
