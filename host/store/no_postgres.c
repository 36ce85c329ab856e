/* no_postgres.c - in place of the driver of PostgreSQL, where the program is built without it (-DMOLT_STATIC=ON): says so.
 * Must never connect to anything. Tests: tools/package/armv6. */
#include <stddef.h>

#include "db.h"
#include "parts.h"

int db_open_shared(const char *url, struct db **out)
{
    return db_open_postgres(url, false, out);
}

int db_open_postgres(const char *url, bool read_only, struct db **out)
{
    (void)url;
    (void)read_only;
    *out = NULL;
    return store_fail(MOLT_ARG,
                      "this molt was built without PostgreSQL: leave --store out, or take the package");
}
