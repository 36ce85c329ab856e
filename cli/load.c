/* load.c - reads the file that a command was given, writes the one that it makes (load.h). Must never leave half a file under the name
 * that was asked for. Tests: test/e2e/cli_test.sh, test/e2e/pack_test.sh. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "args.h"

#include "molt_reason.h"
#include "output.h"

bool load_file(const char *path, uint8_t **data, size_t *len)
{
    int rc = facts_load_file(path, data, len);
    if (rc == 0) return true;
    if (rc == -MOLT_STORE_FAILED)
        output_error("%s: %s", path, strerror(errno));
    else if (rc == -MOLT_NOT_FOUND)
        output_error("%s: there is no such file", path);
    else
        output_error("%s: %s: %s", path, molt_reason_id(-rc), molt_reason_sentence(-rc));
    const size_t path_len = strlen(path);
    if (rc == -MOLT_NOT_FOUND && path_len > 5 && strcmp(path + path_len - 5, ".suit") == 0)
        output_hint(
            "`molt sign FILE --key KEY --product NAME` writes the manifest; --manifest names another");
    else if (rc == -MOLT_NOT_FOUND || rc == -MOLT_STORE_FAILED)
        output_hint("give the path of one file that you may read, such as the .bin that the build wrote");
    if (rc == -MOLT_FILE_TOO_LARGE)
        output_hint("publish the application's .bin alone, not a dump of the flash");
    return false;
}

static bool write_all(int fd, const uint8_t *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t put = write(fd, data + at, len - at);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        at += (size_t)put;
    }
    return true;
}

bool save_file(const char *path, const void *data, size_t len)
{
    char part[ARGS_VALUE_LEN + 64];
    struct stat st;
    /* as root a rename would make a file of /dev/null */
    const bool in_place = stat(path, &st) == 0 && !S_ISREG(st.st_mode);
    snprintf(part, sizeof part, "%s.part-%ld", path, (long)getpid());
    int fd = in_place ? open(path, O_WRONLY | O_CLOEXEC)
                      : open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return false;
    bool good = write_all(fd, data, len) && (in_place || fsync(fd) == 0);
    int error = errno;
    if (close(fd) != 0 && good) {
        good = false;
        error = errno;
    }
    if (good && (in_place || rename(part, path) == 0)) return true;
    if (good) error = errno;
    if (!in_place) unlink(part);
    errno = error;
    return false;
}
