/* socket_path.c - see socket_path.h. Must never leave a descriptor open that it did not hand out.
 * Tests: test/e2e/cli_server_test.sh. */
#define _XOPEN_SOURCE 700
#include "socket_path.h"

#include <fcntl.h>
#include <stdio.h>

int socket_path(const char *folder, char out[SOCKET_PATH_LEN], int *fd)
{
    *fd = -1;
    int n = snprintf(out, SOCKET_PATH_LEN, "%s/" SOCKET_PATH_NAME, folder);
    if (n > 0 && n < SOCKET_PATH_LEN) return 0;
    *fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0) return -1;
    (void)snprintf(out, SOCKET_PATH_LEN, "/proc/self/fd/%d/" SOCKET_PATH_NAME, *fd);
    return 0;
}
