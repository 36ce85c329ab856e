/* spool.c - a request body that is too large for memory waits in a file without a name.
 * Must never leave a file behind, whatever kills the process. Tests: test/e2e/http_limits_test.c. */
#include "server/net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

bool net_spool_open(struct http_exchange *x)
{
    const char *dir = x->conn->loop->server->spool_dir;
    if (!dir) return false;
    x->spool_fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (x->spool_fd >= 0) return true;
    char path[4096]; /* file systems without O_TMPFILE */
    int n = snprintf(path, sizeof path, "%s/spool-XXXXXX", dir);
    if (n < 0 || (size_t)n >= sizeof path) return false;
    x->spool_fd = mkostemp(path, O_CLOEXEC);
    if (x->spool_fd < 0) return false;
    unlink(path);
    return true;
}

bool net_spool_write(struct http_exchange *x, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(x->spool_fd, data, len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        data += n;
        len -= (size_t)n;
        x->body_got += (uint64_t)n;
    }
    return true;
}

bool net_spool_map(struct http_exchange *x)
{
    void *p = mmap(NULL, (size_t)x->body_len, PROT_READ, MAP_PRIVATE, x->spool_fd, 0);
    if (p == MAP_FAILED) return false;
    x->spool_map = p;
    return true;
}

void net_spool_close(struct http_exchange *x)
{
    if (x->spool_map) munmap(x->spool_map, (size_t)x->body_len);
    if (x->spool_fd >= 0) close(x->spool_fd);
    x->spool_map = NULL;
    x->spool_fd = -1;
}
