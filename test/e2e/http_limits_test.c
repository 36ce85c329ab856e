/* http_limits_test.c - broken and too many peers, and how a server stops: memory and descriptors stay bounded. Slow ones:
 * http_waits_test.c. Must never assert that something was fast: only that it ended, and that the server still serves. */
#include "cmocka_all.h"
#include "e2e/http_fixture.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

enum { LOOKS = 24000 }; /* of 5 ms: how long the tests wait for what must come */

static void test_connections_over_the_limit_are_closed_at_once(void **state)
{
    (void)state;
    enum { MAX = 20, OVER = 50 };
    struct fixture f;
    struct http_stats s;
    struct http_options o = {.connections_max = MAX};
    int fds[MAX], over[OVER];
    fixture_start(&f, &o, "http://127.0.0.1:0", 1000);
    for (int i = 0; i < MAX; i++)
        fds[i] = raw_connect(f.port);
    fixture_wait_open(&f, MAX);
    for (int i = 0; i < OVER; i++) /* silent ones are handed over together, a second later */
        over[i] = raw_connect(f.port);
    for (int i = 0; i < OVER; i++) {
        assert_true(raw_closed(over[i], true));
        close(over[i]);
    }
    http_server_stats(f.server, &s);
    assert_int_equal(s.open, MAX);
    assert_int_equal(s.refused, OVER);
    for (int i = 0; i < MAX; i++)
        close(fds[i]);
    fixture_wait_open(&f, 0);
    fixture_serves(&f);
    fixture_stop(&f, 1000);
}

static void test_one_address_cannot_take_more_than_its_share(void **state)
{
    (void)state;
    struct fixture f;
    struct http_options o = {.connections_per_address_max = 3};
    fixture_start(&f, &o, "http://127.0.0.1:0", 1000);
    int fds[3];
    for (int i = 0; i < 3; i++)
        fds[i] = raw_connect(f.port);
    fixture_wait_open(&f, 3);
    int over = raw_connect(f.port);
    assert_true(raw_closed(over, true));
    close(over);
    close(fds[0]);
    fixture_wait_open(&f, 2);
    fixture_serves(&f);
    close(fds[1]);
    close(fds[2]);
    fixture_stop(&f, 1000);
}

/* In a process of its own, because it lowers the limit of descriptors. */
static int starve(void)
{
    struct fixture f;
    struct http_options o = {0};
    struct http_stats s = {0};
    struct rlimit limit;
    fixture_start(&f, &o, "http://127.0.0.1:0", 1000);
    int fds[64], next = dup(f.file_fd);
    close(next);
    getrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < 64; i++)
        fds[i] = raw_connect(f.port);
    fixture_wait_open(&f, 64);
    for (int i = 0; i < 64; i++)
        close(fds[i]);
    fixture_wait_open(&f, 0);
    limit.rlim_cur = (rlim_t)next + 40; /* both ends of a connection are ours: about twenty fit */
    setrlimit(RLIMIT_NOFILE, &limit);
    int count = 0;
    while (count < 64 && (fds[count] = socket(AF_INET, SOCK_STREAM, 0)) >= 0)
        count++; /* every descriptor that is left becomes a client */
    for (int i = 0; i < count; i++) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(f.port)};
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(fds[i], (struct sockaddr *)&to, sizeof to) != 0) return 2;
    }
    for (int i = 0; i < LOOKS && s.refused == 0; i++) {
        http_server_stats(f.server, &s);
        pause_us(5000);
    }
    if (s.refused == 0) return 3; /* told, not left waiting */
    for (int i = 0; i < count; i++)
        close(fds[i]);
    fixture_serves(&f);
    fixture_stop(&f, 1000);
    return 0;
}

static void test_running_out_of_descriptors_refuses_peers_and_recovers(void **state)
{
    (void)state;
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) _exit(starve());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void test_peers_that_vanish_at_any_point_leave_nothing_behind(void **state)
{
    (void)state;
    static const char *const texts[] = {
        GET("/ok") GET("/file") GET("/ok"),
        GET("/park"),
        GET("/work?3") GET("/work?2"),
        GET("/file") GET("/file") GET("/file"),
        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\nonly this",
        "GET / HTTP/1.1\r\nX : y\r\n\r\n",
    };
    struct fixture f;
    struct http_options o = {0};
    uint32_t seed = 1;
    fixture_start(&f, &o, "http://127.0.0.1:0", 1000000);
    for (int i = 0; i < 1200; i++) {
        char part[2000];
        const char *text = texts[next_random(&seed) % 6];
        int fd = raw_connect(f.port);
        raw_send(fd, text, 1 + next_random(&seed) % strlen(text));
        if (next_random(&seed) % 2) pause_us(next_random(&seed) % 1500);
        if (next_random(&seed) % 4 == 0) (void)!recv(fd, part, sizeof part, MSG_DONTWAIT);
        if (next_random(&seed) % 3)
            raw_reset(fd);
        else
            close(fd);
        if (i % 16 == 0) fixture_resume(&f);
        if (i % 200 == 0) fixture_serves(&f);
    }
    struct http_stats s = {.open = 1};
    for (int i = 0; i < LOOKS && s.open; i++) { /* parked ones end when they are resumed */
        fixture_resume(&f);
        pause_us(5000);
        http_server_stats(f.server, &s);
    }
    assert_int_equal(s.open, 0);
    fixture_serves(&f);
    fixture_stop(&f, 1000);
}

