/* serve_process.c - a server process for tests (serve_process.h). It is this program anew, so that it inherits no thread,
 * lock or clean-up of the test. */
#include "serve_process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS    120000
#define CHILD_MARK "--serve"

bool serve_process_is_child(int argc, char **argv, int *status)
{
    struct serve_options options = {
        .listen = {"http://127.0.0.1:0"}, .listen_count = 1, .admin = "http://127.0.0.1:0", .threads = 2};
    if (argc != 3 || strcmp(argv[1], CHILD_MARK) != 0) return false;
    options.data_dir = argv[2];
    options.store_url = getenv("MOLT_TEST_STORE_URL");
    *status = serve_run(&options, NULL);
    return true;
}

/* Becomes this program anew, so that no thread or lock of the test is inherited. */
static void child(const struct serve_case *c, int out)
{
    if (dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0) _exit(3);
    execl("/proc/self/exe", "serve", CHILD_MARK, c->data_dir, (char *)NULL);
    _exit(3);
}

/* The next line into p->line, without its end; false at the end of the stream. */
static bool next_line(struct serve_process *p)
{
    p->len = 0;
    for (;;) {
        struct pollfd waiting = {.fd = p->out, .events = POLLIN};
        char c;
        if (poll(&waiting, 1, WAIT_MS) <= 0) fail_msg("the server said nothing for %d ms", WAIT_MS);
        ssize_t n = read(p->out, &c, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        if (c == '\n') break;
        if (p->len + 1 < sizeof p->line) p->line[p->len++] = c;
    }
    p->line[p->len] = '\0';
    return true;
}

static uint16_t port_in(const char *line)
{
    const char *port = strstr(line, " port=");
    assert_non_null(port);
    return (uint16_t)strtoul(port + 6, NULL, 10);
}

void serve_process_start(struct serve_process *p, struct serve_case *c)
{
    int ends[2];
    static const char shown[] = "admin token (shown only now): ";
    memset(p, 0, sizeof *p);
    assert_int_equal(pipe(ends), 0);
    (void)fflush(stdout);
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0) {
        close(ends[0]);
        child(c, ends[1]);
    }
    close(ends[1]);
    p->out = ends[0];
    while (strstr(p->line, "plane=socket") == NULL) {
        if (!next_line(p)) fail_msg("the server did not start: %s", p->line);
        if (strncmp(p->line, shown, sizeof shown - 1) == 0)
            snprintf(p->token, sizeof p->token, "%.50s", p->line + sizeof shown - 1);
        if (strstr(p->line, "plane=device") != NULL) p->port = port_in(p->line);
        if (strstr(p->line, "plane=admin") != NULL) p->admin_port = port_in(p->line);
    }
}

void serve_process_wait_line(struct serve_process *p, const char *text)
{
    while (next_line(p)) {
        if (strstr(p->line, text) != NULL) return;
    }
    fail_msg("the server ended without saying \"%s\"", text);
}

int serve_process_end(struct serve_process *p)
{
    int status = 0;
    while (next_line(p)) {
    }
    close(p->out);
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int serve_process_stop(struct serve_process *p, int signal)
{
    assert_int_equal(kill(p->pid, signal), 0);
    return serve_process_end(p);
}
