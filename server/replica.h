/* replica.h - keeps the store's read replica in use (store_replica_round() of host/store/store.h): one thread that looks at it every second,
 * and says in the log when it comes into use and when it goes. */
#ifndef MOLT_SERVER_REPLICA_H
#define MOLT_SERVER_REPLICA_H

struct store;
struct replica;

/* The store is borrowed, and url copied; before other threads use the store. NULL: store_error(). */
struct replica *replica_start(struct store *store, const char *url);
/* Ends the thread, which may take as long as connecting does. NULL: nothing. */
void replica_stop(struct replica *replica);

#endif