static void test_a_peer_that_leaves_while_parked_or_working_is_harmless(void **state)
{
    (void)state;
    struct fixture f;
    struct http_options o = {0};
    fixture_start(&f, &o, "http://127.0.0.1:0", 1000);
    for (int i = 0; i < 20; i++) {
        int fd = raw_connect(f.port);
        raw_say(fd, i % 2 ? GET("/park") : GET("/work?5"));
        fixture_wait(&f.handled, (unsigned)i + 1);
        raw_reset(fd);
    }
    unsigned parked = fixture_resume(&f);
    assert_int_equal(parked, 10);
    for (int i = 0; i < LOOKS && f.done_cut + f.done_complete < 20; i++)
        pause_us(5000);
    assert_int_equal(f.done_cut + f.done_complete, 20); /* each told once */
    fixture_wait_open(&f, 0);
    fixture_stop(&f, 1000);
}

/* Both wait when the loop comes back, the long row of requests first; who asks once is served long before its end. */
static void test_a_peer_with_ever_more_requests_starves_no_other(void **state)
{
    (void)state;
    enum { ROW = 1000 };
    static const char request[] = GET("/status?204");
    static char row[ROW * (sizeof request - 1)];
    struct fixture f;
    struct http_options o = {.threads = 1};
    struct answer a;
    for (size_t i = 0; i < ROW; i++)
        memcpy(row + i * (sizeof request - 1), request, sizeof request - 1);
    fixture_start(&f, &o, "http://127.0.0.1:0", 1000);
    int held = raw_connect(f.port);
    raw_say(held, GET("/hold"));
    fixture_wait(&f.holding, 1);
    int greedy = raw_connect(f.port), other = raw_connect(f.port);
    raw_send(greedy, row, sizeof row);
    raw_arrived(greedy);
    raw_say(other, GET("/turn"));
    raw_arrived(other);
    f.let_go = 1;
    raw_answer(other, false, &a);
    assert_int_equal(a.status, 200);
    answer_free(&a);
    assert_in_range(f.turn_at, 2, ROW / 2); /* the greedy one had its turn before, and no more than that */
    for (unsigned i = 0; i < ROW; i++) {
        raw_answer(greedy, false, &a);
        assert_int_equal(a.status, 204);
        answer_free(&a);
    }
    close(held);
    close(greedy);
    close(other);
    fixture_stop(&f, 1000);
}

static void test_a_half_closed_peer_still_gets_its_answer(void **state)
{
    (void)state;
    struct fixture f;
    struct http_options o = {0};
    struct answer a;
    fixture_start(&f, &o, "http://127.0.0.1:0", 1000);
    int fd = raw_connect(f.port);
    raw_say(fd, GET("/work?30"));
    shutdown(fd, SHUT_WR);
    raw_answer(fd, false, &a);
    assert_string_equal(a.body, "later\n");
    assert_true(raw_closed(fd, true));
    answer_free(&a);
    close(fd);
    fixture_stop(&f, 1000);
}

/* The kernel tells of both at once, and one read takes the request only. */
static void test_an_end_right_behind_a_request_is_seen(void **state)
{
    (void)state;
    struct fixture f;
    struct http_options o = {.idle_timeout_ms = 3600000};
    struct answer a;
    fixture_start(&f, &o, "http://127.0.0.1:0", 1000);
    int fd = raw_connect(f.port);
    raw_say(fd, GET("/park"));
    fixture_wait(&f.handled, 1);
    raw_say(fd, GET("/"));
    shutdown(fd, SHUT_WR);
    assert_int_equal(fixture_resume(&f), 1);
    for (int i = 0; i < 2; i++) {
        raw_answer(fd, false, &a);
        assert_int_equal(a.status, 200);
        answer_free(&a);
    }
    assert_true(raw_closed(fd, true));
    close(fd);
    fixture_stop(&f, 1000);
}

struct stopper {
    struct http_server *server;
    _Atomic unsigned done;
};

static void *stop_in_thread(void *arg)
{
    struct stopper *s = arg;
    http_server_stop(s->server, 120000);
    s->done++;
    return NULL;
}

