/* nodes_parts.h - what the files of several servers share. Private to host/store. */
#ifndef MOLT_HOST_STORE_NODES_PARTS_H
#define MOLT_HOST_STORE_NODES_PARTS_H

#include "nodes.h"
#include "parts.h"

/* The database's clock, in milliseconds: not that of the transaction's begin. */
#define DB_NOW  "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
#define DB_LIVE "expires_ms > " DB_NOW

/* Who this server is. Shared by the connections of one. */
struct node_self {
    char name[MODEL_NAME_LEN];
    char instance
        [STORE_INSTANCE_LEN]; /* of the data folder: whoever holds that knows that its predecessor is dead */
    uint32_t id;
    _Atomic int64_t epoch;
};

int64_t nodes_now(struct store *store); /* negative: failed */

#endif
