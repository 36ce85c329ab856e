/* devices.h - every device the server knows, in memory, and its way to the store.
 *
 * Polls do no SQL: a request locks one device (the index is sharded by id), reads and changes it in place; changed
 * devices are written behind by one thread, in sorted batches, at most a second later. A change that must be durable
 * before it is acknowledged (a reported result) waits with devices_when_durable(): it goes into the store's log of results,
 * many in one commit, and its row follows behind as any other. The end of each attempt goes into the log, too. */
#ifndef MOLT_SERVER_DEVICES_H
#define MOLT_SERVER_DEVICES_H

#include "census.h"
#include "host/store/store.h"
#include "net/net_list.h"
#include "rollouts/rollout_table.h"

struct devices;

struct devices_limits {
    uint32_t
        unassigned_max; /* devices without a product kept; default 10000; the longest unseen is evicted */
    uint32_t new_per_minute; /* new ids accepted from one address in a minute; default 20 */
};

/* Loads all devices and starts the writer thread. limits NULL: defaults. 0 or -MOLT_STORE_FAILED, -MOLT_NO_MEMORY. */
int devices_open(struct devices **out, struct store *store, const struct devices_limits *limits);
/* Writes what is pending, stops the thread. */
void devices_close(struct devices *devices);

/* How much a visit changed. */
enum devices_change {
    DEVICES_UNCHANGED, /* nothing but last_seen_ms, address and announced_ms: written lazily, at most every 30 s;
                          any other change is lost */
    DEVICES_CHANGED, /* written within a second */
    DEVICES_DROP,    /* forget a device that this visit made (only when is_new) */
};
typedef enum devices_change (*devices_visitor)(void *ctx, struct model_device *device, bool is_new);

/* Calls visit with the device of that id, locked; makes it when absent. last_seen_ms and address are set before.
 * visit must be short and must not call devices_*. Returns 0; -MOLT_RATE_LIMITED when the id is new and the address
 * made too many (visit is then called with a device that is not kept: an answer can still be made from it); likewise
 * -MOLT_NO_MEMORY. -MOLT_ARG: id is empty or too long, visit is not called. */
int devices_visit(struct devices *devices, const char *id, const char *address, int64_t now_ms,
                  devices_visitor visit, void *ctx);
/* An answer that depends on nothing of its device but what many have in common (all but id, labels, address and times) and on
 * the rules is kept with that, so that the next one to ask is told it without a visit. */
#define DEVICES_CODE_MAX 0x7FFFFFFFu
struct devices_memo {
    uint32_t
        key; /* even: stands for the rules and for what is asked, exactly; 0: nothing is looked for, or kept */
    int64_t
        recent_ms;  /* the answer also depends on whether something was announced no longer ago than this */
    bool known;     /* out: the answer below was kept, visit was not called, and the device was seen */
    bool keep;      /* set by visit: the answer below is one to keep. It counts when nothing was changed */
    bool announces; /* announced_ms becomes now */
    uint32_t code;  /* up to DEVICES_CODE_MAX */
    int reason;     /* only to be counted: it may be that of another answer, given at the same moment */
};
/* devices_visit(), unless the answer is known. */
int devices_visit_unless_known(struct devices *devices, const char *id, const char *address, int64_t now_ms,
                               struct devices_memo *memo, devices_visitor visit, void *ctx);
/* The device will be visited soon: begins to bring what finds it into the cache. Looks at nothing, waits for nothing. */
void devices_expect(struct devices *devices, const char *id);
/* As devices_visit() for a device that must exist: -MOLT_NOT_FOUND, and nothing is touched (not last_seen_ms either). */
int devices_peek(struct devices *devices, const char *id, devices_visitor visit, void *ctx);

/* Calls visit with a copy of the device, or of a newcomer's blank one, and throws the copy away: what would be answered,
 * and nothing is recorded, counted or logged. -MOLT_ARG: as devices_visit(). */
int devices_rehearse(struct devices *devices, const char *id, const char *address, int64_t now_ms,
                     devices_visitor visit, void *ctx);

/* Calls done(ctx, true) from the writer thread once the device as it is now is durable, in about 10 ms; done(ctx, false) when
 * the store failed: it may be kept or not, and the device must not be told that it is. Also from this call. */
typedef void (*devices_done)(void *ctx, bool kept);
void devices_when_durable(struct devices *devices, const char *id, devices_done done, void *ctx);
/* From now on the writer calls saved(ctx) with each batch that it wrote, on its own thread; saved must be short and must not
 * call devices_*. Those that had no row before are `fresh`: they asked for the first time. */
