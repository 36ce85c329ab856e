/* nodes.h - several servers on one store (doc/store.md, "Several servers"). PostgreSQL only. Calls as in store.h.
 *
 * A server that opened its store with a name (store_place.node) has a row of its own, and an epoch: a number that no other start of
 * any server ever had. Time is the database's. A row whose server was not heard of for STORE_NODE_LIVE_MS is dead: others fold the results
 * that it left and take its epoch away, and it must join anew when it comes back.
 *
 * Nothing here needs a session, an advisory lock or a notification to be right: only rows, and transactions that are tried
 * again when the database says so. Whoever changes rows of devices takes the one row of node_state first, adds one to its
 * stamp, and notes the devices in device_change with that stamp: so commits of such changes come one after the other, and whoever
 * has seen a stamp has seen all that is older. */
#ifndef MOLT_HOST_STORE_NODES_H
#define MOLT_HOST_STORE_NODES_H

#include "store.h"

#define STORE_NODE_LIVE_MS   10000 /* not heard of for longer: dead */
#define STORE_NODE_BEHIND_MS 5000  /* hears of no change for longer: offers nothing */
#define STORE_INSTANCE_LEN   33

/* This server's number; 0: it is the only one. */
uint32_t store_node_id(const struct store *store);
/* Another connection for another thread, as the same server: it knows the rows, but no artifacts. Closed before `store`. */
int store_node_beside(struct store *store, struct store **out);

/* ---- once a second ---- */
struct store_node_round {
    int64_t db_ms;       /* the database's clock, between the call and its return */
    uint64_t generation; /* of the rules: store_rules.generation */
    int64_t stamp;       /* the last change of a device */
    uint32_t live;       /* servers, this one too */
};
/* Says that this server lives and has seen so much, and asks how far the others are. -MOLT_STATE: it was taken for dead, and
 * must store_node_join(). */
int store_node_round(struct store *store, uint64_t generation, int64_t stamp, struct store_node_round *out);
/* Takes a new epoch. 1: changes may have been forgotten since this server last heard of them, and it must look at all rows; they are kept for
 * an hour for one that is dead. -MOLT_STATE: a server alone has the store, or another of this name lives. */
int store_node_join(struct store *store);
/* The last call of a server that ends: all it knows is in rows. */
int store_node_leave(struct store *store);

/* ---- devices ---- */
/* Puts count devices, sorted by id, together with their rows (host/merge.h) in one transaction; devices is what the rows are then. gone[i]: the
 * device was deleted meanwhile, and not saved. */
int store_merge_devices(struct store *store, struct model_device *devices, bool *gone, size_t count);
/* What other servers changed: calls row for each device with a stamp above *stamp, in order, and sets *stamp to the last one seen, at most
 * `upto`. device NULL: it was deleted at gone_ms. A negative answer stops, is returned, and *stamp stays. 1: there is more up to `upto`. */
typedef int (*store_change_row)(void *ctx, const char *id, const struct model_device *device,
                                int64_t gone_ms);
int store_each_change(struct store *store, int64_t *stamp, int64_t upto, store_change_row row, void *ctx);

/* ---- work that one does for all ---- */
/* Takes or keeps the lease of that name for STORE_NODE_LIVE_MS. *epoch: grows with each change of hands; 0: another has it. */
int store_lease_take(struct store *store, const char *name, int64_t *epoch);
/* store_rollout_update(), but -MOLT_STATE when the lease is not held with that epoch any more. */
int store_rollout_advance(struct store *store, const struct model_rollout *was,
                          const struct model_rollout *is, const char *lease, int64_t epoch);
/* Folds what dead servers left in the log of results, and takes their epochs away. *count: how many died. */
int store_node_bury(struct store *store, uint32_t *count);
/* Forgets changes that every live server has seen, and after a day those that say that a device is gone. */
int store_prune_changes(struct store *store);

/* ---- slots: how many offers of a rollout a server may have open ---- */
struct store_slots {
    int64_t rollout_id;
    uint32_t cap;    /* of the rollout: the sum over all servers is never more */
    uint32_t used;   /* open offers of this server */
    uint32_t wanted; /* how many it was asked for in vain since the last time */
    uint32_t slots;  /* out: what it may use */
};
/* Takes what it needs, of what is free, and gives back the rest. before(ctx) is called for each before it is committed and may change
 * slots->slots to more: a server that gives back must by then use no more than that. All are set when 0 is returned. */
int store_slots_take(struct store *store, struct store_slots *orders, size_t count, uint32_t live,
                     void (*before)(void *ctx, struct store_slots *order), void *ctx);
/* How many offers of the rollout that server has open, by the devices' rows. */
typedef uint32_t (*store_open_count)(void *ctx, int64_t rollout_id, uint32_t node_id);
/* Gives back the slots of servers that ended or are dead: what they have open stays theirs, and of a dead one everything until the
 * rollout's timeout has passed since it was last heard of (an hour when it has none), because it may not have
 * written all that it offered. */
int store_slots_reclaim(struct store *store, store_open_count open, void *ctx);

/* ---- for people ---- */
struct store_node {
    uint32_t id;
    char name[MODEL_NAME_LEN]; /* "north~3": one that died as "north" and still holds slots, as number 3 */
    int64_t epoch;             /* 0: it ended, or its results were folded by another */
    int64_t started_ms, seen_ms, now_ms;
    uint64_t generation; /* of the rules, that it goes by */
    bool live, leads;
    char version[32];
    int64_t schema;
};
/* By name; as store_each_device(). None for a server alone. */
int store_each_node(struct store *store, int (*row)(void *ctx, const struct store_node *node), void *ctx);
/* Forgets a server that never comes back, with its slots. -MOLT_NOT_FOUND; -MOLT_STATE: it lives. */
int store_node_forget(struct store *store, const char *name);
/* *behind: how many live servers go by rules older than that generation. One that says generation 0 reads the devices, and offers nothing. */
int store_node_acknowledged(struct store *store, uint64_t generation, uint32_t *behind);

#endif
