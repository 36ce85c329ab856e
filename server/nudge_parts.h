/* nudge_parts.h - private to nudge.c and its test: the address of a broker, and what is said of a product. */
#ifndef MOLT_SERVER_NUDGE_PARTS_H
#define MOLT_SERVER_NUDGE_PARTS_H

#include <stdbool.h>

#include "host/store/store.h"

struct nudge_url {
    bool tls;
    char user[64], password[128], host[128], prefix[64];
    int port;
};
bool nudge_url_parse(const char *text, struct nudge_url *out);

/* The same for the same releases, rollouts and switches of the product, on every server and after every start. */
uint64_t nudge_generation(const struct store_rules *rules, const struct model_product *product);

#endif