typedef void (*devices_saved)(void *ctx, const struct model_device *devices, size_t count);
void devices_watch(struct devices *devices, devices_saved saved, void *ctx);
/* From now on the writer calls ended(ctx) with the ends of attempts that it has just made durable, on its own thread; as saved(). */
typedef void (*devices_ended)(void *ctx, const struct model_attempt_end *ends, size_t count);
void devices_watch_ends(struct devices *devices, devices_ended ended, void *ctx);
/* Blocks until everything changed so far is in rows, mere sightings too. 0, or -MOLT_STORE_FAILED: it is not, and will
 * be tried again. Never from a visit or from done(). */
int devices_flush(struct devices *devices);
/* The same without mere sightings, of which there may be very many: a row then has all but last_seen_ms, address and
 * announced_ms as they are. */
int devices_flush_changes(struct devices *devices);
/* Less: the store then has a row of each device, and of no other, but maybe not as it is now. Waits for nothing when it has. */
int devices_flush_members(struct devices *devices);
/* Reads a device again from the store (an operator changed it there); merges: operator fields (product, channel,
 * held, chip when set by a person) from the store, observed fields from memory. A device that is gone from the store is
 * forgotten, one that is new there is taken in. */
void devices_reload(struct devices *devices, const char *id);

/* Lines that the device wrote, each with its line feed: kept by the writer's next pass, the last ones of each device
 * (store_log_append()). False: there are too many on the way, these are lost. */
bool devices_add_lines(struct devices *devices, const char *id, const char *lines, int64_t now_ms);

/* Visits every device in memory, a shard locked at a time; as devices_peek(). */
void devices_sweep(struct devices *devices, devices_visitor visit, void *ctx);
/* Tells of each kind of devices that there is, and how many are alike. A shard is locked for a moment at a time, none while row
 * is called. 0, or -MOLT_NO_MEMORY: then some are missing. */
int devices_census(struct devices *devices, const struct census_ages *ages, census_row row, void *ctx);
/* The same of those that are meant. */
int devices_census_of(struct devices *devices, const struct census_wish *wish, const struct census_ages *ages,
                      census_row row, void *ctx);
/* The first ids, in their order, behind `after` ("": from the first on) of the devices that are meant. Returns how many, at
 * most cap; or -MOLT_NO_MEMORY. */
int devices_find_ids(struct devices *devices, const struct census_wish *wish, const char *after,
                     char (*ids)[MODEL_ID_LEN], uint32_t cap);
/* Tells of each device that is meant, with its shard locked: for a moment's work. 0, or -MOLT_NO_MEMORY: then some are missing. */
int devices_each_meant(struct devices *devices, const struct census_wish *wish,
                       const struct census_also *also, census_meant each, void *ctx);
/* How the devices of each rollout are doing, always current; lives as long as the devices. */
const struct rollout_table *devices_rollouts(const struct devices *devices);

/* Addresses that may make any number of new ids; another number for the others (0: the default). */
void devices_limit(struct devices *devices, const struct net *exempt, size_t count, uint32_t new_per_minute);

/* Deletes these devices and their tokens, in the store in one transaction, and here; no write that is on its way brings them
 * back. Those that are not there are passed over. What store_delete_devices() returns: on failure none was deleted. */
int devices_delete(struct devices *devices, const char (*ids)[MODEL_ID_LEN], size_t count);

/* ---- one of several servers on the store (host/store/nodes.h) ---- */
/* What another server wrote of the device, put together with what is known here. NULL: it was deleted at gone_ms; one that was seen for the
 * first time after that stays. 0, or -MOLT_NO_MEMORY and it must come again. */
int devices_take(struct devices *devices, const char *id, const struct model_device *device, int64_t gone_ms);
/* All rows are looked at again, by that connection: for a server that may have missed changes. 0, or negative and it must be done again. */
int devices_take_all(struct devices *devices, struct store *store);
/* Calls back while nobody opens an offer. */
void devices_hold_offers(struct devices *devices, void (*call)(void *ctx), void *ctx);
/* Sets how many offers of the rollout may be open here; only within devices_hold_offers(), or to more than before. */
void devices_set_slots(struct devices *devices, int64_t rollout_id, uint32_t slots);
/* How often a device was refused because the slots were taken, since the last call. */
uint32_t devices_refused_full(struct devices *devices);

struct devices_stats {
    uint64_t count, unassigned, dirty, written;
    uint64_t held, updated, failed; /* updated: presumed too; failed: rolled back too */
    uint64_t bytes;                 /* memory for the devices, with what it takes to find them */
};
void devices_stats(struct devices *devices, struct devices_stats *out);

#endif
