/* no_nudge.c - in place of nudge.c, where the program is built without an MQTT client (-DMOLT_STATIC=ON): refuses --mqtt.
 * Must never be taken for a nudge that works. Tests: tools/package/armv6. */
#include <stddef.h>
#include <stdio.h>

#include "nudge.h"

int nudge_open(struct nudge **out, const char *url, char *err, size_t err_cap)
{
    (void)url;
    *out = NULL;
    snprintf(err, err_cap, "this molt was built without MQTT: leave --mqtt out, or take the package");
    return -1;
}

void nudge_close(struct nudge *nudge)
{
    (void)nudge;
}

void nudge_rules(struct nudge *nudge, const struct store_rules *rules)
{
    (void)nudge;
    (void)rules;
}
