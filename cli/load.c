/* load.c - reads the file that a command was given (load.h). Tests: test/e2e/cli_test.sh. */
#include "load.h"

#include <errno.h>
#include <string.h>

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
    if (rc == -MOLT_NOT_FOUND || rc == -MOLT_STORE_FAILED)
        output_hint("give the path of one file that you may read, such as the .bin that the build wrote");
    if (rc == -MOLT_FILE_TOO_LARGE)
        output_hint("publish the application's .bin alone, not a dump of the flash");
    return false;
}