static void test_a_stop_closes_idle_peers_and_waits_for_running_answers(void **state)
{
    (void)state;
    struct fixture f;
    struct http_options o = {0};
    struct answer a;
    fixture_start(&f, &o, "http://127.0.0.1:0", 1000);
    struct stopper s = {.server = f.server};
    pthread_t thread;
    int idle = raw_connect(f.port), parked = raw_connect(f.port);
    raw_say(parked, GET("/park"));
    fixture_wait(&f.handled, 1);
    fixture_wait_open(&f, 2);
    assert_int_equal(pthread_create(&thread, NULL, stop_in_thread, &s), 0);
    assert_true(raw_closed(idle, true));
    assert_int_equal(s.done, 0);
    fixture_resume(&f);
    raw_answer(parked, false, &a);
    assert_string_equal(a.body, "later\n");
    assert_true(answer_has(&a, "Connection: close"));
    assert_true(raw_closed(parked, true));
    pthread_join(thread, NULL);
    f.server = NULL;
    fixture_stop(&f, 0);
    answer_free(&a);
    close(idle);
    close(parked);
}

static void test_a_stop_ends_although_peers_stall_and_nobody_resumes(void **state)
{
    (void)state;
    struct fixture f;
    struct http_options o = {0};
    fixture_start(&f, &o, "http://127.0.0.1:0", 1000);
    int parked = raw_connect(f.port), stalled = raw_connect(f.port), half = raw_connect(f.port);
    raw_say(parked, GET("/park"));
    for (int i = 0; i < 8; i++)
        raw_say(stalled, GET("/file"));
    raw_say(half, "GET / HT");
    fixture_wait(&f.handled, 2);
    fixture_stop(&f, 50);
    close(parked);
    close(stalled);
    close(half);
}

static void test_a_unix_socket_serves_only_its_owner_and_its_name_goes(void **state)
{
    (void)state;
    struct fixture f;
    struct http_options o = {0};
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct answer a;
    struct stat st;
    char url[128];
    snprintf(to.sun_path, sizeof to.sun_path, "/tmp/molt-http-%ld.sock", (long)getpid());
    snprintf(url, sizeof url, "unix:%s", to.sun_path);
    (void)unlink(to.sun_path);                   /* of another process of that number, long ago */
    int stale = socket(AF_UNIX, SOCK_STREAM, 0); /* a name left by a killed process */
    assert_int_equal(bind(stale, (struct sockaddr *)&to, sizeof to), 0);
    close(stale);
    fixture_start(&f, &o, url, 1000);
    assert_int_equal(stat(to.sun_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    raw_say(fd, GET("/who"));
    raw_answer(fd, false, &a);
    assert_string_equal(a.body, "0|/who||unix|1|0|");
    answer_free(&a);
    close(fd);
    fixture_stop(&f, 1000);
    assert_int_equal(stat(to.sun_path, &st), -1);
}

static void test_a_port_or_name_in_use_is_an_error(void **state)
{
    (void)state;
    struct fixture f;
    struct http_options o = {.threads = 2};
    struct http_server *second = NULL;
    char url[64], err[256] = "";
    fixture_start(&f, &o, "http://127.0.0.1:0", 1000);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)f.port);
    struct http_listener listener = {.url = url};
    assert_int_equal(http_server_start(&second, &o, &listener, 1, err, sizeof err), -1);
    assert_non_null(strstr(err, "in use"));
    listener.url = "ftp://x";
    assert_int_equal(http_server_start(&second, &o, &listener, 1, err, sizeof err), -1);
    assert_non_null(strstr(err, "ftp://x"));
    fixture_stop(&f, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_running_out_of_descriptors_refuses_peers_and_recovers),
        cmocka_unit_test(test_connections_over_the_limit_are_closed_at_once),
        cmocka_unit_test(test_one_address_cannot_take_more_than_its_share),
        cmocka_unit_test(test_peers_that_vanish_at_any_point_leave_nothing_behind),
        cmocka_unit_test(test_a_peer_that_leaves_while_parked_or_working_is_harmless),
        cmocka_unit_test(test_a_peer_with_ever_more_requests_starves_no_other),
        cmocka_unit_test(test_a_half_closed_peer_still_gets_its_answer),
        cmocka_unit_test(test_an_end_right_behind_a_request_is_seen),
        cmocka_unit_test(test_a_stop_closes_idle_peers_and_waits_for_running_answers),
        cmocka_unit_test(test_a_stop_ends_although_peers_stall_and_nobody_resumes),
        cmocka_unit_test(test_a_unix_socket_serves_only_its_owner_and_its_name_goes),
        cmocka_unit_test(test_a_port_or_name_in_use_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
