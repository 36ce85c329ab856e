/* serve_test.c - `molt serve` as a process and its admin plane: start-up lines, the token, who may ask the API, and
 * how it stops. */
#include "cmocka_all.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve_case.h"
#include "serve_process.h"

static int setup(void **state)
{
    struct serve_case *c = calloc(1, sizeof *c);
    assert_non_null(c);
    serve_case_make(c);
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    serve_case_remove(*state);
    free(*state);
    return 0;
}

static void expect_refused(struct serve_case *c, const struct serve_options *options, const char *part)
{
    char err[512] = "";
    struct serve *serve = NULL;
    struct serve_options o = *options;
    o.data_dir = c->data_dir;
    assert_int_equal(serve_start(&serve, &o, err, sizeof err), -1);
    assert_null(serve);
    if (strstr(err, part) == NULL) fail_msg("\"%s\" does not say \"%s\"", err, part);
}

static void options_that_cannot_be_meant_are_refused(void **state)
{
    struct serve_case *c = *state;
    struct serve_options o = {.listen = {"http://127.0.0.1:0"}, .listen_count = 1};
    o.admin = "http://0.0.0.0:0";
    expect_refused(c, &o, "--admin-insecure");
    o.admin = "http://192.0.2.1:0";
    expect_refused(c, &o, "--admin-insecure");
    o.admin = "http://127.0.0.1.example:0";
    expect_refused(c, &o, "--admin-insecure");
    o.admin = "https://127.0.0.1:0";
    expect_refused(c, &o, "--tls-cert");
    o.admin = "http://127.0.0.1:0";
    o.static_dir = "/nonexistent";
    expect_refused(c, &o, "/nonexistent");
    o.static_dir = NULL;
    o.public_url = "ftp://x";
    expect_refused(c, &o, "--public-url");
    o.public_url = NULL;
    o.listen[0] = "gopher://x";
    expect_refused(c, &o, "gopher");
}

static void one_server_holds_a_data_folder(void **state)
{
    struct serve_case *c = *state;
    serve_case_start(c);
    struct serve_options o = {
        .listen = {"http://127.0.0.1:0"}, .listen_count = 1, .admin = "http://127.0.0.1:0"};
    expect_refused(c, &o, "another molt");
    struct reply r; /* and the first one goes on, its socket too */
    assert_int_equal(api_ask(c, "GET", "/api/v1/devices", NULL, 0, &r), 200);
    reply_free(&r);
}

static void the_api_wants_a_token_but_on_the_socket(void **state)
{
    struct serve_case *c = *state;
    struct reply r;
    struct stat st;
    serve_case_start(c);
    raw_ask(c->admin_port, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", &r);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    raw_ask(c->admin_port, "GET /api/v1/devices HTTP/1.1\r\nHost: x\r\n\r\n", &r);
    assert_int_equal(r.status, 401);
    assert_string_equal(reply_header(&r, "WWW-Authenticate"), "Bearer");
    reply_free(&r);
    raw_ask(c->admin_port, "GET /api/v1/devices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer molt_no\r\n\r\n",
            &r);
    assert_int_equal(r.status, 401);
    reply_free(&r);
    assert_int_equal(api_ask(c, "GET", "/api/v1/devices", NULL, 0, &r), 200);
    reply_free(&r);
    assert_int_equal(stat(c->socket_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    /* the device plane knows no API */
    raw_ask(c->port, "GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", &r);
    assert_int_equal(r.status, 404);
    reply_free(&r);
}

static void a_process_says_where_it_listens_and_stops_on_sigterm(void **state)
{
    struct serve_case *c = *state;
    struct serve_process p;
    struct reply r;
    char request[256];
    serve_process_start(&p, c);
    assert_true(p.token[0] != '\0');
    snprintf(request, sizeof request,
             "GET /api/v1/devices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", p.token);
    raw_ask(p.admin_port, request, &r);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    assert_int_equal(serve_process_stop(&p, SIGTERM), 0);
    assert_int_equal(access(c->socket_path, F_OK), -1);
    /* the token is shown once, and goes on to work */
    char token[64];
    snprintf(token, sizeof token, "%s", p.token);
    serve_process_start(&p, c);
    assert_string_equal(p.token, "");
    snprintf(request, sizeof request,
             "GET /api/v1/devices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", token);
    raw_ask(p.admin_port, request, &r);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    assert_int_equal(serve_process_stop(&p, SIGINT), 0);
}

static void sigterm_lets_a_download_finish(void **state)
{
    struct serve_case *c = *state;
    struct serve_process p;
    struct reply r;
    size_t len = 0;
    serve_process_start(&p, c);
    uint8_t *image = publish_image_of(c, "gate", MOLT_CHIP_ESP32, 9, 8u << 20, &len);
    ask_version_esp32(p.port, "/p/gate/240AC4000001.version", &r);
    reply_free(&r);
    static const char request[] =
        "GET /240AC4000001.bin HTTP/1.0\r\nUser-Agent: ESP32-http-Update\r\n"
        "x-ESP32-STA-MAC: 24:0A:C4:00:00:01\r\nx-ESP32-free-space: 16777216\r\n\r\n";
    int fd = raw_connect(p.port);
    char first[1];
    raw_send(fd, request, sizeof request - 1);
    assert_int_equal(recv(fd, first, 1, MSG_PEEK), 1);
    assert_int_equal(kill(p.pid, SIGTERM), 0);
    serve_process_wait_line(&p, "event=stopping");
    raw_read(fd, false, &r);
    close(fd);
    assert_int_equal(r.body_len, len);
    assert_memory_equal(r.body, image, len);
    reply_free(&r);
    assert_int_equal(serve_process_end(&p), 0);
    free(image);
}

static void sighup_does_not_end_it(void **state)
{
    struct serve_case *c = *state;
    struct serve_process p;
    struct reply r;
    serve_process_start(&p, c);
    assert_int_equal(kill(p.pid, SIGHUP), 0);
    serve_process_wait_line(&p, "event=tls-reload");
    raw_ask(p.port, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", &r);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    assert_int_equal(serve_process_stop(&p, SIGTERM), 0);
}

static void an_unassigned_device_is_told_of_with_the_command(void **state)
{
    struct serve_case *c = *state;
    struct serve_process p;
    struct reply r;
    serve_process_start(&p, c);
    ask_version(p.port, "/5CCF7FC602E2.version", &r);
    assert_int_equal(r.status, 404);
    reply_free(&r);
    serve_process_wait_line(&p, "do=\"molt device set 5ccf7fc602e2 --product P\"");
    assert_int_equal(serve_process_stop(&p, SIGTERM), 0);
}

int main(int argc, char **argv)
{
    int status = 0;
    if (serve_process_is_child(argc, argv, &status)) return status;
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(options_that_cannot_be_meant_are_refused),
        TEST(one_server_holds_a_data_folder),
        TEST(the_api_wants_a_token_but_on_the_socket),
        TEST(a_process_says_where_it_listens_and_stops_on_sigterm),
        TEST(sigterm_lets_a_download_finish),
        TEST(sighup_does_not_end_it),
        TEST(an_unassigned_device_is_told_of_with_the_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
