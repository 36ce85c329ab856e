/* external.c - asks another program for a signature: a smart card, an HSM, a machine without a network.
 * Must never wait for a signer without end, nor believe what it says. Tests: test/unit/sign_test.c. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sign_parts.h"

#define SIGNER_WAIT_MS 120000 /* a person may have to touch a token */

/* Reads up to cap bytes until the end. -1: too much, an error, or too slow. */
static ssize_t read_all(int fd, uint8_t *out, size_t cap)
{
    size_t len = 0;
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        uint8_t more;
        if (poll(&wait, 1, SIGNER_WAIT_MS) <= 0) return -1;
        ssize_t n = len < cap ? read(fd, out + len, cap - len) : read(fd, &more, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 || (n > 0 && len == cap)) return -1;
        if (n == 0) return (ssize_t)len;
        len += (size_t)n;
    }
}

static void be_signer(const char *command, int in, int out)
{
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0) _exit(126);
    signal(SIGPIPE, SIG_DFL);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

int external_run(const char *command, const uint8_t *data, size_t len, uint8_t *out, size_t cap,
                 size_t *out_len, char err[SIGN_ERROR_LEN])
{
    int to[2], from[2], status = 0;
    if (pipe(to) != 0) return sign_fail(err, MOLT_SIGNING_FAILED, "pipe: %s", strerror(errno));
    if (pipe(from) != 0) {
        close(to[0]), close(to[1]);
        return sign_fail(err, MOLT_SIGNING_FAILED, "pipe: %s", strerror(errno));
    }
    fcntl(to[1], F_SETFD, FD_CLOEXEC);
    fcntl(from[0], F_SETFD, FD_CLOEXEC);
    pid_t pid = fork();
    if (pid == 0) be_signer(command, to[0], from[1]);
    close(to[0]), close(from[1]);
    void (*was)(int) = signal(SIGPIPE, SIG_IGN); /* a signer that reads nothing is no reason to die */
    bool sent =
        pid > 0 && write(to[1], data, len) == (ssize_t)len; /* far below a pipe's size: never blocks */
    close(to[1]);
    ssize_t got = pid > 0 ? read_all(from[0], out, cap) : -1;
    close(from[0]);
    if (pid > 0 && got < 0) kill(pid, SIGKILL);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    signal(SIGPIPE, was);
    if (pid < 0) return sign_fail(err, MOLT_SIGNING_FAILED, "the signer cannot be started");
    if (got < 0)
        return sign_fail(err, MOLT_SIGNING_FAILED, "the signer said too much, or nothing in two minutes");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return sign_fail(err, MOLT_SIGNING_FAILED, "the signer ended with status %d",
                         WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    if (!sent) return sign_fail(err, MOLT_SIGNING_FAILED, "the signer did not read what it had to sign");
    *out_len = (size_t)got;
    return 0;
}
